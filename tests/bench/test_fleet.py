"""From poll to poll: who was not asked for long is not left out."""

from bench.fleet import gaps_of


def test_gaps_are_those_between_polls_of_the_time() -> None:
    polls = [0.9, 10.25, 11.25, 12.5, 13.3, 20.0]
    assert list(gaps_of(polls, 10.0, 14.0)) == [1.0, 1.25, 13.3 - 12.5]


def test_a_pbx_that_is_asked_no_more_has_a_gap_that_goes_on() -> None:
    assert list(gaps_of([10.5, 11.5], 10.0, 20.0)) == [1.0, 8.5]
    assert list(gaps_of([18.5, 19.5], 10.0, 20.0)) == [8.5, 1.0]
    assert list(gaps_of([], 10.0, 20.0)) == [10.0]
