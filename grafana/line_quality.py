"""Line quality: which PBX has a bad line. Which trunk of it: peers.py."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from alerts import thresholds
from grafana.boards import board, filled
from grafana.drill import LINE_QUALITY, OVERVIEW, PEERS, DataLink, by_row, by_series
from grafana.figures import ranking, stat_panel
from grafana.limits import BAD_LINES, FAILURES, FALLBACKS, alert_above
from grafana.panels import (
    GREEN,
    NO_FAXES,
    NO_PAGES,
    ORANGE,
    TRANSPORTS,
    YELLOW,
    Panel,
    Query,
    bars,
    buckets,
    graph,
)
from grafana.promql import (
    FAX,
    MOST,
    OPERATION,
    REASON,
    bad_lines,
    bar,
    by,
    count,
    each,
    each_by,
    gauge,
    once,
    ours,
    period,
    quantile,
    ratio,
    recent,
    series,
    shown_most,
    some,
)
from grafana.tables import Column, rows

_LINE_REASONS: Final = (
    'reason=~"train_failure|retries_exceeded|tx_protocol_error|rx_protocol_error|timeout"'
)
_FINISHED: Final = "asterisk_fax_finished_total"
_SUCCEEDED: Final = "asterisk_fax_succeeded_total"
_FAILURES: Final = "asterisk_fax_failures_total"
_BAD_LINES: Final = "asterisk_fax_bad_lines_total"
_RECEIVED: Final = "asterisk_fax_pages_received_total"
_REJECTED: Final = "asterisk_fax_pages_rejected_total"
_FALLBACKS: Final = "asterisk_fax_rate_fallbacks_total"
_ENDED: Final = "asterisk_fax_sessions_ended_total"
_PAGE: Final = "asterisk_fax_page_duration_seconds"
_RATE: Final = "asterisk_fax_session_data_rate_bps"
_ECM: Final = "asterisk_fax_ecm_sessions"
_NAMED: Final = "{{cluster}} {{namespace}} {{instance}}"
_MOST: Final = "of the PBXs with most in this period"


def dashboard() -> build.Dashboard:
    """The dashboard, for a fleet or for one PBX."""
    made = board(
        LINE_QUALITY,
        "Fax line quality",
        "Which line is bad? Bad lines, fallbacks, rejected pages and the time of a page, by PBX.",
        since="now-24h",
        variables={"operation": series(_ENDED, FAX), "reason": series(_FAILURES)},
    )
    return filled(
        made,
        (*_now(), _pbxs()),
        {
            "Bad lines: damage without error correction": _bad_lines(),
            "Rates: what the modems agree on and give up": _rates(),
            "Page time: damage under error correction (ECM)": _page_time(),
            "Faxes that failed": _failures(),
        },
    )


def _now() -> list[Panel]:
    pages = f"{count(_RECEIVED, OPERATION)} + {count(_REJECTED, OPERATION)}"
    return [
        stat_panel(
            "Bad lines per received page",
            "Per page received or rejected in this period. A standard page has about 1,100 lines.",
            bad_lines(period, OPERATION),
            decimals=1,
            steps=BAD_LINES,
            no_value="No pages",
        ),
        stat_panel(
            "Bad lines",
            "Damaged lines in this period, also in pages rejected or cut off. Always 0 with ECM.",
            count(_BAD_LINES, OPERATION),
            decimals=0,
        ),
        stat_panel(
            "Rejected pages",
            "Pages refused in this period for too many bad lines (more than 15 % of the page).",
            f"{count(_REJECTED, OPERATION)} and ({pages} > 0)",
            decimals=0,
            steps=((0, GREEN), (1, YELLOW)),
            no_value="No pages",
        ),
        stat_panel(
            "Rate fallbacks",
            "Times in this period that a fax had to go on more slowly.",
            f"{count(_FALLBACKS, OPERATION)} and ({count(_ENDED, FAX, OPERATION)} > 0)",
            decimals=0,
            steps=((0, GREEN), (1, YELLOW)),
            no_value="No faxes",
        ),
        stat_panel(
            "90th percentile of the page time",
            "One page in ten took longer in this period.",
            f"{quantile(0.9, _PAGE, OPERATION, into=by('le'), over=period)} >= 0",
            unit="s",
            decimals=0,
            no_value="No pages",
        ),
        stat_panel(
            "Share of faxes the line made fail",
            "Faxes that ended in this period with a reason that points at the line: could not "
            "train, retries exceeded, protocol error, timeout.",
            ours(period, OPERATION, reasons=_LINE_REASONS),
            unit="percentunit",
            decimals=1,
            steps=FAILURES,
            no_value="No results",
        ),
    ]


def _pbxs() -> Panel:
    pbx = {"job": "Job", "instance": "PBX"}
    return rows(
        "Which line is bad?",
        "One line for each PBX, over this period. 'No pages' and 'no results' say nothing about "
        "the line. A click on a PBX leads to its peers.",
        {"instance": "PBX", "job": "Job"},
        [
            Column(
                "Bad lines/page",
                bad_lines(period, OPERATION, into=each),
                decimals=1,
                steps=BAD_LINES,
                no_value="no pages",
            ),
            Column("Bad lines", count(_BAD_LINES, OPERATION, into=each)),
            Column("Pages received", count(_RECEIVED, OPERATION, into=each)),
            Column("Rejected", count(_REJECTED, OPERATION, into=each)),
            Column("Faxes ended", count(_FINISHED, OPERATION, into=each)),
            Column(
                "Fallbacks a fax",
                ratio(
                    period(_FALLBACKS, OPERATION, into=each),
                    period(_ENDED, FAX, OPERATION, into=each),
                ),
                decimals=2,
                steps=FALLBACKS,
                no_value="no faxes",
            ),
            Column(
                "Failed by the line",
                ours(period, OPERATION, into=each, reasons=_LINE_REASONS),
                unit="percentunit",
                decimals=1,
                steps=FAILURES,
                no_value="no results",
            ),
            Column(
                "Failed",
                ours(period, OPERATION, into=each),
                unit="percentunit",
                decimals=1,
                steps=FAILURES,
                no_value="no results",
            ),
        ],
        sort=(("Bad lines/page", True), ("Failed by the line", True)),
        links={"PBX": [by_row(PEERS, **pbx), by_row(LINE_QUALITY, **pbx), by_row(OVERVIEW, **pbx)]},
    )


def _to_peers() -> list[DataLink]:
    return [by_series(PEERS, "job", "instance", keep=("operation",))]


def _bad_lines() -> list[Panel]:
    most = shown_most(_BAD_LINES, OPERATION)
    return [
        graph(
            "Bad lines per received page, by PBX",
            f"In an hour or more, {_MOST}. There are gaps where no page came.",
            [
                Query(some(bad_lines(recent, OPERATION, into=each), most), _NAMED),
                alert_above(thresholds.BAD_LINES),
            ],
            axis="lines per page",
            no_value="No bad lines, or no data",
            interval="1h",
            links=_to_peers(),
        ),
        bars(
            "Bad lines, by PBX",
            f"Also in pages that were rejected or cut off, {_MOST}.",
            [Query(some(bar(_BAD_LINES, OPERATION, into=each), most), _NAMED)],
            axis="lines",
            no_value="No bad lines, or no data",
            links=_to_peers(),
        ),
        buckets(
            "How many bad lines does a fax have?",
            "Received faxes that ended, by the bad lines of all their pages. A line that is bad "
            "damages many faxes a little; one bad sender damages his own.",
            recent("asterisk_fax_session_bad_lines_bucket", OPERATION, into=by("le")),
            unit="short",
            no_value=NO_FAXES,
            exemplars=True,
        ),
    ]


def _rates() -> list[Panel]:
    lowest = ratio(each(once(_until_end(f"{_RATE}_sum"))), each(once(_until_end(f"{_RATE}_count"))))
    mean = ratio(
        recent(f"{_RATE}_sum", OPERATION, into=each), recent(f"{_RATE}_count", OPERATION, into=each)
    )
    return [
        bars(
            "Rate fallbacks, by PBX",
            f"A fax had to go on more slowly, {_MOST}. Some are normal, a rise is not.",
            [
                Query(
                    some(bar(_FALLBACKS, OPERATION, into=each), shown_most(_FALLBACKS, OPERATION)),
                    _NAMED,
                )
            ],
            axis="fallbacks",
            no_value="No fallback, or no data",
            links=_to_peers(),
            width=6,
        ),
        bars(
            "Rejected pages, by PBX",
            f"More than 15 % of a page's lines were bad, {_MOST}: the sender tries again.",
            [
                Query(
                    some(bar(_REJECTED, OPERATION, into=each), shown_most(_REJECTED, OPERATION)),
                    _NAMED,
                )
            ],
            axis="pages",
            no_value="No page rejected, or no data",
            links=_to_peers(),
            width=6,
        ),
        graph(
            "Mean final data rate, by PBX",
            "Of faxes that ended in an hour or more, of the PBXs with the lowest in this period.",
            [Query(some(mean, f"bottomk({MOST}, {lowest})"), _NAMED)],
            unit="bps",
            no_value=NO_FAXES,
            interval="1h",
            links=_to_peers(),
            width=6,
        ),
        buckets(
            "At which modem rate did faxes end?",
            "Faxes that ended, by their last data rate.",
            recent(f"{_RATE}_bucket", OPERATION, into=by("le")),
            unit="bps",
            no_value=NO_FAXES,
            exemplars=True,
            width=6,
        ),
    ]


def _page_time() -> list[Panel]:
    negotiated = gauge("asterisk_fax_negotiated_sessions", FAX, OPERATION, into=each)
    slowest = ratio(
        each(once(_until_end(f"{_PAGE}_sum"))), each(once(_until_end(f"{_PAGE}_count")))
    )
    at_once = f"max_over_time({series(_ECM, FAX, OPERATION)}[$__range] @ end())"
    most_ecm = f"topk({MOST}, {each(once(at_once))})"
    return [
        graph(
            "How long does a page take, by PBX?",
            "90th percentile of the time from page to page, in an hour or more, of the PBXs whose "
            "pages took longest in this period. Under ECM a damaged line is sent again, and this "
            "is all that shows it.",
            [
                Query(
                    some(
                        quantile(0.9, _PAGE, OPERATION, into=each_by("le"), over=recent),
                        f"topk({MOST}, {slowest})",
                    ),
                    _NAMED,
                )
            ],
            unit="s",
            no_value=NO_PAGES,
            interval="1h",
            links=_to_peers(),
            width=12,
        ),
        buckets(
            "How are the page times spread?",
            "Pages by the time they took. A second band above the first is a bad line.",
            recent(f"{_PAGE}_bucket", OPERATION, into=by("le")),
            unit="s",
            no_value=NO_PAGES,
            width=6,
        ),
        graph(
            "Share of running faxes with ECM, by PBX",
            "How far to trust the bad lines: those of faxes with ECM are never counted. Of the "
            "PBXs with most such faxes at once.",
            [
                Query(
                    some(ratio(gauge(_ECM, FAX, OPERATION, into=each), negotiated), most_ecm),
                    _NAMED,
                )
            ],
            unit="percentunit",
            no_value="No fax has agreed on ECM, or no data",
            links=_to_peers(),
            most=1,
            width=6,
        ),
    ]


def _failures() -> list[Panel]:
    failures = (OPERATION, REASON)
    by_transport = by("transport")
    known = 'transport!="none"'
    counted = count(_FAILURES, *failures, into=each_by("reason"))
    results = f"({count(_SUCCEEDED, OPERATION)} + {count(_FAILURES, OPERATION)} > 0)"
    return [
        bars(
            "Failed faxes, by PBX",
            f"For the chosen reasons, {_MOST}.",
            [
                Query(
                    some(bar(_FAILURES, *failures, into=each), shown_most(_FAILURES, *failures)),
                    _NAMED,
                    exemplars=True,
                )
            ],
            axis="faxes",
            no_value="No failure, or no data",
            links=[by_series(PEERS, "job", "instance", keep=("operation", "reason"))],
        ),
        graph(
            "Failure ratio over G.711 and over T.38",
            "Of the faxes that ended in an hour or more, and told how they travelled. G.711 alone "
            "bad: jitter or an echo canceller; T.38 alone bad: packet loss or a gateway.",
            [
                Query(
                    "1 - "
                    + ratio(
                        recent(_SUCCEEDED, OPERATION, known, into=by_transport),
                        recent(_FINISHED, OPERATION, known, into=by_transport),
                    ),
                    "{{transport}}",
                ),
            ],
            unit="percentunit",
            no_value=NO_FAXES,
            colors={f"/^{name}$/": color for name, color in TRANSPORTS.items()},
            interval="1h",
            most=1,
        ),
        ranking(
            "Failed faxes by PBX and reason",
            "In this period, for the chosen reasons. 'All failures' stands there with 0 if faxes "
            "ended and all are good.",
            [
                Query(f"{count(_FAILURES, *failures)} and {results}", "All failures"),
                Query(f"sort_desc(topk(8, {counted} > 0))", f"{_NAMED} {{{{reason}}}}"),
            ],
            steps=((0, GREEN), (0.5, ORANGE)),
            no_value=NO_FAXES,
            links=[by_series(PEERS, "job", "instance", "reason")],
        ),
    ]


def _until_end(name: str) -> str:
    return f"increase({series(name, OPERATION)}[$__range] @ end())"
