"""The check of one Asterisk: one connection to it, and all findings, in the order of the report.

asking.py asks, ami_user.py, general.py and fax_modules.py judge the answers, report.py prints.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.ami import SHUTTING_DOWN, AmiError, connect
from exporter.check_pbx import ami_user, fax_modules, general, manager_files
from exporter.check_pbx.addresses import Address, address_here
from exporter.check_pbx.asking import Seen, ask, unwanted_events
from exporter.check_pbx.not_connected import not_connected, shutting_down
from exporter.check_pbx.report import Finding, Report, Verdict
from exporter.fax import Version
from exporter.polling import troubles
from exporter.settings import AmiSettings

LISTEN: Final = 2.0
"""Seconds to listen for events that nobody asked for."""


async def check(
    name: str,
    settings: AmiSettings,
    *,
    listen: float = LISTEN,
    folder: Path = manager_files.FOLDER,
) -> Report:
    """Connects, asks, listens for `listen` seconds and leaves. Errors of AMI are findings, and
    none is raised. `folder`: where manager.conf is, if the PBX is on this machine."""
    user, timeout, seen = settings.username, settings.timeout, Seen()
    no_answer = f"no answer within {timeout:g} s; {troubles.SLOW}, see --ami.timeout"
    try:
        connection = await connect(settings, seen.hear)
    except AmiError as error:
        return Report(name, (await not_connected(error, settings),))
    try:
        async with asyncio.timeout(timeout):
            await ask(connection, user, seen)
        seen.unwanted = await unwanted_events(connection, seen, listen)
        ami_version = connection.ami_version
    except (AmiError, TimeoutError) as error:
        text = str(error) or no_answer
        return Report(name, (Finding("connection", Verdict.WRONG, f"logged in, then: {text}"),))
    finally:
        connection.close()
    if seen.shutting_down:
        return Report(name, (shutting_down(SHUTTING_DOWN),))
    here = await address_here(settings)
    return Report(name, tuple(_findings(seen, settings, ami_version, here, folder)))


def _findings(
    seen: Seen, settings: AmiSettings, ami_version: str, here: Address | None, folder: Path
) -> Iterator[Finding]:
    """In the order of the report. `here`: see `address_here`."""
    user, version = settings.username, Version.parse(seen.version)
    unknown = "an Asterisk that may not tell its version"
    what = f"Asterisk {seen.version}" if seen.version else unknown
    how = "with TLS" if settings.tls else "without TLS"
    yield Finding("connection", Verdict.OK, f"{what}, AMI {ami_version}, {how}")
    yield Finding("login", Verdict.OK, f"user {user}")
    if here is not None and here.is_loopback:
        yield from general.second_general(manager_files.sections(folder), user)
    yield from ami_user.findings(seen, user, version, here)
    yield fax_modules.res_fax(seen, version)
    yield fax_modules.spandsp(seen)
    yield general.channelvars(seen, version)
    yield from general.disabledevents(seen)
    yield fax_modules.ecm(seen)
