"""A package's whole life under the systemd of each Debian: installed, configured, upgraded, broken
off, removed, purged."""

from pathlib import Path
from typing import Final

import pytest

from tests.pbx.debian import SUITES, with_systemd
from tests.pbx.packages import NAME, Packages
from tests.pbx.systemd import Said, under_systemd

FURNISH: Final = r'mkdir -p "$r/mnt/given" && mount --bind "$PACKAGES" "$r/mnt/given"'

# dpkg asks nobody, and what it prints goes into a file that is shown if something fails.
FUNCTIONS: Final = f"""
unit={NAME} etc=/etc/{NAME}
python=/usr/lib/{NAME}/bin/python3
log=/run/dpkg.log
dpkg_() {{
  DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold "$@" </dev/null >>$log 2>&1
}}
install_() {{ dpkg_ --install "/mnt/given/$1"; echo "$2 $?"; }}
show() {{ systemctl show "$unit" --property="$1" --value; }}
until_() {{ for i in $(seq 300); do [ "$(show "$1")" = "$2" ] && return; sleep 0.1; done; }}
state() {{ echo "$1 $(systemctl is-enabled $unit 2>/dev/null) $(systemctl is-active $unit)"; }}
files() {{
  find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \\
    -o -path /mnt -o -path /var/lib/dpkg -o -name .updated -o -path /var/log/journal \\
    -o -path /var/cache \\) -prune -o -print | sort
}}
"""

SCRAPE: Final = """
scrape() {
  $python -I -c 'from urllib.request import urlopen
text = urlopen("http://127.0.0.1:10329/metrics", timeout=20).read().decode()
print([line for line in text.splitlines() if line.startswith("asterisk_fax_up")][0])'
}
"""

LIFE: Final = r"""
systemctl start systemd-journald.socket systemd-journald.service systemd-tmpfiles-setup.service
files >/run/before

install_ $old install
state installed
stat -c 'secret %a %U' $etc/secret
id -un $unit | sed 's/^/user /'
grep "^$unit:" /etc/passwd | sed 's/.*:/shell /'
systemctl start $unit 2>/dev/null
echo "unconfigured $(show ExecMainStatus) $(show Result) $(show NRestarts)"
journalctl --sync
journalctl --unit $unit --output cat | grep -c 'not set, and only' | sed 's/^/missing /'
systemctl reset-failed $unit

printf '%s\n' FAX_EXPORTER_AMI_USERNAME=fax FAX_EXPORTER_DEMO=true >>$etc/environment
echo of-this-test >$etc/secret
own=/etc/systemd/system/$unit.service.d
mkdir -p $own
printf '%s\n' '[Service]' 'Environment=OF_THIS_TEST=1' >$own/local.conf
sha256sum $etc/* $own/* >/run/kept
systemctl daemon-reload
systemctl enable --now $unit 2>/dev/null; state enabled
scrape | sed 's/^/scraped /'
$unit --health-check | sed 's/^/health /'
stat -c 'history %a %U %n' /var/lib/$unit/faxes.db
history=$(stat -c %i /var/lib/$unit/faxes.db)
pid=$(show MainPID)

install_ $new upgrade
state upgraded
[ "$(show MainPID)" != "$pid" ] && echo restarted yes
sha256sum --status --check /run/kept && echo kept yes
[ "$(stat -c %i /var/lib/$unit/faxes.db)" = "$history" ] && echo history_kept yes
show Environment | grep -c OF_THIS_TEST=1 | sed 's/^/drop_in /'
scrape | sed 's/^/scraped_again /'

# A start that takes its time, and dpkg is killed meanwhile.
mkfifo /run/hold; exec 3<>/run/hold
hold=/run/systemd/system/$unit.service.d
mkdir -p $hold
printf '%s\n' '[Service]' 'ExecStartPre=+/bin/sh -c "read x </run/hold"' >$hold/hold.conf
systemctl daemon-reload
dpkg_ --install /mnt/given/$new & dpkg=$!
until_ ActiveState activating
kill -KILL $dpkg $(cat /proc/$dpkg/task/$dpkg/children)
wait $dpkg 2>/dev/null
rm $hold/hold.conf; systemctl daemon-reload
echo go >&3; exec 3>&-
until_ ActiveState active
dpkg-query -W -f 'interrupted ${db:Status-Status}\n' $unit
dpkg_ --configure -a; echo "configured $?"
dpkg-query -W -f 'mended ${db:Status-Status}\n' $unit
state after_interruption

# Started by hand, not enabled; and an older version.
systemctl disable $unit 2>/dev/null
pid=$(show MainPID)
install_ $old downgrade
state downgraded
[ "$(show MainPID)" != "$pid" ] && echo downgrade_restarted yes

# Settings that are wrong.
cp $etc/environment /run/right
echo FAX_EXPORTER_AMI_PORT=none >>$etc/environment
install_ $new wrong_settings
echo "wrong $(show ActiveState) $(show ExecMainStatus)"
cat /run/right >$etc/environment

# Enabled, but it does not run: it is not started.
systemctl reset-failed $unit; systemctl enable $unit 2>/dev/null
install_ $new reinstall
state reinstalled

systemctl start $unit
dpkg_ --remove $unit; echo "remove $?"
echo "removed $(systemctl is-active $unit)"
sha256sum --status --check /run/kept && echo kept_by_remove yes
[ -s /var/lib/$unit/faxes.db ] && echo history_kept_by_remove yes
install_ $new again
state back

rm -r $own; systemctl daemon-reload
systemctl start $unit
dpkg_ --purge $unit; echo "purge $?"
echo "purged $(systemctl is-active $unit)"
files | diff /run/before - | sed -n 's/^\([<>]\)/left \1/p'
grep -c . $log | sed 's/^/log /'
"""


@pytest.mark.parametrize("suite", SUITES)
def test_the_life_of_the_deb(suite: str, packages: Packages, tmp_path: Path) -> None:
    names = "".join(f"{age}={packages.file(age, 'deb')}\n" for age in ("old", "new"))
    said = under_systemd(
        names + FUNCTIONS + SCRAPE + LIFE + "cat $log\n",
        tmp_path,
        with_systemd(suite),
        furnish=FURNISH,
        variables={"PACKAGES": str(packages.folder)},
        seconds=300,
    )
    print(said)
    check_life(said)


def check_life(said: Said) -> None:
    """What LIFE says if all is well."""
    told = said.told
    statuses = ("install", "upgrade", "downgrade", "wrong_settings", "reinstall", "again")
    for name in (*statuses, "configured", "remove", "purge"):
        assert told.get(name) == "0", (name, str(said))
    assert told["installed"] == "disabled inactive"
    assert told["secret"] == f"600 {NAME}"
    assert told["user"] == NAME
    assert told["shell"] == "/usr/sbin/nologin"
    assert told["unconfigured"] == "2 exit-code 0"
    assert int(told["missing"]) >= 1
    assert told["enabled"] == "enabled active"
    assert told["scraped"] == told["scraped_again"]
    assert told["scraped"].endswith("1.0")
    assert told["health"] == "healthy"
    assert told["history"] == f"600 {NAME} /var/lib/{NAME}/faxes.db"
    assert told["upgraded"] == "enabled active"
    for name in ("restarted", "kept", "history_kept", "downgrade_restarted", "kept_by_remove"):
        assert told.get(name) == "yes", (name, str(said))
    assert told["drop_in"] == "1"
    assert (told["interrupted"], told["mended"]) == ("half-configured", "installed")
    assert told["after_interruption"] == "enabled active"
    assert told["downgraded"] == "disabled active"
    assert told["wrong"] == "failed 2"
    assert told["reinstalled"] == "enabled inactive"
    assert told["removed"] == told["purged"] == "inactive"
    assert told["history_kept_by_remove"] == "yes"
    assert told["back"] == "enabled inactive"
    left = [line for line in said.text.splitlines() if line.startswith("left ")]
    assert not left, str(said)
