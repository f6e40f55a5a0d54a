"""The command: what it cannot use it says in a line, before anything is built."""

import pytest

from packages.__main__ import main
from packages.nfpm import SCRIPTS
from packages.release import ROOT


def test_a_setting_that_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PACKAGE_MAINTAINER", "somebody")
    assert main(["--machine", "x86_64"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("PACKAGE_MAINTAINER is 'somebody', and should be like")
    assert said.out == ""


def test_a_machine_that_there_is_no_package_for_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--machine", "riscv64"])
    assert "x86_64" in capsys.readouterr().err


def test_every_script_of_a_package_has_a_name_that_is_taken() -> None:
    for form, names in SCRIPTS.items():
        there = {file.name for file in (ROOT / "deploy/package" / form).iterdir()}
        assert there, form
        assert there <= set(names.values())
