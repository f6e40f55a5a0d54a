"""Words for people, for what Asterisk and the exporter have short names for."""

from collections.abc import Mapping
from typing import Final

from exporter.fax import REASON_WORDS, Operation, State, Transport
from exporter.polling import Health

OPERATIONS: Final[Mapping[str, str]] = {
    Operation.SEND: "Send",
    Operation.RECEIVE: "Receive",
    Operation.GATEWAY: "Gateway",
    Operation.V21: "V.21 detector",
    Operation.NONE: "None",
}
STATES: Final[Mapping[str, str]] = {
    State.UNINITIALIZED: "being set up",
    State.INITIALIZED: "ready to begin",
    State.OPEN: "ready to begin",
    State.ACTIVE: "in progress",
    State.COMPLETE: "about to end",
    State.RESERVED: "held in reserve",
    State.INACTIVE: "at rest",
    State.UNKNOWN: "not a known state",
}
"""What a state means; shown below its name."""
TRANSPORTS: Final[Mapping[str, str]] = {
    Transport.G711: "G.711",
    Transport.T38: "T.38",
    Transport.NONE: "None",
}
HEALTHS: Final[Mapping[str, str]] = {
    Health.FAILING: "Failing",
    Health.DOWN: "Down",
    Health.INCOMPLETE: "Incomplete",
    Health.STARTING: "Starting",
    Health.OK: "Up",
}
HEALTH_LOOKS: Final[Mapping[str, str]] = {
    Health.FAILING: "bad",
    Health.DOWN: "bad",
    Health.INCOMPLETE: "warn",
    Health.STARTING: "",
    Health.OK: "ok",
}
"""Classes of the style sheet."""
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "operation": OPERATIONS,
    "state": STATES,
    "transport": TRANSPORTS,
    "reason": {str(reason): words for reason, words in REASON_WORDS.items()},
    "health": HEALTHS,
    "look": HEALTH_LOOKS,
}


def word(value: str, kind: str) -> str:
    """The words for a value; `kind` is a key of the table above."""
    return _WORDS[kind][value]
