"""Data types and their fields: one declaration that drives decoding, storage, units and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from dayfile.model.clock import Clock

__all__ = ["DataType", "Field", "Node"]

NUMPY_TYPES = {
    "bool": "?",
    "int8": "<i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "<u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "float32": "<f4",
    "float64": "<f8",
    "time32": "<i4",
}
"""Field types and their stored form; ``time32`` is an int32 that PyTables marks as a Unix time, ``char`` is a text."""


@dataclass(frozen=True)
class Field:
    """One field of a data type.

    Parameters
    ----------
    name : str
        Name in the day file, in the format's own spelling.
    type : str
        A key of ``NUMPY_TYPES``, or ``char``: text of ``shape[-1]`` bytes.
    shape : tuple of int
        Empty for a scalar.
    unit, doc : str
        Physical unit and meaning; kept in the day file.
    code : str
        The instrument's own name for the field where input uses one (an upload code).
    blob : {'', 'base64', 'latin-1'}
        Not empty: the value is kept in the blob array beside the table, and the field holds its index there, -1 for
        none. The word says how input carries the value.
    default : int, float or bool
        What a record holds when the field was not sent.
    counter : bool
        The field numbers the rows of its table from 1.
    overflow : {'raise', 'wrap'}
        What happens to an integer too wide for the field: the record is rejected, or two's complement wraps it.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    doc: str = ""
    code: str = ""
    blob: Literal["", "base64", "latin-1"] = ""
    default: int | float | bool = 0
    counter: bool = False
    overflow: Literal["raise", "wrap"] = "raise"

    @property
    def base(self) -> np.dtype[np.generic]:
        """Little-endian NumPy type of one element (of the whole text for ``char``)."""
        return np.dtype(f"S{self.shape[-1]}") if self.type == "char" else np.dtype(NUMPY_TYPES[self.type])

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape as NumPy sees it: without the length of a text."""
        return self.shape[:-1] if self.type == "char" else self.shape


@dataclass(frozen=True)
class Node:
    """Where in a day file the records stand: a path of groups and titles, filled from a batch's keys.

    Parameters
    ----------
    path : str
        Path of the table, with the names of keys in braces: ``/array/telescope_{telescope}/events``.
    titles : tuple of str
        A title for each part of the path, the table's last; missing ones are empty.
    blobs : str
        Path of the blob array, empty if the type has none.
    blobs_title : str
        Its title.
    """

    path: str
    titles: tuple[str, ...] = ()
    blobs: str = ""
    blobs_title: str = ""


@dataclass(frozen=True)
class DataType:
    """One kind of record of an instrument.

    Parameters
    ----------
    instrument, type : str
        The two halves of the name, ``cris`` and ``hskp``.
    code : str
        The instrument's own name for this kind of record, ``L1CrisHskp``.
    title : str
        One line for people; also the table's title where the node gives none.
    fields : tuple of Field
        In stored order.
    clock : Clock
        How ``time`` and ``end`` count.
    store : {'append', 'slots', 'intervals'}
        How a day file holds the records.
    time : str
        Name of the field whose value decides the day (and the slot).
    end : str
        Name of the field with the end stamp; empty if there is none.
    period : int
        Seconds between records of a periodic type (store ``slots``); 0 otherwise.
    path : str
        Template of the day file's path below the archive root, in ``str.format`` syntax: ``{year}``, ``{month:02}``,
        ``{day:02}``, ``{instrument}``, ``{type}`` and ``{suffix}``.
    node : Node
        Where in the day file the records stand.
    suffix : str
        Short name of the type for the path.
    layout : str
        Name and version of the layout the type was declared in.
    """

    instrument: str
    type: str
    code: str
    title: str
    fields: tuple[Field, ...]
    clock: Clock
    store: Literal["append", "slots", "intervals"]
    time: str
    path: str
    node: Node
    end: str = ""
    period: int = 0
    suffix: str = ""
    layout: str = ""

    @property
    def name(self) -> str:
        """``instrument.type``."""
        return f"{self.instrument}.{self.type}"

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The form of records in batches and day files: packed, little-endian, fields in order."""
        return np.dtype([(field.name, field.base, field.array_shape) for field in self.fields])

    @cached_property
    def defaults(self) -> npt.NDArray[np.void]:
        """A record with every field at its default, dtype :attr:`dtype`, shape ()."""
        record = np.zeros((), self.dtype)
        for field in self.fields:
            if field.type != "char":
                record[field.name] = field.default
        return record

    def field(self, name: str) -> Field:
        """Field of that name; KeyError if there is none."""
        return {field.name: field for field in self.fields}[name]

    def slots(self, day: np.datetime64) -> int:
        """How many slots the day has: ``ceil(length of the day / period)``."""
        return -(-self.clock.day_length(day) // self.period)
