"""Which clients count as one when something is shared out by address."""

import asyncio
import ipaddress
from typing import Final

UNIX_SOCKET: Final = "unix socket"
"""The group of all that come through one: they have no addresses."""


def client_of(transport: asyncio.BaseTransport | None) -> str:
    """Whom a connection is from; see `group`. What a client of a socket in the file system calls
    its own end is not looked at: it may choose that as it likes."""
    peer = None if transport is None else transport.get_extra_info("peername")
    return group(peer[0] if isinstance(peer, tuple) else None)


def group(remote: str | None) -> str:
    """What the clients at this address, as the socket gives it, share: an IPv4 address, or an IPv6
    network of 64 bits, since whoever has one address of it has them all."""
    if not remote:
        return UNIX_SOCKET
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return remote
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:  # an IPv4 client of a socket for both families
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
