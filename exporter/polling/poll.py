"""One poll of one Asterisk: what it saw, and how it went. poller.py asks."""

from dataclasses import dataclass, field
from typing import Final

from exporter.fax import Problem
from exporter.ledger import Observation
from exporter.polling.status import Failure

WHOLE_POLL: Final = frozenset({Failure.TIMEOUT, Failure.LOST, Failure.SHUTTING_DOWN})
"""Failures of a poll as a whole, whatever it brought until then."""


@dataclass
class Poll:
    """How one poll went, beside what it saw."""

    seen: Observation
    answered: bool = False
    """Something came back, even if only refusals."""
    failures: set[Failure] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    """What could not be read."""
    details_refused: bool = False
    """FAXSession did not work for every session."""
