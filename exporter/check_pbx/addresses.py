"""The addresses that lines of manager.conf have to name: the PBX's own, and this machine's.

Nothing is sent to anybody but a name server.
"""

import asyncio
import ipaddress
import socket
from typing import Final, TypeAlias

from exporter.settings import AmiSettings

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_RESOLVE_TIMEOUT: Final = 5.0
"""Seconds; the connection has just resolved the same name."""


async def address_of(host: str) -> Address | None:
    """The address that a connection to this host tries first, an IPv4 one if it has any; None if
    the name cannot be resolved."""
    if (given := _ip(host)) is not None:
        if given.is_unspecified:  # which connects to this machine; to bind to, it is all addresses
            return ipaddress.ip_address("127.0.0.1" if given.version == 4 else "::1")
        return given
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError):
        return None
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return _ip(str(found[0][4][0])) if found else None


async def address_here(settings: AmiSettings) -> Address | None:
    """This machine's address, as the source of packets to the PBX; none is sent. None without."""
    address = await address_of(settings.host)
    if address is None:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), settings.port))
            return _ip(str(probe.getsockname()[0]))
    except OSError:
        return None


def _ip(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def permit(address: Address) -> str:
    """The line that lets this address in."""
    return f"permit = {address}/{address.max_prefixlen}"
