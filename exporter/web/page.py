"""The page for people: its HTML, made from what is known of the targets, and the files it needs.

Its values come from views.py; routes.py serves it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter import __version__
from exporter.fax import REASON_WORDS, Operation, State, Transport
from exporter.ledger import KEPT
from exporter.polling import Clock, Shown
from exporter.web.views import EndedView, SessionView, TargetView, session_views, target_view

MAX_SECTIONS: Final = 20
"""With more targets the page is an overview only, and `?target=NAME` shows the section of one."""
MAX_SESSIONS: Final = 200
"""Rows of running sessions in one section; the API has them all."""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_CONTENT_TYPES: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

STATIC: Final[Mapping[str, tuple[bytes, str]]] = {
    name: (files("exporter.web").joinpath("static", name).read_bytes(), content_type)
    for name, content_type in _CONTENT_TYPES.items()
}
"""The files that the page loads: content and content type by file name."""

OPERATIONS: Final[Mapping[str, str]] = {
    Operation.SEND: "Send",
    Operation.RECEIVE: "Receive",
    Operation.GATEWAY: "Gateway",
    Operation.V21: "V.21 detector",
    Operation.NONE: "None",
}
STATES: Final[Mapping[str, str]] = {
    State.UNINITIALIZED: "being set up",
    State.INITIALIZED: "ready to begin",
    State.OPEN: "ready to begin",
    State.ACTIVE: "in progress",
    State.COMPLETE: "about to end",
    State.RESERVED: "held in reserve",
    State.INACTIVE: "at rest",
    State.UNKNOWN: "not a known state",
}
"""What a state means; shown below its name."""
TRANSPORTS: Final[Mapping[str, str]] = {
    Transport.G711: "G.711",
    Transport.T38: "T.38",
    Transport.NONE: "None",
}
REASONS: Final[Mapping[str, str]] = REASON_WORDS
_WORDS: Final = {
    "operation": OPERATIONS,
    "state": STATES,
    "transport": TRANSPORTS,
    "reason": REASONS,
}


@dataclass(frozen=True)
class _Row:
    """One target in the overview."""

    target: TargetView
    failed: int
    """Of `ended`."""
    ended: int
    """How many ended lately, the failed ones included; at most KEPT."""


@dataclass(frozen=True)
class Section:
    """One PBX at the moment of the request."""

    target: TargetView
    sessions: list[SessionView]
    more: int
    """How many further sessions there are."""


def sections_of(
    targets: Sequence[tuple[str, Shown]], clock: Clock, *, details: bool
) -> Iterator[Section]:
    """One PBX after the other, as they are now by this clock. `details`: with personal data."""
    for name, shown in targets:
        target = target_view(name, shown, clock, details=details)
        sessions: list[SessionView] = []
        if len(targets) <= MAX_SECTIONS:
            sessions = session_views(name, shown, clock, details=details)
        yield Section(target, sessions[:MAX_SESSIONS], max(0, len(sessions) - MAX_SESSIONS))


def render(
    sections: Iterable[Section],
    *,
    details: bool,
    telemetry_path: str,
    only: str | None,
    watched: int,
) -> str:
    """The page as HTML. Reads nothing but its arguments, so it may run in any thread.
    `watched`: how many targets there are, shown or not."""
    ordered = sorted(sections, key=lambda section: _urgency(section.target))
    overview = only is None and len(ordered) > 1
    return _PAGE.render(
        overview=[_row(section.target) for section in ordered] if overview else [],
        sections=ordered if len(ordered) <= MAX_SECTIONS else [],
        only=only,
        watched=watched,
        details=details,
        # Relative, since behind a proxy / may belong to something else.
        telemetry_path="." + telemetry_path,
        version=__version__,
    )


def _urgency(target: TargetView) -> int:
    if not target.up:
        return 0
    return 1 if _incomplete(target) else 2


def _incomplete(target: TargetView) -> bool:
    return target.up and (bool(target.hints) or not all(target.collectors.values()))


def _listed(target: TargetView) -> bool:
    """Whether it is known which sessions run, even if there are none."""
    return target.up and (target.collectors["sessions"] or target.session_count > 0)


def _row(target: TargetView) -> _Row:
    # The ledger keeps KEPT of each kind, so these are the last KEPT of all.
    ended = sorted(target.failed + target.others, key=_age)[:KEPT]
    return _Row(target, sum(fax.result == "failed" for fax in ended), len(ended))


def _age(fax: EndedView) -> float:
    return fax.ended_seconds_ago


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _iso(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _word(value: str, kind: str) -> str:
    return _WORDS[kind][value]


def _in_url(text: str) -> str:
    return quote(text, safe="")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("exporter.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=_duration, iso=_iso, word=_word, in_url=_in_url)
    environment.tests.update(incomplete=_incomplete, listed=_listed)
    return environment


_PAGE: Final = _environment().get_template("page.html")
