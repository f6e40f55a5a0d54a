"""The words for what is wrong: slips get a suggestion, and nothing is repeated."""

from exporter.settings.problems import Accepts, Place, no_such


def test_a_name_that_is_none_is_not_repeated_and_one_that_is_near_is_said() -> None:
    assert no_such("line 3", "hots", ["host", "port"]) == (
        "line 3: no such setting; did you mean host?"
    )
    assert no_such("argument 2", "zzz", ["host"]) == (
        "argument 2: no such setting; --help lists what there is"
    )
    assert no_such("x", "a" * 10_000_000, ["host"], hint="; b") == "x: no such setting; b"


def test_a_refusal_ends_with_what_is_accepted() -> None:
    place = Place("--ami.port", Accepts("PORT", "a number"))
    assert place.refusal("") == "--ami.port: takes a number"
    assert place.refusal("not set") == "--ami.port: not set; takes a number"
