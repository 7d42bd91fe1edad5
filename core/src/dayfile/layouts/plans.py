"""Compile how sources become records: the plan that the words of the four stages make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from dayfile.decoding.calls import CalledTimes
from dayfile.decoding.firsts import FirstTime
from dayfile.decoding.plan import Carried, LinePlan, Plan, RecordForm, RecordKind, name_typed
from dayfile.decoding.requirements import Requirement, parse_requirement
from dayfile.framing.matching import Pattern
from dayfile.layouts.document import Document, Path
from dayfile.layouts.frame_sizes import check_frame_sizes
from dayfile.layouts.frame_words import FramesWords
from dayfile.layouts.frames import Call, check_carry, compile_frames, compile_match, list_names
from dayfile.layouts.line_words import CarryLineWords, compile_carried_line, compile_lines, compile_type_line
from dayfile.layouts.makings import compile_making
from dayfile.layouts.names import ValueKind, check_made_values, check_value_names, list_row_types
from dayfile.layouts.part_words import PartWords
from dayfile.layouts.parts import compile_parts, has_made_time, list_stored_fields
from dayfile.layouts.schema import LayoutWords, TypeWords
from dayfile.layouts.time_words import CalendarWords, CallWords, FirstWords
from dayfile.lines.lines import LineForm
from dayfile.lines.numbers import TextColumn
from dayfile.messages import suggest
from dayfile.model.datatype import DataType
from dayfile.stages.base import Order, Reading
from dayfile.stages.parts import is_variable
from dayfile.stages.writing import FrameFields
from dayfile.timing.times import Making

__all__ = ["compile_plan"]


def compile_plan(words: LayoutWords, types: Iterable[DataType], document: Document, package: str | None) -> Plan | None:
    """Compile how sources become records; None if the layout says nothing of it.

    Parameters
    ----------
    words : LayoutWords
        The layout.
    types : iterable of DataType
        Its data types.
    document : Document
        Its file.
    package : str
        The package whose functions it may name; empty if it has none, None if they are not looked for.
    """
    if words.frames is None:
        refuse_words(words, document)
        return None
    frames = words.frames

    def call(name: str, path: Path) -> Any:  # noqa: ANN401 - a function
        return find_function(name, package, document, path)

    def make_reading(entries: Sequence[PartWords], order: Order, path: Path, begin: int) -> Reading:
        parts = compile_parts(entries, words, document, path)
        for index, part in enumerate(parts):
            if is_variable(part):
                document.fail((*path, index), "what all have in front has the same size in each of them")
        return FrameFields(parts, order, words.natural, begin)

    kinds: list[RecordKind] = []
    for data_type in types:
        with document.collect():
            kinds.append(compile_kind(data_type, words, document, call))
    with document.collect():
        check_requirements(kinds, document)
    patterns: tuple[Pattern, ...] = ()
    with document.collect():
        if words.match is None:
            document.fail((), "'match' must say which files are sources of this instrument")
        patterns = tuple(compile_match(document, ("match",), words.match))
    carried: tuple[Carried, ...] = ()
    with document.collect():
        carried = tuple(compile_carried(words, document))
    ignored: tuple[tuple[Requirement, ...], ...] = ()
    with document.collect():
        ignored = () if frames.ignore == "others" else tuple(compile_ignored(frames, document))
    lines: LinePlan | None = None
    with document.collect():
        lines = compile_line_plan(words, document) if frames.lines else None
    names = [each for pattern in patterns for each in pattern.names]
    captures = {name: ValueKind.TEXT for each in names for name in each.names}
    captures |= {name: ValueKind.NUMBER for each in names for name in each.numbers}
    with document.collect():
        check_value_names(words, captures, document)
        check_made_values(words, kinds, captures, document)
    order: Order = words.structs.byte_order if words.structs else "big"
    framing = compile_frames(
        document, ("frames",), frames, make_reading, order, captures, constants=words.constants, call=call
    )
    if framing.framers:
        check_frame_sizes(framing.framers[order], kinds, document, order, natural=words.natural)
    return Plan(
        instrument=words.instrument,
        patterns=patterns,
        kinds=tuple(kinds),
        framing=framing,
        lines=lines,
        byte_order=order,
        natural=words.natural,
        carried=carried,
        ignored=ignored,
        ignores_others=frames.ignore == "others",
        ignores_between=frames.between == "ignore",
        head_kind=find_head_kind(frames, kinds, words, document),
        counts_packets=bool(frames.ccsds),
    )


def refuse_words(words: LayoutWords, document: Document) -> None:
    """Refuse words that mean nothing without 'frames'."""
    for word in ("match", "carry"):
        with document.collect():
            if word in words.model_fields_set:
                problem = f"{word!r} means nothing without 'frames', which says where records begin and end"
                document.fail((word,), problem)
    for name, type_words in words.types.items():
        with document.collect():
            refuse_made_time(type_words, document, ("types", name, "time"))
        for word in ("when", "forms", "call", "columns"):
            with document.collect():
                if word in type_words.model_fields_set:
                    problem = f"{word!r} means nothing without 'frames' at the top of the layout"
                    document.fail(("types", name, word), problem)


def refuse_made_time(words: TypeWords, document: Document, path: Path) -> None:
    """Refuse a time that is made when a source is decoded, where nothing says how."""
    if not has_made_time(words):
        return
    if isinstance(words.time, CalendarWords):
        stored = {field.name for _, field in list_stored_fields(words.fields, ())}
        parts = [getattr(words.time, part) for part in ("year", "month", "day", "hour", "minute", "second")]
        wrong = next(name for name in parts if name is not None and name not in stored)
        document.fail(path, f"{wrong!r} is not a field{suggest(wrong, stored)}")
    document.fail(path, "a time that is made of values means nothing without 'frames' at the top of the layout")


def find_function(name: str, package: str | None, document: Document, path: Path) -> Any:  # noqa: ANN401 - a function
    """Find a function of the package of a layout; the layout may name no others."""
    module, _, attribute = name.rpartition(".")
    if package is None:
        return do_nothing
    top = package.partition(".")[0]
    if not package:
        document.fail(path, "a layout that is no part of a package has no functions to call")
    if module.partition(".")[0] != top or not attribute:
        document.fail(path, f"{name!r} must be a function of the package {top}, as {top}.times")
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError as error:
        document.fail(path, f"{name!r} cannot be imported: {error}")
    if not callable(found):
        document.fail(path, f"{module} has no function {attribute!r}")
    return found


def do_nothing(*_: object) -> None:
    """Stand for a function of a package that is not installed, in a layout that is only checked."""


def compile_kind(data_type: DataType, words: LayoutWords, document: Document, call: Call) -> RecordKind:
    """Compile how records of a type are made."""
    path: Path = ("types", data_type.type)
    type_words = words.types[data_type.type]
    head = words.frames.head.type if words.frames and words.frames.head else None
    if type_words.columns is not None and not has_lines(words):
        document.fail((*path, "columns"), "only lines of text ('frames: lines') have columns")
    rows = is_row_of_another(data_type.type, words) or data_type.type == head
    names = {field.name: field.from_ for _, field in list_stored_fields(type_words.fields, ()) if field.from_}
    making = compile_time(type_words, document, path, call)
    texts = tuple(list_texts(data_type, making, words)) if has_lines(words) else ()
    for field in data_type.fields if texts else ():
        if (name := names.get(field.name, field.name)) in texts and field.name != data_type.time:
            names[field.name] = name_typed(name)
    return RecordKind(
        data_type=data_type,
        forms=() if rows else tuple(compile_forms(type_words, words, document, path)),
        names=names,
        making=making,
        call=call(type_words.call, (*path, "call")) if type_words.call else None,
        columns=tuple(list_text_columns(data_type, words, type_words)) if has_lines(words) else (),
        line=compile_own_line(type_words, words, document, (*path, "columns")),
        texts=texts,
    )


def has_lines(words: LayoutWords) -> bool:
    """Return whether sources are lines of text."""
    return words.frames is not None and words.frames.lines is not None


def list_texts(data_type: DataType, making: Making | None, words: LayoutWords) -> Iterator[str]:
    """List the values in lines of a type that are needed as they are written."""
    own = data_type.type
    for name in dict.fromkeys((*(making.names if making else ()), *data_type.placement.node.keys, *words.carry)):
        carried = words.carry.get(name)
        if carried is None or own in carried.of or carried.line is not None:
            yield name


def compile_own_line(type_words: TypeWords, words: LayoutWords, document: Document, path: Path) -> LineForm | None:
    """Compile which parts the lines of a type have; None if those of all."""
    lines = words.frames.lines if words.frames else None
    if lines is None or type_words.columns is None:
        return None
    form = compile_lines(lines, document, ("frames", "lines"))
    return compile_type_line(type_words.columns, form, document, path)


def list_text_columns(data_type: DataType, words: LayoutWords, type_words: TypeWords) -> Iterator[TextColumn]:
    """List what the parts of lines are read as, for the fields of a type."""
    lines = words.frames.lines if words.frames else None
    encoding, decimal = (lines.encoding, lines.decimal) if lines else ("", ".")
    fields = {field.name: field for field in data_type.fields}
    for _, said in list_stored_fields(type_words.fields, ()):
        field = fields[said.name]
        yield TextColumn(
            name=said.from_ or said.name,
            type=field.type,
            shape=field.shape,
            missing=field.missing,
            default=said.default if "default" in said.model_fields_set else None,
            encoding=said.encoding or (encoding if field.type == "char" else ""),
            decimal=decimal,
        )


def compile_time(type_words: TypeWords, document: Document, path: Path, call: Call) -> Making | None:
    """Compile how times of a type are made; None if stored fields have them, or another record has."""
    words = type_words.time
    if isinstance(words, CallWords):
        return CalledTimes(call(words.call, (*path, "time", "call")))
    if isinstance(words, FirstWords):
        return FirstTime(words.first)
    if not has_made_time(type_words):
        return None
    return compile_making(words, document, (*path, "time"))


def find_head_kind(
    frames: FramesWords, kinds: Iterable[RecordKind], words: LayoutWords, document: Document
) -> RecordKind | None:
    """Find the type whose records the heads of files are, and check times that are those of first records."""
    wanted = frames.head.type if frames.head else None
    if wanted is not None and wanted not in words.types:
        document.fail(("frames", "head", "type"), f"{wanted!r} is not a type{suggest(wanted, words.types)}")
    for kind in kinds:
        if isinstance(kind.making, FirstTime):
            path, first = ("types", kind.data_type.type, "time"), kind.making.type
            if kind.data_type.type != wanted:
                document.fail(
                    path, "only the type of the head of a file ('frames: head: type') has the time of another"
                )
            if first not in words.types or first == wanted:
                document.fail((*path, "first"), f"{first!r} is not another type{suggest(first, words.types)}")
    return next((kind for kind in kinds if kind.data_type.type == wanted), None)


def is_row_of_another(name: str, words: LayoutWords) -> bool:
    """Return whether records of a type are elements of groups of other types."""
    return any(name in list_row_types(type_words) for type_words in words.types.values())


def compile_forms(words: TypeWords, layout: LayoutWords, document: Document, path: Path) -> Iterator[RecordForm]:
    """Compile the ways in which records of a type come."""
    common = tuple(parse_requirement(name, value) for name, value in words.when.items())
    if not words.forms:
        yield RecordForm(common, compile_parts(words.fields, layout, document, (*path, "fields")))
        return
    stored = {field.name for _, field in list_stored_fields(words.fields, ())}
    for index, form in enumerate(words.forms):
        place = (*path, "forms", index)
        for where, field in list_stored_fields(form.fields, (*place, "fields")):
            if field.name not in stored:
                problem = f"{field.name!r} is not one of the type's 'fields', which say what is stored"
                document.fail((*where, "name"), problem + suggest(field.name, stored))
        own = tuple(parse_requirement(name, value) for name, value in form.when.items())
        yield RecordForm((*common, *own), compile_parts(form.fields, layout, document, (*place, "fields")))


def check_requirements(kinds: Iterable[RecordKind], document: Document) -> None:
    """Check that no frame is of two types: the second would never get one."""
    seen: list[tuple[RecordKind, tuple[Requirement, ...]]] = []
    for kind in kinds:
        for form in kind.forms:
            for other, requirements in seen:
                if requirements == form.requirements or not requirements:
                    first, path = other.data_type.type, ("types", kind.data_type.type, "when")
                    problem = (
                        f"all its frames are of {first!r} already" if not requirements else f"it is that of {first!r}"
                    )
                    document.fail(path, f"{problem}; the first type that fits takes a frame")
            seen.append((kind, form.requirements))


def compile_carried(words: LayoutWords, document: Document) -> Iterator[Carried]:
    """Compile the values that records tell for others."""
    names = {
        name: [*list_names(type_words.fields), *(type_words.columns or ())] for name, type_words in words.types.items()
    }
    check_carry(document, ("carry",), words.carry, names)
    for name, said in words.carry.items():
        if said.of:
            yield Carried(name, said.of, first=said.which == "first")


def compile_ignored(frames: FramesWords, document: Document) -> Iterator[tuple[Requirement, ...]]:
    """Compile the conditions of frames that are left out quietly."""
    assert not isinstance(frames.ignore, str)  # noqa: S101 - for mypy
    for index, conditions in enumerate(frames.ignore):
        if not conditions:
            document.fail(("frames", "ignore", index), "it has no condition; 'ignore: others' leaves out all the rest")
        yield tuple(parse_requirement(name, value) for name, value in conditions.items())


def compile_line_plan(words: LayoutWords, document: Document) -> LinePlan:
    """Compile how lines of text are records."""
    assert words.frames is not None and words.frames.lines is not None  # noqa: S101, PT018 - for mypy
    form = compile_lines(words.frames.lines, document, ("frames", "lines"))
    carried = tuple(
        compile_carried_line(name, CarryLineWords(line=said.line), form.encoding, document, ("carry", name))
        for name, said in words.carry.items()
        if said.line is not None
    )
    return LinePlan(form, carried)
