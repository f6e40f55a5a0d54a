"""The lower rows of the fax overview: pages, how they travel, sessions, and alerts of Grafana's."""

from typing import Final

from alerts import thresholds
from grafana.drill import LINE_QUALITY, by_series
from grafana.limits import alert_above
from grafana.panels import (
    GREEN,
    GREY,
    NO_FAXES,
    NO_PAGES,
    OPERATIONS,
    ORANGE,
    TRANSPORTS,
    YELLOW,
    Panel,
    Query,
    bars,
    buckets,
    by_operation,
    graph,
)
from grafana.promql import FAX, bad_lines, bar, by, gauge, quantile, ratio, recent

_PAGE: Final = "asterisk_fax_page_duration_seconds"
_RATE: Final = "asterisk_fax_session_data_rate_bps"


def pages() -> list[Panel]:
    """Pages and their quality."""
    return [
        bars(
            "Pages",
            "Pages confirmed: sent, received, and relayed through a T.38 gateway.",
            [
                Query(bar("asterisk_fax_pages_transmitted_total"), "sent"),
                Query(bar("asterisk_fax_pages_received_total"), "received"),
                Query(bar("asterisk_fax_pages_relayed_total"), "relayed"),
            ],
            axis="pages",
            colors={
                "/^sent$/": OPERATIONS["send"][0],
                "/^received$/": OPERATIONS["receive"][0],
                "/^relayed$/": OPERATIONS["gateway"][0],
            },
            width=6,
        ),
        graph(
            "Are bad lines getting more?",
            "Damaged lines per page received or rejected, without error correction (ECM), in an "
            "hour or more. Gaps where no page came.",
            [
                Query(bad_lines(recent), "bad lines per page"),
                alert_above(thresholds.BAD_LINES),
            ],
            axis="lines per page",
            no_value=NO_PAGES,
            colors={"/^bad lines/": OPERATIONS["receive"][0]},
            interval="1h",
            width=6,
        ),
        bars(
            "Bad lines",
            "Damaged lines in received pages, also in pages that were rejected or cut off.",
            [Query(bar("asterisk_fax_bad_lines_total"), "bad lines")],
            axis="lines",
            colors={"/./": OPERATIONS["receive"][0]},
            width=6,
        ),
        graph(
            "How long does a page take?",
            "Time from page to page: half of them took less than the median, one in ten longer "
            "than the 90th percentile. Under ECM the only sign of a bad line. Gaps: no page.",
            [
                Query(quantile(0.5, _PAGE, into=by("le"), over=recent), "median"),
                Query(quantile(0.9, _PAGE, into=by("le"), over=recent), "90th percentile"),
                Query(quantile(0.99, _PAGE, into=by("le"), over=recent), "99th percentile"),
            ],
            unit="s",
            no_value=NO_PAGES,
            colors={"/^median$/": GREEN, "/^90/": YELLOW, "/^99/": ORANGE},
            interval="1h",
            width=6,
        ),
    ]


def transport() -> list[Panel]:
    """How the faxes travel."""
    into = by("operation")
    negotiated = gauge("asterisk_fax_negotiated_sessions", FAX, into=into)
    nothing = "No fax has agreed on rate and ECM, or no data"
    to_lines = [by_series(LINE_QUALITY, "operation")]
    return [
        graph(
            "Mean data rate of running faxes",
            "Of the sessions that have agreed on one, by operation. 14.4 kb/s is the best that a "
            "V.17 modem does.",
            [
                Query(
                    ratio(gauge("asterisk_fax_data_rate_bps", FAX, into=into), negotiated),
                    "{{operation}}",
                )
            ],
            unit="bps",
            no_value=nothing,
            colors=by_operation(),
            links=to_lines,
            width=6,
        ),
        buckets(
            "At which modem rate did faxes end?",
            "Faxes that ended, by their last data rate. A line that gets worse moves down.",
            recent(f"{_RATE}_bucket", into=by("le")),
            unit="bps",
            no_value=NO_FAXES,
            exemplars=True,
            width=6,
        ),
        graph(
            "Share of running faxes with error correction",
            "Negotiated sessions with ECM on, by operation. With ECM, bad lines are not counted.",
            [
                Query(
                    ratio(gauge("asterisk_fax_ecm_sessions", FAX, into=into), negotiated),
                    "{{operation}}",
                )
            ],
            unit="percentunit",
            no_value=nothing,
            colors=by_operation(),
            links=to_lines,
            most=1,
            width=6,
        ),
        graph(
            "G.711 or T.38, faxes now",
            "Running sessions by the way they travel. 'none' are gateways, which have an end of "
            "each kind, and sessions that are switching.",
            [
                Query(
                    gauge("asterisk_fax_transport_sessions", FAX, into=by("transport")),
                    "{{transport}}",
                )
            ],
            axis="sessions",
            colors={f"/^{name}$/": color for name, color in TRANSPORTS.items()},
            stacked=True,
            width=6,
        ),
    ]


def sessions() -> list[Panel]:
    """Sessions in detail."""
    duration = "asterisk_fax_session_duration_seconds"
    fax_pages = "asterisk_fax_session_pages"
    by_le = by("le, operation")
    into = by("operation")
    return [
        graph(
            "Faxes now, by operation and state",
            "Sessions that Asterisk lists, without V.21 detectors of voice calls. The grey line "
            "is their sum: at 0 nothing runs, where it is missing no PBX was reached.",
            [
                Query(
                    f"{gauge('asterisk_fax_sessions', FAX, into=by('operation, state'))} > 0",
                    "{{operation}} {{state}}",
                ),
                Query(gauge("asterisk_fax_sessions", FAX), "all"),
            ],
            axis="sessions",
            colors={
                **{f"/^{name} /": light for name, (_, light) in OPERATIONS.items()},
                **{f"/^{name} Active$/": dark for name, (dark, _) in OPERATIONS.items()},
                "/^all$/": GREY,
            },
            stacked=True,
            lines=("all",),
            width=5,
        ),
        bars(
            "Sessions begun and ended",
            "By operation. Where more begin than end, they pile up.",
            [
                Query(
                    bar("asterisk_fax_sessions_started_total", FAX, into=into),
                    "{{operation}} begun",
                ),
                Query(
                    bar("asterisk_fax_sessions_ended_total", FAX, into=into), "{{operation}} ended"
                ),
            ],
            axis="sessions",
            colors=by_operation(" begun")
            | {f"/^{name} ended$/": light for name, (_, light) in OPERATIONS.items()},
            stacked=False,
            width=5,
        ),
        graph(
            "How long does a fax take?",
            "Of faxes that ended: median and 90th percentile, by operation.",
            [
                Query(
                    quantile(0.5, duration, FAX, into=by_le, over=recent), "{{operation}} median"
                ),
                Query(
                    quantile(0.9, duration, FAX, into=by_le, over=recent),
                    "{{operation}} 90th percentile",
                ),
            ],
            unit="s",
            no_value=NO_FAXES,
            colors=by_operation(" 90th percentile")
            | {f"/^{name} median$/": light for name, (_, light) in OPERATIONS.items()},
            interval="1h",
            width=5,
        ),
        graph(
            "Mean number of pages of a fax",
            "Of faxes that ended, by operation.",
            [
                Query(
                    ratio(
                        recent(f"{fax_pages}_sum", FAX, into=into),
                        recent(f"{fax_pages}_count", FAX, into=into),
                    ),
                    "{{operation}}",
                )
            ],
            axis="pages",
            no_value=NO_FAXES,
            colors=by_operation(),
            interval="1h",
            width=5,
        ),
        graph(
            "What Asterisk itself counts",
            "FAXStats: current sessions include gateways and the V.21 detectors of voice calls; "
            "reserved ones are held ready and no fax yet.",
            [
                Query(gauge("asterisk_fax_current_sessions"), "current"),
                Query(gauge("asterisk_fax_reserved_sessions"), "reserved"),
            ],
            axis="sessions",
            width=4,
        ),
    ]
