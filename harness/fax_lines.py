"""The lines that the exporter writes of faxes, added up: they make up what its metrics count."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from harness.exposition import Scrape
from harness.logfmt import parse

LOGGER: Final = "exporter.fax_log"
PAGES: Final = {
    "send": "pages_transmitted_total",
    "receive": "pages_received_total",
    "gateway": "pages_relayed_total",
}
_SUMS: Final = {
    "bad_lines": "bad_lines_total",
    "pages_rejected": "pages_rejected_total",
    "rate_fallbacks": "rate_fallbacks_total",
}


def fax_lines(log: str) -> list[dict[str, str]]:
    """Those among the lines of a log in logfmt."""
    return [parse(line) for line in log.splitlines() if f" logger={LOGGER} " in line]


def assert_lines_make_up(lines: Iterable[Mapping[str, str]], now: Scrape) -> None:
    """Each counter of faxes is the sum over the lines. To be asked when no fax is under way, of one
    target without `peer`."""
    told: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for line in lines:
        operation = line["operation"]
        told[PAGES[operation], frozenset()] += int(line["pages"])
        for field, name in _SUMS.items():
            if line[field] != "null":
                told[name, frozenset({("operation", operation)})] += int(line[field])
        if line["heard"] == "true":
            travelled = frozenset({("operation", operation), ("transport", line["transport"])})
            told["finished_total", travelled] += 1
            told["succeeded_total", travelled] += line["result"] == "success"
            unknown = frozenset({("operation", operation)})
            told["results_unknown_total", unknown] += line["result"] == "unknown"
            if line["result"] == "failed":
                why = frozenset({("operation", operation), ("reason", line["reason"])})
                told["failures_total", why] += 1
    assert +told == +_counted(now, {name for name, _ in told})


def _counted(now: Scrape, names: set[str]) -> Counter[tuple[str, frozenset[tuple[str, str]]]]:
    names |= {*PAGES.values(), *_SUMS.values(), "finished_total", "failures_total"}
    counted: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for (sample, labels), value in now.samples.items():
        name = sample.removeprefix("asterisk_fax_")
        if name in names:
            dropped = {"state", "operation"} if name in PAGES.values() else {"state"}
            kept = frozenset(one for one in labels if one[0] not in dropped)
            counted[name, kept] += int(value)
    return counted
