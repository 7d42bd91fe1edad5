"""The archive on disk: its directories, and the lock that one run holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from dayfile.archive import disk
from dayfile.errors import ArchiveLockedError, PluginError, UsageError

__all__ = ["Root"]

RESERVED = {"incoming", "accepted", "quarantine", "workshop", "sources"}


class Root:
    """An archive's directory.

    Parameters
    ----------
    path : Path
        The directory; :meth:`create` makes it.

    Attributes
    ----------
    incoming, accepted, quarantine, workshop : Path
        Where input arrives, where it is kept until published, where it goes if it cannot be, where work files are.
    catalogue : Path
        The SQLite file that tells which day file holds what.
    settings : Path
        ``archive.yaml``, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.incoming = path / "incoming"
        self.accepted = path / "accepted"
        self.quarantine = path / "quarantine"
        self.workshop = path / "workshop"
        self.catalogue = path / "catalogue.db"
        self.settings = path / "archive.yaml"

    def create(self) -> None:
        """Make the directories that are missing."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError("this is a file; an archive is a directory", where=self.path)
        for directory in (self.incoming, self.accepted, self.quarantine, self.workshop):
            disk.make_directory(directory)

    def exists(self) -> bool:
        """Whether an archive has been made here."""
        return self.workshop.is_dir()

    def day_file(self, relative: str, plugin: str) -> Path:
        """Path of a day file, checked: below the root, and none of the archive's own places.

        Raises
        ------
        PluginError
            The plugin that located it answered a path that leaves the archive or is taken.
        """
        parts = PurePosixPath(relative).parts
        if not parts or parts[0] == "/" or ".." in parts or parts[0] in RESERVED or len(relative) > 1000:
            message = f"plugin {plugin}: locate_file answered {relative!r}, which is no path for a day file"
            raise PluginError(message)
        return self.path.joinpath(*parts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the archive's lock; at its beginning the workshop is emptied.

        Raises
        ------
        ArchiveLockedError
            Another run holds it.
        """
        import filelock

        lock = filelock.FileLock(self.path / ".lock")
        with disk.storage_errors("lock the archive", self.path):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout as error:
                message = "another run is working on this archive; wait for it, or end it"
                raise ArchiveLockedError(message, where=self.path) from error
        try:
            with disk.storage_errors("empty the workshop", self.workshop):
                for left in self.workshop.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield
        finally:
            lock.release()
