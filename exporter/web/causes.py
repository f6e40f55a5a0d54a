"""What is usually behind a failed fax, by its reason: the table of docs/alerting.md, for the page
that each reason links to. That needs no address of the documents, and no network."""

from collections.abc import Mapping
from typing import Final

from exporter.fax import Reason

_TIMEOUT: Final = "nothing came any more from the channel: as `call_dropped`"
_PROTOCOL: Final = (
    "an answer did not come or made no sense: lost packets, or a gateway with poor T.38"
)
_LOG: Final = "Asterisk's own log has the text (`FAXERROR`)"
CAUSES: Final[Mapping[Reason, str]] = {
    Reason.CALL_DROPPED: "the call ended in mid-fax: carrier, a session timer or a firewall that "
    "forgets UDP (always after the same time?), or the other end hung up",
    Reason.NO_FAX: "nobody at the other end spoke fax: the number is no fax, or voice calls are "
    "routed to the fax extension",
    Reason.NEGOTIATION: "the two machines have nothing in common: resolution, paper size, "
    "direction",
    Reason.TRAINING: "the line is too bad for any rate: see AsteriskFaxBadLinesRising; or it is a "
    "codec other than ulaw or alaw",
    Reason.RETRIES: "the same request was repeated in vain: lost or late packets, see "
    "AsteriskFaxBadLinesRising",
    Reason.TX_PROTOCOL: _PROTOCOL,
    Reason.RX_PROTOCOL: _PROTOCOL,
    Reason.NOT_ACCEPTED: "the other machine wants a password, a sub-address or a known sender",
    Reason.FILE: "a TIFF that cannot be read or written: its format, disk full (`df -h`), no right "
    "to write (`ls -ld` of the folder)",
    Reason.MEMORY: "`free -m`, and the log of the kernel",
    Reason.T38_NEGOTIATION: "the other end refused T.38: see AsteriskFaxT38NegotiationFailing",
    Reason.TIMEOUT: _TIMEOUT,
    Reason.INIT: "no modem could be made: `asterisk -rx 'fax show capabilities'`, is "
    "res_fax_spandsp loaded?",
    Reason.ARGUMENTS: "the dialplan calls SendFAX or ReceiveFAX wrongly: a recent change?",
    Reason.UNKNOWN: _LOG,
    Reason.OTHER: _LOG,
}
"""Commands stand between backticks."""
