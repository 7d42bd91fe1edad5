"""The stores of records in order of arrival: a record that is there already is not stored twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.model.status import Status
from dayfile.stores.base import END_WITH_INTERVALS, Change, Decision, Found, Problem, Rules, Store, View

__all__ = ["Append", "Intervals"]


class Append(Store):
    """Rows in order of arrival.

    Two records are the same if every field (except counters) and every blob is equal.
    """

    name = "append"

    def decide(self, view: View, batch: Batch, order: npt.NDArray[np.int64], rules: Rules) -> Decision:
        """Append the records that the table does not have yet; statuses 0 and 3."""
        if rules.keep_duplicates:
            statuses = np.full(len(batch), Status.WRITTEN, np.uint8)
            return Decision(statuses, Change(batch.records, blobs=batch.blobs, order=order))
        found = view.table.find_known(batch)
        statuses = np.where(found.known, Status.IDENTICAL, Status.WRITTEN).astype(np.uint8)
        fresh = ~found.known
        batch = batch.select(fresh, view.data_type.blob_fields)
        found = Found(found.known[fresh], found.hashes[fresh], found.digests)
        return Decision(statuses, Change(batch.records, blobs=batch.blobs, order=order[fresh], found=found))

    def find_problem(self, data_type: DataType) -> Problem | None:
        """Find a period or an end, which belong to other stores."""
        if data_type.end:
            return Problem("end", END_WITH_INTERVALS)
        return super().find_problem(data_type)


class Intervals(Append):
    """Rows in order of arrival of records that have an end stamp."""

    name = "intervals"

    def find_problem(self, data_type: DataType) -> Problem | None:
        """Find a missing end, or a period, which belongs to another store."""
        if not data_type.end:
            return Problem("end", END_WITH_INTERVALS)
        return Store.find_problem(self, data_type)
