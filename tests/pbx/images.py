"""The images of the Dockerfiles, built by buildah.

There is no registry in it: the base images are stand-ins, made by debootstrap from the Debian suite
that their tag names.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packages.sources import cache

ROOT: Final = Path(__file__).parents[2]

_STAND_IN_PACKAGES: Final = {
    "debian": (),
    "python": ("ca-certificates", "python-is-python3", "python3", "python3-venv"),
}
_STAND_IN: Final = "1"
"""To be counted up when stand-ins are made in another way."""

# How pip gets through to PyPI on this machine is no business of the Dockerfile.
_FOR_PIP: Final = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")

# A mirror that is a snapshot has outlived its date.
_APT: Final = 'Acquire::Check-Valid-Until "false";\n'


class ContainerFailed(Exception):
    """An image could not be built or a container did not do what it should; the text has why."""


def available() -> str | None:
    """None if images can be built and run here, else one line that says what is missing."""
    if not sys.platform.startswith("linux"):
        return f"containers need Linux (this is {sys.platform})"
    if os.geteuid() != 0:
        return "containers need root here (buildah's chroot isolation, namespaces)"
    packages = {"buildah": "buildah", "debootstrap": "debootstrap", "ip": "iproute2"}
    missing = [package for tool, package in packages.items() if shutil.which(tool) is None]
    if missing:
        return (
            f"containers need {', '.join(missing)}: "
            f"apt-get install --no-install-recommends {' '.join(missing)}"
        )
    return None


def output(*command: str) -> str:
    """What a program printed, without the end of the line. Raises ContainerFailed."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise ContainerFailed(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout.strip()


def _buildah(*arguments: str) -> str:
    """On a storage of the tests' own. vfs runs everywhere, in a container too."""
    storage = cache() / "containers"
    where = [f"--root={storage}/storage", f"--runroot={storage}/run", "--storage-driver=vfs"]
    return output("buildah", *where, *arguments)


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time makes images; the others find them made."""
    folder = cache() / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _id(image: str) -> str | None:
    """Of an image in the storage; None if it is not there."""
    return _buildah("images", "--quiet", "--no-trunc", "--filter", f"reference={image}") or None


def base_image(dockerfile: Path) -> str:
    """The one image it is built from, by its full name."""
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile.read_text(), re.MULTILINE))
    names = set(re.findall(r"^FROM \$\{(\w+)\}", dockerfile.read_text(), re.MULTILINE))
    (name,) = names
    return str(arguments[name])


def _stand_in(base: str) -> str:
    """Makes a base image unless it is there; its id."""
    kind, _, tag = base.rpartition("/")[2].partition(":")
    suites = [part for part in tag.split("-") if part.isalpha() and part != "slim"]
    if kind not in _STAND_IN_PACKAGES or len(suites) != 1:
        known = ", ".join(_STAND_IN_PACKAGES)
        raise ContainerFailed(
            f"no stand-in can be made for {base}: only for {known}, with a Debian suite in the tag"
        )
    (suite,) = suites
    marked = f"localhost/stand-in-{kind}:{suite}-{_STAND_IN}"
    if (ready := _id(marked)) is not None and _id(base) == ready:
        return ready
    container = _buildah("from", "scratch")
    try:
        root = Path(_buildah("mount", container))
        packages = ",".join(_STAND_IN_PACKAGES[kind])
        include = [f"--include={packages}"] if packages else []
        output("debootstrap", "--variant=minbase", *include, suite, str(root))
        (root / "etc/apt/apt.conf.d/stand-in").write_text(_APT)
        for part in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / part)
            (root / part / "partial").mkdir(parents=True)
        made = _buildah("commit", "--quiet", container, base)
    finally:
        _buildah("rm", container)
    _buildah("tag", base, marked)
    return made


def tree(folder: Path, to: Path) -> Path:
    """Copies what the Dockerfile of a folder takes from it: the same for each build of a test,
    whatever is edited meanwhile. Caches come along, .dockerignore has to keep them out.
    """
    to.mkdir()
    dockerfile = (folder / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    ignore = [".dockerignore"] if (folder / ".dockerignore").exists() else []
    for name in ("Dockerfile", *ignore, *" ".join(copied).split()):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, to / name)
        else:
            shutil.copy(folder / name, to / name)
    return to


def _context(folder: Path) -> str:
    """A digest of all that an image is made of."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Image:
    """A built image and its files."""

    name: str
    root: Path
    """Its files. Only ever mounted read-only."""
    inspected: Mapping[str, Any]
    """What it says about itself, as Docker's format has it."""

    @property
    def config(self) -> Mapping[str, Any]:
        """User, Entrypoint, Healthcheck, Labels and the like."""
        config: Mapping[str, Any] = self.inspected["config"]
        return config

    @property
    def layers(self) -> Sequence[str]:
        """The digests of its layers."""
        return [str(digest) for digest in self.inspected["rootfs"]["diff_ids"]]

    @property
    def healthcheck(self) -> Sequence[str]:
        """The command of its HEALTHCHECK. Raises ContainerFailed if that needs a shell."""
        test: Sequence[str] = self.config["Healthcheck"]["Test"]
        kind, command = test[0], test[1:]
        if kind != "CMD":
            raise ContainerFailed(f"the HEALTHCHECK of {self.name} is not in exec form: {command}")
        return command


def _uses_pip(folder: Path) -> bool:
    return "/pip " in (folder / "Dockerfile").read_text()


def _build(name: str, folder: Path) -> None:
    volumes = [
        f"--volume={path}:{path}:ro"
        for path in _FOR_PIP
        if _uses_pip(folder) and Path(path).exists()
    ]
    flags = ["--isolation=chroot", "--format=docker", "--pull-never", "--timestamp=0"]
    _buildah("bud", *flags, *volumes, f"--tag={name}", str(folder))


def _inspect(name: str) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads(_buildah("inspect", "--type=image", name))["Docker"]
    return told


def image(repository: str, folder: Path) -> Image:
    """The image of the Dockerfile in `folder`, built if it was not yet built from these very files
    on this very base (with no base yet, a minute or two more). Raises ContainerFailed.

    Safe among several processes. Earlier images of the same name are removed.
    """
    dockerfile = folder / "Dockerfile"
    with _alone():
        base = _stand_in(base_image(dockerfile))
        name = f"localhost/{repository}:{_context(folder)}-{base[-12:]}"
        working = name.translate(str.maketrans("/:", "--"))
        if _id(name) is None:
            for old in _buildah("containers", "--format={{.ContainerName}}").split():
                if old.startswith(f"localhost-{repository}-") and old != working:
                    _buildah("rm", old)
            for old in _buildah("images", "--format={{.Name}}:{{.Tag}}").split():
                if old.startswith(f"localhost/{repository}:"):
                    _buildah("rmi", old)
            _build(name, folder)
        if working not in _buildah("containers", "--format={{.ContainerName}}").split():
            _buildah("from", "--pull-never", f"--name={working}", name)
        root = Path(_buildah("mount", working))
    return Image(name, root, _inspect(name))


def built_again(made: Image, folder: Path) -> Image:
    """The same image, built anew whatever there is, and removed again."""
    name = f"{made.name.partition(':')[0]}-again:{os.getpid()}"
    with _alone():
        _build(name, folder)
        try:
            return Image(name, made.root, _inspect(name))
        finally:
            _buildah("rmi", name)
