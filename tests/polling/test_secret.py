"""The secret is read again before each login, so that one that is replaced needs no restart."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.ledger import Ledger
from exporter.polling import Failure, Poller, cancel_and_wait
from harness.pbx import FaultyPbx
from harness.virtual_time import until
from harness.watching import SECRET, settings_for

SECONDS = 60
"""More than anything here takes, on a busy machine either."""


@contextlib.asynccontextmanager
async def watched_with(file: Path) -> AsyncIterator[tuple[FaultyPbx, Poller]]:
    """In real time, since files are read in threads; connecting again takes none."""
    pbx = FaultyPbx(secret=SECRET)
    await pbx.start()
    ami = settings_for(pbx, secret_file=file, secret="")
    poller = Poller(ami, 0.05, Ledger(), jitter=lambda: 0.0)
    task = asyncio.create_task(poller.run())
    try:
        await until(lambda: poller.status.up, SECONDS)
        yield pbx, poller
    finally:
        await cancel_and_wait(task)
        await pbx.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    return file


async def connected_again(poller: Poller, times: int) -> None:
    await until(lambda: poller.status.connects == times and poller.status.up, SECONDS)


async def test_a_secret_that_was_replaced_is_used_at_the_next_login(file: Path) -> None:
    async with watched_with(file) as (pbx, poller):
        pbx.secret = "another"
        file.write_text("another\n")
        pbx.drop_connections()
        await connected_again(poller, 2)
        assert poller.settings.secret.get_secret_value() == "another"
        assert not pbx.failed_logins
        assert poller.status.failures[Failure.LOGIN] == 0


@pytest.mark.parametrize("content", [None, "", "two\nlines", "control\x1b"])
async def test_without_a_secret_in_the_file_the_last_one_is_used_and_it_is_told_once(
    file: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with watched_with(file) as (pbx, poller):
        file.unlink()
        if content is not None:
            file.write_text(content)
        for times in (2, 3):
            pbx.drop_connections()
            await connected_again(poller, times)
        (hint,) = poller.hints
        assert hint.startswith(f"{file}: ")
        assert "the secret that was read from it before is used" in hint
        assert [message for message in caplog.messages if str(file) in message] == [hint]
        file.write_text(SECRET)
        pbx.drop_connections()
        await connected_again(poller, 4)
        assert poller.hints == []
        assert caplog.messages.count("the file of the secret can be read again") == 1
        assert not pbx.failed_logins


async def test_a_secret_from_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As --ami.secret-file <(pass show asterisk)."""
    reading, writing = os.pipe()
    os.write(writing, SECRET.encode())
    os.close(writing)
    async with watched_with(Path(f"/dev/fd/{reading}")) as (pbx, poller):
        pbx.drop_connections()
        await connected_again(poller, 2)
        assert poller.hints == []
    os.close(reading)
