"""The launcher: by whatever path, link or environment it is started, it finds its own Python."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.programs import binary

LAUNCHER = Path(__file__).parent.parent.parent / "deploy/package/launcher"
# Says how it was called, and all of the environment that a Python would heed.
PYTHON = """#!/bin/sh
echo "python $0"
for one in "$@"; do echo "argument $one"; done
env | sed -n 's/^PYTHON/environment PYTHON/p'
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """It, in a folder whose name is as awkward as can be, with a python3 that tells."""
    folder = tmp_path / "it's a 'folder' $HOME" / "bin"
    folder.mkdir(parents=True)
    program = folder / "asterisk-fax-exporter"
    shutil.copy(LAUNCHER, program)
    (folder / "python3").write_text(PYTHON)
    (folder / "python3").chmod(0o755)
    return program


@pytest.fixture(params=["sh", "dash", "bash", "busybox"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    """What runs it."""
    if request.param == "busybox":
        return [binary("busybox", package="busybox"), "sh"]
    return [binary(request.param, package=request.param)]


def said(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[str]:
    done = subprocess.run(
        command, cwd=cwd, env=environment or {"PATH": os.defpath},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_every_shell_runs_it(shell: list[str], program: Path) -> None:
    assert said(*shell, program, "--flag", "two words", "") == [
        f"python {program.parent}/python3",
        *(f"argument {one}" for one in ("-I", "-m", "exporter", "--flag", "two words", "")),
    ]


def test_it_follows_a_chain_of_links_absolute_and_relative(program: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(program)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/two").symlink_to("../one")
    (tmp_path / "three").symlink_to("links/two")
    for command, cwd in (
        (str(tmp_path / "three"), None),
        ("./three", tmp_path),
        ("links/two", tmp_path),
    ):
        assert said(command, cwd=cwd)[0] == f"python {program.parent}/python3"


def test_it_is_found_by_a_relative_path_of_the_environment(program: Path) -> None:
    path = {"PATH": f".:{os.defpath}"}
    expected = f"python {program.parent}/python3"
    found = said("env", "asterisk-fax-exporter", cwd=program.parent, environment=path)
    assert found[0] == expected
    # So is it by a shell that has no path of it at all, nor finds it by the environment.
    for environment in (path, {"PATH": os.defpath}):
        found = said("sh", program.name, cwd=program.parent, environment=environment)
        assert found[0] == expected


def test_its_folder_can_be_a_link_and_end_with_a_newline(program: Path, tmp_path: Path) -> None:
    """As Python is told it, there is no link on the way to it, and no `..`."""
    real = tmp_path / "real\n"
    program.parent.parent.rename(real)
    (real / "usr").mkdir()
    (real / "usr/bin").mkdir()
    (real / "usr/bin/asterisk-fax-exporter").symlink_to("../../bin/asterisk-fax-exporter")
    (tmp_path / "link").symlink_to(real / "usr/bin")
    found = "\n".join(said(tmp_path / "link/asterisk-fax-exporter"))
    assert found.startswith(f"python {real}/bin/python3\n")


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_it_needs_no_path_and_keeps_what_there_is(
    path: str, shell: list[str], program: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(program)
    (program.parent / "python3").write_text('#!/bin/sh\necho "$PATH"\n')
    assert said(*shell, tmp_path / "link", environment={"PATH": path}) == [path]


def test_nothing_that_is_meant_for_other_pythons_gets_in(program: Path) -> None:
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": "/nowhere",
        "PYTHONHOME": "/nowhere",
        "PYTHONWARNINGS": "error",
        "OTHER": "x\nPYTHONNAME=y",
        "FAX_EXPORTER_LOG_LEVEL": "debug",
    }
    lines = said(program, environment=environment)
    assert [line for line in lines if line.startswith("environment")] == [
        "environment PYTHONNAME=y"
    ]
    assert "argument -I" in lines
