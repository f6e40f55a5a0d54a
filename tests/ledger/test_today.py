"""Today and its hours: by the local clock, whatever that does, and the same as the counters."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise

import pytest

from exporter.fax import Operation, Reason, Transport
from exporter.ledger import HOURS, Earlier, EndedFax, Figures, Ledger, Today, last_hours
from exporter.ledger.today import hour_of, midnight_of
from tests.ledger.watch import CHANNEL, EPOCH, SEND, Seen, Watch

FAX = EndedFax(
    ended_at=0.0,
    operation=Operation.SEND,
    transport=Transport.G711,
    channel=CHANNEL,
    succeeded=True,
    reason=None,
    pages=3,
    bad_lines=None,
    seconds=None,
    data_rate=None,
    counted_pages=2,
)
FAILED = replace(FAX, succeeded=False, reason=Reason.TRAINING, counted_pages=0)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",  # half an hour
    "Asia/Kathmandu",  # three quarters
    "Australia/Lord_Howe",  # summer time is half an hour
    "America/Havana",  # summer time begins at midnight, and ends so that midnight comes twice
    "America/Santiago",  # summer time ends at midnight: the hour before comes twice
]
YEAR = range(1767225600, 1767225600 + 366 * 86400, 900)
"""2026, every quarter of an hour."""


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    """Seconds since the epoch, by the local clock."""
    return datetime.fromisoformat(text).timestamp()


def told(*faxes: EndedFax, now: float, peer: str = "") -> Today:
    today = Today()
    today.begin(min(fax.ended for fax in faxes) - 3600)
    for fax in faxes:
        today.add(fax, peer, now)
    return today


# --- the clock --------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ZONES, indirect=True)
def test_each_moment_of_a_year_is_in_one_day_and_one_hour_that_it_begins(zone: str) -> None:
    midnights: dict[date, set[float]] = {}
    hours: dict[float, list[int]] = {}
    for now in YEAR:
        midnight, hour = midnight_of(now), hour_of(now)
        assert midnight <= hour <= now or zone == "Australia/Lord_Howe"
        assert midnight <= now
        assert now - hour < 2 * 3600
        day = datetime.fromtimestamp(now).date()
        assert datetime.fromtimestamp(midnight).date() == day
        midnights.setdefault(day, set()).add(midnight)
        hours.setdefault(hour, []).append(now)
    assert all(len(starts) == 1 for starts in midnights.values())
    lengths = [after - before for before, after in pairwise(sorted(hours))]
    odd = {length for length in lengths if length != 3600}
    assert odd <= ({1800, 5400} if zone == "Australia/Lord_Howe" else set())


@pytest.mark.parametrize("zone", ["Europe/Berlin"], indirect=True)
@pytest.mark.parametrize(
    ("day", "length"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-26", 24)]
)
def test_the_day_of_a_change_of_the_clocks_has_its_hours(zone: str, day: str, length: int) -> None:
    midnight = at(f"{day}T00:00")
    faxes = [replace(FAX, ended=midnight + hour * 3600 + 60) for hour in range(length)]
    today = told(*faxes, now=faxes[-1].ended)
    now = faxes[-1].ended
    assert today.day(now).figures.faxes == length
    assert today.day(now).since == midnight
    assert [hour.faxes for hour in today.hours(now)] == [1] * min(length, HOURS)
    assert today.day(now + 3600).figures == Figures()


@pytest.mark.parametrize("zone", ZONES, indirect=True)
def test_the_last_hours_are_as_many_and_end_with_this_one(zone: str) -> None:
    for now in YEAR[::37]:
        hours = last_hours(now)
        assert len(hours) == HOURS
        assert hours == sorted(set(hours))
        assert hours[-1] == hour_of(now)
        assert 22 * 3600 <= now - hours[0] <= 25 * 3600


def test_a_fax_is_of_the_day_and_hour_in_which_it_ended_though_told_later() -> None:
    midnight = at("2026-11-26T00:00")
    late = replace(FAILED, ended=midnight - 2)
    today = told(replace(FAX, ended=midnight - 7200), late, now=midnight + 3)
    today.add(replace(FAX, ended=midnight + 1), "", midnight + 4)
    day = today.day(midnight + 5)
    assert (day.figures.faxes, day.figures.failed, day.since) == (1, 0, midnight)
    told_by_hour = [(hour.start, hour.faxes, hour.failed) for hour in today.hours(midnight + 5)]
    assert told_by_hour == [
        (midnight - 7200, 1, 0),
        (midnight - 3600, 1, 1),
        (midnight, 1, 0),
    ]


def test_a_day_without_a_fax_is_empty_though_nothing_was_told_since() -> None:
    noon = at("2026-11-25T12:00")
    today = told(replace(FAX, ended=noon), now=noon)
    assert today.day(noon + 12 * 3600 - 1).figures.faxes == 1
    assert today.day(noon + 12 * 3600).figures == Figures()
    assert today.day(noon + 12 * 3600).since == noon + 12 * 3600
    assert len(today.hours(noon + 23 * 3600)) == 1
    assert today.hours(noon + 24 * 3600) == []


def test_it_says_since_when_it_was_counted() -> None:
    noon = at("2026-11-26T12:00")
    today = Today()
    today.begin(noon)
    assert today.day(noon + 60).since == noon == today.began
    assert today.day(noon + 86400).since == midnight_of(noon + 86400)
    assert today.began == noon


def test_a_clock_that_is_set_back_in_the_day_loses_nothing() -> None:
    noon = at("2026-11-26T12:00")
    today = told(replace(FAX, ended=noon), now=noon)
    today.add(replace(FAX, ended=noon - 7200), "", noon - 7200)
    day = today.day(noon - 7200)
    assert (day.figures.faxes, day.since) == (2, noon - 7200)  # it began an hour before noon
    assert [hour.faxes for hour in today.hours(noon - 7200)] == [1]  # none is to come
    assert [hour.faxes for hour in today.hours(noon)] == [1, 1]


def test_a_clock_that_is_set_back_to_another_day_is_counted_from_then_on() -> None:
    noon = at("2026-11-26T12:00")
    today = told(replace(FAX, ended=noon), now=noon)
    before = noon - 86400
    assert today.day(before).figures == Figures()
    assert today.day(before + 60).since == before == today.began
    today.add(replace(FAX, ended=before + 70), "", before + 80)
    assert today.day(before + 90).figures.faxes == 1
    assert [hour.faxes for hour in today.hours(before + 90)] == [1]


def test_a_day_that_comes_again_begins_when_the_clock_was_set_back_to_it() -> None:
    noon = at("2026-11-26T12:00")
    today = told(replace(FAX, ended=noon - 3 * 86400), replace(FAX, ended=noon), now=noon)
    before = noon - 86400
    assert today.day(before).since == before  # what was counted of that day before is forgotten
    assert today.day(before + 86400).since == midnight_of(noon)


def test_a_clock_that_is_set_forward_begins_the_day_that_it_shows() -> None:
    begun = at("1970-01-02T03:00")  # no battery: then the time comes from the network
    today = told(replace(FAX, ended=begun), now=begun)
    now = at("2026-11-26T12:00")
    assert today.day(now).figures == Figures()
    assert today.day(now).since == midnight_of(now)
    assert today.hours(now) == []


def test_the_hours_are_bounded_however_often_the_clock_is_set() -> None:
    today, noon = Today(), at("2026-11-26T12:00")
    for step in range(2000):
        now = noon + (step * 7919 % 4000 - 2000) * 900
        today.add(replace(FAX, ended=now), f"peer-{step % 5}", now)
    assert len(today._hours) <= 3 * HOURS
    assert len(today._day.peers) <= 5


# --- what is counted --------------------------------------------------------------------------


def test_the_share_is_of_the_faxes_whose_result_is_known() -> None:
    noon = at("2026-11-26T12:00")
    unknown = replace(FAX, succeeded=None, ended=noon)
    good, bad = replace(FAX, ended=noon), replace(FAILED, ended=noon)
    figures = told(unknown, good, bad, good, bad, now=noon).day(noon).figures
    assert (figures.faxes, figures.succeeded, figures.failed) == (5, 2, 2)
    assert figures.success_ratio == 0.5
    assert figures.failures == {Reason.TRAINING: 2}
    assert told(unknown, now=noon).day(noon).figures.success_ratio is None


def test_a_fax_that_went_on_is_no_second_fax() -> None:
    noon = at("2026-11-26T12:00")
    more = replace(FAX, ended=noon, went_on=True, succeeded=None, counted_pages=4)
    today = told(replace(FAX, ended=noon), more, now=noon, peer="PJSIP/a")
    day = today.day(noon)
    for figures in (day.figures, day.peers["PJSIP/a"]):
        assert (figures.faxes, figures.pages) == (1, 6)
    assert [hour.faxes for hour in today.hours(noon)] == [1]


def test_the_busiest_peers_are_those_with_most_failures_then_most_faxes() -> None:
    noon, today = at("2026-11-26T12:00"), Today()
    for peer, good, bad in (("a", 9, 0), ("b", 1, 2), ("c", 5, 0), ("d", 0, 1)):
        for fax, times in ((FAX, good), (FAILED, bad)):
            for _ in range(times):
                today.add(replace(fax, ended=noon), peer, noon)
    day = today.day(noon)
    assert list(day.busiest(3).peers) == ["b", "d", "a"]
    assert list(day.busiest(9).peers) == ["b", "d", "a", "c"]
    assert day.busiest(3).figures.faxes == 18


def test_what_an_exporter_before_was_told_is_of_today_too() -> None:
    now = at("2026-11-26T12:00")
    midnight = midnight_of(now)
    before = [
        (replace(FAX, ended=midnight - 86400), "PJSIP/a"),  # too long ago
        (replace(FAILED, ended=midnight - 3600), "PJSIP/a"),
        (replace(FAX, ended=midnight + 3600), "PJSIP/a"),
        (replace(FAX, ended=now + 60), "PJSIP/a"),  # by a clock that was ahead
    ]
    today = Today()
    today.restore(before, midnight - 2 * 86400, now)
    today.add(replace(FAX, ended=now), "PJSIP/a", now)
    day = today.day(now)
    assert (day.figures.faxes, day.peers["PJSIP/a"].faxes, day.since) == (2, 2, midnight)
    assert [hour.failed for hour in today.hours(now)] == [1, 0, 0]


def test_what_is_stored_only_since_the_morning_is_said_so() -> None:
    now = at("2026-11-26T12:00")
    today = Today()
    today.restore([], now - 3600, now)
    assert today.day(now).since == now - 3600 == today.began


# --- from the ledger --------------------------------------------------------------------------


def test_the_figures_of_today_are_what_the_counters_have() -> None:
    watch = Watch.running(peer_limit=2)
    channels = [f"PJSIP/{name}-0000000{number}" for number, name in enumerate("abcd")]
    for number, channel in enumerate(channels):
        watch.poll(Seen(0, 0, number, channel))
        watch.poll(Seen(1, 4, number, channel))
        watch.hear(
            2, channel=channel, succeeded=number > 1, reason=None if number > 1 else FAILED.reason
        )
        watch.wait()
    watch.hear(5, channel=channels[0], operation=SEND)  # no list showed it
    watch.wait()
    ledger = watch.ledger
    day = ledger.today.day(watch.now + EPOCH)
    totals, of_peers = ledger.totals, ledger.peers.totals
    assert day.figures.faxes == sum(totals.finished.values()) == 5
    assert day.figures.succeeded == sum(totals.succeeded.values()) == 3
    assert day.figures.failures == {Reason.TRAINING: 2}
    assert day.figures.pages == sum(totals.pages.values()) == 13
    assert day.figures.bad_lines == watch.bad_lines == 16
    assert set(day.peers) == {"PJSIP/a", "PJSIP/b", "other"}
    for peer, figures in day.peers.items():
        assert figures.pages == sum(n for (_, of), n in of_peers.pages.items() if of == peer)
        assert figures.faxes == sum(n for (_, of), n in of_peers.finished.items() if of == peer)
        assert figures.bad_lines == sum(
            n for (_, of), n in of_peers.bad_lines.items() if of == peer
        )


def test_what_was_told_before_is_in_no_counter_and_its_peers_are_named_as_they_are_counted() -> (
    None
):
    ledger, now = Ledger(1), at("2026-11-26T12:00")
    faxes = [replace(FAX, ended=now - 60, peer=peer) for peer in ("PJSIP/a", "PJSIP/b", "")]
    ledger.recall(Earlier(faxes, now - 3600), now)
    day = ledger.today.day(now)
    assert {peer: figures.faxes for peer, figures in day.peers.items()} == {
        "PJSIP/a": 1,
        "other": 2,
    }
    assert sum(ledger.totals.pages.values()) == sum(ledger.totals.finished.values()) == 0
    assert not ledger.peers.totals.finished
    assert list(ledger.history.others) == []


def test_no_peer_is_told_apart_unless_that_is_wanted() -> None:
    watch = Watch.running()
    watch.hear(5)
    watch.wait()
    day = watch.ledger.today.day(watch.now + EPOCH)
    assert (day.figures.faxes, day.peers) == (1, {})


def test_a_session_that_is_no_fax_is_none_of_today() -> None:
    watch = Watch.running()
    watch.poll(Seen(operation=Operation.V21))
    watch.wait()
    assert watch.ledger.today.day(watch.now + EPOCH).figures == Figures()
