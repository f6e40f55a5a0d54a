"""The exporter under a real Prometheus: shares by hashmod, and through TLS and passwords."""

import contextlib
import json
import socket
from pathlib import Path

import bcrypt
import pytest
import trustme

from exporter.settings import share_of
from harness.monitoring import Prometheus
from harness.readme import block
from harness.running import Exporter

pytestmark = pytest.mark.slow

GLOBAL = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
START_SECONDS = 60


def unused_port(*hosts: str) -> int:
    """One that is free on each of them."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.create_server((hosts[0], 0)))
        port = int(first.getsockname()[1])
        for host in hosts[1:]:
            stack.enter_context(socket.create_server((host, port)))
        return port


def test_exporters_share_the_targets_as_hashmod_deals_them(tmp_path: Path) -> None:
    hosts = ["127.0.0.10", "127.0.0.11"]
    port = unused_port(*hosts)
    names = [f"fax-{number}" for number in range(12)]
    # Nobody is there; that each is scraped from where it is watched is what counts here.
    nobody = {"host": "127.0.0.12", "port": port, "username": "u", "secret_env": "ANY"}
    config = tmp_path / "exporter.yml"
    config.write_text(json.dumps({"targets": dict.fromkeys(names, nobody)}))
    heading = "## More than one machine can watch"
    job = block("scrape_configs:", after=heading, document="docs/fleet.md")
    for index, host in enumerate(hosts):
        job = job.replace(f"http://exporter-{index}:10329", f"http://{host}:{port}")
    job = job.replace("exporter-$1:10329", f"127.0.0.1$1:{port}")
    with contextlib.ExitStack() as stack:
        for index, host in enumerate(hosts):
            stack.enter_context(
                Exporter(
                    f"--config.file={config}",
                    f"--config.shard={index}/2",
                    f"--web.listen-address={host}:{port}",
                    environment={"ANY": "secret"},
                )
            )
        prometheus = stack.enter_context(Prometheus(GLOBAL + job, tmp_path / "prometheus"))
        prometheus.wait_until(
            lambda p: [t["health"] for t in p.targets()] == ["up"] * len(names),
            START_SECONDS,
            "every target is scraped",
        )
        scraped = {t["labels"]["instance"]: t["scrapeUrl"] for t in prometheus.targets()}
    assert scraped == {
        name: f"http://{hosts[share_of(name, 2).index]}:{port}/probe?target={name}"
        for name in names
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
            "metrics_path": "/probe",
            "http_sd_configs": [discovery],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"target_label": "__address__", "replacement": address},
            ],
        }
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
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
