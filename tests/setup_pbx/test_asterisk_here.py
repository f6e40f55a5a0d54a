import os
from pathlib import Path

import pytest

from exporter.setup_pbx import asterisk_here
from exporter.setup_pbx.asterisk_here import find
from exporter.setup_pbx.refusal import Refusal

SETTINGS = """
PBX Core settings
-----------------
  Version:                     16.28.0~dfsg-0+deb11u4
  Build Options:               OPTIONAL_API

  * Directories
  -------------
  Configuration file:          /srv/pbx/asterisk.conf
  Configuration directory:     /srv/pbx
  Module directory:            /usr/lib/asterisk/modules
"""
"""As Asterisk 16 says it, without what concerns nobody here."""


def console(folder: Path, script: str) -> str:
    """A folder for PATH with a command asterisk."""
    folder.mkdir(exist_ok=True)
    command = folder / "asterisk"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return str(folder)


def process(
    proc: Path, number: int, *words: str, name: str = "asterisk", root: str = "/", group: int = 7
) -> None:
    folder = proc / str(number)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
    (folder / "status").write_text(f"Name:\t{name}\nGid:\t1\t{group}\t1\t1\n")
    (folder / "root").symlink_to(root)


def test_folder_version_and_group_are_what_the_running_one_says(tmp_path: Path) -> None:
    path = console(tmp_path / "bin", f'echo "$@" >> {tmp_path}/log\ncat << "E"\n{SETTINGS}\nE')
    process(tmp_path / "proc", 9, "/usr/sbin/asterisk", "-f", "-C", "/srv/pbx/asterisk.conf")
    process(tmp_path / "proc", 10, "asterisk", "-rvvv")
    process(tmp_path / "proc", 11, "/usr/sbin/asterisk", "-rx", "core show channels")
    process(tmp_path / "proc", 12, "/usr/bin/safe_asterisk", name="safe_asterisk")
    found = find(proc=tmp_path / "proc", path=path)
    assert (found.folder, found.version, found.group, found.runs) == (
        Path("/srv/pbx"),
        "16.28.0~dfsg-0+deb11u4",
        7,
        True,
    )
    found.reload()
    assert (tmp_path / "log").read_text().splitlines() == [
        "-C /srv/pbx/asterisk.conf -rx core show settings",
        "-C /srv/pbx/asterisk.conf -rx manager reload",
    ]


def test_one_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    path = console(tmp_path / "bin", "echo Unable to connect to remote asterisk; exit 1")
    (tmp_path / "proc").mkdir()
    found = find(proc=tmp_path / "proc", path=path)
    assert (found.runs, found.folder) == (False, Path("/etc/asterisk"))
    assert found.why_not.endswith(
        "'core show settings': status 1, Unable to connect to remote asterisk"
    )
    with pytest.raises(Refusal, match="'manager reload': status 1"):
        found.reload()


def test_a_console_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asterisk_here, "SECONDS", 0.1)
    path = console(tmp_path / "bin", "exec sleep 600")
    (tmp_path / "proc").mkdir()
    assert "no answer within 0.1 s" in find(proc=tmp_path / "proc", path=path).why_not


def test_several_are_refused_by_their_numbers_and_files(tmp_path: Path) -> None:
    path = console(tmp_path / "bin", "true")
    process(tmp_path / "proc", 9, "asterisk", "-C", "/srv/a.conf")
    process(tmp_path / "proc", 10, "asterisk")
    with pytest.raises(Refusal, match=r"process 9 \(/srv/a.conf\), process 10 \(its own files\)"):
        find(proc=tmp_path / "proc", path=path)


def test_one_in_a_container_is_not_that_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    process(tmp_path / "proc", 9, "asterisk", root=str(tmp_path / "empty"))
    with pytest.raises(Refusal, match=r"in a container \(process 9\)"):
        find(proc=tmp_path / "proc", path=str(tmp_path / "empty"))
    path = console(tmp_path / "bin", "exit 1")
    assert not find(proc=tmp_path / "proc", path=path).runs


def test_without_any_it_says_where_to_run_this(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="run this where Asterisk runs"):
        find(proc=tmp_path, path=str(tmp_path))


@pytest.mark.parametrize(
    ("said", "active"),
    [
        ("LoadState=loaded\nActiveState=active", True),
        ("LoadState=loaded\nActiveState=inactive", False),
        ("LoadState=not-found\nActiveState=inactive", None),
    ],
)
def test_systemd_tells_whether_the_exporter_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, active: bool | None
) -> None:
    command = tmp_path / "systemctl"
    command.write_text(f"#!/bin/sh\ncat << E\n{said}\nE\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert asterisk_here.service_is_active() is active
