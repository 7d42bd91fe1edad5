"""Records as CSV, as binary or as JSON of HAPI, block by block."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from dayfile.handover.columns import RecordTable, decode_texts
from dayfile.web.parameters import Parameter
from dayfile.web.query import Form

__all__ = ["ENCODERS", "Encoder"]

ROWS_IN_CACHE = 2048
"""Rows of binary that are filled at once, column by column, while they are in the processor's cache."""


@dataclass(frozen=True)
class Encoder:
    """Writes records in one form.

    Parameters
    ----------
    parameters : sequence of Parameter
        What is written of each record, in order.
    header : dict or None
        What comes before the records; None without a header.
    """

    parameters: Sequence[Parameter]
    header: Mapping[str, object] | None
    media_type: ClassVar[str] = ""
    values_at_once: ClassVar[int] = 30_000
    """Values that are written at once: as text each takes some dozens of bytes meanwhile."""

    def count_rows(self) -> int:
        """Return how many records to write at once."""
        values = sum(math.prod(parameter.size) for parameter in self.parameters)
        return max(1, self.values_at_once // values)

    def begin(self) -> bytes:
        """Return what comes before the first record: by default the header, in lines with a hash."""
        if self.header is None:
            return b""
        return "".join(f"#{line}\n" for line in json.dumps(self.header, indent=1).splitlines()).encode()

    def encode(self, records: RecordTable, *, first: bool) -> bytes | memoryview:
        """Return some records, at least one; ``first`` if no others were before them."""
        raise NotImplementedError

    def end(self) -> bytes:
        """Return what comes after the last record."""
        return b""


class CsvEncoder(Encoder):
    """Writes a line for each record."""

    media_type = "text/csv; charset=utf-8"

    def encode(self, records: RecordTable, *, first: bool) -> bytes:  # noqa: ARG002
        """Return the lines of some records."""
        columns = [column for parameter in self.parameters for column in list_csv_columns(parameter, records)]
        return "".join([f"{','.join(row)}\n" for row in zip(*columns, strict=True)]).encode()


def list_csv_columns(parameter: Parameter, records: RecordTable) -> Iterator[list[str]]:
    """Yield the texts of each element of a parameter, the last index fastest."""
    values = parameter.read(records).astype(parameter.dtype, copy=False)
    for column in values.reshape(len(values), -1).T:
        if parameter.kind == "isotime":
            yield column.astype(str).tolist()
        elif parameter.kind == "string":
            yield [quote_text(text) for text in decode_texts(column).tolist()]
        elif parameter.kind == "double":
            yield format_doubles(column)
        else:
            yield list(map(str, column.tolist()))


def quote_text(text: str) -> str:
    """Quote a text if a comma, a quote or the end of a line is in it."""
    if not any(each in text for each in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def format_doubles(column: npt.NDArray[np.float64]) -> list[str]:
    """Format numbers with as many digits as they need to be read back."""
    texts = list(map(repr, column.tolist()))
    for place in np.flatnonzero(np.isnan(column)).tolist():
        texts[place] = "NaN"
    return texts


class BinaryEncoder(Encoder):
    """Writes records of one length, without gaps."""

    media_type = "application/octet-stream"
    values_at_once = 1_000_000

    def encode(self, records: RecordTable, *, first: bool) -> memoryview:  # noqa: ARG002
        """Return the bytes of some records."""
        columns = [(parameter.read(records), parameter.dtype) for parameter in self.parameters]
        joined = [(f"{place}", *column) for place, column in enumerate(join_neighbours(columns))]
        rows = np.empty(len(records), [(name, form, values.shape[1:]) for name, values, form in joined])
        for start in range(0, len(rows), ROWS_IN_CACHE):
            these = slice(start, start + ROWS_IN_CACHE)
            for name, values, _ in joined:
                rows[name][these] = values[these]
        return rows.view(np.uint8).data


WrittenColumn = tuple[npt.NDArray[Any], np.dtype[Any]]
"""Values of each record, shape (n, ...), and the dtype that they are written in."""


def join_neighbours(columns: Iterable[WrittenColumn]) -> Iterator[WrittenColumn]:
    """Join columns that are next to each other in memory, as fields of records are, and are written as one type.

    NumPy converts them all at once, in a quarter of the time that one after the other takes.

    Examples
    --------
    >>> rows = np.zeros(2, [("a", "u1"), ("b", "u1", (2,)), ("c", "u2")])
    >>> joined = join_neighbours([(rows[name], np.dtype("i4")) for name in "abc"])
    >>> [values.shape for values, _ in joined]
    [(2, 3), (2,)]
    """
    run: list[npt.NDArray[Any]] = []
    form = np.dtype(np.uint8)
    for values, wanted in columns:
        if run and not (wanted == form and follows(run[-1], values)):
            yield view_as_one(run), form
            run = []
        run.append(values)
        form = wanted
    if run:
        yield view_as_one(run), form


def follows(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Return whether the values of a record in another column have the same type, and are right behind those in one."""
    if one.dtype != other.dtype or one.strides[0] != other.strides[0]:
        return False
    if not (one[:1].flags.c_contiguous and other[:1].flags.c_contiguous):
        return False
    begin, end = (column.__array_interface__["data"][0] for column in (one, other))
    return bool(end == begin + one[:1].nbytes)


def view_as_one(run: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """View columns of which each follows the one before as one, shape (n, values of a record)."""
    first = run[0]
    if len(run) == 1:
        return first
    width = sum(column[:1].size for column in run)
    return as_strided(first, (len(first), width), (first.strides[0], first.itemsize))


class JsonEncoder(Encoder):
    """Writes one object, the header with the records in it."""

    media_type = "application/json"

    def begin(self) -> bytes:
        """Return the header, and the beginning of the array of records."""
        return (json.dumps(self.header)[:-1] + ', "data": [\n').encode()

    def encode(self, records: RecordTable, *, first: bool) -> bytes:
        """Return an array for each record."""
        columns = [list_json_values(parameter, records) for parameter in self.parameters]
        rows = ",\n".join([json.dumps(row, ensure_ascii=False) for row in zip(*columns, strict=True)])
        return (rows if first else f",\n{rows}").encode()

    def end(self) -> bytes:
        """Close the array and the object."""
        return b"\n]}\n"


def list_json_values(parameter: Parameter, records: RecordTable) -> list[Any]:
    """Return the values of a parameter, nested as it is; JSON has no NaN nor infinity, so these are null."""
    values = parameter.read(records).astype(parameter.dtype, copy=False)
    if parameter.kind in ("isotime", "string"):
        values = decode_texts(values)
    elif parameter.kind == "double" and not (finite := np.isfinite(values)).all():
        values = values.astype(object)
        values[~finite] = None
    listed: list[Any] = values.tolist()
    return listed


ENCODERS: Mapping[Form, type[Encoder]] = {"csv": CsvEncoder, "binary": BinaryEncoder, "json": JsonEncoder}
