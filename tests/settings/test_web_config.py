"""The file of --web.config.file: what it takes, what is said of what it does not, and its changes.

Files are real, certificates are trustme's; that they are served with is in tests/web/.
"""

import contextlib
import json
import ssl
from pathlib import Path
from textwrap import dedent

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.settings import SettingsError, WebConfig, WebConfigFile
from tests.settings.files import HASH, WEB, tls, web_file


def load(path: Path) -> WebConfig:
    return WebConfigFile(path).current


def refusal(folder: Path, text: str) -> str:
    """What is said of this file, without its name."""
    path = web_file(folder, text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return "\n".join(line.removeprefix(f"{path}:").lstrip() for line in lines)


# --- what it takes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "# nothing\n{}\n",
        "basic_auth_users: {}",
        "basic_auth_users: {}\ntls_server_config: {}\n",
        "basic_auth_users: {}\ntls_server_config: {cert_file: '', key_file: ''}\n",
        "basic_auth_users: {}\nhttp_server_config: {http2: false, headers: {}}\n",
    ],
)
def test_a_file_that_says_that_it_asks_for_nothing_means_nothing(tmp_path: Path, text: str) -> None:
    assert load(web_file(tmp_path, text)) == WebConfig()


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null", "~"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text) == "empty; {} as the whole file asks for nothing at all"


@pytest.mark.parametrize(
    "text",
    [
        "tls_server_config: {}\n",
        "tls_server_config: {cert_file: '', key_file: ''}\n",
        "http_server_config: {http2: false, headers: {}}\n",
    ],
)
def test_a_file_that_lets_everybody_in_without_saying_so_is_refused(
    tmp_path: Path, text: str
) -> None:
    assert refusal(tmp_path, text) == (
        "neither users nor TLS; if that is meant, write 'basic_auth_users: {}' ({} as the whole "
        "file asks for nothing at all)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("basic_auth_users:", "basic_auth_users: no value; takes names of users with the bcrypt"),
        ("basic_auth_users: null", "basic_auth_users: no value; takes names"),
        ("tls_server_config:", "tls_server_config: no value; takes cert_file, key_file"),
        ("http_server_config:", "http_server_config: no value; takes headers"),
        ("http_server_config: {headers: }", "http_server_config.headers: no value; takes names"),
        (
            "tls_server_config: {min_version: }",
            "tls_server_config.min_version: no value; takes TLS",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: }}",
            "http_server_config.headers.X-Frame-Options: no value; takes deny or sameorigin",
        ),
    ],
)
def test_a_key_without_a_value_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_every_key_is_taken(tmp_path: Path, ca: trustme.CA) -> None:
    text = tls(
        client_ca_file="ca.pem",
        client_auth_type="RequireAndVerifyClientCert",
        min_version="TLS13",
        max_version="TLS13",
    )
    text += f"basic_auth_users:\n  prometheus: {HASH}\n  jürgen: {HASH.replace('$2y', '$2b')}\n"
    text += dedent("""
        http_server_config:
          http2: false
          headers:
            Strict-Transport-Security: max-age=31536000
            X-Content-Type-Options: nosniff
            X-Frame-Options: sameorigin
            X-XSS-Protection: 0
            Content-Security-Policy: default-src 'none'
    """)
    config = load(web_file(tmp_path, text))
    assert config.headers == {
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "sameorigin",
        "X-XSS-Protection": "0",
        "Content-Security-Policy": "default-src 'none'",
    }
    assert config.users == {
        "prometheus": HASH.encode(),
        "jürgen": HASH.replace("$2y", "$2b").encode(),
    }
    assert config.ssl_context is not None
    assert config.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert config.ssl_context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert config.ssl_context.maximum_version is ssl.TLSVersion.TLSv1_3
    assert len(config.ssl_context.get_ca_certs()) == 1


def test_tls_begins_at_1_2_and_asks_for_no_certificate(tmp_path: Path, ca: trustme.CA) -> None:
    context = load(web_file(tmp_path, tls())).ssl_context
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE


def test_a_certificate_can_be_asked_for_and_not_demanded(tmp_path: Path, ca: trustme.CA) -> None:
    text = tls(client_ca_file="ca.pem", client_auth_type="VerifyClientCertIfGiven")
    context = load(web_file(tmp_path, text)).ssl_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_OPTIONAL


def test_files_are_looked_for_beside_the_file_not_where_the_exporter_runs(
    tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(web_file(tmp_path, tls())).ssl_context is not None
    absolute = tls(cert_file=str(tmp_path / "fax.pem"), key_file=str(tmp_path / "fax.key"))
    assert load(web_file(tmp_path / "elsewhere", absolute)).ssl_context is not None


# --- what it does not -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_config: {}", "line 1, column 1: no such setting; did you mean tls_server_config?"),
        (
            "basic_auth_user: {}",
            "line 1, column 1: no such setting; did you mean basic_auth_users?",
        ),
        (
            "http_server_config: {header: {}}",
            "http_server_config, line 1, column 22: no such setting; did you mean headers?",
        ),
        (
            "http_server_config: {headers: {X-Frame-Option: deny}}",
            "http_server_config.headers, line 1, column 32: no such setting; "
            "did you mean X-Frame-Options?",
        ),
        (
            "http_server_config: {headers: {Server: x}}",
            "http_server_config.headers, line 1, column 32: no such setting; there is "
            "Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, "
            "X-Frame-Options, X-XSS-Protection",
        ),
        ("rate_limit: {burst: 1}", "rate_limit: exporter-toolkit has it, this exporter does not"),
        ("1: 2", "line 1, column 1: no such setting; there is basic_auth_users, "),
        ("http_server_config: {http2: true}", "http_server_config.http2: HTTP/2 is not spoken"),
        ("http_server_config: {http2: maybe}", "http_server_config.http2: takes false"),
        (
            "http_server_config: {headers: {X-Frame-Options: never}}",
            "http_server_config.headers.X-Frame-Options: takes deny or sameorigin",
        ),
        (
            "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
            "http_server_config.headers.X-Content-Type-Options: takes nosniff",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "0\\r\\nX: y"}}',
            "http_server_config.headers.X-XSS-Protection: not printable ASCII; takes the value",
        ),
        ("http_server_config: 5", "http_server_config: takes headers"),
        (
            "http_server_config: {headers: [a]}",
            "http_server_config.headers: takes names of headers",
        ),
        ("tls_server_config: yes please", "tls_server_config: takes cert_file, key_file"),
        ("basic_auth_users: [alice]", "basic_auth_users: takes names of users with"),
        ("just text", "takes keys: tls_server_config, http_server_config, basic_auth_users"),
        ("[1, 2]", "takes keys: "),
        ("basic_auth_users: {a: x, a: y}", "line 1, column 26: this key is there twice"),
        ("a: [", "line 1, column 5: "),
        ("a: \x07", "holds characters that YAML does not allow"),
        ("[" * 20_000, "nested too deep"),
        (f"# {'x' * 5_000_000}", "more than 4194304 bytes, not a configuration"),
        ("&a {tls_server_config: *a}", "tls_server_config."),
        ("basic_auth_users: &a {x: *a}", "basic_auth_users, line 1, column 23: not a bcrypt hash"),
        ("? [a]\n: b", "no such setting"),
    ],
)
def test_what_is_no_web_configuration_is_refused_with_a_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cert_file": ""}, "tls_server_config.cert_file: not set; takes a readable file of PEM"),
        ({"key_file": ""}, "tls_server_config.key_file: not set; takes a readable PEM file"),
        ({"cert_file": "no.pem"}, ": No such file or directory; takes a readable file"),
        ({"key_file": "no.key"}, ": No such file or directory; takes a readable PEM file"),
        ({"cert_file": WEB}, ": holds no PEM certificate; takes"),
        ({"key_file": "fax.pem"}, ": holds no PEM private key; takes"),
        ({"key_file": "other.key"}, ": holds the key of another certificate; takes"),
        ({"key_file": "locked.key"}, ": holds an encrypted key, and there is nobody"),
        (
            {"client_ca_file": "fax.key", "client_auth_type": "RequireAndVerifyClientCert"},
            ": holds no PEM certificate; takes",
        ),
        (
            {"client_ca_file": "ca.pem"},
            "tls_server_config.client_ca_file: no certificate is asked for; set client_auth_type",
        ),
        (
            {"client_auth_type": "RequireAndVerifyClientCert"},
            "tls_server_config.client_ca_file: not set, and RequireAndVerifyClientCert needs it",
        ),
        (
            {"client_auth_type": "VerifyClientCertIfGiven"},
            "tls_server_config.client_ca_file: not set, and VerifyClientCertIfGiven needs it",
        ),
        (
            {"client_auth_type": "RequestClientCert"},
            "tls_server_config.client_auth_type: Python's TLS takes no certificate that it has",
        ),
        (
            {"client_auth_type": "RequireAnyClientCert"},
            "tls_server_config.client_auth_type: Python's TLS takes no certificate that it has",
        ),
        (
            {"client_auth_type": "yes"},
            "tls_server_config.client_auth_type: takes NoClientCert, VerifyClientCertIfGiven or",
        ),
        ({"min_version": "TLS10"}, "tls_server_config.min_version: deprecated since 2021"),
        ({"max_version": "TLS11"}, "tls_server_config.max_version: deprecated since 2021"),
        ({"min_version": "1.2"}, "tls_server_config.min_version: takes TLS12 or TLS13"),
        (
            {"min_version": "TLS13", "max_version": "TLS12"},
            "tls_server_config.max_version: below min_version; takes",
        ),
        (
            {"certfile": "x"},
            "tls_server_config, line 4, column 3: no such setting; did you mean cert_file?",
        ),
        (
            {"cipher_suites": "[x]"},
            "tls_server_config.cipher_suites: exporter-toolkit has it, this exporter does not",
        ),
        ({"key_file": "[a, b]"}, "tls_server_config.key_file: takes a readable PEM file"),
        ({"key_file": '"a\\0b"'}, "embedded null byte; takes a readable PEM file"),
        ({"cert_file": "x" * 5000}, "File name too long; takes"),
    ],
)
def test_what_tls_cannot_be_served_with_is_refused_with_a_reason(
    tmp_path: Path, ca: trustme.CA, keys: dict[str, str], said: str
) -> None:
    ca.issue_cert("127.0.0.1").private_key_pem.write_to_path(tmp_path / "other.key")
    locked(tmp_path / "fax.key", tmp_path / "locked.key")
    assert said in refusal(tmp_path, tls(**keys))


def locked(key: Path, path: Path) -> None:
    """Writes this key, encrypted."""
    loaded = load_pem_private_key(key.read_bytes(), None)
    phrase = BestAvailableEncryption(b"x")
    path.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, phrase))


@pytest.mark.parametrize(
    "key", ["client_ca_file: ca.pem", "key_file: fax.key", "min_version: TLS13"]
)
def test_half_a_tls_is_refused_and_not_plain_http(tmp_path: Path, ca: trustme.CA, key: str) -> None:
    said = refusal(tmp_path, f"tls_server_config: {{{key}}}")
    assert "tls_server_config.cert_file: not set" in said


@pytest.mark.parametrize(
    ("name", "hashed", "said"),
    [
        (
            "a",
            "hunter2",
            "basic_auth_users, line 2, column 3: not a bcrypt hash; takes a bcrypt hash, as `htp",
        ),
        ("a", "5", ": not a bcrypt hash"),
        ("a", "null", ": not a bcrypt hash"),
        ("a", "$2y$10$tooshort", ": not a bcrypt hash"),
        ("a", HASH + "x", ": not a bcrypt hash"),
        ("a", HASH.replace("PeMq", "PfMq"), ": not a bcrypt hash"),  # no such salt
        ("a", HASH.replace("$10$", "$03$"), ": the cost of the hash is not from 4 to 14"),
        ("a", HASH.replace("$10$", "$15$"), ": the cost of the hash is not from 4 to 14"),
        ("a", "$apr1$x$y", ": not a bcrypt hash"),
        (
            "123",
            HASH,
            "basic_auth_users, line 2, column 3: not text; quote it; takes the name of a user",
        ),
        ("'a:b'", HASH, "basic_auth_users, line 2, column 3: a name with a colon"),
        (HASH, "alice", "basic_auth_users, line 2, column 3: not a bcrypt hash"),
    ],
)
def test_who_could_never_log_in_is_refused_and_no_hash_is_shown(
    tmp_path: Path, name: str, hashed: str, said: str
) -> None:
    message = refusal(tmp_path, f"basic_auth_users:\n  {name}: {hashed}\n")
    assert said in message
    assert "hunter2" not in message
    assert HASH[10:20] not in message


@pytest.mark.parametrize("cost", [4, 14])
def test_a_hash_may_cost_what_takes_no_more_than_a_second(tmp_path: Path, cost: int) -> None:
    hashed = HASH.replace("$10$", f"${cost:02}$")
    config = load(web_file(tmp_path, f"basic_auth_users: {{a: {hashed}}}"))
    assert config.users == {"a": hashed.encode()}


def test_each_problem_has_its_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, "tls: 1\nbasic_auth_users: {a: x, b: y}\nhttp_server_config: 5\n")
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "http_server_config",
        "basic_auth_users, line 2, column 20",
        "basic_auth_users, line 2, column 26",
        "line 1, column 1",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "tls_server_config: {{cert_file: fax.pem, key_file: '{secret}'}}",
        "tls_server_config: {{cert_file: '{secret}', key_file: x}}",
        "basic_auth_users: {{a: '{secret}'}}",
        "http_server_config: {{headers: {{X-Frame-Options: '{secret}'}}}}",
        "basic_auth_users: '{secret}'",
        "a: '{secret}",
    ],
)
@pytest.mark.parametrize("secret", ["-----BEGIN PRIVATE KEY----- MII", f"{HASH}-----"])
def test_no_refusal_shows_a_key_or_a_hash(tmp_path: Path, text: str, secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(web_file(tmp_path, text.format(secret=secret)))
    assert secret[:12] not in str(caught.value)
    # Nor is it in what a traceback would show.
    assert caught.value.__context__ is None


def test_a_pem_text_in_the_place_of_a_file_is_named_as_such(tmp_path: Path) -> None:
    text = "tls_server_config:\n  cert_file: x\n  key_file: |\n    -----BEGIN PRIVATE KEY-----\n"
    said = "tls_server_config.key_file: a PEM text, where the name of its file belongs"
    assert said in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file or directory"):
        load(tmp_path / "none.yml")


KEYS = st.sampled_from(
    ["tls_server_config", "basic_auth_users", "http_server_config", "headers", "cert_file", "http2"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(value=VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_structure_makes_more_than_an_error(tmp_path: Path, value: object) -> None:
    path = tmp_path / WEB
    path.write_text(json.dumps(value))  # which is YAML
    with contextlib.suppress(SettingsError):
        load(path)


@given(content=st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_more_than_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / WEB
    path.write_bytes(content)
    with contextlib.suppress(SettingsError):
        load(path)
