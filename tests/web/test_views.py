"""What the page and the API show, as values: of running sessions, ended faxes and PBXs."""

import asyncio
import time
from dataclasses import asdict

import pytest
from freezegun import freeze_time

from exporter.ledger import EVENT_LATENESS
from exporter.polling import Failure, Shown
from exporter.polling.snapshot import PEERS_SHOWN
from exporter.web.views import ResolutionView, session_views, target_view
from exporter.words import visible
from harness.virtual_time import EPOCH, in_virtual_time, until, wall
from harness.watching import CHANNEL, begin, end_with_texts, watched


@in_virtual_time
async def test_a_session_is_shown_from_its_start_to_its_last_page() -> None:
    async with watched() as (pbx, poller):
        fax = pbx.begin("receive", CHANNEL)
        await asyncio.sleep(1.5)
        (view,) = session_views("fax", Shown.of(poller), poller.clock, details=False)
        assert (view.target, view.operation, view.state) == ("fax", "receive", "Initialized")
        # Nobody may ask about it yet, so nothing is known.
        unknown = (view.page, view.data_rate_bps, view.ecm, view.resolution, view.page_bad_lines)
        assert unknown == (None,) * 5
        fax.negotiate(resolution=(8031, 7700))
        fax.add_bad_lines(3)
        await asyncio.sleep(2)
        fax.finish_page()
        fax.add_bad_lines(2)
        await asyncio.sleep(2)
        (view,) = session_views("fax", Shown.of(poller), poller.clock, details=False)
        assert (view.page, view.page_bad_lines, view.session_bad_lines) == (2, 2, 5)
        assert (view.data_rate_bps, view.ecm, view.transport) == (14400, False, "g711")
        assert view.resolution == ResolutionView("fine", 204, 196)
        assert view.running_seconds == pytest.approx(5, abs=1.1)
        assert view.since_page_seconds == pytest.approx(1.5, abs=1.1)
        fax.finish_page(last=True)
        fax.state = "Complete"
        await asyncio.sleep(1.5)
        (view,) = session_views("fax", Shown.of(poller), poller.clock, details=False)
        assert (view.state, view.page) == ("Complete", 2)


@in_virtual_time
async def test_what_has_no_meaning_for_an_operation_is_none() -> None:
    async with watched() as (pbx, poller):
        begin(pbx, "send", "PJSIP/a-00000001")
        begin(pbx, "gateway", "PJSIP/b-00000002")
        pbx.begin("V.21", "PJSIP/c-00000003")
        await asyncio.sleep(1.5)
        send, gateway, detector = session_views(
            "fax", Shown.of(poller), poller.clock, details=False
        )
        assert (send.page, send.page_bad_lines, send.session_bad_lines) == (1, None, None)
        assert (gateway.page, gateway.resolution, gateway.transport) == (1, None, "none")
        assert gateway.data_rate_bps == 14400
        assert (detector.page, detector.since_page_seconds) == (None, None)


@in_virtual_time
async def test_names_are_shown_only_where_details_are_wanted() -> None:
    async with watched() as (pbx, poller):
        alice = begin(pbx, channel="PJSIP/alice-1")
        end_with_texts(pbx, alice, local="+49 30 1", remote="+33 1 2", file="/var/spool/in.tif")
        pbx.drop(begin(pbx, channel="PJSIP/bob-2"))
        begin(pbx, channel="PJSIP/carol-3")
        await until(lambda: bool(list(poller.ledger.history.failed)))
        await asyncio.sleep(2)
        for details in (False, True):
            sessions = [
                asdict(view)
                for view in session_views("fax", Shown.of(poller), poller.clock, details=details)
            ]
            target = asdict(target_view("fax", Shown.of(poller), poller.clock, details=details))
            seen = repr((sessions, target))
            for name in ("alice", "bob", "carol", "/var/spool", "+49 30 1", "+33 1 2"):
                assert (name in seen) == details, name
            assert (sessions[0]["channel"] is None) != details


def test_what_a_stranger_writes_shows_as_harmless_text() -> None:
    assert visible("a\u202eb\x1b[2J\u2028\ud800\x00 é<script>") == "a?b?[2J??? é<script>"


@in_virtual_time
async def test_ended_faxes_are_shown_newest_first_with_how_they_ended() -> None:
    async with watched() as (pbx, poller):
        good, bad = begin(pbx, channel="a/a-1"), begin(pbx, channel="b/b-2")
        good.add_bad_lines(4)
        await asyncio.sleep(3)
        good.finish_page()
        await asyncio.sleep(3)
        pbx.end(good)
        await asyncio.sleep(5)
        pbx.drop(bad)
        await asyncio.sleep(2)
        now = wall()
        view = target_view("fax", Shown.of(poller), poller.clock, details=True)
        (other,), (failed,) = view.others, view.failed
        assert (other.result, other.reason, other.pages, other.bad_lines) == ("success", None, 1, 4)
        assert (other.data_rate_bps, other.transport, other.channel) == (14400, "g711", "a/a-1")
        assert other.duration_seconds == pytest.approx(6, abs=1.1)
        assert other.ended_seconds_ago == pytest.approx(7, abs=1.1)
        assert other.ended_timestamp == pytest.approx(now - other.ended_seconds_ago)
        assert (failed.result, failed.reason, failed.pages) == ("failed", "call_dropped", 0)


@in_virtual_time
async def test_a_wall_clock_that_is_set_changes_timestamps_and_no_age() -> None:
    with freeze_time("2026-03-29T00:59:50Z", real_asyncio=True) as wall_clock:
        async with watched(wall_clock=time.time) as (pbx, poller):
            fax = begin(pbx)
            await until(lambda: poller.ledger.running != [])
            pbx.drop(fax)
            await until(lambda: list(poller.ledger.history.failed) != [])
            polled = poller.status.last_success
            for now in ("2026-03-29T01:00:00Z", "2026-03-28T23:00:00Z"):
                wall_clock.move_to(now)
                view = target_view("fax", Shown.of(poller), poller.clock, details=False)
                (failed,) = view.failed
                assert failed.ended_seconds_ago == pytest.approx(0, abs=1.1)
                assert failed.ended_timestamp == time.time() - failed.ended_seconds_ago
                assert view.last_poll_timestamp == polled == 1774745990
                assert view.last_poll_seconds_ago == max(0, time.time() - 1774745990)


@in_virtual_time
async def test_successes_do_not_push_failures_out() -> None:
    async with watched() as (pbx, poller):
        pbx.drop(begin(pbx, channel="failed/failed-1"))
        for number in range(50):
            await asyncio.sleep(2)
            pbx.end(begin(pbx, channel=f"good/good-{number:x}"))
        await asyncio.sleep(2)
        view = target_view("fax", Shown.of(poller), poller.clock, details=True)
        assert [fax.channel for fax in view.failed] == ["failed/failed-1"]
        assert len(view.others) == 20
        assert view.others[0].channel == "good/good-31"


@in_virtual_time
async def test_a_fax_no_poll_saw_and_one_without_an_event_stand_among_those_that_ended() -> None:
    async with watched() as (pbx, poller):
        pbx.end(pbx.begin("receive", "quick/quick-1"), status="FAILED", error="TIMEOUT")
        silent = begin(pbx, channel="silent/silent-2")
        await asyncio.sleep(3)
        pbx.end(silent, announce=False)
        await asyncio.sleep(EVENT_LATENESS + 3)
        view = target_view("fax", Shown.of(poller), poller.clock, details=True)
        (failed,), (other,) = view.failed, view.others
        assert (failed.channel, failed.reason) == ("quick/quick-1", "timeout")
        assert failed.duration_seconds is None
        assert (other.channel, other.result) == ("silent/silent-2", "unknown")


@in_virtual_time
async def test_a_pbx_that_is_not_reached_says_why_and_shows_nothing_old() -> None:
    async with watched() as (pbx, poller):
        begin(pbx)
        await asyncio.sleep(2)
        up = target_view("fax", Shown.of(poller), poller.clock, details=False)
        assert (up.up, up.trouble, up.session_count) == (True, None, 1)
        assert (up.asterisk_version, up.ami_version) == ("22.10.0", "11.0.0")
        assert up.stats is not None
        assert up.stats.current_sessions == 1
        assert up.last_poll_timestamp is not None
        assert up.last_poll_timestamp > EPOCH
        pbx.refuse_connections()
        pbx.drop_connections()
        await until(lambda: poller.status.failures[Failure.CONNECT] > 0)
        down = target_view("fax", Shown.of(poller), poller.clock, details=False)
        assert (down.up, down.stats, down.session_count) == (False, None, 0)
        assert down.trouble is not None
        assert "refused: nothing listens" in down.trouble
        assert session_views("fax", Shown.of(poller), poller.clock, details=False) == []


@in_virtual_time
async def test_what_a_pbx_lacks_is_a_hint_until_it_is_put_right() -> None:
    async with watched(write=["call"], channelvars=False) as (pbx, poller):
        pbx.end(begin(pbx))
        await asyncio.sleep(2)
        hints = target_view("fax", Shown.of(poller), poller.clock, details=False).hints
        assert any("FAXStats" in hint and "'reporting'" in hint for hint in hints)
        assert any("channelvars = FAXSTATUS" in hint for hint in hints)
        pbx.write = frozenset({"call", "reporting"})
        pbx.channelvars = True
        pbx.drop_connections()
        await until(lambda: poller.status.connects == 2)
        pbx.end(begin(pbx))
        await asyncio.sleep(70)
        pbx.end(begin(pbx))
        await asyncio.sleep(5)
        assert target_view("fax", Shown.of(poller), poller.clock, details=False).hints == []


@in_virtual_time
async def test_today_tells_by_reason_peer_and_hour_what_was_counted_since_it_began() -> None:
    async with watched(peer_limit=1) as (pbx, poller):
        begun = poller.status.watched_since
        for name, good in (("a", True), ("a", False), ("b", False)):
            fax = begin(pbx, channel=f"PJSIP/{name}-00000001")
            await asyncio.sleep(2)
            fax.finish_page()
            pbx.end(fax) if good else pbx.drop(fax)
            await asyncio.sleep(3)
        today = target_view("fax", Shown.of(poller), poller.clock, details=False).today
        assert (today.faxes, today.succeeded, today.failed, today.pages) == (3, 1, 2, 3)
        assert today.success_ratio == pytest.approx(1 / 3)
        assert today.since_timestamp == begun
        assert [(one.reason, one.faxes) for one in today.failures] == [("call_dropped", 2)]
        assert [(one.peer, one.faxes, one.failed) for one in today.peers] == [
            ("PJSIP/a", 2, 1),
            ("other", 1, 1),
        ]
        assert today.more_peers == 0
        hours = [(hour.faxes, hour.failed) for hour in today.hours]
        assert hours == [(None, None)] * 23 + [(3, 2)]
        await asyncio.sleep(2 * 3600)
        hours = [
            (hour.faxes, hour.failed)
            for hour in target_view(
                "fax", Shown.of(poller), poller.clock, details=False
            ).today.hours
        ]
        assert hours == [(None, None)] * 21 + [(3, 2), (0, 0), (0, 0)]


@in_virtual_time
async def test_of_many_peers_those_with_most_failures_are_told_and_how_many_more_there_are() -> (
    None
):
    async with watched(peer_limit=1000) as (pbx, poller):
        for number in range(PEERS_SHOWN + 7):
            pbx.end(pbx.begin("receive", f"PJSIP/p{number}-0000000a"))
        pbx.drop(pbx.begin("receive", "PJSIP/worst-0000000a"))
        await asyncio.sleep(EVENT_LATENESS)
        today = target_view("fax", Shown.of(poller), poller.clock, details=False).today
        assert (today.peers[0].peer, len(today.peers), today.more_peers) == (
            "PJSIP/worst",
            PEERS_SHOWN,
            8,
        )
        assert today.faxes == PEERS_SHOWN + 8
