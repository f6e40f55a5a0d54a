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
    key = (RECEIVE, State.ACTIVE)
    gauges = watch.ledger.gauges
    assert gauges.sessions[key] == 3
    assert gauges.negotiated[key] == 2
    assert gauges.data_rate[key] == 24000
    assert gauges.ecm[key] == 1


def test_a_list_of_no_session_is_not_the_same_as_no_list() -> None:
    watch = Watch.running()
    assert watch.ledger.gauges.sessions[RECEIVE, State.ACTIVE] == 0
    assert watch.ledger.gauges.transports[RECEIVE, Transport.T38] == 0


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


def test_sessions_are_added_up_and_what_was_there_once_stays_with_0() -> None:
    watch = Watch.running()
    watch.poll(
        Seen(number=1, ecm=True),
        Seen(number=2, ecm=True, transport=Transport.T38),
        Seen(number=3, state=State.INACTIVE, asked=False),
    )
    gauges = watch.ledger.gauges
    usual, odd = (RECEIVE, State.ACTIVE), (RECEIVE, State.INACTIVE)
    assert gauges.sessions[usual] == gauges.negotiated[usual] == gauges.ecm[usual] == 2
    assert gauges.data_rate[usual] == 28800
    assert gauges.sessions[odd] == gauges.transports[RECEIVE, Transport.T38] == 1
    assert odd not in gauges.negotiated
    watch.poll()
    gauges = watch.ledger.gauges
    for values in (gauges.sessions, gauges.negotiated, gauges.data_rate, gauges.ecm):
        assert values[usual] == 0
    assert gauges.sessions[odd] == gauges.transports[RECEIVE, Transport.T38] == 0
    assert not gauges.oldest_start
    assert not gauges.oldest_progress


@pytest.mark.parametrize("first", [0, 1])
def test_of_several_kinds_of_session_the_oldest_counts_in_whatever_order(first: int) -> None:
    watch = Watch.running()
    old = Seen(0)
    young = Seen(0, number=1, channel="PJSIP/a-00000002", state=State.COMPLETE)
    began = watch.now + 1 + 1.7e9
    if first:
        old, young = young, old
    watch.poll(old)
    watch.poll(*([young, old] if first else [old, young]))
    assert watch.ledger.gauges.oldest_start[RECEIVE] == began
    assert watch.ledger.gauges.oldest_progress[RECEIVE] == began
