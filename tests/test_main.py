"""The command as its users run it: a process of its own."""

import asyncio
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from exporter import main
from harness.exposition import Scrape
from harness.running import Exporter

pytestmark = pytest.mark.slow


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
        assert 'href="./metrics"' in get(f"{base}/")[0]


@pytest.mark.parametrize("listens", ["0.0.0.0", "127.0.0.1"])
def test_the_demo_prints_the_address_of_its_page_as_one_types_it(listens: str) -> None:
    command = [sys.executable, "-m", "exporter", "--demo", f"--web.listen-address={listens}:0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout
            logged: list[str] = []
            while (printed := process.stdout.readline()).startswith("ts="):
                logged.append(printed)
            assert any("connected" in line for line in logged)  # the address is the last line
            found = re.search(r"http://127\.0\.0\.1:\d+/", printed)
            assert found, printed
            assert "Ctrl-C" in printed
            assert "<html" in get(found[0])[0]
        finally:
            process.terminate()  # or a failure would wait for its end
    assert process.returncode == 0


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
        exporter.wait_for_line("refused: nothing listens", 20)


def test_a_wrong_setting_is_refused_with_status_2_before_anything_starts() -> None:
    done = run("--demo", "--poll.interval=never")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--poll.interval" in done.stderr
    assert "never" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def targets(directory: Path, **ports: int | str) -> Path:
    secret = directory / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    path = directory / "exporter.yml"
    login = {"username": "u", "secret_file": "secret"}
    path.write_text(json.dumps({"targets": {n: login | {"port": p} for n, p in ports.items()}}))
    return path


def test_a_check_says_what_is_wrong_with_the_files_and_starts_nothing(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {}")
    flags = (f"--web.config.file={web}", "--config.check")
    done = run(f"--config.file={targets(tmp_path, berlin=5038, paris=5039)}", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert "targets: berlin, paris" in done.stdout
    assert "web.yml: no fault found" in done.stdout
    web.write_text("basic_auth_user: {}")
    done = run(f"--config.file={targets(tmp_path, berlin=99999)}", *flags)
    assert done.returncode == 2
    assert "targets.berlin.port: takes" in done.stderr
    assert "line 1, column 1: no such setting" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("--demo", "--config.check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_check_looks_at_the_file_of_the_history(tmp_path: Path) -> None:
    path = tmp_path / "faxes.db"
    done = run("--demo", "--config.check", f"--history.file={path}")
    assert (done.returncode, done.stdout) == (0, f"{path}: no fault found\n")
    assert not list(tmp_path.iterdir())
    path.write_text("of another program\n")
    done = run("--demo", "--config.check", f"--history.file={path}")
    assert done.returncode == 2
    assert f"--history.file: {path}: it is a file of another program" in done.stderr
    assert path.read_text() == "of another program\n"


@pytest.mark.parametrize("flag", ["--config.file", "--web.config.file"])
def test_a_wrong_file_is_refused_with_status_2_before_anything_starts(
    flag: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yml").write_text("nonsense: 1")
    demo = ("--demo",) if flag == "--web.config.file" else ()
    done = run(f"{flag}={tmp_path / 'wrong.yml'}", *demo)
    assert done.returncode == 2
    assert "wrong.yml: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "listening" not in done.stderr


def test_sighup_reads_the_files_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    def read(now: Scrape) -> tuple[float, float]:
        return (
            now.value("exporter_config_last_reload_successful"),
            now.value("exporter_targets"),
        )

    with Exporter(f"--config.file={targets(tmp_path, berlin=1, paris=2)}") as exporter:
        first = exporter.wait_until(lambda now: read(now) == (1, 2), 20)
        targets(tmp_path, berlin="nowhere")
        exporter.process.send_signal(signal.SIGHUP)
        refused = exporter.wait_until(lambda now: read(now) == (0, 2), 20)
        exporter.wait_for_line("targets.berlin.port: takes", 5)
        stamp = "exporter_config_last_reload_success_timestamp_seconds"
        assert refused.value(stamp) == first.value(stamp)
        targets(tmp_path, berlin=1, paris=2, madrid=3)
        exporter.process.send_signal(signal.SIGHUP)
        good = exporter.wait_until(lambda now: read(now) == (1, 3), 20)
        assert good.value(stamp) > first.value(stamp)


@pytest.mark.parametrize("web_file", [False, True])
def test_sighup_during_the_start_is_for_the_file_as_it_is_then(
    web_file: bool, tmp_path: Path
) -> None:
    flags = [f"--config.file={targets(tmp_path, berlin=1)}"]
    if web_file:
        (tmp_path / "web.yml").write_text("basic_auth_users: {}")
        flags.append(f"--web.config.file={tmp_path / 'web.yml'}")
    with Exporter(*flags, pattern=r"asterisk-fax-exporter ([0-9.]+)") as exporter:
        targets(tmp_path, berlin=1, paris=2)  # the web process is starting
        exporter.process.send_signal(signal.SIGHUP)
        line = exporter.wait_for_line(r'listening.*url="?([^\s"]+)', 20)
        exporter.url = line.rpartition("url=")[2]
        exporter.wait_until(lambda now: now.value("exporter_targets") == 2, 20)
        assert "Traceback" not in exporter.log


HEADER = "{basic_auth_users: {}, http_server_config: {headers: {X-Frame-Options: %s}}}"


def test_a_post_reads_what_is_right_and_says_what_is_wrong(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text(HEADER % "deny")
    config = targets(tmp_path, berlin=1)
    with Exporter(f"--config.file={config}", f"--web.config.file={web}") as exporter:
        asked = urllib.request.Request(f"{exporter.base}/-/reload", method="POST")
        web.write_text(HEADER % "perhaps")
        targets(tmp_path, berlin=1, paris=2)
        with pytest.raises(urllib.error.HTTPError) as refusal, urllib.request.urlopen(asked):
            pass
        with refusal.value as error:
            assert error.code == 500
            assert b"the log says what is wrong" in error.read()
        exporter.wait_for_line("web.yml: http_server_config.headers.X-Frame-Options", 5)
        now = exporter.scrape()
        assert now.value("exporter_targets") == 2
        assert now.value("exporter_config_last_reload_successful") == 1
        assert now.value("exporter_web_config_last_reload_successful") == 0
        web.write_text(HEADER % "sameorigin")
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["X-Frame-Options"] == "sameorigin"
        assert exporter.scrape().value("exporter_web_config_last_reload_successful") == 1


def test_sighup_without_a_file_is_no_harm() -> None:
    with Exporter("--demo") as exporter:
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_line("nothing to read again", 20)
        assert not exporter.scrape().has("exporter_config_last_reload_successful")
        assert exporter.stop() == 0


def test_an_address_in_use_is_said_with_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("--demo", f"--web.listen-address={address}")
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_limit_of_open_files_that_is_too_low_is_said_and_the_targets_come_first(
    tmp_path: Path,
) -> None:
    config = targets(tmp_path, **{f"pbx-{number}": 1 for number in range(60)})
    low = ("sh", "-c", 'ulimit -n 100; exec "$@"', "sh")
    with Exporter(f"--config.file={config}", launcher=low) as exporter:
        exporter.wait_for_line("60 targets need 124 open files, and the limit is 100: only", 5)
        exporter.wait_for_line(
            "--web.max-connections is 512, and .* leaves [0-9]+: no more are held", 5
        )
        exporter.wait_until(lambda now: now.value("exporter_targets") == 60, 20)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{exporter.base}/-/ready", timeout=10)
        with refused.value:
            told = refused.value.read().decode()
    assert len(re.findall("not watched, as it would take too many open files", told)) == 10


def test_it_serves_each_address_and_ends_with_all() -> None:
    addresses = ("--web.listen-address=127.0.0.1:0", "--web.listen-address=[::1]:0")
    with Exporter("--demo", *addresses) as exporter:
        second = exporter.wait_for_line(r"listening url=http://\[::1\]", 20)
        for url in (exporter.url, second.rpartition("url=")[2]):
            assert "asterisk_fax_exporter_targets" in get(url)[0]
        assert exporter.stop() == 0


def test_it_listens_on_ipv6_and_logs_json(tmp_path: Path) -> None:
    with Exporter(
        "--demo", "--web.listen-address=[::1]:0", "--log.format=json", pattern='"url": *"([^"]+)"'
    ) as exporter:
        assert exporter.url.startswith("http://[::1]:")
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
    for line in exporter.log.splitlines():
        json.loads(line)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_reads_no_further_what_was_checked_still_gets_the_status(unbuffered: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "exporter", "--demo", "--check-pbx"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said
    assert process.returncode == 0


async def test_what_fails_while_it_writes_the_last_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No process does that at will: what it writes with catches what is known to happen."""

    async def fails() -> None:
        raise OSError("no such disk")

    await main._ended({asyncio.create_task(fails())})
    assert "not all that was to be written could be" in caplog.text
    assert "no such disk" in caplog.text
