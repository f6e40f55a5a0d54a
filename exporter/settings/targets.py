"""The file that names the Asterisks to watch, where there are several; read again on request.

    targets:
      fax-berlin: {host: 10.0.0.5, username: fax-exporter, secret_file: /run/secrets/berlin}
      fax-paris: {host: pbx2.example, tls: true, username: fax-exporter, secret_env: PARIS_SECRET}

A target takes what the settings of one Asterisk take, and `secret_env` beside `secret_file`.
"""

import asyncio
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from exporter.log import about_target
from exporter.settings.models import (
    AmiSettings,
    SettingsError,
    Shard,
    no_such,
    reason_of,
    secret_cautions,
    shown,
    takes_of,
)
from exporter.tls_files import unread

log = logging.getLogger(__name__)

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes; 20,000 targets."""
PIPE: Final = "a named pipe, and its writer could be waited for without end"
_KEYS: Final = sorted(AmiSettings.model_fields.keys() - {"secret"} | {"secret_env"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LISTS: Final = f"; a target takes {', '.join(_KEYS)}"

Targets = dict[str, AmiSettings]
"""How to log in to each Asterisk, by the name the file gives it."""


def read_yaml(path: Path) -> object:
    """What a YAML file holds; nothing is None. Raises SettingsError, with file and line."""
    if is_pipe(path):
        raise SettingsError(f"{path}: {PIPE}")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {unread(error)}") from None
    if len(content) > MAX_FILE:
        raise SettingsError(f"{path}: more than {MAX_FILE} bytes, not a configuration")
    try:
        return YAML(typ="safe", pure=True).load(content)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark is not None else f"{path}"
        # Of its words the first line only, and no value: the file may hold a secret.
        said = (error.problem or "not YAML").splitlines()[0].partition(" with value ")[0]
        problem = f"{where}: {shown(said)[1:-1]}"
    except YAMLError:
        problem = f"{path}: holds characters that YAML does not allow"
    except RecursionError:
        problem = f"{path}: nested too deep"
    except Exception as error:  # of its constructors, as of a date with a 13th month
        problem = f"{path}: not YAML ({type(error).__name__})"
    # Raised out here, so that an exception that quotes the file is not its context.
    raise SettingsError(problem)


def is_pipe(path: Path) -> bool:
    """Whether to open it could mean to wait."""
    try:
        return path.is_fifo()
    except OSError:  # such as a name too long: opening it will say so
        return False


def load_targets(path: Path, shard: Shard | None = None) -> Targets:
    """The targets of a file, in its order; of `shard` only. Reads their secrets too.

    Raises SettingsError with a line for each thing that is wrong, and never a secret.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or "targets" not in content:
        raise SettingsError(f"{path}: has no targets; it takes 'targets:' and below it names")
    problems = [
        f"{path}: {no_such(str(key), ['targets'], lists='; there is only targets')}"
        for key in content
        if key != "targets"
    ]
    targets: Targets = {}
    listed = content["targets"]
    if not isinstance(listed, dict):
        problems.append(f"{path}: targets: takes a name and settings for each; {{}} is none")
        listed = {}
    for name, given in listed.items():
        found = _target(name, given, path)
        if isinstance(found, AmiSettings):
            targets[name] = found
        else:
            problems += [f"{path}: targets.{problem}" for problem in found]
    if problems:
        raise SettingsError("\n".join(problems))
    return {n: s for n, s in targets.items() if shard is None or share_of(n, shard.count) == shard}


def share_of(name: str, count: int) -> Shard:
    """The share that a name belongs to, as Prometheus' relabel action hashmod deals them: the
    last 8 bytes of its MD5, modulo `count`."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return Shard(int.from_bytes(digest[8:], "big") % count, count)


def _target(name: object, given: object, path: Path) -> AmiSettings | list[str]:
    """One target, or what is wrong with it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return [f"{shown(name)}: takes a name of letters, digits and ._- (quoted, if a number)"]
    if not isinstance(given, dict):
        return [f"{name}: takes host, username and secret_file or secret_env"]
    problems = []
    for key in given:
        if key == "secret":
            problems.append(f"{name}.secret: never in this file; set secret_file or secret_env")
        elif key not in _KEYS:
            problems.append(f"{name}.{no_such(str(key), _KEYS, lists=_LISTS)}")
    values = {key: value for key, value in given.items() if key in _KEYS and value is not None}
    for key in ("secret_file", "tls_ca_file", "tls_cert_file", "tls_key_file"):
        if isinstance(values.get(key), str):
            values[key] = path.parent / values[key]  # as Prometheus does
            if is_pipe(values[key]):
                problems.append(f"{name}.{key} {shown(given[key])}: {PIPE}")
                del values[key]
                if key == "secret_file":
                    values["secret"] = "?"  # so that the rest is checked too
    variable = values.pop("secret_env", None)
    if (variable is None) == (given.get("secret_file") is None):
        problems.append(f"{name}: takes one of secret_file and secret_env")
        values.pop("secret_file", None)
        values["secret"] = "?"
    elif variable is not None:
        values["secret"] = os.environ.get(variable, "") if isinstance(variable, str) else ""
        if not values["secret"]:
            # Who takes it for the secret's own place must not see the secret in a log.
            plain = isinstance(variable, str) and re.fullmatch("[A-Z][A-Z0-9_]*", variable)
            value = f" {shown(variable)}" if plain else ""
            problems.append(
                f"{name}.secret_env{value}: not set; takes the name of an environment "
                "variable that holds the secret"
            )
            values["secret"] = "?"
    try:
        target = AmiSettings(**values)
    except ValidationError as error:
        problems += [
            f"{name}.{_problem(entry, given)}" for entry in error.errors(include_input=False)
        ]
    # Out here, so that the exception that has seen the secret is not the context of another.
    return problems or target


def _problem(error: ErrorDetails, given: Mapping[Any, Any]) -> str:
    """In one line what pydantic's error means to the user who wrote the target."""
    key = str(error["loc"][0])
    if key == "secret" and "secret_file" in given:
        key = "secret_file"  # where it came from
    what = takes_of(AmiSettings.model_fields[key]).what
    if key == "secret":
        key = "secret_env"
    value = f" {shown(given[key])}" if key in given else ""
    # What is a flag on the command line is a key here.
    text = f"{key}{value}: {reason_of(error)}takes {what}"
    return re.sub(r"--ami\.([a-z-]+)", lambda flag: flag[1].replace("-", "_"), text)


class ConfigFile:
    """The file as it was last read without fault."""

    def __init__(
        self, path: Path, shard: Shard | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Reads nothing yet. `clock`: seconds since the epoch."""
        self.path = path
        self.successful = False
        """The last reading was without fault."""
        self.success_timestamp = 0.0
        """Seconds since the epoch: when the last faultless reading was."""
        self._shard = shard
        self._clock = clock
        self._cautioned: set[tuple[str, str]] = set()

    async def read(self) -> Targets:
        """Its targets now. Raises SettingsError, and then nothing of it holds."""
        try:
            targets = await asyncio.to_thread(load_targets, self.path, self._shard)
        except SettingsError:
            self.successful = False
            raise
        for name, target in targets.items():
            for caution in secret_cautions(target, "secret_env"):
                if (name, caution) not in self._cautioned:
                    self._cautioned.add((name, caution))
                    about_target(log, name).warning("%s", caution)
        self.successful = True
        self.success_timestamp = self._clock()
        return targets
