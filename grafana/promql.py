"""PromQL for the dashboards: functions that return expressions, filtered by their variables.

Two rules keep apart what a site keeps apart, and add nothing up twice. A sum for each PBX drops
only the labels that are a metric's own (`each`), since a site may add any others: cluster,
namespace. And before anything is summed, `once` makes one series of those of two exporters that
watch the same PBX, which differ in `replica` alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from alerts.failures import THEIRS as _THEIRS

FAX: Final = 'operation!="V.21"'
"""V.21 detectors stand in Asterisk's list of sessions, but belong to voice calls."""
OPERATION: Final = 'operation=~"$operation"'
REASON: Final = 'reason=~"$reason"'
PEER: Final = 'peer=~"$peer"'
THEIRS: Final = f'reason=~"{_THEIRS}"'
"""Failures that the other side has: nobody answers as a fax machine, or it refuses."""
OURS: Final = f'reason!~"{_THEIRS}"'
"""All others: of this side, or of the line."""
ALERTS: Final = (
    'ALERTS{alertname=~"AsteriskFax.*", alertstate="firing", job=~"$job|", instance=~"$instance|"}'
)
"""Alerts of a whole fleet may have neither job nor instance; the empty alternative keeps them."""
MOST: Final = 10
"""Lines of one graph, where there is one for each PBX or peer."""

OWN: Final = ("operation", "state", "transport", "reason", "collector", "le")
"""The labels that are the exporter's own, without `peer`: it names a series' subject, as `instance`
does."""

Into: TypeAlias = Callable[[str], str]
"""How many series become fewer: `total`, `by(...)`, `each`, `each_by(...)`."""


def series(name: str, *matchers: str) -> str:
    """The series of the selected jobs and instances."""
    chosen = ", ".join(('job=~"$job"', 'instance=~"$instance"', *matchers))
    return f"{name}{{{chosen}}}"


def once(expression: str) -> str:
    """One series of the two that a pair of exporters gives of the same PBX."""
    return f"max without (replica) ({expression})"


def total(expression: str) -> str:
    """The sum over everything."""
    return f"sum({expression})"


def by(labels: str) -> Into:
    """Sums over all PBXs, for each value of some of the exporter's own labels."""
    return lambda expression: f"sum by ({labels}) ({expression})"


def each(expression: str, *, but: str = "") -> str:
    """A sum for each PBX, or for each peer where there are peers; `but`: and for each value of that
    label."""
    away = ", ".join(label for label in OWN if label not in but.split(", "))
    return f"sum without ({away}) ({expression})"


def each_by(labels: str) -> Into:
    """`each`, and for each value of some of the exporter's own labels."""
    return partial(each, but=labels)


def gauge(name: str, *matchers: str, into: Into = total) -> str:
    """The sum of gauges."""
    return into(once(series(name, *matchers)))


def rate(name: str, *matchers: str) -> str:
    """Increase per second, smoothed over the time that one point stands for."""
    return f"rate({series(name, *matchers)}[$__rate_interval])"


def per_minute(name: str, *matchers: str) -> str:
    """Increase per minute, of each exporter."""
    return f"60 * {rate(name, *matchers)}"


def recent(name: str, *matchers: str, into: Into = total) -> str:
    """Sum of the increases in the time that one point stands for."""
    return into(once(f"increase({series(name, *matchers)}[$__rate_interval])"))


def bar(name: str, *matchers: str, into: Into = total) -> str:
    """How many there were in the time that one bar stands for, from its time on.

    `$__rate_interval` is that time and one scrape more, the one before, so that what happens
    between two bars is in one of them. The offset lets the last bar grow while its hour lasts.
    """
    grown = f"increase({series(name, *matchers)}[$__rate_interval] offset -$__interval)"
    return into(once(whole(grown)))


def period(name: str, *matchers: str, into: Into = total) -> str:
    """Sum of the increases in the period that the dashboard shows."""
    return into(once(f"increase({series(name, *matchers)}[$__range])"))


def count(name: str, *matchers: str, into: Into = total) -> str:
    """How many there were in the period that the dashboard shows."""
    return into(once(whole(f"increase({series(name, *matchers)}[$__range])")))


def whole(increase: str) -> str:
    """As many as there were: extrapolation makes of one a little more, and never less."""
    return f"floor({increase} + 0.01)"


def shown_most(name: str, *matchers: str, into: Into = each) -> str:
    """The PBXs, or peers, of which a graph has a line: those with most in the period shown, which
    are the same at each of its points."""
    grown = into(once(f"increase({series(name, *matchers)}[$__range] @ end())"))
    return f"topk({MOST}, {grown} > 0)"


def some(expression: str, which: str) -> str:
    """What an expression says of those that `which` chooses."""
    return f"{expression} and {which}"


def ratio(of: str, to: str, least: float = 0.5) -> str:
    """A quotient that is absent, and not 0 or NaN, while there is nothing to divide by.

    Increases are extrapolated, so that one event can count as a little more than 1, never as less
    than half.
    """
    return f"{of} / ({to} > {least})"


Over: TypeAlias = Callable[..., str]
"""`recent`, `bar`, `period` or `count`."""


def failed(
    over: Over, *matchers: str, into: Into = total, reasons: str = "", of: str = "asterisk_fax"
) -> str:
    """Share of failed faxes, or of those that failed for some `reasons`, among those with a known
    result: without channelvars nobody knows one. `of`: the beginning of the metrics' names."""
    return _share(over, matchers, into, of, reasons, among="")


def ours(
    over: Over, *matchers: str, into: Into = total, reasons: str = OURS, of: str = "asterisk_fax"
) -> str:
    """Share of faxes that failed by this side or the line, as the alerts have it: those that failed
    by the other side are no evidence, neither way. `reasons`: some of them."""
    return _share(over, matchers, into, of, reasons, among=OURS)


def _share(
    over: Over, matchers: tuple[str, ...], into: Into, of: str, reasons: str, among: str
) -> str:
    succeeded = over(f"{of}_succeeded_total", *matchers, into=into)
    # A peer has no failures until it has one.
    some_failures, failures = (
        f"({over(f'{of}_failures_total', *matchers, *more, into=into)} or 0 * {succeeded})"
        for more in ((reasons,) if reasons else (), (among,) if among else ())
    )
    return ratio(some_failures, f"({succeeded} + {failures})")


def bad_lines(over: Over, *matchers: str, into: Into = total) -> str:
    """Bad lines per page received, or rejected: those have bad lines too, and do not count as
    received."""
    pages = [over("asterisk_fax_pages_received_total", *matchers, into=into)]
    pages.append(over("asterisk_fax_pages_rejected_total", *matchers, into=into))
    return ratio(
        over("asterisk_fax_bad_lines_total", *matchers, into=into), f"({' + '.join(pages)})"
    )


def age(timestamp: str) -> str:
    """Seconds that a timestamp was old when it was scraped; the wait since is Prometheus'."""
    return f"timestamp({series(timestamp)}) - {series(timestamp)}"


def age_at_poll(timestamp: str, *matchers: str) -> str:
    """Seconds from timestamps to the last poll: both are of the exporter's clock, so that
    Prometheus' may be another."""
    polled = once(series("asterisk_fax_last_poll_timestamp_seconds"))
    # The later of a pair's: what is older has missed something.
    since = once(series(timestamp, *matchers))
    return f"({polled} - ignoring (operation) group_right () {since})"


def quantile(q: float, histogram: str, *matchers: str, into: Into, over: Over) -> str:
    """A quantile of what a histogram saw; `into` must keep `le`."""
    return f"histogram_quantile({q}, {over(f'{histogram}_bucket', *matchers, into=into)})"


def reached() -> str:
    """1 for each PBX that is reached, 0 for one that is not.

    An exporter that cannot be scraped takes asterisk_fax_up away, which must not read as one PBX
    less: `up`, which Prometheus writes itself, stands in for it. One exporter of a pair is enough.
    """
    return once(f"{series('asterisk_fax_up')} or 0 * ({series('up')} == 0)")
