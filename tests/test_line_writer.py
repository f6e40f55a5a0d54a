"""Lines behind a thread: nothing waits for them, none is lost while there is room."""

import os
import threading
from collections.abc import Iterator

import pytest

from exporter.line_writer import Descriptor, LineWriter

LONG = 30.0


class Desk:
    """A sink that a test opens and shuts, and waits for."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.tried: list[bytes] = []
        self.error: OSError | None = None
        self.reopened = 0
        self.closed = False
        self.let_through = threading.Event()
        self.let_through.set()
        self.changed = threading.Condition()

    def write(self, line: bytes) -> None:
        with self.changed:
            self.tried.append(line)
            self.changed.notify_all()
        self.let_through.wait()
        if self.error:
            raise self.error
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def reopen(self) -> None:
        with self.changed:
            self.reopened += 1
            self.changed.notify_all()

    def close(self) -> None:
        self.closed = True

    def wait_for_tries(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.tried) >= number, LONG)


class Watching:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.over = threading.Event()

    def failed(self, error: OSError) -> None:
        self.said.append(str(error.strerror))

    def went_on(self) -> None:
        self.said.append("went on")
        self.over.set()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.let_through.set()


def test_lines_are_written_in_their_order(desk: Desk) -> None:
    writer = LineWriter(desk)
    lines = [b"%d\n" % number for number in range(1000)]
    assert all(writer.put(line) for line in lines)
    assert writer.close(LONG) == 0
    assert desk.lines == lines
    assert desk.closed


def test_whoever_has_a_line_does_not_wait_for_one_that_hangs_and_what_is_held_is_bounded(
    desk: Desk,
) -> None:
    desk.let_through.clear()
    writer = LineWriter(desk, most_lines=3)
    writer.put(b"0")
    desk.wait_for_tries(1)
    assert [writer.put(b"%d" % number) for number in range(1, 5)] == [True, True, False, False]
    desk.let_through.set()
    assert writer.flush(LONG)
    assert desk.lines == [b"0", b"1", b"2"]
    assert writer.put(b"5")
    assert writer.close(LONG) == 0
    assert desk.lines[-1] == b"5"


def test_what_is_held_is_bounded_in_bytes_too_and_one_line_always_has_room(desk: Desk) -> None:
    desk.let_through.clear()
    writer = LineWriter(desk, most_bytes=10)
    assert writer.put(b"x" * 100)
    assert not writer.put(b"y")
    desk.let_through.set()
    assert writer.flush(LONG)
    desk.let_through.clear()
    assert [writer.put(b"x" * 4) for _ in range(3)] == [True, True, False]
    desk.let_through.set()
    assert writer.close(LONG) == 0


def test_a_line_that_cannot_be_written_is_tried_until_it_can_and_that_is_told_once(
    desk: Desk,
) -> None:
    watching = Watching()
    writer = LineWriter(desk, watching, retry_seconds=0.001)
    desk.error = OSError(28, "No space left on device")
    for line in (b"a", b"b"):
        writer.put(line)
    desk.wait_for_tries(5)
    assert set(desk.tried) == {b"a"}
    desk.error = None
    assert watching.over.wait(LONG)
    assert writer.close(LONG) == 0
    assert desk.lines == [b"a", b"b"]
    assert watching.said == ["No space left on device", "went on"]


def test_it_reopens_without_a_line_and_before_the_next_and_at_once_while_it_fails(
    desk: Desk,
) -> None:
    writer = LineWriter(desk, retry_seconds=LONG)
    writer.reopen()
    with desk.changed:
        assert desk.changed.wait_for(lambda: desk.reopened == 1, LONG)
    desk.error = OSError(28, "No space left on device")
    writer.put(b"a")
    desk.wait_for_tries(1)
    desk.error = None
    writer.reopen()
    assert writer.flush(LONG)
    assert desk.lines == [b"a"]
    assert writer.close(LONG) == 0


def test_the_end_waits_no_longer_than_told_and_says_how_many_are_lost(desk: Desk) -> None:
    desk.let_through.clear()
    writer = LineWriter(desk)
    writer.put(b"a")
    writer.put(b"b")
    assert writer.close(0.01) == 2
    assert not writer.put(b"c")


def test_without_a_thread_lines_are_held_until_there_is_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer = LineWriter(desk)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert writer.put(b"a")
    assert writer.put(b"b")
    assert writer.close(LONG) == 0
    assert desk.lines == [b"a", b"b"]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_line_longer_than_a_pipe_holds_is_completed(blocking: bool) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)  # whoever has the other end may have made it so
    writer = LineWriter(Descriptor(writing), retry_seconds=1e6)
    line = b"x" * 1_000_000 + b"\n"
    writer.put(line)
    with os.fdopen(reading, "rb") as reader:
        assert reader.readline() == line
    assert writer.close(LONG) == 0
    os.close(writing)
