"""What bash and zsh complete, from the parser of the command line."""

from pathlib import Path
from typing import Final, Literal, get_args, get_origin

import shtab

from exporter.settings import PROGRAM, SETTINGS, argument_parser

BASH: Final = Path(f"deploy/completion/{PROGRAM}.bash")
ZSH: Final = Path(f"deploy/completion/_{PROGRAM}")


def text(shell: Literal["bash", "zsh"]) -> str:
    """The completion script of a shell."""
    parser = argument_parser()
    for action in parser._actions:
        setting = next((s for s in SETTINGS if s.key == action.dest), None)
        if setting is not None:
            # Of a help text zsh shows the first line, wherever that ends.
            action.help = setting.description.partition(". ")[0].removesuffix(".") + "."
            if get_origin(setting.field.annotation) is Literal:
                action.choices = get_args(setting.field.annotation)
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell, root_prefix=PROGRAM.replace("-", "_")))
