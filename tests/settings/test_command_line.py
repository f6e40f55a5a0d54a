"""The command line: --help, wrong flags, and secrets where none belong."""

import contextlib
import io
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import (
    SETTINGS,
    SettingsError,
    load,
)
from tests.settings.loaded import LOGIN, loaded, login, refusal


@pytest.mark.parametrize("flags", ["--ami.secret hunter2", "--ami.secret=hunter2", "--ami.secret"])
def test_a_secret_is_never_a_flag(flags: str) -> None:
    said = refusal(flags)
    assert said.startswith("--ami.secret: a secret is never a flag")
    assert "FAX_EXPORTER_AMI_SECRET" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "flags",
    [
        "--ami.secret -hunter2",
        "--ami.password hunter2",
        "--ami.password=hunter2",
        "--ami.password -xunter2",
        "--ami.secre=hunter2",
    ],
)
def test_what_may_be_a_secret_on_the_command_line_is_not_repeated(flags: str) -> None:
    assert "unter2" not in refusal(flags)


@pytest.mark.parametrize(
    "flags",
    [
        "serve",
        "--demo x",
        "--ami.h a",
        "--ami.host",
        "--ami.tls=1",
        "-x",
    ],
)
def test_what_is_no_flag_is_refused(flags: str) -> None:
    assert refusal(flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--ami.port", "--ami.port: no value; takes a number from 1 to 65535"),
        ("--ami.port --demo", "--ami.port: no value; takes a number from 1 to 65535"),
        ("--log.level -h", "--log.level: no value; takes debug, info, warning or error"),
        ("--ami.tls=1", "--ami.tls: takes no value; its opposite is --no-ami.tls"),
        ("--no-ami.tls=1", "--ami.tls: takes no value; its opposite is --no-ami.tls"),
        ("--help=me", "-h: takes no value"),
        ("--version=3", "--version: takes no value"),
        ("-- --demo", "--: no such argument; there are only flags"),
        ("--demo -x", "argument 2: no such setting; --help lists what there is"),
    ],
)
def test_a_flag_that_is_misused_is_told_how_it_is_used(flags: str, said: str) -> None:
    assert refusal(flags) == said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--ami.host=a --ami.host b", "--ami.host: given twice, and only one can hold"),
        (
            "--ami.host a --ami.port 1 --ami.host a",
            "--ami.host: given twice, and only one can hold",
        ),
        ("--ami.tls --no-ami.tls", "--ami.tls: given twice, and only one can hold"),
        ("--demo --demo --demo", "--demo: given twice, and only one can hold"),
        (
            "--ami.hots=a --x y",
            "argument 1: no such setting; did you mean --ami.host?\n"
            "argument 2: no such setting; --help lists what there is",
        ),
        (
            "--demo on --ami.hots a b",
            "argument 2: no flag, and there are only flags\n"
            "argument 3: no such setting; did you mean --ami.host?\n"
            "argument 5: no flag, and there are only flags",
        ),
    ],
)
def test_what_is_given_twice_or_is_no_flag_is_told_by_its_place(flags: str, said: str) -> None:
    assert refusal(flags) == said


def test_a_value_that_looks_like_a_flag_before_is_no_second_flag() -> None:
    assert login("--ami.username host --ami.host=username").username == "host"
    assert (
        str(loaded("--web.listen-address=:1 --web.listen-address=:2").web.listen_address[1]) == ":2"
    )


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--config.shard", "-1/2"),
        ("--ami.timeout", "-5s"),
        ("--ami.port", "-1"),
        ("--ami.host", "-x"),
        ("--log.level", "-help"),
    ],
)
def test_a_value_may_begin_with_a_dash_and_is_wrong_as_any_other(flag: str, value: str) -> None:
    # A shard is looked at only beside a file.
    file, environment = ("--config.file=/a ", {}) if flag == "--config.shard" else ("", LOGIN)
    said = refusal(f"{file}{flag} {value}", environment)
    assert said.startswith(f"{flag}: ")
    assert said == refusal(f"{file}{flag}={value}", environment)
    assert login("--ami.username -x").username == "-x"


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=())),
            st.sampled_from(
                [
                    *(setting.flag for setting in SETTINGS),
                    "--no-demo",
                    "--",
                    "-h",
                    "--version",
                    "--ami.secret-file=/dev/null",
                ]
            ),
            st.builds(
                "{}={}".format,
                st.sampled_from([setting.flag for setting in SETTINGS]),
                st.text(st.characters(exclude_categories=())),
            ),
        ),
        max_size=6,
    )
)
def test_no_command_line_does_worse_than_a_refusal_that_keeps_the_secret(argv: list[str]) -> None:
    environment = LOGIN | {"FAX_EXPORTER_AMI_SECRET": "hunter2hunter2\n"}
    said: BaseException | None = None
    with contextlib.redirect_stdout(io.StringIO()), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            load(argv)
        except (SettingsError, SystemExit) as refused:
            said = refused
    if isinstance(said, SystemExit):
        assert said.code == 0
    elif said:
        assert "hunter2hunter2" not in "".join(traceback.format_exception(said))
        assert all(line.isprintable() for line in str(said).split("\n"))


def test_help_names_every_flag_and_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for setting in SETTINGS:
        if not setting.is_secret:
            assert f"  {setting.flag}" in text
            assert f"({setting.default}; {setting.variable})" in text
    for words in ("--no-ami.tls", "default :10329;", "default 5;", "FAX_EXPORTER_AMI_SECRET;"):
        assert words in text
    assert "--ami.secret " not in text
    assert max(map(len, text.splitlines())) <= 100


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("asterisk-fax-exporter ")
