"""Why a fax failed: some 80 texts of Asterisk and spandsp, grouped into a few reasons.

The reasons are values of a label, so what is not known is OTHER.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a fax failed. The words follow those of Asterisk's own `fax show stats`."""

    CALL_DROPPED = "call_dropped"
    NO_FAX = "no_fax"
    NEGOTIATION = "negotiation_failed"
    TRAINING = "train_failure"
    RETRIES = "retries_exceeded"
    TX_PROTOCOL = "tx_protocol_error"
    RX_PROTOCOL = "rx_protocol_error"
    NOT_ACCEPTED = "not_accepted"
    FILE = "file_error"
    MEMORY = "memory_error"
    T38_NEGOTIATION = "t38_negotiation"
    TIMEOUT = "timeout"
    INIT = "init_error"
    ARGUMENTS = "invalid_arguments"
    UNKNOWN = "unknown"
    OTHER = "other"


THEIRS: Final = (Reason.NO_FAX, Reason.NOT_ACCEPTED)
"""Reasons that are the other end's: a number that is no fax, or a machine that refuses. All others
are of this side or the line."""
REASON_WORDS: Final[Mapping[str, str]] = {
    Reason.CALL_DROPPED: "The call dropped",
    Reason.NO_FAX: "No fax at the other end",
    Reason.NEGOTIATION: "The two ends are not compatible",
    Reason.TRAINING: "The modems could not train",
    Reason.RETRIES: "Given up after all retries",
    Reason.TX_PROTOCOL: "Protocol error while sending",
    Reason.RX_PROTOCOL: "Protocol error while receiving",
    Reason.NOT_ACCEPTED: "The other end did not accept it",
    Reason.FILE: "The file could not be used",
    Reason.MEMORY: "Out of memory",
    Reason.T38_NEGOTIATION: "No agreement on T.38",
    Reason.TIMEOUT: "Timed out",
    Reason.INIT: "It could not be begun",
    Reason.ARGUMENTS: "Wrong arguments in the dialplan",
    Reason.UNKNOWN: "Asterisk does not know",
    Reason.OTHER: "Another reason",
}
"""For people."""


# FAXERROR and FAXSTATUSSTRING, in lower case: the codes of res_fax.c, then the T.30 completion
# texts of spandsp's t30_completion_code_to_str(), grouped as res_fax_spandsp.c groups them.
_REASONS: Final[dict[str, Reason]] = {
    text.lower(): reason
    for reason, texts in {
        Reason.CALL_DROPPED: ("HANGUP", "The call dropped prematurely"),
        Reason.NO_FAX: (
            "The CED tone exceeded 5s",
            "Timed out waiting for initial communication",
            "Timed out waiting for the first message",
            "Timed out waiting for procedural interrupt",
            "The HDLC carrier did not stop in a timely manner",
        ),
        Reason.NEGOTIATION: (
            "Far end is not compatible",
            "Far end is not able to receive",
            "Far end is not able to transmit",
            "Far end cannot receive at the resolution of the image",
            "Far end cannot receive at the size of image",
        ),
        Reason.TRAINING: ("Failed to train with any of the compatible modems",),
        Reason.RETRIES: ("Disconnected after permitted retries",),
        Reason.TX_PROTOCOL: (
            "Received bad response to DCS or training",
            "Received a DCN from remote after sending a page",
            "Invalid ECM response received from receiver",
            "Received a DCN while waiting for a DIS",
            "Invalid response after sending a page",
            "Received other than DIS while waiting for DIS",
            "Received no response to DCS or TCF",
            "No response after sending a page",
            "Timed out waiting for receiver ready (ECM mode)",
        ),
        Reason.RX_PROTOCOL: (
            "Unexpected message received",
            "Invalid ECM response received from transmitter",
            "DCS received while waiting for DTC",
            "Unexpected command after page received",
            "Carrier lost during fax receive",
            "Timed out while waiting for EOL (end Of line)",
            "Timed out while waiting for first line",
            "Timer T2 expired while waiting for DCN",
            "Timer T2 expired while waiting for phase D",
            "Timer T2 expired while waiting for fax page",
            "Timer T2 expired while waiting for next fax page",
            "Timer T2 expired while waiting for RR command",
            "Timer T2 expired while waiting for NSS, DCS or MCF",
            "Unexpected DCN while waiting for DCS or DIS",
            "Unexpected DCN while waiting for image data",
            "Unexpected DCN while waiting for EOM, EOP or MPS",
            "Unexpected DCN after EOM or MPS sequence",
            "Unexpected DCN after RR/RNR sequence",
            "Unexpected DCN after requested retransmission",
        ),
        Reason.NOT_ACCEPTED: (
            "Operator intervention failed",
            "Poll not accepted",
            "Ident not accepted",
            "Sub-address not accepted",
            "Selective polling address not accepted",
            "Polled sub-address not accepted",
            "Sender identification not accepted",
            "Password not accepted",
            "Transmitting subscriber internet address not accepted",
            "Internet routing address not accepted",
            "Calling subscriber internet address not accepted",
            "Internet selective polling address not accepted",
            "Called subscriber internet address not accepted",
        ),
        Reason.FILE: (
            "FILE_ERROR",
            "TIFF/F file cannot be opened",
            "TIFF/F page not found",
            "TIFF/F format is not compatible",
            "TIFF/F page number tag missing",
            "Incorrect values for TIFF/F tags",
            "Bad TIFF/F header - incorrect values in fields",
        ),
        Reason.MEMORY: ("MEMORY_ERROR", "Cannot allocate memory for more pages"),
        Reason.T38_NEGOTIATION: ("T38_NEG_ERROR",),
        Reason.TIMEOUT: ("TIMEOUT", "fax session timed-out"),
        Reason.INIT: (
            "INIT_ERROR",
            "Channel Problems",
            "Error before FAX transmission started.",
            "error starting fax session",
            "failed to start FAX session",
        ),
        Reason.ARGUMENTS: ("INVALID_ARGUMENTS", "INVALID_ARGUMENT"),
        Reason.UNKNOWN: ("UNKNOWN",),
    }.items()
    for text in texts
}


def failure_reason(error: str, status_string: str) -> Reason:
    """The reason that FAXERROR gives, or else FAXSTATUSSTRING, or else OTHER.

    A code of res_fax that says nothing (UNKNOWN) gives way to a text that does.
    """
    reasons = [_REASONS.get(text.strip().lower()) for text in (error, status_string)]
    known = [reason for reason in reasons if reason is not None]
    for reason in known:
        if reason is not Reason.UNKNOWN:
            return reason
    return known[0] if known else Reason.OTHER
