"""The two files as they were last read without fault, and reading them again."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from exporter.log import about_target
from exporter.settings.problems import SettingsError
from exporter.settings.secret_cautions import secret_cautions
from exporter.settings.targets import Targets, load_targets
from exporter.settings.values import Shard
from exporter.settings.web_config import WebConfig, read_web_config
from exporter.tls_files import Signatures, signatures

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 1.0
"""Between two looks for changed files."""


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
        self._cautioned: set[tuple[str, str]] = set()

    async def read(self) -> Targets:
        """Return the targets it names now. Raises SettingsError if anything in it is wrong."""
        try:
            targets = await asyncio.to_thread(load_targets, self.path, self._shard)
        except SettingsError:
            self.successful = False
            raise
        for name, target in targets.items():
            for caution in secret_cautions(target):
                if (name, caution) not in self._cautioned:
                    self._cautioned.add((name, caution))
                    about_target(log, name).warning("%s", caution)
        self.successful = True
        self.success_timestamp = self._clock()
        return targets


class WebConfigFile:
    """The file of --web.config.file as it was last read without fault."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        """Reads the file; `path` None: there is none. `clock`: seconds since the epoch.

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
        self._clock = clock
        self._seen: Signatures = {}
        if path is not None:
            result, self._seen = read_web_config(path)
            if isinstance(result, SettingsError):
                raise result
            self.current, self.success_timestamp = result, clock()

    async def reload(self) -> bool:
        """Reads it again. If anything in it is wrong, nothing changes; each fault is logged once.

        Returns whether `current` is now what the files say.
        """
        if self.path is None:
            return True
        result, self._seen = await asyncio.to_thread(read_web_config, self.path)
        signature = self._seen[self.path]
        if signature is not None and signature[1] == 0 and self.current != WebConfig():
            # Editors empty a file before they write it, and an empty one would let everybody in.
            result = SettingsError(f"{self.path}: empty now; {{}} is a file that asks for nothing")
        self.successful = isinstance(result, WebConfig)
        logged = self.fault.splitlines()
        self.fault = str(result) if isinstance(result, SettingsError) else ""
        if isinstance(result, SettingsError):
            for problem in self.fault.splitlines():
                if problem not in logged:
                    log.error("web configuration not changed: %s", problem)
            return False
        self.current, self.success_timestamp = result, self._clock()
        log.info("web configuration read again", extra={"fields": {"file": str(self.path)}})
        for call in self.changed:
            call()
        return True

    async def follow(self) -> None:
        """Reads it again whenever it or a file it names has changed; ends if there is none.

        It waits until two looks in a row have found the same. A file that is still being written
        can be empty, and an empty one lets everybody in.
        """
        before = self._seen
        while self.path is not None:
            await asyncio.sleep(CHECK_SECONDS)
            now = await asyncio.to_thread(signatures, self._seen)
            if before == now != self._seen:
                await self.reload()
            before = now
