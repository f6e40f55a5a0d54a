"""What is told of troubles, and how often."""

import logging

import pytest

from exporter.log import about_target
from exporter.polling import Failure
from exporter.polling.notices import Notices
from exporter.polling.troubles import Kind, Lack, Trouble

DENIED = Trouble(Failure.DENIED, "user may not FAXStats", "FAXStats")
UNKNOWN = Trouble(Failure.UNKNOWN_ACTION, "FAXStats is not known", "FAXStats")
LOST = Trouble(Failure.LOST, "connection lost: reset")
NO_EVENTS = Trouble(Lack.EVENTS, "no event comes")
GARBLED = Trouble(Failure.MALFORMED, "Channel cannot be read", "Channel")


@pytest.fixture
def notices(caplog: pytest.LogCaptureFixture) -> Notices:
    caplog.set_level(logging.INFO)
    return Notices(about_target(logging.getLogger("exporter.test"), "fax-berlin"), lambda: 1000.0)


def begin(notices: Notices, *troubles: Trouble[Kind]) -> None:
    for trouble in troubles:
        notices.begin(trouble)


def test_a_trouble_is_told_once_while_it_lasts(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    begin(notices, NO_EVENTS, DENIED, NO_EVENTS, DENIED)
    assert caplog.messages == [NO_EVENTS.text, DENIED.text]
    assert {line.levelname for line in caplog.records} == {"WARNING"}
    assert {line.__dict__["fields"]["target"] for line in caplog.records} == {"fax-berlin"}


def test_it_keeps_since_when_it_is_so() -> None:
    times = iter((10.0, 20.0, 30.0))
    notices = Notices(about_target(logging.getLogger("exporter.test"), "x"), lambda: next(times))
    begin(notices, LOST, DENIED, LOST)
    assert [(one.kind, one.since) for one in notices.now] == [
        (Failure.LOST, 10.0),
        (Failure.DENIED, 20.0),
    ]


def test_what_is_over_is_told_once_and_is_news_when_it_comes_again(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    begin(notices, NO_EVENTS)
    for _ in range(2):
        notices.end(Lack.EVENTS, "events come")
    begin(notices, NO_EVENTS)
    assert caplog.messages == [NO_EVENTS.text, "events come", NO_EVENTS.text]
    assert [line.levelname for line in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_an_outage_for_another_reason_is_news_and_a_part_with_other_figures_is_not(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    timed_out = Trouble(Failure.LOST, "connection lost: timed out")
    other_value = Trouble(Failure.MALFORMED, "Channel cannot be read either", "Channel")
    begin(notices, LOST, timed_out, LOST, GARBLED, other_value)
    assert caplog.messages == [LOST.text, timed_out.text, LOST.text, GARBLED.text]


def test_an_action_that_is_refused_in_another_way_is_news_and_no_longer_refused_in_the_first(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    other = Trouble(Failure.DENIED, "user may not FAXSessions", "FAXSessions")
    begin(notices, other, DENIED, UNKNOWN, DENIED, UNKNOWN)
    assert len(caplog.messages) == 5
    assert [one.text for one in notices.now] == [other.text, UNKNOWN.text]
    refusals = notices.refusals_of("FAXStats", "FAXSession", "FAXSessions")
    assert [one.text for one in refusals] == [UNKNOWN.text, other.text]


def test_an_action_that_works_is_told_if_it_was_refused(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    begin(notices, DENIED, GARBLED)
    for action in ("FAXSessions", "FAXStats", "FAXStats"):
        notices.action_works(action)
    assert caplog.messages[2:] == ["FAXStats works now"]
    assert [one.text for one in notices.now] == [GARBLED.text]


def test_outages_are_forgotten_without_a_word_and_nothing_else_is(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    begin(notices, LOST, NO_EVENTS, DENIED, GARBLED)
    caplog.clear()
    notices.forget_outages()
    assert [one.text for one in notices.now] == [NO_EVENTS.text, DENIED.text, GARBLED.text]
    begin(notices, LOST)
    assert caplog.messages == [LOST.text]


def test_hints_are_what_somebody_has_to_mend_at_the_pbx(notices: Notices) -> None:
    unanswered = Trouble(Failure.UNANSWERED, "FAXStats was never answered", "FAXStats")
    begin(notices, LOST, DENIED, GARBLED, unanswered, NO_EVENTS)
    assert notices.hints(up=True) == [DENIED.text, NO_EVENTS.text]
    assert notices.hints(up=False) == [NO_EVENTS.text]


def test_once_cleared_everything_is_news(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        begin(notices, DENIED, LOST)
        notices.clear()
    assert len(caplog.messages) == 4
    assert notices.now == []


# --- connections that do not hold -----------------------------------------------------------


def test_losses_before_a_connection_holds_are_told_once_whatever_their_reason(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    timed_out = Trouble(Failure.LOST, "connection lost: timed out")
    for lost in (LOST, timed_out, LOST, timed_out):
        notices.connected("11.0.0")
        notices.begin(notices.with_those_before(lost))
    assert caplog.messages == [
        "connected, AMI 11.0.0",
        LOST.text,
        "connected, AMI 11.0.0",
        "connection lost: timed out; so it is again and again, told once until one holds for 10 s",
    ]


def test_once_a_connection_holds_that_is_told_and_a_loss_is_news(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        notices.begin(notices.with_those_before(LOST))
    caplog.clear()
    notices.forget_outages()
    notices.forget_outages()
    notices.connected("11.0.0")
    notices.begin(notices.with_those_before(LOST))
    assert caplog.messages == ["the connection holds now", "connected, AMI 11.0.0", LOST.text]


def test_other_outages_than_losses_are_told_as_they_are(notices: Notices) -> None:
    refused = Trouble(Failure.CONNECT, "refused")
    for trouble in (LOST, refused, refused):
        begin(notices, notices.with_those_before(trouble))
    assert notices.with_those_before(refused) == refused
    assert notices.with_those_before(GARBLED) == GARBLED
    assert notices.with_those_before(LOST).again


def test_an_action_is_not_known_while_it_is_refused_as_such(notices: Notices) -> None:
    begin(notices, DENIED)
    assert not notices.not_known("FAXStats")
    begin(notices, UNKNOWN)
    assert notices.not_known("FAXStats")
    assert not notices.not_known("FAXSessions")
