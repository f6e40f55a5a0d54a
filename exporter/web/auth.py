"""Who may see what: HTTP Basic auth against the bcrypt hashes of --web.config.file.

No client can tell an unknown user from a wrong password by measuring time: every failed login takes
as long as the most expensive hash of the file. Whose login is next: login_queue.py.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.settings import WebConfigFile
from exporter.web.addresses import client_of
from exporter.web.login_queue import LoginQueue

REALM: Final = "asterisk-fax-exporter"
OPEN_PATHS: Final = frozenset({"/-/healthy", "/-/ready"})
"""Served to everybody, with a login or without."""
RETRY_SECONDS: Final = 10
"""After that a client may come again whose login had no place."""

# bcrypt uses only the first 72 bytes of a password. The Python package refuses longer ones. Go, and
# so every other exporter, ignores the rest, as htpasswd does: what works there has to work here.
_PASSWORD_BYTES: Final = 72
_MAY_SEE: Final = web.RequestKey("may_see", bool)
_LOGGED_IN: Final = web.RequestKey("logged_in", bool)


class TooManyWaiting(Exception):
    """So many logins wait, of this client or of all, that this one has no place."""


@dataclass(eq=False)
class _Login:
    """A verification that waits for its turn, or is under way."""

    client: str
    user: str
    hashed: bytes | None
    """None if there is no such user."""
    password: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    max_cost: int
    right: asyncio.Future[bool | None] = field(default_factory=asyncio.Future)
    """None if it lost its place."""
    wanted_by: int = 0
    """Requests that wait for it."""


class Verifier:
    """Checks passwords against hashes outside of the event loop, and remembers the right ones."""

    def __init__(self) -> None:
        """Remembers nobody yet."""
        self._key = secrets.token_bytes(32)
        self._salt = bcrypt.gensalt()[-22:]
        # One digest per user, and only after a login: wrong guesses push nobody out.
        self._verified: dict[str, bytes] = {}
        # Those of one client are apart from the same ones of others, whose turn is another.
        self._logins: dict[tuple[str, bytes], _Login] = {}
        self._queue: LoginQueue[_Login] = LoginQueue()
        # bcrypt runs once at a time: a PBX on this machine needs the processor for its calls.
        self._turns: asyncio.Task[None] | None = None

    async def verify(
        self, users: Mapping[str, bytes], user: str, password: bytes, *, client: str = ""
    ) -> bool:
        """Whether this is the password of this user, who logs in from the addresses `client`, as
        addresses.client_of has them.

        Raises TooManyWaiting. If it is cancelled before its turn, the turn is another's.
        """
        password = password[:_PASSWORD_BYTES]
        hashed = users.get(user)
        digest = self._digest(user, hashed or b"", password)
        if self._remembers(user, digest):
            return True
        login = self._logins.get((client, digest))
        if login is None:
            max_cost = max((_cost(each) for each in users.values()), default=0)
            login = _Login(client, user, hashed, password, digest, max_cost)
            self._wait(login)
        login.wanted_by += 1
        try:
            # Shielded: when this request is cancelled, others may still wait for the same login.
            right = await asyncio.shield(login.right)
        finally:
            login.wanted_by -= 1
            if not login.wanted_by and self._queue.drop(login):
                del self._logins[client, digest]
        if right is None:
            raise TooManyWaiting
        return right

    def _wait(self, login: _Login) -> None:
        self._logins[login.client, login.digest] = login
        without_place = self._queue.add(login, login.client)
        if without_place is not None:
            self._answer(without_place, None)
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._take_turns())

    async def _take_turns(self) -> None:
        while (login := self._queue.take()) is not None:
            try:
                # The same login of another client may have been right meanwhile.
                right = self._remembers(login.user, login.digest) or await asyncio.to_thread(
                    self._check, login.hashed, login.password, login.max_cost
                )
            except Exception as error:  # such as no memory for a thread: the next may have it
                del self._logins[login.client, login.digest]
                login.right.set_exception(error)
                login.right.exception()  # asyncio need not log it if nobody waits any more
                continue
            if right:
                self._verified[login.user] = login.digest
                self._queue.was_right(login.client)
            else:
                self._queue.was_wrong(login.client)
            self._answer(login, right)

    def _answer(self, login: _Login, right: bool | None) -> None:
        del self._logins[login.client, login.digest]
        login.right.set_result(right)

    def _remembers(self, user: str, digest: bytes) -> bool:
        # An unknown user was never verified, whatever the digest.
        return hmac.compare_digest(self._verified.get(user, b""), digest)

    def _digest(self, user: str, hashed: bytes, password: bytes) -> bytes:
        name = user.encode("utf-8", "surrogateescape")
        text = b"%d:%s%d:%s%s" % (len(name), name, len(hashed), hashed, password)
        return hashlib.blake2b(text, key=self._key).digest()

    def _check(self, hashed: bytes | None, password: bytes, max_cost: int) -> bool:
        if hashed is None:
            self._spend_time(password, max_cost)
            return False
        if hmac.compare_digest(bcrypt.hashpw(password, hashed), hashed):
            return True
        # A hash of cost n takes 2^n rounds, so these and the one above make 2^max_cost together.
        for cost in range(_cost(hashed), max_cost):
            self._spend_time(password, cost)
        return False

    def _spend_time(self, password: bytes, cost: int) -> None:
        """Takes as long as a verification at this cost."""
        bcrypt.hashpw(password, b"$2b$%02d$%s" % (cost, self._salt))


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _credentials(request: web.Request) -> tuple[str, bytes] | None:
    """User and password of a request; None if there are none, or they cannot be read."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (user.decode("utf-8", "surrogateescape"), password) if colon else None


def middleware(config: WebConfigFile) -> Middleware:
    """Answers 401 to whoever is not a user of the file, except at OPEN_PATHS."""
    verifier = Verifier()

    @web.middleware
    async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
        users = config.current.users
        verified = not users
        too_many = False
        credentials = _credentials(request) if users else None
        if credentials is not None:
            client = client_of(request.transport)
            try:
                verified = await verifier.verify(users, *credentials, client=client)
            except TooManyWaiting:
                too_many = True
        request[_MAY_SEE] = verified
        request[_LOGGED_IN] = verified and credentials is not None
        if verified or request.rel_url.raw_path in OPEN_PATHS:
            return await handler(request)
        if too_many:
            text = "too many logins at once\n"
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return web.Response(status=503, text=text, headers=headers)
        challenge = {"WWW-Authenticate": f'Basic realm="{REALM}"'}
        return web.Response(
            status=401, text="a user and a password are needed\n", headers=challenge
        )

    return authenticated


def may_see(request: web.Request) -> bool:
    """Whether this request was made by a user of the file. True for all if the file names none."""
    return bool(request.get(_MAY_SEE, False))


def logged_in(request: web.Request) -> bool:
    """Whether this request had a right password. False for all if the file names no users."""
    return bool(request.get(_LOGGED_IN, False))
