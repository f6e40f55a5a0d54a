"""The listening socket, its connections and their limits. What is served is not known here.

All that a client can be slow with has a deadline. When there is no place for a new connection, it
takes that of the one that has waited longest: for a handshake, for a request or the rest of it, or
for its user to be known. Only those that are answered to who may ask keep their place.
"""

import asyncio
import logging
import ssl
from enum import Enum
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from exporter.settings import ListenAddress, WebConfigFile
from exporter.web import auth

log = logging.getLogger(__name__)

MAX_LINE: Final = 8190
"""Bytes of a request line: what Apache takes."""
MAX_HEADER: Final = 8190
"""Bytes of one header: the same."""
MAX_HEADERS: Final = 64
"""Headers of a request: Prometheus sends 6, and a proxy adds some."""
MAX_BODY: Final = 16 * 1024
"""Bytes: nothing here needs a body, but some clients send one."""
REQUEST_SECONDS: Final = 10.0
"""For a TLS handshake, for the first byte on a new connection, and from the first byte of a
request to its last: none of them takes a second, however bad the network."""
IDLE_SECONDS: Final = 120.0
"""Between two requests: Prometheus keeps a connection, and scrapes at intervals up to 1 min."""
TAKE_SECONDS: Final = 30.0
"""For a client to take a response: three times as long as Prometheus waits for one."""
LINGER_SECONDS: Final = 2.0
"""After a refusal, for a client to read it: it is lost if the connection ends in mid-request."""
SHUTDOWN_SECONDS: Final = 1.0
"""Time that a scrape under way has to finish when the exporter ends."""

_TLS_CLOSE_SECONDS: Final = 2.0  # for the other side to say that it has heard the end
_LOOK_SECONDS: Final = 0.1  # from look to look at what a slow client has taken


def middlewares(config: WebConfigFile) -> list[Middleware]:
    """What stands before every route."""
    return [_complete, auth.middleware(config), _allowed]


@web.middleware
async def _complete(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Takes all of the request in, and drops the body: no route needs one."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.receiving()
    size = request.content_length or 0
    try:
        while size <= MAX_BODY and (chunk := await request.content.readany()):
            # The length that was promised is counted already.
            size += len(chunk) if request.content_length is None else 0
    except web.RequestPayloadError:
        return _refused(400, "the body is malformed\n")
    if size > MAX_BODY:
        return _refused(413, f"a body may have {MAX_BODY} bytes\n")
    if isinstance(connection, Connection):
        connection.received()
    return await handler(request)


@web.middleware
async def _allowed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keeps the connection's place: from here on what takes time is not the client's fault."""
    if isinstance(request.protocol, Connection):
        request.protocol.keeps_its_place()
    return await handler(request)


def _refused(status: int, text: str) -> web.StreamResponse:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response


class _State(Enum):
    SHAKING_HANDS = "the connection is not made yet"
    IDLE = "no byte of a request has come since the last response"
    RECEIVING = "a request has begun"
    ANSWERING = "the request is complete, its response not yet sent"


class Connection(web.RequestHandler):
    """One client: HTTP is aiohttp's part, deadlines are this one's."""

    def __init__(self, manager: web.Server, transport: asyncio.Transport, server: "Server") -> None:
        # With Any, since aiohttp takes None for no access log, and its types do not.
        options: dict[str, Any] = {"access_log": None, "logger": log}
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            max_line_size=MAX_LINE,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
            **options,
        )
        self.ssl_context_used: ssl.SSLContext | None = None
        self._state = _State.SHAKING_HANDS
        self._tcp = transport
        self._server = server
        self._deadline: asyncio.TimerHandle | None = None
        self._early = b""
        self._more = False  # came while the request before was being answered

    @property
    def idle(self) -> bool:
        """No byte of a request has come since the last response."""
        return self._state is _State.IDLE

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Shakes hands, then serves. Raises OSError, with the connection closed."""
        self.ssl_context_used = context
        if self._tcp.is_closing():  # nobody would tell it
            raise ConnectionResetError
        transport: asyncio.Transport | None = await asyncio.get_running_loop().start_tls(
            self._tcp,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=REQUEST_SECONDS,
            ssl_shutdown_timeout=_TLS_CLOSE_SECONDS,
        )
        if transport is None:  # lost at that very moment
            raise ConnectionResetError
        self.connection_made(transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the first request."""
        super().connection_made(transport)
        self._waits(_State.IDLE, REQUEST_SECONDS)
        if self._early:
            self.data_received(self._early)
            self._early = b""

    def data_received(self, data: bytes) -> None:
        """Takes in a part of a request, or several."""
        if self._state is _State.SHAKING_HANDS:
            # The last packet of a handshake can bring the first request with it.
            self._early += data
            return
        if self._state is _State.ANSWERING:
            self._more = True
        else:
            self.receiving()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Is no more."""
        super().connection_lost(exc)
        self._forget()

    def receiving(self) -> None:
        """A request has begun; from here on it has its time."""
        if self._state is not _State.RECEIVING:
            self._waits(_State.RECEIVING, REQUEST_SECONDS)

    def received(self) -> None:
        """The request is complete."""
        self._waits(_State.ANSWERING, None)
        self._more = False

    def keeps_its_place(self) -> None:
        """The request is one that may be made."""
        self._server.waits_no_more(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Sends a response, with the headers of the file, and sees that the client takes it.

        Every response comes here, also aiohttp's own about what is not HTTP.
        """
        config = self._server.config.current
        for name, value in config.headers.items():
            resp.headers[name] = value
        if self.ssl_context_used is not config.ssl_context:
            resp.force_close()
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                result = await super().finish_response(request, resp, start_time)
                # Under TLS aiohttp's transport is empty as soon as all is encrypted.
                while self._tcp.get_write_buffer_size():
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            self.abort()
            return resp, True
        if self._more:
            self._waits(_State.RECEIVING, REQUEST_SECONDS)
        else:
            self._waits(_State.IDLE, IDLE_SECONDS)
        return result

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Logs what is wrong here; what is wrong with a client is nobody's concern but its own."""
        if isinstance(kw.get("exc_info"), HttpProcessingError | ConnectionError):
            log.debug(*args)
        else:
            super().log_exception(*args, **kw)

    def abort(self) -> None:
        """Ends the connection at once, whatever is still to be sent."""
        self._forget()
        self._tcp.abort()

    def _forget(self) -> None:
        self._set_deadline(None)
        self._server.forget(self)

    def _waits(self, state: _State, seconds: float | None) -> None:
        self._state = state
        self._set_deadline(seconds if self._server.waits(self) else None)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)


class _Accepted(asyncio.Protocol):
    """Hands a new connection over, before a byte of it is read."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._server.accept(transport)


class Server:
    """Serves an application at one address."""

    def __init__(
        self,
        app: web.Application,
        address: ListenAddress,
        config: WebConfigFile,
        *,
        max_connections: int,
    ) -> None:
        """Listens nowhere yet."""
        self.config = config
        self._address = address
        self._max = max_connections
        self._runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS)
        self._listening: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # the one that has waited longest comes first
        self._handshakes: set[asyncio.Task[None]] = set()
        self._told_full = False

    async def start(self) -> None:
        """Listens. Raises OSError if the address is not free."""
        await self._runner.setup()
        try:
            listening = await asyncio.get_running_loop().create_server(
                lambda: _Accepted(self), self._address.host, self._address.port
            )
            if not listening.sockets:  # an older asyncio passes over a family there is not
                raise OSError("this machine has no addresses of that kind")
            self._listening = listening
        except BaseException:
            await self._runner.cleanup()
            raise
        self.config.changed.append(self._close_outdated)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port of each socket."""
        sockets = self._listening.sockets if self._listening is not None else ()
        return [socket.getsockname()[:2] for socket in sockets]

    async def stop(self) -> None:
        """Listens no more; what is under way has SHUTDOWN_SECONDS to finish."""
        if self._listening is None:
            return
        self.config.changed.remove(self._close_outdated)
        self._listening.close()
        self._listening = None
        for task in self._handshakes:
            task.cancel()
        await self._runner.cleanup()
        for connection in list(self._connections):
            connection.abort()

    def accept(self, transport: asyncio.Transport) -> None:
        """Gives a new connection a place, or none."""
        if self._listening is None:
            transport.abort()
            return
        if len(self._connections) >= self._max:
            longest = next(iter(self._waiting), None)
            if longest is None:
                transport.abort()
                if not self._told_full:
                    self._told_full = True
                    log.warning(
                        "all of %d connections are busy, new ones are refused; "
                        "see --web.max-connections",
                        self._max,
                    )
                return
            longest.abort()
        manager = self._runner.server
        assert manager is not None
        connection = Connection(manager, transport, self)
        self._connections.add(connection)
        context = self.config.current.ssl_context
        if context is None:
            transport.set_protocol(connection)
            connection.connection_made(transport)
        else:
            transport.pause_reading()
            self.waits(connection)
            task = asyncio.create_task(self._shake_hands(connection, context))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: Connection, context: ssl.SSLContext) -> None:
        try:
            await connection.start_tls(context)
        except OSError as error:
            log.debug("TLS handshake failed: %s", error)
            # Its frames hold asyncio's buffers, 256 KiB each, in a cycle that gc is slow to find.
            error.__traceback__ = None
            connection.abort()
        except BaseException:
            connection.abort()
            raise

    def waits(self, connection: Connection) -> bool:
        """Puts a connection last of those that wait; False if it has no place any more."""
        if connection not in self._connections:
            return False
        self._waiting.pop(connection, None)
        self._waiting[connection] = None
        return True

    def waits_no_more(self, connection: Connection) -> None:
        """Takes a connection out of those that wait."""
        self._waiting.pop(connection, None)

    def forget(self, connection: Connection) -> None:
        """Frees the place of a connection."""
        self._connections.discard(connection)
        self._waiting.pop(connection, None)
        self._told_full = self._told_full and len(self._connections) >= self._max

    def _close_outdated(self) -> None:
        context = self.config.current.ssl_context
        for connection in list(self._waiting):
            if connection.idle and connection.ssl_context_used is not context:
                connection.force_close()
