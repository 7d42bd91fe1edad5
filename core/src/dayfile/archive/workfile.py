"""A work file: the day file that is being written, from the copy of the published one to its replacement."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tables

from dayfile.archive import disk
from dayfile.archive.digests import Digest, sha256_of, version_of
from dayfile.archive.forks import keep_from_forks
from dayfile.archive.opening import REMEDY, check_link, follow_link, hdf5_errors, naming_trouble, open_day_file
from dayfile.archive.survey import NodeSummary, survey, survey_blobs, survey_table, verify
from dayfile.errors import HeldError, LayoutError, StorageError
from dayfile.hdf5.files import open_file
from dayfile.hdf5.groups import allow_any_names, is_group
from dayfile.hdf5.links import link_exists
from dayfile.hdf5.rows import Table, open_table
from dayfile.hdf5.vlen import VlenArray, open_vlen_array
from dayfile.messages import plural
from dayfile.model.batch import SOURCE_STEP, Batch, Origin
from dayfile.model.datatype import DataType
from dayfile.stores.append import AppendTable
from dayfile.stores.blobs import BlobArray
from dayfile.stores.checksums import place_sum
from dayfile.stores.declarations import Told, data_type_of, tell
from dayfile.stores.ledger import Ledger, LedgerEntry, empty_day_file, stored_name
from dayfile.stores.making import make_table, make_values
from dayfile.stores.nodes import Keys, fill
from dayfile.stores.slots import OnConflict, SlotTable
from dayfile.stores.widening import widen

__all__ = ["WorkFile"]

# Records wait in memory until this many bytes of them make a write worth while.
WAITING_BYTES = 4 * 2**20

Store = AppendTable | SlotTable
Answer = tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint8]]


class WorkFile:
    """One day file in the making.

    It starts as a copy of the published file, or as a new one, is written in the workshop without care for crashes,
    and becomes the published file in one step after everything in it has been read back.

    Parameters
    ----------
    published : Path
        Where the day file stands, or will.
    path : Path
        Where the work file goes.
    day : numpy.datetime64
        The UTC day it holds, if the published file does not tell it.
    keep_duplicates : bool
        Whether the append store keeps records that it holds already.
    on_conflict : {'overlap', 'replace', 'keep'}
        What a record does that finds other bytes in its slot.
    from_published : bool
        False to make the day file anew, whatever the published one holds.
    told : callable
        Tells the data type of a table, also of one of other origin.
    taken : bool
        Whether the published file was taken as it is: what its ledger says of tables is not relied upon then.

    Attributes
    ----------
    answers : list of (str, array, array)
        What :meth:`write` answered, for whoever compares it with what a hook says: name of the data type, numbers of
        the records and their statuses. Whoever looks at them removes them.
    """

    def __init__(
        self,
        published: Path,
        path: Path,
        day: np.datetime64,
        *,
        keep_duplicates: bool = False,
        on_conflict: OnConflict = "overlap",
        from_published: bool = True,
        told: Told = data_type_of,
        taken: bool = False,
    ) -> None:
        self.published = published
        self.path = path
        self.keep_duplicates = keep_duplicates
        self.on_conflict = on_conflict
        self.told = told
        self.target = follow_link(published)
        self.replaces = not from_published
        self.before = version_of(published)
        self.base = published if from_published and self.before else None
        self.ledger = self._published_ledger(day, taken=taken)
        self.base_size = self.base.stat().st_size if self.base else 0
        self.handle: tables.File | None = None
        self.stores: dict[str, Store] = {}
        self.blobs: dict[str, BlobArray] = {}
        self.closing = ExitStack()  # tables and arrays, before the file
        self.sources = self.first_source = 0
        self.answers: list[Answer] = []
        self.failed: StorageError | None = None  # since a caller last set it to None
        self.waiting = self.grown = 0
        self.written = time.monotonic()

    def _published_ledger(self, day: np.datetime64, *, taken: bool) -> Ledger:
        if self.base is None:
            return Ledger(str(day))
        with naming_trouble(self.base):
            disk.step("open", self.base)
        with open_day_file(self.base) as file:
            ledger = Ledger.read(file)
            if taken:
                found = {summary.path: (summary.rows, summary.checksum) for summary in survey(file, self.told)}
                ledger.checksums = {node: found[node] for node in ledger.checksums if node in found}
        # A day file of other origin has no ledger that could tell its day.
        ledger.day = ledger.day or str(day)
        return ledger

    @property
    def day(self) -> np.datetime64:
        """The UTC day it holds."""
        return np.datetime64(self.ledger.day, "D")

    def name_of(self, source: Origin) -> str | None:
        """The name under which the day file has the records of a source already; None if it does not have them."""
        entry = self.ledger.sources.get(source.sha256)
        return None if entry is None else stored_name(entry.name)

    def records_of(self, source: Origin) -> float:
        """How many records of a source it has by its ledger; infinite for one that is not in it."""
        entry = self.ledger.sources.get(source.sha256)
        return inf if entry is None else entry.records

    @property
    def rows(self) -> int:
        """Rows of which it keeps an index in memory, while it is open."""
        return sum(store.rows for store in self.stores.values() if isinstance(store, AppendTable))

    @property
    def changed(self) -> bool:
        """Whether there is anything to publish: a copy that no record could be written to is nothing new."""
        return self.grown > 0

    def due(self, quiet: float, growth: float) -> bool:
        """Whether to publish while more may come: quiet for so many seconds, or grown by a share of its size."""
        return self.changed and (
            time.monotonic() - self.written >= quiet or self.grown >= growth * max(self.base_size, 1)
        )

    def begin(self, sources: int = 1) -> None:
        """Tell that the records of so many further sources come next."""
        self.first_source = self.sources
        self.sources += sources

    def write(self, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Put records of this day where their data type's store has them.

        Parameters
        ----------
        data_type : DataType
            What they are.
        batch : Batch
            Records of this day.

        Returns
        -------
        array of uint8, shape (len(batch),)
            A status per record: 0 written, 1 slot taken by another, 2 slot in conflict, 3 identical.
        """
        try:
            with hdf5_errors("write", self.path):
                store = self.store(data_type, batch.keys, batch.records.dtype)
                batch = replace(batch, records=store.data_type.conform(batch.records))
                statuses = store.write(batch, batch.numbers + self.first_source * SOURCE_STEP)
            self.answers.append((data_type.name, batch.numbers, statuses))
            size = batch.records.nbytes + sum(map(len, batch.blobs.values))
            self.waiting += size
            self.grown += size
            self.written = time.monotonic()
            if self.waiting > WAITING_BYTES:
                self.flush()
        except StorageError as error:
            self.failed = error
            raise
        return statuses

    def enter(self, source: Origin, records: int) -> None:
        """Enter a source into the ledger, once all its records of this day are written."""
        now = int(time.time())
        self.ledger.add(LedgerEntry(source.sha256, source.name, source.size, records, now))

    def store(self, data_type: DataType, keys: Keys, dtype: np.dtype[np.void]) -> Store:
        """The store of a data type's records with these keys, with all the fields of a dtype.

        A table has the fields that the type had when it was made; when records come that have more, it gets those too.
        """
        path = fill(data_type.placement.node.path, keys)
        form = next(form for form in data_type.forms if form.dtype == dtype)
        if path in self.stores:
            self._check_owner(path, self.stores[path].data_type.name, data_type)
        if path not in self.stores or len(self.stores[path].data_type.fields) < len(form.fields):
            file = self._open()
            self._check_groups(file, path)
            made = not link_exists(file, path)
            slots = form.slots(self.day) if made and form.placement.store == "slots" else 0
            table = make_table(file, path, form, keys, slots=slots) if made else open_table(file, path)
            self.closing.callback(table.close)
            owner = None if made else data_type_of(table)
            if owner is not None:
                self._check_owner(path, owner.name, data_type)
            there = next((known for known in data_type.forms if known.dtype == table.dtype), None)
            if there is None:
                written = table.attributes(("layout",)).get("layout", "another program")
                message = f"{path} has other fields: it was written by layout {written}, this is {data_type.layout}"
                raise LayoutError(message, where=self.published)
            if len(there.fields) < len(form.fields):
                self.flush()
                table, there = self._widened(file, path, form, keys), form
            elif not made and owner is None:
                tell(file.get_node(path), there)  # a day file of other origin
            self.stores[path] = self._store(file, table, there, keys, 0 if made else None)
        return self.stores[path]

    def _check_groups(self, file: tables.File, path: str) -> None:
        """LayoutError where a table or an array is in the place of a group."""
        parts = path.strip("/").split("/")
        for end in range(1, len(parts)):
            above = "/" + "/".join(parts[:end])
            if link_exists(file, above) and not is_group(file, above):
                raise LayoutError(f"{path} would be below {above}, which is not a group", where=self.published)

    def _check_owner(self, path: str, owner: str, data_type: DataType) -> None:
        """A table belongs to the data type that it says; LayoutError for records of another one."""
        if owner != data_type.name:
            message = f"{path} is the table of {owner}; records of {data_type.name} need a path or node of their own"
            raise LayoutError(message, where=self.published)

    def _store(self, file: tables.File, table: Table, data_type: DataType, keys: Keys, empty_from: int | None) -> Store:
        """The store that writes a table."""
        checksum = self._checksum(table)
        if data_type.placement.store == "slots":
            start = data_type.clock.day_start(self.day)
            path = f"{table.path}_overlap"
            make = partial(self._overlap, file, path, data_type, keys)
            there = make() if link_exists(file, path) else None
            return SlotTable(table, data_type, start, there, make, checksum, self.on_conflict, empty_from)
        blobs = self._blob_array(file, data_type, keys) if data_type.placement.node.blobs else None
        return AppendTable(table, data_type, blobs, checksum, keep_duplicates=self.keep_duplicates)

    def _widened(self, file: tables.File, path: str, form: DataType, keys: Keys) -> Table:
        """The table at a path, and its overlap table, with the fields of a later version."""
        for each in (f"{path}_overlap", path):
            if link_exists(file, each):
                table = widen(file, each, form, keys)
                self.closing.callback(table.close)
                self.ledger.checksums[each] = table.nrows, survey_table(table).checksum
        return table

    def _open(self) -> tables.File:
        """The open file; made from the published one, or from an empty file, at first."""
        if self.handle is None:
            if not self.path.exists():
                if self.base is not None:
                    disk.copy(self.base, self.path)
                else:
                    with disk.storage_errors("write", self.path):
                        disk.step("write", self.path)
                        self.path.write_bytes(empty_day_file())
            return self._reopen()
        return self.handle

    def _reopen(self) -> tables.File:
        """Open the work file as it stands in the workshop."""
        with allow_any_names(), hdf5_errors("open", self.path):
            disk.step("open", self.path)
            self.handle = keep_from_forks(open_file(self.path, "a"))
        return self.handle

    def _overlap(self, file: tables.File, path: str, data_type: DataType, keys: Keys) -> AppendTable:
        if link_exists(file, path):
            table = open_table(file, path)
            self._check_overlap(table, data_type)
        else:
            title = f"{data_type.title}: records that contended for a slot"
            table = make_table(file, path, data_type.stored_as("append", title), keys)
        self.closing.callback(table.close)
        return AppendTable(table, data_type, None, self._checksum(table))

    def _check_overlap(self, table: Table, data_type: DataType) -> None:
        """LayoutError for an overlap table that is of another data type, or has other fields."""
        owner = data_type_of(table)
        if owner is not None:
            self._check_owner(table.path, owner.name, data_type)
        if table.dtype != data_type.dtype:
            table.close()
            raise LayoutError(f"{table.path} has other fields than {data_type.name}", where=self.published)

    def _blob_array(self, file: tables.File, data_type: DataType, keys: Keys) -> BlobArray:
        path = fill(data_type.placement.node.blobs, keys)
        if path not in self.blobs:
            array = open_vlen_array(file, path) if link_exists(file, path) else make_values(file, path, data_type, keys)
            self.closing.callback(array.close)
            self.blobs[path] = BlobArray(array, self._checksum(array))
        return self.blobs[path]

    def _checksum(self, node: Table | VlenArray) -> int:
        """Checksum of a node as it stands: from the ledger, or read where the ledger does not know it.

        The program that a file came from may have gone on appending to it: then there are more rows than the ledger
        knows of, and they are taken as they are.
        """
        if (
            self.base is None and node.path not in self.ledger.checksums
        ):  # just made: rows of zero bytes have the hash 0
            return place_sum(np.zeros(node.nrows, np.uint64), 0)
        rows, checksum = self.ledger.checksums.get(node.path, (-1, 0))
        if rows == node.nrows:
            return checksum
        if rows > node.nrows:
            message = f"{node.path} has {plural(node.nrows, 'row')}, and {rows} by its ledger; {REMEDY}"
            raise StorageError(message, where=self.published)
        return (survey_blobs(node) if isinstance(node, VlenArray) else survey_table(node)).checksum

    def flush(self) -> None:
        """Hand what waits in memory to HDF5."""
        with hdf5_errors("write", self.path):
            disk.step("write", self.path)
            for store in self.stores.values():
                store.flush()
            for blobs in self.blobs.values():
                blobs.restart()
        self.waiting = 0

    def close(self) -> None:
        """Flush, bring the ledger up to date and close; the next write opens the file again."""
        if self.handle is None and not (self.ledger.fresh and self.path.exists()):
            return
        file = self.handle or self._reopen()  # sources may have been entered after it was closed
        self.flush()
        for store in self.stores.values():
            self.ledger.checksums.update(store.paths)
        with hdf5_errors("write", self.path):
            disk.step("write", self.path)
            self.ledger.write(file)
            self.closing.close()
            file.close()
            disk.begin_sync(self.path)
        self.handle, self.stores, self.blobs = None, {}, {}

    def abandon(self) -> None:
        """Let go of the file after a failure; what is in the workshop is nobody's any more."""
        if self.handle is not None:
            # Closing may fail as writing did, and there is nothing left to lose.
            with suppress(tables.HDF5ExtError, OSError):
                self.closing.close()
            with suppress(tables.HDF5ExtError, OSError):
                self.handle.close()
            self.handle, self.stores, self.blobs = None, {}, {}

    def publish(self) -> tuple[list[NodeSummary], Digest]:
        """Close, read everything back, and put the file in place of the published one.

        It gets the mode, group and owner of that one, as far as this user may give them; no extended attributes and no
        access control list. Where the published path is a link, the link stays and its target is replaced.

        Returns
        -------
        (list of NodeSummary, Digest)
            What the day file holds now, and its bytes.

        Raises
        ------
        HeldError
            The published file is not the one that this one began from.
        StorageError
            The file does not hold what was written to it, or could not be put in place. The published file is as it
            was.
        """
        self.close()
        disk.make_directory(self.published.parent)
        check_link(self.published, self.target)
        self.path = disk.bring_near(self.path, self.target)
        with disk.storage_errors("open", self.path):
            disk.step("open", self.path)
        summaries = verify(self.path, self.ledger.checksums, self.told)
        # Programs that look for files changed since their last look must see this one as changed now, not earlier.
        with disk.storage_errors("set the time of", self.path):
            os.utime(self.path)
        disk.sync(self.path)
        sha256 = sha256_of(self.path)
        if not self.replaces and version_of(self.published) != self.before:
            message = "was put in place, replaced or changed while records were added to it; input stays where it was"
            raise HeldError(message, where=self.published)
        disk.replace(self.path, self.target)
        return summaries, Digest.of(self.published, sha256)
