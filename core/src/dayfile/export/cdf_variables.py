"""The variables of a CDF file, with the attributes that ISTP asks for (International Solar-Terrestrial Physics)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dayfile.export.base import Selection
from dayfile.model.datatype import DataType
from dayfile.model.field import SPAN, Field

__all__ = ["EPOCH", "CdfVariable", "describe_file", "describe_variables"]

EPOCH = "Epoch"
TT2000, CHAR = 33, 51
STORED = {
    "bool": ("CDF_INT1", 1, "i1", -128),
    "int8": ("CDF_INT2", 2, "i2", -32768),
    "uint8": ("CDF_INT2", 2, "i2", -32768),
    "int16": ("CDF_INT2", 2, "i2", -32768),
    "uint16": ("CDF_INT4", 4, "i4", -(2**31)),
    "int32": ("CDF_INT4", 4, "i4", -(2**31)),
    "uint32": ("CDF_INT8", 8, "i8", -(2**63)),
    "int64": ("CDF_INT8", 8, "i8", -(2**63)),
    "uint64": ("CDF_INT8", 8, "i8", -(2**63)),
    "float32": ("CDF_FLOAT", 44, "f4", -1e31),
    "float64": ("CDF_DOUBLE", 45, "f8", -1e31),
}
"""How values are stored: name and number of the CDF type, as NumPy calls it, and the fill value of ISTP.

Unsigned integers, and those of 8 bits, are stored in the next larger type: in their own, the fill value would be one
of their values, and 255 would be read as missing.
"""
SHORT = 80
"""Characters of a CATDESC."""
FIRST_YEAR, LAST_YEAR = -3155716757816000000, 8267918469184000000
"""The years 1900 and 2262 in nanoseconds of TT2000, as bounds of valid times."""


@dataclass(frozen=True)
class CdfVariable:
    """A variable, as cdflib takes it.

    Parameters
    ----------
    name : str
        Its name, as ISTP allows it.
    type_number, elements : int
        Number of the CDF type; characters of a text, else 1.
    dtype : str
        The type as NumPy calls it, little-endian; empty for text.
    shape : tuple of int
        Of one record, or of all if it is not along the records.
    fill : int, float or None
        The fill value.
    attributes : dict
        The attributes of ISTP.
    values : list, optional
        All values, if it is not along the records.
    compressed : bool
        Whether its records are compressed.
    """

    name: str
    type_number: int
    elements: int = 1
    dtype: str = ""
    shape: tuple[int, ...] = ()
    fill: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    values: Any = None
    compressed: bool = True

    @property
    def specification(self) -> dict[str, Any]:
        """Return the specification of the variable for cdflib."""
        return {
            "Variable": self.name,
            "Data_Type": self.type_number,
            "Num_Elements": self.elements,
            "Rec_Vary": self.values is None,
            "Dim_Sizes": list(self.shape),
            "Compress": 4 if self.compressed and self.values is None else 0,
        }


def describe_file(data_type: DataType, first: np.datetime64 | None) -> dict[str, dict[int, str]]:
    """Describe a file by the global attributes that ISTP requires; what is not known is "unknown"."""
    source = data_type.name.replace(".", "_")
    day = "" if first is None else f"_{first.astype('datetime64[D]')}".replace("-", "")
    described = {
        "Project": data_type.instrument,
        "Source_name": data_type.instrument,
        "Discipline": "unknown",
        "Data_type": f"{data_type.type}>{data_type.title}",
        "Descriptor": f"{data_type.type}>{data_type.title}",
        "Data_version": "1",
        "Logical_file_id": f"{source}{day}_v01",
        "PI_name": "unknown",
        "PI_affiliation": "unknown",
        "TEXT": data_type.title or data_type.name,
        "Instrument_type": "unknown",
        "Mission_group": data_type.instrument,
        "Logical_source": source,
        "Logical_source_description": data_type.title or data_type.name,
    }
    return {name: {0: make_ascii(text)} for name, text in described.items()}


def describe_variables(selection: Selection, longest: Mapping[str, int]) -> dict[str, list[CdfVariable]]:
    """Describe the variables of a file.

    Parameters
    ----------
    selection : Selection
        The records.
    longest : mapping of str to int
        By field of blobs: the samples of the longest one, or the bytes of the longest text.

    Returns
    -------
    dict of str to list of CdfVariable
        By name of a key or field, and empty for the time: its variable, that of the number of samples if it has any,
        then those of its dimensions.
    """
    taken: set[str] = set()
    described = {"": [describe_epoch(find_name(EPOCH, taken))]}
    for name, dtype in selection.keys.items():
        described[name] = [describe_key(find_name(name, taken), dtype)]
    for each in selection.data_type.fields:
        described[each.name] = list(describe_field(selection, each, longest.get(each.name, 0), taken))
    return described


def describe_epoch(name: str) -> CdfVariable:
    """Describe the variable of the times."""
    attributes: dict[str, Any] = {
        "FIELDNAM": "Time",
        "CATDESC": "UTC time, counted with leap seconds",
        "VAR_TYPE": "support_data",
        "UNITS": "ns",
        "LABLAXIS": name,
        "FORMAT": "I20",
        "TIME_BASE": "J2000",
        "TIME_SCALE": "Terrestrial Time",
        "REFERENCE_POSITION": "Rotating Earth Geoid",
    }
    bounds = {"FILLVAL": -(2**63), "VALIDMIN": FIRST_YEAR, "VALIDMAX": LAST_YEAR}
    attributes |= {word: [np.int64(value), "CDF_TIME_TT2000"] for word, value in bounds.items()}
    return CdfVariable(name, TT2000, dtype="<i8", fill=-(2**63), attributes=attributes, compressed=False)


def describe_key(name: str, dtype: np.dtype[Any]) -> CdfVariable:
    """Describe the variable of a key."""
    common = {"FIELDNAM": name, "CATDESC": f"{name} of the record", "DEPEND_0": EPOCH, "UNITS": " ", "LABLAXIS": name}
    if dtype.kind == "U":
        length = max(1, dtype.itemsize)  # a character has at most four bytes in UTF-8, as in NumPy
        return CdfVariable(name, CHAR, length, attributes=common | describe_text(length))
    item = Field(name, "int64")
    return make_number(name, item, (), common | {"VAR_TYPE": "support_data"})


def describe_field(selection: Selection, item: Field, longest: int, taken: set[str]) -> Iterator[CdfVariable]:
    """Describe the variable of a field, and those of its dimensions."""
    name = find_name(item.name, taken)
    reader = selection.readers.get(item.name)
    doc = make_ascii(item.doc)
    common = {"FIELDNAM": make_ascii(item.name), "CATDESC": shorten(doc or item.name), "DEPEND_0": EPOCH}
    common |= {"UNITS": make_ascii(item.unit) or " "} | ({"VAR_NOTES": doc} if len(doc) > SHORT else {})
    shape = item.array_shape if reader is None else (*item.array_shape, max(1, longest))
    dimensions = []
    for axis, size in enumerate(shape):
        is_sample = axis == len(item.array_shape)
        what = f"{item.name}_sample" if is_sample else f"{item.name}_element{f'_{axis}' if len(shape) > 1 else ''}"
        index, label = find_name(what, taken), find_name(f"{what}_label", taken)
        labels = (
            [f"sample {each}" for each in range(size)] if is_sample else label_axis(selection.data_type, item, axis)
        )
        dimensions += [*describe_dimension(index, label, labels)]
        common |= {f"DEPEND_{axis + 1}": index, f"LABL_PTR_{axis + 1}": label}
    common |= {} if shape else {"LABLAXIS": make_ascii(item.name)}
    if reader is not None:
        sample = Field(item.name, np.dtype(reader.dtype).name)
        lengths = common | {"CATDESC": f"number of samples of {item.name}", "UNITS": " ", "VAR_TYPE": "support_data"}
        without = (f"DEPEND_{len(shape)}", f"LABL_PTR_{len(shape)}")
        lengths = {word: text for word, text in lengths.items() if word not in without}
        yield make_number(name, sample, shape, describe_data(common) | {"UNITS": make_ascii(reader.unit) or " "})
        counted = find_name(f"{item.name}_length", taken)
        yield make_number(counted, Field(counted, "int32"), item.array_shape, lengths | {"FIELDNAM": counted})
    elif item.blob or item.type == "char":
        length = max(1, longest if item.blob else item.base.itemsize)
        yield CdfVariable(name, CHAR, length, shape=shape, attributes=common | describe_text(length))
    else:
        yield make_number(name, item, shape, describe_data(common))
    yield from dimensions


def describe_dimension(index: str, label: str, labels: list[str]) -> Iterator[CdfVariable]:
    """Describe a dimension by two variables: the numbers of its elements, from 0, and their labels."""
    attributes = {"FIELDNAM": index, "CATDESC": f"number of the element: {index}", "UNITS": " ", "LABLAXIS": index}
    numbers = np.arange(len(labels), dtype="<i4")
    yield make_number(index, Field(index, "int32"), (len(labels),), attributes | {"VAR_TYPE": "support_data"}, numbers)
    length = max(1, *map(len, labels))
    attributes = {"FIELDNAM": label, "CATDESC": f"labels of {index}", "UNITS": " ", "LABLAXIS": label}
    attributes |= {"DEPEND_1": index} | describe_text(length)
    yield CdfVariable(label, CHAR, length, shape=(len(labels),), attributes=attributes, values=labels)


def make_number(
    name: str,
    item: Field,
    shape: tuple[int, ...],
    attributes: dict[str, Any],
    values: Any = None,  # noqa: ANN401 - an array
) -> CdfVariable:
    """Make a variable of numbers, with the range of its type and the fill value."""
    base = np.dtype(item.base)
    cdf_name, number, stored, fill = STORED[base.name]
    if base.kind == "f":
        low, high, form = -1e30, 1e30, "E15.7" if base.itemsize == 4 else "E24.16"
    else:
        limits = None if base.kind == "b" else np.iinfo(base.name)
        low, high = (0, 1) if limits is None else (int(limits.min), min(int(limits.max), 2**63 - 1))
        low, form = max(low, int(fill) + 1), f"I{len(str(high)) + 1}"
    bounds = {"FILLVAL": fill, "VALIDMIN": low, "VALIDMAX": high}
    kind = np.dtype(stored).type
    described = attributes | {"FORMAT": form} | {word: [kind(each), cdf_name] for word, each in bounds.items()}
    return CdfVariable(name, number, 1, f"<{stored}", shape, fill, described, values)


def describe_data(common: dict[str, Any]) -> dict[str, Any]:
    """Add the attributes of a variable that is the data."""
    return common | {"VAR_TYPE": "data", "DISPLAY_TYPE": "time_series"}


def describe_text(length: int) -> dict[str, Any]:
    """Describe a variable of texts."""
    return {"VAR_TYPE": "metadata", "FORMAT": f"A{length}", "FILLVAL": " "}


def label_axis(data_type: DataType, item: Field, axis: int) -> list[str]:
    """Label the elements along an axis of a field, by what the layout says of them."""
    shape = item.array_shape
    labels = [f"{item.name} {place}" for place in range(shape[axis])]
    for element in data_type.elements:
        spans = [SPAN.fullmatch(each.strip()) for each in element.index.split(",")]
        names = [each.strip() for each in element.name.split(",")] if len(spans) > 1 else [element.name]
        if element.field != item.name or len(spans) != len(shape) or len(names) != len(shape):
            continue
        ranges = [range(int(span[1]), int(span[2] or span[1]) + 1) if span else range(0) for span in spans]
        whole = all(len(each) == size for each, size in zip(ranges, shape, strict=True))
        if names[axis] and (whole or len(shape) == 1):
            for place in set(ranges[axis]) & set(range(shape[axis])):
                labels[place] = names[axis] if len(ranges[axis]) == 1 else f"{names[axis]} {place}"
    return list(map(make_ascii, labels))


def find_name(name: str, taken: set[str]) -> str:
    """Find a name that ISTP allows and no other variable has: letters, digits and ``_``, a letter first."""
    allowed = re.sub(r"[^A-Za-z0-9_]", "_", name)
    allowed = allowed if allowed[:1].isalpha() else f"v{allowed}"
    while allowed.lower() in taken:
        allowed += "_"
    taken.add(allowed.lower())
    return allowed


def make_ascii(text: str) -> str:
    """Write a text in ASCII, as attributes of CDF are."""
    plain = unicodedata.normalize("NFKD", text).replace("\u00b5", "u").replace("\u03bc", "u")
    return plain.encode("ascii", "replace").decode()


def shorten(text: str) -> str:
    """Shorten a description."""
    return text if len(text) <= SHORT else f"{text[: SHORT - 3].rstrip()}..."
