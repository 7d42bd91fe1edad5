"""Finding sources: paths on the command line, and files in the archive's ``incoming/``."""

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

__all__ = [
    "Arrival",
    "Incoming",
    "estimate_size",
    "group_arrivals",
    "list_further",
    "list_given",
    "list_own",
    "list_visible",
]

logger = logging.getLogger(__name__)

PassedOver = Callable[[Path, os.stat_result], bool]

NOT_INPUT = {
    S_IFIFO: "a FIFO", S_IFSOCK: "a socket", S_IFBLK: "a device", S_IFCHR: "a device",
    S_IFLNK: "a link to nothing or to something else",
}  # fmt: skip
"""Names of what is not input, by the file type in its mode."""
IDLE_SECONDS, TIDY_SECONDS = 3600.0, 60.0
"""After how long without changes an empty directory in incoming/ is removed, and how often one looks for them."""
SMALLEST_GZIP = 18
"""Bytes of an empty gzip file, without a name."""
NO_FILE = "no such file or directory"


@dataclass(frozen=True)
class Arrival:
    """A file that a run will take.

    Parameters
    ----------
    path : Path
        Its path.
    ours : bool
        Whether it is in ``accepted/`` and is removed once its records are published; a file given on the command line
        is not ours.
    found : bool
        Whether it was found in a given directory, and not given itself.
    origin : Path or None
        Its path in ``incoming/``, if this run accepted it.
    """

    path: Path
    ours: bool
    found: bool = False
    origin: Path | None = None


def list_given(paths: Iterable[Path]) -> list[Arrival]:
    """Find the files of given paths; those of a directory, and of directories in it, by name.

    Raises
    ------
    UsageError
        A path does not exist, or it or something below it cannot be read.
    """
    found: list[Arrival] = []
    for path in paths:
        try:
            is_directory = S_ISDIR(path.stat().st_mode)
            kind = NOT_INPUT.get(S_IFMT(path.lstat().st_mode))  # a link may point to a pipe of the shell
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(NO_FILE, where=path) from error
        except OSError as error:
            refuse_given(path, error)
        if kind is not None and not path.is_symlink():
            raise UsageError(f"{kind}, not a file: give files or directories", where=path)
        try:
            files = list_visible(path, refuse_given) if is_directory else [path]
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


def list_visible(directory: Path, unseen: Unseen = refuse) -> list[Path]:
    """List the files below a directory by path, none if it does not exist; hidden files are unfinished, and left out.

    Raises
    ------
    StorageError
        The directory could not be listed, or ``unseen`` raised it for something below it.
    """
    return [file.path for file in list_files(directory, unseen) or ()]


def list_own(directory: Path, unseen: Unseen) -> list[File]:
    """List the files below a directory of the archive; links are not followed, as anybody may own their targets.

    Raises
    ------
    StorageError
        The directory is missing or could not be listed.
    """

    def is_wanted(entry: os.DirEntry[str]) -> bool:
        """Accept files, and report anything else; hidden files are unfinished, and left out."""
        if not is_visible(entry):
            return False
        mode = entry.stat(follow_symlinks=False).st_mode
        if not S_ISREG(mode) and not (S_ISLNK(mode) and entry.is_file()):
            unseen(Path(entry.path), OSError(EINVAL, f"{NOT_INPUT.get(S_IFMT(mode), 'not a file')}, not a file"))
            return False
        return True

    def enter(entry: os.DirEntry[str]) -> bool:
        """Enter directories, and report links to directories."""
        if is_visible(entry) and entry.is_symlink():
            unseen(Path(entry.path), OSError(ELOOP, "a link, and links are not followed"))
        return is_visible(entry) and not entry.is_symlink()

    found = list_files(directory, unseen, wanted=is_wanted, enter=enter)
    if found is None:
        raise StorageError("this directory is missing", where=directory)
    for file in found:
        if file.link:
            unseen(file.path, OSError(ELOOP, "a link, and links are not followed"))
    return [file for file in found if not file.link]


def list_further(root: Root, names: Iterable[str], unseen: Unseen = warn) -> list[Path]:
    """List the files in further directories of the archive, which ``intake.also`` names; a run moves them.

    Raises
    ------
    SettingsError
        A name is not a directory directly below the archive, or the archive uses it itself, or it holds day files.
    """
    found: list[Path] = []
    for name in names:
        directory = resolve_links(root.path / name)
        if directory.parent != resolve_links(root.path) or directory.name in DIRECTORIES:
            message = f"{name!r} cannot be named: it must be directly below the archive, and not a directory of its own"
            raise SettingsError(message, where="intake.also")
        if read_status(directory) is None:
            continue
        files = [file.path for file in list_own(root.path / name, unseen)]
        day_file = next((path for path in files if path.suffix == ".h5"), None)
        if day_file is not None:
            message = f"{name!r} cannot be named: its files would be moved, and it holds day files ({day_file})"
            raise SettingsError(message, where="intake.also")
        found += files
    return found


class Incoming:
    """The directory where input arrives, and which of its files are complete.

    Files should be written elsewhere and then renamed into it. A file that is copied into it instead waits until it
    has not changed for a while.

    Parameters
    ----------
    root : Root
        The archive.
    settle : float
        Seconds without changes after which a file is complete.
    unseen : callable
        Called with each path that cannot be listed or read, and with each link, every time.
    passed_over : callable
        Called with path and status of a file; true if the file is to be skipped.
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

    def find_ready(self) -> list[Path]:
        """Find files that have not changed for ``settle`` seconds, by path; the others keep waiting.

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
        for path, found, _ in list_own(self.root.incoming, self.unseen):
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
        """Files that may still be growing, as of the last :meth:`find_ready`."""
        return list(self.seen)


def remove_idle(directory: Path) -> None:
    """Remove empty directories below a directory if they have not changed for an hour.

    A newer one may be about to receive files. Hidden directories, and those with a hidden file, stay.
    """
    for here, below, _ in os.walk(directory):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in below:
            with suppress(OSError):  # it is not empty, or not this user's to remove
                path = Path(here, name)
                if time.time() - path.lstat().st_mtime > IDLE_SECONDS:
                    path.rmdir()


def estimate_size(path: Path, size: int) -> int:
    """Estimate the bytes of a source that is read: those of the file, or what a gzip file says that it unfolds to.

    The last four bytes say so of its last member. If there are more, the source takes more memory than it needs.
    """
    if not path.name.lower().endswith(".gz") or size < SMALLEST_GZIP:
        return size
    with path.open("rb") as file:
        file.seek(size - 4)
        return max(size, int.from_bytes(file.read(4), "little"))


def group_arrivals(each: Iterable[Arrival], tuning: Tuning = DEFAULTS) -> Iterator[tuple[list[Arrival], int]]:
    """Group sources that are decoded and written together, in their order; yield each group with its size in bytes.

    A large source is a group of its own.
    """
    group: list[Arrival] = []
    size = 0
    for arrival in each:
        own = 0
        with suppress(OSError):  # it is reported when it is read
            own = estimate_size(arrival.path, arrival.path.stat().st_size)
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
