"""How one Asterisk is talked to over its manager interface. The only room that knows panoramisk."""

from exporter.ami.connection import (
    READ_PAUSE,
    AmiError,
    Answer,
    ConnectError,
    Connection,
    ConnectionLost,
    Expects,
    LoginRefused,
    Request,
    ShuttingDown,
    TooLong,
    connect,
)
from exporter.ami.diagnosis import SHUTTING_DOWN, Cause, not_greeted, refused_login, unreached
from exporter.ami.messages import MAX_LINE, Headers

__all__ = [
    "MAX_LINE",
    "READ_PAUSE",
    "SHUTTING_DOWN",
    "AmiError",
    "Answer",
    "Cause",
    "ConnectError",
    "Connection",
    "ConnectionLost",
    "Expects",
    "Headers",
    "LoginRefused",
    "Request",
    "ShuttingDown",
    "TooLong",
    "connect",
    "not_greeted",
    "refused_login",
    "unreached",
]
