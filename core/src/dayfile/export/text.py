"""Exporters of text: CSV and JSON lines."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.export.base import Selection, TextExporter
from dayfile.export.blocks import Block, read_selection
from dayfile.export.numbers import format_numbers
from dayfile.handover.columns import FieldColumn, find_time_name

__all__ = ["CsvExporter", "JsonLinesExporter"]

CELLS = 200_000
"""Values that are texts at once."""
TO_QUOTE = frozenset(',"\r\n')


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
            head += list_labels(column)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(head)
        yield text.getvalue()
        for block in iterate_small(selection):
            columns = [format_times(block), *map(join_cells, block.columns())]
            yield "".join([f"{line}\n" for line in map(",".join, zip(*columns, strict=True))])


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
        names = [time, *(column.name for column in Block(selection.empty).columns())]
        places = [f"{encode_basestring(name).replace('%', '%%')}:%s" for name in names]
        template = f"{{{','.join(places)}}}\n"
        for block in iterate_small(selection):
            columns = [[f'"{each}"' for each in format_times(block)], *map(join_values, block.columns())]
            yield "".join([template % row for row in zip(*columns, strict=True)])


def iterate_small(selection: Selection) -> Iterator[Block]:
    """Read a selection in blocks small enough to need little memory as texts."""
    cells = sum(max(1, int(np.prod(each.array_shape))) for each in selection.data_type.fields)
    for block in read_selection(selection):
        yield from block.split(max(1, CELLS // max(1, cells)))


def format_times(block: Block) -> list[str]:
    """Format the times of records to the nanosecond."""
    return [f"{time}Z" for time in np.datetime_as_string(block.records.times, unit="ns").tolist()]


def list_labels(column: FieldColumn) -> list[str]:
    """List the labels of the elements of a column, ``hp[0]``; of a single value, its name."""
    places = np.ndindex(column.values.shape[1:])
    return [f"{column.name}[{','.join(map(str, place))}]" if place else column.name for place in places]


def join_cells(column: FieldColumn) -> list[str]:
    """Return the cells of a column for each record, with commas between those of elements."""
    texts = format_elements(column, format_csv_cell, empty="", infinite=True)
    return texts.tolist() if texts.ndim == 1 else list(map(",".join, texts.reshape(len(texts), -1).tolist()))


def join_values(column: FieldColumn) -> list[str]:
    """Return the values of a column for each record as JSON, arrays as lists."""
    texts = format_elements(column, format_json, empty="null", infinite=False)
    while texts.ndim > 1:  # the innermost lists first
        rows = np.empty(texts.shape[:-1], object)
        rows.reshape(-1)[:] = list(map(list_json, texts.reshape(-1, texts.shape[-1]).tolist()))
        texts = rows
    found: list[str] = texts.tolist()
    return found


def format_elements(
    column: FieldColumn, format_item: Callable[[Any], str], *, empty: str, infinite: bool
) -> npt.NDArray[np.object_]:
    """Format each element of a column; numbers together, texts and blobs one by one."""
    values = column.values
    if values.dtype.kind not in "OU":
        return format_numbers(values, column.missing, empty=empty, infinite=infinite)
    flat = np.empty(values.size, object)
    flat[:] = [empty if value is None else format_item(value) for value in values.ravel().tolist()]
    texts = flat.reshape(values.shape)
    if column.missing is not None:
        texts[column.missing] = empty
    return texts


def format_csv_cell(value: Any) -> str:  # noqa: ANN401 - text, bytes or samples
    """Format a text or blob for a cell, in quotes only where :mod:`csv` would quote it."""
    cell = value if isinstance(value, str) else format_blob(value)
    return cell if TO_QUOTE.isdisjoint(cell) else '"' + cell.replace('"', '""') + '"'


def format_json(value: Any) -> str:  # noqa: ANN401 - text, bytes or samples
    """Format a text or blob as JSON."""
    if isinstance(value, str):
        return encode_basestring(value)
    return f'"{format_blob(value)}"' if isinstance(value, bytes) else format_blob(value)


def format_blob(value: Any) -> str:  # noqa: ANN401 - samples or bytes
    """Format samples as a list, and bytes as base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return list_json(format_numbers(value, None, empty="null", infinite=False).tolist())


def list_json(texts: list[str]) -> str:
    """Make a list of JSON."""
    return f"[{','.join(texts)}]"
