"""Where log lines go: standard error, or a file a day. Warnings that repeat are counted: anybody may cause them."""

from __future__ import annotations

import fcntl
import json
import logging
import logging.handlers
import os
import sys
import time
from dataclasses import dataclass
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, TextIO

from dayfile.errors import SettingsError
from dayfile.messages import printable
from dayfile.settings import CoreSettings

__all__ = ["ALIKE", "CountingHandler", "log_as"]

TALKATIVE = ("numexpr", "uvicorn", "watchfiles")
"""Libraries that report at the level of what goes well what nobody needs to know."""
SECONDS = 60.0
ALIKE = 100
"""Lines of one kind (they differ in names and numbers) that are written in that time."""
ANYBODY = ("serve", "web")
"""Commands whose lines anybody can cause."""
MOST_LINES = 1000
"""Different lines that are remembered."""


class Lines(logging.Formatter):
    """A line for each message, whatever the names in it hold; behind it a traceback, if there is one.

    Examples
    --------
    >>> record = logging.makeLogRecord({"name": "dayfile.engine.watch", "levelname": "INFO", "process": 812})
    >>> record.msg, record.created = "watching /data/archive", 1795982894.9
    >>> Lines().format(record)
    '2026-11-29T20:08:14Z INFO dayfile[812]: watching /data/archive'
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by logging
        """Format the line of a message."""
        program = str(record.name).partition(".")[0]
        head = f"{format_utc(record.created)} {record.levelname} {program}[{record.process}]"
        return printable(f"{head}: {record.message}")


class JsonLines(logging.Formatter):
    """A JSON object in a line for each message, with what is known of it besides the text.

    Examples
    --------
    >>> record = logging.makeLogRecord({"name": "dayfile.engine.watch", "levelname": "INFO", "process": 812})
    >>> record.msg, record.created, record.fields = "took 12 sources", 1795982894.9, {"event": "took", "sources": 12}
    >>> print(JsonLines().format(record))
    {"time": "2026-11-29T20:08:14.900Z", "level": "info", "process": 812, "logger": "dayfile.engine.watch", \
"message": "took 12 sources", "event": "took", "sources": 12}
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a message."""
        content: dict[str, Any] = {
            "time": f"{format_utc(record.created)[:-1]}.{int(record.created % 1 * 1000):03}Z",
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)


def format_utc(seconds: float) -> str:
    """Format a time, seconds since 1970, as ISO text in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment: on a terminal, above a line that shows progress."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # as the last resort of logging does
        """Return standard error."""
        return sys.stderr


class FileADay(logging.handlers.TimedRotatingFileHandler):
    """A log file a day, which several processes may write: the first whose day ends sets the file aside."""

    def __init__(self, path: Path, days: int) -> None:
        super().__init__(path, "midnight", backupCount=days, encoding="utf-8", utc=True)

    def doRollover(self) -> None:  # noqa: N802 - named by logging
        """Set the file aside and begin a new one, or take the one that another process has begun."""
        above = os.open(Path(self.baseFilename).parent, os.O_RDONLY)
        try:
            fcntl.flock(above, fcntl.LOCK_EX)
            if self._is_current():
                super().doRollover()
            else:
                if self.stream is not None:
                    self.stream.close()
                self.stream = self._open()
                self.rolloverAt = self.computeRollover(int(time.time()))
        finally:
            os.close(above)

    def _is_current(self) -> bool:
        """Whether what is written to is still the file of that name."""
        try:
            return self.stream is not None and os.path.samestat(
                os.fstat(self.stream.fileno()), Path(self.baseFilename).stat()
            )
        except FileNotFoundError:
            return False


@dataclass
class SeenLine:
    """A line, when it came, and how often it came again; of a kind, the first that was left out, and how many were."""

    record: logging.LogRecord
    since: float
    more: int = 0


@dataclass
class Kind:
    """Lines that differ in names and numbers only."""

    since: float
    written: int = 0
    left_out: SeenLine | None = None


class CountingHandler(logging.Handler):
    """Pass on to another handler a warning once a minute and, if wanted, n warnings of a kind.

    How many were left out is logged with the next line after that minute, or at the end.

    Parameters
    ----------
    target : Handler
        What writes.
    alike : int, optional
        Lines of a kind that are written in a minute; all if not given.
    """

    def __init__(self, target: logging.Handler, alike: int | None = None) -> None:
        super().__init__()
        self.target = target
        self.alike = alike
        self.lines: dict[str, SeenLine] = {}
        self.kinds: dict[tuple[str, int, str], Kind] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it; a line about what goes well is always written."""
        if record.levelno < logging.WARNING:
            self.target.handle(record)
            return
        now = time.monotonic()
        self._report(now - SECONDS)
        line = f"{record.name}{record.levelno}{record.getMessage()}{record.exc_info and record.exc_info[0]}"
        if line in self.lines:
            self.lines[line].more += 1
            return
        if self.alike is not None and self._is_too_many(record, now):
            return
        if len(self.lines) < MOST_LINES:
            self.lines[line] = SeenLine(record, now)
        self.target.handle(record)

    def _is_too_many(self, record: logging.LogRecord, now: float) -> bool:
        """Count a line of its kind."""
        kind = self.kinds.setdefault((record.name, record.levelno, str(record.msg)), Kind(now))
        if self.alike is None or kind.written < self.alike:
            kind.written += 1
            return False
        kind.left_out = kind.left_out or SeenLine(record, now)
        kind.left_out.more += 1
        return True

    def flush(self) -> None:
        """Flush what writes."""
        self.target.flush()

    def close(self) -> None:
        """Log what was counted, and close what writes."""
        self._report(time.monotonic())
        self.target.close()
        super().close()

    def _report(self, before: float) -> None:
        """Log the counts of what was first written before a moment, and forget it."""
        while self.lines and (first := next(iter(self.lines))) and self.lines[first].since <= before:
            self._count(self.lines.pop(first), "%s (%d times more)")
        while self.kinds and self.kinds[name := next(iter(self.kinds))].since <= before:
            if left_out := self.kinds.pop(name).left_out:
                self._count(left_out, "%s (and %d more lines of this kind)")

    def _count(self, seen: SeenLine, message: str) -> None:
        if seen.more:
            record = logging.makeLogRecord(
                {**seen.record.__dict__, "msg": message, "args": (seen.record.getMessage(), seen.more)}
            )
            record.exc_info = record.exc_text = None
            record.created = time.time()
            self.target.handle(record)


def open_log(path: Path, days: int) -> logging.Handler:
    """Open a log file of which files of earlier days are kept, or with 0 days one that other programs may move."""
    return FileADay(path, days) if days else WatchedFileHandler(path, encoding="utf-8")


def log_as(command: str, settings: CoreSettings, default: str = "warning") -> None:
    """Let the loggers of dayfile and its plugins write where the settings say; make the directory of the file.

    Parameters
    ----------
    command : str
        What stands for ``{command}`` in the file's name, so that two programs do not share a file.
    settings : CoreSettings
        ``log.file``, ``log.days``, ``log.level`` and ``log.format``.
    default : str
        The level if the settings have none.

    Raises
    ------
    SettingsError
        The file cannot be written.
    """
    handler: logging.Handler = StandardError()
    if settings.log_file is not None:
        path = Path(str(settings.log_file).replace("{command}", command))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = open_log(path, settings.log_days)
        except OSError as error:
            raise SettingsError(
                f"log.file cannot be written: {error.strerror}", where=error.filename or path
            ) from error
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Lines())
    handler = CountingHandler(handler, ALIKE if command in ANYBODY else None)
    logger = logging.getLogger()
    for other in [other for other in logger.handlers if getattr(other, "of_dayfile", False)]:
        logger.removeHandler(other)
        other.close()
    handler.of_dayfile = True  # type: ignore[attr-defined]  # so that a second call replaces it
    # Then what a command says of problems is logged, see dayfile.cli.output.report_problem.
    handler.writes_objects = settings.log_format == "json" and settings.log_file is None  # type: ignore[attr-defined]
    logger.addHandler(handler)
    level = (settings.log_level or default).upper()
    logger.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING if level == "INFO" else logging.NOTSET)
