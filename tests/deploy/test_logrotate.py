"""The file of faxes while a real logrotate rotates it: no line is lost, torn or there twice."""

import asyncio
import gzip
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from harness.exposition import Scrape
from harness.fax_lines import assert_lines_make_up
from harness.logfmt import parse
from harness.pbx import FaultyPbx
from harness.programs import binary
from harness.running import Exporter

pytestmark = pytest.mark.slow

RECIPE: Final = Path(__file__).parents[2] / "deploy/logrotate/asterisk-fax-exporter"
ROTATIONS: Final = 8
AT_ONCE: Final = 20
PAUSE: Final = 0.005
"""Seconds between so many faxes and the next."""


def unique_id(number: int) -> str:
    return f"1764149000.{number}"


def event(number: int) -> str:
    """Of a fax that never began, as the number of its call."""
    lines = (
        "Event: ReceiveFAX",
        f"Channel: PJSIP/fax-{number:08x}",
        f"Uniqueid: {unique_id(number)}",
        "PagesTransferred: 0",
        "ChanVariable: FAXSTATUS=FAILED",
        "ChanVariable: FAXERROR=INIT_ERROR",
        "ChanVariable: FAXMODE=audio",
    )
    return "\r\n".join(lines) + "\r\n\r\n"


async def rotated(directory: Path) -> tuple[int, Scrape]:
    """Faxes come while the file is rotated again and again; how many, and what was counted."""
    log = directory / "faxes.log"
    pbx = FaultyPbx(secret="s")
    await pbx.start()
    exporter = Exporter.watching(
        pbx.host, pbx.port, pbx.username, "s", f"--log.fax-file={log}", "--poll.interval=1"
    )
    await asyncio.to_thread(exporter.__enter__)
    try:
        connected = r"connected, AMI"
        await asyncio.to_thread(exporter.wait_for_line, connected, 20)
        recipe = RECIPE.read_text().replace("/var/log/asterisk-fax-exporter/faxes.log", str(log))
        recipe = re.sub(r"systemctl .*", f"kill -HUP {exporter.process.pid}", recipe)
        recipe = recipe.replace("rotate 30", "rotate 1000")
        config = directory / "logrotate.conf"
        config.write_text(recipe)
        config.chmod(0o644)
        enough = asyncio.Event()

        async def send() -> int:
            number = 0
            while not enough.is_set():
                pbx.inject("".join(map(event, range(number, number + AT_ONCE))).encode())
                number += AT_ONCE
                await asyncio.sleep(PAUSE)
            return number

        sending = asyncio.create_task(send())
        async with asyncio.timeout(60):
            while len(list(directory.glob("faxes.log.*"))) < ROTATIONS:
                await asyncio.to_thread(rotate, config, directory / "state")
        enough.set()
        faxes = await sending
        return faxes, await asyncio.to_thread(
            exporter.wait_until, lambda now: now.sum("failures_total") == faxes, 30
        )
    finally:
        await asyncio.to_thread(exporter.stop)
        await pbx.stop()


def rotate(config: Path, state: Path) -> None:
    """Once, whether it is time or not."""
    logrotate = binary("logrotate", package="logrotate")
    done = subprocess.run(
        [logrotate, "--force", "--state", state, config],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def test_no_line_is_lost_or_torn_between_the_files(tmp_path: Path) -> None:
    faxes, counted = asyncio.run(rotated(tmp_path))
    files = list(tmp_path.glob("faxes.log*"))
    found = [parse(line) for path in files for line in text(path).splitlines()]
    assert sorted(line["uniqueid"] for line in found) == sorted(map(unique_id, range(faxes)))
    assert_lines_make_up(found, counted)
    # The one before it may still be written to.
    assert sum(path.suffix == ".gz" for path in files) == ROTATIONS - 1
    assert all(map(text, tmp_path.glob("faxes.log.*")))
