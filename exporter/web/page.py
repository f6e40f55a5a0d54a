"""The pages for people: a fleet, one PBX, why faxes fail, and what is not there. Their HTML, made
from what is known of the targets.

Values come from views.py, what of a fleet is wanted from fleet.py; routes.py serves them.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, TypeVar

from exporter.fax import REASON_WORDS, THEIRS
from exporter.ledger import last_hours
from exporter.polling import Row
from exporter.web.causes import CAUSES
from exporter.web.fleet import MAX_ROWS, Selection, Wanted, select
from exporter.web.templating import Layout, environment, template
from exporter.web.trend import HEIGHT, trend
from exporter.web.views import EndedView, FailureView, HourView, SessionView, TargetView
from exporter.web.wording import word

MAX_SESSIONS: Final = 200
"""Rows of running sessions on the page of a target; the API has them all."""

_AS_OF: Final = re.compile(rb'<p id="as-of">.*?</p>', re.DOTALL)

K = TypeVar("K", SessionView, EndedView)


class FleetPage:
    """The page of a fleet. The lines of those of which nothing has changed are kept: they are most
    of it, whatever of the fleet is wanted. Thread-safe."""

    def __init__(self) -> None:
        """No line is made yet."""
        self._lines: dict[str, tuple[Row, float, str, str]] = {}
        """By the target's name: what each was made from, which is also the present hour and the way
        to `/`; and the line."""

    def render(self, rows: Sequence[Row], wanted: Wanted, layout: Layout) -> str:
        """Those of the targets that are wanted, as HTML."""
        selection: Selection = select(rows, wanted)
        starts = last_hours(layout.as_of or 0.0)
        lines = {row.name: self._line(row, starts, layout) for row in selection.rows}
        if len(self._lines) > len(rows):  # some are no longer watched
            names = {row.name for row in rows}
            # A list, since another thread may add one meanwhile.
            lines_now = list(self._lines.items())
            self._lines = {name: line for name, line in lines_now if name in names}
        return _FLEET.render(
            layout=layout, wanted=wanted, fleet=selection, most=MAX_ROWS, lines=lines
        )

    def _line(self, row: Row, starts: Sequence[float], layout: Layout) -> str:
        kept = self._lines.get(row.name)
        made_from = row, starts[-1], layout.root
        if kept is None or kept[:-1] != made_from:
            line = _ROW.render(row=row, hours=_hourly_of(row, starts), layout=layout)
            kept = self._lines[row.name] = *made_from, line
        return kept[-1]


def target_page(
    target: TargetView, sessions: Sequence[SessionView], layout: Layout, *, watched: int
) -> str:
    """Everything of one PBX. `watched`: how many there are. Reads nothing but its arguments, as do
    the others here, so it may run in any thread."""
    return _TARGET.render(
        layout=layout,
        target=target,
        sessions=list(_with_ids((f"{one.number}", one) for one in sessions[:MAX_SESSIONS])),
        more=max(0, len(sessions) - MAX_SESSIONS),
        failed=list(_with_ids(map(_when_ended, target.failed))),
        others=list(_with_ids(map(_when_ended, target.others))),
        watched=watched,
    )


def missing_page(layout: Layout) -> str:
    """That there is no such target. It repeats no name, and tells none that there is."""
    return _MISSING.render(layout=layout)


def reasons_page(layout: Layout) -> str:
    """What is behind each reason of a failure."""
    reasons = [
        (reason.value, REASON_WORDS[reason], CAUSES[reason].split("`"), reason in THEIRS)
        for reason in CAUSES
    ]
    return _REASONS.render(layout=layout, reasons=reasons)


def tag(body: bytes) -> str:
    """The entity tag of a page: the same as long as nothing on it changes but the time it is of."""
    return f'W/"{blake2b(_AS_OF.sub(b"", body, count=1), digest_size=12).hexdigest()}"'


def _hourly_of(row: Row, starts: Sequence[float]) -> list[tuple[int, int]]:
    """How many faxes ended in each of the hours that began then, and how many of them failed."""
    known = {hour.start: (hour.faxes, hour.failed) for hour in row.hours}
    return [known.get(start, (0, 0)) for start in starts]


def _with_ids(named: Iterator[tuple[str, K]]) -> Iterator[tuple[str, K]]:
    """The rows of a table with an id for each, which stays with it: by that the script of the page
    knows which are new."""
    seen: Counter[str] = Counter()
    for name, one in named:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}", one


def _when_ended(fax: EndedView) -> tuple[str, EndedView]:
    return f"{fax.ended_timestamp:.0f}", fax


def _pairs(failures: Sequence[FailureView]) -> list[tuple[str, int]]:
    return [(failure.reason, failure.faxes) for failure in failures]


def _hourly(hours: Sequence[HourView]) -> list[tuple[int | None, int | None]]:
    return [(hour.faxes, hour.failed) for hour in hours]


environment.filters.update(hourly=_hourly, pairs=_pairs, trend=trend, word=word)
environment.globals.update(trend_height=HEIGHT)

_FLEET: Final = template("fleet.html")
_ROW: Final = template("fleet_row.html")
_TARGET: Final = template("target.html")
_MISSING: Final = template("missing.html")
_REASONS: Final = template("reasons.html")
