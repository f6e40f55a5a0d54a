"""Which late lists may have missed bad lines: those after a page without error correction."""

import asyncio

import pytest

from exporter.fax import FaxSession, ListedSession, Operation, State, Transport
from exporter.ledger import Observation
from exporter.polling.late_lists import LateLists
from harness.virtual_time import in_virtual_time
from harness.watching import begin, watched

RECEIVING = ListedSession(3, "PJSIP/a", Operation.RECEIVE, State.ACTIVE, Transport.G711)
DETAIL = FaxSession(3, Operation.RECEIVE, State.ACTIVE, False, 14400, (8031, 3850), 1, 0, 0)


def _missed(
    listed: ListedSession | None, detail: FaxSession | None, seconds: float, interval: float = 1.0
) -> bool:
    lists = LateLists(interval)
    before = Observation(100.0, listed=[] if listed is None else [listed])
    if detail is not None:
        before.details[detail.number] = detail
    assert not lists.missed(before)
    return lists.missed(Observation(100.0 + seconds, listed=[]))


@pytest.mark.parametrize(("seconds", "missed"), [(1.0, False), (2.0, False), (2.1, True)])
def test_it_is_late_more_than_a_second_beyond_the_interval(seconds: float, missed: bool) -> None:
    assert _missed(RECEIVING, DETAIL, seconds) is missed
    assert _missed(RECEIVING, DETAIL, 59.0 + seconds, interval=60.0) is missed


@pytest.mark.parametrize(
    ("listed", "detail"),
    [
        (None, None),
        (RECEIVING._replace(operation=Operation.SEND), None),
        (RECEIVING._replace(operation=Operation.GATEWAY), None),
        (RECEIVING._replace(state=State.INITIALIZED), None),
        (RECEIVING._replace(state=State.COMPLETE), DETAIL),
        (RECEIVING, DETAIL._replace(ecm=True)),
    ],
)
def test_without_a_page_that_can_have_bad_lines_nothing_is_missed(
    listed: ListedSession | None, detail: FaxSession | None
) -> None:
    assert not _missed(listed, detail, 5.0)


@pytest.mark.parametrize(
    "detail", [None, DETAIL._replace(ecm=None), DETAIL._replace(ecm=True, resolution=(0, 0))]
)
def test_what_is_not_known_to_be_corrected_may_have_bad_lines(detail: FaxSession | None) -> None:
    assert _missed(RECEIVING, detail, 5.0)


@in_virtual_time
async def test_a_pbx_that_did_not_answer_for_a_while_counts_once_however_many_polls_failed() -> (
    None
):
    async with watched() as (pbx, poller):
        begin(pbx)
        await asyncio.sleep(3)
        assert poller.status.late_polls == 0
        pbx.delay["FAXSessions"] = 12
        await asyncio.sleep(12)
        pbx.delay.clear()
        await asyncio.sleep(10)
        assert poller.status.late_polls == 1
