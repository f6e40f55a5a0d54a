"""What a URL asks of the history: as documented, and everything else is refused in words."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import Reason
from exporter.history import MAX_LIMIT, MAX_TIME, Query
from exporter.web.fax_query import LIMIT, BadQuery, read_query, time_of

NOW = 1.8e9
CURSOR = "QdrB_7khMzMAAAAAAAAACg"


def read(**parameters: str) -> Query:
    return read_query(parameters.items(), NOW)


def test_each_parameter_is_read() -> None:
    assert read(
        target="berlin",
        operation="send",
        result="failed",
        reason="no_fax",
        peer="PJSIP/a",
        uniqueid="1.2",
        since="24h",
        until="1799999999.5",
        limit="7",
        cursor=CURSOR,
    ) == Query(
        target="berlin",
        operation="send",
        result="failed",
        reason="no_fax",
        peer="PJSIP/a",
        uniqueid="1.2",
        since=NOW - 86_400,
        until=1799999999.5,
        limit=7,
        cursor=CURSOR,
    )


def test_what_a_form_leaves_empty_is_not_asked_for() -> None:
    names = ("target", "operation", "result", "reason", "peer", "uniqueid", "since", "until")
    assert read(**dict.fromkeys((*names, "limit", "cursor"), "")) == Query(limit=LIMIT) == read()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("1800000000", 1.8e9),
        ("1800000000.25", 1800000000.25),
        ("90s", NOW - 90),
        ("15m", NOW - 900),
        ("7d", NOW - 604_800),
        ("4w", NOW - 4 * 604_800),
        ("999999w", 0.0),
        ("2027-01-15T08:00:00Z", 1.8e9),
        ("2027-01-15t08:00:00z", 1.8e9),
        ("2027-01-15T09:00:00+01:00", 1.8e9),
        ("2027-01-15T09:00:00 01:00", 1.8e9),  # as a + in a URL arrives that was not escaped
        ("2027-01-15T05:30:00.5-02:30", 1.8e9 + 0.5),
        ("2016-12-31T23:59:60Z", 1483228799.0),
        ("0000-01-01T00:00:00Z", 0.0),
        ("1969-01-01T00:00:00Z", 0.0),
        ("9999-12-31T23:59:59-23:59", MAX_TIME),
    ],
)
def test_a_time_can_be_written_in_several_ways(text: str, expected: float) -> None:
    assert time_of(text, NOW) == expected
    assert read(since=text).since == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_time_without_a_zone_is_that_of_the_exporter(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        offset = {"Europe/Berlin": 3600, "America/New_York": -18_000}[zone]
        for text in ("2027-01-15T08:00", "2027-01-15 08:00:00"):
            assert time_of(text, NOW) == NOW - offset
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("operation", "fly", "send, receive, gateway"),
        ("operation", "SEND", "send, receive, gateway"),
        ("result", "bad", "success, failed, unknown"),
        ("reason", "because", ", ".join(Reason)),
        ("target", "x" * 1025, "at most 1024 characters"),
        ("since", "yesterday", "or how long ago it was"),
        ("since", "2026-02-30T00:00:00Z", "2026-01-31T08:00:00+01:00"),
        ("since", "2026-01-01T25:00:00Z", "2026-01-31T08:00:00+01:00"),
        ("since", "2026-01-01", "a time as"),
        ("since", "-1", "a time as"),
        ("since", "nan", "a time as"),
        ("since", "1e9", "a time as"),
        ("since", "\u0661\u0662h", "a time as"),
        ("until", "1y", "24h, 7d or 4w"),
        ("limit", "0", f"a number from 1 to {MAX_LIMIT}"),
        ("limit", "1001", f"a number from 1 to {MAX_LIMIT}"),
        ("limit", "-5", "a number"),
        ("limit", "1.0", "a number"),
        ("limit", "\u0661", "a number"),
        ("cursor", "x", "next_cursor of an answer"),
        ("cursor", CURSOR + "A", "next_cursor of an answer"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_accepted(name: str, value: str, said: str) -> None:
    with pytest.raises(BadQuery) as refused:
        read(**{name: value})
    assert str(refused.value).startswith(f"{name}: takes ")
    assert said in str(refused.value)
    if name not in ("reason", "target"):
        assert value not in str(refused.value).removeprefix(name) or len(value) < 3


def test_a_parameter_that_there_is_none_of_or_that_is_there_twice_is_refused() -> None:
    with pytest.raises(BadQuery, match="there are target, operation, result, reason, peer"):
        read(where="1=1")
    with pytest.raises(BadQuery, match="target: it is there twice"):
        read_query([("target", "a"), ("target", "")], NOW)


@given(
    st.dictionaries(
        st.sampled_from(["target", "since", "until", "cursor", "limit", "x"]), st.text()
    )
)
def test_whatever_comes_it_is_a_query_or_refused(parameters: dict[str, Any]) -> None:
    try:
        query = read_query(parameters.items(), NOW)
    except BadQuery:
        return
    query.check()
