"""What a file of --web.config.file keeps others out with, and whether it says so when it stops.

A file that is cut short, or still being written, looks as if it asked for less. So what was there
is only given up in so many words.
"""

from collections.abc import Mapping, Set
from enum import Enum
from typing import Any, Final


class Protection(Enum):
    """What keeps others out: its words, and the line of the file that gives it up."""

    USERS = "users", "basic_auth_users: {}"
    TLS = "TLS", "tls_server_config: {}"
    CLIENT_CERTIFICATES = "client certificates", "client_auth_type: NoClientCert"
    TLS_1_3 = "TLS 1.3 alone", "min_version: TLS12"


_OF_TLS: Final = frozenset(Protection) - {Protection.USERS}
_NOTHING: Final = "{} as the whole file asks for nothing at all"
EMPTY: Final = f"empty; {_NOTHING}"
"""What is said of a file without a key, which is what editors make of one before they write it."""


def given_up(content: Mapping[Any, Any]) -> frozenset[Protection]:
    """Return what a file says in so many words that it goes without."""
    if not content:
        return frozenset(Protection)
    tls = content.get("tls_server_config")
    up: set[Protection] = set()
    if content.get("basic_auth_users") == {}:
        up.add(Protection.USERS)
    if tls == {}:
        up |= _OF_TLS
    elif isinstance(tls, dict):
        if tls.get("client_auth_type"):
            up.add(Protection.CLIENT_CERTIFICATES)
        if tls.get("min_version"):
            up.add(Protection.TLS_1_3)
    return frozenset(up)


def open_unsaid(there: Set[Protection], up: Set[Protection]) -> list[str]:
    """Return what is wrong with a file that has the protections `there` and gives up `up`: that it
    lets everybody in and does not say so."""
    if there & {Protection.USERS, Protection.TLS} or Protection.USERS in up:
        return []
    _, line = Protection.USERS.value
    return [f"neither users nor TLS; if that is meant, write '{line}' ({_NOTHING})"]


def lost_unsaid(before: Set[Protection], there: Set[Protection], up: Set[Protection]) -> list[str]:
    """Return a line for each protection that was there before, is not there now, and that the file
    does not say it gives up."""
    lost = before - there - up
    if Protection.TLS in lost:
        lost -= _OF_TLS - {Protection.TLS}
    return [
        f"no {words} now, as in a file cut short, so what was there before goes on; if it is to "
        f"go, write '{line}' ({_NOTHING})"
        for words, line in (one.value for one in Protection if one in lost)
    ]
