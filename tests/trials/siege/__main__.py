"""Runs the siege and prints its tables; fails if a figure is worse than its line."""

import argparse
import asyncio
import sys
import time

from tests.trials.siege import __doc__ as description
from tests.trials.siege import table
from tests.trials.siege.attacking import Attack
from tests.trials.siege.besieging import besiege
from tests.trials.siege.floods import ATTACKS
from tests.trials.siege.lines import Row, faults
from tests.trials.siege.victims import NODE_EXPORTER


def _chosen(words: list[str]) -> list[Attack]:
    """Those that have one of these words in their name or kind; all if there are none."""

    def texts(attack: Attack) -> list[str]:
        kinds = [flood.point for flood in attack.floods] if len(attack.floods) == 1 else []
        return [attack.name, *kinds]

    return [
        attack
        for attack in ATTACKS
        if not words or any(word in text for word in words for text in texts(attack))
    ]


def _say(row: Row) -> None:
    found = faults(row)
    verdict = "holds" if not found else "DOES NOT HOLD: " + "; ".join(found)
    print(f"{time.strftime('%H:%M:%S')} {row.flood}: {verdict}", file=sys.stderr, flush=True)
    if found:
        print(f"    {row}", file=sys.stderr, flush=True)


def main() -> None:
    """Runs all of it once."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each flood, at least")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="floods with it")
    parser.add_argument("--against", choices=[NODE_EXPORTER], help="the same floods on it, too")
    given = parser.parse_args()
    attacks = _chosen(given.only)
    if not attacks:
        parser.error(f"no flood has one of {given.only} in its name")
    ours = asyncio.run(besiege(attacks, given.seconds, say=_say))
    print(table.table(ours), table.lines(), sep="\n\n")
    if given.against:
        fitting = [
            attack for attack in attacks if all(one.for_node_exporter for one in attack.floods)
        ]
        theirs = asyncio.run(besiege(fitting, given.seconds, NODE_EXPORTER, say=_say))
        print("", table.compared(ours, theirs), sep="\n")
    found = {row.flood: faults(row) for row in ours}
    for flood, each in found.items():
        for fault in each:
            print(f"{flood}: {fault}", file=sys.stderr)
    if any(found.values()):
        sys.exit("Some figures are worse than their line.")


if __name__ == "__main__":
    main()
