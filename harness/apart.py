"""PBXs in a process of their own, so that the exporter's time is not theirs."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any


@contextlib.contextmanager
def apart(serve: Callable[..., None], *options: Any) -> Iterator["Connection[Any, Any]"]:
    """Runs `serve(pipe, *options)`, which returns once told to end; yields the pipe's other end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *options), daemon=True)
    process.start()
    try:
        yield ours
        process.join(20)
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()
