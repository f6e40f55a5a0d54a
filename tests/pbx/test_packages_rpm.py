"""The .rpm, by Debian's rpm: into a Debian where no systemd runs, and under a systemd."""

from pathlib import Path
from typing import Final

from tests.pbx.debian import closed, opened, with_systemd
from tests.pbx.packages import NAME, Packages
from tests.pbx.systemd import under_systemd
from tests.pbx.test_packages_systemd import FUNCTIONS, FURNISH, SCRAPE

# What it depends on is named as Fedora and its like name it.
RPM: Final = 'rpm_() { rpm --nodeps --nosignature --force-debian "$@" >>$log 2>&1; }\n'

LIFE: Final = r"""
rpm_ --install /mnt/given/$old; echo "install $?"
state installed
stat -c 'secret %a %U' $etc/secret
systemctl start $unit 2>/dev/null
echo "unconfigured $(show ExecMainStatus) $(show NRestarts)"
systemctl reset-failed $unit
printf '%s\n' FAX_EXPORTER_AMI_USERNAME=fax FAX_EXPORTER_DEMO=true >>$etc/environment
echo of-this-test >$etc/secret
sha256sum $etc/* >/run/kept
systemctl enable --now $unit 2>/dev/null; state enabled
scrape | sed 's/^/scraped /'
pid=$(show MainPID)

rpm_ --upgrade /mnt/given/$new; echo "upgrade $?"
state upgraded
[ "$(show MainPID)" != "$pid" ] && echo restarted yes
sha256sum --status --check /run/kept && echo kept yes
ls $etc | tr '\n' ' ' | sed 's/^/etc /'; echo

# An older version, while it does not run; settings that are wrong.
systemctl stop $unit
rpm_ --upgrade --oldpackage /mnt/given/$old; echo "downgrade $?"
state downgraded
systemctl start $unit; cp $etc/environment /run/right
echo FAX_EXPORTER_AMI_PORT=none >>$etc/environment
rpm_ --upgrade /mnt/given/$new; echo "wrong_settings $?"
echo "wrong $(show ActiveState) $(show ExecMainStatus)"
cat /run/right >$etc/environment
systemctl reset-failed $unit; systemctl start $unit

rpm_ --erase $unit; echo "erase $?"
echo "erased $(systemctl is-active $unit)"
ls /etc/systemd/system/*.wants/$unit.service 2>/dev/null | sed 's/^/left /'
ls $etc | tr '\n' ' ' | sed 's/^/etc_left /'; echo
ls -d /usr/bin/$unit /usr/lib/$unit /usr/share/$unit 2>/dev/null | sed 's/^/left /'
[ -s /var/lib/$unit/faxes.db ] && echo history yes
cat $log
"""


def test_the_life_of_the_rpm_under_systemd(packages: Packages, tmp_path: Path) -> None:
    names = "".join(f"{age}={packages.file(age, 'rpm')}\n" for age in ("old", "new"))
    said = under_systemd(
        names + FUNCTIONS + RPM + SCRAPE + LIFE,
        tmp_path,
        [Path("/")],  # the machine's own, which has rpm
        # Of the machine's own, if it has one, nothing.
        furnish=f'rm -rf "$r/etc/systemd/system" "$r/etc/{NAME}" "$r/usr/lib/{NAME}"\n{FURNISH}',
        variables={"PACKAGES": str(packages.folder)},
        seconds=200,
    )
    print(said)
    told = said.told
    for name in ("install", "upgrade", "downgrade", "wrong_settings", "erase"):
        assert told.get(name) == "0", (name, str(said))
    assert told["installed"] == "disabled inactive"
    assert told["secret"] == f"600 {NAME}"
    assert told["unconfigured"] == "2 0"
    assert told["enabled"] == told["upgraded"] == "enabled active"
    assert told["scraped"].endswith("1.0")
    assert told["restarted"] == told["kept"] == told["history"] == "yes"
    assert told["etc"].split() == ["environment", "secret"]
    assert told["downgraded"] == "enabled inactive"
    assert told["wrong"] == "failed 2"
    assert told["erased"] == "inactive"
    assert told["etc_left"].split() == ["environment.rpmsave", "secret"]
    assert not [line for line in said.text.splitlines() if line.startswith("left ")], str(said)


def test_the_rpm_in_a_root_of_its_own(packages: Packages, tmp_path: Path) -> None:
    """`rpm --root`, as whoever builds an image does it: no systemd runs there."""
    root = opened(with_systemd("bookworm"), tmp_path / "root", packages.folder)
    try:

        def rpm(*words: str, says: str = "") -> None:
            flags = ["--nodeps", "--nosignature", "--force-debian", f"--root={root.path}"]
            done = root.from_outside("rpm", *flags, *words)
            assert (done.returncode, done.stdout) == (0, says)

        rpm("--install", str(packages.folder / packages.file("old", "rpm")))
        etc = root.path / "etc" / NAME
        assert root.run("stat", "-c", "%a %U", f"/etc/{NAME}/secret").stdout == f"600 {NAME}\n"
        assert root.run("systemctl", "is-enabled", NAME).stdout == "disabled\n"
        shipped = (etc / "environment").read_text()
        (etc / "environment").write_text(shipped + "FAX_EXPORTER_DEMO=true\n")
        assert root.run("systemctl", "enable", "--quiet", NAME).returncode == 0
        rpm("--upgrade", str(packages.folder / packages.file("new", "rpm")))
        assert (etc / "environment").read_text().endswith("FAX_EXPORTER_DEMO=true\n")
        assert root.run("systemctl", "is-enabled", NAME).stdout == "enabled\n"
        assert root.run(f"/usr/bin/{NAME}", "--version").returncode == 0
        changed = f"/etc/{NAME}/environment"
        rpm("--erase", NAME, says=f"warning: {changed} saved as {changed}.rpmsave\n")
        assert sorted(one.name for one in etc.iterdir()) == ["environment.rpmsave", "secret"]
        kept = ("/etc/", "/var/lib/", "/var/log/")
        left = {one for one in root.files() if NAME in one and not one.startswith(kept)}
        assert not left
        wanted = root.path / f"etc/systemd/system/multi-user.target.wants/{NAME}.service"
        assert not wanted.is_symlink()
    finally:
        closed(root)
