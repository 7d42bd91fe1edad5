"""A work file: the day file that is being written, from the copy of the published one to its replacement."""

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
from dayfile.archive.digests import Digest, sha256_of, version_of
from dayfile.archive.forks import keep_from_forks
from dayfile.archive.opening import check_link, follow_link, hdf5_errors, naming_trouble, open_day_file
from dayfile.archive.survey import NodeSummary, survey, verify
from dayfile.archive.work_tables import WorkTables
from dayfile.errors import HeldError, StorageError
from dayfile.hdf5.files import open_file
from dayfile.hdf5.groups import allow_any_names
from dayfile.model.batch import SOURCE_STEP, Batch, Origin
from dayfile.model.datatype import DataType
from dayfile.stores.base import OnConflict, Rules
from dayfile.stores.declarations import TypeFinder, read_data_type
from dayfile.stores.ledger import Ledger, LedgerEntry, make_empty_day_file, shorten_name

__all__ = ["WorkFile"]

# Records wait in memory until this many bytes of them make a write worth while.
WAITING_BYTES = 4 * 2**20

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
        told: TypeFinder = read_data_type,
        taken: bool = False,
    ) -> None:
        self.published = published
        self.path = path
        self.rules = Rules(on_conflict, keep_duplicates)
        self.told = told
        self.target = follow_link(published)
        self.replaces = not from_published
        self.before = version_of(published)
        self.base = published if from_published and self.before else None
        self.ledger = self._published_ledger(day, taken=taken)
        self.base_size = self.base.stat().st_size if self.base else 0
        self.handle: tables.File | None = None
        self.tables: WorkTables | None = None
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
        return None if entry is None else shorten_name(entry.name)

    def records_of(self, source: Origin) -> float:
        """How many records of a source it has by its ledger; infinite for one that is not in it."""
        entry = self.ledger.sources.get(source.sha256)
        return inf if entry is None else entry.records

    @property
    def rows(self) -> int:
        """Rows of which it keeps an index in memory, while it is open."""
        return 0 if self.tables is None else self.tables.indexed_rows

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
                found = self._open().find(data_type, batch.keys, batch.records.dtype)
                batch = replace(batch, records=found.data_type.conform(batch.records))
                statuses = found.write(batch, batch.numbers + self.first_source * SOURCE_STEP)
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

    def _open(self) -> WorkTables:
        """The tables of the open file; it is made from the published one, or from an empty file, at first."""
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
        with allow_any_names(), hdf5_errors("open", self.path):
            disk.step("open", self.path)
            self.handle = keep_from_forks(open_file(self.path, "a"))
        self.tables = WorkTables(self.handle, self.published, self.ledger, self.rules, new=self.base is None)
        return self.tables

    def flush(self) -> None:
        """Hand what waits in memory to HDF5."""
        with hdf5_errors("write", self.path):
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
        with hdf5_errors("write", self.path):
            disk.step("write", self.path)
            self.ledger.write(found.file)
            found.close()
            found.file.close()
            disk.begin_sync(self.path)
        self.handle = self.tables = None

    def abandon(self) -> None:
        """Close the file after a failure; what is in the workshop is nobody's any more."""
        # Closing may fail as writing did, and there is nothing left to lose.
        for each in (self.tables, self.handle):
            if each is not None:
                with suppress(tables.HDF5ExtError, OSError):
                    each.close()
        self.handle = self.tables = None

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
