"""Validation of data types, and of the batches that decode and write return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.errors import PluginError, StorageError
from dayfile.messages import plural, suggest
from dayfile.model.batch import Batch, Blobs, Blocks, Rejected, Remark
from dayfile.model.datatype import DataType
from dayfile.model.field import STORED_TYPES
from dayfile.model.placement import NODE_KEY
from dayfile.model.plausible import Plausible
from dayfile.model.stamps import find_stamp_problem
from dayfile.model.status import STORED_STATUSES
from dayfile.stores.registry import find_store, list_store_names
from dayfile.stores.sharing import find_shared_node

__all__ = [
    "Answering",
    "check_answer",
    "check_blocks",
    "check_data_type",
    "check_new",
    "check_records",
    "check_statuses",
    "check_written",
    "protect",
    "refuse_second",
]


class Answering(Protocol):
    """A work file, which remembers the statuses it returned and its last error."""

    answers: list[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint8]]]
    failed: StorageError | None


def check_data_type(item: object) -> DataType:
    """Check a data type that a plugin declares: its records can be archived.

    Raises
    ------
    PluginError
        Not a DataType, or it names a store, field type or time field that does not exist.
    """
    if not isinstance(item, DataType):
        raise PluginError(f"data_types returned {type(item).__name__}, not a DataType")
    store = item.placement.store
    if store not in list_store_names():
        raise PluginError(f"the data type {item.name} has the store {store!r}{suggest(store, list_store_names())}")
    for field in item.fields:
        if field.type != "char" and field.type not in STORED_TYPES:
            hint = suggest(field.type, (*STORED_TYPES, "char"))
            raise PluginError(f"the field {field.name} of {item.name} has the type {field.type!r}{hint}")
    if problem := item.clock.problem():
        raise PluginError(f"the clock of {item.name}: {problem}")
    check_plausible(item)
    check_blob_fields(item)
    if found := find_store(store).find_problem(item):
        raise PluginError(f"the data type {item.name}: {found.message}")
    check_node(item)
    names = [field.name for field in item.fields]
    for name in item.timing.field_names:
        if name not in names:
            raise PluginError(f"the time {name!r} of {item.name} is not a field{suggest(name, names)}")
    for stamp in item.timing.stamps:
        if problem := find_stamp_problem(stamp, {field.name: field for field in item.fields}, item.clock):
            raise PluginError(f"the time of {item.name}: {problem}")
    return item


def check_new(item: DataType, known: Mapping[str, DataType], owners: Mapping[str, str]) -> None:
    """Check that no known data type has the name or the table of a new one."""
    if item.name in known:
        raise PluginError(f"the data type {item.name} is plugin {owners[item.name]}'s already")
    for other in known.values():
        if node := find_shared_node(item, other):
            sharer = f"{other.name} of plugin {owners[other.name]}"
            message = f"{item.name} would share its table {node} with {sharer}, in the same day file"
            raise PluginError(f"{message}; give it a path or node of its own")


def check_plausible(item: DataType) -> None:
    """Check the bounds of plausible times."""
    plausible = item.plausible
    if plausible is None:
        return
    if not isinstance(plausible, Plausible):
        raise PluginError(f"plausible of {item.name} must be a Plausible, not {type(plausible).__name__}")
    ahead = plausible.days_ahead
    for word, bound in (("since", plausible.since), ("until", plausible.until)):
        if bound is not None and (not isinstance(bound, np.datetime64) or np.isnat(bound)):
            raise PluginError(f"plausible.{word} of {item.name} must be a numpy.datetime64, not {bound!r}")
    whole = isinstance(ahead, int | float) and not isinstance(ahead, bool)
    if ahead is not None and (not whole or not 0 <= ahead < np.inf):
        raise PluginError(f"plausible.days_ahead of {item.name} must be a number from 0 on, not {ahead!r}")


def check_blob_fields(item: DataType) -> None:
    """Check that the values of blob fields can be stored: by int32 indexes into an array of the node."""
    for field in item.fields:
        if field.blob and not item.placement.node.blobs:
            problem = "has no array for its values: its node has no blobs"
            raise PluginError(f"the blob field {field.name} of {item.name} {problem}")
        if field.blob and field.type != "int32":
            raise PluginError(f"the blob field {field.name} of {item.name} must be int32, not {field.type}")


def check_node(item: DataType) -> None:
    """Check that the keys in a node's templates are plain names, and that readers find them in the table's path."""
    node = item.placement.node
    for template in (node.path, node.blobs, *node.titles[:-1]):
        if "{" in NODE_KEY.sub("", template) or "}" in NODE_KEY.sub("", template):
            problem = "is not a template: write a key as a plain name, such as {station}"
            raise PluginError(f"{template!r} in the node of {item.name} {problem}")
    keys = NODE_KEY.findall(node.path)
    for key in keys:
        if keys.count(key) > 1:
            raise PluginError(f"the node of {item.name} has the key {key!r} twice in {node.path!r}")
    for key in NODE_KEY.findall(node.blobs):
        if key not in keys:
            raise PluginError(f"the blobs of {item.name} have the key {key!r}, which {node.path!r} lacks")


def check_answer(answer: Iterable[object]) -> list[Batch | Rejected | Remark]:
    """Check the items that decode returned, and that there is at least one.

    Raises
    ------
    PluginError
        An item is not valid, or the result is empty: for a source without records decode must return a Remark.
    """
    return list(check_items(answer))


def check_blocks(answer: Blocks) -> Blocks:
    """Check items that decode returns in blocks, each when it comes, as :func:`check_answer` does."""
    return Blocks(partial(check_items, answer))


def check_items(answer: Iterable[object]) -> Iterator[Batch | Rejected | Remark]:
    """Check and yield each item that decode returned; PluginError if one is not valid, or without any."""
    number = 0
    for number, item in enumerate(answer, 1):  # noqa: B007 - looked at after the last
        yield check_item(item)
    if not number:
        raise PluginError(
            "decode claimed the source but returned no batches. Return None for sources that are not yours "
            "(a generator cannot: return a list), or a Remark if the source is legitimately empty"
        )


def check_item(item: object) -> Batch | Rejected | Remark:
    """Check an item that decode returned.

    Raises
    ------
    PluginError
        Neither Batch, Rejected nor Remark, or its parts do not fit together.
    """
    if isinstance(item, Batch):
        return check_batch(item)
    if isinstance(item, Remark):
        texts = (item.instrument, item.code, item.text)
        if not isinstance(item.numbers, tuple) or not all(isinstance(text, str) for text in texts):
            raise PluginError("decode returned a Remark with parts of a wrong type")
        values = item.values
        if not isinstance(item.keys, Mapping) or not isinstance(values, tuple):
            raise PluginError("decode returned a Remark whose keys are not a mapping, or whose values are not a tuple")
        if len(values) not in {0, len(item.numbers)} or not all(isinstance(value, str) for value in values):
            raise PluginError("decode returned a Remark whose values are not one line of text for each of its records")
        return item
    if isinstance(item, Rejected):
        parts = (item.instrument, item.code, item.reason, item.error, item.name)
        places = isinstance(item.numbers, tuple) and all(type(number) is int for number in item.numbers)
        places &= item.offset is None or type(item.offset) is int
        if not isinstance(item.content, bytes) or not places or not all(isinstance(part, str) for part in parts):
            raise PluginError(
                "decode returned a Rejected whose content is not bytes, or with other parts of a wrong type"
            )
        if not item.content:
            raise PluginError("decode returned a Rejected without content: its records would be lost")
        return item
    raise PluginError(f"decode returned {type(item).__name__}, not Batch or Rejected")


def check_batch(batch: Batch) -> Batch:
    """Check that the parts of a batch fit together, and that nothing in it would be dropped."""
    records, numbers, blobs = batch.records, batch.numbers, batch.blobs
    if any(isinstance(array, np.ma.MaskedArray) for array in (records, numbers, getattr(blobs, "owners", None))):
        raise PluginError("decode returned a Batch with a masked array, whose mask would be lost: store what it masks")
    if not isinstance(records, np.ndarray) or records.ndim != 1 or records.dtype.names is None:
        raise PluginError("decode returned a Batch whose records are not a structured array of one dimension")
    if not isinstance(numbers, np.ndarray) or numbers.shape != records.shape or numbers.dtype.kind not in "iu":
        raise PluginError("decode returned a Batch without a number for each record")
    if not isinstance(batch.instrument, str) or not isinstance(batch.code, str):
        raise PluginError("decode returned a Batch whose instrument or code is not a text")
    if not isinstance(batch.keys, Mapping):
        raise PluginError("decode returned a Batch whose keys are not a mapping")
    if not all(isinstance(name, str) for name in batch.keys):
        raise PluginError("decode returned a Batch with a key whose name is not a text")
    if not all(may_be_key(value) for value in batch.keys.values()):
        raise PluginError("decode returned a Batch with a key that is neither a text nor a whole number (of 64 bits)")
    if not isinstance(batch.gave_way, bool):
        raise PluginError(
            "decode returned a Batch whose gave_way is not True or False; it is one value for all records"
        )
    if not isinstance(blobs, Blobs) or not all(issubclass(kind, bytes) for kind in set(map(type, blobs.values))):
        raise PluginError("decode returned a Batch whose blobs are not bytes")
    owners = blobs.owners
    if not isinstance(owners, np.ndarray) or owners.dtype.kind not in "iu":
        raise PluginError("decode returned a Batch whose blobs have owners that are not an array of whole numbers")
    if owners.shape != (len(blobs.values),) or ((owners < 0) | (owners >= len(records))).any():
        raise PluginError("decode returned a Batch with blobs that belong to no record")
    return batch


def may_be_key(value: object) -> bool:
    """Return whether a value of a key can be read back: a text, or an integer of int64."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return isinstance(value, str) or (whole and -(2**63) <= int(value) < 2**63)  # type: ignore[call-overload]


def check_records(batch: Batch, data_type: DataType) -> None:
    """Check records against their data type: dtype, times, keys, blobs.

    Raises
    ------
    PluginError
        They do not fit, or something in the batch would be lost, as the data type has no place for it.
    """
    records = batch.records
    form = next((form for form in data_type.forms if records.dtype == form.dtype), None)
    if form is None:
        raise PluginError(f"the records of code {batch.code} have another dtype than {data_type.name}: {records.dtype}")
    check_keys(batch, data_type)
    for stamp, values in data_type.stamps(records).items():
        if not data_type.clock.defined(values).all():
            raise PluginError(f"records of {data_type.name} have no time in {stamp}; decode must reject them")
    store = data_type.placement.store
    if batch.gave_way and not find_store(store).contends:
        problem = f"cannot have given way (gave_way): nothing does in the store {store}"
        raise PluginError(f"records of {data_type.name} {problem}")
    fields = form.blob_fields
    if len(batch.blobs.values) and not fields:
        raise PluginError(f"{data_type.name} has no blob field, so {plural(len(batch.blobs.values), 'blob')} are lost")
    for name in fields:
        if ((records[name] < -1) | (records[name] >= len(batch.blobs.values))).any():
            raise PluginError(f"records of {data_type.name} point in {name} to blobs that the batch does not have")


def check_keys(batch: Batch, data_type: DataType) -> None:
    """Check that the keys of a batch are exactly those of the data type's node.

    Any other key would be lost: equal records of two stations would become one.
    """
    known = data_type.placement.node.keys
    extra = [name for name in batch.keys if name not in known]
    missing = [name for name in known if name not in batch.keys]
    if not extra and not missing:
        return
    problems = [f"have the key {name!r}, which its node lacks" for name in extra]
    problems += [f"lack the key {name!r} of its node" for name in missing]
    has = f"the keys {', '.join(known)}" if known else "no keys"
    where = f"the node {data_type.placement.node.path!r}, with its blobs and titles, has {has}"
    raise PluginError(f"batches of {data_type.name} {' and '.join(problems)}; {where}")


def check_statuses(statuses: object, batch: Batch, data_type: DataType) -> npt.NDArray[np.uint8]:
    """Check the result of the write hook: a status for each record."""
    shaped = isinstance(statuses, np.ndarray) and statuses.shape == (len(batch),) and statuses.dtype.kind in "iu"
    if not shaped or ((np.asarray(statuses) < 0) | (np.asarray(statuses) > max(STORED_STATUSES))).any():
        message = f"write of {data_type.name} must return a status 0 to 3 for each of {plural(len(batch), 'record')}"
        raise PluginError(message)
    array: npt.NDArray[Any] = np.asarray(statuses)
    return array.astype(np.uint8)


def check_written(
    statuses: npt.NDArray[np.uint8],
    batch: Batch,
    data_type: DataType,
    answers: Sequence[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint8]]],
) -> None:
    """Check that the write hook passed each record to the work file, and returned the work file's statuses.

    Parameters
    ----------
    statuses : array of uint8, shape (n,)
        The result of the hook.
    batch : Batch
        The records.
    data_type : DataType
        Their type.
    answers : sequence of (str, array, array)
        Results of the work file: name of the data type, numbers of the records, their statuses.

    Raises
    ------
    PluginError
        Some records of the result are not in the day file.
    """
    mine = [(numbers, given) for name, numbers, given in answers if name == data_type.name]
    kinds = len(STORED_STATUSES)
    counted = sum((np.bincount(given, minlength=kinds) for _, given in mine), np.zeros(kinds, int))
    answered = np.bincount(statuses, minlength=kinds)
    if (answered > counted).any():
        message = (
            f"write of {data_type.name} returned for {plural(len(statuses), 'record')}: {describe_counts(answered)}; "
            f"but WorkFile.write returned: {describe_counts(counted)}. Return the statuses of WorkFile.write"
        )
        raise PluginError(message)
    if not any(numbers is batch.numbers for numbers, _ in mine) and len(batch):
        missing = ~np.isin(batch.numbers, np.concatenate([numbers for numbers, _ in mine]))
        if missing.any():
            given = f"{(~missing).sum()} of {plural(len(batch), 'record')}"
            message = f"write of {data_type.name} passed only {given} to WorkFile.write"
            raise PluginError(f"{message}. Pass all records, and return the statuses of WorkFile.write")


def describe_counts(counts: npt.NDArray[np.int64]) -> str:
    """Describe numbers of records by status."""
    words = [f"{number} with status {status}" for status, number in enumerate(counts.tolist()) if number]
    return ", ".join(words) or "none"


def protect(batch: Batch) -> None:
    """Make the arrays of a batch read-only, so that no hook can change records of another plugin in place."""
    for array in (batch.records, batch.numbers, batch.blobs.owners):
        array.flags.writeable = False


def refuse_second(plugin: str, taken: str, where: str) -> None:
    """Refuse a source that two layouts take: its records would be archived as of two instruments."""
    if taken:
        remedy = "say more in 'match' of one of the layouts, or leave one out with --plugins"
        raise PluginError(f"the layout of {taken} takes this source, too; {remedy}", plugin=plugin, where=where)
