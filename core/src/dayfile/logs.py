"""Where log lines go: standard error, or a file a day."""

from __future__ import annotations

import fcntl
import logging
import logging.handlers
import os
import time
from pathlib import Path

from dayfile.errors import SettingsError
from dayfile.messages import printable
from dayfile.repeats import CountingHandler
from dayfile.settings import CoreSettings

__all__ = ["log_as"]

LINE = "%(asctime)s %(name)s[%(process)d].%(funcName)s.%(levelname)s: %(message)s"
KEPT = 14


class Lines(logging.Formatter):
    """A line for each message, whatever the names in it hold; behind it a traceback, if there is one."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by logging
        """The line of a message."""
        return printable(super().formatMessage(record))


class FileADay(logging.handlers.TimedRotatingFileHandler):
    """A log file a day, which several processes may write: the first whose day ends sets the file aside."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "midnight", backupCount=KEPT, encoding="utf-8")

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


def log_as(command: str, settings: CoreSettings) -> None:
    """Let the loggers of dayfile and its plugins write where the settings say.

    Parameters
    ----------
    command : str
        What stands for ``{command}`` in the file's name, so that two programs do not share a file.
    settings : CoreSettings
        ``log.file`` and ``log.level``.

    Raises
    ------
    SettingsError
        The file cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler()
    if settings.log_file:
        path = Path(settings.log_file.replace("{command}", command))
        try:
            handler = FileADay(path)
        except OSError as error:
            raise SettingsError(f"log.file cannot be written: {error.strerror}", where=path) from error
    handler.setFormatter(Lines())
    handler = CountingHandler(handler)
    logger = logging.getLogger()
    for other in [other for other in logger.handlers if getattr(other, "of_dayfile", False)]:
        logger.removeHandler(other)
    handler.of_dayfile = True  # type: ignore[attr-defined]  # so that a second call replaces it
    logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
