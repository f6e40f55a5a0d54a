"""The history as it runs: what is told is kept whatever happens to its file, and said once."""

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from exporter.history import FaxHistory, Query, TooSlow, Unavailable, keeper
from exporter.history import database as database_module
from exporter.history.database import DAY, Database
from exporter.history.storage import HistoryFile
from exporter.settings import HistorySettings
from tests.history.stored import NOW, PEOPLE, at_once, fax, found, ids, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faxes.db"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


async def retried(history: FaxHistory) -> None:
    """Until what is wrong was tried again."""
    await until(history, lambda: history._file is not None)


async def until(history: FaxHistory, condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await found(history)


def lines(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)


async def ask_database(history: FaxHistory, statement: str) -> Any:
    return await history._ask(lambda database: database._value(statement))


@pytest.mark.parametrize("in_file", [True, False])
async def test_what_is_told_is_found(path: Path, in_file: bool) -> None:
    async with running(path if in_file else None) as history:
        history.take("berlin", fax(1))
        history.take("paris", fax(2))
        assert await ids(history) == ["2", "1"]
        assert await ids(history, Query(target="berlin")) == ["1"]
        page = await found(history)
        assert (page.kept, page.in_file) == (2, in_file)


async def test_after_a_restart_it_is_there_again(path: Path) -> None:
    async with running(path, details=True) as history:
        history.take("fax", fax(1))
    async with running(path, details=True) as history:
        (one,) = (await found(history)).faxes
        assert (one.target, one.fax) == ("fax", fax(1))


async def test_all_that_was_told_is_written_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "BATCH_SECONDS", 3600.0)
    async with running(path) as history:
        for number in range(3000):
            history.take("fax", fax(number))
    async with running(path) as history:
        assert (await found(history)).kept == 3000


async def test_what_comes_within_a_second_is_written_in_one_go(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "BATCH_SECONDS", 3600.0)
    async with running(path) as history:
        history.take("fax", fax(1))
        history.take("fax", fax(2))
        assert (await found(history)).kept == 0
        assert len(history._waiting) == 2


async def test_no_more_is_kept_than_is_to_be(path: Path) -> None:
    async with running(path, faxes=10) as history:
        for number in range(50):
            history.take("fax", fax(number))
        assert (await found(history)).kept == 10
    async with running(path, faxes=3, now=NOW + DAY) as history:
        assert await ids(history) == ["49", "48", "47"]
    async with running(path, days=2, now=NOW + 2 * DAY + 1) as history:
        assert (await found(history)).kept == 0


async def test_without_details_nothing_personal_is_stored(path: Path) -> None:
    async with running(path) as history:
        history.take("fax", fax(1))
        (one,) = (await found(history)).faxes
        assert one.fax.channel == one.fax.caller == one.fax.file == ""
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not [word for word in PEOPLE.values() if word.encode() in content]


async def test_details_of_before_are_wiped_when_they_are_no_longer_to_be_shown(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running(path, details=True) as history:
        for number in range(100):
            history.take("fax", fax(number))
    words = [word.encode() for word in PEOPLE.values()]
    assert all(word in path.read_bytes() for word in words)
    aside = Path(f"{path}.damaged")
    aside.touch()
    for _ in range(2):
        async with running(path) as history:
            assert (await found(history)).kept == 100
            content = b"".join(file.read_bytes() for file in path.parent.iterdir())
            assert not [word for word in words if word in content]
    assert lines(caplog, "is wiped, since --web.show-details is off") == 1
    assert lines(caplog, f"{aside} may have personal data") == 2  # once at each start


async def test_where_there_is_no_folder_it_is_in_memory_until_there_is_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "state" / "faxes.db"
    async with running(path) as history:
        history.take("fax", fax(1))
        assert (await found(history)).in_file is False
        await asyncio.sleep(0.05)  # it is tried again some times, and that is not said again
        assert lines(caplog, "is in memory, and gone at a restart: the folder") == 1
        path.parent.mkdir()
        await retried(history)
        history.take("fax", fax(2))
        assert await ids(history) == ["2", "1"]
        assert lines(caplog, "has the history of faxes from now on") == 1
    async with running(path) as history:
        assert await ids(history) == ["2", "1"]


async def test_of_two_exporters_with_one_file_the_second_waits_for_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as second_too_early:
        await found(second_too_early)
        async with running(path) as history:
            history.take("fax", fax(2))
            assert (await found(history)).in_file is False
            assert lines(caplog, "another exporter has it") == 1
            second_too_early.take("fax", fax(1))
            await second_too_early.close()
            await retried(history)
            assert await ids(history) == ["2", "1"]


async def test_while_the_disk_is_full_faxes_wait_and_are_there_once_there_is_room(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite's own limit of pages raises the error of a full disk."""
    caplog.set_level("INFO")
    async with running(path) as history:
        history.take("fax", fax(0))
        pages = await ask_database(history, "PRAGMA page_count")
        await ask_database(history, f"PRAGMA max_page_count = {pages}")
        for number in range(1, 200):
            history.take("fax", fax(number))
        await until(history, lambda: history._not_written)
        assert (await found(history)).kept < 200  # it can be searched all the same
        assert lines(caplog, "no room left on its disk: make some") == 1
        history.take("fax", fax(200))
        assert lines(caplog, "cannot be written") == 1
        await ask_database(history, "PRAGMA max_page_count = 100000")
        await until(history, lambda: not history._not_written)
        assert (await found(history)).kept == 201
        assert lines(caplog, "is written again") == 1


async def test_what_cannot_be_written_is_tried_again_after_a_while_and_not_with_each_fax(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 3600.0)
    async with running(path) as history:
        pages = await ask_database(history, "PRAGMA page_count")
        await ask_database(history, f"PRAGMA max_page_count = {pages}")
        for number in range(200):
            history.take("fax", fax(number))
        await until(history, lambda: history._not_written)
        due = history._due
        history.take("fax", fax(200))
        await found(history)
        assert history._due == due
        await ask_database(history, "PRAGMA max_page_count = 100000")
    async with running(path) as history:
        assert (await found(history)).kept == 201


async def test_no_more_waits_than_there_is_memory_for(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "MAX_WAITING", 20)
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 3600.0)
    async with running(path) as history:
        pages = await ask_database(history, "PRAGMA page_count")
        await ask_database(history, f"PRAGMA max_page_count = {pages}")
        for number in range(100):
            history.take("fax", fax(number))
            await found(history)
        assert len(history._waiting) <= 20
        assert history._lost >= 50
        lost = history._lost
        await ask_database(history, "PRAGMA max_page_count = 100000")
    assert lines(caplog, f"{lost} faxes are missing in the history") == 1


async def test_what_could_not_be_written_until_the_end_is_told(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 3600.0)
    async with running(path) as history:
        history.take("fax", fax(0))
        pages = await ask_database(history, "PRAGMA page_count")
        await ask_database(history, f"PRAGMA max_page_count = {pages}")
        for number in range(1, 200):
            history.take("fax", fax(number))
        await until(history, lambda: history._not_written)
        history._lost += 1  # no more waited than there was memory for
    async with running(path) as history:
        stored = (await found(history)).kept
    assert lines(caplog, f"{201 - stored} faxes are missing in the history") == 1


async def test_a_file_that_another_program_holds_is_written_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as history:
        await found(history)
        other = sqlite3.connect(path, isolation_level=None)
        with contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            history.take("fax", fax(1))
            await until(history, lambda: history._not_written)
            assert lines(caplog, "another program holds it locked") == 1
            other.execute("ROLLBACK")
        await until(history, lambda: not history._not_written)
        assert await ids(history) == ["1"]


async def test_a_file_that_is_removed_is_not_brought_back_and_a_new_one_begun(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as history:
        history.take("fax", fax(1))
        assert await ids(history) == ["1"]
        path.unlink()
        assert await ids(history) == []
        history.take("fax", fax(2))
        assert await ids(history) == ["2"]
        assert lines(caplog, "was removed, or another file put in its place") == 1
    async with running(path) as history:
        assert await ids(history) == ["2"]


async def test_a_file_that_is_damaged_as_it_runs_is_kept_aside(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as history:
        for number in range(300):
            history.take("fax", fax(number))
        assert (await found(history)).kept == 300
        await ask_database(history, "PRAGMA wal_checkpoint(TRUNCATE)")
        await ask_database(history, "PRAGMA cache_size = 0")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (size - 4096))
        history.take("fax", fax(3000))
        with contextlib.suppress(Unavailable):
            await found(history, Query(limit=1000))
        await until(history, lambda: lines(caplog, "is damaged"))
        assert (await found(history)).in_file is True
        history.take("fax", fax(3001))
        assert (await ids(history))[0] == "3001"
    assert Path(f"{path}.damaged").stat().st_size == size


async def test_a_row_that_cannot_be_stored_is_told_and_no_other_is_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as history:
        history.take("fax", fax(1))
        history.take("fax", fax(2, ended=float("nan")))
        history.take("fax", fax(3))
        assert await ids(history) == ["3", "1"]
    assert lines(caplog, "1 faxes cannot be stored, because of a defect") == 1


async def test_a_defect_does_not_end_it(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(path) as history:
        history.take("fax", None)  # type: ignore[arg-type]
        history.take("fax", fax(1))
        assert await ids(history) == ["1"]
    assert lines(caplog, "the history of faxes went wrong") == 1


async def test_a_defect_as_the_file_is_opened_does_not_end_it(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "HistoryFile", None)
    async with running(path) as history, asyncio.timeout(30):
        history.take("fax", fax(1))
        assert await ids(history) == ["1"]
    assert lines(caplog, "the history of faxes went wrong") == 1


async def test_what_takes_too_long_is_an_error_of_the_one_who_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as history:
        for number in range(2000):
            history.take("fax", fax(number))
        await found(history)
        monkeypatch.setattr(database_module, "QUERY_SECONDS", -1.0)
        with pytest.raises(TooSlow):
            await found(history, Query(operation="gateway"))
        monkeypatch.setattr(database_module, "QUERY_SECONDS", 2.0)
        assert (await found(history)).kept == 2000


async def test_answers_take_half_of_the_time_however_many_ask() -> None:
    async with running() as history:
        loop = asyncio.get_running_loop()
        taken = 0.0

        def slow(page: object) -> None:
            nonlocal taken
            begun = loop.time()
            threading.Event().wait(0.02)
            taken += loop.time() - begun

        begun = loop.time()
        await asyncio.gather(*(history.find(Query(), slow) for _ in range(6)))
        assert loop.time() - begun >= 1.8 * taken


async def test_who_no_longer_waits_is_not_answered(path: Path) -> None:
    async with running(path) as history:
        asked = asyncio.create_task(found(history))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        history.take("fax", fax(1))
        assert await ids(history) == ["1"]


async def test_after_the_end_nothing_is_taken_and_nobody_waits(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path) as history:
        await found(history)
    history.take("fax", fax(1))
    with pytest.raises(Unavailable):
        await found(history)
    assert await history.earlier(0.0) == {}
    assert lines(caplog, "too many") == 0


async def test_what_was_stored_since_a_time_comes_back_oldest_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "MAX_LIMIT", 7)
    async with running(path, details=True) as history:
        for number in range(50):
            history.take(f"fax-{number % 2}", fax(number))
    async with running(path, details=True) as history:
        told = await history.earlier(NOW + 10)
    for parity in (0, 1):
        numbers = range(10 + parity, 50, 2)
        assert told[f"fax-{parity}"].faxes == [fax(number) for number in numbers]
        assert told[f"fax-{parity}"].since == NOW + 10


async def test_it_is_told_since_when_all_faxes_are_there(path: Path) -> None:
    async with running(path) as history:
        history.take("quiet", fax(1))
    async with running(path, now=NOW + 50) as history:
        for number in range(10):
            history.take("busy", fax(number))
    async with running(path, now=NOW + 99) as history:
        told = await history.earlier(0.0)
        assert {target: one.since for target, one in told.items()} == {"quiet": NOW, "busy": NOW}
    async with running(path, now=NOW + 99, faxes=6) as history:  # some of "busy" had to go
        told = await history.earlier(0.0)
        since = {target: one.since for target, one in told.items()}
        assert since == {"quiet": NOW, "busy": NOW + 50}
        assert len(list(told["busy"].faxes)) == 5


@pytest.mark.parametrize("limit", [("READ_SECONDS", 0.0), ("MAX_EARLIER", 1)])
async def test_what_cannot_all_be_read_in_time_is_not_told_at_all(
    path: Path,
    limit: tuple[str, float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(keeper, "MAX_LIMIT", 2)
    async with running(path) as history:
        for number in range(5):
            history.take("fax", fax(number))
        await found(history)
        monkeypatch.setattr(keeper, *limit)
        assert await history.earlier(0.0) == {}
    assert lines(caplog, "too many to be read from the history in time") == 1


async def test_a_disk_that_hangs_does_not_hold_up_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "WRITTEN", 0.01)
    hanging = threading.Event()
    history = FaxHistory(HistorySettings(file=path), details=False)
    history.start()
    asked = asyncio.create_task(history.find(Query(), lambda page: hanging.wait(30)))
    await asyncio.sleep(0)
    history.take("fax", fax(1))
    await history.close()
    assert lines(caplog, "could not be written in time") == 1
    hanging.set()
    await asked
    await asyncio.to_thread(history._thread.join, 30)


def test_a_file_can_be_opened_while_the_memory_has_as_much(path: Path) -> None:
    memory = Database()
    file = HistoryFile(path)
    try:
        memory.add([])
        assert file.database.add(memory.all()) == 0
    finally:
        memory.close()
        file.close()


async def test_a_defect_at_the_start_ends_neither_it_nor_the_exporter(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(keeper, "HistoryFile", refuse)
    async with running(path) as history:
        assert await history.earlier(0.0) == {}
        history.take("fax", fax(1))
        assert await ids(history) == ["1"]
    assert lines(caplog, "the history of faxes went wrong") == 1


async def test_who_asks_while_very_many_are_deleted_does_not_wait_for_the_last_of_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(path) as history:
        for number in range(50):
            history.take("fax", fax(number))
        await found(history)
    monkeypatch.setattr(database_module, "TRIM_FAXES", 1)
    async with running(path, faxes=5) as history:
        first = await found(history)
        assert first.kept > 5
        await until(history, lambda: history._database.kept == 5)
        assert await ids(history) == ["49", "48", "47", "46", "45"]
