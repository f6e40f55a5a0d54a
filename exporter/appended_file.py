"""A file to which lines are appended while others rotate, remove or fill it: one write for each
line, and no torn one in the middle. Its errors are those of the system; nothing here waits.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

MODE: Final = 0o640
"""Of a file that is made, less what the umask takes: readable for a group of log readers."""

# O_APPEND: after somebody has copied and truncated it the next line is the first. O_NONBLOCK: to
# open a FIFO that nobody reads, or to write to one that is full, fails, and does not wait.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_STAYS_OPEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN})
"""After these the same file is tried again; after others what is at the path then."""

_UNDER_SYSTEMD: Final = " (systemd makes one in /var/log with LogsDirectory=)"


def refusal(path: Path) -> str | None:
    """Why no line can ever be appended there, as things are now; None if nothing speaks against
    it. Nothing is made: whoever only checks may be another user than the exporter's."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _refusal_of_folder(path.resolve().parent)
    except OSError as error:  # such as a file among the folders, or a folder that is not ours
        return f"it cannot be looked at: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "it is a folder"
    if stat.S_ISSOCK(mode):
        return "it is a socket"
    if not os.access(path, os.W_OK):
        return f"the exporter's user may not write to it{_UNDER_SYSTEMD}"
    return None


def _refusal_of_folder(folder: Path) -> str | None:
    if not folder.is_dir():
        return f"its folder is missing{_UNDER_SYSTEMD}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the exporter's user may not write in its folder{_UNDER_SYSTEMD}"
    return None


def advice(error: OSError) -> str:
    """What somebody can do about an error of `AppendedFile`."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return "make room"
        case errno.ENXIO | errno.EAGAIN | errno.EPIPE:
            return "nobody reads it: start what does"
        case errno.ENOENT | errno.ENOTDIR:
            return "make its folder again"
        case errno.EISDIR:
            return "move the folder away that is in its place"
        case errno.EACCES | errno.EPERM:
            return "give the exporter's user the right to write it"
        case errno.EROFS:
            return "make it writable: under systemd by LogsDirectory= or ReadWritePaths="
        case errno.EMFILE | errno.ENFILE:
            return "raise the limit of open files"
        case _:
            return "look after its disk"


class AppendedFile:
    """Opened when the first line is written, and again after `reopen`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._written = 0
        """Bytes of the line under way that were written, where they could not be taken back."""

    def write(self, line: bytes) -> None:
        """Appends a whole line. Raises OSError: then the same line is to be given again, and what
        was written of it is cut off or will be completed."""
        descriptor = self._open()
        try:
            while self._written < len(line):
                self._written += os.write(descriptor, line[self._written :])
            self._written = 0
        except OSError as error:
            self._take_back(descriptor)
            if error.errno not in _STAYS_OPEN:
                self.close()
            raise

    def reopen(self) -> None:
        """Goes on with the file that is at the path now; it is made if there is none. Raises
        OSError."""
        self.close()
        self._open()

    def close(self) -> None:
        """Raises nothing."""
        descriptor, self._descriptor = self._descriptor, None
        self._written = 0
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _open(self) -> int:
        if self._descriptor is not None:
            # One that has another name was rotated: until it is reopened, lines belong there. One
            # that has none any more was removed, and they would be lost in it.
            if os.fstat(self._descriptor).st_nlink:
                return self._descriptor
            self.close()
        try:  # with O_CREAT Linux keeps us out of what others have made in /tmp
            self._descriptor = os.open(self.path, _FLAGS)
        except FileNotFoundError:
            self._descriptor = os.open(self.path, _FLAGS | os.O_CREAT, MODE)
        self._end_torn_line(self._descriptor)
        return self._descriptor

    def _end_torn_line(self, descriptor: int) -> None:
        """A crash may have left the beginning of a line: the next one is not to be its end."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return
        try:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
            if torn:
                os.write(descriptor, b"\n")
        except OSError:  # it may be there to be written only, and a full disk shows itself soon
            pass

    def _take_back(self, descriptor: int) -> None:
        """Cuts off what was written of a line, unless somebody else has written, or has cut the
        file, since. A pipe takes nothing back: there the line is completed later."""
        with contextlib.suppress(OSError):
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            if self._written and status.st_size == end:
                os.ftruncate(descriptor, end - self._written)
            self._written = 0
