"""Faxes in the journal of a real systemd-journald, found by their fields."""

import json
from pathlib import Path
from typing import Final

from exporter.journal import IDENTIFIER, MESSAGE_ID
from tests.pbx.systemd import PYTHON, UNIT, said_by

SENDS: Final = """
from exporter.journal import Journal
journal = Journal.of_this_process()
journal.send("reason=no_fax", {"reason": "no_fax", "status_text": chr(10).join(("two", "lines"))})
journal.send("reason=busy", {"reason": "busy"})
journal.close()
"""
DROP_IN: Final = f"""
Type=oneshot
WatchdogSec=0
Restart=no
ExecStart=
ExecStart=/opt/python/bin/{PYTHON} -c '{SENDS.strip().replace(chr(10), "; ")}'
"""
PROBE: Final = f"""
systemctl start systemd-journald.socket systemd-journald.service
systemctl start $unit; echo "sent $?"
journalctl --sync
journalctl --no-pager -o json FAX_REASON=no_fax
echo "all" $(journalctl --no-pager -o cat MESSAGE_ID={MESSAGE_ID} _SYSTEMD_UNIT=$unit.service)
journalctl --no-pager -n 30
"""


def test_an_entry_is_found_by_its_fields(tmp_path: Path) -> None:
    said = said_by(PROBE, tmp_path, drop_in=DROP_IN)
    assert said.told["sent"] == "0", said
    (entry,) = (json.loads(line) for line in said.text.splitlines() if line.startswith("{"))
    assert entry["MESSAGE"] == "reason=no_fax"
    assert entry["FAX_STATUS_TEXT"] == "two\nlines"
    assert (entry["SYSLOG_IDENTIFIER"], entry["_SYSTEMD_UNIT"]) == (IDENTIFIER, UNIT.name)
    assert said.told["all"].split() == ["reason=no_fax", "reason=busy"]
