"""A TCP connection to a host: its addresses are tried one after the other, until a deadline."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from exporter.ami.diagnosis import cause_of, unknown_name, unreached
from exporter.ami.errors import ConnectError
from exporter.settings import AmiSettings

_AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[object, ...]]
"""Family, kind, protocol, canonical name and address."""


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
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline):
            return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError, TimeoutError) as error:
        text, cause = unknown_name(error)
        raise ConnectError(f"{host}:{port}: {text}", cause) from error
