"""Reading the settings' files again while the exporter runs: on SIGHUP, or POST /-/reload.

A file with a fault changes nothing: what was read from it before stays in use.
"""

import asyncio
import contextlib
import logging

from exporter.notify import Notifier
from exporter.polling import Fleet
from exporter.settings import ConfigFile, SettingsError, WebConfigFile

logger = logging.getLogger(__name__)


class Reload:
    """Reads the files again, for one request at a time."""

    def __init__(
        self, fleet: Fleet, file: ConfigFile | None, web_file: WebConfigFile, notifier: Notifier
    ) -> None:
        self._fleet = fleet
        self._notifier = notifier
        self._file = file
        self._web_file = web_file
        self._one_at_a_time = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()

    @property
    def possible(self) -> bool:
        """Whether a file was named that can be read again."""
        return self._file is not None or self._web_file.path is not None

    async def __call__(self) -> None:
        """Reads both files. Raises SettingsError with what is wrong in either; what is read from
        the other is used nevertheless."""
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
        if len(self._reloads) > 1:
            return  # one runs, and one waits that will read everything changed until it begins
        task = asyncio.create_task(self._in_background())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _in_background(self) -> None:
        with contextlib.suppress(SettingsError):
            await self()

    async def close(self) -> None:
        """Cancels the reloads under way."""
        for task in self._reloads:
            task.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)
