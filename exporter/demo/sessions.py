"""One fax session and what can happen to it, and the truth: counts of what did happen to all of
them, which the exporter must arrive at.

A session does not know Asterisk: what lists it and sends its completion event is in faxes.py.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

UNTRAINED_RATE: Final = 14400
"""bit/s that a session reads before it has negotiated anything."""
NO_RESOLUTION: Final = (0, 0)
FAXES: Final = ("send", "receive")
"""Operations that have a modem, a result and an event; a gateway and a V.21 detector do not."""


class FaxGone(Exception):
    """The session is no longer in the list, or Asterisk or res_fax is not running."""


class Completion(NamedTuple):
    """How a fax ended: FAXMODE (audio, T38), FAXSTATUS (SUCCESS, FAILED) and FAXERROR."""

    operation: str
    mode: str
    status: str
    error: str


@dataclass
class Truth:
    """What this PBX did since it was made, over all restarts: what an exporter must arrive at."""

    started: Counter[str] = field(default_factory=Counter)
    """Sessions by operation; likewise the next four, `pages` being those confirmed."""
    ended: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    rejected_pages: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    bad_lines: int = 0
    """Over all pages of all receive sessions, rejected pages included."""
    completions: Counter[Completion] = field(default_factory=Counter)
    heard: Counter[Completion] = field(default_factory=Counter)
    """Those of `completions` whose event was sent to at least one client."""
    never_began: Counter[Completion] = field(default_factory=Counter)
    """Events of faxes for which no session could be made; no counter above includes those faxes."""


@dataclass(eq=False)
class DemoSession:
    """A fax session of the demo PBX; a script decides what happens to it.

    The fields are what Asterisk shows, and may be set to anything. The methods are what can happen
    to a real fax: they count it in the truth, and raise FaxGone once the session has left the list.
    """

    number: int
    operation: str
    channel: str
    transport: str
    files: tuple[str, ...]
    state: str
    rate: int
    uniqueid: str
    """Of the call as it is now, so it changes with a transfer; likewise `linkedid`."""
    linkedid: str
    truth: Truth = field(repr=False)
    life: object = field(repr=False)
    """Identity of one run of res_fax: a restart of it or of Asterisk makes another."""
    technology: str = "Spandsp"
    ecm: bool = False
    resolution: tuple[int, int] = NO_RESOLUTION
    pages: int = 0
    bad_lines: int = 0
    moved_to: str = ""
    """What its channel is called after a transfer; only the completion event says so."""
    caller: str = ""
    """The number that its channel is called from; empty if that is not known."""
    local_station: str = ""
    """What this end says it is, LOCALSTATIONID of the dialplan; only the event tells it, as it does
    of `remote_station`, which the other end says before the modems train."""
    remote_station: str = ""
    gone: bool = False
    began: bool = True
    """False if no session could be made."""
    completion: Completion | None = None
    """Set when a send or receive has ended."""
    pages_transferred: int = 0
    """What the completion event says; likewise `status_string`."""
    status_string: str = ""

    def _check_not_gone(self) -> None:
        if self.gone:
            raise FaxGone(f"session {self.number} on {self.channel} has ended")

    def negotiate(
        self, *, rate: int = 14400, ecm: bool = False, resolution: tuple[int, int] = (8031, 3850)
    ) -> None:
        """Both ends agree: bit/s, and pixels per metre."""
        self._check_not_gone()
        self.state, self.rate, self.ecm = "Active", rate, ecm
        if self.operation in FAXES:
            self.resolution = resolution

    def move(self, channel: str, uniqueid: str) -> None:
        """Another call takes the place of this one (REFER, or INVITE with Replaces). The channel
        gets the other's name and number; the list keeps the name that it began with."""
        self._check_not_gone()
        self.moved_to, self.uniqueid = channel, uniqueid

    def switch_to_t38(self) -> None:
        """From audio to T.38: modem, pages and negotiation start anew.

        Just before, a real session has the transport `none` for a moment: set it, to show that.
        """
        self._check_not_gone()
        self.transport = "T.38"
        self.rate, self.ecm, self.resolution = UNTRAINED_RATE, False, NO_RESOLUTION
        self.pages = self.bad_lines = 0

    def fall_back(self, rate: int) -> None:
        """The session goes on at a lower rate, in bit/s."""
        self._check_not_gone()
        if rate >= self.rate:
            raise ValueError(f"{rate} bit/s is no fallback from {self.rate} bit/s")
        self.rate = rate
        self.truth.fallbacks[self.operation] += 1

    def add_bad_lines(self, lines: int) -> None:
        """Lines of the current page arrive damaged. Only a receive without ECM notices."""
        self._check_not_gone()
        if self.operation != "receive" or self.ecm:
            raise ValueError(f"a {self.operation} session (ECM {self.ecm}) counts no bad lines")
        self.bad_lines += lines
        self.truth.bad_lines += lines

    def confirm_page(self) -> None:
        """The page counts as done; its bad lines still stand until the next page begins."""
        self._check_not_gone()
        self.pages += 1
        self.truth.pages[self.operation] += 1

    def begin_page(self) -> None:
        """A further page begins: the count of bad lines starts again at 0."""
        self._check_not_gone()
        self.bad_lines = 0

    def finish_page(self, *, last: bool = False) -> None:
        """The page is done and, unless it was the last, the next one begins at the same moment."""
        self.confirm_page()
        if not last:
            self.begin_page()

    def reject_page(self) -> None:
        """The page has to be sent again: its bad lines go back to 0, no page is counted."""
        self.begin_page()
        self.truth.rejected_pages[self.operation] += 1
