"""TLS over bytes, with a client of the same kind; over real sockets it is in test_server.py."""

import contextlib
import ssl
from pathlib import Path

import pytest
import trustme

from exporter.web import tls
from exporter.web.tls import RECORD, Read, Tls
from tests.web.serving import config_of, trusting


class Client:
    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")

    def shake_hands(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.object.do_handshake()


@pytest.fixture
def both(tmp_path: Path, ca: trustme.CA) -> tuple[Client, Tls]:
    context = config_of(tmp_path).current.ssl_context
    assert context is not None
    return Client(trusting(ca)), Tls(context)


def shake_hands(client: Client, server: Tls, piece: int = 1 << 20) -> None:
    done = False
    while not done:
        client.shake_hands()
        sent = client.outgoing.read()
        for begin in range(0, len(sent), piece):
            server.feed(sent[begin : begin + piece])
            done = server.shake_hands()
        client.incoming.write(server.to_send())


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
def test_what_one_says_the_other_hears_however_it_is_cut(
    both: tuple[Client, Tls], piece: int
) -> None:
    client, server = both
    assert server.untouched
    shake_hands(client, server, piece)
    assert not server.untouched
    said = b"x" * (3 * RECORD)
    client.object.write(said)
    sent = client.outgoing.read()
    heard = b""
    for begin in range(0, len(sent), piece * 100):
        server.feed(sent[begin : begin + piece * 100])
        while isinstance(part := server.read(), bytes):
            assert len(part) <= RECORD
            heard += part
        assert part is Read.LATER
    assert heard == said
    server.write(b"answer")
    client.incoming.write(server.to_send())
    assert client.object.read(100) == b"answer"
    assert server.to_send() == b""


def test_each_side_hears_that_the_other_has_ended(both: tuple[Client, Tls]) -> None:
    client, server = both
    shake_hands(client, server)
    with pytest.raises(ssl.SSLWantReadError):
        client.object.unwrap()
    server.feed(client.outgoing.read())
    assert server.read() is Read.ENDED
    server.end()
    client.incoming.write(server.to_send())
    client.object.unwrap()


def test_only_what_begins_as_tls_is_taken_for_it(both: tuple[Client, Tls]) -> None:
    client, server = both
    client.shake_hands()
    assert Tls.begins(client.outgoing.read())
    assert not Tls.begins(b"GET / HTTP/1.1")
    server.feed(b"\x16\x03\x01\x00\x05hello")
    with pytest.raises(ssl.SSLError):
        server.shake_hands()


def test_who_sends_without_end_and_says_nothing_is_heard_no_longer(
    both: tuple[Client, Tls], monkeypatch: pytest.MonkeyPatch
) -> None:
    # New keys without end would be that; a part of a record stands for them.
    monkeypatch.setattr(tls, "MAX_UNSAID", 1000)
    client, server = both
    shake_hands(client, server)
    for _ in range(3):
        client.object.write(b"x" * 900)
        server.feed(client.outgoing.read())
        assert server.read() == b"x" * 900
        assert server.read() is Read.LATER
    client.object.write(b"x" * 2000)
    sent = client.outgoing.read()
    server.feed(sent[:1000])
    assert server.read() is Read.LATER
    server.feed(sent[1000:1001])
    with pytest.raises(ssl.SSLError, match="says nothing"):
        server.read()
