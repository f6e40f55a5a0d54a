"""The images of the Dockerfiles, built by buildah, and containers that run them without an engine.

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
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from harness.exposition import Scrape
from tests.pbx.asterisk import cache

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


def _output(*command: str) -> str:
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
    return _output("buildah", *where, *arguments)


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
        _output("debootstrap", "--variant=minbase", *include, suite, str(root))
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


# What a container engine does for `read_only`, `cap_drop: [ALL]`, `no-new-privileges` and `tmpfs`;
# then nothing is left that could be a shell, if the image must do without.
_LAUNCH: Final = """
set -e
root=$1 user=$2 secrets=$3 shell=$4 tmpfs=$5
shift 5
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/secrets"
mount --bind -o ro "$secrets" "$root/run/secrets"
for one in $tmpfs; do
  folder=${one%%:*}
  mkdir -p "$root$folder"
  options=${one#"$folder"} options=${options#:}
  mount -t tmpfs -o "mode=1777${options:+,$options}" tmpfs "$root$folder"
done
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
if [ "$shell" = none ]; then
  for name in bash dash sh; do
    [ ! -f "$root/usr/bin/$name" ] || mount --bind /dev/null "$root/usr/bin/$name"
  done
fi
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"
"""

_INIT: Final = """
set -e
ip link set lo up
for address in "$@"; do ip address add "$address/32" dev lo; done
echo ready
exec sleep infinity
"""

_GET: Final = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end="")
"""


class Container:
    """A process that runs in an image."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, *, deep: int) -> None:
        """`deep`: so many generations below `process` it is."""
        self._process = process
        self._log = log
        self._deep = deep

    @property
    def log(self) -> str:
        """All it has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of the process itself, as the machine sees it. Raises ContainerFailed once it ended."""
        pid = self._process.pid
        with suppress(OSError, ValueError):
            for _ in range(self._deep):
                pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
            return pid
        raise ContainerFailed(f"it has ended: {self.log}")

    def folder(self, path: str) -> Path:
        """One of its folders, as the machine sees it."""
        return Path(f"/proc/{self.pid}/root{path}")

    def wait_for(self, text: str, timeout: float) -> None:
        """Until it has written this. Raises ContainerFailed."""
        deadline = time.monotonic() + timeout
        while text not in self.log:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise ContainerFailed(f"it did not say {text!r}: {self.log}")
            time.sleep(0.05)

    def wait_for_entrypoint(self, timeout: float) -> None:
        """Until what the image names has begun and keeps or heeds SIGTERM. Raises
        ContainerFailed."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with suppress(ContainerFailed, OSError, KeyError):
                status = self.status()
                heeded = int(status["SigBlk"], 16) | int(status["SigCgt"], 16)
                if heeded >> signal.SIGTERM - 1 & 1 and status["NoNewPrivs"] == "1":
                    return
        raise ContainerFailed(f"its entrypoint does not heed SIGTERM: {self.log}")

    def status(self) -> dict[str, str]:
        """Of the process, see proc_pid_status(5)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def execute(self, command: Sequence[str], timeout: float = 10) -> int:
        """Runs a command beside it, as its user, as an engine runs a health check; its exit
        status."""
        user = self.status()["Uid"].split()[0]
        within = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--root", "--wd"]
        within += ["--setuid", user, "--setgid", user]
        done = subprocess.run(
            [*within, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode

    def wait(self, timeout: float) -> int:
        """Its exit status."""
        return self._process.wait(timeout)

    def stop(self) -> int:
        """Ends it as an engine does, by SIGTERM and, 10 s later, SIGKILL; its exit status."""
        if self._process.poll() is None:
            with suppress(ContainerFailed, ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.kill(self.pid, signal.SIGKILL)
        return self._process.wait(10)


class Pod:
    """Containers with a network of their own: a loopback, and the addresses that are asked for.

    Whatever runs in it ends with it, also if the tests are killed.
    """

    def __init__(self, folder: Path, *addresses: str) -> None:
        """`folder` is for logs and secrets."""
        self._folder, self._addresses = folder, addresses
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        unshare = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._init = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *unshare, "sh", "-c", _INIT, "sh", *self._addresses],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(self._init.wait)
        self._stack.callback(self._init.kill)
        assert self._init.stdout
        said = self._init.stdout.readline()
        self._init.stdout.close()
        if said != "ready\n":
            self._stack.close()
            raise ContainerFailed(f"no network namespace could be made: {said!r}")
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
        self._target = children.read_text().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(
        self,
        image: Image,
        *arguments: str,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        shell: bool = False,
        tmpfs: Sequence[str] = (),
        user: str | None = None,
        process_1: bool = False,
    ) -> Container:
        """Starts it as its configuration says, on a read-only root, without capabilities.

        `command` replaces its entrypoint, `user` (number:number) its user. `secrets` are files of
        /run/secrets. Without `shell` there is none to be found. `tmpfs`: folders, each with options
        of mount behind a colon, as compose.yml has them. `process_1`: as in a container by itself.
        """
        self._count += 1
        folder = self._folder / str(self._count)
        (folder / "secrets").mkdir(parents=True)
        for name, secret in (secrets or {}).items():
            (folder / "secrets" / name).write_text(secret)
        entry = image.config["Entrypoint"] if command is None else command
        variables = dict(one.split("=", 1) for one in image.config["Env"]) | dict(environment or {})
        launch = [str(image.root), user or image.config["User"], str(folder / "secrets")]
        launch += ["some" if shell else "none", " ".join(tmpfs)]
        log = folder / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [
                    *("nsenter", "--target", self._target, "--net", "--pid"),
                    *("unshare", "--mount", "--propagation", "private"),
                    *(("--pid", "--fork", "--kill-child") if process_1 else ()),
                    *("sh", "-c", _LAUNCH, "sh", *launch),
                    *entry,
                    *arguments,
                ],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        container = Container(process, log, deep=2 if process_1 else 1)
        self._stack.callback(container.stop)
        return container

    def set(self, name: str, value: str) -> None:
        """A sysctl of its network, such as net.ipv6.bindv6only."""
        script = f"echo {value} > /proc/sys/{name.replace('.', '/')}"
        _output("nsenter", "--target", self._target, "--net", "sh", "-c", script)

    def get(self, url: str) -> str:
        """What is at a URL, seen from within. Raises ContainerFailed if nothing is."""
        within = ["nsenter", "--target", self._target, "--net"]
        return _output(*within, sys.executable, "-I", "-c", _GET, url)

    def wait_until(
        self, url: str, condition: Callable[[Scrape], bool], timeout: float, container: Container
    ) -> Scrape:
        """The first scrape of which the condition holds; a sample not there is a condition not
        held. Raises ContainerFailed after `timeout` s, with the log of the container."""
        deadline = time.monotonic() + timeout
        said = ""
        while time.monotonic() < deadline:
            try:
                said = self.get(url)
            except ContainerFailed as error:
                said = str(error)
            else:
                scrape = Scrape(said)
                with suppress(KeyError):
                    if condition(scrape):
                        return scrape
            time.sleep(0.5)
        told = "\n".join(line for line in said.splitlines() if not line.startswith("#"))
        raise ContainerFailed(f"not within {timeout} s: {url}\n{told}\n{container.log}")
