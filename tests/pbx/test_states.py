"""Real Asterisks that answer nothing, end in good order, or let nobody in: what is counted, said,
and left alone."""

import contextlib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.exposition import Scrape
from harness.running import Exporter
from tests.pbx.asterisk import Asterisk, ManagerUser
from tests.pbx.conftest import Start
from tests.pbx.test_faxes import FAX_SECONDS

SYSTEM = ManagerUser("system-only", "a-secret-of-its-own", read="call", write="system")
ALONE = ManagerUser(
    "alone", "a-secret-of-its-own", "call", "call,reporting", ("allowmultiplelogin = no",)
)


def unready(exporter: Exporter) -> str:
    """What /-/ready says of why it is not."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{exporter.base}/-/ready", timeout=10)
    with caught.value as refused:
        assert refused.code == 503
        return refused.read().decode()


def failures(now: Scrape, reason: str) -> float:
    return now.value("poll_failures_total", reason=reason)


def shutdown_errors(asterisk: Asterisk) -> int:
    """Lines in Asterisk's log about actions that it refused while it shut down."""
    return asterisk.log_file.read_text(errors="replace").count("Asterisk is shutting down")


def watching(asterisk: Asterisk, user: ManagerUser | None = None) -> Exporter:
    who = user or asterisk.exporter_user
    return Exporter.watching(asterisk.host, asterisk.ami_port, who.name, who.secret)


# --- neither list nor statistics --------------------------------------------------------------


def test_with_write_system_alone_events_are_counted_and_the_cause_is_said(
    suite: str, one_page: Path
) -> None:
    with (
        Asterisk(suite, manager_users=[SYSTEM]) as asterisk,
        watching(asterisk, SYSTEM) as exporter,
    ):
        now = exporter.wait_until(lambda now: failures(now, "permission_denied") >= 1, 20)
        assert now.sum("finished_total") == 0
        exporter.wait_until(lambda now: failures(now, "permission_denied") >= 10, 20)
        asterisk.send_fax(one_page)
        now = exporter.wait_until(
            lambda now: now.sum("finished_total") == 2 and now.sum("pages_received_total") == 1,
            FAX_SECONDS,
        )
        assert now.value("up") == 0
        assert now.sum("pages_transmitted_total") == 1
        assert now.sum("failures_total") == 0
        assert now.value("asterisk_info", **asterisk_is(asterisk, now)) == 1
        assert now.value("collector_up", collector="events") == 1
        assert now.value("collector_up", collector="sessions") == 0
        assert "user system-only may neither FAXSessions nor FAXStats: add 'call,reporting'" in (
            unready(exporter)
        )
        assert exporter.log.count("level=warning") == 2


def asterisk_is(asterisk: Asterisk, now: Scrape) -> dict[str, str]:
    """The labels of its asterisk_info."""
    found = [dict(labels) for name, labels in now.samples if name == "asterisk_fax_asterisk_info"]
    assert [labels["version"] for labels in found] == [asterisk.version]
    return found[0]


def test_res_fax_that_was_never_loaded_is_named_and_asterisk_is_known(suite: str) -> None:
    with (
        Asterisk(suite, noload=["res_fax", "res_fax_spandsp"]) as asterisk,
        watching(asterisk) as exporter,
    ):
        now = exporter.wait_until(lambda now: failures(now, "unknown_action") >= 20, 60)
        assert now.value("up") == 0
        assert now.sum("finished_total") == 0
        assert now.value("asterisk_info", **asterisk_is(asterisk, now)) == 1
        assert "res_fax is not loaded" in unready(exporter)
        assert exporter.log.count("level=warning") == 2  # for as long as it stays so
        for module in ("res_fax.so", "res_fax_spandsp.so"):
            asterisk.driver.action("ModuleLoad", Module=module, LoadType="load")
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
        exporter.wait_for_line("FAXSessions works now", 5)


# --- the end of Asterisk in good order --------------------------------------------------------


@contextlib.contextmanager
def ending(asterisk: Asterisk, how: str) -> Iterator[None]:
    """`core stop gracefully` or the like; the action is answered at the end alone."""
    with asterisk.ami(events=False) as console:
        console.post("Command", Command=f"core {how} gracefully")
        yield


@pytest.mark.parametrize("how", ["stop", "restart"])
def test_a_fax_that_ends_while_asterisk_shuts_down_is_counted(
    suite: str, watch: Start, three_pages: Path, how: str
) -> None:
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(three_pages)
        exporter.wait_until(lambda now: now.sum("pages_received_total") == 1, FAX_SECONDS)
        with ending(asterisk, how):
            now = exporter.wait_until(lambda now: failures(now, "shutting_down") >= 1, 20)
            assert now.value("up") == 0
            assert "Asterisk is shutting down" in unready(exporter)
            with watching(asterisk) as late:
                late.wait_for_line(
                    "level=warning.*Asterisk is shutting down.*tried again within 3 s", 20
                )
                assert failures(late.scrape(), "login_refused") == 0
                now = exporter.wait_until(
                    lambda now: now.sum("pages_received_total") == 3, FAX_SECONDS
                )
                assert now.sum("pages_transmitted_total") == 3
                assert now.sum("finished_total") == 2
                assert now.sum("failures_total") == 0
                assert now.sum("sessions_ended_total", operation="receive") == 1
                assert failures(now, "malformed") == failures(now, "action_failed") == 0
                assert exporter.log.count("Asterisk is shutting down") == 1
                assert late.log.count("Asterisk is shutting down") == 1
                if how == "restart":
                    exporter.wait_until(lambda now: now.value("up") == 1, 20)
                    late.wait_until(lambda now: now.value("up") == 1, 20)
                    now = exporter.scrape()
                    assert now.value("unobserved_completions_total") == 0
                    assert now.sum("pages_received_total") == 3
        # Every 10 s one of the exporter that was there, every 3 s one of the one that came.
        assert shutdown_errors(asterisk) < 20


def test_a_shutdown_that_is_called_off_is_over_at_once(
    suite: str, watch: Start, three_pages: Path
) -> None:
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(three_pages)
        exporter.wait_until(lambda now: now.sum("pages_received_total") == 1, FAX_SECONDS)
        with ending(asterisk, "stop"):
            exporter.wait_until(lambda now: failures(now, "shutting_down") >= 1, 20)
            asterisk.command("core abort shutdown")
            exporter.wait_until(lambda now: now.value("up") == 1, 20)
        exporter.wait_for_line("no longer shutting down", 5)
        now = exporter.wait_until(lambda now: now.sum("finished_total") == 2, FAX_SECONDS)
        now = exporter.wait_until(lambda now: now.sum("pages_received_total") == 3, 20)
        assert now.value("connects_total") == 1
        assert now.value("unobserved_completions_total") == 0


# --- its starts -------------------------------------------------------------------------------


def test_each_restart_is_counted_once_and_when_it_was_is_told_from_any_zone(suite: str) -> None:
    begun = time.time()
    with Asterisk(suite, timezone="Asia/Kolkata") as asterisk, watching(asterisk) as exporter:
        for restarts, zone in enumerate(["America/New_York", "Etc/UTC", ""]):
            now = exporter.wait_until(
                lambda now, restarts=restarts: (  # type: ignore[misc]
                    now.has("asterisk_start_timestamp_seconds")
                    and now.value("asterisk_restarts_total") == restarts
                ),
                30,
            )
            assert int(begun) <= now.value("asterisk_start_timestamp_seconds") <= time.time()
            if zone:
                # What starts twice in a second of its clock cannot be told apart.
                second = now.value("asterisk_start_timestamp_seconds") + 1
                exporter.wait_until(lambda _, second=second: time.time() >= second, 5)  # type: ignore[misc]
                asterisk.command("core reload")
                begun, asterisk.timezone = time.time(), zone
                asterisk.restart(graceful=restarts == 0)


# --- nobody is let in -------------------------------------------------------------------------


def test_a_second_login_under_one_name_is_called_so(suite: str) -> None:
    with (
        Asterisk(suite, manager_users=[ALONE]) as asterisk,
        watching(asterisk, ALONE) as first,
    ):
        first.wait_until(lambda now: now.value("up") == 1, 20)
        with watching(asterisk, ALONE) as second:
            second.wait_for_line("Login Already In Use; .*allowmultiplelogin", 20)
            assert "secret" not in second.log.partition("Login Already In Use")[2]
            assert "manager show connected" in unready(second)
        assert first.scrape().value("up") == 1


def test_a_crowd_that_does_not_log_in_is_called_so(suite: str) -> None:
    few = {"manager.conf": "[general](+)\nauthlimit = 3\n"}
    with Asterisk(suite, extra=few) as asterisk, contextlib.ExitStack() as crowd:
        for _ in range(3):
            one = crowd.enter_context(socket.create_connection(("127.0.0.1", asterisk.ami_port)))
            assert one.recv(100).startswith(b"Asterisk Call Manager")
        with watching(asterisk) as exporter:
            exporter.wait_for_line("ended before any greeting: .*authlimit", 20)
            assert "check name and secret" not in exporter.log
            crowd.close()
            exporter.wait_until(lambda now: now.value("up") == 1, 30)


def test_an_address_that_is_denied_and_a_wrong_secret_say_where_to_look(suite: str) -> None:
    elsewhere = ManagerUser(
        "elsewhere", "a-secret-of-its-own", "call", "call", ("deny = 127.0.0.1/255.255.255.255",)
    )
    with Asterisk(suite, manager_users=[elsewhere]) as asterisk:
        with watching(asterisk, elsewhere) as exporter:
            exporter.wait_for_line("Authentication failed; .*acl.*Asterisk's log says which", 20)
        asterisk.wait_for_log("failed to pass IP ACL as 'elsewhere'")


def test_nobody_listening_is_called_refused(suite: str) -> None:
    with Asterisk(suite) as asterisk:
        port = asterisk.http_port
        with Exporter.watching(asterisk.host, port, "x", "y") as exporter:
            exporter.wait_for_line("refused: nothing listens on this port.*tried again", 20)
