import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.setup_pbx import writing
from exporter.setup_pbx.change import Change, Owned
from exporter.setup_pbx.refusal import Refusal

ME = Owned(os.getuid(), os.getgid(), 0o600)


def there(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def two(tmp_path: Path) -> tuple[Change, Change]:
    (tmp_path / "a").write_bytes(b"1")
    return Change(tmp_path / "a", b"1", b"2"), Change(tmp_path / "b", None, b"3", ME)


def test_all_is_written_with_a_copy_of_what_was(tmp_path: Path, two: tuple[Change, Change]) -> None:
    (tmp_path / "a").chmod(0o640)
    (copy,) = writing.write(two)
    assert copy.name == "a.before-asterisk-fax-exporter"
    assert there(tmp_path) == {"a": b"2", "b": b"3", copy.name: b"1"}
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b", copy.name)]
    assert modes == [0o640, 0o600, 0o640]


def test_an_earlier_copy_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    copies = []
    for before, after in ((b"1", b"2"), (b"2", b"3"), (b"3", b"4")):
        copies += writing.write([Change(path, before, after)])
    assert [copy.read_bytes() for copy in copies] == [b"1", b"2", b"3"]
    assert copies[2].name == "a.before-asterisk-fax-exporter.3"


def test_owner_mode_and_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    path.chmod(0o4751)
    root = os.geteuid() == 0
    if root:
        os.chown(path, 4711, 4712)
        path.chmod(0o4751)
    try:
        os.setxattr(path, "user.label", b"here")
        labelled = True
    except OSError:
        labelled = False
    before = path.stat()
    (copy,) = writing.write([Change(path, b"1", b"2")])
    for one in (path, copy):
        now = one.stat()
        assert (now.st_uid, now.st_gid, now.st_mode) == (
            before.st_uid,
            before.st_gid,
            before.st_mode,
        )
        if labelled:
            assert os.getxattr(one, "user.label") == b"here"


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    (tmp_path / "git/a").write_bytes(b"1")
    (tmp_path / "a").symlink_to("git/a")
    (copy,) = writing.write([Change(tmp_path / "a", b"1", b"2")])
    assert (tmp_path / "a").is_symlink()
    assert there(tmp_path / "git") == {"a": b"2", copy.name: b"1"}


@pytest.mark.parametrize("second", ["is changed meanwhile", "is in a folder that is none"])
def test_if_one_cannot_be_written_none_is(
    tmp_path: Path, two: tuple[Change, Change], second: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    if second == "is changed meanwhile":
        (tmp_path / "b").write_bytes(b"somebody's")
        changes = two
    else:
        changes = (two[0], Change(tmp_path / "file/b", None, b"3", ME))
    before = there(tmp_path)
    with pytest.raises(Refusal, match="nothing was changed"):
        writing.write(changes)
    assert there(tmp_path) == before


def test_what_is_in_place_already_is_put_back(tmp_path: Path, two: tuple[Change, Change]) -> None:
    """The second is a folder that is not empty: known only as it is to be replaced."""
    (tmp_path / "c").symlink_to("folder")
    changes = [*two, Change(tmp_path / "c", None, b"4", ME)]
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "folder":
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(Refusal, match="No space left on device; nothing was changed"):
            writing.write(changes)
    assert there(tmp_path) == {"a": b"1"}


def test_what_a_run_that_was_killed_has_left_is_no_obstacle(
    tmp_path: Path, two: tuple[Change, Change]
) -> None:
    (tmp_path / ".a.setup-pbx.tmp").write_bytes(b"half")
    writing.write(two, keep=False)
    assert there(tmp_path) == {"a": b"2", "b": b"3"}


KILLED = """
import os, sys, time
from pathlib import Path
from exporter import ending
from exporter.setup_pbx.change import Change
from exporter.setup_pbx.writing import write

really = os.fsync

def fsync(descriptor):
    if not ending.came():
        os.kill(os.getpid(), {number})
        while not ending.came():
            time.sleep(0.001)
    really(descriptor)

os.fsync = fsync
sys.argv = ["x", "--setup-pbx"]
ending.heed_signals()
try:
    write([Change(Path({folder!r}) / name, b"1", b"2", None) for name in "ab"])
finally:
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_command_ends_it_once_all_is_as_it_was(
    number: signal.Signals, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"1")
    script = KILLED.format(number=int(number), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=30)
    assert done.returncode == 128 + number
    assert there(tmp_path) == {"a": b"1", "b": b"1"}


class Came(Exception):
    """The signal, once it is heeded again."""


@pytest.fixture
def heeded() -> Iterator[None]:
    def come(number: int, _: object) -> None:
        raise Came(number)

    before = signal.signal(signal.SIGTERM, come)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("heeded")
def test_a_signal_in_the_middle_leaves_all_or_nothing(
    tmp_path: Path, two: tuple[Change, Change]
) -> None:
    real, calls = os.fsync, 0
    (tmp_path / "a").unlink()
    for at in range(1, 20):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / "a").write_bytes(b"1")
        calls = 0

        def kill(descriptor: int, at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGTERM)
            real(descriptor)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", kill)
            if calls_are_over(two):
                assert there(tmp_path)["b"] == b"3"
                assert at > 4
                return
        left = there(tmp_path)
        assert at > 1 or left == {"a": b"1"}  # before anything was in place
        if "b" in left:
            assert (left["a"], left["b"]) == (b"2", b"3")
        else:
            assert left == {"a": b"1"}
    pytest.fail("a file is synced more often than there are files")


def calls_are_over(changes: tuple[Change, Change]) -> bool:
    """Whether all was written before the signal was due."""
    try:
        writing.write(changes)
    except (Came, Refusal):
        return False
    return True


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        writing.alone(tmp_path),
        pytest.raises(Refusal, match="another --setup-pbx"),
        writing.alone(tmp_path),
    ):
        pass


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    assert writing.why_not_writable(Change(path, b"1", b"2")) == ""
    assert writing.why_not_writable(Change(tmp_path / "x/y/z", None, b"2")) == ""
    os.link(path, tmp_path / "b")
    assert "hard link" in writing.why_not_writable(Change(path, b"1", b"2"))
    if Path("/proc/sys").exists():
        why = writing.why_not_writable(Change(Path("/proc/sys/kernel/none"), None, b""))
        assert os.access("/proc/sys/kernel", os.W_OK) or why


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("locked", ["conf", "conf/manager.conf"])
def test_what_chattr_has_locked_is_known_before(tmp_path: Path, flag: str, locked: str) -> None:
    path = tmp_path / "conf/manager.conf"
    path.parent.mkdir()
    path.write_bytes(b"1")
    chattr, target = shutil.which("chattr"), tmp_path / locked
    if not chattr or subprocess.run([chattr, f"+{flag}", target], capture_output=True).returncode:
        return  # no root, or a file system without flags
    try:
        why = writing.why_not_writable(Change(path, b"1", b"2"))
    finally:
        subprocess.run([chattr, f"-{flag}", target], check=True)
    assert why.startswith(f"{target}: is locked by chattr")
    assert writing.why_not_writable(Change(path, b"1", b"2")) == ""
