"""Pages and bad lines: what each reading adds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import Reason, State, Transport
from exporter.ledger.readings import BadLineReader, PageReader
from tests.ledger.watch import GATEWAY, RECEIVE, Seen, Watch


@pytest.mark.parametrize(
    ("readings", "bad_lines", "rejected"),
    [
        (
            [(0, 0), (0, 4), (0, 10), (1, 0), (1, 3), (1, 9), (2, 0), (2, 10), (3, 10), (3, 10)],
            29,
            0,
        ),
        ([(0, 7)], 7, 0),
        # Page 1 had 3, page 2 had 3 (or more page 3 has none yet): the last 3 may be page 2's own.
        ([(0, 3), (1, 3), (2, 3)], 6, 0),
        ([(0, 3), (1, 3), (1, 4)], 7, 0),
        ([(0, 3), (1, 3), (1, 0), (1, 2)], 5, 0),
        ([(0, 0), (0, 400), (0, 0), (0, 5), (1, 0)], 405, 1),
        ([(0, 0), (1, 0), (1, 300), (1, 0), (2, 0)], 300, 1),
        ([(0, 3), (1, 1), (1, 300), (1, 5)], 308, 1),
        ([(0, 3), (1, 3), (1, 300), (1, 2)], 305, 1),
        ([(0, 8), (3, 9)], 17, 0),
        ([(0, 8), (2, 9), (2, 4)], 21, 0),
        ([(0, 3), (1, 3), (3, 1)], 7, 0),
    ],
    ids=[
        "the three pages of the measurement",
        "a first reading counts whole",
        "a reset hidden by an equal value is owed once another page follows",
        "a hidden reset is owed once the new page grows",
        "a reset after the page advance is an ordinary one",
        "a reset without a page is a rejected page, and its lines count",
        "a page rejected after a clean one",
        "a page rejected after a reset that no poll saw at 0",
        "a page rejected after a hidden reset",
        "pages that went by unseen leave a lower bound",
        "after a page that went by unseen a late reset is no rejected page",
        "lines are owed also where a page went by unseen",
    ],
)
def test_bad_lines_of_a_page_are_counted_once_whenever_asterisk_sets_them_back(
    readings: list[tuple[int, int]], bad_lines: int, rejected: int
) -> None:
    watch = Watch.running()
    for pages, bad in readings:
        watch.poll(Seen(pages, bad))
    watch.poll()
    assert watch.bad_lines == bad_lines
    assert watch.ledger.totals.rejected[RECEIVE] == rejected
    # The ledger does not read again what reads the same; the reader would not mind.
    reader = BadLineReader()
    added = [reader.read(pages, bad) for pages, bad in readings]
    assert (sum(lines for lines, _ in added), sum(told for _, told in added)) == (
        bad_lines,
        rejected,
    )


# --- bad lines ---------------------------------------------------------------------------------


def test_the_last_pages_value_that_stays_is_not_counted_again() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 0), (0, 5), (1, 5), (1, 5)]:
        watch.poll(Seen(pages, bad))
    watch.poll()
    watch.hear(1)
    watch.poll()
    assert watch.bad_lines == 5


def test_a_hidden_reset_is_owed_when_the_event_tells_of_another_page() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 3)]:
        watch.poll(Seen(pages, bad))
    watch.poll()
    watch.hear(2)
    watch.poll()
    assert watch.ledger.totals.bad_lines[RECEIVE, State.COMPLETE] == 3
    assert watch.bad_lines == 6
    assert watch.ledger.totals.session_bad_lines[RECEIVE].sum == 6
    assert [fax.bad_lines for fax in watch.ledger.history.others] == [6]


def test_a_reader_that_starts_in_the_middle_counts_only_what_comes_after() -> None:
    assert BadLineReader.starting_at(2, 9).read(2, 10) == (1, False)
    assert BadLineReader.starting_at(2, 9).read(2, 3) == (3, True)
    assert BadLineReader.starting_at(2, 9).read(3, 3) == (3, False)


def test_bad_lines_start_again_when_audio_becomes_t38() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 5))
    watch.poll(Seen(0, 7, transport=Transport.T38))
    assert watch.bad_lines == 12


def test_a_reading_without_bad_lines_is_a_reading_of_pages() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 4))
    watch.poll(Seen(1, None))
    watch.poll(Seen(1, 6))
    assert (watch.pages(), watch.bad_lines) == (1, 6)


def test_bad_lines_carry_the_state_they_were_seen_in() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 2))
    watch.poll(Seen(1, 5, state=State.COMPLETE))
    assert watch.ledger.totals.bad_lines[RECEIVE, State.ACTIVE] == 2
    assert watch.ledger.totals.bad_lines[RECEIVE, State.COMPLETE] == 3


@given(
    pages=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    polls_a_page=st.integers(2, 9),
    seed=st.integers(0, 2**16),
)
def test_polls_that_see_every_pages_last_value_are_exact(
    pages: list[int], polls_a_page: int, seed: int
) -> None:
    """Lines come at any pace; as on a real PBX no line comes in the last second of a page."""
    rng = random.Random(seed)
    count, total = BadLineReader(), 0
    for done, lines in enumerate(pages):
        for value in sorted(rng.randint(0, lines) for _ in range(polls_a_page - 1)):
            total += count.read(done, value)[0]
        total += count.read(done, lines)[0]
    total += count.read(len(pages), pages[-1])[0]  # the last page's value stays
    assert total == sum(pages)


@given(
    readings=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=40),
)
def test_no_reading_ever_takes_bad_lines_away_or_adds_more_than_it_and_the_last_say(
    readings: list[tuple[int, int]],
) -> None:
    count, page, last = BadLineReader(), 0, 0
    for advance, value in readings:
        page += advance
        owed = count.owed
        added, _ = count.read(page, value)
        assert 0 <= added <= value + owed
        last = value
    assert count.last == last


# --- pages -------------------------------------------------------------------------------------


def test_the_last_page_comes_with_the_event() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.poll(Seen(2))
    watch.poll()
    watch.hear(3)
    watch.poll()
    assert watch.ledger.totals.pages[RECEIVE, State.ACTIVE] == 2
    assert watch.ledger.totals.pages[RECEIVE, State.COMPLETE] == 1


def test_an_event_that_says_0_pages_after_a_hang_up_takes_none_away() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll()
    watch.hear(0, succeeded=False, reason=Reason.CALL_DROPPED)
    watch.poll()
    assert watch.pages() == 2
    assert watch.ledger.totals.failures[RECEIVE, Reason.CALL_DROPPED] == 1


def test_pages_start_again_when_audio_becomes_t38() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll(Seen(0))  # the list was made just before the switch
    watch.poll(Seen(0, transport=Transport.NONE))
    watch.poll(Seen(1, transport=Transport.T38))
    watch.poll()
    watch.hear(2, transport=Transport.T38)
    watch.poll()
    assert watch.pages() == 4


def test_pages_start_again_where_only_the_event_tells_of_the_switch() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll()
    watch.hear(1, transport=Transport.T38)
    watch.poll()
    assert watch.pages() == 2 + 1


def test_a_session_that_switched_has_the_pages_of_both_transports() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll(Seen(1, transport=Transport.T38))
    watch.wait()
    assert watch.ledger.totals.session_pages[RECEIVE].sum == 3


def test_a_page_count_that_falls_without_a_switch_adds_nothing_when_it_returns() -> None:
    watch = Watch.running()
    for pages in (3, 0, 3, 1, 3):
        watch.poll(Seen(pages))
    assert watch.pages() == 3


def test_flapping_between_transports_restarts_pages_once() -> None:
    watch = Watch.running()
    for transport in [Transport.G711, Transport.T38] * 4:
        watch.poll(Seen(5, transport=transport))
    assert watch.pages() == 10


def test_gateway_pages_count_as_relayed_without_any_event() -> None:
    watch = Watch.running()
    for pages in (0, 1, 2):
        watch.poll(Seen(pages, operation=GATEWAY, transport=Transport.NONE))
    watch.wait()
    assert watch.pages(GATEWAY) == 2


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 9))
def test_pages_of_one_transport_come_to_the_largest_reading(
    readings: list[int], final: int
) -> None:
    count = PageReader()
    added = sum(count.read(value, Transport.G711) for value in [*readings, final])
    assert added == count.total == max([*readings, final])
