"""What is rendered once for all who want the same."""

import asyncio
import gzip
import threading

import pytest

from exporter.web import rendering
from exporter.web.rendering import SAME_SECONDS, Renderings, Tagged
from harness.virtual_time import in_virtual_time


class Renderer:
    """Counts how often it is asked."""

    def __init__(self, body: bytes = b"x" * 5000) -> None:
        self.body = body
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.body


async def test_the_same_is_rendered_and_compressed_once_for_all() -> None:
    renderings, render = Renderings(), Renderer()
    got = await asyncio.gather(
        *(renderings.get("key", 1, render, compress=number % 2 == 0) for number in range(100))
    )
    assert render.times == 1
    assert {compressed for _, compressed in got} == {True, False}
    assert len({id(body) for body, _ in got}) == 2
    for body, compressed in got:
        assert (gzip.decompress(body) if compressed else body) == render.body
    renderings.close()


async def test_what_has_changed_is_rendered_again() -> None:
    renderings, render = Renderings(), Renderer()
    for version in (1, 1, 2, 2, 1):
        await renderings.get("key", version, render, compress=True)
    await renderings.get("other key", 1, render, compress=True)
    assert render.times == 4
    renderings.close()


async def test_what_tells_times_is_rendered_again_after_a_while() -> None:
    @in_virtual_time
    async def within(seconds: float) -> None:
        renderings, render = Renderings(), Renderer()
        await renderings.get("key", 1, render, compress=False, lasts=1.0)
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        assert asyncio.get_running_loop().time() - begun >= seconds
        await renderings.get("key", 1, render, compress=False, lasts=1.0)
        times.append(render.times)
        renderings.close()

    times: list[int] = []
    await asyncio.to_thread(within, 2.0)
    assert times == [2]


async def test_a_failure_is_told_and_tried_again() -> None:
    renderings, render = Renderings(), Renderer()

    def fail() -> bytes:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await renderings.get("key", 1, fail, compress=False)
    assert await renderings.get("key", 1, render, compress=False) == (render.body, False)
    renderings.close()


async def test_who_goes_leaves_the_others_their_rendering() -> None:
    renderings, go_on = Renderings(), threading.Event()

    def slow() -> bytes:
        go_on.wait(60)
        return b"done"

    gone = asyncio.create_task(renderings.get("key", 1, slow, compress=False))
    stays = asyncio.create_task(renderings.get("key", 1, slow, compress=False))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await stays == (b"done", False)
    renderings.close()


async def test_what_nobody_waits_for_any_more_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "WORKERS", 1)
    renderings, go_on, render = Renderings(), threading.Event(), Renderer()

    def slow() -> bytes:
        go_on.wait(60)
        return b"done"

    slowly = asyncio.create_task(renderings.get("slow", 1, slow, compress=False))
    await asyncio.sleep(0)
    for compress in (False, True):
        for number in range(50):
            get = renderings.get(number, 1, render, compress=compress)
            gone = asyncio.create_task(get)
            await asyncio.sleep(0)
            gone.cancel()
    stays = asyncio.create_task(renderings.get(7, 1, render, compress=True))
    for _ in range(5):  # it takes some turns until the threads know
        await asyncio.sleep(0)
    go_on.set()
    assert await slowly == (b"done", False)
    assert gzip.decompress((await stays)[0]) == render.body
    assert render.times == 1
    assert list(renderings._kept) == ["slow", 7]
    renderings.close()


async def test_what_was_not_compressed_to_its_end_is_compressed_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop, gzipped = asyncio.get_running_loop(), rendering.gzipped

    def slowly(body: bytes) -> bytes:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(60)
        return gzipped(body)

    monkeypatch.setattr(rendering, "gzipped", slowly)
    renderings, render = Renderings(), Renderer()
    gone = asyncio.create_task(renderings.get("key", 1, render, compress=True))
    await begun.wait()
    gone.cancel()
    await asyncio.sleep(0)
    go_on.set()
    body, compressed = await renderings.get("key", 1, render, compress=True)
    assert (gzip.decompress(body), compressed) == (render.body, True)
    assert render.times == 1
    renderings.close()


async def test_of_what_failed_nothing_is_kept() -> None:
    renderings = Renderings()
    for key in range(10):
        with pytest.raises(ZeroDivisionError):
            await renderings.get(key, 1, lambda: bytes([1 // 0]), compress=True)
    await asyncio.sleep(0)
    assert not renderings._kept
    renderings.close()


async def test_only_so_many_bytes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "MAX_KEPT", 20_000)
    renderings, render = Renderings(), Renderer()
    for key in range(100):
        await renderings.get(key, 1, render, compress=False)
    assert len(renderings._kept) == 4
    await renderings.get(99, 1, render, compress=False)
    assert render.times == 100
    renderings.close()


async def test_one_that_is_larger_than_all_that_are_kept_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "MAX_KEPT", 1000)
    renderings, render = Renderings(), Renderer()
    for _ in range(3):
        await renderings.get("key", 1, render, compress=False)
    assert render.times == 1
    renderings.close()


async def test_little_is_not_compressed() -> None:
    renderings = Renderings()
    assert await renderings.get("key", 1, Renderer(b"short"), compress=True) == (b"short", False)
    renderings.close()


async def test_what_is_asked_for_in_endless_ways_is_not_kept() -> None:
    renderings, render = Renderings(), Renderer()
    assert await renderings.once(render, compress=False) == (render.body, False)
    body, compressed = await renderings.once(render, compress=True)
    assert (gzip.decompress(body), compressed) == (render.body, True)
    assert await renderings.once(lambda: b"little", compress=True) == (b"little", False)
    assert render.times == 2
    assert not renderings._kept
    renderings.close()


# --- small ones


async def test_what_is_small_is_there_at_once_and_made_once_for_a_version() -> None:
    renderings, render = Renderings(), Renderer()
    for compress in (True, True, False, False):
        body, compressed = renderings.small("key", 1, render, compress=compress)
        assert compressed is compress
        assert (gzip.decompress(body) if compressed else body) == render.body
    assert render.times == 2  # only what is served is kept
    first = renderings.small("key", 1, render, compress=True)[0]
    assert renderings.small("key", 1, render, compress=True)[0] is first
    render.body = b"another" * 1000
    body, _ = renderings.small("key", 2, render, compress=True)
    assert gzip.decompress(body) == render.body
    assert renderings.small("little", 1, Renderer(b"little"), compress=True) == (b"little", False)
    renderings.close()


async def test_of_small_and_large_together_only_so_many_bytes_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "MAX_KEPT", 20_000)
    renderings, render = Renderings(), Renderer()
    for key in range(100):
        renderings.small(key, key, render, compress=False)
        await renderings.get(key, key, render, compress=False)
        # The same again, of another version: the one before no longer counts.
        await renderings.get(key, -key, render, compress=False)
        renderings.small(key, -key, render, compress=False)
    assert len(renderings._kept) == 4
    assert renderings._size == 4 * len(render.body)
    renderings.small(99, -99, render, compress=False)
    assert render.times == 398  # twice the same version, of 0
    renderings.close()


async def test_compressed_bodies_count_and_failures_do_not() -> None:
    renderings, render = Renderings(), Renderer()

    def fail() -> bytes:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await renderings.get("failed", 1, fail, compress=True)
    with pytest.raises(ValueError, match="a defect"):
        renderings.small("failed", 1, fail, compress=True)
    assert renderings._size == 0
    body, _ = await renderings.get("key", 1, render, compress=True)
    await asyncio.sleep(0)
    assert renderings._size == len(render.body) + len(body)
    renderings.close()


# --- with an entity tag


class Tagger:
    """Leaves out the last byte, as if that changed by itself."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, body: bytes) -> str:
        self.times += 1
        return body[:-1].decode()


async def get_tagged(
    renderings: Renderings, version: int, render: Renderer, tag: Tagger, *known: str
) -> Tagged:
    return await renderings.get_tagged(
        "key", version, render, tag=tag, known=known, compress=False, lasts=1.0
    )


@in_virtual_time
async def test_who_has_it_is_told_so_and_nothing_is_made_again_for_him() -> None:
    renderings, render, tag = Renderings(), Renderer(b"a1"), Tagger()
    assert await get_tagged(renderings, 1, render, tag) == Tagged("a", b"a1")
    assert await get_tagged(renderings, 1, render, tag, "x", "a") == Tagged("a", None)
    await asyncio.sleep(30)
    assert await get_tagged(renderings, 1, render, tag, "a") == Tagged("a", None)
    assert (render.times, tag.times) == (1, 1)
    # Who has it not gets what is of now.
    render.body = b"a2"
    assert await get_tagged(renderings, 1, render, tag, "x") == Tagged("a", b"a2")
    # Of another version it is made, and may still be the same.
    render.body = b"a3"
    assert await get_tagged(renderings, 2, render, tag, "a") == Tagged("a", None)
    render.body = b"b1"
    assert await get_tagged(renderings, 3, render, tag, "a") == Tagged("b", b"b1")
    renderings.close()


@in_virtual_time
async def test_in_the_end_it_is_looked_at_again_even_if_the_version_is_the_same() -> None:
    renderings, render, tag = Renderings(), Renderer(b"a1"), Tagger()
    await get_tagged(renderings, 1, render, tag)
    render.body = b"b1"
    await asyncio.sleep(SAME_SECONDS + 2)
    assert await get_tagged(renderings, 1, render, tag, "a") == Tagged("b", b"b1")
    renderings.close()


async def test_what_is_tagged_is_compressed_as_what_is_not() -> None:
    renderings, render = Renderings(), Renderer()
    got = await renderings.get_tagged(
        "key", 1, render, tag=lambda _: "t", known=(), compress=True, lasts=1.0
    )
    assert got.body is not None
    assert (got.compressed, gzip.decompress(got.body)) == (True, render.body)
    renderings.close()
