"""--check-pbx and the snippets it sends people to, on real Asterisks with each thing missing."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from exporter.check_pbx import EVENTFILTER, Report, Verdict, check, text
from exporter.settings import AmiSettings
from tests.pbx.asterisk import HOST, Ami, AmiError, Asterisk, ManagerUser, make_tiff
from tests.pbx.conftest import Start
from tests.pbx.test_faxes import FAX_SECONDS

SNIPPETS = Path(__file__).parents[2] / "deploy/asterisk/snippets"
USER, NEW_FILTER = "manager-user.conf", "manager-user-eventfilter.conf"
FUNCTIONS = "load = func_config.so\nload = func_module.so\n"
"""Modules that Asterisk's own modules.conf, which loads all, brings."""
CALL = "[calls]\nexten => call,1,Hangup()\n"
SECRET = "a-secret-of-its-own"


def snippet(name: str) -> str:
    return (SNIPPETS / name).read_text()


def value(name: str, key: str) -> str:
    """Of a setting in a snippet."""
    lines = (line.partition("=") for line in snippet(name).splitlines())
    return next(given.strip() for said, _, given in lines if said.strip() == key)


@dataclass(frozen=True)
class Pasted(ManagerUser):
    """A user whose section is a snippet as it is."""

    def section(self) -> str:
        return snippet(self.name)


class Snippets(Asterisk):
    """An Asterisk whose manager.conf is made of snippets."""

    user = USER
    secret = value(USER, "secret")

    @property
    def exporter_user(self) -> ManagerUser:
        return Pasted(self.user, self.secret)


def checked(
    asterisk: Asterisk,
    user: ManagerUser | None = None,
    *,
    listen: float = 0.3,
    folder: Path = Path("/nowhere"),
    **more: Any,
) -> Report:
    login = (user.name, user.secret) if user else (asterisk.username, asterisk.secret)
    given = {"port": asterisk.ami_port, "username": login[0], "secret": SecretStr(login[1])} | more
    return asyncio.run(check("fax", AmiSettings(**given), listen=listen, folder=folder))


def call(asterisk: Asterisk, number: int) -> None:
    """A call that is no fax, the `number`-th of this Asterisk; its events are over then."""
    headers = {"Channel": "Local/call@calls", "Application": "Hangup", "Async": "true"}
    asterisk.driver.action("Originate", **headers)
    asterisk.driver.wait_for_count(2 * number, "Hangup", timeout=20)


def subjects(report: Report, verdict: Verdict) -> list[str]:
    return [finding.subject for finding in report.findings if finding.verdict is verdict]


@contextlib.contextmanager
def of_snippets(suite: str, user: str = USER, manager: str = "") -> Iterator[Asterisk]:
    extra = {
        "manager.conf": snippet("manager-general.conf") + manager,
        "modules.conf": FUNCTIONS + snippet("modules.conf"),
    }
    loaded_by_snippet = ("res_fax", "res_fax_spandsp")
    asterisk = Snippets(suite, channelvars=False, noload=loaded_by_snippet, extra=extra)
    asterisk.user = user
    with asterisk:
        yield asterisk


def counts_a_fax(asterisk: Asterisk, watch: Start, folder: Path, *flags: str) -> None:
    exporter = watch(asterisk, *flags)
    asterisk.send_fax(make_tiff(folder / "short.tif", 1, seconds=3))
    now = exporter.wait_until(
        lambda now: now.sum("finished_total") == 2 == now.value("completed_total"), FAX_SECONDS
    )
    assert now.sum("pages_received_total") == 1
    assert now.sum("results_unknown_total") == 0
    assert "level=warning" not in exporter.log


def test_what_the_snippets_make_is_right_and_counts_a_fax(
    suite: str, watch: Start, tmp_path: Path
) -> None:
    with of_snippets(suite) as asterisk:
        report = checked(asterisk)
        assert {f.verdict for f in report.findings} == {Verdict.OK}, text(report)
        counts_a_fax(asterisk, watch, tmp_path)


def test_the_new_eventfilter_lets_completion_events_and_nothing_else_through(
    watch: Start, tmp_path: Path
) -> None:
    with of_snippets("sid", NEW_FILTER) as asterisk:
        report = checked(asterisk)
        assert {f.verdict for f in report.findings} == {Verdict.OK}, text(report)
        login = (asterisk.ami_port, asterisk.username, asterisk.secret)
        with Ami(*login) as ami:
            counts_a_fax(asterisk, watch, tmp_path)
            assert {event.event for event in ami.events()} == {"SendFAX", "ReceiveFAX"}


def test_an_older_asterisk_takes_the_new_eventfilter_for_nothing(tmp_path: Path) -> None:
    with of_snippets("bullseye", NEW_FILTER) as asterisk:
        report = checked(asterisk)
        assert subjects(report, Verdict.WRONG) == ["eventfilter"]


def test_with_the_tls_snippet_a_fax_is_counted_over_tls(
    suite: str, watch: Start, tmp_path: Path
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = ca.issue_cert(HOST)
    extra = {"manager.conf": "to be said once there are ports", "modules.conf": FUNCTIONS}
    asterisk = Snippets(suite, channelvars=False, extra=extra)
    port = asterisk.http_port - 1
    asterisk.fax_dir.mkdir()  # what is in there Asterisk can read
    certificate, key = asterisk.fax_dir / "ami.pem", asterisk.fax_dir / "ami.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    server.private_key_pem.write_to_path(key)
    tls = snippet("manager-tls.conf")
    for there, here in (
        (value("manager-tls.conf", "tlsbindaddr"), f"{HOST}:{port}"),
        (value("manager-tls.conf", "tlscertfile"), str(asterisk.inside(certificate))),
        (value("manager-tls.conf", "tlsprivatekey"), str(asterisk.inside(key))),
    ):
        tls = tls.replace(there, here)
    extra["manager.conf"] = snippet("manager-general.conf") + tls
    with asterisk:
        report = checked(asterisk, port=port, tls=True, tls_ca_file=tmp_path / "ca.pem")
        assert {f.verdict for f in report.findings} == {Verdict.OK}, text(report)
        assert report.findings[0].text.endswith("with TLS")
        assert subjects(checked(asterisk, port=port), Verdict.WRONG) == ["connection"]
        flags = (f"--ami.port={port}", "--ami.tls", f"--ami.tls-ca-file={tmp_path / 'ca.pem'}")
        counts_a_fax(asterisk, watch, tmp_path, *flags)


def test_the_snippets_user_gets_in_from_its_address_only(suite: str) -> None:
    with of_snippets(suite, manager="[general](+)\nbindaddr = ::\n") as asterisk:
        login = (asterisk.ami_port, asterisk.username, asterisk.secret)
        Ami(*login, host=HOST).close()
        with pytest.raises(AmiError, match="Authentication failed"):
            Ami(*login, host="::1")


@dataclass(frozen=True)
class Missing:
    """What an Asterisk lacks, and what is to be said of it."""

    says: str
    read: str = "call"
    write: str = "call,reporting"
    lines: tuple[str, ...] = (EVENTFILTER,)
    asterisk: dict[str, Any] = field(default_factory=dict)


MISSING = {
    "write class call": Missing("FAXSessions: Permission denied", write="reporting"),
    "write class reporting": Missing("FAXStats: Permission denied", write="call"),
    "no more than that": Missing(
        "the user may also Originate: write class originate is too much",
        write="call,reporting,originate",
    ),
    "read class call": Missing("no completion event comes", read=""),
    "read class call, too wide": Missing("all: there, and more than is needed", read="all"),
    "channelvars": Missing(
        "FAXSTATUS, FAXERROR, FAXMODE, FAXSTATUSSTRING missing", asterisk={"channelvars": False}
    ),
    "res_fax": Missing(
        "res_fax is not loaded", asterisk={"noload": ("res_fax", "res_fax_spandsp")}
    ),
    "res_fax_spandsp": Missing("not loaded", asterisk={"noload": ("res_fax_spandsp",)}),
}


@pytest.mark.parametrize("what", MISSING)
def test_the_line_that_is_named_for_what_is_missing_puts_it_right(suite: str, what: str) -> None:
    missing, subject = MISSING[what], what.partition(",")[0]
    user = ManagerUser("fax", SECRET, missing.read, missing.write, missing.lines)
    extra = {"modules.conf": FUNCTIONS, "manager.conf": ""}
    with Asterisk(suite, manager_users=[user], extra=extra, **missing.asterisk) as asterisk:
        report = checked(asterisk, user)
        wrong = [finding for finding in report.findings if finding.verdict is Verdict.WRONG]
        for finding in wrong:
            assert finding.lines is not None
            extra[finding.lines.file] += finding.lines.block
        # res_fax_spandsp needs res_fax, so where that is missing there are two lines to add.
        assert wrong[0].subject == subject
        assert [f.subject for f in wrong[1:]] == ["res_fax_spandsp"] * (subject == "res_fax")
        assert missing.says in wrong[0].text
        asterisk.restart()
        report = checked(asterisk, user)
        assert report.wrong == 0, text(report)


def test_without_an_eventfilter_the_file_or_what_comes_tells(suite: str) -> None:
    user = ManagerUser("fax", SECRET, "call", "call,reporting")
    extra = {"modules.conf": FUNCTIONS, "extensions.conf": CALL}
    with Asterisk(suite, manager_users=[user], extra=extra) as asterisk:
        # Where it may be there in the new syntax, which cannot be seen, nothing is claimed.
        verdict = Verdict.WRONG if suite == "bullseye" else Verdict.UNKNOWN
        assert subjects(checked(asterisk, user), verdict) == ["eventfilter"]
        with ThreadPoolExecutor(1) as pool:
            checking = pool.submit(checked, asterisk, user)
            for calls in itertools.count(1):
                call(asterisk, calls)
                if checking.done():
                    break
        report = checking.result()
        assert subjects(report, Verdict.WRONG) == ["eventfilter"]
        (finding,) = (f for f in report.findings if f.subject == "eventfilter")
        assert "other events than SendFAX and ReceiveFAX come" in finding.text


def test_without_func_config_nothing_is_claimed_that_only_the_file_tells(suite: str) -> None:
    with Asterisk(suite) as asterisk:
        report = checked(asterisk)
        assert subjects(report, Verdict.WRONG) == []
        assert subjects(report, Verdict.UNKNOWN) == [
            "read class call",
            "eventfilter",
            "res_fax_spandsp",
            "channelvars",
            "ECM",
        ]
        said = "Function AST_CONFIG not registered"
        asterisk.wait_for_log(said)
        assert asterisk.log_file.read_text().count(said) == 1


def test_what_a_fax_that_ends_meanwhile_tells_counts(suite: str, tmp_path: Path) -> None:
    with Asterisk(suite) as asterisk:
        asterisk.send_fax(make_tiff(tmp_path / "short.tif", 1, seconds=3))
        asterisk.driver.wait_for(lambda e: e.event == "FAXStatus", FAX_SECONDS)
        report = checked(asterisk, listen=30)
        assert subjects(report, Verdict.WRONG) == []
        assert subjects(report, Verdict.UNKNOWN) == ["eventfilter", "ECM"]
        (technology,) = (f for f in report.findings if f.subject == "res_fax_spandsp")
        assert technology.text == "faxes are run by Spandsp"


def test_a_file_that_was_not_read_again_is_told_from_a_missing_class(suite: str) -> None:
    user = ManagerUser("fax", SECRET, "call", "call", (EVENTFILTER,))
    with Asterisk(suite, manager_users=[user], extra={"modules.conf": FUNCTIONS}) as asterisk:
        file = asterisk.directory / "etc/manager.conf"
        file.write_text(file.read_text() + "[fax](+)\nwrite = call,reporting\n")
        report = checked(asterisk, user)
        assert subjects(report, Verdict.WRONG) == ["write class reporting"]
        assert "was not read since" in text(report, 1000)
        asterisk.driver.action("Command", Command="manager reload")
        assert checked(asterisk, user).wrong == 0


def test_a_login_that_is_refused_is_told(suite: str) -> None:
    with Asterisk(suite) as asterisk:
        report = checked(asterisk, ManagerUser(asterisk.username, "not-its-secret"))
        assert subjects(report, Verdict.WRONG) == ["login"]
        assert "secret = what --ami.secret-file holds" in text(report)
        assert "not-its-secret" not in text(report)
