"""The demo PBX over TLS, which it reads through as small a buffer as Asterisk does."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from exporter.demo import DemoPbx
from exporter.demo.tls import BUFFER
from harness.ami_client import Client, values

CA = trustme.CA()


@pytest.fixture
async def pbx() -> AsyncIterator[DemoPbx]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1").configure_cert(context)
    pbx = DemoPbx()
    await pbx.start(ssl=context)
    yield pbx
    await pbx.stop()


@pytest.fixture
def trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


async def test_it_speaks_tls_and_survives_who_does_not(pbx: DemoPbx, trust: ssl.SSLContext) -> None:
    async with Client(*await asyncio.open_connection(pbx.host, pbx.port)) as plain:
        plain.say("Ping")
        assert await plain.has_ended()
    async with await Client.connect(pbx, ssl=trust) as client:
        assert values(await client.ask("Ping"))["Ping"] == "Pong"
        pbx.drop_connections()
        assert await client.has_ended()


async def test_a_line_that_does_not_fit_into_the_buffer_ends_the_connection(
    pbx: DemoPbx, trust: ssl.SSLContext
) -> None:
    async with await Client.connect(pbx, ssl=trust) as client:
        client.writer.write(b"x" * (BUFFER - 1) + b"\n")
        assert values(await client.ask("Ping"))["Ping"] == "Pong"
        client.writer.write(b"x" * BUFFER)
        assert await client.has_ended()
