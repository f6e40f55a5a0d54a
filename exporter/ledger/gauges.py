"""The gauges of one Asterisk: its sessions as the last list showed them, added up."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Final, TypeAlias, TypeVar

from exporter.fax import ASKABLE_OPERATIONS, ASKABLE_STATES, Operation, State, Transport
from exporter.ledger.session import Session
from exporter.ledger.totals import PAGE_OPERATIONS

StateKey: TypeAlias = tuple[Operation, State]
TransportKey: TypeAlias = tuple[Operation, Transport]
PeerKey: TypeAlias = tuple[Operation, str]
Key = TypeVar("Key", StateKey, TransportKey, PeerKey)

# The keys of all PBXs are the same objects: there can be thousands of PBXs.
_STATES: Final = (
    *product(
        (Operation.SEND, Operation.RECEIVE, Operation.GATEWAY),
        (State.INITIALIZED, State.OPEN, State.ACTIVE, State.COMPLETE),
    ),
    (Operation.V21, State.ACTIVE),
)
"""Those that Asterisk's list has for longer than an instant. Source: res_fax.c."""
_ASKED: Final = tuple(product(ASKABLE_OPERATIONS, ASKABLE_STATES))
_TRANSPORTS: Final = (
    *product((Operation.SEND, Operation.RECEIVE), Transport),
    (Operation.GATEWAY, Transport.NONE),
    (Operation.V21, Transport.NONE),
)


@dataclass(slots=True)
class Gauges:
    """Values by operation and state, transport or peer. Those that usually occur are there from the
    first, with 0; any other once it has occurred. A key that was there once stays, with 0, and in
    its place: new ones come after it."""

    sessions: dict[StateKey, int] = field(default_factory=lambda: dict.fromkeys(_STATES, 0))
    negotiated: dict[StateKey, int] = field(default_factory=lambda: dict.fromkeys(_ASKED, 0))
    data_rate: dict[StateKey, int] = field(default_factory=lambda: dict.fromkeys(_ASKED, 0))
    """Sum over the negotiated sessions, bit/s."""
    ecm: dict[StateKey, int] = field(default_factory=lambda: dict.fromkeys(_ASKED, 0))
    transports: dict[TransportKey, int] = field(
        default_factory=lambda: dict.fromkeys(_TRANSPORTS, 0)
    )
    peers: dict[PeerKey, int] = field(default_factory=dict)
    """Sessions, if peers are told apart."""
    oldest_start: dict[Operation, float] = field(default_factory=dict)
    """Seconds since the epoch; no key without a running session."""
    oldest_progress: dict[Operation, float] = field(default_factory=dict)
    """Seconds since the epoch; no key without a running session that has pages."""

    def measured(self, sessions: Iterable[Session], at: float, wall: float) -> "Gauges":
        """The gauges of these sessions, with all keys that there were. `at` and `wall`: now, by the
        monotonic clock and since the epoch."""
        new = Gauges(
            sessions=dict.fromkeys(self.sessions, 0),
            negotiated=dict.fromkeys(self.negotiated, 0),
            data_rate=dict.fromkeys(self.data_rate, 0),
            ecm=dict.fromkeys(self.ecm, 0),
            transports=dict.fromkeys(self.transports, 0),
            peers=dict.fromkeys(self.peers, 0),
        )
        for (operation, state, transport, peer), group in _grouped(sessions).items():
            key = (operation, state)
            _add(new.sessions, key, group.sessions)
            if group.negotiated:
                _add(new.negotiated, key, group.negotiated)
                _add(new.data_rate, key, group.data_rate)
                _add(new.ecm, key, group.ecm)
            _add(new.transports, (operation, transport), group.sessions)
            if peer and operation in PAGE_OPERATIONS:
                _add(new.peers, (operation, peer), group.sessions)
            _keep_least(new.oldest_start, operation, wall - (at - group.first_seen))
            if operation in PAGE_OPERATIONS:
                _keep_least(new.oldest_progress, operation, wall - (at - group.progress_at))
        return new


@dataclass(slots=True)
class _Group:
    """Sessions with the same keys, added up first: a thousand sessions have few different keys."""

    sessions: int = 0
    negotiated: int = 0
    data_rate: int = 0
    ecm: int = 0
    first_seen: float = math.inf
    progress_at: float = math.inf


def _grouped(
    sessions: Iterable[Session],
) -> dict[tuple[Operation, State, Transport, str], _Group]:
    groups: dict[tuple[Operation, State, Transport, str], _Group] = {}
    for session in sessions:
        listed, detail = session.listed, session.detail
        key = (session.operation, listed.state, listed.transport, session.peer)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group()
        group.sessions += 1
        if detail is not None and detail.negotiated and detail.data_rate is not None:
            group.negotiated += 1
            group.data_rate += detail.data_rate
            group.ecm += bool(detail.ecm)
        if session.first_seen < group.first_seen:
            group.first_seen = session.first_seen
        if session.progress_at < group.progress_at:
            group.progress_at = session.progress_at
    return groups


def _add(values: dict[Key, int], key: Key, value: int) -> None:
    values[key] = values.get(key, 0) + value


def _keep_least(values: dict[Operation, float], operation: Operation, value: float) -> None:
    values[operation] = min(value, values.get(operation, value))
