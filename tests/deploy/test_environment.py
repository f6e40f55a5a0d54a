"""The file of settings that a package installs: nothing in it is set, and each line could be."""

import re
from pathlib import Path

import pytest
import trustme

from exporter.settings import SETTINGS, SettingsError, load

FILE = Path(__file__).parents[2] / "deploy/package/environment"
TEXT = FILE.read_text()
EXAMPLES = re.findall(r"^#(FAX_EXPORTER_\w+)=(.*)$", TEXT, re.MULTILINE)
SERVICE = FILE.parents[1] / "systemd/asterisk-fax-exporter.service"
# Of no use in a service, a secret where others may read it, or asked for by a drop-in.
NOT_FOR_IT = {
    "FAX_EXPORTER_AMI_SECRET",
    "FAX_EXPORTER_AMI_TLS_CERT_FILE",
    "FAX_EXPORTER_AMI_TLS_KEY_FILE",
    "FAX_EXPORTER_CONFIG_CHECK",
    "FAX_EXPORTER_CONFIG_SHARD",
    "FAX_EXPORTER_CONFIG_SHARD_BY",
    "FAX_EXPORTER_WEB_SYSTEMD_SOCKET",
    "FAX_EXPORTER_WEB_MAX_CONNECTIONS",
}


def test_every_line_is_a_comment() -> None:
    assert not [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def test_it_names_every_setting_of_a_service_and_no_other() -> None:
    ours = {setting.variable for setting in SETTINGS if len(setting.path) > 1}
    assert {name for name, _ in EXAMPLES} == ours - NOT_FOR_IT


def test_every_line_has_a_word_of_explanation_before_it() -> None:
    for paragraph in TEXT.split("\n\n"):
        if "#FAX_EXPORTER" in paragraph:
            assert re.match(r"# [A-Za-z]", paragraph), paragraph


@pytest.mark.parametrize(("name", "value"), EXAMPLES)
def test_each_example_is_accepted(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With those that it needs beside it, and files that are there."""
    secret, ca, targets, web = (tmp_path / one for one in ("secret", "ca.pem", "targets", "web"))
    secret.write_text("a-secret\n")
    trustme.CA().cert_pem.write_to_path(ca)
    targets.write_text(f"targets: {{fax: {{host: a, username: u, secret_file: {secret}}}}}\n")
    web.write_text("{}\n")
    given = {"FAX_EXPORTER_AMI_USERNAME": "u", "FAX_EXPORTER_AMI_SECRET_FILE": str(secret)}
    if name == "FAX_EXPORTER_CONFIG_FILE" or (name, value) == ("FAX_EXPORTER_AMI_SECRET_FILE", ""):
        given = {"FAX_EXPORTER_CONFIG_FILE": str(targets)}
    files = {"CA_FILE": ca, "CONFIG_FILE": web}
    there = next((str(file) for part, file in files.items() if name.endswith(part)), value)
    given.setdefault(name, re.sub(r"^/var/\w+/[\w-]+/", f"{tmp_path}/", there))
    if "_TLS" in name:
        given["FAX_EXPORTER_AMI_TLS"] = "true"
    if "_PEER_" in name:
        given["FAX_EXPORTER_METRICS_PEER_LABEL"] = "true"
    for variable, text in given.items():
        monkeypatch.setenv(variable, text)
    try:
        load([])
    except SettingsError as error:
        pytest.fail(str(error))


def test_what_it_says_of_the_unit_is_so() -> None:
    unit = SERVICE.read_text()
    for path in ("/etc/asterisk-fax-exporter/secret", "/var/lib/asterisk-fax-exporter/faxes.db"):
        assert f"={path}\n" in unit
    for folder in re.findall(r"=/var/\w+/([\w-]+)/", TEXT):
        assert f"Directory={folder}\n" in unit
