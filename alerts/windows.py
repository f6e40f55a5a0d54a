"""Comparing the last hour, day and week of a PBX with its usual weeks, and keeping the verdict.

The label `window` of what is recorded says of how long it is. Hours are read from what is scraped,
days from the hours, weeks from the days: a month of raw samples is more than a rule can read.
"""

from collections.abc import Sequence
from typing import Final

from alerts.rules import Record

ENOUGH: Final = 20
"""Faxes that show that nothing is wrong any more; a week of fewer is compared with nothing."""
MANY: Final = 100
"""Faxes of a window that need no longer one to tell the same."""
SMALL: Final = 100
"""Faxes of a week at a site that is so small that a day tells little."""
FEW: Final = 3
"""With fewer faxes a window shows nothing at all."""


def day(name: str) -> Record:
    """A day of what `name` has of hours."""
    return Record(name, f'sum_over_time({name}{{window="1h"}}[23h59m:1h])', labels={"window": "1d"})


def week(name: str) -> Record:
    """A week of what `name` has of days; for a group that is evaluated once an hour."""
    return Record(
        name, f'sum_over_time({name}{{window="1d"}}[6d23h59m:6h]) / 4', labels={"window": "1w"}
    )


def usual(name: str) -> Record:
    """What `name` is in a good week: the best but one of the last four that are known."""
    return Record(
        f"{name.rpartition(':')[0]}:usual",
        f'quantile_over_time(0.25, {last(f"""{name}{{window="1w"}}""")}[28d:12h] offset 1d)',
        labels={"window": ""},
    )


def enough(faxes: str) -> str:
    """Windows that show something."""
    return f"{last(faxes)} >= {FEW}"


def last(series: str) -> str:
    """What is recorded once an hour, or oftener, as it was last."""
    return f"last_over_time({series}[2h])"


def shown(name: str, certain: str, perhaps: str, seen: str, comment: str = "") -> Record:
    """What each window shows: 2, it is worse for certain; 1, perhaps; 0, it is not. Nothing where
    `seen` is nothing."""
    return Record(
        name,
        f"""\
  0 * ({certain}) + 2
or
  0 * ({perhaps}) + 1
or
  0 * ({seen})
""",
        comment,
    )


def verdict(name: str, from_: str, faxes: str, windows: Sequence[str], comment: str = "") -> Record:
    """Whether it is bad (1) or not (0), by what `from_` has of each window.

    The shortest window that tells decides. That it is bad, it tells for certain. That it is not, it
    tells if it has enough faxes: very many, or fewer while the next longer is not certain of the
    contrary. A shorter one that makes it doubtful forbids it, and one good hour is not enough. A
    week tells something of small sites only, of others it tells the past. If none tells, it stays
    what it was: a night or a weekend without a fax proves nothing. After a week without a fax it is
    forgotten.
    """
    hour = f'max_over_time({from_}{{window="1h"}}[3h])'
    doubt = f" unless ignoring (window) {hour} > 0" if "1h" in windows else ""
    told: list[str] = []
    with_enough: list[str] = []
    for window in windows:
        at, of = (f'{one}{{window="{window}"}}' for one in (from_, faxes))
        if window == "1w":
            both = f'{from_}{{window="1d"}} == 0 and ignoring (window) {at} == 0{doubt}'
            told += [*with_enough, f"0 * ({at} == 2 and {last(of)} < {SMALL}) + 1"]
            with_enough = [both]
            continue
        told += [f"0 * ({at} == 2) + 1", *with_enough]
        fine = f"{hour} == 0" if window == "1h" else f"{at} == 0"
        many, few = (
            f"{fine} and {of} >= {least}{'' if window == '1h' else doubt}"
            for least in (MANY, ENOUGH)
        )
        told.append(many)
        with_enough = [few]
    return Record(
        name,
        "".join(f"  max without (window) ({one})\nor\n" for one in (*told, *with_enough))
        + f"""\
    last_over_time({name}[1d])
  and
    max without (window) ({last(f'{faxes}{{window=~"1d|1w"}}')} > 0)
""",
        comment,
    )
