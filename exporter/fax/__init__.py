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
from exporter.fax.values import (
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
    "State",
    "Transport",
    "Version",
    "last_file",
    "may_ask",
    "parse_core_status",
    "parse_listed",
    "parse_result",
    "parse_session",
    "parse_stats",
    "peer_of",
    "printable",
]
