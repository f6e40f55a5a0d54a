"""The table of faxes: written in batches, searched within limits of time and rows, kept small.

Whatever SQLite raises, sqlite3.Error, is left to the caller, who knows what to do about a file.
"""

import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from exporter.history import rows
from exporter.history.query import MAX_TIME, RESULTS, FaxPage, Position, Query, Stored

VERSION: Final = 1
"""Of the schema, as PRAGMA user_version."""
APPLICATION: Final = 0x46415831
"""As PRAGMA application_id: `FAX1`. It tells our files from those of other programs."""
QUERY_SECONDS: Final = 2.0
"""So long may a search take."""
DAY: Final = 86_400.0
TRIM_FAXES: Final = 1_000
"""So many are deleted at once: a tenth of a second, and a few MB of SQLite's log."""

_STEPS: Final = 2_000
"""Of SQLite's machine, between two looks at the clock: some tenths of a millisecond."""
_CACHE_KIB: Final = 2_048
_LOG_BYTES: Final = 4 * 1024 * 1024
"""To which SQLite's log is cut, once it grew beyond."""

_SCHEMA: Final = (
    "CREATE TABLE fax (id INTEGER PRIMARY KEY, "
    + ", ".join(f"{name} {kind}" for name, kind in rows.COLUMNS.items())
    + ")",
    "CREATE INDEX fax_ended ON fax (ended)",
    "CREATE INDEX fax_stored ON fax (stored)",
    "CREATE INDEX fax_target ON fax (target, ended)",
    "CREATE INDEX fax_reason ON fax (reason, ended) WHERE reason IS NOT NULL",
    "CREATE INDEX fax_result ON fax (result, ended)",
    "CREATE INDEX fax_peer ON fax (peer, ended) WHERE peer IS NOT NULL",
    "CREATE INDEX fax_uniqueid ON fax (uniqueid) WHERE uniqueid IS NOT NULL",
    "CREATE INDEX fax_linkedid ON fax (linkedid) WHERE linkedid IS NOT NULL",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
_NAMES: Final = ", ".join(rows.COLUMNS)
_INSERT: Final = f"INSERT INTO fax ({_NAMES}) VALUES ({', '.join('?' * len(rows.COLUMNS))})"
_SELECT: Final = f"SELECT id, {_NAMES} FROM fax"


class TooSlow(Exception):
    """A search took longer than QUERY_SECONDS, and was given up."""


class Connection(sqlite3.Connection):
    """Its errors are sqlite3.Error alone."""

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        """As of any connection."""
        try:
            return super().execute(statement, values)
        except UnicodeDecodeError:  # SQLite quotes a damaged schema, which need not be text
            raise sqlite3.DatabaseError("database disk image is malformed: no text") from None


class Database:
    """One connection, used by one thread. Its targets are known at any time."""

    def __init__(self, path: str = ":memory:") -> None:
        """Opens or makes it; the caller has looked that it is ours."""
        self.in_file = path != ":memory:"
        self._connection = sqlite3.connect(
            path, isolation_level=None, timeout=1.0, factory=Connection
        )
        try:
            self._begin()
        except BaseException:
            self._connection.close()
            raise

    def _begin(self) -> None:
        self._connection.text_factory = lambda content: content.decode("utf-8", "replace")
        self._ask(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._ask("PRAGMA secure_delete = ON")  # what is deleted is gone
        self._ask("PRAGMA trusted_schema = OFF")
        self._ask("PRAGMA temp_store = MEMORY")
        if not self._value("PRAGMA page_count"):
            self._ask("PRAGMA auto_vacuum = INCREMENTAL")
        if self.in_file:
            self._ask("PRAGMA journal_mode = WAL")
            # Once a second at most, so it costs little; with NORMAL a power cut takes half a
            # minute with it.
            self._ask("PRAGMA synchronous = FULL")
            self._ask(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        if self._value("PRAGMA user_version") == 0:
            with self._transaction():
                for statement in _SCHEMA:
                    self._ask(statement)
            self._ask("PRAGMA wal_checkpoint(TRUNCATE)")  # whose file it is stands in its head
        self._count()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    # --- writing --------------------------------------------------------------------------------

    def add(self, faxes: Iterable[Sequence[Any]]) -> int:
        """Writes rows, all or none, and returns how many of them can be none of the table."""
        wrong, added = 0, Counter[str]()
        with self._transaction():
            for row in faxes:
                try:
                    self._ask(_INSERT, row)
                    added[row[_TARGET]] += 1
                except (sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError):
                    wrong += 1  # a defect; the rest is written all the same
        self.targets.update(added)
        return wrong

    def trim(self, limit: int, seconds: float, now: float) -> bool:
        """Deletes what was stored more than `seconds` ago, and, with more than `limit` faxes, the
        first that was stored of the target that has most: a busy PBX does not push out the
        others. By when they were stored, and not by a clock that may have been wrong.

        TRIM_FAXES at most, so that nobody waits long; returns whether there is more to do."""
        if self._value("SELECT 1 FROM fax WHERE stored > ? LIMIT 1", (now,)):
            # The clock was set back: from now on they grow old.
            self._ask(
                "UPDATE fax SET stored = ? "
                "WHERE id IN (SELECT id FROM fax WHERE stored > ? LIMIT ?)",
                (now, now, TRIM_FAXES),
            )
        if self._value("SELECT 1 FROM fax WHERE stored < ? LIMIT 1", (now - seconds,)):
            self._ask(
                "DELETE FROM fax WHERE id IN (SELECT id FROM fax WHERE stored < ? LIMIT ?)",
                (now - seconds, TRIM_FAXES),
            )
            self._count()
        elif self.kept > limit:
            self._make_room(limit)
        too_many = self.kept > limit
        return too_many or bool(
            self._value(
                "SELECT EXISTS (SELECT 1 FROM fax WHERE stored < ?) "
                "OR EXISTS (SELECT 1 FROM fax WHERE stored > ?)",
                (now - seconds, now),
            )
        )

    def _make_room(self, limit: int) -> None:
        """Many at once for each target, and one transaction for all: a fleet has hundreds of
        targets, and each transaction waits for the disk."""
        fair = _fair(self.targets.values(), limit)
        over = limit - sum(min(count, fair) for count in self.targets.values())
        """So many targets may have one more."""
        left = TRIM_FAXES
        gone = {}
        for target, count in self.targets.most_common():
            surplus = max(0, count - fair)
            if surplus and over > 0:
                surplus -= 1
                over -= 1
            gone[target] = min(surplus, left)
            left -= gone[target]
        with self._transaction():
            for target, number in gone.items():
                if number:
                    self._ask(
                        "DELETE FROM fax WHERE id IN "
                        "(SELECT id FROM fax WHERE target = ? ORDER BY id LIMIT ?)",
                        (target, number),
                    )
        self.targets.subtract(gone)

    def wipe(self) -> bool:
        """Takes out everything personal, and returns whether there was anything."""
        there = " OR ".join(f"{name} IS NOT NULL" for name in rows.PERSONAL)
        if self._value(f"SELECT 1 FROM fax WHERE {there} LIMIT 1") is None:
            return False
        empty = ", ".join(f"{name} = NULL" for name in rows.PERSONAL)
        self._ask(f"UPDATE fax SET {empty} WHERE {there}")
        self._ask("PRAGMA wal_checkpoint(TRUNCATE)")  # the log of pages has it too
        return True

    def check(self) -> None:
        """Raises sqlite3.DatabaseError if it is damaged, as far as a quick look can tell."""
        if (said := self._value("PRAGMA quick_check(1)")) != "ok":
            raise sqlite3.DatabaseError(f"database disk image is malformed: {said}")

    def shrink(self) -> None:
        """Gives back what is no longer needed of the file."""
        if self._value("PRAGMA freelist_count") * 2 > self._value("PRAGMA page_count"):
            # It goes on for as long as it is stepped through, and `execute` takes one step.
            self._connection.executescript("PRAGMA incremental_vacuum").close()

    # --- reading --------------------------------------------------------------------------------

    @property
    def kept(self) -> int:
        """How many faxes there are."""
        return self.targets.total()

    def find(self, query: Query) -> FaxPage:
        """The faxes that are asked for. Raises TooSlow."""
        conditions, values = _where(query)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = f"{_SELECT}{where} ORDER BY ended DESC, id DESC LIMIT ?"
        found = self._found(statement, [*values, query.limit + 1])
        cursor = None
        if len(found) > query.limit:
            del found[query.limit :]
            cursor = _position(found[-1])
        faxes = [fax for row in found if (fax := rows.fax_of(row)) is not None]
        there = query.target is None or self.targets[rows.plain(query.target)] > 0
        return FaxPage(faxes, cursor, self.kept, there, self.in_file)

    def since(self, ended: float, after: int, limit: int) -> tuple[list[Stored], int | None]:
        """Faxes that ended at that time or later, in the order in which they were stored, of those
        with a higher id; and the last id, None if there are no more. Raises TooSlow."""
        statement = f"{_SELECT} WHERE id > ? AND ended >= ? ORDER BY id LIMIT ?"
        found = self._found(statement, [after, ended, limit])
        faxes = [fax for row in found if (fax := rows.fax_of(row)) is not None]
        return faxes, found[-1][0] if len(found) == limit else None

    def begun(self) -> dict[str, float]:
        """When the first fax that is there of each target was stored, seconds since the epoch."""
        return dict(self._connection.execute("SELECT target, min(stored) FROM fax GROUP BY target"))

    def all(self) -> Iterator[Sequence[Any]]:
        """The rows as `add` takes them, in the order in which they were stored."""
        yield from self._connection.execute(f"SELECT {_NAMES} FROM fax ORDER BY id")

    def _found(self, statement: str, values: Sequence[Any]) -> list[Any]:
        ends = time.monotonic() + QUERY_SECONDS
        late = False

        def look() -> bool:
            nonlocal late
            late = time.monotonic() > ends
            return late

        self._connection.set_progress_handler(look, _STEPS)
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError:
            if late:
                raise TooSlow from None
            raise
        finally:
            self._connection.set_progress_handler(None, 0)

    # --- SQLite ---------------------------------------------------------------------------------

    def _count(self) -> None:
        counted = self._connection.execute(
            "SELECT CAST(target AS TEXT), count(*) FROM fax GROUP BY target"
        )
        self.targets: Counter[str] = Counter(dict(counted))
        """How many faxes there are of each target."""

    def _ask(self, statement: str, values: Sequence[Any] = ()) -> None:
        with contextlib.closing(self._connection.execute(statement, values)) as cursor:
            cursor.fetchone()

    def _value(self, statement: str, values: Sequence[Any] = ()) -> Any:
        with contextlib.closing(self._connection.execute(statement, values)) as cursor:
            row = cursor.fetchone()
        return None if row is None else row[0]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._ask("BEGIN IMMEDIATE")
        try:
            yield
            self._ask("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite may have ended it, as on a full disk
                with contextlib.suppress(sqlite3.Error):
                    self._ask("ROLLBACK")
            raise


def _fair(counts: Iterable[int], limit: int) -> int:
    """The most that each may keep of its count, so that all together keep no more than `limit`."""
    left = limit
    fewest_first = sorted(counts)
    for place, count in enumerate(fewest_first):
        share = left // (len(fewest_first) - place)
        if count > share:
            return share
        left -= count
    return limit


def _where(query: Query) -> tuple[list[str], list[Any]]:
    """Conditions, and a value for each ? in them."""
    found: list[tuple[str, Sequence[Any]]] = []
    for name in ("target", "operation", "reason", "peer"):
        if (text := getattr(query, name)) is not None:
            found.append((f"{name} = ?", [rows.plain(text)]))
    if query.result is not None:
        found.append(("result = ?", [RESULTS[query.result]]))
    if query.uniqueid is not None:
        found.append(("(uniqueid = ? OR linkedid = ?)", [rows.plain(query.uniqueid)] * 2))
    if query.since is not None:
        found.append(("ended >= ?", [float(query.since)]))
    if query.until is not None:
        found.append(("ended < ?", [float(query.until)]))
    if (after := query.after) is not None:
        found.append(("(ended, id) < (?, ?)", after))
    return [condition for condition, _ in found], [one for _, values in found for one in values]


def _position(row: Sequence[Any]) -> str:
    ended = row[1 + _ENDED]
    known = isinstance(ended, int | float)
    return str(Position(min(max(0.0, float(ended) if known else 0.0), MAX_TIME), row[0]))


_ENDED: Final = list(rows.COLUMNS).index("ended")
_TARGET: Final = list(rows.COLUMNS).index("target")
