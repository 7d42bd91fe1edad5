"""Records as a data set of xarray, described as CF asks for (climate and forecast conventions)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.handover.columns import RecordTable, import_extra, iterate_columns
from dayfile.model.datatype import DataType
from dayfile.model.field import Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["build_dataset", "make_dataset"]


def make_dataset(records: RecordTable, *, blobs: bool = False) -> xr.Dataset:
    """Make a data set in memory; see :meth:`dayfile.Records.to_xarray`."""
    columns = {column.name: column.fill_with_nan() for column in iterate_columns(records, blobs=blobs)}
    keys = {name: columns.pop(name) for name in records.keys}
    return build_dataset(records.data_type, records.times, keys, columns)


def build_dataset(
    data_type: DataType, times: npt.NDArray[np.datetime64], keys: Mapping[str, Any], values: Mapping[str, Any]
) -> xr.Dataset:
    """Build a data set of the values of fields, which may be read later.

    Parameters
    ----------
    data_type : DataType
        What the records are.
    times : array of datetime64[ns], shape (n,)
        Their times: the coordinate and dimension ``time``, or ``record`` if a field has this name.
    keys : mapping of str to array, shape (n,)
        Keys become coordinates along it.
    values : mapping of str to array-like, shape (n, *shape of the field)
        By name of the field.
    """
    xarray = import_extra("xarray", "to_xarray", "xarray")
    along = "time" if "time" not in values else "record"
    fields = {field.name: field for field in data_type.fields}
    variables = {
        name: xarray.Variable((along, *name_dimensions(fields[name])), data, describe_variable(data_type, fields[name]))
        for name, data in values.items()
    }
    coordinates = {name: xarray.Variable((along,), column) for name, column in keys.items()}
    coordinates[along] = xarray.Variable((along,), times, {"standard_name": "time", "long_name": "UTC time"})
    described = {"Conventions": "CF-1.11", "title": data_type.title, "data_type": data_type.name}
    dataset: xr.Dataset = xarray.Dataset(variables, coordinates, described)
    return dataset


def name_dimensions(field: Field) -> tuple[str, ...]:
    """Name the dimensions of an array field; none for a single value."""
    if len(field.array_shape) == 1:
        return (f"{field.name}_element",)
    return tuple(f"{field.name}_element_{axis}" for axis in range(len(field.array_shape)))


def describe_variable(data_type: DataType, field: Field) -> dict[str, Any]:
    """Describe a field by attributes of CF: units, long name, and what its bits or values mean."""
    described: dict[str, Any] = {"units": field.unit, "long_name": field.doc}
    described = {word: text for word, text in described.items() if text}
    if field.missing or field.base.kind not in "iu":
        return described
    flags = [flag for flag in data_type.flags if flag.applies_to(field)]
    bits = [flag for flag in flags if flag.kind == "bit"]
    values = [flag for flag in flags if flag.kind == "value" and flag.value.isdecimal()]
    for word, chosen, base in (("flag_masks", bits, 16), ("flag_values", values, 10)):
        if chosen:
            numbers = [int(flag.value, base) for flag in chosen]
            described[word] = np.array(numbers, np.uint64).astype(field.base)
            described["flag_meanings"] = " ".join(name_flag(flag.name or flag.doc) for flag in chosen)
            break
    return described


def name_flag(text: str) -> str:
    """Return a flag's name without blanks, which separate the names in CF."""
    return "_".join(text.split())
