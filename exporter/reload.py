"""Reading the settings' files again while the exporter runs, and opening the file of --log.fax-file
again: on SIGHUP, or POST /-/reload.

A file with a fault changes nothing: what was read from it before stays in use.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from exporter.notify import Notifier
from exporter.polling import Fleet
from exporter.settings import ConfigFile, OneTarget, SettingsError
from exporter.shared import Shared

logger = logging.getLogger(__name__)


class Reload:
    """Reads the files again, once for all who ask for it at the time."""

    def __init__(
        self,
        fleet: Fleet,
        file: ConfigFile | OneTarget | None,
        web_file: Callable[[], Awaitable[None]] | None,
        notifier: Notifier,
        reopen: Callable[[], None] | None = None,
    ) -> None:
        """`web_file` reads that of --web.config.file again, and raises SettingsError; `reopen`
        opens that of --log.fax-file again, and says itself if it cannot. None if there is none."""
        self._fleet = fleet
        self._notifier = notifier
        self._file = file
        self._web_file = web_file
        self._reopen = reopen
        self._shared = Shared(self._read)
        self._begun = asyncio.Event()
        self._in_background: set[asyncio.Task[None]] = set()

    @property
    def possible(self) -> bool:
        """Whether a file was named that can be read, or opened, again."""
        return not (self._file is None and self._web_file is None and self._reopen is None)

    async def __call__(self) -> None:
        """Reads and opens them all. Raises SettingsError with what is wrong in any; what is read
        from the others is used nevertheless."""
        await self._begun.wait()
        await self._shared()

    def begin(self) -> None:
        """What was read at the start is in use: it cannot replace what is read from now on. Until
        then whoever asks waits."""
        self._begun.set()

    async def _read(self) -> None:
        problems = []
        with self._notifier.reloading():
            if self._reopen is not None:
                self._reopen()
            if self._file is not None:
                try:
                    await self._fleet.watch(await self._file.read())
                except SettingsError as error:
                    logger.error("not read again, what was there goes on: %s", error)
                    problems.append(str(error))
            if self._web_file is not None:  # last, since another process may be slow to answer
                try:
                    await self._web_file()
                except SettingsError as error:  # it is in the log already
                    problems.append(str(error))
        if problems:
            raise SettingsError("\n".join(problems))

    def soon(self) -> None:
        """Reload in the background, for a signal handler; the log says how it went."""
        if not self.possible:
            logger.warning(
                "nothing to read again: no --config.file, --ami.secret-file, --web.config.file, "
                "--log.fax-file"
            )
            return
        if len(self._in_background) > 1:
            return  # one runs, and one waits that will read everything changed until it begins
        task = asyncio.create_task(self._quietly())
        self._in_background.add(task)
        task.add_done_callback(self._in_background.discard)

    async def _quietly(self) -> None:
        with contextlib.suppress(SettingsError):
            await self()

    async def close(self) -> None:
        """Cancels the reloads under way."""
        for task in self._in_background:
            task.cancel()
        await self._shared.close()
