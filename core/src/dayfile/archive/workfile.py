"""A work file: a day file that is being written, from the copy of the published one to its replacement."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tables

from dayfile.archive import disk
from dayfile.archive.digests import Digest, hash_file, read_version
from dayfile.archive.forks import protect_from_forks
from dayfile.archive.opening import check_link, convert_hdf5_errors, follow_link, name_trouble, open_day_file
from dayfile.archive.survey import NodeSummary, survey, verify
from dayfile.archive.work_tables import WorkTables
from dayfile.errors import HeldError, StorageError
from dayfile.hdf5.files import open_file
from dayfile.hdf5.groups import allow_any_names
from dayfile.model.batch import SOURCE_STEP, Batch, Origin
from dayfile.model.datatype import DataType
from dayfile.model.status import Status
from dayfile.stores.base import OnConflict, Rules
from dayfile.stores.declarations import TypeFinder, read_data_type
from dayfile.stores.ledger import Ledger, LedgerEntry, make_empty_day_file, shorten_name

__all__ = ["WorkFile"]

# Records wait in memory until they have this many bytes, so that writes are large.
WAITING_BYTES = 4 * 2**20

WriteResult = tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint8]]


class WorkFile:
    """One day file in the making.

    It starts as a copy of the published file, or as a new one, is written in the workshop without care for crashes,
    and replaces the published file in one step after everything in it has been read back.

    Parameters
    ----------
    published : Path
        Path of the day file.
    path : Path
        Path of the work file.
    day : numpy.datetime64
        The UTC day it holds, if the published file does not declare it.
    keep_duplicates : bool
        Whether the append store stores records again that it holds already.
    on_conflict : {'overlap', 'replace', 'keep'}
        Which record keeps a contested slot.
    from_published : bool
        False to make a new day file, whatever the published one holds.
    find_type : callable
        Returns the data type of a table, also of a foreign one.
    taken : bool
        Whether the published file was accepted as it is: then its ledger is not relied upon.

    Attributes
    ----------
    answers : list of (str, array, array)
        Results of :meth:`write`, to compare with those of a hook: name of the data type, numbers of the records and
        their statuses. The reader removes them.
    arrivals : list of int
        When the sources that were entered had arrived, nanoseconds since 1970.
    grown : int
        Bytes that were written to it.
    since, written : float
        When records were first and last written to it, by the monotonic clock.
    opening : float
        Seconds that it took to copy, open and index the published file.
    added : int
        Number of records that were written to it and that it did not have.
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
        find_type: TypeFinder = read_data_type,
        taken: bool = False,
    ) -> None:
        self.published = published
        self.path = path
        self.rules = Rules(on_conflict, keep_duplicates)
        self.find_type = find_type
        self.target = follow_link(published)
        self.replaces = not from_published
        self.before = read_version(published)
        self.base = published if from_published and self.before else None
        self.ledger = self._read_published_ledger(day, taken=taken)
        self.base_size = self.base.stat().st_size if self.base else 0
        self.handle: tables.File | None = None
        self.tables: WorkTables | None = None
        self.sources = self.first_source = 0
        self.answers: list[WriteResult] = []
        self.arrivals: list[int] = []
        self.failed: StorageError | None = None  # since a caller last set it to None
        self.waiting = self.grown = self.added = 0
        self.since = self.written = time.monotonic()
        self.opening = 0.0

    def _read_published_ledger(self, day: np.datetime64, *, taken: bool) -> Ledger:
        if self.base is None:
            return Ledger(str(day))
        with name_trouble(self.base):
            disk.step("open", self.base)
        with open_day_file(self.base) as file:
            ledger = Ledger.read(file)
            if taken:
                found = {summary.path: (summary.rows, summary.checksum) for summary in survey(file, self.find_type)}
                ledger.checksums = {node: found[node] for node in ledger.checksums if node in found}
        # A foreign day file has no ledger with its day.
        ledger.day = ledger.day or str(day)
        return ledger

    @property
    def day(self) -> np.datetime64:
        """Return the UTC day it holds."""
        return np.datetime64(self.ledger.day, "D")

    def find_name(self, source: Origin) -> str | None:
        """Find the name under which the day file has the records of a source; None if it does not have them."""
        entry = self.ledger.sources.get(source.sha256)
        return None if entry is None else shorten_name(entry.name)

    def count_records(self, source: Origin) -> float:
        """Return the number of records of a source by the ledger; infinite for a source that is not in it."""
        entry = self.ledger.sources.get(source.sha256)
        return inf if entry is None else entry.records

    @property
    def rows(self) -> int:
        """Return the number of rows that are indexed in memory, while it is open."""
        return 0 if self.tables is None else self.tables.indexed_rows

    @property
    def changed(self) -> bool:
        """Return whether it has anything to publish: a copy to which no record was written is not new."""
        return self.grown > 0

    def begin(self, sources: int = 1) -> None:
        """Start the next n sources. Must precede :meth:`write`."""
        self.first_source = self.sources
        self.sources += sources

    def write(self, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Write records of this day to the store of their data type.

        Parameters
        ----------
        data_type : DataType
            Type of the records.
        batch : Batch
            Records of this day.

        Returns
        -------
        array of uint8, shape (len(batch),)
            A status per record: 0 written, 1 slot taken by another record, 2 slot in conflict, 3 identical.
        """
        closed, began = self.tables is None, time.monotonic()
        try:
            with convert_hdf5_errors("write", self.path):
                found = self._open().find(data_type, batch.keys, batch.records.dtype)
                batch = replace(batch, records=found.data_type.conform(batch.records))
                statuses = found.write(batch, batch.numbers + self.first_source * SOURCE_STEP)
            self.answers.append((data_type.name, batch.numbers, statuses))
            self.added += int((statuses != Status.IDENTICAL).sum())
            size = batch.records.nbytes + sum(map(len, batch.blobs.values))
            self.written = time.monotonic()
            self.since = self.since if self.changed else self.written
            self.opening += self.written - began if closed else 0.0
            self.waiting += size
            self.grown += size
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
        if source.arrived:
            self.arrivals.append(round(source.arrived * 1e9))

    def _open(self) -> WorkTables:
        """Return the tables of the open file; make it from the published one, or from an empty file, at first."""
        if self.tables is not None:
            return self.tables
        if not self.path.exists():
            if self.base is not None:
                disk.copy(self.base, self.path)
            else:
                with disk.storage_errors("write", self.path):
                    disk.step("write", self.path)
                    self.path.write_bytes(make_empty_day_file())
        return self._reopen()

    def _reopen(self) -> WorkTables:
        """Open the work file as it is in the workshop."""
        with allow_any_names(), convert_hdf5_errors("open", self.path):
            disk.step("open", self.path)
            self.handle = protect_from_forks(open_file(self.path, "a"))
        self.tables = WorkTables(self.handle, self.published, self.ledger, self.rules, new=self.base is None)
        return self.tables

    def flush(self) -> None:
        """Pass waiting records to HDF5."""
        with convert_hdf5_errors("write", self.path):
            disk.step("write", self.path)
            if self.tables is not None:
                self.tables.flush()
        self.waiting = 0

    def close(self) -> None:
        """Flush, bring the ledger up to date and close; the next write opens the file again."""
        if self.handle is None and not (self.ledger.fresh and self.path.exists()):
            return
        found = self.tables or self._reopen()  # sources may have been entered after it was closed
        self.flush()
        self.ledger.checksums.update(found.paths)
        with convert_hdf5_errors("write", self.path):
            disk.step("write", self.path)
            self.ledger.write(found.file)
            found.close()
            found.file.close()
            disk.begin_sync(self.path)
        self.handle = self.tables = None

    def abandon(self) -> None:
        """Close the file after a failure, and leave its remains in the workshop."""
        # Closing may fail as writing did, and there is nothing left to lose.
        for each in (self.tables, self.handle):
            if each is not None:
                with suppress(tables.HDF5ExtError, OSError):
                    each.close()
        self.handle = self.tables = None

    def publish(self) -> tuple[list[NodeSummary], Digest]:
        """Close, read everything back, and put the file in place of the published one.

        It gets the mode, group and owner of that one, as far as this user may set them; no extended attributes and no
        access control list. If the published path is a link, the link stays and its target is replaced.

        Returns
        -------
        (list of NodeSummary, Digest)
            The new content of the day file, and its digest.

        Raises
        ------
        HeldError
            The published file is not the one that this one started from.
        StorageError
            The file does not hold what was written to it, or could not be put in place. The published file is
            unchanged.
        """
        self.close()
        disk.make_directory(self.published.parent)
        check_link(self.published, self.target)
        self.path = disk.bring_near(self.path, self.target)
        with disk.storage_errors("open", self.path):
            disk.step("open", self.path)
        summaries = verify(self.path, self.ledger.checksums, self.find_type)
        # Programs that search for recently changed files must see this one as changed now, not earlier.
        with disk.storage_errors("set the time of", self.path):
            os.utime(self.path)
        disk.sync(self.path)
        sha256 = hash_file(self.path)
        if not self.replaces and read_version(self.published) != self.before:
            message = "was put in place, replaced or changed while records were added to it; input is left in place"
            raise HeldError(message, where=self.published)
        disk.replace(self.path, self.target)
        return summaries, Digest.of(self.published, sha256)
