"""List directories, without mistaking a directory that may not be listed for an empty or absent one.

``Path.glob``, ``Path.rglob`` and ``os.walk`` treat a directory that they may not list as empty. Code that decides by
the content of a directory uses these functions instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import ELOOP
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, NoReturn

from dayfile.errors import StorageError

__all__ = ["File", "Unseen", "is_visible", "list_directory", "list_files", "read_status", "refuse"]

Unseen = Callable[[Path, OSError], None]
"""Called with a path that could not be listed or read, and the error; raises it, or takes note of it."""


class File(NamedTuple):
    """A regular file that was found.

    Parameters
    ----------
    path : Path
        Where it is.
    status : os.stat_result
        Status of the file; where the path is a link, of the file that it leads to.
    link : bool
        Whether the path is a symbolic link.
    """

    path: Path
    status: os.stat_result
    link: bool


def refuse(path: Path, error: OSError) -> NoReturn:
    """Raise a StorageError that names a path that cannot be read."""
    raise StorageError(f"cannot be read ({error.strerror or error})", where=path) from error


def read_status(path: Path) -> os.stat_result | None:
    """Return the status of a file or directory, links followed; None if it is absent.

    Raises
    ------
    StorageError
        Whether it exists is unknown, as a directory above it is closed.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        refuse(path, error)


def list_directory(directory: Path) -> list[os.DirEntry[str]] | None:
    """List a directory, by name; None if it is absent.

    Returns
    -------
    list of os.DirEntry or None
        Its entries, including hidden ones.

    Raises
    ------
    StorageError
        It exists and could not be listed completely.
    """
    try:
        return scan(directory)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and read_status(directory) is None:
            return None
        refuse(directory, error)


def scan(directory: Path) -> list[os.DirEntry[str]]:
    """List a directory, by name; OSError if that fails."""
    with os.scandir(directory) as found:
        return sorted(found, key=lambda entry: entry.name)


def is_visible(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is not hidden; a hidden one (.name) is somebody's unfinished work."""
    return not entry.name.startswith(".")


def is_visible_directory(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a directory to look into: not hidden and not a link, which could lead in a circle."""
    return is_visible(entry) and not entry.is_symlink()


def list_files(
    directory: Path,
    unseen: Unseen = refuse,
    *,
    wanted: Callable[[os.DirEntry[str]], bool] = is_visible,
    enter: Callable[[os.DirEntry[str]], bool] = is_visible_directory,
) -> list[File] | None:
    """List the regular files below a directory, by path; None if the directory is absent.

    Parameters
    ----------
    directory : Path
        Where to look.
    unseen : callable, optional
        Called with each subdirectory that could not be listed and each file that could not be read. If it returns, the
        rest is listed all the same. By default it raises a StorageError.
    wanted : callable, optional
        Selects files; by default those that are not hidden.
    enter : callable, optional
        Selects subdirectories, including links to directories. By default those that are neither hidden nor links.

    Raises
    ------
    StorageError
        The directory itself could not be listed, whatever ``unseen`` does: it must not seem empty.
    """
    top = list_directory(directory)
    if top is None:
        return None
    found: list[File] = []
    waiting = [top]
    while waiting:
        for entry in waiting.pop():
            path = Path(entry.path)
            try:
                if entry.is_dir():
                    if enter(entry):
                        waiting.append(scan(path))
                elif wanted(entry):
                    found += select_regular(entry)
            except FileNotFoundError:
                pass  # it was removed meanwhile, or is a dangling link
            except OSError as error:
                if error.errno != ELOOP:
                    unseen(path, error)
    return sorted(found, key=lambda file: file.path)


def select_regular(entry: os.DirEntry[str]) -> list[File]:
    """Return a list with the entry if it is a regular file, else an empty one; OSError if that cannot be seen."""
    found = entry.stat()
    return [File(Path(entry.path), found, entry.is_symlink())] if S_ISREG(found.st_mode) else []
