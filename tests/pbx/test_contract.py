"""The demo PBX is held to the contract of a real one: same questions, same shape of the answers."""

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from harness.pbx import FaultyPbx
from tests.pbx.asterisk import (
    HOST,
    Ami,
    AmiClosed,
    AmiError,
    Asterisk,
    ManagerUser,
    Message,
    Reading,
)
from tests.pbx.test_tls import speaking_tls

Shape = tuple[tuple[str, str], ...]

KINDS = (
    ("nothing", r""),
    ("number", r"-?\d+"),
    ("fraction", r"\d+\.\d+"),
    ("resolution", r"\d+x\d+"),
    ("date", r"\d{4}-\d\d-\d\d"),
    ("time", r"\d\d:\d\d:\d\d"),
    ("file", r"/\S+"),
    ("channel", r"\w+/\S+-[0-9a-f]{8}(;[12])?"),
)
CHOSEN = {
    "ActionID",
    "AsteriskVersion",
    "Challenge",
    "Exten",
    "Priority",
    "CoreRunUser",
    "CoreRunGroup",
    "SystemName",
}
"""Headers whose value is that installation's own."""


def shape(message: Message) -> Shape:
    """Every header in its place, with the kind of its value, or the value if it is a word."""
    return tuple((name, kind(name, value)) for name, value in message.headers)


def kind(name: str, value: str) -> str:
    if name in CHOSEN:
        return "any"
    return next((kind for kind, form in KINDS if re.fullmatch(form, value)), value)


def shapes(answer: list[Message]) -> list[Shape]:
    """Of an answer; what repeats for each session stands there once."""
    return list(dict.fromkeys(shape(message) for message in answer))


NOBODY = ManagerUser("nobody", "the-secret-of-nobody", read="", write="system")
LIST = "FAXSessionsComplete"


def ask_idle(ami: Ami) -> dict[str, list[Shape]]:
    """What can be asked of a PBX without any fax."""
    return {
        "list": shapes(ami.ask("FAXSessions", LIST)),
        "stats": shapes(ami.ask("FAXStats", "FAXStats")),
        "no such session": shapes(ami.ask("FAXSession", SessionNumber=4711)),
        "no number": shapes(ami.ask("FAXSession")),
        "a number that is none": shapes(ami.ask("FAXSession", SessionNumber="seven")),
        "settings": shapes(ami.ask("CoreSettings")),
        "ping": shapes(ami.ask("Ping")),
        "unknown": shapes(ami.ask("FAXPoll")),
    }


def ask_running(ami: Ami) -> dict[str, list[Shape]]:
    """What can be asked while one fax is sent and received, both negotiated."""
    said = {"list": shapes(ami.ask("FAXSessions", LIST))}
    for entry in ami.sessions():
        number = entry.get("SessionNumber")
        assert entry.get("State") == "Active"
        said[entry.get("Operation")] = shapes(
            ami.ask("FAXSession", "FAXSession", SessionNumber=number)
        )
    return said


def ask_denied(ami: Ami) -> dict[str, list[Shape]]:
    """What a user hears who lacks the classes."""
    return {
        action: shapes(ami.ask(action, SessionNumber=0))
        for action in ("FAXSessions", "FAXSession", "FAXStats")
    }


def completions(ami: Ami) -> list[Shape]:
    """Of both ends of a fax; how late they are and in which order is chance."""
    ami.wait_for_count(2, "SendFAX", "ReceiveFAX", timeout=60)
    return sorted(shapes(ami.events("SendFAX", "ReceiveFAX")))


def refused_login(port: int) -> str:
    """What a wrong secret is told."""
    with pytest.raises(AmiError) as caught:
        Ami(port, "fax-exporter", "wrong")
    return str(caught.value)


def is_negotiated(operation: str, reading: Reading) -> bool:
    """Whether a session of this operation shows the rate and resolution agreed on."""
    return reading.operation == operation and reading.resolution not in (None, "0x0")


class Demo:
    """A demo PBX in a loop of its own, told what to do from outside."""

    def __init__(self, version: str, *, context: ssl.SSLContext | None = None) -> None:
        self._start = partial(FaultyPbx.start, ssl=context)
        self.pbx = FaultyPbx(
            username=Asterisk.username,
            secret=Asterisk.secret,
            version=version,
            ami_version={"16": "5.0.4"}.get(version[:2], "11.0.0"),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @contextmanager
    def running(self) -> Iterator["Demo"]:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(self.pbx), self._loop).result(10)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self.pbx.stop(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def do(self, what: Callable[[FaultyPbx], Any]) -> Any:
        """Runs this in the PBX's own thread."""

        async def call() -> Any:
            return what(self.pbx)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)


def test_the_demo_pbx_answers_in_the_shape_of_a_real_one(suite: str, three_pages: Path) -> None:
    with Asterisk(suite, manager_users=[NOBODY]) as asterisk:
        real: dict[str, Any] = {"refused": refused_login(asterisk.ami_port)}
        with asterisk.ami(asterisk.exporter_user) as ami, asterisk.sampler() as sampler:
            real["idle"] = ask_idle(ami)
            asterisk.send_fax(three_pages)
            for operation in ("send", "receive"):
                sampler.wait_for(partial(is_negotiated, operation), 60)
            real["running"] = ask_running(ami)
            asterisk.driver.wait_for_count(2, "SendFAX", "ReceiveFAX", timeout=120)
            real["completions"] = completions(ami)
        with asterisk.ami(NOBODY) as ami:
            real["denied"] = ask_denied(ami)
        version = asterisk.version

    with Demo(version).running() as demo:
        port = demo.pbx.port
        said: dict[str, Any] = {"refused": refused_login(port)}
        with Ami(port, demo.pbx.username, demo.pbx.secret) as ami:
            said["idle"] = ask_idle(ami)
            sent = demo.do(
                lambda pbx: pbx.begin("send", "Local/recv@fax-00000000;1", files=["/x/three.tif"])
            )
            received = demo.do(lambda pbx: pbx.begin("receive", "Local/recv@fax-00000000;2"))
            demo.do(lambda pbx: [fax.negotiate() for fax in (sent, received)])
            said["running"] = ask_running(ami)
            demo.do(lambda pbx: pbx.end(received))
            demo.do(lambda pbx: pbx.end(sent, error="HANGUP"))
            said["completions"] = completions(ami)
        demo.do(lambda pbx: setattr(pbx, "write", frozenset({"system"})))
        with Ami(port, demo.pbx.username, demo.pbx.secret) as ami:
            said["denied"] = ask_denied(ami)

    assert said == real


def test_the_demo_pbx_dies_of_what_kills_a_real_one() -> None:
    """The real ones are not asked: that they die is measured, and nobody does it twice."""
    with Demo("22.10.0").running() as demo:
        demo.do(lambda pbx: pbx.begin("receive", "Local/recv@fax-00000000;2"))
        with (
            Ami(demo.pbx.port, demo.pbx.username, demo.pbx.secret) as ami,
            pytest.raises(AmiClosed),
        ):
            ami.ask("FAXSession", "FAXSession", SessionNumber=0)
        assert demo.do(lambda pbx: pbx.crashed)


# --- over TLS


class TlsClient:
    """A client that is its own TLS, to say what is a record and what one segment of TCP."""

    def __init__(self, port: int, ca: trustme.CA) -> None:
        context = ssl.create_default_context()
        ca.configure_trust(context)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)
        self._socket = socket.create_connection((HOST, port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._said = b""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._socket.sendall(self._outgoing.read())
                self._incoming.write(self._socket.recv(65536))
        self.send(self._outgoing.read())
        user, secret = Asterisk.username, Asterisk.secret
        login = f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: off\r\n\r\n"
        self.send(self.record(login.encode()))
        self._read_until(lambda: b"Authentication accepted\r\n\r\n" in self._said)

    def record(self, data: bytes) -> bytes:
        """As it goes over the wire."""
        self._tls.write(data)
        return self._outgoing.read()

    def send(self, *segments: bytes) -> None:
        """Each is sent when nothing has come of the one before."""
        for number, segment in enumerate(segments):
            if number:
                self._read_until(lambda: False, 0.5)
            self._socket.sendall(segment)

    def answered(self, most: int) -> int | str:
        """How many Pings are, once it is `most` or no more come; or that the connection ended."""
        if self._read_until(lambda: self._said.count(b"Ping: Pong") >= most):
            return self._said.count(b"Ping: Pong")
        return "closed"

    def _read_until(self, condition: Callable[[], bool], seconds: float = 2) -> bool:
        """Reads until it holds or nothing comes for so long; False if the connection ended."""
        self._socket.settimeout(seconds)
        try:
            while not condition():
                try:
                    said = self._tls.read(65536)
                except ssl.SSLWantReadError:
                    came = self._socket.recv(65536)
                    self._incoming.write(came)
                else:
                    came = said
                    self._said += said
                if not came:
                    return False
        except TimeoutError:
            return True
        except (ssl.SSLError, ConnectionError):
            return False
        return True

    def close(self) -> None:
        self._socket.close()


def pings(count: int) -> bytes:
    """Of 32 bytes each."""
    return b"".join(b"Action: Ping\r\nActionID: %04d\r\n\r\n" % n for n in range(count))


def ask_over_tls(port: int, ca: trustme.CA) -> dict[str, tuple[int | str, int | str]]:
    """Pings answered, and how many once one more was asked."""
    said = {}
    for name, most, records in (
        ("960 bytes", 30, (pings(30),)),
        ("1024 bytes", 32, (pings(32),)),
        ("1088 bytes", 34, (pings(34),)),
        ("1600 bytes", 50, (pings(50),)),
        ("two records of 640 bytes", 40, (pings(20), pings(20))),
        ("ten records of 320 bytes", 100, (pings(10),) * 10),
    ):
        with closing(TlsClient(port, ca)) as client:
            client.send(b"".join(client.record(record) for record in records))
            first = client.answered(most)
            if first != "closed":
                client.send(client.record(pings(1)))
            said[name] = first, client.answered(most + 1)
    for name, parts in (("rest of one and 31", 31), ("rest of one and 32", 32)):
        with closing(TlsClient(port, ca)) as client:
            begun = client.record(pings(1)[:20]), client.record(pings(1)[20:] + pings(parts))
            client.send(*begun)
            said[name] = client.answered(parts + 1), 0
    with closing(TlsClient(port, ca)) as client:
        record = client.record(pings(2))
        client.send(record[:30], record[30:])
        said["one record in two segments"] = client.answered(2), 0
    return said


def server(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST).configure_cert(context)
    return context


def test_the_demo_pbx_reads_tls_like_a_real_one(suite: str) -> None:
    ca = trustme.CA()
    with speaking_tls(suite, ca) as (asterisk, port):
        real = ask_over_tls(port, ca)
        version = asterisk.version
    with Demo(version, context=server(ca)).running() as demo:
        assert ask_over_tls(demo.pbx.port, ca) == real
    assert real["960 bytes"] == (30, 31)
    assert real["1088 bytes"] == (32, 35)  # it sleeps until something more comes
    assert real["one record in two segments"] == ("closed", 0)


def test_the_demo_pbx_hangs_up_like_asterisk_13_did() -> None:
    """There is no 13 here: that one does is measured, and how is read in its source."""
    ca = trustme.CA()
    with Demo("13.38.3", context=server(ca)).running() as demo:
        said = ask_over_tls(demo.pbx.port, ca)
    closed = [name for name, (first, _) in said.items() if first == "closed"]
    assert set(said) - set(closed) == {"960 bytes", "1024 bytes", "rest of one and 31"}
