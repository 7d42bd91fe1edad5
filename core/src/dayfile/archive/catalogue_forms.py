"""The tables of a catalogue, and how one of the first form gets those of the second.

The second form has what the first one had, and for each key of each type the records by hour. A catalogue of the first
form is changed in one transaction: its rows stay, digests, losses and announcements among them, and its day files
become ``uncounted`` until somebody has read their keys and hours. A reader sees an older catalogue through temporary
tables and views of the second form, so that every query is written once and nothing has to be copied.
"""

from __future__ import annotations

import sqlite3

from dayfile.archive.catalogue_rows import HOURS
from dayfile.errors import StorageError

__all__ = ["FORM", "HOUR_COLUMNS", "change_form", "read_form", "show_as_second_form"]

FORM = 2
HOUR_COLUMNS = tuple(f"h{hour:02}" for hour in range(HOURS))

TABLES = {
    "types": """(
        path TEXT NOT NULL,
        data_type TEXT NOT NULL,
        day TEXT NOT NULL,
        records INTEGER NOT NULL,
        first INTEGER,
        last INTEGER,
        PRIMARY KEY (path, data_type)
    ) WITHOUT ROWID""",
    "files": """(
        file INTEGER PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,
        position INTEGER NOT NULL,
        chain TEXT NOT NULL
    )""",
    "totals": """(
        series INTEGER PRIMARY KEY,
        data_type TEXT NOT NULL,
        key TEXT NOT NULL,
        days INTEGER NOT NULL DEFAULT 0,
        records INTEGER NOT NULL DEFAULT 0,
        first INTEGER,
        last INTEGER,
        UNIQUE (data_type, key)
    )""",
    "counts": f"""(
        series INTEGER NOT NULL,
        day TEXT NOT NULL,
        file INTEGER NOT NULL,
        records INTEGER NOT NULL,
        first INTEGER,
        last INTEGER,
        {", ".join(f"{column} INTEGER NOT NULL" for column in HOUR_COLUMNS)},
        PRIMARY KEY (series, day, file)
    ) WITHOUT ROWID""",
    "uncounted": "(path TEXT PRIMARY KEY) WITHOUT ROWID",
    "publishing": "(path TEXT PRIMARY KEY, day TEXT NOT NULL) WITHOUT ROWID",
    "arrivals": "(path TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID",
    "digests": """(
        path TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        mtime INTEGER NOT NULL,
        ctime INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        taken INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "losses": """(
        path TEXT NOT NULL,
        data_type TEXT NOT NULL,
        records INTEGER NOT NULL,
        PRIMARY KEY (path, data_type)
    ) WITHOUT ROWID""",
}
"""Digests, losses and announcements are as in the first form, so that an older program finds them again."""

INDEXES = (
    # All that is asked of a type's days is in the index itself.
    "CREATE INDEX IF NOT EXISTS types_by_day ON types (data_type, day, records, first, last)",
    "CREATE INDEX IF NOT EXISTS counts_by_file ON counts (file)",
    # Totals follow counts. Of a day that grows, which is what mostly happens, no other row has to be looked at.
    """
    CREATE TRIGGER IF NOT EXISTS count_more AFTER INSERT ON counts BEGIN
        UPDATE totals SET days = days + 1, records = records + NEW.records,
            first = min(ifnull(first, NEW.first), NEW.first),
            last = max(ifnull(last, NEW.last), NEW.last)
        WHERE series = NEW.series;
    END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS count_again AFTER UPDATE ON counts BEGIN
        UPDATE totals SET records = records + NEW.records - OLD.records,
            first = CASE WHEN NEW.first <= OLD.first THEN min(first, NEW.first)
                ELSE (SELECT min(first) FROM counts WHERE series = NEW.series) END,
            last = CASE WHEN NEW.last >= OLD.last THEN max(last, NEW.last)
                ELSE (SELECT max(last) FROM counts WHERE series = NEW.series) END
        WHERE series = NEW.series;
    END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS count_less AFTER DELETE ON counts BEGIN
        UPDATE totals SET days = days - 1, records = records - OLD.records,
            first = (SELECT min(first) FROM counts WHERE series = OLD.series),
            last = (SELECT max(last) FROM counts WHERE series = OLD.series)
        WHERE series = OLD.series;
        DELETE FROM totals WHERE series = OLD.series AND days = 0;
    END
    """,
)
FIRST_FORM = {"day_files", "publishing"}
"""Tables that every catalogue of the first form has; digests and losses came later."""
OLD_ROWS = "path, data_type, day, records, first, last"


def read_form(connection: sqlite3.Connection) -> int:
    """Return the form of a catalogue; 0 for a file that has no tables yet, or not all of them.

    Raises
    ------
    StorageError
        It has a form of a later version.
    """
    (form,) = connection.execute("PRAGMA user_version").fetchone()
    if form > FORM:
        raise StorageError(f"the catalogue has form {form}, which this version does not know; use the later version")
    if form == FORM:
        return FORM
    return 1 if list_tables(connection) >= FIRST_FORM else 0


def list_tables(connection: sqlite3.Connection) -> set[str]:
    """List the names of the tables of a catalogue."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def change_form(connection: sqlite3.Connection) -> None:
    """Give a catalogue the tables of the second form, within the transaction of the caller.

    Digests, losses and announcements of an older one stay, and so does what it knows of each day file.
    """
    form = read_form(connection)
    if form == 1:
        connection.execute("DROP INDEX IF EXISTS day_files_by_type")
        connection.execute("ALTER TABLE day_files RENAME TO types")
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns}")
    for statement in INDEXES:
        connection.execute(statement)
    if form == 1:
        connection.execute("INSERT INTO uncounted SELECT DISTINCT path FROM types")
    connection.execute(f"PRAGMA user_version = {FORM}")


def show_as_second_form(connection: sqlite3.Connection) -> None:
    """Let an older catalogue look like one of the second form, for this connection only: it may not be written to."""
    form = read_form(connection)
    if form == FORM:
        return
    connection.execute("PRAGMA temp_store = MEMORY")
    there = list_tables(connection) if form else set()
    if form:
        connection.execute(f"CREATE TEMP VIEW types AS SELECT {OLD_ROWS} FROM day_files")  # noqa: S608
        connection.execute("CREATE TEMP VIEW uncounted AS SELECT DISTINCT path FROM day_files")
        there |= {"types", "uncounted"}
    for name in TABLES.keys() - there:
        connection.execute(f"CREATE TEMP TABLE {name} {TABLES[name]}")
