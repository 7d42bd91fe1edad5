"""Read a day file back from disk and summarise it, for verification, catalogue and checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.archive.gathering import find_held, list_deciding
from dayfile.archive.opening import DAMAGE_ERRORS, open_day_file
from dayfile.errors import StorageError
from dayfile.hdf5.files import open_file
from dayfile.hdf5.groups import find_leaves
from dayfile.hdf5.rows import Table, open_if_table
from dayfile.hdf5.vlen import VlenArray, open_if_vlen_array
from dayfile.messages import plural
from dayfile.model.datatype import DataType
from dayfile.model.places import LEDGER
from dayfile.stores.checksums import hash_blobs, hash_rows, sum_hashes
from dayfile.stores.declarations import TypeFinder, read_data_type
from dayfile.stores.ledger import Ledger
from dayfile.stores.registry import find_store

__all__ = [
    "NodeSummary",
    "open_leaves",
    "read_summaries",
    "survey",
    "survey_blobs",
    "survey_table",
    "verify",
]

SURVEY_BYTES = 4 * 2**20


@dataclass(frozen=True)
class NodeSummary:
    """One table or blob array, as it is on disk.

    Parameters
    ----------
    path : str
        Path in the day file.
    rows, checksum : int
        As :mod:`dayfile.stores.checksums` defines it.
    data_type : DataType or None
        The type that the table declares; None for blob arrays and foreign tables.
    records : int
        Number of rows that hold a record: slots may be empty.
    first, last : numpy.datetime64 or None
        UTC of the earliest time and the latest time (or end) of any record.
    hours : array of int64, shape (n,)
        Number of records by the hour of their time, from the hour of ``first`` on.
    """

    path: str
    rows: int
    checksum: int
    data_type: DataType | None = None
    records: int = 0
    first: np.datetime64 | None = None
    last: np.datetime64 | None = None
    hours: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)


def survey(file: tables.File, find_type: TypeFinder = read_data_type) -> list[NodeSummary]:
    """Read every row and blob of an open day file, except its ledger.

    Parameters
    ----------
    file : tables.File
        The day file.
    find_type : callable
        Returns the data type of a table.
    """
    return [
        survey_blobs(node) if isinstance(node, VlenArray) else survey_table(node, find_type)
        for node in open_leaves(file)
    ]


def open_leaves(file: tables.File) -> Iterator[Table | VlenArray]:
    """Open the tables and blob arrays of a day file, except its ledger; each is open while it is yielded."""
    for path in find_leaves(file, without=LEDGER):
        node = open_if_vlen_array(file, path) or open_if_table(file, path)
        if node is not None:
            with closing(node):
                yield node


def survey_table(table: Table, find_type: TypeFinder = read_data_type) -> NodeSummary:
    """Compute checksum, number of records and time span of a table."""
    data_type = find_type(table)
    checksum, records = 0, 0
    spans: list[npt.NDArray[np.datetime64]] = []
    hours: Counter[int] = Counter()
    for start, rows in iterate_blocks(table):
        checksum += sum_hashes(hash_rows(rows), start)
        if data_type is None:
            continue
        # An overlap table declares the same type with the store append.
        store = find_store(data_type.placement.store)
        held = rows[find_held(rows, store, list_deciding(store, data_type, rows.dtype))] if store.sparse else rows
        records += len(held)
        if len(held):
            begins, end = data_type.find_begins(held), data_type.timing.end
            ends = end.find(held, data_type.clock) if end else begins
            spans.append(data_type.clock.to_utc(np.array([begins.min(), ends.max()])))
            hours.update(count_by_hour(data_type.clock.to_utc(begins)))
    return NodeSummary(
        table.path,
        table.nrows,
        checksum % 2**64,
        data_type,
        records,
        min(span[0] for span in spans) if spans else None,
        max(span[1] for span in spans) if spans else None,
        np.array([hours[hour] for hour in range(min(hours), max(hours) + 1)] if hours else [], np.int64),
    )


def count_by_hour(times: npt.NDArray[np.datetime64]) -> dict[int, int]:
    """Count times, shape (n,), n > 0, by the hours since 1970 in which they are."""
    hours = times.astype("datetime64[h]").astype(np.int64)
    first = int(hours.min())
    counts = np.bincount(hours - first)
    return {first + int(place): int(counts[place]) for place in np.flatnonzero(counts)}


def survey_blobs(array: VlenArray) -> NodeSummary:
    """Compute the checksum of a blob array."""
    checksum, step = 0, 4096
    for start in range(0, array.nrows, step):
        blobs = array.read(start, min(start + step, array.nrows))
        checksum += sum_hashes(hash_blobs(blobs), start)
    return NodeSummary(array.path, array.nrows, checksum % 2**64)


def iterate_blocks(table: Table) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Read the rows of a table in blocks of a few megabytes, each with the index of its first row."""
    step = max(1, SURVEY_BYTES // table.dtype.itemsize)
    for start in range(0, table.nrows, step):
        yield start, table.read(start, min(start + step, table.nrows))


def read_summaries(path: Path, find_type: TypeFinder = read_data_type) -> list[NodeSummary]:
    """Open a day file and read all of it.

    Raises
    ------
    DayFileError
        It cannot be opened or read.
    """
    with open_day_file(path) as file:
        return survey(file, find_type)


def verify(
    path: Path, expected: dict[str, tuple[int, int]], find_type: TypeFinder = read_data_type
) -> list[NodeSummary]:
    """Open a closed day file, read all of it and compare it with the expected content.

    Parameters
    ----------
    path : Path
        The file.
    expected : dict of str to (int, int)
        Rows and checksum of each node, by path.

    Returns
    -------
    list of NodeSummary
        The content of the file.

    Raises
    ------
    StorageError
        It cannot be opened, or its content differs: the disk may be full, as PyTables does not report failed writes.
    """
    try:
        with open_file(path) as file:
            summaries = survey(file, find_type)
            ledger = Ledger.read(file)
    except DAMAGE_ERRORS as error:
        message = f"the file just written cannot be read back ({type(error).__name__}); is the disk full?"
        raise StorageError(message, where=path) from error
    found = {summary.path: (summary.rows, summary.checksum) for summary in summaries}
    for node, (rows, checksum) in expected.items():
        if found.get(node) != (rows, checksum) or ledger.checksums.get(node) != (rows, checksum):
            there = found.get(node, (0, 0))[0]
            message = (
                f"{node} does not hold what was written ({there} of {plural(rows, 'row')}, or other bytes); "
                f"is the disk full?"
            )
            raise StorageError(message, where=path)
    return summaries
