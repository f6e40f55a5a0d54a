"""Every way in which a PBX can be not up: what page, API, /-/ready and the log say of it is true at
that moment, in an operator's words, with what to do; and it is gone once it is over."""

import asyncio
import contextlib
import html
import json
import logging
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.ami import reach
from exporter.link import Source
from exporter.polling import Failure, Fleet, Health, Poller, Row
from exporter.polling import poller as poller_module
from exporter.settings import AmiSettings
from exporter.web.views import TargetView, target_view
from harness.pbx import FaultyPbx
from harness.running import Exporter
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import SECRET, settings_for
from harness.web_side import linked

BACK = 75
"""Seconds after which a PBX that is well again is up at the latest: a pause, and a login."""


@dataclass
class Watched:
    """A PBX, the fleet that watches it, and what the web process can tell of it."""

    pbx: FaultyPbx
    fleet: Fleet
    source: Source
    patch: pytest.MonkeyPatch
    until_the_end: contextlib.ExitStack

    @property
    def poller(self) -> Poller:
        return self.fleet.pollers["fax"]

    async def watch(self, **changes: Any) -> None:
        await self.fleet.watch({"fax": settings_for(self.pbx, **changes)})

    async def up(self) -> None:
        await until(lambda: self.poller.status.up, BACK)

    async def told(self) -> tuple[TargetView, Row, str | None]:
        """By the API and the page of one, in a row of many, and by /-/ready; all at one moment."""
        shown = (await self.source.shown("fax")).read()
        (row,) = (await self.source.rows()).read()
        ready = dict((await self.source.fleet()).stale).get("fax")
        return target_view("fax", shown, self.poller.clock, details=False), row, ready


@contextlib.asynccontextmanager
async def one(**options: Any) -> AsyncIterator[Watched]:
    """A PBX that nobody watches yet."""
    pbx = FaultyPbx(secret=SECRET, clock=wall, **options)
    await pbx.start()
    fleet = Fleet(1.0, None, clock=clock())
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        async with linked(fleet) as source:
            try:
                yield Watched(pbx, fleet, source, patch, stack)
            finally:
                await fleet.close()
                await pbx.stop()


Bring = Callable[[Watched], Awaitable[Any]]


async def never_tried(on: Watched) -> None:
    on.pbx.mute = True
    await on.watch()
    await asyncio.sleep(1)


async def refused(on: Watched) -> None:
    on.pbx.refuse_connections()
    await on.watch()


async def unroutable(on: Watched) -> None:
    await on.watch(host="127.255.255.255")  # a broadcast address: TCP has no way there


async def nowhere(on: Watched) -> None:
    """A firewall that drops what is sent: here a queue of connections that is full."""
    full = on.until_the_end.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = on.until_the_end.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(full.getsockname())
    await on.watch(port=full.getsockname()[1])


async def no_name(on: Watched) -> None:
    async def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    on.patch.setattr(reach, "look_up", resolve)
    await on.watch(host="fax.example")


async def no_tls(on: Watched) -> None:
    await on.watch(tls=True)


async def silent(on: Watched) -> None:
    on.pbx.mute = True
    await on.watch()


async def wrong_secret(on: Watched) -> None:
    await on.watch(secret=SecretStr("wrong"))


async def another_secret(on: Watched) -> None:
    """Right this time; but the network is slow."""
    await wrong_secret(on)
    await until(lambda: on.poller.status.failures[Failure.LOGIN] == 1)
    on.pbx.delay["Challenge"] = 3
    await on.watch()


async def a_secret_while_up(on: Watched) -> None:
    await on.watch()
    await on.up()
    on.pbx.delay["Challenge"] = 3
    await on.watch(timeout=4.0)


async def crowded(on: Watched) -> None:
    on.pbx.authlimit = 0
    await on.watch()


async def logged_in(on: Watched) -> None:
    await refused(on)
    await until(lambda: "refused" in on.poller.status.trouble)
    on.pbx.delay["CoreSettings"] = 3
    on.pbx.accept_connections()
    await until(lambda: on.poller.status.connects == 1)


async def crashed_and_back(on: Watched) -> None:
    await on.watch()
    await on.up()
    on.pbx.crash()
    await until(lambda: "refused" in on.poller.status.trouble)
    on.pbx.delay["FAXSessions"] = 3
    on.pbx.restart()
    await until(lambda: on.poller.status.connects == 2)


async def not_introduced(on: Watched) -> None:
    on.pbx.delay["CoreStatus"] = 3600
    await on.watch()


async def no_permission(on: Watched) -> None:
    on.pbx.write = frozenset({"system"})
    await on.watch()


async def no_res_fax(on: Watched) -> None:
    on.pbx.res_fax = False
    await on.watch()


async def shutting_down(on: Watched) -> None:
    await on.watch()
    await on.up()
    on.pbx.begin("receive", "Local/recv@fax-00000001;2")
    on.pbx.shut_down()


async def shutting_down_at_the_login(on: Watched) -> None:
    on.pbx.begin("receive", "Local/recv@fax-00000001;2")
    on.pbx.shut_down()
    await on.watch()


async def ended(on: Watched) -> None:
    await shutting_down(on)
    await until(lambda: "shutting down" in on.poller.status.trouble)
    on.pbx.end(next(iter(on.pbx.sessions.values())))
    await until(lambda: not on.poller.status.connected)


async def half_open(on: Watched) -> None:
    await on.watch()
    await on.up()
    on.pbx.mute = True
    await until(lambda: on.poller.status.failures[Failure.LOST] == 1)


async def slow(on: Watched) -> None:
    await on.watch()
    await on.up()
    on.pbx.delay["FAXSessions"] = 60


async def lost_again_and_again(on: Watched) -> None:
    def hang_up(action: str, answer: bytes) -> bytes:
        if action == "CoreSettings":
            on.pbx.drop_connections()
        return answer

    on.pbx.rewrite = hang_up
    await on.watch()
    await until(lambda: on.poller.status.failures[Failure.LOST] > 2)


async def defect(on: Watched) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a defect")

    on.patch.setattr(poller_module, "parse_core_status", broken)
    await on.watch()


REFUSED = "nothing listens on this port"
SITUATIONS: list[tuple[Bring, Health, Failure | None, str, str]] = [
    # what is brought about, how it fares, what it is counted as, what is said, and what to do
    (never_tried, Health.STARTING, None, "not tried yet: the first", "is being made"),
    (refused, Health.DOWN, Failure.CONNECT, f"refused: {REFUSED}", "--ami.port"),
    (unroutable, Health.DOWN, Failure.CONNECT, "no route: ", "addresses, routes and VPN"),
    (nowhere, Health.DOWN, Failure.CONNECT, "timed out: a firewall drops", "--ami.host"),
    (no_name, Health.DOWN, Failure.CONNECT, "Name or service not known", "check --ami.host"),
    (no_tls, Health.DOWN, Failure.CONNECT, "speaks no TLS", "leave --ami.tls off"),
    (silent, Health.DOWN, Failure.TIMEOUT, "then no greeting within 5 s", "no Asterisk manager"),
    (wrong_secret, Health.DOWN, Failure.LOGIN, "refuses user", "check name and secret"),
    (another_secret, Health.STARTING, None, "new settings", "connection is being made"),
    (a_secret_while_up, Health.DOWN, None, "new settings", "connection is being made"),
    (crowded, Health.DOWN, Failure.CONNECT, "before any greeting", "authlimit"),
    (logged_in, Health.STARTING, None, "logged in; ", "answers are awaited"),
    (crashed_and_back, Health.DOWN, None, "logged in; ", "answers are awaited"),
    (not_introduced, Health.DOWN, Failure.TIMEOUT, "no answer to CoreSettings and", "is slow"),
    (no_permission, Health.DOWN, Failure.DENIED, "may neither", "add 'call,reporting'"),
    (no_res_fax, Health.DOWN, Failure.UNKNOWN_ACTION, "res_fax is not loaded", "modules.conf"),
    (shutting_down, Health.DOWN, Failure.SHUTTING_DOWN, "is shutting down", "abort shutdown"),
    (
        shutting_down_at_the_login,
        Health.DOWN,
        Failure.SHUTTING_DOWN,
        "is shutting down",
        "abort shutdown",
    ),
    (ended, Health.DOWN, Failure.CONNECT, f"refused: {REFUSED}", "does Asterisk run"),
    (half_open, Health.DOWN, Failure.TIMEOUT, "then no greeting within 5 s", "network is slow"),
    (slow, Health.DOWN, Failure.TIMEOUT, "no complete answer within", "PBX is slow"),
    (lost_again_and_again, Health.DOWN, Failure.LOST, "again and again", "tried again"),
    (defect, Health.DOWN, Failure.INTERNAL, "a defect of this exporter", "to be reported"),
]
NAMES = [bring.__name__ for bring, *_ in SITUATIONS]
WAITING = ("not tried yet", "logged in; ")
"""Nothing is wrong yet, so the log says nothing of it."""


LOGGED_BY_ACTION: dict[Failure | None, str] = {
    Failure.DENIED: "may not FAXSessions: add 'call' to its write line",
    Failure.UNKNOWN_ACTION: "FAXSessions. Use Action: ListCommands to show available commands: "
    "res_fax is not loaded",
}
"""Of each action that is refused there is a line of its own."""


@pytest.mark.parametrize(("bring", "health", "failure", "said", "remedy"), SITUATIONS, ids=NAMES)
@in_virtual_time
async def test_what_is_said_is_true_and_is_the_same_everywhere(
    bring: Bring,
    health: Health,
    failure: Failure | None,
    said: str,
    remedy: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with one() as on:
        await bring(on)
        await until(lambda: said in (on.poller.status.outage or ""), 120)
        view, row, ready = await on.told()
        assert not view.up
        assert view.trouble is not None
        assert said in view.trouble
        assert remedy in view.trouble
        assert (view.why, row.why, ready) == (view.trouble,) * 3
        assert (view.health, row.health) == (health, health)
        assert view.hints == []  # it is told once
        assert "\n" not in view.trouble
        if failure is not None:
            assert on.poller.status.failures[failure] > 0
        if not view.trouble.startswith(WAITING):
            assert LOGGED_BY_ACTION.get(failure, view.trouble) in caplog.text
        others = {words for _, _, _, words, _ in SITUATIONS} - {said}
        assert not [words for words in others if words in view.trouble]


@pytest.mark.parametrize("bring", [bring for bring, *_ in SITUATIONS], ids=NAMES)
@in_virtual_time
async def test_once_it_is_well_it_is_up_and_nothing_of_it_is_told(bring: Bring) -> None:
    async with one() as on:
        await bring(on)
        await asyncio.sleep(20)
        on.patch.undo()
        pbx = on.pbx
        pbx.mute, pbx.rewrite, pbx.res_fax, pbx.authlimit = False, None, True, 50
        pbx.delay.clear()
        pbx.write = frozenset({"call", "reporting"})
        pbx.restart()
        await on.watch()
        await asyncio.sleep(BACK)
        view, row, ready = await on.told()
        assert (view.up, view.trouble, view.why, row.why, ready) == (True, None, None, "", None)
        assert (view.health, row.health, view.down_since_timestamp) == ("ok", "ok", None)


@in_virtual_time
async def test_down_since_is_the_last_poll_and_none_of_what_was_never_reached() -> None:
    async with one() as on:
        await refused(on)
        await asyncio.sleep(100)
        view, row, _ = await on.told()
        assert view.down_since_timestamp is row.down_since is None
        assert view.watched_since_timestamp == row.watched_since == wall() - 100
        on.pbx.accept_connections()
        await on.up()
        on.pbx.crash()
        await until(lambda: not on.poller.status.up)
        last = on.poller.status.last_success
        await asyncio.sleep(100)
        view, row, _ = await on.told()
        assert view.down_since_timestamp == row.down_since == last


@in_virtual_time
async def test_half_open_is_slow_first_and_given_up_as_lost_with_how_long_nothing_came() -> None:
    async with one() as on:
        await on.watch()
        await on.up()
        on.pbx.mute = True
        seen: list[str] = []
        for _ in range(4000):
            trouble = on.poller.status.trouble
            if trouble and (not seen or seen[-1] != trouble):
                seen.append(trouble)
            await asyncio.sleep(0.01)
        assert [text.partition(" ")[0] for text in seen[:2]] == ["no", "no"]
        assert "no complete answer within 5 s" in seen[0]
        assert "no answer for" in seen[1]
        assert "then no greeting" in seen[2]


@pytest.mark.slow
def test_page_api_readiness_and_log_of_a_process_say_the_same_of_each(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        free_port = nobody.getsockname()[1]
    login = {"username": "u", "secret_env": "OF_FAX", "port": free_port}
    targets = {"off": {"host": "127.0.0.1"}, "far": {"host": "127.255.255.255"}}
    file = tmp_path / "exporter.yml"
    file.write_text(json.dumps({"targets": {name: at | login for name, at in targets.items()}}))
    file.chmod(0o600)
    with Exporter(f"--config.file={file}", environment={"OF_FAX": "s"}) as exporter:
        exporter.wait_for_line("no route: ", 20)
        exporter.wait_for_line("refused: nothing listens", 20)
        told = {
            one["name"]: one
            for one in json.loads(answer(f"{exporter.base}/api/v1/targets"))["targets"]
        }
        ready = answer(f"{exporter.base}/-/ready")
        for name, words in (("off", "refused: "), ("far", "no route: ")):
            why = told[name]["why"]
            assert words in why
            assert (told[name]["health"], told[name]["down_since_timestamp"]) == ("down", None)
            assert f"\n{name}: {why}\n" in ready
            assert why in exporter.log
            page = answer(f"{exporter.base}/?target={name}")
            assert why in html.unescape(page)


def answer(url: str) -> str:
    """Its body, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as found:
            return str(found.read(), "utf-8")
    except urllib.error.HTTPError as refused_with:
        with refused_with:
            return str(refused_with.read(), "utf-8")


def test_the_ways_to_be_not_up_are_all_here() -> None:
    """But what concerns one action, or what could not be read: there the rest is polled."""
    counted = {failure for _, _, failure, _, _ in SITUATIONS}
    partial = {Failure.UNANSWERED, Failure.MALFORMED, Failure.ERROR}
    assert set(Failure) - counted == partial
    assert AmiSettings.model_fields["timeout"].default == 5.0
