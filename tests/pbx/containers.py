"""Containers that run an image without an engine, in namespaces of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from harness.exposition import Scrape
from tests.pbx.images import ContainerFailed, Image, output

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
        output("nsenter", "--target", self._target, "--net", "sh", "-c", script)

    def get(self, url: str) -> str:
        """What is at a URL, seen from within. Raises ContainerFailed if nothing is."""
        within = ["nsenter", "--target", self._target, "--net"]
        return output(*within, sys.executable, "-I", "-c", _GET, url)

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
