"""The file of the history, and whatever may be wrong with it: nothing of others is touched."""

import logging
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from exporter.history import rows
from exporter.history.database import VERSION, Database
from exporter.history.query import Query
from exporter.history.storage import CannotUse, HistoryFile, fault
from tests.history.stored import NOW, fax


def written(path: Path, count: int = 500) -> bytes:
    """A file with so many faxes; what it holds then."""
    file = HistoryFile(path)
    file.database.add(rows.row_of("fax", fax(number), NOW, details=True) for number in range(count))
    file.close()
    return path.read_bytes()


def kept(path: Path) -> int:
    file = HistoryFile(path)
    try:
        return len(file.database.find(Query(limit=1000)).faxes)
    finally:
        file.close()


def refused(path: Path) -> str:
    with pytest.raises(CannotUse) as error:
        HistoryFile(path)
    return str(error.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faxes.db"


def test_what_was_written_is_there_again(path: Path) -> None:
    written(path)
    assert kept(path) == 500
    assert fault(path) is None


def test_only_its_user_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        file = HistoryFile(path)
        file.database.add([rows.row_of("fax", fax(), NOW, details=True)])
        found = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        file.close()
    finally:
        os.umask(before)
    assert found.keys() >= {"faxes.db", "faxes.db-wal", "faxes.db.lock"}
    assert set(found.values()) == {0o600}


def test_a_file_that_all_may_read_is_warned_of(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(path)
    path.chmod(0o644)
    assert kept(path) == 500
    assert f"chmod o= {path}" in caplog.text


@pytest.mark.parametrize("name", ["with blank.db", "ü%20?#.db", ":memory:", "file:x?mode=ro"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    written(tmp_path / name)
    assert kept(tmp_path / name) == 500
    assert (tmp_path / name).is_file()


def test_a_name_without_a_folder_is_in_the_folder_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("faxes.db"))
    assert fault(Path("faxes.db")) is None
    assert (tmp_path / "faxes.db").is_file()


@pytest.mark.parametrize(
    "content",
    [b"root:x:0:0:root:/root:/bin/bash\n", b"SQLite for", b"%PDF-1.7\n" * 100],
)
def test_a_file_that_is_no_database_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for said in (refused(path), fault(path)):
        assert said is not None
        assert "another program" in said
        assert "name another one" in said
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cdr (uniqueid TEXT)")
    connection.close()
    before = path.read_bytes()
    assert "another program" in refused(path)
    assert "another program" in str(fault(path))
    assert path.read_bytes() == before


def test_a_damaged_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cdr (uniqueid TEXT)")
    connection.close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000)
    before = path.read_bytes()
    assert "another program" in refused(path)
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_left_as_it_is(path: Path) -> None:
    written(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    for said in (refused(path), fault(path)):
        assert f"(schema {VERSION + 1}, this one knows {VERSION})" in str(said)
    assert path.read_bytes() == before


def corrupt_middle(content: bytes) -> bytes:
    return content[:8192] + b"\xa5" * 30_000 + content[8192 + 30_000 :]


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def head_alone(content: bytes) -> bytes:
    return content[:100] + b"\xff" * 5000


def empty(content: bytes) -> bytes:
    return bytes(len(content))


@pytest.mark.parametrize("damage", [corrupt_middle, cut_short, head_alone, empty])
def test_a_damaged_file_is_kept_beside_a_new_one(
    path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = damage(written(path))  # type: ignore[operator]
    path.write_bytes(damaged)
    Path(f"{path}-shm").write_bytes(b"rest")
    assert kept(path) == 0
    aside = Path(f"{path}.damaged")
    assert aside.read_bytes() == damaged
    assert str(aside) in caplog.text
    written(path)
    assert kept(path) == 500


def test_the_log_of_pages_of_a_damaged_file_goes_with_it(path: Path) -> None:
    """Else SQLite would take it for the new one's."""
    content = written(path)
    path.write_bytes(empty(content))
    Path(f"{path}-wal").write_bytes(b"of the old one")
    assert kept(path) == 0
    assert Path(f"{path}.damaged-wal").read_bytes() == b"of the old one"


def test_a_start_that_was_cut_short_is_begun_again(path: Path) -> None:
    path.touch()
    assert kept(path) == 0
    path.unlink()
    connection = sqlite3.connect(path)  # a head, and no table yet
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert path.stat().st_size > 0
    assert kept(path) == 0
    assert fault(path) is None


def test_a_second_exporter_is_kept_out(path: Path) -> None:
    first = HistoryFile(path)
    try:
        assert "another exporter has it: give each a file of its own" in refused(path)
        assert fault(path) is None  # a check of the settings while it runs
    finally:
        first.close()
    assert kept(path) == 0


def test_another_program_can_read_it_meanwhile(path: Path) -> None:
    file = HistoryFile(path)
    try:
        file.database.add([rows.row_of("fax", fax(), NOW, details=True)])
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT count(*) FROM fax").fetchone() == (1,)
        copy = sqlite3.connect(path.with_name("backup.db"))
        reader.backup(copy)
        copy.close()
        reader.close()
    finally:
        file.close()
    assert kept(path.with_name("backup.db")) == 1


def test_a_folder_that_is_missing_or_closed_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "faxes.db"
    for said in (refused(missing), fault(missing)):
        assert f"the folder {missing.parent} is missing: make it" in str(said)
    (tmp_path / "file").touch()
    assert "is missing" in refused(tmp_path / "file" / "faxes.db")
    closed = Path("/proc/faxes.db")  # where nobody can make a file, not in a chroot either
    for said in (refused(closed), fault(closed)):
        assert "may not write there" in str(said)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (folder, pipe):
        assert "it is no file" in refused(path)
        assert "it is no file" in str(fault(path))


def test_a_damaged_file_is_told_by_a_check_and_not_touched(path: Path) -> None:
    content = head_alone(written(path))
    path.write_bytes(content)
    assert "faxes.db.damaged" in str(fault(path))
    assert path.read_bytes() == content


def test_a_file_that_was_removed_or_replaced_is_noticed(path: Path) -> None:
    file = HistoryFile(path)
    try:
        assert file.in_place
        path.unlink()
        assert not file.in_place
        Database(str(path)).close()
        assert not file.in_place
    finally:
        file.close()


def test_nothing_is_said_where_nothing_is_wrong(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(path)
    kept(path)
    assert not [one for one in caplog.records if one.levelno > logging.INFO]


def test_a_schema_that_is_no_text_is_damage(path: Path) -> None:
    content = written(path)
    damaged = content.replace(b"CREATE INDEX fax_ended ON", b"CREATE INDEX fax_ended \xd4\xff")
    assert damaged != content
    path.write_bytes(damaged)
    assert "it is damaged" in (fault(path) or "")
    assert kept(path) == 0
    assert path.with_name("faxes.db.damaged").read_bytes() == damaged


def test_the_log_of_a_file_that_was_damaged_before_is_not_mixed_with_another(path: Path) -> None:
    written(path)
    Path(f"{path}.damaged-wal").write_bytes(b"of before")
    path.write_bytes(bytes(200))
    assert kept(path) == 0
    assert sorted(one.name for one in path.parent.iterdir()) == [
        "faxes.db",
        "faxes.db.damaged",
        "faxes.db.lock",
    ]
