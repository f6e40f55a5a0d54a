"""Files written all or none: each beside its place first, with a copy of what was, then put in
place; and put back if one cannot be, or a signal comes."""

import contextlib
import errno
import fcntl
import os
import shlex
import signal
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter import ending
from exporter.setup_pbx.change import Change, Owned
from exporter.setup_pbx.conf_files import content_of
from exporter.setup_pbx.refusal import Refusal

COPY: Final = "before-asterisk-fax-exporter"
"""Of a copy's name the end, so that no *.conf in an #include means it."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_GETFLAGS: Final = 0x80086601 if struct.calcsize("l") == 8 else 0x80046601
_LOCKED: Final = 0x10 | 0x20
"""Flags of a file system that chattr(1) sets, i and a, after which root may not write either."""
_NO_ATTRIBUTES: Final = {errno.ENOTSUP, errno.ENODATA, errno.EINVAL, errno.ENOSYS}


@dataclass
class _Held:
    came: list[int] = field(default_factory=list)


@contextlib.contextmanager
def signals_held() -> Iterator[_Held]:
    """Within it a signal that ends the process is only noted, and sent again after it. What
    ending.py takes it is told of by `ending.came`."""
    held = _Held()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, lambda got, _: held.came.append(got))
    try:
        with ending.not_now:
            yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came in held.came[:1]:
            os.kill(os.getpid(), came)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within it no other process is. Raises Refusal if one is already."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal("another --setup-pbx is running: wait for its end") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def next_copy(path: Path) -> Path:
    """Where a copy of this file goes: a name that nothing has."""
    real = _real(path)
    names = (f"{real.name}.{COPY}{f'.{n}' if n > 1 else ''}" for n in range(1, 10_000))
    return next(real.parent / name for name in names if not os.path.lexists(real.parent / name))


def why_not_writable(change: Change) -> str:
    """Why this user could not write a file, and what to do; '' if he could."""
    real = _real(change.path)
    folder = real.parent
    while not folder.exists():
        folder = folder.parent
    if real.exists() and real.stat().st_nlink > 1:
        return (
            f"{change.path}: has another name, by a hard link, which would not change with it: "
            "make it a file of its own"
        )
    for one in (real, folder):
        if _is_locked(one):
            why = "is locked by chattr +i or +a, for root too"
            return f"{one}: {why}: chattr -ia {shlex.quote(str(one))}, and run this again"
    if os.access(folder, os.W_OK):
        return ""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder}: is mounted read-only: add what is shown where the file comes from"
    return f"{folder}: this user may not write there; run this as root"


def left_behind(paths: Iterable[Path]) -> list[Change]:
    """That what a run which was killed has left beside these files goes: it has secrets in it."""
    left = (_made(path) for path in paths)
    return [
        Change(path, content_of(path), None, None, True, "left by a run that was killed")
        for path in sorted(left)
        if path.is_file()
    ]


def _is_locked(path: Path) -> bool:
    """Whether chattr(1) has made it immutable or append-only, where its file system can tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    flags = bytearray(struct.calcsize("l"))
    try:
        fcntl.ioctl(descriptor, _GETFLAGS, flags)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(int.from_bytes(flags[:4], sys.byteorder) & _LOCKED)


def write(changes: Sequence[Change], *, keep: bool = True) -> list[Path]:
    """Write all of these; return the copies that were made, if they are to be (`keep`).

    Raises Refusal if nothing was changed, or if that could not be undone, with how to.
    """
    done: list[Change] = []
    ready: list[tuple[Change, Path | None]] = []
    copies: list[Path] = []
    with signals_held() as held:
        try:
            for change in changes:
                if content_of(change.path) != change.before:
                    raise Refusal(f"{change.path}: was changed meanwhile: run this again")
            for change in changes:
                ready.append((change, _beside(change.path, change.after, change.owned)))
            for change in changes:
                if keep and change.before:
                    copies.append(_copied(change.path, change.before))
            for change, beside in ready:
                if held.came or ending.came():
                    raise Refusal("it was interrupted")
                done.append(change)
                _put_in_place(change.path, beside)
        except (OSError, Refusal) as error:
            reason = _reason(error)
            left = [*_undone(done)]
            for copy in copies if not left else []:
                copy.unlink(missing_ok=True)
            told = "\n".join(left) if left else "nothing was changed"
            raise Refusal(f"{reason}; {told}" if not left else f"{reason}\n{told}") from None
        finally:
            for _, beside in ready:
                if beside is not None:
                    beside.unlink(missing_ok=True)
    return copies


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: cannot be written: {error.strerror}"
    return str(error)


def _undone(done: Sequence[Change]) -> Iterator[str]:
    """Puts back what was, in reverse; what to do where that fails."""
    for change in reversed(done):
        try:
            if content_of(change.path) != change.before:
                _put_in_place(change.path, _beside(change.path, change.before, None))
        except (OSError, Refusal) as error:
            yield (
                f"{change.path}: could not be put back ({_reason(error)}); run this with --remove"
            )


def _real(path: Path) -> Path:
    """What a link leads to: it stays a link."""
    return Path(os.path.realpath(path))


def _made(path: Path) -> Path:
    real = _real(path)
    return real.with_name(f".{real.name}.setup-pbx.tmp")


def _beside(path: Path, content: bytes | None, owned: Owned | None) -> Path | None:
    """A file with this content in the folder of that one, with its owner, mode and attributes.
    None if it is to go."""
    if content is None:
        return None
    real, made = _real(path), _made(path)
    made.unlink(missing_ok=True)  # of a run that was killed
    if not real.parent.exists():
        real.parent.mkdir(mode=0o755)
    _write_new(made, content, real if real.exists() else None, owned)
    return made


def _copied(path: Path, content: bytes) -> Path:
    copy = next_copy(path)
    _write_new(copy, content, _real(path), None)
    return copy


def _write_new(made: Path, content: bytes, like: Path | None, owned: Owned | None) -> None:
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            if like is not None:
                _attributes(like, descriptor)
                now = like.stat()
                owned = owned or Owned(now.st_uid, now.st_gid, now.st_mode & 0o7777)
            if owned is not None:
                os.fchown(descriptor, owned.uid, owned.gid)
                os.fchmod(descriptor, owned.mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException as error:
        made.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(made)
        raise


def _attributes(like: Path, descriptor: int) -> None:
    """Copies extended attributes, such as SELinux' label and access lists, where there are some."""
    try:
        for name in os.listxattr(like):
            os.setxattr(descriptor, name, os.getxattr(like, name))
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise


def _put_in_place(path: Path, beside: Path | None) -> None:
    real = _real(path)
    if beside is None:
        real.unlink(missing_ok=True)
    else:
        os.replace(beside, real)
    descriptor = os.open(real.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
