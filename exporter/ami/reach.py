"""A TCP connection to a host: its addresses, one after the other, in the time that there is."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

from exporter.ami.diagnosis import cause_of, unknown_name, unreached
from exporter.ami.errors import ConnectError
from exporter.settings import AmiSettings


async def reach(settings: AmiSettings, deadline: float) -> socket.socket:
    """A TCP connection to one of the host's addresses. Raises ConnectError.

    asyncio's own way leaves no time for the second address where the packets to the first vanish,
    and no errno of any if several failed.
    """
    loop = asyncio.get_running_loop()
    errors: dict[str, OSError] = {}
    found = await _addresses(settings, deadline)
    for place, (family, kind, protocol, _, address) in enumerate(found):
        reached = None
        try:
            reached = socket.socket(family, kind, protocol)
            reached.setblocking(False)
            now = loop.time()
            async with asyncio.timeout_at(now + (deadline - now) / (len(found) - place)):
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
    told = next(error for error in errors.values() if cause_of(error) is cause)
    raise ConnectError(f"{settings.host}:{settings.port}: {text}", cause) from told


async def _addresses(settings: AmiSettings, deadline: float) -> list[Any]:
    """What getaddrinfo makes of the host. Raises ConnectError."""
    host, port = settings.host, settings.port
    with suppress(socket.gaierror, UnicodeError):  # an address needs no thread
        flags = socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline):
            return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError, TimeoutError) as error:
        text, cause = unknown_name(error)
        raise ConnectError(f"{host}:{port}: {text}", cause) from error
