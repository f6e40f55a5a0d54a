"""What one connection to an Asterisk tells, asked in a way that changes nothing.

The actions that polls ask are asked once, FAXSession never. ListCommands tells the write classes,
since it lists what this user may; Getvar with AST_CONFIG reads what no action tells out of
manager.conf and res_fax.conf, where func_config is loaded (measured on Asterisk 16.28 and 22.10).
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from exporter.ami import Answer, Connection, ConnectionLost, Request
from exporter.check_pbx import manager_conf
from exporter.check_pbx.manager_conf import INCLUDED, NEW_EVENTFILTERS, setting
from exporter.fax import FaxResult, parse_result, printable
from exporter.polling import CORESETTINGS, CORESTATUS, FAXSESSIONS, FAXSTATS

RES_FAX_SPANDSP: Final = "IFMODULE(res_fax_spandsp.so)"

_LISTCOMMANDS: Final = Request("ListCommands")
_MAX_FILTERS: Final = 10
"""Lines asked for at most."""
_STEP: Final = 0.05
"""Seconds between two looks whether anything came."""


@dataclass
class Seen:
    """What came back, answers and events."""

    answers: dict[str, Answer] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """What Getvar read; '' also where Asterisk lacks the function."""
    may_getvar: bool = True
    filters: list[str] = field(default_factory=list)
    """The eventfilter lines of the user, in the old syntax."""
    results: list[FaxResult] = field(default_factory=list)
    """Those of the completion events that came."""
    events: int = 0
    """Completion events, also those that could not be read."""
    unwanted: bool = False
    """Other events came too, which an eventfilter should stop."""

    def hear(self, event: str) -> None:
        """Takes a completion event."""
        self.events += 1
        result = parse_result(event, [])
        if result is not None:
            self.results.append(result)

    def value(self, file: str, section: str, name: str) -> str:
        """What a line of a file says; '' if it was not read."""
        return self.values.get(setting(file, section, name), "")

    def classes(self, user: str, name: str) -> set[str]:
        """The classes of the user's read or write line; none if it cannot be read."""
        return manager_conf.classes(self.value("manager.conf", user, name))

    @property
    def reads_files(self) -> bool:
        """Whether Getvar told what stands in files."""
        # `enabled` is in every manager.conf that lets anybody in.
        return bool(self.value("manager.conf", "general", "enabled"))

    @property
    def version(self) -> str:
        """Asterisk's; empty if it may not tell."""
        return printable(str(self.answers["CoreSettings"].headers.get("AsteriskVersion", "")))

    @property
    def shutting_down(self) -> bool:
        """Whether Asterisk is, and so refuses every action."""
        return any(answer.shutting_down for answer in self.answers.values())


async def ask(connection: Connection, user: str, seen: Seen) -> None:
    """Asks everything, as this user, and notes in `seen` what comes. Raises ConnectionLost."""
    requests = [_LISTCOMMANDS, CORESETTINGS, CORESTATUS, FAXSESSIONS, FAXSTATS]

    def take(answer: Answer) -> None:
        seen.answers[answer.request.action] = answer

    await connection.ask_each(requests, take)
    if seen.shutting_down:
        return  # Asterisk would log an error for each further action
    await _get(connection, RES_FAX_SPANDSP, seen)

    async def get(file: str, section: str, name: str, index: int = -1) -> str:
        return await _get(connection, setting(file, section, name, index), seen)

    # Asterisk logs an error for a function it does not have, so the rest only if there is one.
    if not await get("manager.conf", "general", "enabled"):
        return
    channelvars = await get("manager.conf", "general", "channelvars")
    if manager_conf.missing_variables(channelvars):
        # Only then, since Asterisk logs a warning if such a file adds to a section of another.
        for file in INCLUDED:
            await get(file, "general", "channelvars")
    await get("manager.conf", "general", "disabledevents")
    await get("res_fax.conf", "general", "ecm")
    if manager_conf.can_ask_for(user):
        for name in ("read", "write"):
            await get("manager.conf", user, name)
        if not any(seen.classes(user, name) for name in ("read", "write")):
            await get("users.conf", user, "hasmanager")
            await get("users.conf", "general", "hasmanager")
        for index in range(_MAX_FILTERS):
            if not (value := await get("manager.conf", user, "eventfilter", index)):
                break
            seen.filters.append(value)
        if not seen.filters:
            for name in NEW_EVENTFILTERS:
                await get("manager.conf", user, name)


async def _get(connection: Connection, variable: str, seen: Seen) -> str:
    answer = await connection.ask(Request("Getvar", headers={"Variable": variable}))
    seen.may_getvar &= not answer.denied
    value = str(answer.headers.get("Value", "")) if answer.success else ""
    seen.values[variable] = value
    return value


async def unwanted_events(connection: Connection, seen: Seen, seconds: float) -> bool:
    """Whether anything but completion events comes. Nothing is asked meanwhile, so it can only be
    other events. Raises ConnectionLost."""
    loop = asyncio.get_running_loop()
    unwanted, end = False, loop.time() + seconds
    while (begun := loop.time()) < end:
        events = seen.events
        await asyncio.wait([connection.lost], timeout=min(_STEP, end - begun))
        if connection.lost.done():
            raise ConnectionLost(f"connection lost: {connection.lost.result()}")
        if seen.events == events and connection.silent_for < loop.time() - begun:
            unwanted = True
    return unwanted


def message_of(answer: Answer) -> str:
    """Asterisk's words, or that there are none."""
    return printable(answer.message) or ("never answered" if answer.lost else "no reason given")
