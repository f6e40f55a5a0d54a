"""What all pages for people share: the look around them, templates, filters, times.

templates/base.html is what each of them extends, `Layout` is what that needs.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Final, Literal
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from exporter import __version__

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

_CONTENT_TYPES: Final = {
    "page.css": "text/css",
    "tables.css": "text/css",
    "paper.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

STATIC: Final = {
    name: (files("exporter.web").joinpath("static", name).read_bytes(), content_type)
    for name, content_type in _CONTENT_TYPES.items()
}
"""The files that the pages load: content and content type by file name."""

_PART: Final = re.compile(r"[/\\_@-]*[^/\\_@-]*[/\\_@-]?")
"""A part of a name, and the character after which it may be broken."""
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")


@dataclass(frozen=True)
class Layout:
    """What templates/base.html needs for any page, as its variable `layout`."""

    root: str
    """From the page to `/`, as `./` or `../`: behind a proxy / may belong to something else."""
    details: bool
    """Whether personal data is shown."""
    telemetry_path: str
    """As the setting has it, `/metrics`."""
    as_of: float | None = None
    """When what is shown was so, seconds since the epoch; None if it does not change."""
    here: Literal["pbxs", "faxes"] | None = None
    """Which entry of the navigation this is."""
    live: bool = True
    """Whether the page is to follow what happens."""
    behind: str = ""
    """That the exporter does not keep up with its polls, and what to do; empty if it does."""
    version: str = __version__

    @property
    def metrics(self) -> str:
        """The address of the metrics, from the page."""
        return self.root + self.telemetry_path.removeprefix("/")


def root_from(raw_path: str) -> str:
    """The way from the page at this path, as the client wrote it, to `/`."""
    return "../" * (raw_path.count("/") - 1) or "./"


def target_url(name: str) -> str:
    """The address of a target's page, from `/`."""
    return f"targets/{in_url(name)}"


def duration(seconds: float) -> str:
    """So many seconds, in two units at most. static/page.js counts on in the same words."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def iso(timestamp: float) -> str:
    """Seconds since the epoch as UTC, to the second."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"


def clock_time(timestamp: float, near: float | None = None) -> str:
    """The time on the exporter's clock, with the name of its zone, and with the date unless it is
    less than half a day from `near`."""
    local = datetime.fromtimestamp(timestamp, UTC).astimezone()
    date = near is None or abs(timestamp - near) >= timedelta(hours=12).total_seconds()
    return f"{local:%Y-%m-%d %H:%M:%S %Z}" if date else f"{local:%H:%M:%S %Z}"


def hour(timestamp: float) -> str:
    """The time on the exporter's clock, to the minute, with its zone: a reader has another."""
    return f"{datetime.fromtimestamp(timestamp, UTC).astimezone():%H:%M %Z}"


def share(ratio: float) -> str:
    """A share, 0 to 1, in percent, rounded down: it is all only if it is all."""
    return f"{int(ratio * 100 + 1e-9)} %"


def name_parts(name: str) -> tuple[list[str], str]:
    """A long name, such as that of a file, in the parts between which it may be broken, and its
    extension, which may not."""
    extension = found[0] if (found := _EXTENSION.search(name)) else ""
    parts = _PART.findall(name.removesuffix(extension))
    return [part for part in parts if part], extension


def in_url(text: str) -> str:
    """A text as a part of a URL."""
    return quote(text, safe="")


environment: Final = Environment(
    loader=PackageLoader("exporter.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters.update(
    clock_time=clock_time,
    duration=duration,
    in_url=in_url,
    hour=hour,
    iso=iso,
    name_parts=name_parts,
    share=share,
    target_url=target_url,
)


def template(name: str) -> Template:
    """One of templates/."""
    return environment.get_template(name)
