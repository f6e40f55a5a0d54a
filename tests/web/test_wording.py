"""Every word of Asterisk has one for people."""

from exporter.fax import REASON_WORDS, Operation, Reason, State, Transport
from exporter.polling import Health
from exporter.web.wording import HEALTH_LOOKS, HEALTHS, OPERATIONS, STATES, TRANSPORTS, word


def test_every_word_of_asterisk_has_one_for_people() -> None:
    assert set(OPERATIONS) == set(Operation)
    assert set(STATES) == set(State)
    assert set(TRANSPORTS) == set(Transport)
    assert set(REASON_WORDS) == set(Reason)
    assert set(HEALTHS) == set(HEALTH_LOOKS) == set(Health)
    assert word("no_fax", "reason") == "No fax at the other end"
    assert word("ok", "look") == "ok"
