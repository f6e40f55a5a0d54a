"""Two pollers on one Asterisk, one of them behind a network that cuts, delays and fragments.

    make cut ARGS="--seconds 600"

Every counter of both is compared, and every fax. What differs has to follow from docs/limits.md,
and a metric has to tell of it; RULES says which.
"""

import argparse
import asyncio
import logging
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from exporter.demo import DemoSession, run_traffic
from exporter.demo.traffic import QUIET
from exporter.ledger import EVENT_LATENESS, EndedFax, Ledger, Observation
from exporter.polling import Poller, cancel_and_wait
from exporter.polling.status import Status
from harness.cutting import CuttingProxy
from harness.exposition import Scrape, scrape
from harness.pbx import FaultyPbx
from harness.told import Told
from harness.truth import assert_exact
from harness.virtual_time import clock, until, wall
from harness.watching import SECRET, settings_for

INTERVAL: Final = 1.0
LONGEST_POLL: Final = 0.9
"""Seconds; what takes longer is a hole."""
LINES: Final = 6
CUTS: Final = (3.0, 40.0, 15.0)
"""Seconds: the least and the most between two cuts, and how long nobody can connect after some."""


class RecordedPbx(FaultyPbx):
    """Knows when its sessions began and ended."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begun: dict[DemoSession, float] = {}
        self.over: dict[DemoSession, float] = {}

    def begin(self, operation: str, channel: str, **options: Any) -> DemoSession:
        session = super().begin(operation, channel, **options)
        self.begun[session] = asyncio.get_running_loop().time()
        return session

    def end(self, session: DemoSession, **options: Any) -> None:
        super().end(session, **options)
        self.over[session] = asyncio.get_running_loop().time()


class RecordedLedger(Ledger):
    """Knows every poll that brought all it asked for, and every fax that ended."""

    def __init__(self) -> None:
        self.told = Told()
        super().__init__(tell=self.told.take)
        self.polls: list[Observation] = []
        self.listed: set[tuple[int, str]] = set()
        """Numbers and channels of all sessions that any list has shown."""
        self.status = Status()
        self.noted: dict[float, tuple[int, int]] = {}
        """By the end of a poll: how many connects and failures had been counted."""

    def observe(self, seen: Observation) -> None:
        super().observe(seen)
        self.listed |= {(session.number, session.channel) for session in seen.listed or ()}
        if seen.listed is not None and seen.stats is not None:  # which is asked for last
            self.polls.append(replace(seen))
            self.noted[seen.at] = (self.status.connects, self.status.failures.total())

    def saw_all_of(self, begin: float, end: float) -> bool:
        """Whether polls followed each other so closely, from before `begin` until after `end`, that
        nothing can have happened between them."""
        if not self.polls or not self.polls[0].at < begin <= end < self.polls[-1].listed_at:
            return False
        return all(
            later.at - earlier.listed_at <= QUIET
            for earlier, later in pairwise(self.polls)
            if later.at >= begin and earlier.listed_at <= end
        )


@dataclass
class Compared:
    """What both have, once the PBX is idle."""

    pbx: RecordedPbx
    network: CuttingProxy
    direct: Poller
    behind: Poller
    """The one behind the network."""
    alike: int = 0
    """Faxes that the one behind has seen whole, and tells as the other does."""
    holes: int = 0
    """Times in which it saw nothing for longer than an interval."""

    def __post_init__(self) -> None:
        self.counts = scrape(self.direct), scrape(self.behind)
        self.sessions = {
            channel: session
            for session in self.pbx.begun
            for channel in (session.channel, session.moved_to)
            if channel and session.operation != "V.21"  # a gateway's channel had one before
        }
        self.heard_of = {self.sessions[channel] for channel in self.network.completions}

    def both(self, name: str, **labels: str) -> tuple[float, float]:
        """The sums of a counter: direct, and behind the network."""
        direct, behind = (_sum(count, name, labels) for count in self.counts)
        return direct, behind

    def lost(self, name: str, **labels: str) -> float:
        """What the one behind the network lacks."""
        direct, behind = self.both(name, **labels)
        return direct - behind

    def faxes(self, poller: Poller) -> dict[DemoSession, EndedFax]:
        """Those that ended, as this poller tells; AssertionError if it tells of one twice."""
        assert isinstance(poller.ledger, RecordedLedger)
        found: dict[DemoSession, EndedFax] = {}
        for fax in poller.ledger.told.faxes:
            session = self.sessions[fax.channel]
            assert session not in found, f"twice: {fax}, {found[session]}"
            found[session] = fax
        return found


def _sum(count: Scrape, name: str, labels: dict[str, str]) -> float:
    try:
        return count.sum(name, **labels)
    except KeyError:  # nothing was counted yet
        return 0.0


# --- what may differ, and what tells of it ------------------------------------------------------

FAXES: Final = {
    "send": ("transmit_attempts_total", "pages_transmitted_total"),
    "receive": ("receive_attempts_total", "pages_received_total"),
}
"""Asterisk's own count of attempts, and ours of pages, by operation."""
_TOLD: Final = "connects_total and poll_failures_total tell when nobody looked"
RULES: Final = {
    "transmit_attempts_total": "equal: Asterisk's own",
    "receive_attempts_total": "equal: Asterisk's own",
    "completed_total": "equal: Asterisk's own",
    "failed_total": "equal: Asterisk's own",
    "finished_total": "less by the events lost: unobserved_completions_total and, of faxes that "
    "never began, the attempts tell how many",
    "succeeded_total": "as finished_total",
    "failures_total": "as finished_total",
    "results_unknown_total": "as finished_total",
    "unobserved_completions_total": "more by the events lost, exactly",
    "sessions_started_total": "less by the sessions that began and ended unseen: of faxes the "
    "attempts tell how many; of gateways and V.21 detectors " + _TOLD,
    "sessions_ended_total": "as sessions_started_total",
    "pages_transmitted_total": "less by pages of faxes whose event was lost, or that hung up",
    "pages_received_total": "as pages_transmitted_total",
    "pages_relayed_total": "less by last pages; " + _TOLD,
    "bad_lines_total": "less by lines between the last reading of a page and its end; " + _TOLD,
    "pages_rejected_total": "as bad_lines_total",
    "rate_fallbacks_total": "as bad_lines_total",
    "polls_total": "of the exporter",
    "poll_failures_total": "of the exporter",
    "connects_total": "of the exporter",
    "late_polls_total": "of the exporter",
    "asterisk_restarts_total": "equal: there are none",
}
"""What is compared of each counter, in words; the checks below, in figures."""


def check(compared: Compared) -> None:
    """Raises AssertionError if anything differs that is not in RULES, or that no metric tells."""
    assert_exact(compared.direct, compared.pbx)
    _check_asterisks_own(compared)
    _check_results(compared)
    _check_sessions(compared)
    _check_faxes(compared)
    _check_that_holes_are_told(compared)
    _check_sums(compared)


def _check_asterisks_own(compared: Compared) -> None:
    for name in ("transmit_attempts", "receive_attempts", "completed", "failed"):
        assert compared.lost(f"{name}_total") == 0, name


def _check_results(compared: Compared) -> None:
    never_began = {session for session in compared.pbx.begun if not session.began}
    unheard = compared.pbx.truth.completions.total() - len(compared.heard_of - never_began)
    assert compared.both("unobserved_completions_total")[1] == unheard
    for operation in FAXES:
        heard = [one for one in compared.heard_of if one.operation == operation]
        assert compared.both("finished_total", operation=operation)[1] == len(heard)
        for counter, status in (("failures_total", "FAILED"), ("succeeded_total", "SUCCESS")):
            ended_so = sum(
                one.completion is not None and one.completion.status == status for one in heard
            )
            assert compared.both(counter, operation=operation)[1] == ended_so
    assert compared.both("results_unknown_total") == (0, 0)
    # From the metrics alone: what is missing in finished_total is told by the other two.
    attempts = sum(compared.both(name)[1] for name, _ in FAXES.values())
    told = attempts - compared.both("finished_total")[1] - unheard
    assert told == len(never_began - compared.heard_of)


def _check_sessions(compared: Compared) -> None:
    ledger = compared.behind.ledger
    assert isinstance(ledger, RecordedLedger)
    unseen = Counter(
        session.operation
        for session in compared.pbx.begun
        if (session.number, session.channel) not in ledger.listed
        and session not in compared.heard_of
    )
    for operation in ("send", "receive", "gateway", "V.21"):
        for name in ("sessions_started_total", "sessions_ended_total"):
            assert compared.lost(name, operation=operation) == unseen[operation], (name, operation)
    for operation, (attempts, _) in FAXES.items():
        started = compared.both("sessions_started_total", operation=operation)[1]
        assert compared.both(attempts)[1] - started == unseen[operation]


def _check_faxes(compared: Compared) -> None:
    """A fax of which everything was seen is told alike by both; of any other nothing is told that
    is not true."""
    pbx, ledger = compared.pbx, compared.behind.ledger
    assert isinstance(ledger, RecordedLedger)
    direct, behind = compared.faxes(compared.direct), compared.faxes(compared.behind)
    assert behind.keys() <= direct.keys()
    for session, other in behind.items():
        fax = direct[session]
        begun, over = pbx.begun[session], pbx.over.get(session, pbx.begun[session])
        heard_alike = session in compared.heard_of or fax.succeeded is None
        if heard_alike and (not session.began or ledger.saw_all_of(begun, over)):
            compared.alike += session.began
            assert _what_it_did(other) == _what_it_did(fax)
            continue
        if session in compared.heard_of:
            assert (other.succeeded, other.reason) == (fax.succeeded, fax.reason)
        else:
            assert other.succeeded is None
        assert other.operation is fax.operation
        assert (other.pages or 0) <= (fax.pages or 0), (other, fax)
        assert (other.bad_lines or 0) <= (fax.bad_lines or 0), (other, fax)


def _what_it_did(fax: EndedFax) -> EndedFax:
    """Without times, which are of the polls."""
    return replace(fax, ended_at=0.0, ended=0.0, seconds=None, heard_at=None)


def _check_that_holes_are_told(compared: Compared) -> None:
    """Where no poll was whole for longer than an interval, a metric has counted that; or it was
    the poll itself that took so long, of which asterisk_fax_last_poll_duration_seconds tells."""
    ledger, status = compared.behind.ledger, compared.behind.status
    assert isinstance(ledger, RecordedLedger)
    assert status.failures.total() >= status.connects - 1, "a loss was not counted"
    for earlier, later in pairwise(ledger.polls):
        if later.listed_at - earlier.listed_at > INTERVAL + LONGEST_POLL:
            before, after = ledger.noted[earlier.at], ledger.noted[later.at]
            compared.holes += 1
            slow = max(earlier.at - earlier.listed_at, later.at - later.listed_at) > LONGEST_POLL
            assert before != after or slow, (earlier, later)


def _check_sums(compared: Compared) -> None:
    """The counters are the sums of the faxes, so what they lack is what those lack."""
    direct, behind = compared.faxes(compared.direct), compared.faxes(compared.behind)
    pages: Counter[str] = Counter()
    lines = 0
    for session, fax in direct.items():
        other = behind.get(session)
        pages[session.operation] += (fax.pages or 0) - ((other and other.pages) or 0)
        lines += (fax.bad_lines or 0) - ((other and other.bad_lines) or 0)
    for operation, (_, name) in FAXES.items():
        assert compared.lost(name) == pages[operation]
    assert compared.lost("pages_relayed_total") == pages["gateway"]
    assert compared.lost("bad_lines_total") == lines
    assert compared.lost("pages_rejected_total") >= 0
    assert compared.lost("rate_fallbacks_total") >= 0
    for poller in (compared.direct, compared.behind):
        assert isinstance(poller.ledger, RecordedLedger)
        poller.ledger.told.assert_all(poller.ledger.totals)


# --- the run ------------------------------------------------------------------------------------


async def run_cut(
    rng: random.Random, seconds: float, cuts: tuple[float, float, float] = CUTS
) -> Compared:
    """Faxes for so many seconds of the loop's time; AssertionError if `check` finds something."""
    pbx = RecordedPbx(secret=SECRET, clock=wall)
    await pbx.start()
    network = CuttingProxy(pbx.port, rng)
    await network.start()
    pollers = direct, behind = _poller(pbx, pbx.port), _poller(pbx, network.port)
    watching = [asyncio.create_task(poller.run()) for poller in pollers]
    await until(lambda: all(poller.status.up for poller in pollers))
    await asyncio.sleep(EVENT_LATENESS)
    moving = asyncio.Event()
    moving.set()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await moving.wait()

    traffic = asyncio.create_task(run_traffic(pbx, rng=rng, sleep=sleep, lines=LINES))
    misbehaving = asyncio.create_task(network.misbehave(*cuts))
    await asyncio.sleep(seconds)
    moving.clear()
    await asyncio.sleep(EVENT_LATENESS)  # the events under way
    await cancel_and_wait(misbehaving)
    network.refuses = False
    await until(lambda: all(poller.status.up for poller in pollers))
    await cancel_and_wait(traffic)
    for session in list(pbx.sessions.values()):
        pbx.end(session)
    await asyncio.sleep(3 * EVENT_LATENESS)
    compared = Compared(pbx, network, direct, behind)
    for task in watching:
        await cancel_and_wait(task)
    await network.stop()
    await pbx.stop()
    check(compared)
    return compared


def _poller(pbx: RecordedPbx, port: int) -> Poller:
    ledger = RecordedLedger()
    poller = Poller(
        settings_for(pbx, port=port), INTERVAL, ledger, clock=clock(), jitter=lambda: 0.5
    )
    ledger.status = poller.status
    return poller


def main() -> None:
    """Runs one trial in real time and says what it saw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    compared = asyncio.run(run_cut(random.Random(given.seed), given.seconds))
    print(
        f"{compared.network.cuts} connections cut, {compared.holes} holes between polls,", end=" "
    )
    print(f"{len(compared.heard_of)} completion events came through")
    print(f"{compared.alike} faxes were seen whole, and are told alike")
    print(f"{'counter':32} {'direct':>8} {'behind':>8}  rule")
    for name, rule in RULES.items():
        direct, behind = compared.both(name)
        print(f"{name:32} {direct:8.0f} {behind:8.0f}  {rule if direct != behind else ''}")


if __name__ == "__main__":
    main()
