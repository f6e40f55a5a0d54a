"""What stays is not looked through for garbage, and what a removed target leaves is found."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from exporter import garbage
from exporter.garbage import LOOK_SECONDS
from exporter.polling import cancel_and_wait
from harness.virtual_time import in_virtual_time


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was before."""
    threshold = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


class Part:
    """Of something that refers to itself."""

    def __init__(self) -> None:
        self.whole = self


@in_virtual_time
async def test_what_is_there_is_set_aside_once_the_targets_have_settled() -> None:
    targets: set[int] = set()
    following = asyncio.create_task(garbage.follow(lambda: targets))
    for number in range(3):
        targets.add(number)
        await asyncio.sleep(LOOK_SECONDS)
        assert not gc.get_freeze_count()
    await asyncio.sleep(1.5 * LOOK_SECONDS)
    assert gc.get_freeze_count()
    gc.unfreeze()
    await asyncio.sleep(10 * LOOK_SECONDS)
    assert not gc.get_freeze_count()
    targets.add(3)
    await asyncio.sleep(2 * LOOK_SECONDS)
    assert gc.get_freeze_count()
    await cancel_and_wait(following)


@in_virtual_time
async def test_what_a_removed_target_leaves_is_given_back_though_it_was_set_aside() -> None:
    targets = {1, 2}
    following = asyncio.create_task(garbage.follow(lambda: targets))
    part = Part()
    left = weakref.ref(part)
    await asyncio.sleep(2.5 * LOOK_SECONDS)
    del part
    gc.collect()
    assert left() is not None
    targets.remove(2)
    await asyncio.sleep(2 * LOOK_SECONDS)
    assert left() is None
    assert gc.get_freeze_count()
    await cancel_and_wait(following)


@in_virtual_time
async def test_what_a_few_leave_waits_until_they_are_many() -> None:
    targets = set(range(8))
    following = asyncio.create_task(garbage.follow(lambda: targets))
    part = Part()
    left = weakref.ref(part)
    await asyncio.sleep(2.5 * LOOK_SECONDS)
    del part
    for gone in range(2):
        assert left() is not None
        targets.remove(gone)
        await asyncio.sleep(2 * LOOK_SECONDS)
    assert left() is None
    await cancel_and_wait(following)


@in_virtual_time
async def test_garbage_of_before_is_not_kept() -> None:
    following = asyncio.create_task(garbage.follow(lambda: {1}))
    part = Part()
    left = weakref.ref(part)
    del part
    await asyncio.sleep(2.5 * LOOK_SECONDS)
    assert left() is None
    await cancel_and_wait(following)


@pytest.mark.parametrize(("targets", "objects"), [(0, 2000), (1, 2000), (2000, 50_000)])
def test_python_looks_the_more_seldom_the_more_targets_there_are(
    targets: int, objects: int
) -> None:
    others = gc.get_threshold()[1:]
    garbage.set_aside(targets, again=False)
    assert gc.get_threshold() == (objects, *others)
