"""What stands on /metrics, when, and in which form."""

import asyncio
import re
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest
from freezegun import freeze_time
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter import metrics
from exporter.fax import Operation, Reason
from exporter.ledger.peers import HELD
from exporter.polling import Counts
from harness.exposition import Scrape, scrape, text
from harness.programs import binary
from harness.virtual_time import in_virtual_time, until
from harness.watching import begin, watched

METRICS_PAGE: Final = Path(__file__).parent.parent / "docs/metrics.md"


def series(now: Scrape) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {key for key in now.samples if not key[0].startswith("process_")}


@in_virtual_time
async def test_every_series_that_can_occur_stands_there_with_0_after_the_first_poll() -> None:
    async with watched() as (pbx, poller):
        now = scrape(poller)
        for operation in ("send", "receive", "gateway"):
            for state in ("Initialized", "Open", "Active", "Complete"):
                assert now.value("sessions", operation=operation, state=state) == 0
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
                assert now.value("succeeded_total", operation=operation, transport=transport) == 0
            for reason in Reason:
                assert now.value("failures_total", operation=operation, reason=reason) == 0
        # A whole life of a fax makes no series but gauges that have nothing to say before.
        fax = begin(pbx)
        fax.add_bad_lines(3)
        fax.finish_page(last=True)
        fax.state = "Complete"
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        running = series(scrape(poller))
        pbx.end(fax)
        await until(lambda: poller.ledger.totals.ended[Operation.RECEIVE] == 1)
        assert {name for name, _ in series(scrape(poller)) - series(now)} == {
            "asterisk_fax_last_fax_timestamp_seconds",
            "asterisk_fax_last_success_timestamp_seconds",
        }
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
        counts = Counts.of(poller)
        answer = text(counts, "application/openmetrics-text; version=1.0.0")
        assert answer.endswith("# EOF\n")
        families = parse_openmetrics(answer)  # type: ignore[no-untyped-call]
        names = {family.name for family in families}
        assert "asterisk_fax_bad_lines" in names
        assert "_created" not in answer
        assert "_created" not in text(counts)


@in_virtual_time
async def test_peers_have_families_of_their_own_and_only_if_asked_for() -> None:
    async with watched(peer_limit=5) as (pbx, poller):
        begin(pbx, channel="PJSIP/trunk-berlin-00000007").finish_page()
        await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
        now, without = scrape(poller, peer_label=True), scrape(poller)
        berlin = {"operation": "receive", "peer": "PJSIP/trunk-berlin"}
        assert now.value("peer_sessions", **berlin) == 1
        assert now.value("peer_pages_total", **berlin) == 0
        await asyncio.sleep(HELD)
        now = scrape(poller, peer_label=True)
        assert now.value("peer_pages_total", **berlin) == 1
        assert now.value("peer_page_duration_seconds_count", **berlin) == 0
        assert now.value("pages_received_total", operation="receive", state="Active") == 1
        # Nothing else changes.
        of_peers = {key for key in now.samples if key[0].startswith("asterisk_fax_peer_")}
        assert series(now) - series(without) == of_peers
        assert "peer" not in without.text


@in_virtual_time
async def test_a_pbx_costs_as_many_samples_as_the_page_says_and_so_does_a_peer() -> None:
    async with watched(peer_limit=5) as (pbx, poller):
        idle = series(scrape(poller))
        for operation in ("send", "receive"):
            fax = begin(pbx, operation, channel="PJSIP/trunk-00000007")
            fax.finish_page(last=True)
            await until(lambda: bool(poller.ledger.running))
            pbx.end(fax)
            await until(lambda: not poller.ledger.running)
        await asyncio.sleep(HELD)
        now = series(scrape(poller, peer_label=True))
    of_peers = {key for key in now if key[0].startswith("asterisk_fax_peer_")}
    page = METRICS_PAGE.read_text(encoding="utf-8")
    said = re.search(r"an idle PBX has (\d+),\s+and a peer (\d+) and one", page)
    assert said is not None
    # The page's figure has those of the exporter itself too.
    assert 200 < len(idle) <= int(said[1]) < 250
    assert len(of_peers) == int(said[2]) < 30


@in_virtual_time
async def test_in_openmetrics_failures_and_histograms_name_the_last_fax_by_its_uniqueid() -> None:
    async with watched(peer_limit=5) as (pbx, poller):
        fax = begin(pbx)
        fax.finish_page(last=True)
        await until(lambda: bool(poller.ledger.running))
        pbx.end(fax, status="FAILED", error="TIMEOUT")
        await until(lambda: poller.ledger.totals.failures.total() == 1)
        await until(lambda: poller.ledger.peers.totals.failures.total() == 1)
        await asyncio.sleep(HELD)
        counts = Counts.of(poller)
        answer = text(counts, "application/openmetrics-text; version=1.0.0", peer_label=True)
        plain = text(counts, peer_label=True)
    found = {
        sample.name: sample.exemplar
        for family in parse_openmetrics(answer)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }
    assert found.keys() == {
        "asterisk_fax_failures_total",
        "asterisk_fax_peer_failures_total",
        "asterisk_fax_session_duration_seconds_bucket",
        "asterisk_fax_session_pages_bucket",
        "asterisk_fax_session_data_rate_bps_bucket",
        "asterisk_fax_session_bad_lines_bucket",
    }
    assert {exemplar.labels["uniqueid"] for exemplar in found.values()} == {fax.uniqueid}
    assert fax.uniqueid not in plain


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
    tables = [each for _, table in (*metrics.OF_TARGET, *metrics.BY_PEER) for each in table]
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
            pages.append(text(Counts.of(poller), peer_label=peer_limit is not None))

    pages: list[str] = []
    collect()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=pages[0], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
