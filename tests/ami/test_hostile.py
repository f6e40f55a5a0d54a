"""Hostile input: arbitrary bytes, sizes without end, and names written by strangers."""

import asyncio
import contextlib
import gc
import logging
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.ami import Connection
from exporter.ami.stream import MAX_LISTED, MAX_MESSAGE
from exporter.fax import Operation, State, Transport
from exporter.log import Json, Logfmt
from exporter.polling import Counts, Failure, Poller
from harness.conversation import INTERVAL, conversation, converse
from harness.exposition import text
from harness.script import CHANNEL, ScriptedPbx, ScriptedTransport, script, seeds
from harness.transport import NowhereTransport
from harness.virtual_time import in_virtual_time, until
from harness.watching import begin, watched

RECEIVE = Operation.RECEIVE
MIB = 1024 * 1024


def pages(poller: Poller) -> list[str]:
    """All that /metrics can show, as text and as OpenMetrics; both parsed, and printable."""
    shown = []
    for accept in ("", "application/openmetrics-text; version=1.0.0"):
        page = text(Counts.of(poller), accept, peer_label=True)
        assert page.replace("\n", "").isprintable()
        parse = parse_openmetrics if accept else parse_text
        assert len(list(parse(page))) > 20
        shown.append(page)
    return shown


def checked_by_promtool(page: str) -> None:
    """With promtool, where it is installed; test_metrics.py fails where it must be."""
    promtool = shutil.which("promtool")
    if promtool is not None:
        done = subprocess.run(
            [promtool, "check", "metrics"], input=page.encode(), capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- any bytes ------------------------------------------------------------------------------

HEADERS = """
    ActionID AuthType Challenge ChanVariable Channel CompletedFAXes CoreStartupDate DataRate
    ErrorCorrectionMode Event EventList FileName Files ImageResolution ListItems Message
    Operation PageNumber PagesReceived PagesTransferred PagesTransmitted Privilege
    RemoteStationID Response Result SessionNumber SessionType State Total TotalBadLines
    TransferRate content manager
"""
VALUES = """
    =0 =1 =9 0 1 3 7 8 -1 4294967296 1e9 \xb2 0x7 9600 14400 16843010 8031x3850 x Yes no Active
    Complete Initialized T.38 G.711 none receive send gateway V.21 Success Error Follows Start
    FAXSession FAXSessionsEntry FAXSessionsComplete FAXStats SendFAX ReceiveFAX FAXMODE=T38
    FAXSTATUS=SUCCESS FAXSTATUS=FAILED FAXERROR=HANGUP FAXERROR= Local/a@b-00000001;2 PJSIP/x-1
"""
FIRST_LINES = (
    "Response: Success",
    "Response: Error\r\nMessage: Permission denied",
    "Response: Error\r\nMessage: Invalid/unknown command",
    "Response: Follows",
    *(f"Event: {value}" for value in VALUES.split() if "FAX" in value and "=" not in value),
    "Asterisk Call Manager/1",
    "",
)


def known(words: Iterable[str]) -> st.SearchStrategy[bytes]:
    return st.sampled_from([word.encode() for word in words])


names = known(HEADERS.split()) | st.binary(max_size=8)
values = (
    known(VALUES.split())
    | st.binary(max_size=30)
    | known(VALUES.split()).map(lambda value: value * 300)
)
lines = st.tuples(names, st.sampled_from([b": ", b":", b""]), values).map(b"".join)
endings = st.sampled_from([b"\r\n\r\n"] * 8 + [b"\r\n", b"\n\n", b""])
messages = st.builds(
    lambda first, identity, rest, end: b"\r\n".join((first, identity, *rest)) + end,
    known(FIRST_LINES),
    st.sampled_from(
        [b"ActionID: =0"] * 6 + [b"ActionID: =1", b"ActionID: =9", b"ActionID: x", b""]
    ),
    st.lists(lines, max_size=12),
    endings,
)
parts = st.lists(messages, max_size=4).map(b"".join)
scripts = st.builds(
    lambda begin, said, piece, hang_up: script(begin, *said, piece=piece, hang_up=hang_up),
    st.integers(0, 8),
    st.lists(parts, max_size=6),
    st.integers(0, 255),
    st.booleans(),
)


@pytest.mark.slow
def test_what_real_asterisks_said_is_understood_wherever_it_is_cut() -> None:
    for seed in seeds():
        whole, *cut = (converse(bytes((piece,)) + seed[1:]) for piece in (0, 1, 2, 3, 7))
        assert all(poller.ledger.totals == whole.ledger.totals for poller in cut)
        assert all(poller.status == whole.status for poller in cut)


@given(st.binary(max_size=3000))
def test_arbitrary_bytes_do_no_harm_and_the_fax_after_them_is_counted(data: bytes) -> None:
    pages(converse(data))


@pytest.mark.slow
@given(scripts)
def test_arbitrary_messages_do_no_harm_and_the_fax_after_them_is_counted(data: bytes) -> None:
    pages(converse(data))


# --- sizes without end ----------------------------------------------------------------------


@contextlib.contextmanager
def memory_at_most(limit: int) -> Iterator[None]:
    """Fails if Python takes more bytes than that at any moment of the `with`."""
    tracemalloc.start()
    try:
        yield
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken <= limit, f"{taken / MIB:.1f} MiB instead of {limit / MIB:.1f}"


CHUNK = 64 * 1024
"""Bytes; asyncio reads up to 256 KiB at once."""


async def send(line: ScriptedTransport | None, data: bytes, times: int = 1) -> None:
    assert line is not None
    for _ in range(times):
        line.send(data)
        await asyncio.sleep(0)


@in_virtual_time
async def test_a_header_of_100_mb_takes_less_than_2_mib() -> None:
    pbx, part = ScriptedPbx(), b"x" * CHUNK
    async with conversation(pbx) as poller:
        with memory_at_most(2 * MIB):
            await send(pbx.transport, b"Event: ReceiveFAX\r\nChannel: PJSIP/")
            await send(pbx.transport, part, 100_000_000 // CHUNK)
            await send(pbx.transport, b"\r\nPagesTransferred: 7\r\n\r\n")
    assert poller.status.connects == 1


async def test_what_follows_in_a_message_too_long_is_not_taken_for_another() -> None:
    heard: list[str] = []
    connection = Connection(heard.append)
    connection.connection_made(NowhereTransport())
    connection.data_received(b"Asterisk Call Manager/1\r\n")
    # Of what is too long the last three bytes are kept, as an empty line may be about to end there.
    connection.data_received(b"Event: ReceiveFAX\r\nFileName: " + b"x" * MAX_MESSAGE + b"Eve")
    connection.data_received(b"nt: ReceiveFAX\r\nChannel: PJSIP/a-00000001\r\n\r\n")
    connection.data_received(b"Event: ReceiveFAX\r\nChannel: PJSIP/a-00000002\r\n\r\n")
    assert heard == ["Event: ReceiveFAX\r\nChannel: PJSIP/a-00000002"]


@in_virtual_time
async def test_a_message_that_never_ends_takes_less_than_2_mib() -> None:
    pbx, part = ScriptedPbx(), b"X: y\r\n" * (CHUNK // 6)
    async with conversation(pbx) as poller:
        with memory_at_most(2 * MIB):
            await send(pbx.transport, b"Event: ReceiveFAX\r\n")
            await send(pbx.transport, part, 100_000_000 // CHUNK)
        assert pbx.transport is not None
        pbx.transport.end(None)
    assert poller.status.connects == 2


@in_virtual_time
async def test_a_greeting_that_never_ends_is_left_at_once() -> None:
    connection = Connection(lambda _: None)
    line = ScriptedTransport(ScriptedPbx(), connection)
    line.send(b"Asterisk Call Manager/")
    with memory_at_most(MIB // 2):
        await send(line, b"1" * CHUNK, 1000)
    assert line.closed
    assert connection.ami_version == ""


@pytest.mark.parametrize("version", [b"\x1b[2J\x9b31m", b'"} 1\nx 2', b"\\", b"\xff\r", b"9" * 70])
def test_a_greeting_with_any_version_breaks_no_page_and_no_terminal(version: bytes) -> None:
    poller = converse(script(0, b"Asterisk Call Manager/" + version + b"\r\n"))
    assert poller.status.connects == 1
    checked_by_promtool(pages(poller)[0])


def test_an_asterisk_of_any_version_breaks_no_page_and_no_terminal() -> None:
    said = b"Response: Success\r\nActionID: =0\r\nAsteriskVersion: \x1b[2J\xff\r22\r\n\r\n"
    poller = converse(script(3, said))
    assert poller.status.asterisk_version == "?[2J\ufffd?22"
    checked_by_promtool(pages(poller)[0])


@in_virtual_time
async def test_a_million_headers_in_one_message_take_less_than_2_mib() -> None:
    pbx = ScriptedPbx()
    parts = [
        b"".join(b"X-%d: y\r\n" % number for number in range(start, start + 1000))
        for start in range(0, 1_000_000, 1000)
    ]
    async with conversation(pbx) as poller:
        with memory_at_most(2 * MIB):
            await send(pbx.transport, b"Event: ReceiveFAX\r\n")
            for part in parts:
                await send(pbx.transport, part)
            await send(pbx.transport, b"\r\n")
    assert poller.status.connects == 1


@in_virtual_time
async def test_the_headers_that_fit_into_one_message_take_less_than_16_mib() -> None:
    pbx = ScriptedPbx()
    headers = b"".join(b"%x: \r\n" % number for number in range(30_000))
    message = b"Event: ReceiveFAX\r\n" + headers + b"\r\n"
    assert len(message) < MAX_MESSAGE
    async with conversation(pbx):
        with memory_at_most(16 * MIB):
            await send(pbx.transport, message * 3)
        await asyncio.sleep(20)


@pytest.mark.slow
@in_virtual_time
async def test_a_million_events_of_actions_never_asked_leave_nothing_behind() -> None:
    pbx = ScriptedPbx()
    event = b"Event: FAXSessionsEntry\r\nActionID: a/%d\r\nSessionNumber: 7\r\n\r\n"
    async with conversation(pbx):
        gc.collect()
        before = sys.getallocatedblocks()  # tracemalloc would take a minute over this
        for start in range(0, 1_000_000, 500):
            await send(pbx.transport, b"".join(event % n for n in range(start, start + 500)))
        gc.collect()
        assert sys.getallocatedblocks() - before < 1000


def listing(entries: bytes) -> Callable[[str, bytes], bytes]:
    """For `rewrite`: this is listed; `=0` stands for the ActionID."""
    whole = (
        b"Response: Success\r\nActionID: =0\r\n\r\n%b"
        b"Event: FAXSessionsComplete\r\nActionID: =0\r\n\r\n" % entries
    )
    return lambda action, answer: whole if action == "FAXSessions" else answer


@pytest.mark.slow
@in_virtual_time
async def test_a_list_of_50_000_takes_less_than_96_mib_and_ends_no_session() -> None:
    pbx = ScriptedPbx()
    entry = (
        b"Event: FAXSessionsEntry\r\nActionID: =0\r\nChannel: PJSIP/a-%08x\r\nSessionNumber: %d\r\n"
        b"SessionType: G.711\r\nOperation: send\r\nState: Initialized\r\nFiles: /a.tif\r\n\r\n"
    )
    listed = b"".join(entry % (number, number) for number in range(50_000))
    async with conversation(pbx) as poller:
        totals = poller.ledger.totals
        fax = begin(pbx, channel=CHANNEL)
        await until(lambda: totals.started[RECEIVE] == 1)
        with memory_at_most(96 * MIB):  # half of it are the list's own bytes, and copies of them
            pbx.rewrite = listing(listed)
            await until(lambda: totals.started[Operation.SEND] > 0)
            pbx.rewrite = None
        assert totals.started[Operation.SEND] == MAX_LISTED
        assert poller.status.failures[Failure.MALFORMED] == 1
        assert totals.ended.total() == 0
        await until(lambda: totals.ended[Operation.SEND] == MAX_LISTED)
        assert totals.ended[RECEIVE] == 0
        pbx.end(fax)
        await until(lambda: totals.ended[RECEIVE] == 1)


@pytest.mark.slow
@in_virtual_time
async def test_a_list_of_giants_takes_less_than_160_mib() -> None:
    pbx = ScriptedPbx()
    headers = b"".join(b"%x: \r\n" % number for number in range(25_000))
    entry = b"Event: FAXSessionsEntry\r\nActionID: =0\r\nSessionNumber: 9\r\n%b\r\n" % headers
    async with conversation(pbx) as poller:
        with memory_at_most(160 * MIB):
            pbx.rewrite = listing(entry * 30)
            await until(lambda: poller.status.failures[Failure.MALFORMED] == 1)
            pbx.rewrite = None


@in_virtual_time
async def test_lists_that_are_never_whole_and_always_new_do_not_pile_up() -> None:
    pbx = ScriptedPbx()
    entry = (
        b"Event: FAXSessionsEntry\r\nActionID: =0\r\nSessionNumber: %d\r\nOperation: send\r\n"
        b"SessionType: G.711\r\nState: Initialized\r\n\r\n"
    )
    async with conversation(pbx) as poller:
        for start in range(0, 40_000, 8000):
            listed = b"".join(entry % number for number in range(start, start + 8000))
            pbx.rewrite = listing(listed + b"Event: FAXSessionsEntry\r\nActionID: =0\r\n\r\n")
            await asyncio.sleep(INTERVAL)
            assert len(poller.ledger.running) <= 20_000
        assert poller.ledger.totals.started[Operation.SEND] == 40_000
        pbx.rewrite = None


# --- names written by strangers -------------------------------------------------------------

NAMES = {
    "control characters": "".join(
        map(chr, (*range(1, 10), 11, 12, *range(14, 32), *range(127, 160)))
    ),
    "quotes": """'";--`$(reboot)""",
    "backslashes": "\\\\n\\x1b\\",
    "lone CR": "a\rb",
    "lone LF": "a\nb\n# HELP x\nasterisk_fax_up 0\nb",
    "64 kB": "x" * 65536,
    "bad UTF-8": "\udcff\udcc3(\udced\udca0\udc80",
    "HTML": "<script>alert(1)</script><!--",
    "ANSI escapes": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "directions": "\u202e\u2066\u200b\u2028\u2029\ufeff\U000e0001",
    "a header": "a\r\nPagesTransferred: 9999\r\nX: ",
    "labels": '"} 1\nasterisk_fax_up{peer="',
    "digits": "9" * 5000,
    "other digits": "\xb2",
    "no name": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
@in_virtual_time
async def test_names_by_strangers_break_no_page_no_log_line_and_no_terminal(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "exporter")
    written = name.encode(errors="surrogateescape")
    channel = f"PJSIP/{name}-00000007"

    def everywhere(action: str, answer: bytes) -> bytes:
        for header in (b"Technology: ", b"Files: ", b"FileName: "):
            answer = answer.replace(header, header + written)
        return answer.replace(b"State: Open", b"State: " + written)

    async with watched(peer_limit=5) as (pbx, poller):
        pbx.rewrite = everywhere
        fax = begin(pbx, channel=channel)
        other = pbx.begin("send", "PJSIP/b-00000001", state="Open")  # which will read as `name`
        fax.add_bad_lines(3)
        await asyncio.sleep(2)
        fax.finish_page()
        await asyncio.sleep(2)
        pages(poller)
        pbx.inject(
            b"Event: ReceiveFAX\r\nPrivilege: call,all\r\nChannel: PJSIP/c-00000002\r\n"
            b"ChanVariable: FAXSTATUS=%(name)b\r\nRemoteStationID: %(name)b\r\n"
            b"PagesTransferred: 2\r\nTransferRate: %(name)b\r\n\r\n" % {b"name": written}
        )
        pbx.drop(other)
        fax.finish_page(last=True)
        pbx.end(fax)
        await asyncio.sleep(3)
        totals = poller.ledger.totals
        by_transport = {
            transport: sum(n for (_, by), n in totals.finished.items() if by is transport)
            for transport in Transport
        }
        assert poller.status.up
        assert poller.status.connects == 1
        assert by_transport == {Transport.G711: 2, Transport.NONE: 1, Transport.T38: 0}
        assert sum(totals.results_unknown.values()) == 1
        received: Counter[State] = Counter()
        for (operation, state), count in totals.pages.items():
            received[state] += count if operation is RECEIVE else 0
        # A number that is told twice is not known.
        assert received == {State.ACTIVE: 1, State.COMPLETE: 0 if "PagesTransferred" in name else 3}
        assert totals.bad_lines.total() == 3
        text, _ = pages(poller)
        checked_by_promtool(text)
        peers = {peer for _, peer in poller.ledger.peers.totals.finished}
        assert all((peer + "x").isprintable() and len(peer) <= 1024 for peer in peers)
    assert caplog.records
    for record in caplog.records:
        for line in (Logfmt().format(record), Json().format(record)):
            assert line.isprintable()
            assert len(line) < 20_000


@pytest.mark.parametrize(
    "station",
    [
        *(b"\r\nActionID: 1", b"\r\nEvent: x", b"\r\n\r\nActionID: 1", b"\r\n\r\nEvent: SendFAX"),
        *(b"\r\n", b"\r\nChannel: x/y", b"\r\nResponse: Success", b"Response: Success"),
    ],
)
@in_virtual_time
async def test_no_station_id_hides_the_completion_of_its_fax(station: bytes) -> None:
    async with watched() as (pbx, poller):
        pbx.stats.completed += 1
        pbx.inject(
            b"Event: ReceiveFAX\r\nPrivilege: call,all\r\nChannel: PJSIP/a-00000002\r\n"
            b"ChanVariable: FAXSTATUS=SUCCESS\r\nLocalStationID: 1\r\nRemoteStationID: "
            + station
            + b"\r\nPagesTransferred: 2\r\nTransferRate: 14400\r\nFileName: x\r\n\r\n"
        )
        await asyncio.sleep(30)
        assert poller.ledger.totals.finished.total() == 1
        assert poller.ledger.unobserved.total == 0
        assert poller.status.failures.total() == 0


@in_virtual_time
async def test_a_station_id_cannot_forge_the_completion_of_another_fax() -> None:
    async with watched() as (pbx, poller):
        pbx.inject(
            b"Event: ReceiveFAX\r\nPrivilege: call,all\r\nChannel: PJSIP/a-00000002\r\n"
            b"RemoteStationID: \r\n\r\nEvent: SendFAX\r\nPagesTransferred: 2\r\n\r\n"
        )
        await asyncio.sleep(3)
        finished = poller.ledger.totals.finished
        assert {key[0] for key, count in finished.items() if count} == {RECEIVE}
