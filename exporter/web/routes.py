"""The routes: metrics, discovery, health, the API and the page. No PBX is asked for any of them."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import hdrs, web

from exporter.link import FleetState, NoSuchTarget, Source, Versioned, read_pieces
from exporter.metrics import Exporter, of_exporter, of_processes, of_target
from exporter.polling import Clock, Counts
from exporter.settings import Settings, WebConfigFile
from exporter.web import faxes, negotiation, origins, page
from exporter.web.all_targets import AllTargets
from exporter.web.auth import logged_in, may_see
from exporter.web.fleet import NotToBeHad, Wanted
from exporter.web.http import COME_AGAIN, PIECE, InPieces, UnderWay
from exporter.web.negotiation import Format
from exporter.web.rendering import Renderings
from exporter.web.search import Search
from exporter.web.some_targets import SomeTargets
from exporter.web.templating import (
    CONTENT_SECURITY_POLICY,
    STATIC,
    Layout,
    root_from,
    target_url,
)
from exporter.web.views import (
    all_sessions_json,
    session_views,
    sessions_json,
    target_json,
    target_view,
    trouble,
)

OWN_SECONDS: Final = 1.0
"""So long may be served what tells times or the exporter's own figures, if nothing else changes."""

SMALL: Final = 8 * 1024
"""Bytes of counts that are written as metrics in the event loop, which takes half a millisecond for
a PBX. Only with peers told apart there are more."""

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_JSON_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def application(
    settings: Settings,
    source: Source,
    config: WebConfigFile,
    *,
    main_process: int | None = None,
    clock: Clock | None = None,
) -> web.Application:
    """The routes. `main_process`: its id, if `source` asks another process. `clock`: that of the
    pollers.

    They check no login: Server has that done before them."""
    routes = _Routes(settings, source, config, main_process, clock or Clock())
    # If asyncio's debug mode is on, aiohttp would show tracebacks to clients; they are for the log.
    app = web.Application(handler_args={"debug": False})
    app.router.add_get(settings.web.telemetry_path, routes.metrics)
    app.router.add_get("/probe", routes.probe)
    app.router.add_get("/sd", routes.discovery)
    app.router.add_get("/-/healthy", routes.healthy)
    app.router.add_get("/-/ready", routes.ready)
    app.router.add_post("/-/reload", routes.reload)
    app.router.add_get("/api/v1/targets", routes.targets)
    app.router.add_get("/api/v1/sessions", routes.sessions)
    app.router.add_get("/api/v1/faxes", routes.faxes_json)
    app.router.add_get("/", routes.page)
    app.router.add_get("/faxes", routes.faxes_page)
    app.router.add_get(r"/targets/{name:[\s\S]+}", routes.target)
    app.router.add_get("/reasons", routes.reasons)
    app.router.add_get("/static/{name}", routes.static)
    app.on_cleanup.append(routes.close)
    return app


class _Routes:
    """One handler for each path, and what they need."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        config: WebConfigFile,
        main_process: int | None,
        clock: Clock,
    ) -> None:
        self._settings = settings.web
        self._history = settings.history
        self._search = Search(source, clock)
        self._peer_label = settings.metrics.peer_label
        self._source = source
        self._config = config
        self._main_process = main_process
        self._clock = clock
        self._renderings = Renderings()
        self._fleet_page = page.FleetPage()
        self._all_targets = AllTargets(source, clock, details=self._details, lasts=OWN_SECONDS)
        self._some_targets = SomeTargets(source, clock, self._renderings, details=self._details)
        self._under_way = UnderWay()

    async def close(self, app: web.Application) -> None:
        self._renderings.close()

    # --- for Prometheus -------------------------------------------------------------------------

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        fleet, only = await self._fleet_and_only()
        web_config = self._config if self._config.path is not None else None
        exporter = Exporter(
            targets=len(fleet.names),
            pace=fleet.pace,
            config=fleet.config,
            web_config=web_config,
            web_restarts=fleet.web_restarts,
            fax_lines_lost=fleet.fax_lines_lost,
        )
        read = web_config and (web_config.successful, web_config.success_timestamp)
        version = (fleet, only and only.version, read)

        def write(format: Format) -> bytes:
            told = exporter if only is None else dataclasses.replace(exporter, only=only.read())
            families = of_exporter(told, peer_label=self._peer_label)
            return format.encode(families, of_processes(self._main_process))

        return await self._encoded(request, "", version, write, OWN_SECONDS)

    async def _fleet_and_only(self) -> tuple[FleetState, Versioned[Counts] | None]:
        """All targets together, and if there is just one, its counts."""
        fleet = await self._source.fleet()
        if len(fleet.names) != 1:
            return fleet, None
        try:
            return fleet, await self._source.counts(fleet.names[0])
        except NoSuchTarget:  # a reload has put another in its place meanwhile
            return await self._fleet_and_only()

    async def probe(self, request: web.Request) -> web.StreamResponse:
        name = _target_name(request)
        if name is None:
            raise web.HTTPBadRequest(text="takes the name of a target: /probe?target=NAME\n")
        counts = await self._counts(name)

        def write(format: Format) -> bytes:
            return format.encode(of_target(counts.read(), peer_label=self._peer_label))

        small = counts.size <= SMALL
        return await self._encoded(request, name, counts.version, write, small=small)

    async def _counts(self, name: str) -> Versioned[Counts]:
        try:
            return await self._source.counts(name)
        except NoSuchTarget:
            raise _no_such_target() from None

    async def _encoded(
        self,
        request: web.Request,
        name: str,
        version: object,
        write: Callable[[Format], bytes],
        lasts: float = float("inf"),
        *,
        small: bool = False,
    ) -> web.StreamResponse:
        """Metrics, as the client wants them. `name`: of the target, or empty. `small`: to write
        them takes less time than to have a thread do it."""
        wanted = negotiation.families_wanted(request.query.getall("name[]", []))
        format = negotiation.exposition(_header(request, hdrs.ACCEPT))
        key, compress = ("metrics", name, format.body), wanted is None and _gzip_accepted(request)
        if small:
            body, compressed = self._renderings.small(
                key, version, lambda: write(format), compress=compress
            )
        else:
            body, compressed = await self._renderings.get(
                key, version, lambda: write(format), compress=compress, lasts=lasts
            )
        if wanted is not None:
            body = negotiation.only(body, wanted)
        headers: dict[str, str] = {
            hdrs.CONTENT_TYPE: format.content_type,
            hdrs.VARY: "Accept, Accept-Encoding",
        }
        return self._sent(body, compressed, headers)

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        names = (await self._source.fleet()).names
        found = [{"targets": names, "labels": {}}] if names else []
        body = json.dumps(found).encode()
        return self._sent(body, False, {hdrs.CONTENT_TYPE: "application/json", **_JSON_HEADERS})

    # --- for supervisors ------------------------------------------------------------------------

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="healthy\n")

    async def ready(self, request: web.Request) -> web.StreamResponse:
        fleet = await self._source.fleet()
        stale, behind = fleet.stale, fleet.pace.behind
        if not stale and not behind:
            return web.Response(text="ready\n")
        if not may_see(request):
            return web.Response(status=503, text="not ready\n")
        lines = [f"not ready: {behind}"] if behind else []
        if stale:
            lines.append(f"not ready: no fresh poll of {', '.join(name for name, _ in stale)}")
        for name, outage in stale:
            lines.append(f"{name}: {trouble(outage) or 'its last poll is too long ago'}")
        return web.Response(status=503, text="\n".join(lines) + "\n")

    async def reload(self, request: web.Request) -> web.StreamResponse:
        known = logged_in(request)
        why = origins.foreign(
            request.headers.get(hdrs.HOST),
            request.headers.get(hdrs.ORIGIN),
            request.headers.get("Sec-Fetch-Site"),
            await asyncio.to_thread(origins.own_names),
            logged_in=known,
        )
        if why is not None:
            raise web.HTTPForbidden(text=f"{why}\n")
        possible, wrong = await self._source.reload()
        if not possible:
            raise web.HTTPNotFound(text="there is no file to read again\n")
        if not wrong:
            return web.Response(text="reloaded\n")
        text = "of a file with a fault nothing is taken, what it said before goes on"
        # It may be anybody who asks, and what is wrong names paths, targets and users.
        more = f":\n{wrong}\n" if known else "; the log says what is wrong\n"
        raise web.HTTPInternalServerError(text=text + more)

    # --- for people -----------------------------------------------------------------------------

    async def targets(self, request: web.Request) -> web.StreamResponse:
        if (name := _target_name(request)) is not None:
            return await self._shown(request, "targets", name, target_json)
        compress = _gzip_accepted(request)
        try:
            some = await self._some_targets(request.query, compress=compress)
        except NoSuchTarget:
            raise _no_such_target() from None
        body, compressed = some or await self._all_targets(compress=compress)
        return self._response(body, compressed, {**_JSON, hdrs.VARY: "Accept-Encoding"})

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        if (name := _target_name(request)) is not None:
            return await self._shown(request, "sessions", name, sessions_json)
        pieces = await self._source.sessions()
        running = read_pieces(pieces)
        render = partial(all_sessions_json, running, self._clock, details=self._details)
        return await self._json(request, ("sessions",), pieces, render)

    async def page(self, request: web.Request) -> web.StreamResponse:
        if (name := _target_name(request)) is not None:
            if name not in (await self._source.fleet()).names:
                return self._missing(request)
            raise web.HTTPFound(target_url(name), headers=_PAGE_HEADERS)
        if len(set(request.query)) < len(request.query):
            raise web.HTTPBadRequest(text="takes each of them once\n")
        try:
            wanted = Wanted.of(request.query)
        except NotToBeHad as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        rows, behind = await asyncio.gather(self._source.rows(), self._source.behind())
        if len(fleet := rows.read()) == 1:
            return await self._target_page(request, fleet[0].name)
        return await self._page(
            request,
            ("fleet", wanted),
            (rows.version, behind),
            lambda: self._fleet_page.render(fleet, wanted, self._layout(request, behind=behind)),
        )

    async def target(self, request: web.Request) -> web.StreamResponse:
        return await self._target_page(request, request.match_info["name"])

    async def _target_page(self, request: web.Request, name: str) -> web.StreamResponse:
        watched = len(await self._source.names())
        try:
            shown, behind = await asyncio.gather(self._source.shown(name), self._source.behind())
        except NoSuchTarget:
            return self._missing(request)

        def render() -> str:
            one = shown.read()
            layout = self._layout(request, behind=behind)
            target = target_view(name, one, self._clock, details=self._details)
            sessions = session_views(name, one, self._clock, details=self._details)
            return page.target_page(target, sessions, layout, watched=watched)

        return await self._page(request, ("target", name), (shown.version, watched, behind), render)

    def _missing(self, request: web.Request) -> web.StreamResponse:
        body = page.missing_page(self._layout(request, here=None)).encode()
        return web.Response(status=404, body=body, headers=_HTML)

    async def reasons(self, request: web.Request) -> web.StreamResponse:
        layout = self._layout(request, here=None, as_of=None, live=False)
        return web.Response(body=page.reasons_page(layout).encode(), headers=_HTML)

    def _layout(self, request: web.Request, **other: Any) -> Layout:
        layout = Layout(
            root=root_from(request.rel_url.raw_path),
            details=self._details,
            telemetry_path=self._settings.telemetry_path,
            as_of=self._clock.wall(),
            here="pbxs",
        )
        return dataclasses.replace(layout, **other)

    async def _page(
        self,
        request: web.Request,
        key: tuple[object, ...],
        version: object,
        render: Callable[[], str],
    ) -> web.StreamResponse:
        """A page that is asked for again and again: to who has it is only said that he does."""
        tagged = await self._renderings.get_tagged(
            ("page", root_from(request.rel_url.raw_path), *key),
            version,
            lambda: render().encode(),
            tag=page.tag,
            known=_header(request, hdrs.IF_NONE_MATCH).replace(" ", "").split(","),
            compress=_gzip_accepted(request),
            lasts=OWN_SECONDS,
        )
        headers = {**_HTML, hdrs.ETAG: tagged.tag, hdrs.VARY: "Accept-Encoding"}
        if tagged.body is None:
            return web.Response(status=304, headers=headers)
        return self._response(tagged.body, tagged.compressed, headers)

    async def faxes_json(self, request: web.Request) -> web.StreamResponse:
        found = await self._search(request.query.items())
        if (read := found.read) is None:
            headers = COME_AGAIN if found.status == 503 else None
            return web.Response(status=found.status, text=f"{found.wrong}\n", headers=headers)
        body, compressed = await self._renderings.once(
            lambda: faxes.as_json(read(), details=self._details), compress=_gzip_accepted(request)
        )
        return self._response(body, compressed, {**_JSON, hdrs.VARY: "Accept-Encoding"})

    async def faxes_page(self, request: web.Request) -> web.StreamResponse:
        found = await self._search(request.query.items())
        names = await self._source.names()
        layout = self._layout(request, here="faxes", live=False)
        body, compressed = await self._renderings.once(
            lambda: faxes.as_html(found, names, layout, self._history).encode(),
            compress=_gzip_accepted(request),
        )
        headers: dict[str, str] = {**_HTML, hdrs.VARY: "Accept-Encoding"}
        if found.status == 503:
            headers |= COME_AGAIN
        return self._response(body, compressed, headers, found.status)

    async def _shown(
        self, request: web.Request, kind: str, name: str, render: Callable[..., bytes]
    ) -> web.StreamResponse:
        try:
            shown = await self._source.shown(name)
        except NoSuchTarget:
            raise _no_such_target() from None

        def made() -> bytes:
            return render(name, shown.read(), self._clock, details=self._details)

        return await self._json(request, (kind, name), shown.version, made)

    async def _json(
        self,
        request: web.Request,
        key: tuple[str, ...],
        version: object,
        render: Callable[[], bytes],
    ) -> web.StreamResponse:
        body, compressed = await self._renderings.get(
            key, version, render, compress=_gzip_accepted(request), lasts=OWN_SECONDS
        )
        return self._response(body, compressed, {**_JSON, hdrs.VARY: "Accept-Encoding"})

    async def static(self, request: web.Request) -> web.StreamResponse:
        found = STATIC.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, content_type = found
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, content_type=content_type, headers=headers)

    def _response(
        self, body: bytes, compressed: bool, headers: Mapping[str, str], status: int = 200
    ) -> web.StreamResponse:
        """What is shown, if there is room for it. Prometheus needs none."""
        if not self._under_way.has_room(body):
            text = "more is being received than the exporter takes at once; try again\n"
            raise web.HTTPServiceUnavailable(text=text, headers=COME_AGAIN)
        return self._sent(body, compressed, headers, status)

    def _sent(
        self, body: bytes, compressed: bool, headers: Mapping[str, str], status: int = 200
    ) -> web.StreamResponse:
        sent = body if len(body) <= PIECE else InPieces(body, self._under_way)
        response = web.Response(body=sent, headers=headers, status=status)
        if compressed:
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return response

    @property
    def _details(self) -> bool:
        return self._settings.show_details


_JSON: Final = {hdrs.CONTENT_TYPE: "application/json; charset=utf-8", **_JSON_HEADERS}
_HTML: Final = {hdrs.CONTENT_TYPE: "text/html; charset=utf-8", **_PAGE_HEADERS}


def _no_such_target() -> web.HTTPNotFound:
    # Names no other target; whoever may see them finds them at /sd.
    return web.HTTPNotFound(text="no such target; /sd lists those of this exporter\n")


def _target_name(request: web.Request) -> str | None:
    """The target that the URL names; None if it names none."""
    names = request.query.getall("target", [])
    if len(names) > 1:
        raise web.HTTPBadRequest(text="takes one target\n")
    return names[0] if names else None


def _header(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, []))


def _gzip_accepted(request: web.Request) -> bool:
    return negotiation.gzip_accepted(_header(request, hdrs.ACCEPT_ENCODING))
