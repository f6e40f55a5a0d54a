"""What is said of what is taken though it is odd: of secrets, modes and details for everybody."""

from pathlib import Path

import pytest
import trustme

from exporter.settings import WebConfig, WebConfigFile, secret_cautions
from exporter.settings.cautions import login_cautions, web_cautions
from tests.settings.files import HASH, tls, web_file
from tests.settings.loaded import login


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("hunter2", []),
        ("s3 crét", []),
        ("hunter2 ", ["blanks at an end"]),
        (" hunter2", ["blanks at an end"]),
        ("hunter;2", ["has to have a backslash before it"]),
        ("hunter;2 ", ["blanks at an end", "has to have a backslash before it"]),
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


def test_a_secret_file_that_all_may_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    file.chmod(0o644)
    ami = login(f"--ami.secret-file={file}", {"FAX_EXPORTER_AMI_USERNAME": "fax"})
    (caution,) = login_cautions(ami)
    assert caution.startswith(f"{file}: its mode lets all users of this machine read it (o+r)")
    file.chmod(0o640)
    assert login_cautions(ami) == []


def test_a_private_key_that_all_may_read_is_named(tmp_path: Path, ca: trustme.CA) -> None:
    key, certificate = tmp_path / "fax.key", tmp_path / "fax.pem"
    key.chmod(0o644)
    certificate.chmod(0o644)
    flags = f"--ami.tls --ami.tls-cert-file={certificate}"
    (caution,) = login_cautions(login(f"{flags} --ami.tls-key-file={key}"))
    assert caution.startswith(f"{key}: its mode lets all users of this machine read it (o+r)")
    key.chmod(0o640)
    assert login_cautions(login(f"{flags} --ami.tls-key-file={key}")) == []
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    both.chmod(0o644)
    (caution,) = login_cautions(login(f"--ami.tls --ami.tls-cert-file={both}"))
    assert caution.startswith(f"{both}: ")


def web_warnings(path: Path | None, *, show_details: bool = False) -> list[str]:
    config = WebConfig() if path is None else WebConfigFile(path).current
    return web_cautions(path, config, show_details=show_details)


def test_a_web_file_that_all_may_write_and_a_key_that_all_may_read_are_named(
    tmp_path: Path, ca: trustme.CA
) -> None:
    path = web_file(tmp_path, tls())
    (tmp_path / "fax.key").chmod(0o600)
    path.chmod(0o664)
    assert web_warnings(path) == []
    path.chmod(0o666)
    (tmp_path / "fax.key").chmod(0o604)
    of_file, of_key = web_warnings(path)
    assert of_file.startswith(f"{path}: its mode lets all users of this machine write it (o+w)")
    assert of_key.startswith(
        f"{tmp_path / 'fax.key'}: its mode lets all users of this machine read"
    )


def test_details_that_everybody_may_see_are_said(tmp_path: Path, ca: trustme.CA) -> None:
    (tmp_path / "fax.key").chmod(0o600)
    verified = {"client_ca_file": "ca.pem", "client_auth_type": "RequireAndVerifyClientCert"}
    if_given = {"client_ca_file": "ca.pem", "client_auth_type": "VerifyClientCertIfGiven"}
    for text, said in (
        ("{}", True),
        (tls(), True),
        (tls(**if_given), True),
        (tls(**verified), False),
        (f"basic_auth_users: {{a: {HASH}}}", False),
    ):
        path = web_file(tmp_path, text)
        path.chmod(0o600)
        assert web_warnings(path) == []
        cautions = web_warnings(path, show_details=True)
        assert [one.partition(":")[0] for one in cautions] == ["--web.show-details"] * said
    assert len(web_warnings(None, show_details=True)) == 1
    assert web_warnings(None) == []
