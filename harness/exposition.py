"""What /metrics says, read by name and labels, and the names that it can say."""

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from exporter import metrics
from exporter.polling import Counts, Poller
from exporter.web.negotiation import exposition

_PARTS: Final[Mapping[metrics.Kind, tuple[str, ...]]] = {
    metrics.Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
    metrics.Kind.SUMMARY: ("_sum", "_count"),
}


class Scrape:
    """The samples of one GET of /metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The value of the one sample with exactly these labels; KeyError if there is none."""
        return self.samples[f"asterisk_fax_{name}", frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the samples that have at least these labels; KeyError if there are none."""
        wanted = labels.items()
        values = [
            value
            for (sample, has), value in self.samples.items()
            if sample == f"asterisk_fax_{name}" and wanted <= has
        ]
        if not values:
            raise KeyError(f"asterisk_fax_{name}{labels}")
        return sum(values)

    def has(self, name: str) -> bool:
        """Whether any sample has this name."""
        return any(sample == f"asterisk_fax_{name}" for sample, _ in self.samples)


def text(counts: Counts, accept: str = "", *, peer_label: bool = False) -> str:
    """What a GET of the metrics of one Asterisk would bring, in the format that `accept` asks
    for."""
    return exposition(accept).encode(metrics.of_target(counts, peer_label=peer_label)).decode()


def scrape(poller: Poller, *, peer_label: bool = False) -> Scrape:
    """What this poller has on /metrics now."""
    return Scrape(text(Counts.of(poller), peer_label=peer_label))


def published() -> set[str]:
    """Every name that the exporter's metrics have in Prometheus."""
    found = {f"{metrics.WEB_PROCESS}_process_resident_memory_bytes"}
    tables: list[metrics.Table[Any]]
    tables = [*metrics.OF_TARGET, *metrics.BY_PEER, *metrics.OF_EXPORTER]
    for kind, table in tables:
        parts = _PARTS.get(kind, ("",))
        found |= {declared.name + part for declared in table for part in parts}
    return found


def process(scrape: Scrape, name: str) -> float:
    """What the exporter's process says of itself."""
    return scrape.samples[f"process_{name}", frozenset()]
