"""The vocabulary of layouts: the words of a YAML file, and their values.

Pure data, checked by pydantic; :mod:`dayfile.layouts.reader` turns its errors into errors with ``file:line:column``.
Formats of sources add their words: a name for ``sources``, and a section.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StrictInt, StringConstraints, Tag

from dayfile.layouts.frame_words import CarryWords, FramesWords, MatchWords, Wanted
from dayfile.layouts.line_words import TypeColumns
from dayfile.layouts.part_words import PartWords, StructWords
from dayfile.layouts.quantities import ValueNames
from dayfile.layouts.time_words import CalendarWords, CountWords, StampWords, TimeWords
from dayfile.layouts.words import Code, Date, DateTime, Line, Name, Words
from dayfile.model.clock import Scale, Unit
from dayfile.model.field import STORED_TYPES

__all__ = [
    "BlobsWords",
    "CalendarWords",
    "ClockWords",
    "CompressWords",
    "CountWords",
    "ElementWords",
    "FlagWords",
    "FormWords",
    "HeaderWords",
    "LayoutWords",
    "PackedWords",
    "PlotWords",
    "TypeWords",
    "ValidWords",
    "VersionWords",
]

HEADER_TYPES = tuple(name for name in STORED_TYPES if name not in ("bool", "time32"))


class ClockWords(Words):
    """How times count."""

    epoch: DateTime = Field(description="date and time of tick 0, in the scale; down to the microsecond")
    unit: Unit = Field("s", description="what one tick is; d is a day of 86,400 s")
    leap_seconds: Literal["ignored", "counted"] = Field(
        "ignored", description="whether a clock in UTC runs on through leap seconds; all others do"
    )
    scale: Scale = Field("utc", description="time scale of the epoch")
    undefined: tuple[int, ...] = Field((), description="values that mean 'no time'; their records are rejected")
    doc: Line = Field("", description="what else is to be known about the times; dayfile describe shows it")


class BlobsWords(Words):
    """The array of variable-length values beside the tables."""

    node: str = Field(description="path in the day file; may use the keys of a batch")
    title: Line = Field("", description="title of the array")


class FlagWords(Words):
    """What a bit or a value of a field means: exactly one of ``bit``, ``value`` and ``index``."""

    bit: StrictInt | None = Field(None, description="mask of one bit, such as 0x40")
    value: StrictInt | str | None = Field(None, description="a value, or a range of values such as 0-40")
    index: StrictInt | str | None = Field(
        None, description="place of the field, or a range of places, in a list of the instrument outside the record"
    )
    name: str = Field("", description="the instrument's own name for it")
    doc: Line = Field("", description="meaning")


class ElementWords(Words):
    """What an element of an array field is."""

    index: StrictInt | str = Field(
        description='which, from 0: 5, a range 0-63, with a comma between dimensions "0-95,0-3"'
    )
    name: str = Field("", description="name of the element, or of what the index counts")
    doc: Line = Field("", description="meaning")


class HeaderWords(Words):
    """One value in front of each item in a packed buffer."""

    name: Name = Field(description="name in the rows")
    type: Literal[HEADER_TYPES] = Field(description="type of the value")  # type: ignore[valid-type]  # as FieldWords.type
    unit: str = Field("", description="physical unit")
    doc: Line = Field("", description="meaning")


class PackedWords(Words):
    """Items of variable length, such as events, one after another in a buffer: ``Records.unpack`` makes rows."""

    field: Name = Field(description="the buffer: a field of type uint8 with one dimension")
    count: Name = Field(description="field that says how many items the buffer holds")
    continued: Name | None = Field(
        None, description="field that is not 0 if further items are in the next record of the same time"
    )
    header: tuple[HeaderWords, ...] = Field((), description="what is in front of each item, without gaps")
    byte_order: Literal["big", "little"] = Field("big", description="byte order of the header")
    longest: int | str = Field(description="bytes of the longest item without its header: a number or a constant")


def choose_form(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Choose between a name and a list, so that an error is about that form only."""
    return "list" if isinstance(value, list) else "name"


FlagList = Annotated[
    Annotated[Name, Tag("name")] | Annotated[tuple[FlagWords, ...], Tag("list")], Discriminator(choose_form)
]


class PlotWords(Words):
    """How records are drawn if nobody says otherwise."""

    kind: Name | None = Field(
        None,
        description="series, rates, histogram, traces, or a plot that a plugin brings; if left out, series for "
        "periodic types and those with 'y', else rates",
    )
    y: tuple[str, ...] = Field((), description="fields or elements, such as hp or 'hp[0]'")
    log: bool = Field(default=False, description="whether the axis of values, or of counts, is logarithmic")


class VersionWords(Words):
    """The fields that a later version of a type added, after all earlier fields."""

    since: Date = Field(description="UTC day from which it holds")
    code: Code = Field(description="the instrument's own name for records of this version")
    size: int | None = Field(None, description="bytes of one struct, padding included; checked")
    doc: Line = Field("", description="where the declaration comes from, or what else is to be known")
    fields: tuple[PartWords, ...] = Field(min_length=1, description="the fields it added")


class ValidWords(Words):
    """Bounds of plausible times, at least one of them; records outside go to quarantine."""

    since: DateTime | None = Field(None, alias="from", description="first plausible time, a UTC date or date and time")
    until: DateTime | None = Field(
        None, alias="to", description="first time that is not plausible any more, a UTC date or date and time"
    )
    days_ahead: float | None = Field(
        None,
        ge=0,
        strict=True,
        allow_inf_nan=False,
        description="how many days after the arrival of its source a time may be; a fraction is allowed",
    )


class FormWords(Words):
    """One of several ways in which records of a type come."""

    when: dict[str, Wanted] = Field(min_length=1, description="which frames have it, as of a type")
    doc: Line = Field("", description="where the declaration comes from, or what else is to be known")
    fields: tuple[PartWords, ...] = Field(
        min_length=1, description="what is in its bytes; values go to the fields of the type that have their names"
    )


class CompressWords(Words):
    """How the tables of a type are compressed."""

    kind: Literal["zlib", "blosc", "none"] = Field(
        description="zlib can be read by every program, blosc (Zstandard) needs a plugin of HDF5 in most"
    )
    level: StrictInt | None = Field(
        None, ge=1, le=9, description="1 is the quickest, 9 the smallest; 4 for zlib and 1 for blosc if left out"
    )


def name_kind(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Make the mapping of a kind that stands alone."""
    return {"kind": value} if isinstance(value, str) else value


class TypeWords(Words):
    """One data type."""

    code: Code = Field(description="the instrument's own name for this kind of record")
    title: Line = Field(description="one line about the type; the table's title")
    store: str = Field(
        description="how a day file holds the records: append, slots, intervals, or a store that a plugin brings"
    )
    time: TimeWords = Field(description="field that decides day and slot; or how the time is made of several fields")
    end: StampWords | None = Field(None, description="field with the end stamp; or how it is made of several fields")
    clock: ClockWords | None = Field(None, description="how times of this type count, in place of the layout's clock")
    period: int = Field(0, ge=0, le=86400, description="seconds between records of a periodic type")
    suffix: str = Field("", description="short name for the path")
    size: int | None = Field(None, description="bytes of one struct, padding included; checked")
    doc: Line = Field("", description="where the declaration comes from, or what else is to be known")
    valid: ValidWords | None = Field(None, description="plausible times of this type, in place of the layout's")
    missing: tuple[int | float, ...] = Field(
        (),
        description="values that mean 'not measured', in all numbers that can hold them; not in times and counters",
    )
    fields: tuple[PartWords, ...] = Field(min_length=1, description="what a record is made of, in stored order")
    later: tuple[VersionWords, ...] = Field((), description="versions that came later, oldest first")
    when: dict[str, Wanted] = Field(
        default_factory=dict,
        description="which frames are of this type: values of 'frames: fields', of the head of the file, or frame_size",
    )
    columns: TypeColumns | None = Field(
        None, description="the parts of its lines, in place of those of 'frames: lines', with which all lines begin"
    )
    call: str | None = Field(
        None, description="a function of the package that makes further values of those that were read"
    )
    forms: tuple[FormWords, ...] = Field(
        (), description="the ways in which records come, if there are several; 'fields' then says what is stored"
    )
    flags: dict[str, FlagList] = Field(
        default_factory=dict,
        description="meaning of bits and values by field, or pattern such as Quality*: a list, or the name of one",
    )
    elements: dict[str, tuple[ElementWords, ...]] = Field(
        default_factory=dict, description="what the elements of array fields are, by field"
    )
    compress: Annotated[CompressWords | None, BeforeValidator(name_kind)] = Field(
        None, description="how new tables are compressed: zlib, blosc, none, or one of these with its level"
    )
    chunk: StrictInt | None = Field(
        None, ge=1, description="records in a chunk of new tables; as many as suit their size if left out"
    )
    packed: PackedWords | None = Field(None, description="a field that holds items one after another")
    plot: PlotWords | None = None


class LayoutWords(Words):
    """A whole layout."""

    instrument: Name = Field(description="name of the instrument; the first half of its data types' names")
    version: int = Field(1, ge=1, description="raised when stored fields change")
    title: Line = Field(description="one line about the instrument")
    clock: ClockWords
    valid: ValidWords | None = Field(None, description="plausible times; all of the clock's if left out")
    day_begins: Annotated[str, StringConstraints(pattern=r"^([01]?[0-9]|2[0-3]):00(:00)?$")] = Field(
        "00:00",
        description="UTC at which the day of a record begins, a whole hour: with 12:00, a night has one day file",
    )
    sources: tuple[str, ...] = Field((), description="kinds of source that are decoded by the layout alone")
    structs: StructWords | None = None
    match: MatchWords | tuple[MatchWords, ...] | None = Field(
        None, description="which files are sources: a mapping, or a list of which any fits"
    )
    frames: FramesWords | None = None
    carry: dict[Name, CarryWords] = Field(
        default_factory=dict, description="values that a record or a line tells for others, by name"
    )
    constants: dict[Name, int] = Field(default_factory=dict, description="sizes by name")
    flags: dict[Name, tuple[FlagWords, ...]] = Field(
        default_factory=dict, description="lists of flags by name, for types to refer to"
    )
    values: dict[Name, ValueNames] = Field(
        default_factory=dict, description="lists of names of values, for fields to refer to"
    )
    path: str = Field(description="template of the day file's path")
    base: str = Field(
        "", description="environment variable that names another directory in place of the first one of 'path'"
    )
    node: str = Field("/{type}", description="template of the table's path in the day file")
    main_key: Name | None = Field(None, description="the key in 'node' that people ask by, such as station")
    titles: tuple[Line, ...] = Field((), description="titles of the groups on that path")
    blobs: BlobsWords | None = None
    overflow: Literal["raise", "wrap"] = Field("raise", description="overflow of fields that do not say")
    keeps: tuple[Literal["time32"], ...] = Field(
        (), description="types of fields that few programs can read, and that existing day files have"
    )
    types: dict[Name, TypeWords] = Field(
        min_length=1, description="the data types by name, the second half of their full names"
    )

    @property
    def natural(self) -> bool:
        """Return whether fields are aligned as C compilers do it."""
        return self.structs is None or self.structs.alignment == "natural"
