"""The demo PBX is held to the contract of a real one: same questions, same shape of the answers."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.demo import DemoPbx
from tests.pbx.asterisk import Ami, AmiClosed, AmiError, Asterisk, ManagerUser, Message, Reading

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

    def __init__(self, version: str) -> None:
        self.pbx = DemoPbx(
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
        asyncio.run_coroutine_threadsafe(self.pbx.start(), self._loop).result(10)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self.pbx.stop(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def do(self, what: Callable[[DemoPbx], Any]) -> Any:
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
