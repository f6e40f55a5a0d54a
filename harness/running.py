"""The exporter as a process of its own, as its users run it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from harness.exposition import Scrape

POLL = 0.1
"""Seconds between two scrapes while waiting for something to show."""
OF_THE_TREE: Final = (sys.executable, "-m", "exporter")


class Exporter:
    """`python -m exporter` with these flags, on a free port of the loopback if they name none."""

    def __init__(
        self,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        pattern: str = r'listening.*url="?([^\s"]+)',
        launcher: Sequence[str] = (),
        command: Sequence[str] = OF_THE_TREE,
    ) -> None:
        """`pattern`: finds the URL of /metrics in the log, as its first group.
        `launcher`: a command that starts the one behind it. `command`: the exporter itself."""
        self._command = [*launcher, *command, *flags]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FAX_EXPORTER_")}
        # A variable, since a flag in `flags` wins over it.
        inherited["FAX_EXPORTER_WEB_LISTEN_ADDRESS"] = "127.0.0.1:0"
        self._environment = inherited | dict(environment or {})
        self._pattern = pattern
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.url = ""

    @classmethod
    def watching(
        cls,
        host: str,
        port: int,
        username: str,
        secret: str,
        *flags: str,
        command: Sequence[str] = OF_THE_TREE,
    ) -> "Exporter":
        """One that watches this PBX. A flag wins over what it is told of host and port."""
        return cls(
            f"--ami.username={username}",
            *flags,
            command=command,
            environment={
                "FAX_EXPORTER_AMI_HOST": host,
                "FAX_EXPORTER_AMI_PORT": str(port),
                "FAX_EXPORTER_AMI_SECRET": secret,
            },
        )

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            found = re.search(self._pattern, self.wait_for_line(self._pattern, 20))
            assert found
            self.url = found[1]
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def base(self) -> str:
        """The address of everything but /metrics, without a slash at its end."""
        return self.url.rpartition("/")[0]

    @property
    def web_process(self) -> int:
        """The id of the process that serves HTTP now. Raises ValueError if there is none."""
        pid = self.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    @property
    def processes(self) -> list[int]:
        """The ids of both."""
        return [self.process.pid, self.web_process]

    @property
    def log(self) -> str:
        """All it has logged so far."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for_line(self, pattern: str, timeout: float) -> str:
        """The first line of its log that matches."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self._lines:
                    if re.search(pattern, line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"no line {pattern!r} in the log:\n{self._lines}")
                self._changed.wait(min(left, 1))

    def scrape(self) -> Scrape:
        """One GET of /metrics."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return Scrape(answer.read().decode())

    def wait_until(
        self, condition: Callable[[Scrape], bool], timeout: float, what: str = ""
    ) -> Scrape:
        """The first scrape for which the condition holds; a KeyError means that it does
        not. After `timeout` seconds an AssertionError with the last scrape and the log."""
        deadline = time.monotonic() + timeout
        while True:
            scrape = self.scrape()
            with contextlib.suppress(KeyError):
                if condition(scrape):
                    return scrape
            if time.monotonic() > deadline:
                shown = "\n".join(
                    line
                    for line in scrape.text.splitlines()
                    if line.startswith("asterisk_fax_")
                    and "_bucket{" not in line
                    and not line.endswith(" 0.0")
                )
                raise AssertionError(f"not within {timeout} s: {what}\n{shown}\n{self.log}")
            time.sleep(POLL)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(5)
        assert self.process.stderr
        self.process.stderr.close()
        return status


@contextlib.contextmanager
def scraped_meanwhile(exporter: Exporter, seen: list[Scrape]) -> Iterator[None]:
    """Scrapes during the `with`, like a fast Prometheus, and appends each scrape to `seen`."""
    done = threading.Event()

    def scrape() -> None:
        while not done.wait(POLL):
            seen.append(exporter.scrape())

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(15)
