"""An Asterisk that exists only in memory, but speaks AMI on a real TCP port.

For `--demo` and for tests. It imports nothing of the exporter, so that a mistake there is not
repeated here; its words were recorded on Asterisk 11 to 23. Here it starts, listens, crashes and
ends; its faxes are in faxes.py, what it answers in actions.py.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, tzinfo
from ssl import SSLContext
from typing import Any

from exporter.demo.connection import Connection, Reader, Writer, streams
from exporter.demo.faxes import Faxes


class DemoPbx(Faxes):
    """The PBX and its AMI: `await start()`, then let faxes happen with `begin`, `end` and others.

    `clock` gives seconds since the epoch, `zone` is the one of its local time: None is that of this
    machine. `sleep` is what a late answer or event waits with.
    """

    connection: type[Connection] = Connection
    """What talks to a client."""

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
        zone: tzinfo | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(
            version=version,
            technology=technology,
            channelvars=channelvars,
            res_fax=res_fax,
            clock=clock,
        )
        # manager.conf; like Asterisk's, read and write apply from the next login on
        self.username, self.secret = username, secret
        self.read, self.write = frozenset(read), frozenset(write)
        self.allowmultiplelogin = allowmultiplelogin
        self.authlimit = authlimit
        """How many connections may be without a login; one more is closed without a greeting."""
        self.ami_version = ami_version
        self.zone = zone
        self.sleep = sleep
        self.func_strings = True
        """Whether that module is loaded: it has STRFTIME, the only function that is known."""
        self.keeps_time = True
        """False: with each start its clock begins at the same time, as without a battery."""
        self.originate: Callable[[Mapping[str, str]], Coroutine[Any, Any, None]] | None = None
        """What an Originate starts, given its headers by lower-case name; refused if None."""

        self.host, self.port = "127.0.0.1", 0
        self._ssl: SSLContext | None = None
        self._listener: socket.socket | None = None
        self.clients: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.started = 0.0
        self._boot()

    # --- start and end of Asterisk

    def _boot(self) -> None:
        self.shutting_down = False
        """`core stop gracefully` waits for the last call: every action is refused."""
        self._starts_again = False
        # A start takes Asterisk longer than a second; it tells the time of its start in seconds.
        if self.keeps_time or not self.started:
            self.started = max(self.clock(), self.started + 1)
        self._channels = self.calls_begun = 0
        self._begin_counting()

    def local(self, instant: float) -> datetime:
        """What its clock shows then."""
        return datetime.fromtimestamp(instant, self.zone)

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, ssl: SSLContext | None = None
    ) -> None:
        """Listens; port 0 takes a free one, which `port` then tells."""
        self.host, self.port, self._ssl = host, port, ssl
        self.accept_connections()

    async def stop(self) -> None:
        """Ends everything; may be called again."""
        self.refuse_connections()
        self.drop_connections()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def restart(self) -> None:
        """Asterisk ends, if it has not crashed, and is back at once; its counts begin at 0."""
        self._end_all()
        self.drop_connections()
        self.crashed = False
        self._boot()
        if self._listener is None:
            self.accept_connections()

    def shut_down(self, *, restart: bool = False) -> None:
        """`core stop gracefully`, or `core restart gracefully`: Asterisk ends once the last session
        has, at once if there is none."""
        self.shutting_down, self._starts_again = True, restart
        self._session_left()

    def abort_shutdown(self) -> None:
        """`core abort shutdown`."""
        self.shutting_down = False

    def _session_left(self) -> None:
        if self.shutting_down and not self.sessions:
            self.refuse_connections()
            self.spawn(self._end_in_good_order())

    async def _end_in_good_order(self) -> None:
        await asyncio.gather(*(client.leave() for client in list(self.clients)))
        if self._starts_again:
            self.restart()

    def crash(self) -> None:
        """SIGSEGV: every connection is lost and nothing listens, until `restart`."""
        self.crashed = True
        self._end_all()
        self.refuse_connections()
        self.drop_connections()

    # --- connections

    def logged_in(self, username: str) -> bool:
        """Whether anybody is, under this name."""
        return any(client.dialogue.username == username for client in self.clients)

    def accept_connections(self) -> None:
        """Listens on `host` and `port` again."""
        # Not asyncio.start_server: it cannot listen at once, as `restart` has to.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=100)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def refuse_connections(self) -> None:
        """Stops listening, until `accept_connections`; those who are connected stay."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def drop_connections(self) -> None:
        """Ends every connection, even in the middle of a message."""
        for client in self.clients:
            client.abort()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # the caller was gone before we picked up
            return
        # asyncio does so itself only for sockets it has made.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.spawn(self.open(connection))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work until it is done or the PBX is stopped."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self, connection: socket.socket) -> None:
        """Serves one client, until one side ends the connection."""
        buffered = self.version.startswith("13.")
        try:
            reader, writer = await streams(connection, self._ssl, buffered=buffered)
        except OSError:  # the TLS handshake failed
            return
        await self.serve(reader, writer)

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Serves one client over these streams."""
        client = self.connection(self, reader, writer)
        if sum(one.dialogue.username is None for one in self.clients) >= self.authlimit:
            await client.close()
            return
        self.clients.add(client)
        try:
            # ConnectionError: the other end is gone. ValueError: a line too long to be an action.
            with suppress(ConnectionError, ValueError):
                await client.talk()
        finally:
            self.clients.discard(client)
            await client.close()

    def _send_event(self, event: bytes) -> bool:
        hearing = [client for client in self.clients if client.hears("call")]
        for client in hearing:
            client.event(event)
        return bool(hearing)
