"""What a ledger has told of faxes that are over, added up: it is what the ledger counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.fax import Operation
from exporter.ledger import EndedFax, Totals


@dataclass
class Told:
    """Sums over faxes, by the names that `Totals` has for them; it is filled by `take`."""

    sums: dict[str, Counter[Any]] = field(default_factory=dict)
    faxes: list[EndedFax] = field(default_factory=list)

    def take(self, fax: EndedFax) -> None:
        """Adds one: what `Ledger` calls as `tell`."""
        self.faxes.append(fax)
        operation = fax.operation
        self._add("pages", operation, fax.counted_pages)
        self._add("bad_lines", operation, fax.counted_bad_lines)
        self._add("rejected", operation, fax.rejected)
        self._add("fallbacks", operation, fax.fallbacks)
        if fax.counted_transport is None:
            return
        self._add("finished", (operation, fax.counted_transport))
        if fax.succeeded is None:
            self._add("results_unknown", operation)
        elif fax.succeeded:
            self._add("succeeded", (operation, fax.counted_transport))
        else:
            self._add("failures", (operation, fax.reason))

    def _add(self, name: str, key: object, count: int = 1) -> None:
        self.sums.setdefault(name, Counter())[key] += count

    def assert_not_above(self, totals: Totals) -> None:
        """Nothing was told that is not counted."""
        for name, sums in self.sums.items():
            counted = _counted(totals, name)
            assert all(count <= counted[key] for key, count in sums.items()), name

    def assert_all(self, totals: Totals) -> None:
        """All that is counted was told. To be asked when no fax is under way."""
        for name in (
            "pages",
            "bad_lines",
            "rejected",
            "fallbacks",
            "finished",
            "succeeded",
            "failures",
            "results_unknown",
        ):
            assert +self.sums.get(name, Counter()) == +_counted(totals, name), name


def _counted(totals: Totals, name: str) -> Counter[Any]:
    table: Mapping[Any, int] = getattr(totals, name)
    if name not in ("pages", "bad_lines"):
        return Counter(table)
    added: Counter[Operation] = Counter()
    for (operation, _), count in table.items():
        added[operation] += count
    return added
