"""The whole way of an alert: bad faxes of a real Asterisk, the exporter, Prometheus with the
shipped rules, Alertmanager, and who is told. Then Prometheus is asked every shipped expression.

Only the waiting times are shorter than what is shipped, see `harness.rules.shortened`.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from harness.monitoring import Alertmanager, Notified, Prometheus, Webhook
from harness.rules import ROOT, RULES, alerts, names, rules, shortened
from harness.running import Exporter
from tests.pbx.asterisk import Asterisk, bad_fax_lines

FACTOR: Final = 20
HOUR: Final = 3600 / FACTOR
"""Seconds that the rules take for an hour."""
FAXES: Final = 6
"""More than the fewest that are evidence to the rules."""
GOOD: Final = FAXES + 1
"""Faxes that succeed, more than half of all."""
FAX_SECONDS: Final = 120
SETTLE_SECONDS: Final = 60
BAD_LINES: Final = "AsteriskFaxBadLinesRising"
FAILURES: Final = "AsteriskFaxFailureRatioHigh"

NOTHING_TO_SHOW: Final = {
    "exporter-health: Failed polls, by reason: asterisk_fax_poll_failures_total",
    "exporter-health: Logins, by PBX: asterisk_fax_connects_total",
    "fax-overview: Pages: asterisk_fax_pages_relayed_total",
    "fax-overview: Restarts of Asterisk, by PBX: asterisk_fax_asterisk_restarts_total",
    "fax-overview: Which PBX needs attention?: asterisk_fax_down_since_timestamp_seconds, "
    "asterisk_fax_up",
    "pbx:asterisk_fax_scrape:absent",
}
"""In a test without a failed poll, a restart and a gateway, where nothing that must be scraped is
named; rules, and panels with what they ask for."""

Predicate = Callable[[Notified], bool]


def watched(asterisk: Asterisk, directory: Path) -> Exporter:
    """The exporter with files that can be read again, so that it has every metric there is."""
    targets = {
        "pbx": {
            "host": asterisk.host,
            "port": asterisk.ami_port,
            "username": asterisk.username,
            "secret_env": "PBX_SECRET",
        }
    }
    (directory / "targets.yml").write_text(json.dumps({"targets": targets}))
    (directory / "web.yml").write_text("{}")
    return Exporter(
        f"--config.file={directory / 'targets.yml'}",
        f"--web.config.file={directory / 'web.yml'}",
        "--metrics.peer-label",
        environment={"PBX_SECRET": asterisk.secret},
    )


def settings_of(alertmanager: Alertmanager, exporter: Exporter) -> dict[str, object]:
    """Prometheus' configuration, with everything every second."""
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [RULES.name],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.address]}]}]},
        "scrape_configs": [
            {
                "job_name": "asterisk-fax",
                "static_configs": [{"targets": [exporter.url.split("/")[2]]}],
            }
        ],
    }


def routes_to(webhook: Webhook) -> dict[str, object]:
    """Alertmanager's configuration: everything at once, and again while it lasts."""
    return {
        "route": {
            "receiver": "webhook",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1s",
        },
        "receivers": [{"name": "webhook", "webhook_configs": [{"url": webhook.url}]}],
    }


def near(figure: str, truth: float) -> bool:
    """Whether a figure is the truth as Prometheus can know it: increase() extrapolates from the
    scrapes within a range to the whole of it, here by 1 % at most."""
    return abs(float(figure) - truth) <= 0.5 + 0.01 * truth


def of_bad_lines(lines: int, pages: int) -> Predicate:
    """Whether it fires with these figures."""

    def fits(alert: Notified) -> bool:
        told = re.match(
            r"(\d+) bad lines on (\d+) pages in the past hour: ([\d.]+) a page, after 0\.0 "
            rf"in the day before \(0\.0 also if no page came\)\. Faxes with bad lines: {GOOD}\.$",
            alert.annotations["description"],
        )
        return (
            (alert.name, alert.status) == (BAD_LINES, "firing")
            and told is not None
            and near(told[1], lines)
            and near(told[2], pages)
            and abs(float(told[3]) - lines / pages) <= 0.1
        )

    return fits


def of_failures(operation: str, failed: int, ended: int) -> Predicate:
    """Whether it fires with these figures."""

    def fits(alert: Notified) -> bool:
        told = re.match(
            rf"call_dropped: ([\d.]+)% of the {ended} faxes \({operation}\) that ended in the past "
            rf"hour\. All that failed: call_dropped {failed}\.$",
            alert.annotations["description"],
        )
        return (
            (alert.name, alert.status) == (FAILURES, "firing")
            and told is not None
            and abs(float(told[1]) - 100 * failed / ended) <= 1
        )

    return fits


def of_the_end(name: str, operation: str | None) -> Predicate:
    """Whether this alert is over."""
    return lambda alert: (
        (alert.name, alert.status, alert.labels.get("operation")) == (name, "resolved", operation)
    )


def panels() -> Iterator[tuple[str, str]]:
    """Every expression of every dashboard: where it stands, and as Grafana would ask it."""

    def expressions(node: Any, title: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, dict):
            title = str(node.get("title", title))
            if isinstance(node.get("expr"), str):
                yield title, node["expr"]
        for child in node.values() if isinstance(node, dict) else node:
            if isinstance(child, dict | list):
                yield from expressions(child, title)

    for path in sorted((ROOT / "grafana/dashboards").glob("*.json")):
        dashboard = json.loads(path.read_text())
        for title, expression in expressions(dashboard, path.stem):
            text = expression.replace("$__rate_interval", "20s").replace("$__range", "10m")
            text = text.replace("$__interval", "16s").replace("$__from", "0")
            named = ", ".join(sorted(names(expression)))
            yield f"{path.stem}: {title}: {named}", re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", text)


def has_data(prometheus: Prometheus, expression: str, start: float, end: float) -> bool:
    """Whether it has a value at any time of the test. Raises ApiError if it is an error."""
    return any(
        not math.isnan(value)
        for series in prometheus.query_range(expression, start, end, 2)
        for _, value in series.points
    )


def test_bad_lines_and_failures_reach_the_receiver_with_true_figures_and_resolve(
    three_pages: Path, tmp_path: Path
) -> None:
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / RULES.name).write_text(shortened(RULES.read_text(), FACTOR))
    with (
        Asterisk("sid") as asterisk,
        asterisk.sampler() as sampler,
        watched(asterisk, tmp_path) as exporter,
        Webhook() as webhook,
        Alertmanager(routes_to(webhook), tmp_path / "alertmanager") as alertmanager,
        Prometheus(settings_of(alertmanager, exporter), tmp_path / "prometheus") as prometheus,
    ):
        polls = "changes(asterisk_fax_last_poll_timestamp_seconds[15s]) > 0"
        prometheus.wait_until(lambda now: bool(now.query(polls)), SETTLE_SECONDS, "two polls")
        start = time.time()

        with asterisk.noise():
            for _ in range(GOOD):
                asterisk.send_fax(three_pages)
            asterisk.driver.wait_for_count(GOOD, "ReceiveFAX", timeout=FAX_SECONDS)
        marks = [bad_fax_lines(path) for path in asterisk.received()]
        lines, pages = sum(map(sum, marks)), sum(map(len, marks))
        assert lines == sampler.bad_lines
        assert lines > pages
        webhook.wait_for(of_bad_lines(lines, pages), HOUR)

        for _ in range(FAXES):
            asterisk.send_fax(three_pages)
        exporter.wait_until(
            lambda now: (
                now.sum("negotiated_sessions", operation="receive", state="Active") == FAXES
            ),
            FAX_SECONDS,
            "all faxes negotiated",
        )
        for entry in asterisk.driver.sessions():
            if entry.get("Operation") == "receive":
                asterisk.hangup(entry.get("Channel"))
        ended = asterisk.driver.wait_for_count(
            2 * (GOOD + FAXES), "SendFAX", "ReceiveFAX", timeout=FAX_SECONDS
        )
        for operation, event in (("send", "SendFAX"), ("receive", "ReceiveFAX")):
            results = [one.variable("FAXSTATUS") for one in ended if one.event == event]
            assert results.count("FAILED") == FAXES
            webhook.wait_for(of_failures(operation, FAXES, len(results)), HOUR)

        for name, operation_of in ((BAD_LINES, None), (FAILURES, "send"), (FAILURES, "receive")):
            webhook.wait_for(of_the_end(name, operation_of), HOUR + SETTLE_SECONDS)
        told = {(alert.name, alert.labels.get("operation")) for alert in webhook.notified}
        assert told == {(BAD_LINES, None), (FAILURES, "send"), (FAILURES, "receive")}

        assert [r for r in prometheus.rules() if r["health"] != "ok"] == []
        end = time.time()
        shipped = [
            (rule.get("alert") or rule["record"], rule["expr"])
            for rule in rules(tmp_path / "prometheus" / RULES.name)
        ]
        shown = list(panels())
        assert shown
        empty = {
            name
            for name, expression in (*shipped, *shown)
            if not has_data(prometheus, expression, start, end)
        }
    assert empty == alerts().keys() - {BAD_LINES, FAILURES} | NOTHING_TO_SHOW
