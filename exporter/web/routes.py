"""The routes: metrics, discovery, health, the API and the page. No PBX is asked for any of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from typing import Final, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import TypeAdapter

from exporter import metrics
from exporter.polling import Poller
from exporter.settings import SettingsError, WebSettings
from exporter.web import page
from exporter.web.auth import may_see
from exporter.web.views import SessionView, TargetView, session_views, target_view, trouble

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Reload = Callable[[], Awaitable[None]]
"""Reads the files again. Raises SettingsError if one is wrong."""
View = TypeVar("View")

_TARGETS: Final = TypeAdapter(dict[str, list[TargetView]])
_SESSIONS: Final = TypeAdapter(dict[str, list[SessionView]])

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def application(
    settings: WebSettings,
    exporter: metrics.Exporter,
    *,
    peer_label: bool,
    reload: Reload | None,
) -> web.Application:
    """The routes. `reload` is None if no file is used: then there is nothing to reload.

    They check no login: Server has that done before them."""
    routes = _Routes(settings, exporter, peer_label, reload)
    # If asyncio's debug mode is on, aiohttp would show tracebacks to clients; they are for the log.
    app = web.Application(handler_args={"debug": False})
    app.router.add_get(settings.telemetry_path, routes.metrics)
    app.router.add_get("/probe", routes.probe)
    app.router.add_get("/sd", routes.discovery)
    app.router.add_get("/-/healthy", routes.healthy)
    app.router.add_get("/-/ready", routes.ready)
    app.router.add_post("/-/reload", routes.reload)
    app.router.add_get("/api/v1/targets", routes.targets)
    app.router.add_get("/api/v1/sessions", routes.sessions)
    app.router.add_get("/", routes.page)
    app.router.add_get("/static/{name}", routes.static)
    return app


class _Routes:
    """One handler for each path, and what they need."""

    def __init__(
        self,
        settings: WebSettings,
        exporter: metrics.Exporter,
        peer_label: bool,
        reload: Reload | None,
    ) -> None:
        self._settings = settings
        self._fleet = exporter.fleet
        self._peer_label = peer_label
        self._reload = reload
        self._registry = metrics.exporter_registry(exporter, peer_label=peer_label)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        return _encoded(request, self._registry)

    async def probe(self, request: web.Request) -> web.StreamResponse:
        name = _target_name(request)
        if name is None:
            raise web.HTTPBadRequest(text="takes the name of a target: /probe?target=NAME\n")
        poller = self._poller(name)
        return _encoded(request, metrics.target_registry(poller, peer_label=self._peer_label))

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        names = list(self._fleet.pollers)
        found = [{"targets": names, "labels": {}}] if names else []
        return _json(json.dumps(found).encode())

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="healthy\n")

    async def ready(self, request: web.Request) -> web.StreamResponse:
        stale = self._fleet.stale
        if not stale:
            return web.Response(text="ready\n")
        if not may_see(request):
            return web.Response(status=503, text="not ready\n")
        lines = [f"not ready: no fresh poll of {', '.join(stale)}"]
        for name in stale:
            why = trouble(self._fleet.pollers[name]) or "its last poll is too long ago"
            lines.append(f"{name}: {why}")
        return web.Response(status=503, text="\n".join(lines) + "\n")

    async def reload(self, request: web.Request) -> web.StreamResponse:
        if self._reload is None:
            raise web.HTTPNotFound(text="neither --config.file nor --web.config.file is set\n")
        try:
            await self._reload()
        except SettingsError as error:
            text = (
                f"of a file with a fault nothing is taken, what it said before goes on:\n{error}\n"
            )
            raise web.HTTPInternalServerError(text=text) from None
        return web.Response(text="reloaded\n")

    async def targets(self, request: web.Request) -> web.StreamResponse:
        views = await _one_by_one(
            target_view(name, poller, details=self._details)
            for name, poller in self._pollers(request)
        )
        return _json(_TARGETS.dump_json({"targets": views}))

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        views = await _one_by_one(
            session_views(name, poller, details=self._details)
            for name, poller in self._pollers(request)
        )
        return _json(_SESSIONS.dump_json({"sessions": list(chain.from_iterable(views))}))

    async def page(self, request: web.Request) -> web.StreamResponse:
        only = _target_name(request)
        if only is not None:
            self._poller(only)
        sections = await _one_by_one(
            page.sections_of(self._fleet, details=self._details, only=only)
        )
        text = await asyncio.to_thread(
            page.render,
            sections,
            details=self._details,
            telemetry_path=self._settings.telemetry_path,
            only=only,
            watched=len(self._fleet.pollers),
        )
        response = web.Response(text=text, content_type="text/html", headers=_PAGE_HEADERS)
        response.enable_compression()
        return response

    async def static(self, request: web.Request) -> web.StreamResponse:
        found = page.STATIC.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, content_type = found
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, content_type=content_type, headers=headers)

    @property
    def _details(self) -> bool:
        return self._settings.show_details

    def _poller(self, name: str) -> Poller:
        poller = self._fleet.pollers.get(name)
        if poller is None:
            # Names no other target; whoever may see them finds them at /sd.
            raise web.HTTPNotFound(text="no such target; /sd lists those of this exporter\n")
        return poller

    def _pollers(self, request: web.Request) -> list[tuple[str, Poller]]:
        name = _target_name(request)
        return list(self._fleet.pollers.items()) if name is None else [(name, self._poller(name))]


async def _one_by_one(views: Iterable[View]) -> list[View]:
    """All of them, with a pause after each, so that the polls of a large fleet are not held up."""
    seen = []
    for view in views:
        seen.append(view)
        await asyncio.sleep(0)
    return seen


def _target_name(request: web.Request) -> str | None:
    """The target that the URL names; None if it names none."""
    names = request.query.getall("target", [])
    if len(names) > 1:
        raise web.HTTPBadRequest(text="takes one target\n")
    return names[0] if names else None


def _encoded(request: web.Request, registry: CollectorRegistry) -> web.Response:
    try:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    except (TypeError, ValueError):  # it cannot read the version that the client asks for
        encode, content_type = choose_encoder("")
    response = web.Response(body=encode(registry), headers={"Content-Type": content_type})
    response.enable_compression()
    return response


def _json(body: bytes) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    response = web.Response(body=body, content_type="application/json", headers=headers)
    response.enable_compression()
    return response
