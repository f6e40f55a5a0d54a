"""Every metric: name, help, labels and source. How they are written is in exposition.py.

Their samples are taken afresh for each scrape from the current state, so that no dead label stays.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from exporter import __version__
from exporter.fax import FaxStats, Operation, Reason
from exporter.ledger import Exemplar, Histogram
from exporter.polling import Counts, Pace

Labels: TypeAlias = tuple[str, ...]


class Summary(NamedTuple):
    """How many there were, and their sum."""

    number: int
    sum: float


class Counted(NamedTuple):
    """A count, and one of those that were counted."""

    value: int
    exemplar: Exemplar | None


Value: TypeAlias = float | Histogram | Summary | Counted
Samples: TypeAlias = Iterable[tuple[Labels, Value]]


class When(Enum):
    """When a metric is shown; the words are those of docs/metrics.md."""

    ALWAYS = "always"
    BEGUN = "once a poll was answered, be it by refusals, and from then on"
    SUCCEEDED = "once a poll has succeeded, and from then on"
    CONNECTED = "while logged in to Asterisk"
    UP = "while polls succeed"
    DOWN = "while polls do not succeed"
    LISTED = "while polls bring the list of sessions"


class File(Protocol):
    """A file that is read again while the exporter runs."""

    @property
    def successful(self) -> bool:
        """The last reading was without fault."""

    @property
    def success_timestamp(self) -> float:
        """Seconds since the epoch: when the last faultless reading was."""


@dataclass(frozen=True)
class Exporter:
    """What /metrics tells of the exporter itself. A file that was not named is None."""

    targets: int
    pace: Pace | None = None
    """How late polls begin; None if nothing is polled here."""
    only: Counts | None = None
    """Of the Asterisk, if it watches just one."""
    config: File | None = None
    web_config: File | None = None
    web_restarts: int = 0
    """How often the web process was started again."""
    fax_lines_lost: int | None = None
    """None if there are no lines of faxes."""


Source = TypeVar("Source")
Key = TypeVar("Key", tuple[Operation, Reason], tuple[Operation, Reason, str])


class Kind(Enum):
    """What Prometheus calls the type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclass(frozen=True, eq=False)
class Declared(Generic[Source]):
    """One metric; what is kept of it, is kept by the object."""

    name: str
    help: str
    labels: Labels
    when: When
    samples: Callable[[Source], Samples]


def _one(value: float | None) -> Samples:
    return [] if value is None else [((), value)]


def _stat(pick: Callable[[FaxStats], int | None]) -> Callable[[Counts], Samples]:
    def samples(counts: Counts) -> Samples:
        stats = counts.status.stats
        return _one(None if stats is None else pick(stats))

    return samples


def _by_operation(values: Mapping[Operation, float] | Mapping[Operation, Histogram]) -> Samples:
    return [((operation,), value) for operation, value in values.items()]


def _with_exemplars(counts: Mapping[Key, int], exemplars: Mapping[Key, Exemplar | None]) -> Samples:
    return [(key, Counted(value, exemplars.get(key))) for key, value in counts.items()]


def _pages(operation: Operation) -> Callable[[Counts], Samples]:
    return lambda counts: [
        (key, value) for key, value in counts.totals.pages.items() if key[0] is operation
    ]


_SESSIONS: Final = ("operation", "state")
_STATS: Final = "Source: FAXStats; starts again at 0 with Asterisk."
_STATE: Final = "state: in which it was seen; what only the completion event told is Complete."

GAUGES: Final[tuple[Declared[Counts], ...]] = (
    Declared(
        "asterisk_fax_up",
        "1 if the last poll of Asterisk succeeded, 0 if not.",
        (),
        When.ALWAYS,
        lambda counts: _one(counts.status.up),
    ),
    Declared(
        "asterisk_fax_collector_up",
        "1 if this part works: sessions (FAXSessions, FAXSession), stats (FAXStats), events "
        "(SendFAX, ReceiveFAX; 0 once Asterisk has counted faxes and told of none: two in a row, "
        "or one if none was ever heard).",
        ("collector",),
        When.ALWAYS,
        lambda counts: [((name,), works) for name, works in counts.status.collectors.items()],
    ),
    Declared(
        "asterisk_fax_sessions",
        "Fax sessions that Asterisk lists. Source: FAXSessions.",
        _SESSIONS,
        When.LISTED,
        lambda counts: counts.gauges.sessions.items(),
    ),
    Declared(
        "asterisk_fax_negotiated_sessions",
        "Sessions whose data rate and error correction are agreed. Source: FAXSession.",
        _SESSIONS,
        When.LISTED,
        lambda counts: counts.gauges.negotiated.items(),
    ),
    Declared(
        "asterisk_fax_data_rate_bps",
        "Sum of the data rates of the negotiated sessions, bit/s; divided by "
        "asterisk_fax_negotiated_sessions: their mean. Source: FAXSession.",
        _SESSIONS,
        When.LISTED,
        lambda counts: counts.gauges.data_rate.items(),
    ),
    Declared(
        "asterisk_fax_ecm_sessions",
        "Negotiated sessions with error correction (ECM) on. Source: FAXSession.",
        _SESSIONS,
        When.LISTED,
        lambda counts: counts.gauges.ecm.items(),
    ),
    Declared(
        "asterisk_fax_transport_sessions",
        "Sessions by the way the fax travels: g711, t38, or none (gateways, V.21 detectors, and a "
        "session that is switching). Source: FAXSessions.",
        ("operation", "transport"),
        When.LISTED,
        lambda counts: counts.gauges.transports.items(),
    ),
    Declared(
        "asterisk_fax_oldest_session_start_timestamp_seconds",
        "When the oldest running session was first seen, seconds since the epoch; absent without "
        "one.",
        ("operation",),
        When.LISTED,
        lambda counts: _by_operation(counts.gauges.oldest_start),
    ),
    Declared(
        "asterisk_fax_oldest_progress_timestamp_seconds",
        "When the running session that is longest without a new page had its last, or was first "
        "seen, seconds since the epoch; absent without one.",
        ("operation",),
        When.LISTED,
        lambda counts: _by_operation(counts.gauges.oldest_progress),
    ),
    Declared(
        "asterisk_fax_current_sessions",
        "Sessions that Asterisk counts, gateways and V.21 detectors among them. Source: FAXStats.",
        (),
        When.UP,
        _stat(lambda stats: stats.current_sessions),
    ),
    Declared(
        "asterisk_fax_reserved_sessions",
        "Sessions that Asterisk holds in reserve. Source: FAXStats.",
        (),
        When.UP,
        _stat(lambda stats: stats.reserved_sessions),
    ),
    Declared(
        "asterisk_fax_asterisk_info",
        "1; the labels name the Asterisk and its manager interface. Source: CoreSettings.",
        ("version", "ami_version"),
        When.CONNECTED,
        lambda counts: [((counts.status.asterisk_version, counts.status.ami_version), 1)],
    ),
    Declared(
        "asterisk_fax_last_fax_timestamp_seconds",
        "When the last fax ended, well or not, seconds since the epoch; absent until one has. "
        "Source: SendFAX and ReceiveFAX events.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.last_fax),
    ),
    Declared(
        "asterisk_fax_last_success_timestamp_seconds",
        "When the last fax ended that succeeded, seconds since the epoch; absent until one has. "
        "Source: SendFAX and ReceiveFAX events with channelvars.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.last_success),
    ),
    Declared(
        "asterisk_fax_last_poll_timestamp_seconds",
        "When the last successful poll ended, seconds since the epoch.",
        (),
        When.SUCCEEDED,
        lambda counts: _one(counts.status.last_success),
    ),
    Declared(
        "asterisk_fax_last_poll_duration_seconds",
        "Time that the last successful poll took, seconds.",
        (),
        When.SUCCEEDED,
        lambda counts: _one(counts.status.last_duration),
    ),
    Declared(
        "asterisk_fax_asterisk_start_timestamp_seconds",
        "When Asterisk started, seconds since the epoch by its own clock; absent if it does not "
        "say which time zone that is in. Source: CoreStatus and STRFTIME.",
        (),
        When.CONNECTED,
        lambda counts: _one(counts.status.asterisk_start),
    ),
    Declared(
        "asterisk_fax_down_since_timestamp_seconds",
        "Since when polls of Asterisk do not succeed, seconds since the epoch: when the last one "
        "that did ended, or when the exporter began to watch it.",
        (),
        When.DOWN,
        lambda counts: _one(counts.status.down_since),
    ),
)

COUNTERS: Final[tuple[Declared[Counts], ...]] = (
    Declared(
        "asterisk_fax_pages_transmitted_total",
        f"Pages sent and confirmed. {_STATE} Source: FAXSession and SendFAX events.",
        _SESSIONS,
        When.BEGUN,
        _pages(Operation.SEND),
    ),
    Declared(
        "asterisk_fax_pages_received_total",
        f"Pages received and confirmed. {_STATE} Source: FAXSession and ReceiveFAX events.",
        _SESSIONS,
        When.BEGUN,
        _pages(Operation.RECEIVE),
    ),
    Declared(
        "asterisk_fax_pages_relayed_total",
        "Pages that went through a T.38 gateway; there is no completion event, so the last one "
        "may be missed. Source: FAXSession.",
        _SESSIONS,
        When.BEGUN,
        _pages(Operation.GATEWAY),
    ),
    Declared(
        "asterisk_fax_bad_lines_total",
        "Damaged lines in received pages, also in those rejected or cut off; always 0 with ECM. "
        f"{_STATE} Source: FAXSession, TotalBadLines summed over the pages.",
        _SESSIONS,
        When.BEGUN,
        lambda counts: counts.totals.bad_lines.items(),
    ),
    Declared(
        "asterisk_fax_pages_rejected_total",
        "Received pages that were refused for too many bad lines, inferred from TotalBadLines "
        "set back without a new page. Source: FAXSession.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.rejected),
    ),
    Declared(
        "asterisk_fax_rate_fallbacks_total",
        "Times a negotiated session's data rate went down. Source: FAXSession.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.fallbacks),
    ),
    Declared(
        "asterisk_fax_sessions_started_total",
        "Sessions that began since the exporter did. Source: FAXSessions, and completion events "
        "of faxes that no poll saw.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.started),
    ),
    Declared(
        "asterisk_fax_sessions_ended_total",
        "Sessions that ended, also of those that ran when the exporter began. Source: "
        "FAXSessions, and completion events of faxes that no poll saw.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.ended),
    ),
    Declared(
        "asterisk_fax_finished_total",
        "Faxes that ended, well or not; transport is none without channelvars. Source: SendFAX "
        "and ReceiveFAX events.",
        ("operation", "transport"),
        When.BEGUN,
        lambda counts: counts.totals.finished.items(),
    ),
    Declared(
        "asterisk_fax_succeeded_total",
        "Faxes that ended with FAXSTATUS SUCCESS. Source: SendFAX and ReceiveFAX events with "
        "channelvars.",
        ("operation", "transport"),
        When.BEGUN,
        lambda counts: counts.totals.succeeded.items(),
    ),
    Declared(
        "asterisk_fax_failures_total",
        "Faxes that ended with FAXSTATUS FAILED, by reason; by transport: what finished, less what "
        "succeeded. Exemplar: the Uniqueid of the last. Source: SendFAX and ReceiveFAX events with "
        "channelvars.",
        ("operation", "reason"),
        When.BEGUN,
        lambda counts: _with_exemplars(counts.totals.failures, counts.totals.exemplars),
    ),
    Declared(
        "asterisk_fax_results_unknown_total",
        "Faxes that ended without a FAXSTATUS: channelvars is missing in manager.conf. Source: "
        "SendFAX and ReceiveFAX events.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.results_unknown),
    ),
    Declared(
        "asterisk_fax_unobserved_completions_total",
        "Faxes that Asterisk counted as completed and that no event told of: what finished, "
        "failures and results_unknown miss, as after a lost connection. Exact once no fax has "
        "ended for 8 s, until then a lower bound. Source: FAXStats and completion events.",
        (),
        When.BEGUN,
        lambda counts: _one(counts.unobserved),
    ),
    Declared(
        "asterisk_fax_transmit_attempts_total",
        f"Faxes that Asterisk tried to send, also those that never began. {_STATS}",
        (),
        When.UP,
        _stat(lambda stats: stats.transmit_attempts),
    ),
    Declared(
        "asterisk_fax_receive_attempts_total",
        f"Faxes that Asterisk tried to receive, also those that never began. {_STATS}",
        (),
        When.UP,
        _stat(lambda stats: stats.receive_attempts),
    ),
    Declared(
        "asterisk_fax_completed_total",
        f"Faxes that ended as Asterisk counts them: failed ones are included. {_STATS}",
        (),
        When.UP,
        _stat(lambda stats: stats.completed),
    ),
    Declared(
        "asterisk_fax_failed_total",
        f"Faxes that failed as Asterisk counts them. {_STATS}",
        (),
        When.UP,
        _stat(lambda stats: stats.failed),
    ),
    Declared(
        "asterisk_fax_polls_total",
        "Polls begun on a connection.",
        (),
        When.ALWAYS,
        lambda counts: _one(counts.status.polls),
    ),
    Declared(
        "asterisk_fax_poll_failures_total",
        "Attempts to connect and polls that failed (connect, login_refused, connection_lost, "
        "timeout, shutting_down, internal) or brought less than asked for (permission_denied, "
        "unknown_action, action_failed, unanswered, malformed), by reason.",
        ("reason",),
        When.ALWAYS,
        lambda counts: [((key,), value) for key, value in counts.status.failures.items()],
    ),
    Declared(
        "asterisk_fax_late_polls_total",
        "Polls that came more than 1 s too late, whatever made them late (the exporter, Asterisk, "
        "the network), after one at which a page was being received without error correction "
        "(ECM): the last bad lines of a page may be missing in asterisk_fax_bad_lines_total, which "
        "is a lower bound then. Source: FAXSessions and FAXSession.",
        (),
        When.ALWAYS,
        lambda counts: _one(counts.status.late_polls),
    ),
    Declared(
        "asterisk_fax_connects_total",
        "Successful logins to Asterisk.",
        (),
        When.ALWAYS,
        lambda counts: _one(counts.status.connects),
    ),
    Declared(
        "asterisk_fax_asterisk_restarts_total",
        "Restarts of Asterisk that the exporter noticed; several between two polls are one. "
        "Source: CoreStatus, FAXStats and FAXSessions.",
        (),
        When.BEGUN,
        lambda counts: _one(counts.restarts),
    ),
)

HISTOGRAMS: Final[tuple[Declared[Counts], ...]] = (
    Declared(
        "asterisk_fax_page_duration_seconds",
        "Time from page to page, seconds; to the first page from the agreement on rate and ECM. "
        "Under ECM the only sign of a bad line. Source: FAXSession.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.page_seconds),
    ),
    Declared(
        "asterisk_fax_session_duration_seconds",
        "Time that sessions which ended had been listed, seconds. Source: FAXSessions.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.session_seconds),
    ),
    Declared(
        "asterisk_fax_session_pages",
        "Pages of sessions that ended. Source: FAXSession and completion events.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.session_pages),
    ),
    Declared(
        "asterisk_fax_session_data_rate_bps",
        "Last data rate of sessions that ended after one was agreed, bit/s. Source: FAXSession "
        "and completion events.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.session_rate),
    ),
    Declared(
        "asterisk_fax_session_bad_lines",
        "Bad lines of receive sessions that ended, of all their pages, also those rejected or cut "
        "off; always 0 with ECM. Source: FAXSession, TotalBadLines summed over the pages.",
        ("operation",),
        When.BEGUN,
        lambda counts: _by_operation(counts.totals.session_bad_lines),
    ),
)

_OF_PEER: Final = ("operation", "peer")

PEER_GAUGES: Final[tuple[Declared[Counts], ...]] = (
    Declared(
        "asterisk_fax_peer_sessions",
        "Fax sessions of this peer that Asterisk lists. Source: FAXSessions.",
        _OF_PEER,
        When.LISTED,
        lambda counts: counts.gauges.peers.items(),
    ),
)

PEER_COUNTERS: Final[tuple[Declared[Counts], ...]] = (
    Declared(
        "asterisk_fax_peer_pages_total",
        "Pages of this peer's faxes that were confirmed. Source: FAXSession and completion events.",
        _OF_PEER,
        When.BEGUN,
        lambda counts: counts.peers.pages.items(),
    ),
    Declared(
        "asterisk_fax_peer_bad_lines_total",
        "Damaged lines in pages received from this peer, also in those rejected or cut off; always "
        "0 with ECM. Source: FAXSession, TotalBadLines summed over the pages.",
        _OF_PEER,
        When.BEGUN,
        lambda counts: counts.peers.bad_lines.items(),
    ),
    Declared(
        "asterisk_fax_peer_sessions_with_bad_lines_total",
        "Receive sessions of this peer that ended and had bad lines. Source: FAXSession.",
        _OF_PEER,
        When.BEGUN,
        lambda counts: counts.peers.sessions_with_bad_lines.items(),
    ),
    Declared(
        "asterisk_fax_peer_finished_total",
        "Faxes of this peer that ended, well or not. Source: SendFAX and ReceiveFAX events.",
        _OF_PEER,
        When.BEGUN,
        lambda counts: counts.peers.finished.items(),
    ),
    Declared(
        "asterisk_fax_peer_succeeded_total",
        "Faxes of this peer that ended with FAXSTATUS SUCCESS. Source: SendFAX and ReceiveFAX "
        "events with channelvars.",
        _OF_PEER,
        When.BEGUN,
        lambda counts: counts.peers.succeeded.items(),
    ),
    Declared(
        "asterisk_fax_peer_failures_total",
        "Faxes of this peer that ended with FAXSTATUS FAILED, by the reasons that there were. "
        "Exemplar: the Uniqueid of the last. Source: SendFAX and ReceiveFAX events with "
        "channelvars.",
        ("operation", "reason", "peer"),
        When.BEGUN,
        lambda counts: _with_exemplars(counts.peers.failures, counts.peers.exemplars),
    ),
)

PEER_SUMMARIES: Final[tuple[Declared[Counts], ...]] = (
    Declared(
        "asterisk_fax_peer_page_duration_seconds",
        "Time from page to page of this peer's faxes, seconds; see "
        "asterisk_fax_page_duration_seconds. Source: FAXSession.",
        _OF_PEER,
        When.BEGUN,
        lambda counts: [
            (key, Summary(counts.peers.pages_timed[key], seconds))
            for key, seconds in counts.peers.page_seconds.items()
        ],
    ),
)


def _read_well(file: File | None) -> Samples:
    return _one(None if file is None else file.successful)


def _read_at(file: File | None) -> Samples:
    return _one(None if file is None else file.success_timestamp)


EXPORTER: Final[tuple[Declared[Exporter], ...]] = (
    Declared(
        "asterisk_fax_exporter_build_info",
        "1; the labels name the exporter's version and that of Python.",
        ("version", "python"),
        When.ALWAYS,
        lambda _: [((__version__, platform.python_version()), 1)],
    ),
    Declared(
        "asterisk_fax_exporter_targets",
        "Asterisks that this exporter watches.",
        (),
        When.ALWAYS,
        lambda exporter: _one(exporter.targets),
    ),
    Declared(
        "asterisk_fax_exporter_keeps_up",
        "1 while polls begin in time, 0 while this exporter has more Asterisks than it can poll at "
        "the interval: for 30 s 2 % of its polls or more were late by half of it.",
        (),
        When.ALWAYS,
        lambda exporter: _one(None if exporter.pace is None else not exporter.pace.behind),
    ),
    Declared(
        "asterisk_fax_exporter_loop_busy_ratio",
        "Share of the last minute in which the process that polls was busy, or was given no CPU "
        "though it had something to do, 0 to 1: near 1 polls are late.",
        (),
        When.ALWAYS,
        lambda exporter: _one(None if exporter.pace is None else exporter.pace.busy),
    ),
    Declared(
        "asterisk_fax_exporter_config_last_reload_successful",
        "1 if the file of targets was without fault when it was last read, 0 if not: then an "
        "older one goes on; absent without --config.file.",
        (),
        When.ALWAYS,
        lambda exporter: _read_well(exporter.config),
    ),
    Declared(
        "asterisk_fax_exporter_config_last_reload_success_timestamp_seconds",
        "When the file of targets was last read without fault, seconds since the epoch.",
        (),
        When.ALWAYS,
        lambda exporter: _read_at(exporter.config),
    ),
    Declared(
        "asterisk_fax_exporter_web_config_last_reload_successful",
        "1 if the file of TLS and users, with the certificates it names, was without fault when "
        "it was last read, 0 if not: then an older one goes on; absent without --web.config.file.",
        (),
        When.ALWAYS,
        lambda exporter: _read_well(exporter.web_config),
    ),
    Declared(
        "asterisk_fax_exporter_web_config_last_reload_success_timestamp_seconds",
        "When the file of TLS and users was last read without fault, seconds since the epoch.",
        (),
        When.ALWAYS,
        lambda exporter: _read_at(exporter.web_config),
    ),
)

EXPORTER_HISTOGRAMS: Final[tuple[Declared[Exporter], ...]] = (
    Declared(
        "asterisk_fax_exporter_poll_lateness_seconds",
        "How long after they were due polls of all Asterisks began, as far as this exporter is the "
        "cause and not an Asterisk that answers slowly, seconds. One that takes the place of "
        "others, which were left out, is as late as the first of them.",
        (),
        When.ALWAYS,
        lambda exporter: [] if exporter.pace is None else [((), exporter.pace.lateness)],
    ),
)

EXPORTER_COUNTERS: Final[tuple[Declared[Exporter], ...]] = (
    Declared(
        "asterisk_fax_exporter_web_restarts_total",
        "Times that the web process ended and was started again; the polls went on meanwhile.",
        (),
        When.ALWAYS,
        lambda exporter: _one(exporter.web_restarts),
    ),
    Declared(
        "asterisk_fax_exporter_fax_lines_lost_total",
        "Lines of faxes that could not be written and for which there was no more room in memory, "
        "as while the disk is full; absent with --log.faxes=off.",
        (),
        When.ALWAYS,
        lambda exporter: _one(exporter.fax_lines_lost),
    ),
)

WEB_PROCESS: Final = "asterisk_fax_exporter_web"
"""Before the names of prometheus_client's metrics of the web process; those of the main process
have none: process_cpu_seconds_total."""


Table: TypeAlias = tuple[Kind, tuple[Declared[Source], ...]]

OF_TARGET: Final[tuple[Table[Counts], ...]] = (
    (Kind.GAUGE, GAUGES),
    (Kind.COUNTER, COUNTERS),
    (Kind.HISTOGRAM, HISTOGRAMS),
)
BY_PEER: Final[tuple[Table[Counts], ...]] = (
    (Kind.GAUGE, PEER_GAUGES),
    (Kind.COUNTER, PEER_COUNTERS),
    (Kind.SUMMARY, PEER_SUMMARIES),
)
"""Only with --metrics.peer-label."""
OF_EXPORTER: Final[tuple[Table[Exporter], ...]] = (
    (Kind.GAUGE, EXPORTER),
    (Kind.COUNTER, EXPORTER_COUNTERS),
    (Kind.HISTOGRAM, EXPORTER_HISTOGRAMS),
)


class Family(NamedTuple):
    """A metric with its samples as they stand now."""

    kind: Kind
    declared: Declared[Any]
    samples: Samples


def of_target(counts: Counts, *, peer_label: bool) -> Iterator[Family]:
    """What /probe shows: the metrics of one Asterisk."""
    status = counts.status
    shown = {
        When.ALWAYS: True,
        When.BEGUN: status.begun,
        When.SUCCEEDED: status.last_success is not None,
        When.CONNECTED: status.connected,
        When.UP: status.up,
        When.DOWN: not status.up,
        When.LISTED: status.up and status.sessions_listed,
    }
    for kind, table in OF_TARGET + (BY_PEER if peer_label else ()):
        for declared in table:
            if shown[declared.when]:
                yield Family(kind, declared, declared.samples(counts))


def of_exporter(exporter: Exporter, *, peer_label: bool) -> Iterator[Family]:
    """What /metrics shows but for the processes: the metrics of the exporter itself, and those of
    the Asterisk if it watches just one. A file that is not used has none."""
    for kind, table in OF_EXPORTER:
        for declared in table:
            if samples := list(declared.samples(exporter)):
                yield Family(kind, declared, samples)
    if exporter.only is not None:
        yield from of_target(exporter.only, peer_label=peer_label)


def of_processes(main: int | None) -> CollectorRegistry:
    """What prometheus_client tells of the exporter's processes. `main`: the id of the main one;
    None if it is this one, and there is no other."""
    registered = CollectorRegistry()
    if main is None:
        ProcessCollector(registry=registered)
    else:
        ProcessCollector(pid=lambda: main, registry=registered)
        ProcessCollector(namespace=WEB_PROCESS, registry=registered)
    return registered
