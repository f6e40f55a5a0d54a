"""The lines of a file as Asterisk parts them; tests/pbx/test_setup_reading.py asks Asterisk."""

import pytest

from exporter.setup_pbx.conf_lines import ConfLines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\r\n\tb = 2 ; c\n", ["a = 1", "b = 2"]),
        ("a = x\\;y ; z\n", ["a = x;y"]),
        (";-- a = 1\nb = 2\n--; c = 3\nd = 4", ["c = 3", "d = 4"]),
        ("a = 1 ;-- x --; 2\n", ["a = 1  2"]),
        (";---------------;\na = 1\n", ["a = 1"]),
        (";-- ;-- --;\na = 1\n--;\nb = 2\n", ["b = 2"]),
        ("a = 1 --; b\nc = 2\n", ["a = 1 --; b"]),
        ("a = 1\0b\n", ["a = 1"]),
    ],
)
def test_comments_are_left_out(text: str, said: list[str]) -> None:
    assert [line for _, line in ConfLines(text.encode())] == said


@pytest.mark.parametrize(
    ("text", "since"), [(";--\na = 1\n", 1), ("\na --;\n", 2), ("a;--b--;\n", 0), ("a ; b\n", 0)]
)
def test_a_file_that_ends_inside_a_comment_is_known(text: str, since: int) -> None:
    lines = ConfLines(text.encode())
    list(lines)
    assert (lines.since if lines.is_comment else 0) == since


def test_a_line_too_long_to_tell_is_known() -> None:
    lines = ConfLines(b"a = 1\n" + b"z" * 8190 + b"\nb = 2\n")
    assert [line for _, line in lines] == ["a = 1"]
    assert lines.too_long == 2


def test_comments_too_deep_for_asterisk_are_known() -> None:
    lines = ConfLines(b";-- " * 129)
    list(lines)
    assert lines.too_deep
