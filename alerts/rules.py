"""What a rule is here: recorded, or an alert with its texts.

Expressions are PromQL without the matchers of alerts/promql.py, on as many lines as are readable.
What is recorded has the label `rules` besides those of what it was made from, so an expression that
has recorded series on one side and others on the other needs `ignoring (rules)`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

IN_A_GROUP: Final = 20
"""Mimir takes no more rules in a group unless it is told to (ruler_max_rules_per_rule_group)."""


@dataclass(frozen=True)
class Figure:
    """A number in an alert's description, of the same PBX, operation and so on as the alert."""

    expression: str
    but: tuple[str, ...] = ()
    """Labels that the alert has and the figure has not, such as `reason`."""


@dataclass(frozen=True)
class Listing:
    """Several numbers in an alert's description, one for each value of a label: ` a 3 b 1`."""

    expression: str
    by: str
    but: tuple[str, ...] = ()
    none: str = ""
    """What it says where there is none."""


@dataclass(frozen=True)
class Record:
    """A recording rule, named level:metric:operations as Prometheus recommends.

    Levels are `global`, `pbx`, and `target`, which is one exporter of several that watch the same
    PBX; then the labels beyond that: `pbx_operation`.
    """

    name: str
    expression: str
    comment: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alert:
    """An alert. Where what is wrong is gone, its expression has no series.

    In `summary` and `description` {labels.NAME} is a label, {value} what the expression has, and
    {NAME} one of `figures`. Numbers are written as {value:.1f}, {value:percent} or
    {value:duration}; without that, as whole numbers.
    """

    name: str
    expression: str
    wait: str
    """For how long what is wrong must last: 10m; empty if the expression sees to it."""
    severity: Literal["critical", "warning"]
    summary: str
    description: str
    figures: Mapping[str, Figure | Listing] = field(default_factory=dict)
    dashboard: str = "asterisk-fax-overview"
    """The uid of the dashboard that shows more of it."""
    linger: str = ""
    """For how long it goes on when nothing is wrong any more (`keep_firing_for`)."""
    comment: str = ""


@dataclass(frozen=True)
class Group:
    """The rules of one subject, which are evaluated in their order.

    It may use what groups before it record. Rulers that share groups among them evaluate each on
    its own; then that is a minute old at most.
    """

    name: str
    rules: Sequence[Record | Alert]
    comment: str = ""
    interval: str = "1m"
    """From one evaluation to the next. What another group records more than two minutes apart can
    be read over a time only, as with `last_over_time`."""

    def parts(self) -> Iterator["Group"]:
        """The group, or as many as it takes where Mimir would refuse it as too large."""
        for n, start in enumerate(range(0, len(self.rules), IN_A_GROUP), 1):
            part = replace(self, rules=self.rules[start : start + IN_A_GROUP])
            yield part if n == 1 else replace(part, name=f"{self.name}-{n}", comment="")
