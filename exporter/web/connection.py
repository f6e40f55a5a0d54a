"""One client's connection: its deadlines, and the seam between asyncio and aiohttp.

All bytes of a client pass through here. To asyncio a Connection is a protocol. To aiohttp's own
protocol, which reads and writes HTTP, it is a transport. Both are used as asyncio documents them,
so nothing of aiohttp is overridden or named here. http.py tells a Connection how far a request is.

aiohttp is given one request at a time, and its head only when that is whole: what a client sends
without end, or in advance, waits here, and there is a limit to it.
"""

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from exporter.settings import WebConfigFile
from exporter.web.addresses import client_of
from exporter.web.places import Places, Standing
from exporter.web.tls import Read, Tls
from exporter.web.turns import Turns

log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10.0
"""For a TLS handshake, for the first byte on a new connection, and from the first byte of a
request to its last: none of them takes a second, however bad the network."""
IDLE_SECONDS: Final = 120.0
"""Between two requests: Prometheus keeps a connection, and scrapes at intervals up to 1 min."""
RECEIVE_SECONDS: Final = 30.0
"""For a client to receive a response: three times as long as Prometheus waits for one."""
LINGER_SECONDS: Final = 2.0
"""For a client to read why its request is refused while it is still sending: if the connection
ended at once, the answer would be lost."""
MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's head, and of what may wait here: Apache takes twice 8190."""
SERVER: Final = "asterisk-fax-exporter"
"""What the header `Server` says: no versions."""

_CONTINUE: Final = b"HTTP/1.1 100 "
_HEAD_ENDS: Final = b"\r\n\r\n"
_SERVER_LINE: Final = re.compile(rb"(?im)^server:[^\r\n]*\r\n")


class Phase(Enum):
    """What a connection is waiting for."""

    HANDSHAKE = auto()
    """TLS, where there is TLS."""
    NEW = auto()
    """The first byte of the first request."""
    RECEIVING = auto()
    """The rest of a request that has begun."""
    ANSWERING = auto()
    """Us: the request is complete, its response not yet begun."""
    SENDING = auto()
    """The client, to receive all of the response."""
    IDLE = auto()
    """The first byte of a further request."""
    LINGERING = auto()
    """The client, to read why it is refused."""
    ENDED = auto()
    """Nothing. It has neither a place nor a deadline."""


_SECONDS: Final[Mapping[Phase, float]] = {
    Phase.HANDSHAKE: REQUEST_SECONDS,
    Phase.NEW: REQUEST_SECONDS,
    Phase.RECEIVING: REQUEST_SECONDS,
    Phase.SENDING: RECEIVE_SECONDS,
    Phase.IDLE: IDLE_SECONDS,
    Phase.LINGERING: LINGER_SECONDS,
}
"""After that long in one phase a connection is aborted. A slow answer is our fault."""


class Connection(asyncio.BufferedProtocol, asyncio.Transport):
    """One client, from its acceptance to its end."""

    def __init__(
        self,
        config: WebConfigFile,
        new_http: Callable[[], asyncio.Protocol],
        places: "Places[Connection]",
        handshakes: Turns,
        buffer: memoryview,
    ) -> None:
        """`new_http` makes the protocol that reads requests and answers them. `buffer`: where
        asyncio puts what comes; all can have the same one, since each takes it out at once."""
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._context = config.current.ssl_context
        self._tls = None if self._context is None else Tls(self._context)
        self._new_http = new_http
        self._http: asyncio.Protocol | None = None
        self._places = places
        self._handshakes = handshakes
        self._buffer = buffer
        self.phase = Phase.NEW
        self._deadline: asyncio.TimerHandle | None = None
        self._waiting = bytearray()
        """What has come and is not yet given to aiohttp: a head in part, or further requests."""
        self._given = False
        """aiohttp has the head of a request that is not yet answered."""
        self._body_left = 0
        """Bytes of its body that are still to be given."""
        self._dropping = False
        """The request is refused before all of it has come: what comes is not looked at."""
        self._open = False
        """Its last request brought no more than everybody gets."""

    # --- the phases ---------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        """Sets the deadline of this phase, and what it means for the connection's place."""
        if self.phase is Phase.ENDED:
            return
        self.phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
        seconds = _SECONDS.get(phase)
        self._deadline = None if seconds is None else self._loop.call_later(seconds, self.abort)
        if phase is Phase.LINGERING or self._dropping:
            self._places.mark(self, Standing.STALLED)
        elif phase in (Phase.ANSWERING, Phase.SENDING):
            self._places.mark(self, Standing.BUSY)
        else:
            self._places.mark(self, Standing.OPEN if self._open else Standing.WAITING)

    def body(self, size: int) -> None:
        """The request has a body of so many bytes."""
        self._body_left = size
        self._give_body()

    def received(self) -> None:
        """All of the request is there."""
        self._enter(Phase.ANSWERING)

    def logged_in(self) -> None:
        """Its client is a user of the file."""
        self._places.logged_in(self)

    def asked_only_for(self, what_all_may_see: bool) -> None:
        """Whether the request brought no more than everybody gets: an open path, or a refusal."""
        self._open = what_all_may_see

    def sending(self) -> None:
        """The response begins."""
        self._dropping = self.phase is not Phase.ANSWERING
        self._enter(Phase.SENDING)

    def sent(self) -> None:
        """The client has received all of the response, but for what the network still holds."""
        if self.phase is Phase.ENDED or self._dropping:
            return
        self._given = False
        self._enter(Phase.IDLE)
        self._loop.call_soon(self._go_on)  # aiohttp is not ready for it yet

    def _go_on(self) -> None:
        """Takes what has come during the response."""
        if self.phase is not Phase.ENDED and not self._tcp.is_closing():
            self._tcp.resume_reading()
            self._take(b"")
            self._decrypt()

    def _end(self) -> None:
        self.phase = Phase.ENDED
        self._waiting.clear()
        if self._deadline is not None:
            self._deadline.cancel()
        self._places.free(self)

    # --- the configuration --------------------------------------------------------------------

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every response: those that the file sets, and ours."""
        return {"Server": SERVER, **self._config.current.headers}

    @property
    def outdated(self) -> bool:
        """The configuration has another certificate now, or TLS was turned on or off."""
        return self._context is not self._config.current.ssl_context

    def close_if_outdated(self) -> None:
        """If a request has begun, the connection is closed after its response instead."""
        if self.outdated and self.phase in (Phase.NEW, Phase.IDLE):
            self.close()

    # --- what asyncio calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._tcp = transport
        transport.set_write_buffer_limits(high=0)
        if self._places.take(self, client_of(transport)):
            self._enter(Phase.NEW if self._tls is None else Phase.HANDSHAKE)
        else:
            self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where asyncio is to put what comes next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come from the client."""
        if self.phase in (Phase.ENDED, Phase.LINGERING) or self._dropping:
            return
        data = bytes(self._buffer[:nbytes])
        if self._tls is None:
            self._take(data)
        elif self.phase is not Phase.HANDSHAKE:
            self._tls.feed(data)
            self._decrypt()
        elif self._tls.untouched and not Tls.begins(data):
            self._tls = None
            text = "Client sent an HTTP request to an HTTPS server.\n"  # as Go has it
            self._refuse(HTTPStatus.BAD_REQUEST, text)
        else:
            self._tls.feed(data)
            self._tcp.pause_reading()  # its turn may be a while away, and it may send without end
            self._places.mark(self, Standing.BUSY)  # it waits for us
            self._handshakes.add(self._shake_hands)

    def _shake_hands(self) -> None:
        if self.phase is not Phase.HANDSHAKE or self._tls is None or self._tcp.is_closing():
            return
        self._tcp.resume_reading()
        try:
            done = self._tls.shake_hands()
        except ssl.SSLError as error:
            log.debug("TLS handshake failed: %s", error)
            self._tcp.write(self._tls.to_send())
            self._linger()
            return
        self._tcp.write(self._tls.to_send())
        if done:
            self._enter(Phase.NEW)
            self._decrypt()
        else:
            self._places.mark(self, Standing.WAITING)

    def _decrypt(self) -> None:
        """Takes what came encrypted, unless enough waits already."""
        while self._tls is not None and self.phase is not Phase.ENDED and not self._full:
            try:
                data = self._tls.read()
            except ssl.SSLError as error:
                log.debug("TLS broke off: %s", error)
                self.abort()
                return
            if data is Read.LATER:
                return
            if data is Read.ENDED:
                self.close()
                return
            self._take(data)

    @property
    def _full(self) -> bool:
        return len(self._waiting) > MAX_HEAD

    def _take(self, data: bytes) -> None:
        """Takes what the client said: of a head, of a body, or of further requests."""
        if self._dropping or self.phase is Phase.LINGERING:
            return
        self._waiting += data
        if self._given:
            self._give_body()
        else:
            self._give_head()
        if self._full and not self._tcp.is_closing():
            self._tcp.pause_reading()

    def _give_head(self) -> None:
        """Gives aiohttp the head of a request, once it is whole."""
        waiting = self._waiting
        while waiting.startswith(b"\r\n"):  # some clients end a body with one more
            del waiting[:2]
        if not waiting:
            return
        if self.phase is not Phase.RECEIVING:
            self._enter(Phase.RECEIVING)
        length = waiting.find(_HEAD_ENDS) + len(_HEAD_ENDS)
        if length < len(_HEAD_ENDS) or length > MAX_HEAD:
            if len(waiting) > MAX_HEAD:
                text = f"the head of a request may have {MAX_HEAD} bytes\n"
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
            return
        head = bytes(waiting[:length])
        del waiting[:length]
        if not head.isascii():
            self._refuse(HTTPStatus.BAD_REQUEST, "the head of a request has to be ASCII\n")
            return
        if self._http is None:
            self._http = self._new_http()
            self._http.connection_made(self)
        self._given = True
        self._http.data_received(head)

    def _give_body(self) -> None:
        """Gives aiohttp what there is of the body, and nothing beyond it."""
        if self._body_left and self._waiting and self._http is not None:
            part = bytes(self._waiting[: self._body_left])
            del self._waiting[: len(part)]
            self._body_left -= len(part)
            self._http.data_received(part)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Answers what is not given to aiohttp, and ends the connection."""
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(text)}"]
        self._send("\r\n".join([*lines, "Connection: close", "", text]).encode())
        self._linger()

    def _linger(self) -> None:
        """Ends the connection when the client has read what was sent, or had the time to."""
        self._waiting.clear()
        self._enter(Phase.LINGERING)
        if self._tls is not None:
            self._tls.end()
            self._tcp.write(self._tls.to_send())
        if not self._tcp.is_closing():
            with contextlib.suppress(OSError):  # it has gone, and asyncio is about to say so
                self._tcp.write_eof()

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return None if self._http is None else self._http.eof_received()

    def pause_writing(self) -> None:
        """The client does not read, or the network is slow."""
        self._places.mark(self, Standing.STALLED)
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        """All that was written is on its way."""
        if self.phase is Phase.SENDING and not self._dropping:
            self._places.mark(self, Standing.BUSY)
        if self._http is not None:
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was closed or aborted."""
        self._end()
        http, self._http, self._tls = self._http, None, None  # not to wait for the collector
        if http is not None:
            http.connection_lost(exc)

    # --- what aiohttp calls -------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends. aiohttp is paused until the network has taken everything."""
        if self.phase in (Phase.ENDED, Phase.LINGERING):
            return
        if self.phase is not Phase.SENDING and data[: len(_CONTINUE)] != _CONTINUE:
            # aiohttp's own answer to what is not HTTP. No middleware or signal is called for it, so
            # the headers are added here.
            self.sending()
            status, end, rest = bytes(data).partition(b"\r\n")
            lines = [f"{name}: {value}\r\n".encode() for name, value in self.headers.items()]
            data = b"".join((status, end, *lines, _SERVER_LINE.sub(b"", rest, count=1)))
        self._send(data)

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        if self._tls is None:
            self._tcp.write(data)
        else:
            self._tls.write(data)
            self._tcp.write(self._tls.to_send())

    def pause_reading(self) -> None:
        """Nothing: aiohttp is given a request at a time, and a body is small."""

    def resume_reading(self) -> None:
        """Nothing, as `pause_reading`."""

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""
        return self._tcp.is_closing()

    def close(self) -> None:
        """Ends it when all that was written is sent; its deadline still holds."""
        if self._tls is not None and not self._tcp.is_closing():
            self._tls.end()
            self._tcp.write(self._tls.to_send())
        self._tcp.close()

    def abort(self) -> None:
        """Ends it at once, whatever is still to be sent."""
        self._end()
        self._tcp.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio knows of the socket, and the TLS context."""
        if name == "sslcontext":
            return self._context if self._tls is not None else default
        return self._tcp.get_extra_info(name, default)
