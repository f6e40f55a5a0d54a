"""From flags and environment to settings: what is given, and by which of them, is found once.

What is wrong with it is said with the name that the user wrote.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import EnvSettingsSource

from exporter.settings.command_line import flags_given
from exporter.settings.declarations import BY_PATH, SETTINGS, Path, variable_of
from exporter.settings.models import Settings
from exporter.settings.problems import Place, SettingsError, explained, no_such, quoted

# What Kubernetes puts into every container for a service that is named fax-exporter-something.
_OF_KUBERNETES: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*"
    r"|\w+_PORT=(tcp|udp|sctp)://.*"
)
_GROUPS: Final = {setting.path[0] for setting in SETTINGS if len(setting.path) > 1}
_SECRET: Final = BY_PATH["ami", "secret"]
_SECRET_FILE: Final = BY_PATH["ami", "secret_file"]
_CONFIG_FILE: Final = BY_PATH["config", "file"]
_SHARD: Final = BY_PATH["config", "shard"]
_DEMO: Final = BY_PATH["demo",]


@dataclass(frozen=True)
class _Given:
    """A value as it was written, and the flag or variable it was written to."""

    by: str
    value: str | bool


_AllGiven = Mapping[Path, _Given]


def load(argv: Sequence[str]) -> Settings:
    """Return the settings of `argv` (without the program's name) and the environment.

    Raises SettingsError with a line for each wrong setting; SystemExit(0) after --help and
    --version.
    """
    flags = flags_given(argv)
    given = _environment() | {p: _Given(BY_PATH[p].flag, value) for p, value in flags.items()}
    if _SECRET_FILE.path in flags:
        given.pop(_SECRET.path, None)  # this flag wins over the variable of the secret too
    problems = list(_of_no_use(given))
    if not problems:
        try:
            return Settings(**_nested(given))
        except ValidationError as error:
            problems = explained(
                error,
                lambda path: _place(path[:2], given),
                missing="not set, and only --demo and --config.file need none",
            )
    # Raised out here, so that the exception that has seen the secret is not its context.
    raise SettingsError("\n".join(problems))


def _environment() -> dict[Path, _Given]:
    """What the environment sets, and what it would set if there were such a setting in a group."""
    source = EnvSettingsSource(Settings)
    source.env_vars = {
        name: value
        for name, value in source.env_vars.items()
        if not _OF_KUBERNETES.fullmatch(f"{name.upper()}={value}")
    }
    # pydantic-settings would take these for JSON.
    wholes = [variable_of((group,)) for group in sorted(_GROUPS)]
    if wrong := [name for name in wholes if name.lower() in source.env_vars]:
        raise SettingsError(
            "\n".join(
                f"{name}: no such setting; those of this group begin with {name}_" for name in wrong
            )
        )
    given: dict[Path, _Given] = {}
    for name, value in source().items():
        found = value.items() if name in _GROUPS else [(None, value)]
        for key, one in found:
            path = (name,) if key is None else (name, key)
            given[path] = _Given(variable_of(path), one)
    return given


def _of_no_use(given: _AllGiven) -> Iterator[str]:
    """What is set, though something else that is set leaves no use for it."""
    if _CONFIG_FILE.path not in given:
        if _SHARD.path in given:
            yield f"{_SHARD.flag}: needs {_CONFIG_FILE.flag}"
        return
    demo = _DEMO.path in given and _is_true(given[_DEMO.path].value)
    for setting in SETTINGS:
        if setting.path in given and (setting.path[0] == "ami" or (setting is _DEMO and demo)):
            by = given[setting.path].by
            yield f"{by}: not together with {_CONFIG_FILE.flag}, which names the targets"


def _nested(given: _AllGiven) -> dict[str, Any]:
    """What is given in the form of the models, with what the demo needs besides."""
    nested: dict[str, Any] = {group: {} for group in _GROUPS}
    for path, one in given.items():
        (nested[path[0]] if len(path) > 1 else nested)[path[-1]] = one.value
    if _CONFIG_FILE.path in given:
        nested["ami"] = None
    elif _is_true(nested.get("demo")):
        nested["ami"] = {"username": "demo"} | nested["ami"]
        if not given.keys() & {_SECRET.path, _SECRET_FILE.path}:
            nested["ami"]["secret"] = "demo"
    return nested


def _is_true(value: object) -> bool:
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False  # the field itself says what is wrong with it


def _place(path: Path, given: _AllGiven) -> Place | str:
    """What the user calls a setting that is wrong."""
    if path not in BY_PATH:
        return no_such(given[path].by, [setting.variable for setting in SETTINGS])
    setting, flag = BY_PATH[path], BY_PATH[path].flag
    if setting.is_secret:
        flag = _SECRET_FILE.flag
        if _SECRET_FILE.path in given:
            setting = _SECRET_FILE  # where it came from
    one = given.get(setting.path)
    if one is None:
        name = f"{flag} (or {setting.variable})"
    else:
        name = one.by if setting.is_secret else f"{one.by} {quoted(one.value)}"
    return Place(name, setting.accepts)
