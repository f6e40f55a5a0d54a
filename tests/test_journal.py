"""Entries for journald: what its protocol asks for, and only where standard error is the journal's;
tests/pbx/test_journal.py has a real one take them."""

import os
import socket
import threading
from pathlib import Path
from typing import Final

import pytest

from exporter.fax import Operation, Reason, Transport
from exporter.fax_log import FaxJournal, FaxLog
from exporter.journal import IDENTIFIER, MESSAGE_ID, Journal, entry_of
from exporter.ledger import EndedFax
from harness.logfmt import parse
from harness.systemd import Journald


def journal_stream(descriptor: int) -> dict[str, str]:
    """As systemd names what it connected."""
    found = os.fstat(descriptor)
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def test_each_value_is_a_field_and_the_line_is_the_message(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Journald(path) as journald:
        journal = Journal(path)
        journal.write(
            entry_of(
                "target=berlin reason=no_fax",
                {
                    "target": "berlin",
                    "reason": "no_fax",
                    "pages": 0,
                    "ecm": True,
                    "data_rate": None,
                },
            )
        )
        journal.close()
        assert journald.entry() == {
            "MESSAGE": "target=berlin reason=no_fax",
            "MESSAGE_ID": MESSAGE_ID,
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "FAX_TARGET": "berlin",
            "FAX_REASON": "no_fax",
            "FAX_PAGES": "0",
            "FAX_ECM": "true",
        }


@pytest.mark.parametrize("value", ["two\nlines", "\n", "MESSAGE=x\nPRIORITY=0\n", "\ud800", "é="])
def test_no_value_makes_a_field_of_its_own(tmp_path: Path, value: str) -> None:
    path = str(tmp_path / "socket")
    with Journald(path) as journald:
        journal = Journal(path)
        journal.write(entry_of("line", {"status_text": value}))
        journal.close()
        entry = journald.entry()
        assert (entry.pop("MESSAGE"), entry.pop("MESSAGE_ID")) == ("line", MESSAGE_ID)
        assert (entry.pop("PRIORITY"), entry.pop("SYSLOG_IDENTIFIER")) == ("6", IDENTIFIER)
        assert list(entry) == ["FAX_STATUS_TEXT"]
        assert entry["FAX_STATUS_TEXT"] == value.replace("\ud800", "?")


@pytest.mark.parametrize("name", ["", "Reason", "rea son", "a=b", "_a", "x" * 61, "ümlaut"])
def test_a_name_that_journald_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a field"):
        entry_of("line", {name: 1})


def test_only_where_standard_error_is_the_journal_s(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    ours, theirs = socket.socketpair()
    with ours, theirs, Journald(path):
        of_ours = journal_stream(ours.fileno())
        for environment in ({}, {"JOURNAL_STREAM": ""}, journal_stream(theirs.fileno())):
            assert Journal.of_this_process(environment, ours.fileno(), path) is None
        made = Journal.of_this_process(of_ours, ours.fileno(), path)
        assert made is not None
        made.close()
        assert Journal.of_this_process(of_ours, ours.fileno(), str(tmp_path / "none")) is None


def test_a_closed_standard_error_is_no_journal(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        gone = ours.fileno()
        environment = journal_stream(gone)
        ours.close()
        assert Journal.of_this_process(environment, gone, str(tmp_path / "socket")) is None


def test_an_entry_that_is_larger_than_a_datagram_is_taken_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Journald(path) as journald:
        journal = Journal(path)
        journal.write(entry_of("line", {"file": "f" * 1_000_000}))
        journal.close()
        assert journald.entry()["FAX_FILE"] == "f" * 1_000_000


def test_a_journald_that_was_started_anew_is_found(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Journald(str(path)):
        journal = Journal(str(path))
    with pytest.raises(ConnectionRefusedError):
        journal.write(entry_of("while it is away", {}))
    path.unlink()
    with Journald(str(path)) as journald:
        journal.write(entry_of("when it is back", {}))
        assert journald.entry()["MESSAGE"] == "when it is back"
    journal.close()


FAX: Final = EndedFax(
    ended_at=5.0,
    operation=Operation.SEND,
    transport=Transport.G711,
    channel="PJSIP/berlin-00000001",
    succeeded=False,
    reason=Reason.NO_FAX,
    pages=0,
    bad_lines=None,
    seconds=None,
    data_rate=None,
    caller="5551234",
    unique_id="1764149000.7",
    ended=1764149000.0,
)


def test_a_fax_s_line_comes_with_its_fields(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Journald(path) as journald:
        lines = FaxJournal(Journal(path))
        FaxLog(lines, "logfmt", "all", details=False).tell("berlin", FAX)
        entry = journald.entry()
        lines.close()
    assert parse(entry["MESSAGE"])["uniqueid"] == "1764149000.7"
    assert (entry["FAX_TARGET"], entry["FAX_REASON"], entry["FAX_PAGES"]) == (
        "berlin",
        "no_fax",
        "0",
    )
    assert "FAX_CHANNEL" not in entry
    assert "FAX_DATA_RATE_BPS" not in entry


def test_what_journald_does_not_take_is_said_once_and_sent_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failed = threading.Event()

    class Watched(FaxJournal):
        def failed(self, error: OSError) -> None:
            super().failed(error)
            failed.set()

    path = tmp_path / "socket"
    with Journald(str(path)):
        lines = Watched(Journal(str(path)))
    log = FaxLog(lines, "json", "failed", details=True)
    for target in ("berlin", "paris"):
        log.tell(target, FAX)
    assert failed.wait(20)
    path.unlink()
    with Journald(str(path)) as journald:
        assert [journald.entry()["FAX_TARGET"] for _ in range(2)] == ["berlin", "paris"]
    lines.close()
    assert log.lost == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
