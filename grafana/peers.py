"""Fax peers: which trunk or endpoint is bad, and why its faxes fail; with --metrics.peer-label."""

from dataclasses import replace
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from alerts import thresholds
from grafana.boards import board, filled
from grafana.drill import LINE_QUALITY, PEERS, by_row, by_series
from grafana.figures import figures, ranking, stat_panel
from grafana.limits import BAD_LINES, alert_above, failures_above
from grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Panel,
    Query,
    bars,
    graph,
)
from grafana.promql import (
    MOST,
    OPERATION,
    OURS,
    PEER,
    REASON,
    THEIRS,
    Into,
    Over,
    bar,
    by,
    count,
    each,
    each_by,
    failed,
    gauge,
    once,
    ours,
    period,
    ratio,
    recent,
    series,
    shown_most,
    some,
    total,
)
from grafana.tables import Column, failing, rows

NO_PEERS: Final = "No faxes of peers: see --metrics.peer-label"
_OF: Final = "asterisk_fax_peer"
_FINISHED: Final = f"{_OF}_finished_total"
_SUCCEEDED: Final = f"{_OF}_succeeded_total"
_FAILURES: Final = f"{_OF}_failures_total"
_PAGES: Final = f"{_OF}_pages_total"
_BAD_LINES: Final = f"{_OF}_bad_lines_total"
_WITH_BAD_LINES: Final = f"{_OF}_sessions_with_bad_lines_total"
_PAGE_SECONDS: Final = f"{_OF}_page_duration_seconds"
_RECEIVE: Final = 'operation="receive"'
_CHOSEN: Final = (PEER, OPERATION)
_NAMED: Final = "{{cluster}} {{namespace}} {{instance}} {{peer}}"
_PBX_AND_PEER: Final = {"job": "Job", "instance": "PBX", "peer": "Peer"}


def dashboard() -> build.Dashboard:
    """The dashboard, for three peers or a hundred."""
    made = board(
        PEERS,
        "Fax peers",
        "Which trunk or endpoint is bad, and why do its faxes fail? Needs --metrics.peer-label.",
        since="now-24h",
        variables={
            "peer": series(_FINISHED),
            "operation": series(_FINISHED, PEER),
            "reason": series(_FAILURES, PEER),
        },
    )
    return filled(
        made,
        (
            *_now(),
            worst_peers(
                "Which peer is worst?",
                "The hundred with most faxes that failed or had bad lines in this period. A click "
                "on a peer shows it alone.",
                *_CHOSEN,
                most=100,
                more=_more_columns(),
                width=24,
            ),
        ),
        {"Why do they fail?": _why(), "Over time, the peers with most": _over_time()},
    )


def worst_peers(
    title: str,
    description: str,
    *chosen: str,
    most: int,
    more: tuple[Column, ...] = (),
    width: int = 14,
) -> Panel:
    """A table of the peers of which most faxes failed, or had bad lines."""
    bad = " + ".join(
        f"({period(name, *chosen, into=each)} or 0 * {period(_FINISHED, *chosen, into=each)})"
        for name in (_FAILURES, _WITH_BAD_LINES)
    )
    worst = f"topk({most}, {bad})"
    return rows(
        title,
        description,
        {"instance": "PBX", "peer": "Peer", "job": "Job"},
        [
            Column("Ended", some(count(_FINISHED, *chosen, into=each), worst)),
            *failing(
                some(ours(period, *chosen, into=each, of=_OF), worst),
                some(failed(period, *chosen, into=each, reasons=THEIRS, of=_OF), worst),
            ),
            Column(
                "Bad lines/page",
                some(_bad_lines(period, *chosen, into=each), worst),
                decimals=1,
                steps=BAD_LINES,
                no_value="no pages",
            ),
            *(replace(one, expression=some(one.expression, worst)) for one in more),
        ],
        sort=(("Failed", True), ("Bad lines/page", True), ("By the other side", True)),
        links={
            "Peer": [by_row(PEERS, **_PBX_AND_PEER)],
            "PBX": [by_row(LINE_QUALITY, job="Job", instance="PBX")],
        },
        no_value=NO_PEERS,
        width=width,
    )


def _bad_lines(over: Over, *matchers: str, into: Into = total) -> str:
    lines = over(_BAD_LINES, *matchers, into=into)
    return ratio(lines, over(_PAGES, *matchers, _RECEIVE, into=into))


def _page_seconds(over: Over, into: Into) -> str:
    return ratio(
        over(f"{_PAGE_SECONDS}_sum", *_CHOSEN, into=into),
        over(f"{_PAGE_SECONDS}_count", *_CHOSEN, into=into),
    )


def _more_columns() -> tuple[Column, ...]:
    with_bad_lines = period(_WITH_BAD_LINES, *_CHOSEN, into=each)
    received = period(_FINISHED, *_CHOSEN, _RECEIVE, into=each)
    return (
        Column(
            "Received with bad lines",
            ratio(with_bad_lines, received),
            unit="percentunit",
            decimals=0,
            no_value="none received",
        ),
        Column("Pages", count(_PAGES, *_CHOSEN, into=each)),
        Column(
            "Seconds a page",
            _page_seconds(period, each),
            unit="s",
            decimals=0,
            no_value="no pages",
        ),
        Column("Faxes now", gauge(f"{_OF}_sessions", *_CHOSEN, into=each)),
    )


def _now() -> list[Panel]:
    return [
        figures(
            "In this period",
            "Faxes of the chosen peers that ended, those of them that failed, and pages.",
            [
                Query(count(_FINISHED, *_CHOSEN), "faxes"),
                Query(
                    f"{count(_FAILURES, *_CHOSEN, REASON)} or 0 * {count(_FINISHED, *_CHOSEN)}",
                    "failed",
                ),
                Query(count(_PAGES, *_CHOSEN), "pages"),
            ],
            no_value=NO_PEERS,
        ),
        stat_panel(
            "Share that ended well",
            "Among the faxes of this period whose result is known.",
            f"1 - {failed(period, *_CHOSEN, of=_OF)}",
            unit="percentunit",
            decimals=1,
            no_value="No results",
        ),
        stat_panel(
            "Bad lines per received page",
            "In this period. A standard page has about 1,100 lines; under ECM none is counted.",
            _bad_lines(period, *_CHOSEN),
            decimals=1,
            steps=BAD_LINES,
            no_value="No pages",
        ),
        stat_panel(
            "Peers that had faxes",
            "In this period, among the chosen.",
            f"count({period(_FINISHED, *_CHOSEN, into=each)} > 0.5)",
            no_value="No faxes of peers",
        ),
    ]


def _why() -> list[Panel]:
    counted = count(_FAILURES, *_CHOSEN, REASON, into=each_by("reason"))
    return [
        bars(
            "How many faxes, and how did they end?",
            "Of the chosen peers. Each bar is an hour where a day is shown, a day if a month is.",
            [
                Query(bar(_SUCCEEDED, *_CHOSEN), "ended well"),
                Query(bar(_FAILURES, *_CHOSEN, REASON, THEIRS), "failed by the other side"),
                Query(bar(_FAILURES, *_CHOSEN, REASON, OURS), "failed"),
            ],
            axis="faxes",
            no_value=NO_PEERS,
            colors={
                "/^ended well$/": GREEN,
                "/^failed by the other side$/": YELLOW,
                "/^failed$/": RED,
            },
        ),
        ranking(
            "For which reasons, in this period?",
            "Failed faxes of the chosen peers. A click on a reason shows it alone.",
            [
                Query(
                    f"sort_desc({count(_FAILURES, *_CHOSEN, REASON, into=by('reason'))} > 0)",
                    "{{reason}}",
                    exemplars=True,
                )
            ],
            steps=((0, GREEN), (0.5, ORANGE)),
            no_value="No failure, or no data",
            links=[by_series(PEERS, "reason", keep=("peer", "operation"))],
        ),
        rows(
            "Which peer for which reason?",
            "The hundred with most, in this period.",
            {"instance": "PBX", "peer": "Peer", "reason": "Reason", "job": "Job"},
            [Column("Failed", f"topk(100, {counted} > 0)")],
            sort=(("Failed", True),),
            links={
                "Peer": [by_row(PEERS, **_PBX_AND_PEER)],
                "Reason": [by_row(PEERS, **_PBX_AND_PEER, reason="Reason")],
            },
            no_value="No failure, or no data",
            width=8,
            height=9,
        ),
    ]


def _over_time() -> list[Panel]:
    to_peer = [by_series(PEERS, "job", "instance", "peer")]
    most_failures = shown_most(_FAILURES, *_CHOSEN, OURS)
    most_faxes = shown_most(_FINISHED, *_CHOSEN)
    most_bad_lines = shown_most(_BAD_LINES, *_CHOSEN)
    # Those whose pages take longest, not those with most pages.
    slowest = ratio(
        each(once(_until_end(f"{_PAGE_SECONDS}_sum"))),
        each(once(_until_end(f"{_PAGE_SECONDS}_count"))),
    )
    return [
        bars(
            "Faxes that ended, by peer",
            "Of those with most in this period.",
            [Query(some(bar(_FINISHED, *_CHOSEN, into=each), most_faxes), _NAMED)],
            axis="faxes",
            no_value=NO_PEERS,
            links=to_peer,
            width=6,
        ),
        graph(
            "Share that fails, by peer",
            "By this side or the line, in an hour or more, of those with most such failures. Gaps: "
            "no fax ended.",
            [
                Query(
                    some(ours(recent, *_CHOSEN, into=each, of=_OF), most_failures),
                    _NAMED,
                ),
                *failures_above(),
            ],
            unit="percentunit",
            no_value="No failure, or no data",
            interval="1h",
            links=to_peer,
            most=1,
            width=6,
        ),
        graph(
            "Bad lines per received page, by peer",
            "Of those with most bad lines in this period, by an hour or more. Gaps: no page came.",
            [
                Query(some(_bad_lines(recent, *_CHOSEN, into=each), most_bad_lines), _NAMED),
                alert_above(thresholds.BAD_LINES),
            ],
            axis="lines per page",
            no_value="No bad lines, or no data",
            interval="1h",
            links=to_peer,
            width=6,
        ),
        graph(
            "How long does a page take, by peer?",
            "Mean of an hour or more, of those whose pages take longest. Under ECM a damaged line "
            "is sent again, and this is all that shows it.",
            [Query(some(_page_seconds(recent, each), f"topk({MOST}, {slowest})"), _NAMED)],
            unit="s",
            no_value="No pages, or no data",
            interval="1h",
            links=to_peer,
            width=6,
        ),
    ]


def _until_end(name: str) -> str:
    return f"increase({series(name, *_CHOSEN)}[$__range] @ end())"
