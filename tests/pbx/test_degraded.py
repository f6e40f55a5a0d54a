"""Real Asterisks that lack something, or are reloaded: what still works, and what is said."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from harness.running import Exporter
from tests.pbx.asterisk import Asterisk, ManagerUser
from tests.pbx.conftest import Start
from tests.pbx.test_faxes import FAX_SECONDS, settled

REPORTING = ManagerUser("reporting-only", "a-secret-of-its-own", read="call", write="reporting")
DEAF = ManagerUser("deaf", "a-secret-of-its-own", read="", write="call,reporting")
CALL = ManagerUser("call-only", "a-secret-of-its-own", read="call", write="call")


@contextlib.contextmanager
def watched_as(user: ManagerUser, asterisk: Asterisk) -> Iterator[Exporter]:
    with Exporter.watching(asterisk.host, asterisk.ami_port, user.name, user.secret) as exporter:
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
        yield exporter


def test_with_write_reporting_alone_stats_and_events_work(suite: str, one_page: Path) -> None:
    with (
        Asterisk(suite, manager_users=[REPORTING]) as asterisk,
        watched_as(REPORTING, asterisk) as exporter,
    ):
        asterisk.send_fax(one_page)
        now = exporter.wait_until(
            lambda now: now.sum("finished_total") == 2 and now.value("completed_total") == 2,
            FAX_SECONDS,
        )
        now = exporter.wait_until(
            lambda now: now.sum("pages_received_total") == 1, 10, "the page the event told of"
        )
        assert now.value("collector_up", collector="sessions") == 0
        assert now.value("collector_up", collector="stats") == 1
        assert now.value("collector_up", collector="events") == 1
        assert not now.has("sessions")
        exporter.wait_for_line("FAXSessions: add 'call' to its write line in manager.conf", 5)


def test_a_login_keeps_its_classes_after_a_reload_and_a_restart_is_told_to_mend_that(
    suite: str,
) -> None:
    with Asterisk(suite, manager_users=[REPORTING]) as asterisk:
        with watched_as(REPORTING, asterisk) as exporter, asterisk.ami(REPORTING) as login:
            said = exporter.wait_for_line("FAXSessions: add 'call' to its write line", 5)
            assert "'manager reload' in Asterisk's console, then restart the exporter" in said
            with (asterisk.directory / "etc/manager.conf").open("a") as file:
                file.write(f"\n[{REPORTING.name}](+)\nwrite = call,reporting\n")
            asterisk.driver.action("Command", Command="manager reload")
            assert login.ask("FAXSessions")[0].get("Message").startswith("Permission denied")
        with watched_as(REPORTING, asterisk) as exporter:
            exporter.wait_until(lambda now: now.value("collector_up", collector="sessions") == 1, 9)


def test_with_write_call_alone_sessions_and_events_work(suite: str, one_page: Path) -> None:
    with Asterisk(suite, manager_users=[CALL]) as asterisk, watched_as(CALL, asterisk) as exporter:
        asterisk.send_fax(one_page)
        now = settled(exporter, 2)
        assert now.sum("pages_received_total") == 1
        assert now.value("collector_up", collector="stats") == 0
        assert not now.has("completed_total")
        exporter.wait_for_line("FAXStats: add 'reporting' to its write line in manager.conf", 5)


def test_without_read_call_missing_events_are_noticed(suite: str, one_page: Path) -> None:
    with Asterisk(suite, manager_users=[DEAF]) as asterisk, watched_as(DEAF, asterisk) as exporter:
        asterisk.send_fax(one_page)
        now = exporter.wait_until(
            lambda now: now.value("collector_up", collector="events") == 0, FAX_SECONDS
        )
        assert now.value("unobserved_completions_total") == 2
        assert now.sum("finished_total") == 0
        assert now.value("collector_up", collector="sessions") == 1
        exporter.wait_for_line("add 'call' to the read line of deaf in manager.conf", 5)


def test_without_channelvars_results_are_unknown(suite: str, watch: Start, one_page: Path) -> None:
    with Asterisk(suite, channelvars=False) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(one_page)
        now = settled(exporter, 2)
        assert now.sum("results_unknown_total") == 2
        assert now.sum("failures_total") == 0
        assert now.sum("pages_received_total") == 1
        exporter.wait_for_line("add 'channelvars = FAXSTATUS", 5)


def test_reloads_in_mid_fax_change_nothing(suite: str, watch: Start, three_pages: Path) -> None:
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(three_pages)
        exporter.wait_until(lambda now: now.sum("pages_received_total") == 1, FAX_SECONDS)
        for command in ("manager reload", "module reload"):
            asterisk.driver.action("Command", Command=command)
        now = settled(exporter, 2)
        assert now.sum("pages_received_total") == 3
        assert now.sum("failures_total") == 0
        assert now.sum("finished_total") == 2
        assert now.value("connects_total") == 1
        assert now.value("unobserved_completions_total") == 0


def test_res_fax_unloaded_and_loaded_again(suite: str, watch: Start, one_page: Path) -> None:
    with Asterisk(suite) as asterisk:
        exporter = watch(asterisk)
        asterisk.send_fax(one_page)
        settled(exporter, 2)
        for module in ("res_fax_spandsp.so", "res_fax.so"):
            asterisk.driver.action("ModuleLoad", Module=module, LoadType="unload")
        down = exporter.wait_until(lambda now: now.value("up") == 0, 20)
        assert down.sum("pages_received_total") == 1
        exporter.wait_for_line("load res_fax.so and res_fax_spandsp.so in modules.conf", 5)
        for module in ("res_fax.so", "res_fax_spandsp.so"):
            asterisk.driver.action("ModuleLoad", Module=module, LoadType="load")
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
        asterisk.send_fax(one_page)
        now = settled(exporter, 4)
        assert now.sum("pages_received_total") == 2
        assert now.sum("finished_total") == 4
        assert now.value("completed_total") == 2
        assert now.value("connects_total") == 1
        assert now.value("unobserved_completions_total") == 0
