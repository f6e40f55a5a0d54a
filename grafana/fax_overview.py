"""Fax overview: whether fax works now, and if not, since when, where and why."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana.panels import (
    BAD_LINES,
    FAILURES,
    GREEN,
    GREY,
    NO_FAXES,
    NO_PAGES,
    OPERATIONS,
    ORANGE,
    PAGE_TIME,
    RED,
    TRANSPORTS,
    WAITING,
    YELLOW,
    Column,
    Panel,
    Query,
    board,
    buckets,
    by_operation,
    filled,
    graph,
    ranking,
    rows,
    stat_panel,
)
from grafana.promql import (
    FAX,
    age_at_poll,
    per_minute,
    period,
    quantile,
    ratio,
    reached,
    recent,
    series,
    total,
)

_FINISHED: Final = "asterisk_fax_finished_total"
_FAILURES: Final = "asterisk_fax_failures_total"
_UNKNOWN: Final = "asterisk_fax_results_unknown_total"
_BAD_LINES: Final = "asterisk_fax_bad_lines_total"
_RECEIVED: Final = "asterisk_fax_pages_received_total"
_REJECTED: Final = "asterisk_fax_pages_rejected_total"
_SESSIONS: Final = series("asterisk_fax_sessions", FAX)
# A gateway lasts as long as its call and need not bring pages, as for the alert.
_TERMINAL: Final = 'operation=~"send|receive"'
_RUNNING: Final = series("asterisk_fax_sessions", _TERMINAL)
_PROGRESS: Final = series("asterisk_fax_oldest_progress_timestamp_seconds", _TERMINAL)
_OLDEST: Final = series("asterisk_fax_oldest_session_start_timestamp_seconds", FAX)


def failure_ratio(over: Callable[..., str], by: str = "") -> str:
    """Share of failed faxes among those whose result is known; without channelvars none is."""
    known = f"({over(_FINISHED, by=by)} - {over(_UNKNOWN, by=by)})"
    return ratio(over(_FAILURES, by=by), known)


def dashboard() -> build.Dashboard:
    """The dashboard, for a fleet or for one PBX."""
    made = board(
        "asterisk-fax-overview",
        "Fax overview",
        "Is fax all right now? If not: since when, on which PBX, and why.",
        listed="asterisk_fax_up",
        since="now-6h",
    )
    return filled(
        made,
        (*_now(), *_pbxs()),
        {
            "Results: do faxes arrive?": _results(),
            "Pages and their quality": _pages(),
            "How the faxes travel": _transport(),
        },
        {"Sessions in detail": _sessions()},
    )


def _now() -> list[Panel]:
    return [
        stat_panel(
            "PBXs not reached",
            "PBXs whose last poll failed, or whose exporter cannot be scraped. While one is not "
            "reached, nothing on this page speaks of it.",
            f"sum(1 - {reached()})",
            steps=((0, GREEN), (1, RED)),
            no_value="No PBX known",
        ),
        stat_panel(
            "Faxes now",
            "Fax sessions that run: sending, receiving and through a T.38 gateway. V.21 detectors, "
            "which belong to voice calls, are left out.",
            total(_SESSIONS),
        ),
        stat_panel(
            "Failure ratio in this period",
            "Failed faxes among those that ended with a known result. A PBX without channelvars "
            "in manager.conf tells no results and is not in it.",
            failure_ratio(period),
            unit="percentunit",
            decimals=1,
            steps=FAILURES,
            no_value="No results",
        ),
        stat_panel(
            "Bad lines per received page",
            "Damaged lines per page received or rejected in this period. A standard page has about "
            "1,100 lines. Lines under error correction (ECM) are sent again and not counted: see "
            "the page duration.",
            ratio(period(_BAD_LINES), f"({period(_RECEIVED)} + {period(_REJECTED)})"),
            decimals=1,
            steps=BAD_LINES,
            no_value="No pages",
        ),
        stat_panel(
            "Longest without a new page",
            "Of the faxes that Asterisk sends or receives: how long the slowest has had no new "
            "page. Most pages take less than a minute; ten minutes mean that it is stuck.",
            f"max({age_at_poll(_PROGRESS)}) or 0 * {total(_RUNNING)}",
            unit="s",
            decimals=0,
            steps=WAITING,
            texts={"0": ("None waits", GREEN)},
        ),
        stat_panel(
            "Attempts that never completed",
            "Faxes that Asterisk tried to send or receive in this period and that neither ended "
            "nor run: T.38 refused, file unreadable. Faxes that ran when the period began make it "
            "smaller by their number.",
            _never_completed(),
            decimals=0,
            steps=((0, GREEN), (1, YELLOW), (10, RED)),
        ),
    ]


def _pbxs() -> list[Panel]:
    by = "job, instance"
    received = f"({period(_RECEIVED, by=by)} + {period(_REJECTED, by=by)})"
    waiting = f"max by ({by}) ({age_at_poll(_PROGRESS)}) or 0 * {total(_RUNNING, by=by)}"
    return [
        rows(
            "Which PBX needs attention?",
            "One line for each PBX: as of now, or over this period. A PBX that is not reached "
            "has no sessions to tell of; its counters are those up to then.",
            {"instance": "PBX", "job": "Job"},
            [
                Column(
                    "Reached",
                    reached(by),
                    texts={"0": ("no", RED), "1": ("yes", GREEN)},
                    steps=((0, RED), (1, GREEN)),
                ),
                Column("Faxes now", total(_SESSIONS, by=by)),
                Column("Ended", period(_FINISHED, by=by), decimals=0),
                Column(
                    "Failure ratio",
                    failure_ratio(period, by),
                    unit="percentunit",
                    decimals=1,
                    steps=FAILURES,
                    no_value="no results",
                ),
                Column(
                    "Bad lines/page",
                    ratio(period(_BAD_LINES, by=by), received),
                    decimals=1,
                    steps=BAD_LINES,
                    no_value="no pages",
                ),
                Column(
                    "No new page for",
                    waiting,
                    unit="s",
                    decimals=0,
                    steps=WAITING,
                    texts={"0": ("none waits", GREEN)},
                ),
            ],
            sort=(("Reached", False), ("Failure ratio", True)),
            width=14,
        ),
        graph(
            "Faxes now, by operation and state",
            "Sessions that Asterisk lists. The dark line is their sum: at 0 nothing runs, where "
            "it is missing no PBX was reached.",
            [
                Query(
                    f"{total(_SESSIONS, by='operation, state')} > 0",
                    "{{operation}} {{state}}",
                ),
                Query(total(_SESSIONS), "all"),
            ],
            axis="sessions",
            colors={
                **{f"/^{name} /": light for name, (_, light) in OPERATIONS.items()},
                **{f"/^{name} Active$/": dark for name, (dark, _) in OPERATIONS.items()},
                "/^all$/": GREY,
            },
            stacked=True,
            lines=("all",),
            width=10,
        ),
    ]


def _results() -> list[Panel]:
    return [
        graph(
            "What share of faxes fails?",
            "Failed faxes among those that ended with a known result, by operation. There are "
            "gaps where no fax ended.",
            [Query(failure_ratio(recent, "operation"), "{{operation}}")],
            unit="percentunit",
            steps=FAILURES,
            no_value=NO_FAXES,
            colors=by_operation(),
            most=1,
        ),
        graph(
            "Faxes ended and failed per minute, by reason",
            "The line is every fax that ended; the areas are those that failed, by the reason "
            "that Asterisk gave.",
            [
                Query(f"{per_minute(_FAILURES, by='reason')} > 0", "{{reason}}"),
                Query(per_minute(_FINISHED), "all that ended"),
            ],
            axis="faxes per minute",
            colors={"/^all that ended$/": GREY},
            stacked=True,
            lines=("all that ended",),
        ),
        ranking(
            "Why did faxes fail in this period?",
            "Failed faxes by reason. 'All failures' stands there with 0 if results are known and "
            "all are good.",
            [
                Query(
                    f"{period(_FAILURES)} and ({period(_FINISHED)} - {period(_UNKNOWN)} > 0.5)",
                    "All failures",
                ),
                Query(f"sort_desc({period(_FAILURES, by='reason')} > 0.5)", "{{reason}}"),
            ],
            steps=((0, GREEN), (0.5, ORANGE)),
            no_value=NO_FAXES,
        ),
        graph(
            "Attempts, completions and failures per minute",
            "Asterisk's own statistics. Where the areas stay above the line of completions, faxes "
            "never began: T.38 refused, file unreadable. Completions include failed faxes.",
            [
                Query(per_minute("asterisk_fax_transmit_attempts_total"), "attempts to send"),
                Query(per_minute("asterisk_fax_receive_attempts_total"), "attempts to receive"),
                Query(per_minute("asterisk_fax_completed_total"), "completed"),
                Query(per_minute("asterisk_fax_failed_total"), "failed"),
            ],
            axis="faxes per minute",
            colors={
                "/^attempts to send$/": OPERATIONS["send"][0],
                "/^attempts to receive$/": OPERATIONS["receive"][0],
                "/^completed$/": GREEN,
                "/^failed$/": RED,
            },
            stacked=True,
            lines=("completed", "failed"),
            width=12,
            height=7,
        ),
        graph(
            "Oldest fax and longest without a new page",
            "Of the faxes that run. Both at 0: none runs. The oldest may be long and well; a long "
            "time without a new page is a fax that is stuck.",
            [
                Query(
                    f"max({age_at_poll(_OLDEST)}) or 0 * {total(_SESSIONS)}",
                    "oldest fax",
                ),
                Query(
                    f"max({age_at_poll(_PROGRESS)}) or 0 * {total(_RUNNING)}",
                    "longest without a new page",
                ),
            ],
            unit="s",
            steps=WAITING,
            colors={"/^oldest/": GREY, "/^longest/": ORANGE},
            width=12,
            height=7,
        ),
    ]


def _pages() -> list[Panel]:
    colors = {
        "/^sent$/": OPERATIONS["send"][0],
        "/^received$/": OPERATIONS["receive"][0],
        "/^relayed$/": OPERATIONS["gateway"][0],
    }
    duration = "asterisk_fax_page_duration_seconds"
    return [
        graph(
            "Pages per minute",
            "Pages confirmed: sent, received, and relayed through a T.38 gateway.",
            [
                Query(per_minute("asterisk_fax_pages_transmitted_total"), "sent"),
                Query(per_minute(_RECEIVED), "received"),
                Query(per_minute("asterisk_fax_pages_relayed_total"), "relayed"),
            ],
            axis="pages per minute",
            colors=colors,
            width=6,
        ),
        graph(
            "Are bad lines getting more?",
            "Damaged lines per page received or rejected, without error correction (ECM). Gaps "
            "where no page came.",
            [
                Query(
                    ratio(recent(_BAD_LINES), f"({recent(_RECEIVED)} + {recent(_REJECTED)})"),
                    "bad lines per page",
                )
            ],
            axis="lines per page",
            steps=BAD_LINES,
            no_value=NO_PAGES,
            colors={"/./": OPERATIONS["receive"][0]},
            width=6,
        ),
        graph(
            "Bad lines per minute",
            "Damaged lines in received pages, also in pages that were rejected or cut off.",
            [Query(per_minute(_BAD_LINES), "bad lines per minute")],
            axis="lines per minute",
            colors={"/./": OPERATIONS["receive"][0]},
            width=6,
        ),
        graph(
            "How long does a page take?",
            "Time from page to page: half of them took less than the median, one in ten longer "
            "than the 90th percentile. Under ECM the only sign of a bad line. Gaps: no page.",
            [
                Query(quantile(0.5, duration), "median"),
                Query(quantile(0.9, duration), "90th percentile"),
                Query(quantile(0.99, duration), "99th percentile"),
            ],
            unit="s",
            steps=PAGE_TIME,
            no_value=NO_PAGES,
            colors={"/^median$/": GREEN, "/^90/": YELLOW, "/^99/": ORANGE},
            width=6,
        ),
    ]


def _transport() -> list[Panel]:
    negotiated = total(series("asterisk_fax_negotiated_sessions", FAX), by="operation")
    rate = total(series("asterisk_fax_data_rate_bps", FAX), by="operation")
    ecm = total(series("asterisk_fax_ecm_sessions", FAX), by="operation")
    ended = total(
        f"increase({series('asterisk_fax_session_data_rate_bps_bucket')}[$__rate_interval])",
        by="le",
    )
    nothing = "No fax has agreed on rate and ECM, or no data"
    transports = {f"/^{name}$/": color for name, color in TRANSPORTS.items()}
    return [
        graph(
            "Mean data rate of running faxes",
            "Of the sessions that have agreed on one, by operation. 14.4 kb/s is the best that a "
            "V.17 modem does.",
            [Query(ratio(rate, negotiated), "{{operation}}")],
            unit="bps",
            no_value=nothing,
            colors=by_operation(),
            width=6,
        ),
        buckets(
            "At which modem rate did faxes end?",
            "Faxes that ended, by their last data rate. A line that gets worse moves down.",
            ended,
            unit="bps",
            no_value=NO_FAXES,
            width=6,
        ),
        graph(
            "Share of running faxes with error correction",
            "Negotiated sessions with ECM on, by operation. With ECM, bad lines are not counted.",
            [Query(ratio(ecm, negotiated), "{{operation}}")],
            unit="percentunit",
            no_value=nothing,
            colors=by_operation(),
            most=1,
            width=6,
        ),
        graph(
            "G.711 or T.38, faxes now",
            "Running sessions by the way they travel. 'none' are gateways, which have an end of "
            "each kind, and sessions that are switching.",
            [
                Query(
                    total(series("asterisk_fax_transport_sessions", FAX), by="transport"),
                    "{{transport}}",
                )
            ],
            axis="sessions",
            colors=transports,
            stacked=True,
            width=6,
        ),
    ]


def _sessions() -> list[Panel]:
    duration = "asterisk_fax_session_duration_seconds"
    pages = "asterisk_fax_session_pages"
    return [
        graph(
            "Sessions begun and ended per minute",
            "By operation; V.21 detectors, which belong to voice calls, are left out.",
            [
                Query(
                    per_minute("asterisk_fax_sessions_started_total", FAX, by="operation"),
                    "{{operation}} begun",
                ),
                Query(
                    per_minute("asterisk_fax_sessions_ended_total", FAX, by="operation"),
                    "{{operation}} ended",
                ),
            ],
            axis="sessions per minute",
            colors=by_operation(" begun")
            | {f"/^{name} ended$/": light for name, (_, light) in OPERATIONS.items()},
            width=6,
        ),
        graph(
            "How long does a fax take?",
            "Of faxes that ended: median and 90th percentile, by operation.",
            [
                Query(_quantile_of_faxes(0.5, duration), "{{operation}} median"),
                Query(_quantile_of_faxes(0.9, duration), "{{operation}} 90th percentile"),
            ],
            unit="s",
            no_value=NO_FAXES,
            colors=by_operation(" 90th percentile")
            | {f"/^{name} median$/": light for name, (_, light) in OPERATIONS.items()},
            width=6,
        ),
        graph(
            "Mean number of pages of a fax",
            "Of faxes that ended, by operation.",
            [
                Query(
                    ratio(
                        recent(f"{pages}_sum", FAX, by="operation"),
                        recent(f"{pages}_count", FAX, by="operation"),
                    ),
                    "{{operation}}",
                )
            ],
            axis="pages",
            no_value=NO_FAXES,
            colors=by_operation(),
            width=6,
        ),
        graph(
            "What Asterisk itself counts",
            "FAXStats: current sessions include gateways and the V.21 detectors of voice calls; "
            "reserved ones are held ready and no fax yet.",
            [
                Query(total(series("asterisk_fax_current_sessions")), "current"),
                Query(total(series("asterisk_fax_reserved_sessions")), "reserved"),
            ],
            axis="sessions",
            width=6,
        ),
    ]


def _quantile_of_faxes(q: float, histogram: str) -> str:
    buckets = f"rate({series(f'{histogram}_bucket', FAX)}[$__rate_interval])"
    return f"histogram_quantile({q}, {total(buckets, by='le, operation')})"


def _never_completed() -> str:
    begun = (
        f"{period('asterisk_fax_transmit_attempts_total')}"
        f" + {period('asterisk_fax_receive_attempts_total')}"
    )
    return f"clamp_min({begun} - {period('asterisk_fax_completed_total')} - {total(_RUNNING)}, 0)"
