"""Faxes in the journal of a real systemd-journald, found by their fields."""

import json
from pathlib import Path
from typing import Final

from tests.pbx.systemd import said_by

ENTRY: Final = {
    "target": "berlin",
    "reason": "no_fax",
    "pages": 0,
    "ecm": True,
    "data_rate": None,
    "status_text": "two\nlines",
    "uniqueid": "1764149000.7",
}
SENDS: Final = f"""
from exporter.journal import Journal
journal = Journal.of_this_process()
journal.send("target=berlin reason=no_fax", {ENTRY!r})
journal.send("target=paris", {{"target": "paris", "reason": "busy"}})
journal.close()
"""
JOURNALD: Final = r"""
systemctl start systemd-journald.socket systemd-journald.service dbus.socket
systemctl is-active systemd-journald
"""


def test_an_entry_is_found_by_its_fields(tmp_path: Path) -> None:
    probe = rf"""
{JOURNALD}
cat >/run/sends.py <<'EOF'
import sys
sys.path.insert(0, "/opt/tree")
{SENDS}
EOF
systemd-run --quiet --wait -p DynamicUser=yes -p StandardError=journal -p StandardOutput=journal \
  -E LD_LIBRARY_PATH=/opt/python/lib -E PYTHONPATH=/opt/site:/opt/tree -E PYTHONDONTWRITEBYTECODE=1 \
  /opt/python/bin/$PYTHON /run/sends.py
echo "sent $?"
journalctl --sync
journalctl FAX_REASON=no_fax -o json --no-pager
journalctl -n 30 --no-pager
"""
    said = said_by(probe, tmp_path, drop_in="")
    print(said)
    (entry,) = (json.loads(line) for line in said.text.splitlines() if line.startswith("{"))
    assert entry["FAX_STATUS_TEXT"] == "two\nlines"
