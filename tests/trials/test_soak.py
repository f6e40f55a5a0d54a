"""A short soak with every kind of fault; the long one is `make soak`."""

import random

import pytest

from harness.virtual_time import run
from tests.trials.soak import Soak


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_after_hours_of_faxes_and_faults_every_counter_is_true(seed: int) -> None:
    soak = Soak(random.Random(seed))
    run(soak.live(hours=2))
    assert soak.faults.total() >= 10
    assert soak.pbx.truth.pages.total() > 4000
