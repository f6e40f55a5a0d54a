"""What was read of a message is kept as long as every poll brings that message."""

import pytest

from exporter.fax import MAX_TEXT, Problem
from exporter.polling import poll_cache
from exporter.polling.poll_cache import MAX_LENGTH, PollCache
from harness.virtual_time import in_virtual_time, until
from harness.watching import CHANNEL, watched


def test_what_every_poll_brings_is_read_once_and_what_is_gone_is_forgotten() -> None:
    read: list[str] = []

    def parse(text: str, _: list[Problem]) -> int:
        read.append(text)
        return len(text)

    cache = PollCache(parse)
    for polled in (["a", "bb"], ["bb"], ["bb"], ["a", "bb"]):
        cache.next_poll()
        assert [cache.read(text, []) for text in polled] == [len(text) for text in polled]
        assert len(cache) == len(polled)
    assert read == ["a", "bb", "a"]


def test_what_is_wrong_with_a_message_is_told_in_every_poll() -> None:
    problem = Problem("State", "?")

    def parse(text: str, problems: list[Problem]) -> int:
        problems.append(problem)
        return len(text)

    cache = PollCache(parse)
    for _ in range(3):
        problems: list[Problem] = []
        cache.next_poll()
        assert cache.read("a", problems) == 1
        assert problems == [problem]


def test_of_one_poll_only_so_many_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_cache, "MAX_KEPT", 2)
    cache = PollCache(lambda text, _: text)
    assert [cache.read(text, []) for text in "abcd"] == list("abcd")
    assert len(cache) == 2


@in_virtual_time
async def test_no_message_is_kept_that_would_fill_the_memory() -> None:
    async with watched() as (pbx, poller):
        for name, kept in (("x" * MAX_LENGTH, 0), ("x", 1)):
            session = pbx.begin("send", CHANNEL, files=[name])
            await until(lambda: len(poller.ledger.running) == 1)
            assert poller.ledger.running[0].listed.files == name[:MAX_TEXT]
            assert len(poller._listed) == kept
            pbx.end(session)
            await until(lambda: not poller.ledger.running)
            assert len(poller._listed) == 0
