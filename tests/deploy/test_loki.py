"""The log of faxes on its way to Loki: what Alloy is told is what its own parser takes, what its
stages make of real lines, and that Promtail is told the same. Neither is to be had in a test;
alloy.go has what stands for Alloy."""

import json
import logging
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from exporter.fax import Operation, Reason, Transport
from exporter.fax_log import fields, kind
from exporter.journal import MESSAGE_ID
from exporter.ledger import EndedFax
from exporter.log import Format, formatter
from exporter.settings import read_yaml
from harness.programs import binary

pytestmark = pytest.mark.slow

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parents[2] / "deploy/loki"
ALLOY: Final = FOLDER / "config.alloy"
PROMTAIL: Final = FOLDER / "promtail.yml"
LABELS: Final = {"job", "instance", "target", "operation", "result", "reason"}
"""Of which there are few: a stream of Loki for each combination."""

FAILED: Final = EndedFax(
    ended_at=5.0,
    operation=Operation.SEND,
    transport=Transport.G711,
    channel="PJSIP/berlin-00000001",
    succeeded=False,
    reason=Reason.NO_FAX,
    pages=0,
    bad_lines=None,
    seconds=12.5,
    data_rate=None,
    unique_id="pbx-1764149000.7",
    linked_id="pbx-1764149000.6",
    peer="PJSIP/trunk-berlin",
    ended=1764149000.125,
    status_text='no "fax"={} tone',
    counted_transport=Transport.G711,
)
UNKNOWN: Final = replace(
    FAILED, succeeded=None, reason=None, unique_id="", linked_id="", peer="", status_text=""
)


def line(target: str, fax: EndedFax, format: Format) -> str:
    """As the exporter writes it."""
    record = logging.LogRecord("exporter.fax_log", logging.INFO, "", 0, kind(fax), None, None)
    record.__dict__["fields"] = fields(target, fax, details=True)
    return formatter(format).format(record)


def sent(text: str, config: Path = ALLOY) -> Json:
    """What becomes of a line: the same, whichever source it comes from."""
    _, (one, *others) = alloy(config, text)
    assert all(other == one for other in others)
    found: Json = one
    return found


def alloy(config: Path, *lines: str) -> list[Any]:
    """What the configuration says, then what becomes of each line from each of the sources."""
    program = binary("alloy-config", install=".ci/go-tools builds it, where Go is")
    done = subprocess.run(
        [program, config],
        input="".join(f"{one}\n" for one in lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(one) for one in done.stdout.splitlines()]


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_a_fax_becomes_labels_metadata_and_its_own_time(format: Format) -> None:
    text = line("fax berlin", FAILED, format)
    assert sent(text) == {
        "labels": {
            "job": "asterisk-fax",
            "instance": "fax berlin",
            "target": "fax berlin",
            "operation": "send",
            "result": "failed",
            "reason": "no_fax",
        },
        "metadata": {
            "transport": "g711",
            "peer": "PJSIP/trunk-berlin",
            "uniqueid": "pbx-1764149000.7",
            "linkedid": "pbx-1764149000.6",
        },
        "time": "2025-11-26T09:23:20.125Z",
        "line": text,
    }


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_what_is_not_known_is_no_label_and_no_metadata(format: Format) -> None:
    made = sent(line("berlin", UNKNOWN, format))
    assert made["labels"].keys() == LABELS - {"reason"}
    assert made["metadata"] == {"transport": "g711"}


def test_another_line_of_the_log_is_left_as_it_is() -> None:
    for other in ('level=warning msg="a b"', "Traceback (most recent call last):", "{", "null"):
        made = sent(other)
        assert (made["labels"], made["metadata"]) == ({"job": "asterisk-fax"}, {})
        assert (made["time"], made["line"]) == ("", other)


def test_labels_have_few_values_and_personal_data_is_in_none() -> None:
    (said,), made = alloy(ALLOY), sent(line("berlin", FAILED, "json"))
    assert made["labels"].keys() <= LABELS
    assert said["Process"][0]["Stages"][-1] == {"label_drop": {"values": ["filename"]}}
    personal = fields("", FAILED, details=True).keys() - fields("", FAILED, details=False).keys()
    assert personal
    assert not personal & (made["labels"].keys() | made["metadata"].keys())


def test_the_sources_lead_through_the_stages_to_loki() -> None:
    (said,) = alloy(ALLOY)
    for source in (*said["File"], *said["Journal"]):
        assert source["ForwardTo"] == ["loki.process.faxes.receiver"]
    assert [one["ForwardTo"] for one in said["Process"]] == [["loki.write.loki.receiver"]]
    assert [one["Matches"] for one in said["Journal"]] == [f"MESSAGE_ID={MESSAGE_ID}"]


def test_promtail_does_what_alloy_does() -> None:
    (said,) = alloy(ALLOY)
    told = read_yaml(PROMTAIL)
    assert isinstance(told, dict)
    of_file, of_journal = told["scrape_configs"]
    (static,) = of_file["static_configs"]
    assert static["labels"] == said["FileMatch"][0]["PathTargets"][0]
    assert of_journal["journal"] == {"matches": said["Journal"][0]["Matches"]}
    assert [client["url"] for client in told["clients"]] == [
        endpoint["URL"] for endpoint in said["Write"][0]["Endpoint"]
    ]
    stages = [as_in_alloy(*one) for stage in of_file["pipeline_stages"] for one in stage.items()]
    assert stages == said["Process"][0]["Stages"]
    assert of_journal["pipeline_stages"] == of_file["pipeline_stages"]


def as_in_alloy(name: str, value: Any) -> Json:
    """A stage of Promtail as Alloy has it."""

    def filled(mapping: Json) -> Json:
        return {key: one or "" for key, one in mapping.items()}

    match name:
        case "json":
            return {name: {"expressions": filled(value["expressions"])}}
        case "logfmt":
            return {name: {"mapping": filled(value["mapping"])}}
        case "labels" | "static_labels" | "structured_metadata":
            return {name: {"values": filled(value)}}
        case "labeldrop":
            return {"label_drop": {"values": value}}
    return {name: value}


@pytest.mark.parametrize("kept", ["file", "journal"])
def test_the_source_that_is_not_used_can_be_deleted(tmp_path: Path, kept: str) -> None:
    gone = {"file": ["loki.source.journal"], "journal": ["local.file_match", "loki.source.file"]}
    text = ALLOY.read_text()
    for block in gone[kept]:
        text, times = re.subn(rf'(//.*\n)?{block} "faxes" {{\n(.+\n)+?}}\n\n', "", text)
        assert times == 1
    config = tmp_path / "config.alloy"
    config.write_text(text)
    (said,) = alloy(config)
    assert (said["File"] is None, said["Journal"] is None) == (kept != "file", kept != "journal")


def test_instance_can_be_the_exporter_s_address(tmp_path: Path) -> None:
    config = tmp_path / "config.alloy"
    text, times = re.subn(
        r"// (stage.static_labels {\n.*)// (.*\n.*)// }", r"\1\2}", ALLOY.read_text()
    )
    assert times == 1
    config.write_text(text)
    labels = sent(line("berlin", FAILED, "json"), config)["labels"]
    assert labels["instance"] == "pbx.example:10329"
    assert labels["target"] == "berlin"


@pytest.mark.parametrize(
    ("said", "instead", "complaint"),
    [
        ("stage.json", "stage.jsn", 'unrecognized block name "stage.jsn"'),
        ("matches ", "machtes ", 'unrecognized attribute name "machtes"'),
        ("loki.process.faxes.receiver", "loki.process.fax.receiver", 'field "fax" does not exist'),
        ("forward_to = [loki.write.loki.receiver]", "", 'missing required attribute "forward_to"'),
        ('["filename"]', '"filename"', "should be array, got string"),
        ("{{ end }}", "", "unexpected EOF"),
    ],
)
def test_a_mistake_is_found(tmp_path: Path, said: str, instead: str, complaint: str) -> None:
    wrong = tmp_path / "config.alloy"
    assert said in ALLOY.read_text()
    wrong.write_text(ALLOY.read_text().replace(said, instead))
    with pytest.raises(AssertionError, match=complaint.replace("(", r"\(")):
        alloy(wrong, line("berlin", FAILED, "json"))
