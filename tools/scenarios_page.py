"""`python -m tools.scenarios_page`: the table of scenarios in docs/alerting.md, anew from playing
them. Words after it: only those whose names have one of these; the others' rows stay."""

import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Final

from harness.scenarios import HEAD, Scenario, played, row
from tests.alerts import subjects

FILE: Final = Path(__file__).parent.parent / "docs/alerting.md"
BEGIN: Final = "<!-- The table is made from what the tests saw: make scenarios -->\n"
END: Final = "<!-- End of the table -->\n"


def rows_of_the_page() -> dict[str, str]:
    """The rows that stand there, by the scenario's name."""
    _, table, _ = _parts(FILE.read_text(encoding="utf-8"))
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return {_name(line): line for line in rows if _name(line) != _name(HEAD)}


def page(text: str, rows: Mapping[str, str], headings: Mapping[str, Sequence[str]]) -> str:
    """The page with these rows; `headings`: the names of scenarios below each."""
    before, _, after = _parts(text)
    tables = [
        f"\n### {heading}\n\n{HEAD}" + "".join(f"{rows[name]}\n" for name in names if name in rows)
        for heading, names in headings.items()
        if any(name in rows for name in names)
    ]
    return f"{before}{BEGIN}{''.join(tables)}\n{END}{after}"


def _name(line: str) -> str:
    return line.split("|")[1].strip()


def _parts(text: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    assert after, f"{FILE.name} has no place for the table"
    return before, table, after


def _row(scenario: Scenario) -> str:
    outcomes = [played(scenario, seed) for seed in scenario.seeds]
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    if faults:
        raise AssertionError("\n".join([scenario.name, *faults]))
    return row(scenario, outcomes)


def main(words: Sequence[str]) -> int:
    """Writes the page; 1 if a scenario does not come out as it must, whose row stays as it was."""
    by_heading = subjects()
    every = [scenario for scenarios in by_heading.values() for scenario in scenarios]
    chosen = [
        one
        for one in every
        if not words or any(re.search(re.escape(word), one.name, re.IGNORECASE) for word in words)
    ]
    rows = rows_of_the_page()
    failed = False
    with ThreadPoolExecutor(cpu_count()) as pool:
        for scenario, made in [(one, pool.submit(_row, one)) for one in chosen]:
            try:
                rows[scenario.name] = made.result()
                print(rows[scenario.name])
            except AssertionError as error:
                print(error, file=sys.stderr)
                failed = True
    headings = {
        heading: [one.name for one in scenarios] for heading, scenarios in by_heading.items()
    }
    FILE.write_text(page(FILE.read_text(encoding="utf-8"), rows, headings), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
