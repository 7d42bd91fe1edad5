"""Exporters of text: CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.export.base import Selection, TextExporter
from dayfile.export.blocks import Block, read_selection
from dayfile.handover.columns import FieldColumn, find_time_name

__all__ = ["CsvExporter", "JsonLinesExporter"]

CELLS = 100_000
"""Values that are converted to Python objects at once."""


class CsvExporter(TextExporter):
    """Comma-separated values: a line of names, then a line for each record.

    Each element of an array has a column, ``hp[0]``. What is missing is an empty cell. A blob is a list of samples,
    ``[203,204]``, text, or bytes as base64.
    """

    name = "csv"
    suffix = ".csv"

    def format(self, selection: Selection) -> Iterator[str]:
        """Yield the line of names, then the records."""
        head = [find_time_name(selection.empty)]
        for column in Block(selection.empty).columns():
            head += [label for label, _ in label_cells(column)]
        yield format_csv([head])
        for block in iterate_small(selection):
            columns = [format_times(block)]
            for column in block.columns():
                columns += [cells for _, cells in label_cells(column)]
            yield format_csv(zip(*columns, strict=True))


class JsonLinesExporter(TextExporter):
    """JSON lines: an object for each record.

    Arrays and the samples of blobs are lists; bytes are base64. What is missing is null, and so is what JSON cannot
    write: NaN and infinity.
    """

    name = "jsonl"
    suffix = ".jsonl"

    def format(self, selection: Selection) -> Iterator[str]:
        """Yield an object for each record."""
        time = find_time_name(selection.empty)
        for block in iterate_small(selection):
            columns = list(block.columns())
            names = [time, *(column.name for column in columns)]
            rows = zip(format_times(block), *(list_plain(column, finite=True) for column in columns), strict=True)
            lines = (make_line(dict(zip(names, row, strict=True))) for row in rows)
            yield "".join(lines)


def iterate_small(selection: Selection) -> Iterator[Block]:
    """Read a selection in blocks small enough to need little memory as Python objects."""
    cells = sum(max(1, int(np.prod(each.array_shape))) for each in selection.data_type.fields)
    for block in read_selection(selection):
        yield from block.split(max(1, CELLS // max(1, cells)))


def format_times(block: Block) -> list[str]:
    """Format the times of records to the nanosecond."""
    return [f"{time}Z" for time in np.datetime_as_string(block.records.times, unit="ns")]


def format_csv(rows: Any) -> str:  # noqa: ANN401 - rows of cells
    """Format rows of cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def make_line(record: dict[str, Any]) -> str:
    """Make a line of a record."""
    return f"{json.dumps(record, ensure_ascii=False, separators=(',', ':'), default=list_blob)}\n"


def label_cells(column: FieldColumn) -> Iterator[tuple[str, list[Any]]]:
    """Yield the cells of each element of a column, with its label."""
    converted = np.empty(column.values.shape, object)
    converted[...] = make_plain(column)
    for place in np.ndindex(column.values.shape[1:]):
        label = f"{column.name}[{','.join(map(str, place))}]" if place else column.name
        cells = converted[(slice(None), *place)].tolist()
        if column.values.dtype == bool:
            cells = ["true" if cell else "false" for cell in cells]
        yield label, [format_blob(cell) for cell in cells] if column.values.dtype == object else cells


def list_plain(column: FieldColumn, *, finite: bool) -> list[Any]:
    """Convert the values of a column to Python objects, arrays to lists; with ``finite``, infinity is missing too."""
    found: list[Any] = make_plain(column, finite=finite).tolist()
    return found


def make_plain(column: FieldColumn, *, finite: bool = False) -> npt.NDArray[np.object_]:
    """Convert values to Python objects; what is missing, and NaN, becomes None.

    A float32 becomes the shortest number that means it: 13.07, not 13.069999694824219.
    """
    values = column.values
    if values.dtype == object:
        return values
    missing = np.zeros(values.shape, bool) if column.missing is None else column.missing
    if values.dtype.kind == "f":
        missing = missing | ~(np.isfinite(values) if finite else ~np.isnan(values))
    if values.dtype == np.float32:
        values = values.astype(str).astype(np.float64)
    converted = values.astype(object)
    converted[missing] = None
    return converted


def list_blob(value: Any) -> Any:  # noqa: ANN401 - samples or bytes
    """Convert samples to a list, and bytes to base64."""
    return b64encode(value).decode() if isinstance(value, bytes) else list_samples(value)


def list_samples(samples: npt.NDArray[Any]) -> list[Any]:
    """Convert samples to a list."""
    return list_plain(FieldColumn("", samples), finite=True)


def format_blob(value: Any) -> Any:  # noqa: ANN401 - samples, text, bytes or None
    """Format a blob for a cell."""
    if value is None or isinstance(value, str):
        return value
    found = list_blob(value)
    return found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))
