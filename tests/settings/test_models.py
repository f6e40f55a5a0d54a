import contextlib
import io
import os
import shlex
import stat
import subprocess
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from exporter.settings import (
    SETTINGS,
    AmiSettings,
    ListenAddress,
    Settings,
    SettingsError,
    Shard,
    load,
    secret_cautions,
)

LOGIN = {"FAX_EXPORTER_AMI_USERNAME": "fax", "FAX_EXPORTER_AMI_SECRET": "hunter2"}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("FAX_EXPORTER_"):
            monkeypatch.delenv(name)


def loaded(flags: str = "", environment: Mapping[str, str] = LOGIN) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return load(shlex.split(flags))


def login(flags: str = "", environment: Mapping[str, str] = LOGIN) -> AmiSettings:
    ami = loaded(flags, environment).ami
    assert ami is not None
    return ami


def refusal(flags: str = "", environment: Mapping[str, str] = LOGIN) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(flags, environment)
    return str(caught.value)


# --- what is set ----------------------------------------------------------------------------


def test_a_user_and_a_secret_are_enough() -> None:
    assert loaded().model_dump() == {
        "ami": {
            "host": "127.0.0.1",
            "port": 5038,
            "username": "fax",
            "secret_file": None,
            "secret": SecretStr("hunter2"),
            "tls": False,
            "tls_ca_file": None,
            "tls_server_name": None,
            "tls_cert_file": None,
            "tls_key_file": None,
            "timeout": 5.0,
        },
        "config": {"file": None, "check": False, "shard": None},
        "poll": {"interval": 1.0},
        "web": {
            "listen_address": {"host": None, "port": 10329},
            "telemetry_path": "/metrics",
            "config_file": None,
            "show_details": False,
            "max_connections": 512,
        },
        "log": {"level": "info", "format": "logfmt"},
        "metrics": {"peer_label": False, "peer_limit": 100},
        "demo": False,
        "check_pbx": False,
    }


# Every setting but the secret: flag, variable, a value for both, what comes of it.
EVERY_SETTING = [
    ("--ami.host", "AMI_HOST", "pbx.example", "ami", "host", "pbx.example"),
    ("--ami.port", "AMI_PORT", "5039", "ami", "port", 5039),
    ("--ami.username", "AMI_USERNAME", "other", "ami", "username", "other"),
    ("--ami.timeout", "AMI_TIMEOUT", "2.5", "ami", "timeout", 2.5),
    ("--poll.interval", "POLL_INTERVAL", "500ms", "poll", "interval", 0.5),
    (
        "--web.listen-address",
        "WEB_LISTEN_ADDRESS",
        "[::1]:0",
        "web",
        "listen_address",
        ListenAddress("::1", 0),
    ),
    ("--web.telemetry-path", "WEB_TELEMETRY_PATH", "/a/b", "web", "telemetry_path", "/a/b"),
    ("--web.config.file", "WEB_CONFIG_FILE", "/a", "web", "config_file", Path("/a")),
    ("--web.max-connections", "WEB_MAX_CONNECTIONS", "7", "web", "max_connections", 7),
    ("--log.level", "LOG_LEVEL", "debug", "log", "level", "debug"),
    ("--log.format", "LOG_FORMAT", "json", "log", "format", "json"),
    ("--metrics.peer-limit", "METRICS_PEER_LIMIT", "7", "metrics", "peer_limit", 7),
]


@pytest.mark.parametrize(("flag", "variable", "text", "group", "name", "value"), EVERY_SETTING)
def test_a_setting_is_a_flag_and_a_variable(
    flag: str, variable: str, text: str, group: str, name: str, value: object
) -> None:
    by_flag = loaded(f"{flag}={text}")
    by_variable = loaded(environment=LOGIN | {f"FAX_EXPORTER_{variable}": text})
    assert getattr(getattr(by_flag, group), name) == value
    assert by_variable == by_flag


def test_a_switch_is_a_flag_its_opposite_and_a_variable() -> None:
    assert login("--ami.tls").tls is True
    assert loaded("--metrics.peer-label").metrics.peer_label is True
    on = LOGIN | {"FAX_EXPORTER_AMI_TLS": "true", "FAX_EXPORTER_METRICS_PEER_LABEL": "1"}
    assert login("", on).tls is True
    assert loaded("", on).metrics.peer_label is True
    assert login("--no-ami.tls", on).tls is False
    assert loaded("--no-metrics.peer-label", on).metrics.peer_label is False


def test_a_file_of_targets_stands_for_the_login() -> None:
    settings = loaded("--config.file=/a --config.shard=1/3 --no-demo", {})
    assert settings.ami is None
    assert settings.config.file == Path("/a")
    assert settings.config.shard == Shard(1, 3)
    assert loaded("", {"FAX_EXPORTER_CONFIG_FILE": "/a"}).ami is None


@pytest.mark.parametrize(
    ("flags", "environment", "named"),
    [
        ("--ami.host=a", {}, "--ami.host: not together with --config.file"),
        ("--demo", {}, "--demo: not together"),
        ("", LOGIN, "FAX_EXPORTER_AMI_SECRET: not together"),
        ("", {"FAX_EXPORTER_DEMO": "true"}, "FAX_EXPORTER_DEMO: not together"),
    ],
)
def test_what_is_set_of_one_asterisk_is_refused_beside_a_file_of_targets(
    flags: str, environment: Mapping[str, str], named: str
) -> None:
    assert named in refusal(f"--config.file=/a {flags}", environment)
    assert named in refusal(flags, dict(environment) | {"FAX_EXPORTER_CONFIG_FILE": "/a"})


def test_a_shard_needs_the_file_and_an_index_below_its_count() -> None:
    assert refusal("--config.shard=0/2") == "--config.shard: needs --config.file"
    for bad in ("2/2", "0/0", "1", "-1/2", "a/b", "0/2/3", "", "9" * 5000 + "/1"):
        assert "takes INDEX/COUNT" in refusal(f"--config.file=/a '--config.shard={bad}'", {})


def test_a_flag_wins_over_a_variable_and_leaves_the_others_of_its_group() -> None:
    environment = LOGIN | {"FAX_EXPORTER_AMI_HOST": "a", "FAX_EXPORTER_AMI_PORT": "1"}
    ami = login("--ami.host b", environment)
    assert (ami.host, ami.port) == ("b", 1)


def test_an_empty_variable_is_not_set() -> None:
    empty = {"FAX_EXPORTER_AMI_PORT": "", "FAX_EXPORTER_DEMO": "", "FAX_EXPORTER_LOG": ""}
    assert loaded("", LOGIN | empty) == loaded()


def test_the_level_may_be_spelled_as_prometheus_does() -> None:
    assert loaded("--log.level=warn").log.level == "warning"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        login().host = "b"  # type: ignore[misc]


# --- the secret -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_secret_is_the_file_without_its_line_end(end: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f" s3 crét {end}".encode())
    user = {"FAX_EXPORTER_AMI_USERNAME": "fax"}
    assert login(f"--ami.secret-file={file}", user).secret.get_secret_value() == " s3 crét "
    assert login("", user | {"FAX_EXPORTER_AMI_SECRET_FILE": str(file)}).secret_file == file


def test_the_flag_for_the_file_wins_over_the_variable_with_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file")
    assert login(f"--ami.secret-file={file}").secret.get_secret_value() == "from-file"


def test_two_secrets_in_the_environment_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file")
    said = refusal("", LOGIN | {"FAX_EXPORTER_AMI_SECRET_FILE": str(file)})
    assert said.startswith(f"FAX_EXPORTER_AMI_SECRET_FILE '{file}': FAX_EXPORTER_AMI_SECRET is set")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b" \r\n", "the file is empty"),
        (b"hunter2\nEvil: yes\n", "it has several lines, and control characters"),
        (b"\r\nhunter2\r\n", "it has several lines"),
        (b"\xef\xbb\xbfhunter2\n", "it begins with a byte order mark; save it as UTF-8 without"),
        ("hunter2\r\n".encode("utf-16"), "it is UTF-16; save it as UTF-8 without"),
        ("hunter2".encode("utf-16-be"), "it is UTF-16"),
        (b"hunter2\x00", "control characters"),
        (b"hunter2\xff", "not UTF-8"),
        (b"hunter2" * 1000, "more than 4096 bytes"),
    ],
)
def test_a_file_with_no_good_secret_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    said = refusal(f"--ami.secret-file {file}")
    assert said.startswith(f"--ami.secret-file '{file}': ")
    assert reason in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("hunter2", []),
        ("s3 crét", []),
        ("hunter2 ", ["blanks at an end"]),
        (" hunter2", ["blanks at an end"]),
        ("hunter;2", [r"written '\;'"]),
        ("hunter;2 ", ["blanks at an end", r"written '\;'"]),
    ],
)
def test_what_manager_conf_would_make_another_secret_of_is_said(
    secret: str, said: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    user = {"FAX_EXPORTER_AMI_USERNAME": "fax"}
    for ami, name in (
        (login(f"--ami.secret-file={file}", user), str(file)),
        (login("", user | {"FAX_EXPORTER_AMI_SECRET": secret}), "FAX_EXPORTER_AMI_SECRET"),
    ):
        cautions = secret_cautions(ami)
        assert len(cautions) == len(said)
        for caution, words in zip(cautions, said, strict=True):
            assert caution.startswith(f"{name}: ")
            assert words in caution
            assert "hunter" not in caution


@pytest.mark.parametrize(
    ("folder", "mode", "open_to_all"),
    [
        (0o755, 0o644, True),
        (0o755, 0o604, True),
        (0o755, 0o640, False),
        (0o750, 0o644, False),
    ],
)
def test_a_secret_file_that_all_may_read_is_named_with_the_command_that_ends_it(
    folder: int, mode: int, open_to_all: bool
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        file = Path(root) / "a secret"
        file.write_text("hunter2\n")
        file.chmod(mode)
        Path(root).chmod(folder)
        user = {"FAX_EXPORTER_AMI_USERNAME": "fax"}
        cautions = secret_cautions(login(f"--ami.secret-file='{file}'", user))
        assert len(cautions) == open_to_all
        for caution in cautions:
            _, _, command = caution.rpartition("may read it: ")
            subprocess.run(["sh", "-c", command], check=True, timeout=10)
            assert stat.S_IMODE(file.stat().st_mode) == mode & 0o770
        assert secret_cautions(login(f"--ami.secret-file='{file}'", user)) == []


def test_of_a_secret_mounted_read_only_nothing_is_said_that_nobody_could_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        file = Path(root) / "secret"
        file.write_text("hunter2\n")
        file.chmod(0o644)
        Path(root).chmod(0o755)
        ami = login(f"--ami.secret-file={file}", {"FAX_EXPORTER_AMI_USERNAME": "fax"})
        assert len(secret_cautions(ami)) == 1
        now = os.statvfs(file)
        read_only = os.statvfs_result((*now[:8], now.f_flag | os.ST_RDONLY, *now[9:]))
        monkeypatch.setattr(os, "statvfs", lambda _: read_only)
        assert secret_cautions(ami) == []


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(f"--ami.secret-file {tmp_path}/none")
    assert "Is a directory" in refusal(f"--ami.secret-file {tmp_path}")
    assert "cannot be opened" in refusal("--ami.secret-file 'a\0b'")
    assert refusal("--ami.secret-file=").startswith("--ami.secret-file ''")


@pytest.mark.parametrize("name", ["FAX_EXPORTER_AMI_USERNAME", "FAX_EXPORTER_AMI_SECRET"])
@pytest.mark.parametrize("bad", ["hunter2\r\nAction: Originate", "hunter2\n", "hunter2\x7f"])
def test_nothing_can_be_smuggled_into_the_login(name: str, bad: str) -> None:
    said = refusal("", LOGIN | {name: bad})
    assert said.startswith(name)
    assert "control characters" in said
    assert len(said.splitlines()) == 1


def test_bytes_that_are_not_utf8_are_refused() -> None:
    for name in LOGIN:
        assert refusal("", LOGIN | {name: "a\udcff"}).startswith(name)


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
        "--ami.secre=hunter2",
    ],
)
def test_what_may_be_a_secret_on_the_command_line_is_not_repeated(flags: str) -> None:
    assert "unter2" not in refusal(flags)


def test_the_secret_is_not_in_a_repr_a_string_or_a_dump() -> None:
    got = loaded()
    for text in (repr(got), str(got), repr(got.ami), str(got.model_dump()), got.model_dump_json()):
        assert "hunter2" not in text


def test_the_secret_is_not_in_a_traceback_nor_behind_it() -> None:
    environment = LOGIN | {"FAX_EXPORTER_AMI_SECRET": "hunter2\n", "FAX_EXPORTER_AMI_PORT": "x"}
    with pytest.raises(SettingsError) as caught:
        loaded("", environment)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_pydantic_does_not_show_the_secret_beside_what_it_refuses() -> None:
    with pytest.raises(ValidationError) as caught:
        AmiSettings.model_validate({"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"ami": {"secret": "hunter2"}})
    assert "hunter2" not in str(caught.value)


def test_a_group_given_as_json_is_refused_without_its_value() -> None:
    said = refusal("", LOGIN | {"FAX_EXPORTER_AMI": '{"secret": "hunter2"'})
    assert said.startswith("FAX_EXPORTER_AMI: no such setting")
    assert "hunter2" not in said


# --- what is refused ------------------------------------------------------------------------


def test_without_a_login_it_says_what_to_set() -> None:
    username, secret = refusal("", {}).splitlines()
    assert username.startswith("--ami.username (or FAX_EXPORTER_AMI_USERNAME): not set")
    assert secret.startswith("--ami.secret-file (or FAX_EXPORTER_AMI_SECRET): not set")
    assert "--demo" in username


def test_the_demo_needs_no_login() -> None:
    assert loaded("--demo", {}).demo is True
    assert loaded("", {"FAX_EXPORTER_DEMO": "yes"}).demo is True
    assert login("--demo", {}).username
    assert login("--demo", {}).secret.get_secret_value()
    assert "--ami.username" in refusal("--no-demo", {"FAX_EXPORTER_DEMO": "yes"})


def test_every_wrong_setting_is_named_where_it_was_set_with_its_value() -> None:
    said = refusal(
        "--ami.port=0 --poll.interval=never --log.level loud",
        {"FAX_EXPORTER_AMI_PORT": "5038", "FAX_EXPORTER_METRICS_PEER_LIMIT": "many"},
    ).splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "--ami.port '0'",
        "--ami.username (or FAX_EXPORTER_AMI_USERNAME)",
        "--ami.secret-file (or FAX_EXPORTER_AMI_SECRET)",
        "--poll.interval 'never'",
        "--log.level 'loud'",
        "FAX_EXPORTER_METRICS_PEER_LIMIT 'many'",
    ]
    assert said[0].endswith("takes a number from 1 to 65535")


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        (
            "ami.host",
            ["pbx", "10.0.0.1", "::1", "a_b.c-d."],
            ["", "a b", "a:1", "[::1]", "999.1.1"],
        ),
        (
            "ami.host",
            [".".join(["x" * 63] * 3), "pbx."],
            [
                ".".join(["x" * 63] * 4),
                "x" * 64,
                "a..b",
                "-a",
                "a/b",
                "a\r\nb",
                "fe80::1%\r\nb",
                "é",
            ],
        ),
        ("ami.port", ["1", "65535"], ["0", "65536", "-1", "", "x", "80.5", "9" * 5000]),
        ("ami.username", ["fax", "é"], ["", "x" * 256]),
        ("ami.timeout", ["0.1", "300", "5s", "100ms", "1m30s"], ["0.09", "301", "nan", "inf", ""]),
        ("ami.timeout", ["5m"], ["5 s", "5d", "-5s", "s", "9" * 400 + "s", "1e999", "1h"]),
        ("poll.interval", ["0.05", "3600", "1h", "50ms"], ["0.04", "3601", "NaN", "-inf", "1s,"]),
        ("web.listen-address", [":0", "127.0.0.1:80", "a:80", "[::]:80"], ["80", "a", "", ":"]),
        ("web.listen-address", ["[fe80::1%eth0]:80"], ["::1:80", "[::1]", "[a]:80", ":65536"]),
        ("web.listen-address", ["0.0.0.0:65535"], ["999.1.1.1:80", "a b:80", ":-1", "tcp://a:1"]),
        (
            "web.telemetry-path",
            ["/metrics", "/a/b.c/"],
            [
                "",
                "/",
                "/-/healthy",
                "metrics",
                "/a?b",
                "/a#b",
                "/probe",
                "/sd/",
                "/api/x",
                "/static",
            ],
        ),
        ("web.telemetry-path", ["/-m"], ["/a b", "/a//b", "/{a}", "/a\n", "/a%0a", "//"]),
        ("log.level", ["debug", "info", "warning", "error"], ["", "trace", "INFO "]),
        ("log.format", ["logfmt", "json"], ["", "xml"]),
        ("web.max-connections", ["1", "10000"], ["0", "10001", "x"]),
        ("metrics.peer-limit", ["1", "10000"], ["0", "10001", "x", "1.5"]),
    ],
)
def test_a_setting_takes_what_it_says_and_nothing_else(
    flag: str, good: list[str], bad: list[str]
) -> None:
    for value in good:
        loaded(f"--{flag}={shlex.quote(value)}")
    for value in bad:
        said = refusal(f"--{flag}={shlex.quote(value)}")
        assert said.startswith(f"--{flag} '")
        assert "takes " in said
        assert said.isprintable()
        assert len(said) < 500


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10329", None, 10329),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:10329", "::1", 10329),
        ("fax.example:80", "fax.example", 80),
    ],
)
def test_a_listen_address_is_read_and_written_alike(text: str, host: str | None, port: int) -> None:
    address = loaded(f"--web.listen-address={text}").web.listen_address
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2), ("2s", 2), ("1500ms", 1.5), ("1.5s", 1.5), ("1m30s", 90)]
)
def test_a_duration_is_in_seconds_or_has_its_unit(text: str, seconds: float) -> None:
    assert loaded(f"--poll.interval={text}").poll.interval == pytest.approx(seconds)


CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUFsqGPpI/NBE6oHXazC36l5jJw5YwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMyMDUzMThaGA8yMTI2MTAzMDIwNTMx
OFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDpo
Q2Mwfll8I60it+vKagmFt+y0U3actoh9nzhftwkXE0pEzUnm8G9zPetFNSJS/NGK
G0gYyPzlK82QWYyESsqjUzBRMB0GA1UdDgQWBBSxZ3Ua3IRlFJjLfaW/vxGA43Nf
KTAfBgNVHSMEGDAWgBSxZ3Ua3IRlFJjLfaW/vxGA43NfKTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQDO4BpJDrUxOm3s6LB1/HlqMp9OkLSH5g01
yq+pbhHUGgIhAPxlPlnbUGUL3GguLKjSsWV0MRnrSlcacY+HamsTO2ir
-----END CERTIFICATE-----
"""


def test_certificates_are_looked_at_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    assert "No such file" in refusal(f"--ami.tls --ami.tls-ca-file={file}")
    file.write_text("nothing of the kind")
    assert "holds no PEM certificate" in refusal(f"--ami.tls --ami.tls-ca-file={file}")
    assert "Is a directory" in refusal(f"--ami.tls --ami.tls-ca-file={tmp_path}")
    file.write_text(CERTIFICATE)
    assert login(f"--ami.tls --ami.tls-ca-file={file}").tls_ca_file == file


def test_what_is_only_for_tls_needs_tls(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(CERTIFICATE)
    assert "needs --ami.tls" in refusal(f"--ami.tls-ca-file={file}")
    assert "needs --ami.tls" in refusal("--ami.tls-server-name=pbx")
    assert login("--ami.tls --ami.tls-server-name=pbx").tls_server_name == "pbx"


@pytest.mark.parametrize("name", ["AMI_HOTS", "WEB_FOO", "METRICS_PEER"])
def test_a_variable_of_a_group_that_sets_nothing_is_refused_by_its_name(name: str) -> None:
    said = refusal("", LOGIN | {f"FAX_EXPORTER_{name}": "hunter2"})
    assert said.startswith(f"FAX_EXPORTER_{name}: no such setting")
    assert "hunter2" not in said


def test_a_slip_gets_a_suggestion() -> None:
    assert "did you mean FAX_EXPORTER_AMI_HOST?" in refusal("", {"FAX_EXPORTER_AMI_HOTS": "a"})
    assert "did you mean --ami.host?" in refusal("--ami.hots=a")


def test_what_kubernetes_sets_for_a_service_of_our_name_is_ignored() -> None:
    # A service named fax-exporter, and services named fax-exporter-web and -ami.
    environment = {
        f"FAX_EXPORTER{service}_{name}": value
        for service in ("", "_WEB", "_AMI")
        for name, value in {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "10329",
            "SERVICE_PORT_METRICS": "10329",
            "PORT": "tcp://10.0.0.1:10329",
            "PORT_10329_TCP": "tcp://10.0.0.1:10329",
            "PORT_10329_TCP_PROTO": "tcp",
            "PORT_10329_TCP_PORT": "10329",
            "PORT_10329_TCP_ADDR": "10.0.0.1",
        }.items()
    }
    assert loaded("", LOGIN | environment) == loaded()


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


# --- help -----------------------------------------------------------------------------------


def test_help_names_every_flag_and_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag, variable, *_ in EVERY_SETTING:
        assert f"  {flag} " in text
        assert f"FAX_EXPORTER_{variable})" in text
    for words in ("--no-ami.tls", "default :10329;", "default 5;", "FAX_EXPORTER_AMI_SECRET;"):
        assert words in text
    assert "--ami.secret " not in text
    assert max(map(len, text.splitlines())) <= 100


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("asterisk-fax-exporter ")
