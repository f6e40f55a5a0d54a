"""PBXs in a process of their own, so that they take no time from the exporter or the test."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any


@contextlib.contextmanager
def apart(serve: Callable[..., None], *options: Any) -> Iterator["Connection[Any, Any]"]:
    """Runs `serve(pipe, *options)` and yields the other end of its pipe.

    `serve` returns once it is sent something at the end of the `with`, or the pipe is closed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *options), daemon=True)
    process.start()
    theirs.close()  # or `serve` would not notice that ours is closed
    try:
        yield ours
        process.join(20)
    finally:
        process.kill()
        process.join()
        ours.close()
