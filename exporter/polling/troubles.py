"""What can be wrong at a PBX, or on the way to it, and the words for it, which log, page, API,
/-/ready and --check-pbx share. What is wrong now is in notices.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

from exporter.ami import (
    SHUTTING_DOWN,
    Answer,
    Cause,
    ConnectError,
    ConnectionLost,
    LoginRefused,
    ShuttingDown,
)
from exporter.fax import CHANNELVARS, FaxResult, Problem, Version
from exporter.polling.backoff import HOLDS, LONGEST_PAUSE, REFUSED_PAUSE, RETURN_PAUSE
from exporter.polling.status import Failure
from exporter.words import visible


class Lack(StrEnum):
    """What a PBX, or the login to it, lacks without a poll failing."""

    EVENTS = "completion events"
    RESULTS = "results in completion events"
    CHALLENGES = "new challenges at logins"
    SECRET = "a secret file that can be read"


Kind: TypeAlias = Failure | Lack
K = TypeVar("K", bound=Kind, covariant=True)

REFUSALS: Final = (Failure.DENIED, Failure.UNKNOWN_ACTION, Failure.ERROR)
"""How Asterisk refuses an action."""
TO_BE_MENDED: Final = frozenset({*REFUSALS, *Lack})
"""What stays true until somebody puts it right."""


@dataclass(frozen=True)
class Trouble(Generic[K]):
    """One thing that is wrong."""

    kind: K
    text: str
    """What came back, what is missing for it, and what to do, in an operator's words."""
    about: str = ""
    """The action or field that it concerns; empty if it is the whole connection, poll or PBX."""
    since: float | None = None
    """When it was first noticed, seconds since the epoch; None until it is."""
    again: bool = False
    """It comes again and again, maybe for another reason each time, which is no news."""

    def __post_init__(self) -> None:
        # It can have words of the PBX in it, and is shown on terminals and pages.
        object.__setattr__(self, "text", visible(self.text))

    @property
    def is_outage(self) -> bool:
        """Whether there is no connection or no poll, rather than a part of one missing."""
        return isinstance(self.kind, Failure) and not self.about


# --- words that several troubles, or --check-pbx, share --------------------------------------

WRITE_CLASS: Final = {
    "FAXSessions": "call",
    "FAXSession": "call",
    "FAXStats": "reporting",
    "CoreSettings": "reporting",
    "CoreStatus": "reporting",
}
"""The write class that a user needs for each action that is asked."""
WITHOUT_CLASS: Final = {
    "call": "without it there are no sessions, pages, bad lines and data rates",
    "reporting": "without it Asterisk's own totals, its version and its restarts are unknown",
}
_WITHOUT_ACTION: Final = {
    "FAXSessions": "no session is listed: bad lines, data rates and what runs now are unknown, "
    "pages only come by completion events",
    "FAXSession": "bad lines and data rates are unknown, pages only come by completion events",
    "FAXStats": "Asterisk's own attempts, completed and failed are missing",
    "CoreSettings": "the version is missing",
    "CoreStatus": "a restart of Asterisk is not told from a lost connection",
}
NO_REASONS: Final = "failures and their reasons are unknown"
RES_FAX_MISSING: Final = "res_fax is not loaded"
SLOW: Final = "the PBX or the network is slow"

# Asterisk copies the classes and filters of a user when it logs in (manager.c, authenticate).
_LOG_IN_AGAIN: Final = (
    "'manager reload' in Asterisk's console, then restart the exporter, since a login keeps what "
    "it began with"
)
_TO_WRITE_LINE: Final = f"to its write line in manager.conf, then {_LOG_IN_AGAIN}"
_LOAD: Final = (
    "load res_fax.so and res_fax_spandsp.so in modules.conf; 'module show like res_fax' in "
    "Asterisk's console shows which run"
)
_STARTING: Final = "an Asterisk that has just been started may still be about to load them"
_WE_ARE_LATE: Final = (
    "since this exporter was busy with others, stopped, or given no CPU; the PBX is not to blame; "
    "if it goes on see AsteriskFaxExporterOverloaded in docs/alerting.md"
)
_TRIED_AGAIN: Final = f"tried again, after {LONGEST_PAUSE:.0f} s at the latest"
ENDED: Final = "Asterisk has ended, as it was about to once its last call had"

FIRST_TRY: Final = "not tried yet: the first connection is being made"
NEW_SETTINGS: Final = "not tried yet with its new settings: a connection is being made"
LOGGED_IN: Final = "logged in; its first answers are awaited"

# --- no connection, no poll -----------------------------------------------------------------


def no_connection(error: Exception, timeout: float, least_pause: float) -> Trouble[Failure]:
    """Why there is no connection, or it was lost, and when the next is tried. `timeout`, and
    `least_pause` as in Backoff: seconds."""
    match error:
        case LoginRefused():
            text = f"{error}; tried again once in {REFUSED_PAUSE:.0f} s"
            return Trouble(Failure.LOGIN, text)
        case ShuttingDown():
            text = f"{error}; tried again within {max(least_pause, RETURN_PAUSE):g} s"
            return Trouble(Failure.SHUTTING_DOWN, text)
        case ConnectError():
            silent = error.cause is Cause.SILENT
            return Trouble(
                Failure.TIMEOUT if silent else Failure.CONNECT, f"{error}; {_TRIED_AGAIN}"
            )
        case ConnectionLost():
            return Trouble(Failure.LOST, f"{error}; {_TRIED_AGAIN}")
        case TimeoutError():
            unanswered = "logged in, then no answer to CoreSettings and CoreStatus"
            text = f"{unanswered} within {timeout:g} s; {SLOW}; {_TRIED_AGAIN}"
            return Trouble(Failure.TIMEOUT, text)
    defect = "a defect of this exporter; its log has the traceback, to be reported"
    return Trouble(Failure.INTERNAL, f"{defect}; {_TRIED_AGAIN}")


def lost_again(lost: Trouble[Failure]) -> Trouble[Failure]:
    """A connection is lost that had not held for long, as the one before."""
    text = f"{lost.text}; so it is again and again, told once until one holds for {HOLDS:g} s"
    return replace(lost, text=text, again=True)


def shutting_down(pause: float) -> Trouble[Failure]:
    """Asterisk refuses every action, and is asked again every `pause` seconds."""
    every = f"completion events are still counted; it is asked again every {pause:g} s"
    return Trouble(Failure.SHUTTING_DOWN, f"{SHUTTING_DOWN}; {every}")


def slow_poll(timeout: float) -> Trouble[Failure]:
    """A poll that was not over after `timeout` seconds."""
    text = f"no complete answer within {timeout:g} s; the PBX is slow or the network loses packets"
    return Trouble(Failure.TIMEOUT, text)


def late_poll(timeout: float) -> Trouble[Failure]:
    """As `slow_poll`, but this process was late for most of the time, and not the PBX."""
    return Trouble(
        Failure.TIMEOUT, f"no complete answer was taken within {timeout:g} s, {_WE_ARE_LATE}"
    )


def late_connection(timeout: float) -> Trouble[Failure]:
    """Neither was there time for a login, or for the first answers after it."""
    text = f"no login was done within {timeout:g} s, {_WE_ARE_LATE}; {_TRIED_AGAIN}"
    return Trouble(Failure.TIMEOUT, text)


def nothing_came(refusals: Sequence[Trouble[Kind]], user: str, version: str) -> str:
    """Why a poll was answered and brought neither sessions nor FAXStats. `refusals`: of these two,
    in this order. `version`: Asterisk's, empty if it is not known."""
    neither = "neither FAXSessions nor FAXStats"
    kinds = [refusal.kind for refusal in refusals]
    if kinds == [Failure.DENIED] * 2:
        return f"user {user} may {neither}: add 'call,reporting' {_TO_WRITE_LINE}"
    if kinds == [Failure.UNKNOWN_ACTION] * 2:
        return f"Asterisk knows {neither}: {_why_unknown('FAXSessions', version)}"
    text = "; ".join(refusal.text for refusal in refusals)
    return text or "what Asterisk answered cannot be read; the log quotes it"


# --- one action -----------------------------------------------------------------------------


def refused(answer: Answer, user: str, version: str) -> Trouble[Failure]:
    """What it means that Asterisk refused an action, what is missing while it does, and what to
    do about it. `version`: Asterisk's, empty if it is not known."""
    action = answer.request.action
    if answer.denied:
        add = f"add '{WRITE_CLASS[action]}' {_TO_WRITE_LINE}"
        text = f"user {user} may not {action}: {add}; until then {_WITHOUT_ACTION[action]}"
        return Trouble(Failure.DENIED, text, action)
    reason = answer.message or "no reason given"
    if answer.unknown:
        text = f"{action}: {reason.rstrip('.')}: {_why_unknown(action, version)}"
        return Trouble(Failure.UNKNOWN_ACTION, text, action)
    if action == "FAXSession" and "provide a handler" in reason:
        text = (
            f"{action}: {reason}: what runs these faxes, such as Digium's module, tells nothing of "
            "them while they run; until res_fax_spandsp.so runs them, see modules.conf, "
            f"{_WITHOUT_ACTION[action]}"
        )
    else:
        left_out = "left out until it works, and Asterisk's log may say why"
        text = f"{action} failed: {reason}; {left_out}"
    return Trouble(Failure.ERROR, text, action)


def _why_unknown(action: str, version: str) -> str:
    """Why Asterisk does not know an action, and what to do."""
    if not action.startswith("FAX"):
        return "is this an Asterisk?"
    known = Version.parse(version)
    if known.major is None:
        old = "this is an Asterisk before 13, which has no such action"
        return f"{RES_FAX_MISSING}, or {old}; {_LOAD}"
    if not known.before_fax_actions:
        return f"{RES_FAX_MISSING}, and without it there is no fax; {_LOAD}; {_STARTING}"
    return (
        f"Asterisk {version} has no such action, 13 is the first that has it; of its faxes only "
        "completion events tell"
    )


def unanswered(action: str) -> Trouble[Failure]:
    """An action without an answer, while later ones had theirs."""
    return Trouble(Failure.UNANSWERED, f"{action} was never answered; left out", action)


# --- what comes -----------------------------------------------------------------------------


def unreadable(problem: Problem) -> Trouble[Failure]:
    """A field whose value cannot be read."""
    text = f"{problem.field} is not as Asterisk writes it and is left out: {problem.value}"
    return Trouble(Failure.MALFORMED, text, problem.field)


def no_events(user: str) -> Trouble[Lack]:
    """Completions are counted, and no event tells of them."""
    text = (
        "Asterisk counts faxes and sends no event for them; add 'call' to "
        f"the read line of {user} in manager.conf, and let its "
        f"eventfilter pass SendFAX and ReceiveFAX, then {_LOG_IN_AGAIN}; until then results and "
        "failures are missing"
    )
    return Trouble(Lack.EVENTS, text)


def no_secret(file: Path, error: ValueError) -> Trouble[Lack]:
    """The file of the secret cannot be read at a login. `error`: what is wrong with it."""
    text = (
        f"{file}: {error}: the secret that was read from it before is used; it is read again at "
        "each login"
    )
    return Trouble(Lack.SECRET, text)


def no_result(result: FaxResult, version: str) -> Trouble[Lack]:
    """A completion event tells no result, or not all of it. `version`: Asterisk's."""
    text, unknown = "completion events carry no result", NO_REASONS
    if result.succeeded is not None:
        text = f"completion events lack {', '.join(result.missing)}"
        unknown = "reasons of failures, and over what they travelled, are unknown"
    elif Version.parse(version).before_fax_actions:
        text = f"{text}: Asterisk {version} writes no channel variables on them; {unknown}"
        return Trouble(Lack.RESULTS, text)
    text = (
        f"{text}; add '{CHANNELVARS}', without blanks, to the first [general] of manager.conf, "
        "or below '[general](+)' at its end (a second [general] is ignored), then 'manager "
        f"reload'; until then {unknown}"
    )
    return Trouble(Lack.RESULTS, text)


# --- the login ------------------------------------------------------------------------------


def repeated_challenge(tls: bool) -> Trouble[Lack]:
    """The PBX sent a challenge that it had sent before. `tls`: whether the connection has TLS."""
    encrypt = "" if tls else "; set --ami.tls, so that nobody hears it"
    text = (
        "the challenge to log in with is one that came before, and who heard that login can log in "
        "with what was answered then: Asterisk sends another each time, so a proxy answers there, "
        f"or somebody between who plays it back; see what listens there{encrypt}"
    )
    return Trouble(Lack.CHALLENGES, text)
