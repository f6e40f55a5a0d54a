"""How the faxes of the history are shown: every field, nothing personal unless it is to be, and
links that lead on."""

import asyncio
import contextlib
import dataclasses
import html
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer

from exporter.fax import Operation, Reason
from exporter.history import FaxPage, Query, Stored
from exporter.polling import Fleet
from exporter.settings import HistorySettings, Settings, WebConfigFile
from exporter.web import faxes
from exporter.web.faxes import as_html, as_json, fax_view
from exporter.web.routes import application
from exporter.web.search import Found
from exporter.web.templating import Layout
from harness.web_side import linked
from tests.history.stored import NOW, PEOPLE, at_once, fax, running


def page_of(*faxes: Any, **changes: Any) -> FaxPage:
    stored = [Stored(number, "fax", one) for number, one in enumerate(faxes, 1)]
    page = FaxPage(stored, None, len(stored), there=True, in_file=True)
    return dataclasses.replace(page, **changes)


def shown(
    page: FaxPage | None, query: Query | None = None, *, details: bool = False, **found: Any
) -> str:
    layout = Layout(
        root="./", details=details, telemetry_path="/metrics", as_of=NOW, here="faxes", live=False
    )
    read = None if page is None else lambda: page
    asked = Found(query or Query(limit=100), read, **found)
    return as_html(asked, ["fax", "paris"], layout, HistorySettings())


def test_every_field_is_told() -> None:
    view = fax_view(Stored(1, "fax", fax()), details=True)
    assert dataclasses.asdict(view) == {
        "target": "fax",
        "ended_timestamp": NOW + 1,
        "started_timestamp": NOW + 1 - 61.5,
        "operation": "receive",
        "result": "failed",
        "reason": "retries_exceeded",
        "status_text": "Disconnected after permitted retries",
        "transport": "t38",
        "heard": True,
        "began": True,
        "went_on": False,
        "pages": 3,
        "bad_lines": 17,
        "pages_rejected": 2,
        "pages_before": 1,
        "bad_lines_before": 1,
        "duration_seconds": 61.5,
        "data_rate_bps": 9600,
        "rate_fallbacks": 1,
        "ecm": False,
        "resolution": {"name": "standard", "dpi_x": 204, "dpi_y": 98},
        "peer": "PJSIP/trunk-berlin",
        "uniqueid": "1800000000.1",
        "linkedid": "1800000000.0",
        **PEOPLE,
    }


def test_what_is_not_known_is_null() -> None:
    nobody: dict[str, Any] = dict.fromkeys(PEOPLE, "")
    empty = fax(
        succeeded=None,
        reason=None,
        pages=None,
        bad_lines=None,
        seconds=None,
        heard_at=None,
        counted_transport=None,
        resolution=None,
        peer="",
        status_text="",
        **nobody,
    )
    view = dataclasses.asdict(fax_view(Stored(1, "fax", empty), details=True))
    nulls = {name for name, value in view.items() if value is None}
    assert nulls == {
        "started_timestamp",
        "reason",
        "status_text",
        "pages",
        "bad_lines",
        "pages_rejected",
        "pages_before",
        "bad_lines_before",
        "duration_seconds",
        "resolution",
        "peer",
        *PEOPLE,
    }
    assert view["result"] == "unknown"
    assert view["heard"] is False


def test_none_began_before_the_epoch() -> None:
    view = fax_view(Stored(1, "fax", fax(ended=1.0, seconds=5.0)), details=False)
    assert view.started_timestamp == 0.0


def test_nothing_personal_is_told_without_details() -> None:
    told = as_json(page_of(fax()), details=False).decode() + shown(page_of(fax()))
    assert not [word for word in PEOPLE.values() if word in told or html.escape(word) in told]
    everything = as_json(page_of(fax()), details=True).decode()
    assert all(word in everything for word in PEOPLE.values())


def test_texts_of_strangers_are_shown_as_texts() -> None:
    hostile = "<script>x</script>\u202e\x1b[31m"
    one = fax(peer=hostile, file=hostile, status_text=hostile, caller=hostile, unique_id=hostile)
    text = shown(page_of(one), details=True)
    assert "<script>x" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    told = json.loads(as_json(page_of(one), details=True))
    assert told["faxes"][0]["peer"] == "<script>x</script>??[31m"


def test_a_row_leads_to_its_pbx_and_to_why_it_failed() -> None:
    page = page_of(fax())
    page = dataclasses.replace(page, faxes=[Stored(1, "fax/ö?", page.faxes[0].fax)])
    text = shown(page)
    assert 'href="./targets/fax%2F%C3%B6%3F"' in text
    assert 'href="./reasons#retries_exceeded"' in text
    assert re.search(r'<time datetime="2027-01-15T08:00:01Z">[^<]+</time>', text)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("operation", [Operation.SEND, Operation.RECEIVE, Operation.GATEWAY])
def test_every_reason_has_words(reason: Reason, operation: Operation) -> None:
    assert f'href="./reasons#{reason}"' in shown(page_of(fax(reason=reason, operation=operation)))


def links(text: str) -> dict[str, str]:
    found = re.findall(r'<a(?: rel="next")? href="([^"]+)">([^<]+)</a>', text)
    return {words: html.unescape(address) for address, words in found}


def test_older_faxes_and_json_are_asked_for_with_the_same_filters() -> None:
    query = Query(target="a&b=ü", result="failed", since=NOW, until=NOW + 0.5, limit=100)
    text = shown(page_of(fax(), cursor="QdrB_7khMzMAAAAAAAAACg"), query)
    older = urlsplit(links(text)["Older"])
    assert older.path == "./faxes"
    assert parse_qs(older.query) == {
        "target": ["a&b=ü"],
        "result": ["failed"],
        "since": ["1800000000.000"],
        "until": ["1800000000.500"],
        "cursor": ["QdrB_7khMzMAAAAAAAAACg"],
    }
    as_json_too = urlsplit(links(text)["These as JSON"])
    assert as_json_too.path == "./api/v1/faxes"
    assert "Newest" not in links(text)
    again = shown(page_of(fax()), dataclasses.replace(query, cursor="QdrB_7khMzMAAAAAAAAACg"))
    assert "cursor" not in parse_qs(urlsplit(links(again)["Newest"]).query)
    assert "Older" not in links(again)


def test_the_form_has_what_was_asked_for() -> None:
    query = Query(
        target='"fax"',
        result="failed",
        reason="no_fax",
        operation="send",
        peer="PJSIP/a",
        uniqueid="1.2",
        since=NOW,
        limit=100,
    )
    text = shown(page_of(), query)
    assert 'name="target" value="&#34;fax&#34;"' in text
    for value in ("failed", "no_fax", "send"):
        assert f'<option value="{value}" selected>' in text
    assert 'name="peer" value="PJSIP/a"' in text
    assert 'name="uniqueid" value="1.2"' in text
    assert re.search(r'name="since" type="datetime-local" value="2027-01-1\dT\d\d:\d\d"', text)
    assert "No fax that was kept is so." in text
    assert '<option value="paris"></option>' in text


def test_of_a_large_fleet_not_all_are_offered_to_choose_from() -> None:
    names = [f"fax-{number:04}" for number in range(faxes.MAX_NAMES + 10)]
    layout = Layout(root="./", details=False, telemetry_path="/metrics", here="faxes", live=False)
    text = as_html(Found(Query(), lambda: page_of()), names[::-1], layout, HistorySettings())
    assert re.findall(r'<option value="(fax-\d+)">', text) == names[: faxes.MAX_NAMES]


def test_it_says_where_the_faxes_are_and_what_is_wrong() -> None:
    assert "a restart forgets them" not in shown(page_of(fax()))
    assert "a restart forgets them" in shown(page_of(fax(), in_file=False))
    assert "No fax has ended while this exporter watched." in shown(page_of())
    wrong = shown(None, status=400, wrong="since: takes <this>")
    assert "since: takes &lt;this&gt;" in wrong
    assert "<table" not in wrong


def test_times_at_the_end_of_the_calendar_break_nothing() -> None:
    text = shown(page_of(fax()), Query(since=0.0, until=253_370_764_800.0, limit=100))
    assert 'name="until"' in text


@contextlib.asynccontextmanager
async def served(*words: str, **web: Any) -> AsyncIterator[tuple[Any, TestClient[Any, Any]]]:
    """A history in memory, and a client of the routes that show it."""
    settings = Settings.model_validate({"ami": None, "web": web})
    fleet = Fleet(1.0, None)
    async with (
        running(details=True) as history,
        linked(fleet, history=history) as source,
        TestClient(TestServer(application(settings, source, WebConfigFile(None)))) as client,
    ):
        yield history, client


async def test_the_api_tells_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    async with served(show_details=True) as (history, client):
        for number in range(1, 4):
            history.take("fax", fax(number))
        seen: list[float] = []
        cursor = ""
        while cursor is not None:
            answer = await client.get(f"/api/v1/faxes?limit=1&reason=&cursor={cursor}")
            assert answer.status == 200
            told = await answer.json()
            seen += [one["ended_timestamp"] - NOW for one in told["faxes"]]
            cursor = told["next_cursor"]
        assert seen == [3, 2, 1]
        answer = await client.get("/api/v1/faxes?uniqueid=1800000000.3")
        (one,) = (await answer.json())["faxes"]
        assert one["file"] == PEOPLE["file"]
        assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_wrong_has_its_status_on_the_page_and_in_the_api() -> None:
    async with served() as (_, client):
        for query, status, words in (
            ("result=bad", 400, "success, failed, unknown"),
            ("nothing=1", 400, "there is no such parameter"),
            ("target=nobody", 404, "no such target"),
        ):
            for path, kind in (("/api/v1/faxes", "text/plain"), ("/faxes", "text/html")):
                answer = await client.get(f"{path}?{query}")
                assert (answer.status, answer.content_type) == (status, kind)
                assert words in await answer.text()
        answer = await client.get("/faxes")
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "form-action 'self'" in policy
        assert "default-src 'none'" in policy


async def test_what_cannot_be_read_now_is_to_be_asked_again() -> None:
    async with served() as (history, client):
        await history.close()
        for path in ("/api/v1/faxes", "/faxes"):
            answer = await client.get(path)
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "the log says why" in await answer.text()


async def test_a_crowd_of_different_questions_leaves_nothing_behind() -> None:
    async with served() as (_, client):

        async def ask(number: int) -> int:
            async with client.get(f"/api/v1/faxes?peer={number}") as answer:
                return answer.status

        statuses = await asyncio.gather(*(ask(number) for number in range(100)))
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 32
        assert await ask(0) == 200
