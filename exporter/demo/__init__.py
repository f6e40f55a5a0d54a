"""The demo PBX, an Asterisk that exists only in memory, on a real port; and its faxes."""

from exporter.demo.faxes import DROPPED
from exporter.demo.pbx import DemoPbx
from exporter.demo.sessions import Completion, DemoSession, FaxGone
from exporter.demo.traffic import run_traffic

__all__ = [
    "DROPPED",
    "Completion",
    "DemoPbx",
    "DemoSession",
    "FaxGone",
    "run_traffic",
]
