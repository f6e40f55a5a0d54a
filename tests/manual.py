"""What is written from the parser of the command line: the man page and the shells' completion.

    python -m tests.manual

writes them anew; a test tells when that is due.
"""

from pathlib import Path
from typing import Final, Literal, get_args, get_origin

import shtab
from argparse_manpage.manpage import Manpage

from exporter import __version__
from exporter.settings import PROGRAM, SETTINGS, argument_parser

ROOT: Final = Path(__file__).parent.parent
MAN_PAGE: Final = ROOT / f"docs/{PROGRAM}.1"
BASH: Final = ROOT / f"deploy/completion/{PROGRAM}.bash"
ZSH: Final = ROOT / f"deploy/completion/_{PROGRAM}"

_SYNOPSIS: Final = r"""
.B asterisk\-fax\-exporter
.B \-\-ami.username
.I NAME
.B \-\-ami.secret\-file
.I FILE
.RI [ flags ]
.br
.B asterisk\-fax\-exporter
.B \-\-config.file
.I FILE
.RI [ flags ]
.br
.B asterisk\-fax\-exporter
.B \-\-demo
.RI [ flags ]
""".strip()

_SECTIONS: Final = {
    "environment": r"""
Each flag can be set by the variable that stands with it; the flag wins.
An empty variable is not set.
The secret is never a flag, since all users of a machine can read those.
.PP
.B NOTIFY_SOCKET
and
.B WATCHDOG_USEC
are those of
.BR sd_notify (3);
the watchdog is fed while polls succeed or fail for a known reason.
""",
    "signals": r"""
.TP
.BR SIGTERM ", " SIGINT
End in good order.
.TP
.B SIGHUP
Read the files of
.B \-\-config.file
and
.B \-\-web.config.file
again.
One with a fault is refused, and what was there goes on.
""",
    "exit status": r"""
.TP
.B 0
It ended in good order, or what was to be checked is right.
.TP
.B 1
It cannot listen, or
.B \-\-check\-pbx
has found something wrong.
.TP
.B 2
A setting, or a file that one names, is wrong.
""",
    "examples": r"""
See it at work, without an Asterisk:
.PP
.RS
asterisk\-fax\-exporter \-\-demo
.RE
.PP
What does my Asterisk lack?
.PP
.RS
asterisk\-fax\-exporter \-\-ami.username fax\-exporter \-\-ami.secret\-file secret \-\-check\-pbx
.RE
""",
    "see also": r"""
.BR asterisk (8),
.BR prometheus (1),
.BR systemd.service (5)
""",
}


def man_page() -> str:
    """The manual page, section 1."""
    parser = argument_parser()
    parser.epilog = None
    page = Manpage(parser)
    page.date = ""  # the version tells how old it is
    page.source = f"{PROGRAM} {__version__}"
    page.manual = "User Commands"
    page.description = "Prometheus exporter for the faxes of Asterisk"
    page.add_section("synopsis", "=", _SYNOPSIS)
    for heading, content in _SECTIONS.items():
        page.add_section(heading, "=", content.strip())
    return str(page)


def completion(shell: Literal["bash", "zsh"]) -> str:
    """The completion script of a shell."""
    parser = argument_parser()
    for action in parser._actions:
        setting = next((s for s in SETTINGS if s.key == action.dest), None)
        if setting is not None and get_origin(setting.field.annotation) is Literal:
            action.choices = get_args(setting.field.annotation)
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    prefix = PROGRAM.replace("-", "_")
    return str(shtab.complete(parser, shell, root_prefix=prefix))


def written() -> dict[Path, str]:
    """What belongs into each file."""
    return {MAN_PAGE: man_page(), BASH: completion("bash"), ZSH: completion("zsh")}


def main() -> None:
    """Writes them."""
    for path, content in written().items():
        path.write_text(content)


if __name__ == "__main__":
    main()
