"""Makes something hang within a process that runs Python: a disk, a resolver, an import. It says
when it is reached, so that no test sleeps until something is probably so.
"""

import os
from pathlib import Path


class Holding:
    """Code that Python runs before the program, in which `hang()` never returns; `reached()` only
    says so."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for what it needs."""
        self._folder = folder / "holding"
        self._folder.mkdir()
        self._reached = self._folder / "reached"
        os.mkfifo(self._reached)

    def environment(self, code: str) -> dict[str, str]:
        """Of a process, and those it starts, in which the code of a sitecustomize is this."""
        hang = (
            "import time\n"
            "def reached():\n"
            f"    open({str(self._reached)!r}, 'w').close()\n"
            "def hang(*_, **__):\n"
            "    reached()\n"
            "    time.sleep(60)\n"
        )
        (self._folder / "sitecustomize.py").write_text(hang + code)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FAX_EXPORTER_")}
        kept["FAX_EXPORTER_WEB_LISTEN_ADDRESS"] = "127.0.0.1:0"
        return kept | {"PYTHONPATH": str(self._folder)}

    def wait(self) -> None:
        """Returns once something hangs, or is reached."""
        with self._reached.open():
            pass
