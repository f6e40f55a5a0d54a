from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.setup_pbx.block import find, put, taken
from exporter.setup_pbx.refusal import Refusal

PATH = Path("manager.conf")
LINES = ("[a]", "x = 1")
OTHER = st.lists(
    st.sampled_from([b"[general]", b"x = 1", b"\xff", b"\n", b"\r\n", b"; BEGIN", b" ", b"\0"])
).map(b"".join)


@given(OTHER, st.sampled_from([(), LINES, ("é",)]))
def test_what_is_put_in_and_taken_away_leaves_every_byte(
    content: bytes, lines: tuple[str, ...]
) -> None:
    with_it = put(PATH, content, lines, ";")
    found = find(PATH, with_it)
    assert found is not None
    assert found.lines == lines
    assert with_it.startswith(content)
    assert taken(PATH, with_it) == content
    assert put(PATH, with_it, lines, ";") == with_it


@given(OTHER)
def test_other_lines_come_in_place_of_the_earlier_and_what_is_below_stays(content: bytes) -> None:
    below = b"[below]\ny = 2\n"
    with_it = put(PATH, content, LINES, ";") + below
    other = put(PATH, with_it, ("[b]",), ";")
    found = find(PATH, other)
    assert found is not None
    assert found.lines == ("[b]",)
    assert other.endswith(below)
    apart = b"" if content.endswith(b"\n") or not content else b"\n"
    left = taken(PATH, other)
    assert left is not None
    assert left.replace(b"\r\n", b"\n") == (content + apart + below).replace(b"\r\n", b"\n")


def test_a_file_that_was_not_there_goes_again_unless_something_was_added(tmp_path: Path) -> None:
    made = put(PATH, None, LINES, "#")
    assert taken(PATH, made) is None
    assert taken(PATH, made + b"more\n") == b"more\n"
    assert taken(PATH, put(PATH, b"", LINES, "#")) == b""


def test_line_ends_are_those_of_the_file() -> None:
    with_it = put(PATH, b"[a]\r\nx = 1", LINES, ";")
    assert with_it.count(b"\n") == with_it.count(b"\r\n") == 6


@pytest.mark.parametrize("lost", [0, -1])
def test_a_mark_without_its_counterpart_is_refused_with_its_place(lost: int) -> None:
    lines = put(PATH, b"[general]\n", LINES, ";").splitlines(keepends=True)
    marks = [line for line in lines if b"--setup-pbx" in line]
    lines.remove(marks[lost])
    with pytest.raises(Refusal, match=r"manager.conf:\d: .* missing"):
        find(PATH, b"".join(lines))


def test_marks_that_are_there_twice_are_refused() -> None:
    with pytest.raises(Refusal, match="twice"):
        find(PATH, 2 * put(PATH, None, LINES, ";"))


def test_the_lines_are_numbered_as_an_editor_does() -> None:
    found = find(PATH, put(PATH, b"one\ntwo\n", LINES, ";"))
    assert found is not None
    assert (found.first, found.last) == (3, 6)
