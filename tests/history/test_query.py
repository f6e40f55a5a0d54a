"""What can be asked: nothing of another kind gets through, and a cursor is what was given out."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.history.query import MAX_LIMIT, MAX_TIME, Position, Query


def test_a_query_is_read_as_it_was_said() -> None:
    query = Query(
        target="fax",
        operation="send",
        result="failed",
        reason="no_fax",
        peer="PJSIP/a",
        uniqueid="1.2",
        since=1.0,
        until=2.0,
        cursor=str(Position(1.5, 7)),
        limit=3,
    )
    assert Query.read(query.said()) == query
    assert Query.read({}) == Query()
    assert query.after == (1.5, 7)
    assert Query().after is None


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "target",
        {"target": 1},
        {"target": "x" * 1025},
        {"operation": "fly"},
        {"result": "1"},
        {"result": ["failed"]},
        {"reason": "because"},
        {"peer": {"a": 1}},
        {"since": "yesterday"},
        {"since": True},
        {"since": math.nan},
        {"until": math.inf},
        {"until": -1},
        {"until": MAX_TIME + 1},
        {"limit": 0},
        {"limit": MAX_LIMIT + 1},
        {"limit": 1.0},
        {"limit": True},
        {"limit": None},
        {"cursor": "x"},
        {"cursor": 5},
        {"where": "1=1"},
    ],
)
def test_what_is_no_query_is_refused(said: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Query.read(said)


@given(st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_is_read_as_it_was_given_out(ended: float, number: int) -> None:
    position = Position(ended, number)
    assert Position.read(str(position)) == position
    assert str(position).replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=30))
def test_any_other_text_is_no_cursor(text: str) -> None:
    try:
        position = Position.read(text)
    except ValueError:
        return
    assert str(position) == text


def test_a_cursor_with_more_behind_it_is_none() -> None:
    with pytest.raises(ValueError, match="no cursor"):
        Position.read(str(Position(1.0, 1)) + "==")


def test_a_cursor_that_says_the_same_in_other_letters_is_none() -> None:
    cursor = str(Position(1.0, 1))
    assert cursor.endswith("Q")
    with pytest.raises(ValueError, match="no cursor"):
        Position.read(f"{cursor[:-1]}R")
