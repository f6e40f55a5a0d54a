"""The exporter under a real Prometheus: shares by either rule, and through TLS and passwords."""

import contextlib
import json
import socket
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import bcrypt
import pytest
import trustme
from ruamel.yaml import YAML

from exporter.settings import HASHMOD, RENDEZVOUS, ShardBy, share_of
from harness.monitoring import Prometheus
from harness.readme import block
from harness.rules import ROOT, read
from harness.running import Exporter

pytestmark = pytest.mark.slow

Json = dict[str, Any]

FAST: Final = {"scrape_interval": "1s", "scrape_timeout": "1s"}
START_SECONDS = 60


def of_shards() -> Json:
    """The job of docs/fleet.md for exporters that share the targets."""
    heading = "## Several exporters, each with a share"
    text = block("scrape_configs:", after=heading, document="docs/fleet.md")
    (job,) = YAML(typ="safe", pure=True).load(text)["scrape_configs"]
    return dict(job)


def unused_port(*hosts: str) -> int:
    """One that is free on each of them."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.create_server((hosts[0], 0)))
        port = int(first.getsockname()[1])
        for host in hosts[1:]:
            stack.enter_context(socket.create_server((host, port)))
        return port


RELABELLED: Final = (
    {"source_labels": ["__address__"], "target_label": "__param_target"},
    {"source_labels": ["__address__"], "target_label": "instance"},
)
BY_HASHMOD: Final = (
    {
        "source_labels": ["__address__"],
        "action": "hashmod",
        "modulus": 2,
        "target_label": "__tmp_shard",
    },
    {
        "source_labels": ["__tmp_shard"],
        "target_label": "__address__",
        "replacement": "127.0.0.1$1:PORT",
    },
)
"""What Prometheus computes itself, as it was in docs/fleet.md before __meta_url."""


@pytest.mark.parametrize(
    ("by", "relabelled"),
    [(HASHMOD, None), (RENDEZVOUS, None), (HASHMOD, RELABELLED + BY_HASHMOD)],
    ids=["hashmod", "rendezvous", "hashmod by Prometheus"],
)
def test_each_target_is_scraped_from_who_has_it_in_its_share(
    tmp_path: Path, by: ShardBy, relabelled: Sequence[Json] | None
) -> None:
    hosts = ["127.0.0.10", "127.0.0.11"]
    port = unused_port(*hosts)
    names = [f"fax-{number}" for number in range(12)]
    # Nobody is there; that each is scraped from where it is watched is what counts here.
    nobody = {"host": "127.0.0.12", "port": port, "username": "u", "secret_env": "ANY"}
    config = tmp_path / "exporter.yml"
    config.write_text(json.dumps({"targets": dict.fromkeys(names, nobody)}))
    job = of_shards()
    for found, host in zip(job["http_sd_configs"], hosts, strict=True):
        found["url"] = f"http://{host}:{port}/sd"
    if relabelled is not None:
        text = json.dumps(relabelled).replace("PORT", str(port))
        job |= {"metrics_path": "/probe", "relabel_configs": json.loads(text)}
    with contextlib.ExitStack() as stack:
        for index, host in enumerate(hosts):
            stack.enter_context(
                Exporter(
                    f"--config.file={config}",
                    f"--config.shard={index}/2",
                    f"--config.shard-by={by}",
                    f"--web.listen-address={host}:{port}",
                    environment={"ANY": "secret"},
                )
            )
        found_by = {"global": FAST, "scrape_configs": [job]}
        prometheus = stack.enter_context(Prometheus(found_by, tmp_path / "prometheus"))
        prometheus.wait_until(
            lambda p: [t["health"] for t in p.targets()] == ["up"] * len(names),
            START_SECONDS,
            "every target is scraped",
        )
        scraped = {t["labels"]["instance"]: t["scrapeUrl"] for t in prometheus.targets()}
    assert scraped == {
        name: f"http://{hosts[share_of(name, 2, by).index]}:{port}/probe?target={name}"
        for name in names
    }


class _Lists(BaseHTTPRequestHandler):
    """A proxy with exporters at paths of it; of a path that ends in /sd it knows one target."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.removesuffix("/sd").rpartition("/")[2]
        text = json.dumps([{"targets": [name]}]) if path.endswith("/sd") else ""
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if text else "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_exporters_behind_paths_of_a_proxy_are_asked_there(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Lists) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            address = f"127.0.0.1:{proxy.server_port}"
            job, paths = of_shards(), ("/fax/berlin", "/paris")
            for found, path in zip(job["http_sd_configs"], paths, strict=True):
                found["url"] = f"http://{address}{path}/sd"
            config = {"global": FAST, "scrape_configs": [job]}
            with Prometheus(config, tmp_path / "prometheus") as prometheus:
                prometheus.wait_until(
                    lambda p: [t["health"] for t in p.targets()] == ["up"] * 2,
                    START_SECONDS,
                    "both are scraped",
                )
                scraped = {t["labels"]["instance"]: t["scrapeUrl"] for t in prometheus.targets()}
        finally:
            proxy.shutdown()
            thread.join()
    assert scraped == {
        "berlin": f"http://{address}/fax/berlin/probe?target=berlin",
        "paris": f"http://{address}/paris/probe?target=paris",
    }


def test_prometheus_scrapes_through_tls_a_client_certificate_and_a_password(
    tmp_path: Path,
) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "exporter-ca.pem")
    theirs.cert_pem.write_to_path(tmp_path / "prometheus-ca.pem")
    server, client = ours.issue_cert("127.0.0.1"), theirs.issue_cert("prometheus.example")
    for name, cert in (("server", server), ("client", client)):
        cert.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        (tmp_path / f"{name}.pem").write_bytes(b"".join(p.bytes() for p in cert.cert_chain_pems))
    web = {
        "tls_server_config": {
            "cert_file": "server.pem",
            "key_file": "server.key",
            "client_ca_file": "prometheus-ca.pem",
            "client_auth_type": "RequireAndVerifyClientCert",
            "min_version": "TLS13",
        },
        "basic_auth_users": {"prometheus": bcrypt.hashpw(b"correct", bcrypt.gensalt(5)).decode()},
    }
    (tmp_path / "web.yml").write_text(json.dumps(web))
    with Exporter("--demo", f"--web.config.file={tmp_path / 'web.yml'}") as exporter:
        assert exporter.url.startswith("https://")
        address = exporter.base.removeprefix("https://")
        trusted = {
            "ca_file": str(tmp_path / "exporter-ca.pem"),
            "cert_file": str(tmp_path / "client.pem"),
            "key_file": str(tmp_path / "client.key"),
        }
        password = {"username": "prometheus", "password": "correct"}
        login = {"scheme": "https", "tls_config": trusted, "basic_auth": password}
        jobs = {
            "good": login,
            "no-certificate": login | {"tls_config": {"ca_file": trusted["ca_file"]}},
            "wrong-password": login | {"basic_auth": password | {"password": "wrong"}},
            "no-user": login | {"basic_auth": password | {"username": "nobody"}},
            "plain": {},
        }
        discovery = {"url": f"https://{address}/sd", "tls_config": trusted, "basic_auth": password}
        found = {
            "job_name": "found",
            "http_sd_configs": [discovery],
            "relabel_configs": of_shards()["relabel_configs"],
        }
        config = {
            "global": FAST,
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [address]}]} | how
                for name, how in jobs.items()
            ]
            + [found | login],
        }
        with Prometheus(config, tmp_path / "prometheus") as prometheus:
            prometheus.wait_until(
                lambda p: (
                    len(p.targets()) == len(jobs) + 1
                    and all(t["health"] != "unknown" for t in p.targets())
                    and len(p.query("asterisk_fax_up == 1")) == 2
                ),
                START_SECONDS,
                "every job has been tried",
            )
            said = {t["labels"]["job"]: (t["health"], t["lastError"]) for t in prometheus.targets()}
    assert said["good"] == said["found"] == ("up", "")
    # asyncio hangs up on a handshake that fails, and its alert is not always there before.
    assert any(word in said["no-certificate"][1] for word in ("tls: ", "reset by peer", "EOF"))
    assert "401" in said["wrong-password"][1]
    assert "401" in said["no-user"][1]
    assert {said[job][0] for job in jobs if job != "good"} == {"down"}


def test_the_example_for_shards_has_the_job_of_the_document() -> None:
    example = read(ROOT / "deploy/prometheus/prometheus-shards.yml")["scrape_configs"][0]
    assert json.loads(json.dumps(example).replace(".example:10329", ":10329")) == of_shards()
