"""Pieces: records of one type that belong to one day file, from one or more sources.

A piece takes about as long for one record as for a thousand, so records of small sources are merged first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from dayfile.errors import PluginError
from dayfile.model.batch import SOURCE_STEP, Batch, Blobs
from dayfile.model.datatype import DataType

__all__ = ["Dated", "Piece", "merge_batches"]


@dataclass(frozen=True)
class Dated:
    """Records of one data type, with the day of each.

    Parameters
    ----------
    plugin : str
        The plugin that decoded them.
    data_type : DataType
        Their type.
    batch : Batch
        The records.
    sources : array of int64, shape (len(batch),)
        Place in its group of the source of each record; ascending.
    days : array of datetime64[D], shape (len(batch),)
        The UTC day of each record.
    """

    plugin: str
    data_type: DataType
    batch: Batch
    sources: npt.NDArray[np.int64]
    days: npt.NDArray[np.datetime64]

    def select(self, chosen: npt.NDArray[np.bool_]) -> Dated:
        """Select the records at which ``chosen`` (bool, shape (n,)) is true, with their blobs."""
        blob_fields = self.data_type.blob_fields
        batch = self.batch.select(chosen, blob_fields)
        return replace(self, batch=batch, sources=self.sources[chosen], days=self.days[chosen])

    def split_by_source(self) -> list[Dated]:
        """Split the records by source."""
        return [self.select(self.sources == place) for place in np.unique(self.sources)]


@dataclass(frozen=True)
class Piece:
    """Records that belong to one day file.

    Parameters
    ----------
    plugin : str
        The plugin that decoded them.
    data_type : str
        Name of their type.
    path : str
        Path of the day file below the archive root.
    day : numpy.datetime64
        Its day.
    batch : Batch
        The records.
    sources : array of int64, shape (len(batch),)
        Place in its group of the source of each record; ascending.
    """

    plugin: str
    data_type: str
    path: str
    day: np.datetime64
    batch: Batch
    sources: npt.NDArray[np.int64]

    @property
    def counts(self) -> dict[int, int]:
        """Number of records by source."""
        if not len(self.sources):
            return {}
        if self.sources[0] == self.sources[-1]:  # most large pieces
            return {int(self.sources[0]): len(self.sources)}
        places, counts = np.unique(self.sources, return_counts=True)
        return dict(zip(places.tolist(), counts.tolist(), strict=True))

    def select(self, sources: Collection[int], blob_fields: Sequence[str]) -> Piece:
        """Select the records of some sources; ``blob_fields`` as for :meth:`Batch.select`."""
        if self.counts.keys() <= set(sources):
            return self
        chosen = np.isin(self.sources, list(sources))
        return replace(self, batch=self.batch.select(chosen, blob_fields), sources=self.sources[chosen])


def merge_batches(batches: Sequence[Batch], places: Sequence[int], blob_fields: Sequence[str]) -> Batch:
    """Merge batches of one code, dtype and keys, each from another source.

    Parameters
    ----------
    batches : sequence of Batch
        At least one batch.
    places : sequence of int
        Place of each batch's source in its group; ascending.
    blob_fields : sequence of str
        Names of the fields that hold indexes of blobs; they are renumbered.

    Returns
    -------
    Batch
        The merged records. ``place * SOURCE_STEP`` is added to their numbers, so that these name the source too.

    Raises
    ------
    PluginError
        A record points to a blob that its batch does not have.
    """
    first = batches[0]
    if len(batches) == 1:
        return replace(first, numbers=first.numbers.astype(np.int64) + places[0] * SOURCE_STEP)
    lengths = [len(batch) for batch in batches]
    numbers = np.concatenate([batch.numbers for batch in batches]).astype(np.int64)
    numbers = numbers + np.repeat(np.array(places, np.int64) * SOURCE_STEP, lengths)
    # As plain bytes, because NumPy concatenates structured arrays field by field.
    plain = np.dtype((np.void, first.records.dtype.itemsize))
    contents = [np.ascontiguousarray(batch.records).view(plain) for batch in batches]
    records = np.concatenate(contents).view(first.records.dtype)
    counts = [len(batch.blobs.values) for batch in batches]
    if not any(counts):
        return replace(first, records=records, numbers=numbers)
    firsts, own = np.repeat(np.cumsum(counts) - counts, lengths), np.repeat(counts, lengths)
    for name in blob_fields:
        cells = records[name]
        shape = (-1, *[1] * (cells.ndim - 1))
        if (cells >= own.reshape(shape)).any():
            raise PluginError(f"records of code {first.code} point in {name} to blobs that the batch does not have")
        records[name] = np.where(cells < 0, cells, cells + firsts.reshape(shape))
    owners = np.concatenate([batch.blobs.owners for batch in batches])
    owners = owners + np.repeat(np.cumsum(lengths) - lengths, counts)
    values = list(chain.from_iterable(batch.blobs.values for batch in batches))
    return replace(first, records=records, numbers=numbers, blobs=Blobs(values, owners))
