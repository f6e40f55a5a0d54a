"""The sessions of the last list, added up."""

import pytest

from exporter.fax import Operation, State, Transport
from tests.ledger.watch import RECEIVE, Seen, Watch


def test_only_negotiated_sessions_count_towards_rate_and_ecm() -> None:
    watch = Watch.running()
    watch.poll(
        Seen(number=0, data_rate=14400, ecm=True),
        Seen(number=1, data_rate=9600, channel="PJSIP/a-00000002"),
        Seen(number=2, negotiated=False, channel="PJSIP/a-00000003"),
    )
    key = (RECEIVE, State.ACTIVE, "")
    gauges = watch.ledger.gauges
    assert gauges.sessions[key] == 3
    assert gauges.negotiated[key] == 2
    assert gauges.data_rate[key] == 24000
    assert gauges.ecm[key] == 1
    assert len(gauges.sessions) == 40


@pytest.mark.parametrize("peer_limit", [None, 10])
def test_a_list_of_no_session_is_not_the_same_as_no_list(peer_limit: int | None) -> None:
    watch = Watch.running(peer_limit)
    assert watch.ledger.gauges.sessions[RECEIVE, State.ACTIVE, ""] == 0
    assert watch.ledger.gauges.transports[RECEIVE, Transport.T38, ""] == 0


def test_oldest_session_and_longest_without_a_page_are_dated_by_the_wall_clock() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    began = watch.now + 1.7e9
    watch.poll(Seen(1))
    watch.poll(Seen(1), Seen(0, number=1, channel="PJSIP/a-00000002"))
    assert watch.ledger.gauges.oldest_start[RECEIVE] == began
    assert watch.ledger.gauges.oldest_progress[RECEIVE] == began + 1


def test_the_time_to_answer_says_nothing_about_voice_calls_with_a_v21_detector() -> None:
    watch = Watch.running()
    watch.poll(Seen(operation=Operation.V21, asked=False, transport=Transport.NONE))
    assert Operation.V21 in watch.ledger.gauges.oldest_start
    assert Operation.V21 not in watch.ledger.gauges.oldest_progress
