"""Lines that get slower."""

from collections.abc import Callable
from random import Random

from harness.scenarios import Fires, Scenario
from harness.traffic import DAY, HOUR, Fax, Mix, World, office, poisson
from tests.alerts.lines import MENDED, TODAY, drawn, fleet

SLOW = "AsteriskFaxPagesSlow"
FALLING = "AsteriskFaxRatesFallingBack"
STUCK = "AsteriskFaxSessionStuck"


def _bad(time: float) -> bool:
    return TODAY <= time < MENDED


def _changing(random: Random, a_day: float, mix: Callable[[float], Mix]) -> list[Fax]:
    return drawn(random, poisson(random, a_day, 0, 27 * DAY, office), mix)


def _slower(random: Random, a_day: float) -> World:
    return fleet(
        {
            "fax-berlin": _changing(
                random,
                a_day,
                lambda time: Mix(ecm=1, pages=3, page_seconds=60 if _bad(time) else 30),
            )
        }
    )


def _falling(random: Random, a_day: float) -> World:
    return fleet(
        {
            "fax-berlin": [
                fax._replace(fallbacks=random.choice((0, 1, 2, 3))) if _bad(fax.begin) else fax
                for fax in _changing(random, a_day, lambda _: Mix())
            ]
        }
    )


def _no_line_of_ours(random: Random) -> World:
    def mixed(a_day: float) -> list[Fax]:
        """Text, and now and then some dozens of photographs, with ECM."""
        return [
            fax._replace(pages=random.randint(15, 40), page_seconds=70)
            if random.random() < 0.04
            else fax._replace(page_seconds=15 * random.uniform(0.7, 1.3))
            for fax in _changing(random, a_day, lambda _: Mix(ecm=1, pages=3))
        ]

    def old_machine(a_day: float) -> list[Fax]:
        return [
            fax._replace(fallbacks=4) if random.random() < 0.1 else fax
            for fax in _changing(random, a_day, lambda _: Mix())
        ]

    return fleet(
        {
            "photographs-5": mixed(5),
            "photographs-60": mixed(60),
            "longer": _changing(
                random, 60, lambda time: Mix(ecm=1, pages=15 if time > TODAY else 2)
            ),
            "to-9600": _changing(
                random,
                60,
                lambda time: Mix(ecm=1, page_seconds=45, data_rate=9600) if time > TODAY else Mix(),
            ),
            "old-machine-5": old_machine(5),
            "old-machine-60": old_machine(60),
        }
    )


SCENARIOS = (
    Scenario(
        "Pages with ECM take twice as long for ten days, at 60 faxes a day",
        lambda random: _slower(random, 60),
        lasting=27 * DAY,
        fires=[Fires(SLOW, within=DAY + 12 * HOUR, clears=4 * DAY)],
        silent=(FALLING,),
        begins=TODAY,
        ends=MENDED,
        step=1800,
        seeds=(1, 2),
    ),
    Scenario(
        "Sessions fall back one and a half times for ten days, at 60 faxes a day",
        lambda random: _falling(random, 60),
        lasting=27 * DAY,
        fires=[Fires(FALLING, within=DAY, clears=DAY)],
        silent=(SLOW,),
        begins=TODAY,
        ends=MENDED,
        step=1800,
        seeds=(1, 2),
    ),
    Scenario(
        "Some faxes of dozens of photographs; documents of 15 pages; 9600 bit/s; one old machine "
        "whose rate always falls",
        _no_line_of_ours,
        lasting=27 * DAY,
        silent=(SLOW, FALLING, STUCK),
        step=1800,
        seeds=(1,),
    ),
)
