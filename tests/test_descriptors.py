"""The limit of open files, and what fits into it."""

import asyncio
import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.descriptors import (
    ENOUGH,
    RESERVE,
    RESERVE_OF_WEB,
    Room,
    TellOnce,
    connections_that_fit,
    in_use,
    needed,
    raise_limit,
    targets_that_fit,
    too_few_for_connections,
)

ROOT = Path(__file__).parent.parent


def raised(soft: int, hard: int) -> list[int]:
    """What a process with these limits says, and those it has then."""
    program = (
        "import resource; from exporter.descriptors import raise_limit; limit = raise_limit();"
        "print(limit, *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    shell = f"ulimit -Sn {soft} && ulimit -Hn {hard} && exec {sys.executable} -c '{program}'"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_the_limit_is_raised_as_far_as_it_may() -> None:
    assert raised(64, 300) == [300, 300, 300]
    assert raised(300, 300) == [300, 300, 300]


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (64, ENOUGH + 1, ENOUGH),
        (64, resource.RLIM_INFINITY, ENOUGH),
        (ENOUGH + 1, ENOUGH + 2, ENOUGH + 1),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, sys.maxsize),
    ],
)
def test_the_limit_is_raised_to_no_more_than_enough_and_never_lowered(
    soft: int, hard: int, then: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {resource.RLIMIT_NOFILE: (soft, hard)}  # of a machine that allows more than this one
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    assert raise_limit() == then
    assert limits[resource.RLIMIT_NOFILE][1] == hard


def test_a_limit_that_must_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    assert raise_limit() == 64


def test_what_is_open_is_counted() -> None:
    before = in_use()
    assert before >= 3
    reader, writer = os.pipe()
    assert in_use() == before + 2
    os.close(reader)
    os.close(writer)
    assert in_use() == before
    program = "from exporter.descriptors import in_use; print(in_use())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"3\n"


def test_where_nobody_tells_what_is_open_nothing_is_counted() -> None:
    def nothing_there(path: str) -> list[str]:
        raise FileNotFoundError(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "listdir", nothing_there)
        assert in_use() == 0


@pytest.mark.parametrize(
    ("limit", "fitting"),
    [(sys.maxsize, sys.maxsize - RESERVE), (1024, 1024 - RESERVE), (100, 50), (40, 20)],
)
def test_targets_leave_what_all_else_needs_or_half(limit: int, fitting: int) -> None:
    assert targets_that_fit(limit) == fitting


def test_the_documents_say_how_many_fit() -> None:
    unit = (ROOT / "deploy/systemd/asterisk-fax-exporter.service").read_text()
    (limit,) = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    said = " ".join((ROOT / "docs/limits.md").read_text().split())
    assert f"systemd, {int(limit):,}, is enough for {targets_that_fit(int(limit)):,} PBXs" in said
    assert f"a hard limit of 1,024 for {targets_that_fit(1024)}." in said
    assert (
        f"up to {RESERVE}. The limit is raised as far as the hard one lets it, to {ENOUGH:,}"
        in said
    )


def test_targets_that_do_not_fit_are_told_with_what_to_do_until_all_fit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    room = Room()
    assert room.take(960) == 960
    assert room.why == ""
    assert not caplog.records
    assert room.take(1100) == 960
    assert caplog.messages.pop().startswith(
        f"1100 targets need {needed(1100)} open files, and the limit is 1024: only the first 960 "
        "are watched, and 140 are not; raise it: LimitNOFILE="
    )
    assert room.why.startswith("not watched, as it would take too many open files: 1100 targets")
    assert "LimitNOFILE=" in room.why
    caplog.clear()
    assert room.take(960) == 960
    assert room.why == ""
    assert caplog.messages == ["the limit of open files is enough for all targets now"]
    room.take(960)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("limit", "used", "fitting"),
    [
        (sys.maxsize, 20, 512),
        (512 + 20 + RESERVE_OF_WEB, 20, 512),
        (511 + 20 + RESERVE_OF_WEB, 20, 511),
        (40, 20, 1),
    ],
)
def test_connections_take_what_is_left(limit: int, used: int, fitting: int) -> None:
    assert connections_that_fit(512, limit, used) == fitting
    said = too_few_for_connections(512, fitting)
    if fitting == 512:
        assert said is None
    else:
        assert said is not None
        assert f"--web.max-connections is 512, and the limit of open files leaves {fitting}" in said


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EMFILE, "LimitNOFILE="), (errno.ENFILE, "fs.file-max")]
)
def test_connections_that_cannot_be_accepted_are_told_once_until_it_has_been_quiet(
    number: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    now, loop = 1000.0, asyncio.new_event_loop()
    try:
        loop.time = lambda: now  # type: ignore[method-assign]
        tell = TellOnce()
        context = {
            "message": "socket.accept() out of system resource",
            "exception": OSError(number, os.strerror(number)),
        }
        for _ in range(400):
            tell(loop, context)
            now += 1
        assert len(caplog.messages) == 1
        assert said in caplog.text
        now += 60
        tell(loop, context)
        assert len(caplog.messages) == 2
        tell(loop, {"message": "Task was destroyed but it is pending!"})
        assert "Task was destroyed" in caplog.messages[2]
    finally:
        loop.close()
