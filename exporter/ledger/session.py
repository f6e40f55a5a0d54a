"""One fax session from the first list that shows it to its event, and what each reading adds.

matching.py tells which event is its own; totals.py adds up what is counted here.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, NamedTuple

from exporter.fax import (
    FaxResult,
    FaxSession,
    ListedSession,
    Operation,
    State,
    Transport,
    peer_of,
)
from exporter.ledger.history import EndedFax, trained
from exporter.ledger.matching import Phase
from exporter.ledger.readings import BadLineReader, PageReader

NOT_BEGUN: Final = frozenset({State.UNINITIALIZED, State.INITIALIZED, State.RESERVED})
"""States of a session that has neither page nor bad line yet."""


class Start(Enum):
    """What is known of how a session began."""

    SEEN = "the list before lacked it: it is counted whole, and its duration is known"
    MISSED = "while there was no connection: it is counted whole, but its duration is not known"
    BEFORE_EXPORTER = "before the exporter did: what its first reading says is not counted"


@dataclass(slots=True)
class Added:
    """What one reading, or the event, adds to what was seen of its session before."""

    pages: int = 0
    page_seconds: float | None = None
    """How long each of them took; None if nobody saw the first of them begin."""
    bad_lines: int = 0
    rejected: bool = False
    """Whether a page was rejected, and is sent again."""
    fell_back: bool = False
    """Whether the two ends agreed on a lower rate."""

    @property
    def nothing(self) -> bool:
        """Whether it adds nothing."""
        return not (self.pages or self.bad_lines or self.rejected or self.fell_back)


@dataclass(slots=True)
class Counted:
    """What the counters have of one session."""

    pages: int = 0
    bad_lines: int = 0
    rejected: int = 0
    fallbacks: int = 0

    def add(self, added: Added) -> None:
        """Takes what one reading, or the event, adds."""
        self.pages += added.pages
        self.bad_lines += added.bad_lines
        self.rejected += added.rejected
        self.fallbacks += added.fell_back


class RunningSession(NamedTuple):
    """One session of the last list, with what only its past tells."""

    listed: ListedSession
    detail: FaxSession | None
    """None if it may not be asked about, or did not answer."""
    bad_lines: int
    """Of the whole session, as far as seen."""
    first_seen: float
    """Seconds, monotonic."""
    start_seen: bool
    """False if it may have run for longer than we know."""
    progress_at: float
    """Seconds, monotonic: when the last page was done, or it was first seen."""


@dataclass(slots=True, eq=False)
class Session:
    """What was seen of one session. All times are in seconds of the monotonic clock."""

    listed: ListedSession
    """As the last list has it."""
    peer: str
    start: Start
    first_seen: float
    listed_at: float
    """When the last list that has it was asked for."""

    phase: Phase = Phase.LISTED
    """Kept by Matching, as are `listed_at` and `gone_at`."""
    gone_at: float = 0.0
    """When a list first lacked it."""
    last_seen: float = 0.0
    """When the answers of the last list that has it were in."""
    ended_at: float | None = None
    """None until it is counted as ended. It may be back in the list after that."""

    operation: Operation = field(init=False)
    """What it does; none only until a list tells."""
    started_as: Operation = field(init=False)
    """What it did by its first list: under that it is counted as started, and as ended."""
    detail: FaxSession | None = None
    """What FAXSession said of it after the last list."""
    page_reader: PageReader = field(default_factory=PageReader)
    bad_line_reader: BadLineReader = field(default_factory=BadLineReader)
    bad_lines_total: int = 0
    """Of the whole session, as far as seen."""
    data_rate: int | None = None
    """bit/s; None until one was agreed by the present transport, as are the next two."""
    ecm: bool | None = None
    resolution: tuple[int, int] | None = None
    """Pixels per metre, x and y."""
    counted: Counted = field(default_factory=Counted)
    page_began: float | None = None
    """When the page under way did; None if nobody saw it."""
    progress_at: float = field(init=False)
    """When the last page was done, or it was first seen."""
    _last_reading: tuple[FaxSession, Transport] | None = None

    def __post_init__(self) -> None:
        """What the first list tells."""
        self.operation = self.started_as = self.listed.operation
        self.progress_at = self.first_seen

    @property
    def channel(self) -> str:
        """As every list has it, which keeps the first name."""
        return self.listed.channel

    @property
    def files(self) -> str:
        """As the last list has them."""
        return self.listed.files

    @property
    def pages_seen(self) -> int:
        """By the transport that it last had, which is what its event tells of."""
        return self.page_reader.last

    @property
    def transport(self) -> Transport:
        """Once T.38, always."""
        return self.page_reader.transport

    @property
    def agreed(self) -> bool:
        """Whether its two ends were seen to agree on a rate."""
        return self.data_rate is not None

    @property
    def running(self) -> RunningSession:
        """What page and API show of it while it runs."""
        return RunningSession(
            listed=self.listed,
            detail=self.detail,
            bad_lines=self.bad_lines_total,
            first_seen=self.first_seen,
            start_seen=self.start is Start.SEEN,
            progress_at=self.progress_at,
        )

    def read(self, detail: FaxSession, transport: Transport, at: float) -> Added | None:
        """What a reading adds; None if it is only what later ones are counted from, or was read
        already. `transport` is as the list has it."""
        if self._last_reading == (detail, transport):
            return None
        if self.start is Start.BEFORE_EXPORTER:
            self._count_from(detail, transport)
            return None
        self._last_reading = detail, transport
        added = Added()
        if self.page_reader.switches(transport):
            self.bad_line_reader = BadLineReader()
            self.data_rate = self.ecm = self.resolution = None
            if self.page_reader.total == 0:
                self.page_began = None
        if detail.pages is not None:
            added.pages = self.page_reader.read(detail.pages, transport)
            if added.pages:
                if self.page_began is not None:
                    added.page_seconds = (at - self.page_began) / added.pages
                self.page_began = self.progress_at = at
        if detail.bad_lines is not None and self.operation is Operation.RECEIVE:
            added.bad_lines, added.rejected = self.bad_line_reader.read(
                self.page_reader.last, detail.bad_lines
            )
            self.bad_lines_total += added.bad_lines
        if detail.negotiated and detail.data_rate is not None:
            if self.page_began is None and self.page_reader.total == 0:
                self.page_began = at  # the first page is timed from the agreement on
            added.fell_back = self.data_rate is not None and detail.data_rate < self.data_rate
            self.data_rate = detail.data_rate
            self.ecm, self.resolution = detail.ecm, detail.resolution
        return added

    def _count_from(self, detail: FaxSession, transport: Transport) -> None:
        self.start = Start.MISSED
        self.page_reader.read(detail.pages or 0, transport)
        self.bad_lines_total = detail.bad_lines or 0
        self.bad_line_reader = BadLineReader.starting_at(
            self.page_reader.last, self.bad_lines_total
        )
        if detail.negotiated:
            self.data_rate, self.ecm = detail.data_rate, detail.ecm
            self.resolution = detail.resolution

    def read_event(self, result: FaxResult) -> Added:
        """What its event adds: often the last page, which no list showed any more."""
        if result.pages is None or self.start is Start.BEFORE_EXPORTER:
            return Added()
        added = Added(pages=self.page_reader.read(result.pages, result.transport))
        if added.pages:
            added.bad_lines = self.bad_line_reader.settle()
            self.bad_lines_total += added.bad_lines
            # Should it be listed again, the same reading would be of a later page.
            self._last_reading = None
        return added

    def went_on(self, added: Added, at: float, epoch: float) -> EndedFax:
        """What a reading adds `at` that time, though it was told as over. `epoch`: see `ended`."""
        return replace(
            self._seen(at, epoch),
            pages=added.pages,
            bad_lines=added.bad_lines if self.operation is Operation.RECEIVE else None,
            seconds=None,
            rejected=int(added.rejected),
            fallbacks=int(added.fell_back),
            counted_pages=added.pages,
            counted_bad_lines=added.bad_lines,
            went_on=True,
        )

    def _seen(self, ended_at: float, epoch: float) -> EndedFax:
        """What was seen of it until it ended then."""
        return EndedFax(
            ended_at=ended_at,
            operation=self.operation,
            transport=self.transport,
            channel=self.channel,
            succeeded=None,
            reason=None,
            pages=self.page_reader.total,
            bad_lines=self.bad_lines_total if self.operation is Operation.RECEIVE else None,
            seconds=ended_at - self.first_seen if self.start is Start.SEEN else None,
            data_rate=self.data_rate,
            file=self.files,
            ended=ended_at + epoch,
            peer=peer_of(self.channel),
            rejected=self.counted.rejected,
            fallbacks=self.counted.fallbacks,
            ecm=self.ecm,
            resolution=self.resolution,
            counted_pages=self.counted.pages,
            counted_bad_lines=self.counted.bad_lines,
        )

    def ended(self, result: FaxResult | None, epoch: float, heard_at: float = 0.0) -> EndedFax:
        """What became of it. `result`: its event, None if none came; `heard_at`: when it came,
        seconds of the monotonic clock; `epoch`: of that clock, seconds since 1970."""
        assert self.ended_at is not None  # the ledger sets it first
        seen = self._seen(self.ended_at, epoch)
        if result is None:
            return seen
        return replace(
            seen,
            transport=result.transport if self.transport is Transport.NONE else self.transport,
            succeeded=result.succeeded,
            reason=result.reason,
            pages=max(self.page_reader.total, result.pages or 0),
            # Of a fax that agreed and ended between two polls only the event has the rate.
            data_rate=(self.data_rate or result.data_rate) if trained(result) else None,
            local_station=result.local_station,
            remote_station=result.remote_station,
            file=result.file,
            unique_id=result.unique_id,
            heard_at=heard_at + epoch,
            linked_id=result.linked_id,
            caller=result.caller,
            status_text=result.status_text,
            began=result.began,
            resolution=self.resolution or result.resolution,
            counted_transport=result.transport,
        )
