"""Putting: write records of a program into day files, with a status for each; see :class:`dayfile.api.Archive`."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.records import Records
from dayfile.archive.sources import store_source
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
    """Records of one form of a type that were put and not yet published, and how many belong to each day file."""

    form: DataType
    records: list[npt.NDArray[Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


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
        self.sent: dict[DataType, Sent] = {}
        self.judged: dict[str, dict[np.datetime64, bool]] = {}  # days by type, and whether each was new
        self.waiting = 0
        self.process = os.getpid()
        self.owner: dict[str, int] = {}
        self.busy = threading.Lock()
        self.closed = False

    def __call__(self, data_type: str, records: Records | npt.ArrayLike) -> npt.NDArray[np.uint8]:
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
            return self._put(data_type, records)

    def close(self) -> None:
        """Publish what was put, after a call in progress has ended; in a fork, do nothing."""
        if os.getpid() == self.process:
            with self.busy:
                self.closed = True
                self.publish()

    def _put(self, data_type: str, records: Records | npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Check records, write those that can be archived, and quarantine the others."""
        plugins = self.pipeline.plugins
        if data_type not in plugins.data_types:
            hint = suggest(data_type, plugins.data_types)
            failed = "".join(f"; {failure.message}" for failure in plugins.failures)
            raise UsageError(f"no installed plugin has the data type {data_type!r}{hint}{failed}")
        declared = plugins.data_types[data_type]
        if declared.placement.node.keys or any(field.blob for field in declared.fields):
            what = f"a {' and a '.join(declared.placement.node.keys)}" if declared.placement.node.keys else "blobs"
            message = f"records of {data_type} cannot be put, only archived from sources: they need {what}"
            raise UsageError(message)
        form, given = convert_records(records, declared)
        good, reasons = judge(given, declared, time.time())
        plugins.encode(form, given[good])  # refuses types that cannot be put, before anything is written
        days = np.full(len(given), "NaT", "datetime64[D]")
        days[good] = declared.clock.days(declared.count(given[good]))
        self._limit(declared, np.unique(days[good]))
        # All work files are opened before any is written, so that an error changes none.
        for day in np.unique(days[good]):
            self.pipeline.day_files.open(self.pipeline.decoder.locate(declared, day), day, declared.name)
        for numbers, reason in reasons:
            self._reject(form, given, numbers, reason)
        statuses = np.full(len(given), Status.REJECTED, np.uint8)
        sent = self.sent.setdefault(form, Sent(form))
        sent.records.append(given[good])
        for day in np.unique(days[good]):
            these = np.flatnonzero(days == day)
            path = self.pipeline.decoder.locate(declared, day)
            work_file = self.pipeline.day_files.open(path, day, declared.name)
            if path not in sent.counts:
                work_file.begin()
            batch = Batch(declared.instrument, declared.code, given[these], these)
            statuses[these] = plugins.write(work_file, declared, batch)
            sent.counts[path] = sent.counts.get(path, 0) + len(these)
        self.waiting += given.nbytes
        if self.waiting > self.publish_bytes:
            self.publish()
        return statuses

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

    def _reject(self, form: DataType, records: npt.NDArray[Any], numbers: npt.NDArray[np.int64], reason: str) -> None:
        """Quarantine records."""
        name, content = self.pipeline.plugins.encode(form, records[numbers])
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
        self.sent, self.waiting = {}, 0
        self.run.publish()
        for setback in self.run.setbacks.values():
            raise HeldError(setback.reason)
        for failure in failures:
            raise failure

    def _enter(self, sent: Sent) -> None:
        """Enter the records of a type into the ledgers of their day files, as a source."""
        name, content = self.pipeline.plugins.encode(sent.form, np.concatenate(sent.records))
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


def convert_records(records: Records | npt.ArrayLike, data_type: DataType) -> tuple[DataType, npt.NDArray[Any]]:
    """Convert records to the dtype of a data type, in the version whose fields they have.

    Returns
    -------
    (DataType, structured array of shape (n,))
        The type in the version with these fields, and the records in its dtype.

    Raises
    ------
    UsageError
        Records lack fields, or have values that do not fit.
    """
    if isinstance(records, np.ma.MaskedArray):
        raise UsageError(f"records of {data_type.name} are a masked array, whose mask would be lost; fill it in first")
    try:
        array = np.atleast_1d(records.array if isinstance(records, Records) else np.asarray(records))
    except ValueError as error:
        raise UsageError(f"records of {data_type.name} must be structs with its fields: {error}") from error
    names = set(array.dtype.names or ())
    form = next((form for form in reversed(data_type.forms) if names >= set(form.dtype.names or ())), None)
    if form is None or array.ndim != 1:
        missing = [name for name in data_type.forms[0].dtype.names or () if name not in names]
        problem = f"they lack {', '.join(missing[:5])}" if missing else f"their shape is {array.shape}"
        raise UsageError(f"records of {data_type.name} must be structs with its fields; {problem}")
    sent = names & set(data_type.dtype.names or ())
    wider = next(each for each in data_type.forms if sent <= set(each.dtype.names or ()))
    if wider != form:
        lost = ", ".join(sorted(sent.difference(form.dtype.names or ())))
        needed = ", ".join(name for name in wider.dtype.names or () if name not in sent)
        raise UsageError(f"records of {data_type.name} with {lost} need {needed} as well")
    if array.dtype == form.dtype:
        return form, array
    for name in form.dtype.names or ():
        check_values(array[name], form, name)
    return form, form.conform(array)


def check_values(values: npt.NDArray[Any], data_type: DataType, name: str) -> None:
    """Raise a UsageError if values would change in the type of their field."""
    target = data_type.dtype[name]
    if values.shape[1:] != target.shape:
        raise UsageError(f"{data_type.name}: {name} has the shape {values.shape[1:]}, and must have {target.shape}")
    if np.can_cast(values.dtype, target.base, "safe"):
        return
    try:
        with np.errstate(all="ignore"):
            cast = values.astype(target.base)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{data_type.name}: {name} does not fit {target.base}: {error}") from error
    same = (cast == values) | ((cast != cast) & (values != values))  # NaN equals NaN here
    if not np.all(same):
        first = np.argwhere(~same)[0]
        raise UsageError(f"{data_type.name}: {name} of record {first[0]} does not fit {target.base}")
