"""Every setting under the names a user knows it by: its flag, its variable, its entry in --help.

All of it follows from the fields of the models; the tables of the documents are made from here.
"""

from dataclasses import dataclass
from typing import Final, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from exporter.settings.models import ENV_PREFIX, Key, Settings
from exporter.settings.problems import Accepts, Loc, accepted_by


@dataclass(frozen=True)
class Setting:
    """A field of a model, as a user sees it."""

    path: Loc
    """The name of its group, if it has one, and its own."""
    field: FieldInfo

    @property
    def key(self) -> str:
        """The flag without its dashes: 'ami.tls-ca-file'."""
        name = next((e.name for e in self.field.metadata if isinstance(e, Key)), self.path[-1])
        return ".".join([*self.path[:-1], name]).replace("_", "-")

    @property
    def flag(self) -> str:
        """The flag. That of the secret exists in name only: it is refused."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable_of(self.path)

    @property
    def group(self) -> str:
        """The title it stands under in --help."""
        title = Settings.model_fields[self.path[0]].title if len(self.path) > 1 else None
        return title or "General"

    @property
    def description(self) -> str:
        """What it does, in a sentence."""
        return self.field.description or ""

    @property
    def default(self) -> str:
        """Its value if it is not set, in the words of --help: 'required', 'default 5038'."""
        default = self.field.default
        if self.field.is_required():
            return "required"
        if default is None or self.is_secret:
            return "not set by default"
        if self.is_repeatable:
            return f"default {' '.join(map(str, default))}"
        if isinstance(default, bool):
            return f"default {'on' if default else 'off'}"
        return f"default {default:g}" if isinstance(default, float) else f"default {default}"

    @property
    def accepts(self) -> Accepts:
        """Which values it takes."""
        return accepted_by(self.field)

    @property
    def is_switch(self) -> bool:
        """Whether its flag is on or, with `no-` before its name, off, and has no value."""
        return self.field.annotation is bool

    @property
    def is_repeatable(self) -> bool:
        """Whether its flag may be given several times; its variable lists values, between commas
        or blanks."""
        return get_origin(self.field.annotation) is tuple

    @property
    def is_secret(self) -> bool:
        """Whether it is the secret itself, which is never a flag and never shown."""
        return self.field.annotation is SecretStr


def variable_of(path: Loc) -> str:
    """Return the environment variable that sets what has this path."""
    return ENV_PREFIX + "_".join(path).upper()


def _settings_of(model: type[BaseModel], above: Loc = ()) -> tuple[Setting, ...]:
    found: list[Setting] = []
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))  # a group may be `| None`
        group = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        path = (*above, name)
        found += [Setting(path, field)] if group is None else _settings_of(group, path)
    return tuple(found)


SETTINGS: Final = _settings_of(Settings)
"""All of them, in the order in which they are declared."""

BY_PATH: Final = {setting.path: setting for setting in SETTINGS}
"""The same, each by its path."""
