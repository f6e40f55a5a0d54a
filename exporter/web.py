"""HTTP: /metrics, health and a page that says where they are. Nothing here asks a PBX anything."""

import html
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter import __version__
from exporter.settings import WebSettings

SHUTDOWN_SECONDS: Final = 1.0
"""Time that a scrape under way has to finish when the exporter ends."""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Asterisk fax exporter</title></head>
<body><h1>Asterisk fax exporter</h1><p>Version {version}</p>
<ul><li><a href="{path}">Metrics</a></li><li><a href="/-/healthy">Health</a></li></ul>
</body></html>
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(settings: WebSettings, registry: CollectorRegistry) -> web.Application:
    """The routes."""
    app = web.Application()
    app.router.add_get(settings.telemetry_path, _metrics(registry))
    app.router.add_get("/-/healthy", _healthy)
    page = _PAGE.format(version=html.escape(__version__), path=html.escape(settings.telemetry_path))
    app.router.add_get("/", _page(page))
    return app


async def serve(settings: WebSettings, registry: CollectorRegistry) -> web.AppRunner:
    """Listens; the caller ends it with `cleanup()`. Raises OSError if the address is not free."""
    runner = web.AppRunner(application(settings, registry), access_log=None)
    await runner.setup()
    address = settings.listen_address
    try:
        site = web.TCPSite(runner, address.host, address.port, shutdown_timeout=SHUTDOWN_SECONDS)
        await site.start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def _metrics(registry: CollectorRegistry) -> Handler:
    async def metrics(request: web.Request) -> web.StreamResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.Response(body=encode(registry), headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    return metrics


async def _healthy(request: web.Request) -> web.StreamResponse:
    return web.Response(text="healthy\n")


def _page(text: str) -> Handler:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type="text/html")

    return page
