"""What --check-pbx advises is done to the letter on real Asterisks, one misconfiguration each.

Before, real faxes show what the misconfiguration costs; afterwards they show that it is over, and
the check has nothing to say.
"""

import re
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exporter.check_pbx import EVENTFILTER, OWN_USER, Finding, Report, Verdict, text
from exporter.fax import CHANNELVARS
from harness.readme import block
from tests.pbx.asterisk import Ami, Asterisk, ManagerUser, chroot
from tests.pbx.test_check import FUNCTIONS, SECRET, checked, subjects

NOTHING: frozenset[tuple[str, bool]] = frozenset()
EVENTS_ALONE = frozenset({("SendFAX", False), ("ReceiveFAX", False)})
ALL = frozenset({("SendFAX", True), ("ReceiveFAX", True)})
"""Completion events, and whether each has its result and reason."""
DIALPLAN = """[short]
exten => recv,1,Answer()
 same => n,ReceiveFAX(/opt/t/fax/rx-${UNIQUEID}.tif)
 same => n,Hangup()
exten => deaf,1,Answer()
 same => n,Wait(1)
 same => n,Hangup()
exten => stay,1,Answer()
 same => n,Wait(60)
"""
_COMMAND = re.compile(r"asterisk -rx '([^']*)'")
_SECRET_LINE = re.compile(r"secret = what --ami.secret-file holds.*")


@dataclass(frozen=True)
class Wrong:
    """A misconfiguration, what it costs, and what is said of it."""

    subject: str
    says: str
    heard: frozenset[tuple[str, bool]] | None
    """None: the user cannot log in."""
    general: str = f"[general](+)\n{CHANNELVARS}\n"
    user: str = "fax"
    section: str = f"secret = {SECRET}\nread = call\nwrite = call,reporting\n{EVENTFILTER}\n"
    files: Mapping[str, str] = field(default_factory=dict)
    secret: str = SECRET
    noise: bool = False
    """Events that nobody wants come too, before."""


_SECTION = Wrong.section
WRONG = {
    "channelvars with blanks": Wrong(
        "channelvars",
        "FAXERROR, FAXMODE, FAXSTATUSSTRING has a blank",
        EVENTS_ALONE,
        general=f"[general](+)\n{CHANNELVARS.replace(',', ', ')}\n",
    ),
    "channelvars of others": Wrong(
        "channelvars",
        "channelvars = CDR(src),FAXSTATUS,FAXERROR,",
        EVENTS_ALONE,
        general="[general](+)\nchannelvars = CDR(src)\n",
    ),
    "a second general": Wrong(
        "channelvars",
        "a second [general]",
        EVENTS_ALONE,
        general=f"[general]\n{CHANNELVARS}\n",
    ),
    "a second general in an included file": Wrong(
        "channelvars",
        "manager_custom.conf has them",
        EVENTS_ALONE,
        general="#include manager_custom.conf\n",
        files={"manager_custom.conf": f"[general]\n{CHANNELVARS}\n"},
    ),
    "disabledevents": Wrong(
        "disabledevents",
        "disabledevents = VarSet",
        NOTHING,
        general=f"[general](+)\n{CHANNELVARS}\ndisabledevents = SendFAX, ReceiveFAX,VarSet\n",
    ),
    "a filter that lets one through": Wrong(
        "eventfilter",
        "lets no ReceiveFAX event through",
        frozenset({("SendFAX", True)}),
        section=_SECTION.replace(EVENTFILTER, "eventfilter = Event: SendFAX"),
    ),
    "a filter that keeps one out": Wrong(
        "eventfilter",
        "lets no SendFAX event through",
        frozenset({("ReceiveFAX", True)}),
        section=_SECTION + "eventfilter = !Event: SendFAX\n",
    ),
    "a filter that is too wide": Wrong(
        "eventfilter",
        "lets other events through",
        ALL,
        section=_SECTION.replace(EVENTFILTER, "eventfilter = !Event: VarSet"),
        noise=True,
    ),
    "no read class, and a blank in the name": Wrong(
        "read class call",
        "[fax of ours](+) read = call",
        NOTHING,
        user="fax of ours",
        section=_SECTION.replace("read = call\n", ""),
    ),
    "a user of users.conf": Wrong(
        "user",
        "is a user of users.conf",
        ALL,
        section="",
        files={
            "users.conf": f"[general]\n[fax]\nhasmanager = yes\nsecret = {SECRET}\n"
            "read = call\nwrite = call,reporting\n"
        },
        noise=True,
    ),
    "a user of others": Wrong(
        "user",
        "leave that user as it is",
        ALL,
        user="admin",
        section=f"secret = {SECRET}\nread = system,call,log,user\nwrite = system,call,originate,"
        "reporting,command,config\n",
        noise=True,
    ),
    "an address that is not let in": Wrong(
        "login",
        "permit = 127.0.0.1/32",
        None,
        section=_SECTION + "deny = 0.0.0.0/0.0.0.0\n",
    ),
    "a secret that is cut at its semicolon": Wrong(
        "login",
        r"there it is written '\;'",
        None,
        section=_SECTION.replace(SECRET, "one;two"),
        secret="one;two",
    ),
}


def started(suite: str, wrong: Wrong) -> Asterisk:
    head = f"[{wrong.user}]\n{wrong.section}" if wrong.section else ""
    extra = {
        "manager.conf": f"{wrong.general}{head}",
        "modules.conf": FUNCTIONS,
        "extensions.conf": DIALPLAN,
        **wrong.files,
    }
    return Asterisk(suite, channelvars=False, extra=extra)


def heard(
    asterisk: Asterisk, user: ManagerUser, tiff: Path
) -> tuple[frozenset[tuple[str, bool]], bool]:
    """The completion events of a fax each way that the user hears, and whether others came too."""
    driver = asterisk.driver
    with Ami(asterisk.ami_port, user.name, user.secret) as ami:
        before = len(driver.events("Hangup"))
        file = asterisk.inside(tiff)
        for channel, application, data in (
            ("Local/deaf@short/n", "SendFAX", str(file)),
            ("Local/recv@short/n", "Wait", "1"),
        ):
            driver.action(
                "Originate", Channel=channel, Application=application, Data=data, Async="true"
            )
        driver.wait_for_count(before + 4, "Hangup", timeout=30)
        ami.ask("Ping")  # so that all that came before has been read
        events = ami.events()
    completions = frozenset(
        (event.event, all(event.variable(name) for name in ("FAXSTATUS", "FAXSTATUSSTRING")))
        for event in events
        if event.event in ("SendFAX", "ReceiveFAX")
    )
    names = {event.event for event in events} - {"SendFAX", "ReceiveFAX"}
    return completions, bool(names)


def follow(asterisk: Asterisk, finding: Finding, secret: str) -> None:
    """Does what is printed: the lines at the end of the file, then the commands."""
    lines = finding.lines
    assert lines is not None
    file = asterisk.directory / "etc" / lines.file
    there = file.read_text()
    if "in place of every eventfilter" in finding.do:
        section = re.compile(rf"(?ms)^\[{re.escape(lines.section)}\].*?(?=^\[|\Z)")
        there = section.sub(lambda m: re.sub(r"(?m)^eventfilter.*\n", "", m[0]), there)
    with_semicolon = secret.replace(";", r"\;")
    block = _SECRET_LINE.sub(lambda _: f"secret = {with_semicolon}", lines.block)
    file.write_text(f"{there}\n{block}")
    for command in lines.then:
        typed(asterisk, command)


def typed(asterisk: Asterisk, command: str) -> str:
    """What `asterisk -rx '...'` says, as where this Asterisk is the machine's."""
    match = _COMMAND.fullmatch(command)
    assert match
    return cli(asterisk, match[1])


def cli(asterisk: Asterisk, command: str) -> str:
    """A command by its console: AMI refuses some."""
    there = ["nsenter", f"--target={asterisk.pid}", "--mount", "--root", "--wd=/"]
    asked = ["/usr/sbin/asterisk", "-C", "/opt/t/etc/asterisk.conf", "-rx", command]
    done = subprocess.run(
        [*there, *asked], capture_output=True, text=True, timeout=30, check=True, cwd="/"
    )
    return done.stdout


def wrong_of(report: Report) -> Finding:
    (finding,) = (one for one in report.findings if one.verdict is Verdict.WRONG)
    return finding


@pytest.mark.parametrize("what", WRONG)
def test_the_advice_followed_to_the_letter_puts_it_right(
    suite: str, what: str, one_page: Path
) -> None:
    wrong = WRONG[what]
    user = ManagerUser(wrong.user, wrong.secret)
    with started(suite, wrong) as asterisk:
        if wrong.heard is not None:
            assert heard(asterisk, user, one_page) == (wrong.heard, wrong.noise)
        report = checked(asterisk, user)
        finding = wrong_of(report)
        assert finding.subject == wrong.subject, text(report)
        assert wrong.says in " ".join(text(report, 1000).split())
        untouched = f"[{wrong.user}]\n{wrong.section}"
        follow(asterisk, finding, wrong.secret)
        if finding.lines is not None and finding.lines.new:
            assert untouched in (asterisk.directory / "etc/manager.conf").read_text() or not (
                wrong.section
            )
            user = ManagerUser(OWN_USER, "a-long-random-secret")
        report = checked(asterisk, user)
        assert {one.verdict for one in report.findings} == {Verdict.OK}, text(report)
        assert heard(asterisk, user, one_page) == (ALL, False)
        if what == "channelvars of others":
            assert "CDR(src)" in {
                value.partition("=")[0]
                for event in asterisk.driver.events("ReceiveFAX")
                for value in event.all("ChanVariable")
            }


def test_a_second_general_on_this_machine_is_found_and_is_over_once_it_adds(
    suite: str, one_page: Path
) -> None:
    wrong, user = WRONG["a second general"], ManagerUser("fax", SECRET)
    with started(suite, wrong) as asterisk:
        folder = asterisk.directory / "etc"
        report = checked(asterisk, user, folder=folder)
        assert subjects(report, Verdict.WRONG) == ["second [general]", "channelvars"]
        (finding, _) = (one for one in report.findings if one.verdict is Verdict.WRONG)
        where, _, line = finding.text.partition(" ")[0].rpartition(":")
        lines = Path(where).read_text().splitlines()
        assert lines[int(line) - 1] == "[general]"
        lines[int(line) - 1] = "[general](+)"
        Path(where).write_text("\n".join(lines) + "\n")
        (command,) = finding.commands
        typed(asterisk, command)
        report = checked(asterisk, user, folder=folder)
        assert {one.verdict for one in report.findings} == {Verdict.OK}, text(report)
        assert heard(asterisk, user, one_page) == (ALL, False)


class OfDebian(Asterisk):
    """With the manager.conf that Debian's package brings, which has a [general] of its own."""

    def _configuration(self) -> dict[str, str]:
        theirs = (chroot(self.suite) / "etc/asterisk/manager.conf").read_text()
        assert "\n[general]\n" in theirs
        ours = theirs.replace("port = 5038", f"port = {self.ami_port}")
        return {**super()._configuration(), "manager.conf": ours + self.driver_user.section()}


@pytest.mark.parametrize("file", ["manager.conf", "manager.d/fax.conf"])
def test_the_block_of_the_readme_works_as_printed_where_there_is_a_general(
    suite: str, file: str, one_page: Path
) -> None:
    pasted = block("[general](+)", after="## The AMI user, by hand", document="docs/install.md")
    placeholder = "<a long random secret>"
    assert placeholder in pasted
    extra = {
        "modules.conf": FUNCTIONS,
        "extensions.conf": DIALPLAN,
        "manager.d/README.conf": "; as Debian's\n",
    }
    extra[file] = pasted.replace(placeholder, SECRET)
    asterisk = OfDebian(suite, extra=extra)
    (asterisk.directory / "etc/manager.d").mkdir(parents=True)
    with asterisk:
        user = ManagerUser(OWN_USER, SECRET)
        report = checked(asterisk, user)
        assert {one.verdict for one in report.findings} == {Verdict.OK}, text(report)
        assert heard(asterisk, user, one_page) == (ALL, False)


def test_what_the_file_has_is_told_from_what_asterisk_does(suite: str, one_page: Path) -> None:
    user = ManagerUser("fax", SECRET)
    with started(suite, Wrong("", "", ALL, general="")) as asterisk:
        file = asterisk.directory / "etc/manager.conf"
        without = file.read_text()

        def finding_while_faxes_end() -> Finding:
            with ThreadPoolExecutor(1) as pool:
                checking = pool.submit(checked, asterisk, user, listen=8)
                heard(asterisk, user, one_page)
                return wrong_of(checking.result())

        file.write_text(f"{without}[general](+)\n{CHANNELVARS}\n")
        assert heard(asterisk, user, one_page) == (EVENTS_ALONE, False)
        finding = finding_while_faxes_end()
        assert (finding.subject, finding.lines) == ("channelvars", None)
        assert "in the file, but a completion event came without its result" in finding.text
        (command,) = finding.commands
        typed(asterisk, command)
        assert heard(asterisk, user, one_page) == (ALL, False)

        file.write_text(without)
        cli(asterisk, "manager reload")
        assert heard(asterisk, user, one_page) == (ALL, False)
        finding = finding_while_faxes_end()
        assert "Asterisk keeps what it once read until it restarts" in finding.text
        # As a restart would show. (start() writes the files anew: these are those it began with.)
        asterisk.restart()
        assert heard(asterisk, user, one_page) == (EVENTS_ALONE, False)
        follow(asterisk, finding, SECRET)
        assert heard(asterisk, user, one_page) == (ALL, False)


def test_the_modules_that_make_it_checkable_are_named_and_do(suite: str) -> None:
    with Asterisk(suite) as asterisk:
        report = checked(asterisk)
        unknown = [one for one in report.findings if one.verdict is Verdict.UNKNOWN]
        for command in dict.fromkeys(command for one in unknown for command in one.commands):
            if " load " in command:
                typed(asterisk, command)
        report = checked(asterisk)
        assert {one.verdict for one in report.findings} == {Verdict.OK}, text(report)


def test_a_stop_that_waits_for_a_call_is_a_state_and_nothing_is_to_be_put_right(
    suite: str,
) -> None:
    wrong = Wrong("", "", ALL)
    user = ManagerUser("fax", SECRET)
    with started(suite, wrong) as asterisk:
        asterisk.driver.action(
            "Originate",
            Channel="Local/stay@short/n",
            Application="Wait",
            Data="60",
            Async="true",
        )
        asterisk.driver.wait_for(lambda e: e.event == "Newexten", 10)
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(cli, asterisk, "core stop gracefully")  # ends with the call
            while asterisk.driver.ask("Ping")[0].get("Response") != "Error":
                pass
            finding = wrong_of(checked(asterisk, user))
            assert (finding.subject, finding.lines) == ("shutting down", None)
            assert "Asterisk is shutting down" in finding.text
            (command,) = finding.commands
            typed(asterisk, command)
            assert checked(asterisk, user).wrong == 0
            stopping.result()


def test_a_second_login_that_is_not_allowed_is_no_wrong_secret(suite: str) -> None:
    wrong = Wrong("", "", ALL, section=f"{_SECTION}allowmultiplelogin = no\n")
    user = ManagerUser("fax", SECRET)
    with started(suite, wrong) as asterisk:
        with Ami(asterisk.ami_port, user.name, user.secret):
            finding = wrong_of(checked(asterisk, user))
            assert (finding.subject, finding.lines) == ("login", None)
            assert "Login Already In Use" in finding.text
        deadline = time.monotonic() + 20
        while checked(asterisk, user).wrong:  # until Asterisk has noticed that the other is gone
            assert time.monotonic() < deadline


def test_of_two_sections_of_a_user_it_is_said_that_the_last_line_holds(suite: str) -> None:
    user = ManagerUser("fax", SECRET)
    second = f"[fax]\nsecret = {SECRET}\nread = system\nwrite = call\n"
    with started(suite, Wrong("", "", ALL, section=f"{_SECTION}{second}")) as asterisk:
        finding = wrong_of(checked(asterisk, user))
        assert finding.subject == "write class reporting"
        assert "of several the last line holds" in finding.do
        file = asterisk.directory / "etc/manager.conf"
        file.write_text(file.read_text().replace(second, ""))
        (command,) = finding.commands
        typed(asterisk, command)
        assert checked(asterisk, user).wrong == 0


def test_for_a_port_where_nobody_listens_it_is_said_where_asterisk_does(suite: str) -> None:
    user = ManagerUser("fax", SECRET)
    with started(suite, Wrong("", "", ALL)) as asterisk:
        finding = wrong_of(checked(asterisk, user, port=asterisk.http_port))
        assert finding.subject == "connection"
        (command,) = finding.commands
        said = typed(asterisk, command).splitlines()
        (address,) = (line for line in said if "TCP Bindaddress" in line)
        port = int(address.rpartition(":")[2])
        assert checked(asterisk, user, port=port).wrong == 0

        # The other reason: it listens at another address.
        finding = wrong_of(checked(asterisk, user, host="127.0.0.2"))
        assert str(finding.lines) == (
            f"manager.conf [general]: enabled = yes; port = {port}; bindaddr = 127.0.0.2"
        )
        follow(asterisk, finding, SECRET)
        assert checked(asterisk, user, host="127.0.0.2").wrong == 0


def test_a_login_without_a_user_is_told_not_to_add_to_one(suite: str) -> None:
    user = ManagerUser(OWN_USER, SECRET)
    extra = {"modules.conf": FUNCTIONS, "manager.d/README.conf": "; as Debian's\n"}
    asterisk = OfDebian(suite, extra=extra)
    (asterisk.directory / "etc/manager.d").mkdir(parents=True)
    with asterisk:
        finding = wrong_of(checked(asterisk, user))
        assert f"no [{OWN_USER}], paste a whole one" in finding.do
        (command,) = finding.commands
        assert OWN_USER not in typed(asterisk, command)
        file = asterisk.directory / "etc/manager.conf"
        there = file.read_text()
        follow(asterisk, finding, SECRET)  # what it warns of is true
        asterisk.wait_for_log("AMI configuration manager.conf, or configuration is invalid")
        pasted = block("[general](+)", after="## The AMI user, by hand", document="docs/install.md")
        file.write_text(there + pasted.replace("<a long random secret>", SECRET))
        typed(asterisk, "asterisk -rx 'manager reload'")
        report = checked(asterisk, user)
        assert {one.verdict for one in report.findings} == {Verdict.OK}, text(report)


def test_a_module_that_noload_keeps_out_in_spite_of_a_load_line_is_told_of(suite: str) -> None:
    user = ManagerUser("fax", SECRET)
    name = "res_fax_spandsp"
    both = f"noload = {name}.so\n[modules](+)\nload = {name}.so\n"
    users = [ManagerUser("fax", SECRET, "call", "call,reporting", (EVENTFILTER,))]
    asterisk = Asterisk(
        suite, noload=[name], manager_users=users, extra={"modules.conf": FUNCTIONS + both}
    )
    with asterisk:
        finding = wrong_of(checked(asterisk, user))
        assert finding.subject == name
        assert f"'noload = {name}.so' out of modules.conf" in finding.do
