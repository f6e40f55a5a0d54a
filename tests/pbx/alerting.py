"""An exporter's scrapes, Prometheus with the shipped rules, Alertmanager, and who is told."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.monitoring import Alertmanager, Notified, Prometheus, Webhook
from harness.rules import RULES
from harness.running import Exporter

JOB: Final = "asterisk-fax"
INSTANCE: Final = "fax-berlin"
SETTLE_SECONDS: Final = 60

Predicate = Callable[[Notified], bool]


@dataclass(frozen=True)
class Scraped:
    """An exporter, and the labels by which Prometheus tells it from others."""

    exporter: Exporter
    instance: str = INSTANCE
    replica: str = ""


@dataclass(frozen=True)
class Chain:
    """What there is from the scrape to the receiver."""

    prometheus: Prometheus
    webhook: Webhook
    start: float
    """When it was found in order, seconds since the epoch."""

    def told(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        """The alerts that the receiver heard of: names and all labels."""
        return {(one.name, frozenset(one.labels.items())) for one in self.webhook.notified}

    def names(self, severity: str) -> set[str]:
        """Those of a severity."""
        told = self.webhook.notified
        return {one.name for one in told if one.labels["severity"] == severity}


@contextmanager
def alerting(
    rules: str, scraped: Sequence[Scraped], directory: Path, *flags: str
) -> Iterator[Chain]:
    """All of it with this text of rules, and everything every second, while in the `with`.

    `directory` / prometheus is that of the Prometheus; `flags` are for it.
    """
    (directory / "prometheus").mkdir(exist_ok=True)
    (directory / "prometheus" / RULES.name).write_text(rules)
    with (
        Webhook() as webhook,
        Alertmanager(_routes_to(webhook), directory / "alertmanager") as alertmanager,
        Prometheus(
            _settings(alertmanager, scraped), directory / "prometheus", *flags
        ) as prometheus,
    ):
        # A single scrape does not show whether the exporter polls: until the next one the rules say
        # that it does not.
        polled = "changes(asterisk_fax_last_poll_timestamp_seconds[15s]) > 0"
        prometheus.wait_until(
            lambda now: len(now.query(polled)) == len(scraped), SETTLE_SECONDS, "two polls"
        )
        yield Chain(prometheus, webhook, time.time())
        unhealthy = [rule for rule in prometheus.rules() if rule["health"] == "err"]
        assert unhealthy == []


def _settings(alertmanager: Alertmanager, scraped: Sequence[Scraped]) -> dict[str, object]:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [RULES.name],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.address]}]}]},
        "scrape_configs": [
            {
                "job_name": JOB,
                "static_configs": [
                    {
                        "targets": [one.exporter.url.split("/")[2]],
                        "labels": {"instance": one.instance}
                        | ({"replica": one.replica} if one.replica else {}),
                    }
                    for one in scraped
                ],
            }
        ],
    }


def _routes_to(webhook: Webhook) -> dict[str, object]:
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


def firing(name: str, fits: Callable[[str], bool], **labels: str) -> Predicate:
    """Whether it is this alert, with these labels and a description that fits."""
    wanted = labels.items()
    return lambda one: (
        (one.name, one.status) == (name, "firing")
        and wanted <= one.labels.items()
        and fits(one.annotations["description"])
    )


def over(name: str, **labels: str) -> Predicate:
    """Whether this alert has ended."""
    wanted = labels.items()
    return lambda one: (one.name, one.status) == (name, "resolved") and wanted <= one.labels.items()
