"""Records to be exported, block by block, with the values of their blobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import PluginError
from dayfile.export.base import BlobReader, Selection
from dayfile.handover.columns import FieldColumn, RecordTable, iterate_columns
from dayfile.model.field import Field

__all__ = ["SAMPLE_BYTES", "Block", "holds_bytes", "read_selection"]

SAMPLE_BYTES = 8 * 2**20
"""Bytes of samples in a block, if it has more than one record."""


@dataclass(frozen=True)
class Block:
    """Some records, and the values of their blobs.

    Parameters
    ----------
    records : RecordTable
        The records.
    blobs : mapping of str to array of object, shape (n, *shape of the field)
        By field of blobs: samples as arrays, texts or bytes; None for an element without a blob.
    """

    records: RecordTable
    blobs: Mapping[str, npt.NDArray[np.object_]] = field(default_factory=dict)

    def columns(self) -> Iterator[FieldColumn]:
        """Yield the keys, then the fields; those of blobs with the values of their blobs."""
        for column in iterate_columns(self.records, blobs=False):
            values = self.blobs.get(column.name)
            yield column if values is None else replace(column, values=values, missing=None)

    def split(self, rows: int) -> Iterator[Block]:
        """Yield blocks of ``rows`` of its records; the last may have fewer."""
        for start in range(0, len(self.records), rows):
            part = slice(start, start + rows)
            yield Block(self.records[part], {name: values[part] for name, values in self.blobs.items()})


def holds_bytes(selection: Selection, blob_field: Field) -> bool:
    """Return whether a field's blobs are exported as bytes: nothing reads their samples, and they are not text."""
    return blob_field.blob == "base64" and blob_field.name not in selection.readers


def read_selection(selection: Selection, *, most_bytes: int = SAMPLE_BYTES) -> Iterator[Block]:
    """Read a selection in blocks whose samples have at most ``most_bytes``, or that have a single record.

    Parameters
    ----------
    selection : Selection
        The records.
    most_bytes : int
        Bytes of samples, texts and bytes of blobs in a block.
    """
    with_blobs = [each for each in selection.data_type.fields if each.blob]
    selection.damaged.clear()
    for records in selection.read():
        if with_blobs:
            yield from read_blobs_of(selection, records, with_blobs, most_bytes)
        else:
            yield Block(records)


def read_blobs_of(selection: Selection, records: RecordTable, fields: list[Field], most_bytes: int) -> Iterator[Block]:
    """Read the blobs of a piece, and yield it in blocks that are small enough."""
    values = {each.name: records.all_blobs(each.name) for each in fields}
    start = size = 0
    for row in range(len(records)):
        added = 0
        for each in fields:
            elements = values[each.name][row : row + 1].reshape(-1)  # a view: what is read replaces the blob
            for place, blob in enumerate(elements):
                elements[place] = read_value(selection, each, blob)
                added += 0 if elements[place] is None else measure(elements[place])
        if row > start and size + added > most_bytes:
            yield make_block(records, values, start, row)
            start, size = row, 0
        size += added
    yield make_block(records, values, start, len(records))


def make_block(records: RecordTable, values: Mapping[str, npt.NDArray[np.object_]], start: int, stop: int) -> Block:
    """Make a block of some records of a piece, and drop their blobs from the piece."""
    block = Block(records[start:stop], {name: each[start:stop].copy() for name, each in values.items()})
    for each in values.values():
        each[start:stop] = None
    return block


def read_value(selection: Selection, blob_field: Field, blob: bytes | None) -> Any:  # noqa: ANN401 - samples, text, bytes
    """Read a blob as samples, as text, or as bytes; count one that is damaged, which becomes None."""
    if blob is None:
        return None
    reader = selection.readers.get(blob_field.name)
    if reader is None:
        return blob.decode("latin-1") if blob_field.blob == "latin-1" else blob
    try:
        return read_samples(reader, blob)
    except ValueError:
        selection.damaged[blob_field.name] = selection.damaged.get(blob_field.name, 0) + 1
        return None


def read_samples(reader: BlobReader, blob: bytes) -> npt.NDArray[Any]:
    """Read the samples of a blob; ValueError if it is damaged, PluginError if they are not what the reader declares."""
    samples = np.asarray(reader.read(blob))
    if samples.ndim != 1 or not np.can_cast(samples.dtype, reader.dtype):
        shape = f"{samples.dtype} of shape {samples.shape}"
        raise PluginError(
            f"the reader of {reader.data_type} {reader.field} declares {reader.dtype}; it returned {shape}"
        )
    return samples.astype(reader.dtype, copy=False)


def measure(value: Any) -> int:  # noqa: ANN401 - samples, text or bytes
    """Return the bytes of a value."""
    return int(value.nbytes) if isinstance(value, np.ndarray) else len(value)
