"""Records in a form that can be compared, wherever they come from: decoded, or read from an archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.records import Records
from dayfile.model.batch import Batch, Rejected, Remark
from dayfile.model.datatype import DataType
from dayfile.model.placement import NODE_KEY

__all__ = ["Row", "compute_fingerprint", "list_batch_rows", "list_read_rows", "summarise_items"]

Row = tuple[Any, ...]
"""A record: the bytes of its fields without counters and indexes of blobs, its keys, its blobs."""


def list_batch_rows(batch: Batch, data_type: DataType) -> list[Row]:
    """List the records of a batch as rows."""
    values = np.full(len(batch.blobs.values) + 1, None, object)
    values[:-1] = list(map(bytes, batch.blobs.values))
    form = next(form for form in data_type.forms if form.dtype == batch.records.dtype)
    blobs = {name: values[batch.records[name]] for name in form.blob_fields}
    keys = {name: np.full(len(batch), str(batch.keys[name])) for name in list_keys(data_type)}
    return list_rows(batch.records, data_type, keys, blobs)


def list_read_rows(records: Records, data_type: DataType) -> list[Row]:
    """List records that were read as rows of a data type, which may be a later version of their own."""
    blobs = {name: records.all_blobs(name) for name in records.data_type.blob_fields}
    keys = {name: records.keys[name].astype(str) for name in list_keys(data_type)}
    return list_rows(records.array, data_type, keys, blobs)


def list_keys(data_type: DataType) -> list[str]:
    """List the keys that readers find again: those in the path of the node."""
    return sorted(set(NODE_KEY.findall(data_type.placement.node.path)))


def list_rows(
    records: npt.NDArray[Any],
    data_type: DataType,
    keys: Mapping[str, npt.NDArray[Any]],
    blobs: Mapping[str, npt.NDArray[Any]],
) -> list[Row]:
    """List records with their keys and blobs, by field, as rows in the newest version of their type."""
    plain = np.array(data_type.conform(records), data_type.dtype)
    for name in (*data_type.counters, *data_type.blob_fields):
        plain[name] = 0
    content, size = plain.tobytes(), plain.dtype.itemsize
    columns: list[Iterable[Any]] = [(content[place : place + size] for place in range(0, len(content), size))]
    columns += [keys[name].tolist() for name in sorted(keys)]
    for field in data_type.fields:
        if field.blob:
            values = blobs.get(field.name, np.full((len(plain), *field.array_shape), None, object))
            columns.append(map(repr, values.tolist()))
    return list(zip(*columns, strict=True))


def compute_fingerprint(item: Batch | Rejected | Remark) -> str:
    """Compute a digest of everything in an item, to see whether it changes."""
    if not isinstance(item, Batch):
        return repr(item) + (hashlib.sha256(item.content).hexdigest() if isinstance(item, Rejected) else "")
    digest = hashlib.sha256(repr((item.instrument, item.code, sorted(item.keys.items()), item.gave_way)).encode())
    for array in (item.records, item.numbers, item.blobs.owners):
        digest.update(np.ascontiguousarray(array).tobytes())
    for value in item.blobs.values:
        digest.update(value)
    return digest.hexdigest()


def summarise_items(
    items: Iterable[Batch | Rejected | Remark], list_rows_of: Callable[[Batch], list[Row]]
) -> dict[str, list[Any]]:
    """Summarise the items of a source, so that it does not matter how many batches its records are in.

    Parameters
    ----------
    items : iterable of Batch, Rejected and Remark
        The items, in order.
    list_rows_of : callable
        Lists the records of a batch as rows.

    Returns
    -------
    dict of str to list
        Records with their numbers, by code and keys; numbers of what was rejected and remarked, by code.
    """
    records: dict[str, list[Any]] = {}
    others: dict[str, list[int]] = {}
    for item in items:
        if not isinstance(item, Batch):
            others.setdefault(f"{type(item).__name__} of {item.code}", []).extend(item.numbers)
        elif len(item):
            key = " ".join([f"records of {item.code}", *(f"{name}={item.keys[name]}" for name in sorted(item.keys))])
            rows = zip(item.numbers.tolist(), list_rows_of(item), strict=True)
            records.setdefault(key, []).extend(rows)
    return {**records, **{key: sorted(numbers) for key, numbers in others.items()}}
