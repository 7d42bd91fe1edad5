"""Groups, tables and what they tell about themselves: how a data type looks in HDF5.

A table's attributes hold its data type in full (``fields``, ``flags``, ``elements`` and ``clock`` as JSON text), so
that a day file can be read and understood without the plugin that wrote it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import tables

from dayfile.errors import SourceError
from dayfile.hdf5.attributes import set_attributes
from dayfile.hdf5.rows import Table
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType, Element, Field, Flag, Node

__all__ = ["data_type_of", "describe", "fill", "matched", "recogniser", "tell", "with_keys"]

ATTRIBUTES = (
    *("TITLE", "data_type", "code", "layout", "store", "time", "end", "period", "node", "blobs", "clock"),
    *("fields", "flags", "elements"),
)
"""What a table tells of its data type; see :func:`describe`. The title is PyTables' own."""
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
NODE_SIZE = 480
"""Bytes of the longest path of a table; the ledger has room for it and what is put behind it."""

Keys = Mapping[str, str | int]
Told = Callable[[Table], DataType | None]


def fill(template: str, keys: Keys) -> str:
    """Fill the keys of a batch into the template of a node's path.

    Raises
    ------
    SourceError
        A key is missing, its value cannot be part of a path in a day file, or readers would find another value in the
        path: ``{a}_{b}`` gives the same one for ``1_2`` and ``3`` as for ``1`` and ``2_3``.
    """
    for name, value in keys.items():
        text = str(value)
        if not text or "/" in text or text in {".", ".."} or not text.isprintable():
            message = f"{name} is {text!r}, which cannot name a group in a day file"
            raise SourceError(message)
        if isinstance(value, str) and isinstance(key_of(text), int):
            raise SourceError(f"{name} is the text {text!r}, which would be read back as a number; give the number")
    path = with_keys(template, keys)
    found = matched(template, path)
    if found is None or any(str(keys[name]) != text for name, text in found.items()):
        given = ", ".join(f"{name} {str(value)!r}" for name, value in keys.items())
        raise SourceError(f"{given} cannot be told apart from other keys in {path!r}, made by {template!r}")
    if len(path.encode()) > NODE_SIZE:
        raise SourceError(f"{path[:60]}… is too long for a path in a day file ({NODE_SIZE} bytes)")
    return path


def key_of(text: str) -> str | int:
    """The value of a key from its text: an integer where it is written as one and int64 holds it, else the text.

    Examples
    --------
    >>> key_of("501"), key_of("-5"), key_of("05"), key_of("²"), key_of("99999999999999999999")
    (501, -5, '05', '²', '99999999999999999999')
    """
    if INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    return text


def with_keys(template: str, keys: Keys) -> str:
    """A template with the keys of a batch put in; SourceError if one is missing."""
    try:
        return template.format(**keys)
    except KeyError as error:
        raise SourceError(f"the source does not tell the {error.args[0]} of its records") from error


def tell(table: tables.Table, data_type: DataType) -> None:
    """Put into a table's attributes what it holds."""
    set_attributes(table, describe(data_type))


def describe(data_type: DataType) -> dict[str, str | int]:
    """What a table tells about its data type, as attributes."""
    clock = data_type.clock
    fields = [
        {
            "name": field.name,
            "type": field.type,
            **({"shape": list(field.shape)} if field.shape else {}),
            **({"unit": field.unit} if field.unit else {}),
            **({"doc": field.doc} if field.doc else {}),
            **({"blob": field.blob} if field.blob else {}),
            **({"counter": True} if field.counter else {}),
            **({"default": in_json(field.default)} if field.default else {}),
        }
        for field in data_type.fields
    ]
    flags = [{word: value for word, value in vars(flag).items() if value} for flag in data_type.flags]
    elements = [{word: value for word, value in vars(element).items() if value} for element in data_type.elements]
    words = {
        "epoch": str(clock.epoch),
        "unit": clock.unit,
        "leap_seconds": clock.leap_seconds,
        "undefined": list(clock.undefined),
    }
    return {
        "data_type": data_type.name,
        "code": data_type.code,
        "layout": data_type.layout,
        "store": data_type.store,
        "time": data_type.time,
        "end": data_type.end,
        "period": data_type.period,
        "node": data_type.node.path,
        "blobs": data_type.node.blobs,
        "clock": json.dumps(words),
        "fields": compact(fields),
        **({"flags": compact(flags)} if flags else {}),
        **({"elements": compact(elements)} if elements else {}),
    }


def in_json(number: float) -> float | str:
    """A number as JSON can have it: NaN and infinities as text."""
    return number if math.isfinite(number) else str(number)


def compact(words: list[dict[str, Any]]) -> str:
    """JSON without blanks: HDF5 keeps at most 64 kB in an attribute."""
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"))


def data_type_of(table: Table) -> DataType | None:
    """The data type of a table, from its attributes alone; None for a table without them.

    Overflow rules and the day file's path are not in the attributes: they matter to writing only.

    Raises
    ------
    tables.HDF5ExtError
        The attributes are damaged.
    """
    attributes = table.attributes(ATTRIBUTES)
    if "data_type" not in attributes or "fields" not in attributes:
        return None
    try:
        data_type = type_told(tuple(attributes.items()))
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        message = f"the attributes of {table.path} do not describe a data type ({type(error).__name__}: {error})"
        raise tables.HDF5ExtError(message) from error
    if table.dtype != data_type.dtype:
        raise tables.HDF5ExtError(f"the columns of {table.path} are not those that its attributes describe")
    return data_type


def check_usable(data_type: DataType) -> None:
    """Make all that is derived from a data type, and is used without care later; what is wrong with it is raised."""
    missing = {data_type.time, data_type.end} - {""} - set(data_type.dtype.names or ())
    if missing:
        raise ValueError(f"no field {missing.pop()}")
    data_type.defaults  # noqa: B018 - made here, so that what is wrong is raised here
    if data_type.store == "slots" and data_type.period < 1:
        raise ValueError("slots without a period")
    data_type.clock.to_datetime64(np.array(data_type.clock.bounds))


@lru_cache(maxsize=64)
def type_told(attributes: tuple[tuple[str, Any], ...]) -> DataType:
    """The data type of a table with these attributes; day after day they are the same."""
    told = dict(attributes)
    clock = json.loads(told["clock"])
    instrument, _, name = str(told["data_type"]).partition(".")
    data_type = DataType(
        instrument=instrument,
        type=name,
        code=str(told["code"]),
        title=str(told.get("TITLE", "")),
        fields=tuple(field_told(words) for words in json.loads(told["fields"])),
        clock=Clock(
            np.datetime64(clock["epoch"], "s"), clock["unit"], clock["leap_seconds"], tuple(clock["undefined"])
        ),
        store=str(told["store"]),  # type: ignore[arg-type]
        time=str(told["time"]),
        end=str(told["end"]),
        period=int(told["period"]),
        path="",
        node=Node(str(told["node"]), blobs=str(told["blobs"])),
        layout=str(told["layout"]),
        flags=tuple(Flag(**words) for words in json.loads(told.get("flags", "[]"))),
        elements=tuple(Element(**words) for words in json.loads(told.get("elements", "[]"))),
    )
    check_usable(data_type)
    return data_type


def field_told(words: dict[str, Any]) -> Field:
    """A field from its words in the attribute."""
    default = words.get("default", 0)
    told = {"shape": tuple(words.get("shape", ())), "default": float(default) if isinstance(default, str) else default}
    return Field(**(words | told))


def matched(template: str, path: str) -> dict[str, str] | None:
    """The keys with which a node's template gives a path, as text; None if it does not.

    Examples
    --------
    >>> matched("/array/telescope_{telescope}/events", "/array/telescope_7/events")
    {'telescope': '7'}
    >>> matched("/array/{telescope}", "/array/7_overlap")
    {'telescope': '7'}
    """
    # Odd parts of the split are names of keys.
    parts = re.split(r"\{(\w+)\}", template)
    pattern = "".join(f"(?P<{part}>[^/]+?)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    match = re.fullmatch(f"{pattern}(?:_overlap)?", path)
    return match.groupdict() if match else None


def recogniser(types: Iterable[DataType]) -> Told:
    """What tells the data type of a table: its attributes, or, where it has none, where it stands and its time field.

    Parameters
    ----------
    types : iterable of DataType
        Those that a table without attributes may be.
    """
    known = tuple(types)

    def told(table: Table) -> DataType | None:
        found = data_type_of(table)
        if found is not None:
            return found
        for data_type in known:
            if matched(data_type.node.path, table.path) is not None and data_type.time in (table.dtype.names or ()):
                return data_type
        return None

    return told
