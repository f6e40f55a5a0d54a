"""What is wrong at one PBX now, and the log lines about it: one when it begins, one when it ends.

What can be wrong, and the words for it, are in `troubles`.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from exporter.polling.status import Failure
from exporter.polling.troubles import REFUSALS, TO_BE_MENDED, Kind, Trouble


class Notices:
    """The troubles of one PBX. A log is read by people: of each they are told once."""

    def __init__(
        self, log: "logging.LoggerAdapter[logging.Logger]", wall: Callable[[], float]
    ) -> None:
        """`wall`: seconds since the epoch."""
        self._log = log
        self._wall = wall
        self._now: dict[tuple[Kind, str], Trouble[Kind]] = {}

    @property
    def now(self) -> list[Trouble[Kind]]:
        """All there are, those that were noticed first before the others."""
        return list(self._now.values())

    @property
    def hints(self) -> list[str]:
        """What the PBX lacks, and what to do about it."""
        return [trouble.text for trouble in self._now.values() if trouble.kind in TO_BE_MENDED]

    def refusals_of(self, *actions: str) -> list[Trouble[Kind]]:
        """How Asterisk refuses these actions, in their order; of those that work there is none."""
        keys = ((kind, action) for action in actions for kind in REFUSALS)
        return [self._now[key] for key in keys if key in self._now]

    def begin(self, trouble: Trouble[Kind]) -> None:
        """Warns of it, unless it is known. An outage for another reason than before is news, and
        so is an action that is refused in another way."""
        key = trouble.kind, trouble.about
        known = self._now.get(key)
        if known is not None and not (trouble.is_outage and known.text != trouble.text):
            return
        if trouble.kind in REFUSALS:
            for kind in REFUSALS:
                self._now.pop((kind, trouble.about), None)
        self._now[key] = replace(trouble, since=self._wall())
        self._log.warning("%s", trouble.text)

    def end(self, kind: Kind, text: str, about: str = "") -> None:
        """Says `text` if there was such a trouble."""
        if self._now.pop((kind, about), None) is not None:
            self._log.info("%s", text)

    def action_works(self, action: str) -> None:
        """Says so if it was refused."""
        if self._now:
            for kind in REFUSALS:
                self.end(kind, f"{action} works now", action)

    def forget_outages(self) -> None:
        """They are over, and whoever reads the log sees it by other lines."""
        for failure in Failure:
            self._now.pop((failure, ""), None)

    def clear(self) -> None:
        """Whatever goes wrong from now on is news."""
        self._now.clear()
