"""A ledger, and what polls one second apart show it."""

from dataclasses import dataclass, field

from exporter.fax import (
    CoreStatus,
    FaxResult,
    FaxSession,
    FaxStats,
    ListedSession,
    Operation,
    Reason,
    State,
    Transport,
)
from exporter.ledger import EVENT_LATENESS, Ledger, Observation

CHANNEL = "Local/recv@fax-00000001;2"
MOVED = "Local/call@fax-00000017;1"
FILE = "/fax/rx-1.tif"
SEND, RECEIVE, GATEWAY = Operation.SEND, Operation.RECEIVE, Operation.GATEWAY
LONG_AGO = EVENT_LATENESS + 100
EPOCH = 1.7e9
"""Of the monotonic clock."""


@dataclass
class Seen:
    """One session as one poll sees it."""

    pages: int | None = 0
    bad_lines: int | None = 0
    number: int = 0
    channel: str = CHANNEL
    operation: Operation = RECEIVE
    state: State = State.ACTIVE
    transport: Transport = Transport.G711
    data_rate: int | None = 14400
    ecm: bool = False
    negotiated: bool = True
    asked: bool = True
    files: str = ""

    @property
    def listed(self) -> ListedSession:
        return ListedSession(
            self.number, self.channel, self.operation, self.state, self.transport, self.files
        )

    @property
    def detail(self) -> FaxSession:
        return FaxSession(
            number=self.number,
            operation=self.operation,
            state=self.state,
            ecm=self.ecm,
            data_rate=self.data_rate,
            resolution=(8031, 3850) if self.negotiated else (0, 0),
            page_number=None if self.pages is None else self.pages + 1,
            pages=self.pages,
            bad_lines=self.bad_lines,
        )


@dataclass
class Watch:
    """A ledger, and polls of it one second apart."""

    ledger: Ledger = field(default_factory=Ledger)
    now: float = 1000.0

    @classmethod
    def running(cls, peer_limit: int | None = None) -> "Watch":
        """One that has been watching an idle PBX for so long that no event is from before."""
        watch = cls(Ledger(peer_limit))
        watch.connect("boot 1")
        watch.poll()
        watch.now += LONG_AGO
        return watch

    def connect(self, started: str | None = "boot 1") -> None:
        """A new connection; `started`: what Asterisk says of when it did."""
        status = CoreStatus(started or "", started or "", None)
        self.ledger.connected(status, self.now)

    def poll(
        self,
        *sessions: Seen,
        whole: bool = True,
        listed_at: float | None = None,
        stats: FaxStats | None = None,
    ) -> None:
        self.now += 1
        self.ledger.observe(
            Observation(
                listed_at=self.now if listed_at is None else listed_at,
                at=self.now,
                wall=self.now + EPOCH,
                listed=[one.listed for one in sessions],
                whole=whole,
                details={one.number: one.detail for one in sessions if one.asked},
                stats=stats,
            )
        )

    def hear(
        self,
        pages: int | None = 0,
        *,
        channel: str = CHANNEL,
        operation: Operation = RECEIVE,
        transport: Transport = Transport.G711,
        succeeded: bool | None = True,
        reason: Reason | None = None,
        data_rate: int | None = 14400,
        files: str = "",
        began: bool = True,
        unique_id: str = "",
    ) -> None:
        self.ledger.hear(
            FaxResult(
                operation,
                channel,
                pages,
                data_rate,
                transport,
                succeeded,
                reason,
                files=files,
                began=began,
                unique_id=unique_id,
            ),
            self.now,
            self.now + EPOCH,
        )

    def wait(self) -> None:
        """Long enough for every event to have come."""
        self.poll()
        self.now += LONG_AGO
        self.poll()

    def pages(self, operation: Operation = RECEIVE) -> int:
        return sum(n for key, n in self.ledger.totals.pages.items() if key[0] is operation)

    @property
    def bad_lines(self) -> int:
        return sum(self.ledger.totals.bad_lines.values())
