"""The files of settings as they were last read without fault, and reading them again: that of the
targets, that of --web.config.file, and the secret of --ami.secret-file.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Final

from exporter.log import about_target
from exporter.pieces import Pieces
from exporter.settings.cautions import login_cautions, secret_cautions, web_cautions
from exporter.settings.declarations import BY_PATH
from exporter.settings.models import AmiSettings
from exporter.settings.problems import Place, SettingsError
from exporter.settings.reading import read_beside_polls, read_targets
from exporter.settings.secret_file import is_read_once
from exporter.settings.targets import Targets
from exporter.settings.values import Shard
from exporter.settings.web_config import WebConfig, read_web_config
from exporter.settings.web_protection import Protection
from exporter.tls_files import Signatures, signatures

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 1.0
"""Between two looks for changed files."""


class _Warned:
    """Warnings, each given once however often the files are read."""

    def __init__(self) -> None:
        self._given: set[tuple[str, str]] = set()

    def warn(self, cautions: Iterable[str], target: str = "") -> None:
        """Logs those that are new. `target`: the one they are about, if they are about one."""
        for caution in cautions:
            if (target, caution) not in self._given:
                self._given.add((target, caution))
                (about_target(log, target) if target else log).warning("%s", caution)


class OneTarget:
    """The Asterisk that flags and variables name, with the secret as it was last read."""

    def __init__(self, settings: AmiSettings) -> None:
        """Reads nothing yet, beyond what `settings` were made of."""
        self.name = f"{settings.host}:{settings.port}"
        self._settings = settings
        self._warned = _Warned()

    @property
    def can_change(self) -> bool:
        """Whether there is a file with its secret, which can be read again."""
        file = self._settings.secret_file
        return file is not None and not is_read_once(file)

    async def read(self) -> Targets:
        """Return it, with the secret that its file holds now. Raises SettingsError."""
        try:
            self._settings = await asyncio.to_thread(self._settings.with_secret_of_now)
        except ValueError as error:
            setting = BY_PATH["ami", "secret_file"]
            # Raised below, outside of `except`, so that nothing of the file is in its context.
            fault = Place(setting.flag, setting.accepts).refusal(str(error))
        else:
            self._warned.warn(login_cautions(self._settings))
            self._warned.warn(secret_cautions(self._settings), self.name)
            return {self.name: self._settings}
        raise SettingsError(fault)


class ConfigFile:
    """The file of targets as it was last read without fault."""

    def __init__(
        self, path: Path, shard: Shard | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Reads nothing yet. `clock`: seconds since the epoch."""
        self.path = path
        self.successful = False
        """Whether the last reading was without fault."""
        self.success_timestamp = 0.0
        """Seconds since the epoch: when the file was last read without fault."""
        self._shard = shard
        self._clock = clock
        self._warned = _Warned()
        self._polled = False
        """Whether there may be PBXs that are polled while it is read: not at the first time."""

    async def read(self) -> Targets:
        """Return the targets it names now. Raises SettingsError if anything in it is wrong."""
        polled, self._polled = self._polled, True
        try:
            if polled:
                reading = await read_beside_polls(self.path, self._shard)
            else:
                reading = await asyncio.to_thread(read_targets, self.path, self._shard)
        except Exception:  # not only what is wrong in it
            self.successful = False
            raise
        pieces = Pieces()
        for target, caution in reading.cautions:
            self._warned.warn([caution], target)
            await pieces.done()
        self.successful = True
        self.success_timestamp = self._clock()
        return reading.targets


class WebConfigFile:
    """The file of --web.config.file as it was last read without fault."""

    def __init__(
        self,
        path: Path | None,
        *,
        show_details: bool = False,
        before: Set[Protection] = frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Reads the file; `path` None: there is none. `show_details`: whether personal data is
        shown, for a warning if everybody may see it. `before`: what was protected until now, by
        a process before this one. `clock`: seconds since the epoch.

        Raises SettingsError with a line for each thing that is wrong.
        """
        self.path = path
        self.current = WebConfig()
        self.successful = True
        """Whether the last reading was without fault."""
        self.fault = ""
        """What was wrong at the last reading, a line for each thing; empty if nothing was."""
        self.success_timestamp = 0.0
        """Seconds since the epoch: when the file was last read without fault; 0 without a file."""
        self.changed: list[Callable[[], None]] = []
        """Called each time `current` has been replaced."""
        self._show_details = show_details
        self._warned = _Warned()
        self._clock = clock
        self._seen: Signatures = {}
        if path is not None:
            result, self._seen = read_web_config(path, before)
            if isinstance(result, SettingsError):
                raise result
            self.current, self.success_timestamp = result, clock()
        self._caution()

    async def reload(self) -> bool:
        """Reads it again, since somebody asks for it. If anything in it is wrong, nothing changes,
        and that is logged, also if it was before.

        Returns whether `current` is now what the files say.
        """
        self.fault = ""
        return await self._read()

    async def _read(self) -> bool:
        """Logs what is not wrong in the same words already."""
        if self.path is None:
            return True
        result, self._seen = await asyncio.to_thread(
            read_web_config, self.path, self.current.protections
        )
        self.successful = isinstance(result, WebConfig)
        logged = self.fault.splitlines()
        self.fault = str(result) if isinstance(result, SettingsError) else ""
        if isinstance(result, SettingsError):
            for problem in self.fault.splitlines():
                if problem not in logged:
                    log.error("web configuration not changed: %s", problem)
            return False
        self.current, self.success_timestamp = result, self._clock()
        self._caution()
        log.info("web configuration read again", extra={"fields": {"file": str(self.path)}})
        for call in self.changed:
            call()
        return True

    async def follow(self) -> None:
        """Reads it again whenever it or a file it names has changed; ends if there is none.

        It waits until two looks in a row have found the same: a file that is still being written
        would only be refused.
        """
        before = self._seen
        while self.path is not None:
            await asyncio.sleep(CHECK_SECONDS)
            now = await asyncio.to_thread(signatures, self._seen)
            if before == now != self._seen:
                await self._read()
            before = now

    def _caution(self) -> None:
        self._warned.warn(web_cautions(self.path, self.current, show_details=self._show_details))
