"""Fax overview: whether fax works now, and if not, since when, where and why."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from alerts import thresholds
from grafana import alert_panels
from grafana import fax_overview_rows as lower
from grafana.boards import board, filled
from grafana.drill import FAX_LOG, HEALTH, LINE_QUALITY, OVERVIEW, PEERS, by_row, by_series
from grafana.figures import figures, ranking, stat_panel
from grafana.limits import BAD_LINES, FAILURES, WAITING, alert_above, failures_above
from grafana.panels import (
    GREEN,
    GREY,
    NO_FAXES,
    OPERATIONS,
    ORANGE,
    RED,
    YELLOW,
    Panel,
    Query,
    bars,
    by_operation,
    graph,
)
from grafana.peers import worst_peers
from grafana.promql import (
    ALERTS,
    FAX,
    OURS,
    THEIRS,
    age_at_poll,
    bad_lines,
    bar,
    by,
    count,
    each,
    failed,
    gauge,
    once,
    ours,
    period,
    reached,
    recent,
    series,
    shown_most,
)
from grafana.tables import Column, failing, rows

_FINISHED: Final = "asterisk_fax_finished_total"
_SUCCEEDED: Final = "asterisk_fax_succeeded_total"
_FAILURES: Final = "asterisk_fax_failures_total"
_UNKNOWN: Final = "asterisk_fax_results_unknown_total"
_SENT: Final = "asterisk_fax_pages_transmitted_total"
_RECEIVED: Final = "asterisk_fax_pages_received_total"
_RELAYED: Final = "asterisk_fax_pages_relayed_total"
_RESTARTS: Final = "asterisk_fax_asterisk_restarts_total"
_SESSIONS: Final = "asterisk_fax_sessions"
# A gateway lasts as long as its call and need not bring pages, as for the alert.
_TERMINAL: Final = 'operation=~"send|receive"'
_PROGRESS: Final = "asterisk_fax_oldest_progress_timestamp_seconds"
_OLDEST: Final = "asterisk_fax_oldest_session_start_timestamp_seconds"


def dashboard() -> build.Dashboard:
    """The dashboard, for a fleet or for one PBX."""
    made = board(
        OVERVIEW,
        "Fax overview",
        "Is fax all right now? If not: since when, on which PBX or trunk, and why.",
        since="now-24h",
    )
    return filled(
        made,
        (*_now(), _pbxs(), _peers(), alert_panels.listed()),
        {
            "Results: do faxes arrive?": _results(),
            "Pages and their quality": lower.pages(),
            "How the faxes travel": lower.transport(),
            "Alerts of Grafana's own": [alert_panels.of_grafana()],
        },
        {"Sessions in detail": lower.sessions()},
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
            "Alerts that fire",
            "Of the rules that come with the exporter, as Prometheus evaluates them. They stand in "
            "a list below.",
            # 0 is good news only from rules that are there.
            f"count({ALERTS}) or 0 * count({thresholds.FAILURES_OBJECTIVE.series})",
            steps=((0, GREEN), (1, RED)),
            no_value="No rules",
        ),
        stat_panel(
            "Faxes now",
            "Fax sessions that run: sending, receiving and through a T.38 gateway. V.21 detectors, "
            "which belong to voice calls, are left out.",
            gauge(_SESSIONS, FAX),
        ),
        figures(
            "In this period",
            "Faxes that ended, those of them that failed, and pages sent, received and relayed. Of "
            "a PBX without channelvars in manager.conf nobody knows which faxes failed.",
            [
                Query(count(_FINISHED), "faxes"),
                Query(f"{count(_FAILURES)} or 0 * {count(_FINISHED)}", "failed"),
                # There is no page of a gateway where there is no gateway.
                Query(
                    " + ".join(
                        f"({count(pages)} or 0 * {count(_FINISHED)})"
                        for pages in (_SENT, _RECEIVED, _RELAYED)
                    ),
                    "pages",
                ),
            ],
        ),
        stat_panel(
            "Share that ended well",
            "Among the faxes of this period whose result is known. A PBX without channelvars in "
            "manager.conf tells none and is not in it.",
            f"1 - {failed(period)}",
            unit="percentunit",
            decimals=1,
            no_value="No results",
        ),
        stat_panel(
            "Failed, not by the other side",
            "Share of the faxes of this period that failed by this side or the line. Those that "
            "failed since a number is no fax machine, or it refuses, are left out. Its colours are "
            "the objective of the alerts, and what wakes somebody.",
            ours(period),
            unit="percentunit",
            decimals=1,
            steps=FAILURES,
            no_value="No results",
        ),
        stat_panel(
            "Last fax that ended well",
            "How long ago, on any of the PBXs. Known since the exporter's start.",
            f"time() - max({series('asterisk_fax_last_success_timestamp_seconds')})",
            unit="s",
            decimals=0,
            no_value="No fax yet, or no data",
        ),
        stat_panel(
            "Bad lines per received page",
            "Damaged lines per page received or rejected in this period. A standard page has about "
            "1,100 lines. Lines under error correction (ECM) are sent again and not counted: see "
            "the page duration.",
            bad_lines(period),
            decimals=1,
            steps=BAD_LINES,
            no_value="No pages",
        ),
        stat_panel(
            "Longest without a new page",
            "Of the faxes that Asterisk sends or receives: how long the slowest has had no new "
            "page. Most pages take less than a minute; ten minutes mean that it is stuck.",
            f"max({age_at_poll(_PROGRESS, _TERMINAL)}) or 0 * {gauge(_SESSIONS, _TERMINAL)}",
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
            steps=((0, GREEN), (1, YELLOW)),
        ),
    ]


def _pbxs() -> Panel:
    waiting = (
        f"max without (operation) ({age_at_poll(_PROGRESS, _TERMINAL)})"
        f" or 0 * {gauge(_SESSIONS, _TERMINAL, into=each)}"
    )
    last = once(series("asterisk_fax_last_fax_timestamp_seconds"))
    success = once(series("asterisk_fax_last_success_timestamp_seconds"))
    down = once(series("asterisk_fax_down_since_timestamp_seconds"))
    pbx = {"job": "Job", "instance": "PBX"}
    return rows(
        "Which PBX needs attention?",
        "One line for each PBX: as of now, or over this period. A PBX that is not reached has no "
        "sessions to tell of; its counters are those up to then. A click on its name leads on.",
        {"instance": "PBX", "job": "Job"},
        [
            Column(
                "Reached",
                reached(),
                texts={"0": ("no", RED), "1": ("yes", GREEN)},
                steps=((0, RED), (1, GREEN)),
            ),
            Column("Down for", f"time() - {down} and {reached()} == 0", unit="s", no_value="-"),
            Column("Faxes now", gauge(_SESSIONS, FAX, into=each)),
            Column("Ended", count(_FINISHED, into=each)),
            *failing(ours(period, into=each), failed(period, into=each, reasons=THEIRS)),
            Column(
                "Bad lines/page",
                bad_lines(period, into=each),
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
            Column(
                "Last ended",
                f"time() - max without (operation) ({last})",
                unit="s",
                decimals=0,
                no_value="none yet",
            ),
            Column(
                "Last ended well",
                f"time() - max without (operation) ({success})",
                unit="s",
                decimals=0,
                no_value="none yet",
            ),
            Column(
                "Restarts",
                count(_RESTARTS, into=each),
                steps=((0, GREEN), (1, ORANGE)),
            ),
        ],
        sort=(("Reached", False), ("Failed", True), ("By the other side", True)),
        links={
            "PBX": [
                by_row(LINE_QUALITY, **pbx),
                by_row(PEERS, **pbx),
                by_row(FAX_LOG, **pbx),
                by_row(HEALTH, **pbx),
                by_row(OVERVIEW, **pbx),
            ]
        },
    )


def _peers() -> Panel:
    return worst_peers(
        "Which trunk is worst?",
        "Those with most faxes that failed or had bad lines in this period; all are on the "
        "dashboard of peers, to which a click on one leads.",
        most=10,
    )


def _results() -> list[Panel]:
    by_reason = [by_series(to, "reason") for to in (LINE_QUALITY, PEERS, FAX_LOG)]
    return [
        bars(
            "How many faxes, and how did they end?",
            "Each bar is an hour where a day is shown, a day where a month is. 'Result unknown' "
            "are those of a PBX without channelvars in manager.conf.",
            [
                Query(bar(_SUCCEEDED), "ended well"),
                Query(bar(_FAILURES, THEIRS), "failed by the other side"),
                Query(bar(_FAILURES, OURS), "failed"),
                Query(bar(_UNKNOWN), "result unknown"),
            ],
            axis="faxes",
            colors={
                "/^ended well$/": GREEN,
                "/^failed by the other side$/": YELLOW,
                "/^failed$/": RED,
                "/^result unknown$/": GREY,
            },
            width=12,
        ),
        bars(
            "Why did they fail?",
            "Failed faxes, by the reason that Asterisk gave. A click on a bar leads on.",
            [Query(f"{bar(_FAILURES, into=by('reason'))} > 0", "{{reason}}", exemplars=True)],
            axis="faxes",
            no_value="No failure, or no data",
            links=by_reason,
            width=12,
        ),
        bars(
            "Faxes of each day, the last two weeks",
            "Whatever period is chosen: a line that has become silent, or fails since a day.",
            [
                Query(bar(_SUCCEEDED), "ended well"),
                Query(bar(_FAILURES), "failed"),
                Query(bar(_UNKNOWN), "result unknown"),
            ],
            axis="faxes",
            colors={
                "/^ended well$/": GREEN,
                "/^failed$/": RED,
                "/^result unknown$/": GREY,
            },
            days=14,
        ),
        graph(
            "What share of faxes fails?",
            "By this side or the line, in an hour or more, by operation; gaps where no fax ended. "
            "More than the objective for days is a ticket; above the other line for minutes it "
            "wakes somebody.",
            [Query(ours(recent, into=by("operation")), "{{operation}}"), *failures_above()],
            unit="percentunit",
            no_value=NO_FAXES,
            colors=by_operation(),
            links=[by_series(LINE_QUALITY, "operation"), by_series(PEERS, "operation")],
            interval="1h",
            most=1,
        ),
        ranking(
            "Why did faxes fail in this period?",
            "Failed faxes by reason. 'All failures' stands there with 0 if results are known and "
            "all are good.",
            [
                Query(
                    f"({count(_FAILURES)} or 0 * {count(_SUCCEEDED)})"
                    f" and ({count(_SUCCEEDED)} + {count(_FAILURES)} > 0)",
                    "All failures",
                ),
                Query(f"sort_desc({count(_FAILURES, into=by('reason'))} > 0)", "{{reason}}"),
            ],
            steps=((0, GREEN), (0.5, ORANGE)),
            no_value=NO_FAXES,
            links=by_reason,
        ),
        bars(
            "Attempts, completions and failures",
            "Asterisk's own statistics. Where the bars stay above the line of completions, faxes "
            "never began: T.38 refused, file unreadable. Completions include failed faxes.",
            [
                Query(bar("asterisk_fax_transmit_attempts_total"), "attempts to send"),
                Query(bar("asterisk_fax_receive_attempts_total"), "attempts to receive"),
                Query(bar("asterisk_fax_completed_total"), "completed"),
                Query(bar("asterisk_fax_failed_total"), "failed"),
            ],
            axis="faxes",
            colors={
                "/^attempts to send$/": OPERATIONS["send"][0],
                "/^attempts to receive$/": OPERATIONS["receive"][0],
                "/^completed$/": GREEN,
                "/^failed$/": RED,
            },
            lines=("completed", "failed"),
        ),
        graph(
            "Oldest fax and longest without a new page",
            "Of the faxes that run. Both at 0: none runs. The oldest may be long and well; a long "
            "time without a new page is a fax that is stuck.",
            [
                Query(
                    f"max({age_at_poll(_OLDEST, FAX)}) or 0 * {gauge(_SESSIONS, FAX)}", "oldest fax"
                ),
                Query(
                    f"max({age_at_poll(_PROGRESS, _TERMINAL)})"
                    f" or 0 * {gauge(_SESSIONS, _TERMINAL)}",
                    "longest without a new page",
                ),
                alert_above(thresholds.PROGRESS_SECONDS),
            ],
            unit="s",
            colors={"/^oldest/": GREY, "/^longest/": ORANGE},
        ),
        bars(
            "Restarts of Asterisk, by PBX",
            "Those that the exporter saw, of the PBXs with most. Faxes that ran then are lost.",
            [
                Query(
                    f"{bar(_RESTARTS, into=each)} and {shown_most(_RESTARTS)}",
                    "{{cluster}} {{namespace}} {{instance}}",
                )
            ],
            axis="restarts",
            no_value="No restart, or no data",
            links=[by_series(HEALTH, "job", "instance")],
        ),
    ]


def _never_completed() -> str:
    begun = (
        f"{count('asterisk_fax_transmit_attempts_total')}"
        f" + {count('asterisk_fax_receive_attempts_total')}"
    )
    running = gauge(_SESSIONS, _TERMINAL)
    return f"clamp_min({begun} - {count('asterisk_fax_completed_total')} - {running}, 0)"
