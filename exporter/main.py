"""The command: does what its flags ask for, and returns the exit status.

It builds the pollers and starts the web process, runs until a signal, and ends them in order.
"""

import asyncio
import contextlib
import logging
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from exporter import __version__, log
from exporter.fax_log import FaxFile, fax_log
from exporter.history import FaxHistory
from exporter.history import fault as history_fault
from exporter.ledger import EndedFax
from exporter.link import Answering
from exporter.listening import open_sockets, url_of
from exporter.notify import Notifier
from exporter.peer_file import PeerFile
from exporter.polling import Fleet, cancel_and_wait
from exporter.reload import Reload, warn_of_descriptors
from exporter.settings import (
    AmiSettings,
    ConfigFile,
    OneTarget,
    Settings,
    SettingsError,
    Targets,
    WebConfigFile,
    load,
)
from exporter.web_process import WebProcess
from exporter.words import say, visible

_LOOK_SECONDS: Final = 0.05
"""Between two looks whether the demo is watched."""

_DAY_SECONDS: Final = 25 * 3600.0
"""Of the longest day: as long ago began today, by any clock on a wall."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Returns the exit status: 0; 1 if it cannot listen, or a checked
    PBX lacks something; 2 if a setting, or a file named by one, is wrong."""
    try:
        settings = load(sys.argv[1:] if argv is None else argv)
        standard_error = log.setup(settings.log.level, settings.log.format)
        if settings.config.check:
            return asyncio.run(_check_files(settings))
        if settings.check_pbx:
            return asyncio.run(_check_pbxs(settings))
        return asyncio.run(_run(settings, standard_error))
    except SettingsError as error:
        log.flush()
        say(str(error), sys.stderr)
        return 2
    finally:
        log.flush()  # before Python itself prints what ends the process


async def _check_files(settings: Settings) -> int:
    """Reads the files of settings, and prints which targets they name. Raises SettingsError."""
    problems = []
    if settings.web.config_file is not None:
        try:
            WebConfigFile(settings.web.config_file, show_details=settings.web.show_details)
            say(f"{settings.web.config_file}: no fault found")
        except SettingsError as error:
            problems.append(str(error))
    if settings.config.file is not None:
        try:
            targets = await ConfigFile(settings.config.file, settings.config.shard).read()
            names = ", ".join(targets) or "none"
            say(f"{settings.config.file}: no fault found; targets: {names}")
        except SettingsError as error:
            problems.append(str(error))
    if settings.history.file is not None:
        if (fault := history_fault(settings.history.file)) is not None:
            problems.append(f"--history.file: {visible(str(settings.history.file))}: {fault}")
        else:
            say(f"{settings.history.file}: no fault found")
    if problems:
        raise SettingsError("\n".join(problems))
    if settings.ami is not None and not settings.demo:
        await OneTarget(settings.ami).read()
    files = (settings.config.file, settings.web.config_file, settings.history.file)
    if not any(files):
        say("settings: no fault found")
    return 0


async def _check_pbxs(settings: Settings) -> int:
    """Asks each Asterisk once, and prints what it lacks. Raises SettingsError."""
    from exporter.check_pbx import WIDTH, check, text  # imported here: only this command needs it

    async with _targets(settings, _config_file(settings)) as targets:
        reports = await asyncio.gather(*(check(name, ami) for name, ami in targets.items()))
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    say("\n\n".join(text(report, width) for report in reports))
    return 1 if any(report.wrong for report in reports) else 0


async def _run(settings: Settings, standard_error: log.Lines) -> int:
    """Watches and serves until a signal. Raises SettingsError before anything has started."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    read_again_soon = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, read_again_soon.set)  # the files are about to be read
    file = _config_file(settings)
    one = None if settings.ami is None or settings.demo else OneTarget(settings.ami)
    notifier = Notifier()
    async with contextlib.AsyncExitStack() as stack:
        targets = await stack.enter_async_context(_targets(settings, file, one))
        logger.info("asterisk-fax-exporter %s", __version__)
        warn_of_descriptors(len(targets))
        peers = settings.metrics.peer_limit if settings.metrics.peer_label else None
        peer_file = None
        if settings.metrics.peer_file is not None:
            peer_file = PeerFile(settings.metrics.peer_file)
        history = FaxHistory(settings.history, details=settings.web.show_details)
        history.start()
        stack.push_async_callback(history.close)  # once the fleet is closed, too
        earlier = await history.earlier(time.time() - _DAY_SECONDS)
        faxes, lines = fax_log(settings.log, standard_error)
        if lines is not None:
            stack.callback(lines.close)  # once the fleet is closed, which tells what waits
        fleet = Fleet(
            settings.poll.interval,
            peers,
            peer_file.remembered if peer_file else None,
            tell=_tell_all(*([faxes.tell] if faxes else []), history.take),
            earlier=lambda name: earlier.pop(name, None),
        )
        try:
            sockets = open_sockets(settings.web)
        except OSError as error:
            logger.error("%s", error)
            return 1
        for each in sockets:
            stack.callback(each.close)
        answering = Answering(fleet, file, history)
        if faxes is not None:
            answering.fax_lines_lost = lambda: faxes.lost
        web = WebProcess(settings, sockets, answering)
        web_file = web.reload if settings.web.config_file is not None else None
        read_again = one if one is not None and one.can_change else file
        reopen = lines.reopen if isinstance(lines, FaxFile) else None
        reload = Reload(fleet, read_again, web_file, notifier, reopen)
        if reload.possible:
            answering.reload = reload
        loop.add_signal_handler(signal.SIGHUP, reload.soon)
        if read_again_soon.is_set():
            reload.soon()
        # The stack unwinds in reverse: a reload ends first, since it could start new pollers.
        stack.push_async_callback(fleet.close)
        stack.push_async_callback(reload.close)
        stack.push_async_callback(web.stop)
        await web.start()
        scheme = "https" if web.tls else "http"
        for each in sockets:
            url = url_of(each, scheme) + settings.web.telemetry_path
            logger.info("listening", extra={"fields": {"url": url}})
        await fleet.watch(targets)
        earlier.clear()  # a target that a reload adds was not watched until then
        reload.begin()
        backgrounds = [notifier.follow(fleet)]
        if peer_file is not None:
            backgrounds.append(peer_file.follow(fleet))
        if settings.demo:
            backgrounds.append(_announce(_as_typed(url_of(sockets[0], scheme)), fleet))
        for background in backgrounds:
            stack.push_async_callback(cancel_and_wait, asyncio.create_task(background))
        notifier.ready()
        await stop.wait()
        logger.info("ending")
        notifier.stopping()
    return 0


def _tell_all(*tell: Callable[[str, EndedFax], None]) -> Callable[[str, EndedFax], None]:
    """Tells each of them of a fax that is over."""

    def all_of_them(target: str, fax: EndedFax) -> None:
        for one in tell:
            one(target, fax)

    return all_of_them


async def _announce(page: str, fleet: Fleet) -> None:
    """Prints where the demo's page is, below what is logged until the demo is watched."""
    while fleet.stale:
        await asyncio.sleep(_LOOK_SECONDS)
    await asyncio.to_thread(log.flush)
    say(f"The demo's page: {page}  (Ctrl-C ends it)")


def _as_typed(url: str) -> str:
    """The page's address for a browser on this machine, which cannot go to 0.0.0.0 or [::]."""
    return re.sub(r"//(0\.0\.0\.0|\[::\]):", "//127.0.0.1:", url) + "/"


def _config_file(settings: Settings) -> ConfigFile | None:
    path = settings.config.file
    return None if path is None else ConfigFile(path, settings.config.shard)


@contextlib.asynccontextmanager
async def _targets(
    settings: Settings, file: ConfigFile | None, one: OneTarget | None = None
) -> AsyncIterator[Targets]:
    """The targets to watch; a demo PBX lives until this context ends. Raises SettingsError."""
    ami = settings.ami
    if ami is None:
        assert file is not None  # without `ami` there is a file: the settings make sure of it
        yield await file.read()
    elif settings.demo:
        async with _demo_pbx(ami) as demo:
            yield {"demo": demo}
    else:
        yield await (one or OneTarget(ami)).read()


@contextlib.asynccontextmanager
async def _demo_pbx(ami: AmiSettings) -> AsyncIterator[AmiSettings]:
    """An Asterisk that exists only in memory, with faxes moving, and how to log in to it."""
    from exporter.demo import DemoPbx, run_traffic

    pbx = DemoPbx(username=ami.username, secret=ami.secret.get_secret_value())
    await pbx.start()
    traffic = asyncio.create_task(run_traffic(pbx, rng=random.Random()))
    try:
        yield ami.model_copy(update={"host": pbx.host, "port": pbx.port, "tls": False})
    finally:
        await cancel_and_wait(traffic)
        await pbx.stop()
