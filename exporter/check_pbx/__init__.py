"""--check-pbx: what one Asterisk lacks for the exporter, and how that is told."""

from exporter.check_pbx.ami_user import OWN_USER
from exporter.check_pbx.checking import check
from exporter.check_pbx.manager_conf import (
    COMPLETIONS,
    EVENTFILTER,
    NEW_EVENTFILTERS,
    all_variables,
    can_ask_for,
    disabled,
    eventfilters,
    filters,
    knows_new_filters,
    missing_variables,
    new_filters,
    with_blanks,
    without_completions,
)
from exporter.check_pbx.manager_files import sections
from exporter.check_pbx.report import WIDTH, Finding, Lines, Report, Verdict, text

__all__ = [
    "COMPLETIONS",
    "EVENTFILTER",
    "NEW_EVENTFILTERS",
    "OWN_USER",
    "WIDTH",
    "Finding",
    "Lines",
    "Report",
    "Verdict",
    "all_variables",
    "can_ask_for",
    "check",
    "disabled",
    "eventfilters",
    "filters",
    "knows_new_filters",
    "missing_variables",
    "new_filters",
    "sections",
    "text",
    "with_blanks",
    "without_completions",
]
