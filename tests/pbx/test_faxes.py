"""Real faxes through real Asterisks, seen through the exporter's own /metrics."""

import base64
import itertools
import random
import re
from pathlib import Path

import pytest

from harness.exposition import Scrape
from harness.fax_lines import assert_lines_make_up, fax_lines
from harness.running import Exporter, scraped_meanwhile
from tests.pbx.asterisk import SUITES, Asterisk, Sampler, bad_fax_lines, make_tiff
from tests.pbx.conftest import Start

FAX_SECONDS = 120
"""No fax of these tests takes as long, on a busy machine either."""
SETTLE_SECONDS = 20
"""Time in which a completion event has come and the ledger has given up waiting for others."""


def settled(exporter: Exporter, sessions: int, *, results: int | None = None) -> Scrape:
    """The scrape once so many sessions have been observed whole and so many results heard."""
    results = sessions if results is None else results
    return exporter.wait_until(
        lambda now: (
            now.sum("session_pages_count") >= sessions and now.sum("finished_total") >= results
        ),
        FAX_SECONDS + SETTLE_SECONDS,
        f"{sessions} sessions over and {results} results",
    )


def check_lines(exporter: Exporter) -> list[dict[str, str]]:
    """The lines of all faxes once the exporter has ended: they make up what it counted."""
    now = exporter.scrape()
    assert exporter.stop() == 0
    lines = fax_lines(exporter.log)
    assert_lines_make_up(lines, now)
    return lines


def check_bad_lines(now: Scrape, asterisk: Asterisk, sampler: Sampler) -> None:
    """The counter is what 20 Hz saw, and where all faxes ended well what the files say."""
    truth = sum(sum(bad_fax_lines(path)) for path in asterisk.received())
    counted = now.sum("bad_lines_total")
    print(f"{asterisk.version}: counter {counted}, sampler {sampler.bad_lines}, files {truth}")
    assert counted == sampler.bad_lines
    assert counted > 0
    if now.sum("failures_total") == 0:
        assert counted == truth


def test_a_clean_fax_of_three_pages(suite: str, watch: Start, three_pages: Path) -> None:
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(three_pages)
        running = exporter.wait_until(
            lambda now: now.value("negotiated_sessions", operation="receive", state="Active") == 1,
            FAX_SECONDS,
        )
        now = settled(exporter, 2)
    assert running.value("sessions", operation="receive", state="Active") == 1
    assert running.value("data_rate_bps", operation="receive", state="Active") == 14400
    assert running.value("ecm_sessions", operation="receive", state="Active") == 0
    assert running.value("transport_sessions", operation="send", transport="g711") == 1
    assert now.sum("pages_transmitted_total") == 3
    assert now.sum("pages_received_total") == 3
    assert now.sum("failures_total") == 0
    assert now.sum("bad_lines_total") == 0
    for operation in ("send", "receive"):
        assert now.value("finished_total", operation=operation, transport="g711") == 1
        assert now.value("sessions_started_total", operation=operation) == 1
        assert now.value("sessions_ended_total", operation=operation) == 1
        assert now.value("session_pages_sum", operation=operation) == 3
        assert now.value("session_data_rate_bps_sum", operation=operation) == 14400
        assert 20 < now.value("session_duration_seconds_sum", operation=operation) < 60
        assert now.value("page_duration_seconds_count", operation=operation) >= 2
        pages = now.value("page_duration_seconds_count", operation=operation)
        assert 5 < now.value("page_duration_seconds_sum", operation=operation) / pages < 15
    assert now.value("transmit_attempts_total") == 1
    assert now.value("receive_attempts_total") == 1
    assert now.value("completed_total") == 2
    assert now.value("failed_total") == 0
    assert now.value("current_sessions") == 0
    version = {"bullseye": "16.28", "sid": "22."}[suite]
    assert any(
        name == "asterisk_fax_asterisk_info" and dict(labels)["version"].startswith(version)
        for name, labels in now.samples
    )


def test_noisy_faxes_have_exactly_the_bad_lines_of_their_files(
    suite: str, watch: Start, three_pages: Path
) -> None:
    with Asterisk(suite) as asterisk, asterisk.sampler() as sampler:
        exporter = watch(asterisk)
        with asterisk.noise():
            for _ in range(6):
                asterisk.send_fax(three_pages)
            now = settled(exporter, 12)
        check_bad_lines(now, asterisk, sampler)
        assert now.sum("pages_received_total") == sum(
            len(bad_fax_lines(path)) for path in asterisk.received()
        )
        assert now.value("unobserved_completions_total") == 0
        received = [line for line in check_lines(exporter) if line["operation"] == "receive"]
        if now.sum("failures_total") == 0:
            assert sorted(int(line["bad_lines"]) for line in received) == sorted(
                sum(bad_fax_lines(path)) for path in asterisk.received()
            )


def test_with_ecm_noise_shows_only_as_time(suite: str, watch: Start, three_pages: Path) -> None:
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(three_pages)
        clean = settled(exporter, 2)
        with asterisk.noise():
            asterisk.send_fax(three_pages, extension="recv-ecm", ecm=True)
            exporter.wait_until(
                lambda now: now.value("ecm_sessions", operation="receive", state="Active") == 1,
                FAX_SECONDS,
            )
            now = settled(exporter, 4)
        assert now.sum("bad_lines_total") == 0
        assert now.sum("pages_received_total") == 6
        name, receive = "page_duration_seconds", {"operation": "receive"}
        clean_seconds = clean.value(f"{name}_sum", **receive)
        clean_pages = clean.value(f"{name}_count", **receive)
        seconds = now.value(f"{name}_sum", **receive) - clean_seconds
        pages = now.value(f"{name}_count", **receive) - clean_pages
        assert seconds / pages > 1.1 * clean_seconds / clean_pages


def test_a_hang_up_in_mid_fax(suite: str, watch: Start, three_pages: Path) -> None:
    with Asterisk(suite) as asterisk, asterisk.sampler() as sampler:
        exporter = watch(asterisk)
        asterisk.send_fax(three_pages)
        exporter.wait_until(lambda now: now.sum("pages_received_total") == 1, FAX_SECONDS)
        received = sampler.wait_for(lambda one: one.operation == "receive", 5)
        asterisk.hangup(received.channel)
        now = settled(exporter, 2)
        lines = check_lines(exporter)
    assert {(line["result"], line["reason"], line["status_text"]) for line in lines} == {
        ("failed", "call_dropped", "The call dropped prematurely")
    }
    assert now.sum("pages_received_total") == 1
    assert now.sum("pages_transmitted_total") in (0, 1)  # the sender may not know of it yet
    assert now.sum("pages_transmitted_total") == sum(
        tally.pages_transmitted for tally in sampler.tallies("send")
    )
    assert now.sum("failures_total") == now.sum("failures_total", reason="call_dropped") == 2
    assert now.sum("finished_total") == 2
    assert now.sum("sessions_ended_total") == 2
    assert now.value("failed_total") == 2


@pytest.mark.parametrize("sender", SUITES)
def test_t38_from_one_asterisk_to_the_other(sender: str, watch: Start, three_pages: Path) -> None:
    (receiver,) = set(SUITES) - {sender}
    here, there = Asterisk(sender), Asterisk(receiver)
    here.connect_peer(there)
    with here, there:
        ours, theirs = watch(here), watch(there)
        here.send_fax(three_pages, channel="PJSIP/recv@peer", options="z")
        theirs.wait_until(
            lambda now: now.value("transport_sessions", operation="receive", transport="t38") == 1,
            FAX_SECONDS,
        )
        sent, received = settled(ours, 1), settled(theirs, 1)
        assert [line["transport"] for line in check_lines(ours) + check_lines(theirs)] == [
            "t38",
            "t38",
        ]
    assert sent.sum("pages_transmitted_total") == 3
    assert received.sum("pages_received_total") == 3
    assert sent.value("finished_total", operation="send", transport="t38") == 1
    assert received.value("finished_total", operation="receive", transport="t38") == 1
    assert sent.sum("failures_total") == received.sum("failures_total") == 0


def test_a_t38_gateway_in_the_middle(suite: str, watch: Start, three_pages: Path) -> None:
    (other,) = set(SUITES) - {suite}
    ends, middle = Asterisk(other), Asterisk(suite)
    ends.connect_peer(middle)
    with ends, middle:
        exporter = watch(middle)
        ends.send_fax(three_pages, channel="PJSIP/gateway@audio")
        exporter.wait_until(
            lambda now: now.sum("sessions", operation="V.21") > 0, FAX_SECONDS, "V.21 detectors"
        )
        running = exporter.wait_until(
            lambda now: now.value("negotiated_sessions", operation="gateway", state="Active") == 1,
            FAX_SECONDS,
        )
        now = exporter.wait_until(
            lambda now: now.value("sessions_ended_total", operation="gateway") == 1,
            FAX_SECONDS + SETTLE_SECONDS,
        )
        assert middle.alive
        exporter.wait_for_line("fax ended.*operation=gateway", SETTLE_SECONDS)
        (line,) = check_lines(exporter)
        assert (line["result"], line["heard"], line["transport"]) == ("unknown", "false", "none")
    assert running.value("ecm_sessions", operation="gateway", state="Active") == 0
    assert now.sum("pages_relayed_total") in (2, 3)  # the last page is gone with the call
    assert now.sum("finished_total") == 0
    assert now.sum("pages_received_total") == now.sum("pages_transmitted_total") == 0


def test_several_faxes_at_once_and_two_in_a_row_on_one_channel(
    suite: str, watch: Start, three_pages: Path, tmp_path: Path
) -> None:
    one_page = make_tiff(tmp_path / "one.tif", 1, seed=1)
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax_twice(one_page)
        for _ in range(3):
            asterisk.send_fax(three_pages)
        now = settled(exporter, 10)
        # Not the files: a channel's second ReceiveFAX writes over the file of its first.
        events = asterisk.driver.events("ReceiveFAX")
        truth = sum(int(event.get("PagesTransferred")) for event in events)
        received = [line for line in check_lines(exporter) if line["operation"] == "receive"]
        for name, header in (("uniqueid", "Uniqueid"), ("linkedid", "Linkedid")):
            assert sorted(line[name] for line in received) == sorted(
                event.get(header) for event in events
            )
    assert truth == 11
    assert now.sum("pages_received_total") == truth
    assert now.sum("pages_transmitted_total") == truth
    assert now.sum("finished_total", operation="receive") == 5
    assert now.sum("failures_total") == 0
    assert now.value("session_pages_sum", operation="receive") == truth


def test_asterisk_is_stopped_and_started_in_mid_fax(
    suite: str, watch: Start, three_pages: Path
) -> None:
    seen: list[Scrape] = []
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        with scraped_meanwhile(exporter, seen):
            asterisk.send_fax(three_pages)
            exporter.wait_until(lambda now: now.sum("pages_received_total") == 1, FAX_SECONDS)
            asterisk.stop(graceful=False)
            down = exporter.wait_until(lambda now: now.value("up") == 0, 10)
            asterisk.start()
            exporter.wait_until(lambda now: now.value("up") == 1, 60)
            asterisk.send_fax(three_pages)
            now = settled(exporter, 4, results=2)
        lines = check_lines(exporter)
    results = [line["result"] for line in lines if line["operation"] == "receive"]
    assert sorted(results) == ["success", "unknown"]
    assert not down.has("sessions")
    assert not down.has("completed_total")
    assert down.sum("pages_received_total") == 1
    assert now.sum("pages_received_total") == 1 + 3
    assert now.sum("finished_total", operation="receive") == 1
    assert now.value("sessions_started_total", operation="receive") == 2
    assert now.value("sessions_ended_total", operation="receive") == 2
    assert now.value("connects_total") == 2
    assert now.value("completed_total") == 2  # Asterisk's own count has begun again
    for earlier, later in itertools.pairwise(seen):
        for key in ("pages_received_total", "pages_transmitted_total", "finished_total"):
            assert later.sum(key) >= earlier.sum(key)


def test_the_exporter_is_stopped_and_started_in_mid_fax(
    suite: str, watch: Start, three_pages: Path
) -> None:
    with Asterisk(suite) as asterisk:
        first = watch(asterisk)
        asterisk.send_fax(three_pages)
        first.wait_until(lambda now: now.sum("pages_received_total") == 1, FAX_SECONDS)
        assert first.stop() == 0
        assert not fax_lines(first.log)  # it goes on
        second = watch(asterisk)
        settled(second, 2)
        received = [line for line in check_lines(second) if line["operation"] == "receive"]
    (line,) = received
    assert (line["result"], line["heard"], line["started"]) == ("success", "true", "null")
    assert int(line["pages"]) + int(line["pages_before"]) == 3
    assert int(line["pages_before"]) >= 1


def test_hundreds_of_fax_starts_under_polls_every_50_ms_leave_asterisk_alive(
    suite: str, watch: Start, tmp_path: Path
) -> None:
    """The query rule on the real thing. It goes on until sessions that the exporter must not ask
    about have stood in its lists often enough to have tempted it."""
    page = make_tiff(tmp_path / "page.tif", 1, seconds=2)
    rng = random.Random(9)
    least, most, at_once, temptations = 900, 20_000, 12, 10
    switched = tempted = begun = 0
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk, "--poll.interval=50ms", "--log.level=debug")
        driver = asterisk.driver
        while begun < least or (tempted < temptations and begun < most):
            begun += 1
            if begun % 6:
                asterisk.send_fax(page)
            else:
                asterisk.send_fax(page, channel="PJSIP/recv@peer", options="z")
            while asterisk.alive:
                entries = driver.sessions()
                receiving = [e for e in entries if e.get("Operation") == "receive"]
                switched += sum(e.get("SessionType") == "T.38" for e in entries)
                if len(receiving) < at_once:
                    break
                # It may be over by now: an Error is right then.
                driver.ask("Hangup", Channel=rng.choice(receiving).get("Channel"))
            assert asterisk.alive, f"dead after {begun} starts"
            tempted = len(re.findall("not asked about: .*Initialized", exporter.log))
        exporter.wait_until(
            lambda now: (
                now.value("current_sessions") == 0
                and now.sum("finished_total") >= now.value("completed_total")
            ),
            FAX_SECONDS,
            "all over, and every event heard",
        )
        polls = exporter.scrape().value("polls_total")
        now = exporter.wait_until(  # 10 s on, what had no event would be known
            lambda now: now.value("polls_total") > polls + 200, FAX_SECONDS
        )
        print(
            f"{asterisk.version}: {begun} starts, {now.value('polls_total'):.0f} polls, {tempted} "
            f"of them with Initialized sessions, {switched} T.38 sessions seen"
        )
    assert tempted >= temptations
    assert switched > 0
    assert now.value("up") == 1
    assert now.value("poll_failures_total", reason="connection_lost") == 0
    assert now.value("unobserved_completions_total") == 0
    assert now.sum("finished_total") == now.value("completed_total")


def test_a_far_end_that_writes_a_line_into_its_station_id_hides_no_completion(
    suite: str, watch: Start, tmp_path: Path
) -> None:
    """Asterisk passes on what the far end calls itself, line ends and all."""
    said = base64.b64encode(b"\r\nActionID: 1").decode()
    extra = {
        "modules.conf": "load = func_base64.so\n",
        "extensions.conf": "[hostile]\n"
        f"exten => send,1,Set(FAXOPT(localstationid)=${{BASE64_DECODE({said})}})\n"
        " same => n,SendFAX(${FAXFILE})\n same => n,Hangup()\n",
    }
    with Asterisk(suite, extra=extra) as asterisk:
        exporter = watch(asterisk)
        tiff = asterisk.inside(make_tiff(tmp_path / "short.tif", 1, seconds=3))
        headers = {"Context": "hostile", "Exten": "send", "Priority": "1", "Async": "true"}
        asterisk.driver.action(
            "Originate", Channel="Local/recv@fax/n", Variable=f"FAXFILE={tiff}", **headers
        )
        received = asterisk.driver.wait_for(lambda e: e.event == "ReceiveFAX", FAX_SECONDS)
        assert received.get("ActionID") == "1"
        now = exporter.wait_until(lambda now: now.sum("finished_total") == 2, FAX_SECONDS)
        assert now.sum("failures_total") == 0
