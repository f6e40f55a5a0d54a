"""One trunk of many is bad, or one machine."""

from collections.abc import Mapping
from random import Random
from typing import Final

from harness.scenarios import Fires, Scenario
from harness.traffic import HOUR, MINUTE, Fax, Mix, Pbx, World, poisson, round_the_clock

FAILING: Final = "AsteriskFaxPeerFailing"
MORE: Final = "AsteriskFaxPeerFailureRatioHigh"
BAD: Final = "PJSIP/carrier-9"
BEGINS: Final = 2 * HOUR
ENDS: Final = 4 * HOUR
USUAL: Final = {"call_dropped": 0.01, "no_fax": 0.05}


def _provider(random: Random, share: float, failing: Mapping[str, float]) -> World:
    """35 faxes a minute over nine good trunks and one that fails for two hours."""
    good = {f"PJSIP/carrier-{number}": (1 - share) / 8 for number in range(1, 9)}

    def times(part: float, since: float, until: float) -> list[float]:
        return list(poisson(random, 35 * 60 * 24 * part, since, until, round_the_clock))

    faxes = Mix(peers=good, failures=USUAL).at(random, times(1 - share, 0, 6 * HOUR))
    for since, until, failures in (
        (0.0, BEGINS, USUAL),
        (BEGINS, ENDS, failing),
        (ENDS, 6 * HOUR, USUAL),
    ):
        bad = Mix(peers={BAD: 1.0}, failures=failures)
        faxes += bad.at(random, times(share, since, until))
    return [Pbx(faxes, peer_label=True)]


def _machines(random: Random) -> World:
    """Sixty telephone adapters with three faxes an hour each; one tries a number twelve times."""
    faxes: list[Fax] = []
    for number in range(60):
        adapter = Mix(operation="send", peers={f"PJSIP/{100 + number}": 1.0}, failures=USUAL)
        faxes += adapter.at(random, poisson(random, 72, 0, 8 * HOUR, round_the_clock))
    faxes += [
        Fax(3 * HOUR + 180 * one, operation="send", peer="PJSIP/100", reason="train_failure")
        for one in range(12)
    ]
    return [Pbx(faxes, peer_label=True)]


def _trunk(what: str, share: float, failing: Mapping[str, float], within: float) -> Scenario:
    return Scenario(
        f"A provider with 35 faxes a minute: a trunk with {share:.0%} of them {what} for two hours",
        lambda random: _provider(random, share, failing),
        lasting=6 * HOUR,
        begins=BEGINS,
        ends=ENDS,
        fires=[Fires(FAILING, within=within, labels={"peer": BAD}, clears=HOUR)],
        seeds=(1,),
    )


SCENARIOS = (
    _trunk("fails always", 0.05, {"call_dropped": 1.0}, 30 * MINUTE),
    _trunk("fails always", 0.09, {"call_dropped": 1.0}, 30 * MINUTE),
    _trunk("fails half the time", 0.05, {"rx_protocol_error": 0.5}, HOUR),
    _trunk(
        "has sound one way only, so that all is no_fax", 0.05, {"no_fax": 1.0}, HOUR + 15 * MINUTE
    ),
    Scenario(
        "Sixty adapters with three faxes an hour each; one tries one number twelve times",
        _machines,
        lasting=8 * HOUR,
        silent=(FAILING,),
        step=120,
        seeds=(1,),
    ),
)
