"""What stands on /metrics, when, and in which form."""

import subprocess
import time

import pytest
from freezegun import freeze_time
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter import metrics
from exporter.fax import Operation, Reason, State
from exporter.polling import Counts
from harness.exposition import Scrape, scrape, text
from harness.programs import binary
from harness.virtual_time import in_virtual_time, until
from harness.watching import begin, watched


def series(now: Scrape) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {key for key in now.samples if not key[0].startswith("process_")}


@in_virtual_time
async def test_every_series_that_can_occur_stands_there_with_0_after_the_first_poll() -> None:
    async with watched() as (pbx, poller):
        now = scrape(poller)
        assert all(
            now.value("sessions", operation=operation, state=state) == 0
            for operation in Operation
            for state in State
        )
        for name, operation in (
            ("pages_transmitted_total", "send"),
            ("pages_received_total", "receive"),
            ("pages_relayed_total", "gateway"),
            ("bad_lines_total", "receive"),
        ):
            for state in ("Active", "Complete"):
                assert now.value(name, operation=operation, state=state) == 0
        for operation in ("send", "receive"):
            for transport in ("g711", "t38"):
                assert now.value("finished_total", operation=operation, transport=transport) == 0
                for reason in Reason:
                    assert (
                        now.value(
                            "failures_total",
                            operation=operation,
                            transport=transport,
                            reason=reason,
                        )
                        == 0
                    )
        # A whole life of a fax makes no series but the two that are absent without a session.
        fax = begin(pbx)
        fax.add_bad_lines(3)
        fax.finish_page(last=True)
        fax.state = "Complete"
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        running = series(scrape(poller))
        pbx.end(fax)
        await until(lambda: poller.ledger.totals.ended[Operation.RECEIVE] == 1)
        assert series(scrape(poller)) <= series(now)
        assert {name for name, _ in running - series(now)} == {
            "asterisk_fax_oldest_session_start_timestamp_seconds",
            "asterisk_fax_oldest_progress_timestamp_seconds",
        }


@in_virtual_time
async def test_before_the_first_success_there_are_no_counters_of_faxes_but_up_is_0() -> None:
    async with watched(start=False) as (_, poller):
        now = scrape(poller)
        assert now.value("up") == 0
        assert not now.has("pages_received_total")
        assert now.value("polls_total") == 0


@in_virtual_time
async def test_while_the_pbx_is_away_counters_stay_and_gauges_and_faxstats_are_absent() -> None:
    async with watched() as (pbx, poller):
        begin(pbx).finish_page()
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        pbx.refuse_connections()
        pbx.drop_connections()
        await until(lambda: not poller.status.up)
        now = scrape(poller)
        assert now.value("up") == 0
        assert now.sum("pages_received_total") == 1
        assert now.value("last_poll_timestamp_seconds") > 0
        for absent in (
            "sessions",
            "negotiated_sessions",
            "data_rate_bps",
            "ecm_sessions",
            "transport_sessions",
            "oldest_session_start_timestamp_seconds",
            "oldest_progress_timestamp_seconds",
            "current_sessions",
            "reserved_sessions",
            "completed_total",
            "failed_total",
            "transmit_attempts_total",
            "receive_attempts_total",
            "asterisk_info",
        ):
            assert not now.has(absent), absent


@in_virtual_time
async def test_timestamps_are_seconds_since_the_epoch_in_whatever_time_zone() -> None:
    with freeze_time("2026-03-29T00:59:58Z", tz_offset=1, real_asyncio=True):
        async with watched(wall_clock=time.time) as (pbx, poller):
            begin(pbx)
            await until(lambda: poller.ledger.running != [])
            now = scrape(poller)
    for name in ("oldest_session_start", "oldest_progress"):
        assert now.value(f"{name}_timestamp_seconds", operation="receive") == 1774745998
    assert now.value("last_poll_timestamp_seconds") == 1774745998


@in_virtual_time
async def test_openmetrics_is_offered_and_no_created_series_is_in_it() -> None:
    async with watched() as (_, poller):
        registry = metrics.target_registry(Counts.of(poller), peer_label=False)
        answer = text(registry, "application/openmetrics-text; version=1.0.0")
        assert answer.endswith("# EOF\n")
        families = parse_openmetrics(answer)  # type: ignore[no-untyped-call]
        names = {family.name for family in families}
        assert "asterisk_fax_bad_lines" in names
        assert "_created" not in answer
        assert "_created" not in text(registry)


@in_virtual_time
async def test_the_peer_label_names_the_trunk_and_is_off_by_default() -> None:
    async with watched(peer_limit=5) as (pbx, poller):
        begin(pbx, channel="PJSIP/trunk-berlin-00000007").finish_page()
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        now = scrape(poller, peer_label=True)
        berlin = {"operation": "receive", "state": "Active", "peer": "PJSIP/trunk-berlin"}
        assert now.value("pages_received_total", **berlin) == 1
        assert now.value("sessions", **berlin) == 1
        assert now.sum("failures_total", peer="PJSIP/trunk-berlin", reason="call_dropped") == 0
    async with watched() as (pbx, poller):
        begin(pbx, channel="PJSIP/trunk-berlin-00000007").finish_page()
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        assert "trunk-berlin" not in scrape(poller).text


@in_virtual_time
async def test_names_written_by_strangers_cannot_break_the_format() -> None:
    async with watched(peer_limit=5) as (pbx, poller):
        begin(pbx, channel='PJSIP/a"} 1\nb\\\x1b[31m\udcff<script>-00000001').finish_page()
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        now = scrape(poller, peer_label=True)
        assert now.sum("pages_received_total") == 1
        assert "\x1b" not in now.text


def test_every_metric_has_a_help_that_names_its_source_or_is_about_the_exporter() -> None:
    about_the_exporter = {
        "asterisk_fax_up",
        "asterisk_fax_collector_up",
        "asterisk_fax_last_poll_timestamp_seconds",
        "asterisk_fax_last_poll_duration_seconds",
        "asterisk_fax_down_since_timestamp_seconds",
        "asterisk_fax_polls_total",
        "asterisk_fax_poll_failures_total",
        "asterisk_fax_connects_total",
        "asterisk_fax_oldest_session_start_timestamp_seconds",
        "asterisk_fax_oldest_progress_timestamp_seconds",
    }
    tables = (*metrics.GAUGES, *metrics.COUNTERS, *metrics.HISTOGRAMS)
    assert {declared.name for declared in tables if "Source: " not in declared.help} == (
        about_the_exporter
    )


@pytest.mark.parametrize("peer_limit", [None, 5])
def test_promtool_finds_nothing_to_say(peer_limit: int | None) -> None:
    promtool = binary("promtool", package="prometheus")

    @in_virtual_time
    async def collect() -> None:
        async with watched(peer_limit=peer_limit) as (pbx, poller):
            begin(pbx).finish_page()
            await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
            pages.append(
                text(metrics.target_registry(Counts.of(poller), peer_label=peer_limit is not None))
            )

    pages: list[str] = []
    collect()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=pages[0], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
