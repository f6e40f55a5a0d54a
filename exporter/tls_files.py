"""Files of certificates, read for AMI and web alike.

What is wrong with a file is a ValueError in words that a user understands, instead of OpenSSL's.
"""

import contextlib
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn


def load_trusted(context: ssl.SSLContext, path: Path) -> None:
    """Make `context` trust the certificates in a file. Raises ValueError."""
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError("holds no PEM certificate") from None
    except (OSError, ValueError) as error:
        raise ValueError(why_unreadable(error)) from None


def load_identity(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Make `context` show a certificate; `key` None: its key is in the same file.

    Raises ValueError, also if a key needs a pass phrase: OpenSSL would ask for it on the terminal.
    """
    try:
        context.load_cert_chain(certificate, key, _no_pass_phrase)
    except ssl.SSLError as error:
        reason = error.reason or ""
        # The second is OpenSSL's error for a key of another type.
        if reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ValueError("holds the key of another certificate") from None
        if reason.endswith(("_TOO_SMALL", "_TOO_WEAK")):
            raise ValueError(f"is refused by OpenSSL: {openssl_words(reason)}") from None
        raise ValueError("holds no PEM private key") from None
    except OSError as error:
        raise ValueError(why_unreadable(error)) from None


Signatures = dict[Path, tuple[int, int, int] | None]
"""By path, what differs once the file has changed; see `signatures`."""


def signatures(files: Iterable[Path]) -> Signatures:
    """Time of change, size and inode of each file; None while it cannot be read.

    Links are followed: Kubernetes updates a mounted file by
    pointing a link at another.
    """
    found: Signatures = dict.fromkeys(files)
    for file in found:
        with contextlib.suppress(OSError, ValueError):  # ValueError: a NUL in its name
            now = file.stat()
            found[file] = (now.st_mtime_ns, now.st_size, now.st_ino)
    return found


def _no_pass_phrase() -> NoReturn:
    raise ValueError("holds an encrypted key, and there is nobody to ask for its pass phrase")


def openssl_words(reason: str) -> str:
    """Return OpenSSL's name of an error in words: EE_KEY_TOO_SMALL is "ee key too small"."""
    return reason.replace("_", " ").lower()


def why_unreadable(error: OSError | ValueError) -> str:
    """Return why a file could not be read, in a user's words."""
    return (error.strerror if isinstance(error, OSError) else None) or "cannot be opened"
