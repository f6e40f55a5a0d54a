"""What would be written on Asterisk's side, read again by a reader of the tests' own where it is
plain; tests/pbx/test_setup.py has Asterisk read it."""

import configparser
from pathlib import Path

import pytest

from exporter.fax import Version
from exporter.setup_pbx import ami_side
from exporter.setup_pbx.ami_side import AmiSide
from exporter.setup_pbx.conf import read
from exporter.setup_pbx.refusal import Refusal
from tests.setup_pbx.machines import DEBIAN, FREEPBX, UPSTREAM, both

OLD, NEW = "16.28.0", "22.10.1"
GENERAL = "[general]\nenabled = yes\n"
FAX = "FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING"


def plan(
    tmp_path: Path, version: str = OLD, kept: str | None = None, **files: str | bytes
) -> AmiSide:
    """`files`: their names without .conf."""
    named = {f"{name}.conf": content for name, content in files.items()}
    folder = both(tmp_path, named).asterisk
    return ami_side.plan(folder, Version.parse(version), kept, None)


def added(side: AmiSide) -> str:
    """What was added, in the marks."""
    assert side.change.after is not None
    return side.change.after.decode().partition("BEGIN asterisk")[2]


def sections(side: AmiSide) -> dict[str, dict[str, str]]:
    """Ours, by Python's own reader."""
    parser = configparser.ConfigParser(
        strict=False, delimiters=(" = ",), comment_prefixes=(";",), interpolation=None
    )
    parser.read_string(added(side).partition("\n")[2])
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize(
    ("version", "filters"),
    [
        (OLD, {"eventfilter": "Event: (SendFAX|ReceiveFAX)"}),
        (
            NEW,
            {
                "eventfilter(action(include),name(sendfax),method(starts_with))": "Event: SendFAX",
                "eventfilter(action(include),name(receivefax),method(starts_with))": (
                    "Event: ReceiveFAX"
                ),
            },
        ),
    ],
)
def test_the_user_may_do_what_it_must_and_no_more(
    tmp_path: Path, version: str, filters: dict[str, str]
) -> None:
    side = plan(tmp_path, version, manager=GENERAL)
    user = sections(side)["fax-exporter"]
    secret = user.pop("secret")
    assert len(secret) == 64
    assert side.login.secret.get_secret_value() == secret
    assert "deny = 0.0.0.0/0.0.0.0\ndeny = ::/0\npermit = 127.0.0.1/32\n" in added(side)
    del user["deny"]
    assert (
        user
        == {
            "permit": "127.0.0.1/32",
            "read": "call",
            "write": "call,reporting",
            "writetimeout": "5000",
            "displayconnects": "no",
        }
        | filters
    )


def test_each_time_the_secret_is_another(tmp_path: Path) -> None:
    folder = both(tmp_path, {"manager.conf": GENERAL}).asterisk
    made = {ami_side.plan(folder, Version(), None, None).login.secret for _ in range(3)}
    assert len(made) == 3


@pytest.mark.parametrize(
    ("general", "ours"),
    [
        ("enabled = yes\n", {"channelvars": FAX}),
        ("enabled = yes\nchannelvars = A,B\n", {"channelvars": f"A,B,{FAX}"}),
        ("enabled = yes\nchannelvars = A\nchannelvars = B\n", {"channelvars": f"B,{FAX}"}),
        (f"enabled = yes\nchannelvars => {FAX},X\n", None),
        (
            "enabled = no\nport = 6000\n",
            {"enabled": "yes", "bindaddr": "127.0.0.1", "channelvars": FAX},
        ),
        ("", {"enabled": "yes", "bindaddr": "127.0.0.1", "channelvars": FAX}),
    ],
)
def test_general_gets_what_it_lacks_and_keeps_what_it_has(
    tmp_path: Path, general: str, ours: dict[str, str] | None
) -> None:
    side = plan(tmp_path, manager=f"[general]\n{general}[admin]\nsecret = x\n")
    assert sections(side).get("general") == ours
    assert ("[general](+)\n" in added(side)) is (ours is not None)


def test_without_any_general_before_it_ours_is_the_first(tmp_path: Path) -> None:
    assert "[general]\nenabled = yes\n" in added(plan(tmp_path, manager="[admin]\nsecret = x\n"))


@pytest.mark.parametrize(
    ("general", "host", "port", "permit"),
    [
        ("", "127.0.0.1", 5038, "127.0.0.1/32"),
        ("bindaddr = 0.0.0.0\nport = 6038\n", "127.0.0.1", 6038, "127.0.0.1/32"),
        ("bindaddr = ::\n", "127.0.0.1", 5038, "127.0.0.1/32"),
        ("bindaddr = [::]\n", "127.0.0.1", 5038, "127.0.0.1/32"),
        ("bindaddr = nonsense\nport = x\n", "127.0.0.1", 5038, "127.0.0.1/32"),
        ("bindaddr = 127.0.0.1:99\nport = 99\n", "127.0.0.1", 5038, "127.0.0.1/32"),
        ("bindaddr = ::1\n", "::1", 5038, "::1/128"),
        ("bindaddr = 127.0.0.9\n", "127.0.0.9", 5038, "127.0.0.1/32"),
        (
            "tlsenable = yes\ntlsbindaddr = 0.0.0.0:5039\nbindaddr = 127.0.0.1\n",
            "127.0.0.1",
            5038,
            "127.0.0.1/32",
        ),
    ],
)
def test_the_exporter_goes_where_asterisk_listens_and_may_come_from_there(
    tmp_path: Path, general: str, host: str, port: int, permit: str
) -> None:
    side = plan(tmp_path, manager=GENERAL + general)
    assert (side.login.host, side.login.port, side.login.tls) == (host, port, False)
    assert f"permit = {permit}\n" in added(side)


def test_a_user_of_that_name_is_left_alone_and_told_of(tmp_path: Path) -> None:
    side = plan(tmp_path, manager=GENERAL + "[Fax-Exporter](!)\nsecret = theirs\n")
    assert side.login.username == "asterisk-fax-exporter"
    assert side.notes[0].startswith(f"{side.change.path}:3: there is a [Fax-Exporter]")


def test_a_user_of_that_name_in_users_conf_keeps_it(tmp_path: Path) -> None:
    users = "[fax-exporter]\nhasmanager = yes\n"
    assert plan(tmp_path, manager=GENERAL, users=users).login.username == "asterisk-fax-exporter"


def test_with_every_name_taken_it_is_refused_with_what_to_do(tmp_path: Path) -> None:
    taken = "".join(f"[{name}]\n" for name in ami_side.NAMES)
    with pytest.raises(Refusal, match=r"--ami\.secret-file"):
        plan(tmp_path, manager=GENERAL + taken)


def test_a_second_run_changes_nothing_if_the_exporter_has_the_secret_too(tmp_path: Path) -> None:
    first = plan(tmp_path, manager=GENERAL)
    assert first.change.after is not None
    first.change.path.write_bytes(first.change.after)
    secret = first.login.secret.get_secret_value()
    folder = first.change.path.parent
    again = ami_side.plan(folder, Version.parse(OLD), secret, None)
    assert not again.change.changes
    assert again.login == first.login
    other = ami_side.plan(folder, Version.parse(OLD), "another", None)
    assert other.change.changes
    assert other.change.after is not None
    assert other.change.after.count(b"[fax-exporter]") == 1
    assert other.login.secret.get_secret_value() not in (secret, "another")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"manager": GENERAL + "\n;-- old\n"}, r"manager\.conf:4: has a ;--"),
        ({"manager": GENERAL + "x = --; y\n"}, r"manager\.conf:3: has a ;--"),
        ({"manager": "[general\n"}, r"manager\.conf:1: a \["),
        ({"manager": GENERAL + "x" * 9000}, r"manager\.conf:3: is a line of 8190"),
        ({"manager": GENERAL + "channelvars = A\\;B\n"}, r"manager\.conf:3: has names"),
        (
            {"manager": FREEPBX, "manager_additional": "", "manager_custom": "[a\n"},
            r"manager_custom\.conf:1: a \[",
        ),
        (
            {
                "manager": GENERAL + "#include manager_custom.conf\n#include tail.conf\n",
                "manager_custom": "",
                "tail": "; of the section before it\nport = 6038\n",
            },
            r"manager_custom\.conf: with our lines in it .* others otherwise",
        ),
        (
            {
                "manager": "[general]\n#include manager_custom.conf\nenabled = no\n",
                "manager_custom": "",
            },
            r"manager\.conf:3: is read after our lines and switches AMI off",
        ),
    ],
)
def test_where_asterisk_would_not_take_it_it_is_refused_with_the_place(
    tmp_path: Path, files: dict[str, str], why: str
) -> None:
    with pytest.raises(Refusal, match=why):
        plan(tmp_path, **files)


def test_a_section_that_is_a_template_at_the_end_takes_nothing_of_it(tmp_path: Path) -> None:
    side = plan(tmp_path, manager=GENERAL + "[base](!)\nwrite = all")
    assert set(sections(side)) == {"general", "fax-exporter"}
    assert b"[base](!)\nwrite = all\n; BEGIN" in (side.change.after or b"")


def test_crlf_and_bytes_that_are_no_utf_8_stay(tmp_path: Path) -> None:
    before = b"[general]\r\nenabled = yes\r\n; caf\xe9\r\n[admin]\r\nsecret = \xff"
    after = plan(tmp_path, manager=before).change.after
    assert after is not None
    assert after.startswith(before + b"\r\n")
    assert after.count(b"\n") == after.count(b"\r\n")


def test_a_place_that_a_later_line_overrides_is_passed_over_for_the_end(tmp_path: Path) -> None:
    files = {
        "manager.conf": DEBIAN + "channelvars = A\n",
        "manager.d/README.conf": "",
    }
    folder = both(tmp_path, files).asterisk
    side = ami_side.plan(folder, Version.parse(OLD), None, None)
    assert side.change.path == folder / "manager.conf"
    assert f"channelvars = A,{FAX}\n" in added(side)


def test_where_there_is_no_other_place_what_overrides_ours_is_told(tmp_path: Path) -> None:
    files = {"manager_additional": "", "manager_custom": ""}
    side = plan(tmp_path, manager=FREEPBX + "[general](+)\nchannelvars = A\n", **files)
    assert side.change.path.name == "manager_custom.conf"
    (note,) = [note for note in side.notes if "channelvars" in note]
    assert note.startswith(f"{side.change.path.parent}/manager.conf:20: is read after our lines")


def test_an_include_before_general_is_no_place(tmp_path: Path) -> None:
    files = {"manager.conf": '#include "manager.d/*.conf"\n' + UPSTREAM, "manager.d/x.conf": ";\n"}
    folder = both(tmp_path, files).asterisk
    side = ami_side.plan(folder, Version.parse(OLD), None, None)
    assert side.change.path == folder / "manager.conf"
    assert "[general](+)\n" in added(side)


def test_programs_single_logins_and_tls_that_comes_on_are_told_of(tmp_path: Path) -> None:
    general = "[general]\n#exec /bin/false\nallowmultiplelogin = no\ntlsenable = yes\n"
    notes = "\n".join(plan(tmp_path, manager=general).notes)
    for place in ("2: #exec", "3: allowmultiplelogin", "4: tlsenable"):
        assert f"manager.conf:{place}" in notes


@pytest.mark.parametrize(
    ("lines", "is_ended"),
    [
        ("[operator]\nsetvar = A=B\n", True),
        ("[base](!)\nsetvar = A=B\n[operator](base)\nsecret = x\n", True),
        ("[one]\n[one]\nSetVar => A=B\n", True),
        ("[base](!)\nsetvar = A=B\n", False),
        ("[general](+)\nsetvar = A=B\n", False),
        ("[operator]\nsetvar = A\n;setvar = A=B\n", False),
    ],
)
def test_users_with_whom_a_reload_ends_asterisk_are_known(
    tmp_path: Path, lines: str, is_ended: bool
) -> None:
    (tmp_path / "manager.conf").write_text(GENERAL + lines)
    assert bool(ami_side.ended_by_reloads(read(tmp_path))) is is_ended


def test_a_new_file_is_for_asterisks_group_alone(tmp_path: Path) -> None:
    files = {"manager.conf": DEBIAN, "manager.d/README.conf": ""}
    folder = both(tmp_path, files).asterisk
    owned = ami_side.plan(folder, Version.parse(OLD), None, 4711).change.owned
    assert owned is not None
    assert (owned.gid, owned.mode) == (4711, 0o640)


def test_lines_of_others_below_ours_are_not_given_to_another_section(tmp_path: Path) -> None:
    side = plan(tmp_path, manager=GENERAL)
    path = side.change.path
    assert side.change.after is not None
    path.write_bytes(side.change.after + b"permit = 10.0.0.0/8\n")
    with pytest.raises(Refusal, match="section of their own"):
        ami_side.check_only_ours_goes(path.parent, {path: GENERAL.encode()})
    path.write_bytes(side.change.after + b"[more]\npermit = 10.0.0.0/8\n")
    without = GENERAL.encode() + b"[more]\npermit = 10.0.0.0/8\n"
    ami_side.check_only_ours_goes(path.parent, {path: without})
