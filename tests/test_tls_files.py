"""Files of certificates and keys: which are taken, and what is said of others before the start."""

import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from exporter.settings import SettingsError, load
from harness.certificates import make_certificate, pem_of, written
from harness.watching import SECRET


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of client certificates and keys, good and bad."""
    ca = trustme.CA()
    client, another = ca.issue_cert("fax"), ca.issue_cert("fax")
    rsa = ca.issue_cert("fax", key_type=trustme.KeyType.RSA)
    _, key = make_certificate(tmp_path / "both.pem", "fax")
    encrypted = pem_of(key, b"phrase")
    written(client.cert_chain_pems[0], tmp_path / "client.pem")
    written(client.private_key_pem, tmp_path / "client.key")
    written(another.private_key_pem, tmp_path / "another.key")
    written(rsa.private_key_pem, tmp_path / "rsa.key")
    (tmp_path / "encrypted.key").write_bytes(encrypted)
    both = (tmp_path / "both.pem").read_bytes()
    (tmp_path / "both-encrypted.pem").write_bytes(both.replace(pem_of(key), encrypted))
    (tmp_path / "junk").write_text("nothing of the kind")
    return tmp_path


def flags_for(files: Path, certificate: str, key: str) -> list[str]:
    (files / "secret").write_text(SECRET)
    flags = ["--ami.username=fax", f"--ami.secret-file={files / 'secret'}"]
    flags += [f"--ami.tls-cert-file={files / certificate}"] if certificate else []
    return [*flags, *([f"--ami.tls-key-file={files / key}"] if key else [])]


@pytest.mark.parametrize(("certificate", "key"), [("both.pem", ""), ("client.pem", "client.key")])
def test_a_client_certificate_is_a_file_or_two(certificate: str, key: str, files: Path) -> None:
    settings = load([*flags_for(files, certificate, key), "--ami.tls"]).ami
    assert settings is not None
    assert settings.tls_cert_file == files / certificate
    assert settings.tls_key_file == (files / key if key else None)


def test_a_client_certificate_is_set_by_variables_too(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAX_EXPORTER_AMI_TLS_CERT_FILE", str(files / "client.pem"))
    monkeypatch.setenv("FAX_EXPORTER_AMI_TLS_KEY_FILE", str(files / "client.key"))
    settings = load([*flags_for(files, "", ""), "--ami.tls"]).ami
    assert settings is not None
    assert settings.tls_cert_file == files / "client.pem"
    assert settings.tls_key_file == files / "client.key"


@pytest.mark.parametrize(
    ("certificate", "key", "flag", "reason"),
    [
        ("none", "client.key", "cert-file", "No such file or directory"),
        ("junk", "client.key", "cert-file", "holds no PEM certificate"),
        ("client.key", "", "cert-file", "holds no PEM certificate"),
        ("", "client.key", "key-file", "--ami.tls-cert-file is not set"),
        ("client.pem", "none", "key-file", "No such file or directory"),
        ("client.pem", ".", "key-file", "Is a directory"),
        ("client.pem", "junk", "key-file", "holds no PEM private key"),
        ("client.pem", "client.pem", "key-file", "holds no PEM private key"),
        ("client.pem", "another.key", "key-file", "holds the key of another certificate"),
        ("client.pem", "rsa.key", "key-file", "holds the key of another certificate"),
        ("both.pem", "encrypted.key", "key-file", "holds an encrypted key"),
    ],
)
def test_client_certificates_and_keys_are_looked_at_before_anything_starts(
    certificate: str, key: str, flag: str, reason: str, files: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load([*flags_for(files, certificate, key), "--ami.tls"])
    takes = {"cert-file": "PEM certificates", "key-file": "the unencrypted key of"}[flag]
    assert str(caught.value).startswith(f"--ami.tls-{flag}: {reason}")
    assert takes in str(caught.value)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [("client.pem", "holds no PEM private key"), ("both-encrypted.pem", "holds an encrypted key")],
)
def test_a_certificate_without_its_key_says_which_setting_is_missing(
    certificate: str, reason: str, files: Path
) -> None:
    with pytest.raises(SettingsError, match=f"not set, and --ami.tls-cert-file {reason}") as caught:
        load([*flags_for(files, certificate, ""), "--ami.tls"])
    assert str(caught.value).startswith("--ami.tls-key-file (or FAX_EXPORTER_AMI_TLS_KEY_FILE)")


@pytest.mark.parametrize(("certificate", "key"), [("both.pem", ""), ("client.pem", "client.key")])
def test_a_client_certificate_needs_tls(certificate: str, key: str, files: Path) -> None:
    with pytest.raises(SettingsError, match=r"TLS is off; takes .* needs --ami.tls"):
        load(flags_for(files, certificate, key))


def test_nobody_is_asked_for_the_pass_phrase_of_a_key(files: Path) -> None:
    flags = flags_for(files, "both.pem", "encrypted.key")
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *flags, "--ami.tls"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # without a terminal, else a prompt would wait for ever
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "phrase:" not in done.stdout + done.stderr
    assert "holds an encrypted key" in done.stderr
