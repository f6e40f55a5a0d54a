"""The table of faxes: what is found, in which order, and what is deleted when."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.fax import Operation, Reason
from exporter.history import database as module
from exporter.history import rows
from exporter.history.database import DAY, VERSION, Database, TooSlow
from exporter.history.query import Query
from tests.history.stored import NOW, PEOPLE, fax


@pytest.fixture
def database() -> Iterator[Database]:
    one = Database()
    yield one
    one.close()


def add(
    database: Database, *numbers: int, target: str = "fax", stored: float = NOW, **of: Any
) -> None:
    faxes = [fax(number, **of) for number in numbers]
    database.add([rows.row_of(target, one, stored, details=True) for one in faxes])


def numbers(database: Database, query: Query | None = None) -> list[int]:
    return [
        int(one.fax.unique_id.partition(".")[2]) for one in database.find(query or Query()).faxes
    ]


def test_the_newest_come_first_and_the_cursor_goes_on_where_it_was(database: Database) -> None:
    add(database, *range(1, 8))
    add(database, 4)  # at the very same time as another one
    first = database.find(Query(limit=3))
    assert [one.fax.ended - NOW for one in first.faxes] == [7, 6, 5]
    add(database, 20, 21)  # of those that come meanwhile the next page knows nothing
    second = database.find(Query(limit=3, cursor=first.cursor))
    assert [one.fax.ended - NOW for one in second.faxes] == [4, 4, 3]
    assert second.faxes[0].id > second.faxes[1].id
    last = database.find(Query(limit=3, cursor=second.cursor))
    assert [one.fax.ended - NOW for one in last.faxes] == [2, 1]
    assert last.cursor is None
    assert database.find(Query(limit=10)).cursor is None  # exactly as many as there are
    assert last.kept == 10


def test_it_finds_what_is_asked_for_and_nothing_else(database: Database) -> None:
    add(database, 1, target="berlin")
    add(database, 2, target="paris", operation=Operation.SEND, succeeded=True, reason=None)
    add(database, 3, target="paris", succeeded=None, reason=None, peer="PJSIP/other")
    add(database, 4, target="paris", reason=Reason.NO_FAX)
    for query, expected in (
        (Query(target="paris"), [4, 3, 2]),
        (Query(target="nobody"), []),
        (Query(operation="send"), [2]),
        (Query(result="success"), [2]),
        (Query(result="failed"), [4, 1]),
        (Query(result="unknown"), [3]),
        (Query(reason="no_fax"), [4]),
        (Query(peer="PJSIP/other"), [3]),
        (Query(peer="PJSIP/"), []),
        (Query(uniqueid="1800000000.2"), [3, 2]),  # of 3 it is the Linkedid
        (Query(since=NOW + 3), [4, 3]),
        (Query(until=NOW + 3), [2, 1]),
        (Query(since=NOW + 2, until=NOW + 4, target="paris", operation="receive"), [3]),
        (Query(target="' OR 1=1 --"), []),
    ):
        assert numbers(database, query) == expected, query
    assert database.find(Query(target="nobody")).there is False
    assert database.find(Query(target="paris", result="failed", reason="timeout")).there is True


def test_what_is_too_old_goes_by_when_it_was_stored(database: Database) -> None:
    add(database, 1, stored=NOW - 3 * DAY)
    add(database, 2, stored=NOW - DAY)
    database.trim(100, 2 * DAY, NOW)
    assert numbers(database) == [2]
    assert database.kept == 1


def test_after_the_clock_was_set_back_nothing_stays_for_ever_and_the_new_is_kept(
    database: Database,
) -> None:
    year = 365 * DAY
    add(database, 1, 2, stored=NOW + year, ended=NOW + year)
    database.trim(100, 2 * DAY, NOW)
    add(database, 3, stored=NOW)
    database.trim(2, 2 * DAY, NOW)
    assert sorted(numbers(database)) == [2, 3]  # the one that was stored first had to go
    database.trim(2, 2 * DAY, NOW + 2 * DAY + 1)
    assert numbers(database) == []


def test_a_busy_pbx_does_not_push_out_the_others(database: Database) -> None:
    add(database, 1, 2, target="quiet")
    add(database, *range(3, 103), target="busy")
    database.trim(10, DAY, NOW)
    assert database.targets == {"quiet": 2, "busy": 8}
    assert numbers(database) == [*range(102, 94, -1), 2, 1]
    add(database, 200, 201, 202, 203, 204, 205, target="quiet")
    database.trim(10, DAY, NOW)  # of two that have as many, neither goes before the other
    assert database.targets == {"quiet": 5, "busy": 5}
    database.trim(3, DAY, NOW)
    assert sum(database.targets.values()) == len(numbers(database)) == 3
    assert numbers(database, Query(target="quiet"))[0] == 205


def test_a_lower_limit_is_reached_in_one_write_however_many_have_to_go(
    database: Database,
) -> None:
    """Each write is a wait for the disk: one for each fax would take minutes."""
    for target in ("berlin", "paris", "rome"):
        add(database, *range(1, 41), target=target)
    add(database, 1, target="quiet")
    said: list[str] = []
    database._connection.set_trace_callback(said.append)
    database.trim(10, DAY, NOW)
    assert said.count("COMMIT") == 1
    assert len([one for one in said if one.startswith("DELETE")]) == 3
    assert database.targets == {"berlin": 3, "paris": 3, "rome": 3, "quiet": 1}
    assert numbers(database, Query(target="rome")) == [40, 39, 38]
    database.trim(2, DAY, NOW)
    assert database.kept == len(numbers(database)) == 2


def test_a_search_that_takes_too_long_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(database, *range(2000))
    monkeypatch.setattr(module, "QUERY_SECONDS", -1.0)
    with pytest.raises(TooSlow):
        database.find(Query(operation="gateway"))
    monkeypatch.undo()
    assert len(numbers(database)) == 100


def test_every_filter_that_leaves_few_has_an_index(database: Database) -> None:
    """A search reads the table in order, or through an index; it sorts no more than few."""
    for query in (
        Query(),
        Query(target="fax"),
        Query(result="failed"),
        Query(reason="no_fax"),
        Query(peer="PJSIP/trunk-berlin"),
        Query(uniqueid="1800000000.1"),
        Query(since=NOW, until=NOW + 1),
        Query(cursor="QdrB_7khMzMAAAAAAAAACg"),
    ):
        conditions, values = module._where(query)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        plan = database._connection.execute(
            f"EXPLAIN QUERY PLAN {module._SELECT}{where} ORDER BY ended DESC, id DESC LIMIT 3",
            values,
        ).fetchall()
        said = " ".join(step[3] for step in plan)
        assert "USING INDEX" in said, (query, said)
        assert "TEMP B-TREE" not in said or query.uniqueid, (query, said)


def test_personal_data_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "faxes.db"
    path.touch()
    database = Database(str(path))
    try:
        add(database, *range(300))
        words = [word.encode() for word in PEOPLE.values()]
        assert any(word in everything(tmp_path) for word in words)
        assert database.wipe() is True
        content = everything(tmp_path)
        assert not [word for word in words if word in content]
        assert numbers(database)[0] == 299
        assert database.wipe() is False
    finally:
        database.close()


def test_what_was_deleted_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "faxes.db"
    path.touch()
    database = Database(str(path))
    add(database, *range(300), stored=NOW - DAY)
    database.trim(1000, 1.0, NOW)
    database.close()
    assert b"anna" not in everything(tmp_path)


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_the_file_tells_whose_it_is_and_which_schema_it_has(tmp_path: Path) -> None:
    path = tmp_path / "faxes.db"
    Database(str(path)).close()
    assert path.read_bytes()[68:72] == b"FAX1"
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()


def test_a_power_cut_takes_nothing_that_was_written(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "faxes.db"))
    full, wal = database._value("PRAGMA synchronous"), database._value("PRAGMA journal_mode")
    database.close()
    assert (full, wal) == (2, "wal")


def test_what_was_stored_can_be_read_again_in_order(database: Database) -> None:
    add(database, 5, 1, 3, 2)
    faxes, after = database.since(NOW + 2, 0, 2)
    assert [one.fax.ended - NOW for one in faxes] == [5, 3]
    assert after is not None
    faxes, after = database.since(NOW + 2, after, 2)
    assert [one.fax.ended - NOW for one in faxes] == [2]
    assert after is None


def test_a_file_gives_back_what_it_no_longer_needs(tmp_path: Path) -> None:
    path = tmp_path / "faxes.db"
    database = Database(str(path))
    add(database, *range(3000))
    while database.trim(1, DAY, NOW):
        pass
    database.shrink()
    database.close()
    assert path.stat().st_size < 200_000


def test_a_batch_is_written_whole_or_not_at_all(database: Database) -> None:
    def broken() -> Iterator[Any]:
        yield rows.row_of("fax", fax(), NOW, details=True)
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError):
        database.add(broken())
    assert numbers(database) == []
    assert database.kept == 0
    add(database, 1)
    assert numbers(database) == [1]


def test_each_target_of_a_large_fleet_keeps_its_fair_share_in_one_transaction() -> None:
    one = Database()
    counts = {f"busy-{number}": 40 for number in range(60)} | {"calm": 3, "quiet": 1}
    for target, count in counts.items():
        add(one, *range(count), target=target)
    said: list[str] = []
    one._connection.set_trace_callback(said.append)
    turns = 1
    while one.trim(10 * 60 + 4 + 7, DAY, NOW):
        turns += 1
    kept = dict(one.targets)
    one._count()
    assert kept == dict(one.targets)
    assert (kept.pop("calm"), kept.pop("quiet")) == (3, 1)
    assert sorted(kept.values()) == [10] * 53 + [11] * 7
    assert said.count("COMMIT") == turns == 2
    assert sum(statement.startswith("DELETE") for statement in said) <= turns * len(counts)
    assert one.trim(1, DAY, NOW) is False
    assert one.kept == 1
    one.close()


def test_many_are_deleted_a_few_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIM_FAXES", 4)
    add(database, *range(1, 16), target="most")
    add(database, *range(16, 20), target="other")
    left = []
    while database.trim(6, DAY, NOW):
        left.append((database.targets["most"], database.targets["other"]))
    assert left == [(11, 4), (7, 4), (3, 4)]
    assert sorted(database.targets.values()) == [3, 3]
    while database.trim(6, DAY, NOW - 2 * DAY):  # the clock was set back: they begin anew
        pass
    assert database.trim(6, DAY, NOW - DAY / 2) is True
    assert database.trim(6, DAY, NOW - DAY / 2) is False
    assert database.kept == 0
    database._count()
    assert database.kept == 0
