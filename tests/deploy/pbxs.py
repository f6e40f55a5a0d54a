"""PBXs in a process of their own, which do what a test says: whole faxes, or halves of one."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from exporter.demo import DemoSession
from harness.apart import apart
from harness.pbx import FaultyPbx

SECRET: Final = "s"
CHANNEL: Final = "PJSIP/trunk-berlin"
BAD_LINES: Final = 3
"""Of each page."""


class Truth(NamedTuple):
    """What a PBX did, and how it was logged in to."""

    faxes: int
    pages: int
    bad_lines: int
    logins: int
    at_once: int
    """The most that were logged in at a time."""


class _Pbx(FaultyPbx):
    def __init__(self) -> None:
        super().__init__(secret=SECRET)
        self.at_once = 0
        self.half_done: DemoSession | None = None

    def note_answer(self, action: str, answer: bytes) -> None:
        """Counts who is logged in, too."""
        super().note_answer(action, answer)
        now = sum(one.dialogue.username is not None for one in self.clients)
        self.at_once = max(self.at_once, now)

    def so_far(self) -> Truth:
        """What it did."""
        truth = self.truth
        faxes, pages = sum(truth.completions.values()), truth.pages["receive"]
        return Truth(faxes, pages, truth.bad_lines, len(self.logins), self.at_once)

    async def be_read(self) -> None:
        """Until its session, as it is now, was asked about."""
        asked = len(self.queries)
        while len(self.queries) < asked + 2:
            await asyncio.sleep(0.01)

    async def page(self, session: DemoSession) -> None:
        """Receives a page as a poller must see it, up to its end."""
        session.add_bad_lines(BAD_LINES)
        await self.be_read()

    async def begin_fax(self) -> None:
        """A fax of two pages; the first is done, the second is not."""
        session = self.half_done = self.begin("receive", self.new_channel(CHANNEL))
        session.negotiate()
        await self.be_read()
        await self.page(session)
        session.finish_page()
        await self.be_read()

    async def end_fax(self) -> None:
        """Its second page, and its end."""
        session, self.half_done = self.half_done, None
        assert session
        await self.be_read()
        await self.page(session)
        session.finish_page(last=True)
        self.end(session)

    async def fax(self) -> None:
        """A fax from the first tone to its end."""
        await self.begin_fax()
        await self.end_fax()

    async def work(self) -> None:
        """Faxes without end, at the speed of real time: who polls may miss some of it."""
        while True:
            session = self.begin("receive", self.new_channel(CHANNEL))
            session.negotiate()
            for _ in range(2):
                await asyncio.sleep(0.3)
                session.add_bad_lines(BAD_LINES)
                await asyncio.sleep(0.3)
                session.finish_page()
            self.end(session)
            await asyncio.sleep(0.3)


async def _serve(pipe: "Connection[Any, Any]", count: int) -> None:
    pbxs = {f"fax-{number:02}": _Pbx() for number in range(count)}
    working: list[asyncio.Task[None]] = []
    for pbx in pbxs.values():
        await pbx.start()
    pipe.send({name: pbx.port for name, pbx in pbxs.items()})
    while (word := await asyncio.to_thread(pipe.recv)) != "stop":
        if word in ("fax", "begin_fax", "end_fax"):
            done: list[Coroutine[Any, Any, None]] = [getattr(p, word)() for p in pbxs.values()]
            await asyncio.gather(*done)
        elif word == "work":
            working = [asyncio.create_task(pbx.work()) for pbx in pbxs.values()]
        elif word == "rest":
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            for pbx in pbxs.values():
                for session in list(pbx.sessions.values()):
                    pbx.end(session)
        pipe.send({name: pbx.so_far() for name, pbx in pbxs.items()})
    for pbx in pbxs.values():
        await pbx.stop()


def serve(pipe: "Connection[Any, Any]", count: int) -> None:
    """The process."""
    asyncio.run(_serve(pipe, count))


@dataclass(frozen=True)
class Pbxs:
    """They, as the test sees them."""

    ports: dict[str, int]
    _pipe: "Connection[Any, Any]"

    def do(self, word: str) -> dict[str, Truth]:
        """`fax`, `begin_fax`, `end_fax`: on each, as soon as pollers allow; `work`, `rest`: faxes
        without end, at the speed of real time; `nothing`. Returns what each has done by then."""
        self._pipe.send(word)
        done: dict[str, Truth] = self._pipe.recv()
        return done

    def targets(self, names: set[str] | None = None) -> dict[str, dict[str, object]]:
        """They as targets of a file, all of them or these; their secret is the variable ANY."""
        login = {"host": "127.0.0.1", "username": "demo", "secret_env": "ANY"}
        return {n: login | {"port": p} for n, p in self.ports.items() if not names or n in names}


@contextlib.contextmanager
def pbxs(count: int) -> Iterator[Pbxs]:
    """Some PBXs."""
    with apart(serve, count) as pipe:
        yield Pbxs(pipe.recv(), pipe)
        pipe.send("stop")
