"""The pictures of the dashboards in docs/, drawn from two real Asterisks with faxes of every kind.

    make pictures MINUTES=20

Two PBXs behind one exporter: old sends faxes to itself and to new, as sound and as T.38, some with
ECM; new has a bad line for a third of the time, and callers who hang up. A third target does not
exist. The shipped rules run with shorter waits, so that alerts fire and stand in the pictures.
"""

import argparse
import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.monitoring import Prometheus
from harness.readme import block
from harness.rules import ROOT, RULES, shortened
from harness.running import Exporter
from tests.pbx.asterisk import Asterisk, make_tiff
from tools import render
from tools.panel_data import PanelData

FACTOR: Final = 20
SCRAPE_SECONDS: Final = 2
MOST_FAXES: Final = 6
"""At once, on each: the modems of more would take more CPU than the machine has."""


def send_faxes(old: Asterisk, new: Asterisk, seconds: float, directory: Path) -> None:
    """Sends faxes of every kind for so many seconds."""
    rng = random.Random(1)
    tiffs = [make_tiff(directory / f"{n}.tif", n, seed=n) for n in (1, 2, 3, 5)]
    began = time.monotonic()
    kinds: list[Callable[[Path], None]] = [
        lambda tiff: old.send_fax(tiff),
        lambda tiff: old.send_fax(tiff, extension="recv-ecm", ecm=True),
        lambda tiff: old.send_fax(tiff, channel="PJSIP/recv@peer", options="z"),
        lambda tiff: new.send_fax(tiff),
        lambda tiff: new.send_fax(tiff),
        lambda tiff: new.send_fax(tiff),
    ]
    with contextlib.ExitStack() as stack:
        noisy = False
        while (past := time.monotonic() - began) < seconds:
            bad = seconds / 3 < past < seconds * 2 / 3
            if bad and not noisy:
                stack.enter_context(new.noise())
            elif noisy and not bad:
                stack.close()
            noisy = bad
            running = {pbx: pbx.driver.sessions() for pbx in (old, new)}
            if max(len(entries) for entries in running.values()) < 2 * MOST_FAXES:
                rng.choice(kinds)(rng.choice(tiffs))
            receiving = [e for e in running[new] if e.get("Operation") == "receive"]
            if receiving and rng.random() < (0.15 if bad else 0.03):
                new.driver.ask("Hangup", Channel=rng.choice(receiving).get("Channel"))
            time.sleep(4)


def draw(minutes: float, to: Path) -> None:
    """Runs everything for so long, then draws the pictures of that time into the folder `to`."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        old, new = Asterisk("bullseye", ecm=False), Asterisk("sid")
        old.connect_peer(new)
        stack.enter_context(old)
        stack.enter_context(new)
        targets = {
            name: {
                "host": pbx.host,
                "port": pbx.ami_port,
                "username": pbx.username,
                "secret_env": "PBX_SECRET",
            }
            for name, pbx in (("fax-berlin", old), ("fax-paris", new))
        }
        targets["fax-rome"] = targets["fax-paris"] | {"port": 1}
        (directory / "exporter.yml").write_text(json.dumps({"targets": targets}))
        exporter = stack.enter_context(
            Exporter(
                f"--config.file={directory / 'exporter.yml'}",
                "--metrics.peer-label",
                environment={"PBX_SECRET": new.secret},
            )
        )
        (directory / RULES.name).write_text(shortened(RULES.read_text(), FACTOR))
        every = (
            f"{{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: 2s, evaluation_interval: 2s}}"
        )
        job = block("scrape_configs:", after="## Several PBXs", document="docs/fleet.md")
        job = job.replace("exporter.example:10329", exporter.url.split("/")[2])
        settings = f"global: {every}\nrule_files: [{directory / RULES.name}]\n{job}"
        prometheus = stack.enter_context(Prometheus(settings, directory / "prometheus"))
        began = time.time()
        send_faxes(old, new, minutes * 60, directory)
        source = PanelData(prometheus.url, began, time.time(), SCRAPE_SECONDS)
        for path in sorted((ROOT / "grafana/dashboards").glob("*.json")):
            render.draw(json.loads(path.read_text()), source, to / f"{path.stem}.png")
            print(to / f"{path.stem}.png")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--to", type=Path, default=ROOT / "docs", help="directory")
    given = parser.parse_args()
    draw(given.minutes, given.to)


if __name__ == "__main__":
    main()
