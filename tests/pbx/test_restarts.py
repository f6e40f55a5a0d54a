"""An Asterisk that crashes again and again, and drops what it was at: who is told, and what."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from alerts.thresholds import RESTARTS
from harness.exposition import Scrape
from harness.rules import RULES, shortened
from harness.running import Exporter
from tests.pbx.alerting import INSTANCE, Scraped, alerting, firing
from tests.pbx.asterisk import Asterisk
from tests.pbx.conftest import sessions

FACTOR: Final = 20
"""Two hours are six minutes."""
CRASHES: Final = int(RESTARTS.value) + 1
FAXES: Final = 2
"""That run in each crash: twice as many sessions."""
FAX_SECONDS: Final = 120
NOTICED_SECONDS: Final = 60


def seen_again(times: int) -> Callable[[Scrape], bool]:
    """Whether it is up after so many restarts."""
    return lambda now: (now.value("asterisk_restarts_total"), now.value("up")) == (times, 1)


def test_an_asterisk_that_crashes_again_and_again_is_told_with_what_it_dropped(
    three_pages: Path, tmp_path: Path
) -> None:
    restarts = "AsteriskFaxAsteriskRestarts"
    dropped = 0
    with (
        Asterisk("sid") as asterisk,
        Exporter.watching(
            asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret
        ) as exporter,
        alerting(shortened(RULES.read_text(), FACTOR), [Scraped(exporter)], tmp_path) as chain,
    ):
        for crash in range(1, CRASHES + 1):
            assert restarts not in chain.names("critical")
            for _ in range(FAXES):
                asterisk.send_fax(three_pages)
            exporter.wait_until(
                lambda now: now.sum("negotiated_sessions") == 2 * FAXES, FAX_SECONDS, "negotiated"
            )
            dropped += len(sessions(asterisk, lambda _: True, count=2 * FAXES))
            asterisk.restart(graceful=False)
            exporter.wait_until(seen_again(crash), FAX_SECONDS, "it is seen again")

        def true(text: str) -> bool:
            told = re.search(
                r"It was started (\d+) times in the past two hours, (\d+) times in the past day\. "
                r"(\d+) faxes of the past two hours ended without a result\.$",
                text,
            )
            assert told is not None, text
            return [int(one) for one in told.groups()] == [CRASHES, CRASHES, dropped]

        chain.webhook.wait_for(firing(restarts, true, instance=INSTANCE), NOTICED_SECONDS)
