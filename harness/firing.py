"""When alerts fire in a simulated world: promtool evaluates the rules, and says what ALERTS were.

promtool has no way to ask for a whole time, but it prints what a query gave that it was told gives
nothing. A sum of powers of two tells of fifty evaluations at once, and exactly.
"""

import ast
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from harness.programs import binary
from harness.rules import RULES, read
from harness.traffic import World
from harness.traffic_metrics import series

_BITS: Final = 50
"""Evaluations in one number: fewer than the digits that a float has."""
_FIRING: Final = 'ALERTS{alertstate="firing"}'
_NAME: Final = re.compile(r"\b(?:\w+:)?asterisk_fax\w*(?::\w+)*")
_QUERY: Final = re.compile(
    r"time\(\) - (?P<first>\d+)\).*?\n\s*exp: .*?\n\s*got: (?P<got>.*)", re.MULTILINE
)
_SAMPLE: Final = re.compile(r'\{(?P<labels>(?:[^{}"]|"(?:\\.|[^"\\])*")*)\} (?P<value>[-+.\dE]+)')
_AT_TIME: Final = re.compile(r'__name__!=\\"(?P<at>\d+).*?\n\s*exp: .*?\n\s*got: (?P<got>.*)')
_NAMED: Final = re.compile(
    r'(?P<labels>(?:[\w:]+)?\{(?:[^{}"]|"(?:\\.|[^"\\])*")*\}) (?P<value>[-+.\dEa-zN]+)'
)
_LABEL: Final = re.compile(r'(\w+)=("(?:\\.|[^"\\])*")')
_TOLD: Final = re.compile(
    r"alertname:\s*(\w+), time:\s*\S+\s*\n(.*?)(?=\balertname:|\Z)", re.DOTALL
)
_ALERT: Final = re.compile(r"Labels:\{(.*?)\}\n\s*Annotations:\{(.*?)\}\n", re.DOTALL)


@dataclass(frozen=True)
class Firing:
    """One alert from its first evaluation to the one in which it was no more, seconds."""

    alert: str
    labels: Mapping[str, str]
    since: float
    until: float | None
    """None: it fired to the end."""

    def __str__(self) -> str:
        """In words, for a test that failed."""
        labels = ", ".join(f"{k}={v}" for k, v in self.labels.items() if k not in _USUAL)
        until = "the end" if self.until is None else moment(self.until)
        return f"{self.alert}{{{labels}}} from {moment(self.since)} to {until}"


_USUAL: Final = ("job", "severity", "rules")


def moment(seconds: float) -> str:
    """Day, hour and minute of a simulated world: `Mon 11, 09:30`; day 0 is a Thursday."""
    day, minutes = divmod(round(seconds / 60), 24 * 60)
    name = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")[day % 7]
    return f"{name} {day}, {minutes // 60:02}:{minutes % 60:02}"


@dataclass(frozen=True)
class Said:
    """The texts of one alert at a moment."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Timeline:
    """What fired in a world, in the order in which it began."""

    firings: Sequence[Firing]
    said: Mapping[tuple[str, float], Sequence[Said]] = field(default_factory=dict)
    """By name of the alert and moment that was asked for."""

    def of(self, alert: str, **labels: str) -> list[Firing]:
        """Those of an alert that have at least these labels."""
        wanted = labels.items()
        return [one for one in self.firings if one.alert == alert and wanted <= one.labels.items()]

    def names(self) -> set[str]:
        """Every alert that fired."""
        return {one.alert for one in self.firings}

    def __str__(self) -> str:
        """One line for each."""
        return "\n".join(map(str, self.firings)) or "nothing fired"


def play(
    world: World,
    lasting: float,
    *,
    step: int = 60,
    rules: Path = RULES,
    only: Iterable[str] | None = None,
    texts: Iterable[tuple[str, float]] = (),
) -> Timeline:
    """What fires when `world` is scraped, and the rules evaluated, every `step` seconds.

    `lasting`: seconds; take 60 for a step up to days, 300 for weeks. `only`: names of alerts; what
    they do not need is neither made nor evaluated, which is many times faster. `texts`: alerts and
    moments, of which the annotations are wanted. AssertionError if promtool cannot evaluate a rule.
    """
    texts = list(texts)
    groups = _chosen(_groups(rules), only, with_texts=bool(texts))
    steps = int(lasting // step) + 1
    asked = [{"alertname": name, "eval_time": f"{int(at // step) * step}s"} for name, at in texts]
    scraped = _scraped(groups, world, step, steps)
    said = _evaluated(groups, scraped, step, step, _queries(step, steps), asked)
    return Timeline(_firings(said, step, steps), _texts(said, texts))


Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Of a series, its name among them as `__name__`."""


@dataclass(frozen=True)
class Evaluated:
    """All series of a world that some alerts look at."""

    scraped: Sequence[Mapping[str, str]]
    """As promtool takes them: `series` and `values`."""
    recorded: Mapping[Labels, Mapping[int, float]]
    """Values of what the rules recorded, by the time, seconds."""


def evaluated(
    world: World,
    lasting: float,
    *,
    step: int,
    pace: int,
    rules: Path = RULES,
    only: Iterable[str] | None = None,
) -> Evaluated:
    """What is scraped of `world`, every `step` seconds, and what the recording rules make of it,
    every `pace` seconds. As in `play`."""
    groups = _chosen(read(rules)["groups"], only, with_texts=False)
    queries = (
        {"expr": f'{{__name__=~"\\\\w+:.+", __name__!="{at}"}}', "eval_time": f"{at}s"}
        for at in range(0, int(lasting) + 1, pace)
    )
    scraped = _scraped(groups, world, step, int(lasting // step) + 1)
    said = _evaluated(groups, scraped, step, pace, queries)
    found: dict[str, dict[int, float]] = {}
    for query in _AT_TIME.finditer(said):
        for sample in _NAMED.finditer(query["got"]):
            found.setdefault(sample["labels"], {})[int(query["at"])] = float(sample["value"])
    own = {tuple(_labels(labels).items()): values for labels, values in found.items()}
    return Evaluated(scraped, own)


def _scraped(
    groups: Sequence[Mapping[str, Any]], world: World, step: int, steps: int
) -> Sequence[Mapping[str, str]]:
    names = {name for group in groups for name in _NAME.findall(json.dumps(group))} | {"up"}
    return list(series(world, step, steps, names))


def _evaluated(
    groups: Sequence[Mapping[str, Any]],
    scraped: Sequence[Mapping[str, str]],
    step: int,
    pace: int,
    queries: Iterable[Mapping[str, str]],
    texts: Sequence[Mapping[str, str]] = (),
) -> str:
    """What promtool says, which was told that every query gives nothing."""
    test = {
        "interval": f"{step}s",
        "input_series": scraped,
        "promql_expr_test": list(queries),
        "alert_rule_test": list(texts),
    }
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "rules.json").write_text(json.dumps({"groups": groups}))
        case = {
            "rule_files": ["rules.json"],
            "evaluation_interval": f"{pace}s",
            "group_eval_order": [group["name"] for group in groups],
            "tests": [test],
        }
        (folder / "case.json").write_text(json.dumps(case))
        return _promtool(folder / "case.json")


@lru_cache
def _groups(rules: Path) -> Sequence[Mapping[str, Any]]:
    groups: Sequence[Mapping[str, Any]] = read(rules)["groups"]
    return groups


def _promtool(case: Path) -> str:
    done = subprocess.run(
        (binary("promtool", package="prometheus"), "test", "rules", case),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = done.stdout
    assert "SUCCESS" in said or ("FAILED:" in said and "got:" in said), said[-4000:]
    assert not re.search(r"^\s*(rule|error|err): ", said, re.MULTILINE), said[-4000:]
    return said


def _chosen(
    groups: Sequence[Mapping[str, Any]], only: Iterable[str] | None, *, with_texts: bool
) -> list[dict[str, Any]]:
    """The groups with the alerts of `only`, and what these need of what is recorded."""
    wanted = None if only is None else set(only)
    needed: set[str] = set()
    chosen: list[dict[str, Any]] = []
    for group in reversed(groups):
        rules = []
        for rule in reversed(group["rules"]):
            name = rule.get("alert")
            if wanted is None or name in wanted or rule.get("record") in needed:
                rule = dict(rule)
                if not with_texts:
                    rule.pop("annotations", None)
                needed.update(_NAME.findall(json.dumps(rule)))
                rules.append(rule)
                (wanted or set()).discard(name)
        if rules:
            chosen.append({"name": group["name"], "rules": rules[::-1]})
    assert not wanted, f"no such alerts: {wanted}"
    return chosen[::-1]


def _queries(step: int, steps: int) -> Iterator[Mapping[str, str]]:
    for first in range(0, steps, _BITS):
        last = min(first + _BITS, steps) - 1
        # Half a step more: a range has its beginning in Prometheus 2, and not in 3.
        range_ = (last - first) * step * 1000 + step * 500
        bits = f"2 ^ ((time() - {first * step}) / {step})"
        yield {
            "expr": f"sum_over_time(({_FIRING} * ({bits}))[{range_}ms:{step}s])",
            "eval_time": f"{last * step}s",
        }


def _firings(said: str, step: int, steps: int) -> list[Firing]:
    fired: dict[tuple[tuple[str, str], ...], int] = {}
    for query in _QUERY.finditer(said):
        first = int(query["first"]) // step
        for sample in _SAMPLE.finditer(query["got"]):
            labels = tuple(_labels(sample["labels"]).items())
            fired[labels] = fired.get(labels, 0) | int(float(sample["value"])) << first
    firings = []
    for labels, bits in fired.items():
        names = dict(labels)
        alert = names.pop("alertname")
        del names["alertstate"]
        for since, until in _ones(bits):
            end = None if until >= steps else until * float(step)
            firings.append(Firing(alert, names, since * float(step), end))
    return sorted(firings, key=lambda one: (one.since, one.alert, str(one.labels)))


def _ones(bits: int) -> Iterator[tuple[int, int]]:
    """Runs of set bits: the first, and the first after it that is not set."""
    at = 0
    while bits:
        low = (bits & -bits).bit_length() - 1
        bits >>= low
        run = (~bits & (bits + 1)).bit_length() - 1
        yield at + low, at + low + run
        bits >>= run
        at += low + run


def _labels(text: str) -> dict[str, str]:
    # Go quotes as Python does.
    return {name: ast.literal_eval(value) for name, value in _LABEL.findall(text)}


def _texts(
    said: str, wanted: Sequence[tuple[str, float]]
) -> dict[tuple[str, float], Sequence[Said]]:
    found: dict[tuple[str, float], Sequence[Said]] = {one: () for one in wanted}
    order = iter(sorted(wanted, key=lambda one: one[1]))
    for alert, body in _TOLD.findall(said):
        key = next(one for one in order if one[0] == alert)
        found[key] = [
            Said(_labels(a), _labels(b)) for a, b in _ALERT.findall(body.split("got:")[1])
        ]
    return found
