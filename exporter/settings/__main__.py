"""The process that reads the file of targets, `python -m exporter.settings`; see reading.py.

What it is to read comes by its standard input, what it says goes to its standard output. It ends
when either does.
"""

import os
import pickle
import sys
import threading
from typing import Final

from exporter import parts
from exporter.settings.reading import said

_KILLED_FIRST: Final = 800
"""Rather than one that counts or serves."""


def main() -> int:
    """Returns the exit status."""
    if os.isatty(0):
        print("this is a part of asterisk-fax-exporter, and started by it", file=sys.stderr)
        return 2
    path, shard = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_exporter, daemon=True).start()
    parts.make_way(_KILLED_FIRST)
    try:
        for part in said(path, shard):
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(1)
    return 0


def _end_with_the_exporter() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
