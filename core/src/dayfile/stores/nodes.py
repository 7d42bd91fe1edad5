"""Groups, tables and what they tell about themselves: how a data type looks in HDF5.

A table's attributes hold its data type in full (``fields``, ``flags``, ``elements`` and ``clock`` as JSON text), so
that a day file can be read and understood without the plugin that wrote it.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import tables

from dayfile.errors import SourceError
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType, Element, Field, Flag, Node

__all__ = ["created_group", "data_type_of", "describe", "fill", "make_table", "matched", "recogniser", "tell"]

NODE_SIZE = 480
"""Bytes of the longest path of a table; the ledger has room for it and what is put behind it."""

Keys = Mapping[str, str | int]
Told = Callable[[tables.Table], DataType | None]


@contextmanager
def unnatural_names() -> Iterator[None]:
    """Let node names be no Python identifiers: PyTables warns of a blank in a cluster's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        yield


def fill(template: str, keys: Keys) -> str:
    """Fill the keys of a batch into the template of a node's path.

    Raises
    ------
    SourceError
        A key is missing, or its value cannot be part of a path in a day file.
    """
    for name, value in keys.items():
        text = str(value)
        if not text or "/" in text or text in {".", ".."} or not text.isprintable():
            message = f"{name} is {text!r}, which cannot name a group in a day file"
            raise SourceError(message)
    try:
        path = template.format(**keys)
    except KeyError as error:
        raise SourceError(f"the source does not tell the {error.args[0]} of its records") from error
    if len(path.encode()) > NODE_SIZE:
        raise SourceError(f"{path[:60]}… is too long for a path in a day file ({NODE_SIZE} bytes)")
    return path


def created_group(file: tables.File, path: str, titles: tuple[str, ...], keys: Keys) -> tables.Group:
    """The group above a node, made with its titles where it is absent.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the node.
    titles : tuple of str
        Templates of a title for each group on the way.
    keys : mapping
        What fills the templates.
    """
    group = file.root
    with unnatural_names():
        for index, name in enumerate(path.strip("/").split("/")[:-1]):
            if name in group._v_children:
                group = group._v_children[name]
            else:
                title = titles[index].format(**keys) if index < len(titles) - 1 else ""
                group = file.create_group(group, name, title)
    return group


def make_table(file: tables.File, path: str, data_type: DataType, keys: Keys, *, chunk_rows: int) -> tables.Table:
    """Make the table of a data type, empty.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the table.
    data_type : DataType
        Tells columns, defaults and attributes.
    keys : mapping
        What fills the titles of the groups.
    chunk_rows : int
        Rows of one HDF5 chunk: the least that is stored when one row is touched.
    """
    group = created_group(file, path, data_type.node.titles, keys)
    with unnatural_names():
        table = file.create_table(
            group,
            path.rsplit("/", 1)[1],
            columns(data_type),
            data_type.title,
            chunkshape=chunk_rows,
            byteorder="little",
        )
    tell(table, data_type)
    return table


def tell(table: tables.Table, data_type: DataType) -> None:
    """Put into a table's attributes what it holds."""
    for name, value in describe(data_type).items():
        table.attrs[name] = value


@lru_cache(maxsize=64)
def columns(data_type: DataType) -> dict[str, tables.Col]:
    """The PyTables columns of a table by name, made once, as PyTables is slow to make them and copies what it is given.

    An empty slot is all zero bytes, whatever the defaults.
    """
    plain = data_type.store == "slots"
    return {
        field.name: column(replace(field, default=0) if plain else field, place)
        for place, field in enumerate(data_type.fields)
    }


def column(field: Field, place: int) -> tables.Col:
    """The PyTables column of a field."""
    default = field.default
    if field.type == "char":
        return tables.StringCol(field.shape[-1], shape=field.array_shape, pos=place)
    if field.type == "time32":
        return tables.Time32Col(shape=field.array_shape, dflt=default, pos=place)
    return tables.Col.from_sctype(field.base.type, shape=field.array_shape, dflt=default, pos=place)


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


def data_type_of(table: tables.Table) -> DataType | None:
    """The data type of a table, from its attributes alone; None for a table without them.

    Overflow rules and the day file's path are not in the attributes: they matter to writing only.
    """
    attributes = table.attrs
    if "data_type" not in attributes or "fields" not in attributes:
        return None
    told = ((name, attributes[name]) for name in attributes._v_attrnamesuser)
    simple = tuple((name, value) for name, value in told if isinstance(value, str | int | np.integer))
    return type_told(str(table.title), simple)


@lru_cache(maxsize=64)
def type_told(title: str, attributes: tuple[tuple[str, Any], ...]) -> DataType:
    """The data type of a table with this title and these attributes; day after day they are the same."""
    told = dict(attributes)
    clock = json.loads(told["clock"])
    instrument, _, name = str(told["data_type"]).partition(".")
    return DataType(
        instrument=instrument,
        type=name,
        code=str(told["code"]),
        title=title,
        fields=tuple(field_told(words) for words in json.loads(told["fields"])),
        clock=Clock(
            np.datetime64(clock["epoch"], "s"), clock["unit"], clock["leap_seconds"], tuple(clock["undefined"])
        ),
        store=told["store"].item() if hasattr(told["store"], "item") else told["store"],
        time=str(told["time"]),
        end=str(told["end"]),
        period=int(told["period"]),
        path="",
        node=Node(str(told["node"]), blobs=str(told["blobs"])),
        layout=str(told["layout"]),
        flags=tuple(Flag(**words) for words in json.loads(told.get("flags", "[]"))),
        elements=tuple(Element(**words) for words in json.loads(told.get("elements", "[]"))),
    )


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
    """
    # Odd parts of the split are names of keys.
    parts = re.split(r"\{(\w+)\}", template)
    pattern = "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
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

    def told(table: tables.Table) -> DataType | None:
        found = data_type_of(table)
        if found is not None:
            return found
        path = str(table._v_pathname)
        for data_type in known:
            if matched(data_type.node.path, path) is not None and data_type.time in table.colnames:
                return data_type
        return None

    return told
