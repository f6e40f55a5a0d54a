"""The two files, read again: what changes, what is refused, what is said and how often."""

import asyncio
import contextlib
import logging
import os
import threading
import traceback
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from exporter.settings import (
    AmiSettings,
    ConfigFile,
    OneTarget,
    SettingsError,
    WebConfig,
    WebConfigFile,
    rereading,
)
from exporter.settings import web_config as webconfig
from exporter.settings.yaml_files import read_yaml
from exporter.tls_files import Signatures, signatures
from harness.certificates import renew_server_certificate
from harness.virtual_time import until
from tests.settings.files import HASH, TWO_TARGETS, WEB, targets_file, tls, web_file


async def test_it_is_known_whether_and_when_the_file_was_last_without_fault(
    tmp_path: Path,
) -> None:
    path = targets_file(tmp_path, "targets: {a: {username: u, secret_file: berlin}}")
    now = 1000.0
    file = ConfigFile(path, None, clock=lambda: now)
    assert list(await file.read()) == ["a"]
    assert (file.successful, file.success_timestamp) == (True, 1000)
    now = 1060.0
    path.write_text("targets: {a: {}}")
    slow_disk = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    waited = loop.run_in_executor(None, slow_disk.wait)
    reading = asyncio.create_task(file.read())
    await asyncio.sleep(0)
    assert file.successful  # until it is known to be wrong
    slow_disk.set()
    await waited
    with pytest.raises(SettingsError):
        await reading
    assert (file.successful, file.success_timestamp) == (False, 1000)
    path.write_text("targets: {}")
    assert await file.read() == {}
    assert (file.successful, file.success_timestamp) == (True, 1060)


async def test_a_file_that_this_process_cannot_read_for_lack_of_a_thread_was_not_read_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ConfigFile(targets_file(tmp_path, "targets: {}"), None)
    await file.read()
    assert file.successful
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await file.read()
    assert not file.successful


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_what_is_odd_about_a_secret_is_said_once_however_often_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = targets_file(tmp_path, TWO_TARGETS)
    (tmp_path / "berlin").write_text("hunter;2\n")
    (tmp_path / "berlin").chmod(0o600)
    monkeypatch.setenv("PARIS_SECRET", " hunter2")
    file = ConfigFile(path, None)
    await file.read()
    await file.read()
    berlin, paris = caplog.messages
    assert berlin.startswith(f"{tmp_path / 'berlin'}: the secret has a ';'")
    assert paris.startswith("secret_env: the secret has blanks at an end")
    assert [line.__dict__["fields"] for line in caplog.records] == [
        {"target": "fax-berlin"},
        {"target": "fax-paris"},
    ]
    assert "hunter" not in caplog.text


def login(folder: Path, content: str = "one\n") -> AmiSettings:
    """Settings whose secret is in a file of this folder."""
    path = folder / "secret"
    path.write_text(content)
    path.chmod(0o600)
    return AmiSettings(username="u", secret_file=path)


async def test_the_secret_of_the_one_target_is_read_again(tmp_path: Path) -> None:
    target = OneTarget(before := login(tmp_path))
    assert target.can_change
    assert await target.read() == {"127.0.0.1:5038": before}
    login(tmp_path, "two\n")
    (now,) = (await target.read()).values()
    assert now.secret.get_secret_value() == "two"
    assert now == login(tmp_path, "two\n")  # so that who has read it too is not disturbed


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), ("", "the file is empty"), ("a\x1bhunter2", "control")],
)
async def test_a_secret_that_cannot_be_read_again_is_told_and_the_last_one_kept(
    tmp_path: Path, content: str | None, said: str
) -> None:
    target = OneTarget(before := login(tmp_path))
    if content is None:
        (tmp_path / "secret").unlink()
    else:
        (tmp_path / "secret").write_text(content)
    with pytest.raises(SettingsError) as caught:
        await target.read()
    assert str(caught.value).startswith("--ami.secret-file: ")
    assert said in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    login(tmp_path)
    assert list((await target.read()).values()) == [before]


async def test_without_a_file_or_with_a_pipe_the_one_target_stays_as_it_is() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"s")
    os.close(writing)
    for given in ({"secret": SecretStr("s")}, {"secret_file": Path(f"/dev/fd/{reading}")}):
        ami = AmiSettings(username="u", **given)
        target = OneTarget(ami)
        assert not target.can_change
        assert await target.read() == {"127.0.0.1:5038": ami}
    os.close(reading)


async def test_of_each_mode_that_is_too_open_there_is_one_warning_until_there_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PARIS_SECRET", "x")
    path = targets_file(tmp_path, TWO_TARGETS)
    path.chmod(0o666)
    (tmp_path / "berlin").chmod(0o640)
    # Of a file that several have there is one too.
    path.write_text(path.read_text() + "  fax-rome: {username: fax, secret_file: berlin}\n")
    file = ConfigFile(path, None)
    for _ in range(2):
        await file.read()
    assert [line.partition(": its mode")[0] for line in caplog.messages] == [str(path)]
    (tmp_path / "berlin").chmod(0o644)
    for _ in range(2):
        await file.read()
    secret, web = tmp_path / "berlin", web_file(tmp_path, users("a"))
    assert [line.partition(": its mode")[0] for line in caplog.messages] == [str(path), str(secret)]
    caplog.clear()
    web.chmod(0o666)
    web_config = WebConfigFile(web, show_details=True)
    await web_config.reload()
    assert [line.partition(": its mode")[0] for line in caplog.messages] == [str(web)]
    web.write_text("{}")
    for _ in range(2):
        assert await web_config.reload()
    assert caplog.messages[1].startswith("--web.show-details: ")
    assert len(caplog.messages) == 2


def test_without_a_file_there_is_nothing_to_follow() -> None:
    file = WebConfigFile(None)
    assert file.current == WebConfig()
    asyncio.run(file.follow())
    assert asyncio.run(file.reload())


def test_a_bad_file_is_no_beginning(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such setting"):
        WebConfigFile(web_file(tmp_path, "x: y"))


def users(*names: str) -> str:
    return "basic_auth_users:\n" + "".join(f"  {name}: {HASH}\n" for name in names)


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As many as there were for changes. They come faster than in life, and in real time: files
    are looked at in threads."""
    monkeypatch.setattr(rereading, "CHECK_SECONDS", 0.02)
    looks: list[int] = []

    def counted(files: Iterable[Path]) -> Signatures:
        looks.append(1)
        return signatures(files)

    monkeypatch.setattr(rereading, "signatures", counted)
    return looks


async def some_more(looks: list[int]) -> None:
    seen = len(looks)
    await until(lambda: len(looks) > seen + 5)


@contextlib.asynccontextmanager
async def followed(file: WebConfigFile) -> AsyncIterator[None]:
    task = asyncio.create_task(file.follow())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_changed_file_holds_and_who_asked_is_told(tmp_path: Path, looks: list[int]) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")), clock=count(1).__next__)
    told: list[set[str]] = []
    file.changed.append(lambda: told.append(set(file.current.users)))
    async with followed(file):
        await some_more(looks)
        assert told == []
        web_file(tmp_path, users("a", "b"))
        await until(lambda: bool(told))
    assert told == [{"a", "b"}]
    assert (file.successful, file.success_timestamp) == (True, 2)


async def test_a_bad_file_changes_nothing_and_is_logged_once(
    tmp_path: Path, looks: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")))
    good = file.current, file.success_timestamp
    async with followed(file):
        web_file(tmp_path, users("a", "b") + "x: y\n")
        await until(lambda: not file.successful)
        web_file(tmp_path, users("a", "bc") + "x: y\n")  # the same problem again
        await some_more(looks)
        assert not file.successful
        assert (file.current, file.success_timestamp) == good
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "line 4, column 1: no such setting" in caplog.text
        web_file(tmp_path, users("c"))
        await until(lambda: file.successful)
        assert set(file.current.users) == {"c"}


async def test_who_asks_for_a_bad_file_to_be_read_is_told_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")))
    web_file(tmp_path, users("a") + "x: y\n")
    assert not await file.reload()
    assert not await file.reload()
    said = ["web configuration not changed: " + file.fault] * 2
    assert caplog.messages == said


async def test_a_certificate_renewed_in_place_is_taken(
    tmp_path: Path, ca: trustme.CA, looks: list[int]
) -> None:
    file = WebConfigFile(web_file(tmp_path, tls()))
    before = file.current.ssl_context
    async with followed(file):
        await some_more(looks)
        assert file.current.ssl_context is before
        renew_server_certificate(ca, tmp_path)
        await until(lambda: file.current.ssl_context is not before)
    assert file.successful


async def test_a_certificate_seen_before_its_key_is_taken_with_its_key(
    tmp_path: Path, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    file = WebConfigFile(web_file(tmp_path, tls()))
    before = file.current.ssl_context
    server = ca.issue_cert("127.0.0.1")
    async with followed(file):
        server.cert_chain_pems[0].write_to_path(tmp_path / "fax.pem")
        await until(lambda: not file.successful)
        assert file.current.ssl_context is before
        server.private_key_pem.write_to_path(tmp_path / "fax.key")
        await until(lambda: file.successful)
    assert file.current.ssl_context is not before
    assert "holds the key of another certificate" in caplog.text


async def test_a_file_that_was_missing_is_taken_once_it_is_there(
    tmp_path: Path, ca: trustme.CA
) -> None:
    file = WebConfigFile(web_file(tmp_path, "{}"))
    keys = {"client_ca_file": "late.pem", "client_auth_type": "RequireAndVerifyClientCert"}
    async with followed(file):
        web_file(tmp_path, tls(**keys))
        await until(lambda: not file.successful)
        ca.cert_pem.write_to_path(tmp_path / "late.pem")
        await until(lambda: file.successful)
    assert file.current.ssl_context is not None


async def test_a_link_turned_to_another_file_is_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        web_file(tmp_path / name, users(name))
    when = (tmp_path / "one" / WEB).stat()
    os.utime(tmp_path / "two" / WEB, ns=(when.st_atime_ns, when.st_mtime_ns))  # same time and size
    (tmp_path / "data").symlink_to("one")
    file = WebConfigFile(tmp_path / "data" / WEB)
    async with followed(file):
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "data")
        await until(lambda: set(file.current.users) == {"two"})


async def test_a_file_taken_away_changes_nothing(tmp_path: Path) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")))
    async with followed(file):
        (tmp_path / WEB).unlink()
        await until(lambda: not file.successful)
        assert set(file.current.users) == {"a"}
        web_file(tmp_path, users("a"))
        await until(lambda: file.successful)


async def test_the_log_shows_no_hash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")))
    with caplog.at_level(logging.DEBUG):
        web_file(tmp_path, users("a") + f"  b: x{HASH}\n{HASH}: c\n")
        assert not await file.reload()
        web_file(tmp_path, users("a", "b"))
        assert await file.reload()
    assert HASH[:10] not in caplog.text + repr(file.current) + repr(caplog.records)


async def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")))
    seen = set()
    file.changed.append(lambda: seen.add(frozenset(file.current.users)))
    async with followed(file):
        with (tmp_path / WEB).open("w") as writing:  # empty now, which would let everybody in
            for line in users(*"abcde").splitlines(keepends=True):
                await asyncio.sleep(0.9 * rereading.CHECK_SECONDS)
                writing.write(line)
                writing.flush()
        await until(lambda: bool(seen))
    assert seen == {frozenset("abcde")}


async def test_a_file_written_while_it_is_read_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = WebConfigFile(web_file(tmp_path, users("a")))

    def read(path: Path, *_: object) -> object:
        content = read_yaml(path)
        web_file(tmp_path, users("a", "b"))
        return content

    web_file(tmp_path, "")
    with monkeypatch.context() as patch:
        patch.setattr(webconfig, "read_yaml", read)
        assert not await file.reload()
    assert set(file.current.users) == {"a"}
    assert await file.reload()
    assert set(file.current.users) == {"a", "b"}
