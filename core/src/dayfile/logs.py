"""Where log lines go: standard error, or a file a day. Lines that repeat are counted, so that they do not fill it."""

from __future__ import annotations

import fcntl
import logging
import logging.handlers
import os
import time
from dataclasses import dataclass
from logging.handlers import WatchedFileHandler
from pathlib import Path

from dayfile.errors import SettingsError
from dayfile.messages import printable
from dayfile.settings import CoreSettings

__all__ = ["ALIKE", "CountingHandler", "log_as"]

LINE = "%(asctime)s %(name)s[%(process)d].%(funcName)s.%(levelname)s: %(message)s"
SECONDS = 60.0
ALIKE = 100
"""Lines of one kind (they differ in names and numbers) that are written in that time."""
MOST_LINES = 1000
"""Different lines that are remembered."""


class Lines(logging.Formatter):
    """A line for each message, whatever the names in it hold; behind it a traceback, if there is one."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by logging
        """The line of a message."""
        return printable(super().formatMessage(record))


class FileADay(logging.handlers.TimedRotatingFileHandler):
    """A log file a day, which several processes may write: the first whose day ends sets the file aside."""

    def __init__(self, path: Path, days: int) -> None:
        super().__init__(path, "midnight", backupCount=days, encoding="utf-8")

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
    """Pass on to another handler a line once a minute and, if wanted, n lines of a kind.

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
        """Write a line, or count it."""
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


def log_as(command: str, settings: CoreSettings) -> None:
    """Let the loggers of dayfile and its plugins write where the settings say; make the directory of the file.

    Parameters
    ----------
    command : str
        What stands for ``{command}`` in the file's name, so that two programs do not share a file.
    settings : CoreSettings
        ``log.file``, ``log.days`` and ``log.level``.

    Raises
    ------
    SettingsError
        The file cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler()
    if settings.log_file is not None:
        path = Path(str(settings.log_file).replace("{command}", command))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = (
                FileADay(path, settings.log_days) if settings.log_days else WatchedFileHandler(path, encoding="utf-8")
            )
        except OSError as error:
            raise SettingsError(
                f"log.file cannot be written: {error.strerror}", where=error.filename or path
            ) from error
    handler.setFormatter(Lines())
    handler = CountingHandler(handler, ALIKE if command == "serve" else None)  # anybody can cause lines of a server
    logger = logging.getLogger()
    for other in [other for other in logger.handlers if getattr(other, "of_dayfile", False)]:
        logger.removeHandler(other)
        other.close()
    handler.of_dayfile = True  # type: ignore[attr-defined]  # so that a second call replaces it
    logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
