"""How many fail of how many, in windows of minutes to days, and when that is too many.

Each way to be too many needs so many faxes as evidence that one rule holds from twenty faxes a
day to thirty-five a minute. Which faxes are counted, failures.py, attempts.py and peers.py say.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from alerts.promql import increase
from alerts.rules import Record
from alerts.thresholds import PAGE_BURN, Threshold

SHORT: Final = ("5m", "10m", "20m")
COUNTED: Final = (*SHORT, "1h")
"""The windows that are counted; longer ones are put together from these."""


def counted(counter: str, window: str, *away: str) -> str:
    """How much a counter was seen to grow, summed over its labels `away`.

    increase() extrapolates to the ends of its window: of two samples it makes up to twice of what
    they saw. That is taken back here, which matters where a window has few samples.
    """
    if window not in SHORT:
        return increase(counter, window, *away)
    seen = f"  increase({counter}[{window}])\n  * (1 - 1 / count_over_time({counter}[{window}]))"
    grown = f"max without (replica) (\n{seen}\n)"
    return f"sum without ({', '.join(away)}) ({grown})" if away else grown


class Window(NamedTuple):
    """In which a burn is seen. It must be one in two parts of it too: in the last, or else it is
    over, and in what is before, or it is a burst."""

    length: str
    now: str
    """The last part."""
    before: str
    """The last part without which it must be one; empty: none."""
    clean: str
    """The last part in which it must not be certain that it is over."""
    least: int = 1
    """So many must be bad in `now`."""


PAGE: Final = (
    Window("20m", now="10m", before="", clean="5m"),
    Window("1h", now="20m", before="20m", clean="10m", least=2),
    Window("2h", now="20m", before="1h", clean="10m", least=2),
    Window("6h", now="1h", before="2h", clean="10m", least=2),
)


@dataclass(frozen=True)
class Counts:
    """What ended in each window, by result: series NAME:increase{result, window}, and others that
    are made from them, which have the bad result as their label `result`."""

    name: str
    """With its level: pbx_operation:asterisk_fax_ended."""
    bad: str
    """The result that is counted against the objective."""
    good: str
    """The result that an outage is told from."""
    objective: Threshold
    """The share that may be bad, 0 to 1."""
    of: str = ""
    """Matchers of the results of which it is a share; empty: all."""

    def records(self, *ways: str) -> Iterator[Record]:
        """What may be bad, the share that is, and what the given ways need: outage, burn."""
        may, bad = self._allowed(), self.count()
        judged = self._named("increase", self.of)
        made = {
            "allowed": f"{self.objective}\n* sum without (result) ({judged})",
            "ratio": f"{self.objective} * {bad} / {may}",
        }
        if "outage" in ways:
            made["lead"] = f"{bad}\n- ignoring (result)\n{self.count(result=self.good)}"
            made["busy"] = f"max_over_time({self.count('1h', self.good)}[1h]) >= 40"
        if "burn" in ways:
            made["above"] = f"{bad} > {PAGE_BURN} * {may}"
            made["beyond"] = self._beyond(f"{PAGE_BURN} * {may}", deviations=1.5, least=10)
            made["clean"] = f"{PAGE_BURN} * {may} - {bad} > 0.5\nand\n{PAGE_BURN} * {may} > 1.5"
        for kind, expression in made.items():
            yield Record(
                f"{self.name}:{kind}",
                expression,
                _COMMENTS[kind],
                {"result": self.bad},
            )

    def longer(self, *windows: str) -> Iterator[Record]:
        """Windows that are put together from shorter ones, of all results."""
        hour = self._named("increase", 'window="1h"')
        short = self._named("increase", 'window="20m"')
        made = {
            "2h": f"  {hour}\n+\n  ({hour} offset 1h or 0 * {hour})",
            "6h": f"sum_over_time({short}[6h:20m])",
            "1d": f"sum_over_time({hour}[1d:1h])",
            "3d": f"sum_over_time({hour}[3d:1h])",
        }
        for window in windows:
            yield Record(f"{self.name}:increase", made[window], labels={"window": window})

    def count(self, window: str = "", result: str = "") -> str:
        """How many ended so."""
        return self._of("increase", window, result or self.bad)

    def outage(self) -> str:
        """The share that is bad, where nearly all are, by windows that tell it.

        Where many were good until now, four in a row are enough; else it takes ten, or six that
        are spread over hours: one number that is tried again and again is no outage.
        """
        older = f"{self.count('6h')} - ignoring (window) {self.count('2h')} >= 2.5"
        return _any(
            *(
                self._where(
                    window,
                    f"{self.count(window)} >= 3.5",
                    self._lead(window, least),
                    self._of("busy", "1h"),
                )
                for window, least in (("5m", 3), ("10m", 2))
            ),
            self._where("20m", self._lead("20m", 10), self._lead("10m", 1)),
            self._where("6h", self._lead("6h", 6), self._lead("1h", 1), older),
        )

    def burn(self, *windows: Window) -> str:
        """The share that is bad, where it is above that of a page by more than chance."""
        return _any(
            *(
                self._where(
                    one.length,
                    self._has_been_beyond(one.length),
                    self._of("above", one.now),
                    f"{self.count(one.now)} >= {one.least - 0.5}" if one.least > 1 else "",
                    self._before(one.length, one.before) if one.before else "",
                    but=self._of("clean", one.clean),
                )
                for one in windows
            )
        )

    def slow_burn(self, *windows: tuple[str, str, float], but_worst_hour: bool = False) -> str:
        """The share that is bad, where it is above the objective for long.

        Of each window: its length, the last part, in which it must be so too, and how many times
        the objective it must be. `but_worst_hour`: without what is bad in one hour, an outage.
        """
        return _any(
            *(
                self._where(
                    window,
                    self._beyond(
                        f"{burn:g} * {self._allowed(window)}",
                        deviations=2,
                        least=5,
                        window=window,
                        but=f"max_over_time({self.count('1h')}[{window}:{_STEPS[window]}])"
                        if but_worst_hour
                        else "",
                    ),
                    f"{self.count(now)} > {self._allowed(now)}",
                )
                for window, now, burn in windows
            )
        )

    def ratio(self, window: str) -> str:
        """The share that is bad, 0 to 1."""
        return self._of("ratio", window)

    def twice(self, window: str) -> str:
        """Twice how many were bad, less how many were good."""
        return f"2 * {self.count(window)} - ignoring (result) {self.count(window, self.good)}"

    def _named(self, kind: str, matchers: str) -> str:
        return f"{self.name}:{kind}{{{matchers}}}" if matchers else f"{self.name}:{kind}"

    def _of(self, kind: str, window: str, result: str = "") -> str:
        matchers = [f'result="{result or self.bad}"', *([f'window="{window}"'] if window else [])]
        return self._named(kind, ", ".join(matchers))

    def _allowed(self, window: str = "") -> str:
        return self._of("allowed", window)

    def _lead(self, window: str, least: int) -> str:
        return f"{self._of('lead', window)} >= {least - 0.5}"

    def _beyond(
        self, may: str, deviations: float, least: int, window: str = "", but: str = ""
    ) -> str:
        # Of a difference the window is gone.
        less, than = (f"- ignoring (window) {but}\n", "> ignoring (window)") if but else ("", ">")
        return (
            f"{self.count(window)}\n{less}"
            f"{than} clamp_min({may} + 3.5\n  + {deviations:g} * sqrt({may}), {least - 0.5})"
        )

    def _has_been_beyond(self, window: str) -> str:
        """Of a long window for another hour: a share near the bound is one alert and not many."""
        beyond = self._of("beyond", window)
        return beyond if window in SHORT else f"max_over_time({beyond}[1h])"

    def _before(self, window: str, but: str) -> str:
        return (
            f"{self.count(window)} - ignoring (window) {self.count(but)}\n"
            f"> {PAGE_BURN} * ({self._allowed(window)} - ignoring (window) {self._allowed(but)})"
        )

    def _where(self, window: str, *conditions: str, but: str = "") -> str:
        made = f"  {self.ratio(window)}"
        for word, one in (*(("and", one) for one in conditions if one), ("unless", but)):
            if one:
                made += f"\n{word} ignoring (window)\n{textwrap.indent(one, '  ')}"
        return textwrap.indent(made, "  ")


def _any(*branches: str) -> str:
    return "\nor\n".join(branches)


_STEPS: Final = {"6h": "10m", "1d": "30m", "3d": "1h"}
"""How far apart hours are looked at for the worst one: an outage of minutes is in one soon after
it, and not only when the clock strikes."""

_COMMENTS: Final = {
    "allowed": "What may be so in each window.",
    "ratio": "",
    "lead": "How many more are so than end well.",
    "busy": "Where so many ended well in an hour, four in a row that do not are no chance.",
    "above": "More than a page's share of them,",
    "beyond": "by more than chance,",
    "clean": "and so few that it is certain to be over.",
}
