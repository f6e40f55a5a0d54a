"""From an Asterisk's settings to a connection that is logged in: TCP, TLS, greeting, login."""

import asyncio
import hashlib
from typing import Final

from exporter.ami.challenges import Challenges
from exporter.ami.connection import Connection, Hear
from exporter.ami.diagnosis import (
    NO_CHALLENGE,
    SHUTTING_DOWN,
    Cause,
    not_greeted,
    refused_login,
)
from exporter.ami.errors import ConnectError, ConnectionLost, LoginRefused, ShuttingDown, TooLong
from exporter.ami.messages import Answer, Request
from exporter.ami.reach import reach
from exporter.ami.tls import context_of, no_tls
from exporter.settings import AmiSettings

_CHALLENGE: Final = Request("Challenge", headers={"AuthType": "MD5"})


async def connect(
    settings: AmiSettings, hear: Hear, challenges: Challenges | None = None
) -> Connection:
    """Connects and logs in by MD5 challenge, so that the secret does not cross the wire.

    `hear` gets the text of every SendFAX and ReceiveFAX event. `challenges`: those that this PBX
    sent before; this one is added. Takes `settings.timeout` at most.
    Raises ConnectError, LoginRefused, ShuttingDown or ConnectionLost.
    """
    deadline = asyncio.get_running_loop().time() + settings.timeout
    connection = await _open(settings, hear, deadline)
    try:
        async with asyncio.timeout_at(deadline):
            await _log_in(connection, settings, challenges or Challenges())
    except BaseException as error:
        connection.close()
        if isinstance(error, TimeoutError):
            awaited = "answer to the login" if connection.ami_version else "greeting"
            raise _silent(settings, awaited) from error
        raise
    return connection


async def _open(settings: AmiSettings, hear: Hear, deadline: float) -> Connection:
    """TCP, and TLS if it is wanted. Raises ConnectError."""
    context = context_of(settings)
    reached = await reach(settings, deadline)
    try:
        async with asyncio.timeout_at(deadline):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(hear),
                sock=reached,
                ssl=context,
                server_hostname=(settings.tls_server_name or settings.host) if context else None,
            )
    except TimeoutError as error:
        raise _silent(settings, "TLS handshake") from error
    except OSError as error:
        text, cause = no_tls(error)
        raise ConnectError(f"{_address(settings)}: {text}", cause) from error
    return connection


async def _log_in(connection: Connection, settings: AmiSettings, challenges: Challenges) -> None:
    """Raises what `connect` does, and TimeoutError."""
    try:
        # Before the greeting: a TLS port waits for its client to speak, and hangs up on this.
        answer = await connection.ask(_CHALLENGE)
    except ConnectionLost as error:
        if connection.ami_version:
            raise
        reason = connection.lost.result()
        text, cause = not_greeted(connection.unread, reason, tls=settings.tls)
        raise ConnectError(f"{_address(settings)}: {text}", cause) from error
    if answer.success:
        salt = _salt(answer, settings)
        challenges.take(salt)
        answer = await _answer_challenge(connection, settings, salt)
    if answer.shutting_down:
        raise ShuttingDown(f"{_address(settings)}: {SHUTTING_DOWN}")
    if not answer.success:
        text, cause = refused_login(answer.message)
        raise LoginRefused(f"{_address(settings)} refuses user {settings.username}: {text}", cause)


def _salt(challenge: Answer, settings: AmiSettings) -> str:
    """What was sent to log in with. Raises LoginRefused if that is nothing: of the bare secret the
    digest would always be the same, and may be in a table."""
    salt = str(challenge.headers.get("Challenge", ""))
    if not salt.strip():
        raise LoginRefused(f"{_address(settings)}: {NO_CHALLENGE}", Cause.NO_CHALLENGE)
    return salt


async def _answer_challenge(connection: Connection, settings: AmiSettings, salt: str) -> Answer:
    # AMI defines the challenge as MD5: it keeps the secret off the wire, and protects nothing else.
    salted = f"{salt}{settings.secret.get_secret_value()}".encode()
    login = {
        "Username": settings.username,
        "AuthType": "MD5",
        "Key": hashlib.md5(salted, usedforsecurity=False).hexdigest(),
        "Events": "call",  # narrows what a user with more read classes would be sent
    }
    try:
        return await connection.ask(Request("Login", headers=login))
    except TooLong as error:
        raise LoginRefused(
            f"{_address(settings)} cannot read the login of user {settings.username[:10]}...: "
            f"{error}; Asterisk has no user whose name is longer than 79 bytes",
            Cause.CREDENTIALS,
        ) from error


def _silent(settings: AmiSettings, awaited: str) -> ConnectError:
    return ConnectError(
        f"{_address(settings)}: connected, then no {awaited} within {settings.timeout:g} s; the "
        "PBX or the network is slow, or what listens there is no Asterisk manager",
        Cause.SILENT,
    )


def _address(settings: AmiSettings) -> str:
    return f"{settings.host}:{settings.port}"
