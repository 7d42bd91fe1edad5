"""Where log lines go: standard error, or a file a day."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from dayfile.errors import SettingsError
from dayfile.settings import CoreSettings

__all__ = ["log_as"]

LINE = "%(asctime)s %(name)s[%(process)d].%(funcName)s.%(levelname)s: %(message)s"
KEPT = 14


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
            handler = logging.handlers.TimedRotatingFileHandler(path, "midnight", backupCount=KEPT, encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"log.file cannot be written: {error.strerror}", where=path) from error
    handler.setFormatter(logging.Formatter(LINE))
    logger = logging.getLogger()
    for other in [other for other in logger.handlers if getattr(other, "of_dayfile", False)]:
        logger.removeHandler(other)
    handler.of_dayfile = True  # type: ignore[attr-defined]  # so that a second call replaces it
    logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
