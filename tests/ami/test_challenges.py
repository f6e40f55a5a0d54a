"""Challenges that come again."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.ami.challenges import MOST_KEPT, Challenges


def test_new_ones_are_never_taken_for_repeated() -> None:
    challenges = Challenges()
    for number in range(1000):
        challenges.take(str(number))
        assert not challenges.repeated


def test_one_that_comes_again_is_noticed_and_a_new_one_after_it_too() -> None:
    challenges, seen = Challenges(), list[bool]()
    for challenge in ("612049343", "612049343", "1", "612049343", "2"):
        challenges.take(challenge)
        seen.append(challenges.repeated)
    assert seen == [False, True, False, True, False]


def test_the_last_ones_are_kept_and_no_more() -> None:
    challenges = Challenges()
    for number in range(MOST_KEPT + 1):
        challenges.take(str(number))
    challenges.take("1")
    assert challenges.repeated
    challenges.take("0")
    assert not challenges.repeated


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_known_again(challenge: str) -> None:
    challenges = Challenges()
    for repeated in (False, True):
        challenges.take(challenge)
        assert challenges.repeated is repeated


def test_however_long_they_are_the_same_little_is_kept() -> None:
    challenges = Challenges()
    challenges.take("x" * 65536)
    challenges.take("x")
    assert {len(digest) for digest in challenges._seen} == {16}
