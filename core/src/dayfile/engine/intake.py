"""Where sources come from: paths on the command line, and the archive's own ``incoming/``."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import EINVAL, ELOOP
from pathlib import Path
from stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK, S_ISDIR, S_ISLNK, S_ISREG
from typing import NoReturn

from dayfile.archive.directories import File, Unseen, is_visible, list_files, read_status, refuse
from dayfile.archive.root import Root, resolve_links
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.errors import SettingsError, StorageError, UsageError
from dayfile.model.places import DIRECTORIES

__all__ = ["Arrival", "Incoming", "given_files", "groups", "left_behind", "own_files", "visible_files"]

logger = logging.getLogger(__name__)

PassedOver = Callable[[Path, os.stat_result], bool]

KINDS = {
    S_IFIFO: "a FIFO", S_IFSOCK: "a socket", S_IFBLK: "a device", S_IFCHR: "a device",
    S_IFLNK: "a link to nothing or to something else",
}  # fmt: skip
"""What is no input, by the kind in its mode."""
IDLE_SECONDS, TIDY_SECONDS = 3600.0, 60.0
"""For how long an empty directory in incoming/ must not have changed to be removed, and how often one is looked for."""
NO_FILE = "there is no such file or directory"
STANDARD_INPUT = "standard input is not read under this name; save it to a file and give that, or give /dev/stdin"


@dataclass(frozen=True)
class Arrival:
    """A file that a run will take.

    Parameters
    ----------
    path : Path
        Where it lies.
    ours : bool
        Whether it is in ``accepted/`` and is removed once its records are published; files given on the command line
        are not ours.
    found : bool
        Whether it was found in a directory that was given, and not named itself.
    origin : Path or None
        Where it was in ``incoming/``, if this run accepted it.
    """

    path: Path
    ours: bool
    found: bool = False
    origin: Path | None = None


def given_files(paths: Iterable[Path]) -> list[Arrival]:
    """Return the files of paths given on the command line; those of a directory, and of directories in it, by name.

    Raises
    ------
    UsageError
        A path does not exist, or it or what is below it cannot be read.
    """
    found: list[Arrival] = []
    for path in paths:
        try:
            is_directory = S_ISDIR(path.stat().st_mode)
            kind = KINDS.get(S_IFMT(path.lstat().st_mode))  # a link may lead to a pipe of the shell, which has an end
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(STANDARD_INPUT if str(path) == "-" else NO_FILE, where=path) from error
        except OSError as error:
            refuse_given(path, error)
        if kind is not None and not path.is_symlink():
            raise UsageError(f"{kind}, not a file: give files or directories", where=path)
        try:
            files = visible_files(path, refuse_given) if is_directory else [path]
        except StorageError as error:  # the directory itself
            raise UsageError(error.message, where=error.where) from error
        found += [Arrival(file, ours=False, found=is_directory) for file in files]
    return found


def refuse_given(path: Path, error: OSError) -> NoReturn:
    """Raise a UsageError for a given path that cannot be read."""
    raise UsageError(f"cannot be read ({error.strerror})", where=path) from error


def warn(path: Path, error: OSError) -> None:
    """Log a path that cannot be read, and go on."""
    logger.warning("%s: cannot be read (%s); left in place", path, error.strerror)


def visible_files(directory: Path, unseen: Unseen = refuse) -> list[Path]:
    """Return the files below a directory, by path, none if it is absent; hidden ones are somebody's unfinished work.

    Raises
    ------
    StorageError
        The directory could not be listed, or ``unseen`` raised it for something below it.
    """
    return [file.path for file in list_files(directory, unseen) or ()]


def own_files(directory: Path, unseen: Unseen) -> list[File]:
    """Return the files below a directory of the archive; a link is not followed, its file may be anybody's.

    Raises
    ------
    StorageError
        The directory is missing or could not be listed.
    """

    def wanted(entry: os.DirEntry[str]) -> bool:
        """Report what is not a file; a hidden one is somebody's unfinished work."""
        if not is_visible(entry):
            return False
        mode = entry.stat(follow_symlinks=False).st_mode
        if not S_ISREG(mode) and not (S_ISLNK(mode) and entry.is_file()):
            unseen(Path(entry.path), OSError(EINVAL, f"{KINDS.get(S_IFMT(mode), 'not a file')}, not a file"))
            return False
        return True

    def enter(entry: os.DirEntry[str]) -> bool:
        """Look into directories, and report links to such."""
        if is_visible(entry) and entry.is_symlink():
            unseen(Path(entry.path), OSError(ELOOP, "a link, and links are not followed"))
        return is_visible(entry) and not entry.is_symlink()

    found = list_files(directory, unseen, wanted=wanted, enter=enter)
    if found is None:
        raise StorageError("this directory is missing", where=directory)
    for file in found:
        if file.link:
            unseen(file.path, OSError(ELOOP, "a link, and links are not followed"))
    return [file for file in found if not file.link]


def left_behind(root: Root, names: Iterable[str], unseen: Unseen = warn) -> list[Path]:
    """Files of further directories of the archive, which the setting ``intake.also`` names; they will be moved.

    Raises
    ------
    SettingsError
        One of them is no directory right below the archive, or one of its own, or day files are in it.
    """
    found: list[Path] = []
    for name in names:
        directory = resolve_links(root.path / name)
        if directory.parent != resolve_links(root.path) or directory.name in DIRECTORIES:
            message = f"{name!r} cannot be named: it must be a directory right below the archive, and none of its own"
            raise SettingsError(message, where="intake.also")
        if read_status(directory) is None:
            continue
        files = [file.path for file in own_files(root.path / name, unseen)]
        day_file = next((path for path in files if path.suffix == ".h5"), None)
        if day_file is not None:
            message = f"{name!r} cannot be named: its files would be moved, and there are day files in it ({day_file})"
            raise SettingsError(message, where="intake.also")
        found += files
    return found


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
    unseen : callable
        Called with each path that cannot be listed or looked at, and each link, at every look.
    passed_over : callable
        Whether a file is to be passed over, by its path and status.
    """

    def __init__(
        self, root: Root, settle: float, unseen: Unseen = warn, passed_over: PassedOver = lambda *_: False
    ) -> None:
        self.root = root
        self.settle = settle
        self.unseen = unseen
        self.passed_over = passed_over
        self.seen: dict[Path, tuple[tuple[int, int], float]] = {}
        self.tidied = -math.inf

    def ready(self) -> list[Path]:
        """Files that have not changed for ``settle`` seconds, by path; the others are waited for.

        Raises
        ------
        StorageError
            ``incoming/`` itself could not be listed.
        """
        now = time.monotonic()
        if now - self.tidied > TIDY_SECONDS:
            self.tidied = now
            remove_idle(self.root.incoming)
        seen, self.seen = self.seen, {}
        whole = []
        for path, found, _ in own_files(self.root.incoming, self.unseen):
            if self.passed_over(path, found):
                continue
            state = (found.st_size, found.st_mtime_ns)
            before, since = seen.get(path, (None, now))
            if before != state:
                since = now
            if 0 <= self.settle <= time.time() - found.st_mtime or now - since >= self.settle:
                whole.append(path)
            else:
                self.seen[path] = (state, since)
        return whole

    @property
    def waiting(self) -> list[Path]:
        """Files that :meth:`ready` saw last and that may still be growing."""
        return list(self.seen)


def remove_idle(directory: Path) -> None:
    """Remove the empty directories below a directory in which nothing has changed for an hour.

    Whoever has just made one may be about to put files into it. A hidden one, and one with a hidden file, stays.
    """
    for here, below, _ in os.walk(directory):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in below:
            with suppress(OSError):  # it is not empty, or not this user's to remove
                path = Path(here, name)
                if time.time() - path.lstat().st_mtime > IDLE_SECONDS:
                    path.rmdir()


def groups(each: Iterable[Arrival], tuning: Tuning = DEFAULTS) -> Iterator[tuple[list[Arrival], int]]:
    """Sources in groups that are decoded and written together, in their order, and how many bytes each group has.

    A large source is a group by itself.
    """
    group: list[Arrival] = []
    size = 0
    for arrival in each:
        own = 0
        with suppress(OSError):  # it is reported when it is read
            own = arrival.path.stat().st_size
        if group and own > tuning.block_bytes:
            yield group, size
            group, size = [], 0
        group.append(arrival)
        size += own
        if size >= tuning.group_bytes or len(group) >= tuning.group_sources:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size
