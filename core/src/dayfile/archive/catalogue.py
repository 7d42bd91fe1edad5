"""The catalogue: the data types in each day file, with the number of their records and their time span.

It is derived from the day files, except for two things: the digest of each day file as it was published, and the
records that were lost when a day file was missing and a new one was started in its place.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dayfile.archive import disk
from dayfile.archive.digests import Digest
from dayfile.archive.survey import NodeSummary
from dayfile.errors import StorageError

if TYPE_CHECKING:
    from dayfile.archive.root import Root

__all__ = ["Catalogue", "CatalogueRow", "DamagedCatalogueError", "Publication", "find_losses", "make_rows"]

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS day_files (
        path TEXT NOT NULL,
        data_type TEXT NOT NULL,
        day TEXT NOT NULL,
        records INTEGER NOT NULL,
        first INTEGER,
        last INTEGER,
        PRIMARY KEY (path, data_type)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS publishing (path TEXT PRIMARY KEY, day TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS day_files_by_type ON day_files (data_type, day)",
    """
    CREATE TABLE IF NOT EXISTS digests (
        path TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        mtime INTEGER NOT NULL,
        ctime INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        taken INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS losses (
        path TEXT NOT NULL,
        data_type TEXT NOT NULL,
        records INTEGER NOT NULL,
        PRIMARY KEY (path, data_type)
    ) WITHOUT ROWID
    """,
)
MADE = {"day_files", "publishing"}
"""Tables that every catalogue has; in an older catalogue the others are made at the next write."""
ALL = MADE | {"digests", "losses"}
BUSY = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM),
}
"""Errors of the system that SQLite reports (the low byte of its code); any other error means damage."""


class DamagedCatalogueError(StorageError):
    """The catalogue is not a catalogue, or its bytes were changed."""


@dataclass(frozen=True)
class CatalogueRow:
    """One data type in one day file.

    Parameters
    ----------
    path : str
        Path below the archive root.
    data_type : str
        Name of the type.
    day : str
        ISO date.
    records : int
        Number of records.
    first, last : numpy.datetime64 or None
        UTC of the earliest time and latest time or end, datetime64[ns].
    """

    path: str
    data_type: str
    day: str
    records: int
    first: np.datetime64 | None
    last: np.datetime64 | None


@dataclass(frozen=True)
class Publication:
    """The new entry of the catalogue for a day file that was published.

    Parameters
    ----------
    rows : list of CatalogueRow
        What it holds, by type.
    digest : Digest or None
        The digest of its bytes; None where they are not known to be right, and the old digest stays.
    """

    rows: list[CatalogueRow]
    digest: Digest | None


class Catalogue:
    """The SQLite file of an archive; see :class:`CatalogueRow` for its content.

    Parameters
    ----------
    path : Path
        The file; made at the first write.
    day_file : callable, optional
        Returns a day file of the archive, if it has one. Called where the catalogue is missing: then it was lost, and
        whatever is written or read without it would be incomplete.
    """

    def __init__(self, path: Path, day_file: Callable[[], str | None] = lambda: None) -> None:
        self.path = path
        self.day_file = day_file

    @classmethod
    def of(cls, root: Root) -> Catalogue:
        """Return the catalogue of an archive. If it was lost, reading or writing it raises a StorageError."""
        return cls(root.catalogue, root.find_day_file)

    @contextmanager
    def _connect(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        with disk.storage_errors("open", self.path):
            disk.step("open", self.path)
        try:
            # A reader may have to roll back a killed writer's transaction, so it too opens for writing, where it may.
            if write:
                self._make_file()
            connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=rw", uri=True, timeout=30)
            try:
                tables = list_tables(connection)
                with connection:
                    if write and not tables >= ALL:
                        if not tables >= MADE:
                            self._refuse_lost()
                        connection.execute("BEGIN IMMEDIATE")
                        for statement in SCHEMA:
                            connection.execute(statement)
                    yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY:
                message = (
                    f"the catalogue cannot be used now ({error}); it must be a file that this user may read and write"
                )
                raise StorageError(message, where=self.path) from error
            message = f"the catalogue cannot be used ({error}); rebuild it from the day files: dayfile reindex"
            raise DamagedCatalogueError(message, where=self.path) from error

    def _make_file(self) -> None:
        """Make the file if it is missing, with the usual mode: SQLite's would not be writable by a group.

        An existing file is not opened: closing it would end the locks that SQLite has on it in this process.
        """
        with disk.storage_errors("make", self.path), suppress(FileExistsError):
            os.close(os.open(self.path.resolve(), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))

    def _refuse_lost(self) -> None:
        """Raise a StorageError if day files exist without a catalogue."""
        lost = self.day_file()
        if lost is not None:
            message = f"the catalogue is missing, and there are day files ({lost}); rebuild it: dayfile reindex"
            raise StorageError(message, where=self.path)

    def exists(self) -> bool:
        """Return whether the catalogue exists; SQLite's file exists, empty, a moment before its tables do."""
        if not disk.exists(self.path):
            return False
        with self._connect() as connection:
            return list_tables(connection) >= MADE

    def announce(self, paths: Mapping[str, np.datetime64], gone: Collection[str] = ()) -> dict[str, int]:
        """Record that day files are about to be published, so that a crash in between is noticed afterwards.

        Parameters
        ----------
        paths : mapping of str to datetime64[D]
            The day files, and their days.
        gone : collection of str
            Those of them that do not exist: the records that are known of one are remembered as lost.

        Returns
        -------
        dict of str to int
            Number of records that were known of each missing file, where it is not zero.
        """
        with self._connect(write=True) as connection:
            rows = [(path, str(day)) for path, day in paths.items()]
            connection.executemany("INSERT OR REPLACE INTO publishing VALUES (?, ?)", rows)
            lost = "SELECT path, data_type, records FROM day_files WHERE path = ? AND records > 0"
            connection.executemany(f"INSERT OR IGNORE INTO losses {lost}", [(path,) for path in gone])
            query = "SELECT sum(records) FROM day_files WHERE path = ?"
            known = {path: connection.execute(query, (path,)).fetchone()[0] for path in gone}
        return {path: records for path, records in known.items() if records}

    def list_announced(self) -> dict[str, np.datetime64]:
        """List the day files, and their days, that were announced and not recorded since."""
        if not self.exists():
            self._refuse_lost()
            return {}
        with self._connect() as connection:
            rows = connection.execute("SELECT path, day FROM publishing ORDER BY path")
            return {path: np.datetime64(day, "D") for path, day in rows}

    def record(self, day_files: Mapping[str, Publication]) -> None:
        """Record what day files hold now, replacing their old entries; they are no longer announced.

        Parameters
        ----------
        day_files : mapping of str to Publication
            Their entries, by path below the archive root; see :func:`make_rows`.
        """
        rows = [
            (row.path, row.data_type, row.day, row.records, as_number(row.first), as_number(row.last))
            for publication in day_files.values()
            for row in publication.rows
        ]
        digests = [
            (path, *astuple(digest))
            for path, digest in ((path, publication.digest) for path, publication in day_files.items())
            if digest is not None
        ]
        with self._connect(write=True) as connection:
            with disk.storage_errors("write", self.path):
                disk.step("write", self.path)
            for query in ("DELETE FROM day_files WHERE path = ?", "DELETE FROM publishing WHERE path = ?"):
                connection.executemany(query, [(path,) for path in day_files])
            connection.executemany("INSERT INTO day_files VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?)", digests)

    def withdraw(self, paths: Iterable[str]) -> None:
        """Withdraw the announcement of day files: they were not published after all."""
        with self._connect(write=True) as connection:
            connection.executemany("DELETE FROM publishing WHERE path = ?", [(path,) for path in paths])

    def digest(self, path: str) -> Digest | None:
        """Return the digest of a day file as it was published; None if it is not known."""
        found = self._select("digests", "path = ?", path)
        return as_digest(*found[0][1:]) if found else None

    def digests(self) -> dict[str, Digest]:
        """Return all digests that are known, by path."""
        return {path: as_digest(*rest) for path, *rest in self._select("digests")}

    def list_losses(self, path: str | None = None) -> list[tuple[str, str, int]]:
        """List lost records of day files that were missing when a new one was started: path, data type and number."""
        return self._select("losses", "? IS NULL OR path = ?", path, path)

    def remember_losses(self, losses: Iterable[tuple[str, str, int]]) -> None:
        """Remember lost records, as :meth:`list_losses` returns them."""
        with self._connect(write=True) as connection:
            connection.executemany("INSERT OR REPLACE INTO losses VALUES (?, ?, ?)", losses)

    def forget_losses(self, path: str) -> None:
        """Forget the lost records of a day file, which are back."""
        with self._connect(write=True) as connection:
            connection.execute("DELETE FROM losses WHERE path = ?", (path,))

    def _select(self, table: str, condition: str = "true", *values: str | None) -> list[Any]:
        """Return rows of a table; none where the catalogue does not exist yet, or is older and lacks the table."""
        if not disk.exists(self.path):
            self._refuse_lost()
            return []
        with self._connect() as connection:
            tables = list_tables(connection)
            if table in tables:
                return connection.execute(f"SELECT * FROM {table} WHERE {condition}", values).fetchall()  # noqa: S608
        if not tables >= MADE:
            self._refuse_lost()
        return []

    def find_elsewhere(self, data_type: str, day: str, path: str) -> list[str]:
        """Find the day files, other than the one at a path, that have records of a data type's day."""
        rows = self._rows("data_type = ? AND day = ? AND path != ? AND records > 0", data_type, day, path)
        return [row.path for row in rows]

    def rows(self, data_type: str | None = None) -> list[CatalogueRow]:
        """Return the rows, by type and day; of all types, or of one."""
        return self._rows("? IS NULL OR data_type = ?", data_type, data_type)

    def read_file_rows(self, path: str) -> list[CatalogueRow]:
        """Return the rows of one day file, by type."""
        return self._rows("path = ?", path)

    def _rows(self, condition: str, *values: str | None) -> list[CatalogueRow]:
        return [
            CatalogueRow(path, name, day, records, as_time(first), as_time(last))
            for path, name, day, records, first, last in self._select(
                "day_files", f"{condition} ORDER BY data_type, day, path", *values
            )
        ]


def as_digest(size: int, inode: int, mtime: int, ctime: int, sha256: str, taken: int) -> Digest:
    """Make a digest from a row of the catalogue."""
    return Digest(size, inode, mtime, ctime, sha256, taken=bool(taken))


def list_tables(connection: sqlite3.Connection) -> set[str]:
    """List the names of the tables of a catalogue."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def make_rows(path: str, day: str, summaries: Iterable[NodeSummary]) -> list[CatalogueRow]:
    """Make the rows of a day file: one for each data type, over all of its tables."""
    rows: dict[str, CatalogueRow] = {}
    for summary in summaries:
        if summary.data_type is None:
            continue
        name = summary.data_type.name
        before = rows.get(name, CatalogueRow(path, name, day, 0, None, None))
        firsts = [time for time in (before.first, summary.first) if time is not None]
        lasts = [time for time in (before.last, summary.last) if time is not None]
        first, last = min(firsts, default=None), max(lasts, default=None)
        rows[name] = CatalogueRow(path, name, day, before.records + summary.records, first, last)
    return list(rows.values())


def find_losses(known: Iterable[CatalogueRow], found: Iterable[CatalogueRow]) -> list[CatalogueRow]:
    """Find the known rows of a day file for whose data types fewer records are found now."""
    records = {row.data_type: row.records for row in found}
    return [row for row in known if records.get(row.data_type, 0) < row.records]


def as_number(time: np.datetime64 | None) -> int | None:
    """Convert a time to nanoseconds since 1970."""
    return None if time is None else int(time.astype("datetime64[ns]").astype(np.int64))


def as_time(number: int | None) -> np.datetime64 | None:
    """Convert nanoseconds since 1970 to a time."""
    return None if number is None else np.datetime64(number, "ns")
