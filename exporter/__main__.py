"""Where the command begins: it heeds signals before it imports what takes a second on a slow
machine. What it does is in main.py."""

import os
import sys

from exporter import ending


def command() -> int:
    """Runs the command. Returns the exit status, with the streams flushed: the interpreter flushes
    them when it exits, and if that fails, as on a full disk, it replaces the status by 120."""
    ending.heed_signals()
    if "--health-check" in sys.argv[1:]:
        from exporter.health_check import health_check

        status = health_check(sys.argv[1:])
    else:
        from exporter.main import main

        status = main()
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (AttributeError, OSError, ValueError):  # never opened, disk full, or closed
            setattr(sys, name, None)
    if ending.came():
        # All is done. Python would now give back its memory piece by piece, which takes a second
        # with thousands of PBXs, and no thread can cut it off then.
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(command())
