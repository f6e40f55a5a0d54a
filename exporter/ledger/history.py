"""The last faxes that ended, for page and API: single faxes are too detailed for metrics."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from exporter.fax import FaxResult, Operation, Reason, Transport

KEPT: Final = 20
"""Failures remembered, and as many others."""


@dataclass(frozen=True, slots=True)
class EndedFax:
    """One fax that is over, or never began."""

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
    """Of the whole fax, as far as known; None if it never began, or its event tells none."""
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
    ended: float = 0.0
    """Seconds since the epoch: the moment of `ended_at`."""
    linked_id: str = ""
    """Of the call that its channel is part of; empty if Asterisk, up to 13.4, tells none."""
    peer: str = ""
    """Its channel's technology and endpoint, limit or not; see `peer_of`."""
    caller: str = ""
    """Its channel's caller id, a number mostly."""
    status_text: str = ""
    """FAXSTATUSSTRING, as Asterisk wrote it."""
    began: bool = True
    """False if no modem ever ran."""
    rejected: int = 0
    """Pages that were rejected and sent again, as far as seen."""
    fallbacks: int = 0
    """How often its two ends were seen to agree on a lower rate."""
    ecm: bool | None = None
    """None if it was not seen to be agreed."""
    resolution: tuple[int, int] | None = None
    """Pixels per metre, x and y; None if none was agreed."""
    counted_pages: int = 0
    """What the counters have of `pages`: less, if it began before the exporter did."""
    counted_bad_lines: int = 0
    """The same of `bad_lines`."""
    counted_transport: Transport | None = None
    """The one under which it is counted as finished; None if it is not, since no event came."""
    went_on: bool = False
    """Whether this is only what was counted of a fax after it had been told as over: a list that
    contradicts an event shows one going on."""

    @property
    def result(self) -> Literal["success", "failed", "unknown"]:
        """How it ended, in the words of line, page and API."""
        if self.succeeded is None:
            return "unknown"
        return "success" if self.succeeded else "failed"

    @property
    def heard(self) -> bool:
        """Whether its event came: then it is counted as finished."""
        return self.counted_transport is not None

    @property
    def started(self) -> float | None:
        """Seconds since the epoch; None if its start was not seen."""
        return None if self.seconds is None else max(0.0, self.ended - self.seconds)

    @property
    def pages_before(self) -> int | None:
        """Of `pages`, those that no counter has, since the exporter did not watch yet."""
        return _less(self.pages, self.counted_pages)

    @property
    def bad_lines_before(self) -> int | None:
        """The same of `bad_lines`."""
        return _less(self.bad_lines, self.counted_bad_lines)

    @property
    def pages_rejected(self) -> int | None:
        """`rejected`; None where bad lines are not counted, by which that shows."""
        return None if self.bad_lines is None else self.rejected

    @classmethod
    def never_listed(
        cls, result: FaxResult, at: float, wall: float, *, peer: str = ""
    ) -> "EndedFax":
        """A fax that no list showed, by its event, which came `at` that time; `wall`: the same
        since the epoch. None of its pages is counted yet."""
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
            ended=wall,
            linked_id=result.linked_id,
            peer=peer,
            caller=result.caller,
            status_text=result.status_text,
            began=result.began,
            resolution=result.resolution,
            counted_transport=result.transport,
        )


def _less(whole: int | None, counted: int) -> int | None:
    return None if whole is None else max(0, whole - counted)


def trained(result: FaxResult) -> bool:
    """Whether its data rate can be true: after a failed training Asterisk reports 14400 again, at
    which nothing was sent."""
    return result.reason is not Reason.TRAINING


class History:
    """The last KEPT failures and the last KEPT others: successes cannot push failures out."""

    def __init__(self) -> None:
        self._failed: deque[EndedFax] = deque(maxlen=KEPT)
        self._others: deque[EndedFax] = deque(maxlen=KEPT)
        self.added = 0
        """How many there have been: with the same number it is the same history."""

    def add(self, fax: EndedFax) -> None:
        """Remembers it, in place of the oldest of its kind."""
        self.added += 1
        (self._failed if fax.succeeded is False else self._others).append(fax)

    @property
    def failed(self) -> Iterator[EndedFax]:
        """Those with FAXSTATUS FAILED, the newest first."""
        return reversed(self._failed)

    @property
    def others(self) -> Iterator[EndedFax]:
        """Successes, and those whose result is not known; the newest first."""
        return reversed(self._others)
