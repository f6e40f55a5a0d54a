"""How aiohttp is set up to speak HTTP: its limits, and what it calls as a request goes on.

Only its public interface is used: the options of AppRunner, middlewares, the signal
on_response_prepare and an access logger. The last three tell a Connection how far a request is.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger, AbstractStreamWriter
from aiohttp.http import HttpProcessingError
from aiohttp.payload import Payload
from aiohttp.typedefs import Handler

from exporter.settings import WebConfigFile
from exporter.web import auth
from exporter.web.connection import LINGER_SECONDS, MAX_HEAD, Connection, Phase

MAX_HEADERS: Final = 64
"""Headers of a request: Prometheus sends 6, and a proxy adds some."""
MAX_BODY: Final = 16 * 1024
"""Bytes: nothing here needs a body, but some clients send one."""
SHUTDOWN_SECONDS: Final = 0.3
"""Time that a scrape under way has to finish when the exporter ends; aiohttp takes it twice."""
PIECE: Final = 16 * 1024
"""Bytes of a response that are given to the network at a time: what a client does not read is kept
once for all, and of it a copy of such a piece for each."""
MAX_UNDER_WAY: Final = 64 * 1024 * 1024
"""Bytes of bodies that clients are receiving: who reads slowly has one in memory for up to half a
minute, and the next one can be another."""
LITTLE: Final = 1024 * 1024
"""Bytes of a body that is sent, however much is under way."""
COME_AGAIN: Final[Mapping[str, str]] = {hdrs.RETRY_AFTER: "5"}
"""For whom there is no room now."""


def runner(app: web.Application, config: WebConfigFile) -> web.AppRunner:
    """What serves this application, to the users of the file only. Its protocols take a Connection
    as their transport: the deadlines are there."""
    app.middlewares.extend([_receive_all, auth.middleware(config), _note_login])
    app.on_response_prepare.append(_begin_response)
    return web.AppRunner(
        app,
        handler_cancellation=True,  # nobody waits for the answer to a client that has gone
        shutdown_timeout=SHUTDOWN_SECONDS,
        logger=_log,
        access_log=_log,
        access_log_class=_ResponseSent,
        max_line_size=MAX_HEAD,
        max_field_size=MAX_HEAD,
        max_headers=MAX_HEADERS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,
    )


class UnderWay:
    """Bodies that clients are receiving. Each is in memory for as long as it takes the slowest of
    those who have the same."""

    def __init__(self) -> None:
        """None yet."""
        self.size = 0
        """Bytes of all of them."""
        self._clients: Counter[int] = Counter()
        """How many receive each, by its identity."""

    def has_room(self, body: bytes) -> bool:
        """Whether this one can be sent too."""
        return len(body) <= LITTLE or self.size < MAX_UNDER_WAY or id(body) in self._clients

    def begin(self, body: bytes) -> None:
        """Somebody begins to receive this one."""
        if not self._clients[id(body)]:
            self.size += len(body)
        self._clients[id(body)] += 1

    def end(self, body: bytes) -> None:
        """He has it, or is gone."""
        self._clients[id(body)] -= 1
        if not self._clients[id(body)]:
            del self._clients[id(body)]
            self.size -= len(body)


class InPieces(Payload):
    """A body that is not copied as a whole for each client."""

    def __init__(self, body: bytes, under_way: UnderWay) -> None:
        """Nothing is sent yet. `under_way`: those among which it is while it is sent."""
        super().__init__(body)
        self._size = len(body)
        self._under_way = under_way

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text."""
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Sends it, each piece when the network has taken the one before."""
        whole = memoryview(self._value)
        self._under_way.begin(self._value)
        try:
            for begin in range(0, len(whole), PIECE):
                await writer.write(whole[begin : begin + PIECE])
                await writer.drain()
        finally:
            self._under_way.end(self._value)


def _connection(request: web.BaseRequest) -> Connection | None:
    """None if the client is gone."""
    transport = request.transport
    return transport if isinstance(transport, Connection) else None


@web.middleware
async def _receive_all(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Waits until all of the request has come. Its body is dropped: no route needs one."""
    if hdrs.TRANSFER_ENCODING in request.headers:
        # Its length is not known, nor how much of it is overhead, and a small client has neither.
        return _refused(411, "a body needs a Content-Length\n")
    size = request.content_length or 0
    if size > MAX_BODY:
        return _refused(413, f"a body may have {MAX_BODY} bytes\n")
    if (connection := _connection(request)) is not None:
        connection.body(size)
    try:
        await request.content.read()
    except web.RequestPayloadError:
        return _refused(400, "the body is malformed\n")
    if (connection := _connection(request)) is not None:
        connection.received()
    return await handler(request)


@web.middleware
async def _note_login(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Comes after auth.middleware, which knows who has logged in."""
    connection = _connection(request)
    if connection is not None and auth.logged_in(request):
        connection.logged_in()
    return await handler(request)


def _refused(status: int, text: str) -> web.StreamResponse:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response


async def _begin_response(request: web.Request, response: web.StreamResponse) -> None:
    """Called before every response, except aiohttp's own to what is not HTTP."""
    if (connection := _connection(request)) is not None:
        response.headers.update(connection.headers)
        open_to_all = request.rel_url.raw_path in auth.OPEN_PATHS
        connection.asked_only_for(open_to_all or not auth.may_see(request))
        # After an upgrade or a tunnel, which there is none of, aiohttp reads no further request.
        ends = hdrs.UPGRADE in request.headers or request.method == hdrs.METH_CONNECT
        # Refused before all of it has come, as for its `Expect`: where the next one begins is open.
        ends = ends or connection.phase is not Phase.ANSWERING
        if connection.outdated or ends:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"
        connection.sending()


class _ResponseSent(AbstractAccessLogger):
    """Logs nothing: an access logger is what aiohttp calls when it has sent a response."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called after every response, when the client has received it or is gone."""
        if (connection := _connection(request)) is not None:
            connection.sent()
        # aiohttp keeps it until the client's next request, which may come in half a minute.
        if isinstance(response, web.Response):
            response.body = None
        if isinstance(response, web.HTTPException):
            response.with_traceback(None)  # what the handler had at hand


def _faults_of_clients_are_debug(record: logging.LogRecord) -> bool:
    """aiohttp logs a malformed request as an error; only the client can do something about it."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | ConnectionError):
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        record.exc_info = None
    return _log.isEnabledFor(record.levelno)


_log = logging.getLogger(__name__)
_log.addFilter(_faults_of_clients_are_debug)
