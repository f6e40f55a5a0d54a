"""The command line: which flags there are, --help, and what a user gave."""

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from exporter import __version__
from exporter.settings.declarations import BY_PATH, SETTINGS, Path, Setting
from exporter.settings.problems import SettingsError, no_such, quoted

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
        _add(groups[setting.group], setting)
    return parser


def _add(group: argparse._ArgumentGroup, setting: Setting) -> None:
    if setting.is_secret:
        # Every user of the machine can read the flags of a process.
        group.description = (
            f"The secret is in --ami.secret-file or in the variable {setting.variable};\n"
            "it is never a flag."
        )
        return
    text = textwrap.fill(setting.description, 68)
    text = f"{text}\n({setting.default}; {setting.variable})".replace("%", "%%")
    if setting.field.annotation is bool:
        group.add_argument(
            setting.flag, dest=setting.key, action=argparse.BooleanOptionalAction, help=text
        )
    else:
        group.add_argument(
            setting.flag, dest=setting.key, metavar=setting.accepts.metavar, help=text
        )


def flags_given(argv: Sequence[str]) -> dict[Path, Any]:
    """Return the flags given, by the path of their setting.

    Raises SettingsError, SystemExit after --help and --version.
    """
    # Before argparse, which repeats what it does not understand.
    if any(word.partition("=")[0] == "--ami.secret" for word in argv):
        secret_file, secret = BY_PATH["ami", "secret_file"], BY_PATH["ami", "secret"]
        raise SettingsError(
            "--ami.secret: a secret is never a flag, since others could read it; "
            f"set {secret_file.flag} or {secret.variable}"
        )
    flags, rest = argument_parser().parse_known_args(list(argv))
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
