"""Exporter health: whether the other dashboards can be believed."""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana.panels import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    Column,
    Panel,
    Query,
    board,
    filled,
    graph,
    rows,
    stat_panel,
    states,
)
from grafana.promql import age, per_minute, period, rate, series, total

_WEB_PROCESS: Final = "asterisk_fax_exporter_web"
"""Before the names of what prometheus_client tells of the web process."""
_UP: Final = series("asterisk_fax_up")
_COLLECTOR: Final = series("asterisk_fax_collector_up")
_AGE: Final = age("asterisk_fax_last_poll_timestamp_seconds")
_STATS: Final = series("asterisk_fax_collector_up", 'collector="stats"')
_RED_IF_ANY: Final = ((0.0, GREEN), (0.5, RED))
_YELLOW_IF_ANY: Final = ((0.0, GREEN), (0.5, YELLOW))
_NOT_FOUND: Final = "No data: the exporter's own job is not chosen, or not scraped"


def dashboard() -> build.Dashboard:
    """The dashboard. Job and instance offer the PBXs and the exporter itself, whose metrics come
    from another job where several PBXs are scraped through one exporter.
    """
    made = board(
        "asterisk-fax-exporter-health",
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
            f"sum(1 - {_UP})",
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
            f"sum((1 - {_COLLECTOR}) and on (job, instance) {_UP} == 1)",
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
            f"sum({period('asterisk_fax_unobserved_completions_total', by='job, instance')}"
            f" and on (job, instance) max_over_time({_STATS}[$__range]) == 1)",
            decimals=0,
            steps=_YELLOW_IF_ANY,
        ),
        stat_panel(
            "Results unknown",
            "Faxes that ended in this period without a FAXSTATUS: channelvars is missing in "
            "manager.conf.",
            f"{period('asterisk_fax_results_unknown_total')}"
            f" and ({period('asterisk_fax_finished_total')} > 0.5)",
            decimals=0,
            steps=_YELLOW_IF_ANY,
            no_value="No faxes",
        ),
    ]


def _states() -> list[Panel]:
    return [
        states(
            "When was each PBX reached?",
            "1 if the last poll succeeded. A gap: the exporter was not scraped.",
            [Query(_UP, "{{instance}}")],
            texts={"0": ("not reached", RED), "1": ("reached", GREEN)},
        ),
        states(
            "Which part worked when?",
            "sessions: FAXSessions and FAXSession; stats: FAXStats; events: SendFAX and "
            "ReceiveFAX.",
            [Query(_COLLECTOR, "{{instance}} {{collector}}")],
            texts={"0": ("does not work", RED), "1": ("works", GREEN)},
        ),
    ]


def _polls() -> list[Panel]:
    failures = "asterisk_fax_poll_failures_total"
    return [
        graph(
            "Polls per minute, by PBX",
            "60 at the interval of 1 s at which bad lines are exact. Fewer: polls are late or no "
            "connection stands.",
            [
                Query(
                    per_minute("asterisk_fax_polls_total", by="instance", always=True),
                    "{{instance}}",
                )
            ],
            axis="polls per minute",
        ),
        graph(
            "How long does a poll take, by PBX?",
            "The last successful one before each point. Near the poll interval it is too long.",
            [Query(series("asterisk_fax_last_poll_duration_seconds"), "{{instance}}")],
            unit="s",
            steps=((0, GREEN), (0.5, YELLOW), (1, RED)),
        ),
        graph(
            "How old is the last successful poll, by PBX?",
            "A line that climbs is a PBX that is not reached.",
            [Query(_AGE, "{{instance}}")],
            unit="s",
            steps=((-60, GREEN), (30, YELLOW), (60, RED)),
        ),
        graph(
            "Failed polls per minute, by reason",
            "Attempts to connect and polls that failed or brought less than asked for. The line "
            "is their sum.",
            [
                Query(
                    f"{per_minute(failures, by='reason', always=True)} > 0",
                    "{{reason}}",
                ),
                Query(per_minute(failures, always=True), "all"),
            ],
            axis="failures per minute",
            colors={"/^all$/": GREY},
            stacked=True,
            lines=("all",),
        ),
        graph(
            "Logins per minute, by PBX",
            "Reconnects, and at most one more when an exporter begins. They should lie at 0.",
            [
                Query(
                    per_minute("asterisk_fax_connects_total", by="instance", always=True),
                    "{{instance}}",
                )
            ],
            axis="logins per minute",
        ),
        graph(
            "Results that were missed, per minute",
            "Completions that no event told of, and completion events without a result.",
            [
                Query(
                    per_minute("asterisk_fax_unobserved_completions_total"),
                    "completions that no event told of",
                ),
                Query(per_minute("asterisk_fax_results_unknown_total"), "results unknown"),
            ],
            axis="faxes per minute",
            colors={"/^completions/": ORANGE, "/^results/": YELLOW},
        ),
    ]


def _exporter() -> list[Panel]:
    # A job may have other processes too; only those of this exporter have its build info.
    of_exporters = f"and on (job, instance) {series('asterisk_fax_exporter_build_info')}"
    # PBXs that are not scraped any more too: this may show why.
    of_pbxs = f"and on (job, instance) present_over_time({_UP}[$__range])"
    return [
        graph(
            "CPU of the exporter",
            "Cores in use, by the process that polls and by the one that answers HTTP.",
            _of_both(lambda name: f"{rate(name)} {of_exporters}", "process_cpu_seconds_total"),
            unit="percentunit",
            steps=((0, GREEN), (0.5, YELLOW), (0.9, RED)),
            no_value=_NOT_FOUND,
            width=6,
            height=7,
        ),
        graph(
            "Memory of the exporter",
            "Resident memory. It depends on the PBXs watched and the peers; it must not climb.",
            _of_both(
                lambda name: f"{series(name)} {of_exporters}", "process_resident_memory_bytes"
            ),
            unit="bytes",
            no_value=_NOT_FOUND,
            width=6,
            height=7,
        ),
        graph(
            "Share of the open files allowed",
            "Open file descriptors among those that each process may have.",
            _of_both(
                lambda name: (
                    f"{series(name)} / {series(name.replace('open', 'max'))} {of_exporters}"
                ),
                "process_open_fds",
            ),
            unit="percentunit",
            steps=((0, GREEN), (0.7, YELLOW), (0.9, RED)),
            no_value=_NOT_FOUND,
            width=6,
            height=7,
        ),
        graph(
            "How long does a scrape take?",
            "As Prometheus saw it, by target.",
            [Query(f"{series('scrape_duration_seconds')} {of_pbxs}", "{{instance}}")],
            unit="s",
            steps=((0, GREEN), (1, YELLOW), (5, RED)),
            width=6,
            height=7,
        ),
        rows(
            "Which Asterisk runs where?",
            "Version of Asterisk and of its manager interface, of PBXs that are reached.",
            {"instance": "PBX", "version": "Asterisk", "ami_version": "AMI"},
            [
                Column(
                    "Last poll ago",
                    f"max by (instance, version, ami_version) ("
                    f"{series('asterisk_fax_asterisk_info')} * on (job, instance) group_left ()"
                    f" (time() - {series('asterisk_fax_last_poll_timestamp_seconds')}))",
                    unit="s",
                    decimals=0,
                )
            ],
            width=12,
            height=6,
        ),
        rows(
            "Which exporter runs where, and since when?",
            "Versions and uptime of the exporters chosen.",
            {"instance": "Exporter", "version": "Version", "python": "Python"},
            [
                Column(
                    "Up for",
                    f"max by (instance, version, python) ("
                    f"{series('asterisk_fax_exporter_build_info')}"
                    f" * on (job, instance) group_left ()"
                    f" (time() - {series('process_start_time_seconds')}))",
                    unit="s",
                    decimals=0,
                )
            ],
            no_value=_NOT_FOUND,
            width=12,
            height=6,
        ),
    ]


def _configuration() -> list[Panel]:
    stale = ((0.0, RED), (1.0, GREEN))
    works = {"0": ("FAILED", RED), "1": ("yes", GREEN)}
    exporter = "asterisk_fax_exporter"
    return [
        stat_panel(
            "PBXs watched",
            "Asterisks that the chosen exporters watch.",
            total(series(f"{exporter}_targets")),
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
            f"sum(increase({series(f'{exporter}_web_restarts_total')}[$__range]))",
            decimals=0,
            steps=_YELLOW_IF_ANY,
            width=4,
        ),
    ]


def _of_both(expression: Callable[[str], str], name: str) -> list[Query]:
    """What is to be seen of a metric of both processes."""
    web = f"{_WEB_PROCESS}_{name}"
    return [
        Query(expression(name), "{{instance}}"),
        Query(expression(web), "{{instance}}, HTTP"),
    ]


def _since(timestamp: str) -> str:
    return f"time() - min({series(timestamp)})"
