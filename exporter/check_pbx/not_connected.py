"""Why there is no connection to a PBX, or no login, and what to change in its manager.conf.

The lines to add shut out nobody else, or the advice says whom.
"""

from typing import Final

from exporter.ami import AmiError, Cause, ConnectError, LoginRefused, ShuttingDown
from exporter.check_pbx.addresses import address_here, address_of, permit
from exporter.check_pbx.report import Finding, Lines, Verdict
from exporter.settings import AmiSettings

_LOWEST_PORT: Final = 1024
"""The least that `port` in manager.conf may be."""


async def not_connected(error: AmiError, settings: AmiSettings) -> Finding:
    """Why there is none, and what to do where that is for Asterisk to mend."""
    text = str(error)
    if isinstance(error, ShuttingDown):
        return shutting_down(text)
    if isinstance(error, LoginRefused):
        if error.cause is Cause.CREDENTIALS:
            return await _login_refused(text, settings)
        return Finding("login", Verdict.WRONG, text)
    if isinstance(error, ConnectError) and error.cause is Cause.REFUSED:
        return await nothing_listens(text, settings)
    return Finding("connection", Verdict.WRONG, text)


def shutting_down(text: str) -> Finding:
    """Asterisk is about to end, and lets nobody in."""
    do = (
        "wait: it refuses every action and login until its last call has ended, and then stops or "
        "starts again. Name and secret were not looked at. What calls it off:"
    )
    commands = ("asterisk -rx 'core abort shutdown'",)
    return Finding("shutting down", Verdict.WRONG, text, None, do, commands)


async def _login_refused(text: str, settings: AmiSettings) -> Finding:
    """Asterisk gives one answer for a wrong name, a wrong secret and a wrong address."""
    secret = settings.secret.get_secret_value()
    lines = ["secret = what --ami.secret-file holds"]
    # Asterisk does not say which. It refuses a file that adds with (+) to a section not there.
    do = (
        f"the user has to be there: if manager.conf and what it includes have no "
        f"[{settings.username}], paste a whole one, from docs/install.md or the snippets, not the "
        "lines below, for which Asterisk would refuse all of the file. If there is one, it has to "
        "have this secret, and to be let in from this machine's address"
    )
    if ";" in secret:
        lines = [r"secret = what --ami.secret-file holds, with \; for each ;"]
        do += r"; the secret has a ';', where manager.conf ends a value: there it is written '\;'"
    if secret != secret.strip(" "):
        do += "; the secret has blanks at an end, which manager.conf takes away: use another"
    if here := await address_here(settings):
        lines.append(permit(here))
    if here is None or not here.is_loopback:
        do += "; permit is the address that the PBX sees this machine by, if it is another there"
    do += ". Who is there:"
    commands = ("asterisk -rx 'manager show users'",)
    found = Lines("manager.conf", settings.username, tuple(lines))
    return Finding("login", Verdict.WRONG, text, found, do, commands)


async def nothing_listens(text: str, settings: AmiSettings) -> Finding:
    """What makes Asterisk listen there, and nowhere else."""
    host, port = settings.host, settings.port
    flag, default = ("tlsbindaddr", 5039) if settings.tls else ("bindaddr", 5038)
    do = (
        f"if {flag} has another port in Asterisk than {port}, set --ami.port to that (Asterisk's "
        f"own is {default}); "
    )
    commands = ("asterisk -rx 'manager show settings'",)
    if port < _LOWEST_PORT:
        do += f"it cannot have one below {_LOWEST_PORT}. Where it listens:"
        return Finding("connection", Verdict.WRONG, text, None, do, commands)
    address = await address_of(host)
    # There can be only one such line: with another address, it shuts out who uses the old one.
    if address is not None and address.is_loopback:
        do += "if another address, set --ami.host to that, which others may use; if it listens "
        do += "nowhere, add the lines, (+) only if there is a [general]"
    else:
        do += (
            "if it listens nowhere, or not at this address, add the lines, (+) only if there is a "
        )
        do += "[general] (with the PBX's own address, if it is another there); but what uses the "
        do += "other address is then shut out"
        if not settings.tls:
            do += ", as FreePBX itself at 127.0.0.1: rather give tlsbindaddr this address, and set "
            do += "--ami.tls"
    do += ". Where it listens, if Asterisk runs:"
    shown = str(address) if address is not None else f"the address of {host}"
    lines: tuple[str, ...] = (f"port = {port}", f"bindaddr = {shown}")
    if settings.tls:
        shown = f"[{shown}]" if address is not None and address.version == 6 else shown
        listen = f"tlsbindaddr = {shown}:{port}"
        lines = ("tlsenable = yes", listen, "tlscertfile = FILE", "tlsprivatekey = FILE")
    return Finding(
        "connection",
        Verdict.WRONG,
        text,
        Lines("manager.conf", "general", ("enabled = yes", *lines)),
        do,
        commands,
    )
