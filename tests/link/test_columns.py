"""Counts that crossed the link are the counts that were sent."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import ListedSession, Operation, State, Transport
from exporter.ledger import Ledger, Observation
from exporter.ledger.peers import HELD
from exporter.link.columns import _OF_PEERS, KEYS_AT_ONCE, Columns, new_keys, values
from exporter.polling import Counts, Status
from harness.exposition import text


def of(ledger: Ledger, at: float = 0.0) -> Counts:
    return Counts(
        Status(begun=True, up=True, sessions_listed=True),
        ledger.totals,
        ledger.gauges,
        ledger.peers.shown(at),
        7,
        3,
    )


def listed(number: int, peer: int, operation: Operation, state: State) -> ListedSession:
    return ListedSession(
        number=number,
        channel=f"PJSIP/trunk-{peer}-0000000{number % 10}",
        transport=Transport.G711,
        operation=operation,
        state=state,
        files="",
    )


sessions = st.lists(
    st.builds(
        listed,
        st.integers(1, 40),
        st.integers(0, 20),
        st.sampled_from([Operation.SEND, Operation.RECEIVE, Operation.GATEWAY]),
        st.sampled_from(list(State)),
    ),
    max_size=8,
    unique_by=lambda one: one.number,
)


def cross(counts: Counts, columns: Columns) -> Counts:
    for table, keys in new_keys(counts, columns.known):
        columns.add(table, keys)
    return columns.counts(values(counts))


@given(polls=st.lists(sessions, max_size=6), peers=st.sampled_from([None, 3, 100]))
def test_whatever_is_counted_the_other_side_shows_the_same(
    polls: list[list[ListedSession]], peers: int | None
) -> None:
    ledger, columns = Ledger(peers), Columns(1)
    for at, listed in enumerate(polls):
        ledger.observe(Observation(at, at, float(at), listed))
        here = of(ledger)
        there = cross(here, columns)
        for part in ("totals", "gauges", "peers"):
            for field in dataclasses.fields(getattr(here, part)):
                sent = getattr(getattr(here, part), field.name)
                assert getattr(getattr(there, part), field.name) == sent, field.name
        told = peers is not None
        assert text(here, peer_label=told) == text(there, peer_label=told)


def test_keys_are_sent_once_and_in_pieces() -> None:
    ledger, columns = Ledger(10_000), Columns(1)
    for peer in range(2 * KEYS_AT_ONCE):
        ledger.peers.open(Operation.RECEIVE, f"PJSIP/{peer}", 0.0)
    counts = of(ledger)
    sent = list(new_keys(counts, columns.known))
    assert max(len(keys) for _, keys in sent) == KEYS_AT_ONCE
    for table, keys in sent:
        columns.add(table, keys)
    assert list(new_keys(counts, columns.known)) == []
    ledger.peers.open(Operation.SEND, "PJSIP/new", 0.0)
    fresh = new_keys(of(ledger), columns.known)
    assert {key[-1] for _, keys in fresh for key in keys} == {"PJSIP/new"}


def test_the_same_counts_are_the_same_bytes_and_others_are_others() -> None:
    ledger = Ledger()
    counts = of(ledger)
    before = values(counts)
    assert values(counts) == before
    ledger.totals.started[Operation.SEND] += 1
    assert values(counts) != before


def test_the_keys_that_all_pbxs_have_are_held_once_and_those_of_peers_are_not_mixed_up() -> None:
    known = []
    for peer in ("berlin", "paris"):
        ledger, columns = Ledger(10), Columns(1)
        ledger.peers.open(Operation.SEND, f"PJSIP/{peer}", 0.0)
        there = cross(of(ledger, HELD), columns)
        assert list(there.peers.pages) == [(Operation.SEND, f"PJSIP/{peer}")]
        known.append(columns)
    shared = [one is other for one, other in zip(known[0]._keys, known[1]._keys, strict=True)]
    assert shared == [not of_peers for of_peers in _OF_PEERS]
    assert shared.count(True) > shared.count(False) > 1
