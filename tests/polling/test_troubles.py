"""What is said of each trouble; that a PBX makes it so is proved by the others and tests/pbx."""

import pytest

from exporter.ami import (
    Answer,
    Cause,
    ConnectError,
    ConnectionLost,
    LoginRefused,
    Request,
    ShuttingDown,
)
from exporter.fax import Problem
from exporter.polling import LONGEST_PAUSE, REFUSED_PAUSE, Failure, troubles
from exporter.polling.troubles import Lack, Trouble

ACTIONS = ["FAXSessions", "FAXSession", "FAXStats", "CoreSettings", "CoreStatus"]
DENIED, UNKNOWN, ERROR = "Permission denied", "Invalid/unknown command: X.", "Out of luck"


def refused(action: str, message: str, version: str = "22.10.0") -> Trouble[Failure]:
    answer = Answer(Request(action), {"Response": "Error", "Message": message})
    return troubles.refused(answer, "fax", version)


def test_words_of_the_pbx_in_it_are_visible() -> None:
    assert Trouble(Failure.ERROR, "FAXStats: \x1b[31m\u202eno\n").text == "FAXStats: ?[31m?no?"


@pytest.mark.parametrize("action", ACTIONS)
def test_what_a_user_may_not_names_the_class_to_add_and_what_is_missing_until_then(
    action: str,
) -> None:
    trouble = refused(action, DENIED)
    assert (trouble.kind, trouble.about) == (Failure.DENIED, action)
    assert trouble.text.startswith(
        f"user fax may not {action}: add '{troubles.WRITE_CLASS[action]}'"
    )
    assert "; until then " in trouble.text


@pytest.mark.parametrize(
    ("action", "version", "why"),
    [
        ("FAXStats", "22.10.0", "res_fax is not loaded, and without it there is no fax; load"),
        ("FAXStats", "", "res_fax is not loaded, or this is an Asterisk before 13, which has"),
        ("FAXStats", "11.25.3", "Asterisk 11.25.3 has no such action, 13 is the first"),
        ("CoreStatus", "", "is this an Asterisk?"),
    ],
)
def test_why_an_action_is_not_known_depends_on_the_version(
    action: str, version: str, why: str
) -> None:
    trouble = refused(action, UNKNOWN, version)
    assert trouble.kind is Failure.UNKNOWN_ACTION
    assert trouble.text.startswith(f"{action}: Invalid/unknown command: X: {why}")


def test_any_other_refusal_is_quoted() -> None:
    assert refused("FAXSession", ERROR).text.startswith("FAXSession failed: Out of luck; left out")
    assert "no reason given" in refused("FAXStats", "").text
    technology = refused("FAXSession", "Technology 'X' doesn't provide a handler for this")
    assert technology.text.endswith(
        "until res_fax_spandsp.so runs them, see modules.conf, bad lines and data rates are "
        "unknown, pages only come by completion events"
    )
    assert technology.kind is Failure.ERROR


@pytest.mark.parametrize(
    ("sessions", "stats", "why"),
    [
        (DENIED, DENIED, "user fax may neither FAXSessions nor FAXStats: add 'call,reporting' to"),
        (UNKNOWN, UNKNOWN, "Asterisk knows neither FAXSessions nor FAXStats: res_fax is not load"),
        (ERROR, None, "FAXSessions failed: Out of luck; left out until it works"),
        (None, None, "what Asterisk answered cannot be read; the log quotes it"),
    ],
)
def test_why_nothing_came_is_said_once_if_both_were_refused_alike(
    sessions: str | None, stats: str | None, why: str
) -> None:
    said = [("FAXSessions", sessions), ("FAXStats", stats)]
    refusals = [refused(action, message) for action, message in said if message is not None]
    assert troubles.nothing_came(refusals, "fax", "22.10.0").startswith(why)


def test_why_nothing_came_is_said_of_each_if_they_were_refused_unlike() -> None:
    refusals = [refused("FAXSessions", DENIED), refused("FAXStats", ERROR)]
    said = troubles.nothing_came(refusals, "fax", "22.10.0")
    assert said == "; ".join(refusal.text for refusal in refusals)


AGAIN = f"tried again, after {LONGEST_PAUSE:.0f} s at the latest"


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            LoginRefused("no", Cause.CREDENTIALS),
            Failure.LOGIN,
            f"no; tried again once in {REFUSED_PAUSE:.0f} s",
        ),
        (ShuttingDown("wait"), Failure.SHUTTING_DOWN, "wait; tried again within 3 s"),
        (ConnectError("none", Cause.REFUSED), Failure.CONNECT, f"none; {AGAIN}"),
        (ConnectError("none", Cause.SILENT), Failure.TIMEOUT, f"none; {AGAIN}"),
        (ConnectionLost("gone"), Failure.LOST, f"gone; {AGAIN}"),
        (
            TimeoutError(),
            Failure.TIMEOUT,
            "logged in, then no answer to CoreSettings and CoreStatus within 7 s; "
            f"the PBX or the network is slow; {AGAIN}",
        ),
        (
            ZeroDivisionError("a defect"),
            Failure.INTERNAL,
            f"a defect of this exporter; its log has the traceback, to be reported; {AGAIN}",
        ),
    ],
)
def test_why_there_is_no_connection_says_when_the_next_is_tried(
    error: Exception, kind: Failure, text: str
) -> None:
    trouble = troubles.no_connection(error, timeout=7.0, least_pause=0.0)
    assert trouble == Trouble(kind, text)
    assert trouble.is_outage


def test_who_was_locked_out_comes_no_sooner_to_an_asterisk_that_shuts_down() -> None:
    trouble = troubles.no_connection(ShuttingDown("wait"), 7.0, least_pause=REFUSED_PAUSE)
    assert trouble.text == "wait; tried again within 60 s"


def test_only_what_is_wrong_as_a_whole_is_an_outage() -> None:
    parts = [
        refused("FAXStats", DENIED),
        troubles.unanswered("FAXStats"),
        troubles.unreadable(Problem("Channel", "?")),
    ]
    assert not [part for part in parts if part.is_outage]
    assert not troubles.no_events("fax").is_outage
    assert troubles.slow_poll(5.0).is_outage
    assert troubles.shutting_down(10.0).is_outage


def test_missing_events_name_the_read_line_of_the_user() -> None:
    trouble = troubles.no_events("fax")
    assert trouble.kind is Lack.EVENTS
    assert "add 'call' to the read line of fax in manager.conf" in trouble.text
