"""Log lines: in logfmt and JSON, nothing that is logged can break one or reach the terminal."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from exporter import log
from exporter.line_writer import MOST_LINES
from harness.logfmt import parse

AT = "2023-11-14 22:13:20.123900"
# Whole Unicode, lone surrogates too: what bytes that are not UTF-8 become.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
NASTY = 'a\nb\r\x1b[31m\x00\x7f\x85\x9b31m"\\\u2028\u2029\u202e\u200b\ufeff\udc80\U000e0001=é'


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(), logging.getLogger("exporter")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def record(msg: object, *args: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("exporter.ami", logging.INFO, __file__, 1, msg, args, None)
    made.__dict__["fields"] = fields
    return made


def joined(text: str) -> str:
    """Make one character of two surrogates in a row, as every reader of JSON does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@pytest.mark.parametrize("hours_from_utc", [0, -8, 5])
def test_the_time_of_a_line_is_utc_wherever_it_is_logged(hours_from_utc: int) -> None:
    with freeze_time(AT, tz_offset=hours_from_utc):
        line = log.Logfmt().format(record("x"))
    assert line.startswith("ts=2023-11-14T22:13:20.123Z level=")


@freeze_time(AT)
def test_logfmt_says_time_level_logger_message_and_fields() -> None:
    line = log.Logfmt().format(record("lost %s", "it", host="pbx", port=5038, tls=False, why=None))
    assert line == (
        'ts=2023-11-14T22:13:20.123Z level=info logger=exporter.ami msg="lost it" '
        "host=pbx port=5038 tls=false why=null"
    )


@freeze_time(AT)
def test_json_says_the_same_with_types() -> None:
    line = log.Json().format(record("lost %s", "it", host="pbx", port=5038, tls=False, why=None))
    assert json.loads(line) == {
        "ts": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "logger": "exporter.ami",
        "msg": "lost it",
        "host": "pbx",
        "port": 5038,
        "tls": False,
        "why": None,
    }


@given(ANY_TEXT, ANY_TEXT)
def test_logfmt_is_one_printable_line_that_reads_back(msg: str, value: str) -> None:
    line = log.Logfmt().format(record(msg, field=value))
    assert line.isprintable()
    found = parse(line)
    assert (found["msg"], found["field"]) == (joined(msg), joined(value))


@given(ANY_TEXT, ANY_TEXT)
def test_json_is_one_ascii_line_that_reads_back(msg: str, value: str) -> None:
    line = log.Json().format(record(msg, field=value))
    assert line.isprintable()
    assert line.isascii()
    found = json.loads(line)
    assert (found["msg"], found["field"]) == (joined(msg), joined(value))


@pytest.mark.parametrize("formatter", [log.Logfmt(), log.Json()])
def test_what_steers_a_terminal_is_escaped(formatter: logging.Formatter) -> None:
    line = formatter.format(record(NASTY, field=NASTY, **{NASTY: 1}))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@freeze_time(AT)
@given(st.dictionaries(ANY_TEXT, ANY_TEXT))
def test_no_field_name_can_break_a_line_or_replace_what_is_always_there(
    fields: dict[str, str],
) -> None:
    made = record("hello")
    made.__dict__["fields"] = fields = {"level": "x", "ts": "x"} | fields
    found = parse(log.Logfmt().format(made))
    assert found["level"] == "info"
    assert found["ts"].startswith("2023")
    assert len(found) == 4 + len(fields)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        10**400,
        pytest.param(-(10**5000), id="huge"),
        2**53,
        b"\x1b",
        [1],
        object,
    ],
)
def test_any_value_is_valid_json(value: object) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    found = json.loads(log.Json().format(record("x", field=value)), parse_constant=refuse)
    assert isinstance(found["field"], str)


def test_a_long_value_is_cut_and_says_by_how_much() -> None:
    found = parse(log.Logfmt().format(record("m" * 1234, field="f" * 1025)))
    assert found["msg"] == "m" * 1024 + "...(210 more)"
    assert found["field"] == "f" * 1024 + "...(1 more)"


def raised(error: Exception) -> logging.LogRecord:
    made = record("failed")
    try:
        raise error
    except Exception:
        made.exc_info = sys.exc_info()
    return made


@pytest.mark.parametrize("formatter", [log.Logfmt(), log.Json()])
def test_a_traceback_stays_on_its_line(formatter: logging.Formatter) -> None:
    line = formatter.format(raised(ValueError(NASTY)))
    assert line.isprintable()
    assert "Traceback (most recent call last):" in line
    assert "test_log.py" in line


def test_of_a_long_traceback_the_end_is_kept() -> None:
    found = parse(log.Logfmt().format(raised(ValueError("x" * 20_000 + "the end"))))
    assert found["traceback"].startswith("...(")
    assert found["traceback"].endswith("the end")
    assert len(found["traceback"]) < 10_100


def test_without_a_descriptor_to_read_the_traceback_with_the_error_itself_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def print_exception(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files", "_colorize.py")

    monkeypatch.setattr(traceback, "print_exception", print_exception)
    found = parse(log.Logfmt().format(raised(ValueError("the end"))))
    assert found["msg"] == "failed"
    assert found["traceback"] == (
        "the end (no traceback: [Errno 24] Too many open files: '_colorize.py')"
    )


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_costs_only_itself() -> None:
    found = parse(log.Logfmt().format(record("x", a=Unshowable(), b=1)))
    assert found["a"] == "<Unshowable that cannot be shown: RuntimeError>"
    assert found["b"] == "1"


def test_arguments_that_do_not_fit_do_not_lose_the_message() -> None:
    found = parse(log.Logfmt().format(record("%d faxes", "no number")))
    assert found["msg"] == "%d faxes ('no number',)"


def test_it_goes_to_standard_error_from_the_level_up(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "logfmt")
    logging.getLogger("exporter.ami").debug("too little")
    logging.getLogger("exporter.ami").info("enough", extra={"fields": {"host": "pbx"}})
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(" level=info logger=exporter.ami msg=enough host=pbx\n")
    assert len(err.splitlines()) == 1


def test_a_line_about_one_target_names_it_in_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "logfmt")
    about = log.about_target(logging.getLogger("exporter.polling"), "fax-berlin")
    about.info("connected, AMI %s", "11.0.0")
    line = parse(capsys.readouterr().err.rstrip())
    assert (line["msg"], line["target"]) == ("connected, AMI 11.0.0", "fax-berlin")


def test_libraries_are_heard_from_warnings_up_even_when_debugging(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("debug", "json")
    logging.getLogger("panoramisk.manager").info("Secret: hunter2")
    logging.getLogger("panoramisk.manager").warning("gone")
    logging.getLogger("exporter.ami").debug("details")
    assert [json.loads(line)["msg"] for line in capsys.readouterr().err.splitlines()] == [
        "gone",
        "details",
    ]


def test_libraries_are_not_louder_than_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("error", "logfmt")
    logging.getLogger("aiohttp").warning("x")
    logging.getLogger("exporter").warning("x")
    assert capsys.readouterr().err == ""


def test_a_second_setup_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("debug", "logfmt")
    log.setup("warning", "json")
    logging.getLogger("exporter").info("x")
    logging.getLogger("exporter").warning("y")
    assert json.loads(capsys.readouterr().err)["msg"] == "y"


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", [Full(), None])
def test_a_log_that_cannot_be_written_stops_nothing(
    broken: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", broken)
    log.setup("info", "logfmt")
    logging.getLogger("exporter").error("x")


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    log.setup("info", "logfmt")
    closed.close()
    logging.getLogger("exporter").error("x")


# --- standard error, and who does not read it ---------------------------------------------------


def put_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> tuple[int, io.TextIOWrapper]:
    """A pipe instead of it: where to read, and the stream that is to be closed."""
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    return reading, stream


def test_who_does_not_read_standard_error_keeps_nobody_waiting_and_is_told_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "FLUSH_SECONDS", 0.01)
    reading, stream = put_on_standard_error(monkeypatch)
    lines = log.setup("info", "logfmt")
    line = "x" * 999 + "\n"
    taken = 0
    while lines.put(line):
        taken += 1
    assert taken >= MOST_LINES
    for _ in range(3):
        assert not lines.put(line)
    log.flush()  # waits no longer than it may
    with os.fdopen(reading, "rb") as pipe:
        for _ in range(taken):
            assert len(pipe.readline()) == 1000
        logging.getLogger("exporter").info("read at last")
        assert parse(pipe.readline().decode().rstrip())["msg"] == (
            "lines lost: 4, since nobody read standard error, or it could not be written"
        )
        assert parse(pipe.readline().decode().rstrip())["msg"] == "read at last"
        log.setup("info", "logfmt")
    stream.close()


def test_what_standard_error_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        lines = log.setup("info", "logfmt")
        assert lines.put("é\n")
        log.flush()
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.readline() == b"\\xe9\n"


CRASHES = """
import logging
from exporter import log, main

async def crash(*_):
    for number in range(2000):
        logging.getLogger(f"exporter.{number}").error("line %d", number)
    raise ValueError("the end")

main._run = crash
main.main(["--demo"])
"""


def test_what_was_logged_before_a_crash_is_written_before_its_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASHES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    logged = [parse(line)["msg"] for line in lines if line.startswith("ts=")]
    assert logged == [f"line {number}" for number in range(2000)]
    assert lines[2000] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: the end"


# --- floods ---------------------------------------------------------------------------------


class Time:
    """A monotonic clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def flooded() -> Iterator["Flooded"]:
    flood = Flooded()
    yield flood
    logging.getLogger().removeHandler(flood.handler)
    flood.handler.close()


class Flooded:
    """A log in virtual time."""

    def __init__(self) -> None:
        self.time = Time()
        self._written = io.StringIO()
        self.handler = log._StandardError(self.time)
        self.handler.setStream(self._written)
        self.handler.setFormatter(log.Logfmt())
        logging.getLogger().addHandler(self.handler)

    def lines(self) -> list[dict[str, str]]:
        """What was written since it was last asked."""
        lines = self._written.getvalue().splitlines()
        self._written.seek(self._written.truncate(0))
        return [parse(line) for line in lines]

    def said(self) -> list[str]:
        """Likewise, the messages alone."""
        return [line["msg"] for line in self.lines()]


def test_of_a_flood_a_few_lines_are_written_and_the_next_line_of_any_kind_tells_the_rest(
    flooded: Flooded,
) -> None:
    for number in range(27_452):
        logging.getLogger("aiohttp.server").error("Error handling request from %s", number)
    assert flooded.said() == [f"Error handling request from {n}" for n in range(5)]
    flooded.time.now += 60
    log.about_target(logging.getLogger("exporter"), "fax-berlin").warning("lost")
    assert [(line["level"], line["logger"], line["msg"]) for line in flooded.lines()] == [
        (
            "error",
            "aiohttp.server",
            "left out within 60 s: 27447 more lines like this: Error handling request from ...",
        ),
        ("warning", "exporter", "lost"),
    ]


def test_a_percent_sign_of_a_message_without_values_stays(flooded: Flooded) -> None:
    for _ in range(6):
        logging.getLogger("aiohttp.server").error("all % of them")
    flooded.handler.close()
    assert flooded.said()[-1] == "left out within 60 s: 1 more lines like this: all % of them"


def test_a_flood_about_one_target_hides_no_other_and_its_rest_names_it(flooded: Flooded) -> None:
    for name in ("fax-berlin", "fax-ulm"):
        about = log.about_target(logging.getLogger("exporter.polling"), name)
        for number in range(7):
            about.warning("%s", f"no answer for {number} s")
            about.warning("%s", "connection lost")
    assert Counter(line["target"] for line in flooded.lines()) == {"fax-berlin": 10, "fax-ulm": 10}
    flooded.handler.close()
    assert Counter((line["target"], line["msg"]) for line in flooded.lines()) == Counter(
        (name, f"left out within 60 s: 2 more lines like this: {words}")
        for name in ("fax-berlin", "fax-ulm")
        for words in ("no answer for # s", "connection lost")
    )


def test_what_has_other_words_each_time_is_left_out_too(flooded: Flooded) -> None:
    for number in range(1000):
        logging.getLogger("asyncio").error("x" * (number % 100) + "y")
    flooded.lines()
    flooded.handler.close()
    told = [line.partition(": ")[2] for line in flooded.said()]
    assert sum(int(line.partition(" ")[0]) for line in told) == 1000 - 60
    assert any(line.endswith("more lines, of other words each") for line in told)


def failing(error: Exception) -> None:
    try:
        raise error
    except Exception:
        logging.getLogger("asyncio").exception("Error handling request")


def test_the_traceback_is_that_of_the_first_of_a_kind_and_another_error_is_another(
    flooded: Flooded,
) -> None:
    for _ in range(3):
        failing(ValueError("a"))
        failing(KeyError("b"))
    found = ["traceback" in line for line in flooded.lines()]
    assert found == [True, True, False, False, False, False]
    flooded.time.now += 60
    failing(ValueError("a"))
    assert "traceback" in flooded.lines()[-1]


def test_the_record_stays_whole_for_others_who_log_it(
    flooded: Flooded, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        failing(ValueError("a"))
    assert all(made.exc_info for made in caplog.records)


def test_what_was_left_out_is_told_though_nothing_else_is_logged() -> None:
    told = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            if "left out within 0.2 s: 3 more lines like this: lost" in text:
                told.set()
            return super().write(text)

    handler = log._StandardError(seconds=0.2)
    handler.setStream(Stream())
    for _ in range(8):
        handler.handle(record("lost"))
    assert told.wait(30)
    handler.close()


def test_without_a_thread_to_wait_in_the_next_line_tells_it(
    flooded: Flooded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    for _ in range(7):
        logging.getLogger().error("lost")
    flooded.time.now += 60
    logging.getLogger().error("found")
    assert flooded.said()[5:] == ["left out within 60 s: 2 more lines like this: lost", "found"]


def test_a_second_setup_tells_what_the_first_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        log.setup("info", "logfmt")
        for _ in range(9):
            logging.getLogger("exporter").error("lost")
    assert capsys.readouterr().err.count("left out within 60 s: 4 more lines") == 1


@pytest.mark.parametrize("fields", [None, 1, {"target": Unshowable()}, {"target": ["x"]}])
def test_fields_of_any_kind_are_counted(flooded: Flooded, fields: object) -> None:
    for _ in range(6):
        made = record(Unshowable())
        made.__dict__["fields"] = fields
        flooded.handler.handle(made)
    assert len(flooded.lines()) == 5


def test_at_the_end_of_the_process_what_was_left_out_is_told() -> None:
    code = (
        "import logging; from exporter import log; log.setup('info', 'json');"
        "[logging.getLogger('exporter').error('lost') for _ in range(9)]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 6
    assert "4 more lines like this: lost" in done.stderr
