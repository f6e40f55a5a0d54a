"""What is wrong at one PBX now, and the log lines about it: one when it begins, one when it ends.

What can be wrong, and the words for it, are in troubles.py.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from exporter.fax import Problem
from exporter.polling.status import Failure
from exporter.polling.troubles import (
    REFUSALS,
    TO_BE_MENDED,
    Kind,
    Lack,
    Trouble,
    lost_again,
    repeated_challenge,
    unreadable,
)

_LOST: Final = (Failure.LOST, "")


class Notices:
    """The troubles of one PBX. A log is read by people: of each they are told once."""

    def __init__(
        self, log: "logging.LoggerAdapter[logging.Logger]", wall: Callable[[], float]
    ) -> None:
        """`wall`: seconds since the epoch."""
        self._log = log
        self._wall = wall
        self._present: dict[tuple[Kind, str], Trouble[Kind]] = {}

    @property
    def now(self) -> list[Trouble[Kind]]:
        """All troubles there are, the oldest first."""
        return list(self._present.values())

    def hints(self, *, up: bool) -> list[str]:
        """What the PBX lacks, and what to do about it. What it refuses only while it is `up`: else
        that is why it is not, or was said over a connection that is gone."""
        told = TO_BE_MENDED if up else TO_BE_MENDED.difference(REFUSALS)
        return [trouble.text for trouble in self._present.values() if trouble.kind in told]

    def refusals_of(self, *actions: str) -> list[Trouble[Kind]]:
        """How Asterisk refuses these actions, in their order; nothing for those that work."""
        keys = ((kind, action) for action in actions for kind in REFUSALS)
        return [self._present[key] for key in keys if key in self._present]

    def not_known(self, action: str) -> bool:
        """Whether Asterisk does not know this action."""
        return (Failure.UNKNOWN_ACTION, action) in self._present

    def unreadable(self, problems: Iterable[Problem]) -> None:
        """Warns of fields that are not as Asterisk writes them."""
        for problem in problems:
            self.begin(unreadable(problem))

    def begin(self, trouble: Trouble[Kind]) -> None:
        """Warns of it, unless it is known. An outage for another reason than before is news, and
        so is an action that is refused in another way."""
        key = trouble.kind, trouble.about
        known = self._present.get(key)
        if known is not None:
            news = trouble.is_outage and known.text != trouble.text
            if not news or (known.again and trouble.again):
                return
        if trouble.kind in REFUSALS:
            for kind in REFUSALS:
                self._present.pop((kind, trouble.about), None)
        self._present[key] = replace(trouble, since=self._wall())
        self._log.warning("%s", trouble.text)

    def end(self, kind: Kind, text: str, about: str = "") -> None:
        """Logs `text` if there was such a trouble."""
        if self._present.pop((kind, about), None) is not None:
            self._log.info("%s", text)

    def action_works(self, action: str) -> None:
        """Logs that an action works, if it was refused."""
        if self._present:
            for kind in REFUSALS:
                self.end(kind, f"{action} works now", action)

    def with_those_before(self, trouble: Trouble[Failure]) -> Trouble[Failure]:
        """This one, as it is to be told after those there were: a connection that is lost before
        one has held is lost again and again, for whatever reason."""
        lost_before = (trouble.kind, trouble.about) == _LOST and _LOST in self._present
        return lost_again(trouble) if lost_before else trouble

    def connected(self, ami_version: str) -> None:
        """Logs that there is a connection, unless none holds."""
        if not self._none_holds:
            self._log.info("connected, AMI %s", ami_version)

    def challenged(self, *, again: bool, tls: bool) -> None:
        """Warns of a login whose challenge had come before. `tls`: whether it was over TLS."""
        if again:
            self.begin(repeated_challenge(tls))
        else:
            self.end(Lack.CHALLENGES, "the challenge of this login is a new one")

    @property
    def _none_holds(self) -> bool:
        return _LOST in self._present and self._present[_LOST].again

    def forget_outages(self) -> None:
        """A connection holds: all outages are over. Others told that already, but where none held
        until now."""
        if self._none_holds:
            self._log.info("the connection holds now")
        for failure in Failure:
            self._present.pop((failure, ""), None)

    def clear(self) -> None:
        """Forgets everything, so that whatever is wrong is told again."""
        self._present.clear()
