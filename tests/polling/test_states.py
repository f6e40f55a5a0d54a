"""When little works: what still counts, what is said of it, and that nothing is asked in vain."""

import asyncio
import contextlib
import itertools
import logging
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exporter.fax import Operation, State, Transport
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.polling import SHUTDOWN_PAUSE, Failure, Poller, Shown, troubles
from exporter.polling.backoff import HOLDS, QUICK_PAUSE
from exporter.web.views import target_view
from harness.exposition import scrape
from harness.pbx import FaultyPbx
from harness.truth import assert_exact
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import begin, settings_for, watched

RECEIVE, SEND = Operation.RECEIVE, Operation.SEND


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records]


@contextlib.asynccontextmanager
async def answering_nothing(**options: Any) -> AsyncIterator[tuple[FaultyPbx, Poller]]:
    """A demo PBX that answers neither FAXSessions nor FAXStats, and its poller after some polls."""
    async with watched(start=False, **options) as (pbx, poller):
        pbx.accept_connections()
        await until(lambda: poller.status.polls > EVENT_LATENESS + 2)
        yield pbx, poller


NOTHING = [
    {"write": {"system"}},
    {"write": ()},
    {"version": "11.25.3", "ami_version": "1.3"},
]


# --- neither list nor statistics --------------------------------------------------------------


@pytest.mark.parametrize("options", NOTHING)
@in_virtual_time
async def test_completion_events_are_counted_though_no_action_is_answered(
    options: dict[str, Any],
) -> None:
    async with answering_nothing(**options) as (pbx, poller):
        fax = begin(pbx)
        fax.finish_page()
        fax.finish_page(last=True)
        pbx.end(fax)
        pbx.drop(begin(pbx, "send"))
        await asyncio.sleep(5)
        totals, now = poller.ledger.totals, scrape(poller)
        assert not poller.status.up
        assert totals.pages[RECEIVE, State.COMPLETE] == 2
        assert now.sum("finished_total") == 2
        assert now.sum("pages_received_total") == 2
        results = "results_unknown_total" if "version" in options else "failures_total"
        assert now.sum(results) == (2 if "version" in options else 1)
        assert poller.status.collectors == {"sessions": False, "stats": False, "events": True}


@pytest.mark.parametrize("options", [*NOTHING, {"res_fax": False}])
@in_virtual_time
async def test_counters_and_the_version_stand_there_though_no_action_is_answered(
    options: dict[str, Any],
) -> None:
    async with answering_nothing(**options) as (pbx, poller):
        now = scrape(poller)
        assert now.value("up") == 0
        assert now.sum("finished_total") == now.sum("failures_total") == 0
        assert not now.has("last_poll_timestamp_seconds")
        version = "" if options.get("write") == () else pbx.version
        labels = {"version": version, "ami_version": pbx.ami_version}
        assert now.value("asterisk_info", **labels) == 1
        pbx.refuse_connections()
        pbx.drop_connections()
        await until(lambda: not poller.status.connected)
        now = scrape(poller)
        assert now.sum("finished_total") == 0
        assert not now.has("asterisk_info")


@pytest.mark.parametrize(
    ("options", "cause", "never"),
    [
        (NOTHING[0], "may neither FAXSessions nor FAXStats: add 'call,reporting' to", "res_fax"),
        (NOTHING[1], "may neither FAXSessions nor FAXStats: add 'call,reporting' to", "res_fax"),
        (NOTHING[2], "Asterisk 11.25.3 has no such action, 13 is the first", "res_fax"),
        ({"res_fax": False}, "res_fax is not loaded", "before 13"),
        ({"res_fax": False, "version": "13.0.0"}, "res_fax is not loaded", "before 13"),
    ],
)
@in_virtual_time
async def test_the_cause_of_no_answer_is_the_trouble_and_is_said_once(
    options: dict[str, Any], cause: str, never: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with answering_nothing(**options) as (_, poller):
        view = target_view("fax", Shown.of(poller), poller.clock, details=False)
        assert view.trouble is not None
        assert cause in view.trouble
        assert never not in view.trouble
        assert not any("go on" in text for text in [view.trouble, *view.hints])
        before = len(told(caplog))
        await asyncio.sleep(3600)
        assert len(told(caplog)) == before
        about = [text for text in warnings(caplog) if "FAXSessions" in text]
        assert len(about) == 1


@in_virtual_time
async def test_results_that_an_old_asterisk_cannot_tell_are_not_blamed_on_channelvars() -> None:
    async with answering_nothing(version="11.25.3", ami_version="1.3") as (pbx, poller):
        pbx.end(begin(pbx))
        await until(lambda: poller.ledger.totals.results_unknown[RECEIVE] == 1)
        hints = "".join(poller.hints)
        assert "writes no channel variables" in hints
        assert "channelvars" not in hints


@in_virtual_time
async def test_what_works_again_is_said_once_and_is_no_hint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with watched() as (pbx, poller):
        pbx.unload_res_fax()
        await until(lambda: not poller.status.up)
        await asyncio.sleep(600)
        pbx.load_res_fax()
        await until(lambda: poller.status.up)
        await asyncio.sleep(600)
        assert len(warnings(caplog)) == 2
        assert caplog.text.count("FAXSessions works now") == 1
        assert caplog.text.count("FAXStats works now") == 1
        assert poller.hints == []
        assert poller.status.trouble == ""


@in_virtual_time
async def test_after_a_login_no_trouble_of_before_is_told() -> None:
    async with watched(start=False, write={"system"}) as (pbx, poller):
        await until(lambda: "refused" in poller.status.trouble)
        pbx.delay["CoreSettings"] = 3
        pbx.accept_connections()
        await until(lambda: poller.status.connects == 1)
        trouble = target_view("fax", Shown.of(poller), poller.clock, details=False).trouble
        assert trouble == troubles.LOGGED_IN
        await until(lambda: "may neither" in poller.status.trouble)


# --- a technology that does not tell ----------------------------------------------------------


@in_virtual_time
async def test_a_technology_without_faxsession_is_said_once_shown_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(technology="Digium") as (pbx, poller):
        fax = begin(pbx)
        fax.finish_page(last=True)
        await asyncio.sleep(60)
        assert poller.status.up
        assert poller.status.failures[Failure.ERROR] >= 59
        assert poller.status.failures[Failure.MALFORMED] == 0
        assert not poller.status.collectors["sessions"]
        (said,) = warnings(caplog)
        assert "doesn't provide a handler for FAXSession" in said
        assert "res_fax_spandsp.so" in said
        assert len(poller.hints) == 1
        pbx.end(fax)
        await asyncio.sleep(30)
        assert poller.ledger.totals.pages[RECEIVE, State.COMPLETE] == 1
        assert not poller.status.collectors["sessions"]  # nothing shows that it works
        pbx.technology = "Spandsp"
        begin(pbx)
        await asyncio.sleep(2)
        assert poller.status.collectors["sessions"]
        assert poller.hints == []


@in_virtual_time
async def test_one_technology_of_two_that_does_not_tell_makes_the_sessions_incomplete() -> None:
    async with watched() as (pbx, poller):
        begin(pbx, channel="PJSIP/a-00000001").technology = "Digium"
        begin(pbx, channel="PJSIP/a-00000002")
        await asyncio.sleep(5)
        assert poller.ledger.gauges.negotiated[RECEIVE, State.ACTIVE] == 1
        assert not poller.status.collectors["sessions"]


@in_virtual_time
async def test_any_other_error_about_a_session_is_said_once_and_blamed_on_no_technology(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched() as (pbx, poller):
        error = b"Response: Error\r\nActionID: \\1\r\nMessage: Out of luck\r\n\r\n"
        answer = re.compile(rb".*?ActionID: ([0-9]+).*", re.DOTALL)
        pbx.rewrite = lambda action, said: (
            answer.sub(error, said) if action == "FAXSession" else said
        )
        begin(pbx)
        await asyncio.sleep(30)
        (said,) = warnings(caplog)
        assert "FAXSession failed: Out of luck" in said
        assert "technology" not in said
        assert "spandsp" not in said
        assert poller.status.failures[Failure.ERROR] >= 29
        assert not poller.status.collectors["sessions"]


# --- Asterisk ends in good order --------------------------------------------------------------


@in_virtual_time
async def test_while_asterisk_shuts_down_it_is_asked_rarely_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched() as (pbx, poller):
        begin(pbx)
        await asyncio.sleep(2)
        pbx.shut_down()
        await until(lambda: poller.status.failures[Failure.SHUTTING_DOWN] == 1, 2)
        await asyncio.sleep(600)
        assert len(pbx.refused_actions) <= 1 + 600 / SHUTDOWN_PAUSE
        gaps = [b - a for a, b in itertools.pairwise(pbx.refused_actions)]
        assert min(gaps) >= SHUTDOWN_PAUSE
        assert max(gaps) <= SHUTDOWN_PAUSE + 1
        assert not poller.status.up
        assert poller.status.connects == 1
        assert "core abort shutdown" in poller.status.trouble
        (said,) = warnings(caplog)
        assert "Asterisk is shutting down" in said
        assert poller.status.failures[Failure.MALFORMED] == 0


@pytest.mark.parametrize("restart", [False, True])
@in_virtual_time
async def test_faxes_that_end_while_asterisk_shuts_down_are_counted(restart: bool) -> None:
    async with watched() as (pbx, poller):
        first, second, third = (begin(pbx, channel=f"PJSIP/a-{n:08x}") for n in range(3))
        for fax in (first, second, third):
            fax.finish_page()
        await asyncio.sleep(2)
        pbx.shut_down(restart=restart)
        await asyncio.sleep(25)
        first.finish_page(last=True)
        pbx.end(first)
        never_listed = begin(pbx, "send", "PJSIP/b-00000001")
        never_listed.finish_page(last=True)
        await asyncio.sleep(40)
        pbx.end(never_listed)
        pbx.drop(second)
        assert poller.ledger.totals.finished[RECEIVE, Transport.G711] == 1
        await asyncio.sleep(3)
        assert poller.ledger.totals.finished[RECEIVE, Transport.G711] == 2
        third.finish_page(last=True)
        pbx.end(third)
        await until(lambda: not poller.status.connected, 2)
        assert "Asterisk has ended" in poller.status.trouble
        assert_exact(poller, pbx)  # whether Asterisk comes back or not
        if restart:
            await until(lambda: poller.status.up, 5)
            await asyncio.sleep(3 * EVENT_LATENESS)
            assert_exact(poller, pbx)
            assert poller.ledger.unobserved.total == 0


@in_virtual_time
async def test_a_shutdown_that_is_called_off_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        fax.add_bad_lines(3)
        await asyncio.sleep(2)
        pbx.shut_down()
        await asyncio.sleep(30)
        fax.add_bad_lines(4)
        pbx.abort_shutdown()
        await until(lambda: poller.status.up, SHUTDOWN_PAUSE + 1)
        fax.finish_page(last=True)
        await asyncio.sleep(2)
        pbx.end(fax)
        await asyncio.sleep(3 * EVENT_LATENESS)
        assert_exact(poller, pbx)
        assert poller.status.connects == 1
        assert caplog.text.count("is no longer shutting down") == 1


@in_virtual_time
async def test_a_connection_that_falls_silent_meanwhile_ends_no_session() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        fax.finish_page()
        await asyncio.sleep(2)
        pbx.shut_down()
        await until(lambda: poller.status.failures[Failure.SHUTTING_DOWN] == 1)
        pbx.mute = True
        await until(lambda: poller.status.failures[Failure.LOST] == 1)
        assert "has ended" not in poller.status.trouble
        await asyncio.sleep(3 * EVENT_LATENESS)
        pbx.mute = False
        pbx.abort_shutdown()
        await until(lambda: poller.status.up)
        fax.finish_page(last=True)
        await asyncio.sleep(2)
        pbx.end(fax)
        await asyncio.sleep(3 * EVENT_LATENESS)
        assert_exact(poller, pbx)


@in_virtual_time
async def test_after_a_shutdown_asterisk_is_found_within_seconds_whenever_it_is_back() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        pbx.shut_down()
        await until(lambda: poller.status.failures[Failure.SHUTTING_DOWN] > 0)
        pbx.end(fax)
        await asyncio.sleep(90)
        assert poller.status.failures[Failure.CONNECT] > 20
        pbx.restart()
        await until(lambda: poller.status.up, 4)
        assert poller.status.trouble == ""


@in_virtual_time
async def test_who_comes_while_asterisk_shuts_down_is_told_so_and_is_soon_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(start=False) as (pbx, poller):
        session = begin(pbx)
        pbx.shut_down(restart=True)
        pbx.accept_connections()
        await until(lambda: poller.status.failures[Failure.SHUTTING_DOWN] == 20)
        assert poller.status.failures[Failure.LOGIN] == 0
        assert pbx.failed_logins == []
        (said,) = warnings(caplog)
        assert "Asterisk is shutting down" in said
        assert "secret" not in said
        gaps = [b - a for a, b in itertools.pairwise(pbx.refused_actions)]
        assert min(gaps) >= 1
        pbx.end(session)
        await until(lambda: poller.status.up, 5)


@in_virtual_time
async def test_a_shutdown_right_after_the_login_is_no_reason_to_know_no_version() -> None:
    async with watched(start=False) as (pbx, poller):
        begin(pbx)

        def end_soon(action: str, answer: bytes) -> bytes:
            if action == "Login":
                pbx.shut_down()
            return answer

        pbx.rewrite = end_soon
        pbx.accept_connections()
        await until(lambda: poller.status.failures[Failure.SHUTTING_DOWN] > 1)
        assert not poller.status.connected
        pbx.rewrite = None
        pbx.abort_shutdown()
        await until(lambda: poller.status.up)
        assert poller.status.asterisk_version == pbx.version
        assert poller.status.connects == 1


@in_virtual_time
async def test_what_a_refusal_says_beside_its_reason_is_not_taken() -> None:
    def refuse(action: str, answer: bytes) -> bytes:
        return answer.replace(b"Success", b"Error") if action == "CoreSettings" else answer

    async with watched(start=False) as (pbx, poller):
        pbx.rewrite = refuse
        pbx.accept_connections()
        await until(lambda: poller.status.up)
        assert poller.status.failures[Failure.ERROR] == 0
        assert poller.status.asterisk_version == ""
        assert "CoreSettings" in "".join(poller.hints)


# --- nobody is let in -------------------------------------------------------------------------


@in_virtual_time
async def test_a_second_login_is_called_so_and_tried_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(allowmultiplelogin=False) as (pbx, first):
        second = Poller(settings_for(pbx), 1, Ledger(), clock=clock())
        task = asyncio.create_task(second.run())
        await asyncio.sleep(300)
        assert first.status.up
        assert 4 <= second.status.failures[Failure.LOGIN] <= 6
        (said,) = warnings(caplog)
        assert "Login Already In Use" in said
        assert "allowmultiplelogin" in said
        assert "secret" not in said
        task.cancel()


@in_virtual_time
async def test_a_connection_closed_before_the_greeting_is_no_refused_login(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(start=False, authlimit=0) as (pbx, poller):
        pbx.accept_connections()
        await until(lambda: "greeting" in poller.status.trouble)
        assert poller.status.failures[Failure.LOGIN] == 0
        assert "authlimit" in poller.status.trouble
        assert "name and secret" not in caplog.text
        pbx.authlimit = 50
        await until(lambda: poller.status.up, 70)


@in_virtual_time
async def test_a_pbx_that_hangs_up_after_each_login_is_said_to_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hang_up(action: str, answer: bytes) -> bytes:
        if action == "CoreSettings":
            pbx.drop_connections()
        return answer

    async with watched() as (pbx, poller):
        pbx.rewrite = hang_up
        pbx.drop_connections()
        connects = poller.status.connects
        await until(lambda: poller.status.connects >= connects + 5)
        first, second = [line for line in caplog.messages if "connection lost" in line]
        assert "again and again" in second
        assert "again" not in first.replace("tried again", "")
        pbx.rewrite = None
        await until(lambda: poller.status.up)
        await asyncio.sleep(HOLDS + 1)
        pbx.drop_connections()
        await asyncio.sleep(1)
        assert [line for line in caplog.messages if "connection lost" in line][2:] == [first]


@in_virtual_time
async def test_a_pbx_that_closes_after_every_poll_is_said_once_until_a_connection_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    def hang_up(action: str, answer: bytes) -> bytes:
        if action == "FAXStats":
            asyncio.get_running_loop().call_later(0.1, pbx.drop_connections)
        return answer

    async with watched() as (pbx, poller):
        caplog.clear()
        pbx.rewrite = hang_up
        logins = len(pbx.logins)
        await asyncio.sleep(3600)
        lines = [line.partition(":")[0] for line in caplog.messages]
        assert lines == ["connection lost", "connected, AMI 11.0.0", "connection lost"]
        assert "again and again" in caplog.messages[-1]
        assert "closed by the other end" in poller.status.trouble or poller.status.up
        assert 1800 < len(pbx.logins) - logins < 2 * 3600  # each poll counts, but not in a loop
        pbx.rewrite = None
        await until(lambda: poller.status.up)
        await asyncio.sleep(HOLDS + 1)
        assert caplog.messages[3:] == ["the connection holds now"]
        pbx.drop_connections()
        await asyncio.sleep(2)
        lines = [line.partition(":")[0] for line in caplog.messages[4:]]
        assert lines == ["connection lost", "connected, AMI 11.0.0"]


@in_virtual_time
async def test_a_connection_that_held_is_made_again_at_once_so_that_no_event_is_missed() -> None:
    async with watched() as (pbx, poller):
        await asyncio.sleep(HOLDS)
        fax = begin(pbx)
        fax.finish_page(last=True)
        await asyncio.sleep(2)
        pbx.drop_connections()
        lost, logins = wall(), len(pbx.logins)
        await asyncio.sleep(0.05)
        pbx.end(fax)
        await asyncio.sleep(3 * EVENT_LATENESS)
        assert pbx.logins[logins:] == [pytest.approx(lost, abs=0.04)]
        assert poller.ledger.totals.finished[RECEIVE, Transport.G711] == 1
        assert poller.ledger.unobserved.total == 0
        assert poller.ledger.totals.results_unknown[RECEIVE] == 0


@in_virtual_time
async def test_a_pbx_that_is_restarted_is_looked_for_at_once_and_then_with_growing_pauses() -> None:
    async with watched() as (pbx, poller):
        await asyncio.sleep(HOLDS)
        pbx.refuse_connections()
        pbx.drop_connections()
        lost = wall()
        await until(lambda: poller.status.failures[Failure.CONNECT] == 1)
        assert wall() - lost < 0.1
        await asyncio.sleep(60)
        assert 8 <= poller.status.failures[Failure.CONNECT] <= 15
        pbx.accept_connections()
        await until(lambda: poller.status.up, 61)


@in_virtual_time
async def test_a_restarted_asterisk_that_still_loads_res_fax_is_asked_again_soon_for_a_while() -> (
    None
):
    async with watched(interval=5) as (pbx, poller):
        await asyncio.sleep(HOLDS)
        pbx.res_fax = False
        pbx.drop_connections()
        await until(lambda: poller.status.failures[Failure.UNKNOWN_ACTION] >= 2, 1)
        pbx.res_fax = True
        await until(lambda: poller.status.up, 2 * QUICK_PAUSE)
        polls = poller.status.polls
        await asyncio.sleep(20)
        assert poller.status.polls == polls + 4
        pbx.res_fax = False
        pbx.drop_connections()
        await asyncio.sleep(HOLDS + 5)
        polls = poller.status.polls
        await asyncio.sleep(20)
        assert poller.status.polls == polls + 4  # it is not loaded


# --- challenges -------------------------------------------------------------------------------


@in_virtual_time
async def test_a_pbx_that_sends_no_challenge_is_told_no_key_and_left_alone_for_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched() as (pbx, poller):
        logins = len(pbx.logins)
        pbx.rewrite = lambda _, answer: re.sub(rb"Challenge: \d+\r\n", b"", answer)
        pbx.drop_connections()
        await asyncio.sleep(600)
        assert len(pbx.logins) == logins
        assert not pbx.failed_logins
        assert 9 <= poller.status.failures[Failure.LOGIN] <= 11
        assert "challenge to log in with is empty" in poller.status.trouble
        assert sum("challenge" in line for line in warnings(caplog)) == 1
        pbx.rewrite = None
        await until(lambda: poller.status.up, 61)


@in_virtual_time
async def test_a_challenge_that_came_before_is_warned_of_once_and_the_watch_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "randrange", lambda *_: 612049343)
        async with watched() as (pbx, poller):
            for _ in range(4):
                assert poller.status.up
                pbx.drop_connections()
                await asyncio.sleep(HOLDS + 1)
            assert sum("one that came before" in line for line in warnings(caplog)) == 1
            assert any("one that came before" in hint for hint in poller.hints)
            patch.undo()
            pbx.drop_connections()
            await asyncio.sleep(2)
            assert "the challenge of this login is a new one" in caplog.messages
            assert not poller.hints
