"""PromQL for the dashboards: functions that return expressions, filtered by their variables."""

from collections.abc import Callable
from typing import Final

FAX: Final = 'operation!="V.21"'
"""V.21 detectors stand in Asterisk's list of sessions, but belong to voice calls."""
PEER: Final = 'peer=~"$peer"'
"""Matches series without that label too: All stands for `.*`."""
ALERTS: Final = (
    'ALERTS{alertname=~"AsteriskFax.*", alertstate="firing", job=~"$job|", instance=~"$instance|"}'
)
"""Alerts of a whole fleet may have neither job nor instance; the empty alternative keeps them."""


def series(name: str, *matchers: str) -> str:
    """The series of the selected jobs and instances."""
    chosen = ", ".join(('job=~"$job"', 'instance=~"$instance"', *matchers))
    return f"{name}{{{chosen}}}"


def rate(name: str, *matchers: str) -> str:
    """Increase per second, smoothed over the time that one point stands for."""
    return f"rate({series(name, *matchers)}[$__rate_interval])"


def per_minute(name: str, *matchers: str, by: str = "", always: bool = False) -> str:
    """Sum of increases per minute; `always`: also of PBXs that are not reached.

    Otherwise those are left out: their counters stand still, and their faxes may not.
    """
    increases = rate(name, *matchers)
    if not always:
        up = series("asterisk_fax_up")
        increases += f" and on (job, instance) max_over_time({up}[$__rate_interval]) == 1"
    return f"60 * {total(increases, by=by)}"


def recent(name: str, *matchers: str, by: str = "") -> str:
    """Sum of the increases in the time that one point stands for."""
    return total(f"increase({series(name, *matchers)}[$__rate_interval])", by=by)


def period(name: str, *matchers: str, by: str = "") -> str:
    """Sum of the increases in the period that the dashboard shows."""
    return total(f"increase({series(name, *matchers)}[$__range])", by=by)


def total(expression: str, by: str = "") -> str:
    """The sum, over everything or by some labels."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def ratio(of: str, to: str, least: float = 0.5) -> str:
    """A quotient that is absent, and not 0 or NaN, while there is nothing to divide by.

    Increases are extrapolated, so that one event can count as a little more than 1, never as less
    than half.
    """
    return f"{of} / ({to} > {least})"


def age(timestamp: str) -> str:
    """Seconds that a timestamp was old when it was scraped; the wait since is Prometheus'."""
    return f"timestamp({series(timestamp)}) - {series(timestamp)}"


def age_at_poll(timestamp: str) -> str:
    """Seconds from timestamps to the last poll: both are of the exporter's clock, so that
    Prometheus' may be another."""
    polled = f"max by (job, instance) ({series('asterisk_fax_last_poll_timestamp_seconds')})"
    return f"({polled} - on (job, instance) group_right () {timestamp})"


def known(by: str, *matchers: str, over: Callable[..., str]) -> str:
    """The faxes that ended, of PBXs that tell results: without channelvars nobody knows them."""
    finished, unknown = "asterisk_fax_finished_total", "asterisk_fax_results_unknown_total"
    blind = f"{over(unknown, by='instance')} > 0.5 * {over(finished, by='instance')}"
    labels = by if "instance" in by else f"instance, {by}".removesuffix(", ")
    ended = over(finished, *matchers, by=labels)
    return total(f"({ended} unless on (instance) ({blind}))", by=by)


def quantile(q: float, histogram: str, by: str = "") -> str:
    """A quantile of what a histogram saw in the time that one point stands for."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {total(rate(f'{histogram}_bucket'), by=labels)})"


def reached(by: str = "") -> str:
    """1 for each PBX that is reached, 0 for one that is not.

    An exporter that cannot be scraped takes asterisk_fax_up away, which must not read as one PBX
    less: `up`, which Prometheus writes itself, stands in for it.
    """
    one = f"({series('asterisk_fax_up')} or 0 * ({series('up')} == 0))"
    return f"min by ({by}) {one}" if by else one
