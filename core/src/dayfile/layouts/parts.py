"""Compile what a record is made of: the fields that are stored, and the parts of its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dayfile.layouts.document import Document, Path
from dayfile.layouts.part_words import (
    BitWords,
    FieldWords,
    GroupWords,
    PartWords,
    RowsWords,
    SampleWords,
    SkipWords,
    WordWords,
)
from dayfile.layouts.schema import LayoutWords, TypeWords
from dayfile.layouts.time_words import CalendarWords, CountWords
from dayfile.messages import plural, suggest
from dayfile.stages.parts import Bits, Nested, Skip, StructPart, Value
from dayfile.stages.sums import Sum
from dayfile.stages.values import widen_type

__all__ = [
    "MADE_TIME",
    "compile_parts",
    "compile_sum",
    "count_fields",
    "count_first_fields",
    "find_shape",
    "has_made_time",
    "list_fields",
    "list_stored_fields",
]

REST_WORD = "rest"


MADE_TIME = FieldWords(
    name="time",
    type="int64",
    unit="ns",
    doc="nanoseconds since 1970-01-01T00:00:00 UTC, leap seconds ignored; made when decoded",
)
"""The stored field of times that are made."""


def has_made_time(words: TypeWords) -> bool:
    """Return whether times are made when a source is decoded, and stored in a field of their own.

    A date in parts is made, too, if one of them is no stored field, such as a part of the file's name.
    """
    if not isinstance(words.time, CalendarWords):
        return not isinstance(words.time, str | CountWords)
    stored = {field.name for _, field in list_stored_fields(words.fields, ())}
    names = [getattr(words.time, part) for part in ("year", "month", "day", "hour", "minute", "second")]
    return any(name is not None and name not in stored for name in names)


def list_fields(type_words: TypeWords, path: Path) -> dict[Path, FieldWords]:
    """List all stored fields of a type, in stored order, by their place in the file."""
    places = dict(list_first_fields(type_words, path))
    for later, version in enumerate(type_words.later):
        places |= dict(list_stored_fields(version.fields, (*path, "later", later, "fields")))
    return places


def list_first_fields(type_words: TypeWords, path: Path) -> Iterator[tuple[Path, FieldWords]]:
    """List the stored fields of the first version of a type, with their places: a time that is made comes first."""
    if has_made_time(type_words):
        yield (*path, "time"), MADE_TIME
    yield from list_stored_fields(type_words.fields, (*path, "fields"))


def list_stored_fields(
    entries: Sequence[PartWords], path: Path, prefix: str = "", shape: tuple[int | str, ...] = ()
) -> Iterator[tuple[Path, FieldWords]]:
    """List the fields that entries of a type store, with their places: those of groups have the group's name in front.

    Parameters
    ----------
    entries : sequence of PartWords
        The entries.
    path : Path
        Place of the list.
    prefix : str
        What is in front of the names.
    shape : tuple of int or str
        What is in front of the shapes.
    """
    for index, entry in enumerate(entries):
        place = (*path, index)
        if isinstance(entry, GroupWords):
            yield from list_stored_fields(
                entry.fields, (*place, "fields"), f"{prefix}{entry.name}_", (*shape, *entry.shape)
            )
        if isinstance(entry, FieldWords):
            kind = widen_type(entry.type)
            same = not prefix and not shape and kind == entry.type
            more = {"name": prefix + entry.name, "shape": (*shape, *entry.shape), "type": kind}
            yield place, entry if same else entry.model_copy(update=more)
        if isinstance(entry, FieldWords | WordWords):
            own = entry.shape if isinstance(entry, FieldWords) else ()
            for number, bits in enumerate(entry.bits):
                if bits.name:
                    yield (*place, "bits", number), store_bits(bits, prefix, (*shape, *own))


def count_fields(entries: Sequence[PartWords]) -> int:
    """Return how many fields entries of a type store."""
    return sum(1 for _ in list_stored_fields(entries, ()))


def count_first_fields(words: TypeWords) -> int:
    """Return how many fields the first version of a type stores."""
    return sum(1 for _ in list_first_fields(words, ()))


def store_bits(bits: BitWords, prefix: str, shape: tuple[int | str, ...]) -> FieldWords:
    """Return the field that keeps some bits of an integer."""
    width = next(width for width in (8, 16, 32, 64) if bits.bits <= width)
    kind = {"unsigned": f"uint{width}", "signed": f"int{width}", "bool": "bool"}[bits.type]
    more = {word: getattr(bits, word) for word in ("missing", "physical", "values") if word in bits.model_fields_set}
    return FieldWords(name=f"{prefix}{bits.name}", type=kind, shape=shape, unit=bits.unit, doc=bits.doc, **more)


def find_shape(shape: Iterable[int | str], words: LayoutWords, document: Document, path: Path) -> tuple[int, ...]:
    """Return a shape with constants replaced by their values."""
    found = []
    for index, length in enumerate(shape):
        if isinstance(length, str) and length not in words.constants:
            problem = f"{length!r} is not a constant{suggest(length, words.constants)}"
            document.fail((*path, "shape", index), problem)
        found.append(words.constants[length] if isinstance(length, str) else length)
    return tuple(found)


def compile_sum(text: int | str, words: LayoutWords, document: Document, path: Path) -> Sum:
    """Compile a number of bytes or elements; names of constants are replaced by their values."""
    try:
        found = Sum.parse(text)
    except ValueError as error:
        document.fail(path, str(error))
    return found.replace(words.constants)


def compile_parts(
    entries: Sequence[PartWords], words: LayoutWords, document: Document, path: Path
) -> tuple[StructPart, ...]:
    """Compile the parts of the bytes of a record; fields whose value comes from elsewhere are not in the bytes."""
    parts: list[StructPart] = []
    for index, entry in enumerate(entries):
        place = (*path, index)
        if isinstance(entry, SkipWords):
            rest = entry.skip == REST_WORD
            parts.append(Skip(None if rest else compile_sum(entry.skip, words, document, (*place, "skip"))))
        elif isinstance(entry, RowsWords):
            parts.append(compile_rows(entry, words, document, place))
        elif isinstance(entry, GroupWords):
            inner = compile_parts(entry.fields, words, document, (*place, "fields"))
            shape = find_shape(entry.shape, words, document, place)
            parts.append(Nested(entry.name, inner, shape, compile_count(entry, words, document, place)))
        elif isinstance(entry, WordWords) or not entry.from_:
            parts.append(compile_value(entry, words, document, place))
    return tuple(parts)


def compile_count(entry: FieldWords | GroupWords, words: LayoutWords, document: Document, path: Path) -> Sum | None:
    """Compile how many elements are in the bytes."""
    if entry.count is None:
        return None
    if isinstance(entry, FieldWords) and entry.blob:
        return compile_sum(entry.count, words, document, (*path, "count"))
    if not entry.shape:
        document.fail((*path, "count"), "'shape' must say how many elements there can be: shape: [most]")
    return compile_sum(entry.count, words, document, (*path, "count"))


def has_rows_inside(entries: Sequence[PartWords]) -> bool:
    """Return whether some entries are groups whose elements are records of a type."""
    return any(
        isinstance(each, RowsWords) or (isinstance(each, GroupWords) and has_rows_inside(each.fields))
        for each in entries
    )


def compile_rows(entry: RowsWords, words: LayoutWords, document: Document, path: Path) -> Nested:
    """Compile a group whose elements are records of another type."""
    known = words.types.get(entry.rows)
    # A type that is not there, and rows in rows, are mistakes that are reported with other names.
    fields = () if known is None or has_rows_inside(known.fields) else known.fields
    inner = compile_parts(fields, words, document, ("types", entry.rows, "fields"))
    return Nested(entry.rows, inner, (), compile_sum(entry.count, words, document, (*path, "count")), rows=True)


def compile_value(entry: FieldWords | WordWords, words: LayoutWords, document: Document, path: Path) -> Value:
    """Compile a number or a text in the bytes."""
    name = entry.name if isinstance(entry, FieldWords) else ""
    shape = find_shape(entry.shape, words, document, path) if isinstance(entry, FieldWords) else ()
    samples = entry.blob if isinstance(entry, FieldWords) and isinstance(entry.blob, SampleWords) else None
    value = Value(
        name=name,
        type=samples.type if samples else entry.type,
        shape=shape,
        byte_order=entry.byte_order or "",
        order=tuple(int(digit) - 1 for digit in entry.order),
        bits=tuple(Bits(bits.name or "", bits.bits, bits.type == "signed") for bits in entry.bits),
        first=entry.first or "",
        count=compile_count(entry, words, document, path) if isinstance(entry, FieldWords) else None,
        blob=samples is not None,
        default=entry.default if isinstance(entry, FieldWords) else 0,
    )
    check_order(value, document, path)
    check_bits(value, document, path)
    return value


def check_order(value: Value, document: Document, path: Path) -> None:
    """Check that an order of bytes names each byte of the number once."""
    if not value.order:
        return
    width = 0 if value.type == "char" else value.width
    if sorted(value.order) != list(range(width)):
        right = "".join(str(digit) for digit in range(width, 0, -1)) or "nothing: text has no order of bytes"
        document.fail((*path, "order"), f"{value.type} has {plural(width, 'byte')}; such as {right!r}, each digit once")


def check_bits(value: Value, document: Document, path: Path) -> None:
    """Check that the bits of a word are no more than it has."""
    if not value.bits:
        return
    if not value.type.lstrip("u").startswith("int"):
        document.fail((*path, "bits"), f"{value.type} is not an integer; only integers have bits")
    used, width = sum(bits.width for bits in value.bits), 8 * value.width
    if used > width:
        document.fail((*path, "bits"), f"the parts come to {used} bits; {value.type} has {width}")
