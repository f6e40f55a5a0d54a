"""The last faxes that ended, and what is remembered of each."""

from dataclasses import replace

import pytest

from exporter.fax import FaxResult, Operation, Reason, State, Transport
from exporter.ledger import KEPT, EndedFax
from exporter.ledger.history import History
from tests.ledger.watch import CHANNEL, EPOCH, GATEWAY, RECEIVE, SEND, Seen, Watch

LISTED_FILES = "/fax/a.tif,/fax/b.tif"
RESULT = FaxResult(
    RECEIVE,
    CHANNEL,
    3,
    9600,
    Transport.T38,
    succeeded=False,
    reason=Reason.CALL_DROPPED,
    local_station="+49 30 1",
    remote_station="far end",
    file="/fax/a.tif",
    files=LISTED_FILES,
    unique_id="pbx-1.7",
    linked_id="pbx-1.6",
    caller="+49 30 2",
    status_text="The call dropped prematurely",
    resolution=(8031, 7700),
)
TOLD = EndedFax(
    ended_at=0.0,
    operation=RECEIVE,
    transport=Transport.T38,
    channel=CHANNEL,
    succeeded=False,
    reason=Reason.CALL_DROPPED,
    pages=3,
    bad_lines=None,
    seconds=None,
    data_rate=9600,
    local_station="+49 30 1",
    remote_station="far end",
    file="/fax/a.tif",
    unique_id="pbx-1.7",
    linked_id="pbx-1.6",
    peer="Local/fax",
    caller="+49 30 2",
    status_text="The call dropped prematurely",
    resolution=(8031, 7700),
    counted_transport=Transport.T38,
)


def ended(watch: Watch, *results: FaxResult) -> EndedFax:
    """The one fax that ended, after these events."""
    for result in results:
        watch.ledger.hear(result, watch.now, watch.now + EPOCH)
    watch.poll()
    watch.wait()
    (fax,) = [*watch.ledger.history.failed, *watch.ledger.history.others]
    return fax


@pytest.mark.parametrize(
    ("result", "data_rate"),
    [
        (RESULT, 9600),
        (replace(RESULT, data_rate=None), None),
        (replace(RESULT, reason=Reason.TRAINING), None),
    ],
    ids=["agreed", "not agreed", "not trained"],
)
def test_a_fax_that_was_never_listed_is_what_its_event_says(
    result: FaxResult, data_rate: int | None
) -> None:
    watch = Watch.running()
    at = watch.now
    expected = replace(TOLD, ended_at=at, ended=at + EPOCH, heard_at=at + EPOCH, counted_pages=3)
    expected = replace(expected, reason=result.reason, data_rate=data_rate)
    assert ended(watch, result) == expected


def test_of_a_listed_fax_it_is_what_was_seen_and_what_only_its_event_says() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 2, files=LISTED_FILES, data_rate=12000))
    watch.poll(Seen(1, 5, files=LISTED_FILES, data_rate=12000))
    at = watch.now + 1
    seen = replace(TOLD, ended_at=at, ended=at + EPOCH, seconds=2.0, data_rate=12000, ecm=False)
    watch.poll()
    # It switched to T.38 after the last list: its pages are those by each.
    assert ended(watch, RESULT) == replace(
        seen,
        pages=1 + 3,
        counted_pages=1 + 3,
        bad_lines=2 + 5,
        counted_bad_lines=2 + 5,
        resolution=(8031, 3850),
        heard_at=at + EPOCH,
    )


def test_where_channelvars_do_not_tell_how_a_fax_travelled_the_list_does() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.poll()
    result = replace(RESULT, transport=Transport.NONE, pages=None)
    assert ended(watch, result).transport is Transport.G711


def test_of_a_fax_whose_event_never_comes_it_is_what_was_seen() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, operation=SEND, transport=Transport.T38, files=LISTED_FILES))
    gone = watch.now + 1
    assert ended(watch) == EndedFax(
        ended_at=gone,
        operation=SEND,
        transport=Transport.T38,
        channel=CHANNEL,
        succeeded=None,
        reason=None,
        pages=2,
        bad_lines=None,
        seconds=1.0,
        data_rate=14400,
        file=LISTED_FILES,
        ended=gone + EPOCH,
        peer="Local/fax",
        ecm=False,
        resolution=(8031, 3850),
        counted_pages=2,
    )


def test_what_nobody_saw_of_a_fax_running_at_the_start_is_what_its_event_says() -> None:
    watch = Watch()
    watch.poll(Seen(transport=Transport.NONE, asked=False))
    watch.poll()
    at = watch.now
    assert ended(watch, RESULT) == replace(
        TOLD, ended_at=at, ended=at + EPOCH, bad_lines=0, heard_at=at + EPOCH
    )


def test_what_could_not_train_had_no_rate_though_one_was_seen() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, data_rate=14400))
    watch.poll()
    result = replace(RESULT, pages=None, reason=Reason.TRAINING)
    fax = ended(watch, result)
    assert (fax.pages, fax.data_rate) == (0, None)


@pytest.mark.parametrize(
    ("operation", "remembered"), [(GATEWAY, True), (Operation.V21, False), (Operation.NONE, False)]
)
def test_only_what_has_pages_is_a_fax(operation: Operation, remembered: bool) -> None:
    watch = Watch.running()
    watch.poll(Seen(operation=operation, asked=False, state=State.ACTIVE))
    watch.wait()
    assert bool(list(watch.ledger.history.others)) is remembered
    assert watch.ledger.totals.ended[operation] == 1
    assert operation not in watch.ledger.totals.session_seconds  # such as that of a call


def test_successes_do_not_push_failures_out_and_the_newest_is_first() -> None:
    history = History()
    for number in range(KEPT + 1):
        history.add(replace(TOLD, pages=number))
    for succeeded in (True, None) * KEPT:
        history.add(replace(TOLD, succeeded=succeeded))
    assert [fax.pages for fax in history.failed] == list(range(KEPT, 0, -1))
    assert [fax.succeeded for fax in history.others] == [None, True] * (KEPT // 2)
