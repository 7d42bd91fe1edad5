"""Flags, elements, missing values and packed buffers of a layout, checked against the fields that they describe."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.part_words import FieldWords
from dayfile.layouts.parts import count_first_fields
from dayfile.layouts.schema import FlagWords, LayoutWords, PackedWords, TypeWords
from dayfile.messages import plural, suggest
from dayfile.model.field import SPAN, STORED_TYPES, Element, Field, Flag
from dayfile.model.packed import COLUMNS, HeaderField, Packed

__all__ = ["check_value", "compile_elements", "compile_flags", "compile_missing", "compile_packed", "parse_range"]

FLAG_KINDS: tuple[Literal["bit", "value", "index"], ...] = ("bit", "value", "index")


def compile_flags(
    type_words: TypeWords, fields: tuple[Field, ...], words: LayoutWords, document: Document, path: Path
) -> Iterable[Flag]:
    """Compile the flags of a type, with the flags of the shared lists that it names."""
    by_name = {field.name: field for field in fields}
    for pattern, declared in type_words.flags.items():
        place: Path = (*path, "flags", pattern)
        flags: Iterable[FlagWords] = () if isinstance(declared, str) else declared
        # Whether a flag is valid depends on the field's type alone, so one field of each type is checked.
        meant = {by_name[name].type: by_name[name] for name in match_names(by_name, pattern)}
        with document.collect():
            if not meant:
                document.fail(place, f"no field is named {pattern!r}{suggest(pattern, by_name)}", at_key=True)
            if isinstance(declared, str):
                if declared not in words.flags:
                    document.fail(place, f"{declared!r} is not a list of flags{suggest(declared, words.flags)}")
                place, flags = ("flags", declared), words.flags[declared]
        for index, flag in enumerate(flags):
            with document.collect():
                yield compile_flag(pattern, flag, meant.values(), document, (*place, index))


def match_names(names: Collection[str], pattern: str) -> list[str]:
    """Return the names that match a pattern; most patterns are a name."""
    return [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]


def compile_flag(pattern: str, flag: FlagWords, meant: Iterable[Field], document: Document, path: Path) -> Flag:
    """Compile a flag of all fields that match a pattern."""
    kinds = [kind for kind in FLAG_KINDS if getattr(flag, kind) is not None]
    if len(kinds) != 1:
        document.fail(path, "a flag has exactly one of 'bit', 'value' and 'index'")
    kind, place = kinds[0], (*path, kinds[0])
    value = f"{flag.bit:#04x}" if flag.bit is not None else str(getattr(flag, kind))
    if kind == "index" and parse_range(value, document, place)[0] < 0:
        document.fail(place, f"{value} is not a place in a list; places count from 0")
    for field in meant:
        if flag.bit is not None:
            check_bit(flag.bit, field, document, place)
        if kind == "value":
            check_value(value, field, document, place)
    return Flag(pattern, kind, value, flag.name, flag.doc)


def check_bit(mask: int, field: Field, document: Document, path: Path) -> None:
    """Check that a mask is one bit of a field's elements."""
    if field.base.kind not in "iu":
        document.fail(path, f"{field.name} is {field.type}; only integers have bits")
    highest = 1 << 8 * field.base.itemsize - 1
    if not 0 < mask <= highest or mask & (mask - 1):
        document.fail(path, f"{mask:#04x} is not a bit of {field.name}; those of {field.type} are 0x01 to {highest:#x}")


def check_value(text: str, field: Field, document: Document, path: Path) -> None:
    """Check that a field can hold a value, or a range of values."""
    low, high = parse_range(text, document, path)
    if field.base.kind in "iu":
        limits = np.iinfo(STORED_TYPES[field.type])
        if low < limits.min or high > limits.max:
            problem = f"{text} does not fit {field.name}; {field.type} goes from {limits.min} to {limits.max}"
            document.fail(path, problem)


def parse_range(text: str, document: Document, path: Path) -> tuple[int, int]:
    """Parse a range into its first and last number, which are equal for a single number."""
    found = SPAN.fullmatch(text.strip())
    if found is None:
        document.fail(path, f"{text!r} is neither a number nor a range such as 0-40")
    low, high = int(found[1]), int(found[2] or found[1])
    if low > high:
        document.fail(path, f"{text} is empty; the smaller number comes first")
    return low, high


def compile_elements(
    type_words: TypeWords, fields: tuple[Field, ...], document: Document, path: Path
) -> Iterable[Element]:
    """Compile the elements of a type's array fields."""
    by_name = {field.name: field for field in fields}
    for name, elements in type_words.elements.items():
        place: Path = (*path, "elements", name)
        with document.collect():
            if name not in by_name:
                document.fail(place, f"{name!r} is not a field{suggest(name, by_name)}", at_key=True)
            if not by_name[name].shape:
                document.fail(place, f"{name} is a single value and has no elements", at_key=True)
            for index, element in enumerate(elements):
                with document.collect():
                    check_index(str(element.index), by_name[name], document, (*place, index, "index"))
                    yield Element(name, str(element.index), element.name, element.doc)


def check_index(text: str, field: Field, document: Document, path: Path) -> None:
    """Check that an index, with a range for each dimension, is within the shape of its field."""
    parts = text.split(",")
    if len(parts) != len(field.shape):
        problem = f"{text} has {plural(len(parts), 'dimension')}, {field.name} has {len(field.shape)}; use commas"
        document.fail(path, problem)
    for part, length in zip(parts, field.shape, strict=True):
        low, high = parse_range(part, document, path)
        if low < 0 or high >= length:
            document.fail(path, f"{text} is outside {field.name}, of shape {list(field.shape)}; indexes count from 0")


def compile_missing(
    type_words: TypeWords,
    fields: tuple[Field, ...],
    timing: Collection[str],
    document: Document,
    places: Mapping[Path, FieldWords],
) -> Iterable[Field]:
    """Compile the missing values of a type's fields: a field's own, or else the type's where they fit."""
    for field, (place, declared) in zip(fields, places.items(), strict=True):
        own = declared.missing
        if own is None:
            fitting = () if field.name in timing else type_words.missing
            yield replace(field, missing=tuple(value for value in fitting if not why_never_missing(field, value)))
            continue
        for index, value in enumerate(own):
            problem = (
                "a time is never missing; leave 'missing' out"
                if field.name in timing
                else why_never_missing(field, value)
            )
            if problem:
                with document.collect():
                    document.fail((*place, "missing", index), problem)
        yield replace(field, missing=own)


def why_never_missing(field: Field, value: float) -> str:
    """Return why a value cannot be one that means "not measured" in a field; empty if it can."""
    if field.type in ("bool", "char") or field.blob or field.counter:
        kind = "a blob field" if field.blob else "a counter" if field.counter else field.type
        return f"{field.name} is {kind}, which has no missing values"
    if not math.isfinite(value):
        return f"{value} is not a number; NaN always means 'not measured', in floats"
    if field.base.kind in "iu":
        limits = np.iinfo(STORED_TYPES[field.type])
        if not isinstance(value, int) or not limits.min <= value <= limits.max:
            return f"{value} does not fit {field.name}; {field.type} goes from {limits.min} to {limits.max}"
    return ""


def compile_packed(
    type_words: TypeWords, fields: tuple[Field, ...], words: LayoutWords, document: Document, path: Path
) -> Packed | None:
    """Compile the packed buffer of a type; None if the type has no buffer."""
    packed, path = type_words.packed, (*path, "packed")
    if packed is None:
        if "packed" in type_words.model_fields_set:
            document.fail(path, EMPTY)
        return None
    # Only the fields of the first version are in the records of every version.
    by_name = {field.name: field for field in fields[: count_first_fields(type_words)]}
    for word in ("field", "count", "continued"):
        check_packed_field(word, getattr(packed, word), by_name, document, (*path, word))
    longest = packed.longest
    if isinstance(longest, str):
        if longest not in words.constants:
            document.fail((*path, "longest"), f"{longest!r} is not a constant{suggest(longest, words.constants)}")
        longest = words.constants[longest]
    compiled = Packed(
        field=packed.field,
        count=packed.count,
        longest=longest,
        continued=packed.continued or "",
        header=tuple(HeaderField(field.name, field.type, field.unit, field.doc) for field in packed.header),
        byte_order=packed.byte_order,
    )
    check_rows(packed, compiled, fields, document, path)
    check_room(compiled, by_name[packed.field].shape[0], document, (*path, "longest"))
    return compiled


def check_packed_field(word: str, name: str | None, by_name: dict[str, Field], document: Document, path: Path) -> None:
    """Check that the buffer is an array of bytes, and that ``count`` and ``continued`` are integers."""
    if name is None:
        return
    if name not in by_name:
        document.fail(path, f"{name!r} is not a field{suggest(name, by_name)}")
    field = by_name[name]
    if word == "field" and (field.type != "uint8" or len(field.shape) != 1):
        document.fail(path, f"{name} is not a buffer: it must be uint8 and have one dimension")
    if word != "field" and (field.base.kind not in "iu" or field.shape):
        document.fail(path, f"{name} must be a single integer")


def check_rows(
    packed: PackedWords, compiled: Packed, fields: tuple[Field, ...], document: Document, path: Path
) -> None:
    """Check that each name occurs once in the rows of the items."""
    single = {field.name for field in fields if not field.array_shape} - set(compiled.fields)
    remedy = f"rows of items have {', '.join(COLUMNS)} of their own"
    for name in single & set(COLUMNS):
        document.fail(path, f"the field {name!r} cannot be in a type with 'packed': {remedy}", at_key=True)
    taken = {*single, *COLUMNS}
    for index, field in enumerate(packed.header):
        if field.name in taken:
            problem = f"{field.name!r} would be in the rows of items twice: they have the fields with a single value"
            document.fail((*path, "header", index, "name"), f"{problem}, and {', '.join(COLUMNS)}")
        taken.add(field.name)


def check_room(compiled: Packed, size: int, document: Document, path: Path) -> None:
    """Check that the buffer can hold the longest item."""
    in_front = compiled.header_dtype.itemsize
    if not 1 <= compiled.longest <= size - in_front:
        problem = f"{plural(compiled.longest, 'byte')} and {in_front} in front do not fit into {compiled.field}"
        document.fail(path, f"{problem}, which has {size}; use 1 to {size - in_front}")
