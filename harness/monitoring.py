"""A real Prometheus, a real Alertmanager, and a receiver of what Alertmanager sends.

Each is on a free port of the loopback, with its files in a directory of the test.
"""

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

from harness.programs import binary

POLL = 0.1
"""Seconds between two checks while waiting."""
START_SECONDS = 60

Config = str | Mapping[str, object]
"""A configuration file's text, or what it is to say."""


class ApiError(Exception):
    """A server refused a request; the text has the request and the server's own words."""


class Series(NamedTuple):
    """One series of an answer and its value now; `labels` has `__name__` too where there is one."""

    labels: dict[str, str]
    value: float


class Range(NamedTuple):
    """One series of an answer; `points` are seconds since the epoch and values."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class _Server:
    """A process of Prometheus' family: it logs its address, and says when it is ready."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = [*command, "--web.listen-address=127.0.0.1:0"]
        self._log = log
        self.url = ""
        """Without a slash at the end; empty until started."""

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = re.search(r'"Listening on" address=(\S+)', self.log)
            if found is not None:
                self.url = f"http://{found[1]}"
                try:
                    self.get("/-/ready")
                    return
                except (ApiError, OSError):
                    pass  # it listens before it has read its files
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"{self._command[0]} is not ready (status {self.process.poll()}):\n{self.log}"
                )
            time.sleep(POLL)

    @property
    def log(self) -> str:
        """All it has logged so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def get(self, path: str, **parameters: str | float) -> Any:
        """What its API answers, decoded; other pages as text. Raises ApiError if it refuses."""
        return self._ask(f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path)

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        try:
            with urllib.request.urlopen(self.url + path, body, timeout=30) as answer:
                text = answer.read().decode()
                is_json = answer.headers.get_content_type() == "application/json"
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            raise ApiError(f"{urllib.parse.unquote_plus(path)}: {error.code} {said}") from error
        return json.loads(text) if is_json else text

    def stop(self) -> None:
        """Ends it; may be called again."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until(self, condition: Callable[[Self], bool], timeout: float, what: str) -> None:
        """Until the condition holds. After `timeout` seconds an AssertionError with the log."""
        deadline = time.monotonic() + timeout
        while not condition(self):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {what}\n{self._state()}\n{self.log}")
            time.sleep(POLL)

    def _state(self) -> str:
        """What else to show when a condition did not come about."""
        return ""


def _written(config: Config, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
    return path


class Prometheus(_Server):
    """A Prometheus with this configuration, for the time of a `with`."""

    def __init__(self, config: Config, directory: Path, *flags: str) -> None:
        """`directory` takes its configuration (relative paths in it are from there), data and log.

        Skips the test where there is none, see `binary`.
        """
        path = _written(config, directory / "prometheus.yml")
        command = [binary("prometheus", package="prometheus"), f"--config.file={path}"]
        command += [f"--storage.tsdb.path={directory / 'data'}", "--web.enable-lifecycle"]
        # An alert that fires before the Alertmanager is discovered would be sent a minute later.
        command += ["--rules.alert.resend-delay=1s", *flags]
        super().__init__(command, directory / "prometheus.log")

    def _data(self, path: str, **parameters: str | float) -> Any:
        answer = self.get(f"/api/v1/{path}", **parameters)
        if answer["status"] != "success":
            raise ApiError(f"{path} {parameters}: {answer}")
        return answer["data"]

    def query(self, expr: str, *, at: float | None = None) -> list[Series]:
        """What an expression says now, or `at` a time in seconds since the epoch.

        Raises ApiError, in Prometheus' words, where the expression is an error.
        """
        data = self._data("query", query=expr, **({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            return [Series({}, float(data["result"][1]))]
        return [Series(one["metric"], float(one["value"][1])) for one in data["result"]]

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[Range]:
        """What it said from `start` to `end`, seconds since the epoch, every `step` seconds."""
        data = self._data("query_range", query=expr, start=start, end=end, step=step)
        return [
            Range(one["metric"], [(at, float(value)) for at, value in one["values"]])
            for one in data["result"]
        ]

    def samples(self, selector: str, window: str) -> list[Range]:
        """What was scraped of these series within a time such as `10m` until now, to the letter:
        without stale markers, and nothing between two samples."""
        data = self._data("query", query=f"{selector}[{window}]")
        return [
            Range(one["metric"], [(at, float(value)) for at, value in one["values"]])
            for one in data["result"]
        ]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, as its API tells: labels, scrapeUrl, health, lastError, ..."""
        return list(self._data("targets", state="active")["activeTargets"])

    def alerts(self) -> list[dict[str, Any]]:
        """Its pending and firing alerts, as its API tells: labels, annotations, state, value."""
        return list(self._data("alerts")["alerts"])

    def rules(self) -> list[dict[str, Any]]:
        """The rules of all groups, as its API tells: name, query, type, health, lastError, ..."""
        return [rule for group in self._data("rules")["groups"] for rule in group["rules"]]

    def reload(self) -> None:
        """Has it read its configuration again. Raises ApiError if that is refused."""
        self._ask("/-/reload", b"")

    def _state(self) -> str:
        try:
            return json.dumps({"targets": self.targets(), "alerts": self.alerts()}, indent=1)
        except (ApiError, OSError) as error:
            return str(error)


class Alertmanager(_Server):
    """An Alertmanager with this configuration, alone in its cluster, for the time of a `with`."""

    def __init__(self, config: Config, directory: Path, *flags: str) -> None:
        """`directory` takes its configuration, data and log. Skips the test where there is none,
        see `binary`."""
        path = _written(config, directory / "alertmanager.yml")
        program = binary(
            "alertmanager", "prometheus-alertmanager", package="prometheus-alertmanager"
        )
        command = [program, f"--config.file={path}", f"--storage.path={directory / 'state'}"]
        command += ["--cluster.listen-address=", *flags]
        super().__init__(command, directory / "alertmanager.log")

    @property
    def address(self) -> str:
        """HOST:PORT, as a Prometheus' static_configs takes it."""
        return self.url.removeprefix("http://")


@dataclass(frozen=True)
class Notified:
    """One alert of one notification."""

    name: str
    status: str
    """firing or resolved."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Webhook:
    """An HTTP server that keeps what Alertmanager posts to it, for the time of a `with`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._notified: list[Notified] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook._keep(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass  # what came is kept; the test's output is not the place

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://{}:{}/".format(*self._server.server_address)

    def _keep(self, posted: Mapping[str, Any]) -> None:
        with self._changed:
            self._notified += [
                Notified(
                    alert["labels"]["alertname"],
                    alert["status"],
                    alert["labels"],
                    alert["annotations"],
                )
                for alert in posted["alerts"]
            ]
            self._changed.notify_all()

    @property
    def notified(self) -> list[Notified]:
        """All that came so far, in order; a notification that is repeated comes again."""
        with self._changed:
            return list(self._notified)

    def wait_for(self, predicate: Callable[[Notified], bool], timeout: float) -> Notified:
        """The first alert, past or coming, that satisfies it; AssertionError after `timeout` s."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for one in self._notified:
                    if predicate(one):
                        return one
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not notified in {timeout} s; came: {self._notified}")
                self._changed.wait(left)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
