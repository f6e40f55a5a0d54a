"""PromQL of the rules: which series an expression chooses, and sums that keep unknown labels.

An expression in alerts/ is written without the matchers that every selector needs; `chosen` puts
them in. So no rule can forget them.
"""

import re
from typing import Final

RULES: Final = 'rules="asterisk-fax"'
"""What this file records, and no other rules file with other numbers."""
WATCHED: Final = 'job!=""'
"""Holds of everything that is scraped. A site that has these rules for some of its exporters only
puts what chooses them in its place, as the Helm chart does."""

_SELECTOR: Final = re.compile(
    r""" "(?:\\.|[^"\\])*"
       | (?P<name> \b(?:\w+:)?asterisk_fax\w*(?::\w+)* | \bup\b )
         (?P<more>\{)?
    """,
    re.VERBOSE,
)


def chosen(expression: str, matchers: str = "") -> str:
    """The expression with the matchers that every selector in it needs.

    `matchers` are for the text of an annotation, where they choose the series of one alert, and
    stand in place of `WATCHED`.
    """

    def with_matchers(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        own = [RULES] if ":" in name else [] if matchers else [WATCHED]
        inside = ", ".join((*own, *([matchers] if matchers else [])))
        if found["more"]:
            # Those of an alert end with a comma.
            return f"{name}{{{inside} " if matchers else f"{name}{{{inside}, "
        return f"{name}{{{inside}}}"

    return _SELECTOR.sub(with_matchers, expression)


def increase(counter: str, range_: str, *away: str) -> str:
    """How much a counter grew, summed over its own labels `away`; every other label stays.

    Of two exporters that watch the same PBX, and differ in the label `replica`, the one that saw
    more counts.
    """
    return _grown("max", counter, range_, away)


def lacked(counter: str, range_: str, *away: str) -> str:
    """As `increase`, of a counter of what an exporter was not told: of two, the one that was told
    more counts."""
    return _grown("min", counter, range_, away)


def _grown(of_two: str, counter: str, range_: str, away: tuple[str, ...]) -> str:
    grown = f"{of_two} without (replica) (increase({counter}[{range_}]))"
    return f"sum without ({', '.join(away)}) ({grown})" if away else grown


def kept(name: str) -> str:
    """What `name` was recorded as, a time, for as long as it is no longer ago than a month: so it
    outlasts a restart of the exporter, which begins anew."""
    return f"last_over_time({name}[1h])\n  > time() - 30 * 86400"
