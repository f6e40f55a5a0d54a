"""YAML files with settings in them, and the names of files in those.

All of them are read again while the exporter runs, so none may be a pipe: it would block.
"""

import re
from pathlib import Path
from typing import Final

from pydantic import ValidationInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from exporter.settings.declarations import Setting
from exporter.settings.problems import Place, SettingsError, quoted
from exporter.tls_files import why_unreadable

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes that a file may have: enough for 20,000 targets."""
_IS_PIPE: Final = "a named pipe, and its writer could be waited for without end"


def read_yaml(path: Path, setting: Setting | None = None) -> object:
    """Return what a YAML file holds, None if it is empty. `setting`: the one that names the file.

    Raises SettingsError, with file and line, or with the setting if the file cannot be opened.
    """
    if _is_pipe(path):
        raise SettingsError(f"{path}: {_IS_PIPE}")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        if setting is None:
            raise SettingsError(f"{path}: {why_unreadable(error)}") from None
        name = f"{setting.flag} (or {setting.variable}) {quoted(path)}"
        raise SettingsError(Place(name, setting.accepts).refusal(why_unreadable(error))) from None
    if len(content) > MAX_FILE:
        raise SettingsError(f"{path}: more than {MAX_FILE} bytes, not a configuration")
    try:
        return YAML(typ="safe", pure=True).load(content)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark is not None else f"{path}"
        # Only the first line of the message, and no value from it: the file may hold a secret.
        words = (error.problem or "not YAML").splitlines()[0].partition(" with value ")[0]
        problem = f"{where}: {_plain_words(quoted(words)[1:-1])}"
    except YAMLError:
        problem = f"{path}: holds characters that YAML does not allow"
    except RecursionError:
        problem = f"{path}: nested too deep"
    except Exception as error:  # from the constructor of a value, such as a date with a 13th month
        problem = f"{path}: not YAML ({type(error).__name__})"
    # Raised outside of `except`, so that an exception that quotes the file is not its context.
    raise SettingsError(problem)


def _plain_words(words: str) -> str:
    """Say what the parser means to a user who does not know how YAML is parsed."""
    if found := re.fullmatch("found character '(.+)' that cannot start any token", words):
        if found[1] == r"\\t":
            return "a tab where YAML takes blanks"
        return f"a value that begins with {found[1]} needs quotes around it"
    if words.startswith("expected <block end>"):
        return "does not go with the lines before it: see how it is indented"
    return words.replace("'<stream end>'", "the end of the file")


def named_file(value: object, info: ValidationInfo) -> object:
    """Make the path of a file relative to the folder of the file that names it, as Prometheus does.

    For validators: the folder is their context. Raises ValueError if the file is a pipe.
    """
    if not isinstance(value, str):
        return value
    assert isinstance(info.context, Path)
    path = info.context / value
    if _is_pipe(path):
        raise ValueError(_IS_PIPE)
    return path


def _is_pipe(path: Path) -> bool:
    """Whether opening it could block."""
    try:
        return path.is_fifo()
    except OSError:  # such as a name too long: opening it will say so
        return False
