"""The figures of sieges as a table in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

from tests.trials.siege.lines import LINES, MIB, Row, faults
from tests.trials.siege.scraping import Tally

_WATCHED: Final = (
    "flood",
    "polls: p50, worst gap",
    "latest poll (control's), ms",
    "scrapes (slowest)",
    "of its own address",
    "MiB: rest, peak, after",
    "log, bytes",
    "recovery, s",
    "",
)
_NOTHING: Final = "-"
_COMPARED: Final = (
    "flood",
    "latest poll (control's), ms",
    "scrapes: exporter",
    "node_exporter",
    "MiB above rest: exporter",
    "node_exporter",
    "log, bytes: exporter",
    "node_exporter",
)


def table(rows: Iterable[Row]) -> str:
    """Each flood with all that was measured."""
    return _markdown(_WATCHED, (_watched(row) for row in rows))


def compared(ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """Two victims under the same floods: those that both had."""
    others = {row.flood: row for row in theirs}
    both = [(row, others[row.flood]) for row in ours if row.flood in others]
    rows = _markdown(
        _COMPARED,
        (
            [
                row.flood,
                _latest(row),
                *(_sum([*one.guarded, *one.unguarded]) for one in (row, other)),
                *(f"{(one.peak - one.rest) / MIB:.0f}" for one in (row, other)),
                *(f"{one.logged:,}" for one in (row, other)),
            ]
            for row, other in both
        ),
    )
    opened = [sum(row.opened for row in each) for each in (ours, theirs)]
    return (
        f"{rows}\n\nOf what needs a password, answered without: {opened[0]} by the exporter, "
        f"{opened[1]} by node_exporter."
    )


def lines() -> str:
    """What each figure may be at worst, and why."""
    return _markdown(
        ("figure", "at worst", "why"),
        ([line.figure, f"{line.worst:,g} {line.unit}".strip(), line.why] for line in LINES),
    )


def _watched(row: Row) -> list[str]:
    gaps = _NOTHING
    if row.polls is not None:
        gaps = f"{row.polls.median_gap:.3f}, {row.polls.worst_gap:.3f}"
    recovery = f"{row.recovery:.1f}" if row.ended is None else f"end {row.ended:.1f}"
    return [
        row.flood,
        gaps,
        _latest(row),
        _sum(row.guarded),
        _sum(row.unguarded),
        f"{row.rest / MIB:.0f}, {row.peak / MIB:.0f}, {row.after / MIB:.0f}",
        f"{row.logged:,}",
        recovery,
        "holds" if not faults(row) else "**does not hold**",
    ]


def _latest(row: Row) -> str:
    if row.polls is None or row.control is None:
        return _NOTHING
    return f"{row.polls.late * 1000:.0f} ({row.control.late * 1000:.0f})"


def _sum(tallies: Iterable[Tally]) -> str:
    tallies = list(tallies)
    if not tallies:
        return _NOTHING
    return str(
        Tally(
            sum(tally.asked for tally in tallies),
            sum(tally.answered for tally in tallies),
            max(tally.slowest for tally in tallies),
        )
    )


def _markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    form = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, form, *rows))
