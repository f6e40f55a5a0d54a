"""What a setting accepts, and what is said of one that is wrong: on the command line, in the
environment and in the two files alike.

No message repeats what a user wrote, be it a value or a name that is none of ours: it may be a
secret in the wrong place. It names the place.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo

_LONGEST_NAME: Final = 100
"""Characters of a name that are compared with those there are."""


class SettingsError(ValueError):
    """One or more settings are wrong; the message has a line for each, and never a value."""


@dataclass(frozen=True)
class Accepts:
    """What a setting accepts: its placeholder in --help, and the words a refusal ends with."""

    metavar: str
    what: str


@dataclass(frozen=True)
class Place:
    """Where a user sets something, by its name there, and what is accepted."""

    name: str
    accepts: Accepts

    def refusal(self, reason: str) -> str:
        """Return what is wrong there, in a line; `reason` may be empty."""
        return f"{self.name}: {reason}{'; ' if reason else ''}takes {self.accepts.what}"


Loc = tuple[str, ...]
"""Where a field stands, as pydantic tells it: names of fields, from the outermost in."""

_SWITCH = Accepts("", "true or false")


def accepted_by(field: FieldInfo) -> Accepts:
    """Return what a field of a model accepts, as its annotation declares it."""
    return next((entry for entry in field.metadata if isinstance(entry, Accepts)), _SWITCH)


def explained(
    error: ValidationError, place: Callable[[Loc], Place | str], *, missing: str = "not set"
) -> list[str]:
    """Return a line for each thing that pydantic found wrong, in the user's words.

    `place`: finds where the user set it; if there is no such setting, it returns the whole line.
    """
    lines = []
    for entry in error.errors(include_url=False, include_context=False, include_input=False):
        found = place(tuple(str(part) for part in entry["loc"]))
        reason = ""  # pydantic would only repeat what is accepted, which refusal() says
        if entry["type"] == "missing":
            reason = missing
        elif entry["type"] == "value_error":
            reason = entry["msg"].removeprefix("Value error, ")
        lines.append(found if isinstance(found, str) else found.refusal(reason))
    return lines


def no_such(
    place: str, name: str, known: Sequence[str], *, hint: str = "; --help lists what there is"
) -> str:
    """Say that there is no setting of this name at `place`, and which one may have been meant;
    `hint` stands instead of that if no name is similar.

    The name itself is not repeated: it can be a secret, as in 'secret:hunter2' without a blank.
    """
    if near := difflib.get_close_matches(name[:_LONGEST_NAME], known, n=1):
        hint = f"; did you mean {near[0]}?"
    return f"{place}: no such setting{hint}"
