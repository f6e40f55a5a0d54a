"""Lines that are bad."""

from collections.abc import Callable, Iterable, Mapping
from random import Random

from harness.scenarios import Fires, Scenario
from harness.traffic import (
    DAY,
    HOUR,
    WEEK,
    ExporterStops,
    Fax,
    Mix,
    Pbx,
    PerPage,
    ScrapesFail,
    World,
    but,
    carrier,
    day,
    heavy_tailed,
    noisy,
    office,
    poisson,
    round_the_clock,
)

RISING = "AsteriskFaxBadLinesRising"
PEER = "AsteriskFaxPeerBadLines"
TODAY = 12 * DAY + 10 * HOUR
"""A Tuesday morning."""
MENDED = 22 * DAY + 12 * HOUR
"""A week and a half later, on a Friday."""


def drawn(random: Random, times: Iterable[float], mix: Callable[[float], Mix]) -> list[Fax]:
    """Faxes of a mix that changes with time."""
    return [fax for time in times for fax in mix(time).at(random, [time])]


def fleet(faxes: Mapping[str, list[Fax]]) -> World:
    """Several PBXs, by their instance."""
    return [
        Pbx(of, labels={"job": "asterisk-fax", "instance": instance})
        for instance, of in faxes.items()
    ]


def creeping(until: float, a_day: float, lines: Callable[[float], PerPage] = noisy) -> World:
    """From 0.5 to `until` bad lines a page in four weeks, and then no more."""
    random = Random(f"{until} {a_day}")
    return fleet(
        {
            "fax-berlin": drawn(
                random,
                poisson(random, a_day, 0, 5 * WEEK),
                lambda time: Mix(
                    ecm=0, bad_lines=lines(0.5 + (until - 0.5) * min(1.0, time / (4 * WEEK)))
                ),
            )
        }
    )


def _rising(random: Random, a_day: float) -> World:
    """The exporter is restarted now and then, and once Prometheus cannot reach it for two hours."""
    faxes = drawn(
        random,
        poisson(random, a_day, 0, 27 * DAY),
        lambda time: Mix(ecm=0.4, bad_lines=noisy(12 if TODAY <= time < MENDED else 0.4)),
    )
    events = [ExporterStops(TODAY + number * DAY) for number in (-5, -1, 2, 6)]
    return [Pbx(faxes, events=[*events, ScrapesFail(TODAY + DAY, 2 * HOUR)])]


def _at_once(random: Random) -> World:
    since = 5 * DAY + 10 * HOUR
    return fleet(
        {
            "fax-berlin": drawn(
                random,
                poisson(random, 500, 0, 7 * DAY),
                lambda time: Mix(ecm=0, bad_lines=noisy(20 if since <= time else 0.3)),
            )
        }
    )


def per_fax(random: Random, a_day: float, lines: PerPage) -> list[Fax]:
    """Bad lines of a fax as they are drawn, however many pages it has."""
    faxes = Mix(ecm=0).at(random, poisson(random, a_day, 0, 4 * WEEK))
    return [fax._replace(bad_lines=round(lines(random))) for fax in faxes]


def _pareto(random: Random) -> float:
    return min(random.paretovariate(1.1), 3000)


def _some_terrible(random: Random) -> float:
    return 500 if random.random() < 0.05 else random.choice((0, 0, 1, 2))


def _noise(random: Random) -> World:
    log_normal = heavy_tailed(2, 2)
    return fleet(
        {
            "five": per_fax(random, 5, log_normal),
            "sixty": per_fax(random, 60, log_normal),
            "five-hundred": per_fax(random, 500, log_normal),
            "sixty-pareto": per_fax(random, 60, _pareto),
            "five-terrible": per_fax(random, 5, _some_terrible),
            "sixty-terrible": per_fax(random, 60, _some_terrible),
        }
    )


def _no_line_of_ours(random: Random) -> World:
    """What looks like it."""
    begun = 12 * DAY

    def faxes(
        a_day: float, curve: Callable[[float], float], mix: Callable[[float], Mix]
    ) -> list[Fax]:
        return drawn(random, poisson(random, a_day, 0, 4 * WEEK, curve), mix)

    def one_sender(a_day: float) -> list[Fax]:
        return [
            fax._replace(bad_lines=400 * fax.pages)
            if fax.begin > begun and random.random() < 0.1
            else fax
            for fax in faxes(a_day, office, lambda _: Mix(ecm=0.5, bad_lines=noisy(0.5)))
        ]

    sundays = [day(number) for number in (3, 10, 17, 24)]
    return fleet(
        {
            "sender-5": one_sender(5),
            "sender-60": one_sender(60),
            "sender-500": one_sender(500),
            "sundays": faxes(
                100,
                but(round_the_clock, *sundays),
                lambda _: Mix(ecm=0.3, bad_lines=noisy(1)),
            ),
            "longer": faxes(
                60,
                office,
                lambda time: Mix(
                    ecm=0, bad_lines=heavy_tailed(0.3), pages=10 if time > begun else 2
                ),
            ),
        }
    )


def _trunks(random: Random, share: float, bad: float, lines: PerPage) -> World:
    """35 faxes a minute, of which a share comes over a trunk that is bad for 5 hours."""
    others = {f"PJSIP/trunk{number}": (1 - share) / 8 for number in range(8)}
    mix = Mix(ecm=0.3, bad_lines=lines, peers={"PJSIP/cheap": share, **others})
    worse = Mix(ecm=0.3, bad_lines=noisy(bad))
    faxes = [
        fax._replace(bad_lines=worse.at(random, [fax.begin])[0].bad_lines)
        if fax.peer == "PJSIP/cheap" and 2 * HOUR <= fax.begin < 7 * HOUR
        else fax
        for fax in mix.at(random, poisson(random, 35 * 1440, 0, 12 * HOUR, carrier))
    ]
    return [Pbx(faxes, peer_label=True)]


SCENARIOS = (
    Scenario(
        "Bad lines creep up from 0.5 to 35 a page in four weeks, at 100 faxes a day",
        lambda random: creeping(35, 100),
        lasting=5 * WEEK,
        fires=[Fires(RISING, within=10 * DAY)],
        step=1800,
        seeds=(1,),
    ),
    Scenario(
        "Bad lines rise at once from 0.4 to 12 a page for ten days, at 60 faxes a day",
        lambda random: _rising(random, 60),
        lasting=27 * DAY,
        fires=[Fires(RISING, within=9 * HOUR, clears=DAY + 12 * HOUR)],
        begins=TODAY,
        ends=MENDED,
        step=1800,
        seeds=(1, 2),
    ),
    Scenario(
        "Bad lines rise at once from 0.3 to 20 a page, at 500 faxes a day, on a PBX that is new",
        _at_once,
        lasting=7 * DAY,
        fires=[Fires(RISING, within=2 * HOUR)],
        begins=5 * DAY + 10 * HOUR,
        step=300,
        seeds=(1,),
    ),
    Scenario(
        "Noise that is as it always was, with faxes of 500 bad lines now and then, at 5, 60 and "
        "500 faxes a day",
        _noise,
        lasting=4 * WEEK,
        silent=(RISING,),
        step=1800,
        seeds=(1, 2),
    ),
    Scenario(
        "A tenth of the faxes is from one terrible sender; Sundays without a fax; faxes with five "
        "times as many pages",
        _no_line_of_ours,
        lasting=4 * WEEK,
        silent=(RISING,),
        step=1800,
        seeds=(1,),
    ),
    Scenario(
        "Pages over one trunk of nine, with 5 % of 35 faxes a minute, are bad for five hours",
        lambda random: _trunks(random, 0.05, 20, noisy(0.3)),
        lasting=12 * HOUR,
        fires=[Fires(PEER, within=2 * HOUR, labels={"peer": "PJSIP/cheap"}, clears=5 * HOUR)],
        silent=(RISING,),
        begins=2 * HOUR,
        ends=7 * HOUR,
        step=120,
        seeds=(1, 2),
    ),
)
