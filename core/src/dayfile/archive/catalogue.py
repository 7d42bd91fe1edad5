"""The catalogue: the data types in each day file, with the number of their records, by key and hour, and their span.

It is derived from the day files, except for what it alone remembers: the digest of each day file as it was published,
when its sources arrived, and the records that were lost when a day file was missing and a new one was started in its
place.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dayfile.archive import disk
from dayfile.archive.alone import reading_alone
from dayfile.archive.catalogue_forms import FORM, change_form, read_form, show_as_second_form
from dayfile.archive.catalogue_rows import CatalogueRow, Publication, as_number, as_time
from dayfile.archive.digests import Digest
from dayfile.archive.keys import order_totals
from dayfile.archive.tallies import list_file_counts, list_totals, sum_files, write_day_file
from dayfile.errors import StorageError

if TYPE_CHECKING:
    from dayfile.archive.question import WantsKeys
    from dayfile.archive.root import Root

__all__ = ["Catalogue", "CountRecords", "DamagedCatalogueError"]

CountRecords = Callable[[str, str], Publication]
"""Reads what a day file holds: its path below the root, and its day."""
PAGE = 20
"""Rows that are read at once where mostly the first one will do."""
EACH_TYPE = """
    WITH RECURSIVE each(name) AS (
        SELECT min(data_type) FROM types
        UNION ALL SELECT (SELECT min(data_type) FROM types WHERE data_type > name) FROM each WHERE name IS NOT NULL
    ) SELECT name FROM each WHERE name IS NOT NULL
"""
"""The data types, by one look into the index for each; DISTINCT would look at every day file."""
BUSY = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM),
}
"""Errors of the system that SQLite reports (the low byte of its code); any other error means damage."""


class DamagedCatalogueError(StorageError):
    """The catalogue is not a catalogue, or its bytes were changed."""


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
        with reading_alone(), self._connect_alone(write=write) as connection:
            yield connection

    @contextmanager
    def _connect_alone(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        with disk.storage_errors("open", self.path):
            disk.step("open", self.path)
        try:
            # A reader may have to roll back a killed writer's transaction, so it too opens for writing, where it may.
            if write:
                self._make_file()
            connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=rw", uri=True, timeout=30)
            with closing(connection), connection:
                if write and read_form(connection) != FORM:
                    self._change_form(connection)
                yield connection
        except (sqlite3.DatabaseError, UnicodeDecodeError, json.JSONDecodeError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY:
                message = (
                    f"the catalogue cannot be used now ({error}); it must be a file that this user may read and write"
                )
                raise StorageError(message, where=self.path) from error
            message = f"the catalogue cannot be used ({error}); rebuild it from the day files: dayfile reindex"
            raise DamagedCatalogueError(message, where=self.path) from error

    def _change_form(self, connection: sqlite3.Connection) -> None:
        """Give a new or older catalogue the tables of the second form, in the transaction that follows."""
        if read_form(connection) == 0:
            self._refuse_lost()
        with disk.storage_errors("write", self.path):
            disk.step("write", self.path)
        connection.execute("BEGIN IMMEDIATE")
        change_form(connection)

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Open for reading, in the second form whatever it has; without tables if the archive is new."""
        if not disk.exists(self.path):
            self._refuse_lost()
            with reading_alone(), closing(sqlite3.connect(":memory:")) as nothing:
                show_as_second_form(nothing)
                yield nothing
            return
        with self._connect() as connection:
            if read_form(connection) == 0:
                self._refuse_lost()
            show_as_second_form(connection)
            yield connection

    @contextmanager
    def open_counted(self, data_type: str, count: CountRecords) -> Iterator[sqlite3.Connection]:
        """Open for questions about keys and hours of a data type; see :mod:`dayfile.archive.tallies`.

        Parameters
        ----------
        data_type : str
            Name of the type.
        count : callable
            Reads a day file. Called for those whose keys and hours are not known, as they come from a catalogue of the
            first form that no run has completed yet. What it returns is used for this question only: a reader may not
            be able to write.
        """
        with reading_alone(), self._read() as connection:
            uncounted = list_uncounted(connection, data_type)
            if not uncounted:
                yield connection
                return
            copy = sqlite3.connect(":memory:")
            connection.backup(copy)
        with reading_alone(), closing(copy):
            change_form(copy)
            for path, day in uncounted.items():
                write_day_file(copy, path, count(path, day))
            yield copy

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
            return read_form(connection) > 0

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
            lost = "SELECT path, data_type, records FROM types WHERE path = ? AND records > 0"
            connection.executemany(f"INSERT OR IGNORE INTO losses {lost}", [(path,) for path in gone])
            query = "SELECT sum(records) FROM types WHERE path = ?"
            known = {path: connection.execute(query, (path,)).fetchone()[0] for path in gone}
        return {path: records for path, records in known.items() if records}

    def list_announced(self) -> dict[str, np.datetime64]:
        """List the day files, and their days, that were announced and not recorded since."""
        return {path: np.datetime64(day, "D") for path, day in self._select("publishing", "true ORDER BY path")}

    def list_uncounted(self) -> dict[str, str]:
        """List the day files, and their days, whose keys and hours are not known: they come from the first form."""
        with self._read() as connection:
            return list_uncounted(connection)

    def record(self, day_files: Mapping[str, Publication]) -> None:
        """Record what day files hold now, replacing their old entries; they are no longer announced.

        Parameters
        ----------
        day_files : mapping of str to Publication
            Their entries, by path below the archive root; see :func:`dayfile.archive.catalogue_rows.make_rows`.
        """
        digests = [
            (path, *astuple(publication.digest))
            for path, publication in day_files.items()
            if publication.digest is not None
        ]
        with self._connect(write=True) as connection:
            with disk.storage_errors("write", self.path):
                disk.step("write", self.path)
            for path, publication in day_files.items():
                write_day_file(connection, path, publication)
            connection.executemany("DELETE FROM publishing WHERE path = ?", [(path,) for path in day_files])
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

    def find_digests(self, data_type: str, first: np.datetime64, last: np.datetime64) -> list[Digest]:
        """Return the known digests of the day files that have records of a type between two times, by day."""
        span = as_number(first), as_number(last)
        query = (
            "SELECT digests.* FROM types JOIN digests USING (path) "
            "WHERE data_type = ? AND last >= ? AND first <= ? ORDER BY day, path"
        )
        with self._read() as connection:
            return [as_digest(*rest) for _, *rest in connection.execute(query, (data_type, *span))]

    def find_newest_digest(self, data_type: str | None = None) -> Digest | None:
        """Return the digest of the day file that changed last, of all or of those with a data type."""
        query = (
            "SELECT digests.* FROM digests WHERE ?1 IS NULL OR path IN (SELECT path FROM types WHERE data_type = ?1) "
            "ORDER BY mtime DESC LIMIT 1"
        )
        with self._read() as connection:
            found = connection.execute(query, (data_type,)).fetchone()
        return as_digest(*found[1:]) if found else None

    def arrivals(self) -> dict[str, tuple[int, ...]]:
        """Return when the first and the last known source of each day file arrived, ns since 1970, by path."""
        return {path: (first, last) for path, first, last in self._select("arrivals")}

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

    def _select(self, table: str, condition: str = "true", *values: object) -> list[Any]:
        """Return rows of a table."""
        with self._read() as connection:
            return connection.execute(f"SELECT * FROM {table} WHERE {condition}", values).fetchall()  # noqa: S608

    def list_types(self) -> list[str]:
        """List the names of the data types, in order."""
        with self._read() as connection:
            return [name for (name,) in connection.execute(EACH_TYPE)]

    def list_days(self, data_type: str) -> list[str]:
        """List the days on which a data type has records, ISO dates in order."""
        query = "SELECT DISTINCT day FROM types WHERE data_type = ? AND records > 0 ORDER BY day"
        with self._read() as connection:
            return [day for (day,) in connection.execute(query, (data_type,))]

    def sum_types(self) -> list[tuple[str, int, int, np.datetime64 | None, np.datetime64 | None]]:
        """Return of each data type its name, days, records, first time and last time, in order of the names."""
        query = (
            "SELECT data_type, count(DISTINCT day), sum(records), min(first), max(last) FROM types GROUP BY data_type"
        )
        with self._read() as connection:
            found = connection.execute(query).fetchall()
        return [(name, days, records, as_time(first), as_time(last)) for name, days, records, first, last in found]

    def list_keys(self, data_type: str) -> list[dict[str, str | int]] | None:
        """List the keys of a data type that have records, in order; None where day files are not counted yet."""
        with self._read() as connection:
            if list_uncounted(connection, data_type):
                return None
            return [total.key for total in order_totals(list_totals(connection, data_type))]

    def list_newest(self) -> list[tuple[str, str, int]]:
        """List the keys of all data types: type, key as JSON, and the time of its newest record (ns since 1970)."""
        with self._read() as connection:
            query = "SELECT data_type, key, last FROM totals WHERE last IS NOT NULL"
            return [(data_type, key, last) for data_type, key, last in connection.execute(query)]

    def find_elsewhere(self, data_type: str, day: str, path: str) -> list[str]:
        """Find the day files, other than the one at a path, that have records of a data type's day."""
        rows = self._rows("data_type = ? AND day = ? AND path != ? AND records > 0", data_type, day, path)
        return [row.path for row in rows]

    def rows(self, data_type: str | None = None) -> list[CatalogueRow]:
        """Return the rows without their keys, by type and day; of all types, or of one."""
        return self._rows("true") if data_type is None else self._rows("data_type = ?", data_type)

    def find_between(
        self, data_type: str, first: np.datetime64, last: np.datetime64, wanted: WantsKeys | None = None
    ) -> list[CatalogueRow]:
        """Find the rows of a data type that have records between two times, both included, by day.

        With ``wanted``, their ``records`` are those of wanted keys alone, zero where that is not known.
        """
        rows = self._rows("data_type = ? AND last >= ? AND first <= ?", data_type, as_number(first), as_number(last))
        if wanted is None or not rows:
            return rows
        with self._read() as connection:
            records = sum_files(connection, data_type, (rows[0].day, rows[-1].day), wanted)
        return [replace(row, records=records[row.path]) for row in rows]

    def find_nearest(self, data_type: str, first: np.datetime64, last: np.datetime64) -> list[str]:
        """Find the last day with records before a time and the first one with records since another, ISO in order."""
        days = "SELECT day FROM types WHERE data_type = ? AND records > 0 AND {} ? ORDER BY day {} LIMIT 1"
        with self._read() as connection:
            before = connection.execute(days.format("first <", "DESC"), (data_type, as_number(first)))
            after = connection.execute(days.format("last >=", "ASC"), (data_type, as_number(last)))
            return sorted({day for found in (before, after) for (day,) in found})

    def find_newest(self, data_type: str) -> Iterator[CatalogueRow]:
        """Yield the rows of a data type, those of the newest days first."""
        start = 0
        while rows := self._rows("data_type = ?", data_type, order=f"day DESC, path DESC LIMIT {PAGE} OFFSET {start}"):
            yield from rows
            start += PAGE

    def find_day(self, data_type: str, day: str) -> list[CatalogueRow]:
        """Find the rows of a day of a data type, mostly one."""
        return self._rows("data_type = ? AND day = ?", data_type, day)

    def read_file_rows(self, path: str) -> list[CatalogueRow]:
        """Return the rows of one day file with its keys and hours, by type."""
        with self._read() as connection:
            counts = list_file_counts(connection, path)
        return [
            replace(row, counts=None if counts is None else counts.get(row.data_type, ()))
            for row in self._rows("path = ?", path)
        ]

    def _rows(self, condition: str, *values: object, order: str = "data_type, day, path") -> list[CatalogueRow]:
        return [
            CatalogueRow(path, name, day, records, as_time(first), as_time(last))
            for path, name, day, records, first, last in self._select("types", f"{condition} ORDER BY {order}", *values)
        ]


def as_digest(size: int, inode: int, mtime: int, ctime: int, sha256: str, taken: int) -> Digest:
    """Make a digest from a row of the catalogue."""
    return Digest(size, inode, mtime, ctime, sha256, taken=bool(taken))


def list_uncounted(connection: sqlite3.Connection, data_type: str | None = None) -> dict[str, str]:
    """List the day files, and their days, whose keys and hours are not known; all, or those with a data type."""
    # In this order of the tables: mostly nothing is uncounted.
    tables = "uncounted CROSS JOIN types USING (path)"
    query = f"SELECT path, day FROM {tables} WHERE ? IS NULL OR data_type = ? ORDER BY day"  # noqa: S608
    return dict(connection.execute(query, (data_type, data_type)))
