"""--setup-pbx: on the machine that Asterisk runs on, gives the exporter a user of least privilege,
and tells the exporter; and takes both away again."""

from exporter.setup_pbx.command import Machine, Wish, setup_pbx

__all__ = ["Machine", "Wish", "setup_pbx"]
