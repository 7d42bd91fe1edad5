"""The words of what a record is made of: fields, parts of words, groups, rows and bytes that are skipped."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dayfile.layouts.quantities import PhysicalWords, ValueWords
from dayfile.layouts.words import Line, Name, Words
from dayfile.model.field import STORED_TYPES
from dayfile.stages.parts import ODD_TYPES

__all__ = [
    "FIELD_TYPES",
    "BitWords",
    "FieldWords",
    "GroupWords",
    "PartWords",
    "RowsWords",
    "SampleWords",
    "SkipWords",
    "StructWords",
    "WordWords",
]

SAMPLE_TYPES = tuple(name for name in STORED_TYPES if name not in ("bool", "time32"))
FIELD_TYPES = (*STORED_TYPES, "char", *ODD_TYPES)


class BitWords(Words):
    """Some bits of an integer."""

    name: Name | None = Field(None, description="name in the day file; without one, the bits are not used")
    bits: int = Field(ge=1, le=64, description="how many")
    type: Literal["unsigned", "signed", "bool"] = Field("unsigned", description="what they are")
    unit: str = Field("", description="physical unit")
    doc: Line = Field("", description="meaning")
    missing: tuple[int, ...] | None = Field(None, description="values that mean 'not measured'")
    physical: PhysicalWords | None = Field(None, description="physical values, as of a field")
    values: ValueWords | None = Field(None, description="names of its values, as of a field")


class SampleWords(Words):
    """What the samples of a blob are."""

    type: Literal[SAMPLE_TYPES] = Field(description="type of a sample")  # type: ignore[valid-type]  # one list of types


def name_a_blob(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of a blob that is meant, so that a complaint is about that one alone."""
    return "samples" if isinstance(value, dict | SampleWords) else "text"


class FieldWords(Words):
    """One field."""

    name: Name = Field(description="name in the day file")
    type: Literal[FIELD_TYPES] = Field(description="type of one element")  # type: ignore[valid-type]  # one list of types
    shape: tuple[int | str, ...] = Field((), description="numbers or names of constants; empty for a scalar")
    unit: str = Field("", description="physical unit")
    doc: Line = Field("", description="meaning")
    code: str = Field("", description="the instrument's own name for it in its input")
    blob: Annotated[
        Annotated[Literal["", "base64", "latin-1"], Tag("text")] | Annotated[SampleWords, Tag("samples")],
        Discriminator(name_a_blob),
    ] = Field("", description="the value goes to the blob array; how input carries it, or {type: …} for samples")
    default: bool | int | float = Field(0, description="value when not sent")
    counter: bool = Field(default=False, description="numbers the rows of the table from 1")
    overflow: Literal["raise", "wrap"] | None = Field(None, description="what an integer too wide does")
    missing: tuple[int | float, ...] | None = Field(
        None,
        description="values that mean 'not measured'; those of the type if left out",
    )
    physical: PhysicalWords | None = Field(None, description="physical values of its numbers")
    values: ValueWords | None = Field(
        None, description="names of its values, or of ranges such as 3-5; or the name of a list of them"
    )
    bits: tuple[BitWords, ...] = Field((), description="parts of an integer, each a field of its own")
    first: Literal["high", "low"] | None = Field(
        None, description="whether bits count from the most or the least significant; by the byte order if left out"
    )
    byte_order: Literal["big", "little"] | None = Field(None, description="its own byte order in the bytes")
    order: str = Field(
        "", pattern=r"^[1-8]*$", description="its bytes in the order of the source, 1 the most significant: '3412'"
    )
    count: int | str | None = Field(
        None, description="how many elements of 'shape' are in the bytes: a number, or a sum such as 'length - 2'"
    )
    from_: str | None = Field(
        None, alias="from", description="value that it has, by name, if it is not in the bytes here; or column, or key"
    )
    encoding: str = Field("", description="encoding of text, for programs that read it; bytes are kept as they are")


class WordWords(Words):
    """An integer of which only the parts are kept."""

    type: Literal[FIELD_TYPES] = Field(description="type of the integer")  # type: ignore[valid-type]  # one list of types
    bits: tuple[BitWords, ...] = Field(min_length=1, description="its parts")
    first: Literal["high", "low"] | None = Field(None, description="as of a field")
    byte_order: Literal["big", "little"] | None = Field(None, description="as of a field")
    order: str = Field("", pattern=r"^[1-8]*$", description="as of a field")


class GroupWords(Words):
    """Fields that come together, once or several times: a struct, or an array of structs."""

    name: Name = Field(description="in front of the names of its fields, with _")
    shape: tuple[int | str, ...] = Field((), description="how many, as of a field; empty for one")
    count: int | str | None = Field(None, description="how many are in the bytes, as of a field")
    doc: Line = Field("", description="meaning")
    fields: tuple[PartWords, ...] = Field(min_length=1, description="what one is made of")


class RowsWords(Words):
    """A group whose elements become records of a type of their own."""

    rows: Name = Field(description="the type, whose 'fields' say what an element is made of")
    count: int | str = Field(description="how many there are: a number, or a sum such as 'length - 2'")


class SkipWords(Words):
    """Bytes that are not kept."""

    skip: int | str = Field(description="how many: a number, a sum, or 'rest' for all up to the end of the frame")


def name_a_part(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the kind of part that is meant, so that a complaint is about that one alone."""
    if isinstance(value, Words):
        return KINDS[type(value)]
    if not isinstance(value, dict):
        return "field"
    kind = next((word for word in ("rows", "skip", "fields") if word in value), "field")
    return "word" if kind == "field" and "bits" in value and "name" not in value else kind


PartWords = Annotated[
    Annotated[FieldWords, Tag("field")]
    | Annotated[WordWords, Tag("word")]
    | Annotated[GroupWords, Tag("fields")]
    | Annotated[RowsWords, Tag("rows")]
    | Annotated[SkipWords, Tag("skip")],
    Discriminator(name_a_part),
]
KINDS = {FieldWords: "field", WordWords: "word", GroupWords: "fields", RowsWords: "rows", SkipWords: "skip"}
GroupWords.model_rebuild()


class StructWords(Words):
    """How C structs of this instrument are in memory."""

    byte_order: Literal["big", "little"] = Field("big", description="byte order of the machine that wrote them")
    alignment: Literal["natural", "packed"] = Field(
        "natural", description="natural: each field on a multiple of its size, as C compilers do; packed: no gaps"
    )
