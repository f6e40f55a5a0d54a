"""The command line: which flags there are, --help, and what a user gave."""

import argparse
import re
import textwrap
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from exporter import __version__
from exporter.settings.declarations import BY_PATH, SETTINGS, Setting
from exporter.settings.problems import Loc, Place, SettingsError, no_such, quoted

PROGRAM: Final = "asterisk-fax-exporter"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser; the man page and the shells' completion are made from it too."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --ami.username NAME --ami.secret-file FILE [flags]\n"
        f"       {PROGRAM} --config.file FILE [flags]\n"
        f"       {PROGRAM} --demo [flags]",
        description="Prometheus exporter for the faxes of Asterisk.",
        epilog="Each flag can be set by the environment variable beside it; the flag wins.\n"
        "An empty variable is not set.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,  # but raise ArgumentError, which names the flag
        formatter_class=argparse.RawTextHelpFormatter,
    )
    groups = {"General": parser.add_argument_group("General")}
    groups["General"].add_argument("-h", "--help", action="help", help="Show this help and exit.")
    groups["General"].add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}", help="Show the version."
    )
    for setting in SETTINGS:
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        _add_flag(groups[setting.group], setting)
    return parser


def _add_flag(group: argparse._ArgumentGroup, setting: Setting) -> None:
    if setting.is_secret:
        # Every user of the machine can read the flags of a process.
        group.description = (
            f"The secret is in --ami.secret-file or in the variable {setting.variable};\n"
            "it is never a flag."
        )
        return
    text = textwrap.fill(setting.description, 68)
    text = f"{text}\n({setting.default}; {setting.variable})".replace("%", "%%")
    if setting.is_switch:
        group.add_argument(
            setting.flag, dest=setting.key, action=argparse.BooleanOptionalAction, help=text
        )
    else:
        group.add_argument(
            setting.flag,
            dest=setting.key,
            metavar=setting.accepts.metavar,
            action="append" if setting.is_repeatable else "store",
            help=text,
        )


def flags_given(argv: Sequence[str]) -> dict[Loc, Any]:
    """Return the flags given, by the path of their setting; a repeatable one is a list.

    Raises SettingsError, SystemExit after --help and --version.
    """
    # Before argparse, which repeats what it does not understand.
    if any(word.partition("=")[0] == "--ami.secret" for word in argv):
        secret_file, secret = BY_PATH["ami", "secret_file"], BY_PATH["ami", "secret"]
        raise SettingsError(
            "--ami.secret: a secret is never a flag, since others could read it; "
            f"set {secret_file.flag} or {secret.variable}"
        )
    if "--" in argv:  # what follows would be no flag
        raise SettingsError("--: no such argument; there are only flags")
    parser = argument_parser()
    try:
        flags, rest = parser.parse_known_args(_with_dashed_values(argv, parser))
    except argparse.ArgumentError as error:
        raise SettingsError(_misused(error.argument_name or "")) from None
    # What follows an unknown flag may be a password its user took for the value of one, so it is
    # not repeated.
    unknown = [word.partition("=")[0] for word in rest if word.startswith("-")]
    if unknown:
        known = [setting.flag for setting in SETTINGS if not setting.is_secret]
        raise SettingsError("\n".join(no_such(flag, known) for flag in unknown))
    if rest:
        raise SettingsError(f"{quoted(rest[0])}: no such argument; there are only flags")
    given = vars(flags)
    return {setting.path: given[setting.key] for setting in SETTINGS if setting.key in given}


def _with_dashed_values(argv: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Join each value that begins with a dash to its flag: argparse would take it for a flag."""
    switches = {
        word for action in parser._actions if action.nargs == 0 for word in action.option_strings
    }
    words: list[str] = []
    for word in argv:
        flag = words[-1] if words else ""
        needs_value = flag.startswith("--") and "=" not in flag and flag not in switches
        if needs_value and re.match("-(?!-|h$)", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _misused(names: str) -> str:
    """What is wrong with a flag whose value is missing, or that takes none. `names`: the flag, and
    after a slash its opposite."""
    flag, _, opposite = names.partition("/")
    setting = next((s for s in SETTINGS if s.flag == flag), None)
    if setting is None or setting.is_switch:
        return f"{flag}: takes no value" + (f"; its opposite is {opposite}" if setting else "")
    return Place(flag, setting.accepts).refusal("no value")
