"""How one Asterisk is talked to over its manager interface (AMI): log in, ask, hear events.

The only folder that knows panoramisk. What Asterisk says about faxes is not known here.
"""

from exporter.ami.challenges import Challenges
from exporter.ami.connection import Connection
from exporter.ami.diagnosis import SHUTTING_DOWN, Cause
from exporter.ami.errors import (
    AmiError,
    ConnectError,
    ConnectionLost,
    LoginRefused,
    ShuttingDown,
    TooLong,
)
from exporter.ami.login import connect
from exporter.ami.messages import Answer, Expects, Headers, Request, read_event, read_headers

__all__ = [
    "SHUTTING_DOWN",
    "AmiError",
    "Answer",
    "Cause",
    "Challenges",
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
    "read_event",
    "read_headers",
]
