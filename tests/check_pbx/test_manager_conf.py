"""What lines of manager.conf do to the exporter; tests/pbx/test_advice.py has Asterisk's word."""

import pytest

from exporter.check_pbx.manager_conf import (
    COMPLETIONS,
    EVENTFILTER,
    NEW_EVENTFILTERS,
    all_variables,
    can_ask_for,
    can_be_pasted,
    disabled,
    eventfilters,
    filters,
    knows_new_filters,
    missing_variables,
    new_filters,
    with_blanks,
    without_completions,
)
from exporter.fax import Version

OURS = "FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING"


@pytest.mark.parametrize(
    ("channelvars", "missing", "line"),
    [
        (OURS, [], OURS),
        ("", OURS.split(","), OURS),
        (f"CDR(src),{OURS}", [], f"CDR(src),{OURS}"),
        ("CDR(src)", OURS.split(","), f"CDR(src),{OURS}"),
        ("CURL(a, b),FAXMODE", ["FAXSTATUS", "FAXERROR", "FAXSTATUSSTRING"], None),
        (OURS.replace(",", ", "), OURS.split(",")[1:], OURS),
        (OURS.replace(",", " ,"), OURS.split(",")[:-1], OURS),
        (f"a, {OURS} ,b", ["FAXSTATUS", "FAXSTATUSSTRING"], f"a,{OURS},b"),
        (OURS.lower(), OURS.split(","), f"{OURS.lower()},{OURS}"),
        (f",{OURS},,", [], OURS),
        ('"' + OURS.replace(",", '","') + '"', [], OURS),
        (f'"{OURS}"', OURS.split(","), OURS),
        (r"a\,b," + OURS, [], None),
        (f"HASH[x,y],{OURS}", [], f"HASH[x,y],{OURS}"),
    ],
)
def test_channelvars_are_read_as_asterisk_does_and_nobody_loses_a_name(
    channelvars: str, missing: list[str], line: str | None
) -> None:
    assert missing_variables(channelvars) == missing
    assert missing_variables(all_variables(channelvars).removeprefix("channelvars = ")) == []
    if line is not None:
        assert all_variables(channelvars) == f"channelvars = {line}"


def test_what_cannot_be_seen_or_may_look_different_is_not_to_be_pasted() -> None:
    assert can_be_pasted(all_variables("A,B c"))
    for char in "\x1b\u202e\ufffd\xa0é\t":
        assert not can_be_pasted(f"channelvars = A{char}")


def test_names_with_blanks_are_named() -> None:
    assert with_blanks("FAXSTATUS, FAXERROR,FAXMODE ,a") == ["FAXERROR", "FAXMODE"]


@pytest.mark.parametrize(
    ("disabledevents", "events", "line"),
    [
        ("SendFAX,ReceiveFAX", ["SendFAX", "ReceiveFAX"], "disabledevents ="),
        ("VarSet, ReceiveFAX,Newexten", ["ReceiveFAX"], "disabledevents = VarSet,Newexten"),
        ("VarSet,sendfax", [], "disabledevents = VarSet,sendfax"),
        ("SendFAX ,VarSet", [], "disabledevents = VarSet"),
        ("", [], "disabledevents ="),
    ],
)
def test_disabled_completion_events_are_seen_and_the_others_kept(
    disabledevents: str, events: list[str], line: str
) -> None:
    assert disabled(disabledevents) == events
    assert without_completions(disabledevents) == line


_FILTER = EVENTFILTER.removeprefix("eventfilter = ")


@pytest.mark.parametrize(
    ("values", "passing", "wide"),
    [
        ([_FILTER], COMPLETIONS, False),
        (["Event: (ReceiveFAX|SendFAX)"], COMPLETIONS, False),
        (["Event: SendFAX", "Event: ReceiveFAX"], COMPLETIONS, False),
        (["^Event: SendFAX|^Event: ReceiveFAX"], COMPLETIONS, False),
        (["Event: .*FAX"], COMPLETIONS, True),
        (["FAX"], COMPLETIONS, True),
        (["^Event: .*FAX", "!Event: Newchannel"], COMPLETIONS, True),
        (["Event: SendFAX"], ("SendFAX",), False),
        (["Event: sendfax"], (), False),
        (["Event: SendFAX$"], (), False),
        ([_FILTER, "!Event: SendFAX"], ("ReceiveFAX",), False),
        (["!Event: VarSet"], COMPLETIONS, True),
        (["Event: .*"], COMPLETIONS, True),
        (["!Event: .*FAX"], (), True),
    ],
)
def test_what_event_filters_let_through(
    values: list[str], passing: tuple[str, ...], wide: bool
) -> None:
    effect = filters(values)
    assert effect is not None
    assert (effect.passing, effect.wide) == (tuple(passing), wide)


@pytest.mark.parametrize(
    "value",
    [
        "Channel: PJSIP/trunk",
        "Event: (a+)+$",
        "Event: [[:alpha:]]*FAX",
        "Event: (",
        "Event: .*.*.*.*.*FAX",
        r"Event: \w*FAX",
        "FAX" * 100,
    ],
)
def test_nothing_is_said_of_a_filter_that_cannot_be_followed(value: str) -> None:
    assert filters([value]) is None


def test_up_to_12_a_filter_is_a_basic_regular_expression() -> None:
    for value, passing in ((_FILTER, ()), (r"Event: \(SendFAX\|ReceiveFAX\)", COMPLETIONS)):
        effect = filters([value], basic=True)
        assert effect is not None
        assert effect.passing == passing
    for line in eventfilters(Version.parse("11.25.3")):
        effect = filters([line.removeprefix("eventfilter = ")], basic=True)
        assert effect is not None
        assert len(effect.passing) == 1


def test_of_the_new_syntax_lines_as_ours_are_known() -> None:
    (one, value), _ = NEW_EVENTFILTERS.items()
    assert new_filters(NEW_EVENTFILTERS) == list(COMPLETIONS)
    assert new_filters({one: value}) == ["SendFAX"]


@pytest.mark.parametrize(
    ("said", "major", "before_13", "new_filters"),
    [
        ("22.10.1~dfsg+~cs6.17.60671434-1", 22, False, True),
        ("16.28.0~dfsg-0+deb11u8", 16, False, False),
        ("18.25.0", 18, False, False),
        ("18.26.4", 18, False, True),
        ("23.4.1", 23, False, True),
        ("13.0.0", 13, False, False),
        ("11.25.3", 11, True, False),
        ("1.8.32.3", 1, True, False),
        ("certified/16.8-cert13", 16, False, False),
        ("certified/18.9-cert4", 18, False, None),
        ("certified-20.7-cert3", 20, False, None),
        ("certified-22.8-cert1", 22, False, True),
        ("certified/11.6-cert18", 11, True, False),
        ("SVN-branch-13-r4", 13, False, False),
        ("SVN-branch-1.8-r400000M", 1, True, False),
        ("SVN-branch-11-r4-/trunk", 11, True, False),
        ("GIT-18-1a2b3c4", 18, False, None),
        ("GIT-20.11-1a2b3c4M", 20, False, True),
        ("GIT-16-", 16, False, False),
        ("GIT-master-1a2b3c4", None, False, None),
        ("SVN-trunk-r374177", None, False, None),
        ("UNKNOWN__and_probably_unsupported", None, False, None),
        ("", None, False, None),
    ],
)
def test_what_a_version_says_of_itself(
    said: str, major: int | None, before_13: bool, new_filters: bool | None
) -> None:
    version = Version.parse(said)
    assert version.major == major
    assert version.before_fax_actions == before_13
    assert knows_new_filters(version) is new_filters


def test_only_a_name_that_is_one_argument_is_asked_for() -> None:
    assert all(map(can_ask_for, ("fax", "fax of ours", "büro", "a.b-c_d@e")))
    assert not any(map(can_ask_for, ("a,b", "a)", "(a", "a]", '"a', "a\\", "a\nb")))
