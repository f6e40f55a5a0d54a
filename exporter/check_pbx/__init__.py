"""--check-pbx: what one Asterisk lacks for the exporter, and how that is printed."""

from exporter.check_pbx.ami_user import OWN_USER
from exporter.check_pbx.checking import check
from exporter.check_pbx.manager_conf import EVENTFILTER
from exporter.check_pbx.report import WIDTH, Finding, Lines, Report, Verdict, text

__all__ = [
    "EVENTFILTER",
    "OWN_USER",
    "WIDTH",
    "Finding",
    "Lines",
    "Report",
    "Verdict",
    "check",
    "text",
]
