"""What a sample takes on Prometheus' disk: a day of simulated PBXs, written as blocks by promtool.

The values are those of a carrier's faxes, scraped every 15 s. Prometheus has its last two to three
hours in a log too, which is not in this.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from bench.fleet import SCRAPE_SECONDS
from bench.measuring import Numbers
from harness.history import expanded
from harness.programs import binary, succeeds
from harness.traffic import DAY, Mix, Pbx, World, carrier, noisy, poisson
from harness.traffic_metrics import series

PBXS: Final = 3
FAXES: Final = 2000
"""On each, in a day."""
_MIXES: Final = (
    Mix(bad_lines=noisy(3.0), ecm=0.5, t38=0.5, failures={"train_failure": 0.03, "no_fax": 0.05}),
    Mix(operation="send", t38=0.5, failures={"call_dropped": 0.02}),
)


def measure(pbxs: int = PBXS) -> Numbers:
    """Bytes of a sample, all that a block has for it: values, index and names."""
    world = [_pbx(number) for number in range(pbxs)]
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        texts = folder / "samples"
        with texts.open("w") as file:
            file.writelines(_lines(world))
            file.write("# EOF\n")
        command = (binary("promtool", package="prometheus"), "tsdb", "create-blocks-from")
        succeeds(*command, "openmetrics", "--max-block-duration=27h", texts, folder / "data")
        blocks = list((folder / "data").glob("*/meta.json"))
        stats = [json.loads(block.read_text())["stats"] for block in blocks]
        samples = sum(of_it["numSamples"] for of_it in stats)
        size = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
    return {
        f"a day of {pbxs} PBXs in Prometheus' blocks": {
            "bytes_per_sample": round(size / samples, 3),
            "samples": samples,
            "series_per_pbx": round(sum(of_it["numSeries"] for of_it in stats) / len(stats) / pbxs),
        }
    }


def _pbx(number: int) -> Pbx:
    random = Random(number)
    faxes = [
        fax
        for mix in _MIXES
        for fax in mix.at(random, poisson(random, FAXES / len(_MIXES), 0, DAY, carrier))
    ]
    return Pbx(
        sorted(faxes, key=lambda fax: fax.begin),
        labels={"job": "asterisk-fax", "instance": f"pbx-{number:05}"},
    )


def _lines(world: World) -> Iterator[str]:
    """OpenMetrics, without types."""
    steps = int(DAY / SCRAPE_SECONDS)
    made = sorted(series(world, SCRAPE_SECONDS, steps), key=lambda one: one["series"])
    for one in made:
        for step, value in expanded(one["values"]):
            yield f"{one['series']} {value!r} {step * SCRAPE_SECONDS}\n"
