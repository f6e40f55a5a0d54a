"""LogQL for the dashboards: the lines of faxes as deploy/loki labels them, by their variables."""

from typing import Final

TEXT: Final = "|= `$uniqueid`"
"""A part of the line; an empty one is in each. In backquotes nothing of it is special to LogQL."""


def lines(*matchers: str) -> str:
    """Those of the selected jobs and instances, which are Prometheus' of the same PBX."""
    chosen = ", ".join(
        ('job=~"$job"', 'instance=~"$instance"', 'operation=~"$operation"', *matchers)
    )
    return f"{{{chosen}}} {TEXT}"


def counted(over: str, *matchers: str, by: str = "") -> str:
    """How many there were in a time: `$__interval`, that of one bar, or `$__range`, the period that
    the dashboard shows; `by`: for each value of a label."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (count_over_time({lines(*matchers)} [{over}]))"
