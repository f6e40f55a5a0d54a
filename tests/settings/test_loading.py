"""Flags and environment: which wins, what contradicts, and how what is wrong is named."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.settings import (
    ListenAddress,
    SettingsError,
    Shard,
)
from tests.settings.loaded import LOGIN, loaded, login, refusal

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
        (ListenAddress("::1", 0),),
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
    assert settings.config.share == Shard(1, 3, "hashmod")
    assert loaded("", {"FAX_EXPORTER_CONFIG_FILE": "/a"}).ami is None


def test_the_rule_of_shares_may_be_the_same_variable_for_all_of_them() -> None:
    every = {"FAX_EXPORTER_CONFIG_FILE": "/a", "FAX_EXPORTER_CONFIG_SHARD_BY": "rendezvous"}
    assert loaded("--config.shard=1/3", every).config.share == Shard(1, 3, "rendezvous")
    assert refusal("", every) == "FAX_EXPORTER_CONFIG_SHARD_BY: needs --config.shard"
    assert refusal("--config.shard=1/3 --config.shard-by=names", every) == (
        "--config.shard-by: takes hashmod or rendezvous"
    )
    assert loaded("--config.file=/a", {}).config.share is None


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
    variable = {"FAX_EXPORTER_CONFIG_SHARD": "0/2"}
    assert refusal("", variable) == "FAX_EXPORTER_CONFIG_SHARD: needs --config.file"
    for bad in ("2/2", "0/0", "1", "-1/2", "a/b", "0/2/3", "", "9" * 5000 + "/1"):
        assert "takes INDEX/COUNT" in refusal(f"--config.file=/a '--config.shard={bad}'", {})


def test_a_flag_wins_over_a_variable_and_leaves_the_others_of_its_group() -> None:
    environment = LOGIN | {"FAX_EXPORTER_AMI_HOST": "a", "FAX_EXPORTER_AMI_PORT": "1"}
    ami = login("--ami.host b", environment)
    assert (ami.host, ami.port) == ("b", 1)


def addresses(flags: str = "", environment: Mapping[str, str] = LOGIN) -> list[str]:
    return [str(address) for address in loaded(flags, environment).web.listen_address]


def test_addresses_are_a_flag_each_or_a_list_in_the_variable() -> None:
    several = LOGIN | {"FAX_EXPORTER_WEB_LISTEN_ADDRESS": " [::1]:1, 10.0.0.1:2\n:0 :0,"}
    assert addresses("", several) == ["[::1]:1", "10.0.0.1:2", ":0", ":0"]
    assert addresses("--web.listen-address=a:3 --web.listen-address b:4", several) == ["a:3", "b:4"]


def test_each_wrong_one_of_several_addresses_is_refused() -> None:
    said = refusal("--web.listen-address=:1 --web.listen-address=80 --web.listen-address=:99999")
    first, second = said.splitlines()
    assert re.match("--web.listen-address.*: not HOST:PORT; takes HOST:PORT", first)
    assert re.match("--web.listen-address.*: the port is above 65535; takes", second)
    said = refusal("", LOGIN | {"FAX_EXPORTER_WEB_LISTEN_ADDRESS": ":1,x"})
    assert re.match("FAX_EXPORTER_WEB_LISTEN_ADDRESS.*: not HOST:PORT; takes HOST:PORT", said)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (":1", ":1"),
        (":1", "[::]:1"),
        ("[0::0]:1", "[::]:1"),
        ("[::1]:1", "[0:0::1]:1"),
        ("fax.example:1", "FAX.example.:1"),
    ],
)
def test_the_same_address_twice_is_refused(one: str, other: str) -> None:
    said = refusal(f"--web.listen-address={one} --web.listen-address={other}")
    assert re.match("--web.listen-address.*: one of them is there twice; takes HOST:PORT", said)


def test_addresses_are_refused_beside_sockets_of_systemd() -> None:
    said = "{}: not together with --web.systemd-socket; systemd knows the addresses"
    flag, variable = "--web.listen-address", "FAX_EXPORTER_WEB_LISTEN_ADDRESS"
    assert refusal(f"--web.systemd-socket {flag}=:1") == said.format(flag)
    assert refusal("--web.systemd-socket", LOGIN | {variable: ":1"}) == said.format(variable)
    assert loaded("--web.systemd-socket").web.systemd_socket is True
    assert loaded("--demo --web.systemd-socket", {}).web.systemd_socket is True
    assert addresses(f"--no-web.systemd-socket {flag}=:1") == [":1"]


def test_an_empty_variable_is_not_set() -> None:
    empty = {"FAX_EXPORTER_AMI_PORT": "", "FAX_EXPORTER_DEMO": "", "FAX_EXPORTER_LOG": ""}
    assert loaded("", LOGIN | empty) == loaded()


def test_the_flag_for_the_file_wins_over_the_variable_with_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file")
    assert login(f"--ami.secret-file={file}").secret.get_secret_value() == "from-file"


def test_two_secrets_in_the_environment_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file")
    said = refusal("", LOGIN | {"FAX_EXPORTER_AMI_SECRET_FILE": str(file)})
    assert said.startswith("FAX_EXPORTER_AMI_SECRET_FILE: FAX_EXPORTER_AMI_SECRET is set")


def test_the_secret_is_not_in_a_traceback_nor_behind_it() -> None:
    environment = LOGIN | {"FAX_EXPORTER_AMI_SECRET": "hunter2\n", "FAX_EXPORTER_AMI_PORT": "x"}
    with pytest.raises(SettingsError) as caught:
        loaded("", environment)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_group_given_as_json_is_refused_without_its_value() -> None:
    said = refusal("", LOGIN | {"FAX_EXPORTER_AMI": '{"secret": "hunter2"'})
    assert said.startswith("FAX_EXPORTER_AMI: no such setting")
    assert "hunter2" not in said


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


def test_the_demo_is_for_this_machine_alone_unless_told_otherwise() -> None:
    assert addresses("--demo", {}) == ["127.0.0.1:10329"]
    assert addresses("--demo --web.listen-address=:1", {}) == [":1"]
    environment = {"FAX_EXPORTER_DEMO": "1", "FAX_EXPORTER_WEB_LISTEN_ADDRESS": ":2"}
    assert addresses("", environment) == [":2"]
    assert addresses("--no-demo") == [":10329"]


@pytest.mark.parametrize(
    ("flags", "environment", "named"),
    [
        ("--ami.host=a", {}, "--ami.host"),
        ("--ami.tls", {}, "--ami.tls"),
        ("", {"FAX_EXPORTER_AMI_PORT": "5039"}, "FAX_EXPORTER_AMI_PORT"),
    ],
)
def test_what_the_demo_has_no_use_for_is_refused(
    flags: str, environment: Mapping[str, str], named: str
) -> None:
    said = f"{named}: not together with --demo, which watches a PBX of its own"
    assert refusal(f"--demo {flags}", environment) == said
    assert refusal(flags, dict(environment) | {"FAX_EXPORTER_DEMO": "true"}) == said


def test_the_login_of_the_demo_and_its_patience_can_be_set(tmp_path: Path) -> None:
    ami = login("--demo --ami.timeout=2")
    assert (ami.username, ami.secret.get_secret_value(), ami.timeout) == ("fax", "hunter2", 2)
    (tmp_path / "secret").write_text("from a file")
    ami = login(f"--demo --ami.secret-file={tmp_path / 'secret'}", {})
    assert (ami.username, ami.secret.get_secret_value()) == ("demo", "from a file")


def test_setting_a_pbx_up_needs_no_login_and_takes_none() -> None:
    settings = loaded("--setup-pbx --dry-run --remove --yes", {})
    assert (settings.setup_pbx, settings.dry_run, settings.remove, settings.yes) == (True,) * 4
    assert settings.ami is None
    why = "not together with --setup-pbx, which makes the user, and checks it"
    for flag in ("--ami.host=a", "--config.file=a", "--demo", "--check-pbx", "--config.check"):
        assert refusal(f"--setup-pbx {flag}", {}) == f"{flag.partition('=')[0]}: {why}"
    assert refusal("--setup-pbx").splitlines() == [f"{name}: {why}" for name in LOGIN]


@pytest.mark.parametrize("flag", ["--dry-run", "--remove", "--yes"])
def test_what_belongs_to_setting_a_pbx_up_is_refused_without_it(flag: str) -> None:
    assert refusal(flag) == f"{flag}: needs --setup-pbx"
    assert loaded(f"--no-{flag.removeprefix('--')}").setup_pbx is False


def test_every_wrong_setting_is_named_where_it_was_set() -> None:
    said = refusal(
        "--ami.port=0 --poll.interval=never --log.level loud",
        {"FAX_EXPORTER_AMI_PORT": "5038", "FAX_EXPORTER_METRICS_PEER_LIMIT": "many"},
    ).splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "--ami.port",
        "--ami.username (or FAX_EXPORTER_AMI_USERNAME)",
        "--ami.secret-file (or FAX_EXPORTER_AMI_SECRET)",
        "--poll.interval",
        "--log.level",
        "FAX_EXPORTER_METRICS_PEER_LIMIT",
    ]
    assert said[0].endswith("takes a number from 1 to 65535")


@pytest.mark.parametrize("name", ["AMI_HOTS", "WEB_FOO", "METRICS_PEER", "HOST", "DEMOO", "X_Y"])
def test_a_variable_that_begins_as_ours_and_sets_nothing_is_refused_by_its_name(name: str) -> None:
    said = refusal("", LOGIN | {f"FAX_EXPORTER_{name}": "hunter2"})
    assert said.startswith(f"FAX_EXPORTER_{name}: no such setting")
    assert "hunter2" not in said


def test_a_variable_of_odd_letters_is_told_without_them() -> None:
    said = refusal("", LOGIN | {"FAX_EXPORTER_AMI_SECRET:hunter2": "x"})
    assert said == (
        "a variable that begins FAX_EXPORTER_: no such setting; did you mean "
        "FAX_EXPORTER_AMI_SECRET?"
    )


def test_a_slip_gets_a_suggestion() -> None:
    assert "did you mean FAX_EXPORTER_AMI_HOST?" in refusal("", {"FAX_EXPORTER_HOST": "a"})
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
