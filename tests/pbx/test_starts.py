"""Faxes that cannot start, or end as soon as they have; and an Asterisk that starts twice at what
its clock says is the same time."""

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness.fax_lines import assert_lines_make_up, fax_lines
from harness.running import Exporter
from tests.pbx.asterisk import HOST, Asterisk, Message, make_tiff
from tests.pbx.conftest import Start, let_polls_pass, sessions

FAX_SECONDS = 120
"""No fax of these tests takes as long, on a busy machine either."""
EVENT_SECONDS = 10
"""After which it is known that the event of a fax will not come."""
RESULTS = ("SendFAX", "ReceiveFAX")
TIMING = ("res_timing_timerfd", "res_timing_pthread")
"""Without one of these no fax can start: the modem has no clock to work by."""


def stats(asterisk: Asterisk) -> tuple[int, int]:
    """CompletedFAXes and FailedFAXes, as Asterisk counts them."""
    said = asterisk.driver.ask("FAXStats", "FAXStats")[-1]
    return int(said.get("CompletedFAXes")), int(said.get("FailedFAXes"))


def fail_to_start(asterisk: Asterisk, one_page: Path, each: int) -> list[Message]:
    """So many SendFAX and ReceiveFAX on an Asterisk without timing; their completion events."""
    before = len(asterisk.driver.events(*RESULTS))
    for number in range(each):
        asterisk.send_fax(one_page, channel="Local/wait@fax/n")
        asterisk.receive_fax(f"rx-{before}-{number}.tif")
    events = asterisk.driver.wait_for_count(before + 2 * each, *RESULTS, timeout=FAX_SECONDS)
    return events[before:]


def test_a_fax_that_cannot_start_is_a_failure_with_its_reason(
    suite: str, watch: Start, one_page: Path
) -> None:
    with Asterisk(suite, noload=TIMING) as asterisk:
        exporter = watch(asterisk)
        let_polls_pass(exporter, EVENT_SECONDS)  # what ends sooner may have begun before it
        events = fail_to_start(asterisk, one_page, 3)
        assert stats(asterisk) == (0, 6)
        let_polls_pass(exporter, EVENT_SECONDS)
        now, log = exporter.scrape(), exporter.log
    assert {
        (one.event, one.variable("FAXERROR"), one.get("Resolution"), one.get("TransferRate"))
        for one in events
    } == {("SendFAX", "INIT_ERROR", "", ""), ("ReceiveFAX", "Channel Problems", "", "")}
    for operation in ("send", "receive"):
        assert now.sum("finished_total", operation=operation) == 3
        assert now.sum("failures_total", operation=operation) == 3
        assert now.sum("failures_total", operation=operation, reason="init_error") == 3
        assert now.sum("sessions_started_total", operation=operation) == now.sum(
            "sessions_ended_total", operation=operation
        )
        assert now.sum("session_data_rate_bps_count", operation=operation) == 0
    assert now.value("completed_total") == 0
    assert now.value("failed_total") == 6
    assert now.sum("results_unknown_total") == 0
    assert now.value("unobserved_completions_total") == 0
    assert now.value("poll_failures_total", reason="malformed") == 0
    assert "is not as Asterisk writes it" not in log
    lines = fax_lines(log)
    assert_lines_make_up(lines, now)
    assert Counter((line["msg"], line["began"], line["reason"]) for line in lines) == {
        ("fax never began", "false", "init_error"): 6
    }


def test_faxes_that_cannot_start_hide_no_completion_without_an_event(
    suite: str, watch: Start, one_page: Path
) -> None:
    """Each of them has an event and no completion, so the two must not make up for each other."""
    faxes = 5
    with Asterisk(suite, noload=TIMING) as asterisk:
        exporter = watch(asterisk)
        let_polls_pass(exporter, EVENT_SECONDS)
        started = fail_to_start(asterisk, one_page, faxes)
        asterisk.driver.action("ModuleLoad", Module="res_timing_timerfd.so", LoadType="load")
        for _ in range(faxes):
            asterisk.send_fax(one_page, channel="Local/wait@fax/n")
        for one in sessions(asterisk, lambda _: True, count=faxes):
            asterisk.redirect(one.get("Channel"), "wait")
        sessions(asterisk, lambda _: True, count=0)
        assert stats(asterisk) == (faxes, len(started) + faxes)
        let_polls_pass(exporter, EVENT_SECONDS)
        between = exporter.scrape()
        # And the other way round: those without an event first.
        for _ in range(faxes):
            asterisk.send_fax(one_page, channel="Local/wait@fax/n")
        for one in sessions(asterisk, lambda _: True, count=faxes):
            asterisk.redirect(one.get("Channel"), "wait")
        sessions(asterisk, lambda _: True, count=0)
        assert stats(asterisk)[0] == 2 * faxes
        asterisk.hangup_all()  # every channel holds on to the module
        asterisk.driver.action("ModuleLoad", Module="res_timing_timerfd.so", LoadType="unload")
        started += fail_to_start(asterisk, one_page, faxes)
        assert stats(asterisk) == (2 * faxes, len(started) + 2 * faxes)
        let_polls_pass(exporter, EVENT_SECONDS)
        now = exporter.scrape()
        assert len(asterisk.driver.events(*RESULTS)) == len(started) == 4 * faxes
    assert between.value("unobserved_completions_total") == faxes
    assert now.value("unobserved_completions_total") == 2 * faxes
    assert now.sum("finished_total") == len(started)


def test_faxes_hung_up_before_they_agreed_have_no_data_rate(
    suite: str, watch: Start, one_page: Path
) -> None:
    """Their events say 14400 bit/s, which is where a modem begins."""
    faxes = 10
    with Asterisk(suite) as asterisk, asterisk.sampler() as sampler:
        often, seldom = watch(asterisk), watch(asterisk, "--poll.interval=5")
        let_polls_pass(often, EVENT_SECONDS)
        for _ in range(faxes):
            asterisk.send_fax(one_page)
        (first,) = sessions(asterisk, lambda one: one.get("SessionNumber") == "0")
        begun = sampler.wait_for(lambda one: one.channel == first.get("Channel"), 5).t
        sampler.wait_for(lambda one: one.t > begun + 0.35, 5)
        for one in asterisk.driver.sessions():
            if one.get("Operation") == "receive":
                asterisk.hangup(one.get("Channel"))
        events = asterisk.driver.wait_for_count(2 * faxes, *RESULTS, timeout=FAX_SECONDS)
        let_polls_pass(often, EVENT_SECONDS)
        let_polls_pass(seldom, 2)
        scrapes = often.scrape(), seldom.scrape()
    assert {(one.get("Resolution"), one.get("TransferRate")) for one in events} == {
        ("0x0", "14400")
    }
    for now in scrapes:
        assert now.sum("finished_total") == now.sum("session_pages_count") == 2 * faxes
        assert now.sum("session_data_rate_bps_count") == 0


def test_faxes_hung_up_between_polls_have_the_data_rate_they_agreed_on(
    suite: str, watch: Start, one_page: Path
) -> None:
    """A poll had them before the agreement, and the event says that there was one."""
    faxes = 4
    with Asterisk(suite) as asterisk, asterisk.sampler() as sampler:
        often, seldom = watch(asterisk), watch(asterisk, "--poll.interval=5")
        polls = seldom.scrape().value("polls_total")
        seldom.wait_until(lambda now: now.value("polls_total") > polls, FAX_SECONDS)
        let_polls_pass(often, 1)  # then its next poll is before the agreement, 4 s after the start
        for _ in range(2 * faxes):
            asterisk.send_fax(one_page)
        receivers = sessions(
            asterisk, lambda one: one.get("Operation") == "receive", count=2 * faxes
        )
        calls = [one.get("Channel").removesuffix(";2") for one in receivers]
        for half, halves in ((";1", calls[:faxes]), (";2", calls[faxes:])):
            for call in halves:
                channel = call + half
                sampler.wait_for(
                    lambda one: one.channel == channel and one.resolution not in (None, "0x0"),  # noqa: B023
                    FAX_SECONDS,
                )
                asterisk.hangup(call + ";2")
        events = asterisk.driver.wait_for_count(4 * faxes, *RESULTS, timeout=FAX_SECONDS)
        let_polls_pass(often, EVENT_SECONDS)
        let_polls_pass(seldom, 2)
        scrapes = often.scrape(), seldom.scrape()
    truth = Counter(one.event for one in events if one.get("Resolution") != "0x0")
    assert truth["SendFAX"] > truth["ReceiveFAX"] >= faxes
    for now in scrapes:
        assert now.sum("finished_total") == now.sum("session_pages_count") == 4 * faxes
        for name, operation in (("SendFAX", "send"), ("ReceiveFAX", "receive")):
            assert now.sum("session_data_rate_bps_count", operation=operation) == truth[name]


@contextmanager
def without_a_clock(asterisk: Asterisk) -> Iterator[int]:
    """A port that leads to its AMI, with what it says of its start as from a machine that begins at
    the same time whenever it is switched on."""
    listener = socket.create_server((HOST, 0))

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source, sink:
            rest = b""
            while said := source.recv(65536):
                *lines, rest = (rest + said).split(b"\n")
                for line in lines:
                    for name, value in ((b"Date", b"2000-01-01"), (b"Time", b"00:00:00")):
                        line = re.sub(
                            rb"^(Core(?:Startup|Reload)" + name + rb"): .*\r",
                            rb"\1: " + value + rb"\r",
                            line,
                        )
                    sink.sendall(line + b"\n")

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection((HOST, asterisk.ami_port))
                except OSError:
                    client.close()
                    continue
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("begun", ["before the next poll", "after it"])
def test_the_same_numbers_again_after_a_crash_are_another_fax(
    begun: str, suite: str, tmp_path: Path
) -> None:
    """Asterisk crashes in mid-fax and starts at, it says, the time it had started at before; then
    session numbers, channels and files are those of before, too."""
    tiff = make_tiff(tmp_path / "two.tif", 2, seconds=3)

    def listed() -> list[tuple[str, ...]]:
        names = ("SessionNumber", "Channel", "Operation", "Files")
        both = sessions(asterisk, lambda one: one.get("State") == "Active", count=2)
        return [tuple(one.get(name) for name in names) for one in both]

    with Asterisk(suite) as asterisk, without_a_clock(asterisk) as port:
        flags = asterisk.username, asterisk.secret, "--metrics.peer-label"
        with Exporter.watching(asterisk.host, port, *flags) as exporter:
            exporter.wait_until(lambda now: now.value("up") == 1, FAX_SECONDS)
            asterisk.send_fax(tiff, extension="recv-same")
            exporter.wait_until(lambda now: now.sum("pages_transmitted_total") == 1, FAX_SECONDS)
            before = listed()
            asterisk.stop(graceful=False)
            exporter.wait_until(lambda now: now.value("up") == 0, FAX_SECONDS)
            asterisk.start()
            if begun == "after it":
                exporter.wait_until(lambda now: now.value("up") == 1, FAX_SECONDS)
            asterisk.send_fax(tiff, extension="recv-same")
            assert listed() == before
            exporter.wait_until(lambda now: now.value("up") == 1, FAX_SECONDS)
            events = asterisk.driver.wait_for_count(2, *RESULTS, timeout=FAX_SECONDS)
            let_polls_pass(exporter, EVENT_SECONDS)
            now = exporter.scrape()
    assert {one.get("PagesTransferred") for one in events} == {"2"}
    assert now.sum("pages_received_total") == now.sum("pages_transmitted_total") == 1 + 2
    for operation in ("send", "receive"):
        assert now.sum("sessions_started_total", operation=operation) == 2
        assert now.sum("sessions_ended_total", operation=operation) == 2
        assert now.sum("finished_total", operation=operation) == 1
        assert now.sum("session_pages_count", operation=operation) == 2
        assert now.sum("session_pages_sum", operation=operation) == 1 + 2
    assert now.value("connects_total") == 2
    assert now.value("unobserved_completions_total") == 0
