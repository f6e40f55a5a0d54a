"""PBXs that exist as series alone, with everything that the dashboards ask for."""

from collections.abc import Iterator
from typing import Final

from tests.grafana.prometheus import Values

_BUCKETS: Final = {
    "page_duration_seconds": ("20.0", "30.0", "+Inf"),
    "session_duration_seconds": ("60.0", "120.0", "+Inf"),
    "session_pages": ("1.0", "5.0", "+Inf"),
    "session_data_rate_bps": ("9600.0", "14400.0", "+Inf"),
    "session_bad_lines": ("0.0", "30.0", "+Inf"),
}
_REASONS: Final = ("no_fax", "train_failure", "timeout")
_BARE: Final = ("up", "scrape_", "process_", "asterisk_fax_")
_PROCESSES: Final = ("", "asterisk_fax_exporter_web_")


WORST: Final = 200
"""As bad as a PBX gets."""


def _constant(value: float) -> Values:
    return lambda i: float(value)


def _growing(a_sample: float) -> Values:
    return lambda i: 10 + a_sample * i


def pbx(labels: str, start: int, bad: int = 1) -> Iterator[tuple[str, Values]]:
    """All series of one PBX and of its exporter, with its `labels`: `job="fax", instance="a"`.

    `start` is when the first sample was, seconds since the epoch; `bad` is how bad it is: with 2
    there are twice as many failures, bad lines and so on.
    """
    for name, values in _of_pbx(start, bad):
        series, _, own = name.partition("{")
        inside = f"{labels}, {own.removesuffix('}')}" if own else labels
        prefix = "" if series.startswith(_BARE) else "asterisk_fax_"
        yield f"{prefix}{series}{{{inside}}}", values


def _of_pbx(start: int, bad: int) -> Iterator[tuple[str, Values]]:
    gauges = {
        "up": 1,
        "scrape_duration_seconds": bad / 100,
        'asterisk_info{version="22.1", ami_version="9"}': 1,
        "current_sessions": 2,
        "reserved_sessions": 0,
        "asterisk_start_timestamp_seconds": start + 60,
        "last_poll_duration_seconds": bad / 1000,
        'exporter_build_info{version="1", python="3.11"}': 1,
        "exporter_targets": 1,
        "exporter_loop_busy_ratio": bad / 100,
        "exporter_keeps_up": bad < WORST,
    }
    for file in ("config", "web_config"):
        gauges[f"exporter_{file}_last_reload_successful"] = 1
        gauges[f"exporter_{file}_last_reload_success_timestamp_seconds"] = start
    for name, value in gauges.items():
        yield name, _constant(value)
    # The worst is not reached.
    yield "asterisk_fax_up", _constant(bad < WORST)
    if bad == WORST:
        yield "down_since_timestamp_seconds", _constant(start)
    for collector in ("sessions", "stats", "events"):
        yield f'collector_up{{collector="{collector}"}}', _constant(collector != "events")
    yield "last_poll_timestamp_seconds", lambda i: start + 120 * i
    for operation in ("send", "receive"):
        yield from _of_operation(operation, start, bad)
    yield from _counters(bad)


def _of_operation(operation: str, start: int, bad: int) -> Iterator[tuple[str, Values]]:
    of = f'operation="{operation}"'
    for name, value in {"sessions": 1, "negotiated_sessions": 1, "ecm_sessions": 1}.items():
        yield f'{name}{{{of}, state="Active"}}', _constant(value)
    yield f'data_rate_bps{{{of}, state="Active"}}', _constant(9600)
    yield f'transport_sessions{{{of}, transport="t38"}}', _constant(1)
    yield f"oldest_session_start_timestamp_seconds{{{of}}}", _constant(start)
    yield f"oldest_progress_timestamp_seconds{{{of}}}", _constant(start)
    yield f"last_fax_timestamp_seconds{{{of}}}", _constant(start)
    yield f"last_success_timestamp_seconds{{{of}}}", _constant(start)
    for name in ("sessions_started_total", "sessions_ended_total"):
        yield f"{name}{{{of}}}", _growing(5)
    yield f"rate_fallbacks_total{{{of}}}", _growing(bad)
    yield f"results_unknown_total{{{of}}}", _growing(1)
    for transport in ("g711", "t38"):
        yield f'finished_total{{{of}, transport="{transport}"}}', _growing(300 + 3 * bad)
        yield f'succeeded_total{{{of}, transport="{transport}"}}', _growing(300)
    for i, reason in enumerate(_REASONS):
        yield f'failures_total{{{of}, reason="{reason}"}}', _growing(bad * (i + 1))
    for name, buckets in _BUCKETS.items():
        if operation == "send" and name == "session_bad_lines":
            continue
        yield f"{name}_sum{{{of}}}", _growing(100 * bad)
        yield f"{name}_count{{{of}}}", _growing(6)
        for i, le in enumerate(buckets, 1):
            yield f'{name}_bucket{{{of}, le="{le}"}}', _growing(2 * i)


def _counters(bad: int) -> Iterator[tuple[str, Values]]:
    yield 'pages_transmitted_total{operation="send", state="Active"}', _growing(7)
    yield 'pages_received_total{operation="receive", state="Active"}', _growing(8)
    yield 'pages_relayed_total{operation="gateway", state="Active"}', _growing(9)
    yield 'bad_lines_total{operation="receive", state="Active"}', _growing(11 * bad)
    yield 'pages_rejected_total{operation="receive"}', _growing(bad)
    yield 'poll_failures_total{reason="timeout"}', _growing(bad)
    grown = {
        "unobserved_completions_total": 1,
        "transmit_attempts_total": 310,
        "receive_attempts_total": 310,
        "completed_total": 600,
        "failed_total": 6,
        "polls_total": 1000 - bad,
        "connects_total": bad,
        "asterisk_restarts_total": bad,
        "late_polls_total": bad,
        "exporter_poll_lateness_seconds_sum": bad,
        "exporter_poll_lateness_seconds_count": 500,
        "exporter_web_restarts_total": 1,
        "exporter_fax_lines_lost_total": bad,
    }
    for name, step in grown.items():
        yield name, _growing(step)
    for i, le in enumerate(("0.1", "1.0", "+Inf")):
        yield f'exporter_poll_lateness_seconds_bucket{{le="{le}"}}', _growing(500 - bad * (2 - i))
    for process in _PROCESSES:
        yield f"{process}process_cpu_seconds_total", _growing(bad)
        for name in ("open_fds", "max_fds", "resident_memory_bytes", "start_time_seconds"):
            yield f"{process}process_{name}", _constant(1000 + bad)


def peer(labels: str, bad: int = 1) -> Iterator[tuple[str, Values]]:
    """All series of one peer, with the labels of its PBX, and its own."""
    for operation in ("send", "receive"):
        of = f'{labels}, operation="{operation}"'
        name = "asterisk_fax_peer"
        yield f"{name}_sessions{{{of}}}", _constant(1)
        yield f"{name}_pages_total{{{of}}}", _growing(20)
        yield f"{name}_finished_total{{{of}}}", _growing(10 + 2 * bad)
        yield f"{name}_succeeded_total{{{of}}}", _growing(10)
        for i, reason in enumerate(_REASONS[:2]):
            yield f'{name}_failures_total{{{of}, reason="{reason}"}}', _growing(bad * (i + 1))
        yield f"{name}_page_duration_seconds_sum{{{of}}}", _growing(400 + bad)
        yield f"{name}_page_duration_seconds_count{{{of}}}", _growing(20)
        if operation == "receive":
            yield f"{name}_bad_lines_total{{{of}}}", _growing(9 * bad)
            yield f"{name}_sessions_with_bad_lines_total{{{of}}}", _growing(bad)


def alerts(labels: str) -> Iterator[tuple[str, Values]]:
    """An alert that fires at one PBX."""
    named = f'{labels}, alertname="AsteriskFaxBadLinesRising", severity="warning"'
    yield f'ALERTS{{{named}, alertstate="firing"}}', _constant(1)
    yield f"ALERTS_FOR_STATE{{{named}}}", _constant(1)
