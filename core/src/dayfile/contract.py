"""What plugins must give: answers of hooks are checked before anything is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import PluginError
from dayfile.messages import suggest
from dayfile.model.batch import Batch, Blobs, Rejected, Remark
from dayfile.model.datatype import NUMPY_TYPES, DataType

__all__ = ["check_answer", "check_data_type", "check_records", "check_statuses", "check_written"]

LAST_STATUS = 3
STORES = ("append", "slots", "intervals")


def check_data_type(item: object) -> DataType:
    """A data type that a plugin tells, if records of it can be archived.

    Raises
    ------
    PluginError
        It is none, or has a store, a field or a time that there is not.
    """
    if not isinstance(item, DataType):
        raise PluginError(f"data_types answered {type(item).__name__}, not a DataType")
    if item.store not in STORES:
        raise PluginError(f"the data type {item.name} has the store {item.store!r}{suggest(item.store, STORES)}")
    for field in item.fields:
        if field.type != "char" and field.type not in NUMPY_TYPES:
            hint = suggest(field.type, (*NUMPY_TYPES, "char"))
            raise PluginError(f"the field {field.name} of {item.name} has the type {field.type!r}{hint}")
    names = [field.name for field in item.fields]
    for stamp in item.stamps:
        if stamp not in names:
            raise PluginError(f"the time {stamp!r} of {item.name} is not a field{suggest(stamp, names)}")
    return item


def check_answer(answer: Iterable[object]) -> list[Batch | Rejected | Remark]:
    """The items that decode gave, if they are good and there are any.

    Raises
    ------
    PluginError
        An item is no good, or there is none: a source without records gives a batch without records.
    """
    items = [check_item(item) for item in answer]
    if not items:
        raise PluginError(
            "decode took the source for its own and made nothing of it; for a source of others it must return None, "
            "which a function with 'yield' cannot: give a list, or what another function yields"
        )
    return items


def check_item(item: object) -> Batch | Rejected | Remark:
    """An item that decode gave, if it is one.

    Raises
    ------
    PluginError
        It is neither Batch, Rejected nor Remark, or its parts do not fit together.
    """
    if isinstance(item, Batch):
        return check_batch(item)
    if isinstance(item, Remark):
        said = (item.instrument, item.code, item.text)
        if not isinstance(item.numbers, tuple) or not all(isinstance(text, str) for text in said):
            raise PluginError("decode gave a Remark with parts of a wrong type")
        return item
    if isinstance(item, Rejected):
        texts = (item.instrument, item.code, item.reason, item.error, item.name)
        places = isinstance(item.numbers, tuple) and all(type(number) is int for number in item.numbers)
        places &= item.offset is None or type(item.offset) is int
        if not isinstance(item.content, bytes) or not places or not all(isinstance(text, str) for text in texts):
            raise PluginError("decode gave a Rejected whose content is no bytes, or with other parts of a wrong type")
        return item
    raise PluginError(f"decode gave {type(item).__name__}, not Batch or Rejected")


def check_batch(batch: Batch) -> Batch:
    """A batch, if its parts fit together."""
    records, numbers, blobs = batch.records, batch.numbers, batch.blobs
    if not isinstance(records, np.ndarray) or records.ndim != 1 or records.dtype.names is None:
        raise PluginError("decode gave a Batch whose records are no structured array of one dimension")
    if not isinstance(numbers, np.ndarray) or numbers.shape != records.shape or numbers.dtype.kind not in "iu":
        raise PluginError("decode gave a Batch without a number for each record")
    if not isinstance(batch.instrument, str) or not isinstance(batch.code, str):
        raise PluginError("decode gave a Batch whose instrument or code is no text")
    if not isinstance(batch.keys, Mapping):
        raise PluginError("decode gave a Batch whose keys are no mapping")
    if not all(isinstance(value, str | int | np.integer) for value in batch.keys.values()):
        raise PluginError("decode gave a Batch with a key that is neither a text nor a whole number")
    if not isinstance(blobs, Blobs) or not all(issubclass(kind, bytes) for kind in set(map(type, blobs.values))):
        raise PluginError("decode gave a Batch whose blobs are no bytes")
    owners = blobs.owners
    if not isinstance(owners, np.ndarray) or owners.dtype.kind not in "iu":
        raise PluginError("decode gave a Batch whose blobs have owners that are no array of whole numbers")
    if owners.shape != (len(blobs.values),) or ((owners < 0) | (owners >= len(records))).any():
        raise PluginError("decode gave a Batch with blobs that are no record's")
    return batch


def check_records(batch: Batch, data_type: DataType) -> None:
    """Records are what their data type says: dtype, times, indexes of blobs.

    Raises
    ------
    PluginError
        They are not.
    """
    records = batch.records
    if all(records.dtype != form.dtype for form in data_type.forms):
        raise PluginError(f"the records of code {batch.code} have another dtype than {data_type.name}: {records.dtype}")
    if not data_type.clock.defined(records[data_type.time]).all():
        raise PluginError(f"records of {data_type.name} have no time in {data_type.time}; decode must reject them")
    for field in data_type.fields:
        if field.blob and ((records[field.name] < -1) | (records[field.name] >= len(batch.blobs.values))).any():
            raise PluginError(
                f"records of {data_type.name} point in {field.name} to blobs that the batch does not have"
            )


def check_statuses(statuses: object, batch: Batch, data_type: DataType) -> npt.NDArray[np.uint8]:
    """The answer of the write hook, if it is a status for each record; PluginError otherwise."""
    shaped = isinstance(statuses, np.ndarray) and statuses.shape == (len(batch),) and statuses.dtype.kind in "iu"
    if not shaped or ((np.asarray(statuses) < 0) | (np.asarray(statuses) > LAST_STATUS)).any():
        message = f"write of {data_type.name} must answer a status 0 to 3 for each of {len(batch)} records"
        raise PluginError(message)
    array: npt.NDArray[Any] = np.asarray(statuses)
    return array.astype(np.uint8)


def check_written(statuses: npt.NDArray[np.uint8], counted: npt.NDArray[np.int64], data_type: DataType) -> None:
    """The statuses that the write hook answered are those that the work file gave.

    Parameters
    ----------
    statuses : array of uint8, shape (n,)
        What the hook answered.
    counted : array of int64, shape (4,)
        How many records of the type were given each status by the work file meanwhile.

    Raises
    ------
    PluginError
        They are not: records that the answer counts are not in the day file.
    """
    answered = np.bincount(statuses, minlength=len(counted))
    if (answered != counted).any():
        message = (
            f"write of {data_type.name} answered for {len(statuses)} records: {in_words(answered)}; but its calls of "
            f"WorkFile.write gave: {in_words(counted)}. Answer the statuses that WorkFile.write returns"
        )
        raise PluginError(message)


def in_words(counts: npt.NDArray[np.int64]) -> str:
    """Numbers of records by status."""
    words = [f"{number} with status {status}" for status, number in enumerate(counts.tolist()) if number]
    return ", ".join(words) or "none"
