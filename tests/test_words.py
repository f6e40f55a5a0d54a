"""Words of others: nothing in them can steer a terminal, hide, or turn the text around it."""

import errno
import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.words import MARK, say, visible

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]
# Lone surrogates too: what bytes that are not UTF-8 become.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
UNSEEN = st.text(st.characters(categories=("C", "Z"), exclude_characters=" "), min_size=1)
TURNS_TEXT = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of what sets a direction and is no letter (Unicode, UAX #9)."""


def test_of_all_characters_those_unseen_are_marked_and_no_others() -> None:
    shown = "".join(map(visible, EVERY_CHARACTER))
    assert len(shown) == len(EVERY_CHARACTER)
    for char, mark in zip(EVERY_CHARACTER, shown, strict=True):
        unseen = char != " " and unicodedata.category(char)[0] in "CZ"
        assert mark == (MARK if unseen else char), hex(ord(char))


def test_what_turns_text_around_is_marked() -> None:
    turning = [c for c in EVERY_CHARACTER if unicodedata.bidirectional(c) in TURNS_TEXT]
    assert {"\u202e", "\u2066"} < set(turning)
    # The marks for left-to-right, right-to-left and Arabic have the class of a letter.
    assert visible("".join([*turning, "\u200e\u200f\u061c"])) == MARK * (len(turning) + 3)


@given(ANY_TEXT, UNSEEN, ANY_TEXT)
def test_a_text_stays_one_line_of_its_length_and_is_shown_the_same_when_shown_again(
    before: str, unseen: str, after: str
) -> None:
    text = before + unseen + after
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert shown[len(before) :].startswith(MARK * len(unseen))
    assert visible(shown) == shown


def test_letters_of_all_scripts_and_a_blank_are_shown_as_they_are() -> None:
    assert visible("Zoë ש 東京 <b>&\\") == "Zoë ש 東京 <b>&\\"


def test_a_caller_can_have_other_marks() -> None:
    assert visible("a\x1b[31m\n", lambda char: f"<{ord(char):x}>") == "a<1b>[31m<a>"


@given(ANY_TEXT)
def test_what_is_said_has_the_lines_of_the_text_and_nothing_unseen(text: str) -> None:
    stream = io.StringIO()
    say(text, stream)
    assert stream.getvalue() == "\n".join(map(visible, text.split("\n"))) + "\n"


def test_a_terminal_that_lacks_a_letter_is_told_which() -> None:
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding="ascii")
    say("Zoë \x1b", terminal)
    assert written.getvalue() == rb"Zo\xeb ?" + b"\n"


def test_it_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    say("1 wrong")
    assert capsys.readouterr() == ("1 wrong\n", "")


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_output_that_is_full_closed_or_not_there_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        say("x", stream)
    monkeypatch.setattr(sys, "stdout", None)
    say("x")
