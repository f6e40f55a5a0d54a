"""Lines of one kind: some of a minute are written, the others counted, and nothing grows."""

import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.log_limit import (
    DEBUG_FACTOR,
    LINES,
    LINES_OF_ALL_KINDS,
    MOST_KINDS,
    SECONDS,
    Kind,
    LeftOut,
    Limiter,
    has_words,
    without_values,
    words_of,
)


def kind(words: str = "lost", target: str = "", level: int = logging.ERROR) -> Kind:
    return Kind("aiohttp.server", level, target, words, "")


LOST = kind()


def admitted(limiter: Limiter, one: Kind, times: int, now: float = 0.0) -> int:
    """How many of so many lines are written."""
    return sum(limiter.admit(one, now) > 0 for _ in range(times))


def test_the_first_lines_of_a_kind_are_written_and_numbered_the_rest_is_not() -> None:
    limiter = Limiter()
    assert [limiter.admit(LOST, 1.0) for _ in range(LINES + 2)] == [*range(1, LINES + 1), 0, 0]


def test_what_was_left_out_is_told_once_when_its_minute_is_over_and_then_it_begins_again() -> None:
    limiter = Limiter()
    admitted(limiter, LOST, LINES, 10.0)
    assert limiter.due is None
    admitted(limiter, LOST, 7, 50.0)
    assert limiter.due == 10.0 + SECONDS
    assert limiter.over(10.0 + SECONDS - 0.1) == []
    assert limiter.over(10.0 + SECONDS) == [LeftOut(LOST, 7)]
    assert limiter.over(10.0 + SECONDS) == []
    assert limiter.due is None
    assert limiter.admit(LOST, 10.0 + SECONDS) == 1


def test_a_line_now_and_then_is_always_written_and_nothing_told_of_it() -> None:
    limiter = Limiter()
    for minute in range(100):
        now = minute * SECONDS
        assert limiter.over(now) == []
        assert limiter.admit(LOST, now) == 1
    assert len(limiter) == 2  # the kind, and all of its logger


@pytest.mark.parametrize(
    "other",
    [
        LOST._replace(logger="asyncio"),
        LOST._replace(level=logging.WARNING),
        LOST._replace(target="fax-berlin"),
        LOST._replace(words="found"),
        LOST._replace(error="KeyError"),
    ],
)
def test_a_flood_of_one_kind_costs_no_other_its_lines(other: Kind) -> None:
    limiter = Limiter()
    admitted(limiter, LOST, 1000)
    assert admitted(limiter, other, LINES) == LINES


def test_of_ever_other_words_of_one_logger_about_one_target_there_are_not_many_either() -> None:
    limiter = Limiter()
    written = sum(admitted(limiter, kind(f"words {n}"), 2) for n in range(1000))
    assert written == LINES_OF_ALL_KINDS
    assert len(limiter) <= LINES_OF_ALL_KINDS + 1
    assert admitted(limiter, kind("x", target="fax-berlin"), 1) == 1
    told = limiter.over(SECONDS)
    assert sum(one.lines for one in told) == 2000 - written
    assert told[0].kind == kind("")


def test_debugging_a_line_a_second_is_written() -> None:
    limiter, debug = Limiter(), kind(level=logging.DEBUG)
    assert all(limiter.over(t) == [] and limiter.admit(debug, float(t)) for t in range(600))
    limiter.over(600.0)
    assert admitted(limiter, debug, 10_000, 600.0) == LINES * DEBUG_FACTOR


def test_of_one_kind_too_many_the_oldest_is_told_and_forgotten() -> None:
    limiter = Limiter(most_kinds=4)
    for name in "ab":  # each is two: the kind, and all about its target
        admitted(limiter, kind("x", target=name), LINES + 3)
    admitted(limiter, kind("x", target="c"), 1)
    assert limiter.over(0.0) == [LeftOut(kind("x", target="a"), 3)]
    assert len(limiter) == 4


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 30)), max_size=300))
def test_whatever_comes_each_line_is_written_or_told_and_the_memory_bounded(
    lines: list[tuple[int, float]],
) -> None:
    limiter, now = Limiter(most_kinds=16), 0.0
    written, told, latest = Counter[str](), Counter[str](), list[tuple[float, Kind]]()
    for number, pause in lines:
        one = kind(target=str(number))
        now += pause
        told.update({left.kind.target: left.lines for left in limiter.over(now)})
        if limiter.admit(one, now):
            written[one.target] += 1
            latest.append((now, one))
        assert len(limiter) <= 16
    told.update({left.kind.target: left.lines for left in limiter.over(float("inf"))})
    assert written + told == Counter(str(number) for number, _ in lines)
    assert len(limiter) == 0


def test_unless_told_otherwise_no_more_kinds_are_counted_than_the_bound() -> None:
    limiter = Limiter()
    for number in range(MOST_KINDS):
        limiter.admit(kind(target=str(number)), 0.0)
    assert len(limiter) == MOST_KINDS


@pytest.mark.parametrize("template", ["%s", "%s: %d", "%(text)s", "%5.1f %%", "", "%-10s %r", "…"])
def test_a_message_that_is_nothing_but_values_has_no_words(template: str) -> None:
    assert not has_words(template)


@pytest.mark.parametrize("template", ["%d targets", "lost %s", "%s é", "100 % of them"])
def test_a_message_with_anything_to_read_has_words(template: str) -> None:
    assert has_words(template)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("lost %s", "lost ..."),
        ("%d of %(all)5.1f targets", "... of ... targets"),
        ("%d %% of %s", "... % of ..."),
        ("nothing else", "nothing else"),
    ],
)
def test_where_values_go_in_a_message_dots_are_shown(template: str, shown: str) -> None:
    assert without_values(template) == shown


def test_texts_that_differ_in_figures_or_below_their_first_line_say_the_same() -> None:
    first = "Fatal error on 10.0.0.1:5038\nprotocol: <P object at 0x7f00aa>"
    assert words_of(first) == words_of("Fatal error on 10.0.0.27:40001\ntransport: x")
    assert words_of("at 0x7fAb") == "at #"
    assert words_of("lost") != words_of("found")
    assert words_of("x" * 10_000) == words_of("x" * 20_000) == "x" * 200
