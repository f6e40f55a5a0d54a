"""An Asterisk that exists only in memory, on a real port, and the faxes it lives through."""

from exporter.demo.pbx import DROPPED, Completion, DemoPbx, DemoSession, FaxGone, Query

__all__ = [
    "DROPPED",
    "Completion",
    "DemoPbx",
    "DemoSession",
    "FaxGone",
    "Query",
]
