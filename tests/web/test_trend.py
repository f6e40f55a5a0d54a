"""Faxes hour by hour as a picture, and in words."""

import re

from exporter.web.trend import BAR, HEIGHT, trend


def bars(path: str) -> dict[int, float]:
    """The height of each bar by its place; they stand on the ground and are as wide as all."""
    found = re.findall(r"M(\d+) (\d+)v-([\d.]+)h(\d+)v\3z", path)
    assert path == "".join(f"M{x} {y}v-{high}h{wide}v{high}z" for x, y, high, wide in found)
    assert {(int(y), int(wide)) for _, y, _, wide in found} <= {(HEIGHT, BAR)}
    return {int(x) // (BAR + 1): float(high) for x, _, high, _ in found}


def test_each_hour_is_a_bar_as_high_as_it_had_faxes_and_failures_are_a_part_of_it() -> None:
    drawn = trend([(None, None), (0, 0), (10, 0), (5, 5), (1000, 1)])
    assert bars(drawn.all) == {2: 1.5, 3: 1.5, 4: HEIGHT}
    assert bars(drawn.failed) == {3: 1.5, 4: 1.5}
    assert drawn.width == 5 * (BAR + 1) - 1
    assert bars(trend([(4, 1), (2, 0)]).all) == {0: HEIGHT, 1: HEIGHT / 2}
    assert bars(trend([(4, 1), (2, 0)]).failed) == {0: HEIGHT / 4}


def test_it_is_told_in_words() -> None:
    told = "7 faxes in the last 3 hours, 1 failed; 4 in the busiest hour"
    assert trend([(None, None), (4, 1), (3, 0)]).text == told
    assert trend([(0, 0)] * 24).text == "no fax in the last 24 hours"
    assert trend([]).all == ""
