"""Hostile clients: any bytes, of any length, at any pace; `make fuzz` goes on where this ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.web_bytes import Response, offer, parse
from harness.web_seeds import knock, seeds

SEEDS = seeds()
REQUEST_LINES = st.builds(
    b"%s %s HTTP/1.%d\r\n".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b"\xff"]),
        st.sampled_from([b"/", b"/metrics", b"/-/healthy", b"/-/reload", b"*", b"/\xff", b"//x"]),
        st.integers(0, 1),
    ),
)
HEADERS = st.sampled_from(
    [
        b"Host: x\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
    ]
)
PARTS = st.one_of(REQUEST_LINES, HEADERS, st.binary(max_size=20))
SENT = st.lists(PARTS, max_size=12).map(b"".join)


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_what_clients_have_sent_does_no_harm(seed: bytes) -> None:
    offer(seed)


@given(SENT, st.integers(0, 255), st.booleans(), st.booleans())
def test_no_bytes_do_harm(sent: bytes, piece: int, users: bool, hang_up: bool) -> None:
    offer(knock(sent, piece=piece, users=users, hang_up=hang_up))


@given(SENT.filter(lambda again: b"\x00\x00" not in again))
def test_no_bytes_do_harm_however_often_they_are_sent(again: bytes) -> None:
    offer(knock(b"", again=again))


# --- the checks themselves


def test_who_knocks_is_answered() -> None:
    get = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    head = get.replace(b"GET", b"HEAD")
    knocked = offer(knock(get + head + get, piece=3))
    assert [(one.status, one.body) for one in knocked.responses] == [
        (200, b"healthy\n"),
        (200, b""),
        (200, b"healthy\n"),
    ]


def test_a_stranger_gets_401_and_a_user_what_there_is() -> None:
    refused = offer(SEEDS["path b'http://x/metrics' of a stranger"]).responses
    assert [one.status for one in refused] == [401]
    shown = offer(SEEDS["GET /metrics b'Authorization: Basic c2NyYXBlc'"]).responses
    assert [one.status for one in shown] == [200]


def test_what_is_no_http_is_told() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
    assert parse(whole, b"GET") == [Response(200, {"content-length": "2"}, b"ab")]
    assert parse(whole[:-2] * 2, b"HEAD") == [Response(200, {"content-length": "2"}, b"")] * 2
    assert parse(whole[:-1], b"GET") == []
    for wrong in (
        b"\x16\x03" + whole,
        whole + whole[1:],
        whole.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"),
        whole.replace(b"OK\r\n", b"OK\r\nX: \x00\r\n"),
        whole.replace(b"OK\r\n", b"OK\r\nX: a\r\nX: b\r\n"),
    ):
        with pytest.raises(AssertionError):
            parse(wrong, b"GET")
