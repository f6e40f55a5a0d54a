"""The .deb in bare Debians that run no systemd, as in a container: installed, run, purged; and
beside a real Asterisk, with real faxes."""

import json
import os
import re
import ssl
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from harness.certificates import renew_server_certificate
from harness.running import Exporter
from tests.pbx.asterisk import SUITES as WITH_ASTERISK
from tests.pbx.asterisk import Asterisk, bad_fax_lines
from tests.pbx.debian import SUITES, Root, bare, closed, opened, with_asterisk
from tests.pbx.packages import ETC, LIBRARY, NAME, PROGRAM, Packages
from tests.pbx.test_faxes import check_bad_lines, check_lines, settled

START_SECONDS = 30
PREPARE = f"{LIBRARY}/bin/prepare"


@dataclass(frozen=True)
class Installed:
    """A Debian with the package, and what was there before and said meanwhile."""

    root: Root
    deb: str
    before: set[str]
    said: str

    def user(self) -> str:
        """Of the service, by number, as chroot takes it."""
        numbers = [self.root.run("id", flag, NAME).stdout.strip() for flag in ("-u", "-g")]
        return ":".join(numbers)

    def program(self) -> list[str]:
        """What runs the program as the service's user."""
        return self.root.command(PROGRAM, user=self.user())


@contextmanager
def installed(layers: Sequence[Path], packages: Packages, folder: Path) -> Iterator[Installed]:
    """The new package in an overlay on these layers."""
    root = opened(layers, folder, packages.folder)
    try:
        before = root.files()
        deb = packages.file("new", "deb")
        done = root.run("dpkg", "--install", f"/mnt/given/{deb}")
        assert done.returncode == 0, done.stdout
        yield Installed(root, deb, before, done.stdout)
    finally:
        closed(root)


@pytest.mark.parametrize("suite", SUITES)
def test_a_bare_debian_takes_it_runs_it_and_gives_it_up(
    suite: str, packages: Packages, ca: trustme.CA, tmp_path: Path
) -> None:
    """One installation for all of it, in this order."""
    with installed(bare(suite), packages, tmp_path / "debian") as debian:
        it_was_installed_without_a_word(debian)
        nothing_of_it_is_writable_for_the_service(debian)
        it_says_which_settings_lack(debian)
        it_watches_its_demo_and_serves_page_and_metrics(debian)
        it_serves_tls(debian, ca, tmp_path)
        who_was_there_before_stays_who_he_is(debian)
        who_may_write_there_gets_nothing_of_others(debian)
        it_is_purged_without_a_trace_but_its_user(debian)
        what_links_lead_to_is_purged_too_and_a_mount_is_no_reason_to_fail(debian)


def it_was_installed_without_a_word(debian: Installed) -> None:
    said = [
        line
        for line in debian.said.splitlines()
        if not re.match(r"(Selecting|Preparing|Unpacking|Setting up|\(Reading) ?", line)
    ]
    assert not said
    found = debian.root.run("stat", "-c", "%a %U %G %n", f"{ETC}/secret", f"{ETC}/environment")
    assert found.stdout.splitlines() == [
        f"600 {NAME} {NAME} {ETC}/secret",
        f"644 root root {ETC}/environment",
    ]
    assert debian.root.run("getent", "passwd", NAME).stdout.endswith(
        f":/var/lib/{NAME}:/usr/sbin/nologin\n"
    )
    # A link to a unit would be what starts it.
    links = [one for one in debian.root.files() if "/etc/systemd" in one and NAME in one]
    assert not links


def nothing_of_it_is_writable_for_the_service(debian: Installed) -> None:
    found = debian.root.run(
        "sh",
        "-c",
        f"find {LIBRARY} /usr/share/{NAME} /usr/share/doc/{NAME} ! -type l"
        r" \( ! -user root -o ! -group root -o -perm /022 \)",
    )
    assert found.stdout == ""


def it_watches_its_demo_and_serves_page_and_metrics(debian: Installed) -> None:
    with Exporter("--demo", command=debian.program()) as exporter:
        exporter.wait_until(
            lambda now: now.value("sessions_started_total", operation="receive") > 0, START_SECONDS
        )
        with urllib.request.urlopen(f"{exporter.base}/", timeout=10) as page:
            assert b"<!doctype html>" in page.read(100).lower()
        with urllib.request.urlopen(f"{exporter.base}/api/v1/faxes", timeout=10) as answer:
            assert "faxes" in json.load(answer)
        numbers = Path(f"/proc/{exporter.web_process}/status").read_text()
        assert f"Uid:\t{debian.user().partition(':')[0]}\t" in numbers
        assert exporter.stop() == 0
    assert "Traceback" not in exporter.log
    # What it was started with says nothing beside the exporter's own lines.
    assert all(line.startswith("ts=") for line in exporter.log.splitlines()), exporter.log


def it_serves_tls(debian: Installed, ca: trustme.CA, tmp_path: Path) -> None:
    folder = debian.root.path / "etc" / NAME
    renew_server_certificate(ca, folder)
    user, group = map(int, debian.user().split(":"))
    for name in ("fax.pem", "fax.key"):
        (folder / name).chmod(0o400)
        os.chown(folder / name, user, group)
    (folder / "web.yml").write_text(
        f"tls_server_config:\n  cert_file: {ETC}/fax.pem\n  key_file: {ETC}/fax.key\n"
    )
    flags = ("--demo", f"--web.config.file={ETC}/web.yml")
    with Exporter(*flags, command=debian.program()) as exporter:
        assert exporter.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with urllib.request.urlopen(exporter.url, timeout=10, context=context) as answer:
            assert b"asterisk_fax_up 1" in answer.read()


def it_says_which_settings_lack(debian: Installed) -> None:
    done = debian.root.run(PROGRAM)
    assert done.returncode == 2
    assert "--ami.username (or FAX_EXPORTER_AMI_USERNAME): not set" in done.stdout


def who_was_there_before_stays_who_he_is(debian: Installed) -> None:
    root = debian.root
    # As an administrator may have made it: with a shell, another group, and a secret of root's.
    script = f"""
set -e
userdel {NAME}
useradd --no-create-home --uid 1500 --gid users --shell /bin/bash {NAME}
chown root:root {ETC}/secret
rm -r /var/lib/{NAME} /var/log/{NAME}
{PREPARE}; {PREPARE}
getent passwd {NAME}
stat -c '%a %U %G %n' {ETC}/secret /var/lib/{NAME} /var/log/{NAME}
userdel {NAME}; groupadd {NAME} 2>/dev/null || true
useradd --non-unique --uid 0 --gid users --no-create-home {NAME}
{PREPARE} && echo accepted
userdel --force {NAME} || sed -i '/^{NAME}:/d' /etc/passwd /etc/shadow
rm {ETC}/secret; ln -s elsewhere {ETC}/secret; rm -r /var/lib/{NAME} /var/log/{NAME}
{PREPARE}
id -gn {NAME}; readlink {ETC}/secret
"""
    said = root.run("sh", "-c", script.replace("&& echo accepted", "&& echo accepted || true"))
    lines = [line for line in said.stdout.splitlines() if not line.startswith("user")]
    assert lines == [
        f"{NAME}:x:1500:100::/home/{NAME}:/bin/bash",
        f"600 {NAME} users {ETC}/secret",
        f"700 {NAME} users /var/lib/{NAME}",
        f"750 {NAME} users /var/log/{NAME}",
        f"{NAME}: a user of this name is there, and is root; the service is not for root: "
        "rename it",
        NAME,
        "elsewhere",
    ]


def who_may_write_there_gets_nothing_of_others(debian: Installed) -> None:
    """Its folder was given to the service's user, who puts a link there at the worst moment."""
    script = f"""
set -e
mkdir /tmp/first; echo precious >/tmp/precious
rm {ETC}/secret
cat >/tmp/first/stat <<'END'
#!/bin/sh
/usr/bin/stat "$@"
ln -sf /tmp/precious {ETC}/secret
END
chmod +x /tmp/first/stat
PATH=/tmp/first:$PATH {PREPARE}
stat -c %U /tmp/precious {ETC}/secret
"""
    assert debian.root.run("sh", "-c", script).stdout.splitlines() == ["root", NAME]


def it_is_purged_without_a_trace_but_its_user(debian: Installed) -> None:
    done = debian.root.run("dpkg", "--purge", NAME)
    assert done.returncode == 0, done.stdout
    left = debian.root.files() ^ debian.before
    # The database of packages, and what useradd keeps of the files before.
    kept = re.compile(
        r"/var/lib/dpkg/|/var/log/dpkg\.log$|/etc/(passwd|group|g?shadow|sub[ug]id)-?$"
    )
    assert not {one for one in left if not kept.match(one)}
    assert debian.root.run("id", NAME).returncode == 0


def what_links_lead_to_is_purged_too_and_a_mount_is_no_reason_to_fail(debian: Installed) -> None:
    script = f"""
set -e
mkdir -p /srv/etc /var/lib/{NAME}
ln -s /srv/etc {ETC}
mount -t tmpfs tmpfs /var/lib/{NAME}
dpkg --install "$0" >/dev/null
cp -r {ETC}/secret /var/lib/{NAME}
dpkg --purge {NAME} >/dev/null 2>&1 || echo failed
ls -A /srv/etc /var/lib/{NAME}
ls -d {ETC} /var/log/{NAME} 2>/dev/null || true
"""
    deb = f"/mnt/given/{debian.deb}"
    assert debian.root.run("sh", "-c", script, deb).stdout.split() == [
        "/srv/etc:",
        f"/var/lib/{NAME}:",
    ]


@pytest.mark.parametrize("suite", WITH_ASTERISK)
def test_beside_a_real_asterisk_it_counts_the_bad_lines_of_the_files(
    suite: str, packages: Packages, three_pages: Path, tmp_path: Path
) -> None:
    with (
        installed(with_asterisk(suite), packages, tmp_path / "debian") as debian,
        Asterisk(suite) as asterisk,
        asterisk.sampler() as sampler,
    ):
        (debian.root.path / f"etc/{NAME}/secret").write_text(asterisk.secret)
        settings = {
            "FAX_EXPORTER_AMI_USERNAME": asterisk.username,
            "FAX_EXPORTER_AMI_PORT": str(asterisk.ami_port),
            "FAX_EXPORTER_AMI_SECRET_FILE": f"{ETC}/secret",
        }
        assignments = [f"{name}={value}" for name, value in settings.items()]
        checked = debian.root.run("env", *assignments, PROGRAM, "--check-pbx", user=debian.user())
        assert checked.returncode == 0, checked.stdout
        assert asterisk.version in checked.stdout

        with Exporter(command=debian.program(), environment=settings) as exporter:
            exporter.wait_until(lambda now: now.value("up") == 1, START_SECONDS)
            with asterisk.noise():
                for _ in range(3):
                    asterisk.send_fax(three_pages)
                now = settled(exporter, 6)
            check_bad_lines(now, asterisk, sampler)
            assert now.sum("pages_received_total") == sum(
                len(bad_fax_lines(path)) for path in asterisk.received()
            )
            assert now.value("unobserved_completions_total") == 0
            check_lines(exporter)
