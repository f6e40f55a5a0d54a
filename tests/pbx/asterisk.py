"""Real Asterisks to test against, and what independently says what they did.

Builds the chroots, starts Asterisks in them, drives real faxes through them, and reads AMI with a
client of its own: nothing here imports the exporter or panoramisk, so that a mistake there is not
repeated here.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from packages.sources import BuildFailed, cache, run
from tests.pbx.kept import once

SUITES = ("bullseye", "sid")
"""Debian suites with Asterisk 16 and Asterisk 22."""

HOST = "127.0.0.1"

# Where an instance's own directory is bound inside its private mount namespace. The same for all:
# each namespace sees its own, so that many instances share one read-mostly chroot.
_INSIDE = Path("/opt/t")

# One block of ports per running Asterisk, all below Linux' ephemeral range (32768), where a
# client's own connection could take a port between the check and Asterisk's bind.
_FIRST_PORT = 20000
_PORTS = 100
_SLOTS = 120
_AMI, _SIP, _HTTP, _RTP, _UDPTL = 0, 1, 9, 10, 60

# Only what a fax needs: an Asterisk with all of Debian's modules takes seconds to start and reads
# configuration that does not concern us.
_MODULES = """
res_timing_timerfd res_timing_pthread res_sorcery_config res_sorcery_memory res_sorcery_astdb
res_fax res_fax_spandsp res_mutestream res_rtp_asterisk res_pjproject res_pjsip res_pjsip_session
res_pjsip_sdp_rtp res_pjsip_t38 res_pjsip_caller_id res_pjsip_endpoint_identifier_user
res_pjsip_endpoint_identifier_ip res_pjsip_rfc3326 res_pjsip_pubsub chan_pjsip pbx_config app_dial
app_system app_verbose app_stack app_transfer func_channel res_pjsip_header_funcs res_pjsip_refer
codec_ulaw codec_alaw codec_a_mu codec_resample format_pcm bridge_simple bridge_native_rtp
func_strings
""".split()  # noqa: SIM905 - a list of words, read as such


class AsteriskFailed(Exception):
    """Asterisk did not start or went away; the text has the end of its log."""


class AmiError(Exception):
    """AMI refused an action that the test needs, or did not answer in time."""


class AmiClosed(AmiError):
    """The AMI connection is gone: Asterisk was stopped, or died."""


def available() -> str | None:
    """None if real Asterisks can run here, else one line that says what is missing."""
    if not sys.platform.startswith("linux"):
        return f"real Asterisks need Linux (this is {sys.platform})"
    if os.geteuid() != 0:
        return "real Asterisks need root (chroot and a private mount namespace)"
    missing = [
        tool for tool in ("unshare", "setpriv", "chroot", "mount") if shutil.which(tool) is None
    ]
    if missing:
        return (
            f"real Asterisks need {', '.join(missing)}: apt-get install util-linux coreutils mount"
        )
    if shutil.which("debootstrap") is None and not all(_ready(cache() / s) for s in SUITES):
        return "real Asterisks need debootstrap: apt-get install debootstrap"
    return None


def _ready(root: Path) -> bool:
    return (root / "usr/sbin/asterisk").exists()


def chroot(suite: str) -> Path:
    """The chroot that holds `suite`'s Asterisk, built on first use (about 45 s).

    Raises BuildFailed.
    """
    if suite not in SUITES:
        raise ValueError(f"no Asterisk known in suite {suite!r}; there are {', '.join(SUITES)}")
    root = cache() / suite
    if _ready(root):
        return root

    def make(building: Path) -> None:
        run(["debootstrap", "--variant=minbase", "--include=asterisk", suite, building])
        if not _ready(building):
            raise BuildFailed(f"debootstrap of {suite} has made no usr/sbin/asterisk")
        shutil.rmtree(building / "var/cache/apt/archives", ignore_errors=True)

    return once(root, make)


# --------------------------------------------------------------------------------------------- AMI


@dataclass(frozen=True)
class Message:
    """One AMI message: its headers in the order they came, since a name can occur twice."""

    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, block: bytes) -> Message:
        """From the bytes between two empty lines."""
        pairs = (
            line.partition(":") for line in block.decode(errors="replace").split("\r\n") if line
        )
        return cls(tuple((name.strip(), value.strip()) for name, _, value in pairs))

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header; names are compared without case, as Asterisk does."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    def all(self, name: str) -> list[str]:
        """Every value of a header that may be repeated."""
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def event(self) -> str:
        """The event's name, or '' if this is a response."""
        return self.get("Event")

    def variable(self, name: str) -> str | None:
        """A channel variable that `channelvars` put on the event."""
        values = (v.partition("=") for v in self.all("ChanVariable"))
        return next((value for key, _, value in values if key == name), None)


def query_is_safe(listed: Message) -> bool:
    """Whether FAXSession may be asked for this FAXSessionsEntry.

    Anything less strict kills Asterisk sooner or later: it dereferences a null pointer on a session
    that is still Initialized.
    """
    return listed.get("State") in ("Active", "Complete") and listed.get("Operation") in (
        "send",
        "receive",
        "gateway",
    )


class Ami:
    """A bare-socket AMI client for one connection; a thread of its own reads."""

    def __init__(
        self,
        port: int,
        username: str,
        secret: str,
        *,
        host: str = HOST,
        events: bool = True,
        timeout: float = 5.0,
    ) -> None:
        """Logs in by MD5 challenge. Raises OSError if nobody listens, AmiError if refused."""
        self._timeout = timeout
        self._changed = threading.Condition()
        self._answers: dict[str, list[Message]] = {}
        self._events: list[Message] = []
        self._closed = False
        self._ids = itertools.count(1)
        self._send = threading.Lock()
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, name=f"ami-{port}", daemon=True)
        self._reader.start()
        try:
            challenge = self.action("Challenge", AuthType="MD5").get("Challenge")
            key = hashlib.md5((challenge + secret).encode(), usedforsecurity=False).hexdigest()
            self.action(
                "Login",
                AuthType="MD5",
                Username=username,
                Key=key,
                Events="on" if events else "off",
            )
        except AmiError:
            self.close()
            raise

    def _read(self) -> None:
        buffer = b""
        try:
            greeted = False
            while chunk := self._socket.recv(65536):
                buffer += chunk
                if not greeted:
                    _, end, rest = buffer.partition(b"\r\n")
                    if not end:
                        continue
                    greeted, buffer = True, rest
                *blocks, buffer = buffer.split(b"\r\n\r\n")
                for block in blocks:
                    self._take(Message.parse(block))
        except OSError:
            pass  # closed from either side: that is what ends this thread
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, message: Message) -> None:
        with self._changed:
            waiting = self._answers.get(message.get("ActionID"))
            (self._events if waiting is None else waiting).append(message)
            self._changed.notify_all()

    def ask(
        self,
        action: str,
        until: str | None = None,
        /,
        **headers: str | int | Iterable[str],
    ) -> list[Message]:
        """The response, followed by the events that answer it up to the one named `until`.

        A response that is an Error ends it alone. Raises AmiClosed, or AmiError if the answer does
        not come.
        """
        number = self.post(action, **headers)
        return self.collect(number, until)

    def post(self, action: str, /, **headers: str | int | Iterable[str]) -> str:
        """Sends an action; returns its ActionID for `collect`. A header may be a list."""
        number = f"oracle-{next(self._ids)}"
        lines = [f"Action: {action}", f"ActionID: {number}"]
        for name, value in headers.items():
            values = [str(value)] if isinstance(value, (str, int)) else value
            lines += [f"{name}: {v}" for v in values]
        with self._changed:
            self._answers[number] = []
        try:
            with self._send:
                self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        except OSError as error:
            with self._changed:
                del self._answers[number]
            raise AmiClosed(f"{action}: {error}") from error
        return number

    def collect(self, number: str, until: str | None = None) -> list[Message]:
        """The answer to a posted action, see `ask`."""
        deadline = time.monotonic() + self._timeout
        with self._changed:
            answer = self._answers[number]
            try:
                while not self._whole(answer, until):
                    if self._closed:
                        raise AmiClosed(
                            f"connection lost while waiting for {until or 'the response'}: {answer}"
                        )
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise AmiError(f"no {until or 'response'} in time; so far: {answer}")
                return answer
            finally:
                del self._answers[number]

    @staticmethod
    def _whole(answer: list[Message], until: str | None) -> bool:
        if not answer:
            return False
        return until is None or answer[0].get("Response") == "Error" or answer[-1].event == until

    def action(self, action: str, /, **headers: str | int | Iterable[str]) -> Message:
        """The response to an action. Raises AmiError, in Asterisk's words, on an Error."""
        response = self.ask(action, **headers)[0]
        if response.get("Response") == "Error":
            raise AmiError(f"{action}: {response.get('Message')}")
        return response

    def events(self, *names: str) -> list[Message]:
        """The events so far that answered no action, in order; of these names if any are given."""
        with self._changed:
            return [e for e in self._events if not names or e.event in names]

    def wait_for(self, predicate: Callable[[Message], bool], timeout: float) -> Message:
        """The first event, past or coming, that satisfies it. Raises AmiError after `timeout` s."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for event in self._events[seen:]:
                    if predicate(event):
                        return event
                seen = len(self._events)
                if self._closed:
                    raise AmiClosed("connection lost while waiting for an event")
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise AmiError(
                        f"no such event in {timeout} s; the last ones: {self._events[-5:]}"
                    )

    def wait_for_count(self, count: int, *names: str, timeout: float) -> list[Message]:
        """The events of these names, once there are `count`. Raises AmiError after `timeout` s."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [e for e in self._events if e.event in names]
                if len(found) >= count:
                    return found
                if self._closed:
                    raise AmiClosed(
                        f"connection lost with {len(found)} of {count} {'/'.join(names)}"
                    )
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise AmiError(
                        f"{len(found)} of {count} {'/'.join(names)} in {timeout} s: {found}"
                    )

    def sessions(self) -> list[Message]:
        """The FAXSessionsEntry events of one FAXSessions."""
        return [
            m
            for m in self.ask("FAXSessions", "FAXSessionsComplete")
            if m.event == "FAXSessionsEntry"
        ]

    def readings(self) -> list[tuple[Message, Message | None]]:
        """Every listed session and its FAXSession: None if asking is unsafe, or it just ended."""
        asked = [
            (
                entry,
                self.post("FAXSession", SessionNumber=entry.get("SessionNumber"))
                if query_is_safe(entry)
                else "",
            )
            for entry in self.sessions()
        ]
        result: list[tuple[Message, Message | None]] = []
        for entry, number in asked:
            answer = self.collect(number, "FAXSession") if number else []
            result.append((entry, answer[-1] if len(answer) > 1 else None))
        return result

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._closed

    def close(self) -> None:
        """Ends the connection and its thread; again is no harm."""
        with suppress(OSError):  # the other side may have been first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._reader.join(2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# ---------------------------------------------------------------------------------------- Asterisk


@dataclass(frozen=True)
class ManagerUser:
    """A user of manager.conf; `lines` are further settings of its section, e.g. an eventfilter."""

    name: str
    secret: str
    read: str = ""
    write: str = ""
    lines: tuple[str, ...] = ()

    def section(self) -> str:
        """As manager.conf has it."""
        classes = [f"{k} = {v}" for k, v in (("read", self.read), ("write", self.write)) if v]
        rest = [
            "deny = 0.0.0.0/0.0.0.0",
            "permit = 127.0.0.1/255.255.255.255",
            *classes,
            *self.lines,
        ]
        return "\n".join([f"[{self.name}]", f"secret = {self.secret}", *rest, ""])


class _Ports:
    """A block of ports for one Asterisk: locked among test processes, and nobody listens."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / "asterisk-fax-exporter-ports"
        folder.mkdir(exist_ok=True)
        for slot in range(_SLOTS):
            self._file = (folder / str(slot)).open("w")
            self.first = _FIRST_PORT + slot * _PORTS
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._check()
            except OSError:
                self._file.close()
                continue
            return
        raise AsteriskFailed(f"all {_SLOTS} blocks of {_PORTS} ports from {_FIRST_PORT} are in use")

    def _check(self) -> None:
        for port in range(self.first, self.first + _PORTS):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    if kind == socket.SOCK_STREAM:
                        # or the last test's closed connections look like a listener
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((HOST, port))

    def release(self) -> None:
        self._file.close()


# PDEATHSIG fires when the *thread* that started the child ends, not the process: a test's own
# thread pool would take its Asterisks with it. This thread lives as long as the interpreter.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="asterisk-starter")

_LAUNCH = """
set -e
root=$1 dir=$2 inside=$3
mkdir -p "$root$inside"
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$dir" "$root$inside"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Asterisk asks this file alone, not TZ; in the chroot it is a link to UTC.
mount --bind "$dir/etc/localtime" "$root/usr/share/zoneinfo/Etc/UTC"
ulimit -c 0
exec chroot "$root" /usr/sbin/asterisk -C "$inside/etc/asterisk.conf" -f -n
"""


class Asterisk:
    """One real Asterisk with configuration, run directory, ports and fax folder of its own.

    Both ends of a fax can be in it (`Local/recv@fax`), or one in a peer over SIP (`connect_peer`).
    """

    host = HOST
    username = "fax-exporter"
    secret = "a-long-random-secret-of-the-exporter"

    def __init__(
        self,
        suite: str,
        *,
        directory: Path | None = None,
        ecm: bool = False,
        maxrate: int = 14400,
        channelvars: bool = True,
        manager_users: Sequence[ManagerUser] = (),
        noload: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        udptl_ec: str = "redundancy",
        peer_sip_port: int | None = None,
        timezone: str = "Etc/UTC",
    ) -> None:
        """Takes ports; starts nothing yet.

        `directory` is kept when given, else temporary. `maxrate` is in bit/s. `noload` names
        modules without .so. `extra` is text appended to a configuration file by its name
        (`[general](+)` reopens a section). `udptl_ec` is none, fec or redundancy. The SIP peer is
        this Asterisk itself unless told otherwise. `timezone`: of its machine.
        """
        self.suite = suite
        self._root = chroot(suite)
        self._ecm, self._maxrate, self._channelvars = ecm, maxrate, channelvars
        self._users, self._noload, self._extra, self._udptl_ec = (
            manager_users,
            frozenset(noload),
            extra or {},
            udptl_ec,
        )
        self.timezone = timezone
        """From the next start on."""
        self._ports: _Ports | None = _Ports()
        first = self._ports.first
        self.ami_port = first + _AMI
        self.sip_port = first + _SIP
        self.http_port = first + _HTTP
        """A port nobody uses, for the exporter under test; so are the six below it."""
        self.udptl_ports = (first + _UDPTL, first + _PORTS - 1)
        self._rtp_ports = (first + _RTP, first + _UDPTL - 1)
        self.peer_sip_port = peer_sip_port or self.sip_port
        self._temporary = (
            tempfile.TemporaryDirectory(prefix="asterisk-") if directory is None else None
        )
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self.fax_dir = self.directory / "fax"
        self.fax_dir_inside = _INSIDE / "fax"
        self.log_file = self.directory / "log/full"
        self._process: subprocess.Popen[bytes] | None = None
        self._driver: Ami | None = None
        self.version = ""
        """As CoreSettings says it; '' until started."""

    # -- its life

    def connect_peer(self, other: Asterisk) -> None:
        """Makes each the other's SIP peer `peer` and `audio`. Before either is started."""
        self.peer_sip_port, other.peer_sip_port = other.sip_port, self.sip_port

    def start(self, timeout: float = 30.0) -> Self:
        """Waits until it is fully booted. Raises AsteriskFailed with the end of its log."""
        if self._ports is None:
            raise AsteriskFailed("this Asterisk was closed; make a new one")
        self._configure()
        # It dies with us, and takes its mounts with it.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--propagation",
            "private",
        ]
        command += ["sh", "-c", _LAUNCH, "sh", *map(str, (self._root, self.directory, _INSIDE))]
        with (self.directory / "log/console").open("ab") as console:
            self._process = _STARTER.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
            ).result()
        deadline = time.monotonic() + timeout
        # Nothing can be awaited before the port is open, so this one thing is tried again.
        while True:
            try:
                self._driver = self.ami()
                break
            except (OSError, AmiError) as error:
                if self._process.poll() is not None:
                    raise AsteriskFailed(
                        f"Asterisk ended with {self._process.returncode}\n{self._log()}"
                    ) from error
                if time.monotonic() > deadline:
                    self.stop(graceful=False)
                    raise AsteriskFailed(
                        f"no AMI in {timeout} s: {error}\n{self._log()}"
                    ) from error
                time.sleep(0.05)
        try:
            self._driver.wait_for(lambda e: e.event == "FullyBooted", deadline - time.monotonic())
            self.version = self._driver.action("CoreSettings").get("AsteriskVersion")
            for module in {"res_fax", "res_fax_spandsp"} - self._noload:
                self._driver.action("ModuleCheck", Module=module)
        except AmiError as error:
            self.stop(graceful=False)
            raise AsteriskFailed(f"{error}\n{self._log()}") from error
        return self

    def stop(self, *, graceful: bool = True, timeout: float = 5.0) -> None:
        """Ends it: by `core stop now`, or by SIGKILL as a crash would; again is no harm."""
        process, self._process = self._process, None
        driver, self._driver = self._driver, None
        if process is not None:
            if graceful and process.poll() is None:
                process.terminate()  # Asterisk takes SIGTERM for "core stop now"
                try:
                    process.wait(timeout)
                except subprocess.TimeoutExpired:
                    process.kill()
            else:
                process.kill()
            process.wait()
        if driver is not None:
            driver.close()

    def restart(self, *, graceful: bool = True) -> None:
        """Stops and starts it, on the same ports with the same files."""
        self.stop(graceful=graceful)
        self.start()

    def close(self) -> None:
        """Stops it and gives back its ports and, if temporary, its directory."""
        self.stop(graceful=False)
        if self._ports is not None:
            self._ports.release()
            self._ports = None
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the running Asterisk."""
        if self._process is None:
            raise AsteriskFailed("not started")
        return self._process.pid

    def __enter__(self) -> Self:
        if not self.alive:
            try:
                self.start()
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _log(self) -> str:
        parts = []
        for path in (self.directory / "log/console", self.log_file):
            if path.exists():
                parts.append(
                    f"{path}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
                )
        return "\n".join(parts)

    # -- its AMI

    @property
    def driver(self) -> Ami:
        """The test's own connection, as the all-powerful user; a new one after each start."""
        if self._driver is None:
            raise AsteriskFailed("not started")
        return self._driver

    def ami(self, user: ManagerUser | None = None, *, events: bool = True) -> Ami:
        """A further connection; as the all-powerful user if none is named."""
        who = user or self.driver_user
        return Ami(self.ami_port, who.name, who.secret, events=events)

    def wait_for_log(self, text: str, timeout: float = 20) -> None:
        """Until Asterisk's log has this text: a thread of its own writes it, some time later."""
        deadline = time.monotonic() + timeout
        while text not in self.log_file.read_text(errors="replace"):
            assert time.monotonic() < deadline, f"no {text!r} in {self.log_file}"
            time.sleep(0.05)

    def command(self, line: str) -> None:
        """Has a line of Asterisk's console done; works also while AMI refuses everything."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as console:
            console.settimeout(5)
            console.connect(str(self.directory / "run/asterisk.ctl"))
            console.recv(1024)  # who it is
            # Many say nothing once they are done; the second is answered after the first.
            console.sendall(line.encode() + b"\0core show version\0")
            console.recv(1024)

    driver_user = ManagerUser(
        "driver", "the-drivers-secret", "all", "all", ("writetimeout = 5000",)
    )

    @property
    def exporter_user(self) -> ManagerUser:
        """The least-privilege user docs/install.md tells administrators to make."""
        lines = (
            "writetimeout = 5000",
            "displayconnects = no",
            "eventfilter = Event: (SendFAX|ReceiveFAX)",
        )
        return ManagerUser(self.username, self.secret, "call", "call,reporting", lines)

    # -- its configuration

    def _configure(self) -> None:
        for folder in ("etc", "run", "spool", "log", "db", "keys", "agi", "fax"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        configuration = self._configuration()
        for name in configuration.keys() | self._extra.keys():
            text = configuration.get(name, "") + "\n" + self._extra.get(name, "")
            (self.directory / "etc" / name).write_text(text)
        zone = self._root / "usr/share/zoneinfo" / self.timezone
        (self.directory / "etc/localtime").write_bytes(zone.read_bytes())

    def _configuration(self) -> dict[str, str]:
        modules = next(self._root.glob("usr/lib/**/asterisk/modules/res_fax.so")).parent
        load = [m for m in _MODULES if m not in self._noload and (modules / f"{m}.so").exists()]
        ecm = "yes" if self._ecm else "no"
        users = (self.exporter_user, self.driver_user, *self._users)
        channelvars = (
            "channelvars = FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING\n"
            if self._channelvars
            else ""
        )
        return {
            "asterisk.conf": f"""[directories]
astetcdir => {_INSIDE}/etc
astmoddir => /{modules.relative_to(self._root)}
astvarlibdir => /var/lib/asterisk
astdatadir => /usr/share/asterisk
astdbdir => {_INSIDE}/db
astkeydir => {_INSIDE}/keys
astagidir => {_INSIDE}/agi
astspooldir => {_INSIDE}/spool
astrundir => {_INSIDE}/run
astlogdir => {_INSIDE}/log
astsbindir => /usr/sbin
[options]
verbose = 3
""",
            "modules.conf": "[modules]\nautoload = no\n"
            + "".join(f"load = {m}.so\n" for m in load),
            "logger.conf": "[general]\n[logfiles]\nfull => notice,warning,error,verbose\n",
            "manager.conf": f"""[general]
enabled = yes
port = {self.ami_port}
bindaddr = {HOST}
{channelvars}
"""
            + "\n".join(user.section() for user in users),
            "res_fax.conf": f"""[general]
maxrate = {self._maxrate}
minrate = 2400
statusevents = yes
ecm = {ecm}
""",
            "rtp.conf": f"""[general]
rtpstart = {self._rtp_ports[0]}
rtpend = {self._rtp_ports[1]}
""",
            "udptl.conf": f"""[general]
udptlstart = {self.udptl_ports[0]}
udptlend = {self.udptl_ports[1]}
udptlfecentries = 3
udptlfecspan = 3
""",
            "pjsip.conf": self._pjsip(),
            "extensions.conf": self._dialplan(),
        }

    def _pjsip(self) -> str:
        # Both endpoints lead to the same peer, which tells them apart by the user of From: the
        # address is the same for all on one machine.
        endpoints = [
            f"""[{name}]
type = endpoint
transport = udp
context = fax
disallow = all
allow = ulaw
aors = peer
from_user = {name}
identify_by = username
direct_media = no
t38_udptl = {t38}
t38_udptl_ec = {self._udptl_ec}
"""
            for name, t38 in (("peer", "yes"), ("audio", "no"))
        ]
        return f"""[global]
type = global
endpoint_identifier_order = username
[udp]
type = transport
protocol = udp
bind = {HOST}:{self.sip_port}
[peer]
type = aor
contact = sip:{HOST}:{self.peer_sip_port}
""" + "\n".join(endpoints)

    def _dialplan(self) -> str:
        received = f"{self.fax_dir_inside}/rx-${{UNIQUEID}}"
        return f"""[fax]
exten => recv,1,Answer()
 same => n,ReceiveFAX({received}.tif)
 same => n,Hangup()

exten => recv-same,1,Answer()
 same => n,ReceiveFAX({self.fax_dir_inside}/rx-same.tif)
 same => n,Hangup()

exten => recv-ecm,1,Answer()
 same => n,Set(FAXOPT(ecm)=yes)
 same => n,ReceiveFAX({received}.tif)
 same => n,Hangup()

; two faxes in a row on one channel; Asterisk writes the second into the first file name again
exten => recv-twice,1,Answer()
 same => n,ReceiveFAX({received}-1.tif)
 same => n,System(mv {received}-1.tif {received}-0.tif)
 same => n,ReceiveFAX({received}-2.tif)
 same => n,Hangup()

exten => send-twice,1,SendFAX(${{FAXFILE}},${{FAXOPTIONS}})
 same => n,SendFAX(${{FAXFILE}},${{FAXOPTIONS}})
 same => n,Hangup()

; a T.38 gateway: audio from the sender, T.38 to the receiver
exten => gateway,1,Set(FAXOPT(gateway)=yes,20)
 same => n,Dial(PJSIP/recv-mute@peer)
 same => n,Hangup()

; A receiver that is silent until it has switched to T.38. Without that half of the faxes through
; Asterisk 22 fail: its gateway numbers the audio it makes from 0, and drops it all where the
; receiver's RTP packets before had numbers that make it look late.
exten => recv-mute,1,Answer()
 same => n,Set(MUTEAUDIO(out)=on)
 same => n,ReceiveFAX({received}.tif)
 same => n,Hangup()

; Calls that `move` can transfer while they fax: two legs meet here, and one of them is replaced.
exten => out,1,Dial(PJSIP/to-recv@audio)
 same => n,Hangup()
exten => to-recv,1,Dial(PJSIP/recv@audio)
 same => n,Hangup()
exten => to-in,1,Dial(PJSIP/in@audio)
 same => n,Hangup()
exten => in,1,Dial(Local/recv@fax/n)
 same => n,Hangup()

; Over another endpoint than the leg that is replaced: a trunk of its own.
exten => invite,1,Dial(PJSIP/replaced@peer,,b(fax^replaces^1))
 same => n,Hangup()
exten => replaces,1,Set(PJSIP_HEADER(add,Replaces)=${{REPLACES}})
 same => n,Return()
exten => replaced,1,Answer()
 same => n,Wait(300)
exten => refer,1,Transfer(${{REFER_TO}})
 same => n,Wait(300)
exten => wait,1,Answer()
 same => n,Wait(300)

; another fax on a channel that is sent here while it faxes
exten => recv-again,1,ReceiveFAX({received}-again.tif)
 same => n,Hangup()
exten => send-again,1,SendFAX(${{FAXFILE}})
 same => n,Hangup()
"""

    # -- faxes

    def inside(self, path: Path) -> Path:
        """The path Asterisk knows a file by; one from elsewhere is copied into the fax folder."""
        if path.parent != self.fax_dir:
            copy = self.fax_dir / path.name
            if not copy.exists():  # libtiff maps it: to write over one being sent is SIGBUS
                shutil.copy(path, copy)
            path = copy
        return self.fax_dir_inside / path.name

    def outside(self, path: str) -> Path:
        """The host's path of a file that Asterisk names, e.g. in a completion event's FileName."""
        return self.directory / Path(path).relative_to(_INSIDE)

    def send_fax(
        self,
        tiff: Path | Sequence[Path],
        *,
        extension: str = "recv",
        channel: str | None = None,
        options: str = "",
        ecm: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Starts a fax and returns at once; `driver.wait_for_count(n, "SendFAX")` awaits its end.

        By default both ends are in this Asterisk. `channel` says otherwise: `PJSIP/recv@peer` with
        option `z` is T.38 to the peer, `PJSIP/recv@audio` is audio over SIP, `PJSIP/gateway@audio`
        goes through a T.38 gateway in the peer. Several files are not for Asterisk with spandsp:
        such a fax fails before it begins, without a completion event.
        `ecm` allows error correction on the sending side; the receiving side must allow it too
        (`recv-ecm`, or ecm=True on the Asterisk).
        """
        self._originate(
            channel or f"Local/{extension}@fax/n",
            ecm,
            variables or {},
            Application="SendFAX",
            Data=f"{self._files(tiff)},{options}".rstrip(","),
        )

    def receive_fax(self, name: str, *, channel: str = "Local/wait@fax/n") -> None:
        """Starts the receiving end alone, on a call to somebody who sends nothing."""
        file = self.fax_dir_inside / name
        self._originate(channel, False, {}, Application="ReceiveFAX", Data=str(file))

    def send_fax_twice(self, tiff: Path | Sequence[Path], *, options: str = "") -> None:
        """Starts two faxes in a row on the same two channels."""
        variables = {"FAXFILE": self._files(tiff), "FAXOPTIONS": options}
        self._originate(
            "Local/recv-twice@fax/n",
            False,
            variables,
            Context="fax",
            Exten="send-twice",
            Priority="1",
        )

    def _files(self, tiff: Path | Sequence[Path]) -> str:
        return "&".join(str(self.inside(p)) for p in ([tiff] if isinstance(tiff, Path) else tiff))

    def _originate(
        self, channel: str, ecm: bool, variables: Mapping[str, str], **headers: str
    ) -> None:
        pairs = [f"{k}={v}" for k, v in ({"FAXOPT(ecm)": "yes"} if ecm else {}).items()]
        pairs += [f"{k}={v}" for k, v in variables.items()]
        self.driver.action("Originate", Channel=channel, Async="true", Variable=pairs, **headers)

    def send_movable_fax(self, tiff: Path, *, moved: str) -> None:
        """Starts a fax of which `move` can replace one end's channel: `moved` is send or receive.

        That end is on a PJSIP channel, the other on a Local one, and between them stands a SIP user
        agent, this Asterisk again, with a call to each.
        """
        channel = {"receive": "Local/out@fax/n", "send": "PJSIP/to-in@audio"}[moved]
        self.send_fax(tiff, channel=channel)

    def move(self, channel: str, *, by: str) -> None:
        """Transfers a call of `send_movable_fax` so that another channel takes the place of this
        one, which faxes: `by` is REFER (an attended transfer) or INVITE, both with Replaces."""
        call_id, to_tag, from_tag = self._dialog(channel)
        replaces = f"{call_id};to-tag={to_tag};from-tag={from_tag}"
        bridges = {one.get("Channel"): one.get("BridgeId") for one in self.channels()}
        (agent,) = [
            leg
            for leg in bridges
            if leg.startswith("PJSIP/") and self._dialog(leg) == [call_id, from_tag, to_tag]
        ]
        (other,) = [leg for leg in bridges if leg != agent and bridges[leg] == bridges[agent]]
        if by == "REFER":
            escaped = urllib.parse.quote(replaces, safe="")
            name, value = "REFER_TO", f"PJSIP/sip:x@{HOST}:{self.sip_port}?Replaces={escaped}"
        else:
            name, value = "__REPLACES", replaces  # the new leg inherits it
        self.driver.action("Setvar", Channel=other, Variable=name, Value=value)
        self.redirect(other, by.lower(), agent, "wait")

    def _dialog(self, channel: str) -> list[str]:
        """Call-ID, own tag and the other's tag of a PJSIP channel."""
        return [
            # An Error, and so '', if that call has ended since it was listed.
            self.driver.ask("Getvar", Channel=channel, Variable=f"CHANNEL(pjsip,{name})")[0].get(
                "Value"
            )
            for name in ("call-id", "local_tag", "remote_tag")
        ]

    def redirect(self, channel: str, extension: str, other: str = "", to: str = "") -> None:
        """Sends a channel to an extension, and another one to another at the same moment."""
        extra = {"ExtraChannel": other, "ExtraContext": "fax", "ExtraExten": to}
        self.driver.action(
            "Redirect",
            Channel=channel,
            Context="fax",
            Exten=extension,
            Priority="1",
            **(extra | {"ExtraPriority": "1"} if other else {}),
        )

    def call(self, extension: str, timeout: float = 10.0) -> str:
        """Calls an extension and does nothing in that call; returns the name of its channel."""
        before = {one.get("Channel") for one in self.channels()}
        self._originate(f"Local/{extension}@fax/n", False, {}, Application="Wait", Data="300")
        deadline = time.monotonic() + timeout
        while True:
            for one in self.channels():
                name, answered = one.get("Channel"), one.get("ChannelStateDesc") == "Up"
                if name not in before and name.endswith(";1") and answered:
                    return name
            if time.monotonic() > deadline:
                raise AmiError(f"nobody answered at {extension} for {timeout} s")
            time.sleep(0.02)

    def channels(self) -> list[Message]:
        """The CoreShowChannel events of one CoreShowChannels."""
        shown = self.driver.ask("CoreShowChannels", "CoreShowChannelsComplete")
        return [one for one in shown if one.event == "CoreShowChannel"]

    def hangup(self, channel: str) -> None:
        """Hangs a channel up, as a caller would who pulls the plug."""
        self.driver.action("Hangup", Channel=channel)

    def hangup_all(self, timeout: float = 10.0) -> None:
        """Hangs every channel up, and returns when there is none."""
        self.driver.action("Hangup", Channel="/.*/")
        deadline = time.monotonic() + timeout
        while left := self.channels():
            if time.monotonic() > deadline:
                raise AmiError(f"channels are still there after {timeout} s: {left}")
            time.sleep(0.05)

    def received(self) -> list[Path]:
        """The TIFFs that faxes were received into, oldest first."""
        return sorted(self.fax_dir.glob("rx-*.tif"), key=lambda p: p.stat().st_mtime)

    def noise(self, *, at: Sequence[float] = (3.0, 4.4, 5.8), length: float = 0.15) -> Noise:
        """Damages all running receive faxes, for the time of a `with`; see Noise."""
        return Noise(self, at=at, length=length)

    def sampler(self, *, interval: float = 0.05) -> Sampler:
        """The independent witness, for the time of a `with`; see Sampler."""
        return Sampler(self, interval=interval)


class Noise:
    """A bad line: silences what a receiving fax hears for a moment, some times a page.

    Only while a page's image is on the line: the training and the signals between pages are spared,
    so that faxes stay at their rate and end well, and only lines are damaged. For make_tiff's
    faxes, over audio.
    """

    def __init__(self, asterisk: Asterisk, *, at: Sequence[float], length: float) -> None:
        """`at`: when to be silent, in seconds after a page began. `length`: how long, in seconds.

        A page's image is on the line from about 1.7 s after Asterisk says that it began (0.8 s on
        the first).
        """
        self._asterisk, self._at, self._length = asterisk, at, length
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noise", daemon=True)
        self._error: Exception | None = None
        self.hits = 0
        """Silences so far, all channels."""

    def _run(self) -> None:
        pages: dict[str, tuple[str, list[float]]] = {}
        try:
            with self._asterisk.ami(events=False) as ami:
                while not self._stop.wait(0.1):
                    now = time.monotonic()
                    running = self._receiving(ami)
                    for channel, page in running.items():
                        if channel not in pages or pages[channel][0] != page:
                            pages[channel] = page, [now + after for after in self._at]
                    hit = [c for c in running if pages[c][1] and pages[c][1][0] <= now]
                    for channel in hit:
                        del pages[channel][1][0]
                    self._silence(ami, hit)
        except Exception as error:
            self._error = error

    def _receiving(self, ami: Ami) -> dict[str, str]:
        # The resolution becomes that of the fax (standard, in make_tiff's) when its first page
        # begins.
        return {
            entry.get("Channel"): entry.get("SessionNumber") + "/" + session.get("PagesReceived")
            for entry, session in ami.readings()
            if session is not None
            and entry.get("Operation") == "receive"
            and session.get("State") == "Active"
            and session.get("ImageResolution").endswith("x3850")
        }

    def _silence(self, ami: Ami, channels: list[str]) -> None:
        if not channels:
            return
        # A channel can be gone by now: its fax is over, and an Error is right.
        for channel in channels:
            ami.ask("MuteAudio", Channel=channel, Direction="in", State="on")
        time.sleep(self._length)
        for channel in channels:
            ami.ask("MuteAudio", Channel=channel, Direction="in", State="off")
        self.hits += len(channels)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        if self._error is not None and kind is None and self._asterisk.alive:
            raise self._error


# -------------------------------------------------------------------------------------- TIFF files


# What a line of make_tiff costs on the line in T.4, with its end of line; measured.
_LINE_BITS = 208


def make_tiff(path: Path, pages: int = 3, *, seconds: float = 6.0, seed: int = 0) -> Path:
    """A fax of `pages` short pages, each taking about `seconds` at 14400 bit/s without ECM.

    1728 pixels wide, standard resolution, CCITT group 3. Every line differs from the one above, so
    that no coding makes it much shorter and each damaged line is seen as damaged.
    """
    dice = random.Random(seed)
    width, height = 1728, round(seconds * 14400 / _LINE_BITS)
    images = []
    for _ in range(pages):
        rows = bytearray()
        for _ in range(height):
            edges = sorted(dice.sample(range(8, width - 8), 12))
            line = 0  # one bit a pixel, set where it is white
            for left, right in itertools.pairwise((0, *edges, width)):
                line = line << (right - left) | (
                    (1 << (right - left)) - 1 if (left == 0 or left in edges[1::2]) else 0
                )
            rows += line.to_bytes(width // 8, "big")
        images.append(Image.frombytes("1", (width, height), bytes(rows)))
    first, *rest = images
    first.save(path, compression="group3", dpi=(204, 98), save_all=True, append_images=rest)
    return path


_BAD_FAX_LINES = 326


def bad_fax_lines(path: Path) -> list[int]:
    """What the receiver itself wrote about each page of a TIFF (tag BadFaxLines; none means 0)."""
    lines = []
    with Image.open(path) as image:
        for page in range(getattr(image, "n_frames", 1)):
            image.seek(page)
            lines.append(int(image.tag_v2.get(_BAD_FAX_LINES, 0)))  # type: ignore[attr-defined]
    return lines


# ------------------------------------------------------------------------------------- the sampler


@dataclass(frozen=True)
class Reading:
    """One session as one sample saw it. Numbers are None where it was not, or may not be, asked."""

    t: float
    """time.monotonic(), when the answers were in."""
    life: int
    """Which connection of the sampler: numbers start again when Asterisk is restarted."""
    number: str
    channel: str
    operation: str
    state: str
    """As the list had it."""
    session_type: str
    files: str
    state_asked: str | None = None
    pages_transmitted: int | None = None
    pages_received: int | None = None
    page_number: int | None = None
    bad_lines: int | None = None
    rate: int | None = None
    """bit/s"""
    ecm: str | None = None
    resolution: str | None = None
    """Pixels per metre, e.g. 8031x3850."""


_NOTHING_YET = Reading(0, 0, "", "", "", "", "", "")


@dataclass
class Tally:
    """What a session did, summed over its readings."""

    operation: str
    channel: str
    bad_lines: int = 0
    pages_transmitted: int = 0
    pages_received: int = 0
    readings: list[Reading] = field(default_factory=list)


def _grown(value: int | None, last: int | None) -> int:
    """What a count that restarts has grown by: at 20 Hz no restart hides behind a larger value."""
    new, old = value or 0, last or 0
    return new - old if new >= old else new


class Sampler:
    """Asks all sessions 20 times a second and sums them up: the oracle for the exporter's counters.

    It reconnects when Asterisk is restarted.
    """

    def __init__(self, asterisk: Asterisk, *, interval: float = 0.05) -> None:
        """`interval` is in seconds."""
        self._asterisk, self._interval = asterisk, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._lock = threading.Lock()
        self._tallies: dict[tuple[int, str, str], Tally] = {}
        self._samples = 0
        self._error: Exception | None = None

    def _run(self) -> None:
        life = 0
        while not self._stop.is_set():
            try:
                with self._asterisk.ami(events=False) as ami:
                    due = time.monotonic()
                    while not self._stop.is_set():
                        self._sample(ami, life)
                        due = max(due + self._interval, time.monotonic())
                        self._stop.wait(due - time.monotonic())
            except (OSError, AmiError):
                self._stop.wait(self._interval)  # restarting, or dead: the test looks at `alive`
            except Exception as error:
                self._error = error
                return
            life += 1

    def _sample(self, ami: Ami, life: int) -> None:
        pairs = ami.readings()
        now = time.monotonic()
        with self._lock:
            self._samples += 1
            for entry, session in pairs:
                self._add(_reading(now, life, entry, session))

    def _add(self, reading: Reading) -> None:
        key = (reading.life, reading.number, reading.channel)
        tally = self._tallies.setdefault(key, Tally(reading.operation, reading.channel))
        tally.operation = reading.operation
        if reading.bad_lines is not None:
            last = next(
                (r for r in reversed(tally.readings) if r.bad_lines is not None), _NOTHING_YET
            )
            tally.bad_lines += _grown(reading.bad_lines, last.bad_lines)
            tally.pages_transmitted += _grown(reading.pages_transmitted, last.pages_transmitted)
            tally.pages_received += _grown(reading.pages_received, last.pages_received)
        tally.readings.append(reading)

    @property
    def samples(self) -> int:
        """Polls so far."""
        return self._samples

    def tallies(self, operation: str | None = None) -> list[Tally]:
        """Every session seen so far, in order of appearance; of one operation if asked."""
        with self._lock:
            return [t for t in self._tallies.values() if operation in (None, t.operation)]

    def readings(self) -> list[Reading]:
        """Every reading so far, by time."""
        with self._lock:
            return sorted(
                (r for t in self._tallies.values() for r in t.readings), key=lambda r: r.t
            )

    def wait_for(self, predicate: Callable[[Reading], bool], timeout: float) -> Reading:
        """The first reading, past or coming, that satisfies it; AmiError after `timeout` s."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = next((r for r in self.readings() if predicate(r)), None)
            if found is not None:
                return found
            self._stop.wait(self._interval)
        raise AmiError(f"no such reading in {timeout} s")

    @property
    def bad_lines(self) -> int:
        """Of all receive sessions so far."""
        return sum(t.bad_lines for t in self.tallies())

    def stop(self) -> None:
        """Ends it; what it saw stays. Raises what ended it before."""
        self._stop.set()
        self._thread.join(10)
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _reading(now: float, life: int, entry: Message, session: Message | None) -> Reading:
    listed = Reading(
        t=now,
        life=life,
        number=entry.get("SessionNumber"),
        channel=entry.get("Channel"),
        operation=entry.get("Operation"),
        state=entry.get("State"),
        session_type=entry.get("SessionType"),
        files=entry.get("Files"),
    )
    if session is None:
        return listed

    def number(name: str) -> int | None:
        value = session.get(name)
        return int(value) if value.isdigit() else None

    return replace(
        listed,
        state_asked=session.get("State"),
        pages_transmitted=number("PagesTransmitted"),
        pages_received=number("PagesReceived"),
        page_number=number("PageNumber"),
        bad_lines=number("TotalBadLines"),
        rate=number("DataRate"),
        ecm=session.get("ErrorCorrectionMode"),
        resolution=session.get("ImageResolution") or None,
    )
