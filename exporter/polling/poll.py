"""One poll of one Asterisk: what is asked, what it saw and how it went. poller.py asks."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from exporter.ami import Expects, Request
from exporter.fax import Problem
from exporter.ledger import Observation
from exporter.polling.poll_cache import MAX_KEPT
from exporter.polling.status import Failure

FAXSESSIONS: Final = Request("FAXSessions", Expects.LIST)
FAXSTATS: Final = Request("FAXStats", Expects.EVENT)
CORESETTINGS: Final = Request("CoreSettings")
CORESTATUS: Final = Request("CoreStatus")

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


@lru_cache(maxsize=MAX_KEPT)
def faxsession(number: int) -> Request:
    """The request for one session, made once for each number and used for all PBXs."""
    return Request("FAXSession", Expects.EVENT, {"SessionNumber": str(number)})
