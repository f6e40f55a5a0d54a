"""What a file of --web.config.file keeps others out with is lost by no cut, only by words."""

from pathlib import Path

import pytest
import trustme

from exporter.settings import SettingsError, WebConfig, WebConfigFile
from exporter.settings.web_config import read_web_config
from exporter.settings.web_protection import Protection
from tests.settings.files import HASH, tls, web_file

ALL = frozenset(Protection)
USERS = f"basic_auth_users:\n  prometheus: {HASH}\n  jürgen: '{HASH}'\n"
TLS = tls(
    client_ca_file="ca.pem", client_auth_type="RequireAndVerifyClientCert", min_version="TLS13"
)
HEADERS = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
FLOW = (
    f'{{"basic_auth_users": {{"a": "{HASH}"}}, "tls_server_config": {{"min_version": "TLS13", '
    '"key_file": "fax.key", "cert_file": "fax.pem", "client_ca_file": "ca.pem", '
    '"client_auth_type": "RequireAndVerifyClientCert"}}'
)
WHOLE = [USERS + TLS + HEADERS, HEADERS + USERS + TLS, TLS + HEADERS + USERS, FLOW]


def protections(
    path: Path, before: frozenset[Protection] = frozenset()
) -> frozenset[Protection] | None:
    """What this file protects with; None if it is refused."""
    result, _ = read_web_config(path, before)
    return None if isinstance(result, SettingsError) else result.protections


@pytest.mark.parametrize("text", WHOLE, ids=range(len(WHOLE)))
def test_no_cut_takes_a_protection_away_or_lets_everybody_in_at_the_start(
    tmp_path: Path, ca: trustme.CA, text: str
) -> None:
    path = web_file(tmp_path, text)
    assert protections(path) == protections(path, ALL) == ALL
    refused = 0
    for length in range(len(text.encode())):
        path.write_bytes(text.encode()[:length])
        found = protections(path)
        assert found is None or found & {Protection.USERS, Protection.TLS}
        # What is refused without protections before is refused with them too.
        assert found is None or protections(path, ALL) in (None, ALL)
        refused += found is None
    assert refused > length // 2


LEFT = f"basic_auth_users: {{a: {HASH}}}\n"


@pytest.mark.parametrize(
    ("text", "said", "in_words"),
    [
        (TLS, "no users now", TLS + "basic_auth_users: {}\n"),
        (LEFT, "no TLS now", LEFT + "tls_server_config: {}\n"),
        (
            LEFT + tls(min_version="TLS13"),
            "no client certificates now",
            LEFT + tls(min_version="TLS13", client_auth_type="NoClientCert"),
        ),
        (
            LEFT + tls(min_version="TLS13"),
            "no client certificates now",
            LEFT
            + tls(
                min_version="TLS13",
                client_auth_type="VerifyClientCertIfGiven",
                client_ca_file="ca.pem",
            ),
        ),
        (
            USERS + TLS.replace("  min_version: TLS13\n", ""),
            "no TLS 1.3 alone now",
            USERS + TLS.replace("TLS13", "TLS12"),
        ),
        (
            HEADERS,
            "neither users nor TLS",
            HEADERS + "basic_auth_users: {}\ntls_server_config: {}\n",
        ),
    ],
)
def test_what_was_there_goes_only_in_so_many_words(
    tmp_path: Path, ca: trustme.CA, text: str, said: str, in_words: str
) -> None:
    result, _ = read_web_config(web_file(tmp_path, text), ALL)
    assert isinstance(result, SettingsError)
    (line,) = str(result).splitlines()
    assert said in line
    assert protections(web_file(tmp_path, in_words), ALL) is not None


def test_the_whole_of_it_goes_by_an_empty_mapping_alone(tmp_path: Path) -> None:
    assert protections(web_file(tmp_path, "{}"), ALL) == frozenset()
    for text in ("", "basic_auth_users:", "tls_server_config: {}", "basic_auth_users: {}"):
        assert protections(web_file(tmp_path, text), ALL) is None


async def test_what_is_refused_is_told_and_the_old_file_goes_on(
    tmp_path: Path, ca: trustme.CA
) -> None:
    path = web_file(tmp_path, USERS + TLS)
    file = WebConfigFile(path)
    before = file.current
    for text in ("basic_auth_users:", "# ", "\n", "", TLS, USERS):
        web_file(tmp_path, text)
        assert not await file.reload()
        assert (file.current, file.successful) == (before, False)
        assert file.fault.startswith(f"{path}: ")
    one = USERS.replace("  prometheus", "  # prometheus")
    web_file(tmp_path, one + TLS)
    assert await file.reload()
    assert set(file.current.users) == {"jürgen"}
    web_file(tmp_path, "{}")
    assert await file.reload()
    assert file.current == WebConfig()
    assert file.successful
