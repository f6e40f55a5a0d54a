"""Which trunk or endpoint a fax goes through, by the name of its channel, for all technologies."""

import re
from typing import Final

from exporter.fax.values import MAX_TEXT
from exporter.words import visible

_WRAPPERS: Final = frozenset({"AsyncGoto", "Bridge", "Parked", "Surrogate", "Transfered"})
"""What Asterisk, in some versions, puts before the whole name of a channel."""
_SUFFIXES: Final = re.compile(r"(?:<(?:ZOMBIE|MASQ)>|[;,][12])+$")
"""What it puts behind one that was masqueraded, and behind each half of a Local channel."""
_SERIAL: Final = re.compile(
    r"-(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # AudioSocket, a UUID
    r"|0x[0-9A-Fa-f]+"  # UnicastRTP, WebSocket: an address
    r"|u[0-9]+"  # mISDN
    r"|[0-9]+\.[0-9]+"  # Khomp
    r"|[0-9A-Fa-f]+)$"  # all others
)
_NO_ENDPOINT: Final = re.compile(r"0x[0-9A-Fa-f]+|tmp[0-9]+")
"""Instead of an endpoint: MulticastRTP has an address, mISDN this until it has a port."""
_WITH_SLASH: Final = frozenset({"MGCP"})
"""Technologies whose endpoints may have a slash: MGCP/aaln/1@gateway."""


def peer_of(channel: str) -> str:
    """A channel's technology and endpoint without its serial: `PJSIP/trunk-berlin`.

    What a technology adds behind the endpoint is left out, since a number dialled is no endpoint:
    `DAHDI/i1/5551234-2` belongs to `DAHDI/i1`. So is what a Local channel has before its context:
    `Local/5551234@faxes-0000002a;1` belongs to `Local/faxes`. What is not printable becomes a
    question mark. Empty if the name is not of the form technology/endpoint.
    """
    technology, slash, rest = _SUFFIXES.sub("", channel[:MAX_TEXT]).partition("/")
    while technology in _WRAPPERS and "/" in rest:
        technology, slash, rest = _SUFFIXES.sub("", rest).partition("/")
    if not slash:
        return ""
    endpoint = _SERIAL.sub("", rest)
    if technology == "Local":
        endpoint = endpoint.rpartition("@")[2] if "@" in endpoint else ""
    if technology not in _WITH_SLASH:
        endpoint = endpoint.partition("/")[0]
    # A Snoop channel has the name of a call.
    if technology == "Snoop" or _NO_ENDPOINT.fullmatch(endpoint):
        endpoint = ""
    peer = f"{technology}/{endpoint}" if technology and endpoint else ""
    return visible(peer)
