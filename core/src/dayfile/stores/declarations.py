"""The data type of a table as its attributes declare it, so that a day file can be read without the plugin.

``fields``, ``flags``, ``elements``, ``packed`` and ``clock`` are JSON text. Overflow rules, codes of fields and the day
file's path are not among the attributes: they matter to writing only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import tables
from pydantic import BaseModel, Json

from dayfile.hdf5.attributes import set_attributes
from dayfile.hdf5.rows import Table
from dayfile.model.clock import Clock, Scale, Unit
from dayfile.model.datatype import DataType
from dayfile.model.field import Element, Field, Flag
from dayfile.model.packed import Packed
from dayfile.model.placement import Node, Placement
from dayfile.model.times import Timing
from dayfile.stores.nodes import match_keys
from dayfile.stores.registry import find_store

__all__ = [
    "ATTRIBUTES",
    "TypeFinder",
    "make_attributes",
    "make_type_finder",
    "parse_data_type",
    "read_data_type",
    "recall_data_type",
    "write_attributes",
]

TypeFinder = Callable[[Table], DataType | None]


class StoredClock(BaseModel):
    """A clock, with its epoch as text."""

    epoch: str
    unit: Unit
    leap_seconds: Literal["ignored", "counted"]
    undefined: tuple[int, ...]
    scale: Scale = "utc"
    day_begins: int = 0


class Declaration(BaseModel):
    """The attributes of a table that declare its data type, by name."""

    data_type: str
    code: str
    layout: str
    store: str
    time: str
    end: str
    period: int
    node: str
    blobs: str
    clock: Json[StoredClock]
    fields: Json[tuple[Field, ...]]
    flags: Json[tuple[Flag, ...]] = ()
    elements: Json[tuple[Element, ...]] = ()
    packed: Json[Packed] | None = None
    timing: Json[Timing] | None = None
    main_key: str = ""

    @classmethod
    def of(cls, data_type: DataType) -> Declaration:
        """Make the declaration of a data type."""
        clock, node = data_type.clock, data_type.placement.node
        return cls.model_construct(
            data_type=data_type.name,
            code=data_type.code,
            layout=data_type.layout,
            store=data_type.placement.store,
            time=data_type.time,
            end=data_type.end,
            period=data_type.period,
            node=node.path,
            blobs=node.blobs,
            clock=StoredClock.model_construct(**{**vars(clock), "epoch": str(clock.epoch)}),
            fields=data_type.fields,
            flags=data_type.flags,
            elements=data_type.elements,
            packed=data_type.packed,
            timing=data_type.timing,
            main_key=node.main_key,
        )

    def type_of(self, title: str) -> DataType:
        """Return the data type of a table with this declaration and a title."""
        instrument, _, name = self.data_type.partition(".")
        return DataType(
            instrument=instrument,
            type=name,
            code=self.code,
            title=title,
            fields=self.fields,
            clock=Clock(**{**vars(self.clock), "epoch": np.datetime64(self.clock.epoch)}),
            time=self.time,
            placement=Placement(self.store, "", Node(self.node, blobs=self.blobs, main_key=self.main_key)),
            end=self.end,
            period=self.period,
            layout=self.layout,
            flags=self.flags,
            elements=self.elements,
            packed=self.packed,
            composed=self.timing if self.timing is not None and self.timing.is_composed else None,
        )


WRITING_ONLY = {"fields": {"__all__": {"code", "overflow"}}}
"""Parts that are not declared, as they matter to writing only."""
TITLE = "TITLE"
"""PyTables' own attribute."""
ATTRIBUTES = (TITLE, *Declaration.model_fields)
"""The attributes of a table that declare its data type."""
DIGEST = "declaration_sha256"
"""The attribute that says which they are."""
BY_DIGEST: dict[str, DataType] = {}
"""Data types that were read in this process, by the digest of their declaration."""
MOST_KNOWN = 1000


def make_attributes(data_type: DataType) -> dict[str, str | int]:
    """Return the attributes that declare a data type; defaults are left out of ``fields`` and the like."""
    declaration = Declaration.of(data_type)
    words = declaration.model_dump(mode="json", exclude_defaults=True, exclude=WRITING_ONLY)
    for field in words["fields"]:
        if not math.isfinite(field.get("default", 0)):
            field["default"] = str(field["default"])  # JSON has neither NaN nor infinities
    clock = json.dumps(words["clock"])
    parts = {name: value for name, value in words.items() if isinstance(value, list | dict)}
    # Without blanks: HDF5 keeps at most 64 kB in an attribute.
    texts = {name: json.dumps(value, ensure_ascii=False, separators=(",", ":")) for name, value in parts.items()}
    return {**words, **texts, "clock": clock}


def write_attributes(table: tables.Table, data_type: DataType) -> None:
    """Write the attributes that declare a table's data type, and their digest."""
    attributes = make_attributes(data_type)
    digest = digest_attributes({**attributes, TITLE: str(table.title)})
    set_attributes(table, {**attributes, DIGEST: digest})


def digest_attributes(attributes: Mapping[str, str | int]) -> str:
    """Compute the digest of the attributes that declare a data type; an empty one counts as absent."""
    content = json.dumps({name: value for name, value in attributes.items() if value != ""}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def read_data_type(table: Table) -> DataType | None:
    """Read the data type of a table from its attributes alone; None for a table without them.

    Raises
    ------
    tables.HDF5ExtError
        The attributes are damaged.
    """
    attributes = table.attributes(ATTRIBUTES)
    if "data_type" not in attributes or "fields" not in attributes:
        return None
    try:
        data_type = parse_data_type(tuple(attributes.items()))
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        message = f"the attributes of {table.path} do not describe a data type ({type(error).__name__}: {error})"
        raise tables.HDF5ExtError(message) from error
    if table.dtype != data_type.dtype:
        raise tables.HDF5ExtError(f"the columns of {table.path} are not those that its attributes describe")
    return data_type


def recall_data_type(table: Table) -> DataType | None:
    """Return the data type of a table by the digest of its attributes, as :func:`read_data_type` reads it otherwise.

    Nearly all tables of a type have the same attributes. They are read and parsed once in a process, and only by
    reading: what checks a day file looks at each.
    """
    digest = table.attributes((DIGEST,)).get(DIGEST)
    known = BY_DIGEST.get(str(digest))
    if known is not None and known.dtype == table.dtype:
        return known
    data_type = read_data_type(table)
    if data_type is not None and digest == digest_attributes(table.attributes(ATTRIBUTES)):
        if len(BY_DIGEST) >= MOST_KNOWN:
            BY_DIGEST.clear()
        BY_DIGEST[str(digest)] = data_type
    return data_type


@lru_cache(maxsize=64)
def parse_data_type(attributes: tuple[tuple[str, Any], ...]) -> DataType:
    """Return the data type of a table with these attributes; they are the same day after day, so it is cached."""
    words = dict(attributes)
    data_type = Declaration.model_validate(words).type_of(str(words.get("TITLE", "")))
    check_usable(data_type)
    return data_type


def check_usable(data_type: DataType) -> None:
    """Compute everything that is derived from a data type, so that an unusable one raises its error here."""
    packed = data_type.packed.fields if data_type.packed else ()
    missing = (
        {data_type.time, data_type.end, *data_type.timing.field_names, *packed}
        - {""}
        - set(data_type.dtype.names or ())
    )
    if missing:
        raise ValueError(f"no field {missing.pop()}")
    data_type.defaults  # noqa: B018 - computed for its errors
    first = data_type.clock.days(np.array(data_type.clock.bounds[:1]))[0]
    find_store(data_type.placement.store).count_rows(data_type, first)
    data_type.clock.to_datetime64(np.array(data_type.clock.bounds))


def make_type_finder(types: Iterable[DataType]) -> TypeFinder:
    """Make a function that finds the data type of a table: by its attributes, or else by its path and time field.

    Parameters
    ----------
    types : iterable of DataType
        The possible data types of a table without attributes.
    """
    known = tuple(types)

    def find_type(table: Table) -> DataType | None:
        found = read_data_type(table)
        if found is not None:
            return found
        for data_type in known:
            if match_keys(data_type.placement.node.path, table.path) is not None and data_type.time in (
                table.dtype.names or ()
            ):
                return data_type
        return None

    return find_type
