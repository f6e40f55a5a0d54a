"""A fax comes back from its row as it went in, and a row that says anything breaks nothing."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fax import Operation, Reason, Transport
from exporter.history import rows
from exporter.history.database import Database
from exporter.history.query import Query
from exporter.ledger import EndedFax
from tests.history.stored import NOW, PEOPLE, fax


def back(one: EndedFax, *, details: bool = True, target: str = "fax") -> EndedFax:
    """Through a real database."""
    database = Database()
    try:
        assert database.add([rows.row_of(target, one, NOW, details=details)]) == 0
        (stored,) = database.find(Query()).faxes
    finally:
        database.close()
    assert stored.target == rows.plain(target)
    return stored.fax


def test_every_field_comes_back() -> None:
    assert back(fax()) == fax()


EMPTY = EndedFax(
    ended_at=0.0,
    operation=Operation.SEND,
    transport=Transport.NONE,
    channel="",
    succeeded=None,
    reason=None,
    pages=None,
    bad_lines=None,
    seconds=None,
    data_rate=None,
)


@pytest.mark.parametrize("succeeded", [True, None])
def test_what_is_not_known_comes_back_as_not_known(succeeded: bool | None) -> None:
    one = dataclasses.replace(EMPTY, succeeded=succeeded)
    assert back(one) == one
    assert back(fax(began=False, went_on=True, ecm=None)) == fax(
        began=False, went_on=True, ecm=None
    )


def test_nothing_personal_is_in_a_row_without_details() -> None:
    nobody: dict[str, Any] = dict.fromkeys(PEOPLE, "")
    assert back(fax(), details=False) == fax(**nobody)
    row = rows.row_of("fax", fax(), NOW, details=False)
    assert not set(PEOPLE.values()) & set(row)
    assert set(rows.PERSONAL) == PEOPLE.keys()


@given(st.text(), st.integers(), st.integers(), st.text())
def test_whatever_a_pbx_says_can_be_stored(text: str, number: int, other: int, target: str) -> None:
    strange = fax(
        peer=text, file=text, unique_id=text, status_text=text, pages=number, bad_lines=other
    )
    stored = back(strange, target=target)
    assert stored.peer == rows.plain(text)
    assert stored.pages is None or 0 <= stored.pages <= 2**53


def test_half_of_a_character_is_stored_as_a_mark() -> None:
    assert back(fax(peer="a\ud800b"), target="\udfff").peer == "a?b"


STRANGE = st.one_of(
    st.none(), st.text(), st.binary(), st.integers(-(2**63), 2**63 - 1), st.floats()
)


@given(st.lists(STRANGE, min_size=len(rows.COLUMNS), max_size=len(rows.COLUMNS)))
def test_a_row_that_says_anything_is_a_fax_or_none(values: list[Any]) -> None:
    stored = rows.fax_of([1, *values])
    if stored is not None:
        assert isinstance(stored.fax.operation, Operation)
        assert stored.fax.reason is None or stored.fax.succeeded is False
        assert isinstance(stored.fax.peer, str)
        assert stored.fax.pages is None or stored.fax.pages >= 0


def test_a_word_of_a_later_version_is_another_reason() -> None:
    row = [1, *rows.row_of("fax", fax(), NOW, details=True)]
    names = list(rows.COLUMNS)
    row[1 + names.index("reason")] = "struck_by_lightning"
    later = rows.fax_of(row)
    assert later is not None
    assert later.fax.reason is Reason.OTHER
    row[1 + names.index("operation")] = "teleport"
    assert rows.fax_of(row) is None


def test_a_row_that_the_table_refuses_does_not_take_others_with_it() -> None:
    database = Database()
    try:
        good = rows.row_of("fax", fax(), NOW, details=True)
        assert database.add([good, (None, *good[1:]), good]) == 1
        assert database.kept == 2
    finally:
        database.close()
