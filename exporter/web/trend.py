"""Faxes hour by hour as a small picture: bars, as paths of an SVG that the templates draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BAR: Final = 5
"""Width of a bar, in units of the picture; one more lies between two."""
HEIGHT: Final = 24


@dataclass(frozen=True, slots=True)
class Trend:
    """The paths, and what they show in words."""

    all: str
    """Of all faxes of each hour, from the bottom up; empty where there are none."""
    failed: str
    """Of those that failed, which are a part of them."""
    text: str
    width: int


def trend(hours: Sequence[tuple[int | None, int | None]]) -> Trend:
    """The picture of so many faxes, and failed ones, in each hour, the oldest first; None where it
    is not known."""
    known = [(faxes or 0, failed or 0) for faxes, failed in hours]
    most = max((faxes for faxes, _ in known), default=0)
    width = max(1, (BAR + 1) * len(known) - 1)
    total, failed = sum(faxes for faxes, _ in known), sum(failed for _, failed in known)
    if not most:
        return Trend("", "", f"no fax in the last {len(known)} hours", width)
    return Trend(
        _bars([faxes for faxes, _ in known], most),
        _bars([failed for _, failed in known], most),
        f"{total} {'fax' if total == 1 else 'faxes'} in the last {len(known)} hours, "
        f"{failed} failed; "
        f"{most} in the busiest hour",
        width,
    )


def _bars(counts: Sequence[int], most: int) -> str:
    drawn = []
    for place, count in enumerate(counts):
        if count:
            # What there is at all can be seen.
            height = max(1.5, HEIGHT * count / most)
            drawn.append(f"M{place * (BAR + 1)} {HEIGHT}v-{height:.4g}h{BAR}v{height:.4g}z")
    return "".join(drawn)
