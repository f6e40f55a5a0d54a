"""`--setup-pbx` of the installed package, beside an Asterisk as Debian installs it: both sides are
written, the exporter logs in, and all of it goes again."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.pbx.asterisk import SUITES
from tests.pbx.debian import closed, opened, with_asterisk
from tests.pbx.packages import NAME, Packages

# A network and processes of its own: Asterisk listens where Debian has it listen, and is the only
# one that is found.
_APART: Final = r"""
set -e
ip link set lo up
for folder in run tmp; do mount -t tmpfs tmpfs "$1/$folder"; done
mount --bind "$2" "$1/mnt"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" sh -c "$3"
"""
_INSIDE: Final = f"""
cd /
etc=/etc/{NAME}
mkdir -p /run/asterisk
dpkg --install /mnt/$PACKAGE >/dev/null; echo "install $?"
cp -a /etc/asterisk /run/asterisk-before; cp -a $etc /run/etc-before
asterisk -f >/dev/null 2>&1 & asterisk=$!
booted() {{ asterisk -rx 'core waitfullybooted' >/dev/null 2>&1; }}
for i in $(seq 300); do booted && break; sleep 0.1; done
/usr/bin/{NAME} --setup-pbx --yes; echo "setup $?"
stat -c 'secret %a %U %s' $etc/secret
# Started as the unit does it: the service's user, the variables of the file.
settings=$(grep -v '^#' $etc/environment | tr '\\n' ' ')
setpriv --reuid={NAME} --regid={NAME} --clear-groups env -i PATH=/usr/bin:/bin $settings \\
  FAX_EXPORTER_AMI_SECRET_FILE=$etc/secret /usr/bin/{NAME} & exporter=$!
/usr/lib/{NAME}/bin/python3 -I -c '
import time, urllib.request
while True:
    try:
        text = urllib.request.urlopen("http://127.0.0.1:10329/metrics", timeout=10).read().decode()
    except OSError:
        text = ""
    if "asterisk_fax_up 1.0" in text:
        break
    time.sleep(0.1)
print("up 1")'
kill $exporter; wait $exporter; echo "ended $?"
/usr/bin/{NAME} --setup-pbx --remove --yes; echo "remove $?"
kill $asterisk; wait $asterisk
find /etc/asterisk -name '*before-{NAME}*' -delete
diff -r /run/asterisk-before /etc/asterisk && echo "asterisk same"
grep -v '^#' $etc/environment | grep -c . | sed 's/^/settings /'
"""


@pytest.mark.parametrize("suite", SUITES)
def test_the_installed_program_sets_up_the_asterisk_beside_it(
    suite: str, packages: Packages, tmp_path: Path
) -> None:
    root = opened(with_asterisk(suite), tmp_path / "debian", packages.folder)
    try:
        apart = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork"]
        done = subprocess.run(
            [
                *("timeout", "--signal=KILL", "120", *apart, "--kill-child"),
                *("sh", "-c", _APART, "sh", root.path, packages.folder, _INSIDE),
            ],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PACKAGE": packages.file("new", "deb"),
                "DEBIAN_FRONTEND": "noninteractive",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        closed(root)
    told = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    for name in ("install", "setup", "ended", "remove"):
        assert told.get(name) == "0", (name, done.stdout)
    mode, owner, size = told["secret"].split()
    assert (mode, owner) == ("600", NAME), done.stdout
    assert int(size) >= 24
    assert told["up"] == "1"
    assert told["asterisk"] == "same", done.stdout
    assert told["settings"] == "0", done.stdout
