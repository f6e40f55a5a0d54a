"""What can go wrong with a connection to one Asterisk. Each message says what was tried and what
came back; those with a `cause` also say what to do, in the words of diagnosis.py."""

from exporter.ami.diagnosis import Cause


class AmiError(Exception):
    """The PBX cannot be asked."""


class _Diagnosed(AmiError):
    """An error whose cause is known."""

    def __init__(self, text: str, cause: Cause) -> None:
        super().__init__(text)
        self.cause = cause


class ConnectError(_Diagnosed):
    """No connection, or not to an Asterisk manager port."""


class LoginRefused(_Diagnosed):
    """Asterisk does not let this user in; trying again soon only locks the user out."""


class ShuttingDown(AmiError):
    """Asterisk stops or restarts once its calls have ended, and lets nobody in until then."""


class ConnectionLost(AmiError):
    """The connection ended while an answer was awaited."""


class TooLong(AmiError):
    """A request that Asterisk cannot read over TLS."""
