"""The compiler from YAML to data types; its errors name file, line and column, and say what would be right."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, create_model
from pydantic import Field as Word

from dayfile.decoding.plan import Plan
from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.looks import compile_plot
from dayfile.layouts.meanings import compile_elements, compile_flags, compile_missing, compile_packed
from dayfile.layouts.part_words import FieldWords
from dayfile.layouts.parts import (
    MADE_TIME,
    count_fields,
    count_first_fields,
    find_shape,
    has_made_time,
    list_fields,
    list_stored_fields,
)
from dayfile.layouts.physical import compile_physical, compile_value_names
from dayfile.layouts.placements import compile_placement
from dayfile.layouts.plans import compile_plan
from dayfile.layouts.schema import LayoutWords, TypeWords
from dayfile.layouts.templates import RESERVED, check_day_files, check_nodes, check_path, check_tables
from dayfile.layouts.times import check_timing, compile_clock, compile_timing, compile_valid
from dayfile.layouts.words import Words
from dayfile.messages import plural
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType, Version
from dayfile.model.field import STORED_TYPES, Field
from dayfile.stores.registry import find_store, list_store_names
from dayfile.timing.times import MADE_CLOCK

__all__ = ["Layout", "Vocabulary", "extend_vocabulary", "read_layout"]

LARGEST_RECORD = 2**28
"""Bytes of a record; a table of such records would be of no use."""
MOST_FIELD_DIMENSIONS = 8

TIME32 = (
    "h5py, netCDF4, xarray, astropy and MATLAB cannot read tables with a time32; write int32, or 'keeps: [time32]' at "
    "the top of the layout if existing day files have it"
)
"""The warning of a layout with a field of the class of times of HDF5, which few libraries read."""
logger = logging.getLogger(__name__)


Section = TypeVar("Section", bound=BaseModel)


class Vocabulary(Protocol):
    """What the compiler needs from a format: its words, and a check of them against the rest of a layout."""

    @property
    def name(self) -> str:
        """Its name under ``sources``."""

    @property
    def section(self) -> str:
        """The section of a layout that has its words; empty if it has no words."""

    @property
    def words(self) -> type[Words] | None:
        """The words of its section."""

    def check(self, layout: Layout, document: Document) -> None:
        """Compare its words with the rest of a layout; raise a LayoutError where they differ."""


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


def read_layout(text: str, name: str, formats: Sequence[Vocabulary] = (), package: str = "") -> Layout:
    r"""Read and check a layout.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        File name for messages.
    formats : sequence of Vocabulary
        The formats that add words to the vocabulary.
    package : str
        The package that it is a part of, whose functions it may name.

    Raises
    ------
    LayoutError
        The text is not YAML, uses a word that is not in the vocabulary, or contradicts itself.

    Examples
    --------
    >>> read_layout("instrument: muon\ntitel: Muon telescope", "bad.yaml")
    Traceback (most recent call last):
        ...
    dayfile.errors.LayoutError: bad.yaml:2:1: titel: unknown key 'titel'; did you mean 'title'?
    """
    document = Document.parse(text, name)
    words = document.validate(extend_vocabulary(formats))
    types = tuple(compile_types(words, document))
    check_day_files(words, types, document)
    check_tables(words, types, document)
    warn_of_times(words, document)
    layout = Layout(words, types, compile_plan(words, types, document, package))
    for each in formats:
        each.check(layout, document)
    return layout


def warn_of_times(words: LayoutWords, document: Document) -> None:
    """Warn of a field that few programs can read, unless the layout says that existing day files have it."""
    for name, type_words in words.types.items():
        for path, field in list_stored_fields(type_words.fields, ("types", name, "fields")):
            if field.type == "time32" and field.type not in words.keeps:
                logger.warning("%s: %s", document.locate((*path, "type")), TIME32)
                return


def extend_vocabulary(formats: Sequence[Vocabulary]) -> type[LayoutWords]:
    """Extend the vocabulary by the words of formats: their names under ``sources``, and a section of each."""
    if not formats:
        return LayoutWords
    name: Any = Literal[tuple(each.name for each in formats)]
    description = LayoutWords.model_fields["sources"].description
    more: dict[str, Any] = {"sources": (tuple[name, ...], Word((), description=description))}
    more |= {each.section: (each.words | None, None) for each in formats if each.words is not None}
    return create_model("LayoutWords", __base__=LayoutWords, __doc__=LayoutWords.__doc__, **more)


def compile_types(words: LayoutWords, document: Document) -> Iterable[DataType]:
    """Compile the data types of a layout; raise a LayoutError where it contradicts itself."""
    clock = compile_clock(words.clock, words.day_begins, document, ("clock",))
    valid = compile_valid(words, document, ())
    check_path(words.path, document)
    first, *rest = words.path.split("/")
    if words.base and (not rest or "{" in first):
        document.fail(("base",), f"it takes the place of the first directory of 'path', and {words.path!r} has none")
    check_nodes(words, document)
    codes: dict[str, str] = {}
    for name, type_words in words.types.items():
        path: Path = ("types", name)
        if type_words.code in codes:
            problem = f"{type_words.code!r} is the code of {codes[type_words.code]!r} already"
            document.fail((*path, "code"), problem)
        codes[type_words.code] = name
        own = type_words.clock
        if own is None and "clock" in type_words.model_fields_set:
            document.fail((*path, "clock"), EMPTY)
        own_clock = clock if own is None else compile_clock(own, words.day_begins, document, (*path, "clock"))
        data_type = compile_type(name, words, own_clock, document)
        for index, version in enumerate(type_words.later):
            if codes.setdefault(version.code, name) != name:
                document.fail((*path, "later", index, "code"), f"{version.code!r} is a code of another type already")
        yield replace(
            data_type,
            versions=tuple(compile_versions(type_words, document, path)),
            flags=(
                *compile_flags(type_words, data_type.fields, words, document, path),
                *compile_value_names(data_type.fields, words, document, list_fields(type_words, path)),
            ),
            elements=tuple(compile_elements(type_words, data_type.fields, document, path)),
            packed=compile_packed(type_words, data_type.fields, words, document, path),
            plausible=compile_valid(type_words, document, path) or valid,
            plot=compile_plot(type_words, data_type.fields, document, path),
            clock_doc=(own or words.clock).doc,
        )


def compile_type(name: str, words: LayoutWords, clock: Clock, document: Document) -> DataType:
    """Compile a data type, without its versions, flags, elements and packed buffer."""
    path: Path = ("types", name)
    type_words = words.types[name]
    declared = list_fields(type_words, path)
    clock = replace(MADE_CLOCK, day_begins=clock.day_begins) if has_made_time(type_words) else clock
    fields = tuple(compile_field(field, words, document, place) for place, field in declared.items())
    size = sum(field.base.itemsize * math.prod(field.array_shape) for field in fields)
    if size > LARGEST_RECORD:
        problem = f"a record would have {plural(size, 'byte')}; {LARGEST_RECORD} is the most"
        document.fail((*path, "fields"), problem)
    check_type(type_words, fields, tuple(declared), clock, document, path)
    timing = compile_timing(type_words)
    fields = tuple(compile_missing(type_words, fields, timing.field_names, document, declared))
    fields = tuple(compile_physical(type_words, fields, document, declared))
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
    )
    check_store(data_type, tuple(declared), document, path)
    return data_type


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
        blob=field.blob,
        default=math.nan if default != default else default,  # the sign bit of YAML's NaN is set
        counter=field.counter,
        overflow=field.overflow or words.overflow,
    )


def check_default(field: FieldWords, document: Document, path: Path) -> None:
    """Check that a default fits its field."""
    if field.type == "char" or not field.default:
        return
    form = np.dtype(STORED_TYPES[field.type])
    if form.kind in "iu" and not (
        isinstance(field.default, int) and np.iinfo(form).min <= field.default <= np.iinfo(form).max
    ):
        document.fail((*path, "default"), f"{field.default} does not fit {field.type}")


def check_type(
    type_words: TypeWords,
    fields: tuple[Field, ...],
    places: tuple[Path, ...],
    clock: Clock,
    document: Document,
    path: Path,
) -> None:
    """Check that field names are unique, and that time and end exist from the first version on."""
    names = [field.name for field in fields]
    for index, name in enumerate(names):
        if name in names[:index]:
            made = name == MADE_TIME.name and has_made_time(type_words)
            problem = (
                "is the name of the time that is made and stored; use another one" if made else "is here a second time"
            )
            document.fail((*places[index], "name"), f"{name!r} {problem}")
    first = names[: count_first_fields(type_words)]
    check_timing(type_words, {name: fields[names.index(name)] for name in first}, clock, document, path)


def check_store(data_type: DataType, places: tuple[Path, ...], document: Document, path: Path) -> None:
    """Check that the store exists and can hold records of the type."""
    store, names = data_type.placement.store, list_store_names()
    if store not in names:
        document.fail((*path, "store"), f"{store!r} must be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}")
    problem = find_store(store).find_problem(data_type)
    if problem is None:
        return
    if problem.field:
        place = places[[field.name for field in data_type.fields].index(problem.field)]
        document.fail((*place, problem.word), problem.message)
    document.fail(path, problem.message, at_key=True)
