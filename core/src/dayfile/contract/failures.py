"""The boundary to plugins: convert anything they raise to a failure with their name."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from pathlib import Path

from dayfile.errors import DayfileError, MissingExtraError, PluginError, SettingsError, StorageError, UsageError

__all__ = ["FOR_USERS", "NO_MEMORY", "Failure", "blame", "collect_failures", "convert_disk_errors"]

DISK = {EDQUOT, EFBIG, EIO, ENOSPC, EROFS}
NO_MEMORY = MemoryError.__name__
"""Name of the error of a failure for lack of memory, whatever subclass of MemoryError a library raised."""
FOR_USERS = (StorageError, SettingsError, MissingExtraError, UsageError)
"""Exceptions that hooks called by a command may raise, to say what the user can do."""


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, or a hook of one that failed.

    Parameters
    ----------
    plugin : str
        Its name.
    message : str
        What went wrong, for people; one line.
    error : str
        Class of the error.
    trace : str
        The traceback; empty where the message is sufficient.
    offset : int or None
        Byte offset in the source, if it is known.
    """

    plugin: str
    message: str
    error: str
    trace: str = field(default="", repr=False)
    offset: int | None = None

    @classmethod
    def of(cls, plugin: str, error: BaseException) -> Failure:
        """Create one from an exception that was just caught; of ``plugin`` if the exception does not name another."""
        memory = error if isinstance(error, MemoryError) else error.__cause__
        if isinstance(memory, MemoryError):
            # The frames hold the data that filled the memory; a trace would keep it alive, and needs memory itself.
            traceback.clear_frames(memory.__traceback__)
            plugin = (error.plugin if isinstance(error, PluginError) else "") or plugin
            return cls(plugin, f"plugin {plugin}: the memory is too small for it {memory}".rstrip(), NO_MEMORY)
        if isinstance(error, PluginError):
            message = str(error) if error.plugin else f"plugin {plugin}: {error}"
            cause = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
            return cls(error.plugin or plugin, message, type(error).__name__, cause)
        if isinstance(error, DayfileError):
            return cls(plugin, str(error), type(error).__name__, offset=error.offset)
        message = f"plugin {plugin} failed: {describe_error(error)}"
        return cls(plugin, message, type(error).__name__, "".join(traceback.format_exception(error)))


@contextmanager
def collect_failures(plugin: str, failures: list[Failure]) -> Iterator[None]:
    """Add what a plugin raises to a list of failures and continue; except KeyboardInterrupt, which is the user's."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
        failures.append(Failure.of(plugin, error))


@contextmanager
def blame(plugin: str, hook: str, passed: tuple[type[DayfileError], ...] = ()) -> Iterator[None]:
    """Convert whatever a hook raises to a PluginError that names its plugin, except KeyboardInterrupt.

    Parameters
    ----------
    plugin : str
        The plugin that is called; empty for the core's own, whose errors concern the arguments.
    hook : str
        The hook.
    passed : tuple of type
        Errors that the hook may raise: they keep their class, and get the name of the plugin.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not plugin and isinstance(error, DayfileError):
            raise
        for kind in passed:
            if isinstance(error, kind):
                raise kind(f"plugin {plugin}: {error}") from error
        if isinstance(error, PluginError):
            raise PluginError(str(error), plugin=plugin) from error.__cause__
        raise PluginError(f"{hook} failed: {describe_error(error)}", plugin=plugin) from error


def describe_error(error: BaseException) -> str:
    """Describe an exception in one line; a plugin's exception may even fail to give its text."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - whatever its __str__ does
        return type(error).__name__


@contextmanager
def convert_disk_errors(directory: Path) -> Iterator[None]:
    """Convert the failure of a plugin to a StorageError where the directory it writes to is the cause."""
    try:
        yield
    except PluginError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and concerns_directory(cause, directory):
            message = f"could not write: {cause.strerror or cause}"
            raise StorageError(message, where=cause.filename or directory) from error
        raise


def concerns_directory(error: OSError, directory: Path) -> bool:
    """Return whether an error is of the disk, or of something in the way in a directory."""
    if error.errno in DISK:
        return True
    if not isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError | FileExistsError):
        return False
    return error.filename is not None and Path(str(error.filename)).absolute().is_relative_to(directory.absolute())
