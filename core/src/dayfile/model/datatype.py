"""Data types and their fields: one declaration that drives decoding, storage, units and documentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import suggest
from dayfile.model.clock import Clock
from dayfile.model.field import Element, Field, Flag
from dayfile.model.packed import Packed
from dayfile.model.placement import Placement
from dayfile.model.plausible import Plausible
from dayfile.model.plot_default import PlotDefault
from dayfile.model.times import Count, Timing

__all__ = ["DataType", "Version"]


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

    def list_names(self, field: Field) -> tuple[Flag, ...]:
        """List the flags that give names to values of a field."""
        return tuple(flag for flag in self.flags if flag.kind == "value" and flag.name and flag.applies_to(field))

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

    @cached_property
    def timed_bytes(self) -> frozenset[int]:
        """Return which of the bytes 0x00 and 0xFF give a time where what counts it has no others."""
        uniform = np.array([0x00, 0xFF], np.uint8)
        rows = uniform.repeat(self.dtype.itemsize).view(self.dtype)
        return frozenset(uniform[self.clock.defined(self.count(rows))].tolist())

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
