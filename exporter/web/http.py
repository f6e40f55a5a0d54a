"""How aiohttp is set up to speak HTTP: its limits, and what it calls as a request goes on.

Only its public interface is used: the options of AppRunner, middlewares, the signal
on_response_prepare and an access logger. The last three tell a Connection how far a request is.
"""

import logging
from typing import Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler

from exporter.settings import WebConfigFile
from exporter.web import auth
from exporter.web.connection import Connection

MAX_REQUEST_LINE: Final = 8190
"""Bytes: what Apache takes."""
MAX_HEADER: Final = 8190
"""Bytes of one header: the same."""
MAX_HEADERS: Final = 64
"""Headers of a request: Prometheus sends 6, and a proxy adds some."""
MAX_BODY: Final = 16 * 1024
"""Bytes: nothing here needs a body, but some clients send one."""
LINGER_SECONDS: Final = 2.0
"""For a client to read why its request is refused while it is still sending: if the connection
ended at once, the answer would be lost."""
SHUTDOWN_SECONDS: Final = 1.0
"""Time that a scrape under way has to finish when the exporter ends."""


def runner(app: web.Application, config: WebConfigFile) -> web.AppRunner:
    """What serves this application, to the users of the file only. Its protocols take a Connection
    as their transport: the deadlines are there."""
    app.middlewares.extend([_receive_all, auth.middleware(config), _allowed])
    app.on_response_prepare.append(_begin_response)
    return web.AppRunner(
        app,
        shutdown_timeout=SHUTDOWN_SECONDS,
        logger=_log,
        access_log=_log,
        access_log_class=_ResponseSent,
        max_line_size=MAX_REQUEST_LINE,
        max_field_size=MAX_HEADER,
        max_headers=MAX_HEADERS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,
    )


def _connection(request: web.BaseRequest) -> Connection | None:
    """None if the client is gone."""
    transport = request.transport
    return transport if isinstance(transport, Connection) else None


@web.middleware
async def _receive_all(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Waits until all of the request has come. Its body is dropped: no route needs one."""
    if (connection := _connection(request)) is not None:
        connection.receiving()  # if it came while the request before it was answered
    size = request.content_length or 0
    try:
        while size <= MAX_BODY and (chunk := await request.content.readany()):
            # With a Content-Length, that is counted already.
            size += len(chunk) if request.content_length is None else 0
    except web.RequestPayloadError:
        return _refused(400, "the body is malformed\n")
    if size > MAX_BODY:
        return _refused(413, f"a body may have {MAX_BODY} bytes\n")
    if (connection := _connection(request)) is not None:
        connection.received()
    return await handler(request)


@web.middleware
async def _allowed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Comes after auth.middleware, so whoever gets here may make this request."""
    if (connection := _connection(request)) is not None:
        connection.allowed()
    return await handler(request)


def _refused(status: int, text: str) -> web.StreamResponse:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response


async def _begin_response(request: web.Request, response: web.StreamResponse) -> None:
    """Called before every response, except aiohttp's own to what is not HTTP."""
    if (connection := _connection(request)) is not None:
        response.headers.update(connection.headers)
        if connection.outdated:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"
        connection.sending()


class _ResponseSent(AbstractAccessLogger):
    """Logs nothing: an access logger is what aiohttp calls when it has sent a response."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called after every response, when the client has received it or is gone."""
        if (connection := _connection(request)) is not None:
            connection.sent()


def _faults_of_clients_are_debug(record: logging.LogRecord) -> bool:
    """aiohttp logs a malformed request as an error; only the client can do something about it."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | ConnectionError):
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        record.exc_info = None
    return _log.isEnabledFor(record.levelno)


_log = logging.getLogger(__name__)
_log.addFilter(_faults_of_clients_are_debug)
