"""A TCP connection to a host: its addresses are tried one after the other, until a deadline."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

from exporter.ami.diagnosis import cause_of, unknown_name, unreached
from exporter.ami.errors import ConnectError
from exporter.settings import AmiSettings

_AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[object, ...]]
"""Family, kind, protocol, canonical name and address."""

LOOK_UPS: Final = 16
"""Names that are looked up at once. A name server that does not answer holds up each for seconds,
and with it names that wait for their turn, but nobody who has an address."""
_threads: Final = ThreadPoolExecutor(LOOK_UPS, "names")
"""Of their own: in those of asyncio secrets are read, which others wait for."""


async def reach(settings: AmiSettings, deadline: float) -> socket.socket:
    """A TCP connection to one of the host's addresses. Raises ConnectError.

    asyncio's own way spends all the time on the first address if packets to it vanish, and tells
    no errno if several addresses failed.
    """
    loop = asyncio.get_running_loop()
    errors: dict[str, OSError] = {}
    found = await _addresses(settings, deadline)
    for index, (family, kind, protocol, _, address) in enumerate(found):
        reached = None
        try:
            reached = socket.socket(family, kind, protocol)
            reached.setblocking(False)
            now = loop.time()
            async with asyncio.timeout_at(now + (deadline - now) / (len(found) - index)):
                await loop.sock_connect(reached, address)
        except BaseException as error:
            if reached is not None:
                reached.close()
            if not isinstance(error, OSError):
                raise
            errors[str(address[0])] = error
        else:
            return reached
    text, cause = unreached(errors)
    first = next(error for error in errors.values() if cause_of(error) is cause)
    raise ConnectError(f"{settings.host}:{settings.port}: {text}", cause) from first


async def _addresses(settings: AmiSettings, deadline: float) -> Sequence[_AddressInfo]:
    """What getaddrinfo returns for the host. Raises ConnectError."""
    host, port = settings.host, settings.port
    with suppress(socket.gaierror, UnicodeError):  # an address needs no look-up, and so no thread
        flags = socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    try:
        async with asyncio.timeout_at(deadline):
            return await look_up(host, port)
    except (socket.gaierror, UnicodeError, TimeoutError) as error:
        text, cause = unknown_name(error)
        raise ConnectError(f"{host}:{port}: {text}", cause) from error


async def look_up(host: str, port: int) -> Sequence[_AddressInfo]:
    """What getaddrinfo returns for a name. Raises what that does."""
    asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return await asyncio.get_running_loop().run_in_executor(_threads, asked)
