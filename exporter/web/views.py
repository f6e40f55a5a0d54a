"""What the page and the API show, as plain values: one target, its sessions, its last faxes.

Made from what the main process knows whenever somebody looks; no PBX is asked for it. File names,
channel names and station ids are personal data: they are None unless `details` is true.

Those of which there can be many thousands are not frozen: to make one that is takes three times as
long.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pydantic import TypeAdapter

from exporter.fax import FaxSession, FaxStats, Operation, State, named_resolution
from exporter.ledger import PAGE_OPERATIONS, Figures, RunningSession, last_hours
from exporter.polling import Clock, FaxShown, Shown, health_of
from exporter.words import visible


@dataclass(frozen=True, slots=True)
class ResolutionView:
    """What both ends agreed on, in dots per inch across and down the page."""

    name: str | None
    """standard, fine or superfine; None for others."""
    dpi_x: int
    dpi_y: int


@dataclass(slots=True)
class SessionView:
    """One session that runs now. None stands for not known, not yet agreed, or not applicable."""

    target: str
    number: int
    operation: str
    state: str
    transport: str
    page: int | None
    """The page being worked on, from 1; once Complete, the number of pages done."""
    data_rate_bps: int | None
    ecm: bool | None
    resolution: ResolutionView | None
    page_bad_lines: int | None
    session_bad_lines: int | None
    running_seconds: float
    """Since it was first seen; it may have run for longer if `start_seen` is False."""
    start_seen: bool
    since_page_seconds: float | None
    """Since its last page was done, or it was first seen; None for V.21 detectors."""
    channel: str | None
    files: str | None


@dataclass(slots=True)
class EndedView:
    """One fax that ended."""

    ended_timestamp: float
    """Seconds since the epoch."""
    ended_seconds_ago: float
    operation: str
    transport: str
    result: str
    """success, failed or unknown (no event came)."""
    reason: str | None
    """Why it failed: a value of the label `reason` of asterisk_fax_failures_total."""
    pages: int | None
    bad_lines: int | None
    duration_seconds: float | None
    data_rate_bps: int | None
    channel: str | None
    file: str | None
    local_station: str | None
    remote_station: str | None


@dataclass(frozen=True, slots=True)
class FailureView:
    """How many failed for one reason."""

    reason: str
    """A value of the label `reason` of asterisk_fax_failures_total."""
    faxes: int


@dataclass(slots=True)
class HourView:
    """One hour of the exporter's local clock."""

    start_timestamp: float
    """Seconds since the epoch."""
    faxes: int | None
    """How many were over then; None of an hour that was over before counting began."""
    failed: int | None


@dataclass(frozen=True, slots=True)
class PeerDayView:
    """What was counted today of one trunk or endpoint."""

    peer: str
    """As the label `peer`: `other` for those beyond the limit."""
    faxes: int
    succeeded: int
    failed: int
    success_ratio: float | None
    pages: int
    bad_lines: int
    failures: list[FailureView]


@dataclass(frozen=True, slots=True)
class DayView:
    """What was counted today, by the exporter's local clock: faxes that are over."""

    since_timestamp: float
    """Seconds since the epoch: midnight, or when counting began if that was later."""
    faxes: int
    """Those that never began are among them."""
    succeeded: int
    failed: int
    """Those whose result is not known are neither."""
    success_ratio: float | None
    """The share, 0 to 1, that ended well of those whose result is known; None if there is none."""
    pages: int
    """Of faxes that are over, as asterisk_fax_pages_*_total count them; likewise `bad_lines`."""
    bad_lines: int
    failures: list[FailureView]
    """The most frequent reason first."""
    peers: list[PeerDayView]
    """Those with most failures first; empty without --metrics.peer-label."""
    more_peers: int
    """How many further peers had faxes."""
    hours: list[HourView]
    """The last 24 hours, the oldest first, the present one last."""


@dataclass(frozen=True, slots=True)
class TargetView:
    """One PBX."""

    name: str
    up: bool
    health: str
    """failing, down, incomplete, starting or ok; see polling.Health."""
    why: str | None
    """What is wrong and what to do about it, in one sentence; None if nothing is."""
    trouble: str | None
    """Why it is not up; None if it is."""
    watched_since_timestamp: float
    """Seconds since the epoch: since when polls are tried."""
    down_since_timestamp: float | None
    """Seconds since the epoch: when the last successful poll ended; None while it is up, and if
    there never was one."""
    hints: list[str]
    """Each says what is missing at the PBX, and what to do about it."""
    asterisk_version: str | None
    ami_version: str | None
    last_poll_timestamp: float | None
    """Seconds since the epoch: the end of the last successful poll."""
    last_poll_seconds_ago: float | None
    collectors: dict[str, bool]
    stats: FaxStats | None
    """FAXStats: Asterisk's own counts since it started; None if not known now."""
    session_count: int
    failed: list[EndedView]
    """The last faxes that failed, the newest first."""
    others: list[EndedView]
    """The last faxes that succeeded, or whose result is not known; the newest first."""
    today: DayView


_TARGETS: Final = TypeAdapter(dict[str, list[TargetView]])
_SESSIONS: Final = TypeAdapter(dict[str, list[SessionView]])


def targets_json(targets: Iterable[TargetView]) -> bytes:
    """What /api/v1/targets answers."""
    return _TARGETS.dump_json({"targets": list(targets)})


def target_view(
    name: str,
    shown: Shown,
    clock: Clock,
    *,
    details: bool,
    hours: Sequence[float] | None = None,
) -> TargetView:
    """One PBX as it is now by this clock, which is that of its poller. `hours`: `last_hours` of
    now, where that is known; to find out takes longer than all the rest."""
    status = shown.status
    wall, monotonic = clock.wall(), clock.monotonic()
    ago = None if status.last_success is None else max(0.0, wall - status.last_success)
    health, why = health_of(status, shown.hints, shown.lately)
    return TargetView(
        name=name,
        up=status.up,
        health=health.value,
        why=visible(why) or None,
        trouble=trouble(status.outage),
        watched_since_timestamp=status.watched_since,
        down_since_timestamp=None if status.up else status.last_success,
        hints=[visible(hint) for hint in shown.hints],
        asterisk_version=status.asterisk_version or None,
        ami_version=visible(status.ami_version) or None,
        last_poll_timestamp=status.last_success,
        last_poll_seconds_ago=ago,
        collectors=status.collectors,
        stats=status.stats if status.up else None,
        session_count=shown.session_count,
        failed=_all_ended(shown.failed, wall, monotonic, details=details),
        others=_all_ended(shown.others, wall, monotonic, details=details),
        today=_day(shown, last_hours(wall) if hours is None else hours),
    )


def _day(shown: Shown, starts: Sequence[float]) -> DayView:
    day = shown.today
    return DayView(
        **_figures(day.figures),
        since_timestamp=day.since,
        peers=[PeerDayView(**_figures(of), peer=visible(p)) for p, of in day.peers.items()],
        more_peers=shown.more_peers,
        hours=_hours(shown, starts),
    )


def _figures(figures: Figures) -> dict[str, Any]:
    """What DayView and PeerDayView have in common."""
    return {
        "faxes": figures.faxes,
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "success_ratio": figures.success_ratio,
        "pages": figures.pages,
        "bad_lines": figures.bad_lines,
        "failures": [
            FailureView(reason.value, faxes) for reason, faxes in figures.failures.most_common()
        ],
    }


def _hours(shown: Shown, starts: Sequence[float]) -> list[HourView]:
    known = {hour.start: hour for hour in shown.hours}
    views = []
    for start, end in zip(starts, [*starts[1:], math.inf], strict=True):
        hour = known.get(start)
        if hour is None and end <= shown.counted_since:
            views.append(HourView(start, None, None))
        else:
            views.append(HourView(start, hour.faxes if hour else 0, hour.failed if hour else 0))
    return views


def trouble(outage: str | None) -> str | None:
    """Why a PBX is not up, as it can be shown; None if it is."""
    return None if outage is None else visible(outage)


def session_views(name: str, shown: Shown, clock: Clock, *, details: bool) -> list[SessionView]:
    """The sessions of the last FAXSessions list, the oldest first; none while the PBX is not up."""
    return running_views(name, _listed(shown), clock, details=details)


def running_views(
    name: str, running: Iterable[RunningSession], clock: Clock, *, details: bool
) -> list[SessionView]:
    """These sessions of one PBX."""
    monotonic = clock.monotonic()
    return [_session(name, one, monotonic, details=details) for one in running]


def target_json(name: str, shown: Shown, clock: Clock, *, details: bool) -> bytes:
    """What /api/v1/targets answers of one."""
    return targets_json([target_view(name, shown, clock, details=details)])


def sessions_json(name: str, shown: Shown, clock: Clock, *, details: bool) -> bytes:
    """What /api/v1/sessions answers of one."""
    return all_sessions_json([(name, _listed(shown))], clock, details=details)


def all_sessions_json(
    running: Iterable[tuple[str, Sequence[RunningSession]]], clock: Clock, *, details: bool
) -> bytes:
    """What /api/v1/sessions answers, of these by the name of their target."""
    views = (running_views(*one, clock, details=details) for one in running)
    return _SESSIONS.dump_json({"sessions": list(chain.from_iterable(views))})


def _listed(shown: Shown) -> list[RunningSession]:
    return shown.running if shown.status.lists_sessions else []


def _session(name: str, one: RunningSession, monotonic: float, *, details: bool) -> SessionView:
    listed, detail = one.listed, one.detail
    agreed = detail if detail is not None and detail.negotiated else None
    counted = detail is not None and listed.operation is Operation.RECEIVE
    return SessionView(
        target=name,
        number=listed.number,
        operation=listed.operation.value,
        state=listed.state.value,
        transport=listed.transport.value,
        page=_page(listed.state, detail),
        data_rate_bps=agreed.data_rate if agreed else None,
        ecm=agreed.ecm if agreed else None,
        resolution=_resolution(agreed.resolution) if agreed else None,
        page_bad_lines=detail.bad_lines if detail is not None and counted else None,
        session_bad_lines=one.bad_lines if counted else None,
        running_seconds=max(0.0, monotonic - one.first_seen),
        start_seen=one.start_seen,
        since_page_seconds=max(0.0, monotonic - one.progress_at)
        if listed.operation in PAGE_OPERATIONS
        else None,
        channel=visible(listed.channel) if details else None,
        files=visible(listed.files) if details else None,
    )


def _page(state: State, detail: FaxSession | None) -> int | None:
    if detail is None or detail.page_number is None:
        return None
    # Asterisk reports the pages done + 1, even if no further page follows.
    done = max(0, detail.page_number - 1)
    return done if state is State.COMPLETE else done + 1


def _resolution(resolution: tuple[int, int] | None) -> ResolutionView | None:
    """None for gateways, which have no resolution."""
    return None if resolution is None else ResolutionView(*named_resolution(resolution))


_RESULTS: Final[Mapping[bool | None, str]] = {True: "success", False: "failed", None: "unknown"}


def _all_ended(
    faxes: Iterable[FaxShown], wall: float, monotonic: float, *, details: bool
) -> list[EndedView]:
    views = [_ended(fax, wall, monotonic, details=details) for fax in faxes]
    # A fax without an event enters the history only some seconds after its end.
    return sorted(views, key=lambda view: view.ended_seconds_ago)


def _ended(fax: FaxShown, wall: float, monotonic: float, *, details: bool) -> EndedView:
    ago = max(0.0, monotonic - fax.ended_at)
    return EndedView(
        ended_timestamp=wall - ago,
        ended_seconds_ago=ago,
        operation=fax.operation,
        transport=fax.transport,
        result=_RESULTS[fax.succeeded],
        reason=fax.reason,
        pages=fax.pages,
        bad_lines=fax.bad_lines,
        duration_seconds=fax.seconds,
        data_rate_bps=fax.data_rate,
        channel=visible(fax.channel) if details else None,
        file=visible(fax.file) if details else None,
        local_station=visible(fax.local_station) if details else None,
        remote_station=visible(fax.remote_station) if details else None,
    )
