"""The listening socket: where it serves, how it ends, TLS, and what a reload of it changes."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
import trustme

from exporter.settings import WebConfigFile
from exporter.web import connection, http
from harness.certificates import renew_server_certificate
from harness.virtual_time import in_virtual_time, until
from harness.web_side import listening
from tests.web.serving import (
    GET,
    HUGE,
    Client,
    Served,
    about,
    config_of,
    connected,
    seconds_until_ended,
    serving,
    trusting,
)


@in_virtual_time
async def test_it_serves_on_every_socket_it_is_given() -> None:
    async with serving() as served:
        other = Served(WebConfigFile(None), 10)
        sockets = [other.socket, listening()]
        await other.server.start(sockets)
        for each in sockets:
            other.socket = each
            async with connected(other) as client:
                assert await client.get() == 200
        await other.server.stop()
        async with connected(served) as client:
            assert await client.get() == 200


@in_virtual_time
async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with serving() as served, connected(served) as client:
        for _ in range(3):
            assert await client.get() == 200
            await asyncio.sleep(60)  # as long as Prometheus may take to come again
        client.send(GET + GET + GET)
        assert [(await client.answer())[0] for _ in range(3)] == [200, 200, 200]


@in_virtual_time
async def test_stopping_lets_what_is_under_way_finish_and_ends_the_rest() -> None:
    async with serving() as served, connected(served) as idle, connected(served) as busy:
        assert await idle.get() == 200
        busy.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        port = served.port
        stopping = asyncio.create_task(served.server.stop())
        assert await idle.ended() == b""
        served.go_on.set()
        assert (await busy.answer())[2] == b"slow\n"
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


@in_virtual_time
async def test_stopping_waits_for_nobody_longer_than_it_says() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as served, connected(served) as busy, connected(served) as deaf:
        busy.send(GET.replace(b"healthy", b"slow"))
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
        deaf.send(GET.replace(b"healthy", b"huge"))
        await until(lambda: len(served.arrived) == 2)
        begun = loop.time()
        await served.server.stop()
        assert loop.time() - begun <= 2 * http.SHUTDOWN_SECONDS + 0.1
        assert await busy.ended() == b""
        deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await deaf.ended()) < HUGE


DEMAND = ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert"


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@in_virtual_time
async def test_stopping_ends_handshakes_before_it_waits_for_what_is_under_way(
    tmp_path: Path, ca: trustme.CA
) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca)) as busy,
        connected(served) as silent,
    ):
        busy.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        stopping = asyncio.create_task(served.server.stop())
        assert await seconds_until_ended(silent) == about(0)
        assert not stopping.done()
        served.go_on.set()
        assert (await busy.answer())[0] == 200
        await stopping


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_it_serves_through_tls(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca, version)) as client,
    ):
        for _ in range(3):
            assert await client.get() == 200
            await asyncio.sleep(60)
        client.send(GET.replace(b"healthy", b"huge"))
        assert len((await client.answer())[2]) == HUGE


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_a_version_below_the_least_is_refused(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with serving(config_of(tmp_path, ", min_version: TLS13")) as served:
        if version is ssl.TLSVersion.TLSv1_3:
            async with connected(served, trusting(ca, version)) as client:
                assert await client.get() == 200
        else:
            with pytest.raises(OSError):  # noqa: PT011  # of many kinds
                await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting(ca, version))


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_only_who_has_a_certificate_of_the_ca_gets_in(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with serving(config_of(tmp_path, DEMAND)) as served:
        for signer, good in ((ca, True), (trustme.CA(), False), (None, False)):
            context = trusting(ca, version)
            if signer is not None:
                signer.issue_cert("prometheus").configure_cert(context)
            status = 0
            # Under TLS 1.3 the client hears of the refusal when it reads.
            with contextlib.suppress(ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
                async with connected(served, context) as client:
                    status = await client.get()
            assert status == (200 if good else 0)
        assert served.arrived == ["healthy"]


@in_virtual_time
async def test_an_intermediate_in_the_file_is_trusted_by_itself_as_in_go(
    tmp_path: Path, ca: trustme.CA
) -> None:
    intermediate = ca.create_child_ca()
    intermediate.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(config_of(tmp_path, DEMAND)) as served:
        context = trusting(ca)
        intermediate.issue_cert("prometheus").configure_cert(context)
        async with connected(served, context) as client:
            assert await client.get() == 200


@in_virtual_time
async def test_a_certificate_that_is_not_demanded_may_be_missing_but_not_wrong(
    tmp_path: Path, ca: trustme.CA
) -> None:
    keys = DEMAND.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    async with serving(config_of(tmp_path, keys)) as served:
        async with connected(served, trusting(ca)) as client:
            assert await client.get() == 200
        context = trusting(ca)
        trustme.CA().issue_cert("stranger").configure_cert(context)
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            async with connected(served, context) as client:
                await client.get()


async def test_a_renewed_certificate_is_shown_and_idle_connections_are_ended(
    tmp_path: Path, ca: trustme.CA
) -> None:
    config = config_of(tmp_path)
    async with serving(config) as served:
        async with connected(served, trusting(ca)) as idle, connected(served, trusting(ca)) as busy:
            assert await idle.get() == 200
            busy.send(GET.replace(b"healthy", b"slow"))
            while "slow" not in served.arrived:
                await asyncio.sleep(0)
            before = shown(idle)
            renew_server_certificate(ca, tmp_path)
            assert await config.reload()
            assert await idle.ended() == b""
            served.go_on.set()
            status, headers, _ = await busy.answer()
            assert (status, headers["Connection"]) == (200, "close")
            async with asyncio.timeout(connection.IDLE_SECONDS / 2):
                assert await busy.ended() == b""
            assert shown(busy) == before
        async with connected(served, trusting(ca)) as client:
            assert await client.get() == 200
            assert shown(client) != before


async def test_a_renewed_certificate_ends_no_request_that_has_begun(
    tmp_path: Path, ca: trustme.CA
) -> None:
    config = config_of(tmp_path)
    async with serving(config) as served, connected(served, trusting(ca)) as client:
        client.send(GET[:10])
        while all(one.phase is not connection.Phase.RECEIVING for one in served.server._places):
            await asyncio.sleep(0)
        renew_server_certificate(ca, tmp_path)
        assert await config.reload()
        client.send(GET[10:])
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (200, "close")


async def test_a_renewed_certificate_ends_who_has_asked_nothing_yet(
    tmp_path: Path, ca: trustme.CA
) -> None:
    config = config_of(tmp_path)
    async with serving(config) as served, connected(served, trusting(ca)) as client:
        while all(one.phase is not connection.Phase.NEW for one in served.server._places):
            await asyncio.sleep(0)
        renew_server_certificate(ca, tmp_path)
        assert await config.reload()
        async with asyncio.timeout(connection.REQUEST_SECONDS / 2):
            assert await client.ended() == b""


async def test_plain_http_is_told_that_there_is_tls(tmp_path: Path, ca: trustme.CA) -> None:
    async with serving(config_of(tmp_path)) as served, connected(served) as client:
        client.send(GET)
        status, headers, body = await client.answer()
        assert (status, headers["Connection"]) == (400, "close")
        assert body == b"Client sent an HTTP request to an HTTPS server.\n"
        assert await client.ended() == b""


async def test_a_client_cannot_have_the_keys_made_anew(tmp_path: Path, ca: trustme.CA) -> None:
    context = config_of(tmp_path).current.ssl_context
    assert context is not None
    assert context.options & ssl.OP_NO_RENEGOTIATION


def shown(client: Client) -> object:
    """The serial number of the server's certificate."""
    return client.writer.get_extra_info("peercert")["serialNumber"]


async def test_tls_can_be_turned_on_and_off_again(tmp_path: Path, ca: trustme.CA) -> None:
    config = config_of(tmp_path)
    text = (tmp_path / "web.yml").read_text()
    (tmp_path / "web.yml").write_text("{}")
    assert await config.reload()
    async with serving(config) as served:
        for now, then, context in (("{}", text, None), (text, "{}", trusting(ca))):
            async with connected(served, context) as client:
                assert await client.get() == 200, now
                (tmp_path / "web.yml").write_text(then)
                assert await config.reload()
                assert await client.ended() == b""
        async with connected(served) as client:
            assert await client.get() == 200


async def test_new_users_end_no_plain_connection(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("{}")
    config = WebConfigFile(path)
    async with serving(config) as served, connected(served) as client:
        assert await client.get() == 200
        known = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
        path.write_text(f"basic_auth_users: {{a: {known}}}")
        assert await config.reload()
        assert await client.get() == 401
