"""What it means that there is no connection to an Asterisk, or no login, and what to do about it.

Errors and what came back go in, words and a Cause come out; no I/O.
"""

import errno
import os
import socket
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """Why there is no connection or no login, to be told apart without reading the words."""

    NO_NAME = "name not known"
    NO_NAME_SERVER = "name server does not answer"
    REFUSED = "refused"
    NO_HOST = "host unreachable"
    NO_ROUTE = "no route"
    FORBIDDEN = "not permitted"
    TIMED_OUT = "timed out"
    LIMIT = "too many open files"
    OTHER = "no connection"
    OWN_FILES = "TLS files"
    CERTIFICATE = "certificate refused"
    TLS = "no TLS"
    CLOSED = "closed before any greeting"
    NO_ASTERISK = "no Asterisk"
    SILENT = "connected, then no answer"
    CREDENTIALS = "name, secret or address"
    """Asterisk answers all three alike; its log says which it is."""
    IN_USE = "login already in use"
    LOGIN = "login refused in words not known"
    NO_CHALLENGE = "no challenge"


SHUTTING_DOWN: Final = (
    "Asterisk is shutting down: it stops or restarts once its last call has ended, and refuses "
    "every action until then; 'core abort shutdown' in its console calls that off"
)

_ERRNO: Final = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.EHOSTUNREACH: Cause.NO_HOST,
    errno.EHOSTDOWN: Cause.NO_HOST,
    errno.ENETUNREACH: Cause.NO_ROUTE,
    errno.ENETDOWN: Cause.NO_ROUTE,
    errno.EADDRNOTAVAIL: Cause.NO_ROUTE,
    errno.EAFNOSUPPORT: Cause.NO_ROUTE,
    errno.EACCES: Cause.FORBIDDEN,
    errno.EPERM: Cause.FORBIDDEN,
    errno.ETIMEDOUT: Cause.TIMED_OUT,
    errno.ECONNRESET: Cause.REFUSED,
    errno.ENOPROTOOPT: Cause.REFUSED,  # a firewall's icmp-proto-unreachable
    errno.EMFILE: Cause.LIMIT,
    errno.ENFILE: Cause.LIMIT,
}
_UNREACHED: Final = {
    Cause.LIMIT: (
        "this process has as many as it may (raise it: LimitNOFILE= in a systemd unit, ulimit -n "
        "in a shell), or all of this machine have together (sysctl fs.file-max)"
    ),
    Cause.REFUSED: (
        "nothing listens on this port, or a firewall refuses it; does Asterisk run, is --ami.port "
        "the port of bindaddr (of tlsbindaddr for --ami.tls) in [general] of its manager.conf, "
        "with enabled = yes, and --ami.host an address that this covers?"
    ),
    Cause.TIMED_OUT: (
        "a firewall drops what is sent there, or nobody has this address; check --ami.host, that "
        "the machine runs, and that the firewalls between let this port through"
    ),
    Cause.NO_HOST: (
        "nobody answers at this address in its network, or a firewall refuses it; check "
        "--ami.host, and that the machine runs"
    ),
    Cause.FORBIDDEN: (
        "this machine does not permit it: see its own firewall, and limits of the service such as "
        "IPAddressDeny of systemd"
    ),
    Cause.OTHER: "check --ami.host and --ami.port",
    Cause.NO_ROUTE: (
        "this machine has no network that leads there; check its own addresses, routes and VPN, "
        "and --ami.host"
    ),
}
"""What it means that there is no TCP connection, and what to do. If a host's addresses fail by
different causes, the first in this order is told; NO_ROUTE is the last, as it is what every IPv6
address gives on a machine without IPv6."""
_TLS_ALERT: Final = b"\x15\x03"


def unknown_name(error: OSError | UnicodeError) -> tuple[str, Cause]:
    """What it means that a name was not resolved, or not in time, and what to do about it."""
    if isinstance(error, UnicodeError):
        return "no host can have such a name; check --ami.host", Cause.NO_NAME
    if isinstance(error, TimeoutError) or error.errno == socket.EAI_AGAIN:
        reason = error.strerror or "name not resolved in time"
        return (
            f"{reason}: the name server does not answer; see /etc/resolv.conf on this machine, or "
            "give an address as --ami.host"
        ), Cause.NO_NAME_SERVER
    return f"{error.strerror}: check --ami.host, or give an address there", Cause.NO_NAME


def unreached(errors: Mapping[str, OSError]) -> tuple[str, Cause]:
    """What it means that none of these addresses could be connected to, and what to do about it."""
    causes = {address: cause_of(error) for address, error in errors.items()}
    cause = next(cause for cause in _UNREACHED if cause in causes.values())
    if len(set(causes.values())) > 1:
        outcome = ", ".join(f"{_outcome(errors[a], causes[a])} ({a})" for a in causes)
    else:
        outcome = _outcome(next(iter(errors.values())), cause)
    return f"{outcome}: {_UNREACHED[cause]}", cause


def cause_of(error: OSError) -> Cause:
    """Why one address could not be connected to."""
    if isinstance(error, TimeoutError):  # asyncio's, without errno
        return Cause.TIMED_OUT
    return _ERRNO.get(error.errno or 0, Cause.OTHER)


def _outcome(error: OSError, cause: Cause) -> str:
    if cause is not Cause.OTHER:
        return cause.value
    # asyncio says "Connect call failed" and the address, whatever the reason.
    return os.strerror(error.errno) if error.errno else str(error)


def not_greeted(heard: bytes, reason: str, *, tls: bool) -> tuple[str, Cause]:
    """What it means that a connection was lost, for this reason, before any greeting, and what to
    do about it. `heard`: what came instead of a greeting."""
    if heard and not heard.startswith(_TLS_ALERT):
        return (
            "no Asterisk manager answers there; "
            "is it the port of [general] in manager.conf, and TLS or not as set here?"
        ), Cause.NO_ASTERISK
    # Asterisk takes no more than authlimit connections that have not logged in: it ends the next
    # one without a word (manager.c, session_do).
    crowded = (
        "a firewall or proxy ends it, or more connections wait to log in than authlimit in "
        "[general] of manager.conf allows (50 unless set): see who connects there"
    )
    ended = f"the connection ended before any greeting: {reason}"
    if tls:  # with TLS 1.3 a missing client certificate is refused only now
        hint = (
            "the server's log says why; for its client certificates see --ami.tls-cert-file; or "
            f"{crowded}"
        )
    elif heard:
        hint = "it is the port of tlsbindaddr in manager.conf: set --ami.tls"
    else:
        hint = f"{crowded}; if it is the port of tlsbindaddr, set --ami.tls"
    return f"{ended}; {hint}", Cause.CLOSED


NO_CHALLENGE: Final = (
    "the challenge to log in with is empty, and the answer to that could be used by whoever hears "
    "it, again and again: nothing was sent. Asterisk sends a number; what answers there may be a "
    "proxy, or somebody who is after the secret: see what listens there"
)
_LOGIN: Final = {
    Cause.CREDENTIALS: (
        "check name and secret against manager.conf, and its permit, deny and acl lines for this "
        "user; Asterisk's log says which it is, and 'manager reload' makes it read the file again"
    ),
    Cause.IN_USE: (
        "somebody is logged in under this name, and allowmultiplelogin = no in manager.conf lets "
        "in one at a time; 'manager show connected' in Asterisk's console says from where: end "
        "that one, give each exporter a user of its own, or allow it for this user"
    ),
    Cause.LOGIN: "Asterisk's log says why; what answers may be a proxy with rules of its own",
}
_REFUSED: Final = {
    "Authentication failed": Cause.CREDENTIALS,
    "Login Already In Use": Cause.IN_USE,
}
"""How the refusal begins. Source: action_login and authenticate in manager.c."""


def refused_login(message: str) -> tuple[str, Cause]:
    """What it means that Asterisk refuses a login with this `message`, and what to do about it."""
    cause = next((c for words, c in _REFUSED.items() if message.startswith(words)), Cause.LOGIN)
    return f"{message or 'no reason given'}; {_LOGIN[cause]}", cause
