"""Writing the files of exporters, so that nobody sees an incomplete file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dayfile.errors import StorageError, UsageError

__all__ = ["check_target", "remove_file", "replace_file", "write_file"]


def write_file(path: Path, content: bytes) -> Path:
    """Write a file under a hidden name and rename it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StorageError
        It could not be written; an existing file of its name is unchanged.
    """
    with convert_errors(path), replace_file(path) as hidden:
        hidden.write_bytes(content)
    return path


def check_target(path: Path) -> None:
    """Raise a UsageError if no file can be written at a path: something else is there, or its directory is missing."""
    if path.exists() and not path.is_file():
        what = "a directory; name a file in it" if path.is_dir() else "not a file that can be replaced"
        raise UsageError(f"this is {what}", where=path)
    if not path.parent.is_dir():
        raise UsageError("its directory does not exist; make it first", where=path)


@contextmanager
def replace_file(path: Path, suffix: str = "") -> Iterator[Path]:
    """Give a hidden name beside a file; at the end of the block the file of that name replaces the file.

    Parameters
    ----------
    path : Path
        The file.
    suffix : str
        What the hidden name ends in.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    try:
        yield hidden
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Remove a file that an earlier export left, if it exists; StorageError if that fails."""
    with convert_errors(path):
        path.unlink(missing_ok=True)


@contextmanager
def convert_errors(path: Path) -> Iterator[None]:
    """Convert an OSError to a StorageError with the path."""
    try:
        yield
    except OSError as error:
        message = f"could not write: {error.strerror or error}; fix this and export again"
        raise StorageError(message, where=path) from error
