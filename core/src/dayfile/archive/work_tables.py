"""Find or make, and write, the tables and arrays of an open work file."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import tables

from dayfile.archive.opening import REMEDY
from dayfile.archive.survey import survey_blobs, survey_table
from dayfile.errors import LayoutError, StorageError
from dayfile.hdf5.groups import is_group
from dayfile.hdf5.links import link_exists
from dayfile.hdf5.rows import Table, open_table
from dayfile.hdf5.vlen import VlenArray, open_vlen_array
from dayfile.messages import plural
from dayfile.model.datatype import DataType
from dayfile.model.places import OVERLAP_SUFFIX
from dayfile.stores.base import Rules, Store
from dayfile.stores.blobs import BlobArray
from dayfile.stores.checksums import sum_hashes
from dayfile.stores.declarations import read_data_type, write_attributes
from dayfile.stores.ledger import Ledger
from dayfile.stores.making import make_table, make_values
from dayfile.stores.nodes import Keys, fill_path
from dayfile.stores.registry import find_store
from dayfile.stores.tables import TypeTables
from dayfile.stores.widening import widen
from dayfile.stores.written import WrittenTable

__all__ = ["WorkTables"]


class WorkTables:
    """The tables of a work file, each opened when it is first written to.

    Parameters
    ----------
    file : tables.File
        Open for writing; it is closed after this object.
    published : Path
        Path of the day file, for messages.
    ledger : Ledger
        The ledger when the file was opened.
    rules : Rules
        Settings of the run.
    new : bool
        Whether the day file did not exist before.
    """

    def __init__(self, file: tables.File, published: Path, ledger: Ledger, rules: Rules, *, new: bool) -> None:
        self.file = file
        self.published = published
        self.ledger = ledger
        self.rules = rules
        self.new = new
        self.day = np.datetime64(ledger.day, "D")
        self.tables: dict[str, TypeTables] = {}
        self.blobs: dict[str, BlobArray] = {}
        self.closing = ExitStack()

    @property
    def indexed_rows(self) -> int:
        """Return the number of rows that are indexed in memory."""
        return sum(found.indexed_rows for found in self.tables.values())

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Return the rows and checksum that the nodes must have, by path."""
        return {path: node for found in self.tables.values() for path, node in found.paths.items()}

    def flush(self) -> None:
        """Pass waiting rows and blobs to HDF5."""
        for found in self.tables.values():
            found.flush()
        for blobs in self.blobs.values():
            blobs.restart()

    def close(self) -> None:
        """Close tables and arrays; waiting rows are lost."""
        self.closing.close()

    def find(self, data_type: DataType, keys: Keys, dtype: np.dtype[np.void]) -> TypeTables:
        """Find the tables for records of a data type with these keys and this dtype; make them if missing.

        A table has the fields that the type had when it was made; records with more fields widen it.
        """
        path = fill_path(data_type.placement.node.path, keys)
        form = next(form for form in data_type.forms if form.dtype == dtype)
        if path in self.tables:
            self._check_owner(path, self.tables[path].data_type.name, data_type)
        if path not in self.tables or len(self.tables[path].data_type.fields) < len(form.fields):
            file = self.file
            self._check_groups(file, path)
            made = not link_exists(file, path)
            store = find_store(form.placement.store)
            rows = store.count_rows(form, self.day) if made else 0
            table = make_table(file, path, form, keys, rows=rows) if made else open_table(file, path)
            self.closing.callback(table.close)
            owner = None if made else read_data_type(table)
            if owner is not None:
                self._check_owner(path, owner.name, data_type)
            there = next((known for known in data_type.forms if known.dtype == table.dtype), None)
            if there is None:
                written = table.attributes(("layout",)).get("layout", "another program")
                message = f"{path} has other fields: it was written by layout {written}, this is {data_type.layout}"
                raise LayoutError(message, where=self.published)
            if len(there.fields) < len(form.fields):
                self.flush()
                table, there = self._widen(file, path, form, keys), form
            elif not made and owner is None:
                write_attributes(file.get_node(path), there)  # of a foreign day file
            self.tables[path] = self._make_tables(store, table, there, keys, made=made)
        return self.tables[path]

    def _check_groups(self, file: tables.File, path: str) -> None:
        """Raise LayoutError where a table or an array is in the place of a group."""
        parts = path.strip("/").split("/")
        for end in range(1, len(parts)):
            above = "/" + "/".join(parts[:end])
            if link_exists(file, above) and not is_group(file, above):
                raise LayoutError(f"{path} would be below {above}, which is not a group", where=self.published)

    def _check_owner(self, path: str, owner: str, data_type: DataType) -> None:
        """Raise LayoutError for records of another data type than the one that the table declares."""
        if owner != data_type.name:
            message = f"{path} is the table of {owner}; records of {data_type.name} need a path or node of their own"
            raise LayoutError(message, where=self.published)

    def _make_tables(self, store: Store, table: Table, data_type: DataType, keys: Keys, *, made: bool) -> TypeTables:
        """Make the object that writes a table and its overlap table."""
        blobs = self._open_blob_array(data_type, keys) if data_type.placement.node.blobs else None
        indexed = not store.contends and not self.rules.keep_duplicates
        empty_from = 0 if made else None
        written = WrittenTable(
            table, data_type, blobs, self._find_checksum(table), indexed=indexed, empty_from=empty_from
        )
        path = f"{table.path}{OVERLAP_SUFFIX}"
        make = partial(self._open_overlap, path, data_type, keys)
        there = make() if store.contends and link_exists(self.file, path) else None
        return TypeTables(store, written, data_type.clock.day_start(self.day), self.rules, there, make)

    def _widen(self, file: tables.File, path: str, form: DataType, keys: Keys) -> Table:
        """Add the fields of a later version to the table at a path, and to its overlap table."""
        for each in (f"{path}{OVERLAP_SUFFIX}", path):
            if link_exists(file, each):
                table = widen(file, each, form, keys)
                self.closing.callback(table.close)
                self.ledger.checksums[each] = table.nrows, survey_table(table).checksum
        return table

    def _open_overlap(self, path: str, data_type: DataType, keys: Keys) -> WrittenTable:
        if link_exists(self.file, path):
            table = open_table(self.file, path)
            self._check_overlap(table, data_type)
        else:
            title = f"{data_type.title}: records that contended for a slot"
            table = make_table(self.file, path, data_type.stored_as("append", title), keys)
        self.closing.callback(table.close)
        return WrittenTable(table, data_type, None, self._find_checksum(table))

    def _check_overlap(self, table: Table, data_type: DataType) -> None:
        """Raise LayoutError for an overlap table of another data type, or with other fields."""
        owner = read_data_type(table)
        if owner is not None:
            self._check_owner(table.path, owner.name, data_type)
        if table.dtype != data_type.dtype:
            table.close()
            raise LayoutError(f"{table.path} has other fields than {data_type.name}", where=self.published)

    def _open_blob_array(self, data_type: DataType, keys: Keys) -> BlobArray:
        path = fill_path(data_type.placement.node.blobs, keys)
        if path not in self.blobs:
            there = link_exists(self.file, path)
            array = open_vlen_array(self.file, path) if there else make_values(self.file, path, data_type, keys)
            self.closing.callback(array.close)
            self.blobs[path] = BlobArray(array, self._find_checksum(array))
        return self.blobs[path]

    def _find_checksum(self, node: Table | VlenArray) -> int:
        """Find the checksum of a node: from the ledger, or by reading the node if the ledger lacks it.

        The foreign program that made a file may have appended to it since: then it has more rows than in the ledger,
        which are accepted.
        """
        if self.new and node.path not in self.ledger.checksums:  # just made: rows of zero bytes have the hash 0
            return sum_hashes(np.zeros(node.nrows, np.uint64), 0)
        rows, checksum = self.ledger.checksums.get(node.path, (-1, 0))
        if rows == node.nrows:
            return checksum
        if rows > node.nrows:
            message = f"{node.path} has {plural(node.nrows, 'row')}, and {rows} by its ledger; {REMEDY}"
            raise StorageError(message, where=self.published)
        return (survey_blobs(node) if isinstance(node, VlenArray) else survey_table(node)).checksum
