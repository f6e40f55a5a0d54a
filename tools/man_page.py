"""The man page: the flags from the parser of the command line, the rest from here."""

from pathlib import Path
from typing import Final

from argparse_manpage.manpage import Manpage

from exporter import __version__
from exporter.settings import PROGRAM, argument_parser
from exporter.settings.models import ENV_PREFIX

FILE: Final = Path(f"docs/{PROGRAM}.1")

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
.PP
.B LISTEN_FDS
and
.B LISTEN_PID
are those of
.BR sd_listen_fds (3),
for
.BR \-\-web.systemd\-socket .
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
has found something wrong, or
.B \-\-setup\-pbx
could not, or was not to, set a PBX up.
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
.BR systemd.service (5),
.BR systemd.socket (5)
""",
}


def text() -> str:
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
    # One would look in vain for a variable that is divided at the end of a line.
    return str(page).replace(ENV_PREFIX, rf"\%{ENV_PREFIX}")
