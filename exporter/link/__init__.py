"""What the two processes say to each other: the main one, that polls, and the web process.

Everything the web process shows it asks the main process for; nothing it asks reaches a PBX.
"""

from exporter.link.answering import Answering
from exporter.link.messages import (
    MAX_LINE,
    FileState,
    FleetState,
    Order,
    WebSetup,
    read_frame,
    read_pieces,
    send_frame,
    send_line,
    shortened,
)
from exporter.link.source import NoFaxes, NoSuchTarget, Source, Versioned
from exporter.link.told import Known, News

__all__ = [
    "MAX_LINE",
    "Answering",
    "FileState",
    "FleetState",
    "Known",
    "News",
    "NoFaxes",
    "NoSuchTarget",
    "Order",
    "Source",
    "Versioned",
    "WebSetup",
    "read_frame",
    "read_pieces",
    "send_frame",
    "send_line",
    "shortened",
]
