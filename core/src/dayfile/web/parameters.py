"""The parameters of a dataset: what HAPI says of each field, and how its values are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.archive.question import list_key_names
from dayfile.export.base import BlobReader
from dayfile.handover.columns import RecordTable
from dayfile.model.datatype import DataType
from dayfile.model.field import SPAN, Element, Field, Flag
from dayfile.model.forms import find_physical, find_sources
from dayfile.model.physical import AS_STORED
from dayfile.web.moments import choose_digits, format_records_times, measure_time

__all__ = ["Parameter", "choose_names", "list_parameters"]

HapiType = Literal["isotime", "string", "integer", "double"]
BINARY_TYPES = {"integer": "<i4", "double": "<f8"}
INTEGERS = ("bool", "int8", "int16", "int32", "uint8", "uint16", "time32")
"""Field types of which every value is a HAPI integer, which has 32 bits and a sign."""
LONG_INTEGERS = {"int64": 20, "uint64": 20}
"""Field types of which neither a HAPI integer nor a double holds every value, and the characters of the longest."""
TIME_NAMES = ("Time", "Epoch", "RecordTime", "RecordEpoch")
LARGEST = 2**31
FIRST_BEYOND_ASCII = 128
"""Bytes below it are text in any case."""


@dataclass(frozen=True)
class Representation:
    """How the values of a field are given.

    Parameters
    ----------
    kind : {'string', 'integer', 'double'}
        Its HAPI type.
    length : int
        Bytes of a string; 0 for numbers.
    units : str or None
        Physical unit.
    fill : str or None
        What stands for a value that was not measured.
    physical : bool
        Whether they are the physical values that the layout declares, not the stored ones.
    """

    kind: HapiType
    length: int
    units: str | None
    fill: str | None
    physical: bool = False


@dataclass(frozen=True)
class Parameter:
    """A parameter of a dataset.

    Parameters
    ----------
    name : str
        What clients call it.
    sources : tuple of str
        The field that has its values, and those that its physical values need; empty for the time and for keys.
    kind : {'isotime', 'string', 'integer', 'double'}
        Its HAPI type.
    read : callable
        Returns its values of records, of shape (n, *size), in a type that NumPy casts to :attr:`dtype`.
    length : int
        Bytes of a string or time.
    size : tuple of int
        The shape of an array; empty for a scalar.
    units, fill : str or None
        Physical unit, and what stands for a value that was not measured.
    more : dict
        What else is said of it: description, label, bins.
    """

    name: str
    sources: tuple[str, ...]
    kind: HapiType
    read: Callable[[RecordTable], npt.NDArray[Any]]
    length: int = 0
    size: tuple[int, ...] = ()
    units: str | None = None
    fill: str | None = None
    more: tuple[tuple[str, object], ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of a value in binary answers."""
        return np.dtype(BINARY_TYPES.get(self.kind) or f"S{self.length}")

    def describe(self) -> dict[str, object]:
        """Return its object in the answer of ``info``."""
        described: dict[str, object] = {"name": self.name, "type": self.kind}
        if self.length:
            described["length"] = self.length
        if self.size:
            described["size"] = list(self.size)
        return described | {"units": self.units, "fill": self.fill} | dict(self.more)


def choose_representation(field: Field) -> Representation:
    """Choose unit, scale and type of a field's values: the one place where that is decided.

    Physical values are doubles, NaN for what is missing. All others are given as they are stored: HAPI has integers of
    32 bits and doubles, and what fits neither is text. A number that stands for a name stays a number, as HAPI has no
    enumerations: clients plot and compare numbers, and the names are in the description.
    """
    if field.physical not in (None, AS_STORED):
        return Representation("double", 0, field.physical.unit or None, "NaN", physical=True)
    units = field.unit or None
    if field.type == "char":
        return Representation("string", field.shape[-1], units, None)
    if field.type in INTEGERS:
        fill = str(int(field.missing[0])) if field.missing else None
        return Representation("integer", 0, units, fill)
    if field.type in LONG_INTEGERS:
        fill = str(int(field.missing[0])) if field.missing else None
        return Representation("string", LONG_INTEGERS[field.type], units, fill)
    if field.missing:  # as the field holds it: clients look for equal values
        return Representation("double", 0, units, repr(float(field.base.type(field.missing[0]))))
    return Representation("double", 0, units, "NaN" if field.base.kind == "f" else None)


def list_parameters(
    data_type: DataType, keys: Mapping[str, npt.NDArray[Any]], readers: Mapping[str, BlobReader]
) -> list[Parameter]:
    """List the parameters of records: the time, the keys in which they may differ, and the fields.

    Blobs are left out, except where all of a field have the same number of samples. So is a field with the name of a
    key: records that are read have the key.

    Parameters
    ----------
    data_type : DataType
        What the records are.
    keys : dict of str to array
        All values that there are of each of these keys.
    readers : mapping of str to BlobReader
        What reads the blobs of fields as samples.
    """
    fields = [field for field in data_type.fields if field.name not in list_key_names(data_type)]
    names = choose_names([*keys, *(field.name for field in fields)])
    found = [make_time_parameter(data_type, names.values())]
    found += [make_key_parameter(name, names[name], values) for name, values in keys.items()]
    for field in fields:
        reader = readers.get(field.name)
        if not field.blob:
            found.append(make_field_parameter(data_type, field, names[field.name]))
        elif reader is not None and reader.length and np.can_cast(reader.dtype, "<f8"):
            found.append(make_samples_parameter(field, names[field.name], reader))
    return found


def choose_names(names: Iterable[str]) -> dict[str, str]:
    """Choose what clients call fields and keys: without commas, and not differing by case alone.

    A name that can stay as it is does.

    Examples
    --------
    >>> choose_names(["hp", "HP", "HP_", "a,b"])
    {'hp': 'hp', 'HP': 'HP__', 'HP_': 'HP_', 'a,b': 'a_b'}
    """
    listed = list(names)
    kept: dict[str, str] = {}
    for name in listed:
        if "," not in name:
            kept.setdefault(name.lower(), name)
    taken, chosen = set(kept), {}
    for name in listed:
        proposed = name.replace(",", "_")
        if kept.get(name.lower()) != name:
            while proposed.lower() in taken:
                proposed += "_"
            taken.add(proposed.lower())
        chosen[name] = proposed
    return chosen


def make_time_parameter(data_type: DataType, taken: Iterable[str]) -> Parameter:
    """Make the parameter of the time, which is the first one."""
    digits = choose_digits(data_type)
    there = {name.lower() for name in taken}
    numbered = (f"{TIME_NAMES[0]}{number}" for number in count(1))
    name = next(name for name in chain(TIME_NAMES, numbered) if name.lower() not in there)

    def read(records: RecordTable) -> npt.NDArray[Any]:
        return format_records_times(records.nanoseconds, data_type.clock, digits)

    doc = "UTC" + ("; a time in a leap second is the last moment before it" if data_type.clock.runs_on else "")
    return Parameter(name, (), "isotime", read, measure_time(digits), units="UTC", more=(("description", doc),))


def make_key_parameter(key: str, name: str, values: npt.NDArray[Any]) -> Parameter:
    """Make the parameter of a key: an integer if all its values are that, else text."""
    more = (("description", f"{key} of the record"),)
    if values.dtype.kind in "iu" and (not len(values) or -LARGEST < values.min() <= values.max() < LARGEST):
        return Parameter(name, (), "integer", lambda records: records.keys[key], more=more)
    length = max((len(str(value).encode()) for value in values), default=1)

    def read(records: RecordTable) -> npt.NDArray[Any]:
        return np.char.encode(records.keys[key].astype(str), "utf-8").astype(f"S{length}")

    return Parameter(name, (), "string", read, length, more=more)


def make_field_parameter(data_type: DataType, field: Field, name: str) -> Parameter:
    """Make the parameter of a field."""
    given = choose_representation(field)
    flags = [flag for flag in data_type.flags if flag.applies_to(field)]
    elements = [element for element in data_type.elements if element.field == field.name]

    def read(records: RecordTable) -> npt.NDArray[Any]:
        if given.physical:
            return find_physical(records.array, data_type, field.name)
        values: npt.NDArray[Any] = records.array[field.name]
        return repair_text(values) if field.type == "char" else values

    more: list[tuple[str, object]] = []
    if text := explain_field(field, given, flags):
        more.append(("description", text))
    if labels := label(field, elements):
        more.append(("label", labels))
    if bins := make_bins(field, elements):
        more.append(("bins", bins))
    if flags:
        meanings = [{"kind": each.kind, "value": each.value, "name": each.name, "doc": each.doc} for each in flags]
        more.append(("x_flags", meanings))
    sources = (field.name, *(find_sources(data_type, [field.name]) if given.physical else ()))
    size = field.array_shape
    return Parameter(name, sources, given.kind, read, given.length, size, given.units, given.fill, tuple(more))


def repair_text(values: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bytes_]:
    r"""Put a question mark in place of what is not UTF-8: HAPI has no other text.

    Examples
    --------
    >>> repair_text(np.array([b"caf\xc3\xa9", b"caf\xe9"]))
    array([b'caf\xc3\xa9', b'caf?'], dtype='|S5')
    """
    content = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    if content.max(initial=0) < FIRST_BEYOND_ASCII:
        return values
    decoded = np.char.replace(np.char.decode(values, "utf-8", "replace"), "\N{REPLACEMENT CHARACTER}", "?")
    return np.char.encode(decoded, "utf-8").astype(values.dtype)


def make_samples_parameter(field: Field, name: str, reader: BlobReader) -> Parameter:
    """Make the parameter of a field whose blobs have a fixed number of samples; NaN where there is no such blob."""

    def read(records: RecordTable) -> npt.NDArray[Any]:
        blobs = records.all_blobs(field.name)
        samples = np.full((*blobs.shape, reader.length), np.nan)
        for place in np.ndindex(blobs.shape):
            with suppress(ValueError):  # a blob that is damaged
                blob: bytes | None = blobs.item(place)
                found = None if blob is None else np.asarray(reader.read(blob))
                if found is not None and found.shape == (reader.length,):
                    samples[place] = found
        return samples

    doc = "; ".join(filter(None, (field.doc, reader.doc)))
    size, more = (*field.array_shape, reader.length), ((("description", doc),) if doc else ())
    return Parameter(name, (field.name,), "double", read, 0, size, reader.unit or None, "NaN", more)


def explain_field(field: Field, given: Representation, flags: Sequence[Flag]) -> str:
    """Say what a field means, what its bits and values mean, and which further values mean that it is missing."""
    parts = [field.doc] if field.doc else []
    parts += [f"{flag.kind} {flag.value}: {': '.join(filter(None, (flag.name, flag.doc)))}" for flag in flags]
    if given.physical and field.physical:
        unit = f" in {field.unit}" if field.unit else ""
        parts.append(f"physical value of the stored {field.type} x{unit}: {field.physical.describe()}")
    elif len(field.missing) > 1:
        parts.append(f"also not measured: {', '.join(map(str, field.missing[1:]))}")
    if given.kind == "string" and field.type in LONG_INTEGERS:
        parts.append(f"{field.type} in digits, as HAPI has no integers of 64 bits")
    return "; ".join(parts)


def label(field: Field, elements: Sequence[Element]) -> list[Any] | None:
    """Return a label for each element of an array, nested as its shape; None if no single element has a name."""
    shape = field.array_shape
    named = {place: element.name for element in elements if element.name for place in find_place(element, shape)}
    if not named:
        return None
    labels = np.empty(shape, object)
    for place in np.ndindex(shape):
        labels[place] = named.get(place) or f"{field.name}[{','.join(map(str, place))}]"
    nested: list[Any] = labels.tolist()
    return nested


def find_place(element: Element, shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the place of a single element, if that is what is described; nothing for a range."""
    spans = list_spans(element)
    if len(spans) == len(shape) and all(first == last < size for (first, last), size in zip(spans, shape, strict=True)):
        yield tuple(first for first, _ in spans)


def list_spans(element: Element) -> list[tuple[int, int]]:
    """Return the first and the last index of an element in each dimension; none if they cannot be read."""
    matches = [SPAN.fullmatch(part.strip()) for part in element.index.split(",")]
    return [(int(match[1]), int(match[2] or match[1])) for match in matches if match]


def make_bins(field: Field, elements: Sequence[Element]) -> list[dict[str, object]] | None:
    """Return what the indexes of an array count, a bin each; None unless a name is given for all of a dimension.

    Examples
    --------
    >>> make_bins(Field("hits", "uint16", (3,)), [Element("hits", "0-2", "channel")])
    [{'name': 'channel', 'units': 'dimensionless', 'centers': [0, 1, 2]}]
    """
    shape = field.array_shape
    for element in elements:
        spans, names = list_spans(element), [name.strip() for name in element.name.split(",")]
        if element.name and len(names) == len(spans) == len(shape) and spans == [(0, size - 1) for size in shape]:
            if field.type == "char" or 1 in shape:
                return None
            bins: list[dict[str, object]] = [
                {"name": name, "units": "dimensionless", "centers": list(range(size))}
                for name, size in zip(names, shape, strict=True)
            ]
            return [each | ({"description": element.doc} if element.doc else {}) for each in bins]
    return None
