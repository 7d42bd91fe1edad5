"""Check the names of values in a layout: each must be known where it stands, and be a number where one is due."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from dayfile.decoding.calls import CalledTimes
from dayfile.decoding.firsts import FirstTime
from dayfile.decoding.plan import RecordKind
from dayfile.framing.ccsds import PACKET_FIELDS
from dayfile.layouts.document import Document, Path
from dayfile.layouts.frame_words import FramesWords
from dayfile.layouts.part_words import FieldWords, GroupWords, PartWords, RowsWords, SkipWords
from dayfile.layouts.parts import REST_WORD, compile_sum, list_stored_fields
from dayfile.layouts.schema import LayoutWords, TypeWords
from dayfile.lines.columns import MORE
from dayfile.messages import suggest

__all__ = ["ValueKind", "check_made_values", "check_value_names", "list_row_types"]


class ValueKind(StrEnum):
    """What a value is, as messages say it."""

    NUMBER = "a number"
    TEXT = "text"
    ARRAY = "an array"


Kinds = Mapping[str, ValueKind]
"""Kinds of values by name."""


def list_kinds(entries: Sequence[PartWords]) -> dict[str, ValueKind]:
    """List the values of entries by name, with their kinds."""
    kinds = {}
    for _, field in list_stored_fields(entries, ()):
        more = len(field.shape) > (1 if field.type == "char" else 0)
        kinds[field.name] = ValueKind.ARRAY if more else ValueKind.TEXT if field.type == "char" else ValueKind.NUMBER
    return kinds


def check_value_names(words: LayoutWords, captures: Kinds, document: Document) -> None:
    """Check the names in sizes, conditions, counts and ``from`` of a layout whose sources are frames of bytes.

    Parameters
    ----------
    words : LayoutWords
        The layout.
    captures : mapping of str to ValueKind
        Kinds of the values that the names of files have.
    document : Document
        Its file.

    Raises
    ------
    LayoutError
        A name is unknown, or of another kind than is due; it says where.
    """
    frames = words.frames
    if frames is None or frames.lines is not None or frames.call is not None:
        return
    head = list_kinds(frames.head.fields) if frames.head else {}
    names = NameCheck(document, words, captures)
    known = names.check_frames(frames, {**captures, **head}, ("frames",))
    for index, conditions in enumerate(frames.ignore if not isinstance(frames.ignore, str) else ()):
        names.check_conditions(conditions, known, ("frames", "ignore", index))
    row_types = {each for one in words.types.values() for each in list_row_types(one)}
    for name, type_words in words.types.items():
        if name not in row_types:
            names.check_type(type_words, known, ("types", name))


def check_made_values(
    words: LayoutWords, kinds: Iterable[RecordKind], captures: Collection[str], document: Document
) -> None:
    """Check the names of which times and keys are made, and the columns of lines; mistakes are collected.

    Parameters
    ----------
    words : LayoutWords
        A layout with ``frames``.
    kinds : iterable of RecordKind
        Its types.
    captures : collection of str
        Names of the values that the names of files have.
    document : Document
        Its file.
    """
    for kind in kinds:
        name, known = kind.data_type.type, find_value_names(kind, words, captures)
        if known is None:
            continue
        places: list[tuple[Path, str]] = [(("node",), key) for key in kind.data_type.placement.node.keys]
        if kind.making and not isinstance(kind.making, CalledTimes | FirstTime):
            places += [(("types", name, "time"), each) for each in kind.making.names]
        if words.frames and words.frames.lines:
            for place, field in list_stored_fields(words.types[name].fields, ("types", name, "fields")):
                places.append(((*place, "from" if field.from_ else "name"), field.from_ or field.name))
        for place, each in places:
            with document.collect():
                if each not in known:
                    document.fail(place, f"no value of {name} has the name {each!r}{suggest(each, sorted(known))}")


def find_value_names(kind: RecordKind, words: LayoutWords, captures: Collection[str]) -> set[str] | None:
    """Find the names of the values that a record of a type has; None if only the source or a function has them."""
    assert words.frames is not None  # noqa: S101 - for mypy
    own, frames = words.types[kind.data_type.type], words.frames
    above = [each for each in words.types.values() if kind.data_type.type in list_row_types(each)]
    columns = own.columns or (frames.lines.columns if frames.lines else ())
    if any(each.call for each in (own, *above)) or columns is None or isinstance(columns, str):
        return None
    file = {*captures, *list_kinds(frames.head.fields if frames.head else ())}
    if not kind.forms and not above:  # the head of a file
        return file
    sent = () if frames.lines else (each for one in (own, *above) for each in list_bodies(one))
    parts = set(columns) - {MORE}
    return {*file, *list_frame_values(frames), *words.carry, *parts, *(name for body in sent for name in body)}


def list_bodies(words: TypeWords) -> Iterator[Iterable[str]]:
    """List the names of the values that each form of a type has in the bytes."""
    for entries in [form.fields for form in words.forms] or [words.fields]:
        yield [field.name for _, field in list_stored_fields(entries, ()) if not field.from_]


def list_frame_values(frames: FramesWords) -> Iterator[str]:
    """List the names of the values that all frames have."""
    yield from ("frame_size", *PACKET_FIELDS) if frames.ccsds else ("frame_size", *list_kinds(frames.fields))
    if frames.inside:
        yield from list_frame_values(frames.inside)


def list_row_types(words: TypeWords) -> Iterator[str]:
    """List the types whose records are elements of groups of this one."""
    for entries in (words.fields, *(form.fields for form in words.forms)):
        yield from list_rows_of(entries)


def list_rows_of(entries: Sequence[PartWords]) -> Iterator[str]:
    """List the types whose records are elements of groups among entries."""
    for entry in entries:
        if isinstance(entry, RowsWords):
            yield entry.rows
        elif isinstance(entry, GroupWords):
            yield from list_rows_of(entry.fields)


class NameCheck:
    """Checks the names of one layout."""

    def __init__(self, document: Document, words: LayoutWords, captures: Kinds) -> None:
        self.document = document
        self.captures = captures
        self.words = words

    def check_frames(self, frames: FramesWords, known: Kinds, path: Path) -> dict[str, ValueKind]:
        """Check sizes; return what is known in the bodies of the innermost frames."""
        own = dict.fromkeys(PACKET_FIELDS, ValueKind.NUMBER) if frames.ccsds else list_kinds(frames.fields)
        there = {**known, **own}
        if frames.size is not None:
            self.check_sum(frames.size, there, (*path, "size"))
        if frames.inside:
            return self.check_frames(frames.inside, there, (*path, "inside"))
        return {**there, "frame_size": ValueKind.NUMBER}

    def check_conditions(self, conditions: Mapping[str, object], known: Kinds, path: Path) -> None:
        """Check the names of conditions: what is known of a frame before its type is."""
        for name in conditions:
            if name not in known:
                there = ", ".join(known)
                problem = (
                    f"{name!r} is not known before the type of a frame is{suggest(name, known)}; there are {there}"
                )
                self.document.fail((*path, name), problem)
            if known[name] == ValueKind.ARRAY:
                self.document.fail((*path, name), f"{name!r} is an array; a condition is on a number or a text")

    def check_type(self, words: TypeWords, known: Kinds, path: Path) -> None:
        """Check the names of a type, and of the types whose records are elements of its groups."""
        self.check_conditions(words.when, known, (*path, "when"))
        stored = {**known, **dict.fromkeys(self.words.carry, ValueKind.NUMBER), **list_kinds(words.fields)}
        for index, form in enumerate(words.forms):
            self.check_conditions(form.when, known, (*path, "forms", index, "when"))
            self.check_entries(form.fields, known, (*path, "forms", index, "fields"))
        if not words.forms:
            self.check_entries(words.fields, known, (*path, "fields"))
        self.check_origins(words, stored, path)
        for rows in self.words.types.keys() & {*list_row_types(words)}:
            one = self.words.types[rows]
            self.check_origins(one, {**stored, **list_kinds(one.fields)}, ("types", rows))

    def check_origins(self, words: TypeWords, known: Kinds, path: Path) -> None:
        """Check the names behind ``from``."""
        if words.call is not None:
            return
        for place, field in list_stored_fields(words.fields, (*path, "fields")):
            if field.from_ and field.from_ not in known:
                problem = f"no value has the name {field.from_!r}{suggest(field.from_, known)}"
                self.document.fail((*place, "from"), problem)

    def check_entries(self, entries: Sequence[PartWords], known: Kinds, path: Path, *, inner: bool = False) -> None:
        """Check the counts of entries: by values of the frame and the file, and of entries in front of them."""
        there = dict(known)
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            place = (*path, index)
            if isinstance(entry, SkipWords):
                if entry.skip != REST_WORD:
                    self.check_sum(entry.skip, there, (*place, "skip"))
            elif isinstance(entry, RowsWords):
                self._check_rows(entry, there, place, seen, inner=inner)
            elif isinstance(entry, FieldWords | GroupWords) and entry.count is not None:
                self.check_sum(entry.count, there, (*place, "count"))
            if isinstance(entry, GroupWords):
                self.check_entries(entry.fields, there, (*place, "fields"), inner=True)
            there.update(list_kinds([entry]))

    def _check_rows(self, entry: RowsWords, known: Kinds, path: Path, seen: set[str], *, inner: bool) -> None:
        """Check a group whose elements are records."""
        self.check_sum(entry.count, known, (*path, "count"))
        if inner:
            self.document.fail((*path, "rows"), "a group in a group cannot have records of its own; put 'rows' outside")
        if entry.rows in seen:
            self.document.fail((*path, "rows"), f"{entry.rows!r} has records of this type already; name another type")
        seen.add(entry.rows)
        if entry.rows not in self.words.types:
            self.document.fail((*path, "rows"), f"{entry.rows!r} is not a type{suggest(entry.rows, self.words.types)}")
        self.check_entries(self.words.types[entry.rows].fields, known, ("types", entry.rows, "fields"), inner=True)

    def check_sum(self, text: int | str, known: Kinds, path: Path) -> None:
        """Check that the names of a sum are those of numbers."""
        for name in compile_sum(text, self.words, self.document, path).names:
            if name not in known:
                self.document.fail(path, f"{name!r} is not known here{suggest(name, known)}")
            if known[name] != ValueKind.NUMBER:
                hint = "; in 'match', write {" + name + ":4} for 4 digits" if name in self.captures else ""
                self.document.fail(path, f"{name!r} is {known[name]}, not a number{hint}")
