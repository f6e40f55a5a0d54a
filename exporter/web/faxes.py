"""The faxes that are over, as the API and the page at /faxes show them.

Personal data is None unless `details` is true; what was stored without it has none anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from pydantic import TypeAdapter

from exporter.fax import Reason, named_resolution
from exporter.history import RESULTS, FaxPage, Query, Stored
from exporter.ledger import PAGE_OPERATIONS
from exporter.settings import HistorySettings
from exporter.web.fax_query import LIMIT
from exporter.web.search import Found
from exporter.web.templating import Layout, iso, template
from exporter.web.views import ResolutionView
from exporter.words import visible

MAX_NAMES: Final = 500
"""Targets that are offered to choose from; others can be typed."""


@dataclass(frozen=True, slots=True)
class FaxView:
    """One fax that is over, or never began. None stands for not known, or of no meaning."""

    target: str
    ended_timestamp: float
    """Seconds since the epoch."""
    started_timestamp: float | None
    """The same; None if its start was not seen."""
    operation: str
    result: str
    """A key of RESULTS."""
    reason: str | None
    """Why it failed: a value of the label `reason` of asterisk_fax_failures_total."""
    status_text: str | None
    """FAXSTATUSSTRING."""
    transport: str
    heard: bool
    """Whether Asterisk told of its end."""
    began: bool
    """Whether a modem ran."""
    went_on: bool
    """Whether it is only what was counted of a fax after it had been told as over."""
    pages: int | None
    bad_lines: int | None
    pages_rejected: int | None
    pages_before: int | None
    """Of `pages`, those of before the exporter watched, which no counter has."""
    bad_lines_before: int | None
    duration_seconds: float | None
    data_rate_bps: int | None
    rate_fallbacks: int
    ecm: bool | None
    resolution: ResolutionView | None
    peer: str | None
    uniqueid: str | None
    linkedid: str | None
    channel: str | None
    caller: str | None
    local_station: str | None
    remote_station: str | None
    file: str | None


@dataclass(frozen=True, slots=True)
class FaxesView:
    """An answer of the API."""

    faxes: list[FaxView]
    """The newest first."""
    next_cursor: str | None
    """Asks for those before; None if there are none."""


_JSON: Final = TypeAdapter(FaxesView)


def fax_view(one: Stored, *, details: bool) -> FaxView:
    """A fax of the history."""
    fax = one.fax

    def personal(text: str) -> str | None:
        return _text(text) if details else None

    return FaxView(
        target=one.target,
        ended_timestamp=fax.ended,
        started_timestamp=fax.started,
        operation=fax.operation.value,
        result=fax.result,
        reason=None if fax.reason is None else fax.reason.value,
        status_text=_text(fax.status_text),
        transport=fax.transport.value,
        heard=fax.heard,
        began=fax.began,
        went_on=fax.went_on,
        pages=fax.pages,
        bad_lines=fax.bad_lines,
        pages_rejected=fax.pages_rejected,
        pages_before=fax.pages_before,
        bad_lines_before=fax.bad_lines_before,
        duration_seconds=fax.seconds,
        data_rate_bps=fax.data_rate,
        rate_fallbacks=fax.fallbacks,
        ecm=fax.ecm,
        resolution=ResolutionView(*named_resolution(fax.resolution)) if fax.resolution else None,
        peer=_text(fax.peer),
        uniqueid=_text(fax.unique_id),
        linkedid=_text(fax.linked_id),
        channel=personal(fax.channel),
        caller=personal(fax.caller),
        local_station=personal(fax.local_station),
        remote_station=personal(fax.remote_station),
        file=personal(fax.file),
    )


def as_json(found: FaxPage, *, details: bool) -> bytes:
    """The answer of the API."""
    faxes = [fax_view(one, details=details) for one in found.faxes]
    return _JSON.dump_json(FaxesView(faxes, found.cursor))


def as_html(found: Found, names: Sequence[str], layout: Layout, history: HistorySettings) -> str:
    """The page. `names`: of the targets."""
    query = found.query
    page = found.read() if found.read else None
    faxes = [fax_view(one, details=layout.details) for one in page.faxes] if page else []
    return template("faxes.html").render(
        layout=layout,
        query=query,
        wrong=found.wrong,
        faxes=faxes,
        page=page,
        history=history,
        filtered=bool(_parameters(replace(query, limit=LIMIT, cursor=None))),
        said=[
            (name, iso(value) if isinstance(value, float) else value)
            for name, value in query.said().items()
            if name not in ("limit", "cursor")
        ],
        older=_url(replace(query, cursor=page.cursor)) if page and page.cursor else None,
        newest=_url(replace(query, cursor=None)) if query.cursor else None,
        json=f"api/v1/{_url(query)}",
        results=list(RESULTS),
        reasons=list(Reason),
        operations=PAGE_OPERATIONS,
        names=sorted(names)[:MAX_NAMES],
        since=_local(query.since),
        until=_local(query.until),
        zone=f"{datetime.now(UTC).astimezone():%Z}",
    )


def _parameters(query: Query) -> list[tuple[str, str]]:
    """Of a URL: what is not as it is without them."""
    said = {name: value for name, value in query.said().items() if (name, value) != _AS_IT_IS}
    return [(name, f"{v:.3f}" if isinstance(v, float) else str(v)) for name, v in said.items()]


_AS_IT_IS: Final = ("limit", LIMIT)


def _url(query: Query) -> str:
    """From `/`."""
    parameters = urlencode(_parameters(query), errors="replace")
    return f"faxes?{parameters}" if parameters else "faxes"


def _local(timestamp: float | None) -> str:
    """A time as a field of a form has it, by the exporter's clock."""
    if timestamp is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(timestamp, UTC).astimezone():%Y-%m-%dT%H:%M}"
    except (OverflowError, ValueError, OSError):  # at the end of the calendar
        return ""


def _text(text: str) -> str | None:
    return visible(text) or None
