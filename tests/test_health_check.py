"""`--health-check` as a container runs it: a process of its own, beside an exporter."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme

from harness.programs import unshared
from harness.running import Exporter

pytestmark = pytest.mark.slow

WEB_FILES = {
    "tls": "tls_server_config: {cert_file: fax.pem, key_file: fax.key}\n",
    "client certificates": "tls_server_config: {cert_file: fax.pem, key_file: fax.key, "
    "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}\n",
    "users": f"basic_auth_users: {{a: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}}}\n",
}


def check(*flags: str, **environment: str) -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FAX_EXPORTER_")}
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "--health-check", *flags],
        capture_output=True,
        text=True,
        env=inherited | environment,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def port_of(exporter: Exporter) -> str:
    return exporter.url.split("/")[2].rpartition(":")[2]


@pytest.mark.parametrize("protected", ["", "tls", "client certificates", "users", "tls users"])
def test_it_is_healthy_whoever_else_is_kept_out(
    protected: str, tmp_path: Path, ca: trustme.CA
) -> None:
    flags = []
    if protected:
        parts = [protected] if protected in WEB_FILES else protected.split()
        (tmp_path / "web.yml").write_text("".join(WEB_FILES[part] for part in parts))
        flags = [f"--web.config.file={tmp_path / 'web.yml'}"]
    # A proxy would not know this machine, and nobody needs to know the port.
    proxy = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    with Exporter("--demo", *flags) as exporter:
        at = f"--web.listen-address=127.0.0.1:{port_of(exporter)}"
        assert check(at, *flags, **proxy) == (0, "healthy\n", "")
        assert exporter.stop() == 0
        status, said, why = check(at, *flags)
    assert (status, said) == (1, "")
    assert why == f"no exporter listens on port {port_of(exporter)} here\n"


def test_of_several_exporters_it_asks_those_that_flags_or_environment_choose() -> None:
    addresses = ("--web.listen-address=127.0.0.1:0", "--web.listen-address=[::1]:0")
    with Exporter("--demo", *addresses) as one, Exporter("--demo") as other:
        second = one.wait_for_line(r"listening url=http://\[::1\]", 20).rpartition(":")[2]
        os.kill(other.process.pid, signal.SIGSTOP)
        try:
            for port in (port_of(one), second.partition("/")[0]):
                assert check("--web.listen-address", f"[::]:{port}")[0] == 0
                assert check(FAX_EXPORTER_WEB_LISTEN_ADDRESS=f":{port}")[0] == 0
            both = [f"--web.listen-address=:{port_of(each)}" for each in (one, other)]
            assert check(*both) == (1, "", "it gave no answer within 3 s\n")
        finally:
            os.kill(other.process.pid, signal.SIGCONT)


def test_an_exporter_whose_web_process_hangs_is_not_healthy() -> None:
    with Exporter("--demo") as exporter:
        at = f"--web.listen-address=:{port_of(exporter)}"
        web = exporter.web_process
        os.kill(web, signal.SIGSTOP)
        try:
            assert check(at) == (1, "", "the web process gave no answer within 2 s\n")
        finally:
            os.kill(web, signal.SIGCONT)
        # What was asked in vain is answered late, and taken for no other answer.
        assert check(at)[0] == 0


def test_sockets_of_systemd_need_no_port_to_be_known(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as passed, socket.create_server(("127.0.0.1", 0)) as tcp:
        passed.bind(str(tmp_path / "web.sock"))
        passed.listen()
        port = tcp.getsockname()[1]
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
            "os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.execv(sys.executable, [sys.executable, '-m', 'exporter', *sys.argv[3:]])"
        )
        numbers = [os.dup(each.fileno()) for each in (passed, tcp)]
        with subprocess.Popen(
            [
                *(sys.executable, "-c", script, *map(str, numbers)),
                *("--demo", "--web.systemd-socket"),
            ],
            env=os.environ | {"LISTEN_FDS": "2"},
            pass_fds=numbers,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr
                while "unix:" not in (line := process.stderr.readline()):
                    assert line
                while "connected" not in process.stderr.readline():
                    pass
                assert check(f"--web.listen-address=:{port}") == (0, "healthy\n", "")
            finally:
                process.terminate()
                process.communicate(timeout=20)
                for number in numbers:
                    os.close(number)


def test_it_says_that_nobody_is_there_to_be_asked() -> None:
    done = subprocess.run(
        [*unshared("--net"), sys.executable, "-m", "exporter", "--health-check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no exporter runs here")
    assert len(done.stderr.splitlines()) == 1


LIAR = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind("\\0asterisk-fax-exporter/health/4242/liar")
listening.listen()
print("listens", flush=True)
while True:
    with listening.accept()[0] as client:
        client.sendall(sys.argv[1].encode())
"""


@contextlib.contextmanager
def beside(script: str, argument: str) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs a Python script that prints `listens`, in a network of its own; checks health there,
    by a command that is given."""
    with subprocess.Popen(
        [*unshared("--net"), sys.executable, "-c", script, argument], stdout=subprocess.PIPE
    ) as other:

        def check_there(*by: str) -> subprocess.CompletedProcess[str]:
            there = ["nsenter", f"--target={other.pid}", "--net", *by]
            return subprocess.run(
                [*there, sys.executable, "-m", "exporter", "--health-check"],
                capture_output=True,
                text=True,
                timeout=15,  # four times as long as it should take
                check=False,
            )

        try:
            assert other.stdout
            assert other.stdout.readline() == b"listens\n"
            yield check_there
        finally:
            other.kill()


@pytest.mark.parametrize("said", ["", "healthy\x1b[2J", "x" * 100_000])
def test_nothing_that_others_say_is_taken_for_health_or_breaks_the_line(said: str) -> None:
    """In a network of its own, so that no other test's exporter meets it."""
    with beside(LIAR, said) as check_there:
        mine = check_there()
        others = check_there("setpriv", "--reuid=65534", "--clear-groups")
    assert (mine.returncode, others.returncode) == (1, 1)
    assert "\x1b" not in mine.stderr
    assert len(mine.stderr) < 10_000
    assert len(mine.stderr.splitlines()) == 1
    assert others.stderr.startswith("no exporter runs here that this user may ask")


HOLDING_UP = """
import socket, sys, threading, time
several = []
for number in range(200 if sys.argv[1] == "many that say nothing" else 1):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"\\0asterisk-fax-exporter/health/4242/{number}")
    listening.listen(0)
    several.append(listening)
def asks():
    client = socket.socket(socket.AF_UNIX)
    client.connect("\\0asterisk-fax-exporter/health/4242/0")
    return client
if sys.argv[1] == "others ask":
    several.append(asks())
print("listens", flush=True)
if sys.argv[1] == "others ask":
    time.sleep(1)
    several[0].accept()
if sys.argv[1] != "many that say nothing":
    client, _ = several[0].accept()
    while sys.argv[1] == "a word at a time":
        client.sendall(b"x")
        time.sleep(0.2)
    client.sendall(b"healthy\\n")
    client.close()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("how", "status", "says"),
    [
        ("many that say nothing", 1, "it gave no answer within 3 s"),
        ("a word at a time", 1, "it gave no answer within 3 s"),
        ("others ask", 0, "healthy"),
    ],
)
def test_whoever_holds_it_up_it_takes_three_seconds_and_no_more(
    how: str, status: int, says: str
) -> None:
    with beside(HOLDING_UP, how) as check_there:
        done = check_there()
    assert (done.returncode, (done.stdout or done.stderr).strip()) == (status, says)


def test_it_imports_nothing_that_takes_time() -> None:
    """It is run every few seconds."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "exporter", "--health-check"],
        capture_output=True,
        text=True,
        check=False,
    )
    for heavy in ("asyncio", "pydantic", "aiohttp", "argparse", "ssl", "importlib.metadata"):
        assert f" {heavy}\n" not in done.stderr
    assert " exporter.health_check\n" in done.stderr
