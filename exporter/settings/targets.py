"""The file that names the Asterisks to watch, where there are several.

    targets:
      fax-berlin: {host: 10.0.0.5, username: fax-exporter, secret_file: /run/secrets/berlin}
      fax-paris: {host: pbx2.example, tls: true, username: fax-exporter, secret_env: PARIS_SECRET}

A target takes what the settings of one Asterisk take, and `secret_env` beside `secret_file`. Beside
`targets` may stand `shard` and `shard_by`, as the flags --config.shard and --config.shard-by, so
that the share of a running exporter can be changed.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator

from exporter.settings.declarations import BY_PATH
from exporter.settings.models import AmiSettings, ConfigSettings
from exporter.settings.problems import (
    Accepts,
    Place,
    SettingsError,
    accepted_by,
    explained,
    no_such,
)
from exporter.settings.shards import share_of
from exporter.settings.values import Shard
from exporter.settings.yaml_files import Keyed, named_file, read_yaml

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VARIABLE: Final = re.compile("[A-Z][A-Z0-9_]*")

Targets = dict[str, AmiSettings]
"""How to log in to each Asterisk, by the name the file gives it."""


class _Target(AmiSettings):
    """A target as the file writes it: `secret_env` names the variable that holds the secret, and
    paths are relative to the folder of the file."""

    secret_is_set_by: ClassVar = "secret_env"

    secret: Annotated[
        SecretStr,
        Field(alias="secret_env", validate_default=True),
        Accepts("VARIABLE", "the name of an environment variable that holds the secret"),
    ] = SecretStr("")

    @field_validator("secret", mode="before")
    @classmethod
    def _secret_from_variable(cls, value: object, info: ValidationInfo) -> object:
        if not value or info.data.get("secret_file"):  # AmiSettings has checks for these
            return value
        secret = os.environ.get(value) if isinstance(value, str) else None
        if not secret:
            raise ValueError("the variable that it names is not set")
        return secret

    _files = field_validator(
        "secret_file", "tls_ca_file", "tls_cert_file", "tls_key_file", mode="before"
    )(named_file)


_SHARE: Final = ("shard", "shard_by")
_TOP: Final = ("targets", *_SHARE)
_KNOWN_TOP: Final = f"; there is {', '.join(_TOP)}"
_SECRET: Final = Accepts("", "the secret in a file, or the name of a variable that holds it")
_KEYS: Final = {field.alias or name: field for name, field in _Target.model_fields.items()}
_KNOWN_KEYS: Final = f"; a target takes {', '.join(sorted(_KEYS))}"


def load_targets(path: Path, shard: Shard | None = None) -> Targets:
    """Return the targets of a file in its order, those of `shard` alone if one is given, here or
    in the file. Reads their secrets too.

    Raises SettingsError with a line for each thing that is wrong, and never a value.
    """
    content = read_yaml(path, BY_PATH["config", "file"])
    if not isinstance(content, Keyed) or "targets" not in content:
        raise SettingsError(f"{path}: has no targets; it takes 'targets:' and below it names")
    problems = [
        f"{path}: {no_such(content.place(key), key, _TOP, hint=_KNOWN_TOP)}"
        for key in map(str, content)
        if key not in _TOP
    ]
    try:
        shard = _read_share(content, shard)
    except SettingsError as error:
        problems += [f"{path}: {problem}" for problem in str(error).splitlines()]
    targets: Targets = {}
    listed = content["targets"]
    if not isinstance(listed, Keyed):
        problems.append(
            f"{path}: targets: takes a name and settings for each Asterisk, in lines below it; "
            "to watch none, write 'targets: {}'"
        )
        listed = Keyed()
    for name, given in listed.items():
        try:
            targets[name] = _read_target(name, given, path.parent, listed.place)
        except SettingsError as error:
            problems += [f"{path}: targets{problem}" for problem in str(error).splitlines()]
    if problems:
        raise SettingsError("\n".join(problems))
    if shard is None:
        return targets
    return {n: s for n, s in targets.items() if share_of(n, shard.count, shard.by) == shard}


def _read_share(content: Keyed, given: Shard | None) -> Shard | None:
    """Return the share that the file names, or else `given`, that of the flag.

    Raises SettingsError with a line for each thing that is wrong.
    """
    values = {key: content[key] for key in _SHARE if content.get(key) is not None}
    if values and given is not None:
        raise SettingsError(
            f"{', '.join(values)}: not together with {BY_PATH['config', 'shard'].flag}; "
            "leave out either"
        )
    if values.keys() == {"shard_by"}:
        raise SettingsError("shard_by: needs shard")
    # A mapping would pass for a Shard.
    texts = {key: value if isinstance(value, str) else "" for key, value in values.items()}
    try:
        return ConfigSettings.model_validate(texts).share if texts else given
    except ValidationError as error:
        fields = ConfigSettings.model_fields
        problems = explained(error, lambda path: Place(path[0], accepted_by(fields[path[0]])))
    raise SettingsError("\n".join(problems))


def _read_target(
    name: object, given: object, folder: Path, place: Callable[[str], str]
) -> AmiSettings:
    """Return one target. `place`: finds where in the file a name stands.

    Raises SettingsError with a line for each thing that is wrong with it. A name is repeated only
    if it names something: alone it may be a secret that was written without its key.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(
            f", {place(str(name))}: takes a name of letters, digits and ._- (quoted, if a number)"
        )
    if not isinstance(given, Keyed):
        raise SettingsError(f", {place(name)}: takes host, username and secret_file or secret_env")
    problems = [_unknown_key(name, key, given) for key in map(str, given) if key not in _KEYS]
    values = {key: value for key, value in given.items() if key in _KEYS and value is not None}
    try:
        target = _Target.model_validate(values, context=folder)
    except ValidationError as error:
        problems += [
            f".{name}.{_with_keys(problem)}"
            for problem in explained(error, lambda path: _place(path[0], values))
        ]
    if not problems:
        return target
    # Raised outside of `except`, so that the exception that quotes the secret is not its context.
    raise SettingsError("\n".join(problems))


def _unknown_key(target: str, key: str, given: Keyed) -> str:
    if given.get(key) is None and re.search("[:=]", key):
        return f".{target}, {given.place(key)}: takes a colon and a blank between key and value"
    if key == "secret":
        return f".{target}.secret: never in this file; set secret_file or secret_env"
    return f".{target}, {no_such(given.place(key), key, sorted(_KEYS), hint=_KNOWN_KEYS)}"


def _place(key: str, given: Mapping[str, Any]) -> Place:
    """Where in a target something is wrong."""
    if key in ("secret", "secret_env"):  # pydantic names a default by its field, not its alias
        key = "secret_file" if "secret_file" in given else "secret_env"
    if key == "secret_env" and key not in given:
        return Place("secret_file (or secret_env)", _SECRET)
    return Place(key, accepted_by(_KEYS[key]))


def _with_keys(problem: str) -> str:
    """Replace flags by the keys of this file, `--ami.tls` by `tls`."""
    return re.sub(r"--ami\.([a-z-]+)", lambda flag: flag[1].replace("-", "_"), problem)
