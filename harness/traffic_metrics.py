"""The exporter's metrics of a simulated PBX: which there are, and what each fax and event adds.

The names and labels are written down here once more, on purpose: tests compare them with what the
real exporter publishes.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from exporter.fax import Reason
from exporter.polling import Failure
from harness.traffic import MINUTE, SETUP, Fax, Pbx, World
from harness.traffic_series import Collected, Kind, Labels, Run, Watch, runs, smallest, text

RESULTS: Final = ("send", "receive")
PAGES: Final = {
    "send": "pages_transmitted_total",
    "receive": "pages_received_total",
    "gateway": "pages_relayed_total",
}
OPERATIONS: Final = (*PAGES, "V.21", "none")
TRANSPORTS: Final = ("g711", "t38", "none")
COUNTED: Final = ("Active", "Complete")
LISTED: Final = (
    *product(PAGES, ("Initialized", "Open", "Active", "Complete")),
    ("V.21", "Active"),
)
ASKED: Final = tuple(product(PAGES, COUNTED))
CARRIED: Final = (*product(RESULTS, TRANSPORTS), ("gateway", "none"), ("V.21", "none"))
BUCKETS: Final[Mapping[str, Sequence[int]]] = {
    "page_duration_seconds": (5, 10, 15, 20, 30, 45, 60, 120),
    "session_duration_seconds": (15, 30, 60, 120, 300, 600, 1800),
    "session_pages": (0, 1, 2, 5, 10, 20),
    "session_data_rate_bps": (2400, 4800, 7200, 9600, 12000, 14400),
    "session_bad_lines": (0, 1, 10, 30, 100, 300, 1000),
}
PEER_WAIT: Final = 120.0
"""For so long a new series of a peer stands at 0, seconds."""
POLL: Final = 5.0
"""From poll to poll, seconds."""

_OPERATION: Final[Mapping[str, Labels]] = {one: (("operation", one),) for one in OPERATIONS}


def series(
    world: World, step: float, steps: int, names: Collection[str] | None = None
) -> Iterator[dict[str, str]]:
    """What promtool takes as input_series: of `steps` scrapes, `step` seconds apart.

    `names`: of the metrics that are wanted; None: all.
    """
    for pbx in world:
        for exporter in pbx.exporters:
            watch = Watch(pbx, exporter, step, steps)
            labels = (*pbx.labels.items(), *exporter.labels.items())

            for name, own, parts in _of_target(pbx, watch, names):
                inside = ",".join(f'{key}="{value}"' for key, value in (*labels, *own))
                yield {"series": f"{name}{{{inside}}}", "values": text(parts, watch)}


def _of_target(
    pbx: Pbx, watch: Watch, names: Collection[str] | None
) -> Iterator[tuple[str, Labels, Iterator[Run]]]:
    target = _Target(watch, pbx, lambda name: names is None or name in names)
    for (name, own), one in target.collected.series.items():
        yield name, own, runs(one, watch)
    for name, parts in _steady(watch):
        if names is None or name in names:
            yield name, (), parts


def _steady(watch: Watch) -> Iterator[tuple[str, Iterator[Run]]]:
    """What goes up with time."""
    yield (
        "up",
        (Run(float(s.scraped) if s.listed else None, s.end - s.first) for s in watch.segments),
    )
    yield "asterisk_fax_last_poll_timestamp_seconds", _polled(watch)
    yield "asterisk_fax_polls_total", _polls(watch)


def _polled(watch: Watch) -> Iterator[Run]:
    last: float | None = None
    for segment in watch.segments:
        count = segment.end - segment.first
        if segment.up:
            yield Run(segment.first * watch.step - 1, count, watch.step)
            last = (segment.end - 1) * watch.step
        else:
            yield Run(last if segment.scraped else None, count)


def _polls(watch: Watch) -> Iterator[Run]:
    life, begun = -1, 0
    for segment in watch.segments:
        if segment.exporter != life:
            life, begun = segment.exporter, segment.first
        polls = (segment.first - begun) * watch.step / POLL
        if segment.scraped:
            yield Run(polls, segment.end - segment.first, watch.step / POLL)
        else:
            yield Run(None, segment.end - segment.first)


class _Target:
    """One PBX as one exporter counts it."""

    def __init__(self, watch: Watch, pbx: Pbx, wanted: Callable[[str], bool]) -> None:
        self.watch = watch
        self.by_peer = pbx.peer_label
        self.collected = Collected(watch, wanted)
        self.born: dict[Labels, float] = {}
        """When each series of peers began, by its labels."""
        self._open()
        self._happen()
        running = [one for fax in pbx.faxes if (one := self._fax(fax))]
        self._oldest(running)

    # The series that are there from the first.

    def _open(self) -> None:
        of = _OPERATION
        every: list[tuple[Kind, str, Sequence[Labels]]] = [
            (Kind.TOTAL, "up", [()]),
            (Kind.TOTAL, "collector_up", _each("collector", ("sessions", "stats", "events"))),
            (Kind.LAST, "down_since_timestamp_seconds", [()]),
            (Kind.GAUGE, "sessions", _pairs("state", LISTED)),
            *(
                (Kind.GAUGE, name, _pairs("state", ASKED))
                for name in ("negotiated_sessions", "data_rate_bps", "ecm_sessions")
            ),
            (Kind.GAUGE, "transport_sessions", _pairs("transport", CARRIED)),
            *((Kind.HELD, f"oldest_session_start_{_AT}", [of[one]]) for one in OPERATIONS),
            *((Kind.HELD, f"oldest_progress_{_AT}", [of[one]]) for one in PAGES),
            (Kind.GAUGE, "current_sessions", [()]),
            (Kind.GAUGE, "reserved_sessions", [()]),
            (Kind.GAUGE, "asterisk_info", [(("version", "22.5.0"), ("ami_version", "11.0.0"))]),
            (Kind.HELD, f"asterisk_start_{_AT}", [()]),
            (Kind.LAST, "last_poll_duration_seconds", [()]),
            *(
                (Kind.LAST, f"{name}_{_AT}", [of[one]])
                for name in ("last_fax", "last_success")
                for one in RESULTS
            ),
            *(
                (Kind.TOTAL, name, _pairs("state", [(o, s) for s in COUNTED]))
                for o, name in PAGES.items()
            ),
            (Kind.TOTAL, "bad_lines_total", _pairs("state", [("receive", s) for s in COUNTED])),
            (Kind.TOTAL, "pages_rejected_total", [of["receive"]]),
            (Kind.TOTAL, "rate_fallbacks_total", [of[one] for one in PAGES]),
            *((Kind.TOTAL, f"sessions_{a}_total", list(of.values())) for a in ("started", "ended")),
            *(
                (Kind.TOTAL, f"{name}_total", _pairs("transport", product(RESULTS, TRANSPORTS)))
                for name in ("finished", "succeeded")
            ),
            (Kind.TOTAL, "failures_total", _pairs("reason", product(RESULTS, Reason))),
            (Kind.TOTAL, "results_unknown_total", [of[one] for one in RESULTS]),
            (Kind.TOTAL, "unobserved_completions_total", [()]),
            *(
                (Kind.STATS, f"{name}_total", [()])
                for name in ("transmit_attempts", "receive_attempts", "completed", "failed")
            ),
            (Kind.TOTAL, "poll_failures_total", _each("reason", Failure)),
            (Kind.TOTAL, "connects_total", [()]),
            (Kind.TOTAL, "asterisk_restarts_total", [()]),
            (Kind.TOTAL, "late_polls_total", [()]),
            (Kind.TOTAL, "exporter_build_info", [(("version", "0"), ("python", "3"))]),
            (Kind.TOTAL, "exporter_targets", [()]),
            (Kind.TOTAL, "exporter_web_restarts_total", [()]),
        ]
        for kind, name, labels in every:
            for own in labels:
                self.collected.open(f"asterisk_fax_{name}", own, kind)
        for name, bounds in BUCKETS.items():
            for operation in ("receive",) if name == "session_bad_lines" else RESULTS:
                for bucket in _buckets(operation, bounds):
                    self.collected.open(f"asterisk_fax_{name}_bucket", bucket)
                for part in ("sum", "count"):
                    self.collected.open(f"asterisk_fax_{name}_{part}", of[operation])

    def _add(self, name: str, labels: Labels, time: float, amount: float = 1) -> None:
        self.collected.add(f"asterisk_fax_{name}", labels, time, amount)

    def _observe(self, name: str, operation: str, time: float, value: float) -> None:
        if operation not in RESULTS or (name == "session_bad_lines" and operation != "receive"):
            return
        bounds = BUCKETS[name]
        if self.collected.wants(f"asterisk_fax_{name}_bucket"):
            for bucket in _buckets(operation, bounds)[bisect_left(bounds, value) :]:
                self._add(f"{name}_bucket", bucket, time)
        self._add(f"{name}_sum", _OPERATION[operation], time, value)
        self._add(f"{name}_count", _OPERATION[operation], time)

    # What happens beside faxes.

    def _happen(self) -> None:
        watch = self.watch
        begins = [watch.listed.since, *(span.until for span in watch.exporter.all)]
        for begin in begins:
            self._add("exporter_build_info", (("version", "0"), ("python", "3")), begin)
            self._add("exporter_targets", (), begin)
        self._add("asterisk_info", (("version", "22.5.0"), ("ami_version", "11.0.0")), 0)
        self._add(f"asterisk_start_{_AT}", (), 0, -3600)
        for span in watch.asterisk.all:
            self._add(f"asterisk_start_{_AT}", (), span.until, span.until)
            if watch.runs(span.until):
                self._add("asterisk_restarts_total", (), span.until)
        outages = sorted((*watch.asterisk.all, *watch.cut.all))
        for begin in begins:
            since = watch.seen_from(begin)
            if since > begin:
                self._down(begin, since, watch.exporter.begun(begin))
            elif since < math.inf:
                self._up(since)
        for span in outages:
            if watch.runs(span.since) and watch.sees(span.since - 0.001):
                self._down(
                    span.since, watch.seen_from(span.since), watch.exporter.begun(span.since)
                )

    def _up(self, time: float) -> None:
        for name in ("up", "connects_total"):
            self._add(name, (), time)
        for part in ("sessions", "stats", "events"):
            self._add("collector_up", (("collector", part),), time)
        self._add("last_poll_duration_seconds", (), time, 0.02)
        self._add(f"down_since_{_AT}", (), time, math.nan)

    def _down(self, since: float, until: float, life: int) -> None:
        if self.watch.sees(since - 0.001):
            self._add("up", (), since, -1)
            for part in ("sessions", "stats", "events"):
                self._add("collector_up", (("collector", part),), since, -1)
            self._add("poll_failures_total", (("reason", "connection_lost"),), since)
        self._add(f"down_since_{_AT}", (), since, since)
        time = since + 1
        while time < min(until, self.watch.step * self.watch.steps):
            self._add("poll_failures_total", (("reason", "connect"),), time)
            time += MINUTE
        if until < math.inf and self.watch.exporter.begun(until) == life:
            self._up(until)

    # Faxes.

    def _fax(self, fax: Fax) -> tuple[Fax, float] | None:
        """The fax and when it ended, if it was there at all."""
        watch, stats = self.watch, fax.operation in RESULTS
        if watch.asterisk.at(fax.begin):
            return None
        stop = watch.asterisk.after(fax.begin)
        end = fax.end if stop is None else min(fax.end, stop.since)
        done = end == fax.end
        if stats:
            attempts = "transmit" if fax.operation == "send" else "receive"
            self._add(f"{attempts}_attempts_total", (), fax.begin)
        if not fax.begins:
            return None
        if stats and done:
            self._add("completed_total", (), end)
            if fax.reason:
                self._add("failed_total", (), end)
        self._listed(fax, end)
        self._counted(fax, end, done)
        if stats and done:
            self._result(fax, end)
        return fax, end

    def _listed(self, fax: Fax, end: float) -> None:
        """The gauges of sessions."""
        agreed = min(fax.begin + SETUP, end)
        transport = fax.transport if fax.operation in RESULTS else "none"
        active = _pair(fax.operation, "state", "Active")
        for name, labels, since, amount in (
            ("current_sessions", (), fax.begin, 1),
            ("transport_sessions", _pair(fax.operation, "transport", transport), fax.begin, 1),
            ("sessions", active, agreed, 1),
            ("negotiated_sessions", active, agreed, 1),
            ("data_rate_bps", active, agreed, fax.data_rate),
            ("ecm_sessions", active, agreed, int(fax.ecm)),
        ):
            self._add(name, labels, since, amount)
            self._add(name, labels, end, -amount)
        opened = _pair(fax.operation, "state", "Open")
        self._add("sessions", opened, fax.begin)
        self._add("sessions", opened, agreed, -1)
        if self.by_peer:
            of = self._peer(fax, fax.begin)
            self._add("peer_sessions", of, fax.begin)
            self._add("peer_sessions", of, end, -1)

    def _counted(self, fax: Fax, end: float, done: bool) -> None:
        """Pages, bad lines and what is observed at the end."""
        watch, of = self.watch, _OPERATION[fax.operation]
        if watch.sees(fax.begin):
            self._add("sessions_started_total", of, fax.begin)
        pages = lines = 0
        for number in range(fax.pages + fax.rejected):
            time = fax.begin + SETUP + (number + 1) * fax.page_seconds
            if time > end:
                break
            so_far = fax.bad_lines * (number + 1) // (fax.pages + fax.rejected)
            rejected = number < fax.rejected
            if watch.sees(time):
                self._page(fax, time, so_far - lines, rejected, time == fax.end)
            pages += not rejected
            lines = so_far
        seen = end if watch.sees(end) else watch.seen_from(end)
        if fax.fallbacks and end > fax.begin + SETUP and watch.sees(fax.begin + SETUP):
            self._add("rate_fallbacks_total", of, fax.begin + SETUP, fax.fallbacks)
        # What ended while nobody looked is gone from the next list; a new exporter never knew it.
        if seen < math.inf and watch.exporter.begun(seen) == watch.exporter.begun(end):
            self._add("sessions_ended_total", of, seen)
            self._observe("session_duration_seconds", fax.operation, seen, end - fax.begin)
            self._observe("session_pages", fax.operation, seen, pages)
            if end > fax.begin + SETUP:
                self._observe("session_data_rate_bps", fax.operation, seen, fax.data_rate)
            self._observe("session_bad_lines", fax.operation, seen, lines)
            if self.by_peer and lines and fax.operation == "receive":
                self._of_peer("sessions_with_bad_lines_total", fax, seen)

    def _page(self, fax: Fax, time: float, lines: int, rejected: bool, last: bool) -> None:
        state = "Complete" if last and fax.operation in RESULTS else "Active"
        if lines and fax.operation == "receive":
            self._add("bad_lines_total", _pair("receive", "state", "Active"), time, lines)
            if self.by_peer:
                self._of_peer("bad_lines_total", fax, time, lines)
        if rejected:
            self._add("pages_rejected_total", _OPERATION["receive"], time)
            return
        self._add(PAGES[fax.operation], _pair(fax.operation, "state", state), time)
        self._observe("page_duration_seconds", fax.operation, time, fax.page_seconds)
        if self.by_peer:
            self._of_peer("pages_total", fax, time)
            if fax.operation in RESULTS:
                self._of_peer("page_duration_seconds_sum", fax, time, fax.page_seconds)
                self._of_peer("page_duration_seconds_count", fax, time)

    def _result(self, fax: Fax, end: float) -> None:
        """What the completion event tells, which nobody hears while the PBX is out of sight."""
        watch, of = self.watch, _OPERATION[fax.operation]
        if not watch.sees(end):
            seen = watch.seen_from(end)
            same = watch.exporter.begun(seen) == watch.exporter.begun(end) and watch.runs(end)
            if seen < math.inf and same and watch.asterisk.begun(seen) == watch.asterisk.begun(end):
                self._add("unobserved_completions_total", (), seen)
            return
        carried = _pair(fax.operation, "transport", fax.transport)
        self._add("finished_total", carried, end)
        self._add(f"last_fax_{_AT}", of, end, end)
        if fax.reason is None:
            self._add("succeeded_total", carried, end)
            self._add(f"last_success_{_AT}", of, end, end)
        else:
            self._add("failures_total", _pair(fax.operation, "reason", fax.reason), end)
        if self.by_peer:
            self._of_peer("finished_total", fax, end)
            if fax.reason is None:
                self._of_peer("succeeded_total", fax, end)
            else:
                self._of_peer("failures_total", fax, end, reason=fax.reason)

    # Peers.

    def _peer(self, fax: Fax, time: float) -> Labels:
        """The labels of its peer's series, which are there from the first fax on."""
        own = (("operation", fax.operation), ("peer", fax.peer))
        if own not in self.born:
            self.born[own] = time
            totals = ["pages_total"]
            if fax.operation in RESULTS:
                totals += ["finished_total", "succeeded_total"]
                totals += ["page_duration_seconds_sum", "page_duration_seconds_count"]
            if fax.operation == "receive":
                totals += ["bad_lines_total", "sessions_with_bad_lines_total"]
            self.collected.open("asterisk_fax_peer_sessions", own, Kind.GAUGE, time)
            for name in totals:
                self.collected.open(f"asterisk_fax_peer_{name}", own, Kind.TOTAL, time)
        return own

    def _of_peer(
        self, name: str, fax: Fax, time: float, amount: float = 1, reason: str = ""
    ) -> None:
        own = self._peer(fax, fax.begin)
        if reason:
            own = (own[0], ("reason", reason), own[1])
            if own not in self.born:
                self.born[own] = time
                self.collected.open(f"asterisk_fax_peer_{name}", own, Kind.TOTAL, time)
        self._add(f"peer_{name}", own, max(time, self.born[own] + PEER_WAIT), amount)

    # What runs for the longest time.

    def _oldest(self, running: Sequence[tuple[Fax, float]]) -> None:
        for operation in PAGES:
            of = [(fax, end) for fax, end in running if fax.operation == operation]
            own = _OPERATION[operation]
            if self.collected.wants(f"asterisk_fax_oldest_session_start_{_AT}"):
                spans = [(fax.begin, end, fax.begin) for fax, end in of]
                for time, value in smallest(spans):
                    self._add(f"oldest_session_start_{_AT}", own, time, value)
            if self.collected.wants(f"asterisk_fax_oldest_progress_{_AT}"):
                spans = [span for fax, end in of for span in _progress(fax, end)]
                for time, value in smallest(spans):
                    self._add(f"oldest_progress_{_AT}", own, time, value)


_AT: Final = "timestamp_seconds"


def _progress(fax: Fax, end: float) -> Iterator[tuple[float, float, float]]:
    since = fax.begin
    for number in range(fax.pages):
        page = fax.begin + SETUP + (number + 1) * fax.page_seconds
        if page >= end:
            break
        yield since, page, since
        since = page
    if since < end:
        yield since, end, since


def _each(label: str, values: Iterable[str]) -> list[Labels]:
    return [((label, str(value)),) for value in values]


def _pair(operation: str, label: str, value: str) -> Labels:
    return (("operation", operation), (label, value))


def _pairs(label: str, pairs: Iterable[tuple[str, str]]) -> list[Labels]:
    return [_pair(operation, label, str(value)) for operation, value in pairs]


def _buckets(operation: str, bounds: Sequence[int]) -> list[Labels]:
    return [
        (("operation", operation), ("le", bound))
        for bound in (*(f"{bound:.1f}" for bound in bounds), "+Inf")
    ]
