"""The file of --log.fax-file while others rotate, remove and fill it: no line torn, none lost."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.appended_file import AppendedFile, advice, refusal
from harness.programs import on_small_disk


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "faxes.log"
    path.write_bytes(b"old\n")
    file = AppendedFile(path)
    file.write(b"new\n")
    file.close()
    assert path.read_bytes() == b"old\nnew\n"


def test_it_is_made_for_its_user_and_group_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        AppendedFile(tmp_path / "faxes.log").reopen()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "faxes.log").stat().st_mode) == 0o640


def test_one_that_was_renamed_gets_the_lines_until_it_is_reopened(tmp_path: Path) -> None:
    path, rotated = tmp_path / "faxes.log", tmp_path / "faxes.log.1"
    file = AppendedFile(path)
    file.write(b"1\n")
    path.rename(rotated)
    file.write(b"2\n")
    assert not path.exists()
    file.reopen()
    file.write(b"3\n")
    file.close()
    assert (rotated.read_bytes(), path.read_bytes()) == (b"1\n2\n", b"3\n")


def test_one_that_was_copied_and_truncated_begins_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "faxes.log"
    file = AppendedFile(path)
    file.write(b"1\n")
    os.truncate(path, 0)
    file.write(b"2\n")
    file.close()
    assert path.read_bytes() == b"2\n"


def test_one_that_was_removed_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "log" / "faxes.log"
    path.parent.mkdir()
    file = AppendedFile(path)
    file.write(b"1\n")
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError) as error:
        file.write(b"2\n")
    assert "make its folder again" in advice(error.value)
    path.parent.mkdir()
    file.write(b"2\n")
    file.close()
    assert path.read_bytes() == b"2\n"


def test_a_line_that_a_crash_has_torn_is_not_the_beginning_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "faxes.log"
    path.write_bytes(b"whole\nto")
    file = AppendedFile(path)
    file.write(b"next\n")
    file.close()
    assert path.read_bytes() == b"whole\nto\nnext\n"


FULL = """
import os, sys
from pathlib import Path
from exporter.appended_file import AppendedFile, advice
path = Path(sys.argv[1], "faxes.log")
filler = Path(sys.argv[1], "filler")
file = AppendedFile(path)
line = b"x" * 999 + b"\\n"
written = 0
def fill():
    global written
    try:
        while True:
            file.write(line)
            written += 1
    except OSError as error:
        print(error.strerror, "-", advice(error))
        assert path.read_bytes() == line * written
{meanwhile}
file.close()
print("lines", written)
"""
MORE = """
filler.write_bytes(b"y" * 20_000)
fill()
filler.unlink()
fill()
assert written > 50
"""
ROTATED = """
fill()
path.rename(path.with_suffix(".1"))
file.reopen()
path.with_suffix(".1").unlink()
written = 0
fill()
assert written > 50
"""
TRUNCATED = """
fill()
os.truncate(path, 0)
written = 0
fill()
assert written > 50
"""


@pytest.mark.parametrize("meanwhile", [MORE, ROTATED, TRUNCATED])
def test_on_a_disk_that_is_full_a_line_is_there_wholly_or_not_at_all(
    meanwhile: str, tmp_path: Path
) -> None:
    script = tmp_path / "full.py"
    script.write_text(FULL.replace("{meanwhile}", meanwhile))
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        [*on_small_disk(disk), sys.executable, str(script), str(disk)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert "No space left on device - make room" in done.stdout


def test_what_others_do_to_the_file_while_a_line_is_torn_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "faxes.log", os.write

    def full(descriptor: int, data: bytes) -> int:
        if data == b"23456789\n":
            os.truncate(path, 0)  # another one's rotation, in just this moment
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:2])

    file = AppendedFile(path)
    file.write(b"old\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            file.write(b"0123456789\n")
    assert path.read_bytes() == b""
    file.write(b"0123456789\n")
    file.close()
    assert path.read_bytes() == b"0123456789\n"


def test_on_a_full_device_it_fails_and_stays_open() -> None:
    file = AppendedFile(Path("/dev/full"))
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            file.write(b"line\n")
    file.close()


def test_a_fifo_that_nobody_reads_waits_for_nobody_and_one_that_is_full_is_completed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "faxes.fifo"
    os.mkfifo(path)
    assert refusal(path) is None
    file = AppendedFile(path)
    with pytest.raises(OSError, match="No such device") as error:
        file.write(b"1\n")
    assert "nobody reads it" in advice(error.value)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    line = b"x" * 100_000 + b"\n"
    with pytest.raises(BlockingIOError):
        file.write(line)
    read = b""
    for _ in range(100):
        read += os.read(reading, 1_000_000)
        with contextlib.suppress(BlockingIOError):
            file.write(line)
            break
    read += os.read(reading, 1_000_000)
    assert read == line
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        file.write(line)
    file.close()


def test_where_it_can_never_be_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    assert refusal(tmp_path / "faxes.log") is None
    assert refusal(tmp_path) == "it is a folder"
    assert "its folder is missing" in str(refusal(tmp_path / "no" / "faxes.log"))
    (tmp_path / "file").touch()
    assert "Not a directory" in str(refusal(tmp_path / "file" / "faxes.log"))
    (tmp_path / "link").symlink_to(tmp_path / "no" / "faxes.log")
    assert "its folder is missing" in str(refusal(tmp_path / "link"))
    (tmp_path / "link").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_where_its_user_may_not_write_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere: what the system says of others.
    (tmp_path / "faxes.log").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    for path in (tmp_path / "faxes.log", tmp_path / "other.log"):
        assert "may not write" in str(refusal(path))
        assert "LogsDirectory=" in str(refusal(path))


def test_each_fault_has_its_advice() -> None:
    for number in (errno.EACCES, errno.EROFS, errno.EISDIR, errno.EMFILE, errno.EIO):
        assert advice(OSError(number, ""))
    assert "LogsDirectory" in advice(OSError(errno.EROFS, ""))
