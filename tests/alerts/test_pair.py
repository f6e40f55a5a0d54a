"""Two exporters on one PBX, and a real Prometheus with the shipped example and rules: whatever goes
wrong is told once, and no figure is the sum of both."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from exporter.demo import DemoPbx
from harness.monitoring import Prometheus
from harness.rules import FOLDER, RULES, read, shortened
from harness.running import Exporter

pytestmark = pytest.mark.slow

FACTOR: Final = 60
"""A minute of the rules passes in a second."""
SECONDS: Final = 90
FAXES: Final = 3


def configuration(exporters: dict[str, Exporter]) -> dict[str, Any]:
    """The shipped example, with everything every second, from where the exporters really are."""
    made: dict[str, Any] = read(FOLDER / "prometheus-pair.yml")
    made["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    del made["alerting"]
    (job,) = made["scrape_configs"]
    assert [one["labels"]["replica"] for one in job["static_configs"]] == list(exporters)
    for one in job["static_configs"]:
        one["targets"] = [exporters[one["labels"]["replica"]].url.split("/")[2]]
    return made


def firing(prometheus: Prometheus) -> list[dict[str, str]]:
    """The labels of the alerts that fire."""
    return [one["labels"] for one in prometheus.alerts() if one["state"] == "firing"]


async def test_two_exporters_of_one_pbx_raise_each_alert_once(tmp_path: Path) -> None:
    pbx = DemoPbx()
    await pbx.start()
    (tmp_path / RULES.name).write_text(shortened(RULES.read_text(), FACTOR))
    try:
        with ExitStack() as running:
            # They read what they are answered only while this loop runs.
            exporters = {
                replica: running.enter_context(
                    Exporter.watching(
                        pbx.host, pbx.port, pbx.username, pbx.secret, "--poll.interval=200ms"
                    )
                )
                for replica in "ab"
            }
            prometheus = running.enter_context(Prometheus(configuration(exporters), tmp_path))

            async def until(expression: str, values: list[float]) -> None:
                def there(prometheus: Prometheus) -> bool:
                    return [one.value for one in prometheus.query(expression)] == values

                await asyncio.to_thread(prometheus.wait_until, there, SECONDS, expression)

            async def until_firing(*expected: dict[str, str]) -> None:
                def there(prometheus: Prometheus) -> bool:
                    return sorted(map(str, firing(prometheus))) == sorted(map(str, wanted))

                own = {"job": "asterisk-fax", "instance": "fax-berlin", "rules": "asterisk-fax"}
                wanted = [dict(sorted((own | one).items())) for one in expected]
                await asyncio.to_thread(prometheus.wait_until, there, SECONDS, str(wanted))

            await until("sum(asterisk_fax_up)", [2])
            sessions = [pbx.begin("send", f"PJSIP/a-{number}") for number in range(FAXES)]
            await until("sum(asterisk_fax_current_sessions)", [2 * FAXES])
            await until("pbx:asterisk_fax_sessions:sum", [FAXES])
            for session in sessions:
                pbx.end(session)
            await until("sum(asterisk_fax_finished_total{operation='send'})", [2 * FAXES])
            # What increase() extrapolates is less than half of it.
            await until("round(pbx:asterisk_fax_finished:increase1h / 3)", [1])

            pbx.refuse_connections()
            pbx.drop_connections()
            await until_firing({"alertname": "AsteriskFaxPbxUnreachable", "severity": "critical"})
            pbx.accept_connections()
            await until_firing()

            exporters["b"].stop()
            down = {"alertname": "AsteriskFaxReplicaDown", "severity": "warning", "replica": "b"}
            await until_firing(down)
            pbx.begin("send", "PJSIP/a-9")
            await until("pbx:asterisk_fax_sessions:sum", [1])

            exporters["a"].stop()
            await until_firing({"alertname": "AsteriskFaxExporterDown", "severity": "critical"})
    finally:
        await pbx.stop()
