"""Why a fax failed: Asterisk's texts and codes, sorted into the values of one label."""

from exporter.fax import Reason
from exporter.fax.reasons import failure_reason


def test_a_text_never_heard_of_is_other_and_a_code_that_says_nothing_gives_way() -> None:
    assert failure_reason("Martians", "on the line") is Reason.OTHER
    assert failure_reason("UNKNOWN", "Martians") is Reason.UNKNOWN
    trained = "Failed to train with any of the compatible modems"
    assert failure_reason("UNKNOWN", trained) is Reason.TRAINING
    assert failure_reason("", "T38_NEG_ERROR") is Reason.T38_NEGOTIATION
