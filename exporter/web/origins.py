"""Whether a request that changes something may come from a page of somebody else's.

A browser sends what a foreign page wants sent: with its Origin, or, once the name of that page is
made to lead here (DNS rebinding), with its name as the Host.
"""

import ipaddress
import socket
from functools import cache
from typing import Final
from urllib.parse import urlsplit

_OWN_SITE: Final = frozenset({"same-origin", "none"})
_PORTS: Final = {"http": 80, "https": 443}
_PRIVATE: Final = (".localhost", ".local", ".svc", ".internal", ".home.arpa")
"""Nobody can register a name below these: of one machine, of a network, of Kubernetes."""


def foreign(
    host: str | None,
    origin: str | None,
    sec_fetch_site: str | None,
    own_names: frozenset[str],
    *,
    logged_in: bool = False,
) -> str | None:
    """Why a request with these headers is refused; None if it is not.

    `own_names` are those that this machine answers to beside its addresses, localhost, names
    without a dot and names of private networks. Who has `logged_in` may use any other: of a name
    that was made to lead here, a browser knows no password.
    """
    if sec_fetch_site is not None and sec_fetch_site not in _OWN_SITE:
        return "a page of another site asks for this: Sec-Fetch-Site says so"
    if origin is not None:
        scheme, _, authority = origin.strip().lower().partition("://")
        port = _PORTS.get(scheme)
        site = _authority(authority, port)
        if port is None or site is None:
            return "a page of an unknown site asks for this: its Origin is no address"
        if site != _authority(host or "", port):
            return "a page of another site asks for this: its Origin is not the Host that is asked"
    # Without a Host no browser can have sent it: it is older than HTTP/1.1.
    if not host or logged_in or _trusted(_authority(host), own_names):
        return None
    return (
        "the Host that is asked is no name of this machine: use its address, "
        "or let the users of --web.config.file log in"
    )


@cache
def own_names() -> frozenset[str]:
    """What this machine is called. To find out may take seconds, if name servers do not answer."""
    return frozenset({socket.gethostname(), socket.getfqdn()})


def _authority(text: str, default_port: int | None = None) -> tuple[str, int | None] | None:
    """Host and port; None if that is not what it is."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.netloc != text or "@" in text:
        return None
    return parts.hostname.removesuffix("."), default_port if port is None else port


def _trusted(authority: tuple[str, int | None] | None, own_names: frozenset[str]) -> bool:
    if authority is None:
        return False
    name = authority[0]
    if "." not in name or name.endswith(_PRIVATE):
        return True
    if name in {own.lower().removesuffix(".") for own in own_names}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
