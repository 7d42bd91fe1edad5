"""Putting: write records of a program into day files, with a status for each; see :class:`dayfile.api.Archive`."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue_rows import make_key_of
from dayfile.archive.records import Records
from dayfile.archive.sources import store_source
from dayfile.engine.converting import convert
from dayfile.engine.pieces import merge_batches
from dayfile.engine.run import Run
from dayfile.errors import HeldError, PluginError, RecordError, UsageError
from dayfile.messages import plural, suggest
from dayfile.model.batch import Batch, Rejected, Source
from dayfile.model.datatype import DataType
from dayfile.model.status import Status

__all__ = ["PUBLISH_BYTES", "Putting"]

PUBLISH_BYTES = 64 * 2**20
"""Bytes of records that a putting holds in memory before it publishes them."""

logger = logging.getLogger(__name__)


@dataclass
class Sent:
    """Records of one form of a type, with the same keys, that were put and not yet published: a source in the making.

    Attributes
    ----------
    batches : list of Batch
        The records.
    number : int
        How many records there are.
    counts : dict of str to int
        How many belong to each day file.
    """

    form: DataType
    batches: list[Batch] = field(default_factory=list)
    number: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, batch: Batch) -> Batch:
        """Add records, and return them with the numbers that they have in the source."""
        batch = replace(batch, numbers=np.arange(self.number, self.number + len(batch)))
        self.batches.append(batch)
        self.number += len(batch)
        return batch


class Putting:
    """A series of puts; :meth:`dayfile.api.Archive.putting` starts and closes it.

    Parameters
    ----------
    run : Run
        The run, which holds the archive's lock.
    publish_bytes : int
        Bytes of records to hold in memory before they are published.
    """

    def __init__(self, run: Run, publish_bytes: int = PUBLISH_BYTES) -> None:
        self.run = run
        self.publish_bytes = publish_bytes
        self.pipeline = run.pipeline
        self.sent: dict[Hashable, Sent] = {}
        self.last: Hashable = None  # type, in its version, and keys of the last records with blobs
        self.turns = 0
        self.judged: dict[str, dict[np.datetime64, bool]] = {}  # days by type, and whether each was new
        self.waiting = 0
        self.process = os.getpid()
        self.owner: dict[str, int] = {}
        self.busy = threading.Lock()
        self.closed = False

    def __call__(
        self,
        data_type: str,
        records: Records | npt.ArrayLike,
        *,
        blobs: Mapping[str, npt.ArrayLike] | None = None,
        **keys: object,
    ) -> npt.NDArray[np.uint8]:
        """Put records and return a status for each; see :meth:`dayfile.api.Archive.put`.

        Raises
        ------
        UsageError
            Called from a fork, from another thread than before, or after it was closed; nothing is put.
        """
        if os.getpid() != self.process:
            raise UsageError(f"this putting() belongs to process {self.process}, not to a fork of it; nothing was put")
        me = threading.get_ident()
        if self.owner.setdefault("thread", me) != me:
            message = "this putting() belongs to the thread that called it first; nothing was put. Use a queue for it"
            raise UsageError(message)
        with self.busy:
            if self.closed:
                raise UsageError("this putting() has ended; nothing was put")
            declared = self._find_type(data_type)
            form, batch = convert(records, declared, keys, blobs, self.pipeline.plugins.complete_keys)
            return self._put(declared, form, batch)

    def close(self) -> None:
        """Publish what was put, after a call in progress has ended; in a fork, do nothing."""
        if os.getpid() == self.process:
            with self.busy:
                self.closed = True
                self.publish()

    def _find_type(self, name: str) -> DataType:
        """Find a data type by its name; UsageError if no plugin has it."""
        plugins = self.pipeline.plugins
        if name not in plugins.data_types:
            hint = suggest(name, plugins.data_types)
            failed = "".join(f"; {failure.message}" for failure in plugins.failures)
            raise UsageError(f"no installed plugin has the data type {name!r}{hint}{failed}")
        return plugins.data_types[name]

    def _put(self, declared: DataType, form: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Write the records that can be archived, and quarantine the others; return a status for each."""
        plugins, blob_fields = self.pipeline.plugins, form.blob_fields
        good, reasons = judge(batch.records, declared, time.time())
        sound = batch.select(good, blob_fields)
        plugins.encode(form, sound.records, sound.keys, sound.blobs)  # a plugin that fails must do so now
        dates = declared.clock.days(declared.count(sound.records))
        days = np.unique(dates)
        self._limit(declared, days)
        # All work files are opened before any is written, so that an error changes none.
        for day in days:
            self.pipeline.day_files.open(self.pipeline.decoder.locate(declared, day), day, declared.name)
        for numbers, reason in reasons:
            self._reject(form, batch, numbers, reason)
        sent = self._find_sent(form, batch)
        sound = sent.add(sound)
        written = np.empty(len(sound), np.uint8)
        for day in days:
            these = dates == day
            path = self.pipeline.decoder.locate(declared, day)
            work_file = self.pipeline.day_files.open(path, day, declared.name)
            if path not in sent.counts:
                work_file.begin()
            written[these] = plugins.write(work_file, declared, sound.select(these, blob_fields))
            sent.counts[path] = sent.counts.get(path, 0) + int(these.sum())
        if days.size:
            key = make_key_of(declared, sound.keys)
            self.run.recorder.keys.note(declared.name, key, arrival=time.time_ns())
        statuses = np.full(len(batch), Status.REJECTED, np.uint8)
        statuses[good] = written
        self.waiting += batch.records.nbytes + sum(map(len, batch.blobs.values))
        if self.waiting > self.publish_bytes:
            self.publish()
        return statuses

    def _find_sent(self, form: DataType, batch: Batch) -> Sent:
        """Find the source that records are added to.

        Records with blobs begin a new one whenever type or keys change, because a day file has blobs in the order of
        sources: so it can be rebuilt as it is.
        """
        key: Hashable = (form, *batch.keys.items())
        if form.blob_fields:
            if key != self.last:
                self.last, self.turns = key, self.turns + 1
            key = (key, self.turns)
        return self.sent.setdefault(key, Sent(form))

    def _limit(self, data_type: DataType, days: npt.NDArray[np.datetime64]) -> None:
        """Raise a UsageError if the records, with those put before, have too many new days."""
        judged = self.judged.setdefault(data_type.name, {})
        others = np.array([day for day in days if day not in judged], "datetime64[D]")
        if not len(others):
            return
        limit, locate = self.pipeline.new_days, self.pipeline.decoder.locate
        problem = limit.find_problem(data_type, others, locate, sum(judged.values()))
        if problem:
            raise UsageError(f"{problem}; nothing of this was put")
        judged.update((day, limit.is_new(data_type, day, locate)) for day in others)

    def _reject(self, form: DataType, batch: Batch, numbers: npt.NDArray[np.int64], reason: str) -> None:
        """Quarantine records."""
        bad = batch.select(np.isin(batch.numbers, numbers), form.blob_fields)
        name, content = self.pipeline.plugins.encode(form, bad.records, bad.keys, bad.blobs)
        error = RecordError.__name__
        rejected = Rejected(form.instrument, form.code, reason, error, tuple(numbers.tolist()), name, content)
        self.pipeline.quarantine_rejected(Source(Path(name), name, content), [rejected])
        logger.warning("%s: %s put in quarantine: %s", form.name, plural(len(numbers), "record"), reason)

    def publish(self) -> None:
        """Publish what was put, with an entry in the ledgers for the records of each type."""
        failures = []
        for sent in self.sent.values():
            try:
                self._enter(sent)
            except PluginError as error:  # the records are published without a source
                failures.append(error)
        self.sent, self.waiting, self.last = {}, 0, None
        self.run.publish()
        for setback in self.run.setbacks.values():
            raise HeldError(setback.reason)
        for failure in failures:
            raise failure

    def _enter(self, sent: Sent) -> None:
        """Enter the records of a type into the ledgers of their day files, as a source."""
        whole = merge_batches(sent.batches, [0] * len(sent.batches), sent.form.blob_fields)
        name, content = self.pipeline.plugins.encode(sent.form, whole.records, whole.keys, whole.blobs)
        source = Source(Path(name), name, content)
        work_files = {path: self.pipeline.day_files.work_files[path] for path in sent.counts}
        for path, work_file in work_files.items():
            if work_file.find_name(source) is None:
                work_file.enter(source, sent.counts[path])
        if self.pipeline.settings.core.sources_keep == "always":
            store_source(self.run.root, source, [work_file.day for work_file in work_files.values()])


def judge(
    records: npt.NDArray[Any], data_type: DataType, arrived: float
) -> tuple[npt.NDArray[np.bool_], list[tuple[npt.NDArray[np.int64], str]]]:
    """Judge which records can be archived, shape (n,); return also the indexes of the others, with reasons."""
    good = data_type.timed(records)
    reasons = []
    if not good.all():
        reasons.append((np.flatnonzero(~good), data_type.why_untimed(records[~good])))
    plausible, clock = data_type.plausible, data_type.clock
    if plausible is not None:
        outside = good & plausible.outside(data_type.stamps(records), clock, plausible.last(clock, arrived))
        if outside.any():
            reason = plausible.why(data_type.stamps(records[outside]), clock, arrived)
            reasons.append((np.flatnonzero(outside), reason))
            good &= ~outside
    return good, reasons
