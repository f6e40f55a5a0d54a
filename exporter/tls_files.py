"""Files of certificates, read for AMI and web alike, and what OpenSSL means by its errors.

What is wrong with a file is a ValueError in words that a user understands.
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
    """Make `context` show a client certificate; `key` None: its key is in the same file.

    Raises ValueError. Never asks for a pass phrase, as OpenSSL does by itself.
    """
    try:
        context.load_cert_chain(certificate, key, _no_pass_phrase)
    except ssl.SSLError as error:
        reason = error.reason or ""
        # The second is what OpenSSL says of a key of another type.
        if reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ValueError("holds the key of another certificate") from None
        if reason.endswith(("_TOO_SMALL", "_TOO_WEAK")):
            raise ValueError(f"is refused by OpenSSL: {openssl_words(reason)}") from None
        raise ValueError("holds no PEM private key") from None
    except OSError as error:
        raise ValueError(why_unreadable(error)) from None


Signatures = dict[Path, tuple[int, int, int] | None]
"""What tells that a file has changed, by its path."""


def signatures(files: Iterable[Path]) -> Signatures:
    """Time of change, size and inode of each file; None while it cannot be read.

    They differ once the file has changed. Links are followed: Kubernetes updates a mounted file by
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
    """Return OpenSSL's name of an error, such as EE_KEY_TOO_SMALL, in words."""
    return reason.replace("_", " ").lower()


def why_unreadable(error: OSError | ValueError) -> str:
    """Return why a file could not be read, in a user's words."""
    return (error.strerror if isinstance(error, OSError) else None) or "cannot be opened"
