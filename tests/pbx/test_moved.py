"""Calls that are moved while they fax, through real Asterisks: each fax is counted once, as one."""

import json
import time
import urllib.request
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.exposition import Scrape
from harness.running import Exporter
from tests.pbx.asterisk import Asterisk, Message, bad_fax_lines, make_tiff
from tests.pbx.conftest import Start, let_polls_pass, sessions

FAX_SECONDS = 120
"""No fax of these tests takes as long, on a busy machine either."""
EVENT_SECONDS = 10
"""After which it is known that the event of a fax will not come."""
QUIET_SECONDS = 17
"""Without an event, after which a completion that has none is taken for a sign of trouble."""
RESULTS = ("SendFAX", "ReceiveFAX")

Kind = tuple[str, str]
"""How a call is transferred, and which end of its fax is on the channel that is replaced."""
KINDS: list[Kind] = [
    ("REFER", "receive"),
    ("REFER", "send"),
    ("INVITE", "receive"),
    ("INVITE", "send"),
]


def ended(exporter: Exporter) -> list[dict[str, Any]]:
    """The rows of all faxes that ended."""
    with urllib.request.urlopen(f"{exporter.base}/api/v1/targets", timeout=10) as answer:
        (target,) = json.load(answer)["targets"]
    rows: list[dict[str, Any]] = target["failed"] + target["others"]
    return rows


def in_mid_page(asterisk: Asterisk, faxes: int, imaged: set[str] | None = None) -> None:
    """Waits until so many receivers have heard the image of their first page: a moment without
    sound costs some lines there, and no fax. `imaged`: those that have until now, which may have
    ended; others are added."""
    imaged = set() if imaged is None else imaged
    with asterisk.sampler() as sampler:
        while len(imaged) < faxes:
            imaged.add(
                sampler.wait_for(
                    lambda one: (
                        one.operation == "receive"
                        and one.channel not in imaged
                        and (one.resolution or "").endswith("x3850")
                    ),
                    FAX_SECONDS,
                ).channel
            )


def begin_movable(asterisk: Asterisk, tiff: Path, moved: str) -> Message:
    """Starts a fax; returns its session on the channel that is to be moved, as listed."""
    before = {one.get("SessionNumber") for one in asterisk.driver.sessions()}
    asterisk.send_movable_fax(tiff, moved=moved)
    (session,) = sessions(
        asterisk,
        lambda one: (
            one.get("Operation") == moved
            and one.get("Channel").startswith("PJSIP/")
            and one.get("SessionNumber") not in before
        ),
    )
    return session


def events_of(events: list[Message], session: Message) -> list[Message]:
    """The completion events with the operation and the file of a session."""
    name = {"send": "SendFAX", "receive": "ReceiveFAX"}[session.get("Operation")]
    return [
        one for one in events if one.event == name and one.get("FileName") == session.get("Files")
    ]


@pytest.mark.parametrize(
    "kinds", [KINDS, [("REFER", "send")] * 2], ids=["one of each", "two with the same file"]
)
def test_a_fax_that_goes_on_on_another_channel_is_one_fax(
    kinds: list[Kind], suite: str, watch: Start, tmp_path: Path
) -> None:
    """An attended transfer puts another channel in the place of the one that faxes: the list goes
    on to say the old name, the completion event says the new one."""
    tiffs = {kind: make_tiff(tmp_path / f"{'-'.join(kind)}.tif", 2) for kind in kinds}
    with Asterisk(suite) as asterisk:
        # Else what is counted of a peer shows only after a while.
        known = {"PJSIP/audio": {"seen": time.time(), "send": [], "receive": []}}
        peers = tmp_path / "peers.json"
        peers.write_text(json.dumps({"targets": {f"{asterisk.host}:{asterisk.ami_port}": known}}))
        flags = ("--metrics.peer-label", f"--metrics.peer-file={peers}")
        exporter = watch(asterisk, *flags, "--web.show-details")
        moved = [begin_movable(asterisk, tiffs[kind], kind[1]) for kind in kinds]
        faxes = len(kinds)
        in_mid_page(asterisk, faxes)
        let_polls_pass(exporter, 1)  # the image itself begins within a second
        exporter.wait_until(lambda now: now.sum("negotiated_sessions") == 2 * faxes, FAX_SECONDS)
        for session, (by, _) in zip(moved, kinds, strict=True):
            asterisk.move(session.get("Channel"), by=by)
        events = asterisk.driver.wait_for_count(2 * faxes, *RESULTS, timeout=FAX_SECONDS)
        let_polls_pass(exporter, EVENT_SECONDS)
        now, rows = exporter.scrape(), ended(exporter)
        for session in moved:
            told = events_of(events, session)
            assert session.get("Channel") not in {one.get("Channel") for one in told}
            assert len(told) == sum(one.get("Files") == session.get("Files") for one in moved)
        stats = asterisk.driver.ask("FAXStats", "FAXStats")[-1]
        received = asterisk.received()
        in_files = sum(len(bad_fax_lines(path)) for path in received)
        damaged = sum(sum(bad_fax_lines(path)) for path in received)

    # A fax that does not survive its move is as good a case: the events tell how all ended.
    failed = sum(one.variable("FAXSTATUS") == "FAILED" for one in events)
    assert stats.get("CompletedFAXes") == str(len(events)) == str(2 * faxes)
    assert stats.get("FailedFAXes") == str(failed)
    for name, operation, counter in (
        ("SendFAX", "send", "pages_transmitted_total"),
        ("ReceiveFAX", "receive", "pages_received_total"),
    ):
        told = [one for one in events if one.event == name]
        pages = sum(int(one.get("PagesTransferred")) for one in told)
        assert now.sum(counter) == now.sum("session_pages_sum", operation=operation) == pages
        for total in ("sessions_started_total", "sessions_ended_total", "finished_total"):
            assert now.sum(total, operation=operation) == faxes, total
        for histogram in ("session_pages", "session_data_rate_bps", "session_duration_seconds"):
            assert now.sum(f"{histogram}_count", operation=operation) == faxes, histogram
        # The peer is the one that the fax began with.
        of_trunk = [
            one
            for session in {one.get("Files"): one for one in moved}.values()
            for one in events_of(told, session)
        ]
        if of_trunk:
            trunk = {"operation": operation, "peer": "PJSIP/audio"}
            assert now.value("peer_finished_total", **trunk) == len(of_trunk)
            assert now.value("peer_pages_total", **trunk) == sum(
                int(one.get("PagesTransferred")) for one in of_trunk
            )
    assert 'peer="PJSIP/peer"' not in now.text
    assert now.sum("pages_received_total") == in_files
    assert now.sum("failures_total") == failed
    assert now.value("unobserved_completions_total") == 0
    if not failed:
        assert now.sum("bad_lines_total") == damaged
    assert Counter((row["file"], row["pages"], row["result"]) for row in rows) == Counter(
        (
            one.get("FileName"),
            int(one.get("PagesTransferred")),
            (one.variable("FAXSTATUS") or "").lower(),
        )
        for one in events
    )


def page_sent_or_ended(now: Scrape, faxes: int) -> bool:
    """Whether a page was sent, or so many faxes are over without one."""
    ended = now.sum("finished_total", operation="send")
    return now.sum("pages_transmitted_total") >= 1 or ended == faxes


def test_two_moved_faxes_with_the_same_file_that_end_at_once_keep_their_pages(
    suite: str, watch: Start, tmp_path: Path
) -> None:
    """Nothing but the number of its pages tells whose event is whose."""
    tiff = make_tiff(tmp_path / "same.tif", 3)
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk, "--web.show-details")
        moved: list[Message] = []
        # On a busy machine a move can come at a moment that ends a fax before its first page.
        for attempt in (1, 2, 3):
            imaged: set[str] = set()
            for faxes in (1, 2):
                moved.append(begin_movable(asterisk, tiff, "send"))
                in_mid_page(asterisk, faxes, imaged)
                let_polls_pass(exporter, 1)
                asterisk.move(moved[-1].get("Channel"), by="REFER")
            now = exporter.wait_until(partial(page_sent_or_ended, faxes=2 * attempt), FAX_SECONDS)
            asterisk.hangup_all()
            events = asterisk.driver.wait_for_count(4 * attempt, *RESULTS, timeout=FAX_SECONDS)
            if now.sum("pages_transmitted_total") >= 1:
                break
        let_polls_pass(exporter, EVENT_SECONDS)
        now, rows = exporter.scrape(), ended(exporter)
    sent = [int(one.get("PagesTransferred")) for one in events if one.event == "SendFAX"]
    assert len(sent) == len(moved)
    assert sum(sent) >= 1
    channels = {one.get("Channel") for one in events if one.event == "SendFAX"}
    assert channels.isdisjoint(one.get("Channel") for one in moved)
    assert now.sum("pages_transmitted_total") == sum(sent)
    assert now.sum("session_pages_sum", operation="send") == sum(sent)
    assert now.sum("finished_total", operation="send") == len(moved)
    assert now.sum("sessions_started_total") == now.sum("sessions_ended_total") == 2 * len(moved)
    assert sorted(row["pages"] for row in rows if row["operation"] == "send") == sorted(sent)
    assert now.value("unobserved_completions_total") == 0


def test_a_local_channel_that_is_optimized_away_changes_nothing(
    suite: str, watch: Start, tmp_path: Path
) -> None:
    """Without /n."""
    page = make_tiff(tmp_path / "page.tif", 1, seconds=3)
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(page, channel="Local/recv@fax")
        asterisk.send_fax(page, channel="Local/out@fax")
        asterisk.driver.wait_for_count(4, *RESULTS, timeout=FAX_SECONDS)
        let_polls_pass(exporter, EVENT_SECONDS)
        now = exporter.scrape()
    assert now.sum("pages_received_total") == now.sum("pages_transmitted_total") == 2
    assert now.sum("sessions_started_total") == now.sum("sessions_ended_total") == 4
    assert now.sum("finished_total") == now.sum("session_pages_count") == 4


def test_one_fax_without_an_event_is_counted_and_no_sign_that_events_do_not_come(
    suite: str, watch: Start, three_pages: Path
) -> None:
    """Redirect of a channel that runs SendFAX as the Application of an Originate, and Bridge of one
    that faxes, end the fax; Asterisk counts it, and tells nobody."""
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk, "--web.show-details")
        ami = asterisk.driver
        asterisk.send_fax(three_pages)
        (receiver,) = sessions(asterisk, lambda one: one.get("Operation") == "receive")
        exporter.wait_until(lambda now: now.sum("sessions") == 2, FAX_SECONDS)
        asterisk.hangup(receiver.get("Channel"))
        ami.wait_for_count(2, *RESULTS, timeout=FAX_SECONDS)
        for by in ("Redirect", "Bridge"):
            asterisk.send_fax(three_pages, channel="Local/wait@fax/n")
            (sender,) = sessions(asterisk, lambda one: one.get("Operation") == "send")
            exporter.wait_until(lambda now: now.sum("sessions", operation="send") == 1, FAX_SECONDS)
            if by == "Redirect":
                let_polls_pass(exporter, QUIET_SECONDS)
                asterisk.redirect(sender.get("Channel"), "wait")
                unobserved = 1
            else:
                other = asterisk.call("wait")
                ami.action("Bridge", Channel1=sender.get("Channel"), Channel2=other)
                unobserved = 2
            sessions(asterisk, lambda _: True, count=0)
            now = exporter.wait_until(
                lambda now: now.value("unobserved_completions_total") == unobserved,  # noqa: B023
                FAX_SECONDS,
            )
            if by == "Redirect":
                assert now.value("collector_up", collector="events") == 1
        let_polls_pass(exporter, EVENT_SECONDS)
        now = exporter.scrape()
        rows = ended(exporter)
        stats = ami.ask("FAXStats", "FAXStats")[-1]
        assert len(ami.events(*RESULTS)) == 2
    assert stats.get("CompletedFAXes") == "4"
    assert now.value("unobserved_completions_total") == 2
    assert now.sum("finished_total") == 2
    assert now.sum("sessions_ended_total") == now.sum("session_pages_count") == 4
    assert Counter((row["operation"], row["result"]) for row in rows) == {
        ("send", "failed"): 1,
        ("receive", "failed"): 1,
        ("send", "unknown"): 2,
    }


@pytest.mark.parametrize("again", ["another file", "the same file"])
def test_the_second_fax_of_a_channel_gets_its_own_event(
    again: str, suite: str, watch: Start, tmp_path: Path
) -> None:
    """Both ends of a fax are redirected to another one: the first SendFAX, Originate's own, ends
    without an event; the second, on the same channel, has one soon after."""
    first = second = make_tiff(tmp_path / "first.tif", 1)
    if again == "another file":
        second = make_tiff(tmp_path / "second.tif", 1, seed=1)
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk, "--web.show-details")
        asterisk.send_fax(first)
        sender, receiver = (
            one.get("Channel")
            for operation in ("send", "receive")
            for one in sessions(asterisk, lambda one: one.get("Operation") == operation)  # noqa: B023
        )
        exporter.wait_until(lambda now: now.sum("sessions") == 2, FAX_SECONDS)
        let_polls_pass(exporter, 10)
        asterisk.driver.action(
            "Setvar", Channel=sender, Variable="FAXFILE", Value=str(asterisk.inside(second))
        )
        asterisk.redirect(sender, "send-again", receiver, "recv-again")
        asterisk.driver.wait_for_count(1, "ReceiveFAX", timeout=FAX_SECONDS)
        exporter.wait_until(
            lambda now: (
                now.sum("sessions_started_total") == 4 and now.sum("sessions_ended_total") == 2
            ),
            FAX_SECONDS,
        )
        asterisk.hangup(receiver)
        results = asterisk.driver.wait_for_count(3, *RESULTS, timeout=FAX_SECONDS)
        let_polls_pass(exporter, EVENT_SECONDS)
        now, rows = exporter.scrape(), ended(exporter)
        old, new = str(asterisk.inside(first)), str(asterisk.inside(second))
    assert [(one.event, one.get("Channel")) for one in results] == [
        ("ReceiveFAX", receiver),
        ("ReceiveFAX", receiver),
        ("SendFAX", sender),
    ]
    assert results[2].get("FileName") == new
    sent = sorted(
        (row for row in rows if row["operation"] == "send"),
        key=lambda row: float(row["duration_seconds"]),
        reverse=True,
    )
    assert [(row["file"], row["result"], row["reason"]) for row in sent] == [
        (old, "unknown", None),
        (new, "failed", "call_dropped"),
    ]
    assert sent[0]["duration_seconds"] > 9 > sent[1]["duration_seconds"]
    assert now.sum("sessions_started_total") == now.sum("sessions_ended_total") == 4
    assert now.sum("finished_total", operation="send") == 1
    assert now.sum("finished_total", operation="receive") == 2
    assert now.value("unobserved_completions_total") == 1
    assert len(rows) == 4
