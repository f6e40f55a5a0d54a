"""The exporter's metrics as prometheus_client makes and writes them: what they are held to."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from prometheus_client import exposition as text
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Exemplar as MetricExemplar

from exporter.ledger import Exemplar, Histogram
from exporter.metrics import Counted, Family, Kind, Summary

_Made: TypeAlias = (
    GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily | SummaryMetricFamily
)
_Bucket: TypeAlias = tuple[str, float] | tuple[str, float, MetricExemplar]
_KINDS: Final[dict[Kind, type[_Made]]] = {
    Kind.GAUGE: GaugeMetricFamily,
    Kind.COUNTER: CounterMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
    Kind.SUMMARY: SummaryMetricFamily,
}


class Reference(Collector):
    """These families as prometheus_client's."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Makes them."""
        return map(_made, self._families())


def registry(families: Callable[[], Iterable[Family]]) -> CollectorRegistry:
    """A registry of them. `families`: is called for each scrape."""
    registered = CollectorRegistry()
    registered.register(Reference(families))
    return registered


def written(collector: Collector, *, in_openmetrics: bool, dots: bool) -> bytes:
    """What prometheus_client writes of it."""
    escaping = openmetrics.DOTS if dots else openmetrics.ALLOWUTF8
    encode: Callable[[Collector, str], bytes] = (
        openmetrics.generate_latest if in_openmetrics else text.generate_latest
    )
    return encode(collector, escaping)


def exemplar(of: Exemplar) -> MetricExemplar:
    """As prometheus_client has it."""
    return MetricExemplar({"uniqueid": of.unique_id}, of.value, round(of.wall, 3))


def _made(family: Family) -> _Made:
    declared = family.declared
    made = _KINDS[family.kind](declared.name, declared.help, labels=declared.labels)
    for labels, value in family.samples:
        match made, value:
            case HistogramMetricFamily(), Histogram():
                made.add_metric(labels, _buckets(value), value.sum)
            case SummaryMetricFamily(), Summary():
                made.add_metric(labels, value.number, value.sum)
            case CounterMetricFamily(), Counted():
                of = value.exemplar and exemplar(value.exemplar)
                made.add_metric(labels, value.value, exemplar=of)
            case ((GaugeMetricFamily() | CounterMetricFamily()), float() | int()):
                made.add_metric(labels, value)
            case _:
                raise TypeError(f"{declared.name} has a sample of another kind: {value!r}")
    return made


def _buckets(histogram: Histogram) -> list[_Bucket]:
    bounds = [f"{bound:.1f}" for bound in histogram.bounds] + ["+Inf"]
    total = 0
    buckets: list[_Bucket] = []
    for place, (bound, count) in enumerate(zip(bounds, histogram.counts, strict=True)):
        total += count
        of = histogram.exemplars.get(place)
        buckets.append((bound, total) if of is None else (bound, total, exemplar(of)))
    return buckets
