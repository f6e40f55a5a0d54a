"""Which session a completion event is of: sessions and events in, pairs of them out.

Pure: no I/O, no clock, no counting. Every time is an argument, in seconds of a monotonic clock.

An event names no session. It comes 20 to 50 ms after its session has left the list, by Asterisk's
source up to 5 s, or never. Its channel tells whose it is; where that was masqueraded it has another
name in the event than in the list, which keeps the first, and then the file tells (measured on
Asterisk 16.28 and 22.10). Faxes in a row on one channel have the same name and mostly other files.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from exporter.fax import FaxResult, Operation, Reason, Transport, last_file

EVENT_LATENESS: Final = 8.0
"""Seconds a completion event is waited for: measured, they come up to 5 s after the session has
left the list. Waiting longer would let a session without an event take that of the next one."""
LIST_PATIENCE: Final = 60.0
"""Seconds that an event waits for a list that lacks its session. As long as FAXSessions is refused,
or no list is whole, it would wait for ever, and so would those of all faxes with the same file."""
MAX_TRACKED: Final = 20_000
"""Sessions that have left the list, or should be in one that is not whole, and results, remembered
at most."""

_MAX_ALIKE: Final = 50
"""Sessions among which an event's is looked for: no PBX can make it a long search."""
_MAX_UNDECIDED: Final = 1000
"""Events that wait for those of others, for the same reason."""


class Phase(Enum):
    """Where a session is in its life."""

    LISTED = "in the last list"
    AWAITING = "has left the list, and its event may come"
    OVER = "its event came, or will not"
    BACK = "in the last list, though it is over"


class Session(Protocol):
    """What tells whether an event can be a session's."""

    phase: Phase
    listed_at: float
    """Seconds: when the last list that has it was asked for."""
    gone_at: float
    """Seconds: when a list first lacked it."""

    @property
    def channel(self) -> str:
        """As the list has it, which keeps the first name."""

    @property
    def operation(self) -> Operation:
        """What it does."""

    @property
    def files(self) -> str:
        """As the list has them, with commas between; empty if it told none."""

    @property
    def pages_seen(self) -> int:
        """Pages confirmed in the transport that it last had."""

    @property
    def transport(self) -> Transport:
        """How it was last seen to travel."""

    @property
    def agreed(self) -> bool:
        """Whether its two ends were seen to agree on a rate."""


S = TypeVar("S", bound=Session)


class Heard(NamedTuple):
    """A completion event."""

    at: float
    life: int
    """Of Asterisk: after a restart channels have the same names again."""
    result: FaxResult


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """A session and its event; a session whose event will not come; or the event of a fax that was
    never listed."""

    session: S | None
    heard: Heard | None


_Key: TypeAlias = tuple[int, int, str]
"""Life of Asterisk, number and channel, of which none alone tells a session."""
_Place: TypeAlias = tuple[int, Operation, str]
"""Life of Asterisk, operation, and a channel or file."""


class Matching(Generic[S]):
    """The sessions of one Asterisk, and the events that wait to be paired with them.

    No event is used twice, and no session has two outcomes.
    """

    def __init__(self) -> None:
        self._life = 0
        self._listed: dict[_Key, S] = {}
        self._left: dict[_Key, S] = {}
        """In the order in which they left, for as long as they may be back."""
        self._heard: deque[Heard] = deque()

    @property
    def listed(self) -> Collection[S]:
        """Those of the last list, the oldest first."""
        return self._listed.values()

    def restarted(self, since: float) -> None:
        """Asterisk has been restarted: numbers and channels mean other sessions now, to events too
        that came at `since` or later."""
        self._life += 1
        for index, heard in enumerate(self._heard):
            if heard.at >= since:
                self._heard[index] = heard._replace(life=self._life)

    def find(self, number: int, channel: str, listed_at: float) -> S | None:
        """The session that a list shows which was asked for then, if it is known; it may have been
        gone for a while."""
        key = (self._life, number, channel)
        session = self._listed.get(key)
        if session is None and (session := self._left.pop(key, None)) is not None:
            session.phase = Phase.BACK if session.phase is Phase.OVER else Phase.LISTED
            self._listed[key] = session
        if session is not None:
            session.listed_at = listed_at
        return session

    def known(self, number: int, channel: str) -> S | None:
        """The session that `find` would find; it stays where it is."""
        key = (self._life, number, channel)
        return self._listed.get(key) or self._left.get(key)

    def begin(self, number: int, session: S) -> None:
        """A session that no list has shown before."""
        self._listed[self._life, number, session.channel] = session

    def leave(self, present: Collection[tuple[int, str]], at: float, *, whole: bool) -> list[S]:
        """Those that are not `present`, by number and channel. A list that is not `whole` proves
        nothing of this life of Asterisk, but the oldest must not pile up for ever."""
        absent = [
            key for key in self._listed if key[0] != self._life or (key[1], key[2]) not in present
        ]
        if not whole:
            many = len(self._listed) - MAX_TRACKED
            absent = [
                key for index, key in enumerate(absent) if index < many or key[0] != self._life
            ]
        left = []
        for key in absent:
            session = self._left[key] = self._listed.pop(key)
            session.phase = Phase.OVER if session.phase is Phase.BACK else Phase.AWAITING
            session.gone_at = at
            left.append(session)
        return left

    def hear(self, result: FaxResult, at: float) -> list[Outcome[S]]:
        """An event, which waits for the next list to tell whose it is. Of too many the oldest wait
        no longer."""
        self._heard.append(Heard(at, self._life, result))
        if len(self._heard) <= MAX_TRACKED:
            return []
        return [Outcome(None, self._heard.popleft())]

    def settle(self, at: float, listed_at: float | None) -> list[Outcome[S]]:
        """What is certain by now. `listed_at`: when the list was asked for, -inf if it was not
        whole; None if there is none to be had. An event that came earlier is of no session in it,
        a later one may be."""
        outcomes, undecided = self._pair(at, listed_at) if self._heard else ([], [])
        outcomes += self._forget(at, undecided)
        self._heard = deque(sorted([*self._heard, *undecided], key=lambda heard: heard.at))
        return outcomes

    def _pair(self, at: float, listed_at: float | None) -> tuple[list[Outcome[S]], list[Heard]]:
        """The outcomes of all events but those that wait for another list, and those that may yet
        be of a session that has left."""
        outcomes: list[Outcome[S]] = []
        waiting: deque[Heard] = deque()
        unnamed: list[Heard] = []
        undecided: list[Heard] = []
        awaiting = _Index(self._left, Phase.AWAITING)
        free = [h for h in self._heard if listed_at is not None and h.at < listed_at]
        late = [h for h in self._heard if listed_at is None or h.at >= listed_at]
        listed = _Index(self._listed if late else {}, Phase.LISTED)
        for heard in late:
            if not listed.knows(heard):
                free.append(heard)
            elif at - heard.at > LIST_PATIENCE:
                over = listed.best(heard)
                outcomes.append(listed.take(over, heard))
                over.phase = Phase.BACK  # it stays until a list lacks it
            else:
                waiting.append(heard)
        rivals = Counter(map(_channel_of, free))
        for heard in free:
            session = awaiting.of_channel(heard, rivals[_channel_of(heard)])
            if session is None:
                unnamed.append(heard)
            else:
                rivals[_channel_of(heard)] -= 1
                outcomes.append(awaiting.take(session, heard))
        # Only now: by its file one could take a session whose own event stands behind it.
        rivals = Counter(map(_file_of, unnamed))
        for heard in unnamed:
            fitting = awaiting.of_file(heard)
            seen = {one.pages_seen for one in fitting}
            # No page is lost or counted twice by which of them has it, if as many events wait as
            # sessions, or one for some that were seen alike; and if it says no less than was seen.
            rival = rivals[_file_of(heard)]
            equal = awaiting.alike(heard) <= rival or (rival == 1 and len(seen) == 1)
            if fitting and equal and min(seen) <= (heard.result.pages or 0):
                rivals[_file_of(heard)] -= 1
                outcomes.append(awaiting.take(_best(fitting, heard), heard))
            elif (fitting or awaiting.is_crowd(heard)) and len(undecided) < _MAX_UNDECIDED:
                undecided.append(heard)  # until more sessions have had their own
            elif (session := awaiting.of_channel(heard, 1, any_file=True)) is not None:
                outcomes.append(awaiting.take(session, heard))
            elif listed_at is not None and listed_at <= heard.at >= at - LIST_PATIENCE:
                waiting.append(heard)
            else:
                outcomes.append(Outcome(None, heard))
        self._heard = waiting
        return outcomes, undecided

    def _forget(self, at: float, undecided: list[Heard]) -> Iterator[Outcome[S]]:
        """Sessions whose own event can no longer come, or that are too many."""
        old: dict[S, _Key] = {}
        many = len(self._left) - MAX_TRACKED
        for key, session in self._left.items():
            if at - session.gone_at <= EVENT_LATENESS and len(old) >= many:
                break
            old[session] = key
        awaiting = _Index(self._left if undecided else {}, Phase.AWAITING)
        for heard in list(undecided):
            fitting = awaiting.of_file(heard)
            best = _best(fitting, heard) if fitting else None
            if best in old:
                undecided.remove(heard)
                yield awaiting.take(best, heard)
            elif many <= 0:
                for session in fitting:
                    old.pop(session, None)  # if the best has its own event, this is one of these
        for session, key in old.items():
            del self._left[key]
            if session.phase is Phase.AWAITING:
                session.phase = Phase.OVER
                yield Outcome(session, None)


def _channel_of(heard: Heard) -> _Place:
    return heard.life, heard.result.operation, heard.result.channel


def _file_of(heard: Heard) -> _Place:
    return heard.life, heard.result.operation, last_file(heard.result.files)


def _best(fitting: Sequence[S], heard: Heard) -> S:
    """The session that was seen to have the most pages, but no more than the event says: so none is
    left over that says less than was seen of the others. Of those first one that travelled as the
    event says: pages begin again at 0 where it did not."""
    result = heard.result
    pages = result.pages or 0
    return max(
        fitting,
        key=lambda one: (
            one.pages_seen <= pages,
            one.transport is result.transport,
            one.pages_seen,
        ),
    )


class _Index(Generic[S]):
    """Sessions that are in a phase, by what an event may know of them."""

    def __init__(self, sessions: Mapping[_Key, S], phase: Phase) -> None:
        self._phase = phase
        self._channels: defaultdict[_Place, dict[S, None]] = defaultdict(dict)
        self._files: defaultdict[_Place, dict[S, None]] = defaultdict(dict)
        self._places: dict[S, tuple[dict[S, None], dict[S, None]]] = {}
        for (life, _, channel), session in sessions.items():
            if session.phase is phase:
                channels = self._channels[life, session.operation, channel]
                files = self._files[life, session.operation, last_file(session.files)]
                channels[session] = files[session] = None
                self._places[session] = channels, files

    def knows(self, heard: Heard) -> bool:
        """Whether the event may be of one of them."""
        return self.of_channel(heard, 1, any_file=True) is not None or bool(self.of_file(heard))

    def best(self, heard: Heard) -> S:
        """One of those that `knows` knows of."""
        return self.of_channel(heard, 1, any_file=True) or _best(self.of_file(heard), heard)

    def of_channel(self, heard: Heard, rivals: int, *, any_file: bool = False) -> S | None:
        """The session that has the event's channel and, unless any will do, its file; with another
        it is the next fax, if it comes later than at once. Of several the one that has all its
        files, and no more pages. Of those the first, since events come in the order of faxes; but
        the last if there are fewer events of the channel (`rivals`) than sessions: an event comes
        soon if it comes at all."""
        result, file = heard.result, last_file(heard.result.files)
        if result.reason is Reason.INIT and not result.began:
            return None  # of the faxes on this channel it is the one that was never listed
        fitting = [
            one
            for one in islice(self._channels.get(_channel_of(heard), ()), _MAX_ALIKE)
            if self._in_time(one, heard)
            and (
                not file
                or last_file(one.files) in ("", file)
                or (any_file and result.began and self._at_once(one, heard))
            )
        ]
        if len(fitting) > rivals:
            fitting.reverse()
        return min(
            fitting,
            key=lambda one: (one.files != result.files, not _may_have_pages(one, result)),
            default=None,
        )

    def of_file(self, heard: Heard) -> list[S]:
        """Those whose channel may have the event's name by now. A fax that never began was never
        listed, and many such can be of one file."""
        result, place = heard.result, _file_of(heard)
        if not place[2] or not result.began:
            return []
        return [
            one
            for one in islice(self._files.get(place, ()), _MAX_ALIKE)
            if self._in_time(one, heard)
            and _may_have_pages(one, result)
            and _may_have_travelled(one, result)
            and not (one.agreed and result.agreed is False)
        ]

    def is_crowd(self, heard: Heard) -> bool:
        """Whether those whose event it may be are more than are looked at."""
        return heard.result.began and bool(_file_of(heard)[2]) and self.alike(heard) > _MAX_ALIKE

    def alike(self, heard: Heard) -> int:
        """How many have the event's operation and file."""
        return len(self._files.get(_file_of(heard), ()))

    def take(self, session: S, heard: Heard) -> Outcome[S]:
        """Its event has found it, and no other does any more."""
        for place in self._places.pop(session):
            del place[session]
        session.phase = Phase.OVER
        return Outcome(session, heard)

    def _at_once(self, session: S, heard: Heard) -> bool:
        return self._phase is Phase.LISTED or heard.at <= session.gone_at

    def _in_time(self, session: S, heard: Heard) -> bool:
        if heard.at < session.listed_at:
            return False  # it ran on
        return self._phase is Phase.LISTED or heard.at <= session.gone_at + EVENT_LATENESS


def _may_have_pages(session: Session, result: FaxResult) -> bool:
    """An event says no page where a call dropped, though some went through; never too few."""
    return not result.pages or result.pages >= session.pages_seen


def _may_have_travelled(session: Session, result: FaxResult) -> bool:
    """None goes back from T.38, and none that has sent or received a page goes over to it."""
    if Transport.NONE in (session.transport, result.transport):
        return True
    return session.transport is result.transport or (
        session.transport is Transport.G711 and not session.pages_seen
    )
