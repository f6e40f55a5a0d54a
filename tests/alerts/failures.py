"""Faxes fail, or never begin."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from harness.scenarios import Fires, Scenario
from harness.traffic import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    AsteriskStops,
    Event,
    ExporterStops,
    Fax,
    Mix,
    Pbx,
    PrometheusStops,
    ScrapesFail,
    World,
    office,
    poisson,
    round_the_clock,
)

PAGE: Final = "AsteriskFaxFailureRatioHigh"
TICKET: Final = "AsteriskFaxFailureBudgetBurning"
THEIRS: Final = "AsteriskFaxNoFaxRatioHigh"
NEVER: Final = "AsteriskFaxT38NegotiationFailing"
PAGES: Final = (PAGE, NEVER)
NOTHING: Final = (*PAGES, TICKET, THEIRS, "AsteriskFaxResultsUnknown")

USUAL: Final = {"call_dropped": 0.01, "no_fax": 0.04}
DOWN: Final = {"call_dropped": 0.5, "rx_protocol_error": 0.5}
"""Every fax fails."""

Shares = Mapping[str, float]


def _faxes(
    random: Random, an_hour: float, lasting: float, *changes: tuple[float, float, Shares]
) -> list[Fax]:
    """Half sent and half received, failing as usual but for (from, until, shares), seconds."""
    faxes: list[Fax] = []
    edges = [0.0, *(edge for since, until, _ in changes for edge in (since, until)), lasting]
    shares = [USUAL, *(one for _, _, fail in changes for one in (fail, USUAL))]
    for since, until, fail in zip(edges, edges[1:], shares, strict=False):
        for operation in ("send", "receive"):
            times = poisson(random, 12 * an_hour, since, until, round_the_clock)
            faxes += Mix(operation=operation, failures=fail).at(random, times)
    return faxes


def _outage(an_hour: float, step: int = 60, seeds: tuple[int, ...] = (1, 2, 3)) -> Scenario:
    begins = 2 * HOUR
    ends = begins + 10 * MINUTE
    when = f" (scraped every {step // 60} minutes)" if step > 60 else ""
    return Scenario(
        f"Of {an_hour:g} faxes an hour every one fails for 10 minutes{when}",
        lambda random: [Pbx(_faxes(random, an_hour, 4 * HOUR, (begins, ends, DOWN)))],
        lasting=3.5 * HOUR,
        begins=begins,
        ends=ends,
        fires=[Fires(PAGE, within=10 * MINUTE, clears=30 * MINUTE)],
        silent=(TICKET, THEIRS, NEVER),
        step=step,
        seeds=seeds,
    )


def _steady(
    name: str,
    an_hour: float,
    lasting: float,
    shares: Shares,
    fires: tuple[Fires, ...] = (),
    *,
    step: int = 300,
    seeds: tuple[int, ...] = (1,),
    silent: tuple[str, ...] = PAGES,
) -> Scenario:
    """The same shares from the beginning to the end."""
    return Scenario(
        name,
        lambda random: [
            Pbx(
                Mix(failures=shares).at(
                    random, poisson(random, 24 * an_hour, 0, lasting, round_the_clock)
                )
            )
        ],
        lasting=lasting,
        fires=fires,
        silent=silent,
        step=step,
        seeds=seeds,
    )


def _tried_again(random: Random, an_hour: float, times: int, reason: str, pause: float) -> World:
    """A day with six attempts at one number, so many times."""
    faxes = _faxes(random, an_hour, DAY)
    for part in range(times):
        first = (part + random.uniform(0.1, 0.7)) * DAY / times
        faxes += [
            Fax(first + attempt * pause, operation="send", reason=reason, pages=0)
            for attempt in range(6)
        ]
    return [Pbx(faxes)]


def _bursts(random: Random, an_hour: float, days: int) -> World:
    """Bursts of no_fax, of which the lengths have a heavy tail: lists with many old numbers."""
    faxes = _faxes(random, an_hour, days * DAY)
    for time in poisson(random, 10, 0, (days - 0.5) * DAY, round_the_clock):
        for attempt in range(min(int(random.paretovariate(1.2)), 60)):
            faxes.append(Fax(time + 40 * attempt, operation="send", reason="no_fax", pages=0))
    return [Pbx(faxes)]


def _disturbed(random: Random, lasting: float) -> World:
    """A busy PBX with everything that happens to those who watch it."""
    events: list[Event] = [
        ExporterStops(2 * HOUR, 30),
        AsteriskStops(3 * HOUR, 40),
        ScrapesFail(4 * HOUR, 12 * MINUTE),
        PrometheusStops(5 * HOUR, 25 * MINUTE),
        AsteriskStops(6 * HOUR, 5 * MINUTE),
        ExporterStops(6.5 * HOUR, 9 * MINUTE),
    ]
    return [Pbx(_faxes(random, 300, lasting), events=events)]


def _never_begin(random: Random, an_hour: float, since: float, until: float, share: float) -> World:
    faxes = [
        fax._replace(begins=False, reason=None)
        if since <= fax.begin < until and random.random() < share
        else fax
        for fax in _faxes(random, an_hour, until + 2 * HOUR)
    ]
    return [Pbx(faxes)]


def _refused(an_hour: float, seeds: tuple[int, ...]) -> Scenario:
    begins, ends = 2 * HOUR, 2 * HOUR + 10 * MINUTE
    return Scenario(
        f"Of {an_hour:g} faxes an hour none begins for 10 minutes: T.38 is refused",
        lambda random: _never_begin(random, an_hour, begins, ends, 1.0),
        lasting=3.5 * HOUR,
        begins=begins,
        ends=ends,
        fires=[Fires(NEVER, within=10 * MINUTE, clears=30 * MINUTE)],
        silent=(PAGE, THEIRS),
        seeds=seeds,
    )


def _few(random: Random, days: int, since: float) -> Iterator[Fax]:
    times = poisson(random, 20, 0, days * DAY, office)
    for fax in Mix().at(random, times):
        yield fax._replace(reason="train_failure", pages=0) if fax.begin >= since else fax


SCENARIOS = (
    _outage(60),
    _outage(300),
    _outage(2100, seeds=(1,)),
    _outage(300, step=300, seeds=(1,)),
    Scenario(
        "Of 60 faxes an hour 20 % fail for 6 hours",
        lambda random: [
            Pbx(_faxes(random, 60, 12 * HOUR, (2 * HOUR, 8 * HOUR, {"train_failure": 0.2})))
        ],
        lasting=9.5 * HOUR,
        begins=2 * HOUR,
        ends=8 * HOUR,
        fires=[Fires(PAGE, within=3 * HOUR, clears=1.25 * HOUR, times=4)],
        silent=(THEIRS, NEVER),
        seeds=(1, 2),
    ),
    _steady(
        "Of 60 faxes an hour 3 % fail, for days",
        60,
        4 * DAY,
        {"call_dropped": 0.03},
        (Fires(TICKET, within=3 * DAY, times=3),),
    ),
    _steady("Of 60 faxes an hour 8 % meet no fax, for a week", 60, 7 * DAY, {"no_fax": 0.08}),
    Scenario(
        "Lists of old numbers give no_fax in bursts, some of sixty, among 60 faxes an hour",
        lambda random: _bursts(random, 60, 4),
        lasting=4 * DAY,
        silent=PAGES,
        step=300,
        seeds=(1,),
    ),
    Scenario(
        "One number that is no fax is tried six times, four times a day, among 20 faxes an hour",
        lambda random: _tried_again(random, 20, 4, "no_fax", 60),
        lasting=DAY,
        silent=(PAGE, THEIRS),
        step=120,
        seeds=(1,),
    ),
    Scenario(
        "One bad machine is tried six times, four times a day, among 20 faxes an hour",
        lambda random: _tried_again(random, 20, 4, "train_failure", 240),
        lasting=DAY,
        silent=(PAGE,),
        step=120,
        seeds=(1,),
    ),
    Scenario(
        "Of 300 faxes an hour 60 % meet no fax for 3 hours: a wrong route",
        lambda random: [Pbx(_faxes(random, 300, 8 * HOUR, (2 * HOUR, 5 * HOUR, {"no_fax": 0.6})))],
        lasting=7.5 * HOUR,
        begins=2 * HOUR,
        ends=5 * HOUR,
        fires=[Fires(THEIRS, within=HOUR, clears=2 * HOUR)],
        silent=PAGES,
        seeds=(1,),
    ),
    Scenario(
        "Of 300 faxes an hour every one meets no fax for half an hour: sound goes one way only",
        lambda random: [Pbx(_faxes(random, 300, 5 * HOUR, (2 * HOUR, 2.5 * HOUR, {"no_fax": 1})))],
        lasting=5 * HOUR,
        begins=2 * HOUR,
        ends=2.5 * HOUR,
        fires=[Fires(PAGE, within=0.5 * HOUR, clears=0.75 * HOUR)],
        silent=(NEVER,),
        seeds=(1,),
    ),
    Scenario(
        "Of 20 faxes a day two fail in one hour",
        lambda random: [
            Pbx(
                [
                    *_few(random, 5, 5 * DAY),
                    *(Fax(10 * HOUR + m, reason="call_dropped") for m in (0, 900)),
                ]
            )
        ],
        lasting=2 * DAY,
        silent=NOTHING,
        step=300,
    ),
    Scenario(
        "Of 20 faxes a day, in office hours, every one fails from a Monday on",
        lambda random: [Pbx(list(_few(random, 8, MONDAY)))],
        lasting=MONDAY + 18 * HOUR,
        begins=MONDAY,
        fires=[Fires(PAGE, within=18 * HOUR, times=2)],
        silent=(NEVER,),
        step=300,
    ),
    Scenario(
        "Restarts of Asterisk and the exporter, scrapes that fail, a Prometheus that is off",
        lambda random: _disturbed(random, 8 * HOUR),
        lasting=8 * HOUR,
        silent=NOTHING,
        seeds=(1,),
    ),
    Scenario(
        "The same, scraped every 5 minutes",
        lambda random: _disturbed(random, 8 * HOUR),
        lasting=8 * HOUR,
        silent=NOTHING,
        step=300,
    ),
    _refused(60, (1, 2, 3)),
    _refused(300, (1,)),
)
