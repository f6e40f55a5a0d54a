"""A Prometheus finds what was written of the time before it."""

from pathlib import Path
from typing import Final

import pytest

from harness.history import RETENTION, expanded, lived_through
from harness.monitoring import Prometheus
from harness.traffic import DAY, HOUR, Fax, Pbx

RULES: Final = """
groups:
  - name: some
    rules:
      - record: pbx:asterisk_fax_last:timestamp_seconds
        expr: max without (replica) (asterisk_fax_last_fax_timestamp_seconds)
      - record: pbx:asterisk_fax_evaluations:count
        expr: >-
          last_over_time(pbx:asterisk_fax_evaluations:count[1h]) + 1
          or asterisk_fax_up
      - alert: Both
        expr: pbx:asterisk_fax_last:timestamp_seconds > pbx:asterisk_fax_evaluations:count
"""
FAXES: Final = [Fax(begin=hour * HOUR, transport="t38") for hour in range(24)]
LABELS: Final = {"job": "asterisk-fax", "instance": "fax-berlin"}


def test_a_series_is_expanded_as_promtool_reads_it() -> None:
    assert dict(expanded("0x2 3")) == {0: 0, 1: 0, 2: 0, 3: 3}
    assert dict(expanded("_x2 1+2x2 stale 5")) == {2: 1, 3: 3, 4: 5, 6: 5}
    assert dict(expanded("_ 1e+06-0.5x1 _x1 -2")) == {1: 1e6, 2: 1e6 - 0.5, 4: -2}
    with pytest.raises(AssertionError):
        list(expanded("what"))


@pytest.mark.parametrize("factor", [1, 60])
def test_scrapes_and_what_rules_recorded_are_found_at_their_times(
    tmp_path: Path, factor: int
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    end = lived_through(
        [Pbx(FAXES, labels=LABELS)],
        DAY,
        tmp_path / "prometheus",
        alerts=["Both"],
        factor=factor,
        rules=rules,
    )

    def ago(seconds: float) -> float:
        return end - seconds / factor

    scraped = 'asterisk_fax_last_fax_timestamp_seconds{operation="receive"}'
    last = 'pbx:asterisk_fax_last:timestamp_seconds{operation="receive",instance="fax-berlin"}'
    with Prometheus({}, tmp_path / "prometheus", RETENTION) as prometheus:

        def value(expression: str, at: float) -> float:
            (found,) = prometheus.query(expression, at=at)
            return found.value

        assert not prometheus.query(last, at=ago(DAY))
        assert value(last, ago(12 * HOUR)) == pytest.approx(ago(DAY - FAXES[11].end), abs=0.01)
        assert value(scraped, end) == value(last, end)
        assert value(last, end) == pytest.approx(ago(DAY - FAXES[-1].end), abs=0.01)
        evaluations = "pbx:asterisk_fax_evaluations:count"
        assert value(evaluations, end) - value(evaluations, ago(10 * HOUR)) == 10 * HOUR / 300
        assert not prometheus.query(evaluations, at=ago(DAY + HOUR))
