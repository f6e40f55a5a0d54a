"""A signal ends the command at any moment, within two seconds: as a process, as its users run it.

What it waits for is made to hang, and says so: harness/holding.py.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from exporter import ending
from exporter.settings import SETTINGS
from exporter.web_process import STOP_SECONDS
from harness.holding import Holding
from harness.programs import unshared
from harness.running import Exporter

pytestmark = pytest.mark.slow

PATIENCE = 8
"""Seconds. What hangs here hangs for longer: who has ended before was cut off, which a thread does
after `ending.LIMIT`, however late a busy machine lets this test know."""
TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
BOTH = [TERM, INT]
SEVERAL = [[TERM], [INT], [TERM, TERM], [HUP, TERM], [INT, HUP, INT, TERM]]


@pytest.fixture
def holding(tmp_path: Path) -> Holding:
    return Holding(tmp_path)


@contextlib.contextmanager
def started(
    flags: Sequence[str], environment: dict[str, str], launcher: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*launcher, sys.executable, "-m", "exporter", *flags],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ends(process: subprocess.Popen[str], *numbers: signal.Signals) -> tuple[int, str]:
    """Its status and what it said, once it has ended in time."""
    for number in numbers:
        process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    assert "Exception" not in said
    return process.returncode, said


def gone(pid: int) -> bool:
    """Whether it ends soon: who was killed still takes a moment."""
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def test_all_that_has_a_limit_at_the_end_has_one_within_two_seconds() -> None:
    assert STOP_SECONDS < ending.WRITTEN < ending.LIMIT <= 2 - 0.5


# --- while it starts ------------------------------------------------------------------------------

IMPORTS = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            hang()
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        *(("exporter.main", numbers) for numbers in SEVERAL),
        ("pydantic", [TERM]),
        ("exporter.reload", [HUP, INT]),
    ],
)
@pytest.mark.parametrize(
    ("flags", "service"),
    [(["--demo"], True), (["--demo", "--check-pbx"], False), (["--config.check"], False)],
)
def test_a_signal_ends_it_while_python_still_imports(
    flags: list[str], service: bool, numbers: list[signal.Signals], name: str, holding: Holding
) -> None:
    with started(flags, holding.environment(IMPORTS.format(name=name))) as process:
        holding.wait()
        status, said = ends(process, *numbers)
    assert said == ""
    ends_it = [number for number in numbers if number != HUP]
    assert status in ({0} if service else {128 + number for number in ends_it})


OPENS = """
import io
really = io.open
def opened(path, *arguments, **more):
    if str(path) == {path!r}:
        hang()
    return really(path, *arguments, **more)
io.open = opened
import builtins
builtins.open = opened
"""


def config(folder: Path) -> Path:
    path = folder / "exporter.yml"
    login = {"host": "127.0.0.1", "port": 1, "username": "u", "secret_file": "secret"}
    path.write_text(json.dumps({"targets": {"berlin": login}}))
    (folder / "secret").write_text("s")
    (folder / "secret").chmod(0o600)
    return path


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize(
    ("hangs", "flags"),
    [
        ("secret", ["--ami.username=u", "--ami.secret-file={}/secret"]),
        ("exporter.yml", ["--config.file={}/exporter.yml"]),
        ("secret", ["--config.file={}/exporter.yml"]),
        ("web.yml", ["--demo", "--web.config.file={}/web.yml"]),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_a_file_of_settings_that_hangs_holds_up_no_end(
    hangs: str,
    flags: list[str],
    check: bool,
    number: signal.Signals,
    tmp_path: Path,
    holding: Holding,
) -> None:
    config(tmp_path)
    (tmp_path / "web.yml").write_text("basic_auth_users: {}")
    flags = [flag.format(tmp_path) for flag in flags] + ["--config.check"] * check
    environment = holding.environment(OPENS.format(path=str(tmp_path / hangs)))
    with started(flags, environment) as process:
        holding.wait()
        status, _ = ends(process, number)
    assert status == (128 + number if check else 0)


@pytest.mark.parametrize("number", BOTH)
def test_a_file_of_peers_that_hangs_holds_up_no_end(
    number: signal.Signals, tmp_path: Path, holding: Holding
) -> None:
    path = tmp_path / "peers.json"
    path.write_text('{"targets": {}}')
    flags = ["--demo", "--metrics.peer-label", f"--metrics.peer-file={path}"]
    with started(flags, holding.environment(OPENS.format(path=str(path)))) as process:
        holding.wait()
        assert ends(process, number)[0] == 0


@pytest.mark.parametrize("number", BOTH)
def test_a_web_process_that_does_not_come_up_holds_up_no_end(
    number: signal.Signals, holding: Holding
) -> None:
    code = "import sys\nif 'exporter.web' in sys.orig_argv: hang()\n"
    with started(["--demo"], holding.environment(code)) as process:
        holding.wait()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        assert ends(process, number)[0] == 0
    assert gone(int(children[0]))


RESOLVES = """
import socket
really = socket.getaddrinfo
def resolved(host, *arguments, **more):
    return hang() if host == 'slow.invalid' else really(host, *arguments, **more)
socket.getaddrinfo = resolved
"""


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize(
    "flags",
    [
        ["--demo", "--web.listen-address=slow.invalid:0"],
        ["--ami.username=u", "--ami.host=slow.invalid"],
        ["--ami.username=u", "--ami.host=slow.invalid", "--check-pbx"],
    ],
)
def test_a_resolver_that_hangs_holds_up_no_end(
    flags: list[str], number: signal.Signals, holding: Holding
) -> None:
    environment = holding.environment(RESOLVES) | {"FAX_EXPORTER_AMI_SECRET": "s"}
    with started(flags, environment) as process:
        holding.wait()
        status, _ = ends(process, number)
    assert status == (128 + number if "--check-pbx" in flags else 0)


@pytest.mark.parametrize("number", BOTH)
def test_a_history_that_takes_long_to_open_holds_up_no_end(
    number: signal.Signals, tmp_path: Path, holding: Holding
) -> None:
    code = (
        "import sqlite3\nreally = sqlite3.connect\n"
        f"def connect(path, *a, **b):\n    return hang() if {str(tmp_path)!r} in str(path) "
        "else really(path, *a, **b)\nsqlite3.connect = connect\n"
    )
    flags = ["--demo", f"--history.file={tmp_path / 'faxes.db'}"]
    with started(flags, holding.environment(code)) as process:
        holding.wait()
        status, said = ends(process, number)
    assert status == 0
    assert "could not be written" not in said  # there was nothing to be written


# --- while it runs --------------------------------------------------------------------------------


@contextlib.contextmanager
def silent_pbx(greeting: bytes) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """Says no more than this. Its port, and what waits for a connection and the first it says."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connected() -> bytes:
            client = stack.enter_context(listening.accept()[0])
            client.sendall(greeting)
            return client.recv(1000) if greeting else b""

        yield listening.getsockname()[1], connected


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize("greeting", [b"", b"Asterisk Call Manager/9.0.0\r\n"])
@pytest.mark.parametrize("check", [False, True])
def test_a_pbx_that_hangs_at_the_login_holds_up_no_end(
    check: bool, greeting: bytes, number: signal.Signals, holding: Holding
) -> None:
    with silent_pbx(greeting) as (port, connected):
        flags = ["--ami.username=u", "--ami.host=127.0.0.1", f"--ami.port={port}"]
        flags += ["--ami.timeout=60", *["--check-pbx"] * check]
        environment = holding.environment("") | {"FAX_EXPORTER_AMI_SECRET": "s"}
        with started(flags, environment) as process:
            connected()
            assert ends(process, number)[0] == (128 + number if check else 0)


@pytest.mark.parametrize("numbers", SEVERAL)
def test_signals_end_it_once_it_runs_in_good_order(
    numbers: list[signal.Signals], holding: Holding
) -> None:
    # So that nothing is cut off: what ends within that time has ended by itself.
    environment = holding.environment("from exporter import ending\nending.LIMIT = 60.0\n")
    environment["PYTHONPATH"] += f":{Path(ending.__file__).parents[1]}"
    with Exporter("--demo", environment=environment) as exporter:
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
        web = exporter.web_process
        for number in numbers:
            exporter.process.send_signal(number)
            with contextlib.suppress(ProcessLookupError):  # Ctrl-C goes to both
                os.kill(web, number)
        assert exporter.process.wait(PATIENCE) == 0
        assert exporter.stop() == 0
        assert exporter.log.count("msg=ending") == 1
        assert "Traceback" not in exporter.log


def test_what_python_does_at_its_end_is_not_waited_for(holding: Holding) -> None:
    """With thousands of PBXs that takes a second, in which no thread can cut it off."""
    code = "import atexit, sys\nif '--demo' in sys.orig_argv:  # not the web process\n"
    code += "    atexit.register(print, 'python ends', flush=True)\n"
    with started(["--demo"], holding.environment(code)) as process:
        assert process.stdout is not None
        while "The demo's page" not in process.stdout.readline():
            pass
        status, said = ends(process, TERM)
    assert status == 0
    assert "ending" in said
    assert "python ends" not in said


def test_a_reload_that_hangs_holds_up_no_end(tmp_path: Path, holding: Holding) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {}")
    path = config(tmp_path)
    code = OPENS.format(path=str(path)).replace(
        "if str", f"import os\n    if os.path.exists({str(tmp_path / 'now')!r}) and str"
    )
    environment = holding.environment(code)
    with Exporter(f"--config.file={path}", environment=environment) as exporter:
        exporter.wait_until(lambda now: now.value("exporter_targets") == 1, 20)
        (tmp_path / "now").touch()
        exporter.process.send_signal(signal.SIGHUP)
        holding.wait()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0
        assert exporter.stop() == 0
        assert "Traceback" not in exporter.log


def test_a_main_thread_that_hangs_holds_up_no_end_and_leaves_nobody_behind(
    tmp_path: Path, holding: Holding
) -> None:
    """Nothing is known that does it, and it would be the worst."""
    code = (
        "import os, resource\nreally = resource.getrlimit\n"
        f"def asked(n):\n    return hang() if os.path.exists({str(tmp_path / 'now')!r}) "
        "else really(n)\nresource.getrlimit = asked\n"
    )
    flag = f"--config.file={config(tmp_path)}"
    with Exporter(flag, environment=holding.environment(code)) as exporter:
        exporter.wait_until(lambda now: now.value("exporter_targets") == 1, 20)
        web = exporter.web_process
        os.kill(web, signal.SIGSTOP)
        (tmp_path / "now").touch()
        exporter.process.send_signal(signal.SIGHUP)
        holding.wait()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0
        assert gone(web)


def test_clients_that_read_nothing_hold_up_no_end() -> None:
    with Exporter("--demo") as exporter, contextlib.ExitStack() as stack:
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
        port = int(exporter.url.split(":")[2].split("/")[0])
        asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        for said in (b"", asked[:20], asked, asked * 200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.sendall(said)
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0


def test_whatever_hangs_at_the_end_each_fax_has_its_line_and_is_in_the_history(
    tmp_path: Path, holding: Holding
) -> None:
    """The web process hangs, the file of peers too, and nobody reads the log."""
    code = (
        "import os\nreally = os.fsync\ndef fsync(n):\n"
        "    import tempfile\n"
        "    return hang() if 'peers' in os.readlink(f'/proc/self/fd/{n}') else really(n)\n"
        "os.fsync = fsync\n"
    )
    lines, faxes = tmp_path / "faxes.log", tmp_path / "faxes.db"
    flags = ["--demo", f"--log.fax-file={lines}", f"--history.file={faxes}"]
    flags += ["--metrics.peer-label", f"--metrics.peer-file={tmp_path / 'peers.json'}"]
    with Exporter(*flags, environment=holding.environment(code)) as exporter:
        exporter.wait_until(lambda now: now.sum("finished_total") > 0, 60)
        web = exporter.web_process
        os.kill(web, signal.SIGSTOP)
        holding.wait()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0
        assert gone(web)
    written = lines.read_text().splitlines()
    with contextlib.closing(sqlite3.connect(faxes)) as database:
        (kept,) = database.execute("SELECT count(*) FROM fax").fetchone()
    assert kept == len(written) > 0


def test_a_log_that_nobody_reads_holds_up_no_end(holding: Holding) -> None:
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, b"x" * 4000)  # so that the first line is one too many
        code = "import os\nreally = os.write\n"
        code += "def write(n, what):\n    if n == 2: reached()\n    return really(n, what)\n"
        environment = holding.environment(f"{code}os.write = write\n")
        process = subprocess.Popen(
            [sys.executable, "-m", "exporter", "--demo"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writing,
        )
        with process:
            try:
                holding.wait()
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("sink", ["fifo", "/dev/full"])
def test_lines_of_faxes_that_cannot_be_written_hold_up_no_end(sink: str, tmp_path: Path) -> None:
    path = Path(sink)
    if sink == "fifo":
        path = tmp_path / "fifo"
        os.mkfifo(path)
    with Exporter("--demo", f"--log.fax-file={path}") as exporter:
        exporter.wait_for_line("lines of faxes cannot be written", 60)
        exporter.wait_until(lambda now: now.sum("finished_total") > 0, 60)
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0
        assert exporter.stop() == 0
        assert "lines of faxes could not be written" in exporter.log


# --- at any moment --------------------------------------------------------------------------------


def inner(outer: int) -> int:
    """The process 1 that `unshare` has forked, once signals are kept for it."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            pid = int(Path(f"/proc/{outer}/task/{outer}/children").read_text())
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            status = {name: value.strip() for name, _, value in (x.partition(":") for x in lines)}
            # `unshare` blocks them too, but not for what it becomes.
            if status["Name"] != "unshare" and int(status["SigBlk"], 16) >> signal.SIGTERM - 1 & 1:
                return pid


MOMENTS = [*(step * 0.02 for step in range(10)), *(step * 0.1 for step in range(2, 8))]


@pytest.mark.parametrize("numbers", SEVERAL)
@pytest.mark.parametrize(
    ("flags", "status"),
    [(["--demo"], {0}), (["--demo", "--check-pbx"], {130, 143}), (["--config.check"], {130, 143})],
)
def test_signals_end_process_1_at_any_moment(
    flags: list[str], status: set[int], numbers: list[signal.Signals], holding: Holding
) -> None:
    launcher = unshared("--pid", "--fork", "--kill-child")
    launcher += ["env", "--block-signal=TERM,INT"]  # as the image
    # A third of the moments each, or it would take minutes.
    for seconds in MOMENTS[SEVERAL.index(numbers) % 3 :: 3]:
        with started(flags, holding.environment(""), launcher) as process:
            pid = inner(process.pid)
            time.sleep(seconds)  # a moment like any other
            for number in numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            done, said = ends(process)
        assert "Traceback" not in said
        # What does one thing may have done it, well or not.
        assert done in status | (set() if flags == ["--demo"] else {0, 2})


def test_what_does_one_thing_is_known_before_settings_are_read() -> None:
    once = {each for each in SETTINGS if each.is_switch and "exit" in each.description}
    assert {each.flag for each in once} <= set(ending._ONCE)
    assert {each.variable for each in once} <= set(ending._VARIABLES)
