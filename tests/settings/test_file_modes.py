"""What the mode of a file lets everybody do, and that the command which is said ends it."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.settings.file_modes import read_by_all, written_by_all


def file(folder: Path, mode: int) -> Path:
    path = folder / "a file"
    path.write_text("hunter2\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("look", "mode", "said"),
    [
        (read_by_all, 0o644, True),
        (read_by_all, 0o604, True),
        (read_by_all, 0o666, True),
        (read_by_all, 0o640, False),
        (read_by_all, 0o662, False),
        (written_by_all, 0o666, True),
        (written_by_all, 0o602, True),
        (written_by_all, 0o664, False),
        (written_by_all, 0o644, False),
    ],
)
def test_what_all_may_do_with_a_file_is_said_with_the_command_that_ends_it(
    tmp_path: Path, look: Callable[[Path], list[str]], mode: int, said: bool
) -> None:
    path = file(tmp_path, mode)
    cautions = look(path)
    assert len(cautions) == said
    for caution in cautions:
        assert caution.startswith(f"{path}: its mode lets all users of this machine ")
        _, _, command = caution.rpartition("): ")
        subprocess.run(["sh", "-c", command], check=True, timeout=10)
        assert stat.S_IMODE(path.stat().st_mode) & 0o770 == mode & 0o770
    assert look(path) == []


@pytest.mark.parametrize("look", [read_by_all, written_by_all])
def test_of_what_is_mounted_read_only_nothing_is_said_that_nobody_could_follow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look: Callable[[Path], list[str]]
) -> None:
    path = file(tmp_path, 0o666)
    assert len(look(path)) == 1
    now = os.statvfs(path)
    read_only = os.statvfs_result((*now[:8], now.f_flag | os.ST_RDONLY, *now[9:]))
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    assert look(path) == []


@pytest.mark.parametrize("look", [read_by_all, written_by_all])
def test_of_a_pipe_a_device_and_a_file_that_is_gone_nothing_is_said(
    tmp_path: Path, look: Callable[[Path], list[str]]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    assert [look(path) for path in (pipe, Path("/dev/null"), tmp_path / "none")] == [[]] * 3


def test_a_link_is_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    path = file(tmp_path, 0o644)
    link = tmp_path / "link"
    link.symlink_to(path.name)
    assert len(read_by_all(link)) == 1
    path.chmod(0o640)
    assert read_by_all(link) == []
