"""What clients that mean no good, or know no HTTP, have sent: the inputs that fuzzing begins with.

How an input is made is said at `knock`; what is done with it is in web_bytes.py.
"""

import base64
from typing import Final

NEXT: Final = b"\x00\x00"
"""Stands before the part that is sent again and again."""
USER, PASSWORD = "scraper", "sesame1"
LOGIN: Final = base64.b64encode(f"{USER}:{PASSWORD}".encode())
"""In an Authorization header. No other text means the same, since it needs no padding."""
_GET: Final = b"GET / HTTP/1.1\r\nHost: x\r\n"
_TRICKS: Final = (
    b"//metrics",
    b"/-/healthy/../../metrics",
    b"/-/healthy%2f..%2f..%2fmetrics",
    b"/-/healthy/..;/metrics",
    b"/-/healthy#/metrics",
    b"/-/healthy?/../../metrics",
    b"/./-/healthy/./%2e%2e/%2e%2e/metrics",
    b"/metrics/",
    b"/METRICS",
    b"/metrics%00/-/healthy",
    b"/metrics\x00",
    b"\\metrics",
    b"http://x/metrics",
    b"http://x/-/healthy",
    b"http://u:p@x/-/healthy",
    b"//x/-/healthy",
    b"*",
    b"x:80",
    b"/probe?target=demo",
    b"/probe?target=demo&target=demo",
    b"/probe?target=%ff%00%0d%0aX:%20y",
    b"/?target=%3Cscript%3E",
    b"/?state=failing&name=%3Cscript%3E&sort=-failed&rows=all",
    b"/?state=%00&state=%ff",
    b"/targets/demo",
    b"/targets/%3Cscript%3E",
    b"/targets/..%2f..%2fmetrics",
    b"/targets/%ff%00%0d%0aX:%20y",
    b"/reasons",
    b"/static/../page.py",
    b"/static/%2e%2e%2fpage.py",
    b"/metrics?name[]=up&name[]=",
    b"/" + b"a" * 7000,
    b"/%" + b"%2" * 1000,
    b"/" + bytes(range(0x21, 0xFF)),
    b"/\xd9\xa0\xe2\x80\xae",
)
_HEADERS: Final = (
    b"Expect: \x80",
    b"Expect: 100-continue",
    b"Expect: 100-continue, 100-continue",
    b"Accept: application/openmetrics-text; version=\xff; q=nan, */*;q=-1",
    b"Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0,text/plain;q=1e9",
    b"Accept: " + b"a/b;q=0.1," * 700,
    b"Accept-Encoding: gzip;q=0, deflate, \x00, identity;q=0",
    b"Accept-Encoding: " + b"gzip," * 1000,
    b"Authorization: Basic " + LOGIN,
    b"Authorization: Basic " + LOGIN[:-1],
    b"Authorization: Basic " + LOGIN + b"\r\nAuthorization: Basic eA==",
    b"Authorization: Basic \xff\xfe",
    b"Authorization: Basic Og==",
    b"Authorization: Basic",
    b"Authorization: Bearer " + LOGIN,
    b"Authorization:\r\n Basic " + LOGIN,
    b"Connection: close, keep-alive, upgrade",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: eA==",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ",
    b"Content-Length: -1",
    b"Content-Length: 18446744073709551617",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 5, 5",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Type: \xff; charset=\x80; boundary=",
    b"Content-Encoding: gzip\r\nContent-Length: 3",
    b"Cookie: " + b"a=\xff;" * 1000,
    b"Host: \xff\x80",
    b"Host: a\r\nHost: b",
    b"Origin: http://elsewhere.example",
    b"If-None-Match: *\r\nIf-Modified-Since: \xff",
    b"Range: bytes=0-,-1,9-1",
    b"X-Forwarded-For: \xe2\x80\xae",
    b"Sec-Fetch-Site: cross-site",
    b"X: folded\r\n over\r\n\tlines",
    b"X : a",
    b": a",
    b"no colon",
    b"X: \x00",
    b"X: a\nY: b",
    b"X: a\rY: b",
)
_OTHERS: Final = (
    b"",
    b"\r\n",
    b"\r\n" * 2000,
    b"\x00" * 3000,
    b"GET / HTTP/1.1",
    b"GET /-/healthy\r\n\r\n",
    b"GET /-/healthy HTTP/0.9\r\n\r\n",
    b"GET /-/healthy HTTP/1.0\r\n\r\n",
    b"GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b"GET /-/healthy HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /-/healthy HTTP/1.1\nHost: x\n\n",
    b"GET\t/-/healthy\tHTTP/1.1\r\nHost: x\r\n\r\n",
    b"get /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nHEAD /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01",
    b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    # TLS to a port that has none, other protocols that find it
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 100,
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Action: Login\r\nUsername: u\r\nSecret: s\r\n\r\n",
)
_CHUNKED: Final = b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_FLOODS: Final = (
    (_CHUNKED + b"0\r\n", b"X: " + b"a" * 8000 + b"\r\n"),  # trailers without end
    (_CHUNKED, b"1000\r\n" + b"a" * 0x1000 + b"\r\n"),
    (_CHUNKED, b"1;" + b"a" * 4000 + b"\r\na\r\n"),  # chunk extensions
    (_CHUNKED, b"0" * 4000),
    (_GET, b"X: " + b"a" * 7900 + b"\r\n"),  # a head without end
    (_GET, b"X: a\r\n"),
    (_GET + b"X: ", b"a" * 8000),
    (b"GET /", b"a" * 8000),
    (b"", b"\r\n"),
    (b"", b"a" * 4000),
    (_GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"\x01" * 8000),
    (
        _GET.replace(b" / ", b" /-/healthy ") + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n",
        b"\x01" * 8000,
    ),
    (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x01" * 8000),
    (b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"a" * 8000),
    (b"POST /-/healthy HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", b"a" * 99),
    (b"", b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"),  # pipelined
    (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (b"", b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    (b"", b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
    (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n"),
)


def knock(
    data: bytes,
    *,
    again: bytes = b"",
    piece: int = 0,
    users: bool = False,
    hang_up: bool = False,
    deaf: bool = False,
) -> bytes:
    """An input: `data` as a client sends it, then `again` again and again.

    `piece`: bytes, up to 255, that are sent at once, 0 is all. `users`: the exporter has some.
    `hang_up`: the client ends the connection at once after its last byte. `deaf`: it reads nothing.
    """
    flags = users | hang_up << 1 | bool(again) << 2 | deaf << 3
    return bytes((flags, piece)) + data + (NEXT + again if again else b"")


def seeds() -> dict[str, bytes]:
    """Inputs by what is in them."""
    found = {}
    for trick in _TRICKS:
        request = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % trick
        found[f"path {trick[:30]!r}"] = knock(request)
        found[f"path {trick[:30]!r} of a stranger"] = knock(request, users=True)
    for header in _HEADERS:
        for start in (b"GET /-/healthy", b"GET /metrics", b"POST /-/reload"):
            text = b"%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (start, header)
            users = b"Authorization" in header
            found[f"{start.decode()} {header[:30]!r}"] = knock(text, users=users)
    for other in _OTHERS:
        found[f"{other[:30]!r}"] = knock(other)
        found[f"{other[:30]!r} in pieces"] = knock(other, piece=7, users=True, hang_up=True)
    for begin, again in _FLOODS:
        name = f"flood {(begin + again).partition(b' HTTP')[0][:20]!r} {again[:10]!r}"
        found[f"{name} after {len(begin)}"] = knock(begin, again=again)
        found[f"{name} after {len(begin)}, nothing read"] = knock(begin, again=again, deaf=True)
    return found
