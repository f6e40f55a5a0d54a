"""As systemd reads it; its own words on it are in systemd.exec(5), EnvironmentFile=."""

import pytest

from exporter.setup_pbx.environment_file import variables


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\n# B=2\n; C=3\n  D = 4 \n", {"A": "1", "D": "4"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ('A="x y"\nB=\'p"q\'\n', {"A": "x y", "B": 'p"q'}),
        ("A=one\\\ntwo\nB=2", {"A": "onetwo", "B": "2"}),
        ("A='one\ntwo'\nB=2\n", {"A": "one\ntwo", "B": "2"}),
        ("# a comment \\\nA=1\nB=2\n", {"B": "2"}),
        ("no value\nA=1\r\n", {"A": "1"}),
        ("A=x'y\nB=2\n", {"A": "x'y", "B": "2"}),
    ],
)
def test_variables_are_those_that_systemd_sets(text: str, values: dict[str, str]) -> None:
    assert {name: value for name, (value, _) in variables(text.encode()).values.items()} == values


def test_each_has_the_line_it_begins_in() -> None:
    found = variables(b"\nA=1\nB='x\ny'\nC=3\n").values
    assert {name: line for name, (_, line) in found.items()} == {"A": 2, "B": 3, "C": 5}


@pytest.mark.parametrize(
    ("text", "is_open"),
    [("A='x\n", True), ("A=x\\", True), ('A="x\\"\n', True), ("# x\\", True), ("A=x", False)],
)
def test_what_would_swallow_a_line_that_is_added_is_known(text: str, is_open: bool) -> None:
    assert variables(text.encode()).is_open is is_open
