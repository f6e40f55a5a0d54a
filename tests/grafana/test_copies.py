"""Two sets of the dashboards in one Grafana: told apart, and each leads to its own."""

import sys
from pathlib import Path
from typing import Any

import pytest

from grafana import __main__ as generator
from grafana.copies import told_apart

LONGEST = "-".join(["abcde"] * 2)
UID_AT_MOST = 40
"""What Grafana allows."""


def test_nothing_by_which_grafana_knows_a_dashboard_is_of_both_sets() -> None:
    first, second = generator.boards(), told_apart(generator.boards(), "berlin")
    for key in ("uid", "title"):
        names = {board[key] for board in (*first.values(), *second.values())}
        assert len(names) == 2 * len(first)
    assert not first.keys() & second.keys()


def test_the_list_of_dashboards_is_of_one_set() -> None:
    for boards in (generator.boards(), told_apart(generator.boards(), "berlin")):
        tags = {tag for board in boards.values() for tag in board["tags"]}
        listed = {
            tag for board in boards.values() for link in board["links"] for tag in link["tags"]
        }
        assert tags == listed
        assert len(tags) == 1


def test_links_lead_to_the_set_that_they_are_in() -> None:
    def board(uid: str, *links: str) -> dict[str, Any]:
        panel = {"links": [{"url": url} for url in links]}
        return {"uid": uid, "title": "", "tags": [], "links": [], "panels": [panel]}

    links = [
        "/d/fax?${__url_time_range}",
        "d/fax-line/slug",
        "/d/fax-other?x",
        "https://x.example/fax",
    ]
    made = told_apart({"a.json": board("fax", *links), "b.json": board("fax-line")}, "berlin")
    assert [link["url"] for link in made["a-berlin.json"]["panels"][0]["links"]] == [
        "/d/fax-berlin?${__url_time_range}",
        "d/fax-line-berlin/slug",
        "/d/fax-other?x",
        "https://x.example/fax",
    ]


def test_the_longest_suffix_leaves_a_uid_that_grafana_takes() -> None:
    assert generator.SUFFIX.fullmatch(LONGEST)
    assert not generator.SUFFIX.fullmatch(f"{LONGEST}f")
    boards = told_apart(generator.boards(), LONGEST).values()
    assert max(len(board["uid"]) for board in boards) <= UID_AT_MOST


def test_the_command_writes_a_second_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["grafana", "--copy", "berlin", str(tmp_path)])
    generator.main()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == generator.texts("berlin")
    assert str(tmp_path / "fax-overview-berlin.json") in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["grafana", "--copy", "Berlin", str(tmp_path)])
    with pytest.raises(SystemExit):
        generator.main()
    assert "--copy 'Berlin'" in capsys.readouterr().err
    missing = tmp_path / "missing"
    monkeypatch.setattr(sys, "argv", ["grafana", "--copy", "berlin", str(missing)])
    with pytest.raises(SystemExit):
        generator.main()
    assert f"{missing} is no folder" in capsys.readouterr().err
