"""In one word and one sentence how a PBX fares: from real polls, and from faxes that ended."""

import asyncio
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import REASON_WORDS, FaxStats, Reason
from exporter.ledger import History
from exporter.polling import Health, Lately, Poller, Row, Status, health_of
from exporter.polling.health import LATELY, LatelyOf
from harness.virtual_time import in_virtual_time, until
from harness.watching import begin, watched
from tests.ledger.test_today import FAILED, FAX

STATS = FaxStats(0, 0, 0, 0, 0, 0)
UP = Status(up=True, sessions_listed=True, answered=True, stats=STATS)
TRAINING, NO_FAX = Reason.TRAINING, Reason.NO_FAX


def ended(reasons: Iterable[Reason | None], *, at: float = 0.0) -> Lately:
    """Of faxes that ended so, None well, the oldest first."""
    faxes = [
        replace(FAX if reason is None else replace(FAILED, reason=reason), ended_at=at + number)
        for number, reason in enumerate(reasons)
    ]
    failed = [fax for fax in faxes if fax.succeeded is False]
    return Lately.of(failed, [fax for fax in faxes if fax.succeeded], at + len(faxes))


@given(
    happened=st.lists(
        st.tuples(
            st.sampled_from((0.0, 1.0, 3600.0, LATELY / 3, LATELY)),
            st.sampled_from((None, TRAINING, NO_FAX, "it is looked at")),
        )
    )
)
def test_what_is_kept_of_the_last_faxes_is_what_they_are_now(
    happened: list[tuple[float, Reason | str | None]],
) -> None:
    history, now = History(), 0.0
    kept = LatelyOf(history)
    for seconds, what in happened:
        now += seconds
        if what is None or isinstance(what, Reason):
            fax = FAX if what is None else replace(FAILED, reason=what)
            history.add(replace(fax, ended_at=now))
        else:
            assert kept.at(now) == Lately.of(history.failed, history.others, now)
    assert kept.at(now) == Lately.of(history.failed, history.others, now)


@pytest.mark.parametrize(
    ("reasons", "failing"),
    [
        ([], False),
        ([None] * 20, False),
        ([TRAINING] * 2, False),  # two are no state
        ([TRAINING] * 3, True),
        ([None] * 9 + [TRAINING] * 3, True),
        ([None] * 10 + [TRAINING] * 3, False),  # less than a quarter
        ([None] * 3 + [TRAINING] * 2, False),  # more, but two are no state
        ([None] + [NO_FAX] * 19, False),  # numbers that are no fax
        ([NO_FAX] * 3, True),  # nothing works: sound that goes one way only looks like that
        ([NO_FAX] * 2, False),
        ([None] * 3 + [NO_FAX] * 9 + [TRAINING] * 2, False),
        ([TRAINING] * 20 + [None] * 20, False),  # it is over
        ([TRAINING] * 25 + [None] * 15, True),  # 5 of the last 20
    ],
)
def test_faxes_fail_if_many_do_by_this_side_or_none_ends_well(
    reasons: list[Reason | None], failing: bool
) -> None:
    lately = ended(reasons)
    assert lately.failing is failing
    assert lately.ended == min(20, len(reasons))


def test_what_ended_a_day_ago_says_nothing_about_now() -> None:
    faxes = [replace(FAILED, ended_at=float(number)) for number in range(5)]
    assert Lately.of(faxes, [], LATELY).ended == 5
    assert Lately.of(faxes, [], LATELY + 2).ended == 3
    assert Lately.of(faxes, [], LATELY + 5) == Lately()


def test_faxes_of_unknown_result_neither_fail_nor_succeed() -> None:
    unknown = [replace(FAX, succeeded=None, ended_at=float(number)) for number in range(20)]
    lately = Lately.of([], unknown, 30.0)
    assert (lately.ended, lately.succeeded, lately.failed) == (20, 0, 0)
    assert not lately.failing


def test_the_reason_that_is_named_is_the_one_to_look_after() -> None:
    lately = ended([None, *[NO_FAX] * 5, *[TRAINING] * 3])
    assert health_of(UP, (), lately) == (
        Health.FAILING,
        "3 of the last 9 faxes failed for reasons of this side or the line; most often: "
        f"{REASON_WORDS[TRAINING]}",
    )
    _, why = health_of(UP, (), ended([NO_FAX] * 4))
    assert why == f"all of the last 4 faxes failed; most often: {REASON_WORDS[NO_FAX]}"


def test_the_worst_comes_first_and_is_what_is_told() -> None:
    assert list(Health) == ["failing", "down", "incomplete", "starting", "ok"]
    failing, well = ended([TRAINING] * 5), Lately()
    lacking = replace(UP, sessions_asked=False)
    assert health_of(UP, (), well) == (Health.OK, "")
    assert health_of(UP, ("add 'call'",), failing)[0] is Health.FAILING
    assert health_of(UP, ("add 'call'",), well) == (Health.INCOMPLETE, "add 'call'")
    assert health_of(UP, ("a", "b", "c"), well) == (Health.INCOMPLETE, "a (and 2 more)")
    assert health_of(lacking, (), well)[0] is Health.INCOMPLETE
    assert "sessions" in health_of(lacking, (), well)[1]
    down = replace(UP, up=False, trouble="refused")
    assert health_of(down, ("add 'call'",), failing) == (Health.DOWN, "refused")


def row(poller: Poller) -> Row:
    return deepcopy(Row.of("fax", poller))  # it refers to what the poller goes on with


@in_virtual_time
async def test_a_row_stands_still_while_polls_go_well_and_tells_what_happens() -> None:
    async with watched() as (pbx, poller):
        before = row(poller)
        await asyncio.sleep(600)
        assert row(poller) == before
        assert (before.health, before.why, before.sessions) == (Health.OK, "", 0)
        fax = begin(pbx)
        await until(lambda: row(poller).sessions == 1)
        pbx.end(fax)
        await until(lambda: row(poller).today.succeeded == 1)
        assert row(poller).lately.ended == 1
        for _ in range(3):
            pbx.drop(begin(pbx))
            await asyncio.sleep(5)
        assert row(poller).health is Health.FAILING
        assert REASON_WORDS[Reason.CALL_DROPPED] in row(poller).why
        pbx.refuse_connections()
        pbx.drop_connections()
        await until(lambda: row(poller).health is Health.DOWN)
        down = row(poller)
        assert (down.up, down.sessions, down.down_since) == (
            False,
            None,
            poller.status.last_success,
        )


@in_virtual_time
async def test_a_pbx_that_was_never_reached_is_down_since_no_moment() -> None:
    async with watched(start=False) as (_, poller):
        assert row(poller).health is Health.STARTING
        await until(lambda: row(poller).health is Health.DOWN)
        assert row(poller).down_since is None
        assert row(poller).watched_since == poller.status.watched_since
