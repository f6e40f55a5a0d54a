"""Log lines: in logfmt and JSON, nothing that is logged can break one or reach the terminal."""

import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from exporter import log

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


def parse_logfmt(line: str) -> dict[str, str]:
    """Read a line as a reader of logfmt does: quoted values are JSON strings."""
    found = {}
    while line:
        key, _, line = line.partition("=")
        if line.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(line)
            line = line[end:]
        else:
            value, space, line = line.partition(" ")
            line = space + line
        assert line == "" or line.startswith(" ")
        found[key], line = value, line[1:]
    return found


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
    found = parse_logfmt(line)
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
    found = parse_logfmt(log.Logfmt().format(made))
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
    found = parse_logfmt(log.Logfmt().format(record("m" * 1234, field="f" * 1001)))
    assert found["msg"] == "m" * 1000 + "...(234 more)"
    assert found["field"] == "f" * 1000 + "...(1 more)"


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
    found = parse_logfmt(log.Logfmt().format(raised(ValueError("x" * 20_000 + "the end"))))
    assert found["traceback"].startswith("...(")
    assert found["traceback"].endswith("the end")
    assert len(found["traceback"]) < 10_100


def test_without_a_descriptor_to_read_the_traceback_with_the_error_itself_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def print_exception(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files", "_colorize.py")

    monkeypatch.setattr(traceback, "print_exception", print_exception)
    found = parse_logfmt(log.Logfmt().format(raised(ValueError("the end"))))
    assert found["msg"] == "failed"
    assert found["traceback"] == (
        "the end (no traceback: [Errno 24] Too many open files: '_colorize.py')"
    )


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_costs_only_itself() -> None:
    found = parse_logfmt(log.Logfmt().format(record("x", a=Unshowable(), b=1)))
    assert found["a"] == "<Unshowable that cannot be shown: RuntimeError>"
    assert found["b"] == "1"


def test_arguments_that_do_not_fit_do_not_lose_the_message() -> None:
    found = parse_logfmt(log.Logfmt().format(record("%d faxes", "no number")))
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
    line = parse_logfmt(capsys.readouterr().err.rstrip())
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
