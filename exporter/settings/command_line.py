"""The command line: which flags there are, --help, and what a user gave."""

import argparse
import re
import textwrap
from collections.abc import Sequence
from typing import Any, Final

from exporter import __version__
from exporter.settings.declarations import BY_PATH, SETTINGS, Setting
from exporter.settings.problems import Loc, Place, SettingsError, no_such

PROGRAM: Final = "asterisk-fax-exporter"


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser; the man page and the shells' completion are made from it too."""
    parser = argparse.ArgumentParser(
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
    # Before all else: what follows it is certainly a secret.
    if any(word.partition("=")[0] == "--ami.secret" for word in argv):
        secret_file, secret = BY_PATH["ami", "secret_file"], BY_PATH["ami", "secret"]
        raise SettingsError(
            "--ami.secret: a secret is never a flag, since others could read it; "
            f"set {secret_file.flag} or {secret.variable}"
        )
    parser = argument_parser()
    known, problems = _sorted_out(argv, parser)
    try:
        given = vars(parser.parse_args(known))
    except argparse.ArgumentError as error:
        problems.append(_misused(error.argument_name or ""))
    if problems:
        raise SettingsError("\n".join(problems))
    return {setting.path: given[setting.key] for setting in SETTINGS if setting.key in given}


def _sorted_out(
    argv: Sequence[str], parser: argparse.ArgumentParser
) -> tuple[list[str], list[str]]:
    """Return the words that argparse knows, each value joined to its flag, and a line for each
    other word and each flag given twice. argparse would repeat words, and one may be a password."""
    actions = {name: action for action in parser._actions for name in action.option_strings}
    once = {setting.key for setting in SETTINGS if not setting.is_repeatable}
    flags = [setting.flag for setting in SETTINGS if not setting.is_secret]
    words: list[str] = []
    problems: dict[str, None] = {}
    seen: set[str] = set()
    awaited = unknown = False  # a value, by the word before; that word
    for place, word in enumerate(argv, 1):
        if awaited and not re.match("--|-h$", word):
            words[-1] += (
                f"={word}"  # else argparse would take one that begins with a dash for a flag
            )
            awaited = False
            continue
        name, equals, _ = word.partition("=")
        action = actions.get(name)
        if action is not None:
            if action.dest in seen & once:
                problems[f"{action.option_strings[0]}: given twice, and only one can hold"] = None
            seen.add(action.dest)
            words.append(word)
        elif word == "--":  # what follows would be no flag
            problems["--: no such argument; there are only flags"] = None
        elif word.startswith("-"):
            problems[no_such(f"argument {place}", name, flags)] = None
        elif not unknown:  # else it was meant as its value
            problems[f"argument {place}: no flag, and there are only flags"] = None
        awaited = action is not None and action.nargs != 0 and not equals
        unknown = action is None and word.startswith("-") and not equals
    return words, list(problems)


def _misused(names: str) -> str:
    """What is wrong with a flag whose value is missing, or that takes none. `names`: the flag, and
    after a slash its opposite."""
    flag, _, opposite = names.partition("/")
    setting = next((s for s in SETTINGS if s.flag == flag), None)
    if setting is None or setting.is_switch:
        return f"{flag}: takes no value" + (f"; its opposite is {opposite}" if setting else "")
    return Place(flag, setting.accepts).refusal("no value")
