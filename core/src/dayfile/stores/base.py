"""Interface of a store, which defines how a day file holds the records of a data type, in three pure steps.

*Decide* compares new records with the stored ones, and returns their statuses and a change; *apply* makes the change in
a table; *overlay* makes it in rows that were read. So a decision can be made in one process and written in another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dayfile.model.batch import NO_BLOBS, Batch, Blobs
from dayfile.model.datatype import DataType

__all__ = ["Change", "Decision", "Found", "OnConflict", "OpenTable", "Problem", "Rules", "Store", "StoredTable", "View"]

OnConflict = Literal["overlap", "replace", "keep"]
"""Which record keeps a contested row: neither (``overlap``), the new one (``replace``) or the old one (``keep``)."""
END_WITH_INTERVALS = "'end' (a field) and 'store: intervals' go together"
PERIOD = "'period' (seconds, above 0) and 'store: slots' go together"


@dataclass(frozen=True)
class Rules:
    """Settings of a run for records that meet stored ones.

    Parameters
    ----------
    on_conflict : {'overlap', 'replace', 'keep'}
        Which record keeps a contested row; the others go to the overlap table.
    keep_duplicates : bool
        Whether records that are stored already are stored again, where the store can.
    """

    on_conflict: OnConflict = "overlap"
    keep_duplicates: bool = False


@dataclass(frozen=True)
class Found:
    """The result of looking for records in a table before they are written.

    Parameters
    ----------
    known : array of bool, shape (n,)
        Whether the table has the record already, or an earlier one of these is identical.
    hashes : array of uint64, shape (n,)
        A hash of each record.
    digests : dict of int to set of bytes
        For hashes that several records share, the digests of the records that are not known.
    """

    known: npt.NDArray[np.bool_]
    hashes: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    digests: dict[int, set[bytes]] = field(default_factory=dict)


class StoredTable(Protocol):
    """The part of a table that a decision needs.

    Attributes
    ----------
    empty_from : int
        Index from which on all rows are known to be empty and need not be read.
    """

    empty_from: int

    @property
    def nrows(self) -> int:
        """Return the number of rows."""

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return rows from ``start`` up to, not including, ``stop``; do not change them."""

    def find_known(self, batch: Batch) -> Found:
        """Find the records that the table has already."""


@dataclass(frozen=True)
class View:
    """The tables of a data type in a day file before a change.

    Parameters
    ----------
    data_type : DataType
        In the version of the table.
    start : int
        Clock value of the first tick of the day.
    table : StoredTable
        The table.
    overlap : StoredTable or None
        The overlap table beside it, if one exists.
    """

    data_type: DataType
    start: float
    table: StoredTable
    overlap: StoredTable | None = None


@dataclass(frozen=True)
class Change:
    """Rows to put into a table, and into its overlap table.

    Parameters
    ----------
    rows : structured array, shape (n,)
        In the dtype of the table. Counters are numbered when they are stored; blob fields hold indexes into ``blobs``.
    places : array of int64, shape (n,), or None
        Index of each row in the table, ascending; those from its end on are appended. None: append all.
    overlap : structured array, shape (m,), or None
        Rows to append to the overlap table.
    overlap_order : array of int64, shape (m,), or None
        Sort key of these rows when a batch makes several changes.
    blobs : Blobs
        Values of the blob fields of appended rows.
    order : array of int64, shape (n,), or None
        Sort key of the blobs of each row, over all tables that share an array.
    found : Found or None
        The result of :meth:`StoredTable.find_known` for the rows, if it is known.
    """

    rows: npt.NDArray[Any]
    places: npt.NDArray[np.int64] | None = None
    overlap: npt.NDArray[Any] | None = None
    overlap_order: npt.NDArray[np.int64] | None = None
    blobs: Blobs = NO_BLOBS
    order: npt.NDArray[np.int64] | None = None
    found: Found | None = None


@dataclass(frozen=True)
class Decision:
    """The fate of records.

    Parameters
    ----------
    statuses : array of uint8, shape (n,)
        A :class:`dayfile.model.status.Status` for each.
    change : Change
        What to put where.
    """

    statuses: npt.NDArray[np.uint8]
    change: Change


class OpenTable(StoredTable, Protocol):
    """A table that a change is applied to."""

    def append(self, change: Change) -> None:
        """Append the rows of a change."""

    def modify(self, places: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> None:
        """Replace rows; ``places`` ascend."""


@dataclass(frozen=True)
class Problem:
    """A part of a declaration that the store does not allow.

    Parameters
    ----------
    word : str
        The word of the layout: ``period``, ``end``; empty for the type as a whole.
    message : str
        What is wrong.
    field : str
        Name of the field that it is about, or empty.
    """

    word: str
    message: str
    field: str = ""


@runtime_checkable
class Store(Protocol):
    """How a day file holds the records of a data type.

    A class of one's own that inherits from this one needs a ``name`` and :meth:`decide`; a plugin offers an instance
    by the hook ``stores``.

    Attributes
    ----------
    name : str
        What a layout says: ``store: append``.
    contends : bool
        Whether records contend for rows. Losers go to the overlap table, and sources are written in their order.
    sparse : bool
        Whether rows can be empty, all bytes 0x00; fields of new rows have no defaults then.
    """

    name: str
    contends: bool = False
    sparse: bool = False

    def decide(self, view: View, batch: Batch, order: npt.NDArray[np.int64], rules: Rules) -> Decision:
        """Decide the fate of records, without changing anything.

        Parameters
        ----------
        view : View
            The stored tables.
        batch : Batch
            Records of the data type and day, in the version of the table.
        order : array of int64, shape (len(batch),)
            Order in which the records were sent, over all tables of the day file.
        rules : Rules
            Settings of the run.
        """

    def apply(self, table: OpenTable, change: Change) -> None:
        """Make a change in the table (the overlap table gets its rows at the end of the batch)."""
        if change.places is None:
            table.append(change)
            return
        there = change.places < table.nrows
        if there.any():
            table.modify(change.places[there], change.rows[there] if not there.all() else change.rows)
        if not there.all():
            table.append(Change(change.rows[~there]))

    def overlay(self, rows: npt.NDArray[Any], changes: Iterable[Change]) -> npt.NDArray[Any]:
        """Make changes, in order, in rows that were read: all rows of the table.

        Returns
        -------
        structured array
            The rows as they would be in the table; ``rows`` itself is not changed.
        """
        for change in changes:
            places = np.arange(len(change.rows)) + len(rows) if change.places is None else change.places
            longer = np.zeros(max(len(rows), int(places.max(initial=-1)) + 1), rows.dtype)
            longer[: len(rows)] = rows
            longer[places] = change.rows
            rows = longer
        return rows

    def split(self, view: View, batch: Batch, block_bytes: int) -> Iterator[npt.NDArray[np.int64]]:  # noqa: ARG002
        """Split a batch into parts that are decided one after another: yield the indexes of the records of each.

        Where a decision reads all rows between its records, the parts keep that below ``block_bytes``.
        """
        yield np.arange(len(batch))

    def find_problem(self, data_type: DataType) -> Problem | None:
        """Find a part of a data type that the store does not allow."""
        if self.contends and data_type.blob_fields:
            message = f"a type with 'store: {self.name}' has no blobs, as its overlap table has none"
            return Problem("blob", message, data_type.blob_fields[0])
        return Problem("period", PERIOD) if data_type.period else None

    def count_rows(self, data_type: DataType, day: np.datetime64) -> int:  # noqa: ARG002
        """Return the number of rows that the table of a day is created with."""
        return 0

    def find_held(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find the rows, shape (n,), that hold a record."""
        return np.ones(len(rows), bool)

    def list_held_fields(self, data_type: DataType) -> tuple[str, ...]:
        """Return the names of the fields from which :meth:`find_held` can be answered: by default all."""
        return data_type.dtype.names or ()

    def conform(self, rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
        """Convert rows of an older version of a data type to this version."""
        return data_type.conform(rows)

    def find_misplaced(
        self,
        rows: npt.NDArray[Any],  # noqa: ARG002
        first: int,  # noqa: ARG002
        data_type: DataType,  # noqa: ARG002
        start: float,  # noqa: ARG002
    ) -> npt.NDArray[np.int64]:
        """Find rows that hold a record of another row; ``first`` is the index in the table of the first of ``rows``."""
        return np.zeros(0, np.int64)
