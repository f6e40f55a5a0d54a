"""A short event storm; the long one is `make storm`."""

import pytest

from harness.conversation import conversation
from harness.events import UNWANTED
from harness.script import ScriptedPbx
from harness.virtual_time import in_virtual_time
from tests.trials.storm import run_storm


@pytest.mark.slow
def test_in_a_storm_of_events_everything_is_counted_and_nothing_piles_up() -> None:
    report, scrapes = run_storm(rate=50_000, seconds=3, interval=0.1)
    assert report.events >= 3 * 50_000
    assert report.pages >= 2
    assert len(scrapes) > 2


@in_virtual_time
async def test_unwanted_events_are_dropped_before_they_are_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[str] = []

    pbx = ScriptedPbx()
    async with conversation(pbx):
        assert pbx.transport is not None
        with monkeypatch.context() as patched:
            patched.setattr("exporter.ami.messages.Message.from_line", parsed.append)
            pbx.transport.send(b"".join(UNWANTED) * 100)
            assert parsed == []
            pbx.transport.send(b"Event: SendFAX\r\nChannel: PJSIP/a-00000001\r\n\r\n")
            assert len(parsed) == 1
