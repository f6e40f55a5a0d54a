"""A reading that is the same as the last is not taken again; one that only looks so is."""

from exporter.fax import FaxResult, FaxSession, ListedSession, Operation, State, Transport
from exporter.ledger import Ledger, Observation

CHANNEL = "PJSIP/trunk-00000001"
LISTED = ListedSession(1, CHANNEL, Operation.RECEIVE, State.ACTIVE, Transport.G711)


def reading(pages: int, bad_lines: int) -> FaxSession:
    return FaxSession(
        1, Operation.RECEIVE, State.ACTIVE, False, 14400, (8031, 3850), pages + 1, pages, bad_lines
    )


def test_after_an_event_told_of_another_page_the_same_reading_is_of_that_page() -> None:
    ledger = Ledger()

    def see(at: float, detail: FaxSession | None) -> None:
        listed = [] if detail is None else [LISTED]
        details = {} if detail is None else {1: detail}
        ledger.observe(Observation(at, at, 1e9 + at, listed, True, details))

    see(0, None)
    see(1, reading(0, 0))
    see(2, reading(1, 5))
    see(3, None)
    done = FaxResult(Operation.RECEIVE, CHANNEL, 2, 14400, Transport.G711, True, None)
    ledger.hear(done, 3.5)
    see(4, None)
    see(5, reading(1, 5))  # it is back in the list, and nothing new was read
    assert ledger.totals.bad_lines.total() == 5
    see(6, reading(3, 2))
    assert ledger.totals.bad_lines.total() == 5 + 5 + 2
