"""Records as a table of Arrow, which polars, DuckDB, pandas and others take as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dayfile.handover.columns import FieldColumn, RecordTable, find_time_name, import_extra, iterate_columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["make_arrow_table"]


def make_arrow_table(records: RecordTable, *, blobs: bool = False) -> pa.Table:
    """Make a table of Arrow; see :meth:`dayfile.Records.to_arrow`."""
    arrow = import_extra("pyarrow", "to_arrow", "arrow")
    times = arrow.array(records.times.astype(np.int64), arrow.timestamp("ns", tz="UTC"))
    arrays, fields = [times], [arrow.field(find_time_name(records), times.type, metadata={"title": "UTC time"})]
    for column in iterate_columns(records, blobs=blobs):
        array = make_array(arrow, column)
        words = {"unit": column.unit, "title": column.doc}
        metadata = {word: text for word, text in words.items() if text}
        arrays.append(array)
        fields.append(arrow.field(column.name, array.type, metadata=metadata or None))
    data_type = records.data_type
    schema = arrow.schema(fields, metadata={"data_type": data_type.name, "title": data_type.title})
    table: pa.Table = arrow.Table.from_arrays(arrays, schema=schema)
    return table


def make_array(arrow: Any, column: FieldColumn) -> Any:  # noqa: ANN401 - of pyarrow, which is imported where it is used
    """Make an array of a column: missing values are null, and arrays of a fixed shape are lists of fixed size."""
    values = np.ascontiguousarray(column.values).ravel()
    if values.dtype == object:
        array = arrow.array(values, arrow.large_binary())
    elif values.dtype.kind == "U":
        array = arrow.array(values, arrow.string())
    else:
        array = arrow.array(values, mask=None if column.missing is None else column.missing.ravel())
    for length in reversed(column.values.shape[1:]):
        array = arrow.FixedSizeListArray.from_arrays(array, length)
    return array
