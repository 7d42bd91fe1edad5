"""What can go wrong, in words a person can act on.

Every error that input, settings or the disk can cause is a child of :class:`DayfileError`. Its message says where
(file, line or byte, record) and what to do, and its class carries the exit code of the command line. Anything else
that is raised is a bug.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ArchiveLockedError",
    "DayfileError",
    "HeldError",
    "InstallationError",
    "LayoutError",
    "LossError",
    "MissingExtraError",
    "PluginError",
    "RecordError",
    "SettingsError",
    "SourceError",
    "StoppedError",
    "StorageError",
    "TimeError",
    "UsageError",
]


class DayfileError(Exception):
    """Base of all errors that a user can cause or mend.

    Parameters
    ----------
    message : str
        What is wrong and what to do about it, without the place.
    where : str or Path, optional
        The place: a file, ``file:line:column``, ``file, record 3``. Put in front of the message.
    offset : int, optional
        Byte offset in the file; shown behind ``where``.

    Examples
    --------
    >>> str(DayfileError("the file is empty", where="upload_17"))
    'upload_17: the file is empty'
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | Path | None = None, offset: int | None = None) -> None:
        self.message = message
        self.where = None if where is None else f"{where}" if offset is None else f"{where}, byte {offset}"
        self.offset = None if offset is None else int(offset)  # of NumPy's numbers JSON knows nothing
        super().__init__(message if self.where is None else f"{self.where}: {message}")


class UsageError(DayfileError):
    """The command line or a call asks for something that does not exist."""

    exit_code = 2


class SettingsError(DayfileError):
    """A setting is unknown or has an impossible value."""

    exit_code = 2


class LayoutError(DayfileError):
    """A layout (YAML) is not what the vocabulary allows; ``where`` is ``file:line:column``."""

    exit_code = 2


class TimeError(UsageError):
    """A time cannot be understood."""


class MissingExtraError(UsageError):
    """An optional library is needed and not installed; the message names the extra."""


class InstallationError(UsageError):
    """A library is installed in a way that this program cannot use; the message says what to install."""


class UnknownStoreError(UsageError):
    """A day file or a layout names a store that no plugin which was loaded brings."""


class PluginError(DayfileError):
    """A plugin failed to load or broke the contract of a hook.

    Parameters
    ----------
    message : str
        What is wrong.
    plugin : str
        The plugin that failed, which is put in front of the message; empty where the caller knows it.

    Examples
    --------
    >>> str(PluginError("classify failed: KeyError: 'x'", plugin="muon"))
    "plugin muon: classify failed: KeyError: 'x'"
    """

    exit_code = 3

    def __init__(
        self, message: str, *, plugin: str = "", where: str | Path | None = None, offset: int | None = None
    ) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin}: {message}" if plugin else message, where=where, offset=offset)


class SourceError(DayfileError):
    """A source cannot be read as what it claims to be; it goes to quarantine whole."""

    exit_code = 3


class RecordError(DayfileError):
    """One record of a source cannot be archived; it goes to quarantine, the others go on."""

    exit_code = 3


class HeldError(DayfileError):
    """A source, or all sources of a day, cannot be taken now: left in place, and tried again by the next run."""

    exit_code = 3


class LossError(DayfileError):
    """Day files are gone or hold fewer records than were published; nothing is changed that would hide it."""

    exit_code = 3


class StorageError(DayfileError):
    """The archive could not be written (disk full, read-only, failing fsync); input is left in place."""

    exit_code = 4


class ArchiveLockedError(DayfileError):
    """Another run holds the archive's lock."""

    exit_code = 5


class StoppedError(DayfileError):
    """Stopped with Ctrl-C; the next run goes on with what was accepted."""

    exit_code = 130
