"""Line quality: which trunk is bad."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana.panels import (
    BAD_LINES,
    FAILURES,
    GREEN,
    NO_FAXES,
    NO_PAGES,
    ORANGE,
    PAGE_TIME,
    RED,
    TRANSPORTS,
    YELLOW,
    Column,
    Panel,
    Query,
    board,
    buckets,
    filled,
    graph,
    ranking,
    rows,
    stat_panel,
)
from grafana.promql import (
    FAX,
    PEER,
    known,
    per_minute,
    period,
    quantile,
    ratio,
    recent,
    series,
    total,
)

_LINE_REASONS: Final = (
    'reason=~"train_failure|retries_exceeded|tx_protocol_error|rx_protocol_error|timeout"'
)
_FINISHED: Final = "asterisk_fax_finished_total"
_FAILURES: Final = "asterisk_fax_failures_total"
_BAD_LINES: Final = "asterisk_fax_bad_lines_total"
_RECEIVED: Final = "asterisk_fax_pages_received_total"
_REJECTED: Final = "asterisk_fax_pages_rejected_total"
_FALLBACKS: Final = "asterisk_fax_rate_fallbacks_total"
_ENDED: Final = "asterisk_fax_sessions_ended_total"
_PAGE: Final = "asterisk_fax_page_duration_seconds"
_NO_PEER: Final = "No data, or no label peer: see --metrics.peer-label"
_NOT_BY_PEER: Final = "Not split by peer."


def dashboard() -> build.Dashboard:
    """The dashboard; it shows peers where --metrics.peer-label names them."""
    made = board(
        "asterisk-fax-line-quality",
        "Fax line quality",
        "Which trunk is bad? Bad lines, fallbacks, rejected pages and the time a page takes, by "
        "PBX and, with --metrics.peer-label, by trunk.",
        listed="asterisk_fax_up",
        since="now-24h",
        peer=True,
    )
    return filled(
        made,
        (*_now(), _peers()),
        {
            "Bad lines: damage without error correction": _bad_lines(),
            "Rates: what the modems agree on and give up": _rates(),
            "Page time: damage under error correction (ECM)": _page_time(),
            "Faxes that the line made fail": _failures(),
        },
    )


def _now() -> list[Panel]:
    return [
        stat_panel(
            "Bad lines per received page",
            "Per page received or rejected in this period, of the chosen peers. A standard page "
            "has about 1,100 lines.",
            _per_page(""),
            decimals=1,
            steps=BAD_LINES,
            no_value="No pages",
        ),
        stat_panel(
            "Bad lines",
            "Damaged lines in this period, also in pages rejected or cut off. Always 0 with ECM.",
            period(_BAD_LINES, PEER),
            decimals=0,
        ),
        stat_panel(
            "Rejected pages",
            "Pages refused in this period for too many bad lines (more than 15 % of the page), of "
            "the chosen peers.",
            f"{period(_REJECTED, PEER)} and ({_pages(period, PEER)} > 0.5)",
            decimals=0,
            steps=((0, GREEN), (0.5, YELLOW), (10, RED)),
            no_value="No pages",
        ),
        stat_panel(
            "Rate fallbacks",
            f"Times in this period that a fax had to go on more slowly. {_NOT_BY_PEER}",
            f"{period(_FALLBACKS)} and ({period(_ENDED, FAX)} > 0.5)",
            decimals=0,
            steps=((0, GREEN), (0.5, YELLOW), (20, ORANGE)),
            no_value="No faxes",
        ),
        stat_panel(
            "90th percentile of the page time",
            f"One page in ten took longer in this period. {_NOT_BY_PEER}",
            f"histogram_quantile(0.9, {period(f'{_PAGE}_bucket', by='le')}) >= 0",
            unit="s",
            decimals=0,
            steps=PAGE_TIME,
            no_value="No pages",
        ),
        stat_panel(
            "Share of faxes the line made fail",
            "Faxes that ended in this period with a reason that points at the line: could not "
            "train, retries exceeded, protocol error, timeout.",
            ratio(period(_FAILURES, PEER, _LINE_REASONS), known("", PEER, over=period)),
            unit="percentunit",
            decimals=1,
            steps=FAILURES,
            no_value="No results",
        ),
    ]


def _peers() -> Panel:
    by = "instance, peer"
    results = known("instance, peer", PEER, over=period)
    return rows(
        "Which line is bad?",
        "The worst first, over this period. Without --metrics.peer-label there is one line for "
        "each PBX. 'No pages' and 'no results' say nothing about the line.",
        {"instance": "PBX", "peer": "Peer"},
        [
            Column(
                "Bad lines per page",
                _per_page(by),
                decimals=1,
                steps=BAD_LINES,
                no_value="no pages",
            ),
            Column("Bad lines", period(_BAD_LINES, PEER, by=by), decimals=0),
            Column("Pages received", period(_RECEIVED, PEER, by=by), decimals=0),
            Column("Faxes ended", period(_FINISHED, PEER, by=by), decimals=0),
            Column(
                "Failed by the line",
                ratio(period(_FAILURES, PEER, _LINE_REASONS, by=by), results),
                unit="percentunit",
                decimals=1,
                steps=FAILURES,
                no_value="no results",
            ),
            Column(
                "Failed for any reason",
                ratio(period(_FAILURES, PEER, by=by), results),
                unit="percentunit",
                decimals=1,
                steps=FAILURES,
                no_value="no results",
            ),
        ],
        sort=(("Bad lines per page", True),),
        width=24,
        height=8,
    )


def _pages(over: Callable[..., str], *matchers: str, by: str = "") -> str:
    """Pages received, and those rejected: they have bad lines too, and do not count as received."""
    return f"({over(_RECEIVED, *matchers, by=by)} + {over(_REJECTED, *matchers, by=by)})"


def _per_page(by: str) -> str:
    return ratio(period(_BAD_LINES, PEER, by=by), _pages(period, PEER, by=by))


def _bad_lines() -> list[Panel]:
    named = 'peer!=""'
    return [
        graph(
            "Bad lines per received page, by PBX",
            "Of the chosen peers. There are gaps where no page came.",
            [
                Query(
                    ratio(
                        recent(_BAD_LINES, PEER, by="instance"),
                        _pages(recent, PEER, by="instance"),
                    ),
                    "{{instance}}",
                )
            ],
            axis="lines per page",
            steps=BAD_LINES,
            no_value=NO_PAGES,
            width=6,
        ),
        graph(
            "Bad lines per received page, by peer",
            "Which trunk it is. Needs --metrics.peer-label. There are gaps where no page came.",
            [
                Query(
                    ratio(
                        recent(_BAD_LINES, PEER, named, by="instance, peer"),
                        _pages(recent, PEER, named, by="instance, peer"),
                    ),
                    "{{instance}} {{peer}}",
                )
            ],
            axis="lines per page",
            steps=BAD_LINES,
            no_value=_NO_PEER,
            width=6,
        ),
        graph(
            "Bad lines per minute, by PBX",
            "Also in pages that were rejected or cut off.",
            [Query(per_minute(_BAD_LINES, PEER, by="instance"), "{{instance}}")],
            axis="lines per minute",
            width=6,
        ),
        buckets(
            "How many bad lines does a fax have?",
            "Received faxes that ended, by the bad lines of all their pages. A line that is bad "
            f"damages many faxes a little; one bad sender damages his own. {_NOT_BY_PEER}",
            recent("asterisk_fax_session_bad_lines_bucket", by="le"),
            unit="short",
            no_value=NO_FAXES,
            width=6,
        ),
    ]


def _rates() -> list[Panel]:
    rate = "asterisk_fax_session_data_rate_bps"
    return [
        graph(
            "Rate fallbacks per minute, by PBX",
            f"A fax had to go on more slowly. Some are normal, a rise is not. {_NOT_BY_PEER}",
            [Query(per_minute(_FALLBACKS, by="instance"), "{{instance}}")],
            axis="fallbacks per minute",
            width=6,
        ),
        graph(
            "Rejected pages per minute, by PBX",
            "More than 15 % of a page's lines were bad: the sender tries again.",
            [Query(per_minute(_REJECTED, PEER, by="instance"), "{{instance}}")],
            axis="pages per minute",
            width=6,
        ),
        graph(
            "Mean final data rate, by PBX",
            f"Of faxes that ended. {_NOT_BY_PEER}",
            [
                Query(
                    ratio(
                        recent(f"{rate}_sum", by="instance"),
                        recent(f"{rate}_count", by="instance"),
                    ),
                    "{{instance}}",
                )
            ],
            unit="bps",
            no_value=NO_FAXES,
            width=6,
        ),
        buckets(
            "At which modem rate did faxes end?",
            f"Faxes that ended, by their last data rate. {_NOT_BY_PEER}",
            recent(f"{rate}_bucket", by="le"),
            unit="bps",
            no_value=NO_FAXES,
            width=6,
        ),
    ]


def _page_time() -> list[Panel]:
    negotiated = series("asterisk_fax_negotiated_sessions", FAX, PEER)
    ecm = series("asterisk_fax_ecm_sessions", FAX, PEER)
    return [
        graph(
            "How long does a page take, by PBX?",
            "Median and 90th percentile of the time from page to page. Under ECM a damaged line "
            f"is sent again, and this is all that shows it. {_NOT_BY_PEER}",
            [
                Query(quantile(0.5, _PAGE, "instance"), "{{instance}} median"),
                Query(quantile(0.9, _PAGE, "instance"), "{{instance}} 90th percentile"),
            ],
            unit="s",
            steps=PAGE_TIME,
            no_value=NO_PAGES,
            width=12,
        ),
        buckets(
            "How are the page times spread?",
            f"Pages by the time they took. A second band above the first is a bad line. "
            f"{_NOT_BY_PEER}",
            recent(f"{_PAGE}_bucket", by="le"),
            unit="s",
            no_value=NO_PAGES,
            width=6,
        ),
        graph(
            "Share of running faxes with ECM, by PBX",
            "How far to trust the bad lines: those of faxes with ECM are never counted.",
            [
                Query(
                    ratio(total(ecm, by="instance"), total(negotiated, by="instance")),
                    "{{instance}}",
                )
            ],
            unit="percentunit",
            no_value="No fax has agreed on ECM, or no data",
            most=1,
            width=6,
        ),
    ]


def _failures() -> list[Panel]:
    return [
        graph(
            "Faxes the line made fail per minute, by PBX",
            "Could not train, retries exceeded, protocol error, timeout.",
            [
                Query(
                    per_minute(_FAILURES, PEER, _LINE_REASONS, by="instance"),
                    "{{instance}}",
                )
            ],
            axis="faxes per minute",
        ),
        graph(
            "Failure ratio over G.711 and over T.38",
            "Of the faxes that ended. G.711 alone bad: jitter or an echo canceller; T.38 alone "
            "bad: packet loss or a gateway. 'none': nothing told how the fax travelled.",
            [
                Query(
                    ratio(
                        recent(_FAILURES, PEER, by="transport"),
                        known("transport", PEER, over=recent),
                    ),
                    "{{transport}}",
                )
            ],
            unit="percentunit",
            steps=FAILURES,
            no_value=NO_FAXES,
            colors={f"/^{name}$/": color for name, color in TRANSPORTS.items()},
            most=1,
        ),
        ranking(
            "Failed faxes by PBX and reason",
            "In this period. 'All failures' stands there with 0 if faxes ended and all are good.",
            [
                Query(
                    f"{period(_FAILURES, PEER)} and ({known('', PEER, over=period)} > 0.5)",
                    "All failures",
                ),
                Query(
                    f"sort_desc(topk(8, {period(_FAILURES, PEER, by='instance, reason')} > 0.5))",
                    "{{instance}} {{reason}}",
                ),
            ],
            steps=((0, GREEN), (0.5, ORANGE)),
            no_value=NO_FAXES,
        ),
    ]
