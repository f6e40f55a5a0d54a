"""Reading the files again; as a whole command it is in test_main.py."""

import asyncio
from pathlib import Path

from exporter.notify import Notifier
from exporter.polling import Fleet
from exporter.reload import Reload
from exporter.settings import ConfigFile, Targets


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
