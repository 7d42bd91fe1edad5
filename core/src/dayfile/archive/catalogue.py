"""The catalogue: which day file holds which type, how many records, and their time span. Derived from the day files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dayfile.archive import disk
from dayfile.archive.survey import NodeSummary
from dayfile.errors import StorageError

if TYPE_CHECKING:
    from dayfile.archive.root import Root

__all__ = ["Catalogue", "CatalogueRow", "catalogue_rows"]

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
)
TABLES = "SELECT count(*) FROM sqlite_master WHERE name IN ('day_files', 'publishing')"


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
        How many.
    first, last : numpy.datetime64 or None
        UTC of the earliest time and latest time or end, datetime64[ns].
    """

    path: str
    data_type: str
    day: str
    records: int
    first: np.datetime64 | None
    last: np.datetime64 | None


class Catalogue:
    """The SQLite file of an archive; see :class:`CatalogueRow` for what it tells.

    Parameters
    ----------
    path : Path
        The file; made at the first write.
    day_file : callable, optional
        Tells a day file of the archive, if it has one. Asked where there is no catalogue: then it was lost, and what
        is written or read without it would be a part only.
    """

    def __init__(self, path: Path, day_file: Callable[[], str | None] = lambda: None) -> None:
        self.path = path
        self.day_file = day_file

    @classmethod
    def of(cls, root: Root) -> Catalogue:
        """The catalogue of an archive. If it was lost, whoever reads or writes it gets a StorageError that says so."""
        return cls(root.catalogue, root.first_day_file)

    @contextmanager
    def _connected(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        with disk.storage_errors("open", self.path):
            disk.step("open", self.path)
        try:
            # A reader may have to undo what a killed writer left, so it too opens for writing, where it may.
            mode = "rwc" if write else "rw"
            connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)
            try:
                made = connection.execute(TABLES).fetchone()[0] == 2
                with connection:
                    if write and not made:
                        self._refuse_lost()
                        connection.execute("BEGIN IMMEDIATE")
                        for statement in SCHEMA:
                            connection.execute(statement)
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            message = f"the catalogue cannot be used ({error}); make it anew from the day files: dayfile reindex"
            raise StorageError(message, where=self.path) from error

    def _refuse_lost(self) -> None:
        """StorageError where day files are without a catalogue."""
        lost = self.day_file()
        if lost is not None:
            message = f"the catalogue is missing, and there are day files ({lost}); make it anew: dayfile reindex"
            raise StorageError(message, where=self.path)

    def made(self) -> bool:
        """Whether there is a catalogue; SQLite's file is there, empty, a moment before its tables are."""
        if not self.path.exists():
            return False
        with self._connected() as connection:
            return bool(connection.execute(TABLES).fetchone()[0] == 2)

    def announce(self, paths: Mapping[str, np.datetime64]) -> dict[str, int]:
        """Put down which day files are about to be published, so that a crash in between can be told afterwards.

        Returns
        -------
        dict of str to int
            How many records were known of each, where any were.
        """
        with self._connected(write=True) as connection:
            rows = [(path, str(day)) for path, day in paths.items()]
            connection.executemany("INSERT OR REPLACE INTO publishing VALUES (?, ?)", rows)
            query = "SELECT sum(records) FROM day_files WHERE path = ?"
            known = {path: connection.execute(query, (path,)).fetchone()[0] for path in paths}
        return {path: records for path, records in known.items() if records}

    def announced(self) -> dict[str, np.datetime64]:
        """Day files, and their days, that were announced and not recorded since."""
        if not self.made():
            self._refuse_lost()
            return {}
        with self._connected() as connection:
            rows = connection.execute("SELECT path, day FROM publishing ORDER BY path")
            return {path: np.datetime64(day, "D") for path, day in rows}

    def record(self, day_files: Mapping[str, Iterable[CatalogueRow]]) -> None:
        """Put down what day files hold now, in place of what was known of them; they are no longer announced.

        Parameters
        ----------
        day_files : mapping of str to iterable of CatalogueRow
            What each holds, by path below the archive root; see :func:`catalogue_rows`.
        """
        rows = [
            (row.path, row.data_type, row.day, row.records, as_number(row.first), as_number(row.last))
            for told in day_files.values()
            for row in told
        ]
        with self._connected(write=True) as connection:
            with disk.storage_errors("write", self.path):
                disk.step("write", self.path)
            for query in ("DELETE FROM day_files WHERE path = ?", "DELETE FROM publishing WHERE path = ?"):
                connection.executemany(query, [(path,) for path in day_files])
            connection.executemany("INSERT INTO day_files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def rows(self, data_type: str | None = None) -> list[CatalogueRow]:
        """What is known, by type and day; of all types, or of one."""
        return self._rows("? IS NULL OR data_type = ?", data_type, data_type)

    def rows_of(self, path: str) -> list[CatalogueRow]:
        """What is known of one day file, by type."""
        return self._rows("path = ?", path)

    def _rows(self, condition: str, *values: str | None) -> list[CatalogueRow]:
        if not self.made():
            self._refuse_lost()
            return []
        query = f"SELECT * FROM day_files WHERE {condition} ORDER BY data_type, day, path"  # noqa: S608 - our own words
        with self._connected() as connection:
            return [
                CatalogueRow(path, name, day, records, as_time(first), as_time(last))
                for path, name, day, records, first, last in connection.execute(query, values)
            ]


def catalogue_rows(path: str, day: str, summaries: Iterable[NodeSummary]) -> list[CatalogueRow]:
    """What the catalogue says of a day file: a row for each data type, over all of its tables."""
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


def as_number(time: np.datetime64 | None) -> int | None:
    """Nanoseconds since 1970."""
    return None if time is None else int(time.astype("datetime64[ns]").astype(np.int64))


def as_time(number: int | None) -> np.datetime64 | None:
    """The inverse of :func:`as_number`."""
    return None if number is None else np.datetime64(number, "ns")
