"""Who may see what: HTTP Basic auth against the bcrypt hashes of --web.config.file.

Nothing that a client can measure tells an unknown user from a wrong password: every failure costs
as much as the dearest hash of the file, whoever it names.
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
OPEN: Final = frozenset({"/-/healthy", "/-/ready"})
"""Paths that are served to everybody."""
MAX_WAITING: Final = 64
"""Verifications under way or waiting; more are turned away."""
MAX_WAITING_EACH: Final = 8
"""Of them, those of one client address, so that a flood of guesses ends with those who make it."""

# bcrypt itself reads no more of a password; the package refuses longer ones. Go, and so every
# other exporter, compares the first 72 bytes, and htpasswd hashes no more: a longer password that
# works there works here.
_PASSWORD_BYTES: Final = 72
_MAY_SEE: Final = web.RequestKey("may_see", bool)


class TooManyWaiting(Exception):
    """More verifications are asked for than can be done."""


class Verifier:
    """Passwords against hashes, off the event loop, and remembered while they hold."""

    def __init__(self) -> None:
        """Knows nobody yet."""
        self._key = secrets.token_bytes(32)
        self._salt = bcrypt.gensalt()[-22:]
        # One per user, and only of those who logged in: guessing pushes nobody out.
        self._verified: dict[str, bytes] = {}
        self._waiting: dict[bytes, asyncio.Task[bool]] = {}
        self._clients: Counter[str | None] = Counter()
        # One at a time: the calls of the PBX beside it need the processor more.
        self._turn = asyncio.Semaphore(1)

    async def verify(
        self,
        users: Mapping[str, bytes],
        user: str,
        password: bytes,
        *,
        client: str | None = None,
    ) -> bool:
        """Whether this is the password of this user. `client`: the address that asks.

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
            dearest = max((_cost(known) for known in users.values()), default=0)
            task = asyncio.create_task(self._checked(hashed, password, dearest))
            self._waiting[digest] = task
            self._clients[client] += 1
            task.add_done_callback(lambda _: self._done(digest, client))
        # Shielded: who else waits for the same is not ended with a request that is.
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

    async def _checked(self, hashed: bytes | None, password: bytes, dearest: int) -> bool:
        async with self._turn:
            return await asyncio.to_thread(self._check, hashed, password, dearest)

    def _check(self, hashed: bytes | None, password: bytes, dearest: int) -> bool:
        if hashed is None:
            self._spend(password, dearest)
            return False
        if hmac.compare_digest(bcrypt.hashpw(password, hashed), hashed):
            return True
        # A hash of cost n is 2^n rounds, so these and the one above are 2^dearest together.
        for cost in range(_cost(hashed), dearest):
            self._spend(password, cost)
        return False

    def _spend(self, password: bytes, cost: int) -> None:
        """The time of a verification at this cost."""
        bcrypt.hashpw(password, b"$2b$%02d$%s" % (cost, self._salt))


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _credentials(request: web.Request) -> tuple[str, bytes] | None:
    """User and password of a request; None if it has none that can be read."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (user.decode("utf-8", "surrogateescape"), password) if colon else None


def middleware(config: WebConfigFile) -> Middleware:
    """Answers 401 to who may not see anything but what is OPEN."""
    verifier = Verifier()

    @web.middleware
    async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
        users = config.current.users
        known = not users
        too_many = False
        credentials = _credentials(request) if users else None
        if credentials is not None:
            try:
                known = await verifier.verify(users, *credentials, client=request.remote)
            except TooManyWaiting:
                too_many = True
        request[_MAY_SEE] = known
        if known or request.rel_url.raw_path in OPEN:
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
    """Whether this request was made by a user of the file, or there are none."""
    return bool(request.get(_MAY_SEE, False))
