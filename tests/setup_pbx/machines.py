"""Folders of both sides, and an Asterisk that answers and reloads without being there."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.setup_pbx import Machine
from exporter.setup_pbx.asterisk_here import AsteriskHere

VERSION = "16.28.0"
FREEPBX = """;
; AMI - Asterisk Manager interface
;
; FreePBX needs this to be enabled.
;
[general]
enabled = yes
port = 5038
bindaddr = 0.0.0.0
displayconnects=no ;only effects 1.6+

[admin]
secret = made-by-freepbx
read = all
write = all

#include manager_additional.conf
#include manager_custom.conf
"""
"""As that of FreePBX 16 and 17 is laid out."""
DEBIAN = """[general]
enabled = yes
port = 5038
bindaddr = 127.0.0.1

#include "manager.d/*.conf"
"""
"""Debian's, from 11 to sid, without its comments."""
UPSTREAM = """;
; AMI - The Asterisk Manager Interface
;
[general]
enabled = no
;webenabled = yes

port = 5038
bindaddr = 0.0.0.0

;[mark]
;secret = mysecret
"""
"""As the sample of Asterisk's source is laid out."""


@dataclass
class Both:
    """The folders of both sides."""

    asterisk: Path
    exporter: Path
    console: Path
    """A command that notes how it was called."""
    version: str = VERSION
    runs: list[bool | None] = field(default_factory=lambda: [None])
    """Whether systemd runs the exporter."""

    @property
    def machine(self) -> Machine:
        here = AsteriskHere((str(self.console),), self.asterisk, self.version, os.getgid())
        return Machine(self.exporter, lambda: here, lambda: self.runs[0], listen=0.01)

    @property
    def called(self) -> list[str]:
        log = self.console.with_suffix(".log")
        return log.read_text().splitlines() if log.exists() else []

    def files(self) -> dict[str, tuple[bytes, int, int, int]]:
        """Content, mode and owner of all, but for the copies."""
        found = {}
        for folder in (self.asterisk, self.exporter):
            for path in folder.rglob("*"):
                if path.is_file() and "before-asterisk-fax-exporter" not in path.name:
                    now = path.stat()
                    mode = stat.S_IMODE(now.st_mode)
                    found[str(path)] = (path.read_bytes(), mode, now.st_uid, now.st_gid)
        return found

    def copies(self) -> dict[str, bytes]:
        return {
            path.name: path.read_bytes()
            for folder in (self.asterisk, self.exporter)
            for path in folder.rglob("*before-asterisk-fax-exporter*")
        }


def both(folder: Path, files: Mapping[str, str | bytes]) -> Both:
    """`files`: those of Asterisk."""
    asterisk, exporter, console = folder / "asterisk", folder / "exporter", folder / "console"
    for name, content in files.items():
        path = asterisk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o640)
    asterisk.mkdir(exist_ok=True)
    exporter.mkdir()
    (exporter / "environment").write_text("# FAX_EXPORTER_LOG_LEVEL=debug\n")
    (exporter / "secret").touch(0o600)
    console.write_text(f'#!/bin/sh\necho "$@" >> {console}.log\n')
    console.chmod(0o755)
    return Both(asterisk, exporter, console)
