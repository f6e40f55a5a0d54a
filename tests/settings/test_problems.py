"""The words for what is wrong: values are quoted safely, slips get a suggestion."""

import pytest

from exporter.settings.problems import Accepts, Place, no_such, quoted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "'a'"),
        ("a\x1b[31m", r"'a\x1b[31m'"),
        ("é", r"'\xe9'"),
        (7, "'7'"),
        ("x" * 300, "'" + "x" * 199 + "..."),
        ({"a": 1}, "(a mapping)"),
        ([1], "(a list)"),
    ],
)
def test_what_a_user_wrote_is_quoted_in_plain_ascii_and_not_at_length(
    value: object, expected: str
) -> None:
    assert quoted(value) == expected


def test_a_name_that_is_none_is_said_with_one_that_is_near_or_with_where_to_look() -> None:
    assert no_such("hots", ["host", "port"]) == "hots: no such setting; did you mean host?"
    assert no_such("zzz", ["host"]) == "zzz: no such setting; --help lists what there is"
    assert no_such("a\n", [], hint="; b") == r"a\n: no such setting; b"


def test_a_refusal_ends_with_what_is_accepted() -> None:
    place = Place("--ami.port '0'", Accepts("PORT", "a number"))
    assert place.refusal("") == "--ami.port '0': takes a number"
    assert place.refusal("not set") == "--ami.port '0': not set; takes a number"
