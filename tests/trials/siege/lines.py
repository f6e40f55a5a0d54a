"""What a siege must not do to the besieged: each figure's line, and why it is there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.trials.siege.lateness import Punctuality
from tests.trials.siege.scraping import Tally, failures

MIB: Final = 2**20
GRACE: Final = 20.0
"""Seconds after a flood in which what can recover does; then one looks no longer."""


@dataclass
class Row:
    """What one flood did."""

    flood: str
    setup: str
    connections: int = 0
    """Of the attackers; likewise `requests`, those that were answered."""
    requests: int = 0
    sent: int = 0
    """Bytes."""
    answers: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    polls: Punctuality | None = None
    """None of one that polls nothing."""
    control: Punctuality | None = None
    guarded: list[Tally] = field(default_factory=list)
    """The scrapes that must be answered: by who has logged in, or from another address."""
    unguarded: list[Tally] = field(default_factory=list)
    """Those from the attackers' address, where there are no passwords: nothing tells them apart."""
    late_login: Tally | None = None
    rest: int = 0
    """Bytes of resident memory before, likewise `peak` and `after`."""
    peak: int = 0
    after: int = 0
    descriptors: int = 0
    """At their peak."""
    cores: float = 0.0
    logged: int = 0
    """Bytes."""
    recovery: float = 0.0
    """Seconds from the flood's end to a scrape that is answered; GRACE if there was none."""
    ended: float | None = None
    """Seconds that SIGTERM took; GRACE if it did not end. None if it got none."""
    cut: bool = False
    """The connection to the PBX was cut: the poll that comes next is late by the way back."""
    back: bool = True
    """Whether it came back then."""
    restarts: int = 0
    """Processes below the besieged one that are others now."""
    opened: int = 0
    """Answers 200 of what is closed, without a password."""
    miscounted: dict[str, float] = field(default_factory=dict)
    """By counter: how many more the besieged has counted than there were."""
    control_miscounted: dict[str, float] = field(default_factory=dict)

    @property
    def lateness(self) -> float:
        """Seconds by which the latest poll was later than the control's, of a PBX that is well."""
        if self.polls is None or self.control is None or self.cut:
            return 0.0
        return max(0.0, self.polls.late - self.control.late)


@dataclass(frozen=True)
class Line:
    """The worst that a figure may be."""

    figure: str
    worst: float
    unit: str
    why: str
    value: Callable[[Row], float]
    a_time: bool = False
    """Whether a slow machine can make it worse. Tests leave it out."""


LINES: Final = (
    Line(
        "memory above rest",
        64.0,
        "MiB",
        "the unit and the chart give it 256 MiB at least, and it needs some 100",
        lambda row: (row.peak - row.rest) / MIB,
    ),
    Line(
        "memory kept afterwards",
        48.0,
        "MiB",
        "what one flood leaves behind must not add up with the next",
        lambda row: (row.after - row.rest) / MIB,
    ),
    Line(
        "scrapes lost",
        0,
        "",
        "a place is always kept for who has a password, or comes from elsewhere",
        lambda row: (
            sum(tally.asked - tally.answered for tally in row.guarded)
            + any(not tally.asked for tally in row.guarded)
        ),
    ),
    Line(
        "logins lost",
        0,
        "",
        "a Prometheus that is new, or has a new password, gets in during a flood",
        lambda row: 0 if row.late_login is None else float(not row.late_login.all_answered),
    ),
    Line(
        "later than the control's polls",
        0.05,
        "s",
        "bad lines are exact at 1 s, whoever knocks",
        lambda row: row.lateness,
        a_time=True,
    ),
    Line(
        "miscounted",
        0,
        "",
        "the figures are what it is for",
        lambda row: sum(map(abs, row.miscounted.values())),
    ),
    Line(
        "log",
        32 * 1024,
        "bytes",
        "a line is said a few times a minute, whoever causes it",
        lambda row: row.logged,
    ),
    Line(
        "recovery",
        2.0,
        "s",
        "the next scrape after a flood, at the latest, is answered",
        lambda row: row.recovery,
        a_time=True,
    ),
    Line(
        "an end by SIGTERM",
        5.0,
        "s",
        "half of what systemd and Kubernetes wait for before they kill",
        lambda row: row.ended or 0.0,
        a_time=True,
    ),
    Line(
        "processes ended",
        0,
        "",
        "what is started again has lost what was under way",
        lambda row: row.restarts,
    ),
    Line(
        "connections to the PBX that did not come back",
        0,
        "",
        "descriptors are kept for PBXs",
        lambda row: float(not row.back),
    ),
    Line(
        "closed paths answered without a password",
        0,
        "",
        "a file that is damaged must not open what it closed",
        lambda row: row.opened,
    ),
)


def faults(row: Row, *, times: bool = True) -> list[str]:
    """Where this row is worse than its line. `times`: also those that depend on the machine."""
    found = []
    for line in LINES:
        value = line.value(row)
        if value > line.worst and (times or not line.a_time):
            found.append(f"{line.figure} {value:.4g} {line.unit}".rstrip())
    if found and (lost := failures(row.guarded)):
        found.append(f"scrapes got {lost}")
    if row.miscounted and any(row.miscounted.values()):
        found.append(f"counted {row.miscounted}")
    return found
