"""Where the sections of the manager.conf of this machine begin."""

from pathlib import Path

from exporter.check_pbx.manager_files import sections


def test_sections_in_a_comment_of_many_lines_are_none(tmp_path: Path) -> None:
    (tmp_path / "manager.conf").write_text(
        "[general]\n;-- as it was:\n[general]\n;-- and before --;\n[general]\nport = 1 --;\n"
        ";--- a line ;-- and not the begin of many\n[fax]\n;-- one --; [general](+)\n[general]\n"
    )
    there = [(one.name, one.adds, one.line) for one in sections(tmp_path)]
    assert there == [
        ("general", False, 1),
        ("fax", False, 8),
        ("general", True, 9),
        ("general", False, 10),
    ]
