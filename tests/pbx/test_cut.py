"""Real faxes seen by two exporters, one of them behind a network that cuts and fragments."""

from pathlib import Path

from harness.apart import apart
from harness.cutting import serve
from harness.exposition import Scrape
from harness.running import Exporter
from tests.pbx.asterisk import Asterisk
from tests.pbx.conftest import Start
from tests.pbx.test_faxes import FAX_SECONDS, SETTLE_SECONDS

CUTS = (1.0, 8.0, 6.0)
"""As CuttingProxy.misbehave takes them."""
AT_ONCE, ROUNDS = 3, 2
COMPLETIONS = 2 * AT_ONCE * ROUNDS
"""Each fax has two ends."""


def told(now: Scrape) -> float:
    return now.sum("finished_total") + now.value("unobserved_completions_total")


def idle(exporter: Exporter) -> Scrape:
    """The scrape once every completion is either heard or known to be unobserved."""
    return exporter.wait_until(
        lambda now: (
            now.value("completed_total") == told(now) == COMPLETIONS
            and now.value("current_sessions") == 0
            and now.sum("sessions_ended_total") == now.sum("sessions_started_total")
        ),
        FAX_SECONDS + SETTLE_SECONDS,
        "every completion is told of",
    )


def test_behind_a_network_that_cuts_every_fax_is_told_of(
    suite: str, watch: Start, one_page: Path
) -> None:
    with Asterisk(suite) as asterisk, apart(serve, asterisk.ami_port, 1, CUTS) as network:
        port = network.recv()
        direct = watch(asterisk)
        user, secret = asterisk.username, asterisk.secret
        with Exporter.watching("127.0.0.1", port, user, secret) as exporter:
            exporter.wait_until(lambda now: now.value("up") == 1, 60, "the first poll")
            for round_ in range(1, ROUNDS + 1):
                for _ in range(AT_ONCE):
                    asterisk.send_fax(one_page)
                asterisk.driver.wait_for_count(
                    2 * AT_ONCE * round_, "SendFAX", "ReceiveFAX", timeout=FAX_SECONDS
                )
            network.send("no more cuts")
            cuts: int = network.recv()
            behind, whole = idle(exporter), idle(direct)
            network.send("which events came through?")
            heard: list[str] = network.recv()
    for name in ("transmit_attempts", "receive_attempts", "completed", "failed"):
        assert behind.value(f"{name}_total") == whole.value(f"{name}_total"), name
    assert whole.value("unobserved_completions_total") == 0
    assert behind.sum("finished_total") == len(heard)
    attempts = COMPLETIONS / 2
    for operation, pages in (("send", "pages_transmitted"), ("receive", "pages_received")):
        assert whole.value("sessions_started_total", operation=operation) == attempts
        assert behind.value("sessions_started_total", operation=operation) <= attempts
        assert behind.sum(f"{pages}_total") <= whole.sum(f"{pages}_total") == attempts
    lost_pages = 2 * attempts - sum(
        behind.sum(f"{pages}_total") for pages in ("pages_transmitted", "pages_received")
    )
    assert lost_pages <= behind.value("unobserved_completions_total")
    print(
        f"{cuts} cuts, {len(heard)} of {COMPLETIONS} events came through, {lost_pages} pages lost"
    )
    assert cuts >= 3
    assert behind.value("connects_total") >= 3
    assert behind.sum("poll_failures_total") >= behind.value("connects_total") - 1
    assert behind.value("asterisk_restarts_total") == 0
    assert whole.value("connects_total") == 1
    assert whole.sum("poll_failures_total") == 0
