"""The routes: which PBX a URL means, what it says, and to whom."""

import asyncio
import base64
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from aiohttp import ClientSession
from yarl import URL

from exporter.link import Source, Versioned, answering
from exporter.metrics import Family, of_target
from exporter.polling import Counts, Fleet, Lateness, LoopTime
from exporter.settings import Settings, SettingsError, WebConfigFile, WebSettings
from exporter.web import http, routes
from exporter.web.routes import application
from exporter.web.server import Server
from exporter.web.templating import CONTENT_SECURITY_POLICY, STATIC, target_url
from harness.exposition import Scrape
from harness.pbx import FaultyPbx
from harness.watching import SECRET, begin, overloaded, settings_for
from harness.web_side import linked, listening


class Site:
    """The web side of an exporter that watches these demo PBXs, and a client of it."""

    def __init__(
        self, client: ClientSession, base: str, fleet: Fleet, pbxs: dict[str, FaultyPbx]
    ) -> None:
        self.client = client
        self.base = base
        self.fleet = fleet
        self.pbxs = pbxs

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        async with self.client.get(path, **options) as answer:
            return answer.status, await answer.text()

    async def scrape(self, path: str) -> Scrape:
        status, text = await self.get(path)
        assert status == 200, text
        return Scrape(text)


@contextlib.asynccontextmanager
async def site(
    *names: str,
    reload: Callable[[], Awaitable[None]] | None = None,
    web_file: Path | None = None,
    details: bool = False,
    lateness: Lateness | None = None,
) -> AsyncIterator[Site]:
    pbxs = {name: FaultyPbx(secret=SECRET) for name in names}
    for pbx in pbxs.values():
        await pbx.start()
    fleet = Fleet(0.05, None, lateness=lateness)
    config = WebConfigFile(web_file)
    settings = Settings(ami=None, web=WebSettings(show_details=details, config_file=web_file))
    async with contextlib.AsyncExitStack() as stack:
        source = await stack.enter_async_context(linked(fleet, reload=reload))
        server = Server(application(settings, source, config), config, max_connections=10)
        socket = stack.enter_context(listening())
        await server.start([socket])
        host, port = socket.getsockname()
        base = f"http://{host}:{port}"
        client = await stack.enter_async_context(ClientSession(base))
        await fleet.watch({name: settings_for(pbx) for name, pbx in pbxs.items()})
        try:
            async with asyncio.timeout(20):
                while fleet.stale:
                    await asyncio.sleep(0.01)
            yield Site(client, base, fleet, pbxs)
        finally:
            await server.stop()
            await fleet.close()
            for pbx in pbxs.values():
                await pbx.stop()


async def test_probe_gives_the_metrics_of_the_pbx_that_is_named_and_of_no_other() -> None:
    async with site("fax-berlin", "fax-paris") as on:
        begin(on.pbxs["fax-paris"])
        async with asyncio.timeout(20):
            while not on.fleet.pollers["fax-paris"].ledger.running:
                await asyncio.sleep(0.01)
        berlin = await on.scrape("/probe?target=fax-berlin")
        paris = await on.scrape("/probe?target=fax-paris")
        assert (berlin.sum("sessions"), paris.sum("sessions")) == (0, 1)
        assert "process_" not in berlin.text
        assert "exporter_" not in berlin.text
        own = await on.scrape("/metrics")
        assert own.value("exporter_targets") == 2
        assert not own.has("up")
        assert "process_resident_memory_bytes" in own.text


@pytest.mark.parametrize("most", [0, routes.SMALL])
async def test_metrics_of_a_pbx_without_peers_are_written_at_once_and_larger_ones_in_a_thread(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "SMALL", most)
    threads: list[str] = []

    def written(counts: Counts, *, peer_label: bool) -> Iterator[Family]:
        threads.append(threading.current_thread().name)
        return of_target(counts, peer_label=peer_label)

    monkeypatch.setattr(routes, "of_target", written)
    async with site("fax-berlin", "fax-paris") as on:
        begin(on.pbxs["fax-berlin"])
        now = await on.scrape("/probe?target=fax-berlin")
        plain = await on.get("/probe?target=fax-berlin", headers={"Accept-Encoding": "identity"})
    assert now.value("up") == Scrape(plain[1]).value("up") == 1
    of_the_loop = [name == threading.main_thread().name for name in threads]
    assert of_the_loop == [most > 0] * len(threads) != []


async def test_metrics_is_served_while_the_only_pbx_gives_way_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with site("berlin") as one:
        asked = Source.counts

        async def counts(source: Source, name: str) -> Versioned[Counts]:
            if name == "berlin":  # just then the file is read again
                await one.fleet.watch({"paris": settings_for(one.pbxs["berlin"])})
            return await asked(source, name)

        monkeypatch.setattr(Source, "counts", counts)
        assert (await one.scrape("/metrics")).value("exporter_targets") == 1


async def test_metrics_has_the_pbx_too_if_there_is_just_one() -> None:
    async with site("fax-berlin") as on:
        assert (await on.scrape("/metrics")).value("up") == 1
        assert (await on.scrape("/probe?target=fax-berlin")).value("up") == 1


@pytest.mark.parametrize("path", ["/probe", "/api/v1/targets", "/api/v1/sessions", "/"])
async def test_a_name_that_is_not_in_the_file_is_no_address_and_tells_no_other_name(
    path: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        async with site("fax-berlin") as on:
            for name in (address, f"http://{address}/", "fax-berlin2", "", "../fax-berlin", "*"):
                status, text = await on.get(path, params={"target": name})
                assert status == 404, name
                assert "fax-berlin" not in text
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=fax-berlin"])
async def test_a_format_that_is_none_gets_the_plain_one(path: str) -> None:
    async with site("fax-berlin") as on:
        for accept in ("application/openmetrics-text; version=a.b", ";;;=", "text/plain;version="):
            status, text = await on.get(path, headers={"Accept": accept})
            assert status == 200, accept
            assert "# TYPE" in text


async def test_probe_takes_exactly_one_target() -> None:
    async with site("fax-berlin") as on:
        assert (await on.get("/probe"))[0] == 400
        assert (await on.get("/probe?target=fax-berlin&target=fax-berlin"))[0] == 400


async def test_discovery_lists_the_targets_as_prometheus_reads_them() -> None:
    async with site("fax-berlin", "fax-paris") as on:
        status, text = await on.get("/sd")
        assert status == 200
        assert json.loads(text) == [{"targets": ["fax-berlin", "fax-paris"], "labels": {}}]
        await on.fleet.watch({})
        assert json.loads((await on.get("/sd"))[1]) == []


@pytest.mark.parametrize(
    "path", ["/", "/targets/fax-berlin", "/reasons", "/api/v1/targets", "/api/v1/sessions"]
)
async def test_no_cache_keeps_what_runs_now(path: str) -> None:
    async with site("fax-berlin") as on, on.client.get(path) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_may_load_nothing_but_its_own_files_and_tells_nobody_where_it_is() -> None:
    async with site("fax-berlin") as on:
        for path in ("/", "/targets/fax-berlin", "/targets/no-such", "/reasons"):
            async with on.client.get(path) as answer:
                assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
                assert answer.headers["Referrer-Policy"] == "no-referrer"
        for name in STATIC:
            async with on.client.get(f"/static/{name}") as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-cache"


async def test_ready_names_the_targets_whose_last_poll_is_not_fresh() -> None:
    async with site("fax-berlin", "fax-paris") as on:
        assert await on.get("/-/ready") == (200, "ready\n")
        on.pbxs["fax-paris"].refuse_connections()
        on.pbxs["fax-paris"].drop_connections()
        async with asyncio.timeout(20):
            while not on.fleet.stale:
                await asyncio.sleep(0.01)
        assert await on.get("/-/ready") == (
            503,
            "not ready: no fresh poll of fax-paris\n"
            f"fax-paris: {on.fleet.pollers['fax-paris'].status.trouble}\n",
        )


async def test_a_process_that_does_not_keep_up_is_not_ready_and_healthy_nevertheless() -> None:
    async with site("fax-berlin", "fax-paris", lateness=overloaded()) as on:
        status, text = await on.get("/-/ready")
        assert status == 503
        assert text.startswith("not ready: this process cannot keep up with its 40 targets: ")
        assert "--poll.interval" in text
        assert "no fresh poll" not in text
        assert await on.get("/-/healthy") == (200, "healthy\n")
        scrape = await on.scrape("/metrics")
        assert scrape.value("exporter_keeps_up") == 0


@pytest.mark.parametrize("names", [["fax-berlin"], ["fax-berlin", "fax-paris"]])
async def test_pages_say_at_their_top_that_the_process_does_not_keep_up(names: list[str]) -> None:
    words = "this process cannot keep up with its 40 targets"
    async with site(*names, lateness=overloaded()) as on:
        for path in ("/", "/targets/fax-berlin"):
            assert words in (await on.get(path))[1]
    async with site(*names) as on:
        for path in ("/", "/targets/fax-berlin"):
            assert 'id="behind"' not in (await on.get(path))[1]


async def test_metrics_tell_how_late_polls_begin_and_that_they_do_not() -> None:
    lateness = Lateness(1.0, LoopTime())
    lateness.begun(0.3)
    lateness.begun(100.0)
    async with site("fax-berlin", "fax-paris", lateness=lateness) as on:
        scrape = await on.scrape("/metrics")
        name = "exporter_poll_lateness_seconds"
        late = {le: scrape.value(f"{name}_bucket", le=le) for le in ("0.2", "0.5", "60.0", "+Inf")}
        assert late["0.5"] - late["0.2"] >= 1
        assert late["+Inf"] - late["60.0"] == 1
        assert scrape.value(f"{name}_sum") >= 100.3
        assert scrape.value("exporter_keeps_up") == 1
        assert scrape.value("exporter_loop_busy_ratio") == 1


async def test_a_stranger_learns_from_ready_no_name_and_from_nothing_else_anything(
    tmp_path: Path,
) -> None:
    hashed = bcrypt.hashpw(b"correct", bcrypt.gensalt(4)).decode()
    web_file = tmp_path / "web.yml"
    web_file.write_text(json.dumps({"basic_auth_users": {"prometheus": hashed}}))
    login = {"Authorization": "Basic " + base64.b64encode(b"prometheus:correct").decode()}
    async with site("fax-berlin", web_file=web_file) as on:
        on.pbxs["fax-berlin"].refuse_connections()
        on.pbxs["fax-berlin"].drop_connections()
        async with asyncio.timeout(20):
            while not on.fleet.stale:
                await asyncio.sleep(0.01)
        assert await on.get("/-/healthy") == (200, "healthy\n")
        assert await on.get("/-/ready") == (503, "not ready\n")
        status, text = await on.get("/-/ready", headers=login)
        assert (status, "fax-berlin" in text) == (503, True)
        pages = ("/", "/targets/fax-berlin", "/targets/x", "/?target=fax-berlin", "/reasons")
        for path in (
            "/metrics",
            "/probe?target=fax-berlin",
            "/sd",
            "/api/v1/targets",
            "/x",
            *pages,
        ):
            status, text = await on.get(path)
            assert status == 401, path
            assert "fax-berlin" not in text
        for path in ("/metrics", "/probe?target=fax-berlin", "/sd", "/", "/api/v1/targets"):
            assert (await on.get(path, headers=login))[0] == 200, path


async def test_a_post_reads_the_files_again_and_says_what_is_wrong_with_them() -> None:
    asked: list[None] = []
    wrong: list[str] = []

    async def reload() -> None:
        asked.append(None)
        if wrong:
            raise SettingsError(wrong[0])

    async with site("fax-berlin", reload=reload) as on:
        async with on.client.post("/-/reload") as answer:
            assert (answer.status, await answer.text()) == (200, "reloaded\n")
        wrong.append("exporter.yml: has no targets")
        async with on.client.post("/-/reload") as answer:
            assert answer.status == 500
            assert "the log says what is wrong" in (text := await answer.text())
            assert "exporter.yml" not in text
        assert len(asked) == 2
        assert (await on.get("/-/reload"))[0] == 405
        assert len(asked) == 2
    async with site("fax-berlin") as on, on.client.post("/-/reload") as answer:
        assert answer.status == 404
        assert "no file" in await answer.text()


async def test_a_client_is_shown_no_traceback_even_in_debug_mode() -> None:
    async def reload() -> None:
        raise RuntimeError("a defect")

    asyncio.get_running_loop().set_debug(True)
    async with site("fax-berlin", reload=reload) as on, on.client.post("/-/reload") as answer:
        text = await answer.text()
    assert answer.status == 500
    assert "a defect" not in text
    assert "Server got itself in trouble" in text


@pytest.mark.parametrize("details", [True, False])
async def test_the_api_shows_personal_data_only_if_that_is_set(details: bool) -> None:
    async with site("fax-berlin", "fax-paris", details=details) as on:
        pbx = on.pbxs["fax-berlin"]
        begin(pbx, channel="PJSIP/alice-00000001")
        pbx.drop(begin(pbx, channel="PJSIP/bob-00000002"))
        async with asyncio.timeout(20):
            while not (on.fleet.pollers["fax-berlin"].ledger.running) or not list(
                on.fleet.pollers["fax-berlin"].ledger.history.failed
            ):
                await asyncio.sleep(0.01)
        status, sessions = await on.get("/api/v1/sessions")
        assert status == 200
        _, targets = await on.get("/api/v1/targets")
        (session,) = json.loads(sessions)["sessions"]
        assert (session["target"], session["operation"]) == ("fax-berlin", "receive")
        names = [target["name"] for target in json.loads(targets)["targets"]]
        assert names == ["fax-berlin", "fax-paris"]
        assert ("alice" in sessions, "bob" in targets) == (details, details)
        for path in ("/targets/fax-berlin", "/?target=fax-berlin"):
            _, page = await on.get(path)
            assert ("alice" in page, "bob" in page) == (details, details)
        _, fleet = await on.get("/")
        assert "fax-berlin" in fleet
        assert "alice" not in fleet
        _, only = await on.get("/api/v1/sessions?target=fax-paris")
        assert json.loads(only) == {"sessions": []}


@pytest.mark.parametrize("path", ["/api/v1/targets", "/api/v1/sessions"])
async def test_a_fleet_is_looked_at_one_by_one_so_that_its_polls_go_on(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PIECE_SECONDS", 0.0)  # else it depends on the machine
    monkeypatch.setattr(answering, "LONGEST_PIECE", 0.0)
    async with site("fax") as here:
        (poller,) = here.fleet.pollers.values()
        here.fleet.pollers = {f"fax-{number}": poller for number in range(500)}
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        status, _ = await here.get(path)
        task.cancel()
        assert status == 200
        assert turns >= 500


# --- the pages -------------------------------------------------------------------------------


async def test_with_one_target_its_page_is_the_first_and_with_several_each_has_its_own() -> None:
    async with site("fax-berlin") as on:
        for path in ("/", "/targets/fax-berlin"):
            status, text = await on.get(path)
            assert (status, '<h1 id="target">fax-berlin</h1>' in text) == (200, True), path
    async with site("fax-berlin", "fax-paris") as on:
        assert "2 up, 0 down" in (await on.get("/"))[1]
        async with on.client.get("/?target=fax-paris", allow_redirects=False) as answer:
            # Relative, since a proxy may have put the exporter below a path of its own.
            assert (answer.status, answer.headers["Location"]) == (302, "targets/fax-paris")
        status, text = await on.get("/?target=fax-paris")
        assert (status, '<h1 id="target">fax-paris</h1>' in text) == (200, True)
        assert 'href="../static/page.css"' in text
        async with on.client.head("/targets/fax-paris") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        for method in ("POST", "PUT", "DELETE"):
            async with on.client.request(method, "/targets/fax-paris") as answer:
                assert answer.status == 405


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1:5038",
        "[::1]:5038",
        "a/b",
        "a b",
        "50%",
        "%2F",
        "..x",
        "a?b#c",
        "ä€😀",
        "a;b&c=d+e",
    ],
)
async def test_any_name_is_found_by_the_link_to_its_page(name: str) -> None:
    async with site(name, "other") as on:
        _, fleet = await on.get("/")
        link = f"./{target_url(name)}"
        assert f'href="{link}"' in fleet
        path = link.removeprefix(".")
        async with on.client.get(URL(f"{on.base}{path}", encoded=True)) as answer:
            assert answer.status == 200
            assert f"{escape(name)}</h1>" in await answer.text()
        async with on.client.get("/", params={"target": name}) as answer:
            assert answer.status == 200
            assert f"{escape(name)}</h1>" in await answer.text()


@pytest.mark.parametrize(
    "path",
    [
        "/targets/fax-berlin2",
        "/targets/FAX-BERLIN",
        "/targets/fax-berlin/",
        "/targets/..%2ffax-berlin",
        "/targets/%2e%2e/%2e%2e/etc/passwd",
        "/targets/fax-berlin%00",
        "/targets/fax%0Aberlin",
        "/targets/%ff",
        "/targets/%3Cscript%3Ealert(1)%3C/script%3E",
        "/targets/fax%252dberlin",
    ],
)
async def test_a_name_that_is_none_has_a_page_with_the_way_back_and_names_nobody(path: str) -> None:
    async with site("fax-berlin", "fax-paris") as on:
        async with on.client.get(URL(f"{on.base}{path}", encoded=True)) as answer:
            text = await answer.text()
            assert answer.status == 404
            assert answer.content_type == "text/html"
        assert "No such PBX" in text
        assert 'id="all" href="../' in text
        for name in ("fax-berlin", "fax-paris", "alert(1)"):
            assert name not in text


async def test_what_a_link_wants_that_there_is_not_is_told() -> None:
    async with site("fax-berlin", "fax-paris") as on:
        assert "fax-paris" not in (await on.get("/?name=berl&state=all&sort=-name"))[1]
        for query, said in (
            ("state=<script>", "state takes all, unhealthy, "),
            ("sort=x", "sort takes state, "),
            ("name=a&name=b", "takes each of them once"),
        ):
            status, text = await on.get(f"/?{query}")
            assert (status, text.startswith(said)) == (400, True)


async def test_what_has_not_changed_is_not_sent_again() -> None:
    async with site("fax-berlin", "fax-paris") as on:
        for path in ("/", "/targets/fax-berlin"):
            async with on.client.get(path) as answer:
                tag = answer.headers["ETag"]
            for known in (tag, f'"x", {tag}'):
                async with on.client.get(path, headers={"If-None-Match": known}) as answer:
                    assert (answer.status, await answer.read()) == (304, b"")
                    assert answer.headers["ETag"] == tag
                    assert "Date" in answer.headers
            begin(on.pbxs["fax-berlin"], channel=f"PJSIP/alice-{path.count('t'):08x}")
            sent = 304
            async with asyncio.timeout(20):
                while sent == 304:
                    async with on.client.get(path, headers={"If-None-Match": tag}) as answer:
                        sent = answer.status
            assert sent == 200


async def test_hostile_reasons_versions_and_names_stay_text_on_every_page() -> None:
    hostile = "<script>alert(1)</script>'\""
    async with site("fax-berlin", "fax-paris", details=True) as on:
        for pbx in on.pbxs.values():
            pbx.version = f"22{hostile}"
            pbx.drop_connections()
            pbx.drop(begin(pbx, channel=f"PJSIP/{hostile}-00000001"))
            begin(pbx, channel=f"PJSIP/{hostile}-00000002")
        async with asyncio.timeout(20):
            while not all(poller.ledger.running for poller in on.fleet.pollers.values()):
                await asyncio.sleep(0.01)
        for path in ("/", "/?name=<script>alert(1)</script>", "/targets/fax-berlin"):
            status, text = await on.get(path)
            assert status == 200
            assert "<script>alert" not in text


async def test_while_clients_receive_much_only_scrapes_have_large_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "MAX_UNDER_WAY", 0)
    monkeypatch.setattr(http, "LITTLE", 100)
    async with site("fax-berlin", "fax-paris") as on:
        for path in ("/api/v1/targets", "/api/v1/targets?name=fax", "/", "/targets/fax-paris"):
            async with on.client.get(path) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert "more is being received" in await answer.text()
        assert (await on.get("/api/v1/targets?name=nobody"))[0] == 200
        for path in ("/metrics", "/probe?target=fax-paris", "/sd"):
            assert (await on.get(path))[0] == 200
