"""A few PBXs and three nuisances, in real time; the long run with 200 is `make crowd`."""

import pytest

from tests.trials.crowd import run_crowd


@pytest.mark.slow
def test_nuisances_keep_no_poll_and_no_page_of_the_others_from_being_made() -> None:
    report, _, last = run_crowd(count=10, sessions=2, seconds=8, interval=0.2)
    assert len(report.polls) == 10
    # Not when, which is the machine's business, but that none of them starves.
    assert min(len(times) for times in report.polls.values()) >= 10
    assert report.pages >= 20
    assert report.flooded > 0
    assert last.value("exporter_targets") == 13
