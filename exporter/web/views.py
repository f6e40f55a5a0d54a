"""What the page and the API show, as plain values: one target, its sessions, its last faxes.

Made from what the main process knows whenever somebody looks; no PBX is asked for it. File names,
channel names and station ids are personal data: they are None unless `details` is true.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.fax import FaxSession, FaxStats, Operation, State, named_resolution
from exporter.ledger import PAGE_OPERATIONS, EndedFax, RunningSession
from exporter.polling import Clock, Shown
from exporter.words import visible


@dataclass(frozen=True, slots=True)
class ResolutionView:
    """What both ends agreed on, in dots per inch across and down the page."""

    name: str | None
    """standard, fine or superfine; None for others."""
    dpi_x: int
    dpi_y: int


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
class TargetView:
    """One PBX."""

    name: str
    up: bool
    trouble: str | None
    """Why it is not up; None if it is."""
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


def target_view(name: str, shown: Shown, clock: Clock, *, details: bool) -> TargetView:
    """One PBX as it is now by this clock, which is that of its poller."""
    status = shown.status
    wall, monotonic = clock.wall(), clock.monotonic()
    ago = None if status.last_success is None else max(0.0, wall - status.last_success)
    return TargetView(
        name=name,
        up=status.up,
        trouble=trouble(status.outage),
        hints=[visible(hint) for hint in shown.hints],
        asterisk_version=status.asterisk_version or None,
        ami_version=visible(status.ami_version) or None,
        last_poll_timestamp=status.last_success,
        last_poll_seconds_ago=ago,
        collectors=status.collectors,
        stats=status.stats if status.up else None,
        session_count=len(_listed(shown)),
        failed=_all_ended(shown.failed, wall, monotonic, details=details),
        others=_all_ended(shown.others, wall, monotonic, details=details),
    )


def trouble(outage: str | None) -> str | None:
    """Why a PBX is not up, as it can be shown; None if it is."""
    return None if outage is None else visible(outage)


def session_views(name: str, shown: Shown, clock: Clock, *, details: bool) -> list[SessionView]:
    """The sessions of the last FAXSessions list, the oldest first; none while the PBX is not up."""
    monotonic = clock.monotonic()
    return [_session(name, one, monotonic, details=details) for one in _listed(shown)]


def _listed(shown: Shown) -> list[RunningSession]:
    status = shown.status
    return shown.running if status.up and status.sessions_listed else []


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


def _all_ended(
    faxes: Iterable[EndedFax], wall: float, monotonic: float, *, details: bool
) -> list[EndedView]:
    views = [_ended(fax, wall, monotonic, details=details) for fax in faxes]
    # A fax without an event enters the history only some seconds after its end.
    return sorted(views, key=lambda view: view.ended_seconds_ago)


def _ended(fax: EndedFax, wall: float, monotonic: float, *, details: bool) -> EndedView:
    ago = max(0.0, monotonic - fax.ended_at)
    result = "unknown" if fax.succeeded is None else "success" if fax.succeeded else "failed"
    return EndedView(
        ended_timestamp=wall - ago,
        ended_seconds_ago=ago,
        operation=fax.operation.value,
        transport=fax.transport.value,
        result=result,
        reason=None if fax.reason is None else fax.reason.value,
        pages=fax.pages,
        bad_lines=fax.bad_lines,
        duration_seconds=fax.seconds,
        data_rate_bps=fax.data_rate,
        channel=visible(fax.channel) if details else None,
        file=visible(fax.file) if details else None,
        local_station=visible(fax.local_station) if details else None,
        remote_station=visible(fax.remote_station) if details else None,
    )
