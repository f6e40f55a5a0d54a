"""What costs the most to make, asked for as fast as it is answered."""

import itertools

from tests.trials.siege.attacking import Flood, Wire

_ACCEPTS = (
    "*/*",
    "text/plain;version=0.0.4;q=0.5",
    "application/openmetrics-text;version=1.0.0",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=dots;q=0.{}",
)
_ENCODINGS = ("identity", "gzip", "gzip;q=0", "deflate, gzip;q=1.0")


class _Asking(Flood):
    point = "rendering"
    connections = 400

    def request(self, number: int) -> str:
        raise NotImplementedError

    async def client(self, number: int, wire: Wire) -> None:
        for each in itertools.count():
            await wire.send(self.request(each).encode())
            await wire.answer()


class Page(_Asking):
    name = "GET /"

    def request(self, number: int) -> str:
        return "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Api(_Asking):
    name = "GET /api/v1/targets and sessions"
    for_node_exporter = False

    def request(self, number: int) -> str:
        path = "targets" if number % 2 else "sessions"
        return f"GET /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Formats(_Asking):
    name = "GET /metrics in changing formats and encodings"

    def request(self, number: int) -> str:
        accept = _ACCEPTS[number % len(_ACCEPTS)].format(number)
        encoding = _ENCODINGS[number % len(_ENCODINGS)]
        return (
            f"GET {self.victim.metrics} HTTP/1.1\r\nHost: localhost\r\n"
            f"Accept: {accept}\r\nAccept-Encoding: {encoding}\r\n\r\n"
        )


class Probes(_Asking):
    name = "GET /probe of a PBX with 3000 peers"
    setup = "peers"
    for_node_exporter = False

    def request(self, number: int) -> str:
        return "GET /probe?target=pbx HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Handshakes(Flood):
    name, point = "TLS handshakes against a key of RSA-4096", "rendering"
    setup = "tls"
    connections = 100

    async def client(self, number: int, wire: Wire) -> None:
        return
