"""The command: settings, logging, one poller per Asterisk, HTTP, and an end in good order."""

import asyncio
import contextlib
import logging
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence

from exporter import __version__, log, metrics, web
from exporter.ledger import Ledger
from exporter.poller import Poller
from exporter.settings import AmiSettings, Settings, SettingsError, load

logger = logging.getLogger("exporter.main")  # __name__ is "__main__" here


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Returns the exit status: 0, 1 if it cannot listen, 2 if a
    setting is wrong."""
    try:
        settings = load(sys.argv[1:] if argv is None else argv)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    log.setup(settings.log.level, settings.log.format)
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logger.info("asterisk-fax-exporter %s", __version__)
    async with contextlib.AsyncExitStack() as stack:
        ami = settings.ami
        if settings.demo:
            ami = await stack.enter_async_context(_demo_pbx(ami))
        limit = settings.metrics.peer_limit if settings.metrics.peer_label else None
        poller = Poller(ami, settings.poll.interval, Ledger(limit))
        registry = metrics.registry(poller, peer_label=settings.metrics.peer_label)
        try:
            runner = await web.serve(settings.web, registry)
        except OSError as error:
            where = settings.web.listen_address
            logger.error("cannot listen on %s: %s; see --web.listen-address", where, error)
            return 1
        stack.push_async_callback(runner.cleanup)
        for host, port, *_ in runner.addresses:
            shown = f"[{host}]" if ":" in host else host
            path = settings.web.telemetry_path
            logger.info("listening", extra={"fields": {"url": f"http://{shown}:{port}{path}"}})
        watch = asyncio.create_task(poller.run())
        stack.push_async_callback(_cancel, watch)
        await stop.wait()
        logger.info("ending")
    return 0


@contextlib.asynccontextmanager
async def _demo_pbx(ami: AmiSettings) -> AsyncIterator[AmiSettings]:
    """An Asterisk that exists only in memory, with faxes moving, and how to log in to it."""
    from exporter import demo, demo_traffic  # nobody else pays for loading them

    pbx = demo.DemoPbx(username=ami.username, secret=ami.secret.get_secret_value())
    await pbx.start()
    traffic = asyncio.create_task(demo_traffic.traffic(pbx, rng=random.Random()))
    try:
        yield ami.model_copy(update={"host": pbx.host, "port": pbx.port, "tls": False})
    finally:
        await _cancel(traffic)
        await pbx.stop()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    sys.exit(main())
