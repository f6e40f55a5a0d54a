"""What is read in one go is what reading header by header makes of it, for any message."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panoramisk.message import Message

from exporter.ami import MAX_LINE
from exporter.fax import (
    MAX_TEXT,
    Problem,
    Remembered,
    parse_listed,
    parse_session,
    read_listed,
    read_session,
)
from tests.virtual_time import in_virtual_time, until
from tests.watching import CHANNEL, watched

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
EVENTS = sorted(
    {
        message
        for path in TRANSCRIPTS.glob("*/faxsession*.txt")
        for message in path.read_bytes().decode().split("\r\n\r\n")
        if message.startswith("Event: FAXSession")
    }
)
READ_AT_ONCE = [
    event
    for event in EVENTS
    if any(said in event for said in ("Files: ", "ImageResolution: ", "Operation: gateway"))
    and "DataRate: 0\r" not in event  # a gateway before its two ends have agreed
]
WORDS = ("send", "V.21", "Active", "Open", "yes", "14400", "0", "٣", "9" * 12, "", "0x0", "a\nb")


def both(text: str) -> None:
    """Asserts that what is read at once is what the headers say, and without a problem."""
    body = text.split("\r\n", 2)[-1]
    for read, parse in ((read_listed, parse_listed), (read_session, parse_session)):
        problems: list[Problem] = []
        value = read(body)
        if value is not None:
            assert (value, []) == (parse(Message.from_line(text), problems), problems)


def test_there_are_real_messages_of_both_kinds() -> None:
    assert len(READ_AT_ONCE) > 10


@pytest.mark.parametrize("event", READ_AT_ONCE)
def test_what_asterisk_writes_for_a_fax_is_read_at_once(event: str) -> None:
    read = read_listed if event.startswith("Event: FAXSessionsEntry") else read_session
    assert read(event.split("\r\n", 2)[-1]) is not None


@pytest.mark.parametrize("rate", ["0", "9601", "16843010", "-9600", "9600 "])
def test_a_rate_that_no_modem_has_is_never_read_at_once(rate: str) -> None:
    for said in ("ImageResolution: ", "ErrorCorrectionMode: no\r"):  # a fax, a gateway
        event = next(one for one in READ_AT_ONCE if said in one)
        body = re.sub(r"(?<=DataRate: )\d+", rate, event.split("\r\n", 2)[-1])
        assert read_session(body) is None


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


def test_what_every_poll_brings_is_made_once_and_what_is_gone_is_forgotten() -> None:
    made: list[str] = []

    def make(text: str) -> int:
        made.append(text)
        return len(text)

    remembered = Remembered(make)
    for polled in (["a", "bb"], ["bb"], ["bb"], ["a", "bb"]):
        remembered.turn()
        assert [remembered(text) for text in polled] == [len(text) for text in polled]
        assert len(remembered) == len(polled)
    assert made == ["a", "bb", "a"]


@in_virtual_time
async def test_no_message_is_remembered_that_would_fill_the_memory() -> None:
    async with watched() as (pbx, poller):
        for name, remembered in (("x" * MAX_LINE, 0), ("x", 1)):
            session = pbx.begin("send", CHANNEL, files=[name])
            await until(lambda: len(poller.ledger.running) == 1)
            assert poller.ledger.running[0].listed.files == name[:MAX_TEXT]
            assert len(poller._listing) == remembered
            pbx.end(session)
            await until(lambda: not poller.ledger.running)
            assert len(poller._listing) == 0
