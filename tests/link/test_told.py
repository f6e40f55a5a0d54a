"""What is told again only when it has changed is what would be told now, whatever has happened."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import TypeAdapter

from exporter.ami import Cause, ConnectError
from exporter.fax import (
    FaxResult,
    FaxStats,
    ListedSession,
    Operation,
    Problem,
    Reason,
    State,
    Transport,
)
from exporter.ledger import Earlier, Ledger, Observation
from exporter.link import Answering, Known, Source, answering
from exporter.link.told import Told
from exporter.polling import Clock, Fleet, Poller, Row, Shown, troubles
from exporter.polling.health import LATELY
from exporter.polling.poll import Poll
from exporter.polling.status import Failure
from exporter.polling.troubles import Lack
from exporter.settings import AmiSettings
from exporter.web.all_targets import AllTargets
from exporter.web.views import TargetView, target_view
from harness.web_side import linked
from tests.ledger.test_today import FAX, ZONES

SETTINGS = AmiSettings.model_validate({"username": "u", "secret": "s"})
BEGUN = 1785496500.0
"""2026-07-31, 13:15 in Berlin."""
NAMES = ("berlin", "paris", "oslo", "rome")
SESSION = ListedSession(0, "PJSIP/b-0", Operation.SEND, State.ACTIVE, Transport.G711)
VIEWS = TypeAdapter(list[TargetView])

which = st.integers(0, 1)
names = st.one_of(
    st.just(list(NAMES[:2])),
    st.lists(st.sampled_from(NAMES), unique=True),
)
seconds = st.sampled_from((0.0, 0.4, 1.0, 59.0, 900.0, 3599.0, 3600.0, 6 * 3600.0, LATELY / 2))


class Fleets(RuleBasedStateMachine):
    """Pollers to which everything happens that can, and who looks at them now and then."""

    @initialize(zone=st.sampled_from(ZONES), often=st.booleans())
    def begin(self, zone: str, often: bool) -> None:
        self.often = often
        self.now, self.epoch, self.lists = 1000.0, BEGUN - 1000.0, 0
        self.clock = Clock(lambda: self.now, lambda: self.now + self.epoch)
        self.done = contextlib.ExitStack()
        self.done.enter_context(mock.patch.dict(os.environ, TZ=zone))
        time.tzset()
        self.done.callback(time.tzset)
        self.loop = asyncio.new_event_loop()
        self.done.callback(self.loop.close)
        self.fleet = Fleet(1.0, None)
        self.fleet.pollers = {name: self.poller(name) for name in NAMES[:2]}
        self.answering = Answering(self.fleet, None)
        self.connect()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.web.aclose())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.done.close()
            time.tzset()

    def connect(self) -> None:
        self.web = contextlib.AsyncExitStack()
        link = linked(self.fleet, answering=self.answering)
        self.source: Source = self.loop.run_until_complete(self.web.enter_async_context(link))
        self.all = AllTargets(self.source, self.clock, details=True, lasts=0.0)

    def poller(self, name: str) -> Poller:
        return Poller(SETTINGS, 1.0, Ledger(5), name=name, clock=self.clock)

    def one(self, number: int) -> Poller:
        pollers = list(self.fleet.pollers.values()) or [self.poller("nobody")]
        return pollers[number % len(pollers)]

    # --- what happens -----------------------------------------------------------------------

    @rule(seconds=seconds)
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from((-86400.0, -3600.0, -60.0, -5.0, 5.0, 3600.0, 86400.0)))
    def the_clock_is_set(self, seconds: float) -> None:
        self.epoch += seconds

    @rule(
        which=which,
        listed=st.sampled_from((None, 0, 1, 1)),
        stats=st.sampled_from((None, 1, 1, 2)),
        failures=st.sampled_from(((), (), (), (Failure.TIMEOUT,), (Failure.DENIED,))),
        details_refused=st.booleans(),
    )
    def it_is_polled(
        self,
        which: int,
        listed: int | None,
        stats: int | None,
        failures: tuple[Failure, ...],
        details_refused: bool,
    ) -> None:
        poller = self.one(which)
        self.lists += 1
        seen = Observation(listed_at=self.now)
        if listed is not None:
            seen.listed = [SESSION] * listed
        if stats is not None:
            seen.stats = FaxStats(stats, 0, stats, stats, stats, 0)
        poller.status.sessions_asked = not details_refused
        poller._record(Poll(seen, answered=True, failures=set(failures)), self.now)

    @rule(
        which=which,
        reason=st.none() | st.sampled_from((Reason.TRAINING, Reason.NO_FAX)),
        times=st.sampled_from((1, 3, 25)),
        file=st.sampled_from(("/x/100 %a.tif", '"ended_seconds_ago":0.0', "?")),
    )
    def a_fax_ends(self, which: int, reason: Reason | None, times: int, file: str) -> None:
        poller = self.one(which)
        for number in range(times):
            result = FaxResult(
                operation=Operation.SEND,
                channel=f"PJSIP/trunk-{number % 3}-1",
                pages=2,
                data_rate=14400,
                transport=Transport.G711,
                succeeded=reason is None,
                reason=reason,
                file=file,
            )
            poller.ledger.hear(result, self.now, self.clock.wall())
        poller.ledger.observe_without_list(self.now)

    @rule(which=which, ago=st.sampled_from((60.0, 5 * 3600.0, 30 * 3600.0)))
    def what_was_before_is_recalled(self, which: int, ago: float) -> None:
        wall = self.clock.wall()
        faxes = [replace(FAX, ended=wall - ago)]
        self.one(which).ledger.recall(Earlier(faxes, wall - ago), wall)

    @rule(which=which, port=st.integers(1, 3))
    def it_goes_down(self, which: int, port: int) -> None:
        poller = self.one(which)
        error = ConnectError(f"refused at {port}", Cause.REFUSED)
        poller._note_outage(troubles.no_connection(error, 1.0, 1.0))
        poller.status.up = poller.status.connected = poller.status.answered = False

    @rule(which=which, comes=st.booleans())
    def events_stop_or_come(self, which: int, comes: bool) -> None:
        poller = self.one(which)
        poller.status.events_come = comes
        if comes:
            poller._notices.end(Lack.EVENTS, "completion events come")
        else:
            poller._notices.begin(troubles.no_events("u"))

    @rule(which=which, field=st.sampled_from(("DataRate", "PageNumber")))
    def a_field_cannot_be_read(self, which: int, field: str) -> None:
        self.one(which)._notices.unreadable([Problem(field, "x")])

    @rule(which=which, version=st.sampled_from(("", "13.1.0", "22.10.0\u202e")))
    def it_says_which_it_is(self, which: int, version: str) -> None:
        status = self.one(which).status
        status.asterisk_version, status.ami_version = version, version[:2]

    @rule(which=which)
    def its_settings_are_others(self, which: int) -> None:
        self.one(which).log_in_with(SETTINGS)

    @rule(names=names, anew=st.booleans())
    def the_file_is_another(self, names: list[str], anew: bool) -> None:
        before = {} if anew else self.fleet.pollers
        self.fleet.pollers = {name: before.get(name) or self.poller(name) for name in names}

    # --- who looks --------------------------------------------------------------------------

    @rule()
    def the_web_process_is_another(self) -> None:
        self.loop.run_until_complete(self.web.aclose())
        self.connect()

    @rule(which=which, turns=st.integers(0, 40), names=names)
    def much_happens_while_somebody_looks(self, which: int, turns: int, names: list[str]) -> None:
        async def looking() -> None:
            looks = [
                asyncio.ensure_future(one) for one in (self.all(compress=False), self.source.rows())
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            self.it_goes_down(which, turns)
            self.a_fax_ends(which, Reason.TRAINING, 3, "")
            for _ in range(turns):
                await asyncio.sleep(0)
            self.the_file_is_another(names, anew=False)
            await asyncio.gather(*looks)

        with mock.patch.multiple(answering, PIECE_SECONDS=0.0, LONGEST_PIECE=0.0):
            self.loop.run_until_complete(looking())

    @rule()
    def rows_are_those_of_now(self) -> None:
        rows = self.loop.run_until_complete(self.source.rows()).read()
        assert rows == [Row.of(name, poller) for name, poller in self.fleet.pollers.items()]

    @rule()
    def targets_are_those_of_now(self) -> None:
        body, _ = self.loop.run_until_complete(self.all(compress=False))
        views = [
            target_view(name, Shown.of(poller), self.clock, details=True)
            for name, poller in self.fleet.pollers.items()
        ]
        now = json.loads(VIEWS.dump_json(views))
        assert comparable(json.loads(body)["targets"]) == comparable(now)

    @invariant()
    def whatever_has_happened(self) -> None:
        if hasattr(self, "answering") and self.often:
            self.rows_are_those_of_now()
            self.targets_are_those_of_now()


def comparable(targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for target in targets:
        for fax in (*target["failed"], *target["others"]):
            for key in ("ended_timestamp", "ended_seconds_ago"):
                fax[key] = pytest.approx(fax[key], abs=0.002)
    return targets


TestFleets = Fleets.TestCase
TestFleets.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=30, deadline=None, print_blob=True
)


def test_a_number_that_is_known_stands_for_nothing_new() -> None:
    fleet = {name: Poller(SETTINGS, 1.0, Ledger(), name=name) for name in NAMES}
    told = Told()
    assert all(told.is_new(name, poller, 0) for name, poller in fleet.items())
    known = told.number
    assert not any(told.is_new(name, poller, known) for name, poller in fleet.items())
    fleet["oslo"].status.trouble = "refused"
    assert [name for name, poller in fleet.items() if told.is_new(name, poller, known)] == ["oslo"]
    # Who knows less is told more.
    assert [n for n, poller in fleet.items() if told.is_new(n, poller, known - 1)] == [
        "oslo",
        "rome",
    ]


CHANGES: dict[str, Callable[[Poller], object]] = {
    "is up": lambda one: setattr(one.status, "up", False),
    "trouble": lambda one: setattr(one.status, "trouble", "refused"),
    "waiting": lambda one: setattr(one.status, "waiting", "a connection is being made"),
    "answered": lambda one: setattr(one.status, "answered", False),
    "listed": lambda one: setattr(one.status, "sessions_listed", False),
    "asked": lambda one: setattr(one.status, "sessions_asked", False),
    "events": lambda one: setattr(one.status, "events_come", False),
    "stats": lambda one: setattr(one.status, "stats", FaxStats(1, 0, 2, 2, 1, 0)),
    "version": lambda one: setattr(one.status, "asterisk_version", "22.10.0"),
    "AMI": lambda one: setattr(one.status, "ami_version", "11.0.0"),
    "watched": lambda one: setattr(one.status, "watched_since", BEGUN - 5),
    "hints": lambda one: one._notices.begin(troubles.no_events("u")),
    "sessions": lambda one: one.ledger.observe(Observation(1.0, 1.0, BEGUN, [SESSION])),
    "a fax": lambda one: one.ledger.history.add(replace(FAX, ended_at=-9e9)),
    "today": lambda one: one.ledger.today.add(replace(FAX, ended=BEGUN), "", BEGUN),
    "since": lambda one: one.ledger.recall(Earlier((), BEGUN - 60), BEGUN),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_that_shows_is_new(change: str) -> None:
    poller = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=Clock(lambda: 1.0, lambda: BEGUN))
    status = poller.status
    status.up = status.answered = status.sessions_listed = True
    told = Told()
    told.is_new("a", poller, 0)
    assert not told.is_new("a", poller, told.number)
    CHANGES[change](poller)
    assert told.is_new("a", poller, told.number)


def test_that_more_hours_are_known_is_new_though_today_is_as_before() -> None:
    poller = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=Clock(lambda: 1.0, lambda: BEGUN))
    poller.ledger.recall(Earlier((), BEGUN - 86400), BEGUN)
    told = Told()
    told.is_new("a", poller, 0)
    poller.ledger.recall(Earlier((), BEGUN - 2 * 86400), BEGUN)
    assert told.is_new("a", poller, told.number)


@pytest.mark.parametrize("seconds", [-900.0, 900.0])
def test_time_alone_makes_it_new_each_quarter_of_an_hour(seconds: float) -> None:
    wall = [BEGUN]
    poller = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=Clock(lambda: 1.0, lambda: wall[0]))
    told = Told()
    told.is_new("a", poller, 0)
    wall[0] += seconds
    assert told.is_new("a", poller, told.number)


def test_a_clock_set_back_to_before_counting_began_makes_it_new() -> None:
    wall = [BEGUN]
    poller = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=Clock(lambda: 1.0, lambda: wall[0]))
    wall[0] += 20
    told = Told()
    told.is_new("a", poller, 0)
    wall[0] -= 10
    assert not told.is_new("a", poller, told.number)
    wall[0] = BEGUN - 1
    assert told.is_new("a", poller, told.number)


def test_a_fax_too_old_to_say_anything_makes_it_new() -> None:
    now = [1.0]
    poller = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=Clock(lambda: now[0], lambda: BEGUN))
    poller.ledger.history.add(replace(FAX, ended_at=1.0))
    told = Told()
    told.is_new("a", poller, 0)
    now[0] = 1.0 + LATELY
    assert not told.is_new("a", poller, told.number)
    now[0] += 0.5
    assert told.is_new("a", poller, told.number)


def test_what_comes_back_to_what_it_was_is_told_if_anything_of_it_is_another() -> None:
    wall = [BEGUN]
    poller = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=Clock(lambda: 1.0, lambda: wall[0]))
    error = ConnectError("refused", Cause.REFUSED)
    told = Told()

    def goes_down() -> None:
        poller._note_outage(troubles.no_connection(error, 1.0, 1.0))
        poller.status.up = poller.status.answered = False

    def was_up() -> None:
        wall[0] += 1
        seen = Observation(listed_at=1.0, listed=[])
        poller._record(Poll(seen, answered=True), 1.0)

    was_up()
    goes_down()
    assert told.is_new("a", poller, 0)
    was_up()
    goes_down()
    assert told.is_new("a", poller, told.number)  # it is down since another time
    other = Poller(SETTINGS, 1.0, Ledger(), name="a", clock=poller.clock)
    other.status = poller.status
    assert told.is_new("a", other, told.number)  # whatever it has counted


def test_an_ask_says_what_is_known() -> None:
    assert Known().ask == {"since": 0, "names": 0}
