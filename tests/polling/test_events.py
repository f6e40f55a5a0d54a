"""Whether events come: what is heard against what is counted, without a connection."""

from exporter.ledger import EVENT_LATENESS
from exporter.polling.events import EventWatch

LATER = 2 * EVENT_LATENESS + 1


def connected() -> EventWatch:
    """At 0 s FAXStats was heard first, and had nothing new."""
    events = EventWatch()
    events.connected()
    assert events.come(0, 0.0)
    return events


def test_before_anything_is_counted_events_are_taken_to_come() -> None:
    assert connected().come(0, 1e6)


def test_one_completion_without_an_event_is_enough_where_none_ever_came() -> None:
    assert not connected().come(1, LATER)


def test_one_is_no_sign_after_others_had_theirs_but_two_are() -> None:
    events = connected()
    events.heard(1.0)
    assert events.come(1, 1.0 + LATER)
    assert not events.come(1, 2.0 + LATER)


def test_an_event_makes_up_for_all_that_were_missed_before() -> None:
    events = connected()
    events.heard(1.0)
    assert not events.come(5, 1.0 + LATER)
    events.heard(2.0 + LATER)
    assert events.come(1, 2.0 + 2 * LATER)


def test_what_becomes_known_soon_after_a_connection_or_an_event_was_missed_before() -> None:
    events = connected()
    assert events.come(9, LATER - 1)
    events.heard(LATER)
    assert events.come(9, 2 * LATER - 1)
    events.connected()
    assert events.come(9, 9 * LATER)  # the first stats of this connection
    assert events.come(1, 10 * LATER)


def test_it_stays_so_until_an_event_comes() -> None:
    events = connected()
    assert not events.come(1, LATER)
    events.connected()
    assert not events.come(0, 2 * LATER)
    events.heard(3 * LATER)
    assert events.come(0, 3 * LATER)
