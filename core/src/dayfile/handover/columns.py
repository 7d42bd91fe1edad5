"""Columns of records with their meaning and their missing values, as other libraries are given them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.errors import MissingExtraError
from dayfile.messages import suggest_extra
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.model.forms import float_field

__all__ = [
    "FieldColumn",
    "RecordTable",
    "decode_texts",
    "find_time_name",
    "import_extra",
    "iterate_columns",
    "label_elements",
    "make_field_column",
]


class RecordTable(Protocol):
    """The methods of records that handing them on needs."""

    @property
    def data_type(self) -> DataType:
        """Return the data type."""
        ...

    @property
    def array(self) -> npt.NDArray[Any]:
        """Return the records, a structured array of shape (n,)."""
        ...

    @property
    def keys(self) -> dict[str, npt.NDArray[Any]]:
        """Return the keys of the records, each of shape (n,)."""
        ...

    def __len__(self) -> int:
        """Return the number of records."""
        ...

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Return the UTC time of each record, datetime64[ns], shape (n,)."""
        ...

    @property
    def nanoseconds(self) -> npt.NDArray[np.int64]:
        """Return the whole time of each record in nanoseconds, shape (n,)."""
        ...

    @property
    def nearest(self) -> tuple[np.datetime64, ...]:
        """Return the nearest days with records, if there are no records."""
        ...

    def __getitem__(self, wanted: slice) -> RecordTable:
        """Return some of the records."""
        ...

    def all_blobs(self, name: str) -> npt.NDArray[np.object_]:
        """Read the blobs of a field of all records."""
        ...


@dataclass(frozen=True)
class FieldColumn:
    """A field or key of records.

    Parameters
    ----------
    name, unit, doc : str
        Name, physical unit and meaning; a key has no unit.
    values : array, shape (n, *shape of the field)
        Texts are strings, blobs bytes or None.
    missing : array of bool, same shape, or None
        Which values mean that nothing was measured; None if the column never has such values.
    field : Field or None
        The field; None for a key.
    """

    name: str
    values: npt.NDArray[Any]
    missing: npt.NDArray[np.bool_] | None = None
    unit: str = ""
    doc: str = ""
    field: Field | None = None

    def fill_with_nan(self) -> npt.NDArray[Any]:
        """Return the values, as floats with NaN for those that are missing if the column can have such values."""
        if self.missing is None or self.field is None:
            return self.values
        floats = self.values.astype(float_field(self.field).base)
        floats[self.missing] = np.nan
        return floats


def iterate_columns(records: RecordTable, *, blobs: bool) -> Iterator[FieldColumn]:
    """Yield the keys of records, then their fields; with ``blobs``, fields of blobs have these, not indexes."""
    for name, values in records.keys.items():
        yield FieldColumn(name, values if values.dtype != object else values.astype(str))
    for field in records.data_type.fields:
        yield make_field_column(records, field, blobs=blobs)


def make_field_column(records: RecordTable, field: Field, *, blobs: bool) -> FieldColumn:
    """Make the column of a field; with ``blobs``, one of blobs has these, not indexes."""
    values = records.array[field.name]
    if field.type == "char":
        values = decode_texts(values)
    if field.blob and blobs:
        values = records.all_blobs(field.name)
    missing = field.is_missing(values) if field.missing else None
    return FieldColumn(field.name, values, missing, field.unit, field.doc, field)


def decode_texts(values: npt.NDArray[np.bytes_]) -> npt.NDArray[np.str_]:
    """Decode texts as UTF-8; other bytes become the replacement character."""
    decoded: npt.NDArray[np.str_] = np.char.decode(values, "utf-8", "replace").astype(f"U{values.dtype.itemsize}")
    return decoded


def label_elements(column: FieldColumn) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield each element of a column with a label, ``hp[0]``, and NaN for what is missing."""
    values = column.fill_with_nan()
    for place in np.ndindex(values.shape[1:]):
        label = f"{column.name}[{','.join(map(str, place))}]" if place else column.name
        yield label, values[(slice(None), *place)]


def find_time_name(records: RecordTable) -> str:
    """Return a name for the column of times that no field or key has."""
    taken = {*records.keys, *(records.array.dtype.names or ())}
    return next(name for name in ("time", "utc", "record_time", "record_utc") if name not in taken)


def import_extra(module: str, user: str, extra: str) -> Any:  # noqa: ANN401 - a module
    """Import a library of an extra.

    Raises
    ------
    MissingExtraError
        It is not installed; the message names the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise MissingExtraError(f"{user} needs {library}; {suggest_extra(extra)}") from error
