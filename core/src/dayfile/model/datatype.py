"""Data types and their fields: one declaration that drives decoding, storage, units and documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import suggest
from dayfile.model.clock import Clock
from dayfile.model.packed import Packed
from dayfile.model.placement import Placement
from dayfile.model.plausible import Plausible
from dayfile.model.plot_default import PlotDefault
from dayfile.model.times import Count, Timing

__all__ = ["SPAN", "DataType", "Element", "Field", "Flag", "Version"]

SPAN = re.compile(r"(-?\d+)(?:-(-?\d+))?")
"""A number, or a range of numbers such as ``0-40``."""

STORED_TYPES = {
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
"""Field types and how they are stored; ``time32`` is an int32 that PyTables marks as a Unix time, ``char`` is text."""


@dataclass(frozen=True)
class Field:
    """One field of a data type.

    Parameters
    ----------
    name : str
        Name in the day file, in the format's own spelling.
    type : str
        A key of ``STORED_TYPES``, or ``char``: text of ``shape[-1]`` bytes.
    shape : tuple of int
        Empty for a scalar.
    unit, doc : str
        Physical unit and meaning; kept in the day file.
    code : str
        The instrument's own name for the field where input uses one (an upload code).
    blob : {'', 'base64', 'latin-1'}
        Not empty: the value is stored in the blob array beside the table, and the field holds its index there, -1 for
        no value. The word says how input carries the value.
    counter : bool
        The field numbers the rows of its table from 1.
    default : int, float or bool
        What a record holds when the field was not sent.
    overflow : {'raise', 'wrap'}
        What happens to an integer too wide for the field: the record is rejected, or two's complement wraps it.
    missing : tuple of int or float
        Values that mean that nothing was measured. NaN always means that, in floats.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    doc: str = ""
    code: str = ""
    blob: Literal["", "base64", "latin-1"] = ""
    counter: bool = False
    default: int | float | bool = 0
    overflow: Literal["raise", "wrap"] = "raise"
    missing: tuple[int | float, ...] = ()

    @property
    def base(self) -> np.dtype[np.generic]:
        """Return the little-endian NumPy type of one element (of the whole text for ``char``)."""
        return np.dtype(f"S{self.shape[-1]}") if self.type == "char" else np.dtype(STORED_TYPES[self.type])

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Return the shape as NumPy sees it: without the length of a text."""
        return self.shape[:-1] if self.type == "char" else self.shape

    def is_missing(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find the values of the field that mean that nothing was measured, of the same shape.

        Examples
        --------
        >>> Field("height", "int16", missing=(-1, -999)).is_missing(np.array([3, -1, -999]))
        array([False,  True,  True])
        """
        found = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        for value in self.missing:
            found |= values == value
        return found


@dataclass(frozen=True)
class Flag:
    """What a bit or a value of a field means, or the place of the field in a list outside the record.

    Parameters
    ----------
    field : str
        Name of the field, or a case-sensitive pattern of :mod:`fnmatch` for several fields: ``Quality*``.
    kind : {'bit', 'value', 'index'}
        ``bit``: a mask within each element. ``value``: a value of an element. ``index``: the place of the field in a
        list of its instrument, such as the channels of a converter; not a place in the record.
    value : str
        The mask in hexadecimal (``0x40``), the value or range of values (``255``, ``0-40``), or the place (``12``).
    name, doc : str
        The format's own name, empty where it has none, and the meaning.
    """

    field: str
    kind: Literal["bit", "value", "index"]
    value: str
    name: str = ""
    doc: str = ""

    def applies_to(self, field: Field) -> bool:
        """Return whether the flag is about this field.

        Examples
        --------
        >>> Flag("Quality*", "bit", "0x40").applies_to(Field("QualityRate", "uint8", (2,)))
        True
        """
        return fnmatchcase(field.name, self.field)

    def is_set(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find the values that have the bit, or are one of the flag's values, of the same shape.

        Examples
        --------
        >>> Flag("quality", "bit", "0x40").is_set(np.array([0x41, 0x01]))
        array([ True, False])
        >>> Flag("channel", "value", "3-5").is_set(np.array([2, 3, 5]))
        array([False,  True,  True])
        """
        if self.kind == "bit":
            bits = values.astype(f"u{values.dtype.itemsize}")
            found: npt.NDArray[np.bool_] = (bits & bits.dtype.type(int(self.value, 16))) != 0
            return found
        span = SPAN.fullmatch(self.value.strip())
        if span is None:
            return np.zeros(values.shape, bool)
        inside: npt.NDArray[np.bool_] = (values >= int(span[1])) & (values <= int(span[2] or span[1]))
        return inside


@dataclass(frozen=True)
class Element:
    """What an element of an array is.

    Parameters
    ----------
    field : str
        Name of the field.
    index : str
        Index of the element, from 0: ``5``, or a range, ``0-63``; with a comma between dimensions, ``0-95,0-3``.
    name, doc : str
        Name and meaning of the element, or of what the index counts.
    """

    field: str
    index: str
    name: str = ""
    doc: str = ""


@dataclass(frozen=True)
class Version:
    """The number of fields that a data type had from a day on.

    Parameters
    ----------
    since : numpy.datetime64 or None
        The UTC day from which it holds; None for the first version.
    code : str
        The instrument's own name for records of this version.
    fields : int
        The first n fields of the data type: a version only adds to those before.
    """

    since: np.datetime64 | None
    code: str
    fields: int


@dataclass(frozen=True)
class DataType:
    """One kind of record of an instrument: what a record is. Where records go is its :class:`Placement`.

    Parameters
    ----------
    instrument, type : str
        The two halves of the name, ``muon`` and ``hits``.
    code : str
        The instrument's own name for this kind of record, ``MuonHit``.
    title : str
        One line for people; also the table's title where the node gives none.
    fields : tuple of Field
        In stored order.
    clock : Clock
        How ``time`` and ``end`` count.
    time : str
        Name of the field whose value decides the day (and the slot); the first of them where these are several.
    placement : Placement
        Where the archive keeps the records.
    end : str
        Name of the field with the end stamp; empty if the type has none.
    period : int
        Seconds between records of a periodic type; 0 otherwise.
    layout : str
        Name and version of the layout the type was declared in.
    versions : tuple of Version
        The fields of earlier versions, oldest first; empty if they never changed. The last has all fields.
    flags : tuple of Flag
        What bits and values of the fields mean.
    elements : tuple of Element
        What the elements of array fields are.
    packed : Packed, optional
        The field that holds items one after another, if the type has one.
    plausible : Plausible, optional
        Bounds of plausible times; without them, every time of the clock is plausible.
    composed : Timing, optional
        How times are made of several fields; without it, of ``time`` alone, and of ``end`` if the type has one.
    plot : PlotDefault, optional
        How it is drawn if nobody says otherwise; day files do not declare it.
    clock_doc : str
        What else is to be known about its times; day files do not declare it.
    """

    instrument: str
    type: str
    code: str
    title: str
    fields: tuple[Field, ...]
    clock: Clock
    time: str
    placement: Placement
    end: str = ""
    period: int = 0
    layout: str = ""
    versions: tuple[Version, ...] = ()
    flags: tuple[Flag, ...] = ()
    elements: tuple[Element, ...] = ()
    packed: Packed | None = None
    plausible: Plausible | None = None
    composed: Timing | None = None
    plot: PlotDefault | None = None
    clock_doc: str = ""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Compute the hash once: it goes over all fields, and data types are keys of caches."""
        return hash((self.name, self.layout, self.fields))

    @property
    def name(self) -> str:
        """Return ``instrument.type``."""
        return f"{self.instrument}.{self.type}"

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Return the dtype of records in batches and day files: packed, little-endian, fields in order."""
        return np.dtype([(field.name, field.base, field.array_shape) for field in self.fields])

    @cached_property
    def defaults(self) -> npt.NDArray[np.void]:
        """Return a record with every field at its default, dtype :attr:`dtype`, shape ()."""
        record = np.zeros((), self.dtype)
        for field in self.fields:
            if field.type != "char":
                record[field.name] = field.default
        return record

    @cached_property
    def forms(self) -> tuple[DataType, ...]:
        """Return the data type as each version had it, oldest first; the last has all fields."""
        older = [replace(self, fields=self.fields[: version.fields], versions=()) for version in self.versions[:-1]]
        return (*older, self)

    def stored_as(self, store: str, title: str) -> DataType:
        """Return the data type with another store and another title."""
        return replace(self, title=title, placement=replace(self.placement, store=store))

    def form_on(self, day: np.datetime64) -> DataType:
        """Return the data type as it was on a UTC day."""
        since = [version.since for version in self.versions[1:]]
        return self.forms[sum(start is not None and bool(day >= start) for start in since)]

    def code_of(self, fields: int) -> str:
        """Return the instrument's own name for records of the version with this number of fields."""
        return next((version.code for version in self.versions if version.fields == fields), self.code)

    def conform(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Convert records of any version of this type to the dtype of this one; missing fields hold their default.

        Fields with the names of this type's fields are copied; others are left out. What is returned has
        :attr:`dtype`; it is ``records`` itself if that has it already.
        """
        if records.dtype == self.dtype:
            return records
        conformed = np.full(records.shape, self.defaults, self.dtype)
        for name in set(records.dtype.names or ()) & set(self.dtype.names or ()):
            conformed[name] = records[name]
        return conformed

    @cached_property
    def blob_fields(self) -> tuple[str, ...]:
        """Return the names of the fields that hold indexes of blobs."""
        return tuple(field.name for field in self.fields if field.blob)

    @cached_property
    def counters(self) -> tuple[str, ...]:
        """Return the names of the fields that number the rows of their table."""
        return tuple(field.name for field in self.fields if field.counter)

    def field(self, name: str) -> Field:
        """Return the field of that name; UsageError if it does not exist."""
        for field in self.fields:
            if field.name == name:
                return field
        raise UsageError(f"{self.name} has no field {name!r}{suggest(name, self.dtype.names or ())}")

    @cached_property
    def timing(self) -> Timing:
        """Return how times are made of fields."""
        return self.composed or Timing(Count(self.time), Count(self.end) if self.end else None)

    def count(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the clock values that decide the days and slots of records, shape (n,)."""
        return self.timing.time.count(records, self.clock)

    def find_begins(self, records: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the whole times of records, in nanoseconds of the clock, shape (n,)."""
        return self.timing.time.find(records, self.clock)

    def stamps(self, records: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Return the clock values that have to be times, by the name of their field: ``time``, and ``end`` if any."""
        stamps = {self.time: self.count(records)}
        if self.timing.end:
            stamps[self.end] = self.timing.end.count(records, self.clock)
        return stamps

    def timed(self, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find the records that have their times, shape (n,): the others have no day and cannot be archived."""
        defined = [self.clock.defined(values) for values in self.stamps(records).values()]
        timed: npt.NDArray[np.bool_] = np.all([*defined, ~self.timing.contradicts(records, self.clock)], axis=0)
        return timed

    def why_untimed(self, records: npt.NDArray[Any]) -> str:
        """Say what is wrong with records that are not :meth:`timed`, with an example of each.

        Examples
        --------
        >>> from dayfile import Node
        >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"), undefined=(0,))
        >>> fields = (Field("second", "int64"),)
        >>> hits = DataType("muon", "hits", "Hit", "", fields, clock, "second", Placement("append", "", Node("/hits")))
        >>> hits.why_untimed(np.array([(0,), (10**12,)], hits.dtype))
        'no time: second is 0, a mark for no time, or 1000000000000, not in the years 1900 to 2261; so there is no day'
        """
        reasons = self.timing.describe_contradictions(records, self.clock)
        for stamp, values in self.stamps(records).items():
            marked = self.clock.marked(values)
            outside = ~marked & ~self.clock.defined(values)
            examples = [f"{value}, a mark for no time" for value in values[marked][:1]]
            examples += [f"{value}, not in the years 1900 to 2261" for value in values[outside][:1]]
            reasons += [f"{stamp} is {', or '.join(examples)}"] if examples else []
        return f"no time: {', or '.join(reasons)}; so there is no day"

    def fill(self, template: str, day: np.datetime64) -> str:
        """Fill a day, and the names of the type, into a template such as the path of its placement."""
        date = day.astype("datetime64[D]").item()
        parts = {"year": date.year, "month": date.month, "day": date.day}
        return template.format(**parts, instrument=self.instrument, type=self.type, suffix=self.placement.suffix)

    def slots(self, day: np.datetime64) -> int:
        """Return the number of slots of a day: ``ceil(length of the day / period)``."""
        return -(-self.clock.day_length(day) // self.period)
