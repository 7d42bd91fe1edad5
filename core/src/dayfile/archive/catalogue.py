"""The catalogue: which day file holds which type, how many records, and their time span. Derived from the day files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dayfile.archive.checking import NodeSummary
from dayfile.errors import StorageError

__all__ = ["Catalogue", "CatalogueRow"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS day_files (
    path TEXT NOT NULL,
    data_type TEXT NOT NULL,
    day TEXT NOT NULL,
    records INTEGER NOT NULL,
    first INTEGER,
    last INTEGER,
    PRIMARY KEY (path, data_type)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS day_files_by_type ON day_files (data_type, day);
"""


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
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _connected(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if write:
                connection = sqlite3.connect(self.path, timeout=30)
            else:
                connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
            try:
                if write:
                    connection.executescript(SCHEMA)
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            message = f"the catalogue cannot be used: {error}"
            raise StorageError(message, where=self.path) from error

    def record(self, path: str, day: np.datetime64, summaries: Iterable[NodeSummary]) -> None:
        """Put down what a day file holds now, in place of what was known of it."""
        rows: dict[str, tuple[str, str, str, int, int | None, int | None]] = {}
        for summary in summaries:
            if summary.data_type is None:
                continue
            name = summary.data_type.name
            _, _, _, records, first, last = rows.get(name, ("", "", "", 0, None, None))
            firsts = [time for time in (first, as_number(summary.first)) if time is not None]
            lasts = [time for time in (last, as_number(summary.last)) if time is not None]
            rows[name] = (
                path,
                name,
                str(day),
                records + summary.records,
                min(firsts, default=None),
                max(lasts, default=None),
            )
        with self._connected(write=True) as connection:
            connection.execute("DELETE FROM day_files WHERE path = ?", (path,))
            connection.executemany("INSERT INTO day_files VALUES (?, ?, ?, ?, ?, ?)", rows.values())

    def rows(self, data_type: str | None = None) -> list[CatalogueRow]:
        """What is known, by type and day; of all types, or of one."""
        if not self.path.exists():
            return []
        query = "SELECT * FROM day_files WHERE ? IS NULL OR data_type = ? ORDER BY data_type, day, path"
        with self._connected() as connection:
            return [
                CatalogueRow(path, name, day, records, as_time(first), as_time(last))
                for path, name, day, records, first, last in connection.execute(query, (data_type, data_type))
            ]


def as_number(time: np.datetime64 | None) -> int | None:
    """Nanoseconds since 1970."""
    return None if time is None else int(time.astype("datetime64[ns]").astype(np.int64))


def as_time(number: int | None) -> np.datetime64 | None:
    """The inverse of :func:`as_number`."""
    return None if number is None else np.datetime64(number, "ns")
