"""Fields of data types, and what their bits, values and elements mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.model.physical import AS_STORED, Physical

__all__ = ["SPAN", "STORED_TYPES", "Element", "Field", "Flag"]

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
    blob : {'', 'base64', 'latin-1', 'samples'}
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
    physical : Physical, optional
        How its numbers become physical values; without it, they are that already.
    named : bool
        Its numbers stand for names: those of its flags of kind ``value``.
    sample : str
        Of a blob of samples, the type of one: a key of ``STORED_TYPES``.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    doc: str = ""
    code: str = ""
    blob: Literal["", "base64", "latin-1", "samples"] = ""
    counter: bool = False
    default: int | float | bool = 0
    overflow: Literal["raise", "wrap"] = "raise"
    missing: tuple[int | float, ...] = ()
    physical: Physical | None = None
    named: bool = False
    sample: str = ""

    def read_samples(self, blob: bytes) -> npt.NDArray[Any]:
        """Read a blob as samples, shape (n,), read-only; ValueError if it has another number of bytes.

        Examples
        --------
        >>> Field("wave", "int32", blob="samples", sample="int16").read_samples(bytes([1, 0, 255, 255])).tolist()
        [1, -1]
        """
        return np.frombuffer(blob, STORED_TYPES[self.sample])

    @property
    def base(self) -> np.dtype[np.generic]:
        """Return the little-endian NumPy type of one element (of the whole text for ``char``)."""
        return np.dtype(f"S{self.shape[-1]}") if self.type == "char" else np.dtype(STORED_TYPES[self.type])

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Return the shape as NumPy sees it: without the length of a text."""
        return self.shape[:-1] if self.type == "char" else self.shape

    @property
    def units(self) -> str:
        """Return the unit of the numbers, and that of physical values if it is another: ``ADC count → mV``."""
        there = self.unit if self.physical in (None, AS_STORED) else self.physical.unit
        return self.unit if there == self.unit else f"{self.unit} → {there}".lstrip()

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
