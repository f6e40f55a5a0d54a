"""The faxes of the demo PBX, made up at random: for `--demo`, for soaks, for Originate.

Each fax is one coroutine, from its call to its end. Nothing happens within 1.2 s before a page ends
or a session leaves, as with a real modem, so that polls one second apart miss nothing.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from exporter.demo.pbx import DemoPbx
from exporter.demo.sessions import DemoSession, FaxGone

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Story: TypeAlias = Callable[[], Awaitable[None]]

TRUNKS: Final = ("PJSIP/trunk-berlin", "PJSIP/trunk-paris", "PJSIP/trunk-oslo")
OWN_STATION: Final = "+49 30 23125 100"
"""What this end of a fax says it is. The numbers are of those that are kept free for films."""
_STATIONS: Final = ("+49 30 23125 {:03}", "+33 1 99 00 {:02} 24", "Fjord Shipping {:03}")
"""What the other ends beyond each of the TRUNKS say they are, with a number of theirs."""
TRANSFER: Final = "Local/transfer@office"
"""What a channel is called once its call was transferred."""
QUIET: Final = 1.2
"""Seconds before and after the bad lines of a page; a real page takes at least as long."""
RATES: Final = (14400, 12000, 9600)
STANDARD, FINE = (8031, 3850), (8031, 7700)
MISFORTUNES: Final = (
    "Failed to train with any of the compatible modems",
    "Timed out waiting for initial communication",
    "Timed out waiting for the first message",
    "Far end is not able to receive",
    "Received no response to DCS or TCF",
    "Disconnected after permitted retries",
)
"""FAXERROR of faxes that never got to a page, in spandsp's words."""


@dataclass(frozen=True)
class Plan:
    """What happens to one fax."""

    operation: str = "receive"
    trunk: str = TRUNKS[0]
    pages: int = 2
    t38: bool = False
    ecm: bool = False
    noisy: bool = False
    """Bad lines on each page; only for a receive without ECM, where they are counted."""
    rejections: int = 0
    """The first page is so bad that it is sent again, up to twice, each time at a lower rate."""
    error: str = ""
    """It fails with this FAXERROR before the first page."""
    hang_up: bool = False
    """Somebody hangs up in the middle of the last page."""
    moved: bool = False
    """The call is transferred in the middle of the last page."""
    without_event: bool = False
    """It ends in the middle of the last page, without an event."""
    lateness: float = 1.0
    """Seconds from the end to the completion event; Asterisk takes up to 5."""


@dataclass(frozen=True)
class Traffic:
    """Makes faxes happen on a PBX. What is random comes from `rng`. Waits are `sleep`; only late
    completion events wait with the PBX's own."""

    pbx: DemoPbx
    rng: random.Random
    sleep: Sleep = asyncio.sleep

    async def fax(self, plan: Plan) -> None:
        """A SendFAX or ReceiveFAX from the first tone to its completion event."""
        session = await self._call(plan.operation, plan.trunk)
        remote = _station(plan.trunk, session.number)
        if plan.operation == "receive" and remote.startswith("+"):
            session.caller = remote.replace(" ", "")
        if plan.t38:
            session.transport = "none"
            await self.sleep(0.5)
            session.switch_to_t38()
        await self.sleep(1)
        if plan.error:
            await self._end(session, plan, "FAILED", plan.error)
            return
        session.remote_station = remote
        session.negotiate(rate=RATES[0], ecm=plan.ecm, resolution=self.rng.choice((STANDARD, FINE)))
        for lower_rate in RATES[1 : 1 + plan.rejections]:
            await self._page(session, bad_lines=200)
            session.reject_page()
            session.fall_back(lower_rate)
        for page in range(1, plan.pages + 1):
            await self._page(session, bad_lines=self.rng.randint(3, 30) if plan.noisy else 0)
            if plan.moved and page == plan.pages:
                channel = self.pbx.new_channel(TRANSFER)
                session.move(f"{channel};1", f"{session.uniqueid}1")
            if plan.without_event and page == plan.pages:
                self.pbx.drop(session, announce=False)
                return
            if plan.hang_up and page == plan.pages:
                # The event may or may not count the pages that went through before.
                pages = session.pages if plan.moved else self.rng.choice((0, session.pages))
                self.pbx.drop(session, pages=pages, announce=False)
                await self.pbx.sleep(plan.lateness)
                self.pbx.announce(session)
                return
            session.finish_page(last=page == plan.pages)
        session.state = "Complete"
        if not plan.t38:  # over T.38 a session leaves right after its last page
            await self.sleep(2)
        # Often the other end hangs up while the sender still waits for the line to be clear.
        await self._end(session, plan, "SUCCESS", "HANGUP" if plan.operation == "send" else "")

    async def never_begins(self, operation: str, trunk: str) -> None:
        """A fax for which Asterisk can make no session."""
        files = self._outgoing(operation)
        self.pbx.fail_to_start(operation, self.pbx.new_channel(trunk), files=files)

    async def gateway(self, trunk: str, pages: int, *, ecm: bool = False) -> None:
        """Audio on one side, T.38 on the other; two V.21 detectors wait for a fax to begin."""
        near, far = self.pbx.new_channel(trunk), self.pbx.new_channel("PJSIP/trunk-t38")
        detectors = [self.pbx.begin("V.21", channel) for channel in (near, far)]
        await self.sleep(3)
        hung_up = any(detector.gone for detector in detectors)
        for detector in detectors:
            if not detector.gone:
                self.pbx.end(detector)
        if hung_up:
            return
        session = self.pbx.begin("gateway", near, state="Active")
        await self.sleep(2)
        session.negotiate(rate=self.rng.choice(RATES), ecm=ecm)
        for _ in range(pages):
            await self._page(session)
            session.confirm_page()
        await self.sleep(QUIET)
        self.pbx.end(session)

    async def voice(self, trunk: str) -> None:
        """A call on a line with fax detection, on which nobody faxes."""
        detector = self.pbx.begin("V.21", self.pbx.new_channel(trunk))
        await self.sleep(self.rng.uniform(3, 12))
        self.pbx.end(detector)

    async def both_ends(self, name: str, file: str, pages: int = 1) -> None:
        """A fax with both ends in this Asterisk, as `Originate` of SendFAX to Local/... starts."""
        call = self.pbx.new_channel(name)
        send = self.pbx.begin("send", f"{call};1", files=[file])
        receive = self.pbx.begin("receive", f"{call};2", linkedid=send.uniqueid)
        await self.sleep(0.2)
        for session in (send, receive):
            session.state = "Active"
        await self.sleep(2)
        for session in (send, receive):
            session.local_station = session.remote_station = OWN_STATION
            session.negotiate()
        for page in range(1, pages + 1):
            await self._page(receive)
            for session in (receive, send):
                session.finish_page(last=page == pages)
        await self.sleep(QUIET)
        self.pbx.end(receive)
        self.pbx.end(send, error="HANGUP")

    async def originate(self, headers: Mapping[str, str]) -> None:
        """What `DemoPbx.originate` is set to, so that AMI clients can start a fax."""
        file = headers.get("data", "").partition(",")[0]
        with suppress(FaxGone):  # hung up, or Asterisk is gone
            await self.both_ends(headers["channel"].removesuffix("/n"), file)

    async def run(self, lines: int = 6) -> None:
        """Faxes on several lines at once, for ever; the first 15 s show something of every kind."""
        openings = self._openings()
        async with asyncio.TaskGroup() as group:
            for number in range(lines):
                group.create_task(self._line(openings[number::lines]))

    async def _line(self, stories: list[Story]) -> None:
        await self.sleep(self.rng.uniform(1, 2))  # the first poll sees an idle PBX
        while True:
            story = stories.pop(0) if stories else self._any_story()
            with suppress(FaxGone):  # hung up, or Asterisk is gone: the line is free again
                await story()
            await self.sleep(self.rng.uniform(1, 4))

    def _openings(self) -> list[Story]:
        """One of everything that has a metric, each short, for who has just opened the page."""
        local, berlin, paris = "Local/recv@fax", *TRUNKS[:2]
        return [
            lambda: self.fax(Plan(trunk=berlin, rejections=1, noisy=True)),
            lambda: self.fax(Plan(operation="send", trunk=paris)),
            lambda: self.gateway(TRUNKS[2], pages=2),
            lambda: self.fax(Plan(trunk=paris, t38=True, ecm=True)),
            lambda: self.both_ends(local, "/var/spool/asterisk/fax/invoice.tif", pages=2),
            lambda: self.fax(Plan(operation="send", error=MISFORTUNES[0], trunk=berlin)),
        ]

    def _any_story(self) -> Story:
        rng = self.rng
        trunk = rng.choice(TRUNKS)
        kinds = ("fax", "local", "gateway", "voice", "nothing")
        kind = rng.choices(kinds, (14, 2, 3, 2, 1))[0]
        if kind == "local":
            file = f"/var/spool/asterisk/fax/letter-{rng.randrange(1000)}.tif"
            return lambda: self.both_ends("Local/recv@fax", file, rng.randint(1, 3))
        if kind == "gateway":
            return lambda: self.gateway(trunk, rng.randint(1, 4), ecm=rng.random() < 0.5)
        if kind == "voice":
            return lambda: self.voice(trunk)
        operation = rng.choice(("send", "receive"))
        if kind == "nothing":
            return lambda: self.never_begins(operation, trunk)
        ecm = rng.random() < 0.5
        hears_noise = operation == "receive" and not ecm
        plan = Plan(
            operation=operation,
            trunk=trunk,
            pages=rng.randint(1, 8),
            t38=rng.random() < 0.4,
            ecm=ecm,
            noisy=hears_noise and rng.random() < 0.6,
            rejections=rng.choice((0, 0, 0, 1, 2)) if hears_noise else 0,
            error=rng.choice(MISFORTUNES) if rng.random() < 0.08 else "",
            hang_up=rng.random() < 0.08,
            moved=rng.random() < 0.08,
            without_event=rng.random() < 0.02,
            lateness=rng.uniform(0, 5),
        )
        return lambda: self.fax(plan)

    def _outgoing(self, operation: str) -> list[str]:
        """The file that is sent. A transferred call is recognised by it, so each has its own."""
        name = f"/var/spool/asterisk/fax/outgoing-{self.rng.randrange(10**9)}.tif"
        return [name] if operation == "send" else []

    async def _call(self, operation: str, trunk: str) -> DemoSession:
        files = self._outgoing(operation)
        session = self.pbx.begin(operation, self.pbx.new_channel(trunk), files=files)
        session.local_station = OWN_STATION
        await self.sleep(self.rng.uniform(0.2, 0.8))
        session.state = "Active"
        await self.sleep(1)
        return session

    async def _page(self, session: DemoSession, *, bad_lines: int = 0) -> None:
        await self.sleep(QUIET)
        for lines in self._bursts(bad_lines):
            session.add_bad_lines(lines)
            await self.sleep(0.3)
        await self.sleep(QUIET + self.rng.uniform(0, 1))

    def _bursts(self, total: int) -> list[int]:
        """The bad lines of a page, in up to four bursts."""
        first = [self.rng.randint(0, total // 4) for _ in range(3)]
        return [lines for lines in (*first, total - sum(first)) if lines]

    async def _end(self, session: DemoSession, plan: Plan, status: str, error: str) -> None:
        self.pbx.end(session, status=status, error=error, announce=False)
        await self.pbx.sleep(plan.lateness)
        self.pbx.announce(session)


def _station(trunk: str, number: int) -> str:
    """The station beyond a trunk with which the session of that number is; nobody, if it is none of
    TRUNKS."""
    if trunk not in TRUNKS:
        return ""
    return _STATIONS[TRUNKS.index(trunk)].format(number * 37 % 100)


async def run_traffic(
    pbx: DemoPbx, *, rng: random.Random, sleep: Sleep = asyncio.sleep, lines: int = 6
) -> None:
    """Faxes on `lines` lines at once until cancelled; Originate works meanwhile."""
    traffic = Traffic(pbx, rng, sleep)
    pbx.originate = traffic.originate
    await traffic.run(lines)
