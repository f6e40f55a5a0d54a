"""Which session a completion event belongs to: sessions and events in, pairs of them out.

Pure: no I/O, no clock, no counting. Every time is an argument, in seconds of a monotonic clock.

An event names no session. It comes 20 to 50 ms after its session has left the list, by Asterisk's
source at most 5 s after, or never. Its channel tells whose it is. If the call was moved
(masqueraded), the event has the channel's new name and the list the first, and then the file tells
(measured on Asterisk 16.28 and 22.10). Faxes in a row on one channel share its name, and mostly
differ in file.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from exporter.fax import FaxResult, Operation, Reason, Transport, last_file

EVENT_LATENESS: Final = 8.0
"""Seconds a completion event is waited for: they come up to 5 s after the session has left the
list. Waiting longer would let a session without an event take that of the next one."""
LIST_PATIENCE: Final = 60.0
"""Seconds that an event waits for a list that lacks its session. While FAXSessions is refused, or
no list is whole, it would wait for ever, and so would those of all faxes with the same file."""
MAX_TRACKED: Final = 20_000
"""Remembered at most: sessions that have left the list, sessions that a list which is not whole
lacks, and events that wait."""

_MAX_ALIKE: Final = 50
"""Sessions looked at for one event, so that no PBX can make it a long search."""
_MAX_UNDECIDED: Final = 1000
"""Events that wait until other sessions have had their own, for the same reason."""


class Phase(Enum):
    """Where a session is in its life."""

    LISTED = "in the last list"
    AWAITING = "has left the list, and its event may yet come"
    OVER = "its event came, or can no longer come"
    BACK = "in the last list again, though it is over: it has no further event"


class Matchable(Protocol):
    """What must be known of a session to tell whether an event can be its own."""

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


S = TypeVar("S", bound=Matchable)


class Heard(NamedTuple):
    """A completion event that came."""

    at: float
    """Seconds: when."""
    life: int
    """Of Asterisk: after a restart the same channel name is of another session."""
    result: FaxResult


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """A session and its event; a session whose event can no longer come (`heard` is None); or the
    event of a fax that was never listed (`session` is None)."""

    session: S | None
    heard: Heard | None


_SessionKey: TypeAlias = tuple[int, int, str]
"""Life of Asterisk, number and channel: only together they identify a session."""
_SearchKey: TypeAlias = tuple[int, Operation, str]
"""Life of Asterisk, operation, and a channel or a file: what an event is looked up by."""


class Matching(Generic[S]):
    """The sessions of one Asterisk, and the events that wait to be paired with them.

    No event is used twice, and no session has two outcomes.
    """

    def __init__(self) -> None:
        self._life = 0
        """Counted up at each restart of Asterisk."""
        self._listed: dict[_SessionKey, S] = {}
        self._left: dict[_SessionKey, S] = {}
        """In the order in which they left, for as long as they may come back."""
        self._heard: deque[Heard] = deque()

    @property
    def listed(self) -> Collection[S]:
        """Those of the last list, the oldest first."""
        return self._listed.values()

    def restarted(self, since: float) -> None:
        """Asterisk has been restarted: numbers and channels mean other sessions now. Events that
        came at `since` or later belong to these."""
        self._life += 1
        for index, heard in enumerate(self._heard):
            if heard.at >= since:
                self._heard[index] = heard._replace(life=self._life)

    def find(self, number: int, channel: str, listed_at: float) -> S | None:
        """The session that a list shows, which was asked for at `listed_at`; None if it is new. One
        that had left is among the listed again."""
        key = (self._life, number, channel)
        session = self._listed.get(key)
        if session is None and (session := self._left.pop(key, None)) is not None:
            session.phase = Phase.BACK if session.phase is Phase.OVER else Phase.LISTED
            self._listed[key] = session
        if session is not None:
            session.listed_at = listed_at
        return session

    def known(self, number: int, channel: str) -> S | None:
        """The session that `find` would return, without bringing it back."""
        key = (self._life, number, channel)
        return self._listed.get(key) or self._left.get(key)

    def begin(self, number: int, session: S) -> None:
        """Takes a session that no list has shown before."""
        self._listed[self._life, number, session.channel] = session

    def leave(self, present: Collection[tuple[int, str]], at: float, *, whole: bool) -> list[S]:
        """The sessions that leave, as they are not `present` (numbers and channels). What a list
        that is not `whole` lacks stays, unless it is of an earlier life of Asterisk; but the oldest
        of too many leave, or they would pile up for ever."""
        absent = [
            key for key in self._listed if key[0] != self._life or (key[1], key[2]) not in present
        ]
        if not whole:
            too_many = len(self._listed) - MAX_TRACKED
            absent = [
                key for index, key in enumerate(absent) if index < too_many or key[0] != self._life
            ]
        left = []
        for key in absent:
            session = self._left[key] = self._listed.pop(key)
            session.phase = Phase.OVER if session.phase is Phase.BACK else Phase.AWAITING
            session.gone_at = at
            left.append(session)
        return left

    def hear(self, result: FaxResult, at: float) -> list[Outcome[S]]:
        """Takes an event, which waits for the next list to tell whose it is. The oldest of too many
        waits no longer, and belongs to no session."""
        self._heard.append(Heard(at, self._life, result))
        if len(self._heard) <= MAX_TRACKED:
            return []
        return [Outcome(None, self._heard.popleft())]

    def settle(self, at: float, listed_at: float | None) -> list[Outcome[S]]:
        """What is certain by now. `listed_at`: when the last list was asked for, -inf if it was not
        whole; None if Asterisk gives none. An event that came before belongs to no session in that
        list, a later one may."""
        events, self._heard = self._heard, deque()
        outcomes: list[Outcome[S]] = []
        undecided: list[Heard] = []
        if events:
            awaiting = _Index(self._left, Phase.AWAITING)
            left_over = self._pair_with_listed(events, at, listed_at, outcomes)
            left_over = self._pair_by_channel(left_over, awaiting, outcomes)
            undecided = self._pair_by_file(left_over, awaiting, at, listed_at, outcomes)
        outcomes += self._forget(at, undecided)
        self._heard = deque(sorted([*self._heard, *undecided], key=lambda heard: heard.at))
        return outcomes

    def rest(self) -> list[Outcome[S]]:
        """Every event that still waits, as of no session. To be asked when nothing more comes."""
        events, self._heard = self._heard, deque()
        return [Outcome(None, heard) for heard in events]

    def _pair_with_listed(
        self,
        events: Iterable[Heard],
        at: float,
        listed_at: float | None,
        outcomes: list[Outcome[S]],
    ) -> list[Heard]:
        """Returns the events that belong to no session in the last list. One that came after the
        list was asked for, and may belong to a session in it, waits for the next list; after
        LIST_PATIENCE it is given to that session."""
        earlier = [h for h in events if listed_at is not None and h.at < listed_at]
        later = [h for h in events if listed_at is None or h.at >= listed_at]
        left_over = earlier
        listed = _Index(self._listed if later else {}, Phase.LISTED)
        for heard in later:
            session = listed.likeliest(heard)
            if session is None:
                left_over.append(heard)
            elif at - heard.at <= LIST_PATIENCE:
                self._heard.append(heard)
            else:
                outcomes.append(listed.take(session, heard))
                session.phase = Phase.BACK  # it stays until a list lacks it
        return left_over

    def _pair_by_channel(
        self, events: list[Heard], awaiting: "_Index[S]", outcomes: list[Outcome[S]]
    ) -> list[Heard]:
        """Returns the events on whose channel no session awaits one."""
        left_over = []
        of_same_channel = Counter(map(_channel_of, events))
        for heard in events:
            session = awaiting.of_channel(heard, of_same_channel[_channel_of(heard)])
            if session is None:
                left_over.append(heard)
            else:
                of_same_channel[_channel_of(heard)] -= 1
                outcomes.append(awaiting.take(session, heard))
        return left_over

    def _pair_by_file(
        self,
        events: list[Heard],
        awaiting: "_Index[S]",
        at: float,
        listed_at: float | None,
        outcomes: list[Outcome[S]],
    ) -> list[Heard]:
        """Returns the events that may belong to one of several sessions: they wait until more of
        these have had their own. To be called when all events were tried by channel: by its file
        an event could take a session whose own event comes later in the list."""
        undecided: list[Heard] = []
        of_same_file = Counter(map(_file_of, events))
        for heard in events:
            fitting = awaiting.of_file(heard)
            best = _best(fitting, heard)
            # Whichever of them it is given to, no page is lost or counted twice, and each has an
            # event: if as many events wait as sessions, and it says no fewer pages than were seen.
            enough = awaiting.alike(heard) <= of_same_file[_file_of(heard)]
            seen = min((session.pages_seen for session in fitting), default=0)
            if best is not None and enough and seen <= (heard.result.pages or 0):
                of_same_file[_file_of(heard)] -= 1
                outcomes.append(awaiting.take(best, heard))
            elif (fitting or awaiting.is_crowd(heard)) and len(undecided) < _MAX_UNDECIDED:
                undecided.append(heard)
            elif (session := awaiting.of_channel(heard, 1, any_file=True)) is not None:
                outcomes.append(awaiting.take(session, heard))
            elif listed_at is not None and listed_at <= heard.at >= at - LIST_PATIENCE:
                self._heard.append(heard)  # its session may leave by the next list
            else:
                outcomes.append(Outcome(None, heard))
        return undecided

    def _forget(self, at: float, undecided: list[Heard]) -> Iterator[Outcome[S]]:
        """Forgets sessions whose own event can no longer come, and the oldest of too many. Each may
        still be given an event that is `undecided`, which is then removed there."""
        leaving: dict[S, _SessionKey] = {}
        too_many = len(self._left) - MAX_TRACKED
        for key, session in self._left.items():
            if at - session.gone_at <= EVENT_LATENESS and len(leaving) >= too_many:
                break
            leaving[session] = key
        awaiting = _Index(self._left if undecided else {}, Phase.AWAITING)
        for heard in list(undecided):
            fitting = awaiting.of_file(heard)
            best = _best(fitting, heard)
            if best in leaving:
                undecided.remove(heard)
                yield awaiting.take(best, heard)
            elif too_many <= 0:
                for session in fitting:
                    # They stay: if the best one's own event comes, this one belongs to another.
                    leaving.pop(session, None)
        for session, key in leaving.items():
            del self._left[key]
            if session.phase is Phase.AWAITING:
                session.phase = Phase.OVER
                yield Outcome(session, None)


def _channel_of(heard: Heard) -> _SearchKey:
    return heard.life, heard.result.operation, heard.result.channel


def _file_of(heard: Heard) -> _SearchKey:
    return heard.life, heard.result.operation, last_file(heard.result.files)


def _best(fitting: Sequence[S], heard: Heard) -> S | None:
    """The session with the most pages seen, but no more than the event says: so that a later event
    with fewer pages finds a session that fits. One with the event's own transport is better than
    one with more pages, since their count begins again at 0 with the other."""
    result = heard.result
    pages = result.pages or 0
    return max(
        fitting,
        key=lambda one: (
            one.pages_seen <= pages,
            one.transport is result.transport,
            one.pages_seen,
        ),
        default=None,
    )


class _Index(Generic[S]):
    """The sessions in one phase, to be found by the channel and the file of an event."""

    def __init__(self, sessions: Mapping[_SessionKey, S], phase: Phase) -> None:
        self._phase = phase
        self._channels: defaultdict[_SearchKey, dict[S, None]] = defaultdict(dict)
        self._files: defaultdict[_SearchKey, dict[S, None]] = defaultdict(dict)
        self._found_in: dict[S, tuple[dict[S, None], dict[S, None]]] = {}
        for (life, _, channel), session in sessions.items():
            if session.phase is phase:
                channels = self._channels[life, session.operation, channel]
                files = self._files[life, session.operation, last_file(session.files)]
                channels[session] = files[session] = None
                self._found_in[session] = channels, files

    def likeliest(self, heard: Heard) -> S | None:
        """The session that the event most likely belongs to; None if it can be none."""
        return self.of_channel(heard, 1, any_file=True) or _best(self.of_file(heard), heard)

    def of_channel(self, heard: Heard, rivals: int, *, any_file: bool = False) -> S | None:
        """The session that has the event's channel and file. With `any_file` also one with
        another file, if the event came no later than the session left the list: a later event with
        another file belongs to the next fax.

        Of several, one with all the event's files is preferred, then one with no more pages than
        it says. Of equal ones it is the first, since events come in the order of faxes; but the
        last if fewer events came on this channel (`rivals`) than there are sessions: an event comes
        soon if it comes at all, so it is the first sessions that have none."""
        result, file = heard.result, last_file(heard.result.files)
        if result.reason is Reason.INIT and not result.began:
            return None  # a fax that never began was never listed
        fitting = [
            one
            for one in islice(self._channels.get(_channel_of(heard), ()), _MAX_ALIKE)
            if self._in_time(one, heard)
            and (
                not file
                or last_file(one.files) in ("", file)
                or (any_file and result.began and self._came_at_once(one, heard))
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
        """The sessions that have the event's file, and whose call may have been moved to its
        channel. A fax that never began was never listed, and many such can have one file."""
        result, key = heard.result, _file_of(heard)
        if not key[2] or not result.began:
            return []
        return [
            one
            for one in islice(self._files.get(key, ()), _MAX_ALIKE)
            if self._in_time(one, heard)
            and _may_have_pages(one, result)
            and _may_have_travelled(one, result)
            and not (one.agreed and result.agreed is False)
        ]

    def is_crowd(self, heard: Heard) -> bool:
        """Whether more sessions may have the event than `of_file` looks at."""
        return heard.result.began and bool(_file_of(heard)[2]) and self.alike(heard) > _MAX_ALIKE

    def alike(self, heard: Heard) -> int:
        """How many sessions have the event's operation and file."""
        return len(self._files.get(_file_of(heard), ()))

    def take(self, session: S, heard: Heard) -> Outcome[S]:
        """Pairs the session with its event: no other event finds it any more."""
        for sessions in self._found_in.pop(session):
            del sessions[session]
        session.phase = Phase.OVER
        return Outcome(session, heard)

    def _came_at_once(self, session: S, heard: Heard) -> bool:
        return self._phase is Phase.LISTED or heard.at <= session.gone_at

    def _in_time(self, session: S, heard: Heard) -> bool:
        if heard.at < session.listed_at:
            return False  # it was still running after the event
        return self._phase is Phase.LISTED or heard.at <= session.gone_at + EVENT_LATENESS


def _may_have_pages(session: Matchable, result: FaxResult) -> bool:
    """Whether the event's pages can be those of the session: all of them, or 0 when the call
    dropped although some went through."""
    return not result.pages or result.pages >= session.pages_seen


def _may_have_travelled(session: Matchable, result: FaxResult) -> bool:
    """No fax goes back from T.38, and none switches to it after its first page."""
    if Transport.NONE in (session.transport, result.transport):
        return True
    return session.transport is result.transport or (
        session.transport is Transport.G711 and not session.pages_seen
    )
