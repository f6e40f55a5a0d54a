"""Reading the files again; as a whole command it is in test_main.py."""

import asyncio
from pathlib import Path

import pytest

from exporter.notify import Notifier
from exporter.polling import Fleet
from exporter.reload import Reload
from exporter.settings import ConfigFile, SettingsError, Targets


async def test_a_reload_that_does_not_go_on_keeps_nobody_from_ending(tmp_path: Path) -> None:
    begun: list[None] = []

    class Endless(ConfigFile):
        async def read(self) -> Targets:
            begun.append(None)
            await asyncio.Event().wait()
            raise AssertionError

    file = Endless(tmp_path / "exporter.yml", None)
    reload = Reload(Fleet(1.0, None), file, None, Notifier({}))
    reload.begin()
    for _ in range(5):
        reload.soon()
    while not begun:
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await reload.close()
    assert len(begun) == 1
    assert len(asyncio.all_tasks()) == 1


async def test_the_file_of_faxes_is_opened_again_whatever_is_wrong_with_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "exporter.yml").write_text("targets: []")
    reopened: list[None] = []
    file = ConfigFile(tmp_path / "exporter.yml", None)
    fleet, notifier = Fleet(1.0, None), Notifier({})
    reload = Reload(fleet, file, None, notifier, lambda: reopened.append(None))
    reload.begin()
    with pytest.raises(SettingsError):
        await reload()
    assert reopened == [None]
    await reload.close()


@pytest.mark.parametrize("there_is_one", [True, False])
async def test_the_file_of_faxes_alone_is_something_to_open_again(
    there_is_one: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reopened: list[None] = []

    def reopen() -> None:
        reopened.append(None)

    reload = Reload(Fleet(1.0, None), None, None, Notifier({}), reopen if there_is_one else None)
    reload.begin()
    assert reload.possible is there_is_one
    reload.soon()
    if there_is_one:
        await reload()
    assert bool(reopened) is there_is_one
    assert ("nothing to read again" in caplog.text) is not there_is_one
    await reload.close()


async def test_what_is_read_again_during_the_start_is_not_replaced_by_what_was_read_before(
    tmp_path: Path,
) -> None:
    (tmp_path / "exporter.yml").write_text("targets: {}")
    file = ConfigFile(tmp_path / "exporter.yml", None)
    fleet = Fleet(1.0, None)
    reload = Reload(fleet, file, None, Notifier({}))
    reload.soon()
    asked = asyncio.create_task(reload())
    await asyncio.sleep(0.01)
    assert file.success_timestamp == 0
    reload.begin()
    await asked
    assert file.success_timestamp > 0
    await reload.close()


async def test_targets_do_not_wait_for_the_process_that_reads_the_web_file(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").write_text("targets: {}")
    file = ConfigFile(tmp_path / "exporter.yml", None)
    asked = asyncio.Event()

    async def hangs() -> None:
        asked.set()
        await asyncio.Event().wait()

    reload = Reload(Fleet(1.0, None), file, hangs, Notifier({}))
    reload.begin()
    reload.soon()
    async with asyncio.timeout(20):
        await asked.wait()
    assert file.successful
    await reload.close()


async def test_what_is_wrong_in_either_file_is_said_and_the_other_is_used(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").write_text("targets: []")
    read: list[None] = []

    async def web_file() -> None:
        read.append(None)
        raise SettingsError("web.yml: no hash")

    file = ConfigFile(tmp_path / "exporter.yml", None)
    reload = Reload(Fleet(1.0, None), file, web_file, Notifier({}))
    reload.begin()
    with pytest.raises(SettingsError, match=r"(?s)exporter\.yml.*web\.yml: no hash"):
        await reload()
    assert read == [None]
    await reload.close()
