"""Exporter of Parquet, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.export.base import RangeExporter, Selection
from dayfile.export.blocks import Block, holds_bytes, read_selection
from dayfile.handover.arrow import make_arrow_table
from dayfile.handover.columns import import_extra
from dayfile.model.field import Field

__all__ = ["ParquetExporter"]

GROUP_BYTES = 4 * 2**20
"""Bytes of a row group, about, before it is compressed."""
GROUP_VALUES = 1 * 2**20
"""Values of the largest array in a row group: while they are written, each needs eight bytes, whatever its type."""


class ParquetExporter(RangeExporter):
    """Parquet with row groups of some megabytes, as :meth:`dayfile.Records.to_arrow` makes tables.

    Arrays are lists of fixed size, and what is missing is null. A blob is a list of samples, text, or bytes. The
    metadata of a column has ``unit``, ``title`` and, of blobs, ``blob``: samples, text or bytes.
    """

    name = "parquet"
    suffix = ".parquet"

    def write(self, selection: Selection, path: Path) -> None:
        """Write row group after row group; MissingExtraError without pyarrow."""
        arrow = import_extra("pyarrow", "export to Parquet", "arrow")
        parquet = import_extra("pyarrow.parquet", "export to Parquet", "arrow")
        schema = make_block_table(arrow, selection, Block(selection.empty)).schema
        largest = max((int(np.prod(each.array_shape)) for each in selection.data_type.fields), default=1)
        rows = max(1, GROUP_VALUES // max(1, largest))
        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for tables in gather_tables(
                make_block_table(arrow, selection, block) for block in read_selection(selection)
            ):
                table = arrow.concat_tables(tables)
                writer.write_table(table, row_group_size=rows)
                arrow.default_memory_pool().release_unused()


def gather_tables(tables: Iterator[Any]) -> Iterator[list[Any]]:
    """Gather tables until they are a row group."""
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        if sum(each.nbytes for each in waiting) >= GROUP_BYTES:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def make_block_table(arrow: Any, selection: Selection, block: Block) -> Any:  # noqa: ANN401 - of pyarrow, which has no types
    """Make a table of Arrow with the blobs of a block in place of their indexes."""
    table = make_arrow_table(block.records)
    for field in selection.data_type.fields:
        if field.blob:
            place = table.schema.get_field_index(field.name)
            array, metadata = make_blob_array(arrow, selection, field, block)
            described = {**(table.schema.field(place).metadata or {}), **metadata}
            table = table.set_column(place, arrow.field(field.name, array.type, metadata=described), array)
    return table


def make_blob_array(
    arrow: Any,  # noqa: ANN401 - of pyarrow, which has no types
    selection: Selection,
    field: Field,
    block: Block,
) -> tuple[Any, dict[str, str]]:
    """Make an array of the blobs of a field, and say what they are."""
    values = block.blobs.get(field.name, np.zeros((0, *field.array_shape), object))
    reader = selection.readers.get(field.name)
    flat = values.ravel()
    metadata = {"blob": "text"}
    if reader is not None:
        array = make_lists(arrow, flat, np.dtype(reader.dtype))
        metadata = {"blob": "samples", "unit": reader.unit, "title": reader.doc}
    elif holds_bytes(selection, field):
        array, metadata = arrow.array(flat, arrow.binary()), {"blob": "bytes"}
    else:
        array = arrow.array(flat, arrow.string())
    for length in reversed(field.array_shape):
        array = arrow.FixedSizeListArray.from_arrays(array, length)
    return array, {word: text for word, text in metadata.items() if text}


def make_lists(arrow: Any, samples: npt.NDArray[np.object_], dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - of pyarrow
    """Make an array of lists of samples, null where there are none."""
    none = np.array([each is None for each in samples], bool)
    lengths = np.array([0 if each is None else len(each) for each in samples], np.int64)
    stops = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = np.concatenate([np.zeros(0, dtype), *(each for each in samples if each is not None)])
    offsets = arrow.array(stops, mask=np.append(none, False))
    return arrow.ListArray.from_arrays(offsets, arrow.array(flat))
