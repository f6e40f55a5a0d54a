"""Real Asterisks whose manager interface speaks TLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from exporter.check_pbx import Verdict, text
from harness.exposition import Scrape
from harness.running import Exporter, scraped_meanwhile
from tests.pbx.asterisk import HOST, Asterisk, make_tiff
from tests.pbx.conftest import Start
from tests.pbx.test_check import checked, subjects

FAX_SECONDS = 120
"""No fax of these tests takes as long, on a busy machine either."""


@contextmanager
def speaking_tls(suite: str, ca: trustme.CA) -> Iterator[tuple[Asterisk, int]]:
    """A running Asterisk with a certificate of this CA, and its TLS port."""
    extra = {"manager.conf": "to be said once there are ports"}
    asterisk = Asterisk(suite, extra=extra)
    port = asterisk.http_port - 1
    server = ca.issue_cert(HOST)
    asterisk.fax_dir.mkdir()  # what is in there Asterisk can read
    certificate = asterisk.fax_dir / "ami.pem"
    server.private_key_and_cert_chain_pem.write_to_path(certificate)
    extra["manager.conf"] = "\n".join(
        [
            "[general](+)",
            "tlsenable = yes",
            f"tlsbindaddr = {HOST}:{port}",
            f"tlscertfile = {asterisk.inside(certificate)}",
            f"tlsprivatekey = {asterisk.inside(certificate)}",
            "",
        ]
    )
    with asterisk:
        yield asterisk, port


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca


def refused(asterisk: Asterisk, *flags: str) -> str:
    """What the exporter says of an Asterisk that it cannot connect to."""
    login = (asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret)
    with Exporter.watching(*login, *flags) as exporter:
        now = exporter.wait_until(
            lambda now: now.value("poll_failures_total", reason="connect") >= 1, 20
        )
        assert now.value("up") == 0
        return exporter.wait_for_line("level=warning", 1)


def test_a_fax_is_watched_over_tls(
    suite: str, ca: trustme.CA, watch: Start, tmp_path: Path
) -> None:
    with speaking_tls(suite, ca) as (asterisk, port):
        flags = (f"--ami.port={port}", "--ami.tls", f"--ami.tls-ca-file={tmp_path / 'ca.pem'}")
        exporter = watch(asterisk, *flags)
        asterisk.send_fax(make_tiff(tmp_path / "short.tif", 1, seconds=3))
        now = exporter.wait_until(
            lambda now: now.sum("finished_total") == 2 == now.value("completed_total"), FAX_SECONDS
        )
        assert now.sum("pages_received_total") == 1
        version = {"bullseye": "16.", "sid": "22."}[suite]
        assert f'version="{version}' in now.text
        assert "level=warning" not in exporter.log


def test_many_sessions_are_watched_over_tls(
    suite: str, ca: trustme.CA, watch: Start, tmp_path: Path
) -> None:
    """What 28 sessions are asked by is more than Asterisk reads at once, and of 60 far more."""
    long = make_tiff(tmp_path / "long.tif", 1, seconds=25)
    trusted = tmp_path / "ca.pem"
    seen: list[Scrape] = []
    with speaking_tls(suite, ca) as (asterisk, port):
        flags = (f"--ami.port={port}", "--ami.tls", f"--ami.tls-ca-file={trusted}")
        exporter = watch(asterisk, *flags)
        with scraped_meanwhile(exporter, seen):
            for faxes, sessions in ((14, 28), (16, 60)):
                for _ in range(faxes):
                    asterisk.send_fax(long)
                exporter.wait_until(partial(all_asked, sessions), FAX_SECONDS)
            report = checked(asterisk, port=port, tls=True, tls_ca_file=trusted)
            now = exporter.wait_until(
                lambda now: now.sum("finished_total") == 60 == now.value("completed_total"),
                FAX_SECONDS,
                "60 results",
            )
    assert all(scrape.value("up") == 1 for scrape in seen)
    assert now.sum("poll_failures_total") == 0
    assert now.value("connects_total") == 1
    assert now.sum("sessions_started_total") == now.sum("sessions_ended_total") == 60
    assert now.value("unobserved_completions_total") == 0
    assert now.sum("failures_total") == 0
    assert now.sum("pages_transmitted_total") == now.sum("pages_received_total") == 30
    assert not subjects(report, Verdict.WRONG), text(report)


def all_asked(sessions: int, now: Scrape) -> bool:
    """Whether so many sessions have told what only FAXSession tells."""
    return now.sum("negotiated_sessions") == sessions


def test_what_is_wrong_between_the_two_is_said(suite: str, ca: trustme.CA, tmp_path: Path) -> None:
    trusted, stranger = tmp_path / "ca.pem", tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    with speaking_tls(suite, ca) as (asterisk, port):
        at, tls = f"--ami.port={port}", "--ami.tls"
        said = refused(asterisk, at, tls, f"--ami.tls-ca-file={stranger}")
        assert "unable to get local issuer certificate" in said
        assert "--ami.tls-ca-file" in said
        said = refused(
            asterisk, at, tls, f"--ami.tls-ca-file={trusted}", "--ami.tls-server-name=pbx.example"
        )
        assert "not valid for 'pbx.example'" in said
        said = refused(asterisk, tls, f"--ami.tls-ca-file={trusted}")
        assert "speaks no TLS; is it the port of tlsbindaddr" in said
        said = refused(asterisk, at)
        assert "set --ami.tls" in said
