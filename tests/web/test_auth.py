"""Basic auth: who gets in, what it costs whom, and that nobody waits for another's password.

bcrypt is the real one; what is counted is the work that is asked of it.
"""

import asyncio
import base64
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import WebConfigFile
from exporter.web import auth, login_queue
from exporter.web.auth import TooManyWaiting, Verifier, logged_in, may_see
from exporter.web.login_queue import MAX_WAITING, MAX_WAITING_EACH
from exporter.web.server import Server
from harness.web_side import listening

CHEAP, DEAR = 4, 7


def hashed(password: str | bytes, cost: int = CHEAP) -> bytes:
    password = password.encode() if isinstance(password, str) else password
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost))


USERS = {"cheap": hashed("sesame"), "dear": hashed("open", DEAR)}
OTHER = hashed("right")


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The cost of each piece of work that is asked of bcrypt."""
    costs: list[int] = []
    hashpw = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        costs.append(int(salt[4:6]))
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", counted)
    return costs


class Gate(threading.Event):
    """bcrypt goes on once it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.passwords: list[bytes] = []
        """Those that bcrypt was asked about, in this order."""


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    hashpw = bcrypt.hashpw

    def gated(password: bytes, salt: bytes) -> bytes:
        gate.passwords.append(password)
        gate.reached.set()
        gate.wait(60)
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", gated)
    yield gate
    gate.set()


# --- passwords ------------------------------------------------------------------------------


async def test_the_right_password_of_each_user_is_right() -> None:
    verifier = Verifier()
    assert await verifier.verify(USERS, "cheap", b"sesame")
    assert await verifier.verify(USERS, "dear", b"open")
    assert not await verifier.verify(USERS, "cheap", b"open")
    assert not await verifier.verify(USERS, "dear", b"")
    assert not await verifier.verify(USERS, "nobody", b"sesame")


@pytest.mark.parametrize("prefix", [b"$2a$", b"$2b$", b"$2y$"])
async def test_every_kind_of_hash_is_verified(prefix: bytes) -> None:
    users = {"a": prefix + hashed("sesame")[4:]}
    assert await Verifier().verify(users, "a", b"sesame")
    assert not await Verifier().verify(users, "a", b"other")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("nobody", b"sesame"),
        ("cheap", b"wrong"),
        ("dear", b"wrong"),
        ("", b""),
        ("cheap", b"x" * 8000),
        ("dear", b"x" * 73),
        ("nobody", b"x" * 73),
        ("cheap", b"sesame\0"),
        ("nobody", b"\0"),
        ("dear", b"\xff\xfe"),
        ("\udcff", b"x"),
    ],
)
async def test_every_failure_costs_what_the_dearest_hash_costs(
    costs: list[int], user: str, password: bytes
) -> None:
    assert not await Verifier().verify(USERS, user, password)
    assert sum(2**cost for cost in costs) == 2**DEAR


async def test_of_a_long_password_the_first_72_bytes_count_as_in_go() -> None:
    users = {"long": hashed(b"a" * 72)}
    assert await Verifier().verify(users, "long", b"a" * 72 + b"what comes here")
    assert not await Verifier().verify(users, "long", b"a" * 71 + b"b" + b"what comes here")


async def test_a_nul_is_a_character_like_others() -> None:
    users = {"nul": hashed(b"a\0b")}
    assert await Verifier().verify(users, "nul", b"a\0b")
    assert not await Verifier().verify(users, "nul", b"a\0c")
    assert not await Verifier().verify(users, "nul", b"a")


# --- what is remembered ---------------------------------------------------------------------


async def test_a_verified_password_costs_nothing_again(costs: list[int]) -> None:
    verifier = Verifier()
    assert await verifier.verify(USERS, "dear", b"open")
    assert costs == [DEAR]
    assert await verifier.verify(USERS, "dear", b"open")
    assert costs == [DEAR]


async def test_a_failure_is_not_remembered(costs: list[int]) -> None:
    verifier = Verifier()
    for _ in range(2):
        assert not await verifier.verify(USERS, "dear", b"wrong")
    assert costs == [DEAR, DEAR]


async def test_wrong_passwords_push_nobody_out(costs: list[int]) -> None:
    verifier = Verifier()
    assert await verifier.verify(USERS, "dear", b"open")
    for number in range(30):
        assert not await verifier.verify(USERS, "dear", b"%d" % number)
        assert not await verifier.verify(USERS, f"nobody{number}", b"open")
    costs.clear()
    assert await verifier.verify(USERS, "dear", b"open")
    assert costs == []


async def test_a_changed_hash_and_a_removed_user_hold_at_once() -> None:
    verifier = Verifier()
    assert await verifier.verify(USERS, "dear", b"open")
    assert not await verifier.verify({"dear": hashed("new")}, "dear", b"open")
    assert not await verifier.verify({"cheap": USERS["cheap"]}, "dear", b"open")
    assert not await verifier.verify({"cheap": USERS["dear"]}, "dear", b"open")
    assert await verifier.verify(USERS, "dear", b"open")


async def test_the_same_login_many_times_at_once_is_verified_once(costs: list[int]) -> None:
    verifier = Verifier()
    logins = [verifier.verify(USERS, "dear", b"open") for _ in range(20)]
    assert all(await asyncio.gather(*logins))
    assert costs == [DEAR]


async def test_a_login_that_is_given_up_does_not_end_the_same_of_another(
    gate: Gate,
) -> None:
    verifier = Verifier()
    first, second = (
        asyncio.create_task(verifier.verify(USERS, "cheap", b"sesame")) for _ in range(2)
    )
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    assert await second


async def begin(gate: Gate, *logins: Coroutine[object, object, bool]) -> list[asyncio.Task[bool]]:
    """Logins of which the first is under way, and the others wait."""
    first = asyncio.create_task(logins[0])
    await asyncio.to_thread(gate.reached.wait, 60)
    others = [asyncio.create_task(login) for login in logins[1:]]
    await asyncio.sleep(0)
    return [first, *others]


async def test_more_guesses_than_can_wait_are_turned_away(gate: Gate) -> None:
    verifier = Verifier()
    gate.set()
    assert await verifier.verify(USERS, "cheap", b"sesame")
    gate.clear()
    gate.reached.clear()
    guesses = await begin(
        gate,
        *(
            verifier.verify(USERS, "cheap", b"%d" % number, client=str(number))
            for number in range(1 + MAX_WAITING)
        ),
    )
    with pytest.raises(TooManyWaiting):
        await verifier.verify(USERS, "dear", b"open")
    assert await verifier.verify(USERS, "cheap", b"sesame")  # who is known need not wait
    gate.set()
    assert not any(await asyncio.gather(*guesses))
    assert await verifier.verify(USERS, "dear", b"open")


async def test_who_guesses_much_from_one_address_leaves_room_for_others(gate: Gate) -> None:
    verifier = Verifier()
    guesses = await begin(
        gate,
        *(
            verifier.verify(USERS, "cheap", b"%d" % number, client="a")
            for number in range(1 + MAX_WAITING_EACH)
        ),
    )
    with pytest.raises(TooManyWaiting):
        await verifier.verify(USERS, "dear", b"open", client="a")
    other = asyncio.create_task(verifier.verify(USERS, "dear", b"open", client="b"))
    await asyncio.sleep(0)
    gate.set()
    assert await other
    assert not any(await asyncio.gather(*guesses))
    assert not await verifier.verify(USERS, "dear", b"wrong", client="a")  # there is room again


async def test_a_first_login_waits_for_one_guess_of_each_address_and_then_for_none(
    gate: Gate,
) -> None:
    verifier = Verifier()
    users = {"cheap": USERS["cheap"], "other": OTHER}

    def guesses() -> Iterator[Coroutine[object, object, bool]]:
        for number in range(1 + MAX_WAITING):
            yield verifier.verify(users, "cheap", b"%d" % number, client=str(number % 8))

    async def others_before(password: bytes, client: str) -> int:
        """How many guesses are verified before this login, while there are as many as can be."""
        gate.clear()
        gate.reached.clear()
        gate.passwords.clear()
        waiting = await begin(gate, *guesses())
        login = asyncio.create_task(verifier.verify(users, "cheap", password, client=client))
        await asyncio.sleep(0)
        gate.set()
        assert await login is (password == b"sesame")
        others = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(other) for other in others if other is not False] == [TooManyWaiting]
        return list(dict.fromkeys(gate.passwords)).index(password)

    assert await others_before(b"not this", "monitor") <= 1 + 8  # nobody has been wrong yet
    assert await others_before(b"sesame", "monitor") <= 1 + 8
    assert await others_before(b"nor this", "new") == 1
    assert not await verifier.verify(users, "other", b"mistyped", client="monitor")
    assert await verifier.verify(users, "other", b"right", client="monitor")
    assert await others_before(b"nor that", "monitor") == 1  # its last one was right


async def test_what_nobody_waits_for_any_more_is_not_verified(gate: Gate) -> None:
    verifier = Verifier()
    under_way, given_up, once, twice = await begin(
        gate,
        verifier.verify(USERS, "cheap", b"0", client="a"),
        verifier.verify(USERS, "cheap", b"given up", client="b"),
        verifier.verify(USERS, "cheap", b"twice", client="c"),
        verifier.verify(USERS, "cheap", b"twice", client="c"),
    )
    for gone in (under_way, given_up, once):
        gone.cancel()
    await asyncio.wait([under_way, given_up, once])
    gate.set()
    assert not await twice
    assert set(gate.passwords) == {b"0", b"twice"}
    assert not await verifier.verify(USERS, "cheap", b"given up", client="b")


async def test_a_login_given_up_while_it_is_verified_is_remembered(gate: Gate) -> None:
    verifier = Verifier()
    login, guess = await begin(
        gate,
        verifier.verify(USERS, "cheap", b"sesame", client="a"),
        verifier.verify(USERS, "cheap", b"wrong", client="b"),
    )
    login.cancel()
    gate.set()
    assert not await guess
    gate.passwords.clear()
    assert await verifier.verify(USERS, "cheap", b"sesame", client="a")
    assert not gate.passwords


async def test_the_same_login_from_many_addresses_is_verified_once_if_it_is_right(
    gate: Gate,
) -> None:
    verifier = Verifier()
    logins = await begin(
        gate, *(verifier.verify(USERS, "cheap", b"sesame", client=str(n)) for n in range(20))
    )
    gate.set()
    assert all(await asyncio.gather(*logins))
    assert gate.passwords == [b"sesame"]


async def test_a_login_that_cannot_be_verified_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verifier = Verifier()
    to_thread = asyncio.to_thread
    failures = iter([RuntimeError("can't start new thread")])

    async def sometimes(*args: object) -> object:
        for failure in failures:
            raise failure
        return await to_thread(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "to_thread", sometimes)
    first = asyncio.create_task(verifier.verify(USERS, "cheap", b"sesame"))
    second = asyncio.create_task(verifier.verify(USERS, "dear", b"open"))
    with pytest.raises(RuntimeError):
        await first
    assert await second
    assert await verifier.verify(USERS, "cheap", b"sesame")


async def test_bcrypt_runs_once_at_a_time_and_never_in_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running: list[int] = []
    seen: list[tuple[int, threading.Thread]] = []
    hashpw = bcrypt.hashpw

    def watched(password: bytes, salt: bytes) -> bytes:
        running.append(1)
        seen.append((len(running), threading.current_thread()))
        try:
            return hashpw(password, salt)
        finally:
            running.pop()

    monkeypatch.setattr(bcrypt, "hashpw", watched)
    verifier = Verifier()
    guesses = [verifier.verify(USERS, "dear", b"%d" % n, client=str(n)) for n in range(20)]
    await asyncio.gather(*guesses)
    assert {count for count, _ in seen} == {1}
    assert threading.main_thread() not in {thread for _, thread in seen}


# --- requests -------------------------------------------------------------------------------


async def _show(request: web.Request) -> web.Response:
    return web.Response(text=f"{may_see(request)} {logged_in(request)}")


@contextlib.asynccontextmanager
async def served(
    users: dict[str, bytes], folder: Path
) -> AsyncIterator[Callable[..., contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]]]:
    """Ask for a path, with an Authorization header or none."""
    path = folder / "web.yml"
    lines = [f"  {user}: {known.decode()}\n" for user, known in users.items()]
    path.write_text("basic_auth_users:\n" + "".join(lines))
    config = WebConfigFile(path)
    app = web.Application()
    app.router.add_get("/{path:.*}", _show)
    server = Server(app, config, max_connections=20)
    socket = listening()
    await server.start([socket])
    host, port = socket.getsockname()
    async with aiohttp.ClientSession(f"http://{host}:{port}") as client:

        def get(
            path: str, header: str | None = None
        ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
            return client.get(path, headers={} if header is None else {"Authorization": header})

        try:
            yield get
        finally:
            await server.stop()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_without_users_everybody_may_see_everything(tmp_path: Path) -> None:
    async with served({}, tmp_path) as get:
        for path in ("/metrics", "/-/ready"):
            async with get(path) as response:
                assert (response.status, await response.text()) == (200, "True False")


async def test_a_user_of_the_file_gets_in_and_nobody_else(tmp_path: Path) -> None:
    async with served(USERS | {"jürgen": hashed("größe:1")}, tmp_path) as get:
        for header in (
            basic("cheap", "sesame"),
            basic("dear", "open"),
            basic("jürgen", "größe:1"),
            basic("cheap", "sesame").replace("Basic", "bASIC"),
        ):
            async with get("/metrics", header) as response:
                assert (response.status, await response.text()) == (200, "True True")
        for wrong in (
            None,
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Basic " + base64.b64encode(b"cheap").decode(),
            "Bearer " + base64.b64encode(b"cheap:sesame").decode(),
            basic("cheap", "wrong"),
            basic("nobody", "sesame"),
            basic("cheap", "x" * 3000),
            "Basic " + base64.b64encode(b"\xff\xfe:\0").decode(),
        ):
            async with get("/metrics", wrong) as response:
                assert response.status == 401, wrong
                challenge = response.headers["WWW-Authenticate"]
                assert challenge == 'Basic realm="asterisk-fax-exporter"'
                assert "True" not in await response.text()
        async with get("/no/such/path") as response:
            assert response.status == 401


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
async def test_health_needs_no_login_and_knows_who_has_one(tmp_path: Path, path: str) -> None:
    async with served(USERS, tmp_path) as get:
        for header, sees in (
            (None, "False False"),
            (basic("cheap", "wrong"), "False False"),
            ("nonsense", "False False"),
            (basic("cheap", "sesame"), "True True"),
        ):
            async with get(path, header) as response:
                assert (response.status, await response.text()) == (200, sees)


@pytest.mark.parametrize("path", ["/-/healthy/", "/-/ready/x", "/-%2Fready", "/-/reload"])
async def test_what_only_looks_like_health_needs_a_login(tmp_path: Path, path: str) -> None:
    async with served(USERS, tmp_path) as get, get(path) as response:
        assert response.status == 401


@pytest.mark.slow
async def test_others_are_served_while_a_password_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    hashpw = bcrypt.hashpw

    def announced(password: bytes, salt: bytes) -> bytes:
        loop.call_soon_threadsafe(begun.set)
        return hashpw(password, salt)

    async with served({"dear": hashed("open", 14)}, tmp_path) as get:
        monkeypatch.setattr(bcrypt, "hashpw", announced)

        async def login() -> int:
            async with get("/metrics", basic("dear", "open")) as response:
                return response.status

        under_way = asyncio.create_task(login())
        await begun.wait()
        for path, status in (("/-/healthy", 200), ("/metrics", 401)):
            async with get(path) as response:
                assert response.status == status
        assert not under_way.done()
        assert await under_way == 200


async def test_a_guess_too_many_is_told_to_come_again(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(USERS, tmp_path) as get:

        async def guess(password: str) -> int:
            async with get("/metrics", basic("cheap", password)) as response:
                assert (response.status == 503) is ("Retry-After" in response.headers)
                return response.status

        first = asyncio.create_task(guess("first"))
        assert await asyncio.to_thread(gate.reached.wait, 60)
        monkeypatch.setattr(login_queue, "MAX_WAITING_EACH", 1)
        more = [asyncio.create_task(guess(password)) for password in ("second", "third")]
        done, waiting = await asyncio.wait(more, return_when=asyncio.FIRST_COMPLETED)
        assert [guess.result() for guess in done] == [503]
        async with get("/-/ready", basic("dear", "wrong")) as response:
            assert (response.status, await response.text()) == (200, "False False")
        gate.set()
        assert await asyncio.gather(first, *waiting) == [401, 401]


@given(
    text=st.text(max_size=30) | st.binary(max_size=20).map(lambda b: base64.b64encode(b).decode())
)
def test_no_header_is_more_than_credentials_or_none(text: str) -> None:
    request = type("Request", (), {"headers": {"Authorization": f"Basic {text}"}})()
    found = auth._credentials(request)
    assert found is None or b":" not in found[0].encode("utf-8", "surrogateescape")
