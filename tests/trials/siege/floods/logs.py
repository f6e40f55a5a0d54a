"""What could be worth a line in the log, many times; and descriptors that run out."""

import itertools
from typing import Final

from tests.trials.siege.attacking import Flood, Wire

_MALFORMED: Final = (
    b"GET /metrics HTTP/1.1\r\nExpect: \x80\r\n\r\n",
    b"GET /%ff%fe?target=%00%1b[31m HTTP/1.1\r\nHost: \x00\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n y\r\n\r\n",
    b"GET / HTTP/1.1\r\nAuthorization: Basic \xff\xff\r\nCookie: \x01=\x02\r\nHost: x\r\n\r\n",
    b"\xff" * 100 + b" / HTTP/1.1\r\n\r\n",
    b"CONNECT : HTTP/1.1\r\n\r\n",
    b"GET /probe?target=%0a%0dlevel=error HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


class Expectations(Flood):
    name, point = "Expect: \\x80", "logs"
    connections = 50

    async def client(self, number: int, wire: Wire) -> None:
        while True:
            await wire.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nExpect: \x80\r\n\r\n")
            await wire.answer()


class Malformed(Flood):
    name, point = "requests malformed in a dozen ways", "logs"

    async def client(self, number: int, wire: Wire) -> None:
        for each in itertools.count(number):
            await wire.send(_MALFORMED[each % len(_MALFORMED)])
            await wire.receive()


class FewDescriptors(Flood):
    name, point = "idle connections under `ulimit -n 40`, the PBX's is cut", "logs"
    setup = "descriptors"
    cuts_ami = True
    connections = 100

    async def client(self, number: int, wire: Wire) -> None:
        await wire.receive()
