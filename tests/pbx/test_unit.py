"""The systemd unit under systemd itself."""

from pathlib import Path
from typing import Final

from tests.pbx.systemd import said_by

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
