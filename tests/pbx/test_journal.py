"""Faxes in the journal of a real systemd-journald, which the unit's exporter sends there: found by
their fields, as docs/fax-log-recipes.md says."""

import json
from pathlib import Path
from typing import Final

from exporter.journal import IDENTIFIER, MESSAGE_ID
from harness.logfmt import parse
from harness.programs import binary
from harness.readme import block
from tests.pbx.systemd import UNIT, said_by

DOCUMENT: Final = "docs/fax-log-recipes.md"
HEADING: Final = "## systemd's journal"


def document(beginning: str) -> str:
    """What the document says to type."""
    return block(beginning, after=HEADING, document=DOCUMENT).splitlines()[0]


PROBE: Final = f"""
systemctl start systemd-journald.socket systemd-journald.service
systemctl start $unit; echo "start $?"
timeout 60 journalctl --follow --lines=all -o json FAX_RESULT=failed | head -n 1 >/dev/null
systemctl stop $unit; echo "result $(show Result)"
journalctl --sync
faxes() {{ journalctl -o json MESSAGE_ID={MESSAGE_ID} _SYSTEMD_UNIT=$unit.service "$@"; }}
faxes
echo "failed $(faxes FAX_RESULT=failed | wc -l)"
{document("journalctl -F")} | sed 's/^/reason_/'
{document("journalctl -o json --since today")} | sed 's/^ *[0-9]* /counted_/'
call=$(faxes | jq -r .FAX_LINKEDID | grep -v null | head -n 1)
echo "one $(journalctl -o cat FAX_UNIQUEID=none + FAX_LINKEDID=$call | wc -l)"
echo "berlin $(faxes FAX_PEER=PJSIP/trunk-berlin | wc -l)"
# A large one is handed over as a file in memory.
python -c 'import sys
sys.path.insert(0, "/opt/tree")
from exporter.journal import Journal, entry_of
Journal().write(entry_of("large", {{"file": "f" * 500_000}}))'
journalctl --sync
echo "large $(journalctl -o cat --output-fields=FAX_FILE _TRANSPORT=journal -n 1 | wc -c)"
"""


def test_faxes_are_found_in_the_journal_by_their_fields(tmp_path: Path) -> None:
    binary("jq", package="jq")
    said = said_by(PROBE, tmp_path, drop_in="", arguments="--demo")
    told = said.told
    assert (told.get("start"), told.get("result")) == ("0", "success"), said
    faxes = [json.loads(line) for line in said.text.splitlines() if line.startswith("{")]
    assert faxes, said
    for fax in faxes:
        line = parse(fax["MESSAGE"])
        assert line["logger"] == "exporter.fax_log"
        known = {
            name: value
            for name, value in line.items()
            if name not in ("ts", "level", "logger", "msg") and value != "null"
        }
        sent = {name: value for name, value in fax.items() if name.startswith("FAX_")}
        assert sent == {f"FAX_{name.upper()}": value for name, value in known.items()}
        assert (fax["SYSLOG_IDENTIFIER"], fax["_TRANSPORT"]) == (IDENTIFIER, "journal")
        assert fax["_SYSTEMD_UNIT"] == UNIT.name
    failed = [fax for fax in faxes if fax["FAX_RESULT"] == "failed"]
    of_berlin = [fax for fax in faxes if fax.get("FAX_PEER") == "PJSIP/trunk-berlin"]
    assert (int(told["failed"]), int(told["berlin"])) == (len(failed), len(of_berlin))
    assert failed
    reasons = {fax["FAX_REASON"] for fax in failed}
    for kind in ("reason", "counted"):
        assert {name for name in told if name.startswith(f"{kind}_")} == {
            f"{kind}_{reason}" for reason in reasons
        }
    assert int(told["one"]) >= 1
    assert int(told["large"]) > 500_000
