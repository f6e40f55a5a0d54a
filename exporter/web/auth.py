"""Who may see what: HTTP Basic auth against the bcrypt hashes of --web.config.file.

No client can tell an unknown user from a wrong password by measuring time: every failed login takes
as long as the most expensive hash of the file.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Final

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.settings import WebConfigFile

REALM: Final = "asterisk-fax-exporter"
OPEN_PATHS: Final = frozenset({"/-/healthy", "/-/ready"})
"""Served to everybody, with a login or without."""
MAX_WAITING: Final = 64
"""Verifications running or waiting for their turn; further logins are turned away."""
MAX_WAITING_EACH: Final = 8
"""Of those, the ones of a single client address: whoever floods us with guesses shuts out nobody
else."""

# bcrypt uses only the first 72 bytes of a password. The Python package refuses longer ones. Go, and
# so every other exporter, ignores the rest, as htpasswd does: what works there has to work here.
_PASSWORD_BYTES: Final = 72
_MAY_SEE: Final = web.RequestKey("may_see", bool)


class TooManyWaiting(Exception):
    """There are MAX_WAITING verifications already, or MAX_WAITING_EACH of this client."""


class Verifier:
    """Checks passwords against hashes outside of the event loop, and remembers the right ones."""

    def __init__(self) -> None:
        """Remembers nobody yet."""
        self._key = secrets.token_bytes(32)
        self._salt = bcrypt.gensalt()[-22:]
        # One digest per user, and only after a login: wrong guesses push nobody out.
        self._verified: dict[str, bytes] = {}
        self._waiting: dict[bytes, asyncio.Task[bool]] = {}
        self._clients: Counter[str | None] = Counter()
        # bcrypt runs once at a time: a PBX on this machine needs the processor for its calls.
        self._one_at_a_time = asyncio.Semaphore(1)

    async def verify(
        self,
        users: Mapping[str, bytes],
        user: str,
        password: bytes,
        *,
        client: str | None = None,
    ) -> bool:
        """Whether this is the password of this user, who logs in from the address `client`.

        Raises TooManyWaiting.
        """
        password = password[:_PASSWORD_BYTES]
        hashed = users.get(user)
        digest = self._digest(user, hashed or b"", password)
        if hashed is not None and hmac.compare_digest(self._verified.get(user, b""), digest):
            return True
        task = self._waiting.get(digest)
        if task is None:
            full = len(self._waiting) >= MAX_WAITING
            if full or self._clients[client] >= MAX_WAITING_EACH:
                raise TooManyWaiting
            max_cost = max((_cost(each) for each in users.values()), default=0)
            task = asyncio.create_task(self._check_in_thread(hashed, password, max_cost))
            self._waiting[digest] = task
            self._clients[client] += 1
            task.add_done_callback(lambda _: self._done(digest, client))
        # Shielded: when this request is cancelled, others may still wait for the same verification.
        verified = await asyncio.shield(task)
        if verified:
            self._verified[user] = digest
        return verified

    def _done(self, digest: bytes, client: str | None) -> None:
        del self._waiting[digest]
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    def _digest(self, user: str, hashed: bytes, password: bytes) -> bytes:
        name = user.encode("utf-8", "surrogateescape")
        text = b"%d:%s%d:%s%s" % (len(name), name, len(hashed), hashed, password)
        return hashlib.blake2b(text, key=self._key).digest()

    async def _check_in_thread(self, hashed: bytes | None, password: bytes, max_cost: int) -> bool:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._check, hashed, password, max_cost)

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
            try:
                verified = await verifier.verify(users, *credentials, client=request.remote)
            except TooManyWaiting:
                too_many = True
        request[_MAY_SEE] = verified
        if verified or request.rel_url.raw_path in OPEN_PATHS:
            return await handler(request)
        if too_many:
            text = "too many logins at once\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        challenge = {"WWW-Authenticate": f'Basic realm="{REALM}"'}
        return web.Response(
            status=401, text="a user and a password are needed\n", headers=challenge
        )

    return authenticated


def may_see(request: web.Request) -> bool:
    """Whether this request was made by a user of the file. True for all if the file names none."""
    return bool(request.get(_MAY_SEE, False))
