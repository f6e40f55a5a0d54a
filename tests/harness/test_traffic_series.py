"""What restarts, cuts and gaps make of the series."""

from random import Random

from harness.traffic import (
    HOUR,
    AsteriskStops,
    Exporter,
    ExporterStops,
    Fax,
    Mix,
    Pbx,
    PrometheusStops,
    ScrapesFail,
    Unreachable,
    every,
)
from harness.traffic_metrics import series

FINISHED = 'asterisk_fax_finished_total{%soperation="receive",transport="t38"}'
TARGET = 'job="asterisk-fax",instance="fax-berlin",'
# One in each of the first minutes of an hour: ends in the minute in which it began.
FAXES = [Fax(60.0 * minute + 1, pages=1, page_seconds=20) for minute in range(10)]


def made(pbx: Pbx, name: str, steps: int = 16) -> dict[str, str]:
    """The series of that name, by their labels."""
    return {
        one["series"].replace(TARGET, ""): one["values"] for one in series([pbx], 60, steps, {name})
    }


def finished(pbx: Pbx) -> str:
    return made(pbx, "asterisk_fax_finished_total")[FINISHED % ""]


def test_a_fax_is_seen_by_the_next_scrape() -> None:
    assert finished(Pbx(FAXES)) == "0 1 2 3 4 5 6 7 8 9 10x5"


def test_what_the_exporter_counts_begins_again_with_it() -> None:
    pbx = Pbx(FAXES, events=[ExporterStops(130, 100)])
    # The fax of minute 2 ends while nobody looks, that of minute 3 when nobody looks yet.
    assert finished(pbx) == "0 1 2 stale 0 1 2 3 4 5 6x5"
    assert made(pbx, "up")["up{" + TARGET[:-1] + "}"] == "1x2 0 1x11"
    # FAXStats are Asterisk's.
    assert list(made(pbx, "asterisk_fax_completed_total").values()) == [
        "0 1 2 stale 4 5 6 7 8 9 10x5"
    ]


def test_faxstats_begin_again_with_asterisk_and_running_faxes_are_dropped() -> None:
    pbx = Pbx(FAXES, events=[AsteriskStops(130, 100)])
    assert list(made(pbx, "asterisk_fax_completed_total").values()) == [
        "0 1 2 stale 0 1 2 3 4 5 6x5"
    ]
    # Those of minutes 2 and 3 are not: one was dropped, one never came.
    assert finished(pbx) == "0 1 2x2 3 4 5 6 7 8x5"
    assert list(made(pbx, "asterisk_fax_asterisk_restarts_total").values()) == ["0x3 1x11"]
    ended = made(pbx, "asterisk_fax_sessions_ended_total")
    assert ended['asterisk_fax_sessions_ended_total{operation="receive"}'].startswith("0 1 2")


def test_what_completes_out_of_sight_is_unobserved() -> None:
    pbx = Pbx(FAXES, events=[Unreachable(130, 100)])
    (unobserved,) = made(pbx, "asterisk_fax_unobserved_completions_total").values()
    # The faxes of minutes 2 and 3, of which Asterisk tells when it is seen again.
    assert unobserved == "0x3 2x11"
    assert list(made(pbx, "asterisk_fax_up").values()) == ["1x2 0 1x11"]


def test_a_gap_in_the_scrapes_changes_no_count() -> None:
    assert finished(Pbx(FAXES, events=[ScrapesFail(130, 100)])) == "0 1 2 stale 4 5 6 7 8 9 10x5"


def test_while_prometheus_is_down_nothing_is_told_and_no_series_ends() -> None:
    pbx = Pbx(FAXES, events=[PrometheusStops(130, 100)])
    assert finished(pbx) == "0 1 2 _x1 4 5 6 7 8 9 10x5"
    assert made(pbx, "up")["up{" + TARGET[:-1] + "}"] == "1x2 _x1 1x11"


def test_a_new_series_of_a_peer_stands_at_0_for_two_minutes() -> None:
    pbx = Pbx([Fax(61, pages=1, page_seconds=20, reason="no_fax")], peer_label=True)
    assert list(made(pbx, "asterisk_fax_peer_finished_total").values()) == ["_x2 0x1 1x11"]
    (failures,) = made(pbx, "asterisk_fax_peer_failures_total").values()
    assert failures == "_x2 0x1 1x11"


def test_two_exporters_see_the_same_and_miss_each_its_own() -> None:
    pair = [
        Exporter({"replica": "a"}, [ExporterStops(130, 100)]),
        Exporter({"replica": "b"}),
    ]
    found = made(Pbx(FAXES, exporters=pair), "asterisk_fax_finished_total")
    assert found[FINISHED % 'replica="a",'] == "0 1 2 stale 0 1 2 3 4 5 6x5"
    assert found[FINISHED % 'replica="b",'] == "0 1 2 3 4 5 6 7 8 9 10x5"


def test_gauges_of_sessions_come_back_to_0() -> None:
    random = Random(1)
    faxes = Mix(pages=5, failures={"train_failure": 0.3}).at(random, every(40, 0, HOUR))
    pbx = Pbx(faxes, events=[AsteriskStops(1000, 100), Unreachable(2000, 100)])
    for name in ("sessions", "ecm_sessions", "data_rate_bps", "current_sessions"):
        for values in made(pbx, f"asterisk_fax_{name}", steps=120).values():
            assert values.split()[-1].startswith("0x")
