"""The table of what fleets need: sums, what is most, and what is computed."""

from typing import Final

from bench.fleets import COMPUTED, LIKE, table

_TURN: Final[dict[str, float]] = {
    "main_cores": 0.25,
    "web_cores": 0.25,
    "cores": 0.5,
    "resident_mib": 100.0,
    "gap_p99_s": 1.01,
    "gap_max_s": 1.1,
    "bad_lines": 1000.0,
    "bad_lines_lost": 0.0,
    "main_files": 1010.0,
    "web_files": 20.0,
    "ami_bytes_per_s": 4000.0,
    "scrape_bytes": 3000.0,
    "config_bytes": 75.0,
    "series_per_pbx": 200.0,
    "prometheus_cores": 0.1,
    "prometheus_mib": 400.0,
}


def rows(*measured: int) -> dict[str, list[str]]:
    shards = {1000: 1, LIKE: 8}
    turns = {
        pbxs: [
            _TURN | {"watched": pbxs / shards[pbxs], "gap_max_s": 1.1 + shard / 10}
            for shard in range(shards[pbxs])
        ]
        for pbxs in measured
    }
    lines = [line.strip("|").split("|") for line in table(turns, 0.5)]
    return {what.strip(): [value.strip() for value in values] for what, *values in lines}


def test_exporters_are_added_up_and_what_one_needs_is_what_the_largest_does() -> None:
    made = rows(1000, LIKE)
    assert made["PBXs"] == ["1,000", "10,000", "*100,000*"]
    assert made["exporters"][:2] == ["1", "8"]
    assert made["cores of one, at most"][:2] == ["0.50", "0.50"]
    assert made["cores in all"][:2] == ["0.5", "4.0"]
    assert made["gaps between polls, p99 and longest"][:2] == [
        "1.01 and 1.10 s",
        "1.01 and 1.80 s",
    ]
    assert made["series in Prometheus"][:2] == ["200,000", "2,000,000"]


def test_what_is_computed_is_in_italics_and_so_many_times_as_large() -> None:
    made = rows(1000, LIKE)
    assert COMPUTED == 10 * LIKE
    assert made["exporters"][2] == "*80*"
    assert made["cores in all"][2] == "*40.0*"
    shown = [values[2] for what, values in made.items() if what != "---"]
    assert all(value.startswith("*") and value.endswith("*") for value in shown)
    # As much a series as that of 1,000, of which one Prometheus had all.
    assert made["memory of Prometheus"] == ["400 MiB", "*3.9 GiB*", "*39.1 GiB*"]
    # 200,000 / 15 s x 86,400 s x 0.5 bytes
    assert made["disk of Prometheus, a day"][0] == "*576.0 MB*"


def test_what_was_not_measured_is_left_out() -> None:
    assert rows(1000)["PBXs"] == ["1,000"]
