"""docs/settings.md, from the declarations in exporter/settings/."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from exporter.settings import SETTINGS, Setting

FILE: Final = Path("docs/settings.md")

_ABOUT: Final = (
    "Every flag has an environment variable; the flag wins. An empty variable is not set. `--help`",
    "shows them all, and `--config.check` only checks them. Flags that take no value are switched",
    "off by `--no-` before their name, as in `--no-ami.tls`; their variables take true or false.",
    "",
    "With `--config.file` a target takes what the `--ami` flags take, see [fleet.md](fleet.md).",
)


def text() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "<!-- Made by `make docs` from exporter/settings/; change it there. -->"
    yield ""
    yield from _ABOUT
    for title, settings in groupby(SETTINGS, key=lambda setting: setting.group):
        yield ""
        yield f"## {title}"
        yield ""
        yield "| flag | variable | default | takes | |"
        yield "|---|---|---|---|---|"
        for setting in settings:
            yield f"| {' | '.join(_cells(setting))} |"


def _cells(setting: Setting) -> tuple[str, str, str, str, str]:
    flag = f"`{f'{setting.flag} {setting.accepts.metavar}'.rstrip()}`"
    default = setting.default.removeprefix("default ").replace("not set by default", "")
    meaning = setting.description
    if setting.is_secret:
        flag = ""
        meaning += " Never a flag, since all users of a machine can read those."
    return flag, f"`{setting.variable}`", default, setting.accepts.what, meaning
