"""The man page and the shells' completion are those of this version, and work."""

import re
import subprocess
from pathlib import Path

from exporter.settings import SETTINGS
from harness.programs import binary
from tools import completions, man_page
from tools.__main__ import ROOT

MAN_PAGE = ROOT / man_page.FILE
BASH = ROOT / completions.BASH
ZSH = ROOT / completions.ZSH

# What bash does at TAB: the words so far, the last of them unfinished.
_AT_TAB = """
source "$1"; shift
complete -p asterisk-fax-exporter >/dev/null || exit 1
COMP_WORDS=(asterisk-fax-exporter "$@") COMP_CWORD=$#
$(complete -p asterisk-fax-exporter | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""

_ZSH_AT_TAB = """
autoload -Uz compinit && compinit -D
source "$1"; shift
# In place of the terminal: what _arguments is given is what TAB would offer.
_arguments() { print -rl -- "$@" }
words=(asterisk-fax-exporter "$@") CURRENT=$#
_shtab_asterisk_fax_exporter 2>/dev/null
"""


def flags() -> set[str]:
    return {setting.flag for setting in SETTINGS if not setting.is_secret}


def rendered() -> str:
    groff = binary("groff", package="groff-base")
    done = subprocess.run(
        [groff, "-man", "-Tascii", "-ww", "-b", "-P-c", "-P-bou", "-rLL=200n", MAN_PAGE],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_man_page_is_rendered_without_a_warning_and_names_every_setting() -> None:
    page = rendered()
    for setting in SETTINGS:
        assert setting.variable in page
        assert setting.flag in page or setting.is_secret
    assert "--check-pbx has found something wrong" in " ".join(page.split())


def completed(*words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", _AT_TAB, "bash", str(BASH), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_every_flag() -> None:
    assert set(completed("--")) >= flags() | {"--help", "--version", "--no-ami.tls"}
    assert completed("--ami.tls-s") == ["--ami.tls-server-name"]
    assert "--ami.secret" not in completed("--ami.secret")


def test_bash_completes_values(tmp_path: Path) -> None:
    assert completed("--log.level", "") == ["debug", "info", "warning", "error"]
    assert completed("--demo", "--log.format", "j") == ["json"]
    (tmp_path / "exporter.yml").touch()
    assert completed("--config.file", f"{tmp_path}/ex") == [f"{tmp_path}/exporter.yml"]
    assert completed("--ami.port", "5") == []


def test_zsh_knows_every_flag_and_completes_values() -> None:
    zsh = binary("zsh", package="zsh")
    done = subprocess.run(
        [zsh, "-f", "-c", _ZSH_AT_TAB, "zsh", str(ZSH), "--"],
        capture_output=True,
        text=True,
        check=True,
    )
    offered = done.stdout
    assert set(re.findall(r"--[\w.-]+", offered)) >= flags()
    assert ":LEVEL:(debug info warning error)" in offered
    assert ":FILE:_files" in offered
