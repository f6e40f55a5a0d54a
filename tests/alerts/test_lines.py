"""The figures in the texts of the alerts on lines and restarts are those of the faxes."""

import re
from random import Random

import pytest

from harness.firing import play
from harness.traffic import DAY, HOUR, MINUTE, AsteriskStops, Mix, Pbx, every, noisy

pytestmark = pytest.mark.usefixtures("promtool")


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.slow
def test_bad_lines_are_told_with_the_lines_pages_and_faxes_of_day_and_hour() -> None:
    random = Random(1)
    now = 3 * DAY
    faxes = [
        fax
        for time in every(5 * MINUTE, 0, now)
        for fax in Mix(ecm=0, bad_lines=noisy(0.4 if time < now - 16 * HOUR else 30)).at(
            random, [time]
        )
    ]
    alert = "AsteriskFaxBadLinesRising"
    timeline = play([Pbx(faxes)], now, step=300, only=[alert], texts=[(alert, now)])
    (said,) = timeline.said[alert, float(now)]
    assert said.annotations["summary"] == "Faxes received at fax-berlin have many bad lines"
    # What is counted is counted at the scrape after it; the day's hours end at a full hour.
    day = [fax for fax in faxes if now - DAY < fax.end <= now]
    hour = [fax for fax in day if now - HOUR < fax.end]
    lines, pages, lines_hour, pages_hour, _, ended, bad = numbers(said.annotations["description"])
    assert lines == pytest.approx(sum(fax.bad_lines for fax in day), rel=0.02)
    assert pages == pytest.approx(sum(fax.pages for fax in day), abs=4)
    assert lines_hour == pytest.approx(sum(fax.bad_lines for fax in hour), rel=0.2)
    assert pages_hour == pytest.approx(sum(fax.pages for fax in hour), abs=3)
    assert ended == len(day)
    assert bad == pytest.approx(sum(fax.bad_lines > 10 for fax in day), abs=1)


def test_restarts_are_told_with_how_many_there_were_and_the_faxes_that_they_dropped() -> None:
    crashes = [2 * HOUR + number * 20 * MINUTE for number in range(5)]
    now = 4 * HOUR
    # One page: 42 to 102 seconds from the begin to the end, every 45 seconds.
    faxes = Mix(pages=1, page_seconds=60).at(Random(1), every(45, 0, now))
    stops = [AsteriskStops(at, 20) for at in crashes]
    dropped = sum(fax.begin < at < fax.end for fax in faxes for at in crashes)
    assert dropped > 3
    alert = "AsteriskFaxAsteriskRestarts"
    timeline = play([Pbx(faxes, events=stops)], now, only=[alert], texts=[(alert, now - 60)])
    (said,) = timeline.said[alert, now - 60.0]
    assert said.annotations["description"] == (
        f"It was started 5 times in the past two hours, 5 times in the past day. {dropped} faxes "
        "of the past two hours ended without a result."
    )
