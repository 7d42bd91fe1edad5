"""Conversion of what a program puts: records, keys and blobs of a data type, from arrays of any form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.records import Records
from dayfile.errors import SourceError, UsageError
from dayfile.messages import list_some, suggest
from dayfile.model.batch import NO_BLOBS, Batch, Blobs
from dayfile.model.datatype import DataType
from dayfile.model.physical import AS_STORED
from dayfile.model.placement import NODE_KEY
from dayfile.stores.nodes import Keys, fill_path

__all__ = ["convert"]


def convert(
    records: Records | npt.ArrayLike,
    data_type: DataType,
    keys: Mapping[str, object],
    blobs: Mapping[str, npt.ArrayLike] | None,
    complete_keys: Callable[[DataType, Keys], Keys],
) -> tuple[DataType, Batch]:
    """Convert records with keys and blobs to a batch.

    Parameters
    ----------
    records : Records, or structured array of shape (n,)
        The records. Those that were read have their own keys and blobs.
    data_type : DataType
        Their type.
    keys : mapping of str to object
        Keys that are given beside them.
    blobs : mapping of str to array of object, shape (n, *shape of the field), optional
        Values by field, each bytes or None.
    complete_keys : callable
        Returns the keys of a batch for keys that a program gave; see :func:`dayfile.hookspecs.complete_keys`.

    Returns
    -------
    (DataType, Batch)
        The type in the version with these fields, and the batch, in its dtype; its records have numbers from 0 on, and
        memory of their own.

    Raises
    ------
    UsageError
        Records lack fields or have values that do not fit, or keys or blobs are not those of the type.
    """
    if blobs is not None and not isinstance(blobs, Mapping):
        raise UsageError(f"blobs of {data_type.name} must be values by the name of their field: blobs={{'name': …}}")
    if isinstance(records, Records):
        refuse_physical(records, data_type)
        keys = find_keys(records, data_type) | dict(keys)
        blobs = {name: records.all_blobs(name) for name in records.data_type.blob_fields} | dict(blobs or {})
        records = records.array
    elif isinstance(records, Mapping) or hasattr(records, "columns"):
        empty = f"np.zeros(n, archive.plugins.data_types[{data_type.name!r}].dtype)"
        kind = type(records).__name__
        message = f"records of {data_type.name} must be a structured array, or records that were read, not a {kind}"
        raise UsageError(f"{message}; fill in {empty} by field")
    elif isinstance(records, np.ma.MaskedArray):
        raise UsageError(f"records of {data_type.name} are a masked array, whose mask would be lost; fill it in first")
    try:
        array = np.atleast_1d(np.asarray(records))
    except ValueError as error:
        raise UsageError(f"records of {data_type.name} must be structs with its fields: {error}") from error
    values = find_values(array, data_type, blobs or {})
    form, converted = convert_records(complete(array, data_type, values), data_type)
    if np.may_share_memory(converted, array):
        converted = converted.copy()  # the caller may fill its array again before this is published
    found = index_blobs(converted, form, values) if values else NO_BLOBS
    numbers = np.arange(len(converted))
    whole = require_keys(data_type, complete_keys(data_type, convert_keys(keys, data_type)))
    return form, Batch(data_type.instrument, data_type.code, converted, numbers, whole, found)


def refuse_physical(records: Records, data_type: DataType) -> None:
    """Raise a UsageError for records with physical values or names in place of the numbers that are stored."""
    given = {field.name: field for field in records.data_type.fields}
    for field in data_type.fields:
        found = given.get(field.name, field)
        converted = field.physical not in (None, AS_STORED) and found.physical == AS_STORED
        if converted or (field.named and found.type == "char"):
            problem = f"{field.name} of these records of {data_type.name} is {'physical' if converted else 'a name'}"
            raise UsageError(f"{problem}; put records with stored values, read without physical=True")


def find_keys(records: Records, data_type: DataType) -> dict[str, object]:
    """Find the keys of records that were read; UsageError if they differ."""
    found: dict[str, object] = {}
    for name in data_type.placement.node.keys:
        if name not in records.keys or not len(records):
            continue
        values = np.unique(records.keys[name])
        if len(values) > 1:
            some = ", ".join(map(str, values[:3]))
            raise UsageError(f"records of {data_type.name} have more than one {name} ({some}); put those of each alone")
        found[name] = values[0]
    return found


def convert_keys(keys: Mapping[str, object], data_type: DataType) -> dict[str, str | int]:
    """Convert keys to texts and integers; UsageError if one is neither."""
    found: dict[str, str | int] = {}
    for name, value in keys.items():
        if isinstance(value, str):
            found[name] = str(value)
        elif isinstance(value, int | np.integer) and not isinstance(value, bool):
            if not -(2**63) <= value < 2**63:
                raise UsageError(f"the key {name} of {data_type.name} must be a number of 64 bits, not {value}")
            found[name] = int(value)
        else:
            raise UsageError(f"the key {name} of {data_type.name} must be a text or a whole number, not {value!r}")
    return found


def require_keys(data_type: DataType, keys: Keys) -> dict[str, str | int]:
    """Return the keys of a node, in its order; UsageError if some are missing, unknown or impossible in its path."""
    node = data_type.placement.node
    in_path = [name for name in NODE_KEY.findall(node.path) if name not in keys]
    missing = in_path or [name for name in node.keys if name not in keys]
    if missing:
        call = ", ".join(f"{name}=…" for name in missing)
        raise UsageError(f'records of {data_type.name} need keys: put("{data_type.name}", records, {call})')
    for name in keys:
        if name not in node.keys:
            known = dict.fromkeys(NODE_KEY.findall(node.path))  # those of titles alone are for plugins to complete
            hint = suggest(name, known) or "; it has no keys"
            raise UsageError(f"{data_type.name} has no key {name!r}{hint}")
    whole = {name: keys[name] for name in node.keys}
    try:
        fill_path(node.path, whole)
    except SourceError as error:
        raise UsageError(f"{data_type.name}: {error.message}") from error
    return whole


def find_values(
    array: npt.NDArray[Any], data_type: DataType, blobs: Mapping[str, npt.ArrayLike]
) -> dict[str, npt.NDArray[np.object_]]:
    """Find the values of each blob field that has any: those given beside the records, or in columns of objects."""
    fields = data_type.blob_fields
    for name in blobs:
        if name not in fields:
            has = f"; these have: {', '.join(fields)}" if fields else ""
            raise UsageError(f"{name!r} of {data_type.name} has no blobs{suggest(name, fields)}{has}")
    names = array.dtype.names or ()
    found = {}
    for name in fields:
        if name in blobs:
            found[name] = convert_values(blobs[name], data_type, name, len(array))
        elif name in names and array.dtype[name].hasobject:
            found[name] = convert_values(array[name], data_type, name, len(array))
        elif name in names and array.dtype[name].base.kind in "iuf" and (array[name] >= 0).any():
            advice = f"give their values too, blobs={{{name!r}: …}}, or leave the field out"
            raise UsageError(f"{name} of {data_type.name} has indexes of blobs; {advice}")
    return found


def convert_values(values: npt.ArrayLike, data_type: DataType, name: str, records: int) -> npt.NDArray[np.object_]:
    """Convert blobs of a field to an array of bytes and None, shape (n, *shape of the field)."""
    try:
        given = np.asarray(values)
    except ValueError as error:
        raise UsageError(f"the blobs of {name} are not an array: {error}") from error
    if given.dtype.kind == "S":  # NumPy cuts zero bytes at the end of these
        given = np.asarray(values, object) if not isinstance(values, np.ndarray) else given
    shape = (records, *data_type.field(name).array_shape)
    if given.shape != shape:
        raise UsageError(f"the blobs of {name} have the shape {given.shape}, and must have {shape}")
    if given.size and given.dtype != object:
        raise UsageError(f"the blobs of {name} must be in an array of dtype object, not {given.dtype}")
    found: npt.NDArray[np.object_] = np.full(shape, None, object)
    for place in np.ndindex(shape):
        value: object = given[place]
        if not (value is None or isinstance(value, bytes | bytearray | memoryview)):
            kind = type(value).__name__
            raise UsageError(f"the blobs of {name} must be bytes or None; that of record {place[0]} is {kind}")
        found[place] = None if value is None else bytes(value)
    return found


def complete(
    array: npt.NDArray[Any], data_type: DataType, values: Mapping[str, npt.NDArray[np.object_]]
) -> npt.NDArray[Any]:
    """Add the fields that a program need not give: counters, and indexes of blobs."""
    names = array.dtype.names or ()
    made = [field for field in data_type.forms[0].fields if (field.counter or field.blob) and field.name not in names]
    made += [field for field in data_type.fields if field.name in values and field not in made]
    if not made or not names:
        return array
    replaced = {field.name for field in made}
    kept = [(name, array.dtype[name]) for name in names if name not in replaced]
    whole = np.empty(array.shape, [*kept, *((field.name, field.base, field.array_shape) for field in made)])
    for name, _ in kept:
        whole[name] = array[name]
    for field in made:
        whole[field.name] = -1 if field.blob else 0
    return whole


def index_blobs(records: npt.NDArray[Any], form: DataType, values: Mapping[str, npt.NDArray[np.object_]]) -> Blobs:
    """Write the indexes of values into the cells of records; return the values, record by record."""
    if not len(records):
        return NO_BLOBS
    names = [name for name in form.blob_fields if name in values]
    cells = np.hstack([values[name].reshape(len(records), -1) for name in names])
    there = np.array([value is not None for value in cells.ravel()], bool).reshape(cells.shape)
    indexes = np.where(there, np.cumsum(there.ravel()).reshape(cells.shape) - 1, -1)
    first = 0
    for name in names:
        shape = records[name].shape
        width = values[name][0].size if shape[1:] else 1
        records[name] = indexes[:, first : first + width].reshape(shape)
        first += width
    return Blobs(cells[there].tolist(), np.nonzero(there)[0].astype(np.int64))


def convert_records(array: npt.NDArray[Any], data_type: DataType) -> tuple[DataType, npt.NDArray[Any]]:
    """Convert records to the dtype of a data type, in the version whose fields they have.

    Returns
    -------
    (DataType, structured array of shape (n,))
        The type in the version with these fields, and the records in its dtype.

    Raises
    ------
    UsageError
        Records lack fields, or have values that do not fit.
    """
    names = set(array.dtype.names or ())
    form = next((form for form in reversed(data_type.forms) if names >= set(form.dtype.names or ())), None)
    if form is None or array.ndim != 1:
        required = [field.name for field in data_type.forms[0].fields if not (field.counter or field.blob)]
        missing = [name for name in required if name not in names]
        problem = f"they lack {list_some(missing, 5)}" if missing else f"their shape is {array.shape}"
        raise UsageError(f"records of {data_type.name} must be structs with its fields; {problem}")
    sent = names & set(data_type.dtype.names or ())
    wider = next(each for each in data_type.forms if sent <= set(each.dtype.names or ()))
    if wider != form:
        lost = ", ".join(sorted(sent.difference(form.dtype.names or ())))
        needed = ", ".join(name for name in wider.dtype.names or () if name not in sent)
        raise UsageError(f"records of {data_type.name} with {lost} need {needed} as well")
    if array.dtype == form.dtype:
        return form, array
    for name in form.dtype.names or ():
        check_values(array[name], form, name)
    return form, form.conform(array)


def check_values(values: npt.NDArray[Any], data_type: DataType, name: str) -> None:
    """Raise a UsageError if values would change in the type of their field."""
    target = data_type.dtype[name]
    if values.shape[1:] != target.shape:
        raise UsageError(f"{data_type.name}: {name} has the shape {values.shape[1:]}, and must have {target.shape}")
    if np.can_cast(values.dtype, target.base, "safe"):
        return
    try:
        with np.errstate(all="ignore"):
            cast = values.astype(target.base)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{data_type.name}: {name} does not fit {target.base}: {error}") from error
    same = (cast == values) | ((cast != cast) & (values != values))  # NaN equals NaN here
    if not np.all(same):
        first = np.argwhere(~same)[0]
        raise UsageError(f"{data_type.name}: {name} of record {first[0]} does not fit {target.base}")
