"""The listening sockets: bound to the addresses of the settings, or passed by systemd.

They are opened before anything else starts, so that a process that is given them only serves.
"""

import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Final, NoReturn

from exporter.settings import ListenAddress, WebSettings

log = logging.getLogger(__name__)

BACKLOG: Final = 1024
"""Connections that the system holds until they are accepted, of each socket."""
RECEIVE_BUFFER: Final = 16 * 1024
"""Bytes the kernel keeps of what a client sends and nobody reads yet; Linux doubles the number, for
its own bookkeeping. A request is a few hundred bytes. Left alone, it is 128 KiB and more."""
SEND_BUFFER: Final = 64 * 1024
"""Bytes the kernel keeps for a client that does not read, doubled as above. With both, 512 clients
that read nothing take some 80 MiB of the kernel's memory; left alone, 4 MB each."""

_FIRST_PASSED: int = 3
"""Descriptor of the first socket that systemd passes."""
_FROM_SYSTEMD: Final = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")
_NO_SUCH_FAMILY: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
"""Of a wildcard or one of several addresses of a name: the machine lacks IPv6, or IPv4."""
_WHAT_TO_DO: Final = {
    errno.EADDRINUSE: "another program has it",
    errno.EADDRNOTAVAIL: "it is none of this machine's",
    errno.EAFNOSUPPORT: "this machine has no addresses of that kind",
    errno.EACCES: "a port below 1024 needs root, CAP_NET_BIND_SERVICE or a socket of systemd",
}


def open_sockets(
    settings: WebSettings, environment: MutableMapping[str, str] = os.environ
) -> list[socket.socket]:
    """Return listening sockets, non-blocking and not inherited by other programs.

    What systemd says in `environment` is removed from it, so that no child takes it for its own.
    Raises OSError with a text for the user; then none is left open.
    """
    passed = {name: environment.pop(name, "") for name in _FROM_SYSTEMD}
    if settings.systemd_socket:
        return _passed(passed)
    if passed["LISTEN_PID"] == str(os.getpid()):
        log.warning("systemd passes sockets, and nobody serves them: --web.systemd-socket does")
    return _bound(settings.listen_address)


def url_of(listening: socket.socket, scheme: str) -> str:
    """Return where it listens, without a path: `http://[::1]:10329`, or as nginx writes a socket
    in the file system, `http://unix:/run/a.sock:`."""
    name = listening.getsockname()
    if listening.family != socket.AF_UNIX:
        return f"{scheme}://{ListenAddress(*name[:2])}"
    return f"{scheme}://unix:{os.fsdecode(name).replace(chr(0), '@')}:"


def _bound(addresses: Iterable[ListenAddress]) -> list[socket.socket]:
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for address in addresses:
            try:
                found = _open(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and _has_port(sockets, address.port):
                    why = "is listened on already, by another --web.listen-address"
                    raise OSError(f"cannot listen on {address}: it {why}") from error
                _refuse(address, error)
            for one in found:
                sockets.append(opened.enter_context(one))
        opened.pop_all()
    return sockets


def _has_port(sockets: Sequence[socket.socket], port: int) -> bool:
    return any(one.getsockname()[1] == port for one in sockets)


def _refuse(address: ListenAddress, error: OSError) -> NoReturn:
    why = f"{(error.strerror or str(error)).lower()}"
    advice = "" if isinstance(error, socket.gaierror) else _WHAT_TO_DO.get(error.errno or 0, "")
    reason = "; ".join(filter(None, (why, advice, "see --web.listen-address")))
    raise OSError(f"cannot listen on {address}: {reason}") from error


def _open(address: ListenAddress) -> list[socket.socket]:
    """Return a socket for each address of a host; for all interfaces one for both families."""
    if address.is_everywhere:
        try:
            return [_listening(socket.AF_INET6, ("::", address.port))]
        except OSError as error:
            if error.errno not in _NO_SUCH_FAMILY:
                raise
        return [_listening(socket.AF_INET, ("0.0.0.0", address.port))]
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError:  # Python's IDNA codec, about a label that is too long
        raise OSError("not a host name") from None
    missing: list[OSError] = []
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, name in dict.fromkeys((family, name) for family, _, _, _, name in found):
            try:
                sockets.append(opened.enter_context(_listening(family, name)))
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing.append(error)
        if not sockets:
            raise missing[0]
        opened.pop_all()
    return sockets


def _listening(family: int, name: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setblocking(False)
        # As asyncio does: not to wait a minute for the connections of a process that has ended.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # [::] takes IPv4 too, whatever the system's default is
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        _bound_memory(one)
        one.bind(name)
        one.listen(BACKLOG)
    except BaseException:
        one.close()
        raise
    return one


def _bound_memory(listening: socket.socket) -> None:
    """Bound what the kernel keeps for each connection: they inherit the sizes of their listener, by
    which the client is told how much it may send. Those in the file system inherit none of it, and
    have 208 KiB by default."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


def _passed(said: Mapping[str, str]) -> list[socket.socket]:
    """Return the sockets that systemd passes, as sd_listen_fds(3) describes. Raises OSError."""
    pid, count, names = said["LISTEN_PID"], said["LISTEN_FDS"], said["LISTEN_FDNAMES"].split(":")
    if not (count.isascii() and count.isdigit() and len(count) < 10 and int(count)):
        text = f"LISTEN_FDS is {ascii(count)[:50]}" if count else "LISTEN_FDS is not set"
        raise OSError(f"systemd passes no socket ({text}): start it by its .socket unit")
    if pid != str(os.getpid()):
        text = f"LISTEN_PID is {ascii(pid)[:50]}, this process {os.getpid()}"
        raise OSError(
            f"the sockets of systemd are for another process ({text}): "
            "a script that starts the exporter has to say exec before its name"
        )
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for index in range(int(count)):
            number = _FIRST_PASSED + index
            name = names[index] if index < len(names) and names[index] else "no name"
            where = f"descriptor {number} of systemd ({ascii(name)[1:-1][:100]})"
            sockets.append(opened.enter_context(_checked(number, where)))
        opened.pop_all()
    return sockets


def _checked(number: int, where: str) -> socket.socket:
    """Return a descriptor as a socket. Raises OSError unless it listens for connections."""
    try:
        is_socket = stat.S_ISSOCK(os.fstat(number).st_mode)
    except (OSError, OverflowError):
        raise OSError(f"{where} is not open") from None
    if not is_socket:
        raise OSError(f"{where} is no socket")
    one = socket.socket(fileno=number)
    try:
        if (
            one.type != socket.SOCK_STREAM
            or one.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
            or not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ):
            raise OSError(f"{where} does not listen; in its unit use ListenStream=, and no Accept=")
        os.set_inheritable(number, False)
        one.setblocking(False)
        _bound_memory(one)
    except BaseException:
        one.close()
        raise
    return one
