"""A line that goes silent: weeks of a simulated PBX stand in a real Prometheus, and a real Asterisk
goes on from there, without a fax and then with one."""

import re
import time
from pathlib import Path
from random import Random
from typing import Final

from alerts.thresholds import MISSED
from harness.history import RETENTION, lived_through
from harness.rules import RULES, hastened
from harness.running import Exporter
from harness.traffic import DAY, HOUR, WEEK, Fax, Mix, Pbx, but, office, poisson
from tests.pbx.alerting import INSTANCE, JOB, Scraped, alerting, firing, over
from tests.pbx.asterisk import Asterisk

SILENT: Final = "AsteriskFaxSilent"
OTHER: Final = "fax-hamburg"
A_DAY: Final = 300
"""Faxes on a working day."""
END: Final = 20 * DAY + 12 * HOUR
"""A Wednesday at noon, whatever the real time is, seconds."""
DEAD: Final = 18 * DAY
"""The Monday before it: two and a half days."""
FACTOR: Final = 30
"""By which alerts wait shorter."""
FAX_SECONDS: Final = 120
NOTICED_SECONDS: Final = 60


def faxes(seed: int, dead: float = END) -> list[Fax]:
    """Those received from the first day on, and none from `dead` on, seconds."""
    random = Random(seed)
    curve = but(office, (dead, END))
    return Mix().at(random, poisson(random, A_DAY, 0, END, curve))


def ended(received: list[Fax], since: float, until: float) -> int:
    """How many."""
    return sum(since < fax.end <= until for fax in received)


def seconds(text: str) -> int:
    """`2d 18h 3m 10s`."""
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([dhms])", text))


def test_two_and_a_half_days_without_a_fax_are_told_and_a_real_fax_ends_it(
    one_page: Path, tmp_path: Path
) -> None:
    silent, busy = faxes(1, DEAD), faxes(2)
    world = [
        Pbx(those, labels={"job": JOB, "instance": instance})
        for instance, those in ((INSTANCE, silent), (OTHER, busy))
    ]
    end = lived_through(world, END, tmp_path / "prometheus", alerts=[SILENT], pace=1800)
    last = max(fax.end for fax in silent)
    before = [ended(silent, DEAD - weeks * WEEK, END - weeks * WEEK) for weeks in (1, 2)]
    assert min(before) > MISSED.value

    def true(text: str) -> bool:
        told = re.search(r"has ended for ([^;]*); in the same hours .* at least (\d+)\.", text)
        assert told is not None, text
        off = seconds(told[1]) - (END - last + time.time() - end)
        return abs(off) < 300 and int(told[2]) <= min(before)

    with (
        Asterisk("sid") as asterisk,
        Exporter.watching(
            asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret
        ) as exporter,
        alerting(
            hastened(RULES.read_text(), FACTOR),
            [Scraped(exporter), Scraped(exporter, instance=OTHER)],
            tmp_path,
            RETENTION,
        ) as chain,
    ):
        one = {"instance": INSTANCE, "operation": "receive"}
        chain.webhook.wait_for(firing(SILENT, true, **one), NOTICED_SECONDS)
        asterisk.send_fax(one_page)
        asterisk.driver.wait_for_count(1, "ReceiveFAX", timeout=FAX_SECONDS)
        chain.webhook.wait_for(over(SILENT, **one), NOTICED_SECONDS)
        told = [(one.name, one.labels.get("instance")) for one in chain.webhook.notified]
        assert set(told) == {(SILENT, INSTANCE)}
