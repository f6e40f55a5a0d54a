"""The file of targets, read by a process of its own while PBXs are polled."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__
from exporter.settings import ConfigFile, SettingsError, Shard
from exporter.settings.reading import SMALL, Reading, read_beside_polls, read_targets
from tests.settings.files import TWO_TARGETS, targets_file

LARGE = f"{TWO_TARGETS}#{SMALL * 'x'}\n"


def children() -> set[int]:
    pid = os.getpid()
    told = ""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            told += (task / "children").read_text()
    return {int(child) for child in told.split()}


async def reading_process(reading: "asyncio.Task[Reading]", before: set[int]) -> int:
    """The process that reads, once it runs."""
    async with asyncio.timeout(20):
        while not (new := children() - before):
            assert not reading.done()
            await asyncio.sleep(0)
    (pid,) = new
    return pid


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARIS_SECRET", " hunter2")


def many(folder: Path, count: int) -> Path:
    lines = (
        f"  pbx-{n}: {{username: u, secret_file: berlin, port: {n + 1}}}" for n in range(count)
    )
    return targets_file(folder, "targets:\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("shard", [None, Shard(1, 3)])
async def test_a_process_reads_what_would_be_read_here(tmp_path: Path, shard: Shard | None) -> None:
    path = many(tmp_path, 450)
    (tmp_path / "berlin").chmod(0o644)
    assert path.stat().st_size > SMALL
    before = children()
    reading = asyncio.create_task(read_beside_polls(path, shard))
    await reading_process(reading, before)
    here = read_targets(path, shard)
    assert await reading == here
    assert list((await reading).targets) == list(here.targets)
    assert len(here.targets) == 450 if shard is None else 0 < len(here.targets) < 450
    assert any("its mode lets all users" in text for _, text in here.cautions)


async def test_what_is_odd_is_told_with_the_target_it_is_about(tmp_path: Path) -> None:
    reading = await read_beside_polls(targets_file(tmp_path, LARGE), None)
    assert [target for target, text in reading.cautions if "blanks at an end" in text] == [
        "fax-paris"
    ]
    assert "hunter2" not in repr(reading)


async def test_a_small_file_costs_no_process(tmp_path: Path) -> None:
    before = children()
    reading = asyncio.create_task(read_beside_polls(targets_file(tmp_path, TWO_TARGETS), None))
    while not reading.done():
        assert children() == before
        await asyncio.sleep(0)
    assert len((await reading).targets) == 2


@pytest.mark.parametrize(
    "text",
    [
        LARGE.replace("host: 10.0.0.5", "hots: 10.0.0.5").replace("fax-paris", "fax paris"),
        LARGE.replace("targets:", "targets: ["),
    ],
)
async def test_what_is_wrong_is_said_in_the_same_words(tmp_path: Path, text: str) -> None:
    path = targets_file(tmp_path, text)
    with pytest.raises(SettingsError) as here:
        read_targets(path, None)
    with pytest.raises(SettingsError) as there:
        await read_beside_polls(path, None)
    assert str(there.value) == str(here.value)


async def test_a_process_that_is_killed_changes_nothing_and_is_told(tmp_path: Path) -> None:
    before = children()
    reading = asyncio.create_task(read_beside_polls(targets_file(tmp_path, LARGE), None))
    os.kill(await reading_process(reading, before), signal.SIGKILL)
    with pytest.raises(SettingsError, match="ended with status -9 before it was done"):
        await reading


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ("exporter.__version__ = '99.9'", "in its place, 99.9; restart the exporter"),
        ("print('hello', flush=True)", "in its place; restart the exporter"),
    ],
)
async def test_what_another_version_says_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, shown: str
) -> None:
    """One that was installed while this one runs: its targets may be of another make."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif 'exporter.settings' in sys.orig_argv:\n    import exporter\n    {says}\n"
    )
    path = targets_file(tmp_path, LARGE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(SettingsError) as refused:
        await read_beside_polls(path, None)
    assert str(refused.value).startswith(f"{path}: cannot be read again by {__version__}, which")
    assert str(refused.value).endswith(shown)


async def test_who_gives_up_leaves_no_process_behind(tmp_path: Path) -> None:
    before = children()
    reading = asyncio.create_task(read_beside_polls(targets_file(tmp_path, LARGE), None))
    await reading_process(reading, before)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert children() == before


async def test_where_no_process_can_be_started_it_is_read_all_the_same_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    reading = await read_beside_polls(path := targets_file(tmp_path, LARGE), None)
    assert len(reading.targets) == 2
    (said,) = caplog.messages
    assert said.startswith(f"{path} is read without a process of its own, and polls are late")
    assert said.endswith("No such file or directory")


async def test_where_no_thread_can_be_started_to_wait_for_it_it_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_thread)
    reading = await read_beside_polls(targets_file(tmp_path, LARGE), None)
    assert len(reading.targets) == 2
    (said,) = caplog.messages
    assert said.endswith("none can be started: can't start new thread")


def test_the_process_ends_with_the_exporter(tmp_path: Path) -> None:
    """Also if it hangs: in a secret that never comes, here."""
    os.mkfifo(tmp_path / "never")
    (tmp_path / "x.yml").write_text(
        f"targets: {{a: {{username: u, secret_file: never}}}} #{SMALL * 'x'}"
    )
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from exporter.settings import reading, secret_file, yaml_files;"
        "asyncio.run(reading.read_beside_polls(Path(sys.argv[1]), None))"
    )
    hanging = tmp_path / "sitecustomize.py"
    hanging.write_text(
        "import sys\n"
        "if 'exporter.settings' in sys.orig_argv:\n"
        "    from exporter.settings import targets\n"
        "    import os\n"
        "    targets.read_yaml = lambda *_: open(os.environ['NEVER'])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NEVER": str(tmp_path / "never")}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "x.yml")],
        env=environment,
        stdout=subprocess.PIPE,
    ) as process:
        children_of = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (told := children_of.read_text().split()):
            assert process.poll() is None
        child = int(told[0])
        handle = os.pidfd_open(child)
        process.kill()
        os.set_blocking(handle, False)
        ready, _, _ = select.select([handle], [], [], 20)
        os.close(handle)
    assert ready


async def test_the_first_time_nobody_is_polled_yet_and_it_is_read_here(tmp_path: Path) -> None:
    file, before = ConfigFile(targets_file(tmp_path, LARGE), None), children()
    first = asyncio.create_task(file.read())
    while not first.done():
        assert children() == before
        await asyncio.sleep(0)
    again = asyncio.create_task(file.read())
    async with asyncio.timeout(20):
        while children() == before:
            assert not again.done()
            await asyncio.sleep(0)
    assert await again == await first
