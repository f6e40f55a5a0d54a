"""The command: does what its flags ask for, and returns the exit status.

It builds the pollers and starts the web process, runs until a signal, and ends them in order.
"""

import asyncio
import contextlib
import logging
import random
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

from exporter import __version__, ending, garbage, log
from exporter.descriptors import raise_limit, targets_that_fit
from exporter.fax_log import FaxFile, FaxJournal, fax_log
from exporter.health import HealthSocket
from exporter.health_check import health_check
from exporter.history import FaxHistory
from exporter.history import fault as history_fault
from exporter.ledger import EndedFax
from exporter.link import Answering
from exporter.listening import open_sockets, url_of
from exporter.notify import Notifier
from exporter.peer_file import PeerFile
from exporter.polling import Fleet, Lateness, LoopTime, cancel_and_wait, new_loop, since_boot
from exporter.reload import Reload
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

_CHECKED_AT_ONCE: Final = 256
"""PBXs that --check-pbx is connected to at most."""

_DAY_SECONDS: Final = 25 * 3600.0
"""Of the longest day: as long ago began today, by any clock on a wall."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Returns the exit status: 0; 1 if it cannot listen, or a PBX
    lacks something or cannot be set up; 2 if a setting, or a file named by one, is wrong."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        settings = load(argv)
        if settings.health_check:  # by its variable, or __main__.py had seen it
            return health_check(argv)
        standard_error = log.setup(settings.log.level, settings.log.format)
        if settings.config.check:
            return asyncio.run(_check_files(settings))
        if settings.check_pbx:
            return asyncio.run(_check_pbxs(settings))
        if settings.setup_pbx:
            from exporter.setup_pbx import Wish, setup_pbx  # imported here: only this needs it

            return setup_pbx(Wish(settings.dry_run, settings.remove, settings.yes))
        spent = LoopTime()
        with asyncio.Runner(loop_factory=partial(new_loop, spent)) as runner:
            return runner.run(_run(settings, standard_error, spent))
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
            targets = await ConfigFile(settings.config.file, settings.config.share).read()
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
    from exporter.check_pbx import WIDTH, Report, check, text  # as above

    at_once = asyncio.Semaphore(min(_CHECKED_AT_ONCE, targets_that_fit(raise_limit())))

    async def check_one(name: str, ami: AmiSettings) -> Report:
        async with at_once:
            return await check(name, ami)

    async with _targets(settings, _config_file(settings)) as targets:
        reports = await asyncio.gather(*(check_one(name, ami) for name, ami in targets.items()))
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    say("\n\n".join(text(report, width) for report in reports))
    return 1 if any(report.wrong for report in reports) else 0


async def _run(settings: Settings, standard_error: log.Lines, spent: LoopTime) -> int:
    """Watches and serves until a signal. Raises SettingsError before anything has started."""
    loop, notifier, hung_up = asyncio.get_running_loop(), Notifier(), _HungUp()
    serving = asyncio.create_task(_serve(settings, standard_error, spent, notifier, hung_up))

    def end() -> None:
        logger.info("ending")
        notifier.stopping()
        serving.cancel()

    def soon(call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(call)

    ending.in_good_order(partial(soon, end), partial(soon, hung_up.take))
    try:
        return await serving
    except asyncio.CancelledError:
        return 0
    finally:
        ending.in_good_order(None, None)


class _HungUp:
    """SIGHUP calls what reads files again; one that came before there was such a thing calls it
    then."""

    def __init__(self) -> None:
        self._call: Callable[[], None] | None = None
        self._came = False

    def calls(self, call: Callable[[], None]) -> None:
        """From now on it calls this."""
        self._call = call
        if self._came:
            call()

    def take(self) -> None:
        """It came."""
        self._came = True
        if self._call is not None:
            self._call()


async def _serve(
    settings: Settings,
    standard_error: log.Lines,
    spent: LoopTime,
    notifier: Notifier,
    hung_up: _HungUp,
) -> int:
    """Watches and serves until it is cancelled; returns the exit status if it could not begin.
    Raises SettingsError before anything has started."""
    file = _config_file(settings)
    one = None if settings.ami is None or settings.demo else OneTarget(settings.ami)
    backgrounds: set[asyncio.Task[None]] = set()
    async with contextlib.AsyncExitStack() as stack:
        targets = await stack.enter_async_context(_targets(settings, file, one))
        logger.info("asterisk-fax-exporter %s", __version__)
        raise_limit()
        peers = settings.metrics.peer_limit if settings.metrics.peer_label else None
        peer_file = None
        if settings.metrics.peer_file is not None:
            peer_file = PeerFile(settings.metrics.peer_file)
        faxes, lines = fax_log(settings.log, standard_error)
        history = FaxHistory(settings.history, details=settings.web.show_details)
        history.start()
        # Once the fleet is closed, which tells what waits.
        stack.push_async_callback(_write_the_last, history, lines, backgrounds)
        earlier = await history.earlier(time.time() - _DAY_SECONDS)
        fleet = Fleet(
            settings.poll.interval,
            peers,
            peer_file.remembered if peer_file else None,
            tell=_tell_all(*([faxes.tell] if faxes else []), history.take),
            earlier=lambda name: earlier.pop(name, None),
            lateness=Lateness(settings.poll.interval, spent, since_boot=since_boot),
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
        hung_up.calls(reload.soon)
        # The stack unwinds in reverse: a reload ends first, since it could start new pollers.
        stack.push_async_callback(fleet.close)
        stack.push_async_callback(reload.close)
        stack.push_async_callback(web.stop)
        await web.start()
        health = HealthSocket(sockets)
        stack.callback(health.close)
        scheme = "https" if web.tls else "http"
        for each in sockets:
            url = url_of(each, scheme) + settings.web.telemetry_path
            logger.info("listening", extra={"fields": {"url": url}})
        # Before there are so many that even to begin with them all takes long.
        punctuality = asyncio.create_task(fleet.lateness.follow(lambda: len(fleet.pollers)))
        stack.callback(punctuality.cancel)
        await fleet.watch(targets)
        earlier.clear()  # a target that a reload adds was not watched until then
        reload.begin()
        following = [notifier.follow(fleet), health.answer(web.fault)]
        following.append(garbage.follow(lambda: [p.identity for p in fleet.pollers.values()]))
        if peer_file is not None:
            following.append(peer_file.follow(fleet))
        if settings.demo:
            following.append(_announce(_as_typed(url_of(sockets[0], scheme)), fleet))
        for each_of_them in following:
            backgrounds.add(task := asyncio.create_task(each_of_them))
            stack.callback(task.cancel)
        notifier.ready()
        for_ever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await for_ever


async def _write_the_last(
    history: FaxHistory, lines: FaxFile | FaxJournal | None, backgrounds: set[asyncio.Task[None]]
) -> None:
    """Writes all at the same time, since each may hang, and none for longer than there is left.
    `backgrounds`: those that are cancelled already, and may still write."""
    writing = [history.close(), _ended(backgrounds)]
    if lines is not None:
        writing.append(asyncio.to_thread(lines.close))
    await asyncio.gather(*writing)


async def _ended(backgrounds: set[asyncio.Task[None]]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ending.seconds_left(ending.WRITTEN)):
            for outcome in await asyncio.gather(*backgrounds, return_exceptions=True):
                if isinstance(outcome, Exception):
                    logger.error("not all that was to be written could be", exc_info=outcome)


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
    return None if path is None else ConfigFile(path, settings.config.share)


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
