"""What is read in one go is what reading header by header makes of it, for any message."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panoramisk.message import Message

from exporter import fax
from exporter.fax import MAX_LINE, Headers, Problem, Verbatim, parse_listed, parse_session

TRANSCRIPTS = Path(__file__).parent / "transcripts"
EVENTS = sorted(
    {
        message
        for path in TRANSCRIPTS.glob("*/faxsession*.txt")
        for message in path.read_bytes().decode().split("\r\n\r\n")
        if message.startswith("Event: FAXSession")
    }
)
READ_AT_ONCE = [event for event in EVENTS if "Files: " in event or "ImageResolution: " in event]
WORDS = ("send", "V.21", "Active", "Open", "yes", "14400", "0", "٣", "9" * 12, "", "0x0", "a\nb")


def both(text: str) -> None:
    """Asserts that both readings agree, on values and on problems."""
    for parse in (parse_listed, parse_session):
        told: list[Any] = []
        for headers in (_verbatim(text), Message.from_line(text)):
            problems: list[Problem] = []
            told.append((parse(headers, problems), problems))
        assert told[0] == told[1]


def _verbatim(text: str) -> Verbatim:
    return Verbatim(text, text.split("\r\n", 2)[-1], Message.from_line)


def test_there_are_real_messages_of_both_kinds() -> None:
    assert len(READ_AT_ONCE) > 10


@pytest.mark.parametrize("event", READ_AT_ONCE)
def test_what_asterisk_writes_for_a_fax_is_never_split_into_headers(event: str) -> None:
    def split(text: str) -> Headers:
        raise AssertionError(f"split: {text}")

    parse = parse_listed if event.startswith("Event: FAXSessionsEntry") else parse_session
    assert parse(Verbatim(event, event.split("\r\n", 2)[-1], split), []) is not None


@given(
    st.sampled_from(EVENTS),
    st.integers(0, 14),
    st.sampled_from(WORDS) | st.text(max_size=90),
    st.sampled_from(("value", "twice", "gone")),
)
def test_any_change_to_a_message_is_read_the_same(
    event: str, line: int, word: str, change: str
) -> None:
    lines = event.split("\r\n")
    line = min(line, len(lines) - 1)
    name = lines[line].partition(": ")[0]
    if change == "value":
        lines[line] = f"{name}: {word}"
    elif change == "twice":
        lines.insert(line, f"{name}: {word}")
    else:
        del lines[line]
    if any(one.startswith(("Event: ", "Response: ")) for one in lines):
        both("\r\n".join(lines))


def test_no_line_of_a_stranger_is_kept_that_would_fill_the_memory() -> None:
    fax._listed_fax.cache_clear()
    event = next(event for event in READ_AT_ONCE if event.startswith("Event: FAXSessionsEntry"))
    for number in range(3):
        assert parse_listed(_verbatim(f"{event}\r\nX: {'x' * MAX_LINE}{number}"), []) is not None
    assert fax._listed_fax.cache_info().currsize == 0
    assert parse_listed(_verbatim(event), []) is not None
    assert fax._listed_fax.cache_info().currsize == 1
