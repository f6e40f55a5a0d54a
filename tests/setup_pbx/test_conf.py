"""Sections as Asterisk takes them; tests/pbx/test_setup_reading.py asks Asterisk."""

from pathlib import Path

import pytest

from exporter.setup_pbx.conf import Invalid, read
from exporter.setup_pbx.refusal import Refusal


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.conf").write_text(text)


def test_a_section_has_what_later_ones_add_and_the_last_line_holds(tmp_path: Path) -> None:
    write(tmp_path, manager="[general]\nport=1\n[a]\n[General](+)\nport => 2\n[general]\nport=3\n")
    line = read(tmp_path).general("PORT")
    assert line is not None
    assert (line.value, line.file, line.number) == ("2", tmp_path / "manager.conf", 5)


def test_a_template_is_no_section_but_gives_its_lines(tmp_path: Path) -> None:
    write(tmp_path, manager="[base](!)\nread = call\n[user](base)\nwrite = call\n")
    conf = read(tmp_path)
    assert conf.section("base") is None
    user = conf.section("user")
    assert user is not None
    assert [line.name for line in user.lines] == ["read", "write"]


def test_what_a_file_begins_ends_with_it(tmp_path: Path) -> None:
    write(tmp_path, manager="[general]\n#include more.conf\nport = 1\n", more="[a]\nx = 1\n")
    conf = read(tmp_path)
    port, more = conf.general("port"), conf.section("a")
    assert port is not None
    assert more is not None
    assert [line.name for line in more.lines] == ["x"]
    assert [one.name for one in conf.includes] == ["more.conf"]


def test_a_file_that_begins_without_a_section_goes_on_with_the_last_of_all(tmp_path: Path) -> None:
    write(tmp_path, manager="[general]\n#include a.conf\n#include b.conf\n", a="[a]\n", b="x = 1\n")
    a = read(tmp_path).section("a")
    assert a is not None
    assert [line.name for line in a.lines] == ["x"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1\n", ":1: stands in no section"),
        ("[general\n", ":1: a \\["),
        ("[general](+\n", ":1: a \\("),
        ("\n[a](+)\n", ":2: .* adds to a section"),
        ("[a](b)\n", ":1: .* no such section"),
        ("[a]\n#include none.conf\n", ":2: what it includes is not there"),
        (";-- " * 129, "too many comments"),
    ],
)
def test_what_asterisk_refuses_is_refused_with_its_place(
    tmp_path: Path, text: str, why: str
) -> None:
    write(tmp_path, manager=text)
    with pytest.raises(Invalid, match=why):
        read(tmp_path)


def test_a_file_that_is_included_is_cut_where_asterisk_stops_reading_it(tmp_path: Path) -> None:
    write(tmp_path, manager="[a]\n#include more.conf\nx = 1\n", more="y = 1\n[b\nz = 1\n")
    conf = read(tmp_path)
    a = conf.section("a")
    assert a is not None
    assert [line.name for line in a.lines] == ["y", "x"]
    assert conf.cut == {
        tmp_path
        / "more.conf": f"{tmp_path}/more.conf:2: a [ without its ]: Asterisk reads no further"
    }


def test_a_program_is_not_executed_but_known(tmp_path: Path) -> None:
    write(tmp_path, manager=f"[general]\n#exec /usr/bin/touch {tmp_path}/made\n")
    assert [one.number for one in read(tmp_path).programs] == [2]
    assert not (tmp_path / "made").exists()


def test_files_without_end_are_refused(tmp_path: Path) -> None:
    again = "".join(f"#tryinclude m{number}.conf\n" for number in range(9))
    write(tmp_path, manager="[a]\n" + again, **{f"m{number}": again for number in range(9)})
    with pytest.raises(Refusal, match="more than 200 files"):
        read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[a]\n" + "x = 1\n" * 20_000,
        "[a]\n" * 20_000,
        "[a]\nx = 1\n" + "".join("[a](+,a)\n" for _ in range(64)),
        "[a]\n" + "x += 1\n" * 20_000,
    ],
)
def test_files_that_would_fill_the_memory_are_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, manager=text)
    with pytest.raises(Refusal, match="more than 10000 lines"):
        read(tmp_path)


def test_no_file_is_no_sections(tmp_path: Path) -> None:
    assert read(tmp_path).sections == []
