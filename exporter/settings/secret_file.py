"""The file that holds nothing but the secret of an AMI user, and how it is read."""

import codecs
import stat
from pathlib import Path
from typing import Final

from exporter.tls_files import why_unreadable

# A secret is far shorter; a longer file is the wrong one.
_MAX_BYTES: Final = 4096


def read_secret(path: Path) -> str:
    """Return the secret, without a line end after it.

    Raises ValueError with what is wrong with the file, and never what is in it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ValueError(why_unreadable(error)) from None
    if len(content) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes, not a secret")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:2]:
        raise ValueError("it is UTF-16; save it as UTF-8 without a byte order mark")
    if content.startswith(codecs.BOM_UTF8):
        raise ValueError("it begins with a byte order mark; save it as UTF-8 without one")
    # Never decode strictly here: the exception would carry the secret's bytes with it.
    secret = content.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not secret.strip(" "):
        raise ValueError("the file is empty")
    if "\n" in secret or "\r" in secret:
        raise ValueError("it has several lines, and control characters are refused in a secret")
    return secret


def is_read_once(path: Path) -> bool:
    """Whether there is a pipe or a device instead of a file, as by `--ami.secret-file <(...)`: what
    it gave is gone, and reading it again could block."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # to be told by `read_secret`
        return False
