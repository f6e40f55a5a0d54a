"""The systemd unit under systemd itself."""

from pathlib import Path
from typing import Final

from harness.readme import block
from tests.pbx.systemd import said_by

README: Final = "deploy/systemd/README.md"

# Short times, so that a restart by the watchdog is seen.
DROP_IN: Final = """
StandardOutput=file:/run/out
StandardError=file:/run/out
WatchdogSec=5s
RestartSec=100ms
"""
ENVIRONMENT: Final = """\
FAX_EXPORTER_AMI_HOST=localhost
FAX_EXPORTER_AMI_PORT=1"""

PROBE: Final = r"""
systemctl start $unit && echo "start 0" || { show ExecMainStatus; cat /run/out; exit; }
pid=$(show MainPID)
echo "user $(ps -o user:32= -p $pid)"
sed -n 's/^\(CapBnd\|Seccomp\|NoNewPrivs\):\t*\([^\t]*\).*/\1 \2/p' /proc/$pid/status
until_ StatusText '1 target, 1 not reached: localhost:1'; echo "told $(show StatusText)"
python -c 'from urllib.request import urlopen
print("healthy", urlopen("http://127.0.0.1:10329/-/healthy").status)'
systemctl reload $unit; echo "reload $?"
kill -STOP $pid
until_ NRestarts 1; echo "restarts $(show NRestarts)"
until_ ActiveState active; echo "then $(show ActiveState)"
systemctl stop $unit; echo "result $(show Result)"
cat /run/out
"""


def test_the_unit_starts_answers_reloads_and_is_restarted_by_its_watchdog(tmp_path: Path) -> None:
    said = said_by(PROBE, tmp_path, drop_in=DROP_IN, environment=ENVIRONMENT)
    told = said.told
    assert told.get("start") == "0", said
    assert told["user"] == "asterisk-fax-exporter"
    assert (told["CapBnd"], told["Seccomp"], told["NoNewPrivs"]) == ("0" * 16, "2", "1")
    assert told["told"] == "1 target, 1 not reached: localhost:1"
    assert told["healthy"] == "200"
    assert told["reload"] == "0"
    assert int(told["restarts"]) >= 1
    assert (told["then"], told["result"]) == ("active", "success")


# What an earlier unit left behind, made by systemd itself: then the unit of now on top of it.
BEFORE: Final = r"""
secret=/etc/asterisk-fax-exporter/secret
chown root:root $secret; rm -r /var/lib/$unit /var/log/$unit
printf '%s\n' '[Service]' Type=oneshot DynamicUser=yes UMask=0077 \
  StateDirectory=$unit LogsDirectory=$unit \
  "ExecStart=/bin/touch /var/lib/$unit/peers.json /var/log/$unit/faxes.log" \
  >/run/systemd/system/before.service
systemctl start before; echo "before $?"
readlink /var/lib/$unit
"""
NOW: Final = f"""
{block("chown", after="## By hand", document=README)}
systemctl start $unit && echo "start 0" || cat /run/out
for one in /var/lib/$unit /var/lib/$unit/peers.json /var/log/$unit /var/log/$unit/faxes.log; do
  stat -c '%n %U %F' $one
done
ls /var/lib/private /var/log/private | grep -c $unit | sed 's/^/left /'
"""


def test_what_a_unit_with_a_dynamic_user_left_is_taken_over(tmp_path: Path) -> None:
    drop_in = "StandardOutput=file:/run/out\nStandardError=file:/run/out\n"
    said = said_by(BEFORE + NOW, tmp_path, drop_in=drop_in, environment=ENVIRONMENT)
    told = said.told
    assert told.get("before") == "0", said
    assert "private/asterisk-fax-exporter" in told, said
    assert told["start"] == "0", said
    for place in ("lib", "log"):
        assert told[f"/var/{place}/asterisk-fax-exporter"] == "asterisk-fax-exporter directory"
    for file in ("lib/asterisk-fax-exporter/peers.json", "log/asterisk-fax-exporter/faxes.log"):
        assert told[f"/var/{file}"] == "asterisk-fax-exporter regular empty file"
    assert told["left"] == "0"


SEVERAL: Final = f"""
etc=/etc/asterisk-fax-exporter
cat >$etc/environment <<'END'
{block("FAX_EXPORTER_CONFIG_FILE", after="## Several PBXs", document=README)}
FAX_EXPORTER_LOG_FAX_FILE=/var/log/asterisk-fax-exporter/faxes.log
END
cat >$etc/exporter.yml <<'END'
{block("targets:", after="## Several PBXs", document=README)}
END
{block("cd /etc", after="## Several PBXs", document=README)}
echo of-berlin >berlin; echo of-paris >paris
mkdir -p /etc/systemd/system/$unit.service.d
cat >/etc/systemd/system/$unit.service.d/override.conf <<'END'
{block("[Service]", after="## Start it", document=README).replace("  ", "")}
END
systemctl daemon-reload
systemctl start $unit && echo "start 0" || cat /run/out
until_ StatusText '2 targets, 2 not reached: fax-berlin, fax-paris'; echo "told $(show StatusText)"
stat -c 'folder %a %U:%G' /var/log/$unit
stat -c 'file %a %U:%G' /var/log/$unit/faxes.log
stat -c 'history %U:%G' /var/lib/$unit/faxes.db
useradd --system --groups adm shipper
runuser -u shipper -- cat /var/log/$unit/faxes.log && echo "read 0"
runuser -u shipper -- cat /var/lib/$unit/faxes.db >/dev/null 2>&1 || echo "kept 0"
"""


def test_several_pbxs_and_a_file_of_faxes_for_others_are_as_the_readme_says(tmp_path: Path) -> None:
    drop_in = "StandardOutput=file:/run/out\nStandardError=file:/run/out\n"
    said = said_by(SEVERAL, tmp_path, drop_in=drop_in)
    told = said.told
    assert told.get("start") == "0", said
    assert told["told"] == "2 targets, 2 not reached: fax-berlin, fax-paris"
    assert told["folder"] == "750 asterisk-fax-exporter:adm"
    assert told["file"] == "640 asterisk-fax-exporter:adm"
    assert told["history"].startswith("asterisk-fax-exporter:")
    assert (told.get("read"), told.get("kept")) == ("0", "0"), said
