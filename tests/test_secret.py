"""The AMI secret appears nowhere that somebody else could read."""

import asyncio
import hashlib
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import log
from exporter.ami import login
from exporter.ledger import Ledger
from exporter.polling import Failure, Poller
from harness.pbx import FaultyPbx
from harness.running import Exporter
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import SECRET, settings_for

SECONDS = 60
"""More than anything here takes, on a busy machine either."""


def keys_of(pbx: FaultyPbx) -> set[str]:
    """What the secret is sent as, once for each login: filled while the PBX runs."""
    keys: set[str] = set()

    def note(action: str, answer: bytes) -> bytes:
        if found := re.search(rb"Challenge: (\w+)", answer):
            key = hashlib.md5(found[1] + SECRET.encode(), usedforsecurity=False)
            keys.add(key.hexdigest())
        return answer

    pbx.rewrite = note
    return keys


def pages(url: str) -> str:
    """All that is served: the first page and what it links to."""

    def get(address: str) -> str:
        try:
            answer = urllib.request.urlopen(address, timeout=10)
        except urllib.error.HTTPError as refusal:  # not ready is an answer too
            answer = refusal
        with answer:
            return f"{answer.headers}\n{answer.read().decode()}"

    base = url.removesuffix("/metrics")
    first = get(f"{base}/")
    links = re.findall(r'(?:href|src)="([^":#]+)"', first)
    assert "./metrics" in links
    links += ["sd", "api/v1/targets", "api/v1/sessions", "-/ready"]
    return "\n".join([first, *(get(urllib.parse.urljoin(f"{base}/", link)) for link in links)])


def life(
    exporter: Exporter, change: Callable[[], None], drop: Callable[[], None], public: list[str]
) -> str:
    """All that the exporter shows while it logs in, loses its PBX, and is refused.

    `public`: the files of its process that count.
    """
    with exporter:
        exporter.wait_until(lambda now: now.value("up") == 1, SECONDS)
        shown = [pages(exporter.url)]
        drop()
        exporter.wait_until(lambda now: now.value("connects_total") == 2, SECONDS)
        change()
        drop()
        refused = "poll_failures_total"
        exporter.wait_until(lambda now: now.value(refused, reason="login_refused") == 1, SECONDS)
        shown.append(pages(exporter.url))
        process = Path(f"/proc/{exporter.process.pid}")
        if process.exists():
            shown += [(process / name).read_text() for name in public]
    return "\n".join([*shown, exporter.log])


@pytest.mark.slow
@pytest.mark.parametrize("by_file", [False, True])
async def test_the_secret_is_in_no_log_no_page_and_no_process_list(
    by_file: bool, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    pbx = FaultyPbx(secret=SECRET)
    keys = keys_of(pbx)
    await pbx.start()
    loop = asyncio.get_running_loop()
    exporter = Exporter(
        f"--ami.port={pbx.port}",
        f"--ami.username={pbx.username}",
        "--log.level=debug",
        *([f"--ami.secret-file={file}"] if by_file else []),
        environment={} if by_file else {"FAX_EXPORTER_AMI_SECRET": SECRET},
    )

    def drop() -> None:
        loop.call_soon_threadsafe(pbx.drop_connections)

    def change() -> None:
        loop.call_soon_threadsafe(setattr, pbx, "secret", "another")

    # A variable is in `environ` by nature: that is what the file is for.
    public = ["cmdline", "environ"] if by_file else ["cmdline"]
    shown = await asyncio.to_thread(life, exporter, change, drop, public)
    await pbx.stop()
    assert "level=warning" in shown
    assert "Authentication failed" in shown
    assert len(keys) == 3
    assert [word for word in (SECRET, *keys) if word in shown] == []


@pytest.mark.slow
def test_the_secret_is_in_no_help_and_no_refusal_of_a_setting() -> None:
    environment = dict(os.environ) | {"FAX_EXPORTER_AMI_SECRET": SECRET}
    for flags in (["--help"], ["--ami.port=0"]):
        done = subprocess.run(
            [sys.executable, "-m", "exporter", *flags],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "--ami." in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


@pytest.mark.slow
async def test_a_secret_that_was_replaced_is_taken_at_a_reload(tmp_path: Path) -> None:
    """By --ami.secret-file alone, and at once: not after the minute that a refusal waits."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    pbx = FaultyPbx(secret=SECRET)
    await pbx.start()
    flags = (f"--ami.port={pbx.port}", f"--ami.username={pbx.username}")

    def up(exporter: Exporter, value: int) -> None:
        exporter.wait_until(lambda now: now.value("up") == value, SECONDS)

    with Exporter(*flags, f"--ami.secret-file={file}") as exporter:
        await asyncio.to_thread(up, exporter, 1)
        pbx.secret = "another"
        pbx.drop_connections()
        await asyncio.to_thread(up, exporter, 0)
        await until(lambda: bool(pbx.failed_logins))
        file.write_text("another")
        exporter.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(up, exporter, 1)
        assert len(pbx.failed_logins) == 1
        assert "reloaded" in await asyncio.to_thread(post, exporter, "/-/reload")
        file.unlink()
        assert "a fault" in await asyncio.to_thread(post, exporter, "/-/reload")
    await pbx.stop()
    assert "--ami.secret-file: No such file or directory" in exporter.log
    assert "another" not in exporter.log


def post(exporter: Exporter, path: str) -> str:
    """What is answered, be it a refusal."""
    request = urllib.request.Request(exporter.url.removesuffix("/metrics") + path, method="POST")
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        return str(answer.read().decode())


class Broken:
    """In place of hashlib."""

    @staticmethod
    def md5(*_: object, **__: object) -> None:
        raise RuntimeError("md5 is gone")


@in_virtual_time
async def test_a_traceback_through_the_login_shows_no_value(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the place where the secret is a local variable."""
    monkeypatch.setattr(login, "hashlib", Broken)
    caplog.set_level(logging.DEBUG)
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start()
    poller = Poller(settings_for(pbx), 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await until(lambda: poller.status.failures[Failure.INTERNAL] == 1)
    task.cancel()
    await pbx.stop()
    for form in (log.Logfmt(), log.Json()):
        said = "\n".join(map(form.format, caplog.records))
        assert "md5 is gone" in said
        assert "in _answer_challenge" in said
        assert SECRET not in said
