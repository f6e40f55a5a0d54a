"""The far ends: as many as may be told apart, and the others; what is counted of each, and when it
is shown."""

from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import Operation, Reason, State
from exporter.ledger import Ledger, Remembered
from exporter.ledger.peers import HELD, Peers
from harness.truth import assert_peers_make_up_the_whole
from tests.ledger.watch import FILE, GATEWAY, MOVED, RECEIVE, SEND, Seen, Watch

BERLIN, PARIS = "PJSIP/berlin", "PJSIP/paris"


def test_peers_beyond_the_limit_are_other_and_a_peer_that_leaves_keeps_its_counters() -> None:
    watch = Watch.running(peer_limit=1)
    watch.poll(Seen(1, channel="PJSIP/berlin-00000001"))
    watch.poll(Seen(2, channel="PJSIP/paris-00000002"))
    watch.wait()
    assert watch.ledger.peers.totals.pages == {(RECEIVE, BERLIN): 1, (RECEIVE, "other"): 2}


def test_all_of_a_moved_fax_is_the_peers_that_it_began_with() -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(Seen(1, 5, channel="PJSIP/berlin-00000001", files=FILE))
    watch.hear(3, channel=MOVED, files=FILE, succeeded=False, reason=Reason.CALL_DROPPED)
    watch.wait()
    totals = watch.ledger.peers.totals
    for counter, count in (
        (totals.pages, 3),
        (totals.bad_lines, 5),
        (totals.sessions_with_bad_lines, 1),
        (totals.finished, 1),
        (totals.succeeded, 0),
    ):
        assert counter == {(RECEIVE, BERLIN): count}
    assert totals.failures == {(RECEIVE, Reason.CALL_DROPPED, BERLIN): 1}


def test_the_whole_is_counted_as_soon_as_an_event_comes_and_without_peers() -> None:
    watch = Watch.running(peer_limit=10)
    watch.hear(succeeded=True)
    assert watch.ledger.totals.succeeded.total() == 1
    assert not watch.ledger.peers.totals.finished
    watch.wait()
    assert watch.ledger.peers.totals.succeeded.total() == 1


def test_a_fax_that_no_list_showed_is_its_peers() -> None:
    watch = Watch.running(peer_limit=10)
    watch.hear(2, channel="PJSIP/berlin-00000001")
    watch.poll()
    totals = watch.ledger.peers.totals
    assert totals.finished == totals.succeeded == {(RECEIVE, BERLIN): 1}
    assert totals.pages == {(RECEIVE, BERLIN): 2}


def test_each_peer_has_what_its_operations_can_count_and_a_gateway_is_no_result() -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(
        Seen(asked=False, channel="PJSIP/berlin-00000001"),
        Seen(asked=False, channel="PJSIP/berlin-00000002", operation=SEND),
        Seen(asked=False, channel="PJSIP/paris-00000001", operation=GATEWAY),
        Seen(asked=False, channel="PJSIP/rome-00000001", operation=Operation.NONE),
        Seen(asked=False, channel="PJSIP/oslo-00000001", operation=Operation.V21),
    )
    totals = watch.ledger.peers.totals
    assert totals.pages.keys() == {(RECEIVE, BERLIN), (SEND, BERLIN), (GATEWAY, PARIS)}
    assert totals.finished.keys() == {(RECEIVE, BERLIN), (SEND, BERLIN)}
    assert totals.bad_lines.keys() == {(RECEIVE, BERLIN)}
    watch.poll(Seen(asked=False, channel="PJSIP/rome-00000001"))
    assert (RECEIVE, "PJSIP/rome") in totals.finished


def test_without_peers_nothing_is_counted_by_peer() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, 4, channel="PJSIP/berlin-00000001"))
    watch.hear(2, channel="PJSIP/berlin-00000001")
    watch.wait()
    assert watch.ledger.peers.totals == Peers(None).totals
    assert watch.ledger.peers.shown(watch.now) == Peers(None).totals


def test_a_new_series_stands_at_0_for_a_while_and_then_shows_all_that_was_counted() -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(Seen(channel="PJSIP/berlin-00000001"))
    began = watch.now
    watch.poll(Seen(2, 7, channel="PJSIP/berlin-00000001"))
    watch.hear(2, channel="PJSIP/berlin-00000001")
    watch.poll()
    peers = watch.ledger.peers
    early = deepcopy(peers.shown(began + HELD - 0.5))
    # It is asked for while polls wait: nothing is copied, however many peers are new.
    assert peers.shown(began + 1) is peers.shown(began + 2)
    late = peers.shown(began + HELD)
    assert early.pages == early.bad_lines == early.finished == {(RECEIVE, BERLIN): 0}
    assert early.page_seconds == {(RECEIVE, BERLIN): 0}
    assert late.pages == {(RECEIVE, BERLIN): 2}
    assert late.bad_lines == {(RECEIVE, BERLIN): 7}
    assert late is peers.totals  # nothing is copied any more


def test_so_does_a_reason_that_a_known_peer_did_not_fail_for_before() -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(Seen(channel="PJSIP/berlin-00000001"))
    watch.now += HELD
    for number in (1, 2):
        watch.hear(
            channel="PJSIP/berlin-00000001",
            succeeded=False,
            reason=Reason.NO_FAX,
            unique_id=f"pbx-{number}.1",
        )
        watch.poll()
    watch.wait()
    peers, failed = watch.ledger.peers, (RECEIVE, Reason.NO_FAX, BERLIN)
    early = deepcopy(peers.shown(watch.now))
    late = peers.shown(watch.now + HELD)
    assert early.failures == {failed: 0}
    assert early.exemplars == {failed: None}
    assert early.finished == {(RECEIVE, BERLIN): 2}
    assert late.failures == {failed: 2}
    exemplar = late.exemplars[failed]
    assert exemplar is not None
    assert exemplar.unique_id == "pbx-2.1"


def test_what_is_remembered_stands_there_at_0_and_counts_at_once() -> None:
    remembered: Remembered = {
        BERLIN: {RECEIVE: [Reason.NO_FAX], GATEWAY: []},
        PARIS: {SEND: []},
        "other": {RECEIVE: []},
        "PJSIP/rome": {SEND: []},
    }
    watch = Watch(Ledger(2, remembered))
    watch.poll()
    shown = watch.ledger.peers.shown(watch.now)
    assert shown.pages == dict.fromkeys(
        [(RECEIVE, BERLIN), (GATEWAY, BERLIN), (SEND, PARIS), (RECEIVE, "other")], 0
    )
    assert shown.failures == {(RECEIVE, Reason.NO_FAX, BERLIN): 0}
    watch.hear(channel="PJSIP/berlin-1", succeeded=False, reason=Reason.NO_FAX)
    watch.hear(channel="PJSIP/rome-1")
    watch.poll()
    shown = watch.ledger.peers.shown(watch.now)
    assert shown.failures == {(RECEIVE, Reason.NO_FAX, BERLIN): 1}
    assert shown.finished[RECEIVE, "other"] == 1


def test_what_is_to_be_remembered_is_all_that_there_is() -> None:
    remembered: Remembered = {
        BERLIN: {SEND: [Reason.NO_FAX, Reason.FILE], GATEWAY: []},
        "other": {SEND: []},
    }
    assert Ledger(9, remembered).peers.known() == remembered
    watch = Watch.running(peer_limit=9)
    watch.poll(Seen(channel="PJSIP/paris-1"))
    watch.hear(channel="PJSIP/paris-1", succeeded=False, reason=Reason.TIMEOUT)
    watch.wait()
    assert watch.ledger.peers.known() == {PARIS: {RECEIVE: [Reason.TIMEOUT]}}
    assert watch.ledger.peers.seen_at.keys() == {PARIS}


def test_nothing_is_remembered_where_peers_are_not_told_apart() -> None:
    assert Ledger(None, {BERLIN: {SEND: []}}).peers.known() == {}


faxes = st.lists(
    st.tuples(
        st.sampled_from([SEND, RECEIVE]),
        st.integers(0, 3),
        st.sampled_from([None, *list(Reason)[:3]]),
        st.integers(0, 4),
        st.integers(0, 200),
    ),
    max_size=25,
)


@given(faxes=faxes, listed=st.booleans(), limit=st.integers(1, 4))
def test_no_series_is_born_above_0_none_goes_down_and_peers_make_up_the_whole(
    faxes: list[tuple[Operation, int, Reason | None, int, int]], listed: bool, limit: int
) -> None:
    watch, before = Watch.running(peer_limit=limit), Counter[object]()
    for number, (operation, peer, reason, pages, pause) in enumerate(faxes):
        channel = f"PJSIP/{peer}-{number:08x}"
        if listed:
            watch.poll(Seen(0, channel=channel, number=number, operation=operation))
            watch.poll(Seen(pages, pages, channel=channel, number=number, operation=operation))
        watch.hear(
            pages,
            channel=channel,
            operation=operation,
            succeeded=reason is None,
            reason=reason,
        )
        for _ in range(2):
            watch.poll()
            before = shown_after(watch, before)
        watch.now += pause
        before = shown_after(watch, before)
    watch.wait()
    watch.now += HELD
    shown_after(watch, before)
    assert watch.ledger.peers.shown(watch.now) is watch.ledger.peers.totals
    assert_peers_make_up_the_whole(watch.ledger)


def shown_after(watch: Watch, before: Counter[object]) -> Counter[object]:
    """The counters as they are shown now, each at 0 when it is first shown and never lower."""
    totals = watch.ledger.peers.shown(watch.now)
    now = Counter[object]()
    for name in ("pages", "bad_lines", "finished", "succeeded", "failures"):
        for key, count in getattr(totals, name).items():
            least = before.get((name, key))
            assert count == 0 if least is None else count >= least, (name, key, count, least)
            now[name, key] = count
    return now


@pytest.mark.parametrize("state", [State.ACTIVE, State.COMPLETE])
def test_the_sessions_of_one_peer_are_added_up_and_stay_with_0(state: State) -> None:
    watch = Watch.running(peer_limit=10)
    channels = ("PJSIP/berlin-00000001", "PJSIP/berlin-00000002", "PJSIP/paris-00000003")
    watch.poll(*(Seen(number=n, channel=each, state=state) for n, each in enumerate(channels)))
    assert watch.ledger.gauges.peers == {(RECEIVE, BERLIN): 2, (RECEIVE, PARIS): 1}
    watch.poll()
    assert watch.ledger.gauges.peers == {(RECEIVE, BERLIN): 0, (RECEIVE, PARIS): 0}
