"""Put columns together to records of a data type; what does not fit makes its record wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.batch import NO_BLOBS, Blobs
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.stages.base import Wrong

__all__ = ["assemble", "assemble_blobs", "group_by_keys", "require_key_values"]

LONGEST_SHOWN = 40
"""Characters of a value in a message."""


def assemble(
    data_type: DataType, names: Mapping[str, str], values: Mapping[str, Any], count: int, wrong: Wrong
) -> npt.NDArray[Any]:
    """Make records of columns.

    Parameters
    ----------
    data_type : DataType
        What the records are.
    names : mapping of str to str
        For fields whose value has another name, that name.
    values : mapping of str to array
        Columns, shape (n, …), and single values that all records have; fields without one hold their default.
    count : int
        How many records.
    wrong : Wrong
        Records with a value that does not fit its field are added.
    """
    records = np.empty(count, data_type.dtype)
    for field in data_type.fields:
        column = values.get(names.get(field.name, field.name))
        if column is None or field.blob:
            records[field.name] = data_type.defaults[field.name]
        else:
            fill_field(records[field.name], field, np.asarray(column), wrong)
    return records


def fill_field(cells: npt.NDArray[Any], field: Field, column: npt.NDArray[Any], wrong: Wrong) -> None:
    """Fill the cells of a field."""
    if column.dtype.kind == "U":
        column = np.char.encode(column, "utf-8")
    if column.shape != cells.shape:
        column = np.broadcast_to(column.reshape(column.shape + (1,) * (cells.ndim - column.ndim)), cells.shape)
    bad = find_misfits(cells.dtype, column)
    if bad is not None and bad.any():
        wrong.add(
            np.asarray(bad.reshape(len(bad), -1).any(axis=1), bool),
            lambda row: describe_misfit(field, column[row]),
        )
        cells[...] = np.zeros((), cells.dtype)
        cells[~bad] = column[~bad]
        return
    cells[...] = column


def find_misfits(form: np.dtype[Any], column: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Find the values that another type cannot hold; None if it can hold all."""
    kind = column.dtype.kind
    if form.kind == "S":
        if kind != "S":
            return np.ones(column.shape, bool)
        long = column.dtype.itemsize > form.itemsize
        return np.asarray(np.char.str_len(column) > form.itemsize, bool) if long else None
    if kind == "S":
        return np.ones(column.shape, bool)
    if form.kind == "b":
        return None if kind == "b" else np.asarray((column != 0) & (column != 1), bool)
    if form.kind == "f" or np.can_cast(column.dtype, form):
        return None
    limits = np.iinfo(form)
    if kind == "f":
        whole = (column >= limits.min) & (column <= limits.max) & (np.floor(column) == column)
        return np.asarray(~whole, bool)
    return np.asarray((column < limits.min) | (column > limits.max), bool)


def describe_misfit(field: Field, value: Any) -> str:  # noqa: ANN401 - a number, a text or an array
    """Say that a value does not fit its field."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
    return f"{field.name}: {shown} does not fit {field.type}"


def assemble_blobs(
    data_type: DataType, blobs: Mapping[str, list[bytes]], records: npt.NDArray[Any], chosen: npt.NDArray[np.int64]
) -> Blobs:
    """Return the blobs of chosen rows, and note their indexes in the records."""
    fields = [name for name in data_type.blob_fields if name in blobs]
    if not fields:
        return NO_BLOBS
    values: list[bytes] = []
    owners: list[int] = []
    for number, row in enumerate(chosen.tolist()):
        for name in fields:
            records[name][number] = len(values)
            values.append(blobs[name][row])
            owners.append(number)
    return Blobs(values, np.array(owners, np.int64))


def require_key_values(keys: tuple[str, ...], values: Mapping[str, Any], count: int, wrong: Wrong) -> None:
    """Note records without a value of a key as wrong: nobody could tell where they belong."""
    for key in keys:
        column = read_key_column(values.get(key, b""))
        if column.dtype.kind in "SU":
            empty = np.broadcast_to(column == column.dtype.type(), (count,))
            if empty.any():
                wrong.add(np.asarray(empty, bool), f"nothing tells {key}, the key of its table")
        elif column.dtype.kind not in "iu":
            wrong.add(np.ones(count, bool), f"{key}, the key of its table, is neither text nor a whole number")


def group_by_keys(
    keys: tuple[str, ...], values: Mapping[str, Any], rows: npt.NDArray[np.int64]
) -> Iterator[tuple[dict[str, str | int], npt.NDArray[np.int64]]]:
    """Group rows by the values of keys, in the order in which these come first."""
    if not keys:
        yield {}, rows
        return
    columns = []
    for key in keys:
        column = read_key_column(values[key])
        columns.append(np.broadcast_to(column, (int(rows.max()) + 1,))[rows] if column.ndim == 0 else column[rows])
    inverses = [np.unique(column, return_inverse=True)[1] for column in columns]
    _, first, group = np.unique(np.stack(inverses), axis=1, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    for number in np.argsort(first).tolist():
        found = {key: read_key_value(column[first[number]]) for key, column in zip(keys, columns, strict=True)}
        yield found, rows[group == number]


def read_key_column(column: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the values of a key; text without the blanks that fill it up to its length, as in Fortran.

    Examples
    --------
    >>> read_key_column([b"KIRUNA  ", b"TROMSO"]).tolist()
    [b'KIRUNA', b'TROMSO']
    """
    found = np.asarray(column)
    return np.strings.strip(found, b" " if found.dtype.kind == "S" else " ") if found.dtype.kind in "SU" else found


def read_key_value(value: Any) -> str | int:  # noqa: ANN401 - a NumPy scalar
    """Return the value of a key as Python has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else int(value)
