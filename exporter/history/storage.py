"""The file of the history: whose it is, whether it can be used, and where a damaged one goes.

A file that is not ours is never touched. Beside it are `.lock`, which keeps a second exporter out,
and, while it is used, SQLite's own `-wal` and `-shm`.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
import stat
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from exporter.history.database import APPLICATION, VERSION, Connection, Database
from exporter.settings import read_by_all
from exporter.words import visible

log = logging.getLogger(__name__)

_MAGIC: Final = b"SQLite format 3\0"
_HEAD: Final = 100
_AT_APPLICATION: Final = slice(68, 72)
_OURS: Final = APPLICATION.to_bytes(4, "big")
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_WORDS: Final = {
    sqlite3.SQLITE_FULL: "there is no room left on its disk: make some",
    sqlite3.SQLITE_BUSY: "another program holds it locked: end that, or what it does",
    sqlite3.SQLITE_LOCKED: "another program holds it locked: end that, or what it does",
    sqlite3.SQLITE_IOERR: "its disk reports an error: is it full? The kernel's log may say more",
    sqlite3.SQLITE_NOTADB: "it is damaged",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
}
_MAY_NOT_WRITE: Final = (
    "the exporter's user may not write there: give it the right to, for the file and its folder"
)
_WORDS.update(
    dict.fromkeys(
        (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM), _MAY_NOT_WRITE
    )
)


class CannotUse(Exception):
    """The file cannot be used now; why, and what to do."""


def why(error: Exception) -> str:
    """What an error of SQLite means, and what to do."""
    known = _WORDS.get(_code(error))
    return known or f"SQLite says: {visible(str(error))}"


def is_damage(error: Exception) -> bool:
    """Whether an error of SQLite means that the file is damaged."""
    return _code(error) in _DAMAGED or "malformed" in str(error)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def fault(path: Path) -> str | None:
    """Why this file cannot be used, and what to do; None if nothing is known against it. Leaves
    nothing behind, and may be asked while another exporter uses it."""
    try:
        _look(path)
        if path.exists() and not os.access(path, os.W_OK):
            raise CannotUse(_MAY_NOT_WRITE)
        tempfile.TemporaryFile(dir=path.parent).close()
    except CannotUse as error:
        return str(error)
    except OSError as error:
        return f"{error.strerror}: {_MAY_NOT_WRITE}"
    except sqlite3.Error as error:
        if is_damage(error):
            return f"it is damaged: at its start the exporter keeps it as {_aside(path).name}"
        return why(error)
    return None


class HistoryFile:
    """A file that is ours alone, until it is closed, and the database in it."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises CannotUse."""
        self._path = path.absolute()
        try:
            self._lock = _locked(self._path)
        except OSError as error:
            raise CannotUse(f"{error.strerror}: {_MAY_NOT_WRITE}") from None
        try:
            try:
                self.database = self._opened()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                keep(self._path, str(error))
                self.database = self._opened()
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, sqlite3.Error):
                raise CannotUse(why(error)) from None
            if isinstance(error, OSError):
                raise CannotUse(f"{error.strerror}: {_MAY_NOT_WRITE}") from None
            raise

    def _opened(self) -> Database:
        if _look(self._path):
            keep(self._path, "its head is empty")
        # SQLite gives the files beside it the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for caution in read_by_all(self._path):
            log.warning("%s", caution)
        database = Database(str(self._path))
        try:
            database.check()
            self._inode = self._path.stat().st_ino
        except BaseException:
            database.close()
            raise
        return database

    @property
    def aside(self) -> Path:
        """Where a damaged file was moved, if there was one."""
        return _aside(self._path)

    @property
    def in_place(self) -> bool:
        """Whether the file is still the one that is written to: somebody may have removed it."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Lets others have it."""
        try:
            self.database.close()
        finally:
            os.close(self._lock)


def keep(path: Path, what: str) -> None:
    """Moves a damaged file, and its log of pages, away, so that nothing is lost. Raises OSError."""
    aside = _aside(path)
    for suffix in ("-wal", "-shm"):  # of one that was kept before: SQLite would mix the two
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{aside}{suffix}")
    for suffix in ("-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    log.warning(
        "%s is damaged (%s); it is kept as %s. The history of faxes begins anew",
        visible(str(path)),
        visible(what),
        visible(str(aside)),
    )


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _locked(path: Path) -> int:
    """The descriptor of the lock. Raises CannotUse, and OSError."""
    if not path.parent.is_dir():
        raise CannotUse(f"the folder {visible(str(path.parent))} is missing: make it")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(f"{path}.lock", flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CannotUse("another exporter has it: give each a file of its own") from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _look(path: Path) -> bool:
    """Whether it is damaged so that nobody could say whose it is. Raises CannotUse if it is not to
    be touched, sqlite3.DatabaseError if it is ours and damaged, and OSError."""
    if not path.parent.is_dir():
        raise CannotUse(f"the folder {visible(str(path.parent))} is missing: make it")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CannotUse("it is no file: name one, which need not be there yet")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return False
    if not head:
        return False
    if not head.strip(b"\0"):  # as after a power cut
        return True
    foreign = CannotUse("it is a file of another program, and left as it is: name another one")
    if not head.startswith(_MAGIC):
        raise foreign
    try:
        application, version, tables = _identity(path)
    except sqlite3.DatabaseError as error:
        if is_damage(error) and head[_AT_APPLICATION] != _OURS:
            raise foreign from None
        raise
    if (application, version, tables) == (0, 0, 0):  # a start that was cut short
        return False
    if application != APPLICATION:
        raise foreign
    if version > VERSION:
        raise CannotUse(
            f"a later version of the exporter wrote it (schema {version}, this one knows "
            f"{VERSION}), and it is left as it is: start that version, or name another file"
        )
    return False


def _identity(path: Path) -> tuple[int, int, int]:
    """Application, version of the schema, and how many tables there are."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1.0, factory=Connection
    )
    with contextlib.closing(connection):
        found = [
            connection.execute(statement).fetchone()[0]
            for statement in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        ]
    return found[0], found[1], found[2]
