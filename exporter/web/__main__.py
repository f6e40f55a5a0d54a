"""The web process: `python -m exporter.web`, started by web_process.py of the main one only.

Its standard input is the connection to that. It ends when that connection does.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from typing import Final

from exporter import log, parts
from exporter.descriptors import (
    TellOnce,
    connections_that_fit,
    in_use,
    raise_limit,
    too_few_for_connections,
)
from exporter.link import Order, Source, WebSetup, read_frame, send_line, shortened
from exporter.polling import cancel_and_wait
from exporter.settings import SettingsError, WebConfigFile
from exporter.web.routes import application
from exporter.web.server import Server

_KILLED_FIRST: Final = 500
"""Rather than the one that counts."""

_logger = logging.getLogger("exporter.web")  # __name__ is "__main__" here


def main() -> int:
    """Serves until the main process ends it. Returns the exit status."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    for number in signals:  # they are for the main process
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    parts.make_way(_KILLED_FIRST)
    try:
        link = socket.socket(fileno=os.dup(0))
    except OSError:
        print("this is a part of asterisk-fax-exporter, and started by it", file=sys.stderr)
        return 2
    return asyncio.run(_run(link))


async def _run(link: socket.socket) -> int:
    reader, writer = await asyncio.open_connection(sock=link)
    setup = await read_frame(reader)
    assert isinstance(setup, WebSetup)
    log.setup(setup.settings.log.level, setup.settings.log.format)
    asyncio.get_running_loop().set_exception_handler(TellOnce())
    source = Source(reader, writer)
    try:
        config = WebConfigFile(
            setup.settings.web.config_file,
            show_details=setup.settings.web.show_details,
            before=setup.protections,
        )
    except SettingsError as error:
        with contextlib.suppress(ConnectionError):
            await send_line(writer, {"wrong": shortened(str(error))})
            await reader.read()
        return 0
    wanted = setup.settings.web.max_connections
    fitting = connections_that_fit(wanted, raise_limit(), in_use())
    if (few := too_few_for_connections(wanted, fitting)) is not None:
        _logger.warning("%s", few)
    app = application(setup.settings, source, config, main_process=setup.main_process)
    server = Server(app, config, max_connections=fitting)
    await server.start([socket.socket(fileno=number) for number in setup.sockets])
    following = asyncio.create_task(config.follow())
    orders: set[asyncio.Task[None]] = set()

    async def obey(order: Order) -> None:
        if order.what == "stop":
            await server.stop()
            writer.close()
            return
        wrong = "" if order.what == "ping" or await config.reload() else config.fault
        said = {"done": order.number, "wrong": shortened(wrong), **_state(config)}
        await send_line(writer, said)

    def take(order: Order) -> None:
        task = asyncio.create_task(obey(order))
        orders.add(task)
        task.add_done_callback(orders.discard)

    with contextlib.suppress(ConnectionError):
        await send_line(writer, _state(config))
        await source.run(take)
    await cancel_and_wait(following)
    return 0


def _state(config: WebConfigFile) -> dict[str, list[str]]:
    """What the main process is told of the file: with what it keeps others out."""
    return {"protections": [each.name for each in config.current.protections]}


if __name__ == "__main__":
    sys.exit(main())
