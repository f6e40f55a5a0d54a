"""The scrape loop against the demo PBX, over real sockets, in virtual time."""

import asyncio
import contextlib
import itertools
import logging
import random
import re

import pytest
from pydantic import SecretStr

from exporter.ami import Answer, Connection, Request, connect
from exporter.ami import connection as ami
from exporter.ami.stream import MAX_MESSAGE
from exporter.demo import run_traffic
from exporter.fax import Operation, Reason, State, Transport
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.polling import Failure, Poller
from exporter.polling import poller as poller_module
from exporter.settings import AmiSettings
from harness.pbx import FaultyPbx
from harness.truth import assert_exact
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import SECRET, begin, settings_for, watched

CHANNEL = "Local/recv@fax-00000001;2"
RECEIVE, SEND, GATEWAY = Operation.RECEIVE, Operation.SEND, Operation.GATEWAY
ACTIVE, COMPLETE = State.ACTIVE, State.COMPLETE


# --- exact, and harmless --------------------------------------------------------------------


@in_virtual_time
async def test_pages_and_bad_lines_of_one_fax() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        for last in (False, False, True):
            for lines in (4, 6):
                await asyncio.sleep(2)
                fax.add_bad_lines(lines)
            await asyncio.sleep(2)
            fax.finish_page(last=last)
        fax.state = "Complete"
        await asyncio.sleep(1.5)
        pbx.end(fax)
        await asyncio.sleep(2)
        totals = poller.ledger.totals
        assert sum(totals.bad_lines.values()) == 30
        assert sum(totals.pages.values()) == 3
        assert totals.finished[RECEIVE, Transport.G711] == 1


@in_virtual_time
async def test_a_session_that_is_initialized_is_listed_and_never_asked_about() -> None:
    async with watched() as (pbx, poller):
        fax = pbx.begin("receive", CHANNEL)
        await asyncio.sleep(5)
        assert poller.ledger.gauges.sessions[RECEIVE, State.INITIALIZED] == 1
        fax.negotiate()
        await asyncio.sleep(2)
        assert not pbx.crashed
        assert {query.state for query in pbx.queries} == {"Active"}


@in_virtual_time
async def test_an_hour_of_demo_traffic_is_counted_exactly() -> None:
    async with watched() as (pbx, poller):
        traffic = asyncio.create_task(run_traffic(pbx, rng=random.Random(7)))
        await asyncio.sleep(3600)
        traffic.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await traffic
        for session in list(pbx.sessions.values()):
            pbx.drop(session) if session.operation in ("send", "receive") else pbx.end(session)
        await asyncio.sleep(2 * EVENT_LATENESS)
        assert_exact(poller, pbx)
        assert not pbx.crashed
        assert sum(pbx.truth.pages.values()) > 1000


@in_virtual_time
async def test_sessions_are_asked_about_by_the_hundred_within_bounds() -> None:
    async with watched() as (pbx, poller):
        for number in range(3 * ami.MAX_OUTSTANDING):
            begin(pbx, channel=f"PJSIP/trunk-{number:08x}")
        await asyncio.sleep(2)
        assert poller.ledger.gauges.negotiated[RECEIVE, ACTIVE] == 3 * ami.MAX_OUTSTANDING
        assert poller.status.up


@in_virtual_time
async def test_no_more_than_the_bound_is_ever_outstanding(monkeypatch: pytest.MonkeyPatch) -> None:
    outstanding: list[int] = []
    write = Connection._write

    def count(self: Connection) -> None:
        write(self)
        outstanding.append(len(self._unanswered))

    monkeypatch.setattr(Connection, "_write", count)
    async with watched() as (pbx, poller):
        for number in range(3 * ami.MAX_OUTSTANDING):
            begin(pbx, channel=f"PJSIP/trunk-{number:08x}")
        await asyncio.sleep(3)
        assert poller.status.up
    assert max(outstanding) == ami.MAX_OUTSTANDING


# --- time -----------------------------------------------------------------------------------


@in_virtual_time
async def test_polls_are_due_by_the_clock() -> None:
    async with watched() as (pbx, poller):
        pbx.delay["FAXStats"] = 0.4
        await asyncio.sleep(1)
        before = poller.status.polls
        await asyncio.sleep(100)
        assert poller.status.polls - before == 100


@in_virtual_time
async def test_a_poll_that_overruns_puts_the_next_off_and_none_piles_up() -> None:
    async with watched() as (pbx, poller):
        pbx.delay["FAXStats"] = 2.5
        await asyncio.sleep(5)
        before = poller.status.polls
        await asyncio.sleep(300)
        assert poller.status.polls - before == 100
        assert poller.status.up


@in_virtual_time
async def test_a_pbx_that_is_too_slow_is_not_asked_more_until_it_has_answered() -> None:
    async with watched() as (pbx, poller):
        pbx.delay["FAXStats"] = 10
        await asyncio.sleep(1)
        asked = []

        def count(action: str, answer: bytes) -> bytes:
            asked.append(action)
            return answer

        pbx.rewrite = count
        await asyncio.sleep(100)
        assert asked.count("FAXSessions") <= 11
        assert not poller.status.up
        assert poller.status.failures[Failure.TIMEOUT] > 5
        assert poller.status.connects == 1  # it talks: no reason to leave
        pbx.delay.clear()
        await until(lambda: poller.status.up, 30)


@in_virtual_time
async def test_a_silent_pbx_is_down_at_once_and_left_after_three_timeouts() -> None:
    async with watched() as (pbx, poller):
        pbx.mute = True
        await until(lambda: not poller.status.up, 7)
        assert poller.status.stats is None
        await until(lambda: poller.status.failures[Failure.LOST] == 1, 25)
        pbx.mute = False
        await until(lambda: poller.status.up, 70)


@in_virtual_time
async def test_a_pbx_that_answers_nothing_any_more_is_left_though_it_sends_events() -> None:
    async with watched() as (pbx, poller):
        lost: list[str] = []

        def rewrite(action: str, answer: bytes) -> bytes:
            if action in ("FAXStats", "Ping") and action not in lost:
                lost.append(action)
                return b""
            return answer

        pbx.rewrite = rewrite
        for _ in range(120):
            await asyncio.sleep(1)
            pbx.inject(b"Event: Newexten\r\nPrivilege: call,all\r\n\r\n")
        assert lost == ["FAXStats", "Ping"]
        assert poller.status.up
        assert poller.status.failures[Failure.LOST] == 1


@in_virtual_time
async def test_at_a_long_interval_one_slow_answer_is_no_reason_to_leave() -> None:
    async with watched(interval=60) as (pbx, poller):
        await asyncio.sleep(120)
        pbx.delay["FAXSessions"] = poller.settings.timeout + 2
        await asyncio.sleep(60)
        assert poller.status.failures[Failure.TIMEOUT] == 1
        pbx.delay.clear()
        await asyncio.sleep(120)
        assert poller.status.up
        assert poller.status.connects == 1


@in_virtual_time
async def test_a_fax_after_a_restart_is_not_the_one_that_had_its_channel_before() -> None:
    async with watched() as (pbx, poller):
        before = begin(pbx)
        for _ in range(5):
            await asyncio.sleep(2)
            before.finish_page()
        await asyncio.sleep(2)
        pbx.crash()
        await asyncio.sleep(20)
        pbx.restart()
        after = begin(pbx)
        await asyncio.sleep(1)
        after.finish_page()
        await until(lambda: poller.status.connects == 2)
        await asyncio.sleep(2)
        after.finish_page(last=True)
        pbx.end(after)
        await asyncio.sleep(30)
        assert_exact(poller, pbx)


# --- connections ----------------------------------------------------------------------------


@in_virtual_time
async def test_a_refused_login_is_tried_once_a_minute_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pbx = FaultyPbx(secret="another", clock=wall)
    await pbx.start()
    poller = Poller(settings_for(pbx), 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(3600)
    gaps = [b - a for a, b in itertools.pairwise(pbx.failed_logins)]
    assert 50 < len(pbx.failed_logins) <= 61
    assert min(gaps) >= 60
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "Authentication failed" in warnings[0]
    assert "manager.conf" in warnings[0]
    pbx.secret = SECRET
    await until(lambda: poller.status.up, 130)
    task.cancel()
    await pbx.stop()


@in_virtual_time
async def test_a_locked_out_user_stays_away_for_a_minute_whatever_the_next_attempt_meets() -> None:
    pbx = FaultyPbx(secret="another", clock=wall)
    await pbx.start()
    poller = Poller(settings_for(pbx), 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await until(lambda: len(pbx.failed_logins) == 1)
    pbx.refuse_connections()  # as a firewall does for who has failed
    await asyncio.sleep(600)
    assert 8 <= poller.status.failures[Failure.CONNECT] <= 10
    task.cancel()
    await pbx.stop()


@in_virtual_time
async def test_another_reason_for_no_connection_is_news(caplog: pytest.LogCaptureFixture) -> None:
    async with watched(start=False) as (pbx, poller):
        await asyncio.sleep(100)

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", pbx.port)
        await asyncio.sleep(200)
        server.close()
        told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(told) == 2
        assert "no Asterisk manager answers there" in told[1]
        assert poller.status.failures[Failure.CONNECT] > 5


@in_virtual_time
async def test_nobody_listening_is_tried_again_with_growing_pauses_up_to_a_minute() -> None:
    async with watched(start=False) as (pbx, poller):
        # Jitter is fixed at its longest: 2, 4, 8, 16, 32, 60, 60 ... s
        await asyncio.sleep(61.9)
        assert poller.status.failures[Failure.CONNECT] == 5
        await asyncio.sleep(600)
        assert poller.status.failures[Failure.CONNECT] == 5 + 10
        pbx.accept_connections()
        await until(lambda: poller.status.up, 61)


@in_virtual_time
async def test_after_a_success_the_first_pause_is_short_again() -> None:
    async with watched() as (pbx, poller):
        pbx.drop_connections()
        await until(lambda: not poller.status.up, 2)
        await until(lambda: poller.status.up, 2)
        assert poller.status.connects == 2


@in_virtual_time
async def test_known_sessions_go_on_over_a_lost_connection() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        fax.add_bad_lines(5)
        fax.finish_page()
        fax.add_bad_lines(3)
        await asyncio.sleep(2)
        pbx.drop_connections()
        await until(lambda: poller.status.connects == 2)
        fax.add_bad_lines(4)
        await asyncio.sleep(2)
        totals = poller.ledger.totals
        assert sum(totals.bad_lines.values()) == 7  # page 1 was over before any poll
        assert totals.pages[RECEIVE, ACTIVE] == 1
        assert totals.started[RECEIVE] == 1


@in_virtual_time
async def test_after_a_restart_the_same_number_and_channel_is_another_session() -> None:
    async with watched() as (pbx, poller):
        begin(pbx).finish_page()
        await asyncio.sleep(2)
        pbx.restart()
        begin(pbx).finish_page()
        await until(lambda: poller.status.connects == 2)
        await asyncio.sleep(2)
        totals = poller.ledger.totals
        assert totals.pages[RECEIVE, ACTIVE] == 2
        assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (2, 1)


@in_virtual_time
async def test_something_that_is_no_asterisk_is_named_so(caplog: pytest.LogCaptureFixture) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = AmiSettings(port=port, username="x", secret=SecretStr(SECRET))
    poller = Poller(settings, 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await until(lambda: poller.status.failures[Failure.CONNECT] == 1)
    assert "no Asterisk manager answers there" in caplog.text
    task.cancel()
    server.close()


# --- degraded -------------------------------------------------------------------------------


@in_virtual_time
async def test_with_reporting_alone_faxstats_and_events_still_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(write={"reporting"}) as (pbx, poller):
        fax = begin(pbx)
        fax.finish_page(last=True)
        await asyncio.sleep(EVENT_LATENESS)
        pbx.end(fax)
        await asyncio.sleep(2)
        status, totals = poller.status, poller.ledger.totals
        assert status.up
        assert not status.sessions_listed
        assert status.stats is not None
        assert status.stats.completed == 1
        assert totals.pages[RECEIVE, COMPLETE] == 1
        assert status.failures[Failure.DENIED] == status.polls
        assert status.collectors == {"sessions": False, "stats": True, "events": True}
    told = [r.getMessage() for r in caplog.records if "FAXSessions" in r.getMessage()]
    assert len(told) == 1
    assert "add 'call' to its write line" in told[0]


@in_virtual_time
async def test_without_reporting_sessions_still_work(caplog: pytest.LogCaptureFixture) -> None:
    async with watched(write={"call"}) as (pbx, poller):
        begin(pbx)
        await asyncio.sleep(2)
        assert poller.status.up
        assert poller.status.stats is None
        assert poller.ledger.gauges.negotiated[RECEIVE, ACTIVE] == 1
    assert "add 'reporting' to its write line" in caplog.text


@in_virtual_time
async def test_without_any_class_the_pbx_is_not_up() -> None:
    pbx = FaultyPbx(secret=SECRET, clock=wall, write=())
    await pbx.start()
    poller = Poller(settings_for(pbx), 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await until(lambda: poller.status.polls == 3)
    assert not poller.status.up
    task.cancel()
    await pbx.stop()


@in_virtual_time
async def test_res_fax_unloaded_is_said_and_loaded_again_is_watched_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched() as (pbx, poller):
        begin(pbx).finish_page()
        await asyncio.sleep(2)
        pbx.unload_res_fax()
        await until(lambda: not poller.status.up, 3)
        assert "load res_fax.so and res_fax_spandsp.so" in caplog.text
        pbx.load_res_fax()
        begin(pbx, channel="Local/recv@fax-00000002;2").finish_page()
        await until(lambda: poller.status.up, 3)
        await asyncio.sleep(2)
        assert poller.ledger.totals.pages[RECEIVE, ACTIVE] == 2
        assert poller.status.connects == 1


@in_virtual_time
async def test_without_channelvars_results_are_unknown_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(channelvars=False) as (pbx, poller):
        for _ in range(3):
            pbx.drop(begin(pbx))
        await asyncio.sleep(2)
        totals = poller.ledger.totals
        assert totals.results_unknown[RECEIVE] == 3
        assert totals.finished[RECEIVE, Transport.NONE] == 3
        assert sum(totals.failures.values()) == 0
    assert caplog.text.count("channelvars = FAXSTATUS") == 1


@in_virtual_time
async def test_what_is_refused_is_asked_again_once_a_minute() -> None:
    asked: list[tuple[str, float]] = []

    async with watched(write={"reporting"}) as (pbx, poller):

        def note(action: str, answer: bytes) -> bytes:
            asked.append((action, wall()))
            return answer

        pbx.rewrite = note
        await asyncio.sleep(600)
        times = [at for action, at in asked if action == "FAXSessions"]
        assert 9 <= len(times) <= 10
        assert min(b - a for a, b in itertools.pairwise(times)) >= 60
        assert poller.status.collectors == {"sessions": False, "stats": True, "events": True}


@in_virtual_time
async def test_without_read_call_the_missing_events_are_noticed_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(read=()) as (pbx, poller):
        await asyncio.sleep(30)
        assert poller.status.collectors["events"]
        pbx.end(begin(pbx))
        await asyncio.sleep(30)
        assert not poller.status.collectors["events"]
        assert poller.ledger.unobserved.total == 1
    assert "add 'call' to the read line" in caplog.text


@in_virtual_time
async def test_one_fax_without_an_event_is_no_sign_after_others_had_theirs_but_two_are() -> None:
    async with watched() as (pbx, poller):
        pbx.end(begin(pbx))
        for number, comes in enumerate((True, False)):
            await asyncio.sleep(60)
            pbx.end(begin(pbx, channel=f"PJSIP/a-{number:08x}"), announce=False)
            await asyncio.sleep(60)
            assert poller.ledger.unobserved.total == number + 1
            assert poller.status.collectors["events"] is comes
        pbx.end(begin(pbx))
        await asyncio.sleep(5)
        assert poller.status.collectors["events"]


@in_virtual_time
async def test_variables_that_a_blank_hides_are_said(caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as (pbx, poller):
        pbx.inject(
            b"Event: SendFAX\r\nChannel: PJSIP/a-00000001\r\nChanVariable: FAXSTATUS=SUCCESS\r\n"
            b"ChanVariable:  FAXERROR=\r\nChanVariable:  FAXMODE=\r\n\r\n"
        )
        await asyncio.sleep(2)
        (hint,) = poller.hints
    assert "lack FAXERROR, FAXMODE, FAXSTATUSSTRING; add 'channelvars = FAXSTATUS,FAX" in hint
    assert hint in caplog.text


@in_virtual_time
async def test_after_a_crash_the_same_start_number_and_channel_are_another_fax() -> None:
    for before in (0, 1):
        async with watched() as (pbx, poller):
            pbx.keeps_time = False
            fax = begin(pbx, channel="PJSIP/trunk-00000000")
            await asyncio.sleep(2)
            for _ in range(before):
                fax.finish_page()
            await asyncio.sleep(2)
            pbx.crash()
            await until(lambda: not poller.status.up)
            pbx.restart()
            again = pbx.begin("receive", "PJSIP/trunk-00000000", files=fax.files)
            assert again.number == fax.number
            await until(lambda: poller.status.up)
            again.negotiate()
            await asyncio.sleep(2)
            again.finish_page(last=True)
            await asyncio.sleep(2)
            pbx.end(again)
            await asyncio.sleep(2 * EVENT_LATENESS)
            assert_exact(poller, pbx)


@in_virtual_time
async def test_completions_during_a_lost_connection_are_known_to_be_unobserved() -> None:
    async with watched() as (pbx, poller):
        await asyncio.sleep(30)
        faxes = [begin(pbx, channel=f"PJSIP/a-{number:08x}") for number in range(5)]
        await asyncio.sleep(2)
        pbx.end(faxes[0])
        await asyncio.sleep(2)
        pbx.refuse_connections()
        pbx.drop_connections()
        for fax in faxes[1:]:
            pbx.end(fax)
        await asyncio.sleep(5)
        pbx.accept_connections()
        await until(lambda: poller.status.connects == 2)
        await asyncio.sleep(30)
        assert poller.ledger.unobserved.total == 4
        assert sum(poller.ledger.totals.finished.values()) == 1
        assert poller.status.collectors == {"sessions": True, "stats": True, "events": True}


@in_virtual_time
async def test_what_was_missed_between_connections_is_no_sign_of_missing_events() -> None:
    async with watched() as (pbx, poller):
        faxes = [begin(pbx, channel=f"PJSIP/a-{number:08x}") for number in range(3)]
        await asyncio.sleep(2)
        pbx.refuse_connections()
        pbx.drop_connections()
        for fax in faxes:
            pbx.end(fax)
        await asyncio.sleep(5)
        pbx.delay["FAXStats"] = 10  # so that it becomes known late
        pbx.accept_connections()
        await asyncio.sleep(40)
        pbx.delay.clear()
        await asyncio.sleep(40)
        assert poller.status.collectors["events"]
        assert poller.ledger.unobserved.total == 3


@in_virtual_time
async def test_fifty_faxes_that_end_at_once_are_all_observed() -> None:
    async with watched() as (pbx, poller):
        await asyncio.sleep(30)
        faxes = [begin(pbx, channel=f"PJSIP/a-{number:08x}") for number in range(50)]
        await asyncio.sleep(2)
        for fax in faxes:
            pbx.end(fax, announce=False)
        await asyncio.sleep(4.9)
        for fax in faxes:
            pbx.announce(fax)
        await asyncio.sleep(60)
        assert poller.ledger.unobserved.total == 0
        assert sum(poller.ledger.totals.finished.values()) == 50


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("last_is_about_a_session", [False, True])
@in_virtual_time
async def test_an_answer_that_never_comes_leaves_out_that_session_and_the_poll_goes_on(
    last_is_about_a_session: bool,
) -> None:
    write = {"call"} if last_is_about_a_session else {"call", "reporting"}
    async with watched(write=write) as (pbx, poller):
        begin(pbx, channel="PJSIP/a-00000001")
        begin(pbx, channel="PJSIP/a-00000002")

        def swallow(action: str, answer: bytes) -> bytes:
            return b"" if b"SessionNumber: 0" in answer and action == "FAXSession" else answer

        pbx.rewrite = swallow
        await asyncio.sleep(3)
        key = (RECEIVE, ACTIVE)
        assert poller.ledger.gauges.sessions[key] == 2
        assert poller.ledger.gauges.negotiated[key] == 1
        assert poller.status.up
        assert poller.status.failures[Failure.UNANSWERED] >= 2
        assert poller.status.failures[Failure.TIMEOUT] == 0


@in_virtual_time
async def test_an_event_with_another_action_id_is_no_answer() -> None:
    async with watched() as (pbx, poller):
        begin(pbx)

        def rewrite(action: str, answer: bytes) -> bytes:
            event = rb"(Event: FAXSession\r\nActionID: )[0-9]+"
            return re.sub(event, rb"\g<1>987654321", answer) if action == "FAXSession" else answer

        pbx.rewrite = rewrite
        await asyncio.sleep(3)
        assert poller.ledger.gauges.sessions[RECEIVE, ACTIVE] == 1
        assert poller.ledger.gauges.negotiated[RECEIVE, ACTIVE] == 0
        assert poller.status.failures[Failure.UNANSWERED] >= 2


@in_virtual_time
async def test_an_answer_about_another_session_than_asked_is_left_out() -> None:
    async with watched() as (pbx, poller):
        begin(pbx, channel="PJSIP/a-00000001")
        other = begin(pbx, channel="PJSIP/a-00000002")
        assert other.number == 1
        pbx.rewrite = lambda action, answer: (
            answer.replace(b"SessionNumber: 1", b"SessionNumber: 0")
            if action == "FAXSession"
            else answer
        )
        await asyncio.sleep(3)
        other.add_bad_lines(5)
        await asyncio.sleep(3)
        assert poller.ledger.totals.bad_lines.total() == 0
        assert poller.ledger.gauges.negotiated[RECEIVE, ACTIVE] == 1


@in_virtual_time
async def test_an_event_right_behind_the_stats_is_of_a_fax_that_they_do_not_count_yet() -> None:
    completed = 0

    def rewrite(action: str, answer: bytes) -> bytes:
        nonlocal completed
        if action != "FAXStats":
            return answer
        answer = re.sub(rb"CompletedFAXes: \d+", b"CompletedFAXes: %d" % completed, answer)
        if poller.status.polls == 100:
            completed += 1
            answer += b"Event: SendFAX\r\nChannel: PJSIP/a-00000001\r\n\r\n"
        return answer

    async with watched() as (pbx, poller):
        pbx.rewrite = rewrite
        await until(lambda: poller.status.polls == 200)
        assert completed == 1
        assert poller.ledger.totals.results_unknown[SEND] == 1
        assert poller.ledger.unobserved.total == 0


@in_virtual_time
async def test_what_was_missed_before_and_shows_late_is_no_sign_that_events_do_not_come() -> None:
    async with watched() as (pbx, poller):
        pbx.drop_connections()
        for number in range(2):
            fax = begin(pbx, channel=f"PJSIP/missed-{number:08x}")
            pbx.drop(fax)
        await until(lambda: poller.status.connects == 2)
        for number in range(20):  # each comes sooner than what was missed is certain
            fax = begin(pbx, channel=f"PJSIP/a-{number:08x}")
            await asyncio.sleep(EVENT_LATENESS / 4)
            pbx.drop(fax)
        await asyncio.sleep(2 * EVENT_LATENESS - 1)
        assert poller.ledger.unobserved.total == 2
        assert poller.status.collectors["events"]


@in_virtual_time
async def test_who_no_longer_waits_is_given_no_answer() -> None:
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start()
    connection = await connect(settings_for(pbx), lambda _: None)
    pbx.delay["Ping"] = 1.0
    answers: list[Answer] = []
    requests = [Request("Ping")] * ami.MAX_OUTSTANDING
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10.5):
            await connection.ask_each(requests, answers.append)
    assert len(answers) == 10
    await connection.drained()
    assert asyncio.get_running_loop().time() > ami.MAX_OUTSTANDING
    assert len(answers) == 10
    connection.close()
    await pbx.stop()


@in_virtual_time
async def test_a_session_that_ends_between_list_and_question_is_no_failure() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        await asyncio.sleep(2)

        def end(action: str, answer: bytes) -> bytes:
            if action == "FAXSessions" and not fax.gone:
                pbx.end(fax)
            return answer

        pbx.rewrite = end
        await asyncio.sleep(3)
        assert fax.gone
        assert sum(poller.status.failures.values()) == 0
        assert poller.ledger.totals.finished[RECEIVE, Transport.G711] == 1


@in_virtual_time
async def test_a_line_of_the_list_that_cannot_be_read_ends_no_session_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched() as (pbx, poller):
        begin(pbx).finish_page()
        await asyncio.sleep(2)
        pbx.rewrite = lambda action, answer: (
            answer.replace(b"SessionNumber: 0", b"SessionNumber: zero")
            if action == "FAXSessions"
            else answer
        )
        await asyncio.sleep(30)
        totals = poller.ledger.totals
        assert totals.ended[RECEIVE] == 0
        assert poller.status.failures[Failure.MALFORMED] >= 29
        pbx.rewrite = None
        await asyncio.sleep(2)
        assert totals.pages[RECEIVE, ACTIVE] == 1
        assert totals.started[RECEIVE] == 1
    assert caplog.text.count("SessionNumber is not as Asterisk writes it") == 1


@in_virtual_time
async def test_a_list_that_is_shorter_than_it_says_ends_no_session() -> None:
    async with watched() as (pbx, poller):
        begin(pbx)
        await asyncio.sleep(2)
        entry = re.compile(rb"Event: FAXSessionsEntry.*?\r\n\r\n", re.DOTALL)
        pbx.rewrite = lambda action, answer: (
            entry.sub(b"", answer) if action == "FAXSessions" else answer
        )
        await asyncio.sleep(5)
        assert poller.ledger.totals.ended[RECEIVE] == 0
        assert poller.status.failures[Failure.MALFORMED] >= 4


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What each read of the exporter has brought."""
    made: list[bytes] = []
    data_received = Connection.data_received

    def read(self: Connection, data: bytes) -> None:
        made.append(data)
        data_received(self, data)

    monkeypatch.setattr(Connection, "data_received", read)
    return made


@in_virtual_time
async def test_answers_cut_at_every_byte_are_put_together_again(reads: list[bytes]) -> None:
    async with watched() as (pbx, poller):
        pbx.chunk = 1
        fax = begin(pbx, channel="PJSIP/größe-00000001")
        fax.finish_page()
        await asyncio.sleep(3)
        pbx.end(fax)
        await asyncio.sleep(3)
        assert poller.ledger.totals.pages[RECEIVE, ACTIVE] == 1
        assert poller.ledger.totals.ended[RECEIVE] == 1
        assert sum(poller.status.failures.values()) == 0
        assert {1} == {len(read) for read in reads[-100:]}


@in_virtual_time
async def test_a_defect_in_taking_an_answer_is_told_whole_and_ends_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_stats(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    async with watched() as (_, poller):
        with monkeypatch.context() as broken:
            broken.setattr(poller_module, "parse_stats", parse_stats)
            await until(lambda: poller.status.failures[Failure.INTERNAL] == 1)
        await until(lambda: poller.status.up)
    assert "ZeroDivisionError: a defect" in caplog.text
    assert "parse_stats" in caplog.text


NONSENSE = [
    b"\r\n\r\n\r\n\r\n",
    b"Event: ReceiveFAX\r\n\r\n",
    b"Event: ReceiveFAX\r\nEvent: SendFAX\r\n\r\n",
    b"Event: ReceiveFAX\r\nPagesTransferred: 99999999999\r\nChannel: \xff\xfe\r\n\r\n",
    b"Event: SendFAX\r\nActionID: a\r\nActionID: b\r\n\r\n",
    b"Response: Success\r\n\r\n",
    b"Response: Follows\r\n\r\n",
    b"Response\r\n\r\n",
    b"\x00\x01\x02: \r\n: : :\r\n\r\n",
    b"Event: FAXSessionsComplete\r\nActionID: nobody\r\n\r\n",
    b"Event: SendFAX\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"Event: SendFAX\r\nChannel: " + b"x" * (2 * MAX_MESSAGE) + b"\r\n\r\n",
    b"Event: SendFAX\r\nChanVariable: =\r\nChanVariable\r\nChanVariable: FAXSTATUS\r\n\r\n",
]


@pytest.mark.parametrize("nonsense", NONSENSE)
@in_virtual_time
async def test_nonsense_from_the_pbx_harms_no_poll(nonsense: bytes) -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        fax.finish_page()
        await asyncio.sleep(2)
        pbx.inject(nonsense)
        fax.finish_page()
        await asyncio.sleep(2)
        assert poller.status.up
        assert poller.status.connects == 1
        assert poller.ledger.totals.pages[RECEIVE, ACTIVE] == 2


@in_virtual_time
async def test_the_secret_is_in_no_log_line_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with watched() as (pbx, poller):
        pbx.drop_connections()
        await until(lambda: poller.status.connects == 2)
        assert SECRET not in repr(poller.settings)
        pbx.secret = "changed"
        pbx.drop_connections()
        await until(lambda: poller.status.failures[Failure.LOGIN] == 1)
    assert caplog.records
    assert SECRET not in caplog.text


@in_virtual_time
async def test_a_failure_has_its_reason_from_the_event() -> None:
    async with watched() as (pbx, poller):
        pbx.drop(begin(pbx))
        trained = "Failed to train with any of the compatible modems"
        pbx.end(begin(pbx, "send"), status="FAILED", error=trained)
        await asyncio.sleep(2)
        failures = poller.ledger.totals.failures
        assert failures[RECEIVE, Reason.CALL_DROPPED] == 1
        assert failures[SEND, Reason.TRAINING] == 1
        assert sum(failures.values()) == 2
