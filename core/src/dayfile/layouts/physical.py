"""Physical values and names of values of a layout, checked against the fields that have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.meanings import check_value, parse_range
from dayfile.layouts.part_words import FieldWords
from dayfile.layouts.parts import count_fields, count_first_fields
from dayfile.layouts.quantities import ByWords, PhysicalWords, ValueNames
from dayfile.layouts.schema import LayoutWords, TypeWords
from dayfile.messages import suggest
from dayfile.model.field import Field, Flag
from dayfile.model.physical import ByValue, Number, Physical

__all__ = ["compile_physical", "compile_value_names"]

ONE_WAY = "'scale' and 'offset', or 'polynomial', or 'table': physical values are made in one way"


def compile_physical(
    type_words: TypeWords, fields: Iterable[Field], document: Document, places: Mapping[Path, FieldWords]
) -> Iterable[Field]:
    """Compile the physical values of a type's fields, and which of them stand for names."""
    fields = tuple(fields)
    known = {field.name: field for field in fields}
    ends = [count_first_fields(type_words)]
    for version in type_words.later:
        ends.append(ends[-1] + count_fields(version.fields))
    for index, (field, (place, words)) in enumerate(zip(fields, places.items(), strict=True)):
        for word in ("physical", "values"):
            if word in words.model_fields_set and getattr(words, word) is None:
                document.fail((*place, word), EMPTY)
        if words.values is not None:
            check_numbers(field, document, (*place, "values"))
            if words.physical is not None:
                document.fail((*place, "physical"), f"{field.name} has 'values': names are not physical values")
            yield replace(field, named=True)
        elif words.physical is not None:
            check_numbers(field, document, (*place, "physical"))
            # Records of a version have the fields that came with it, or before.
            end = next(end for end in ends if index < end)
            there = {each.name: known[each.name] for each in fields[:end]}
            physical = compile_conversion(field, words.physical, there, document, (*place, "physical"))
            # Without a unit of their own, physical values have the one of the field, and its numbers have none.
            has_own = words.physical.unit is not None
            yield replace(field, physical=physical, unit=field.unit if has_own else "")
        else:
            yield field


def check_numbers(field: Field, document: Document, path: Path) -> None:
    """Check that a field has numbers; for names, whole ones."""
    word = path[-1]
    if field.blob or field.counter or field.type in ("bool", "char"):
        kind = "a blob field" if field.blob else "a counter" if field.counter else field.type
        document.fail(path, f"{field.name} is {kind}; only numbers have {word!r}", at_key=True)
    if word == "values" and field.base.kind not in "iu":
        document.fail(path, f"{field.name} is {field.type}; only integers have 'values'", at_key=True)


def compile_conversion(
    field: Field, words: PhysicalWords, there: Mapping[str, Field], document: Document, path: Path
) -> Physical:
    """Compile how the numbers of a field become physical values."""
    said = words.model_fields_set
    for word in said:
        if getattr(words, word) is None:
            document.fail((*path, word), EMPTY)
    ways = [bool({"scale", "offset"} & said), "polynomial" in said, "table" in said]
    if sum(ways) != 1:
        document.fail(path, ONE_WAY, at_key=True)
    if words.scale == 0:
        document.fail((*path, "scale"), "with a scale of 0, all physical values are the same")
    if "polynomial" in said and len(words.polynomial) < 2:
        document.fail((*path, "polynomial"), "a polynomial has at least 2 coefficients, [c0, c1]")
    if "table" in said and len(words.table) < 2:
        document.fail((*path, "table"), "a table has at least 2 points, [[number, value], [number, value]]")
    for index, point in enumerate(words.table):
        if len(point) != 2:
            document.fail((*path, "table", index), "a point is a pair: [number, value]")
    for index, ((before, _), (number, _)) in enumerate(pairwise(words.table), 1):
        if number <= before:
            problem = f"{number:g} is not more than {before:g}; the smallest number comes first"
            document.fail((*path, "table", index), problem)
    return Physical(
        unit=field.unit if words.unit is None else words.unit,
        scale=compile_number(words.scale, field, there, document, (*path, "scale")),
        offset=compile_number(words.offset, field, there, document, (*path, "offset")),
        polynomial=words.polynomial,
        table=tuple((number, value) for number, value in words.table),
    )


def compile_number(
    words: float | str | ByWords, field: Field, there: Mapping[str, Field], document: Document, path: Path
) -> Number:
    """Compile a number: itself, the name of a field, or the numbers that a field chooses from."""
    if isinstance(words, float | int):
        return float(words)
    if isinstance(words, str):
        check_source_field(words, field, there, document, path)
        return words
    source = check_source_field(words.by, field, there, document, (*path, "by"))
    if source.base.kind not in "iu":
        document.fail((*path, "by"), f"{source.name} is {source.type}; only an integer chooses a number")
    spans = parse_spans(words.of, source, document, (*path, "of"))
    return ByValue(words.by, tuple((*span, number) for span, number in zip(spans, words.of.values(), strict=True)))


def check_source_field(name: str, field: Field, there: Mapping[str, Field], document: Document, path: Path) -> Field:
    """Check that each value of a field has a number in another one, and return that."""
    if name not in there:
        problem = f"{name!r} is not a field of all records with {field.name}{suggest(name, there)}"
        document.fail(path, problem)
    source = there[name]
    if source.blob or source.type in ("bool", "char"):
        document.fail(path, f"{name} is {'a blob field' if source.blob else source.type}, not a number")
    if source.shape and source.shape != field.shape:
        shapes = f"{list(source.shape)} is not {list(field.shape)}"
        document.fail(path, f"{name} must be a single number, or have the shape of {field.name}: {shapes}")
    return source


def parse_spans(keys: Iterable[str], field: Field, document: Document, path: Path) -> list[tuple[int, int]]:
    """Parse values and ranges of values of a field, none of them twice."""
    spans: dict[tuple[int, int], str] = {}
    for key in keys:
        text = as_decimal(key)
        check_value(text, field, document, (*path, key))
        first, last = parse_range(text, document, (*path, key))
        for (low, high), other in spans.items():
            if first <= high and low <= last:
                document.fail((*path, key), f"{key} and {other} have a value in common", at_key=True)
        spans[first, last] = key
    return list(spans)


def as_decimal(key: str) -> str:
    """Return a key in decimal digits if it is a hexadecimal number, as YAML reads it."""
    try:
        return str(int(key, 16)) if key.lower().startswith("0x") else key
    except ValueError:
        return key


def compile_value_names(
    fields: Iterable[Field], words: LayoutWords, document: Document, places: Mapping[Path, FieldWords]
) -> Iterable[Flag]:
    """Compile the names of values of a type's fields, each as a flag."""
    for field, (place, field_words) in zip(fields, places.items(), strict=True):
        said, path = field_words.values, (*place, "values")
        if said is None:
            continue
        if isinstance(said, str):
            if said not in words.values:
                document.fail(path, f"{said!r} is not a list of names under 'values'{suggest(said, words.values)}")
            path, said = ("values", said), words.values[said]
        yield from compile_names(field, said, document, path)


def compile_names(field: Field, names: ValueNames, document: Document, path: Path) -> Iterable[Flag]:
    """Compile the names of values of a field."""
    if not names:
        document.fail(path, EMPTY)
    parse_spans(names, field, document, path)
    return (Flag(field.name, "value", as_decimal(key), name) for key, name in names.items())
