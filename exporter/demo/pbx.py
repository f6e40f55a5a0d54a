"""An Asterisk that exists only in memory, but speaks AMI on a real TCP port.

For `--demo` and for tests. It imports nothing of the exporter, so that it can bear witness against
it; what it says and in which words was recorded on Asterisk 11 to 23. How it reads over TLS
is in tls.py; the faxes that `--demo` shows are in traffic.py.
"""

import asyncio
import hashlib
import random
import re
import socket
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from ssl import SSLContext
from typing import Any, Final, NamedTuple

from exporter.demo.tls import TlsLine

DROPPED: Final = "The call dropped prematurely"
"""FAXERROR and FAXSTATUSSTRING of a fax whose channel was hung up (spandsp's words)."""
UNTRAINED_RATE: Final = 14400
"""bit/s that a session reads before it has negotiated anything."""
NO_RESOLUTION: Final = (0, 0)
_FAXES: Final = ("send", "receive")
_NO_SESSION: Final = {
    "send": ("INIT_ERROR", "error starting fax session"),
    "receive": ("Channel Problems", "Error before FAX transmission started."),
}
"""FAXERROR and FAXSTATUSSTRING of a fax that cannot start."""


class FaxGone(Exception):
    """The session is no longer in the list, or Asterisk or res_fax is not running."""


class Completion(NamedTuple):
    """How a fax ended: FAXMODE (audio, T38), FAXSTATUS (SUCCESS, FAILED) and FAXERROR."""

    operation: str
    mode: str
    status: str
    error: str


class Query(NamedTuple):
    """A FAXSession that was asked; operation and state are '' if there was no such session."""

    number: int
    operation: str
    state: str


@dataclass
class Truth:
    """What this PBX did since it was made, over all restarts: what an exporter must arrive at."""

    started: Counter[str] = field(default_factory=Counter)
    """Sessions by operation; likewise the next four, `pages` being those confirmed."""
    ended: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    rejected_pages: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    bad_lines: int = 0
    """Of all receive sessions, over all their pages, the rejected ones too."""
    completions: Counter[Completion] = field(default_factory=Counter)
    heard: Counter[Completion] = field(default_factory=Counter)
    """Those of `completions` whose event was sent to at least one client."""
    never_began: Counter[Completion] = field(default_factory=Counter)
    """Likewise events of faxes for which no session could be made: none of the above has them."""


@dataclass
class Stats:
    """What FAXStats says, kept since the last start of Asterisk. `completed` includes `failed`."""

    transmit_attempts: int = 0
    receive_attempts: int = 0
    completed: int = 0
    failed: int = 0
    reserved: int = 0


@dataclass(eq=False)
class DemoSession:
    """A fax session of the demo PBX, to be moved through its life by a script.

    The fields read as Asterisk shows them and may be set to anything. The methods are what really
    happens to a fax and keep the truth; they raise FaxGone once the session has left the list.
    """

    number: int
    operation: str
    channel: str
    transport: str
    files: tuple[str, ...]
    state: str
    rate: int
    uniqueid: str
    """Of the call as it is now; likewise `linkedid`."""
    linkedid: str
    truth: Truth = field(repr=False)
    life: object = field(repr=False)
    """Of res_fax: another one once that or Asterisk has been restarted."""
    technology: str = "Spandsp"
    ecm: bool = False
    resolution: tuple[int, int] = NO_RESOLUTION
    pages: int = 0
    bad_lines: int = 0
    moved_to: str = ""
    """What its channel is called now, which only its event tells."""
    gone: bool = False
    began: bool = True
    """False if no session could be made."""
    completion: Completion | None = None
    """Set when a send or receive has ended."""
    pages_transferred: int = 0
    """What the completion event says; likewise `status_string`."""
    status_string: str = ""

    def _must_live(self) -> None:
        if self.gone:
            raise FaxGone(f"session {self.number} on {self.channel} has ended")

    def negotiate(
        self, *, rate: int = 14400, ecm: bool = False, resolution: tuple[int, int] = (8031, 3850)
    ) -> None:
        """Both ends agree: bit/s, and pixels per metre."""
        self._must_live()
        self.state, self.rate, self.ecm = "Active", rate, ecm
        if self.operation in _FAXES:
            self.resolution = resolution

    def move(self, channel: str, uniqueid: str) -> None:
        """The call is replaced by another (REFER or INVITE with Replaces), whose name and number
        its channel now has; the list goes on with the name that it began with."""
        self._must_live()
        self.moved_to, self.uniqueid = channel, uniqueid

    def switch_to_t38(self) -> None:
        """From audio to T.38: modem, pages and negotiation start anew.

        For a moment before it the session has transport `none`: set that, if it shall be seen.
        """
        self._must_live()
        self.transport = "T.38"
        self.rate, self.ecm, self.resolution = UNTRAINED_RATE, False, NO_RESOLUTION
        self.pages = self.bad_lines = 0

    def fall_back(self, rate: int) -> None:
        """Goes on at a lower rate, in bit/s."""
        self._must_live()
        if rate >= self.rate:
            raise ValueError(f"{rate} bit/s is no fallback from {self.rate} bit/s")
        self.rate = rate
        self.truth.fallbacks[self.operation] += 1

    def add_bad_lines(self, lines: int) -> None:
        """Lines of the current page arrive damaged. Only a receive without ECM notices."""
        self._must_live()
        if self.operation != "receive" or self.ecm:
            raise ValueError(f"a {self.operation} session (ECM {self.ecm}) counts no bad lines")
        self.bad_lines += lines
        self.truth.bad_lines += lines

    def confirm_page(self) -> None:
        """The page counts as done; its bad lines still stand until the next page begins."""
        self._must_live()
        self.pages += 1
        self.truth.pages[self.operation] += 1

    def begin_page(self) -> None:
        """A further page begins: the count of bad lines starts again at 0."""
        self._must_live()
        self.bad_lines = 0

    def finish_page(self, *, last: bool = False) -> None:
        """The page is done and, unless it was the last, the next one begins at the same moment."""
        self.confirm_page()
        if not last:
            self.begin_page()

    def reject_page(self) -> None:
        """The page has to be sent again: its bad lines go back to 0, no page is counted."""
        self.begin_page()
        self.truth.rejected_pages[self.operation] += 1


class DemoPbx:
    """The PBX and its AMI: `await start()`, then let faxes happen with `begin`, `end` and friends.

    `clock` gives seconds since the epoch. `sleep` is used for `delay` and for late events.
    """

    def __init__(
        self,
        *,
        username: str = "demo",
        secret: str = "demo",
        read: Iterable[str] = ("call",),
        write: Iterable[str] = ("call", "reporting"),
        channelvars: bool = True,
        version: str = "22.10.0",
        ami_version: str = "11.0.0",
        res_fax: bool = True,
        technology: str = "Spandsp",
        allowmultiplelogin: bool = True,
        authlimit: int = 50,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        # manager.conf; like Asterisk's, read and write apply from the next login on
        self.username, self.secret = username, secret
        self.read, self.write = frozenset(read), frozenset(write)
        self.channelvars = channelvars
        self.allowmultiplelogin = allowmultiplelogin
        self.authlimit = authlimit
        """So many connections that have not logged in; the next is closed without a greeting."""
        self.technology = technology
        """Whose sessions begin; Spandsp's alone answer to FAXSession."""
        self.version, self.ami_version = version, ami_version
        self.clock, self.sleep = clock, sleep
        self.keeps_time = True
        """False: its clock begins at the same moment with each start, as without a battery."""
        self.originate: Callable[[Mapping[str, str]], Coroutine[Any, Any, None]] | None = None
        """What an Originate starts, given its headers by lower-case name; refused if None."""

        # what happened
        self.truth = Truth()
        self.crashed = False
        self.queries: deque[Query] = deque(maxlen=10_000)
        self.connections: list[float] = []
        """Times, by `clock`; likewise `logins` and `failed_logins`."""
        self.logins: list[float] = []
        self.failed_logins: list[float] = []
        self.refused_actions: list[float] = []
        """While it shut down: each is an ERROR line in Asterisk's log."""

        # faults
        self.delay: dict[str, float] = {}
        """Seconds that an answer is late, by action."""
        self.mute = False
        """Nothing is sent to anybody, and what would have been is lost."""
        self.chunk = 0
        """Bytes that leave at once; 0 is all."""
        self.rewrite: Callable[[str, bytes], bytes] | None = None
        """Changes an answer before it is sent, given the action and what it would have been."""

        self.host, self.port = "127.0.0.1", 0
        self._ssl: SSLContext | None = None
        self._listener: socket.socket | None = None
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.started = 0.0
        self.res_fax = res_fax
        self._boot()

    def _boot(self) -> None:
        self.shutting_down = False
        """`core stop gracefully` waits for the last call: every action is refused."""
        self._returns = False
        # Asterisk takes longer than a second to start, and tells its start to the second.
        if self.keeps_time or not self.started:
            self.started = max(self.clock(), self.started + 1)
        self._channels = 0
        self.calls_begun = 0
        """Since this start of Asterisk, on whichever channels."""
        self._begin_life()

    def _begin_life(self) -> None:
        self._life = object()
        self._numbers = 0
        self.sessions: dict[int, DemoSession] = {}
        self.stats = Stats()

    @property
    def major(self) -> int:
        """Of `version`; what one Asterisk writes another does not."""
        number = re.match(r"(?:1\.)?(\d+)", self.version)
        return int(number[1]) if number else 22

    @property
    def is_ancient(self) -> bool:
        """Up to Asterisk 12 there are no FAX actions, and no channel variables on events."""
        return self.major < 13

    # --- the life of Asterisk

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, ssl: SSLContext | None = None
    ) -> None:
        """Listens; port 0 takes a free one, which `port` then tells."""
        self.host, self.port, self._ssl = host, port, ssl
        self.accept_connections()

    async def stop(self) -> None:
        """Ends everything; again is no harm."""
        self.refuse_connections()
        self.drop_connections()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def restart(self) -> None:
        """Asterisk ends and is back at once, also after a crash: nothing it counted is left."""
        self._end_all()
        self.drop_connections()
        self.crashed = False
        self._boot()
        if self._listener is None:
            self.accept_connections()

    def unload_res_fax(self) -> None:
        """Its faxes end unheard, its actions are unknown."""
        self._end_all()
        self.res_fax = False

    def load_res_fax(self) -> None:
        """Session numbers and FAXStats begin at 0."""
        self.res_fax = True
        self._begin_life()

    def reload_res_fax(self) -> None:
        """`module unload` and `module load`."""
        self.unload_res_fax()
        self.load_res_fax()

    def _end_all(self) -> None:
        for session in self.sessions.values():
            session.gone = True
            self.truth.ended[session.operation] += 1
        self.sessions.clear()

    def shut_down(self, *, restart: bool = False) -> None:
        """`core stop gracefully`, or `core restart gracefully`: Asterisk ends once the last session
        has, at once if there is none."""
        self.shutting_down, self._returns = True, restart
        self._end_if_idle()

    def abort_shutdown(self) -> None:
        """`core abort shutdown`."""
        self.shutting_down = False

    def _end_if_idle(self) -> None:
        if self.shutting_down and not self.sessions:
            self.refuse_connections()
            self.spawn(self._end_in_good_order())

    async def _end_in_good_order(self) -> None:
        await asyncio.gather(*(client.leave() for client in list(self._clients)))
        if self._returns:
            self.restart()

    def crash(self) -> None:
        """SIGSEGV: every connection is lost and nobody listens any more, until `restart`."""
        self.crashed = True
        self._end_all()
        self.refuse_connections()
        self.drop_connections()

    # --- faxes

    def new_channel(self, name: str) -> str:
        """A channel's full name, with its serial: `PJSIP/trunk-berlin-0000001a`."""
        self._channels += 1
        return f"{name}-{self._channels - 1:08x}"

    def begin(
        self,
        operation: str,
        channel: str,
        *,
        transport: str | None = None,
        files: Iterable[str] = (),
        state: str | None = None,
        linkedid: str | None = None,
    ) -> DemoSession:
        """A session appears in the list: Initialized, but a V.21 detector is Active at once.

        Raises FaxGone if Asterisk has crashed or res_fax is not loaded.
        """
        if self.crashed or not self.res_fax:
            raise FaxGone("Asterisk has crashed" if self.crashed else "res_fax is not loaded")
        fax = operation in _FAXES
        uniqueid = f"{int(self.clock())}.{self._numbers}"
        received = (f"/var/spool/asterisk/fax/rx-{uniqueid}.tif",) if operation == "receive" else ()
        session = DemoSession(
            number=self._numbers,
            operation=operation,
            channel=channel,
            transport=transport or ("G.711" if fax else "none"),
            files=tuple(files) or received,
            state=state or ("Active" if operation == "V.21" else "Initialized"),
            rate=UNTRAINED_RATE if fax else 0,
            uniqueid=uniqueid,
            linkedid=linkedid or uniqueid,
            truth=self.truth,
            life=self._life,
            technology=self.technology,
        )
        self._numbers += 1
        self.calls_begun += 1
        self.sessions[session.number] = session
        self.truth.started[operation] += 1
        if fax:
            self.attempt(operation)
        return session

    def attempt(self, operation: str) -> None:
        """SendFAX or ReceiveFAX was called. Alone: one that never became a session."""
        if operation == "send":
            self.stats.transmit_attempts += 1
        else:
            self.stats.receive_attempts += 1

    def end(
        self,
        session: DemoSession,
        *,
        status: str = "SUCCESS",
        error: str = "",
        status_string: str | None = None,
        pages: int | None = None,
        announce: bool = True,
    ) -> None:
        """The session leaves the list; its event is sent unless `announce` is left for later.

        `pages` is what the event says, by default the truth. Gateways and V.21 detectors have no
        result and no event. Raises FaxGone if it had ended already.
        """
        if session.gone:
            raise FaxGone(f"session {session.number} on {session.channel} has ended already")
        session.gone = True
        del self.sessions[session.number]
        self.truth.ended[session.operation] += 1
        if session.operation not in _FAXES:
            self._end_if_idle()
            return
        self.stats.completed += 1
        self.stats.failed += status == "FAILED"
        mode = "T38" if session.transport == "T.38" else "audio"
        session.completion = Completion(session.operation, mode, status, error)
        session.status_string = status_string or ("OK" if status == "SUCCESS" else error)
        session.pages_transferred = session.pages if pages is None else pages
        self.truth.completions[session.completion] += 1
        if announce:
            self.announce(session)
        self._end_if_idle()

    def drop(
        self, session: DemoSession, *, pages: int | None = None, announce: bool = True
    ) -> None:
        """The call of a session is hung up before its fax was over."""
        self.end(session, status="FAILED", error=DROPPED, pages=pages, announce=announce)

    def fail_to_start(self, operation: str, channel: str, *, files: Iterable[str] = ()) -> None:
        """A fax for which no session can be made, as without a timing module. FAXStats counts it as
        failed and not as completed, and an event tells of it."""
        session = self.begin(operation, channel, files=files)
        del self.sessions[session.number]
        self.truth.started[operation] -= 1
        self.stats.failed += 1
        session.gone, session.began = True, False
        error, session.status_string = _NO_SESSION[operation]
        session.completion = Completion(operation, "audio", "FAILED", error)
        self.announce(session)

    def hang_up(self, channel: str) -> bool:
        """Hangs a channel up, and the other half of a Local channel; False if it has no session."""
        call = channel[:-2] if channel.endswith((";1", ";2")) else channel
        halves = (channel,) if call == channel else (f"{call};2", f"{call};1")
        found = [
            session
            for half in halves
            for session in self.sessions.values()
            if (session.moved_to or session.channel) == half
        ]
        for session in found:
            self.drop(session)
        return bool(found)

    def announce(self, session: DemoSession) -> None:
        """Sends the completion event of an ended session, to those who may read class call.

        Raises FaxGone if Asterisk or res_fax was restarted since.
        """
        if session.completion is None:
            raise ValueError(f"session {session.number} has no completion to announce")
        if self.crashed or session.life is not self._life:
            raise FaxGone(f"session {session.number} on {session.channel} is forgotten")
        event = _message(*self._completion_event(session, session.completion))
        hearers = [client for client in self._clients if client.hears("call")]
        for client in hearers:
            client.event(event)
        if hearers and not self.mute:
            told = self.truth.heard if session.began else self.truth.never_began
            told[session.completion] += 1

    def _completion_event(self, session: DemoSession, completion: Completion) -> Iterable[str]:
        send = session.operation == "send"
        variables = {
            "FAXSTATUS": completion.status,
            "FAXERROR": completion.error,
            "FAXMODE": completion.mode,
            "FAXSTATUSSTRING": session.status_string,
        }
        yield f"Event: {'SendFAX' if send else 'ReceiveFAX'}"
        yield "Privilege: call,all"
        yield f"Channel: {session.moved_to or session.channel}"
        if self.is_ancient:
            yield "Context: fax"
            yield "Exten: recv"
            yield "CallerID: "
            yield "RemoteStationID: unknown"
            yield "LocalStationID: unknown"
            yield from self._numbers_and_files(session)
            return
        yield "ChannelState: 6"
        yield "ChannelStateDesc: Up"
        yield "CallerIDNum: <unknown>"
        yield "CallerIDName: <unknown>"
        yield "ConnectedLineNum: <unknown>"
        yield "ConnectedLineName: <unknown>"
        yield "Language: en"
        yield "AccountCode: "
        yield "Context: fax"
        yield "Exten: recv"
        yield f"Priority: {1 if send else 2}"
        yield f"Uniqueid: {session.uniqueid}"
        yield f"Linkedid: {session.linkedid}"
        if self.channelvars:
            yield from (f"ChanVariable: {name}={value}" for name, value in variables.items())
        yield f"LocalStationID: {'unknown' if self.major < 16 else ''}"
        yield f"RemoteStationID: {'unknown' if self.major < 16 else ''}"
        yield from self._numbers_and_files(session)

    def _numbers_and_files(self, session: DemoSession) -> Iterable[str]:
        yield f"PagesTransferred: {session.pages_transferred}"
        yield "Resolution: {}".format("{}x{}".format(*session.resolution) if session.began else "")
        yield f"TransferRate: {session.rate if session.began else ''}"
        yield from (f"FileName: {name}" for name in session.files)

    # --- connections

    def logged_in(self, username: str) -> bool:
        """Whether anybody is, under this name."""
        return any(client.username == username for client in self._clients)

    def accept_connections(self) -> None:
        """Listens on `host` and `port` again."""
        # Not asyncio.start_server: it cannot listen at once, as `restart` has to.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=100)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def refuse_connections(self) -> None:
        """Nobody listens any more, until `accept_connections`; who is connected stays."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def drop_connections(self) -> None:
        """Every connection ends, in the middle of whatever it says."""
        for client in self._clients:
            client.abort()

    def inject(self, data: bytes) -> None:
        """Sends raw bytes to everybody who is connected, now."""
        for client in self._clients:
            client.write(data)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # the caller was gone before we picked up
            return
        # asyncio does so itself only for sockets it has made.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections.append(self.clock())
        self.spawn(self._serve(connection))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work until it is done or the PBX is stopped."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader: asyncio.StreamReader | TlsLine
        writer: asyncio.StreamWriter | TlsLine
        if self._ssl is None:
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        else:
            line = TlsLine(self._ssl, buffered=self.version.startswith("13."))
            reader = writer = line
            await loop.connect_accepted_socket(lambda: line, connection)
            try:
                await line.shake_hands()
            except OSError:  # no TLS came of it
                return
        client = _Client(self, reader, writer)
        if sum(not one.username for one in self._clients) >= self.authlimit:
            await client.close()
            return
        self._clients.add(client)
        try:
            # ConnectionError: the other end is gone. ValueError: a line too long to be an action.
            with suppress(ConnectionError, ValueError):
                await client.talk()
        finally:
            self._clients.discard(client)
            await client.close()


class _Client:
    """One AMI connection: its login and its place in the conversation."""

    def __init__(
        self,
        pbx: DemoPbx,
        reader: asyncio.StreamReader | TlsLine,
        writer: asyncio.StreamWriter | TlsLine,
    ) -> None:
        self._pbx, self._reader, self._writer = pbx, reader, writer
        self._turn = asyncio.Lock()  # answers and events never mix
        self._events: deque[bytes] = deque()
        self._challenge = ""
        self._logged_in = False
        self.username = ""
        """Once logged in."""
        self._wants_events = True
        self._leaving = False
        self._read: frozenset[str] = frozenset()
        self._write: frozenset[str] = frozenset()

    # --- bytes

    def hears(self, event_class: str) -> bool:
        """Whether events of a class are for this client."""
        listens = self._logged_in and self._wants_events and not self._writer.is_closing()
        return listens and event_class in self._read

    def event(self, event: bytes) -> None:
        """Sends an event as soon as no action is being answered."""
        self._events.append(event)
        self._pbx.spawn(self._flush())

    async def _flush(self) -> None:
        async with self._turn:
            await self._send_events()

    async def _send_events(self) -> None:
        while self._events:
            await self._send(self._events.popleft())

    def write(self, data: bytes) -> None:
        """Sends bytes now, whatever else is being said."""
        if not self._pbx.mute and not self._writer.is_closing():
            self._writer.write(data)

    async def _send(self, data: bytes) -> None:
        size = self._pbx.chunk or max(len(data), 1)
        for start in range(0, len(data), size):
            self.write(data[start : start + size])
            for _ in range(3):  # so long it takes a reader in this loop to see these bytes alone
                await asyncio.sleep(0)

    def abort(self) -> None:
        """Ends the connection without sending what is left."""
        self._writer.transport.abort()

    async def leave(self) -> None:
        """Ends the connection after sending what is left, events too."""
        await self._flush()
        await self.close()

    async def close(self) -> None:
        """Ends the connection after sending what is left."""
        self._writer.close()
        with suppress(OSError):  # the other end was first
            await self._writer.wait_closed()

    async def _read_action(self) -> dict[str, str] | None:
        headers: dict[str, str] = {}
        while line := await self._reader.readline():
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text:
                return headers
            name, _, value = text.partition(":")
            headers.setdefault(name.strip().lower(), value.strip())
        return None

    # --- the conversation

    async def talk(self) -> None:
        """Greets, and answers one action after the other until one side has enough."""
        async with self._turn:
            await self._send(f"Asterisk Call Manager/{self._pbx.ami_version}\r\n".encode())
        while not self._leaving and (headers := await self._read_action()) is not None:
            async with self._turn:
                await self._act(headers)
                await self._send_events()

    async def _act(self, headers: dict[str, str]) -> None:
        pbx, action = self._pbx, headers.get("action", "")
        known = _ACTIONS.get(action.lower())
        name = known.name if known else action
        if not pbx.allowmultiplelogin and self._in_use(name, headers):
            await pbx.sleep(1)
            self._leaving = True
            answer = _Reply(headers.get("actionid", "")).error("Login Already In Use")
        else:
            answer = self._answer(known, action, headers)
        if pbx.rewrite:
            answer = pbx.rewrite(name, answer)
        if seconds := pbx.delay.get(name):
            await pbx.sleep(seconds)
        await self._send(answer)

    def _answer(self, known: "_Action | None", action: str, headers: dict[str, str]) -> bytes:
        reply = _Reply(headers.get("actionid", ""))
        if not action:
            return reply.error("Missing action in request")
        if self._pbx.shutting_down:
            self._pbx.refused_actions.append(self._pbx.clock())
            return reply.error("Asterisk is shutting down")
        if not self._logged_in and (known is None or known.name not in _BEFORE_LOGIN):
            return reply.error("Permission denied")
        has_fax = self._pbx.res_fax and not self._pbx.is_ancient
        if known is None or (known.name in _RES_FAX and not has_fax):
            return reply.error(
                f"Invalid/unknown command: {action}. "
                "Use Action: ListCommands to show available commands."
            )
        if known.classes and not known.classes & self._write:
            return reply.error("Permission denied")
        return known.answer(self, reply, headers)

    def _in_use(self, action: str, headers: dict[str, str]) -> bool:
        """Whether somebody is logged in under the name that this connection wants to have."""
        if self._logged_in or self._pbx.shutting_down or action not in ("Challenge", "Login"):
            return False
        name = headers.get("username", "")
        return bool(name) and self._pbx.logged_in(name)

    def _say_challenge(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        if headers.get("authtype", "").upper() != "MD5":
            return reply.error("Must specify AuthType")
        self._challenge = str(random.randrange(10**8, 10**9))
        return reply.success(f"Challenge: {self._challenge}")

    def _log_in(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        pbx = self._pbx
        if self._logged_in:
            return reply.success("Message: Already authenticated")
        if headers.get("authtype", "").upper() == "MD5":
            digest = hashlib.md5((self._challenge + pbx.secret).encode(), usedforsecurity=False)
            right = bool(self._challenge) and headers.get("key") == digest.hexdigest()
        else:
            right = headers.get("secret") == pbx.secret
        if headers.get("username") != pbx.username or not right:
            pbx.failed_logins.append(pbx.clock())
            self._leaving = True
            return reply.error("Authentication failed")
        pbx.logins.append(pbx.clock())
        self._logged_in = True
        self.username = pbx.username
        self._read, self._write = pbx.read, pbx.write
        self._wants_events = headers.get("events", "on").lower() != "off"
        if self.hears("system"):
            up = int(pbx.clock() - pbx.started)
            self._events.append(
                _message(
                    "Event: FullyBooted",
                    "Privilege: system,all",
                    f"Uptime: {up}",
                    f"LastReload: {up}",
                    "Status: Fully Booted",
                )
            )
        return reply.success("Message: Authentication accepted")

    def _log_off(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        self._leaving = True
        return reply.response("Goodbye", "Message: Thanks for all the fish.")

    def _ping(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        return reply.success("Ping: Pong", f"Timestamp: {self._pbx.clock():.6f}")

    def _set_events(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        mask = headers.get("eventmask", "").lower()
        if not mask:
            return reply.error("Invalid event mask")
        self._wants_events = not _EVENT_MASKS.isdisjoint(mask.split(","))
        return reply.success(f"Events: {'On' if self._wants_events else 'Off'}")

    def _core_status(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        pbx = self._pbx
        started = datetime.fromtimestamp(pbx.started)
        calls = len({session.channel for session in pbx.sessions.values()})
        return reply.success(
            f"CoreStartupDate: {started:%Y-%m-%d}",
            f"CoreStartupTime: {started:%H:%M:%S}",
            f"CoreReloadDate: {started:%Y-%m-%d}",
            f"CoreReloadTime: {started:%H:%M:%S}",
            f"CoreCurrentCalls: {calls}",
            *((f"CoreProcessedCalls: {pbx.calls_begun}",) if pbx.major >= 20 else ()),
        )

    def _core_settings(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        return reply.success(
            f"AMIversion: {self._pbx.ami_version}",
            f"AsteriskVersion: {self._pbx.version}",
            "SystemName: ",
            "CoreMaxCalls: 0",
            "CoreMaxLoadAvg: 0.000000",
            "CoreRunUser: ",
            "CoreRunGroup: ",
            "CoreMaxFilehandles: 0",
            "CoreRealTimeEnabled: No",
            "CoreCDRenabled: Yes",
            "CoreHTTPenabled: No",
            *(("SoundsSearchCustomDir: No",) if self._pbx.major >= 18 else ()),
        )

    def _fax_sessions(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        # Asterisk keeps them in ten buckets by number, and lists bucket by bucket.
        listed = sorted(self._pbx.sessions.values(), key=lambda s: (s.number % 10, s.number))
        entries = (
            reply.event(
                "FAXSessionsEntry",
                f"Channel: {session.channel}",
                f"Technology: {session.technology}",
                f"SessionNumber: {session.number}",
                f"SessionType: {session.transport}",
                f"Operation: {session.operation}",
                f"State: {session.state}",
                f"Files: {','.join(session.files)}",
            )
            for session in listed
        )
        return b"".join(
            (
                reply.success("EventList: Start", _will_follow("FAXSessionsEntry event list")),
                *entries,
                reply.event(
                    "FAXSessionsComplete",
                    "EventList: Complete",
                    f"ListItems: {len(listed)}",
                    f"Total: {len(listed)}",
                ),
            )
        )

    def _fax_session(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        pbx, number = self._pbx, headers.get("sessionnumber", "")
        if not (number.isascii() and number.isdigit()):
            return reply.error("Invalid session ID")
        session = pbx.sessions.get(int(number))
        if session is None:
            pbx.queries.append(Query(int(number), "", ""))
            return reply.error("Session not found")
        pbx.queries.append(Query(session.number, session.operation, session.state))
        if session.technology != "Spandsp":
            return reply.error("Fax technology doesn't provide a handler for FAXSession")
        fields = [
            f"SessionNumber: {session.number}",
            f"Operation: {session.operation}",
            f"State: {session.state}",
        ]
        if session.operation in _FAXES and session.state in _WITHOUT_MODEM:
            pbx.crash()  # Asterisk reads through a null pointer here
            return b""
        if session.state != "Uninitialized":
            fields += _numbers(session)
        follow = reply.success(_will_follow("FAXSession event"))
        return follow + reply.event("FAXSession", *fields)

    def _fax_stats(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        stats = self._pbx.stats
        return reply.success(_will_follow("FAXStats event")) + reply.event(
            "FAXStats",
            f"CurrentSessions: {len(self._pbx.sessions)}",
            f"ReservedSessions: {stats.reserved}",
            f"TransmitAttempts: {stats.transmit_attempts}",
            f"ReceiveAttempts: {stats.receive_attempts}",
            f"CompletedFAXes: {stats.completed}",
            f"FailedFAXes: {stats.failed}",
        )

    def _originate(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        channel = headers.get("channel", "")
        if not channel:
            return reply.error("Channel not specified")
        if "/" not in channel:
            return reply.error("Invalid channel")
        if headers.get("application", "").lower() != "sendfax" or self._pbx.originate is None:
            return reply.error("Originate failed")
        self._pbx.spawn(self._pbx.originate(headers))
        return reply.success("Message: Originate successfully queued")

    def _hang_up(self, reply: "_Reply", headers: dict[str, str]) -> bytes:
        channel = headers.get("channel", "")
        if not channel:
            return reply.error("No channel specified")
        if not self._pbx.hang_up(channel):
            return reply.error("No such channel")
        return reply.success("Message: Channel Hungup")


# --- the words of AMI


def _message(*lines: str) -> bytes:
    # surrogateescape: a test can have any bytes in a name.
    return ("\r\n".join(lines) + "\r\n\r\n").encode(errors="surrogateescape")


def _will_follow(what: str) -> str:
    return f"Message: {what} will follow"


def _numbers(session: DemoSession) -> list[str]:
    if session.operation == "gateway":
        return [
            f"ErrorCorrectionMode: {'yes' if session.ecm else 'no'}",
            f"DataRate: {session.rate}",
            f"PageNumber: {session.pages + 1}",
        ]
    if session.operation not in _FAXES:
        return []
    send = session.operation == "send"
    return [
        f"ErrorCorrectionMode: {'Yes' if session.ecm else 'No'}",
        f"DataRate: {session.rate}",
        "ImageResolution: {}x{}".format(*session.resolution),
        f"PageNumber: {session.pages + 1}",
        f"FileName: {session.files[0] if session.files else ''}",
        f"PagesTransmitted: {session.pages if send else 0}",
        f"PagesReceived: {0 if send else session.pages}",
        f"TotalBadLines: {session.bad_lines}",
    ]


class _Reply:
    """Messages that answer one action, and so carry its ActionID if it had one."""

    def __init__(self, action_id: str) -> None:
        self._id = (f"ActionID: {action_id}",) if action_id else ()

    def response(self, result: str, *lines: str) -> bytes:
        return _message(f"Response: {result}", *self._id, *lines)

    def success(self, *lines: str) -> bytes:
        return self.response("Success", *lines)

    def error(self, text: str) -> bytes:
        return self.response("Error", f"Message: {text}")

    def event(self, name: str, *lines: str) -> bytes:
        return _message(f"Event: {name}", *self._id, *lines)


class _Action(NamedTuple):
    name: str
    classes: frozenset[str]
    """Any of these write classes is enough; none means everybody."""
    answer: Callable[[_Client, _Reply, dict[str, str]], bytes]


_ACTIONS: Final = {
    name.lower(): _Action(name, frozenset(classes), answer)
    for name, classes, answer in (
        ("Challenge", (), _Client._say_challenge),
        ("Login", (), _Client._log_in),
        ("Logoff", (), _Client._log_off),
        ("Ping", (), _Client._ping),
        ("Events", (), _Client._set_events),
        ("CoreStatus", ("system", "reporting"), _Client._core_status),
        ("CoreSettings", ("system", "reporting"), _Client._core_settings),
        ("FAXSessions", ("call",), _Client._fax_sessions),
        ("FAXSession", ("call",), _Client._fax_session),
        ("FAXStats", ("reporting",), _Client._fax_stats),
        ("Originate", ("originate",), _Client._originate),
        ("Hangup", ("system", "call"), _Client._hang_up),
    )
}
_BEFORE_LOGIN: Final = ("Challenge", "Login", "Logoff")
_RES_FAX: Final = ("FAXSessions", "FAXSession", "FAXStats")
_WITHOUT_MODEM: Final = ("Initialized", "Open", "Reserved", "Inactive")
_EVENT_MASKS: Final = frozenset({"on", "all", "call", "system", "reporting", "1", "true", "yes"})
