"""The whole of it on folders of both sides; tests/pbx/test_setup.py has real Asterisks."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.setup_pbx import Wish, setup_pbx
from tests.setup_pbx.machines import DEBIAN, FREEPBX, UPSTREAM, Both, both

YES, DRY, REMOVE = Wish(yes=True), Wish(dry_run=True), Wish(remove=True, yes=True)
LAYOUTS: dict[str, dict[str, str | bytes]] = {
    "upstream": {"manager.conf": UPSTREAM},
    "no line end": {"manager.conf": UPSTREAM.rstrip()},
    "crlf": {"manager.conf": UPSTREAM.replace("\n", "\r\n").rstrip()},
    "latin-1": {"manager.conf": UPSTREAM.encode() + b"; caf\xe9\n"},
    "debian": {"manager.conf": DEBIAN, "manager.d/README.conf": "; \n"},
    "freepbx": {
        "manager.conf": FREEPBX,
        "manager_additional.conf": "",
        "manager_custom.conf": "[mine]\nsecret = x",
    },
    "none": {},
    "empty": {"manager.conf": ""},
    "template at the end": {"manager.conf": UPSTREAM + "[base](!)\nread = all\n"},
}


@pytest.fixture(params=LAYOUTS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    """Each way to lay manager.conf out."""
    return both(tmp_path, LAYOUTS[request.param])


@pytest.fixture
def upstream(tmp_path: Path) -> Both:
    return both(tmp_path, LAYOUTS["upstream"])


def secret(at: Both) -> str:
    return (at.exporter / "secret").read_text().strip()


def test_both_sides_are_written_and_taken_away_to_the_byte(
    at: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    before = at.files()
    setup_pbx(YES, at.machine)
    after = at.files()
    assert len(secret(at)) == 64
    ours = [p for p, (content, *_) in after.items() if f"secret = {secret(at)}".encode() in content]
    assert len(ours) == 1
    assert secret(at) not in "".join(capsys.readouterr())
    setup_pbx(YES, at.machine)
    assert at.files() == after
    assert setup_pbx(REMOVE, at.machine) == 0
    assert at.files() == before
    assert at.called == ["-rx manager reload"] * 3
    assert set(at.copies().values()) <= {content for content, *_ in before.values()}


def test_a_dry_run_writes_nothing_and_calls_for_nothing(
    at: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    before = at.files()
    assert setup_pbx(DRY, at.machine) == 0
    assert (at.files(), at.copies(), at.called) == (before, {}, [])
    assert "  + [fax-exporter]\n  + secret = ********\n" in capsys.readouterr().out
    setup_pbx(YES, at.machine)
    after = at.files()
    assert setup_pbx(Wish(dry_run=True, remove=True), at.machine) == 0
    assert at.files() == after


def test_it_ends_with_what_check_pbx_says(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens here: that is WRONG, and the status is that of --check-pbx."""
    (upstream.asterisk / "manager.conf").write_text("[general]\nenabled = yes\nport = 1029\n")
    assert setup_pbx(YES, upstream.machine) == 1
    out = capsys.readouterr().out
    assert "WRONG  connection: 127.0.0.1:1029: refused" in out
    assert "core restart when convenient" in out
    assert "--setup-pbx --remove undoes all" in out


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (False, "Next: systemctl enable --now asterisk-fax-exporter\n"),
        (True, "Next: systemctl restart asterisk-fax-exporter"),
        (None, "Next: asterisk-fax-exporter --ami.username=fax-exporter --ami.secret-file="),
    ],
)
def test_the_next_step_is_said(
    upstream: Both, runs: bool | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.runs[0] = runs
    setup_pbx(YES, upstream.machine)
    assert said in capsys.readouterr().out
    setup_pbx(YES, upstream.machine)
    assert ("systemctl restart" in capsys.readouterr().out) is False
    setup_pbx(REMOVE, upstream.machine)
    assert ("systemctl disable --now" in capsys.readouterr().out) is bool(runs)


def test_without_a_terminal_and_without_yes_nothing_is_done(
    upstream: Both, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    before = upstream.files()
    assert setup_pbx(Wish(), upstream.machine) == 1
    assert "no terminal to ask on: with --yes" in capsys.readouterr().err
    assert (upstream.files(), upstream.called) == (before, [])


def test_where_asterisk_does_not_run_nothing_is_written_but_all_is_shown_and_removed(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    before = upstream.files()
    setup_pbx(YES, upstream.machine)
    upstream.version = ""
    after = upstream.files()
    assert setup_pbx(YES, upstream.machine) == 1
    assert "Asterisk does not run" in capsys.readouterr().err
    assert upstream.files() == after
    assert setup_pbx(DRY, upstream.machine) == 0
    called = upstream.called
    assert setup_pbx(REMOVE, upstream.machine) == 0
    assert (upstream.files(), upstream.called) == (before, called)


def test_a_reload_that_fails_is_told_with_what_to_type(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.console.write_text("#!/bin/sh\nexit 3\n")
    assert setup_pbx(YES, upstream.machine) == 1
    assert "-rx 'manager reload': status 3" in capsys.readouterr().err


def test_an_asterisk_that_a_reload_may_end_is_not_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = "[operator]\nsecret = x\nsetvar = A=B\n"
    at = both(tmp_path, {"manager.conf": UPSTREAM.replace("= no", "= yes") + theirs})
    before = at.files()
    for wish in (DRY, YES):
        setup_pbx(wish, at.machine)
        said = capsys.readouterr().out
        assert re.search(r"note: .*manager.conf:\d+: setvar of \[operator\]", said)
        assert "core restart when convenient" in said
    assert "run this again" in said
    assert at.files() != before
    setup_pbx(YES, at.machine)
    assert "connection: " in capsys.readouterr().out
    assert setup_pbx(REMOVE, at.machine) == 0
    assert "setvar of [operator]" in capsys.readouterr().out
    assert at.files() == before
    assert at.called == []


def test_what_cannot_be_written_is_said_before_it_is_asked(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    os.link(upstream.asterisk / "manager.conf", upstream.asterisk / "other")
    before = upstream.files()
    assert setup_pbx(YES, upstream.machine) == 1
    assert "hard link" in capsys.readouterr().err
    assert setup_pbx(DRY, upstream.machine) == 0
    assert "could not be done now" in capsys.readouterr().out
    assert upstream.files() == before


def test_a_configuration_kept_elsewhere_by_links_is_written_there(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    conf, git = upstream.asterisk / "manager.conf", upstream.asterisk / "git"
    git.mkdir()
    conf.rename(git / "manager.conf")
    conf.symlink_to("git/manager.conf")
    before = upstream.files()
    setup_pbx(YES, upstream.machine)
    assert conf.is_symlink()
    assert b"[fax-exporter]" in (git / "manager.conf").read_bytes()
    assert f"note: {conf}: is a link" in capsys.readouterr().out
    setup_pbx(REMOVE, upstream.machine)
    assert upstream.files() == before


def test_lines_that_somebody_has_changed_are_put_right_with_another_secret(upstream: Both) -> None:
    setup_pbx(YES, upstream.machine)
    conf, first = upstream.asterisk / "manager.conf", secret(upstream)
    right = conf.read_text()
    (upstream.exporter / "secret").write_text("another")
    setup_pbx(YES, upstream.machine)
    assert secret(upstream) not in (first, "another")
    assert conf.read_text() == right.replace(first, secret(upstream))


@pytest.mark.parametrize(
    ("side", "name", "added"),
    [
        ("asterisk", "manager.conf", "[monitoring]\nsecret = x\n"),
        ("asterisk", "manager.conf", "webenabled = yes\n"),
        ("asterisk", "manager.conf", "; why: ticket 7\n"),
        ("exporter", "environment", "FAX_EXPORTER_LOG_LEVEL=debug\n"),
    ],
)
@pytest.mark.parametrize("wish", [YES, REMOVE])
def test_what_somebody_has_written_between_our_lines_is_his_and_keeps_them(
    wish: Wish, side: str, name: str, added: str, upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_pbx(YES, upstream.machine)
    file = getattr(upstream, side) / name
    mark = "END asterisk-fax-exporter"
    number = next(n for n, line in enumerate(file.read_text().splitlines(), 1) if mark in line)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[: number - 1], added, *lines[number - 1 :]]))
    before = upstream.files()
    capsys.readouterr()
    assert setup_pbx(wish, upstream.machine) == 1
    assert f"{file}:{number}: " in capsys.readouterr().err
    assert upstream.files() == before


def test_ours_left_in_a_file_that_nothing_includes_any_more_go_too(tmp_path: Path) -> None:
    at = both(tmp_path, LAYOUTS["debian"])
    setup_pbx(YES, at.machine)
    (at.asterisk / "manager.conf").write_text("[general]\nenabled = yes\n")
    assert setup_pbx(REMOVE, at.machine) == 0
    assert not (at.asterisk / "manager.d/asterisk-fax-exporter.conf").exists()


def test_lines_of_others_that_would_change_their_section_keep_ours_from_being_removed(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_pbx(YES, upstream.machine)
    with (upstream.asterisk / "manager.conf").open("a") as conf:
        conf.write("permit = 10.0.0.0/8\n")
    before = upstream.files()
    assert setup_pbx(REMOVE, upstream.machine) == 1
    assert "begin them with a section of their own" in capsys.readouterr().err
    assert upstream.files() == before


def test_what_a_run_that_was_killed_has_left_goes_by_remove(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    before = upstream.files()
    left = [upstream.asterisk / ".manager.conf.setup-pbx.tmp"]
    left += [upstream.exporter / f".{name}.setup-pbx.tmp" for name in ("environment", "secret")]
    for there_already in (False, True):
        if there_already:
            setup_pbx(YES, upstream.machine)
        for path in left:
            path.write_text("secret = known-to-nobody\n")
        capsys.readouterr()
        assert setup_pbx(REMOVE, upstream.machine) == 0
        assert "known-to-nobody" not in "".join(capsys.readouterr())
        assert upstream.files() == before


def test_nothing_to_remove_is_no_fault(upstream: Both, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_pbx(REMOVE, upstream.machine) == 0
    assert "there is nothing of --setup-pbx" in capsys.readouterr().out
    assert upstream.called == []


def test_a_hostile_file_is_refused_at_once(
    upstream: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = upstream.asterisk / "manager.conf"
    conf.unlink()
    os.mkfifo(conf)
    assert setup_pbx(YES, upstream.machine) == 1
    assert "is no file" in capsys.readouterr().err


ASK = """
import sys
from pathlib import Path
from exporter import ending
ending.heed_signals()
sys.argv[1:] = ["--setup-pbx"]
from exporter.setup_pbx import Wish, setup_pbx
from tests.setup_pbx.machines import Both
sys.exit(setup_pbx(Wish(), Both(*map(Path, {paths!r})).machine))
"""


@pytest.fixture
def asked(upstream: Both) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command on a terminal, once it asks; and the terminal's other end."""
    ours, theirs = pty.openpty()
    paths = [str(one) for one in (upstream.asterisk, upstream.exporter, upstream.console)]
    command = [sys.executable, "-c", ASK.format(paths=paths)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while b"(y/N)" not in said:
            said += os.read(ours, 4096)
        yield process, ours
        process.kill()
    os.close(ours)


def rest_of(terminal: int) -> str:
    said = b""
    try:
        while more := os.read(terminal, 4096):
            said += more
    except OSError:  # a terminal ends so
        pass
    return said.decode()


@pytest.mark.parametrize(
    ("how", "status"),
    [("n\n", 1), ("\n", 1), ("\x04", 1), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
)
@pytest.mark.slow
def test_whatever_but_yes_changes_nothing(
    upstream: Both,
    asked: tuple[subprocess.Popen[bytes], int],
    how: str | signal.Signals,
    status: int,
) -> None:
    before = upstream.files()
    process, terminal = asked
    if isinstance(how, str):
        os.write(terminal, how.encode())
    else:
        process.send_signal(how)
    said = rest_of(terminal)
    assert process.wait(20) == status
    assert "Traceback" not in said
    assert (upstream.files(), upstream.copies(), upstream.called) == (before, {}, [])


@pytest.mark.slow
def test_it_is_a_flag_of_the_command(upstream: Both) -> None:
    tools = upstream.console.with_name("tools")
    tools.mkdir()
    (tools / "asterisk").write_text(
        f"#!/bin/sh\ncat << E\nVersion: 22.10.1\nConfiguration directory: {upstream.asterisk}\nE\n"
    )
    (tools / "asterisk").chmod(0o755)
    before = upstream.files()
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "--setup-pbx", "--dry-run"],
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{upstream.asterisk}/manager.conf: at its end\n" in done.stdout
    assert upstream.files() == before


@pytest.mark.slow
def test_yes_does_it(upstream: Both, asked: tuple[subprocess.Popen[bytes], int]) -> None:
    process, terminal = asked
    os.write(terminal, b"y\n")
    said = rest_of(terminal)
    assert process.wait(20) == 1  # nobody listens
    assert re.search(r"^written\r?$", said, re.MULTILINE)
    assert upstream.called == ["-rx manager reload"]
