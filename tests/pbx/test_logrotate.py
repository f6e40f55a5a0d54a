"""logrotate with the unit's file of faxes, as root and under systemd: the recipe as it is."""

from pathlib import Path
from typing import Final

from harness.fax_lines import fax_lines
from harness.programs import binary
from tests.pbx.systemd import said_by

FILE: Final = "/var/log/asterisk-fax-exporter/faxes.log"
PROBE: Final = f"""
file={FILE}
has_a_line() {{ for i in $(seq 600); do [ -s $1 ] && return; sleep 0.1; done; }}
install -D -m 644 /opt/tree/deploy/logrotate/asterisk-fax-exporter /etc/logrotate.d/fax
systemctl start $unit; echo "start $?"
has_a_line $file
logrotate --force --state /run/state /etc/logrotate.d/fax; echo "rotated $?"
has_a_line $file; echo "new $(stat -c '%a' $file)"
[ "$(stat -c %u $file)" = "$(stat -c %u $file.1)" ] && echo "owner same"
systemctl stop $unit; echo "result $(show Result)"
logrotate --force --state /run/state /etc/logrotate.d/fax; echo "stopped $?"
zcat -f $file.2.gz $file.1
"""


def test_the_unit_s_faxes_go_on_in_a_new_file(tmp_path: Path) -> None:
    binary("logrotate", package="logrotate")
    said = said_by(
        PROBE,
        tmp_path,
        drop_in="",
        arguments=f"--demo --log.fax-file={FILE}",
    )
    told = said.told
    # Before and after the exporter was there.
    assert (told.get("start"), told.get("rotated"), told.get("stopped")) == ("0", "0", "0"), said
    assert (told["owner"], told["new"], told["result"]) == ("same", "600", "success")
    assert len(fax_lines(said.text)) >= 2
