"""Where sources come from: paths on the command line, and the archive's own ``incoming/``."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import ELOOP, ENOENT
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NoReturn

from dayfile.archive import disk
from dayfile.archive.quarantine import free_name
from dayfile.archive.root import Root, real
from dayfile.errors import SettingsError, StorageError, UsageError
from dayfile.model.batch import Source
from dayfile.model.places import DIRECTORIES
from dayfile.plugins import Failure

__all__ = ["Arrival", "Incoming", "accept", "given_files", "groups", "left_behind", "read_source", "visible_files"]

logger = logging.getLogger(__name__)

GROUP_BYTES = 1024 * 1024
GROUP_SOURCES = 1024
"""Bounds of a group of sources, in the order in which they are taken: so many are decoded and written together."""


@dataclass(frozen=True)
class Arrival:
    """A file that a run will take.

    Parameters
    ----------
    path : Path
        Where it lies.
    ours : bool
        Whether it lies in ``accepted/`` and is removed once its records are published; files given on the command
        line are not ours.
    """

    path: Path
    ours: bool


def given_files(paths: Iterable[Path]) -> list[Path]:
    """The files of paths given on the command line; those of a directory, and of directories in it, by name.

    Raises
    ------
    UsageError
        A path does not exist, or it or what is below it may not be looked at.
    """
    found: list[Path] = []
    for path in paths:
        try:
            is_directory = S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError("there is no such file or directory", where=path) from error
        except OSError as error:
            refuse(path, error)
        found.extend(visible_files(path, refuse) if is_directory else [path])
    return found


def refuse(path: Path, error: OSError) -> NoReturn:
    """UsageError for a path that may not be looked at."""
    raise UsageError(f"cannot be looked at ({error.strerror})", where=path) from error


def warn(path: Path, error: OSError) -> None:
    """Tell of a path that may not be looked at, and go on."""
    logger.warning("%s: cannot be looked at (%s); it stays where it is", path, error.strerror)


def visible_files(directory: Path, unseen: Callable[[Path, OSError], None] | None = None) -> list[Path]:
    """Files below a directory, by path; hidden ones (.name) are somebody's unfinished work.

    Parameters
    ----------
    directory : Path
        Where to look.
    unseen : callable, optional
        Called with each path that may not be looked at, and why; not with one that is gone, or a link to nowhere.
    """
    found: list[Path] = []

    def told(error: OSError) -> None:
        if unseen is not None and error.errno not in {ENOENT, ELOOP}:
            unseen(Path(error.filename), error)

    for here, below, files in os.walk(directory, onerror=told):
        below[:] = [name for name in below if not name.startswith(".")]
        for path in (Path(here, name) for name in files if not name.startswith(".")):
            try:
                if S_ISREG(path.stat().st_mode):
                    found.append(path)
            except OSError as error:
                told(error)
    return sorted(found)


def left_behind(root: Root, names: Iterable[str]) -> list[Path]:
    """Files of further directories of the archive, which the setting ``intake.also`` names; they will be moved.

    Raises
    ------
    SettingsError
        One of them is no directory right below the archive, or one of its own, or day files are in it.
    """
    found: list[Path] = []
    for name in names:
        directory = real(root.path / name)
        if directory.parent != real(root.path) or directory.name in DIRECTORIES:
            message = f"{name!r} cannot be named: it must be a directory right below the archive, and none of its own"
            raise SettingsError(message, where="intake.also")
        files = visible_files(root.path / name, warn)
        day_file = next((path for path in files if path.suffix == ".h5"), None)
        if day_file is not None:
            message = f"{name!r} cannot be named: its files would be moved, and there are day files in it ({day_file})"
            raise SettingsError(message, where="intake.also")
        found += files
    return found


def accept(root: Root, path: Path) -> Arrival | None:
    """Rename a file from ``incoming/`` to ``accepted/``, below a numbered directory if its name is taken.

    None if it is not there any more: whoever put it there took it back.
    """
    target = free_name(root.accepted, path.name)
    disk.make_directory(target.parent)
    try:
        disk.rename(path, target)
    except StorageError:
        if path.exists() or target.exists():
            raise
        return None
    return Arrival(target, ours=True)


def read_source(path: Path) -> Source | Failure:
    """A source with its bytes, or why it cannot be read."""
    try:
        disk.step("open", path)
        return Source.read(path)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); it stays where it is"
        return Failure("dayfile", message, type(error).__name__)


class Incoming:
    """The directory where input arrives, and which of its files are whole.

    The rule is that files are written elsewhere and renamed in. A file that somebody copies in all the same waits
    until it has not changed for a while.

    Parameters
    ----------
    root : Root
        The archive.
    settle : float
        Seconds for which a file must not have changed.
    """

    def __init__(self, root: Root, settle: float) -> None:
        self.root = root
        self.settle = settle
        self.seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def ready(self) -> list[Path]:
        """Files that have not changed for ``settle`` seconds, by path; the others are waited for."""
        now = time.monotonic()
        seen, self.seen = self.seen, {}
        whole = []
        for path in visible_files(self.root.incoming, warn):
            try:
                told = path.stat()
            except FileNotFoundError:
                continue  # taken back by whoever put it there
            state = (told.st_size, told.st_mtime_ns)
            before, since = seen.get(path, (None, now))
            if before != state:
                since = now
            if 0 <= self.settle <= time.time() - told.st_mtime or now - since >= self.settle:
                whole.append(path)
            else:
                self.seen[path] = (state, since)
        return whole

    @property
    def waiting(self) -> list[Path]:
        """Files that :meth:`ready` saw last and that may still be growing."""
        return list(self.seen)


def groups(each: Iterable[Arrival]) -> Iterator[tuple[list[Arrival], int]]:
    """Sources in groups, as large as is good for doing things together, and how many bytes each group has."""
    group: list[Arrival] = []
    size = 0
    for arrival in each:
        group.append(arrival)
        with suppress(OSError):  # it is told when it is read
            size += arrival.path.stat().st_size
        if size >= GROUP_BYTES or len(group) >= GROUP_SOURCES:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size
