"""Reading the settings' files again while the exporter runs: on SIGHUP, or POST /-/reload.

A file with a fault changes nothing; what was read from it before goes on.
"""

import asyncio
import contextlib
import logging

from exporter.notify import Notifier
from exporter.polling import Fleet
from exporter.settings import ConfigFile, SettingsError, WebConfigFile

logger = logging.getLogger(__name__)


class Reload:
    """Reads the files again; of several requests one after the other."""

    def __init__(
        self, fleet: Fleet, file: ConfigFile | None, web_file: WebConfigFile, notifier: Notifier
    ) -> None:
        self._fleet = fleet
        self._notifier = notifier
        self._file = file
        self._web_file = web_file
        self._one_at_a_time = asyncio.Lock()
        self._asked: set[asyncio.Task[None]] = set()

    @property
    def possible(self) -> bool:
        """Whether there is a file."""
        return self._file is not None or self._web_file.path is not None

    async def __call__(self) -> None:
        """Reads both files. Raises SettingsError with what is wrong in either; the other one, if
        it is right, holds all the same."""
        problems = []
        async with self._one_at_a_time:
            with self._notifier.reloading():
                if not await self._web_file.reload():
                    problems.append(self._web_file.fault)
                if self._file is not None:
                    try:
                        await self._fleet.watch(await self._file.read())
                    except SettingsError as error:
                        logger.error("not read again, what was there goes on: %s", error)
                        problems.append(str(error))
        if problems:
            raise SettingsError("\n".join(problems))

    def soon(self) -> None:
        """Reload in the background, for a signal handler; the log says how it went."""
        if not self.possible:
            logger.warning("nothing to read again: no --config.file, no --web.config.file")
            return
        if len(self._asked) > 1:
            return  # one runs and one waits, which will read what has changed until then
        task = asyncio.create_task(self._logged())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _logged(self) -> None:
        with contextlib.suppress(SettingsError):
            await self()

    async def close(self) -> None:
        """Cancels the reloads under way."""
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
