"""What --setup-pbx reads in configuration files is what Asterisk reads in them, by AMI's GetConfig:
files made of all that its syntax has, well and badly put together."""

import random
from pathlib import Path

from exporter.setup_pbx.conf import Invalid, read
from exporter.setup_pbx.refusal import Refusal
from tests.pbx.asterisk import Ami, Asterisk

PIECES = [
    *("[general]\n", "[a]\n", "[A]\n", "[a](+)\n", "[general](+)\n", "[b](!)\n", "[c](b)\n"),
    *("[a](+,b)\n", "  [d]  \n", "[e] ; c\n", "[f](!,b)\n", "[b](+)\n", "[g](nope)\n", "[h\n"),
    *("[i](\n", "[j](+b)\n", "[k](a,general)\n", "[l] (+)\n", "[]\n", "[general](!)\n"),
    *("x = 1\n", "y => 2\n", "x += 3\n", "z=\n", "=5\n", "novalue\n", "\tx = 2\n", "no end"),
    *("\\[x = 3\n", "k = é\n", "m = \0 after\n", "+= 3\n", "x+= 4\n", "x +=> 4\n", "v == 2\n"),
    *('v = "quoted ; x"\n', "q = 1\r\n", "\r\n", "; comment\n", ";-- block\n", "--;\n"),
    *("k = v ;-- in --; w\n", "k = v\\;w ; rest\n", "k = a --; b\n", ";---------;\n", ";--;\n"),
    *("n = 1 --; ;-- x\n", ";-- --;x = 9\n", "x = 1;--;\n", "x = 1;--y--;z\n", "a;--\n"),
    *("b = 2--;c = 3\n", "#include inc.conf\n", '#include "inc.conf"\n', "#include <inc.conf>\n"),
    *("#include 'inc.conf'\n", "#tryinclude none.conf\n", "#include none.conf\n", "#unknown x\n"),
    *("#exec /bin/true\n", "#include sub/*.conf\n", '#include "sub/*.conf" \n', "#include\n"),
    *("#INCLUDE inc.conf\n", "#include {inc,sub/s}.conf\n", "#include none/*.conf\n"),
    *("#include bad.conf\n", "#include nested.conf\n"),
]
INCLUDED = {
    "inc.conf": "[inc]\ni = 1\n",
    "sub/s.conf": "s = 1\n[sub]\n s2 = 1\n",
    "bad.conf": "x = 1\n[bad]\ny = 1\n[broken\nz = 1\n",
    "nested.conf": "[nested]\n#include bad.conf\n#include none.conf\nx = 1\n",
}
FILES = 1500
Read = list[tuple[str, list[tuple[str, str]]]]


def by_asterisk(ami: Ami, name: str) -> Read | None:
    """Sections and what they set; None if it refuses the file."""
    answer = ami.ask("GetConfig", Filename=name, Filter="TEMPLATES=include")[0]
    if answer.get("Response") == "Error":
        return None
    found: Read = []
    for header, value in answer.headers:
        if header.startswith("Category-"):
            found.append((value, []))
        elif header.startswith("Line-"):
            said, _, given = value.partition("=")
            found[-1][1].append((said.strip(), given.strip()))
    return found


def by_the_exporter(folder: Path, name: str) -> Read | None:
    try:
        conf = read(folder, name=name)
    except Invalid:
        return None
    return [(s.name, [(line.name, line.value.strip()) for line in s.lines]) for s in conf.sections]


def test_files_are_read_as_asterisk_reads_them(suite: str) -> None:
    rng = random.Random(16)
    refused = 0
    with Asterisk(suite) as asterisk, asterisk.ami() as ami:
        etc = asterisk.directory / "etc"
        (etc / "sub").mkdir()
        for name, text in INCLUDED.items():
            (etc / name).write_text(text)
        for number in range(FILES):
            pieces = ["[general]\n", *rng.choices(PIECES, k=rng.randint(1, 6))]
            if number < len(PIECES):
                pieces = ["[general]\n", PIECES[number], "[after]\nend = 1\n"]
            name = f"t{number}.conf"
            (etc / name).write_text("".join(pieces), newline="")
            ours, asterisks = by_the_exporter(etc, name), by_asterisk(ami, name)
            refused += ours is None
            assert ours == asterisks, pieces
    assert 50 < refused < FILES / 2


def test_a_file_that_begins_with_a_byte_order_mark_is_read_or_refused_as_asterisk_does(
    suite: str,
) -> None:
    with Asterisk(suite) as asterisk, asterisk.ami() as ami:
        etc = asterisk.directory / "etc"
        (etc / "bom.conf").write_text("\ufeff[general]\nx = 1\n")
        assert by_the_exporter(etc, "bom.conf") == by_asterisk(ami, "bom.conf")


def test_files_within_each_other_are_read_as_deep_as_asterisk_reads_them(suite: str) -> None:
    with Asterisk(suite) as asterisk, asterisk.ami() as ami:
        etc = asterisk.directory / "etc"
        for depth in range(14):
            (etc / f"d{depth}.conf").write_text(f"[d{depth}]\n#include d{depth - 1}.conf\nx = 1\n")
        (etc / "d0.conf").write_text("[d0]\n")
        (etc / "self.conf").write_text("[self]\n#include self.conf\nx = 1\n")
        for name in (*(f"d{depth}.conf" for depth in range(14)), "self.conf"):
            assert by_the_exporter(etc, name) == by_asterisk(ami, name), name


def test_a_line_that_asterisk_skips_a_part_of_is_refused(suite: str) -> None:
    with Asterisk(suite) as asterisk, asterisk.ami() as ami:
        etc = asterisk.directory / "etc"
        for length in range(8180, 8200):
            line = "l = ".ljust(length - 1, "z")
            (etc / "long.conf").write_text(f"[general]\n{line}\nafter = 1\n")
            try:
                assert by_the_exporter(etc, "long.conf") == by_asterisk(ami, "long.conf"), length
            except Refusal:
                assert length >= 8190
            else:
                assert length < 8190
