"""Exporter health: whether the other dashboards can be believed."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana.boards import board, filled
from grafana.drill import HEALTH, OVERVIEW, by_row, by_series
from grafana.figures import stat_panel
from grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Panel,
    Query,
    bars,
    graph,
    states,
)
from grafana.promql import (
    MOST,
    age,
    bar,
    by,
    count,
    each,
    gauge,
    once,
    per_minute,
    rate,
    series,
    shown_most,
    some,
    whole,
)
from grafana.tables import Column, rows

_WEB_PROCESS: Final = "asterisk_fax_exporter_web"
"""Before the names of what prometheus_client tells of the web process."""
_UP: Final = series("asterisk_fax_up")
_COLLECTOR: Final = series("asterisk_fax_collector_up")
_AGE: Final = age("asterisk_fax_last_poll_timestamp_seconds")
_NAMED: Final = "{{cluster}} {{namespace}} {{instance}} {{replica}}"
"""Of a pair both are shown: this dashboard is about the exporters."""
_STATS: Final = series("asterisk_fax_collector_up", 'collector="stats"')
_RED_IF_ANY: Final = ((0.0, GREEN), (0.5, RED))
_YELLOW_IF_ANY: Final = ((0.0, GREEN), (0.5, YELLOW))
_NOT_FOUND: Final = "No data: the exporter's own job is not chosen, or not scraped"


def dashboard() -> build.Dashboard:
    """The dashboard. Job and instance offer the PBXs and the exporter itself, whose metrics come
    from another job where several PBXs are scraped through one exporter.
    """
    made = board(
        HEALTH,
        "Fax exporter health",
        "Can the other dashboards be believed? Polls, connections, and what the exporter missed. "
        "Leave Job and Instance at All to see the exporter's own process too.",
        listed='{__name__=~"asterisk_fax_up|asterisk_fax_exporter_build_info"}',
        since="now-6h",
    )
    return filled(
        made,
        (*_now(), *_states()),
        {"Polls and connections": _polls(), "The exporter itself": _exporter()},
        {"Configuration of a fleet": _configuration()},
    )


def _now() -> list[Panel]:
    return [
        stat_panel(
            "PBXs not reached",
            "PBXs whose last poll failed. One that cannot be scraped is not here but beside.",
            f"sum(1 - {once(_UP)})",
            steps=_RED_IF_ANY,
        ),
        stat_panel(
            "Scrapes that fail",
            "Targets that Prometheus cannot scrape: exporter down, or the way to it.",
            f"sum(1 - {series('up')})",
            steps=_RED_IF_ANY,
            no_value="Not scraped",
        ),
        stat_panel(
            "Parts that do not work",
            "Of sessions, stats and events, over all PBXs that are reached: what manager.conf does "
            "not allow, or what Asterisk does not send.",
            f"sum((1 - {once(_COLLECTOR)}) and ignoring (collector) {once(_UP)} == 1)",
            steps=_RED_IF_ANY,
            no_value="No PBX reached",
        ),
        stat_panel(
            "Oldest poll",
            "How old the last successful poll of the PBX that is furthest behind was when it was "
            "scraped. A PBX that was never reached is not in it.",
            f"max({_AGE})",
            unit="s",
            decimals=0,
            steps=((-60, GREEN), (30, YELLOW), (60, RED)),
        ),
        stat_panel(
            "Completions that no event told of",
            "Faxes in this period that Asterisk counted as completed and whose result is lost: "
            "the connection was, or the user may not read call events.",
            f"sum({count('asterisk_fax_unobserved_completions_total', into=each)} and"
            f" ignoring (collector) {once(f'max_over_time({_STATS}[$__range])')} == 1)",
            decimals=0,
            steps=_YELLOW_IF_ANY,
        ),
        stat_panel(
            "Results unknown",
            "Faxes that ended in this period without a FAXSTATUS: channelvars is missing in "
            "manager.conf.",
            f"{count('asterisk_fax_results_unknown_total')}"
            f" and ({count('asterisk_fax_finished_total')} > 0)",
            decimals=0,
            steps=_YELLOW_IF_ANY,
            no_value="No faxes",
        ),
    ]


def _states() -> list[Panel]:
    return [
        states(
            "When was each PBX reached?",
            "1 if the last poll succeeded. A gap: the exporter was not scraped. Of many PBXs those "
            "that were reached least in this period.",
            [Query(some(_UP, _least("asterisk_fax_up")), _NAMED)],
            texts={"0": ("not reached", RED), "1": ("reached", GREEN)},
        ),
        states(
            "Which part worked when?",
            "sessions: FAXSessions and FAXSession; stats: FAXStats; events: SendFAX and "
            "ReceiveFAX. Of many those that worked least in this period.",
            [
                Query(
                    some(_COLLECTOR, _least("asterisk_fax_collector_up")),
                    f"{_NAMED} {{{{collector}}}}",
                )
            ],
            texts={"0": ("does not work", RED), "1": ("works", GREEN)},
        ),
    ]


def _least(name: str) -> str:
    return f"bottomk({2 * MOST}, avg_over_time({series(name)}[$__range] @ end()))"


def _polls() -> list[Panel]:
    failures = "asterisk_fax_poll_failures_total"
    polls = "asterisk_fax_polls_total"
    duration = "asterisk_fax_last_poll_duration_seconds"
    logins = "asterisk_fax_connects_total"
    late = "asterisk_fax_late_polls_total"
    fewest = f"bottomk({MOST}, increase({series(polls)}[$__range] @ end()))"
    to_overview = [by_series(OVERVIEW, "job", "instance")]
    return [
        graph(
            "Polls per minute, by PBX",
            "60 at the interval of 1 s at which bad lines are exact. Fewer: polls are late or no "
            "connection stands. Of the PBXs with the fewest.",
            [Query(some(per_minute(polls), fewest), _NAMED)],
            axis="polls per minute",
            links=to_overview,
        ),
        graph(
            "How long does a poll take, by PBX?",
            "The last successful one before each point. Near the poll interval it is too long. Of "
            "the PBXs that took longest.",
            [Query(some(series(duration), _highest(duration)), _NAMED)],
            unit="s",
            steps=((0, GREEN), (0.5, YELLOW), (1, RED)),
            links=to_overview,
        ),
        graph(
            "How old is the last successful poll, by PBX?",
            "A line that climbs is a PBX that is not reached. Of the PBXs with the fewest polls.",
            [Query(some(_AGE, fewest), _NAMED)],
            unit="s",
            steps=((-60, GREEN), (30, YELLOW), (60, RED)),
            links=to_overview,
        ),
        bars(
            "Failed polls, by reason",
            "Attempts to connect and polls that failed or brought less than asked for.",
            [Query(f"{bar(failures, into=by('reason'))} > 0", "{{reason}}")],
            width=6,
            axis="failures",
            no_value="No failure, or no data",
        ),
        bars(
            "Polls that may have missed bad lines, by PBX",
            "Polls that came more than a second too late while a page was being received, whatever "
            "made them late; of the PBXs with most.",
            [Query(some(bar(late, into=each), shown_most(late)), _NAMED)],
            width=6,
            axis="polls",
            no_value="No late poll, or no data",
            links=to_overview,
        ),
        bars(
            "Logins, by PBX",
            "Reconnects, and one when an exporter begins; of the PBXs with most. There should be "
            "none.",
            [
                Query(
                    some(bar(logins, into=each), shown_most(logins)),
                    _NAMED,
                )
            ],
            width=6,
            axis="logins",
            no_value="No login, or no data",
            links=to_overview,
        ),
        bars(
            "Results that were missed",
            "Completions that no event told of, and completion events without a result.",
            [
                Query(
                    bar("asterisk_fax_unobserved_completions_total"),
                    "completions that no event told of",
                ),
                Query(bar("asterisk_fax_results_unknown_total"), "results unknown"),
            ],
            width=6,
            axis="faxes",
            colors={"/^completions/": ORANGE, "/^results/": YELLOW},
        ),
    ]


def _highest(name: str) -> str:
    return f"topk({MOST}, max_over_time({series(name)}[$__range] @ end()))"


def _exporter() -> list[Panel]:
    # A job may have other processes too; only those of this exporter have its build info.
    of_exporters = f"and ignoring (version, python) {series('asterisk_fax_exporter_build_info')}"
    # PBXs that are not scraped any more too: this may show why.
    of_pbxs = f"and present_over_time({_UP}[$__range])"
    duration = "scrape_duration_seconds"
    lateness = "asterisk_fax_exporter_poll_lateness_seconds"
    busy = "asterisk_fax_exporter_loop_busy_ratio"
    return [
        graph(
            "How late do polls of the exporter begin?",
            "Mean over the polls of each exporter, as far as it is the cause and not a PBX that is "
            "slow. Half an interval is too late: more shards, a longer interval or more CPU.",
            [
                Query(
                    some(
                        f"{rate(f'{lateness}_sum')} / {rate(f'{lateness}_count')}",
                        f"topk({MOST}, increase({series(f'{lateness}_sum')}[$__range] @ end()))",
                    ),
                    _NAMED,
                )
            ],
            unit="s",
            steps=((0, GREEN), (0.2, YELLOW), (0.5, RED)),
            no_value=_NOT_FOUND,
            width=8,
        ),
        graph(
            "How busy is the loop of the exporter?",
            "The share of a minute in which it was busy, or was given no CPU. Near 100 % polls are "
            "late.",
            [Query(some(series(busy), _highest(busy)), _NAMED)],
            unit="percentunit",
            steps=((0, GREEN), (0.7, YELLOW), (0.9, RED)),
            no_value=_NOT_FOUND,
            width=8,
        ),
        states(
            "Did each exporter keep up?",
            "Whether polls began in time. Of many exporters those that did least.",
            [
                Query(
                    some(
                        series("asterisk_fax_exporter_keeps_up"),
                        _least("asterisk_fax_exporter_keeps_up"),
                    ),
                    _NAMED,
                )
            ],
            texts={"0": ("polls are late", RED), "1": ("in time", GREEN)},
            no_value=_NOT_FOUND,
            width=8,
            height=9,
        ),
        graph(
            "CPU of the exporter",
            "Cores in use, by the process that polls and by the one that answers HTTP.",
            _of_both(
                lambda name: some(
                    f"{rate(name)} {of_exporters}",
                    f"topk({MOST}, increase({series(name)}[$__range] @ end()) {of_exporters})",
                ),
                "process_cpu_seconds_total",
            ),
            unit="percentunit",
            steps=((0, GREEN), (0.5, YELLOW), (0.9, RED)),
            no_value=_NOT_FOUND,
            width=6,
        ),
        graph(
            "Memory of the exporter",
            "Resident memory. It depends on the PBXs watched and the peers; it must not climb.",
            _of_both(
                lambda name: some(
                    f"{series(name)} {of_exporters}", _highest_exporters(name, of_exporters)
                ),
                "process_resident_memory_bytes",
            ),
            unit="bytes",
            no_value=_NOT_FOUND,
            width=6,
        ),
        graph(
            "Share of the open files allowed",
            "Open file descriptors among those that each process may have.",
            _of_both(
                lambda name: some(
                    f"{series(name)} / {series(name.replace('open', 'max'))} {of_exporters}",
                    _highest_exporters(name, of_exporters),
                ),
                "process_open_fds",
            ),
            unit="percentunit",
            steps=((0, GREEN), (0.7, YELLOW), (0.9, RED)),
            no_value=_NOT_FOUND,
            width=6,
        ),
        graph(
            "How long does a scrape take?",
            "As Prometheus saw it, by target, of those that took longest.",
            [
                Query(
                    some(
                        f"{series(duration)} {of_pbxs}",
                        f"topk({MOST}, max_over_time({series(duration)}[$__range] @ end())"
                        f" and present_over_time({_UP}[$__range] @ end()))",
                    ),
                    _NAMED,
                )
            ],
            unit="s",
            steps=((0, GREEN), (1, YELLOW), (5, RED)),
            width=6,
        ),
        rows(
            "Which Asterisk runs where?",
            "Version of Asterisk and of its manager interface, of PBXs that are reached, and since "
            "when they run. A click on a PBX leads to its faxes.",
            {"instance": "PBX", "version": "Asterisk", "ami_version": "AMI", "job": "Job"},
            [
                Column("Last poll ago", _of_asterisk("last_poll"), unit="s", decimals=0),
                Column(
                    "Asterisk up for",
                    _of_asterisk("asterisk_start"),
                    unit="s",
                    decimals=0,
                    no_value="not told",
                ),
            ],
            sort=(("Last poll ago", True),),
            links={"PBX": [by_row(OVERVIEW, job="Job", instance="PBX")]},
            width=12,
            height=8,
        ),
        rows(
            "Which exporter runs where, and since when?",
            "Versions and uptime of the exporters chosen.",
            {"instance": "Exporter", "version": "Version", "python": "Python", "job": "Job"},
            [
                Column(
                    "Up for",
                    f"{series('asterisk_fax_exporter_build_info')}"
                    " * ignoring (version, python) group_left ()"
                    f" (time() - {series('process_start_time_seconds')})",
                    unit="s",
                    decimals=0,
                )
            ],
            sort=(("Up for", False),),
            no_value=_NOT_FOUND,
            width=12,
            height=8,
        ),
    ]


def _highest_exporters(name: str, of_exporters: str) -> str:
    most = f"max_over_time({series(name)}[$__range] @ end())"
    return f"topk({MOST}, {most} {of_exporters})"


def _of_asterisk(what: str) -> str:
    """Seconds since a timestamp of each PBX, with the version of its Asterisk."""
    since = f"time() - {once(series(f'asterisk_fax_{what}_timestamp_seconds'))}"
    info = once(series("asterisk_fax_asterisk_info"))
    return f"{info} * ignoring (version, ami_version) group_left () ({since})"


def _configuration() -> list[Panel]:
    stale = ((0.0, RED), (1.0, GREEN))
    works = {"0": ("FAILED", RED), "1": ("yes", GREEN)}
    exporter = "asterisk_fax_exporter"
    restarts = series(f"{exporter}_web_restarts_total")
    return [
        stat_panel(
            "PBXs watched",
            "Asterisks that the chosen exporters watch.",
            gauge(f"{exporter}_targets"),
        ),
        stat_panel(
            "Was the configuration read?",
            "Whether the last attempt to read the configuration file succeeded. If not, the "
            "exporter goes on with the one before.",
            f"min({series(f'{exporter}_config_last_reload_successful')})",
            steps=stale,
            texts=works,
            no_value="No file",
            width=4,
        ),
        stat_panel(
            "Configuration read",
            "How long ago the configuration file was last read with success, by the exporter "
            "that is furthest behind.",
            _since(f"{exporter}_config_last_reload_success_timestamp_seconds"),
            unit="s",
            decimals=0,
            no_value="No file",
            width=4,
        ),
        stat_panel(
            "Was the web configuration read?",
            "Whether the last attempt to read the file with TLS and passwords succeeded.",
            f"min({series(f'{exporter}_web_config_last_reload_successful')})",
            steps=stale,
            texts=works,
            no_value="No file",
            width=4,
        ),
        stat_panel(
            "Web configuration read",
            "How long ago the file with TLS and passwords was last read with success.",
            _since(f"{exporter}_web_config_last_reload_success_timestamp_seconds"),
            unit="s",
            decimals=0,
            no_value="No file",
            width=4,
        ),
        stat_panel(
            "Web process ended",
            "How often the process that answers HTTP ended in the time shown and was started "
            "again. The polls went on meanwhile.",
            # Of a pair both count: this is about the exporters.
            f"sum({whole(f'increase({restarts}[$__range])')})",
            decimals=0,
            steps=_YELLOW_IF_ANY,
            width=4,
        ),
    ]


def _of_both(expression: Callable[[str], str], name: str) -> list[Query]:
    """What is to be seen of a metric of both processes."""
    web = f"{_WEB_PROCESS}_{name}"
    return [
        Query(expression(name), _NAMED),
        Query(expression(web), f"{_NAMED}, HTTP"),
    ]


def _since(timestamp: str) -> str:
    return f"time() - min({series(timestamp)})"
