"""What of a fleet is wanted, by a query, and what is there of it."""

import pytest

from exporter.fax import Reason
from exporter.ledger import Figures
from exporter.polling import Health, Lately, Row
from exporter.web.fleet import MAX_NAME, MAX_ROWS, ROWS, SORTS, NotToBeHad, Wanted, select


def row(name: str, health: Health = Health.OK, **other: object) -> Row:
    given: dict[str, object] = {
        "why": "",
        "up": health not in (Health.DOWN, Health.STARTING),
        "watched_since": 1000.0,
        "down_since": None,
        "asterisk_version": "22.10.0",
        "sessions": 0,
        "lately": Lately(),
        "today_since": 1000.0,
        "today": Figures(),
        "hours": [],
    }
    return Row(name=name, health=health, **(given | other))  # type: ignore[arg-type]


def failed(count: int, of: int) -> Figures:
    return Figures(of, of - count, count, 2 * of, count, {Reason.NO_FAX: count})  # type: ignore[arg-type]


FLEET = [
    row("berlin", today=failed(1, 10), sessions=2),
    row("paris", Health.DOWN, down_since=2000.0),
    row("Berlin-2", Health.FAILING, today=failed(5, 6), sessions=1),
    row("oslo", Health.STARTING),
    row("rome", Health.INCOMPLETE),
    row("london", Health.DOWN, down_since=1500.0),
]


def names(**query: str) -> list[str]:
    return [one.name for one in select(FLEET, Wanted.of(query)).rows]


def test_the_worst_stand_first() -> None:
    assert names() == ["Berlin-2", "paris", "london", "rome", "oslo", "berlin"]
    assert names(sort="-state") == names()[::-1]


def test_of_those_that_are_down_the_last_outage_stands_first_and_never_up_last() -> None:
    never = [row(f"a-{number}", Health.DOWN) for number in range(ROWS)]
    shown = select([*never, *FLEET], Wanted.of({"state": "down"})).rows
    assert [one.name for one in shown[:3]] == ["paris", "london", "a-0"]


def test_the_fleet_in_a_few_words_is_of_all_whatever_is_wanted() -> None:
    for query in ({}, {"name": "rome"}, {"state": "failing"}):
        summary = select(FLEET, Wanted.of(query)).summary
        assert summary == "3 up (1 failing), 2 down, 1 starting"
    assert select([row("a")], Wanted()).summary == "1 up, 0 down"


def test_it_is_filtered_by_state_and_by_a_part_of_the_name() -> None:
    assert names(state="unhealthy") == ["Berlin-2", "paris", "london", "rome"]
    assert names(state="failing") == ["Berlin-2"]
    assert names(state="all") == names()
    assert names(name=" BERL ") == ["Berlin-2", "berlin"]
    selection = select(FLEET, Wanted.of({"name": "berlin"}))
    counts = [selection.by_state[state] for state in ("", "unhealthy", "failing", "down")]
    assert counts == [2, 1, 1, 0]


def test_each_column_has_its_order_and_the_other_way_round() -> None:
    for column in SORTS:
        assert sorted(names(sort=column)) == sorted(one.name for one in FLEET)
        assert names(sort=f"-{column}") == names(sort=column)[::-1]
    assert names(sort="name")[:2] == ["Berlin-2", "berlin"]
    assert names(sort="since")[:3] == ["oslo", "london", "paris"]
    for column in ("failed", "bad_lines", "well"):
        assert names(sort=column)[:2] == ["Berlin-2", "berlin"], column
    for column in ("faxes", "pages", "sessions"):
        assert names(sort=column)[:2] == ["berlin", "Berlin-2"], column


def test_more_than_a_few_screens_are_shown_only_if_wanted() -> None:
    many = [row(f"pbx-{number}") for number in range(MAX_ROWS + 1)]
    selection = select(many, Wanted.of({}))
    assert (len(selection.rows), selection.found) == (ROWS, MAX_ROWS + 1)
    assert len(select(many, Wanted.of({"rows": "all"})).rows) == MAX_ROWS


def test_what_is_wanted_is_a_link_that_says_no_more_than_it_must() -> None:
    assert Wanted().but() == "?"
    wanted = Wanted.of({"state": "failing", "name": "a b&c", "sort": "-failed", "rows": "all"})
    assert wanted.but() == "?state=failing&name=a+b%26c&sort=-failed&rows=all"
    assert wanted.but(state="", all=False) == "?name=a+b%26c&sort=-failed"
    assert wanted.sorted_by("failed") == "?state=failing&name=a+b%26c&sort=failed&rows=all"
    assert Wanted(sort="failed").sorted_by("failed") == "?sort=-failed"
    assert Wanted(sort="failed").sorted_by("state") == "?"


@pytest.mark.parametrize(
    "query",
    [
        {"state": "ill"},
        {"sort": "secret"},
        {"sort": "--name"},
        {"rows": "9999"},
        {"name": "x" * (MAX_NAME + 1)},
    ],
)
def test_what_does_not_exist_is_said_with_what_does(query: dict[str, str]) -> None:
    ((key, value),) = query.items()
    with pytest.raises(NotToBeHad, match=f"^{key} takes ") as refused:
        Wanted.of(query)
    assert value not in str(refused.value)
