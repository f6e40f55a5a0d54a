"""A network that cuts and fragments for some minutes; the long run, in real time, is `make cut`."""

import random

import pytest

from exporter.metrics import COUNTERS
from harness.virtual_time import run
from tests.trials.cut import RULES, Compared, run_cut


def compared(seed: int, seconds: float) -> Compared:
    return run(run_cut(random.Random(seed), seconds))


def test_each_counter_has_its_rule() -> None:
    assert {f"asterisk_fax_{name}" for name in RULES} == {declared.name for declared in COUNTERS}


def test_behind_a_network_that_cuts_all_is_counted_but_what_metrics_tell_of() -> None:
    found = compared(1, 60)
    assert found.network.cuts
    assert found.alike


@pytest.mark.slow
def test_so_it_is_whatever_is_cut() -> None:
    found = [compared(seed, 300) for seed in range(2, 8)]
    assert all(one.network.cuts > 5 for one in found)
    assert all(one.alike > 10 for one in found)
    # What is cut depends on the machine too: not each network loses something.
    assert any(one.holes for one in found)
    assert any(one.lost("finished_total") > 0 for one in found)
