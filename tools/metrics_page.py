"""docs/metrics.md, from the declarations in exporter/metrics.py.

Names, helps, labels and buckets come from there; what each label and value means is written here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from exporter import metrics
from exporter.fax import FaxStats, Operation, Reason, State, Transport
from exporter.ledger import OTHER_PEER, Histogram, Ledger, Observation
from exporter.link import FileState
from exporter.metrics import Declared, When
from exporter.polling import Counts, Failure, Pace, Poller
from exporter.polling.lateness import BOUNDS
from exporter.settings import AmiSettings

FILE: Final = Path("docs/metrics.md")

OPERATIONS: Final[Mapping[str, str]] = {
    Operation.SEND: "Asterisk sends the fax.",
    Operation.RECEIVE: "Asterisk receives the fax.",
    Operation.GATEWAY: "Asterisk relays the fax between audio and T.38; no completion event.",
    Operation.V21: "A detector that listens in a call for the V.21 signal of a fax: no fax.",
    Operation.NONE: "Not known, or not readable.",
}
STATES: Final[Mapping[str, str]] = {
    State.UNINITIALIZED: "Being set up.",
    State.INITIALIZED: "Set up and about to begin. FAXSession must not be asked about it.",
    State.OPEN: "Open, and not yet at work.",
    State.ACTIVE: "At work.",
    State.COMPLETE: "Done, and about to leave the list.",
    State.RESERVED: "Held in reserve.",
    State.INACTIVE: "At rest.",
    State.UNKNOWN: "Asterisk's own word for none of these, or a state that cannot be read.",
}
TRANSPORTS: Final[Mapping[str, str]] = {
    Transport.G711: "As sound.",
    Transport.T38: "As T.38 packets.",
    Transport.NONE: "Neither: a gateway, a V.21 detector, a session that is switching; of a "
    "completion event, that `channelvars` is missing.",
}
REASONS: Final[Mapping[str, str]] = {
    Reason.CALL_DROPPED: "The call ended before the fax did.",
    Reason.NO_FAX: "No fax machine answered: nothing, a voice, or a tone that never ended.",
    Reason.NEGOTIATION: "The far end cannot do what the fax needs.",
    Reason.TRAINING: "The modems found no rate at which the line carries data.",
    Reason.RETRIES: "The same page or command was repeated as often as is allowed.",
    Reason.TX_PROTOCOL: "While sending: the far end did not answer, or not as T.30 has it.",
    Reason.RX_PROTOCOL: "While receiving: the far end fell silent, or did not do as T.30 has it.",
    Reason.NOT_ACCEPTED: "The far end refused: password, sub-address, polling, identification.",
    Reason.FILE: "The TIFF file cannot be read, or cannot be written.",
    Reason.MEMORY: "Asterisk ran out of memory.",
    Reason.T38_NEGOTIATION: "The two ends did not agree on T.38.",
    Reason.TIMEOUT: "Asterisk waited for too long.",
    Reason.INIT: "Asterisk could not begin the fax.",
    Reason.ARGUMENTS: "SendFAX or ReceiveFAX was called with wrong arguments.",
    Reason.UNKNOWN: "Asterisk's own word: it does not know.",
    Reason.OTHER: "A text that is none of those known.",
}
FAILURES: Final[Mapping[str, str]] = {
    Failure.CONNECT: "No connection: refused, unreachable, no route, timed out, an unknown name, "
    "no TLS, or closed before Asterisk greeted; the log says which.",
    Failure.LOGIN: "Asterisk refused name, secret or address, or a second login under this name; "
    "or it sent no challenge to log in with, and was told nothing.",
    Failure.LOST: "The connection ended, or was silent for too long.",
    Failure.TIMEOUT: "No complete answer within `--ami.timeout`.",
    Failure.DENIED: "Asterisk answered Permission denied: a write class is missing.",
    Failure.UNKNOWN_ACTION: "Asterisk does not know the action: res_fax is not loaded, or it is an "
    "Asterisk before 13.",
    Failure.ERROR: "Asterisk answered an action with another error, as FAXSession with a fax "
    "technology that has none.",
    Failure.SHUTTING_DOWN: "Asterisk stops or restarts gracefully, and refuses every action until "
    "its last call has ended.",
    Failure.UNANSWERED: "One action had no answer that fits, while others had.",
    Failure.MALFORMED: "An answer had something in it that cannot be read; the rest of it counts.",
    Failure.INTERNAL: "A defect of the exporter; its log has the traceback.",
}
COLLECTORS: Final[Mapping[str, str]] = {
    "sessions": "FAXSessions and FAXSession: needs write class `call`, and res_fax.",
    "stats": "FAXStats: needs write class `reporting`, and res_fax.",
    "events": "SendFAX and ReceiveFAX events: need read class `call`; 1 also where neither of the "
    "others works.",
}
LABELS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "operation": ("What a session does, in Asterisk's words.", OPERATIONS),
    "state": (
        "Where a session is, in Asterisk's words; it only ever advances. Of a counter, the state "
        "in which the increment was seen.",
        STATES,
    ),
    "transport": ("How the fax travels.", TRANSPORTS),
    "collector": ("A part of a poll.", COLLECTORS),
    "version": ("Of Asterisk, or of the exporter: what it says of itself.", {}),
    "ami_version": ("Of the manager interface: from its greeting.", {}),
    "python": ("The version of Python that runs the exporter.", {}),
    "peer": (
        "Technology and endpoint of the channel, such as "
        "`PJSIP/trunk-berlin`; of a Local channel its context. At most `--metrics.peer-limit` of "
        "them.",
        {OTHER_PEER: "Every peer beyond the limit, and channels whose name has none."},
    ),
}
REASON_OF: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "asterisk_fax_failures_total": (
        "Why a fax failed, from FAXERROR and FAXSTATUSSTRING.",
        REASONS,
    ),
    "asterisk_fax_peer_failures_total": (
        "As of `asterisk_fax_failures_total`; of a peer there are those that it had.",
        REASONS,
    ),
    "asterisk_fax_poll_failures_total": (
        "Why the exporter could not ask, or not read all.",
        FAILURES,
    ),
}
"""`reason` has different values in these metrics."""

_STANDS: Final = {
    When.ALWAYS: "",
    When.BEGUN: "once a poll was answered, be it by refusals, and from then on also while Asterisk "
    "is away",
    When.SUCCEEDED: "once a poll has succeeded, and from then on also while Asterisk is away",
    When.CONNECTED: "while logged in to Asterisk",
    When.UP: "while polls succeed",
    When.DOWN: "while polls do not succeed",
    When.LISTED: "while polls bring the list of sessions",
}
_TABLES: Final[Sequence[tuple[str, str, Sequence[Declared[Any]]]]] = (
    ("Gauges", "gauge", metrics.GAUGES),
    ("Counters", "counter", metrics.COUNTERS),
    ("Histograms", "histogram", metrics.HISTOGRAMS),
    ("By peer: gauges", "gauge", metrics.PEER_GAUGES),
    ("By peer: counters", "counter", metrics.PEER_COUNTERS),
    ("By peer: summaries", "summary", metrics.PEER_SUMMARIES),
    ("The exporter itself", "gauge", metrics.EXPORTER),
    ("The exporter itself: counters", "counter", metrics.EXPORTER_COUNTERS),
    ("The exporter itself: histograms", "histogram", metrics.EXPORTER_HISTOGRAMS),
)

_FILE: Final = FileState(successful=True, success_timestamp=0.0)
_PACE: Final = Pace(Histogram(BOUNDS), 0.0, "")
_EXPORTER: Final = metrics.Exporter(1, _PACE, config=_FILE, web_config=_FILE)
_OF_EXPORTER: Final = {declared.name for _, table in metrics.OF_EXPORTER for declared in table}

_ABOUT: Final = """\
With several PBXs, the metrics of a PBX stand at `/probe?target=NAME` and those of the
exporter itself at `/metrics`; with one PBX all of them are at `/metrics`. Beside them are
those of the two processes (`process_*`, by the Prometheus client library, and
`asterisk_fax_exporter_web_process_*`).

From the first poll that was answered, be it by a refusal, every counter that can occur stands
there with 0. While the PBX cannot be reached, session gauges and FAXStats values are absent,
counters stay, and `asterisk_fax_up` is 0. So it is, too, while Asterisk answers neither
FAXSessions nor FAXStats: then completion events alone are counted. What the figures cannot tell
is in [limits.md](limits.md).

With `--metrics.peer-label` there are also metrics by peer, `asterisk_fax_peer_*`; all others
stay as they are. Which peers there are, and why their faxes will fail, is not known beforehand,
and Prometheus takes the first value of a series for no increase. So a new series of these stands
at 0 for two minutes, and then shows all that was counted. With `--metrics.peer-file` they are
remembered, and stand there at once after a restart of the exporter. The file has what is new
within 30 s; a peer that had no fax for 90 days is forgotten. Each exporter needs one of its own.
A peer whose faxes also go through a T.38 gateway has two more, of `gateway`.

In OpenMetrics, failures and the `session_*` histograms of faxes have exemplars: the Uniqueid of
the last fax that was counted there, which leads to CDR, CEL and log. Prometheus stores them with
`--enable-feature=exemplar-storage`.

The column *samples* says what each costs at one scrape: of a PBX without a fax, or of one peer
that sends and receives. Beside those of the processes, which are about 12, an idle PBX has {idle},
and a peer {peer} and one for each reason that its faxes failed for. Those with a + come and go,
or come with the first fax.
"""


def explained(metric: str, label: str) -> tuple[str, Mapping[str, str]]:
    """What a label of a metric is about, and what each of its values means; KeyError if it is not
    explained."""
    return REASON_OF[metric] if label == "reason" else LABELS[label]


def text() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "<!-- Made by `make docs` from exporter/metrics.py; change it there. -->"
    yield ""
    counts = _one_poll()
    costs = {
        declared.name: _samples(declared, kind, counts)
        for _, kind, table in _TABLES
        for declared in table
    }
    of_peer = sum(cost for name, cost in costs.items() if name.startswith("asterisk_fax_peer_"))
    idle = sum(costs.values()) - of_peer
    yield _ABOUT.format(idle=idle, peer=of_peer)
    yield "| metric | type | labels | samples | |"
    yield "|---|---|---|---|---|"
    for _, kind, table in _TABLES:
        for declared in table:
            cells = (
                f"[`{declared.name}`](#{declared.name})",
                kind,
                ", ".join(declared.labels),
                str(costs[declared.name] or "+"),
                _first_clause(declared.help),
            )
            yield f"| {' | '.join(cells)} |"
    for title, kind, table in _TABLES:
        yield ""
        yield f"## {title}"
        for declared in table:
            yield ""
            yield f"### `{declared.name}`"
            yield ""
            yield declared.help.replace("|", "\\|")
            yield ""
            yield f"* {kind[0].upper()}{kind[1:]}" + (
                f"; stands there {stands}." if (stands := _STANDS[declared.when]) else "."
            )
            if declared.labels:
                yield f"* Labels: {_labels(declared, counts)}."
            if kind == "histogram":
                yield f"* Buckets: {_bounds(declared, counts)}."
    yield ""
    yield "## Labels"
    for name, (about, values) in LABELS.items():
        yield from _label(f"`{name}`", about, values)
    for metric, (about, values) in REASON_OF.items():
        yield from _label(f"`reason` of `{metric}`", about, values)


def _first_clause(help: str) -> str:
    """A help up to where it goes into detail."""
    return re.split(r"\. |: |(?<!\b1); ", help.removesuffix("."))[0].replace("|", "\\|")


def _label(title: str, about: str, values: Mapping[str, str]) -> Iterator[str]:
    yield ""
    yield f"### {title}"
    yield ""
    yield about
    if values:
        yield ""
        yield "| value | means |"
        yield "|---|---|"
        for value, meaning in values.items():
            yield f"| `{value}` | {meaning} |"


def _one_poll() -> Counts:
    """Those of the first poll of an Asterisk without sessions, and with one known peer: they have
    all series."""
    settings = AmiSettings(username="exporter", secret=SecretStr("secret"))
    ledger = Ledger(1, {"PJSIP/trunk": {Operation.SEND: [], Operation.RECEIVE: []}})
    poller = Poller(settings, 1.0, ledger)
    poller.ledger.observe(Observation(0.0, 0.0, 0.0, (), True, {}))
    poller.status.stats = FaxStats(0, 0, 0, 0, 0, 0)
    poller.status.last_success = poller.status.last_duration = 0.0
    poller.status.up, poller.status.asterisk_start = True, 0
    poller.ledger.gauges.peers.update({key: 0 for key in ledger.peers.totals.finished})
    return Counts.of(poller)


def _samples(declared: Declared[Any], kind: str, counts: Counts) -> int:
    """How many samples a scrape of an idle PBX has of it; of one peer if it is by peer."""
    source = _source(declared, counts)
    values = [value for _, value in declared.samples(source)]
    if kind == "summary":
        return 2 * len(values)
    return sum(len(one.counts) + 2 if isinstance(one, Histogram) else 1 for one in values)


def _labels(declared: Declared[Any], counts: Counts) -> str:
    parts = []
    of_exporter = declared.name in _OF_EXPORTER
    keys = [] if of_exporter else [key for key, _ in declared.samples(counts)]
    for place, label in enumerate(declared.labels):
        used = list(dict.fromkeys(str(key[place]) for key in keys))
        everything = explained(declared.name, label)[1]
        # Values are listed only where not all of them can occur.
        fewer = used and len(used) < len(everything)
        some = f" ({', '.join(f'`{value}`' for value in used)})" if fewer else ""
        parts.append(f"`{label}`{some}")
    return ", ".join(parts)


def _source(declared: Declared[Any], counts: Counts) -> metrics.Exporter | Counts:
    return _EXPORTER if declared.name in _OF_EXPORTER else counts


def _bounds(declared: Declared[Any], counts: Counts) -> str:
    values = [value for _, value in declared.samples(_source(declared, counts))]
    (bounds,) = {value.bounds for value in values if isinstance(value, Histogram)}
    return ", ".join(map(str, (*bounds, "+Inf")))
