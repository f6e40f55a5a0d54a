"""Faxes for the history, and histories that write at once."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter.fax import Operation, Reason, Transport
from exporter.history import FaxHistory, FaxPage, Query, keeper
from exporter.ledger import EndedFax
from exporter.settings import HistorySettings

NOW = 1.8e9
PEOPLE = {
    "channel": "PJSIP/anna-00000001",
    "caller": "+49 30 caller",
    "local_station": "+49 30 here",
    "remote_station": "+49 89 there",
    "file": "/var/spool/letter-to-anna.tif",
}


def fax(number: int = 1, **changes: Any) -> EndedFax:
    """One with every field set; the higher its number, the later it ended."""
    fields: dict[str, Any] = {
        "ended_at": 0.0,
        "operation": Operation.RECEIVE,
        "transport": Transport.T38,
        "succeeded": False,
        "reason": Reason.RETRIES,
        "pages": 3,
        "bad_lines": 17,
        "seconds": 61.5,
        "data_rate": 9600,
        "unique_id": f"1800000000.{number}",
        "heard_at": NOW + number + 0.25,
        "ended": NOW + number,
        "linked_id": f"1800000000.{number - 1}",
        "peer": "PJSIP/trunk-berlin",
        "status_text": "Disconnected after permitted retries",
        "began": True,
        "rejected": 2,
        "fallbacks": 1,
        "ecm": False,
        "resolution": (8031, 3850),
        "counted_pages": 2,
        "counted_bad_lines": 16,
        "counted_transport": Transport.T38,
        "went_on": False,
        **PEOPLE,
    }
    return EndedFax(**fields | changes)


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told is written before the next thing is asked."""
    monkeypatch.setattr(keeper, "BATCH_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.01)


@contextlib.asynccontextmanager
async def running(
    path: Path | None = None, *, details: bool = False, now: float = NOW, **settings: Any
) -> AsyncIterator[FaxHistory]:
    history = FaxHistory(HistorySettings(file=path, **settings), details=details, wall=lambda: now)
    history.start()
    try:
        yield history
    finally:
        await history.close()


async def found(history: FaxHistory, query: Query | None = None) -> FaxPage:
    return await history.find(query or Query(), lambda page: page)


async def ids(history: FaxHistory, query: Query | None = None) -> list[str]:
    """Numbers of the faxes that were found."""
    return [one.fax.unique_id.partition(".")[2] for one in (await found(history, query)).faxes]
