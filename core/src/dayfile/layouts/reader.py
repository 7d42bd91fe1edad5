"""The compiler from YAML to data types; its errors name file, line and column, and say what would be right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from dayfile.decoding.plan import Plan
from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.looks import compile_plot
from dayfile.layouts.meanings import compile_elements, compile_flags, compile_missing, compile_packed
from dayfile.layouts.part_words import FieldWords, SampleWords
from dayfile.layouts.parts import (
    MADE_TIME,
    count_fields,
    count_first_fields,
    find_shape,
    has_made_time,
    list_fields,
)
from dayfile.layouts.physical import compile_physical, compile_value_names
from dayfile.layouts.placements import compile_placement
from dayfile.layouts.plans import compile_plan
from dayfile.layouts.schema import LayoutWords, TypeWords
from dayfile.layouts.templates import RESERVED, check_day_files, check_nodes, check_path, check_tables
from dayfile.layouts.times import check_timing, compile_clock, compile_timing, compile_valid
from dayfile.layouts.unreadable import warn_of_times
from dayfile.layouts.validation import validate_words
from dayfile.layouts.vocabulary import Vocabulary, extend_vocabulary
from dayfile.messages import plural
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType, Version
from dayfile.model.field import STORED_TYPES, Field
from dayfile.stores.registry import find_store, list_store_names
from dayfile.timing.times import MADE_CLOCK

__all__ = ["Layout", "compile_layout", "read_layout"]

LARGEST_RECORD = 2**28
"""Bytes of a record; a table of such records would be of no use."""
MOST_FIELD_DIMENSIONS = 8


Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class Layout:
    """A compiled layout.

    Parameters
    ----------
    words : LayoutWords
        The words of the file.
    types : tuple of DataType
        The data types that they declare.
    plan : Plan, optional
        How sources become records, if the layout has words for it.
    """

    words: LayoutWords
    types: tuple[DataType, ...]
    plan: Plan | None = None

    def by_code(self) -> dict[str, DataType]:
        """Index the data types by the instrument's own name for each."""
        return {data_type.code: data_type for data_type in self.types}

    def index_versions(self) -> dict[str, DataType]:
        """Index the later versions of data types by the instrument's own name for each version."""
        versions = (zip(data_type.versions, data_type.forms, strict=False) for data_type in self.types)
        return {version.code: form for each in versions for version, form in list(each)[1:]}

    @cached_property
    def known(self) -> dict[str, DataType]:
        """Data types by all names of their records; a later version's name means the type in that version."""
        return self.index_versions() | self.by_code()

    def find_section(self, model: type[Section]) -> Section | None:
        """Return the words of a section by their model; None if the layout does not have it."""
        return next((words for words in vars(self.words).values() if isinstance(words, model)), None)

    def section(self, model: type[Section]) -> Section | None:
        """Call :meth:`find_section`: the old name, for one version."""
        warnings.warn("Layout.section is now Layout.find_section", DeprecationWarning, stacklevel=2)
        return self.find_section(model)


def read_layout(text: str, name: str, formats: Sequence[Vocabulary] = (), package: str | None = "") -> Layout:
    r"""Read and check a layout.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        File name for messages.
    formats : sequence of Vocabulary
        The formats that add words to the vocabulary.
    package : str or None
        The package that it is a part of, whose functions it may name; None if they are not looked for.

    Raises
    ------
    LayoutError
        The text is not YAML, uses a word that is not in the vocabulary, or contradicts itself.

    Examples
    --------
    >>> read_layout("instrument: muon\ntitel: Muon telescope", "bad.yaml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    dayfile.errors.LayoutError: bad.yaml:2:1: titel: unknown key 'titel'; did you mean 'title'? (3 further mistakes; ...
    """
    document = Document.parse(text, name)
    layout = compile_layout(document, formats, package)
    document.raise_mistakes()
    assert layout is not None  # noqa: S101 - without a mistake there is a layout
    return layout


def compile_layout(document: Document, formats: Sequence[Vocabulary] = (), package: str | None = "") -> Layout | None:
    """Compile a layout, and collect its mistakes: those of the vocabulary first, then contradictions.

    Parameters
    ----------
    document : Document
        The file; its ``mistakes`` get what is wrong, except what only follows from another mistake.
    formats : sequence of Vocabulary
        The formats that add words to the vocabulary.
    package : str or None
        The package that it is a part of, whose functions it may name; None if they are not looked for.

    Returns
    -------
    Layout or None
        The layout as far as it is sound; None if nothing of it is.
    """
    words = validate_words(document, extend_vocabulary(formats))
    if words is None:
        return None
    known = len(document.mistakes)
    clock = compile_general(words, document)
    placed = len(document.mistakes) == known
    types = tuple(compile_types(words, clock, document))
    if placed:
        with document.collect():
            check_day_files(words, types, document)
        with document.collect():
            check_tables(words, types, document)
    warn_of_times(words, document)
    sound = {data_type.type: words.types[data_type.type] for data_type in types}
    plan = None
    with document.collect():
        plan = compile_plan(words, types, document, package)
    words = words.model_copy(update={"types": sound}) if len(sound) < len(words.types) else words
    layout = Layout(words, types, plan)
    for each in formats if sound else ():
        with document.collect():
            each.check(layout, document)
    return layout


def compile_general(words: LayoutWords, document: Document) -> Clock:
    """Check what a layout says of all types, and compile its clock; if that is wrong, a plain one."""
    clock = Clock(np.datetime64("2000-01-01", "s"))
    with document.collect():
        clock = compile_clock(words.clock, words.day_begins, document, ("clock",))
    with document.collect():
        check_path(words.path, document)
    with document.collect():
        first, *rest = words.path.split("/")
        if words.base and (not rest or "{" in first):
            document.fail(
                ("base",), f"it takes the place of the first directory of 'path', and {words.path!r} has none"
            )
    with document.collect():
        check_nodes(words, document)
    return clock


def compile_types(words: LayoutWords, clock: Clock, document: Document) -> Iterable[DataType]:
    """Compile the data types of a layout that are sound; collect what contradicts itself."""
    valid = None
    with document.collect():
        valid = compile_valid(words, document, ())
    codes: dict[str, str] = {}
    for name, type_words in words.types.items():
        check_codes(name, type_words, codes, document)
        known, compiled = len(document.mistakes), None
        with document.collect():
            compiled = compile_type(name, words, clock, document)
        if compiled is not None and len(document.mistakes) == known:
            yield replace(compiled, plausible=compiled.plausible or valid)


def check_codes(name: str, words: TypeWords, codes: dict[str, str], document: Document) -> None:
    """Check that no other type has a code of a type, and add its codes to those that are taken."""
    path: Path = ("types", name)
    with document.collect():
        if words.code in codes:
            document.fail(
                (*path, "code"), f"{words.code!r} is the code of {codes[words.code]!r} already; each type has its own"
            )
        codes[words.code] = name
    for index, version in enumerate(words.later):
        with document.collect():
            if codes.setdefault(version.code, name) != name:
                document.fail((*path, "later", index, "code"), f"{version.code!r} is a code of another type already")


def compile_type(name: str, words: LayoutWords, clock: Clock, document: Document) -> DataType:
    """Compile a data type; where a field is wrong, all that does not depend on it is checked nevertheless."""
    path: Path = ("types", name)
    type_words = words.types[name]
    declared = list_fields(type_words, path)
    known = len(document.mistakes)
    with document.collect():
        if type_words.clock is not None:
            clock = compile_clock(type_words.clock, words.day_begins, document, (*path, "clock"))
        elif "clock" in type_words.model_fields_set:
            document.fail((*path, "clock"), EMPTY)
    clock = replace(MADE_CLOCK, day_begins=clock.day_begins) if has_made_time(type_words) else clock
    fields, wrong = compile_fields(declared, words, document, path)
    check_field_names(type_words, fields, tuple(declared), document)
    sure = len(document.mistakes)
    first = {field.name: field for field in reversed(fields[: count_first_fields(type_words)])}
    check_timing(type_words, first, clock, document, path)
    timing = compile_timing(type_words)
    if len({field.name for field in fields}) == len(fields):
        fields = tuple(compile_missing(type_words, fields, timing.field_names, document, declared))
        with document.collect():
            fields = tuple(compile_physical(type_words, fields, document, declared))
    size = sum(field.base.itemsize * math.prod(field.array_shape) for field in fields)
    data_type = DataType(
        instrument=words.instrument,
        type=name,
        code=type_words.code,
        title=type_words.title,
        fields=fields,
        clock=clock,
        time=timing.time.field_names[0],
        placement=compile_placement(type_words, words, name, size, document),
        end=timing.end.field_names[0] if timing.end else "",
        period=type_words.period,
        layout=f"{words.instrument} {words.version}",
        composed=timing if timing.is_composed else None,
        versions=tuple(compile_versions(type_words, document, path)),
        flags=(
            *compile_flags(type_words, fields, words, document, path),
            *compile_value_names(fields, words, document, declared),
        ),
        elements=tuple(compile_elements(type_words, fields, document, path)),
        clock_doc=(type_words.clock or words.clock).doc,
    )
    packed = plausible = plot = None
    with document.collect():
        packed = compile_packed(type_words, fields, words, document, path)
    with document.collect():
        plausible = compile_valid(type_words, document, path)
    with document.collect():
        plot = compile_plot(type_words, fields, document, path)
    document.forget_consequences(wrong, sure)
    check_store_name(type_words.store, document, path)
    if len(document.mistakes) == known:
        check_store(data_type, tuple(declared), document, path)
    return replace(data_type, packed=packed, plausible=plausible, plot=plot)


def compile_fields(
    declared: Mapping[Path, FieldWords], words: LayoutWords, document: Document, path: Path
) -> tuple[tuple[Field, ...], list[str]]:
    """Compile the fields of a type, with a plain number for each that is wrong; return their names, too."""
    fields: list[Field] = []
    wrong: list[str] = []
    for place, field in declared.items():
        compiled = None
        with document.collect():
            compiled = compile_field(field, words, document, place)
        if compiled is None:
            wrong.append(field.name)
        fields.append(compiled or Field(field.name, "uint32"))
    size = sum(field.base.itemsize * math.prod(field.array_shape) for field in fields)
    if size > LARGEST_RECORD:
        problem = f"a record would have {plural(size, 'byte')}; {LARGEST_RECORD} is the most"
        document.fail((*path, "fields"), problem)
    return tuple(fields), wrong


def compile_versions(type_words: TypeWords, document: Document, path: Path) -> Iterable[Version]:
    """Compile the versions of a type; none if it has only one."""
    if not type_words.later:
        return
    count, before = count_first_fields(type_words), None
    yield Version(None, type_words.code, count)
    for index, words in enumerate(type_words.later):
        since = np.datetime64(words.since, "D")
        if before is not None and since <= before:
            document.fail((*path, "later", index, "since"), f"{since} is not after {before}; the oldest comes first")
        count, before = count + count_fields(words.fields), since
        yield Version(since, words.code, count)


def compile_field(field: FieldWords, words: LayoutWords, document: Document, path: Path) -> Field:
    """Compile a field, with constants replaced by their values."""
    if RESERVED.match(field.name):
        problem = f"{field.name!r} begins like a reserved name of day files; use another one"
        document.fail((*path, "name"), problem)
    shape = find_shape(field.shape, words, document, path)
    for index, size in enumerate(shape):
        if not 1 <= size <= LARGEST_RECORD:
            document.fail((*path, "shape", index), f"{size} is not a length; it must be 1 to {LARGEST_RECORD}")
    if len(shape) > MOST_FIELD_DIMENSIONS or math.prod(shape) > LARGEST_RECORD:
        document.fail((*path, "shape"), f"more than {MOST_FIELD_DIMENSIONS} dimensions or {LARGEST_RECORD} elements")
    if field.type == "char" and not shape:
        document.fail(path, "a char field needs a shape: [number of bytes]")
    if field.blob and words.blobs is None:
        document.fail((*path, "blob"), "the layout has no 'blobs', so the value cannot be stored")
    if field.blob and field.type != "int32":
        document.fail((*path, "type"), "a blob field holds an index and must be int32")
    default = -1 if field.blob and "default" not in field.model_fields_set else field.default
    if field.blob and default != -1:
        document.fail((*path, "default"), "a blob field that was not sent holds -1; leave 'default' out")
    if field.counter and not field.type.startswith(("int", "uint")):
        document.fail((*path, "type"), "a counter numbers rows and must have an integer type")
    if field.counter and shape:
        document.fail((*path, "shape"), "a counter numbers rows and must be a single number")
    check_default(field, document, path)
    return Field(
        name=field.name,
        type=field.type,
        shape=shape,
        unit=field.unit,
        doc=field.doc,
        code=field.code,
        blob="samples" if isinstance(field.blob, SampleWords) else field.blob,
        sample=field.blob.type if isinstance(field.blob, SampleWords) else "",
        default=math.nan if default != default else default,  # the sign bit of YAML's NaN is set
        counter=field.counter,
        overflow=field.overflow or words.overflow,
    )


def check_default(field: FieldWords, document: Document, path: Path) -> None:
    """Check that a default fits its field."""
    if field.type == "char" or not field.default:
        return
    form = np.dtype(STORED_TYPES[field.type])
    if form.kind not in "iu":
        return
    limits = np.iinfo(form)
    if not (isinstance(field.default, int) and limits.min <= field.default <= limits.max):
        problem = f"{field.default} does not fit {field.type}, which goes from {limits.min} to {limits.max}"
        document.fail((*path, "default"), problem)


def check_field_names(words: TypeWords, fields: Sequence[Field], places: Sequence[Path], document: Document) -> None:
    """Check that the names of fields are unique."""
    names = [field.name for field in fields]
    for index, name in enumerate(names):
        with document.collect():
            if name in names[:index]:
                made = name == MADE_TIME.name and has_made_time(words)
                problem = "here a second time; each field has a name of its own"
                if made:
                    problem = "the name of the time that is made and stored; use another one"
                document.fail((*places[index], "name"), f"{name!r} is {problem}")


def check_store_name(store: str, document: Document, path: Path) -> None:
    """Check that a store exists."""
    names = list_store_names()
    with document.collect():
        if store not in names:
            document.fail((*path, "store"), f"{store!r} must be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}")


def check_store(data_type: DataType, places: tuple[Path, ...], document: Document, path: Path) -> None:
    """Check that the store can hold records of the type."""
    problem = find_store(data_type.placement.store).find_problem(data_type)
    if problem is None:
        return
    if problem.field:
        place = places[[field.name for field in data_type.fields].index(problem.field)]
        document.fail((*place, problem.word), problem.message)
    document.fail(path, problem.message, at_key=True)
