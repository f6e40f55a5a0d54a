"""The last faxes that ended, for page and API: single faxes are too detailed for metrics."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exporter.fax import FaxResult, Operation, Reason, Transport

KEPT: Final = 20
"""Failures remembered, and as many others."""


@dataclass(frozen=True, slots=True)
class EndedFax:
    """One fax that is over."""

    ended_at: float
    """Seconds, monotonic."""
    operation: Operation
    transport: Transport
    channel: str
    succeeded: bool | None
    """None if it is not known: gateways, no `channelvars`, a lost connection."""
    reason: Reason | None
    """Why it failed; None unless `succeeded` is False."""
    pages: int | None
    bad_lines: int | None
    """None where they are not counted: only received faxes that a list showed have them."""
    seconds: float | None
    """How long it was listed; None if it was not, or its start was not seen."""
    data_rate: int | None
    """bit/s; None if none was agreed."""
    local_station: str = ""
    remote_station: str = ""
    file: str = ""
    unique_id: str = ""
    """Of its channel, by its event; empty if none came."""
    heard_at: float | None = None
    """Seconds since the epoch: when its event came; None if none did."""

    @classmethod
    def never_listed(cls, result: FaxResult, at: float, wall: float) -> "EndedFax":
        """A fax that no list showed, by its event, which came `at` that time; `wall`: the same
        since the epoch."""
        return cls(
            ended_at=at,
            operation=result.operation,
            transport=result.transport,
            channel=result.channel,
            succeeded=result.succeeded,
            reason=result.reason,
            pages=result.pages,
            bad_lines=None,
            seconds=None,
            data_rate=result.data_rate if trained(result) else None,
            local_station=result.local_station,
            remote_station=result.remote_station,
            file=result.file,
            unique_id=result.unique_id,
            heard_at=wall,
        )


def trained(result: FaxResult) -> bool:
    """Whether its data rate can be true: after a failed training Asterisk reports 14400 again, at
    which nothing was sent."""
    return result.reason is not Reason.TRAINING


class History:
    """The last KEPT failures and the last KEPT others: successes cannot push failures out."""

    def __init__(self) -> None:
        self._failed: deque[EndedFax] = deque(maxlen=KEPT)
        self._others: deque[EndedFax] = deque(maxlen=KEPT)

    def add(self, fax: EndedFax) -> None:
        """Remembers it, in place of the oldest of its kind."""
        (self._failed if fax.succeeded is False else self._others).append(fax)

    @property
    def failed(self) -> Iterator[EndedFax]:
        """Those with FAXSTATUS FAILED, the newest first."""
        return reversed(self._failed)

    @property
    def others(self) -> Iterator[EndedFax]:
        """Successes, and those whose result is not known; the newest first."""
        return reversed(self._others)
