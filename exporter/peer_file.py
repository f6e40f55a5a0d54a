"""The file of --metrics.peer-file: which peers there were, so that after a restart their series
stand there at 0 before they count. It holds no counts.

JSON, by target and peer: when the peer was last seen, seconds since the epoch, and for each of its
operations the reasons that its faxes failed for. What cannot be read, of a file or in it, costs
only what it would have told; the file itself is then kept beside the new one.
"""

import asyncio
import json
import logging
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from exporter.fax import Operation, Reason, printable
from exporter.ledger import Remembered
from exporter.polling import Fleet, Poller
from exporter.settings import SettingsError
from exporter.words import visible

log = logging.getLogger(__name__)

PERIOD: Final = 30.0
"""Seconds after which something new is in the file, at most."""
TOUCHED: Final = 86_400.0
"""Seconds after which it is written anew though nothing is new but when peers were seen."""
FORGOTTEN: Final = 90 * 86_400.0
"""Seconds after which a peer that was not seen is no longer remembered: else trunks that are gone
would take the places of those that come."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of a file; that of a thousand PBXs with a hundred peers each has a tenth."""
_MAX_SEEN: Final = 1e11
_PER_PIECE: Final = 5
"""Targets that are looked at before the polls go on."""

Peers: TypeAlias = dict[str, dict[str, Any]]
"""Of one target: `seen`, and reasons by operation."""
Word = TypeVar("Word", Operation, Reason)


class PeerFile:
    """Remembers the peers of all targets."""

    def __init__(self, path: Path, wall: Callable[[], float] = time.time) -> None:
        """Reads the file, if there is one. Raises SettingsError if it can neither be read nor ever
        be written."""
        self._path = path
        self._wall = wall
        self._failing = False
        self._targets: dict[str, Peers] = {}
        self._written: dict[str, tuple[int, int]] = {}
        """How many peers and reasons of each target are in the file."""
        self._written_at = 0.0
        self._lock = threading.Lock()
        try:
            # Else opening something like a pipe would wait for ever.
            if not stat.S_ISREG(path.stat().st_mode):
                raise SettingsError(
                    f"--metrics.peer-file: {visible(str(path))} is no file; name one, which need "
                    "not be there yet"
                )
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            self._try_folder()
            return
        except OSError as error:
            raise SettingsError(
                f"--metrics.peer-file: {visible(str(path))} cannot be read: {error.strerror}; "
                "give the exporter's user the right to, or name another file"
            ) from None
        try:
            if len(content) > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES} bytes")
            self._targets = dict(_targets(json.loads(content), wall() - FORGOTTEN))
        except (ValueError, RecursionError) as error:
            self._keep(error)

    def _try_folder(self) -> None:
        folder = self._path.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise SettingsError(
                f"--metrics.peer-file: the folder {visible(str(folder))} is missing, or the "
                "exporter's user may not write in it; make it, or name a file in another one"
            )

    def _keep(self, error: Exception) -> None:
        """Moves away a file that cannot be understood, so that it is not lost."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            os.replace(self._path, aside)
            where = f"it is kept as {visible(str(aside))}"
        except OSError as failure:
            where = f"and cannot be moved away ({failure.strerror}): it will be written over"
        log.warning(
            "%s is no file of peers (%s); %s. Peers are learned anew",
            visible(str(self._path)),
            type(error).__name__ if isinstance(error, RecursionError) else visible(str(error)),
            where,
        )

    def remembered(self, target: str) -> Remembered:
        """The peers of a target, the one that was last seen first."""
        peers = self._targets.get(target, {})
        newest = sorted(peers, key=lambda peer: float(peers[peer]["seen"]), reverse=True)
        return {peer: dict(_operations(peers[peer])) for peer in newest}

    async def follow(self, fleet: Fleet) -> None:
        """Keeps the file up to date; ends when cancelled, once what is new is written."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.save(fleet)
        finally:
            await self.save(fleet)

    async def save(self, fleet: Fleet) -> None:
        """Writes what is new, if anything is. That it cannot be written is said once."""
        touch = self._wall() >= self._written_at + TOUCHED
        written = dict(self._written)
        for number, (name, poller) in enumerate(list(fleet.pollers.items())):
            if number % _PER_PIECE == _PER_PIECE - 1:
                await asyncio.sleep(0)  # the polls come first
            state = _state(poller)
            if touch or written.get(name) != state:
                self._targets[name] = self._peers(name, poller)
                written[name] = state
        if not touch and written == self._written:
            return
        try:
            await asyncio.to_thread(self._write, self._targets.copy())
        except OSError as error:
            if not self._failing:
                log.warning(
                    "%s cannot be written: %s. Peers are remembered until the exporter ends; it "
                    "is tried again every %.0f s",
                    visible(str(self._path)),
                    error.strerror,
                    PERIOD,
                )
            self._failing = True
            return
        if self._failing:
            log.info("%s is written again", visible(str(self._path)))
        self._failing = False
        self._written, self._written_at = written, self._wall()

    def _peers(self, name: str, poller: Poller) -> Peers:
        """Of one target: those known now, and when they were seen."""
        before, peers = self._targets.get(name, {}), poller.ledger.peers
        epoch = self._wall() - poller.clock.monotonic()
        found: Peers = {}
        for peer, operations in peers.known().items():
            at = peers.seen_at.get(peer)
            seen = before.get(peer, {}).get("seen", self._wall()) if at is None else epoch + at
            about = {operation.value: reasons for operation, reasons in operations.items()}
            found[peer] = {"seen": round(seen), **about}
        return found

    def _write(self, targets: Mapping[str, Peers]) -> None:
        """In one go: whoever reads it meanwhile, or after a crash, sees the old file or the new."""
        with self._lock:  # what is asked for last is written last
            self._replace(json.dumps({"targets": targets}, indent=1))

    def _replace(self, content: str) -> None:
        handle, name = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=self._path.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise


def _state(poller: Poller) -> tuple[int, int]:
    totals = poller.ledger.peers.totals
    return len(totals.pages), len(totals.failures)


def _targets(content: object, since: float) -> Iterator[tuple[str, Peers]]:
    """What a file says, of peers seen since then. Raises ValueError if it is no such file."""
    targets = content.get("targets") if isinstance(content, dict) else None
    if not isinstance(targets, dict):
        raise ValueError('it lacks {"targets": {...}}')
    for name, peers in targets.items():
        if not isinstance(peers, dict):
            raise ValueError("a target is no object")
        known = {}
        for peer, about in peers.items():
            seen = about.get("seen") if isinstance(about, dict) else None
            if not (isinstance(seen, int | float) and 0 <= seen < _MAX_SEEN):
                raise ValueError("a peer does not say when it was seen")
            if seen >= since and peer == printable(peer):
                known[peer] = about
        yield name, known


def _operations(about: Mapping[str, object]) -> Iterator[tuple[Operation, list[Reason]]]:
    """What a peer did. Words of another version of the exporter are left out."""
    for word, reasons in about.items():
        for operation in _known(Operation, [word]):
            yield operation, list(_known(Reason, reasons if isinstance(reasons, list) else ()))


def _known(kind: type[Word], words: Collection[object]) -> Iterator[Word]:
    values = {one.value: one for one in kind}
    for word in words:
        if isinstance(word, str) and word in values:
            yield values[word]
