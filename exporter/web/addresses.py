"""Which clients count as one when something is shared out by address."""

import ipaddress
from typing import Final

UNIX_SOCKET: Final = "unix socket"
"""The group of all that come through one: they have no addresses."""


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
