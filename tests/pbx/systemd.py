"""systemd itself as process 1 of namespaces of its own, with the exporter's unit, for one probe."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.programs import binary
from harness.readme import block

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = ROOT / "deploy/systemd/asterisk-fax-exporter.service"

PYTHON: Final = "python{}.{}".format(*sys.version_info)

# The unit as README.md has it put in place by hand. A drop-in names the Python and the tree, where
# ProtectHome and PrivateTmp do not hide them; all else is the unit's.
_DROP_IN: Final = f"""
[Service]
ExecStart=
ExecStart=/opt/python/bin/{PYTHON} -m exporter --web.listen-address=127.0.0.1:10329 ARGUMENTS
WorkingDirectory=/opt/tree
Environment=LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/site PYTHONDONTWRITEBYTECODE=1
"""
_BY_HAND: Final = r"""
mkdir -p "$r/opt/python" "$r/opt/site" "$r/opt/tree"
mount --bind "$PYTHON" "$r/opt/python"
mount --bind "$SITE" "$r/opt/site"
mount --bind "$TREE" "$r/opt/tree"
rm -rf "$r/etc/systemd/system" && mkdir -p "$r/etc/systemd/system/$UNIT.d"
printf %s "$DROP_IN" >"$r/etc/systemd/system/$UNIT.d/test.conf"
"""
_PUT_IN_PLACE: Final = block("useradd", after="## By hand", document="deploy/systemd/README.md")

_PROBE: Final = f"""
PYTHON={PYTHON}
unit=asterisk-fax-exporter
python() {{ LD_LIBRARY_PATH=/opt/python/lib "/opt/python/bin/$PYTHON" "$@"; }}
show() {{ systemctl show "$unit" --property="$1" --value; }}
until_() {{ for i in $(seq 600); do [ "$(show "$1")" = "$2" ] && return; sleep 0.1; done; }}
"""

# Stage 1 has a mount namespace and goes into a cgroup of its own, stage 2 the rest. The root is an
# overlay on what is there, so that nothing written outlives it. pivot_root, as a user namespace
# (PrivateUsers) cannot be made in a chroot; a shared root, as credentials are mounted from outside.
_STAGE_1: Final = r"""
set -e
mkdir -p "$W/cg" && mount -t cgroup2 none "$W/cg"
mkdir "$W/cg/$NAME" && echo $$ >"$W/cg/$NAME/cgroup.procs"
timeout --signal=KILL "$SECONDS_AT_MOST" unshare --mount --propagation private --cgroup --pid \
  --net --uts --ipc --fork --kill-child sh -ec "$STAGE_2" || true
echo $$ >"$W/cg/cgroup.procs"
find "$W/cg/$NAME" -depth -type d -exec rmdir {} +
"""
_STAGE_2: Final = r"""
mount -t tmpfs tmpfs "$W" && mkdir "$W/up" "$W/work" "$W/root" && r=$W/root
mount -t overlay overlay -o "lowerdir=$LAYERS,upperdir=$W/up,workdir=$W/work" "$r"
mount -t proc proc "$r/proc"
mount --bind "$r/proc/sys" "$r/proc/sys" && mount -o remount,bind,ro "$r/proc/sys"
mount -t sysfs -o ro sysfs "$r/sys" && mount -t cgroup2 cgroup2 "$r/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$r/dev" && mkdir "$r/dev/shm" "$r/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$r/dev/pts" && ln -s pts/ptmx "$r/dev/ptmx"
for d in null zero full random urandom tty; do
  touch "$r/dev/$d" && mount --bind "/dev/$d" "$r/dev/$d"
done
mount -t tmpfs -o mode=755 tmpfs "$r/run" && mount -t tmpfs -o mode=1777 tmpfs "$r/tmp"
ip link set lo up
eval "$FURNISH"
printf %s "$PROBE" >"$r/run/probe"
touch "$r/run/said" && mount --bind "$SAID" "$r/run/said"
mkdir -p "$r/run/systemd/system"
printf '%s\n' '[Unit]' DefaultDependencies=no '[Service]' Type=oneshot TimeoutStartSec=infinity \
  'ExecStart=/bin/sh /run/probe' 'ExecStopPost=/bin/systemctl exit 0' \
  StandardOutput=file:/run/said StandardError=file:/run/said \
  >"$r/run/systemd/system/probe.service"
cd "$r" && mkdir .old && pivot_root . .old && umount -l /.old && rmdir /.old
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/lib/systemd/systemd --system --unit=probe.service --show-status=no
"""


@dataclass(frozen=True)
class Said:
    """What a probe printed, and what went wrong around it."""

    text: str
    errors: str

    @property
    def told(self) -> dict[str, str]:
        """Its lines by their first words."""
        return dict(line.partition(" ")[::2] for line in self.text.splitlines())

    def __str__(self) -> str:
        return self.errors + self.text


def under_systemd(
    probe: str,
    directory: Path,
    layers: Sequence[Path],
    *,
    furnish: str = "",
    variables: Mapping[str, str] | None = None,
    seconds: float = 150,
) -> Said:
    """What a shell script says that has the systemd of a root for process 1.

    `layers`: folders that make up this root, the uppermost first; none is written to. `furnish`: a
    shell script that is run before, as root of the machine, with the root at `$r` and `variables`
    set. What takes longer than `seconds` is ended.
    """
    said = directory / "said"
    said.touch()
    work = directory / "work"
    work.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _STAGE_1],
        env=os.environ
        | {
            "W": str(work),
            "NAME": f"fax-exporter-test-{os.getpid()}",
            "SAID": str(said),
            "LAYERS": ":".join(map(str, layers)),
            "FURNISH": furnish,
            "PROBE": probe,
            "STAGE_2": _STAGE_2,
            "SECONDS_AT_MOST": str(seconds),
        }
        | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    return Said(said.read_text(errors="replace"), done.stderr)


def said_by(
    probe: str,
    directory: Path,
    *,
    drop_in: str,
    arguments: str = "",
    environment: str = "",
) -> Said:
    """The same with the machine's own systemd, and the unit put in place by hand, not started yet.

    `drop_in`: more lines of the unit's [Service]; `arguments` of the exporter; `environment`: more
    lines of the unit's file of that name. The script has `$unit`, `show PROPERTY`, `until_ PROPERTY
    VALUE` and `python`.
    """
    binary("systemd-analyze", package="systemd")  # which brings systemd itself
    put_in_place = f"""
cd /opt/tree/deploy/systemd
{_PUT_IN_PLACE}
echo of-this-test >/etc/asterisk-fax-exporter/secret
cat >>/etc/asterisk-fax-exporter/environment <<'END'
{environment}
END
"""
    return under_systemd(
        _PROBE + put_in_place + probe,
        directory,
        [Path("/")],
        furnish=_BY_HAND,
        variables={
            "PYTHON": sys.base_prefix,
            "SITE": sysconfig.get_path("purelib"),
            "TREE": str(ROOT),
            "UNIT": UNIT.name,
            "DROP_IN": _DROP_IN.replace("ARGUMENTS", arguments) + drop_in,
        },
    )
