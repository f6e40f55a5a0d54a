"""What Asterisk says about faxes, as values, and what it may be asked. No I/O, no clock."""

from exporter.fax.parse import (
    parse_core_status,
    parse_listed,
    parse_result,
    parse_session,
    parse_stats,
)
from exporter.fax.peers import peer_of
from exporter.fax.reasons import Reason
from exporter.fax.resolution import Resolution, named_resolution
from exporter.fax.values import (
    ASKABLE_OPERATIONS,
    ASKABLE_STATES,
    CHANNELVARS,
    MAX_TEXT,
    MODEM_RATES,
    RESULT_VARIABLES,
    CoreStatus,
    FaxResult,
    FaxSession,
    FaxStats,
    ListedSession,
    Operation,
    Problem,
    State,
    Transport,
    Version,
    last_file,
    may_ask,
    printable,
)

__all__ = [
    "ASKABLE_OPERATIONS",
    "ASKABLE_STATES",
    "CHANNELVARS",
    "MAX_TEXT",
    "MODEM_RATES",
    "RESULT_VARIABLES",
    "CoreStatus",
    "FaxResult",
    "FaxSession",
    "FaxStats",
    "ListedSession",
    "Operation",
    "Problem",
    "Reason",
    "Resolution",
    "State",
    "Transport",
    "Version",
    "last_file",
    "may_ask",
    "named_resolution",
    "parse_core_status",
    "parse_listed",
    "parse_result",
    "parse_session",
    "parse_stats",
    "peer_of",
    "printable",
]
