"""Reading the file of targets while PBXs are polled: a large one in a process of its own.

The parser is Python, and a thread of it takes from the event loop 5 ms for each system call that is
made there: polls would stand still until it has ended.
"""

import asyncio
import contextlib
import io
import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter import __version__, parts
from exporter.pieces import Pieces
from exporter.settings.cautions import login_cautions, secret_cautions, targets_cautions
from exporter.settings.problems import SettingsError
from exporter.settings.targets import Targets, load_targets
from exporter.settings.values import Shard

SMALL: Final = 16 * 1024
"""Bytes: a file up to this, of 150 targets or so, is read in a thread. That takes less than it
takes to start a process."""
END_SECONDS: Final = 0.3
"""For a process that is killed."""
_PIECE: Final = 50
"""Targets that are taken from the process at once: 1 ms or so."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reading:
    """What a file without fault says."""

    targets: Targets = field(default_factory=dict)
    cautions: list[tuple[str, str]] = field(default_factory=list)
    """What is probably not meant: the target that it is about, empty if about none, and a text."""


def read_targets(path: Path, shard: Shard | None) -> Reading:
    """Reads the file, and the files that it names. Raises SettingsError as `load_targets`."""
    reading = Reading(load_targets(path, shard))
    reading.cautions += [("", text) for text in targets_cautions(path)]
    for name, target in reading.targets.items():
        reading.cautions += [("", text) for text in login_cautions(target)]
        reading.cautions += [(name, text) for text in secret_cautions(target)]
    return reading


async def read_beside_polls(path: Path, shard: Shard | None) -> Reading:
    """As `read_targets`, and holds up nobody meanwhile. Raises SettingsError, also if the process
    that reads it was ended."""
    if await asyncio.to_thread(_size, path) > SMALL:
        try:
            process = await asyncio.create_subprocess_exec(
                *parts.command("exporter.settings"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | parts.python_path(),
            )
        except (OSError, RuntimeError) as error:  # such as too many processes, or threads
            log.warning(
                "%s is read without a process of its own, and polls are late meanwhile: none can "
                "be started: %s",
                path,
                error.strerror if isinstance(error, OSError) else error,
            )
        else:
            return await _answer_of(process, path, shard)
    return await asyncio.to_thread(read_targets, path, shard)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # to be told by who reads it
        return 0


async def _answer_of(
    process: asyncio.subprocess.Process, path: Path, shard: Shard | None
) -> Reading:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(ConnectionError):  # its status tells
            process.stdin.write(pickle.dumps((path, shard)))
            await process.stdin.drain()
        answer = io.BytesIO(await process.stdout.read())
        status = await process.wait()
    finally:
        process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
    if status:
        raise SettingsError(
            f"{path}: the process that reads it ended with status {status} before it was done; "
            "is there enough memory?"
        )
    if (installed := _version_in(answer)) != __version__:
        raise SettingsError(
            f"{path}: cannot be read again by {__version__}, which runs: another version is "
            f"installed in its place{installed and ', '}{installed}; restart the exporter"
        )
    problem = pickle.load(answer)
    if problem:
        raise SettingsError(problem)
    reading, pieces = Reading(cautions=pickle.load(answer)), Pieces()
    for _ in range(pickle.load(answer)):
        reading.targets.update(pickle.load(answer))
        await pieces.turn()
    return reading


def _version_in(answer: io.BytesIO) -> str:
    """Of the process that reads; empty if it does not begin by telling that."""
    try:
        return str(pickle.load(answer))
    except Exception:  # what another version says may be anything
        return ""


def said(path: Path, shard: Shard | None) -> Iterator[bytes]:
    """What the process says: its version, then what is wrong, or the cautions, a number, and so
    many parts of the targets. There are secrets in it."""
    yield pickle.dumps(__version__)
    try:
        reading = read_targets(path, shard)
    except SettingsError as error:
        yield pickle.dumps(str(error))
        return
    yield pickle.dumps("")
    yield pickle.dumps(reading.cautions)
    targets = list(reading.targets.items())
    slices = [targets[first : first + _PIECE] for first in range(0, len(targets), _PIECE)]
    yield pickle.dumps(len(slices))
    for part in slices:
        yield pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
