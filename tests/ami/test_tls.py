"""TLS to the demo PBX over loopback: who is trusted, who is not, and what is said about it."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from exporter.ami import ConnectError, Connection, LoginRefused, connect, tls
from exporter.ami.tls import context_of
from exporter.check_pbx import check
from exporter.ledger import Ledger
from exporter.polling import Failure, Poller
from exporter.settings import AmiSettings
from harness.certificates import make_certificate, written
from harness.pbx import FaultyPbx
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import SECRET, begin, settings_for

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
LOCAL = "127.0.0.1"
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path) -> Path:
    """The file of the CA."""
    return written(ca.cert_pem, tmp_path / "ca.pem")


def showing(certificate: trustme.LeafCert | Path) -> ssl.SSLContext:
    """A server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if isinstance(certificate, Path):
        context.load_cert_chain(certificate)
    else:
        certificate.configure_cert(context)
    return context


def asking(ca: trustme.CA) -> ssl.SSLContext:
    """A server that asks its clients for a certificate of this CA."""
    context = showing(ca.issue_cert(LOCAL))
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def pbx_with(context: ssl.SSLContext | None, host: str = LOCAL) -> AsyncIterator[FaultyPbx]:
    pbx = FaultyPbx(secret=SECRET)
    await pbx.start(host, ssl=context)
    try:
        yield pbx
    finally:
        await pbx.stop()


async def connected(settings: AmiSettings) -> Connection:
    async with asyncio.timeout(20):
        return await connect(settings, lambda _: None)


async def logged_in(pbx: FaultyPbx, **settings: Any) -> bool:
    connection = await connected(settings_for(pbx, **settings))
    connection.close()
    return len(pbx.logins) == 1


async def refusal(pbx: FaultyPbx, **settings: Any) -> str:
    """The error of a connection that fails."""
    with pytest.raises(ConnectError) as caught:
        await logged_in(pbx, **settings)
    assert pbx.logins == pbx.failed_logins == []
    return str(caught.value)


@contextlib.asynccontextmanager
async def polled(settings: AmiSettings) -> AsyncIterator[Poller]:
    """A poller at work, in virtual time."""
    poller = Poller(settings, 1, Ledger(), clock=clock(), jitter=lambda: 1.0)
    task = asyncio.create_task(poller.run())
    try:
        yield poller
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# --- who is trusted -------------------------------------------------------------------------


@pytest.mark.parametrize("in_one_file", [True, False])
@in_virtual_time
async def test_polls_work_over_tls_with_a_client_certificate(
    in_one_file: bool, ca: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    client = ca.issue_cert("fax-exporter")
    if in_one_file:
        both = written(client.private_key_and_cert_chain_pem, tmp_path / "both.pem")
        files = {"tls_cert_file": both}
    else:
        certificate = written(client.cert_chain_pems[0], tmp_path / "client.pem")
        key = written(client.private_key_pem, tmp_path / "client.key")
        files = {"tls_cert_file": certificate, "tls_key_file": key}
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start(ssl=asking(ca))
    async with polled(settings_for(pbx, tls=True, tls_ca_file=trusted, **files)) as poller:
        await until(lambda: poller.status.up)
        fax = begin(pbx)
        await until(lambda: sum(poller.ledger.gauges.sessions.values()) == 1)
        fax.finish_page()
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        assert poller.status.connects == 1
        assert poller.status.failures.total() == 0
    await pbx.stop()


@pytest.mark.parametrize(
    ("host", "identity", "settings"),
    [
        (LOCAL, LOCAL, {}),
        ("::1", "::1", {}),
        (LOCAL, "localhost", {"host": "localhost"}),
        (LOCAL, "pbx.example", {"tls_server_name": "pbx.example"}),
        (LOCAL, "*.pbx.example", {"tls_server_name": "ami.pbx.example"}),
        (LOCAL, "192.0.2.1", {"tls_server_name": "192.0.2.1"}),
    ],
)
async def test_a_certificate_is_good_for_the_names_and_addresses_in_it(
    host: str, identity: str, settings: dict[str, str], ca: trustme.CA, trusted: Path
) -> None:
    async with pbx_with(showing(ca.issue_cert(identity)), host) as pbx:
        given = {"host": host, "tls": True, "tls_ca_file": trusted} | settings
        assert await logged_in(pbx, **given)


async def test_a_self_signed_certificate_is_trusted_by_its_own_file(tmp_path: Path) -> None:
    file = tmp_path / "pbx.pem"
    make_certificate(file, "pbx.example")
    async with pbx_with(showing(file)) as pbx:
        assert await logged_in(pbx, tls=True, tls_ca_file=file, tls_server_name="pbx.example")


async def test_certificates_like_those_of_asterisks_own_script_are_trusted(tmp_path: Path) -> None:
    """ast_tls_cert leaves out what Python calls strict since 3.13, and has the name in CN only."""
    trusted, file = tmp_path / "ca.crt", tmp_path / "asterisk.pem"
    make_certificate(file, "pbx.example", signer=make_certificate(trusted, "Asterisk Private CA"))
    async with pbx_with(showing(file)) as pbx:
        assert await logged_in(pbx, tls=True, tls_ca_file=trusted, tls_server_name="pbx.example")


# --- who is not -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "settings", "said"),
    [
        ("pbx.example", {}, "not valid for '127.0.0.1'"),
        ("127.0.0.2", {}, "not valid for '127.0.0.1'"),
        (LOCAL, {"tls_server_name": "pbx.example"}, "not valid for 'pbx.example'"),
        ("example", {"tls_server_name": "pbx.example"}, "not valid for 'pbx.example'"),
    ],
)
async def test_another_name_is_refused(
    identity: str, settings: dict[str, str], said: str, ca: trustme.CA, trusted: Path
) -> None:
    async with pbx_with(showing(ca.issue_cert(identity))) as pbx:
        text = await refusal(pbx, tls=True, tls_ca_file=trusted, **settings)
    assert said in text
    assert "set --ami.host or --ami.tls-server-name" in text


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [(-2, -1, "certificate has expired"), (1, 2, "certificate is not yet valid")],
)
async def test_a_certificate_is_refused_before_and_after_its_time(
    begins: int, ends: int, said: str, ca: trustme.CA, trusted: Path
) -> None:
    certificate = ca.issue_cert(LOCAL, not_before=NOW + begins * DAY, not_after=NOW + ends * DAY)
    async with pbx_with(showing(certificate)) as pbx:
        text = await refusal(pbx, tls=True, tls_ca_file=trusted)
    assert said in text
    assert "renew it, or put the clocks of both machines right" in text


async def test_a_self_signed_certificate_is_refused(trusted: Path, tmp_path: Path) -> None:
    file = tmp_path / "pbx.pem"
    make_certificate(file, "pbx.example")
    async with pbx_with(showing(file)) as pbx:
        text = await refusal(pbx, tls=True, tls_ca_file=trusted, tls_server_name="pbx.example")
    assert "self-signed certificate" in text.replace("self signed", "self-signed")
    assert "its own if it is self-signed, by --ami.tls-ca-file" in text


@pytest.mark.parametrize("of_the_system", [False, True])
async def test_the_certificate_of_a_ca_that_is_not_trusted_is_refused(
    of_the_system: bool, trusted: Path
) -> None:
    async with pbx_with(showing(trustme.CA().issue_cert(LOCAL))) as pbx:
        text = await refusal(pbx, tls=True, tls_ca_file=None if of_the_system else trusted)
    assert "unable to get local issuer certificate" in text
    assert "its own if it is self-signed, by --ami.tls-ca-file" in text


async def test_a_given_ca_is_trusted_instead_of_those_of_the_system(
    ca: trustme.CA, trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    stranger = written(trustme.CA().cert_pem, tmp_path / "stranger.pem")
    async with pbx_with(showing(ca.issue_cert(LOCAL))) as pbx:
        assert "unable to get local issuer" in await refusal(pbx, tls=True, tls_ca_file=stranger)
        assert await logged_in(pbx, tls=True)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_less_than_tls_1_2_is_refused_also_where_openssl_allows_it(
    ca: trustme.CA, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lax(protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        return context

    server = showing(ca.issue_cert(LOCAL))
    server.set_ciphers("ALL:@SECLEVEL=0")
    server.minimum_version = ssl.TLSVersion.TLSv1
    server.maximum_version = ssl.TLSVersion.TLSv1_1
    settings = {"tls": True, "tls_ca_file": trusted}
    async with pbx_with(server) as pbx:
        given = settings_for(pbx, **settings)
        monkeypatch.setattr(tls, "ssl", SimpleNamespace(**vars(ssl) | {"SSLContext": lax}))
        with pytest.raises(ConnectError, match="refuses TLS with us: protocol version"):
            await connected(given)
        assert pbx.logins == []


# --- what is no TLS, or ends it -------------------------------------------------------------


async def test_a_port_without_tls_is_told_from_one_with(trusted: Path) -> None:
    async with pbx_with(None) as pbx:
        text = await refusal(pbx, tls=True, tls_ca_file=trusted)
    assert "speaks no TLS" in text
    assert "leave --ami.tls off" in text


@in_virtual_time
async def test_a_port_with_tls_is_told_at_once_from_a_slow_one(
    ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start(ssl=showing(ca.issue_cert(LOCAL)))
    async with polled(settings_for(pbx)) as poller:
        await until(lambda: poller.status.failures.total() == 1)
        assert poller.status.failures[Failure.CONNECT] == 1
    assert "set --ami.tls" in caplog.text
    await pbx.stop()


@pytest.mark.parametrize("alert", [b"\x15\x03\x01\x00\x02\x02\x46", b""])
async def test_a_port_with_tls_may_say_so_by_an_alert(alert: bytes) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(alert)
        writer.close()

    server = await asyncio.start_server(end, LOCAL, 0)
    port = server.sockets[0].getsockname()[1]
    settings = AmiSettings(port=port, username="x", secret=SecretStr(SECRET))
    with pytest.raises(ConnectError, match=r"set --ami\.tls$"):
        await connected(settings)
    server.close()


@in_virtual_time
async def test_a_tls_handshake_that_stands_still_is_given_up_at_the_deadline(
    trusted: Path,
) -> None:
    with socket.create_server((LOCAL, 0)) as silent:
        settings = AmiSettings(
            port=silent.getsockname()[1],
            username="x",
            secret=SecretStr(SECRET),
            tls=True,
            tls_ca_file=trusted,
        )
        async with polled(settings) as poller:
            await until(lambda: poller.status.failures.total() == 1)
            assert poller.status.failures[Failure.TIMEOUT] == 1


@contextlib.contextmanager
def openssl_server(context: ssl.SSLContext) -> Iterator[int]:
    """Greets after the handshake; unlike asyncio's server, it sends OpenSSL's alerts."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.dup() as raw:
            with contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).sendall(b"Asterisk")
            raw.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while raw.recv(4096):
                    pass

    with socket.create_server((LOCAL, 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)


@pytest.mark.parametrize(
    ("version", "said"), [(TLS_1_2, "handshake failure"), (TLS_1_3, "certificate required")]
)
async def test_a_server_that_wants_a_client_certificate_is_quoted(
    version: ssl.TLSVersion, said: str, ca: trustme.CA, trusted: Path
) -> None:
    server = asking(ca)
    server.minimum_version = server.maximum_version = version
    with openssl_server(server) as port:
        settings = AmiSettings(
            port=port, username="x", secret=SecretStr(SECRET), tls=True, tls_ca_file=trusted
        )
        with pytest.raises(ConnectError, match=said) as caught:
            await connected(settings)
    assert "see --ami.tls-cert-file" in str(caught.value)


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
async def test_a_server_that_ends_it_without_a_word_may_want_a_client_certificate(
    version: ssl.TLSVersion, ca: trustme.CA, trusted: Path
) -> None:
    server = asking(ca)
    server.maximum_version = version
    # Where a handshake fails asyncio sends no alert.
    async with await asyncio.start_server(lambda *_: None, LOCAL, 0, ssl=server) as listening:
        settings = AmiSettings(
            port=listening.sockets[0].getsockname()[1],
            username="x",
            secret=SecretStr(SECRET),
            tls=True,
            tls_ca_file=trusted,
        )
        with pytest.raises(ConnectError, match=r"see --ami\.tls-cert-file"):
            await connected(settings)


# --- files that change while it runs --------------------------------------------------------


@in_virtual_time
async def test_a_renewed_client_certificate_needs_no_restart(
    ca: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    old, new = trustme.CA().issue_cert("fax"), ca.issue_cert("fax")
    file = written(old.private_key_and_cert_chain_pem, tmp_path / "client.pem")
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start(ssl=asking(ca))
    settings = settings_for(pbx, tls=True, tls_ca_file=trusted, tls_cert_file=file)
    async with polled(settings) as poller:
        await until(lambda: poller.status.failures[Failure.CONNECT] == 1)
        written(new.private_key_and_cert_chain_pem, file)
        await until(lambda: poller.status.up)
    await pbx.stop()


def test_files_are_read_once_until_one_of_them_changes(ca: trustme.CA, tmp_path: Path) -> None:
    def context(**files: Path) -> ssl.SSLContext | None:
        return context_of(AmiSettings(username="fax", secret=SecretStr(SECRET), tls=True, **files))

    assert context() is context()
    trusted = written(ca.cert_pem, tmp_path / "ca.pem")
    once = context(tls_ca_file=trusted)
    assert once is context(tls_ca_file=trusted) is not context()
    written(trustme.CA().cert_pem, trusted)
    assert context(tls_ca_file=trusted) is not once


async def test_files_that_are_lost_are_named(ca: trustme.CA, trusted: Path, tmp_path: Path) -> None:
    client = ca.issue_cert("fax")
    certificate = written(client.cert_chain_pems[0], tmp_path / "client.pem")
    key = written(client.private_key_pem, tmp_path / "client.key")
    async with pbx_with(asking(ca)) as pbx:
        settings = settings_for(
            pbx, tls=True, tls_ca_file=trusted, tls_cert_file=certificate, tls_key_file=key
        )
        for file, flag in (
            (key, "cert-file .* and"),
            (certificate, "cert-file"),
            (trusted, "ca-file"),
        ):
            file.unlink()
            with pytest.raises(ConnectError, match=f"--ami.tls-{flag} {file}.*: No such file"):
                await connected(settings)


# --- how much Asterisk reads ----------------------------------------------------------------


@pytest.mark.parametrize("sessions", [28, 60, 700])
@pytest.mark.parametrize("version", ["13.38.3", "22.10.0"])
@in_virtual_time
async def test_all_of_many_sessions_are_asked_about_in_every_poll(
    version: str, sessions: int, ca: trustme.CA, trusted: Path
) -> None:
    async with pbx_with(showing(ca.issue_cert(LOCAL))) as pbx:
        pbx.version = version
        for number in range(sessions):
            begin(pbx, channel=f"PJSIP/trunk-{number:08x}")
        settings = settings_for(pbx, tls=True, tls_ca_file=trusted)
        async with polled(settings) as poller:
            await until(lambda: poller.status.polls >= 10)
            await until(lambda: len(pbx.queries) >= 10 * sessions, 1)
            asked = [query.number for query in pbx.queries][-sessions:]
            assert sorted(asked) == list(range(sessions))
            assert poller.status.up
            assert not poller.status.failures.total()
            assert len(pbx.connections) == 1


@pytest.mark.parametrize("version", ["13.38.3", "22.10.0"])
@in_virtual_time
async def test_a_check_reads_over_tls_what_it_asks(
    version: str, ca: trustme.CA, trusted: Path
) -> None:
    async with pbx_with(showing(ca.issue_cert(LOCAL))) as pbx:
        pbx.version = version
        report = await check("pbx", settings_for(pbx, tls=True, tls_ca_file=trusted))
        findings = {finding.subject: finding for finding in report.findings}
        assert findings["connection"].text == f"Asterisk {version}, AMI 11.0.0, with TLS"


@pytest.mark.parametrize(("name", "works"), [("ü" * 255, True), ("\N{FAX MACHINE}" * 255, False)])
@in_virtual_time
async def test_a_user_whose_name_is_too_long_for_tls_is_told_so(
    name: str, works: bool, ca: trustme.CA, trusted: Path
) -> None:
    async with pbx_with(showing(ca.issue_cert(LOCAL))) as pbx:
        pbx.username = name
        given: dict[str, Any] = {"username": name, "tls": True, "tls_ca_file": trusted}
        if works:
            assert await logged_in(pbx, **given)
            return
        with pytest.raises(LoginRefused, match=r"over TLS Asterisk reads 960; .* 79 bytes"):
            await logged_in(pbx, **given)
        assert not pbx.failed_logins
