"""What a scraper asks for: which format, compressed or not, which families of metrics.

Pure functions of header values and bytes. Nothing here raises an error, whatever a client sends.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from prometheus_client import exposition as text
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from exporter.exposition import encoder
from exporter.metrics import Family

_WEIGHT: Final = re.compile(r"0(?:\.[0-9]*)?|\.[0-9]+|1(?:\.0*)?")
"""As in RFC 9110, and `.2`, which Java sends."""


MAX_HEADERS: Final = 32
"""So many different ones are remembered with what they ask for: a scraper sends the same each time,
and none is longer than 16 KiB."""


@dataclass(frozen=True)
class Format:
    """How the metrics are written, and the Content-Type that says so."""

    content_type: str
    in_openmetrics: bool = False
    dots: bool = False
    """Names are escaped as `escaping=dots` asks."""

    @property
    def body(self) -> tuple[bool, bool]:
        """Formats that are equal in this have the same bytes."""
        return self.in_openmetrics, self.dots

    def encode(self, families: Iterable[Family], others: Collector | None = None) -> bytes:
        """These metrics, and after them those of `others`."""
        written = encoder(in_openmetrics=self.in_openmetrics, dots=self.dots)
        return written.encode(families, others)


CLASSIC: Final = Format(text.CONTENT_TYPE_PLAIN_0_0_4)
"""For whoever asks for nothing that we have: every scraper can read it."""


@dataclass(frozen=True)
class _Offer:
    """A format that can be asked for."""

    format: Format
    type: str
    version: str
    only_by_version: bool = False
    """Who does not name the version gets another one."""
    escaping: bool = False
    """This version of the format has the parameter `escaping`."""


_OFFERS: Final = (
    _Offer(CLASSIC, "text/plain", "0.0.4"),
    _Offer(
        Format(openmetrics.CONTENT_TYPE_LATEST, in_openmetrics=True),
        "application/openmetrics-text",
        "1.0.0",
        escaping=True,
    ),
    _Offer(
        Format("application/openmetrics-text; version=0.0.1; charset=utf-8", in_openmetrics=True),
        "application/openmetrics-text",
        "0.0.1",
        only_by_version=True,
    ),
    _Offer(
        Format(text.CONTENT_TYPE_PLAIN_1_0_0),
        "text/plain",
        "1.0.0",
        only_by_version=True,
        escaping=True,
    ),
)
"""The first is preferred where a client has no preference."""

_SCHEMES: Final = frozenset(
    {openmetrics.ALLOWUTF8, openmetrics.UNDERSCORES, openmetrics.DOTS, openmetrics.VALUES}
)


@dataclass(frozen=True)
class _Range:
    """A member of an Accept header, at this place in it."""

    place: int
    type: str
    parameters: Mapping[str, str]
    weight: float

    def exactness(self, offer: _Offer) -> int:
        """How exactly it names this format: 0 if not at all, from _NAMED on without a `*`."""
        version = self.parameters.get("version", "")
        if self.type == offer.type and version == offer.version:
            return _NAMED + 1
        if version or offer.only_by_version:
            return 0
        if self.type == offer.type:
            return _NAMED
        if self.type == offer.type.partition("/")[0] + "/*":
            return 2
        return 1 if self.type in ("*/*", "*") else 0  # Java sends a lone *


_NAMED: Final = 3


@lru_cache(MAX_HEADERS)
def exposition(accept: str) -> Format:
    """The format for this Accept header; several of them are to be joined with commas.

    Of each format the range that names it most exactly has the weight, as in RFC 9110. Of equal
    weights the one comes first that was named rather than meant by a `*`, then the one that the
    client names first. A version that we do not have is passed over.
    """
    ranges = [_Range(place, *member) for place, member in enumerate(_members(accept))]
    found: list[tuple[tuple[float, bool, int], Format]] = []
    for offer in _OFFERS:
        asked = max(ranges, key=lambda each: each.exactness(offer), default=None)
        if asked is not None and asked.weight and (exactness := asked.exactness(offer)):
            rank = (asked.weight, exactness >= _NAMED, -asked.place)
            found.append((rank, _escaped(offer, asked)))
    return max(found, key=lambda one: one[0], default=(None, CLASSIC))[1]


def _escaped(offer: _Offer, asked: _Range) -> Format:
    """The format offered, in the scheme that this range asks for, if any."""
    scheme = asked.parameters.get("escaping", "")
    if not (scheme and offer.escaping):
        return offer.format
    if scheme not in _SCHEMES:
        scheme = openmetrics.UNDERSCORES
    return Format(
        f"{offer.format.content_type}; escaping={scheme}",
        offer.format.in_openmetrics,
        scheme == openmetrics.DOTS,
    )


@lru_cache(MAX_HEADERS)
def gzip_accepted(accept_encoding: str) -> bool:
    """Whether this Accept-Encoding header allows gzip, and does not prefer that nothing is done."""
    weights: dict[str, float] = {}
    for coding, _, weight in _members(accept_encoding):
        weights.setdefault(coding.removeprefix("x-"), weight)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _members(header: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """What a header lists, in small letters: name, parameters and weight. What has a weight that
    nobody can read is left out."""
    for member in header.lower().split(","):
        name, *pairs = (part.strip() for part in member.split(";"))
        parameters = {}
        for pair in pairs:
            key, _, value = pair.partition("=")
            parameters[key.strip()] = value.strip().strip('"')
        weight = parameters.pop("q", "1")
        if name and _WEIGHT.fullmatch(weight):
            yield name, parameters, float(weight)


# --- families -------------------------------------------------------------------------------

_OF_SAMPLES: Final = ("_total", "_created", "_bucket", "_sum", "_count", "_info")
"""What a family's name and those of its samples may differ in."""
_EOF: Final = b"# EOF\n"


def families_wanted(names: Iterable[str]) -> frozenset[str] | None:
    """The names of families or samples that `name[]` in a URL lists; None if it lists none, and
    all are wanted."""
    return frozenset(name for name in names if name) or None


def only(body: bytes, wanted: frozenset[str]) -> bytes:
    """Of these metrics, in any format, the families that are wanted, by their own name or that of
    a sample. They need not be rendered for it."""
    end = _EOF if body.endswith(_EOF) else b""
    # A line break in a help text or a label is written as \\n, so this is where a family begins.
    families = (b"\n" + body.removesuffix(end)).removesuffix(b"\n").split(b"\n# HELP ")[1:]
    kept = [family for family in families if _names(family.partition(b" ")[0]) & wanted]
    return b"".join(b"# HELP " + family + b"\n" for family in kept) + end


def _names(family: bytes) -> set[str]:
    name = family.decode().replace("__", "_")  # as it is without `escaping=dots`
    longer = {name + suffix for suffix in _OF_SAMPLES}
    return {name} | longer | {name.removesuffix(suffix) for suffix in _OF_SAMPLES}
