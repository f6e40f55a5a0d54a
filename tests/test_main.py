"""The command as its users run it: a process of its own."""

import gzip
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.running import Exporter


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *flags],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def get(url: str, **headers: str) -> tuple[str, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def test_the_demo_shows_faxes_moving_and_health_and_where_things_are() -> None:
    with Exporter("--demo") as exporter:
        exporter.wait_until(lambda now: now.sum("pages_received_total") > 0, 60, "pages")
        exporter.wait_until(lambda now: now.sum("bad_lines_total") > 0, 60, "bad lines")
        body, kind = get(exporter.url, Accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        assert body.endswith("# EOF\n")
        _, kind = get(exporter.url)
        assert kind.startswith("text/plain")
        asked = urllib.request.Request(exporter.url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(asked) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert b"asterisk_fax_up" in gzip.decompress(packed.read())
        base = exporter.url.removesuffix("/metrics")
        assert get(f"{base}/-/healthy")[0] == "healthy\n"
        assert 'href="/metrics"' in get(f"{base}/")[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order_while_a_client_dawdles(number: signal.Signals) -> None:
    with Exporter("--demo") as exporter:
        port = int(exporter.url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as dawdler:
            dawdler.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
            exporter.wait_until(lambda now: now.value("up") == 1, 20)
            assert exporter.stop(number) == 0
        assert "Traceback" not in exporter.log


def test_without_its_pbx_metrics_are_served_and_say_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Exporter.watching("127.0.0.1", port, "x", "y") as exporter:
        now = exporter.wait_until(
            lambda now: now.value("poll_failures_total", reason="connect") >= 1, 20
        )
        assert now.value("up") == 0
        assert "Connect" in exporter.log


def test_a_wrong_setting_is_refused_with_status_2_before_anything_starts() -> None:
    done = run("--demo", "--poll.interval=never")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--poll.interval" in done.stderr
    assert "never" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_in_use_is_said_with_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("--demo", f"--web.listen-address={address}")
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_listens_on_ipv6_and_logs_json(tmp_path: Path) -> None:
    with Exporter(
        "--demo", "--web.listen-address=[::1]:0", "--log.format=json", pattern='"url": *"([^"]+)"'
    ) as exporter:
        assert exporter.url.startswith("http://[::1]:")
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
    for line in exporter.log.splitlines():
        json.loads(line)
