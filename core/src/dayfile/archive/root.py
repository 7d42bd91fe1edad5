"""The archive on disk: its directories, and the lock that one run holds."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import logging
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from errno import EACCES, EPERM, EROFS
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.directories import Unseen, refuse
from dayfile.archive.identity import MARKER, Opened, is_archive, make_marker, read_marker, refuse_url
from dayfile.archive.locks import try_lock
from dayfile.errors import ArchiveLockedError, PluginError, StorageError, UsageError
from dayfile.messages import path_problem
from dayfile.model.places import DIRECTORIES, may_be_day_file

__all__ = ["Root", "resolve_links"]

# Seconds for which a run waits for the workers of a killed run to end.
PATIENCE = 5.0
LOST_AND_FOUND = "lost+found"
NO_ARCHIVE = (
    "{what}; if its file system is not mounted, mount it; dayfile init makes a new archive, and dayfile adopt makes "
    "one from a directory with day files of another program"
)

logger = logging.getLogger(__name__)


class Root:
    """An archive's directory.

    Parameters
    ----------
    path : Path
        The directory; :meth:`create` makes it. A URL is a UsageError. A relative path is made absolute here, once: a
        later ``os.chdir`` must not lead to another archive.

    Attributes
    ----------
    incoming, accepted, quarantine, workshop, sources : Path
        Directories for input that arrives, input until it is published, input that cannot be archived, work files, and
        sources that are kept for good if the settings say so.
    attempts : Path
        Directory for notes of the sources that a run is taking, for the next run.
    catalogue : Path
        The SQLite file that lists the content of day files.
    settings : Path
        ``archive.yaml``, which need not exist.
    holder : Path
        Names the process that holds the lock.
    opened : Opened or None
        The directory that this process opened as the archive, to write to it.
    """

    def __init__(self, path: Path) -> None:
        refuse_url(path)
        self.path = path = path.absolute()
        self.incoming = path / "incoming"
        self.accepted = path / "accepted"
        self.quarantine = path / "quarantine"
        self.workshop = path / "workshop"
        self.sources = path / "sources"
        self.attempts = path / ".attempts"
        self.catalogue = path / "catalogue.db"
        self.settings = path / "archive.yaml"
        self.holder = path / ".lock.json"
        self.opened: Opened | None = None

    def create(self) -> None:
        """Make an archive here, or complete an existing one, as ``dayfile init`` does.

        Raises
        ------
        UsageError
            An archive cannot be here: it is a file, has a path that HDF5 cannot open, or is within another archive.
        StorageError
            It could not be made, or has a format that this version does not know.
        """
        self._refuse_place()
        if not os.path.lexists(self.path):
            self._make()
        self._complete()

    def prepare(self, *, make: bool = False) -> bool:
        """Prepare an archive for writing, as a run does first.

        Parameters
        ----------
        make : bool
            Whether to make one if its path does not exist.

        Returns
        -------
        bool
            Whether it was made.

        Raises
        ------
        UsageError
            It is a file, or one cannot be made here.
        StorageError
            No archive is here, or one of a format that this version does not know.
        """
        self._refuse_file()
        made = False
        if make and not os.path.lexists(self.path):
            self._refuse_place()
            made = self._make()
        if problem := self.problem():
            raise StorageError(problem, where=self.path)
        self._complete()
        return made

    def problem(self) -> str:
        """Return why this is not an archive and what to do; empty if it is one.

        Raises
        ------
        StorageError
            That cannot be seen, or it has a format that this version does not know.
        """
        if read_marker(self.path) is not None or is_archive(self.path):
            return ""
        if self.path.is_dir():
            return NO_ARCHIVE.format(what=f"this directory is not an archive ({MARKER} is missing)")
        if self.path.is_symlink():
            return NO_ARCHIVE.format(what=f"this link leads to no directory ({resolve_links(self.path)})")
        what = "this is a file" if os.path.lexists(self.path) else "no archive is here"
        return NO_ARCHIVE.format(what=what)

    def _refuse_file(self) -> None:
        if disk.exists(self.path) and not self.path.is_dir():
            raise UsageError("this is a file; an archive is a directory", where=self.path)

    def _refuse_place(self) -> None:
        """Raise UsageError for a place where an archive cannot be."""
        self._refuse_file()
        if self.path.is_symlink() and not self.path.exists():
            raise UsageError(
                f"this link leads to no directory ({resolve_links(self.path)}); is it mounted?", where=self.path
            )
        if problem := path_problem(str(self.path)):
            raise UsageError(f"an archive cannot be here: {problem}", where=self.path)
        if not self.exists():
            outer = next((above for above in resolve_links(self.path).parents if os.path.lexists(above / MARKER)), None)
            if outer is not None:
                message = f"this is within the archive {outer}, which would treat its files as its own"
                raise UsageError(message, where=self.path)

    def _make(self) -> bool:
        """Make a new archive in one step; return False if another process was quicker."""
        disk.make_directory(self.path.parent)
        making = Root(self.path.parent / f".dayfile-{secrets.token_hex(4)}")
        try:
            disk.make_directory(making.path)
            making._complete()
            with disk.storage_errors("make the archive", self.path):
                disk.move(making.path, self.path)
        except StorageError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            return False
        finally:
            shutil.rmtree(making.path, ignore_errors=True)
        disk.sync(self.path.parent)
        return True

    def _complete(self) -> None:
        """Make missing directories, close private ones to other users, and remember which directory this is."""
        disk.make_directory(self.incoming)
        for directory in (self.accepted, self.quarantine, self.workshop):
            disk.make_directory(directory, private=True)
        try:
            make_marker(self.path)
        except StorageError as error:
            # Somebody who may only put files into an older archive does not need it.
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in {EACCES, EPERM, EROFS}:
                raise
        private = (self.accepted, self.quarantine, self.workshop, self.attempts, self.sources)
        for path in (*private, self.path / ".lock", self.path / ".quarantine.lock"):
            if disk.close_to_others(path):
                logger.info("%s: closed to other users", path)
        self.opened = Opened.of(self.path)

    def check_there(self) -> None:
        """Check that the archive that was opened is still the one at its path.

        Raises
        ------
        StorageError
            It is not: its directory was renamed, removed or replaced, or its file system unmounted.
        """
        if self.opened is None:
            return
        try:
            same = self.opened.is_at(self.path)
        except StorageError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError | NotADirectoryError):
                raise
            same = False  # another marker may be there in part, as while it is copied
        if not same:
            message = (
                "the archive that was opened is no longer here: its directory was renamed, removed or replaced, or "
                "its file system was unmounted; nothing more is written. Put it back and start again"
            )
            raise StorageError(message, where=self.path)

    def exists(self) -> bool:
        """Return whether an archive is here; StorageError if that cannot be seen."""
        return is_archive(self.path)

    def find_elsewhere(self) -> dict[Path, list[str]]:
        """Find the directories of day files outside the archive, each with the names of the links to it."""
        found: dict[Path, list[str]] = {}
        with disk.storage_errors("look into the archive", self.path):
            for entry in sorted(self.path.iterdir()) if self.path.is_dir() else ():
                if entry.is_symlink() and entry.is_dir():
                    found.setdefault(resolve_links(entry), []).append(entry.name)
        return found

    def day_file(self, relative: str) -> Path:
        """Return the path of a day file, after checking that it is below the root and not reserved.

        Raises
        ------
        PluginError
            The path leaves the archive or is taken.
        """
        if not may_be_day_file(relative):
            raise PluginError(
                f"locate_file returned {relative!r}, which is not a path for a day file (below the archive, *.h5)"
            )
        return self.path / relative

    def list_day_files(self, unseen: Unseen | None = None) -> list[str]:
        """List the paths, below the root, of everything that looks like a day file, sorted.

        Parameters
        ----------
        unseen : callable, optional
            Called with each directory that cannot be listed, and the error. By default it raises a StorageError: what
            cannot be seen is not absent.
        """
        return sorted(self._walk(unseen or refuse))

    def find_day_file(self) -> str | None:
        """Find the path of any day file; None without any, StorageError if that cannot be seen."""
        return next(self._walk(refuse), None)

    def _walk(self, unseen: Unseen) -> Iterator[str]:
        elsewhere = self.find_elsewhere()

        def fail(error: OSError) -> None:
            directory = Path(error.filename)
            # At the top of a mount point, for the superuser alone.
            if directory.name != LOST_AND_FOUND and not isinstance(error, FileNotFoundError):
                unseen(directory, error)

        linked: set[Path] = set()
        for directory, below, files in os.walk(self.path, onerror=fail, followlinks=True):
            here = Path(directory).relative_to(self.path)
            below[:] = [name for name in sorted(below) if self._may_have_day_files(here / name, elsewhere, linked)]
            links = elsewhere.get(resolve_links(self.path / here.parts[0]), []) if elsewhere and here.parts else []
            for name in files:
                # Where two instruments share a directory, a file is found by the link whose name is a prefix of its
                # own.
                link = next((each for each in links if name.startswith(each)), links[0] if links else "")
                if name.endswith(".h5") and not name.startswith(".") and link in {"", *here.parts[:1]}:
                    yield (here / name).as_posix()

    def _may_have_day_files(self, path: Path, elsewhere: Mapping[Path, list[str]], linked: set[Path]) -> bool:
        """Return whether a directory below the root may have day files: hidden ones and other archives may not.

        A link is followed where it leads out of the archive, each directory once, so that none leads in a circle. A
        link directly below the root may also lead to a directory of the archive, which is then searched by its link
        only.
        """
        top = path.parent == Path()
        if path.name.startswith(".") or (top and path.name in DIRECTORIES):
            return False
        if os.path.lexists(self.path / path / MARKER):  # another archive
            return False
        if (self.path / path).is_symlink():
            target = resolve_links(self.path / path)
            if not top and (target in linked or target in elsewhere or target.is_relative_to(resolve_links(self.path))):
                return False
            linked.add(target)
            return True
        return not elsewhere or resolve_links(self.path / path) not in elsewhere

    @contextmanager
    def hold_lock(self, wait: float = 0.0) -> Iterator[bool]:
        """Hold the archive's lock, after emptying the workshop.

        The lock is the operating system's (flock): it ends with the last of the processes that hold it, the run's own
        and its workers, so a killed run blocks nobody. This waits for the workers of a killed run to end.

        Parameters
        ----------
        wait : float
            Seconds to wait for another run to end.

        Yields
        ------
        bool
            True if the run before did not end by itself.

        Raises
        ------
        ArchiveLockedError
            Another run holds it, and did not end in time; the message names its process.

        Notes
        -----
        A fork that leaves this context, as by ``sys.exit``, does not release the lock.
        """
        lock, process = self._lock(wait), os.getpid()
        with disk.storage_errors("open", self.path):
            here = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)  # on exit its path may be another directory
        try:
            crashed = self.holder.exists()
            with disk.storage_errors("take the archive over", self.path):
                me = {
                    "process": os.getpid(),
                    "host": socket.gethostname(),
                    "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                }
                self.holder.write_text(json.dumps(me), encoding="utf-8")
                for left in self.workshop.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield crashed
        finally:
            if os.getpid() == process:
                self._unlock(lock, here)
            os.close(here)
            os.close(lock)

    def _unlock(self, lock: int, here: int) -> None:
        """Release the lock of the archive in an open directory, for all forks of this process too."""
        # Only a run that was killed leaves this file behind, not one that ends with an error.
        with suppress(OSError):
            os.unlink(self.holder.name, dir_fd=here)
        fcntl.flock(lock, fcntl.LOCK_UN)

    def _lock(self, wait: float) -> int:
        """Take the lock; return its open file, which forks of this process hold too."""
        began = time.monotonic()
        with disk.storage_errors("lock the archive", self.path), ExitStack() as opened:
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, disk.PRIVATE_FILE)
            opened.callback(os.close, lock)
            while True:
                if try_lock(lock, self.path):
                    opened.pop_all()
                    return lock
                waited = time.monotonic() - began
                if waited >= wait and (waited > PATIENCE or not self._holder_ended()):
                    still = f", also after {wait:g} s" if wait else ""
                    message = f"{self._describe_holder()} is working on this archive{still}"
                    raise ArchiveLockedError(message, where=self.path)
                time.sleep(0.01)

    def _holder_ended(self) -> bool:
        """Return whether the process that took the lock has ended."""
        try:
            holder = json.loads(self.holder.read_text(encoding="utf-8"))
            if holder["host"] == socket.gethostname():
                os.kill(holder["process"], 0)
        except ProcessLookupError:
            return True
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return False

    def _describe_holder(self) -> str:
        try:
            holder = json.loads(self.holder.read_text(encoding="utf-8"))
            return f"process {holder['process']} on {holder['host']} (since {holder['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another run"  # it has taken the lock and not yet written its name


def resolve_links(path: Path) -> Path:
    """Resolve the links of a path, even of one that does not exist, or goes in a circle."""
    return Path(os.path.realpath(path))
