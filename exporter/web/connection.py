"""One client's connection: its deadlines, and the seam between asyncio and aiohttp.

All bytes of a client pass through here. To asyncio a Connection is a protocol. To aiohttp's own
protocol, which reads and writes HTTP, it is a transport. Both are used as asyncio documents them,
so nothing of aiohttp is overridden or named here. http.py tells a Connection how far a request is.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

from exporter.settings import WebConfigFile
from exporter.web.places import Places

log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10.0
"""For a TLS handshake, for the first byte on a new connection, and from the first byte of a
request to its last: none of them takes a second, however bad the network."""
IDLE_SECONDS: Final = 120.0
"""Between two requests: Prometheus keeps a connection, and scrapes at intervals up to 1 min."""
RECEIVE_SECONDS: Final = 30.0
"""For a client to receive a response: three times as long as Prometheus waits for one."""

_TLS_CLOSE_SECONDS: Final = 2.0  # for the other side to confirm the end
_CHECK_SECONDS: Final = 0.1  # how often it is checked what a slow client has received

_CONTINUE: Final = b"HTTP/1.1 100 "


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
    ENDED = auto()
    """Nothing. It has neither a place nor a deadline."""


_SECONDS: Final[Mapping[Phase, float]] = {
    Phase.NEW: REQUEST_SECONDS,
    Phase.RECEIVING: REQUEST_SECONDS,
    Phase.SENDING: RECEIVE_SECONDS,
    Phase.IDLE: IDLE_SECONDS,
}
"""After that long in one phase a connection is aborted. asyncio itself ends a slow handshake, and a
slow answer is our fault."""


class Connection(asyncio.Protocol, asyncio.Transport):
    """One client, from its acceptance to its end."""

    def __init__(
        self,
        config: WebConfigFile,
        new_http: Callable[[], asyncio.Protocol],
        places: "Places[Connection]",
    ) -> None:
        """`new_http` makes the protocol that reads the client's bytes and answers them."""
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._tls = config.current.ssl_context
        self._new_http = new_http
        self._http: asyncio.Protocol | None = None
        self._places = places
        self.phase = Phase.HANDSHAKE
        self._deadline: asyncio.TimerHandle | None = None
        self._early = b""  # came while there was no `_http`
        self._further = False  # bytes of a further request have come
        self._sent_check: asyncio.TimerHandle | None = None

    # --- the phases ---------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        """Sets the deadline of this phase, and makes the connection evictable. Only SENDING leaves
        it as it was: a connection whose request was allowed keeps its place until the response is
        sent."""
        if self.phase is Phase.ENDED:
            return
        self.phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
        seconds = _SECONDS.get(phase)
        self._deadline = None if seconds is None else self._loop.call_later(seconds, self.abort)
        if phase is not Phase.SENDING:
            self._places.mark_evictable(self)

    def receiving(self) -> None:
        """A request has begun."""
        if self.phase is not Phase.RECEIVING:
            self._enter(Phase.RECEIVING)

    def received(self) -> None:
        """All of the request is there."""
        self._further = False
        self._enter(Phase.ANSWERING)

    def allowed(self) -> None:
        """The request may be answered; the connection keeps its place until that is sent."""
        self._places.mark_busy(self)

    def sending(self) -> None:
        """The response begins."""
        self._enter(Phase.SENDING)

    def sent(self) -> None:
        """The client has received all of the response."""
        self._enter(Phase.RECEIVING if self._further else Phase.IDLE)

    def _end(self) -> None:
        self.phase = Phase.ENDED
        for timer in (self._deadline, self._sent_check):
            if timer is not None:
                timer.cancel()
        self._places.free(self)

    # --- the configuration --------------------------------------------------------------------

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the file sets for every response."""
        return self._config.current.headers

    @property
    def outdated(self) -> bool:
        """The configuration has another certificate now, or TLS was turned on or off."""
        return self._tls is not self._config.current.ssl_context

    def close_if_outdated(self) -> None:
        """If a request has begun, the connection is closed after its response instead."""
        if self.outdated and self.phase in (Phase.NEW, Phase.IDLE):
            self.close()

    # --- what asyncio calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected. Nothing is read from it before it has a place."""
        assert isinstance(transport, asyncio.Transport)
        self._tcp = self._transport = transport
        if not self._places.take(self):
            self.abort()
        elif self._tls is None:
            self._serve()
        else:
            self._enter(Phase.HANDSHAKE)
            transport.pause_reading()
            # Kept, since asyncio holds only a weak reference to a task.
            self._handshake = self._loop.create_task(self._shake_hands(self._tls))

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        transport: asyncio.Transport | None = None
        try:
            if not self._tcp.is_closing():  # start_tls would wait for it all the same
                transport = await self._loop.start_tls(
                    self._tcp,
                    self,
                    context,
                    server_side=True,
                    ssl_handshake_timeout=REQUEST_SECONDS,
                    ssl_shutdown_timeout=_TLS_CLOSE_SECONDS,
                )
        except OSError as error:
            log.debug("TLS handshake failed: %s", error)
            # Its frames hold asyncio's buffers, 256 KiB each, in a cycle that gc is slow to find.
            error.__traceback__ = None
        finally:
            if transport is None:
                self.abort()
        if transport is not None:
            self._transport = transport
            self._serve()

    def _serve(self) -> None:
        if self.phase is Phase.ENDED:
            return
        self._enter(Phase.NEW)
        self._http = self._new_http()
        self._http.connection_made(self)
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """A part of a request has come, or several requests."""
        if self._http is None:  # the last packet of a handshake can bring the first request
            self._early += data
            return
        if self.phase in (Phase.ANSWERING, Phase.SENDING):
            self._further = True
        else:
            self.receiving()
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return None if self._http is None else self._http.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was closed or aborted."""
        self._end()
        if self._http is not None:
            self._http.connection_lost(exc)

    # --- what aiohttp calls -------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends. aiohttp is paused until the client has received everything."""
        if self.phase is not Phase.SENDING and data[: len(_CONTINUE)] != _CONTINUE:
            # aiohttp's own answer to what is not HTTP. No middleware or signal is called for it, so
            # the headers of the file are added here.
            self.sending()
            status, end, rest = bytes(data).partition(b"\r\n")
            lines = [f"{name}: {value}\r\n".encode() for name, value in self.headers.items()]
            data = b"".join((status, end, *lines, rest))
        self._transport.write(data)
        if self._sent_check is None and self._tcp.get_write_buffer_size():
            assert self._http is not None
            self._http.pause_writing()
            self._sent_check = self._loop.call_later(_CHECK_SECONDS, self._check_sent)

    def _check_sent(self) -> None:
        """asyncio's pause_writing is no help: under TLS, encrypted bytes do not count for it."""
        if self._tcp.get_write_buffer_size():
            self._sent_check = self._loop.call_later(_CHECK_SECONDS, self._check_sent)
        else:
            self._sent_check = None
            assert self._http is not None
            self._http.resume_writing()

    def pause_reading(self) -> None:
        """Reads no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads again."""
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Ends it when all that was written is sent; its deadline still holds."""
        self._transport.close()

    def abort(self) -> None:
        """Ends it at once, whatever is still to be sent."""
        self._end()
        self._tcp.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio knows of the socket and of TLS."""
        return self._transport.get_extra_info(name, default)
