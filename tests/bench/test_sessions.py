"""Simulated faxes, read by the exporter's own readers: what they add up to is what happened."""

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from bench.sessions import STEP_SECONDS, Clock, Faxes, Truth, reading, receives, truth
from exporter.fax import Transport
from exporter.ledger.readings import BadLineReader, PageReader

SESSIONS = 4


class _Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Watch:
    """Reads the faxes of one PBX as the ledger does: what the first reading says is not counted."""

    def __init__(self, faxes: Faxes) -> None:
        self._faxes = faxes
        self._readers: dict[int, tuple[PageReader, BadLineReader]] = {}
        self._counted = {"transmitted": 0, "received": 0, "bad_lines": 0}

    def poll(self) -> None:
        self._faxes.lists += 1
        for number in range(SESSIONS):
            pages, bad_lines = reading(self._faxes.step(number))
            if number not in self._readers:
                pages_done = PageReader(last=pages, transport=Transport.G711)
                self._readers[number] = pages_done, BadLineReader.starting_at(pages, bad_lines)
            of_pages, of_lines = self._readers[number]
            added = of_pages.read(pages, Transport.G711)
            self._counted["received" if receives(number) else "transmitted"] += added
            if receives(number):
                self._counted["bad_lines"] += of_lines.read(of_pages.total, bad_lines)[0]

    @property
    def counted(self) -> Truth:
        return Truth(**self._counted)


def polled(gaps: Iterable[float], faxes: Faxes, time: _Time) -> Truth:
    watch = _Watch(faxes)
    watch.poll()
    for gap in gaps:
        time.now += gap
        watch.poll()
    return watch.counted


@given(st.lists(st.floats(0.01, STEP_SECONDS - 0.01), max_size=60), st.integers(0, 50))
def test_who_polls_often_enough_counts_all_that_happened(gaps: Sequence[float], first: int) -> None:
    time = _Time()
    clock = Clock(time)
    faxes = Faxes(SESSIONS, clock, first)
    counted = polled(gaps, faxes, time)
    clock.stop()
    time.now += 100
    assert faxes.truth() == counted


@given(st.lists(st.floats(0.01, 20.0), max_size=60))
def test_no_poll_misses_a_page_and_none_counts_a_line_that_was_not(gaps: Sequence[float]) -> None:
    time = _Time()
    faxes = Faxes(SESSIONS, Clock(time))
    counted, happened = polled(gaps, faxes, time), faxes.truth()
    assert counted[:2] == happened[:2]
    assert counted.bad_lines <= happened.bad_lines


def test_who_polls_too_late_misses_bad_lines() -> None:
    time = _Time()
    faxes = Faxes(SESSIONS, Clock(time))
    counted = polled([2.5] * 40, faxes, time)
    assert 0 < counted.bad_lines < faxes.truth().bad_lines


def test_what_is_resumed_goes_on_from_where_it_was_halted_and_is_counted_anew() -> None:
    time = _Time()
    clock = Clock(time)
    faxes = Faxes(SESSIONS, clock)
    before = polled([1.0] * 20, faxes, time)
    clock.stop()
    time.now += 1000.3
    clock.resume()
    faxes.forget()
    after = polled([1.0] * 20, faxes, time)
    assert before.received > 0
    assert faxes.truth() == after


@given(st.integers(1, 40))
def test_lists_advance_all_alike_where_no_time_does(lists: int) -> None:
    faxes = Faxes(SESSIONS)
    counted = polled([0.0] * (lists - 1), faxes, _Time())
    assert (counted.transmitted + counted.received, counted.bad_lines) == truth(lists, SESSIONS)
    assert faxes.truth() == counted
