"""The lines of faxes: their fields are what docs/fax-log.md says, and each reads back."""

import json
import logging
import os
import re
import subprocess
import threading
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import fax_log
from exporter.appended_file import AppendedFile
from exporter.fax import Operation, Reason, Transport
from exporter.fax_log import FaxFile, FaxLog, fields, kind
from exporter.ledger import EndedFax
from exporter.log import Format, Value
from harness.logfmt import parse
from harness.programs import binary

DOCUMENT = (Path(__file__).parent.parent / "docs/fax-log.md").read_text(encoding="utf-8")
HEAD = ["ts", "level", "logger", "msg"]
PERSONAL = ["channel", "caller", "local_station", "remote_station", "file"]
RECEIVED = EndedFax(
    ended_at=100.0,
    operation=Operation.RECEIVE,
    transport=Transport.G711,
    channel="PJSIP/trunk-berlin-00000001",
    succeeded=False,
    reason=Reason.NO_FAX,
    pages=5,
    bad_lines=70,
    seconds=61.25,
    data_rate=9600,
    local_station="4930",
    remote_station="4940",
    file="/fax/rx-1.tif",
    unique_id="1795685767.0",
    heard_at=1795685800.5,
    ended=1795685799.25,
    linked_id="1795685766.0",
    peer="PJSIP/trunk-berlin",
    caller="030123",
    status_text='Told "no", and hung up',
    rejected=2,
    fallbacks=1,
    ecm=False,
    resolution=(8031, 7700),
    counted_pages=3,
    counted_bad_lines=40,
    counted_transport=Transport.T38,
)
UNSEEN = EndedFax(
    ended_at=100.0,
    operation=Operation.SEND,
    transport=Transport.G711,
    channel="PJSIP/trunk-paris-00000002",
    succeeded=None,
    reason=None,
    pages=None,
    bad_lines=None,
    seconds=None,
    data_rate=None,
    ended=1795685860.0,
)


class Kept:
    """Keeps lines as long as there is room."""

    def __init__(self, room: int = 1000) -> None:
        self.lines: list[str] = []
        self.room = room

    def put(self, line: str) -> bool:
        if len(self.lines) >= self.room:
            return False
        self.lines.append(line)
        return True


def line_of(fax: EndedFax, format: Format = "logfmt", *, details: bool = False) -> str:
    kept = Kept()
    FaxLog(kept, format, "all", details=details).tell("fax-berlin", fax)
    (line,) = kept.lines
    return line


def test_a_line_says_what_is_known_of_a_fax() -> None:
    line = line_of(RECEIVED, details=True)
    assert line.partition(" ")[2] == (
        'level=info logger=exporter.fax_log msg="fax ended" target=fax-berlin '
        "ended=2026-11-26T09:36:39.250Z started=2026-11-26T09:35:38.000Z operation=receive "
        'result=failed reason=no_fax status_text="Told \\"no\\", and hung up" transport=t38 '
        "heard=true began=true pages=3 bad_lines=40 pages_rejected=2 pages_before=2 "
        "bad_lines_before=30 duration_seconds=61.25 data_rate_bps=9600 rate_fallbacks=1 "
        "ecm=false resolution=fine peer=PJSIP/trunk-berlin uniqueid=1795685767.0 "
        "linkedid=1795685766.0 channel=PJSIP/trunk-berlin-00000001 caller=030123 "
        "local_station=4930 remote_station=4940 file=/fax/rx-1.tif\n"
    )


def test_what_is_not_known_is_null_in_both_forms_and_counts_are_never() -> None:
    found = json.loads(line_of(UNSEEN, "json"))
    assert [key for key, value in found.items() if value is None] == [
        *("started", "reason", "status_text", "bad_lines", "pages_rejected", "bad_lines_before"),
        *("duration_seconds", "data_rate_bps", "ecm", "resolution", "peer", "uniqueid", "linkedid"),
    ]
    assert (found["pages"], found["pages_before"], found["rate_fallbacks"]) == (0, 0, 0)
    assert (found["heard"], found["result"], found["transport"]) == (False, "unknown", "g711")
    as_logfmt = parse(line_of(UNSEEN).rstrip())
    assert {key for key, value in as_logfmt.items() if value == "null"} == {
        key for key, value in found.items() if value is None
    }


def test_what_was_counted_beyond_what_its_event_tells_was_not_there_before() -> None:
    fax = replace(RECEIVED, counted_pages=7, counted_bad_lines=80)
    found = fields("fax", fax, details=False)
    assert (found["pages_before"], found["bad_lines_before"]) == (0, 0)


def test_a_fax_that_is_counted_without_its_transport_says_none_as_the_counter_does() -> None:
    fax = replace(RECEIVED, counted_transport=Transport.NONE)
    found = fields("x", fax, details=False)
    assert (found["transport"], found["heard"]) == ("none", True)


def test_each_kind_of_line_has_its_message() -> None:
    assert kind(RECEIVED) == "fax ended"
    assert kind(replace(RECEIVED, began=False)) == "fax never began"
    assert kind(replace(UNSEEN, went_on=True)) == "fax went on"


def test_only_with_details_there_is_personal_data() -> None:
    without, with_ = fields("x", RECEIVED, details=False), fields("x", RECEIVED, details=True)
    assert [key for key in with_ if key not in without] == PERSONAL
    said = line_of(RECEIVED)
    for personal in ("00000001", "030123", "4930", "4940", "rx-1.tif"):
        assert personal not in said


# --- the document ---------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=1024)
COUNTS = st.integers(0, 10_000)
SECONDS = st.floats(0, 1e6)


def optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


ANY_FAX = st.builds(
    EndedFax,
    ended_at=SECONDS,
    operation=st.sampled_from([Operation.SEND, Operation.RECEIVE, Operation.GATEWAY]),
    channel=ANY_TEXT.filter(bool),
    pages=optional(COUNTS),
    bad_lines=optional(COUNTS),
    seconds=optional(SECONDS),
    data_rate=optional(st.sampled_from([9600, 14400])),
    ended=st.floats(1e9, 2e9),
    linked_id=ANY_TEXT,
    unique_id=ANY_TEXT,
    peer=ANY_TEXT,
    caller=ANY_TEXT,
    status_text=ANY_TEXT,
    local_station=ANY_TEXT,
    remote_station=ANY_TEXT,
    file=ANY_TEXT,
    rejected=COUNTS,
    fallbacks=COUNTS,
    resolution=optional(st.tuples(COUNTS, COUNTS)),
    counted_pages=COUNTS,
    counted_bad_lines=COUNTS,
)


def documented() -> dict[str, tuple[str, str]]:
    """Type, and when it is null, of each field in the document."""
    table = DOCUMENT.partition("\n## The fields\n")[2].partition("\n\n**")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", table, re.MULTILINE)
    return {name: (kind, null) for name, kind, null in rows}


def test_the_document_has_each_field_and_no_other_in_their_order() -> None:
    with_details = [*HEAD, *fields("x", RECEIVED, details=True)]
    assert list(documented()) == with_details
    assert list(parse(line_of(RECEIVED).rstrip())) == with_details[: -len(PERSONAL)]


TYPES: dict[str, object] = {"text": str, "number": (int, float), "true or false": bool}


@given(ANY_FAX)
def test_each_field_has_the_type_that_is_documented_and_is_null_only_where_that_is(
    fax: EndedFax,
) -> None:
    found = json.loads(line_of(fax, "json", details=True))
    for name, (type_, null) in documented().items():
        if found[name] is None:
            assert null != "never", name
        else:
            assert isinstance(found[name], TYPES[type_]), name  # type: ignore[arg-type]
            assert isinstance(found[name], bool) is (type_ == "true or false"), name


def test_each_field_that_may_be_null_is_so_of_some_fax_and_not_of_another() -> None:
    nulls: dict[str, set[bool]] = defaultdict(set)
    bare = replace(UNSEEN, channel="x")
    for fax in (RECEIVED, bare):
        for name, value in json.loads(line_of(fax, "json", details=True)).items():
            nulls[name].add(value is None)
    assert {name for name, seen in nulls.items() if True in seen} == {
        name for name, (_, null) in documented().items() if null != "never"
    }
    assert all(False in seen for seen in nulls.values())


def joined(value: Value) -> Value:
    """Make one character of two surrogates in a row, as every reader of JSON does."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(ANY_FAX)
def test_whatever_a_pbx_says_one_fax_is_one_line_that_reads_back(fax: EndedFax) -> None:
    wanted = fields("fax-berlin", fax, details=True)
    for format in ("logfmt", "json"):
        line = line_of(replace(fax), format, details=True)
        assert line[:-1].isprintable()
        assert line.encode().decode().splitlines() == [line[:-1]]
        found = json.loads(line) if format == "json" else parse(line[:-1])
        assert list(found) == [*HEAD, *wanted]
        for name, value in wanted.items():
            if format == "logfmt" and not isinstance(value, str):
                value = json.dumps(value)
            assert found[name] == joined(value)


SAMPLE = [
    ("fax-berlin", RECEIVED),
    ("fax-berlin", replace(RECEIVED, succeeded=True, reason=None, unique_id="1795685767.1")),
    ("fax-paris", replace(RECEIVED, reason=Reason.TRAINING, linked_id="1795685767.0", peer="")),
    ("fax-paris", replace(RECEIVED, unique_id="1795685767.01", linked_id="")),
    ("fax-paris", replace(UNSEEN, counted_pages=2, operation=Operation.SEND)),
]


def examples() -> list[str]:
    text = DOCUMENT.partition("\n## Looking for one\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (?:grep|jq|lnav)(?:.*\n)+?(?=\n)", f"{text}\n", re.MULTILINE)


def printed(example: str, directory: Path) -> list[str]:
    """The lines that an example of the document prints of SAMPLE."""
    binary(example.split()[0], package=example.split()[0])
    for name, format in (("faxes.log", "logfmt"), ("faxes.json", "json")):
        kept = Kept()
        faxes = FaxLog(kept, "json" if format == "json" else "logfmt", "all", details=False)
        for target, fax in SAMPLE:
            faxes.tell(target, fax)
        (directory / name).write_text("".join(kept.lines))
    done = subprocess.run(
        ["sh", "-euc", example],
        capture_output=True,
        text=True,
        cwd=directory,
        env=os.environ | {"HOME": str(directory)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), example
    return done.stdout.splitlines()


def test_the_examples_find_what_they_are_for(tmp_path: Path) -> None:
    failed, reasons, call, table, finished, pages, lnav = examples()
    assert [parse(line)["uniqueid"] for line in printed(failed, tmp_path)] == ["1795685767.0"]
    assert [line.split() for line in printed(reasons, tmp_path)] == [
        ["2", "reason=no_fax"],
        ["1", "reason=train_failure"],
    ]
    found = [parse(line) for line in printed(call, tmp_path)]
    assert [line["target"] for line in found] == ["fax-berlin", "fax-paris"]
    assert [line.split("\t") for line in printed(table, tmp_path)] == [
        [
            "2026-11-26T09:36:39.250Z",
            target,
            *("" if reason == "train_failure" else "PJSIP/trunk-berlin", reason, unique_id),
        ]
        for target, reason, unique_id in (
            ("fax-berlin", "no_fax", "1795685767.0"),
            ("fax-paris", "train_failure", "1795685767.0"),
            ("fax-paris", "no_fax", "1795685767.01"),
        )
    ]
    assert printed(finished, tmp_path) == ['["receive","t38",4]']
    assert printed(pages, tmp_path) == ['["receive",12,160]', '["send",2,null]']
    assert [line.split() for line in printed(lnav, tmp_path)] == [
        ["reason", "faxes"],
        ["no_fax", "2"],
        ["train_failure", "1"],
    ]


# --- where they go --------------------------------------------------------------------------


def test_failed_are_those_whose_result_is_failed() -> None:
    kept = Kept()
    faxes = FaxLog(kept, "logfmt", "failed", details=False)
    for fax in (RECEIVED, replace(RECEIVED, succeeded=True, reason=None), UNSEEN):
        faxes.tell("x", fax)
    assert [parse(line.rstrip())["result"] for line in kept.lines] == ["failed"]


def test_what_is_lost_is_counted_and_said_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept(room=1)
    faxes = FaxLog(kept, "logfmt", "all", details=False)
    for _ in range(4):
        faxes.tell("x", RECEIVED)
    assert faxes.lost == 3
    kept.room = 2
    faxes.tell("x", RECEIVED)
    faxes.tell("x", RECEIVED)
    assert faxes.lost == 4
    said = Counter(record.getMessage() for record in caplog.records)
    assert said.pop("3 lines of faxes were lost") == 1
    ((text, times),) = said.items()
    assert "fax_lines_lost_total counts them" in text
    assert times == 2


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.something = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.something.set()


def test_a_file_says_what_is_wrong_with_it_and_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "log" / "faxes.log"
    heard = Heard()
    logging.getLogger().addHandler(heard)
    file = FaxFile(AppendedFile(path))
    assert file.put("a\n")
    assert heard.something.wait(30)
    logging.getLogger().removeHandler(heard)
    assert (
        f"{path}: lines of faxes cannot be written: No such file or directory; make its "
        in (caplog.messages[0])
    )
    path.parent.mkdir()
    file.reopen()
    file.close()
    assert path.read_text() == "a\n"
    assert caplog.messages[1:] == [f"{path}: lines of faxes are written again"]


def test_what_could_not_be_written_at_the_end_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fax_log, "WRITTEN", 0.01)
    file = FaxFile(AppendedFile(Path("/dev/full")))
    file.put("a\n")
    file.close()
    assert caplog.messages[-1] == "/dev/full: 1 lines of faxes could not be written"
