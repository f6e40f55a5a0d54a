"""Shares of the targets: by Prometheus' rule, and by one that moves few when there is one more."""

import itertools
import math
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import HASHMOD, RENDEZVOUS, Shard, ShardBy, share_of

NAME: Final = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
COUNT: Final = st.integers(1, 40)
BOTH: Final = pytest.mark.parametrize("by", [HASHMOD, RENDEZVOUS])
FLEET: Final = [f"pbx-{number:05}" for number in range(5000)]


def test_shares_are_those_of_hashmod() -> None:
    """Prometheus' relabel_test.go: hashmod 1000 of "baz" is 976."""
    assert share_of("baz", 1000) == Shard(976, 1000)


def test_shares_by_rendezvous_are_those_that_anybody_computes() -> None:
    """`printf fax-berlin/0 | sha256sum` is 472c..., with 1 it is c5b2..., with 2 it is 0779..."""
    for count, index in ((1, 0), (2, 1), (3, 1)):
        assert share_of("fax-berlin", count, RENDEZVOUS) == Shard(index, count, RENDEZVOUS)


@BOTH
@given(names=st.lists(NAME, unique=True, max_size=20), count=COUNT)
def test_every_target_is_of_exactly_one_share(by: ShardBy, names: list[str], count: int) -> None:
    every = [Shard(index, count, by) for index in range(count)]
    shares = [[name for name in names if share_of(name, count, by) == one] for one in every]
    assert sorted(itertools.chain(*shares)) == sorted(names)


@given(name=NAME, count=COUNT)
def test_by_rendezvous_a_target_stays_or_moves_to_the_new_share(name: str, count: int) -> None:
    before = share_of(name, count, RENDEZVOUS).index
    assert share_of(name, count + 1, RENDEZVOUS).index in (before, count)


@BOTH
@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_shares_are_as_large_as_chance_makes_them(by: ShardBy, count: int) -> None:
    sizes = [0] * count
    for name in FLEET:
        sizes[share_of(name, count, by).index] += 1
    mean = len(FLEET) / count
    # Five standard deviations of a binomial distribution; the names are the same in each run.
    assert max(abs(size - mean) for size in sizes) < 5 * math.sqrt(mean * (1 - 1 / count))


@pytest.mark.parametrize(("by", "share"), [(HASHMOD, 2 / 3), (RENDEZVOUS, 1 / 3)])
def test_a_third_share_moves_as_many_as_the_documents_say(by: ShardBy, share: float) -> None:
    moved = [n for n in FLEET if share_of(n, 2, by).index != share_of(n, 3, by).index]
    assert len(moved) / len(FLEET) == pytest.approx(share, abs=0.03)
