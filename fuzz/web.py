"""Coverage-guided fuzzing of what the exporter takes from HTTP clients; see harness/web_bytes.py.

    make fuzz FUZZ_SECONDS=3600
    .venv/bin/python -m fuzz.web build/fuzz/web/crash-...   # one input again

Arguments are libFuzzer's; inputs are as `knock` of harness/web_seeds.py makes them.
"""

import atheris

from fuzz.libfuzzer import fuzz

with atheris.instrument_imports(
    include=["aiohttp", "exporter", "multidict", "yarl"],
    exclude=[
        "exporter.ami",
        "exporter.fax",
        "exporter.ledger",
        "exporter.log",
        "exporter.settings",
    ],
):
    from harness.web_bytes import offer
    from harness.web_seeds import LOGIN, NEXT, seeds

WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    NEXT,
    b" HTTP/1.0\r\n",
    b" HTTP/1.1\r\n",
    b"/-/healthy",
    b"/-/ready",
    b"/-/reload",
    b"/api/v1/sessions",
    b"/api/v1/targets",
    b"/metrics",
    b"/probe?target=demo",
    b"/sd",
    b"/static/page.css",
    b"0\r\n\r\n",
    b"100-continue",
    b"Accept: ",
    b"Accept-Encoding: gzip",
    b"Authorization: Basic " + LOGIN,
    b"CONNECT ",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Expect: ",
    b"GET ",
    b"HEAD ",
    b"Host: x\r\n",
    b"OPTIONS ",
    b"Origin: http://x\r\n",
    b"POST ",
    b"Transfer-Encoding: chunked\r\n",
    b"Upgrade: h2c\r\n",
    b"Upgrade: websocket\r\n",
)


def main() -> None:
    """Runs libFuzzer, which ends the process; its status is 0 if nothing was found."""
    fuzz("web", offer, seeds().values(), WORDS)


if __name__ == "__main__":
    main()
