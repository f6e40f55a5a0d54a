"""`--health-check`: asks the exporter that runs here whether it is healthy. For the health check of
a container, a probe of kubelet, a script.

It is asked at a socket of its own, which has no port: so neither TLS, nor users, nor client
certificates that are demanded, nor the address it listens on, stand between. Light, since it is
started every few seconds: it imports next to nothing and reads no settings.
"""

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

PREFIX = "asterisk-fax-exporter/health/"
"""Of the socket's name, which is abstract: see unix(7). After it come the ports where that exporter
listens, with commas between, a slash, and what makes it unique."""
HEALTHY = "healthy"
"""What it says; else why it is not, in a line."""

_SECONDS = 3.0
"""For the answer: less than what containers' health checks give."""
_PAUSE_SECONDS = 0.005
_MAX_ANSWER = 4096
_ADDRESS = "--web.listen-address"
_VARIABLE = "FAX_EXPORTER_WEB_LISTEN_ADDRESS"
_NOBODY = (
    "no exporter runs here that this user may ask: it still starts, has ended, or is in another "
    "container or another user's"
)


def health_check(argv: Sequence[str]) -> int:
    """Prints `healthy` and returns 0, or prints why not, in a line on standard error, and returns
    1. Of several exporters all must be, or, if `argv` or the environment says where to listen,
    those that listen on such a port."""
    wrong = _wrong(argv)
    with contextlib.suppress(OSError, ValueError):  # nobody reads it; the status is still right
        print(wrong or HEALTHY, file=sys.stderr if wrong else sys.stdout, flush=True)
    return 1 if wrong else 0


def _wrong(argv: Sequence[str]) -> str:
    """Empty if nothing is."""
    try:
        # Once each: a connection that waits there or is served has the name as well.
        names = list(dict.fromkeys(_names()))
    except OSError as error:
        return f"/proc/net/unix cannot be read, which tells of exporters: {error.strerror}"
    if ports := _ports(_addresses(argv)):
        names = [name for name in names if ports & _ports_of(name)]
        if missing := ports.difference(*map(_ports_of, names)):
            return f"no exporter listens on port {' or '.join(sorted(missing))} here"
    # Not so strict: the flags of who runs may say else, and they are not known here.
    elif ports := _ports(os.environ.get(_VARIABLE, "").replace(",", " ").split()):
        names = [name for name in names if ports & _ports_of(name)] or names
    deadline = time.monotonic() + _SECONDS
    nobody = True
    for name in names:
        answer = _ask(name, deadline)
        if answer not in (None, HEALTHY):
            return answer  # no need of the others, each of which may take its time
        nobody = nobody and answer is None
    return _NOBODY if nobody else ""


def _names() -> Iterator[str]:
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        for line in table:
            _, at, name = line.rstrip("\n").partition(f" @{PREFIX}")
            if at:
                yield PREFIX + name


def _ports_of(name: str) -> set[str]:
    return set(name.removeprefix(PREFIX).partition("/")[0].split(","))


def _addresses(argv: Sequence[str]) -> Iterator[str]:
    """Those that flags name."""
    before = ""
    for word in argv:
        name, equals, value = word.partition("=")
        if before == _ADDRESS:
            yield word
        elif name == _ADDRESS and equals:
            yield value
        before = word


def _ports(addresses: Iterable[str]) -> set[str]:
    """All but 0, which is any."""
    return {address.rpartition(":")[2] for address in addresses} - {"0"}


def _connect(asking: socket.socket, name: str, deadline: float) -> None:
    while True:
        asking.settimeout(_left(deadline))
        try:
            return asking.connect(f"\0{name}")
        except BlockingIOError:  # too many ask already: it waits for none of them
            time.sleep(_PAUSE_SECONDS)


def _left(deadline: float) -> float:
    """Seconds. Raises TimeoutError if there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _ask(name: str, deadline: float) -> str | None:
    """What it says; None if it is not ours to ask."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            _connect(asking, name, deadline)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            process, user, _ = struct.unpack("3i", credentials)
            # No process: it is in another container, which only shares the network. Another user
            # may call himself an exporter.
            if not process or os.geteuid() not in (0, user):
                return None
            answer = b""
            while len(answer) < _MAX_ANSWER and (more := asking.recv(_MAX_ANSWER - len(answer))):
                answer += more
                asking.settimeout(_left(deadline))
        except TimeoutError:
            return f"it gave no answer within {_SECONDS:.0f} s"
        except OSError as error:
            return (
                None
                if isinstance(error, ConnectionRefusedError)
                else f"it cannot be asked: {error}"
            )
    said = "".join(c if c.isprintable() else "?" for c in answer.decode(errors="replace").strip())
    return said or "it ended before it answered"
