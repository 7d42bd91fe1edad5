"""Looking into directories: what is there, what is absent, and what may not be listed, never mistaken for each other.

``Path.glob``, ``Path.rglob`` and ``os.walk`` take a directory that they may not list for an empty one. Whoever decides
by what a directory holds asks here instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import ELOOP
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, NoReturn

from dayfile.errors import StorageError

__all__ = ["File", "Unseen", "entries", "files_below", "refuse", "status", "visible"]

Unseen = Callable[[Path, OSError], None]
"""Called with a path that could not be listed or looked at, and why; it raises, or takes note of it."""


class File(NamedTuple):
    """A regular file that was found.

    Parameters
    ----------
    path : Path
        Where it is.
    status : os.stat_result
        Of the file; where the path is a link, of the file that it leads to.
    link : bool
        Whether the path is a symbolic link.
    """

    path: Path
    status: os.stat_result
    link: bool


def refuse(path: Path, error: OSError) -> NoReturn:
    """Raise a StorageError that names a path that cannot be read."""
    raise StorageError(f"cannot be read ({error.strerror or error})", where=path) from error


def status(path: Path) -> os.stat_result | None:
    """Return the status of a file or directory, links followed; None if it is absent.

    Raises
    ------
    StorageError
        It cannot be said whether it exists, as a directory above it is closed.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        refuse(path, error)


def entries(directory: Path) -> list[os.DirEntry[str]] | None:
    """List a directory, by name; None if it is absent.

    Returns
    -------
    list of os.DirEntry or None
        What it holds, hidden entries too.

    Raises
    ------
    StorageError
        It exists and could not be listed, or not to its end.
    """
    try:
        return scan(directory)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and status(directory) is None:
            return None
        refuse(directory, error)


def scan(directory: Path) -> list[os.DirEntry[str]]:
    """List a directory, by name; OSError if that fails."""
    with os.scandir(directory) as found:
        return sorted(found, key=lambda entry: entry.name)


def visible(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is not hidden; a hidden one (.name) is somebody's unfinished work."""
    return not entry.name.startswith(".")


def visible_directory(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a directory to look into: not hidden and not a link, which could lead in a circle."""
    return visible(entry) and not entry.is_symlink()


def files_below(
    directory: Path,
    unseen: Unseen = refuse,
    *,
    wanted: Callable[[os.DirEntry[str]], bool] = visible,
    enter: Callable[[os.DirEntry[str]], bool] = visible_directory,
) -> list[File] | None:
    """List the regular files below a directory, by path; None if the directory is absent.

    Parameters
    ----------
    directory : Path
        Where to look.
    unseen : callable, optional
        Called with each subdirectory that could not be listed and each file that could not be looked at. If it
        returns, the rest is listed all the same. By default it raises a StorageError.
    wanted : callable, optional
        Which files are listed; by default those that are not hidden.
    enter : callable, optional
        Which subdirectories are looked into; it is asked about links to directories too. By default those that are
        neither hidden nor links.

    Raises
    ------
    StorageError
        The directory itself could not be listed, whatever ``unseen`` does: it must not be taken for an empty one.
    """
    top = entries(directory)
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
                    found += look_at(entry)
            except FileNotFoundError:
                pass  # it went meanwhile, or is a link to nowhere
            except OSError as error:
                if error.errno != ELOOP:
                    unseen(path, error)
    return sorted(found, key=lambda file: file.path)


def look_at(entry: os.DirEntry[str]) -> list[File]:
    """Return an entry if it is a regular file; OSError if it cannot be looked at."""
    found = entry.stat()
    return [File(Path(entry.path), found, entry.is_symlink())] if S_ISREG(found.st_mode) else []
