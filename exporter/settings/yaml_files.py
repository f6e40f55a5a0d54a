"""YAML files with settings in them, and the names of files in those.

All of them are read again while the exporter runs, so none may be a pipe: it would block.
"""

import warnings
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationInfo
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError, YAMLWarning
from ruamel.yaml.nodes import MappingNode

from exporter.settings.declarations import Setting
from exporter.settings.problems import Place, SettingsError
from exporter.tls_files import why_unreadable

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes that a file may have: enough for 20,000 targets."""
# What is odd to the library and no fault: these would quote lines of the file on standard error.
warnings.filterwarnings("ignore", category=YAMLWarning)

_IS_PIPE: Final = "a named pipe, and its writer could be waited for without end"


class Keyed(dict[Any, Any]):
    """A mapping of a file, which knows where in the file its keys are."""

    def __init__(self) -> None:
        self.marks: dict[Any, StreamMark] = {}
        """Of each key its beginning."""

    def place(self, key: str) -> str:
        """Return where the key stands that reads so: 'line 3, column 7'; both begin with 1."""
        mark = next((mark for one, mark in self.marks.items() if str(one) == key), None)
        return "some key" if mark is None else _place(mark)


class _Constructor(SafeConstructor):
    def construct_yaml_map(self, node: MappingNode) -> Iterator[Keyed]:
        mapping = Keyed()
        yield mapping
        mapping.update(self.construct_mapping(node))
        for key_node, _ in [*(getattr(node, "merge", None) or ()), *node.value]:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                mapping.marks[key] = key_node.start_mark


_Constructor.add_constructor("tag:yaml.org,2002:map", _Constructor.construct_yaml_map)


def read_yaml(path: Path, setting: Setting | None = None) -> object:
    """Return what a YAML file holds, None if it is empty; mappings are `Keyed`. `setting`: the one
    that names the file.

    Raises SettingsError, with file and line, or with the setting if the file cannot be opened.
    Nothing that is in the file is repeated: it may hold a secret.
    """
    if _is_pipe(path):
        raise SettingsError(f"{path}: {_IS_PIPE}")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        if setting is None:
            raise SettingsError(f"{path}: {why_unreadable(error)}") from None
        # Without its name: who takes the flag for another writes a secret there.
        place = Place(f"{setting.flag} (or {setting.variable})", setting.accepts)
        raise SettingsError(place.refusal(why_unreadable(error))) from None
    if len(content) > MAX_FILE:
        raise SettingsError(f"{path}: more than {MAX_FILE} bytes, not a configuration")
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.load(content)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}: " if mark is None else f"{path}: {_place(mark)}: "
        problem = f"{where}{_plain_words(error.problem or '')}"
    except YAMLError:
        problem = f"{path}: holds characters that YAML does not allow"
    except RecursionError:
        problem = f"{path}: nested too deep"
    except Exception as error:  # from the constructor of a value, such as a date with a 13th month
        problem = f"{path}: not YAML ({type(error).__name__})"
    # Raised outside of `except`, so that an exception that quotes the file is not its context.
    raise SettingsError(problem)


def _place(mark: StreamMark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


_WORDS: Final = {
    "found character '\\t' that cannot start": "a tab where YAML takes blanks",
    "found character": "a value that begins with this character needs quotes around it",
    "found duplicate key": "this key is there twice",
    "found undefined alias": "a name after * that no & has given; a value with * needs quotes",
    "could not determine a constructor": "a type after !; a value that begins with ! needs quotes",
    "found undefined tag handle": "a type after !; a value that begins with ! needs quotes",
    "expected <block end>": "does not go with the lines before it: see how it is indented",
    "mapping values are not allowed": "a colon too many; a value with a colon and a blank needs "
    "quotes, and each key a line of its own",
    "could not find expected ':'": "a key without a colon and a blank after it",
    "expected ',' or '}'": "a brace { that is opened here or before, and not closed, or no comma",
    "expected ',' or ']'": "a bracket [ that is opened here or before, and not closed, or no comma",
    "found unexpected end of stream": "a quote that is not closed",
    "found unexpected document separator": "a quote that is not closed",
    "expected the node content": "something is missing here",
    "found unknown escape character": "a \\ in double quotes that means nothing; use single ones",
    "but found another document": "a second document after ---, and there is only one",
    "expected alphabetic or numeric": "no name after & or *; such a value needs quotes",
}
"""By how the parser's words begin: what it means to a user who does not know how YAML is parsed."""


def _plain_words(words: str) -> str:
    """Return words of ours: the parser's quote the file."""
    return next((ours for theirs, ours in _WORDS.items() if words.startswith(theirs)), "not YAML")


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
