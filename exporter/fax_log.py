"""A line for each fax that is over or never began: its fields, and where the lines go. They are an
interface, docs/fax-log.md.

They do not pass log_limit.py: their sum is what the counters count, and a line that is left out
would be a fax that is missing. There are as many as faxes, which take a PBX seconds each, and what
cannot be written is held up to the bounds of line_writer.py, and counted beyond.
"""

import logging
from collections.abc import Mapping
from typing import Literal

from exporter.appended_file import AppendedFile, advice
from exporter.ending import WRITTEN, seconds_left
from exporter.fax import named_resolution
from exporter.journal import Journal, entry_of
from exporter.ledger import EndedFax
from exporter.line_writer import MOST_LINES, LineWriter
from exporter.log import Format, Lines, Value, formatter, rfc3339
from exporter.settings import LogSettings
from exporter.words import visible

logger = logging.getLogger(__name__)

Which = Literal["all", "failed"]


def kind(fax: EndedFax) -> str:
    """The `msg` of its line."""
    if fax.went_on:
        return "fax went on"
    return "fax ended" if fax.began else "fax never began"


def fields(target: str, fax: EndedFax, *, details: bool) -> dict[str, Value]:
    """The fields of its line behind ts, level, logger and msg: the same keys, in the same order,
    for each fax; what is not known is None. `details`: those that are personal data too."""
    found: dict[str, Value] = {
        "target": target,
        "ended": rfc3339(fax.ended),
        "started": None if fax.started is None else rfc3339(fax.started),
        "operation": fax.operation.value,
        "result": fax.result,
        "reason": None if fax.reason is None else fax.reason.value,
        "status_text": fax.status_text or None,
        # The one it is counted under: without channelvars that is none, though a list showed one.
        "transport": (fax.counted_transport or fax.transport).value,
        "heard": fax.heard,
        "began": fax.began,
        "pages": fax.counted_pages,
        "bad_lines": None if fax.bad_lines is None else fax.counted_bad_lines,
        "pages_rejected": fax.pages_rejected,
        "pages_before": fax.pages_before or 0,
        "bad_lines_before": fax.bad_lines_before,
        "duration_seconds": None if fax.seconds is None else round(fax.seconds, 3),
        "data_rate_bps": fax.data_rate,
        "rate_fallbacks": fax.fallbacks,
        "ecm": fax.ecm,
        "resolution": None if fax.resolution is None else named_resolution(fax.resolution).word,
        "peer": fax.peer or None,
        "uniqueid": fax.unique_id or None,
        "linkedid": fax.linked_id or None,
    }
    if details:
        found |= {
            "channel": fax.channel or None,
            "caller": fax.caller or None,
            "local_station": fax.local_station or None,
            "remote_station": fax.remote_station or None,
            "file": fax.file or None,
        }
    return found


class FaxLog:
    """Writes the lines."""

    def __init__(
        self, lines: "Lines | FaxJournal", format: Format, which: Which, *, details: bool
    ) -> None:
        """`lines`: what takes them. `which`: of all faxes, or of those whose result is failed."""
        self._lines = lines
        self._formatter = formatter(format)
        self._which = which
        self._details = details
        self.lost = 0
        """Lines for which there was no room."""
        self._losing = 0
        """How many of them since a line was last taken."""

    def tell(self, target: str, fax: EndedFax) -> None:
        """Writes the line of a fax, or nothing. Never blocks, raises nothing."""
        if self._which == "failed" and fax.succeeded is not False:
            return
        record = logging.LogRecord(__name__, logging.INFO, "", 0, kind(fax), None, None)
        found = record.__dict__["fields"] = fields(target, fax, details=self._details)
        if self._put(self._formatter.format(record), found):
            if self._losing:
                logger.warning("%d lines of faxes were lost", self._losing)
            self._losing = 0
            return
        self.lost += 1
        self._losing += 1
        if self._losing == 1:
            logger.error(
                "lines of faxes are lost: what cannot be written is held, and there is no room for "
                "more; asterisk_fax_exporter_fax_lines_lost_total counts them"
            )

    def _put(self, line: str, found: Mapping[str, Value]) -> bool:
        if isinstance(self._lines, FaxJournal):
            return self._lines.put(line, found)
        return self._lines.put(line + "\n")


class FaxFile:
    """The file of --log.fax-file."""

    def __init__(self, file: AppendedFile) -> None:
        self._name = visible(str(file.path))
        self._writer = LineWriter(file, self)
        self._writer.reopen()  # so that it is there, or a fault is told, before the first fax

    def put(self, line: str) -> bool:
        """Takes a line, with its end; False if it is lost."""
        return self._writer.put(line.encode("utf-8", "backslashreplace"))

    def reopen(self) -> None:
        """Goes on in the file that is at its path now."""
        self._writer.reopen()

    def close(self) -> None:
        """Writes what is held, for as long as the end of the exporter may take."""
        if lost := self._writer.close(seconds_left(WRITTEN)):
            logger.error("%s: %d lines of faxes could not be written", self._name, lost)

    def failed(self, error: OSError) -> None:
        """Says what is wrong with it, and what to do."""
        logger.warning(
            "%s: lines of faxes cannot be written: %s; %s. Up to %d are held and written once that "
            "is possible",
            self._name,
            error.strerror,
            advice(error),
            MOST_LINES,
        )

    def went_on(self) -> None:
        """Says that it is over."""
        logger.info("%s: lines of faxes are written again", self._name)


class FaxJournal:
    """systemd's journal, where standard error leads there: a line's fields are fields there too."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writer = LineWriter(journal, self)

    def put(self, line: str, found: Mapping[str, Value]) -> bool:
        """Takes a line, without its end, and its fields; False if it is lost."""
        return self._writer.put(entry_of(line, found))

    def close(self) -> None:
        """Sends what is held, for as long as the end of the exporter may take."""
        if lost := self._writer.close(seconds_left(WRITTEN)):
            logger.error("the journal: %d lines of faxes could not be sent", lost)
        self._journal.close()  # if there was none, no thread has

    def failed(self, error: OSError) -> None:
        """Says what is wrong with it."""
        logger.warning(
            "the journal: lines of faxes cannot be sent: %s. Up to %d are held and sent once that "
            "is possible",
            error.strerror,
            MOST_LINES,
        )

    def went_on(self) -> None:
        """Says that it is over."""
        logger.info("the journal: lines of faxes are sent again")


def fax_log(
    settings: LogSettings, standard_error: Lines
) -> tuple[FaxLog | None, FaxFile | FaxJournal | None]:
    """What writes the lines, and the file or the journal they are written to; None if there are
    none, or if they go to standard error as they are."""
    which = settings.faxes
    if which == "off":
        return None, None
    own: FaxFile | FaxJournal | None = None
    if settings.fax_file is not None:
        own = FaxFile(AppendedFile(settings.fax_file))
    elif (journal := Journal.of_this_process()) is not None:
        own = FaxJournal(journal)
    lines = standard_error if own is None else own
    return FaxLog(lines, settings.format, which, details=settings.fax_details), own
