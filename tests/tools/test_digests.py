"""The digests of compose.yml's images, from a registry on this machine that asks for a token as
public ones do."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tools.digests import DigestFailed, Image, digest, images, main, renewed, url_of

OCI: Final = "application/vnd.oci.image.index.v1+json"
OLD: Final = "0" * 64


def index(*machines: str, **more: Any) -> bytes:
    manifests = [
        {"digest": f"sha256:{OLD}", "platform": {"os": m[0], "architecture": m[1]}}
        for m in (machine.split("/") for machine in machines)
    ]
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI, "manifests": manifests} | more
    ).encode()


BOTH: Final = index("linux/amd64", "unknown/unknown", "linux/arm64/v8")


class Registry(ThreadingHTTPServer):
    """Manifests by name and tag; `asked` are the paths, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        self.wants_token = True
        self.host = f"127.0.0.1:{self.server_port}"

    def reference(self, name: str, tag: str) -> str:
        return f"{self.host}/{name}:{tag}@sha256:{OLD}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path, _, query = self.path.partition("?")
        if path == "/token":
            self.answer(200, json.dumps({"token": f"for {query}"}).encode())
            return
        _, _, name = path.partition("/v2/")
        name, _, tag = name.partition("/manifests/")
        token = f"Bearer for service=here&scope=repository%3A{name.replace('/', '%2F')}%3Apull"
        if self.server.wants_token and self.headers["Authorization"] != token:
            realm = f'realm="http://{self.server.host}/token",service="here"'
            scope = f'scope="repository:{name}:pull"'
            self.answer(401, b"{}", ("WWW-Authenticate", f"Bearer {realm},{scope}"))
        elif OCI not in self.headers["Accept"] or (name, tag) not in self.server.manifests:
            self.answer(404, b"{}")
        else:
            self.answer(200, self.server.manifests[name, tag])

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize("wants_token", [True, False])
def test_a_digest_is_that_of_the_index_for_all_machines(
    registry: Registry, wants_token: bool
) -> None:
    registry.wants_token = wants_token
    registry.manifests["prom/prometheus", "v3"] = BOTH
    assert digest(Image(registry.host, "prom/prometheus", "v3")) == sha256(BOTH)


def test_a_file_gets_the_digests_of_its_tags_or_of_those_that_are_given(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = index("linux/amd64", "linux/arm64", annotations={"of": "v4"})
    registry.manifests = {
        ("prom/prometheus", "v3"): b"not asked for",
        ("prom/prometheus", "v4"): newer,
        ("library/python", "3.13-slim"): BOTH,
    }
    file = tmp_path / "compose.yml"
    python = registry.reference("library/python", "3.13-slim")
    prometheus = registry.reference("prom/prometheus", "v3")
    file.write_text(f"a: {{PYTHON_IMAGE: {python}}}\nimage: {prometheus}\nimage: ours:0.1.0\n")
    assert main(["prometheus=v4"], file) == 0
    expected = (
        f"a: {{PYTHON_IMAGE: {registry.host}/library/python:3.13-slim@{sha256(BOTH)}}}\n"
        f"image: {registry.host}/prom/prometheus:v4@{sha256(newer)}\nimage: ours:0.1.0\n"
    )
    assert file.read_text() == expected
    assert f"was {prometheus}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "answers 404"),
        (b"<html>", "no index of images"),
        (b"[]", "no index of images"),
        (b'{"manifests": [1]}', "no index of images"),
        (b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}', "no index of images"),
        (index("linux/amd64"), "there for linux/amd64; it has to be for linux/amd64 and linux/ar"),
        (index("linux/amd64", "linux/arm64", mediaType="text/html"), "take another tag"),
        (b" " * 5_000_000, "more than 4194304 bytes"),
    ],
)
def test_what_is_no_such_index_leaves_the_file_as_it_is(
    registry: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    body: bytes | None,
    said: str,
) -> None:
    registry.manifests["library/python", "3.13"] = BOTH
    if body is not None:
        registry.manifests["grafana/grafana", "12"] = body
    file = tmp_path / "compose.yml"
    references = (
        registry.reference("library/python", "3.13"),
        registry.reference("grafana/grafana", "12"),
    )
    file.write_text("\n".join(references))
    assert main([], file) == 1
    assert said in (told := capsys.readouterr().err)
    assert f"{registry.host}/grafana/grafana:12: " in told
    assert file.read_text() == "\n".join(references)


def test_a_name_that_is_not_there_is_refused_before_anything_is_asked(registry: Registry) -> None:
    text = registry.reference("prom/prometheus", "v3")
    with pytest.raises(DigestFailed, match="there is no grafana; there is prometheus"):
        renewed(text, {"grafana": "12"})
    assert registry.asked == []


def test_a_registry_that_is_not_there_is_named_with_what_came_back() -> None:
    # A port that nothing listens on: it was free a moment ago.
    with Registry() as gone:
        host = gone.host
    with pytest.raises(
        DigestFailed, match=f"{host}/a/b:c: http://{host}/v2/a/b/manifests/c cannot"
    ):
        digest(Image(host, "a/b", "c"))


def test_the_hub_is_asked_where_its_api_is_and_over_tls() -> None:
    url = url_of(Image("docker.io", "prom/prometheus", "v3.5.0"))
    assert url == "https://registry-1.docker.io/v2/prom/prometheus/manifests/v3.5.0"


def test_the_images_of_a_text_are_those_with_a_digest() -> None:
    text = f"image: docker.io/prom/prometheus:v3.5.0@sha256:{OLD}\nimage: docker.io/a/b:1.0.0\n"
    assert images(text) == {"prometheus": Image("docker.io", "prom/prometheus", "v3.5.0")}
