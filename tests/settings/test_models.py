"""The models: defaults, and the rules that tie one setting of an Asterisk to another."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from exporter.settings import (
    AmiSettings,
    Settings,
)
from tests.settings.loaded import LOGIN, loaded, login, refusal


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
        "config": {"file": None, "check": False, "shard": None, "shard_by": "hashmod"},
        "poll": {"interval": 1.0},
        "web": {
            "listen_address": ({"host": None, "port": 10329},),
            "systemd_socket": False,
            "telemetry_path": "/metrics",
            "config_file": None,
            "show_details": False,
            "max_connections": 512,
        },
        "log": {
            "level": "info",
            "format": "logfmt",
            "faxes": "all",
            "fax_file": None,
            "fax_details": False,
        },
        "metrics": {"peer_label": False, "peer_limit": 100, "peer_file": None},
        "history": {"file": None, "faxes": 5000, "days": 30},
        "demo": False,
        "check_pbx": False,
        "setup_pbx": False,
        "dry_run": False,
        "remove": False,
        "yes": False,
        "health_check": False,
    }


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        login().host = "b"  # type: ignore[misc]


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


def test_the_secret_is_not_in_a_repr_a_string_or_a_dump() -> None:
    got = loaded()
    for text in (repr(got), str(got), repr(got.ami), str(got.model_dump()), got.model_dump_json()):
        assert "hunter2" not in text


def test_pydantic_does_not_show_the_secret_beside_what_it_refuses() -> None:
    with pytest.raises(ValidationError) as caught:
        AmiSettings.model_validate({"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"ami": {"secret": "hunter2"}})
    assert "hunter2" not in str(caught.value)


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


def test_peers_are_remembered_only_where_they_are_told_apart() -> None:
    said = refusal("--metrics.peer-file=/peers.json")
    assert "--metrics.peer-file" in said
    assert "--metrics.peer-label is not set" in said
    flags = ("--metrics.peer-file=/peers.json", "--metrics.peer-label")
    assert loaded(" ".join(flags)).metrics.peer_file == Path("/peers.json")


def test_where_lines_of_faxes_can_never_be_written_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    assert "--log.fax-file: it is a folder; takes a file, there or" in refusal(
        f"--log.fax-file={tmp_path}"
    )
    said = refusal(f"--log.fax-file={tmp_path / 'no' / 'faxes.log'}")
    assert "its folder is missing (systemd makes one in /var/log with LogsDirectory=)" in said
    file = tmp_path / "faxes.log"
    assert loaded(f"--log.fax-file={file}").log.fax_file == file
    assert not file.exists()


@pytest.mark.parametrize("flag", ["--log.fax-file=/faxes.log", "--log.fax-details"])
def test_what_is_only_for_lines_of_faxes_needs_them(flag: str) -> None:
    said = refusal(f"{flag} --log.faxes=off")
    assert flag.partition("=")[0] in said
    assert "--log.faxes is off" in said


def test_what_is_only_for_tls_needs_tls(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(CERTIFICATE)
    assert "needs --ami.tls" in refusal(f"--ami.tls-ca-file={file}")
    assert "needs --ami.tls" in refusal("--ami.tls-server-name=pbx")
    assert login("--ami.tls --ami.tls-server-name=pbx").tls_server_name == "pbx"


@pytest.mark.parametrize(
    ("flag", "accepted"),
    [
        ("--history.faxes=0", "a number from 1 to 1000000"),
        ("--history.faxes=1000001", "a number from 1 to 1000000"),
        ("--history.days=0", "a number from 1 to 3650"),
        ("--history.days=1.5", "a number from 1 to 3650"),
    ],
)
def test_how_much_the_history_keeps_is_bounded(flag: str, accepted: str) -> None:
    assert accepted in refusal(flag)
