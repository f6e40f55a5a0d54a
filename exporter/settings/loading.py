"""Loading the settings: each value is taken from a flag, a variable or --demo, with its origin.

Messages about a wrong value name the flag or the variable that it came from.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import EnvSettingsSource

from exporter.settings.command_line import flags_given
from exporter.settings.declarations import BY_PATH, SETTINGS, Setting, variable_of
from exporter.settings.models import ENV_PREFIX, Settings
from exporter.settings.problems import Loc, Place, SettingsError, explained, no_such
from exporter.settings.values import listed

# Kubernetes sets these in every container if a service's name begins with fax-exporter.
_SET_BY_KUBERNETES: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*"
    r"|\w+_PORT=(tcp|udp|sctp)://.*"
)
_VARIABLES: Final = [setting.variable for setting in SETTINGS]
_GROUPS: Final = {setting.path[0] for setting in SETTINGS if len(setting.path) > 1}
_SECRET: Final = BY_PATH["ami", "secret"]
_SECRET_FILE: Final = BY_PATH["ami", "secret_file"]
_CONFIG_FILE: Final = BY_PATH["config", "file"]
_SHARD: Final = BY_PATH["config", "shard"]
_SHARD_BY: Final = BY_PATH["config", "shard_by"]
_LISTEN_ADDRESS: Final = BY_PATH["web", "listen_address"]
_SYSTEMD_SOCKET: Final = BY_PATH["web", "systemd_socket"]
_DEMO: Final = BY_PATH["demo",]
_SETUP_PBX: Final = BY_PATH["setup_pbx",]
_OF_SETUP_PBX: Final = [BY_PATH[(name,)] for name in ("dry_run", "remove", "yes")]
_NOT_WITH_SETUP_PBX: Final = [
    _CONFIG_FILE,
    BY_PATH["config", "check"],
    _DEMO,
    BY_PATH["check_pbx",],
    BY_PATH["health_check",],
]
_AMI: Final = [setting for setting in SETTINGS if setting.path[0] == "ami"]
_USED_BY_DEMO: Final = {"username", "secret", "secret_file", "timeout"}


@dataclass(frozen=True)
class _Given:
    """A value as the user wrote it. `origin`: the flag or variable it was set with."""

    origin: str
    value: str | bool | list[str] = field(repr=False)  # may be the secret
    """A list if the setting is repeatable."""


_AllGiven = dict[Loc, _Given]


def load(argv: Sequence[str]) -> Settings:
    """Return the settings of `argv` (without the program's name) and the environment.

    Raises SettingsError with a line for each wrong setting; SystemExit(0) after --help and
    --version.
    """
    flags = flags_given(argv)
    given, problems = _environment()
    given |= {p: _given(BY_PATH[p].flag, p, value) for p, value in flags.items()}
    if _SECRET_FILE.path in flags:
        given.pop(_SECRET.path, None)  # this flag wins over the variable of the secret too
    problems += _contradictions(given)
    if _is_on(_DEMO, given):
        given = _defaults_of_demo(given) | given
    if not problems:
        try:
            return Settings(**_nested(given))
        except ValidationError as error:
            problems = explained(
                error,
                lambda path: _place(path, given),
                missing="not set, and only --demo and --config.file need none",
            )
    # Raised outside of `except`, so that the exception that quotes the secret is not its context.
    raise SettingsError("\n".join(problems))


def _environment() -> tuple[_AllGiven, list[str]]:
    """Return what the environment sets, and a line for each variable that sets nothing though it
    begins as ours do."""
    source = EnvSettingsSource(Settings)
    ours = {
        name: value
        for name, value in source.env_vars.items()
        if name.startswith(ENV_PREFIX.lower())
        and not _SET_BY_KUBERNETES.fullmatch(f"{name.upper()}={value}")
    }
    source.env_vars = {name: value for name, value in ours.items() if name.upper() in _VARIABLES}
    given: _AllGiven = {}
    for name, value in source().items():
        values: dict[Loc, Any] = {}
        if name in _GROUPS:
            values = {(name, key): one for key, one in value.items()}
        for path, one in (values or {(name,): value}).items():
            given[path] = _given(variable_of(path), path, one)
    return given, [_no_variable(name.upper()) for name in ours if name not in source.env_vars]


def _no_variable(name: str) -> str:
    """Say that there is no such variable. Its name is repeated, since it has no other place."""
    shown = name if re.fullmatch("[A-Z0-9_]+", name) else f"a variable that begins {ENV_PREFIX}"
    if name in (variable_of((group,)) for group in _GROUPS):
        return f"{shown}: no such setting; those of this group begin with {name}_"
    return no_such(shown, name, _VARIABLES)


def _given(origin: str, path: Loc, value: Any) -> _Given:
    """Return what a variable, or a flag however often, sets."""
    if BY_PATH[path].is_repeatable:
        texts = [value] if isinstance(value, str) else value
        value = [one for text in texts for one in listed(text)]
    return _Given(origin, value)


def _contradictions(given: _AllGiven) -> Iterator[str]:
    """What is set, though it has no effect beside something else that is set."""
    if _is_on(_SETUP_PBX, given):
        useless = [*_AMI, *_NOT_WITH_SETUP_PBX]
        why = f"not together with {_SETUP_PBX.flag}, which makes the user, and checks it"
    elif _CONFIG_FILE.path in given:
        useless = [*_AMI, _DEMO] if _is_on(_DEMO, given) else _AMI
        why = f"not together with {_CONFIG_FILE.flag}, which names the targets"
    elif _is_on(_DEMO, given):
        useless = [setting for setting in _AMI if setting.path[1] not in _USED_BY_DEMO]
        why = f"not together with {_DEMO.flag}, which watches a PBX of its own"
    else:
        useless = []
    for setting in useless:
        if setting.path in given:
            yield f"{given[setting.path].origin}: {why}"
    if _LISTEN_ADDRESS.path in given and _is_on(_SYSTEMD_SOCKET, given):
        why = f"not together with {_SYSTEMD_SOCKET.flag}; systemd knows the addresses"
        yield f"{given[_LISTEN_ADDRESS.path].origin}: {why}"
    for setting in _OF_SETUP_PBX:
        if _is_on(setting, given) and not _is_on(_SETUP_PBX, given):
            yield f"{given[setting.path].origin}: needs {_SETUP_PBX.flag}"
    if _SHARD.path in given and _CONFIG_FILE.path not in given:
        yield f"{given[_SHARD.path].origin}: needs {_CONFIG_FILE.flag}"
    if _SHARD_BY.path in given and _SHARD.path not in given:
        yield f"{given[_SHARD_BY.path].origin}: needs {_SHARD.flag}"


def _defaults_of_demo(given: _AllGiven) -> dict[Loc, _Given]:
    """Return the defaults of the demo: a login, and an address on this machine only."""
    values: dict[Loc, str | list[str]] = {
        ("ami", "username"): "demo",
        _LISTEN_ADDRESS.path: ["127.0.0.1:10329"],
    }
    if _SECRET_FILE.path not in given:
        values[_SECRET.path] = "demo"
    return {path: _Given(_DEMO.flag, value) for path, value in values.items()}


def _nested(given: _AllGiven) -> dict[str, Any]:
    """Return the values in the shape of Settings, group by group."""
    nested: dict[str, Any] = {group: {} for group in _GROUPS}
    for path, one in given.items():
        (nested[path[0]] if len(path) > 1 else nested)[path[-1]] = one.value
    if _CONFIG_FILE.path in given or _is_on(_SETUP_PBX, given):
        nested["ami"] = None
    return nested


def _is_on(switch: Setting, given: _AllGiven) -> bool:
    return switch.path in given and _is_true(given[switch.path].value)


def _is_true(value: object) -> bool:
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False  # the field itself says what is wrong with it


def _place(loc: Loc, given: _AllGiven) -> Place:
    """Where the user set, or could set, what is wrong."""
    path, index = loc[:2], loc[2:3]
    setting, flag = BY_PATH[path], BY_PATH[path].flag
    if setting.is_secret:
        flag = _SECRET_FILE.flag
        if _SECRET_FILE.path in given:
            setting = _SECRET_FILE  # the secret was read from it
    one = given.get(setting.path)
    if one is None:
        name = f"{flag} (or {setting.variable})"
    elif isinstance(one.value, list) and len(one.value) > 1 and index:
        name = f"{one.origin}, value {int(index[0]) + 1} of {len(one.value)}"
    else:
        name = one.origin
    return Place(name, setting.accepts)
