"""The metrics as text: byte for byte what prometheus_client writes, at a fraction of its cost.

What stands before a value hardly ever changes. So it is written once and kept, in each format.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

from prometheus_client import exposition as text
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.ledger import Exemplar, Histogram
from exporter.metrics import Counted, Declared, Family, Kind, Labels, Summary

MAX_KEPT: Final = 1024
"""Beginnings of lines that are kept for a metric, in a format. Only with peers told apart there are
more, of any number; then they are written each time."""

_EXACT: Final = 1_000_000
"""Integers below are written as they are, and with `.0`; from here on Go has an exponent."""
_TOTAL: Final = "_total"
_EOF: Final = b"# EOF\n"

_go: Final[Callable[[float], str]] = floatToGoString

Key = TypeVar("Key")
T = TypeVar("T")
_Buckets: TypeAlias = tuple[list[str], str, str]
"""Of a histogram: the beginnings of its lines, of that with the count, and of that with the sum."""


@cache
def encoder(*, in_openmetrics: bool, dots: bool) -> "Encoder":
    """The one of this format: OpenMetrics, or Prometheus' own text. `dots`: see Encoder."""
    return Encoder(in_openmetrics=in_openmetrics, dots=dots)


class Encoder:
    """Writes metrics in one format. Several threads may use it at once."""

    def __init__(self, *, in_openmetrics: bool, dots: bool) -> None:
        """`dots`: names are escaped as `escaping=dots` asks, which doubles every underscore. The
        other schemes leave names alone that have only letters, digits and underscores, and ours
        have no others."""
        self._in_openmetrics = in_openmetrics
        # Not the scheme that the client asks for: prometheus_client gets `values` wrong.
        self._escaping = openmetrics.DOTS if dots else openmetrics.ALLOWUTF8
        self._written: dict[Declared[Any], _Written] = {}

    def encode(self, families: Iterable[Family], others: Collector | None = None) -> bytes:
        """These metrics, and after them the others, which prometheus_client writes itself."""
        parts: list[str] = []
        for family in families:
            written = self._written.get(family.declared)
            if written is None:
                written = _Written(family, self._escaping, in_openmetrics=self._in_openmetrics)
                self._written[family.declared] = written
            written.write(family, parts)
        body = "".join(parts).encode()
        if others is not None:  # which ends with what ends all
            return body + self._by_prometheus_client(others, self._escaping)
        return body + _EOF if self._in_openmetrics else body

    @property
    def _by_prometheus_client(self) -> Callable[[Collector, str], bytes]:
        return openmetrics.generate_latest if self._in_openmetrics else text.generate_latest


class _Written:
    """What is constant of a metric."""

    def __init__(self, family: Family, escaping: str, *, in_openmetrics: bool) -> None:
        kind, declared = family.kind, family.declared
        self._exemplars = in_openmetrics
        self._escaping = escaping
        self._name = declared.name
        if kind is Kind.COUNTER:
            self._name = declared.name.removesuffix(_TOTAL)
        self._labels = declared.labels
        self._lines: dict[Labels, str] = {}
        self._buckets: dict[tuple[Labels, tuple[float, ...]], _Buckets] = {}
        self._summaries: dict[Labels, tuple[str, str]] = {}
        head, help = self._name, declared.help.replace("\\", r"\\").replace("\n", r"\n")
        if in_openmetrics:
            help = help.replace('"', r"\"")
        elif kind is Kind.COUNTER:
            head += _TOTAL
        head = openmetrics.escape_metric_name(head, escaping)
        self._head = f"# HELP {head} {help}\n# TYPE {head} {kind.value}\n"

    def write(self, family: Family, parts: list[str]) -> None:
        """Adds the lines of the metric. Raises TypeError if a sample is of another kind."""
        parts.append(self._head)
        match family.kind:
            case Kind.HISTOGRAM:
                for labels, value in family.samples:
                    if not isinstance(value, Histogram):
                        raise _of_another_kind(family, value)
                    self._write_histogram(labels, value, parts)
            case Kind.SUMMARY:
                for labels, value in family.samples:
                    if not isinstance(value, Summary):
                        raise _of_another_kind(family, value)
                    number, total = self._summary(labels)
                    parts += number, _number(value.number), "\n"
                    parts += total, _number(value.sum), "\n"
            case _:
                self._write_numbers(family, parts)

    def _write_numbers(self, family: Family, parts: list[str]) -> None:
        lines = self._lines
        for labels, value in family.samples:
            line = lines.get(labels) or self._line(labels, family.kind)
            if type(value) is int and 0 <= value < _EXACT:  # nearly all are
                parts.append(f"{line}{value}.0\n")
            elif isinstance(value, Counted) and family.kind is Kind.COUNTER:
                parts.append(f"{line}{_number(value.value)}{self._exemplar(value.exemplar)}\n")
            elif isinstance(value, float | int):
                parts.append(f"{line}{_number(value)}\n")
            else:
                raise _of_another_kind(family, value)

    def _write_histogram(self, labels: Labels, histogram: Histogram, parts: list[str]) -> None:
        lines, number, total = self._histogram(labels, histogram.bounds)
        exemplars = histogram.exemplars if self._exemplars else None
        count = 0
        for place, (line, more) in enumerate(zip(lines, histogram.counts, strict=True)):
            count += more
            if exemplars and place in exemplars:
                parts.append(f"{line}{_number(count)}{self._exemplar(exemplars[place])}\n")
            else:
                parts.append(f"{line}{_number(count)}\n")
        parts.append(f"{number}{_number(count)}\n{total}{_number(histogram.sum)}\n")

    def _exemplar(self, exemplar: Exemplar | None) -> str:
        if exemplar is None or not self._exemplars:
            return ""
        unique_id = _escaped(exemplar.unique_id)
        value, at = _number(exemplar.value), round(exemplar.wall, 3)
        return f' # {{uniqueid="{unique_id}"}} {value} {at}'

    # --- the beginnings of lines ----------------------------------------------------------------

    def _line(self, labels: Labels, kind: Kind) -> str:
        line = self._beginning(_TOTAL if kind is Kind.COUNTER else "", labels)
        _keep(self._lines, labels, line)
        return line

    def _summary(self, labels: Labels) -> tuple[str, str]:
        found = self._summaries.get(labels)
        if found is None:
            found = self._beginning("_count", labels), self._beginning("_sum", labels)
            _keep(self._summaries, labels, found)
        return found

    def _histogram(self, labels: Labels, bounds: tuple[float, ...]) -> _Buckets:
        found = self._buckets.get((labels, bounds))
        if found is None:
            named = [*(f"{bound:.1f}" for bound in bounds), "+Inf"]
            found = (
                [self._beginning("_bucket", labels, le=bound) for bound in named],
                self._beginning("_count", labels),
                self._beginning("_sum", labels),
            )
            _keep(self._buckets, (labels, bounds), found)
        return found

    def _beginning(self, suffix: str, labels: Labels, **more: str) -> str:
        """All of a line that is before its value."""
        name = openmetrics.escape_metric_name(self._name + suffix, self._escaping)
        pairs = sorted([*zip(self._labels, labels, strict=True), *more.items()])
        if not pairs:
            return f"{name} "
        said = ",".join(
            f'{openmetrics.escape_label_name(label, self._escaping)}="{_escaped(value)}"'
            for label, value in pairs
        )
        return f"{name}{{{said}}} "


def _keep(kept: dict[Key, T], key: Key, value: T) -> None:
    if len(kept) >= MAX_KEPT:
        kept.clear()
    kept[key] = value


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if type(value) is int and 0 <= value < _EXACT:
        return f"{value}.0"
    return _go(value)


def _of_another_kind(family: Family, value: object) -> TypeError:
    return TypeError(f"{family.declared.name} has a sample of another kind: {value!r}")
