"""Records by key and hour in a catalogue: written for each day file, and summed by SQL."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from dayfile.archive.catalogue_forms import HOUR_COLUMNS
from dayfile.archive.catalogue_rows import KeyCount, Publication, as_number, as_time
from dayfile.archive.description import Total

if TYPE_CHECKING:
    from dayfile.archive.question import WantsKeys

__all__ = ["list_file_counts", "list_totals", "sum_days", "sum_files", "sum_hours", "write_day_file"]

COUNTED = ("records", "first", "last", *HOUR_COLUMNS)
HELD = " + ".join(f"({column} > 0)" for column in HOUR_COLUMNS)
HELD_BY_ANY = " + ".join(f"(sum({column}) > 0)" for column in HOUR_COLUMNS)
SUMMED = ", ".join(f"sum({column})" for column in HOUR_COLUMNS)
UPSERT = f"""
    INSERT INTO counts (series, day, file, {", ".join(COUNTED)}) VALUES ({", ".join("?" * (len(COUNTED) + 3))})
    ON CONFLICT (series, day, file) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COUNTED)}
"""  # noqa: S608
"""Rows that stay are changed in place: the totals of a day that grows follow without a look at other days."""


def write_day_file(connection: sqlite3.Connection, path: str, publication: Publication) -> None:
    """Replace what a catalogue says of a day file, except for its digest, within the transaction of the caller."""
    rows = publication.rows
    connection.execute("DELETE FROM types WHERE path = ?", (path,))
    connection.executemany(
        "INSERT INTO types VALUES (?, ?, ?, ?, ?, ?)",
        [(path, row.data_type, row.day, row.records, as_number(row.first), as_number(row.last)) for row in rows],
    )
    if publication.arrivals:
        connection.execute(
            "INSERT INTO arrivals VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE "
            "SET first = min(first, excluded.first), last = max(last, excluded.last)",
            (path, min(publication.arrivals), max(publication.arrivals)),
        )
    if any(row.counts is None for row in rows):  # from an older catalogue, as the file itself cannot be read
        connection.execute("INSERT OR REPLACE INTO uncounted VALUES (?)", (path,))
        return
    connection.execute("DELETE FROM uncounted WHERE path = ?", (path,))
    connection.execute(
        "INSERT INTO files (path, position, chain) VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE "
        "SET position = excluded.position, chain = excluded.chain",
        (path, publication.chain.position, publication.chain.sha256),
    )
    ((file,),) = connection.execute("SELECT file FROM files WHERE path = ?", (path,))
    write_counts(connection, file, [(row.data_type, row.day, count) for row in rows for count in row.counts or ()])


def write_counts(connection: sqlite3.Connection, file: int, counts: Collection[tuple[str, str, KeyCount]]) -> None:
    """Replace the counts of a day file by others, each with its data type and day."""
    names = [(data_type, count.key) for data_type, _, count in counts]
    connection.executemany("INSERT OR IGNORE INTO totals (data_type, key) VALUES (?, ?)", names)
    query = "SELECT series FROM totals WHERE data_type = ? AND key = ?"
    series = [connection.execute(query, name).fetchone()[0] for name in names]
    new = {(number, day) for number, (_, day, _) in zip(series, counts, strict=True)}
    old = set(connection.execute("SELECT series, day FROM counts WHERE file = ?", (file,)))
    connection.executemany(
        "DELETE FROM counts WHERE series = ? AND day = ? AND file = ?", [(*place, file) for place in old - new]
    )
    connection.executemany(
        UPSERT,
        [
            (number, day, file, count.records, as_number(count.first), as_number(count.last), *count.hours)
            for number, (_, day, count) in zip(series, counts, strict=True)
        ],
    )


def list_file_counts(connection: sqlite3.Connection, path: str) -> dict[str, tuple[KeyCount, ...]] | None:
    """List the counts of a day file by data type, in order of the keys; None if they are not known."""
    if connection.execute("SELECT 1 FROM uncounted WHERE path = ?", (path,)).fetchone():
        return None
    query = f"""
        SELECT data_type, key, {", ".join(f"counts.{name}" for name in COUNTED)}
        FROM files JOIN counts USING (file) JOIN totals USING (series) WHERE path = ? ORDER BY data_type, key
    """  # noqa: S608
    found: dict[str, tuple[KeyCount, ...]] = {}
    for data_type, key, records, first, last, *hours in connection.execute(query, (path,)):
        count = KeyCount(key, records, as_time(first), as_time(last), array("q", hours))
        found[data_type] = (*found.get(data_type, ()), count)
    return found


def list_totals(connection: sqlite3.Connection, data_type: str) -> list[Total]:
    """List all keys of a data type with what they have, in the order in which they were first seen."""
    query = "SELECT series, key, days, records, first, last FROM totals WHERE data_type = ? ORDER BY series"
    return [
        Total(series, json.loads(key), days, records, np.datetime64(first, "ns"), np.datetime64(last, "ns"))
        for series, key, days, records, first, last in connection.execute(query, (data_type,))
    ]


def sum_files(connection: sqlite3.Connection, data_type: str, days: tuple[str, str], wanted: WantsKeys) -> Counter[str]:
    """Sum the records of wanted keys of a data type by day file, from one ISO date to another, both included."""
    connection.create_function("is_wanted", 1, lambda key: wanted(json.loads(key)))
    query = """
        SELECT path, sum(records) FROM counts JOIN files USING (file)
        WHERE series IN (SELECT series FROM totals WHERE data_type = ? AND is_wanted(key)) AND day >= ? AND day <= ?
        GROUP BY file
    """
    return Counter(dict(connection.execute(query, (data_type, *days))))


def sum_days(
    connection: sqlite3.Connection, series: Iterable[int], start: str, stop: str, *, letters: int, per_key: bool
) -> list[tuple[int, str, int, int]]:
    """Sum records by period, from day ``start`` to before day ``stop``.

    Parameters
    ----------
    series : iterable of int
        Which types and keys.
    start, stop : str
        ISO dates.
    letters : int
        Length of the name of a period, as the beginning of an ISO date: 10 for days, 7 for months, 4 for years.
    per_key : bool
        Whether to sum each of the series by itself.

    Returns
    -------
    list of (int, str, int, int)
        Series (0 for all), period, number of records, and number of hours with records.
    """
    period = "day" if letters == len("2000-01-01") else f"substr(day, 1, {letters})"
    if per_key:  # a key has one row a day, so that nothing has to be sorted
        query = f"""
            SELECT series, {period} AS period, sum(records), sum({HELD})
            FROM counts WHERE {within(series)} GROUP BY series, period
        """  # noqa: S608
    else:
        query = f"""
            SELECT 0, {period} AS period, sum(records), sum(hours) FROM (
                SELECT day, sum(records) AS records, {HELD_BY_ANY} AS hours
                FROM counts WHERE {within(series)} GROUP BY day
            ) GROUP BY period
        """  # noqa: S608
    return connection.execute(query, (start, stop)).fetchall()


def sum_hours(
    connection: sqlite3.Connection, series: Iterable[int], start: str, stop: str, *, per_key: bool
) -> list[tuple[Any, ...]]:
    """Sum records by hour, as :func:`sum_days`; series, day, first time, last time (ns) and 24 numbers."""
    who = "series" if per_key else "0"
    query = f"""
        SELECT {who} AS who, day, min(first), max(last), {SUMMED}
        FROM counts WHERE {within(series)} GROUP BY who, day ORDER BY who, day
    """  # noqa: S608
    return connection.execute(query, (start, stop)).fetchall()


def within(series: Iterable[int]) -> str:
    """Return the condition for rows of some series between two days."""
    return f"series IN ({', '.join(map(str, series))}) AND day >= ? AND day < ?"
