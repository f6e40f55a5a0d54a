"""What is read by one regular expression is what is read header by header, for any message."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import Problem, parse

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
EVENTS = sorted(
    {
        message.split("\r\n", 2)[-1]
        for path in TRANSCRIPTS.glob("*/faxs*.txt")
        for message in path.read_bytes().decode().split("\r\n\r\n")
        if message.startswith(("Event: FAXSession", "Event: FAXStats"))
    }
)
"""Of real Asterisks, without their first lines: Event and ActionID."""
OFTEN = ("Files: ", "ImageResolution: ", "CompletedFAXes: ")
FAXES = [event for event in EVENTS if any(header in event for header in OFTEN)]
LAYOUTS = (parse._LISTED, parse._SESSION, parse._STATS)
WORDS = ("send", "V.21", "Active", "Open", "yes", "14400", "0", "٣", "9" * 12, "", "0x0", "a\nb")
TOO_HIGH = {
    "SessionNumber": "2147483648",
    "PageNumber": "10002",
    "PagesTransmitted": "10001",
    "PagesReceived": "10001",
    "TotalBadLines": "200001",
}


def is_usual(event: str) -> bool:
    return any(layout._usual.fullmatch(event) for layout in LAYOUTS)


def assert_read_the_same(event: str) -> None:
    """Whichever way it is read; and what is usual is so without a problem."""
    for layout in LAYOUTS:
        problems: list[Problem] = []
        slow = layout._read_by_header(event, problems)
        found: list[Problem] = []
        assert (layout.read(event, found), found) == (slow, problems)
        if layout._usual.fullmatch(event):
            assert problems == []


def test_there_are_real_messages_of_each_kind() -> None:
    assert len(FAXES) > 10
    assert all(any(header in event for event in FAXES) for header in OFTEN)


@pytest.mark.parametrize("event", FAXES)
def test_what_asterisk_writes_for_a_fax_is_usual(event: str) -> None:
    assert is_usual(event)
    assert_read_the_same(event)


@pytest.mark.parametrize("rate", ["0", "9601", "16843010", "-9600", "9600 "])
def test_a_rate_that_no_modem_has_is_not_usual(rate: str) -> None:
    event = next(one for one in FAXES if "ImageResolution: " in one)
    assert not is_usual(re.sub(r"(?<=DataRate: )\d+", rate, event))


@pytest.mark.parametrize("name", TOO_HIGH)
def test_a_number_that_is_too_high_is_not_usual(name: str) -> None:
    event = next(one for one in FAXES if "ImageResolution: " in one)
    changed = re.sub(rf"(?<={name}: )\d+", TOO_HIGH[name], event)
    assert changed != event
    assert not is_usual(changed)
    assert_read_the_same(changed)


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
    assert_read_the_same("\r\n".join(lines))
