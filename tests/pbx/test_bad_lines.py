"""A line that turns bad: good weeks of a simulated PBX stand in a real Prometheus, and the faxes of
a real Asterisk that go on from there are damaged. The alert's figures are those of their TIFFs."""

import re
import time
from pathlib import Path
from random import Random
from typing import Final

from alerts.windows import ENOUGH
from harness.history import RETENTION, lived_through
from harness.rules import RULES, shortened
from harness.running import Exporter
from harness.traffic import DAY, WEEK, Fax, Mix, Pbx, noisy, poisson, round_the_clock
from tests.pbx import panels
from tests.pbx.alerting import INSTANCE, JOB, Scraped, alerting, firing
from tests.pbx.asterisk import Asterisk, bad_fax_lines, make_tiff

BAD_LINES: Final = "AsteriskFaxBadLinesRising"
FACTOR: Final = 30
HOUR: Final = 3600 / FACTOR
"""Seconds that the rules take for an hour."""
WEEKS: Final = 3
A_DAY: Final = 100
USUAL: Final = 0.2
"""Bad lines a page."""
FAXES: Final = ENOUGH // 2 + 1
"""At once. Twice as many are more than the fewest that are evidence in an hour."""
FAX_SECONDS: Final = 120


def good_weeks() -> list[Fax]:
    """Faxes without ECM, of which a page now and then has a bad line."""
    random = Random(1)
    mix = Mix(ecm=0, bad_lines=noisy(USUAL))
    return mix.at(random, poisson(random, A_DAY, 0, WEEKS * WEEK, round_the_clock))


def near(figure: str, truth: float) -> bool:
    """Whether a figure is the truth as Prometheus can know it: increase() extrapolates from the
    scrapes within a range to the whole of it, here by 2 % at most."""
    return abs(float(figure) - truth) <= 0.5 + 0.02 * truth


def test_a_line_that_turns_bad_is_told_with_the_bad_lines_that_the_receiver_wrote(
    tmp_path: Path,
) -> None:
    page = make_tiff(tmp_path / "one.tif", 1)
    before = good_weeks()
    lived_through(
        [Pbx(before, labels={"job": JOB, "instance": INSTANCE})],
        WEEKS * WEEK,
        tmp_path / "prometheus",
        alerts=[BAD_LINES],
        pace=3600,
        factor=FACTOR,
    )
    with (
        Asterisk("sid") as asterisk,
        asterisk.sampler() as sampler,
        Exporter.watching(
            asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret
        ) as exporter,
        alerting(
            shortened(RULES.read_text(), FACTOR), [Scraped(exporter)], tmp_path, RETENTION
        ) as chain,
    ):
        with asterisk.noise():
            for ended in (FAXES, 2 * FAXES):
                for _ in range(FAXES):
                    asterisk.send_fax(page)
                asterisk.driver.wait_for_count(ended, "ReceiveFAX", timeout=FAX_SECONDS)
        marks = [bad_fax_lines(path) for path in asterisk.received()]
        lines, pages = sum(map(sum, marks)), sum(map(len, marks))
        assert lines == sampler.bad_lines
        assert lines > pages
        usual = {
            sum(fax.bad_lines for fax in before if start <= fax.end < start + WEEK)
            / sum(fax.pages for fax in before if start <= fax.end < start + WEEK)
            for start in (number * DAY for number in range(7 * WEEKS - 6))
        }

        def of_the_hour(text: str) -> bool:
            told = re.search(r" (\d+) on (\d+) in the past hour; ([\d.]+) a page are usual\.", text)
            assert told is not None, text
            return (
                near(told[1], lines)
                and near(told[2], pages)
                and min(usual) - 0.05 <= float(told[3]) <= max(usual) + 0.05
            )

        chain.webhook.wait_for(firing(BAD_LINES, of_the_hour, instance=INSTANCE), HOUR)
        assert {(one.name, one.labels["instance"]) for one in chain.webhook.notified} == {
            (BAD_LINES, INSTANCE)
        }
        empty = panels.empty(chain.prometheus, chain.start, time.time())
    assert not {name for name in empty if name.startswith("line-quality: Bad lines")}
