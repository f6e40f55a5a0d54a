"""A few PBXs and three nuisances, in real time; the long runs, of 200 and more: `make crowd`."""

import pytest

from bench.turns import in_turn
from tests.trials.crowd import run_crowd


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3])
def test_nuisances_keep_no_poll_and_no_page_of_the_others_from_being_made(shards: int) -> None:
    report, used = run_crowd(count=10, sessions=2, seconds=8, interval=0.2, shards=shards)
    assert len(report.polls) == 10
    # Not when, which is the machine's business, but that none of them starves.
    assert min(len(times) for times in report.polls.values()) >= 10
    assert report.pages >= 20
    assert report.flooded > 0
    assert len(used) == shards
    assert sum(one.last.value("exporter_targets") for one in used) == 13


@pytest.mark.slow
def test_shards_that_run_one_after_the_other_miss_no_page_of_the_fleet() -> None:
    ran = list(in_turn(pbxs=12, sessions=3, shards=2, seconds=3, warm_up=2, scraped=False))
    assert [one["shard"] for one in ran] == [0, 1]
    assert sum(one["watched"] for one in ran) == 12
    assert sum(one["pages"] for one in ran) >= 12
    assert sum(one["pages_lost"] for one in ran) == 0
