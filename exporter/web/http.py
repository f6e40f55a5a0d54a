"""HTTP, which is aiohttp's part: its limits, and what it calls as a request goes on.

Of aiohttp only the public interface is used: options of AppRunner, middlewares, the signal
on_response_prepare and the class for an access log. Each tells the Connection how far a request is.
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
"""After a refusal, for a client to read it: it is lost if the connection ends in mid-request."""
SHUTDOWN_SECONDS: Final = 1.0
"""Time that a scrape under way has to finish when the exporter ends."""


def runner(app: web.Application, config: WebConfigFile) -> web.AppRunner:
    """Makes of an application what serves it, to users of the file only. The connections must be
    made by a Connection; without one there are no deadlines."""
    app.middlewares.extend([_whole, auth.middleware(config), _allowed])
    app.on_response_prepare.append(_sending)
    return web.AppRunner(
        app,
        shutdown_timeout=SHUTDOWN_SECONDS,
        logger=_log,
        access_log=_log,
        access_log_class=_Sent,
        max_line_size=MAX_REQUEST_LINE,
        max_field_size=MAX_HEADER,
        max_headers=MAX_HEADERS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,
    )


def _connection(request: web.BaseRequest) -> Connection | None:
    """None if it was lost."""
    transport = request.transport
    return transport if isinstance(transport, Connection) else None


@web.middleware
async def _whole(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Goes on when all of a request is there, and drops the body: no route needs one."""
    if (connection := _connection(request)) is not None:
        connection.receiving()  # it may have been waiting behind another
    size = request.content_length or 0
    try:
        while size <= MAX_BODY and (chunk := await request.content.readany()):
            # The length that was promised is counted already.
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
    """Stands behind the login."""
    if (connection := _connection(request)) is not None:
        connection.allowed()
    return await handler(request)


def _refused(status: int, text: str) -> web.StreamResponse:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response


async def _sending(request: web.Request, response: web.StreamResponse) -> None:
    """Is called before every response but aiohttp's own to what is not HTTP."""
    if (connection := _connection(request)) is not None:
        response.headers.update(connection.headers)
        if connection.outdated:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"
        connection.sending()


class _Sent(AbstractAccessLogger):
    """Logs nothing: it is how aiohttp says that a response is sent."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Is called after every response, when the client has taken it or is gone."""
        if (connection := _connection(request)) is not None:
            connection.sent()


def _faults_of_clients_are_debug(record: logging.LogRecord) -> bool:
    """aiohttp logs malformed requests as errors, but they are nobody's concern but the client's."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | ConnectionError):
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        record.exc_info = None
    return _log.isEnabledFor(record.levelno)


_log = logging.getLogger(__name__)
_log.addFilter(_faults_of_clients_are_debug)
