"""Prometheus during a siege: who asks for /metrics beside the attackers, and how that went."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import aiohttp

PATIENCE: Final = 10.0
"""Seconds that Prometheus waits for an answer."""


@dataclass
class Tally:
    """How the scrapes of one of them went."""

    asked: int = 0
    answered: int = 0
    slowest: float = 0.0
    """Seconds, of those that were answered."""
    failures: list[str] = field(default_factory=list)
    """What came instead of an answer."""

    @property
    def all_answered(self) -> bool:
        """Whether every one was, and there were some."""
        return 0 < self.asked == self.answered

    def __str__(self) -> str:
        slowest = f", {self.slowest:.2f} s" if self.answered else ""
        return f"{self.answered}/{self.asked}{slowest}"


@dataclass(frozen=True)
class Prometheus:
    """One that scrapes."""

    url: str
    login: tuple[str, str] | None = None
    source: str = "127.0.0.1"
    keep_alive: bool = False
    interval: float = 0.5
    """Seconds."""

    def session(self) -> aiohttp.ClientSession:
        """What it connects with."""
        headers = {"Authorization": aiohttp.encode_basic_auth(*self.login)} if self.login else {}
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=False, force_close=not self.keep_alive, local_addr=(self.source, 0)
            ),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        )

    async def scrape_into(self, tally: Tally, over: asyncio.Event) -> None:
        """Scrapes until it is over; what is under way then is finished."""
        async with self.session() as session:
            while not over.is_set():
                begun = asyncio.get_running_loop().time()
                status = await self._status(session)
                tally.asked += 1
                if status == "200":
                    tally.answered += 1
                    took = asyncio.get_running_loop().time() - begun
                    tally.slowest = max(tally.slowest, took)
                else:
                    tally.failures.append(status)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(begun + self.interval):
                        await over.wait()

    async def text(self) -> str:
        """One scrape. Raises OSError or aiohttp's errors if there is no answer."""
        async with self.session() as session, session.get(self.url) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def _status(self, session: aiohttp.ClientSession) -> str:
        try:
            async with session.get(self.url) as answer:
                await answer.read()
                return str(answer.status)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__

    async def recovered(self, most: float) -> float:
        """Seconds from now to the first scrape that is answered; `most` if none is by then."""
        begun = time.monotonic()
        async with self.session() as session:
            while time.monotonic() < begun + most:
                try:
                    async with asyncio.timeout(1):
                        if await self._status(session) == "200":
                            return time.monotonic() - begun
                except TimeoutError:
                    continue
                await asyncio.sleep(0.05)
        return most


def failures(tallies: Iterable[Tally]) -> dict[str, int]:
    """What came instead of answers, and how often."""
    found: dict[str, int] = {}
    for tally in tallies:
        for failure in tally.failures:
            found[failure] = found.get(failure, 0) + 1
    return found
