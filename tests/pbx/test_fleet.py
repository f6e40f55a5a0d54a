"""One exporter, two real Asterisks, and a real Prometheus that finds both as docs/fleet.md says."""

import json
import signal
from pathlib import Path

from harness.monitoring import Prometheus
from harness.readme import block
from harness.running import Exporter
from tests.pbx.asterisk import SUITES, Asterisk, bad_fax_lines
from tests.pbx.test_faxes import FAX_SECONDS


def test_prometheus_finds_two_asterisks_behind_one_exporter(
    tmp_path: Path, three_pages: Path
) -> None:
    with Asterisk(SUITES[0]) as old, Asterisk(SUITES[1]) as new:
        pbxs = {"fax-old": old, "fax-new": new}
        targets = {
            name: {
                "host": pbx.host,
                "port": pbx.ami_port,
                "username": pbx.username,
                "secret_env": "PBX_SECRET",
            }
            for name, pbx in pbxs.items()
        }
        assert old.secret == new.secret
        config = tmp_path / "exporter.yml"
        config.write_text(json.dumps({"targets": targets}))
        environment = {"PBX_SECRET": new.secret}
        with Exporter(f"--config.file={config}", environment=environment) as exporter:
            address = exporter.base.removeprefix("http://")
            job = block("scrape_configs:", after="## Several PBXs", document="docs/fleet.md")
            job = job.replace("exporter.example:10329", address)
            fast = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            found = f"- url: http://{address}/sd"
            assert found in job
            job = job.replace(found, f"- {{url: 'http://{address}/sd', refresh_interval: 1s}}")
            with Prometheus(fast + job, tmp_path / "prometheus") as prometheus:

                def value(name: str, instance: str) -> float:
                    found = prometheus.query(
                        f'sum(asterisk_fax_{name}{{job="asterisk-fax",instance="{instance}"}})'
                    )
                    return found[0].value if found else -1

                prometheus.wait_until(
                    lambda _: all(value("up", name) == 1 for name in pbxs), 60, "both are found"
                )
                old.send_fax(three_pages)
                new.send_fax(three_pages)
                new.send_fax(three_pages)
                prometheus.wait_until(
                    lambda _: (
                        (value("finished_total", "fax-old"), value("finished_total", "fax-new"))
                        == (2, 4)
                        and value("session_pages_count", "fax-new") == 4
                        and value("session_pages_count", "fax-old") == 2
                    ),
                    FAX_SECONDS,
                    "two ends of one fax there, of two faxes here",
                )
                for name, pbx in pbxs.items():
                    in_files = [len(bad_fax_lines(path)) for path in pbx.received()]
                    assert value("pages_received_total", name) == sum(in_files)
                    assert value("pages_transmitted_total", name) == sum(in_files)
                versions = prometheus.query("asterisk_fax_asterisk_info")
                assert {one.labels["instance"]: one.labels["version"] for one in versions} == {
                    name: pbx.version for name, pbx in pbxs.items()
                }
                own = prometheus.query('asterisk_fax_exporter_targets{job="asterisk-fax-exporter"}')
                assert [one.value for one in own] == [2]

                del targets["fax-old"]
                config.write_text(json.dumps({"targets": targets}))
                exporter.process.send_signal(signal.SIGHUP)
                prometheus.wait_until(
                    lambda p: (
                        {t["labels"]["instance"] for t in p.targets()} == {"fax-new", address}
                    ),
                    60,
                    "the one that was removed is gone",
                )
                assert value("up", "fax-new") == 1
                assert value("connects_total", "fax-new") == 1
        assert old.alive
        assert new.alive
