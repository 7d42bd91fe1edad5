"""Writing the files of exporters, so that nobody sees an incomplete file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dayfile.errors import StorageError

__all__ = ["remove_file", "write_file"]


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
    with convert_errors(path):
        hidden = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            hidden.write_bytes(content)
            hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)
    return path


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
