"""The words of sources: which files are of an instrument, and where records begin and end in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictInt, Tag

from dayfile.framing.checksums import CHECKSUMS
from dayfile.layouts.line_words import CarryLineWords, LinesWords
from dayfile.layouts.part_words import PartWords
from dayfile.layouts.words import Name, Words

__all__ = [
    "CarryRecordWords",
    "CarryWords",
    "ChecksumWords",
    "FramesWords",
    "HeadWords",
    "MagicWords",
    "MatchWords",
    "OrderedBytesWords",
    "SizeWords",
    "Wanted",
]

Wanted = StrictInt | str | tuple[StrictInt | str, ...]
"""What a value of a frame has to be: a number, a range such as 20-24, a text with * and ?, or a list of these."""
ByteText = Annotated[str, Field(min_length=2)]
"""Bytes as hexadecimal digits, or as text behind 'text: '."""


class MagicWords(Words):
    """Bytes in a source."""

    bytes_: ByteText | None = Field(None, alias="bytes", description="the bytes, in hexadecimal: B5 62")
    text: str | None = Field(None, min_length=1, description="the bytes, as text")
    at: int = Field(0, ge=0, description="their offset")
    within: int | None = Field(None, ge=1, description="in how many bytes to look for them; right there if left out")


class OrderedBytesWords(Words):
    """Bytes that are different in the two byte orders, and so tell that of the file."""

    big: ByteText = Field(description="the bytes in big-endian files")
    little: ByteText = Field(description="the bytes in little-endian files")


def name_bytes(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of some bytes that is meant, so that a complaint is about that one alone."""
    if isinstance(value, OrderedBytesWords):
        return "orders"
    if isinstance(value, dict):
        return "orders" if "big" in value or "little" in value else "bytes"
    return "bytes" if isinstance(value, MagicWords) else "plain"


Magic = Annotated[
    Annotated[ByteText, Tag("plain")]
    | Annotated[MagicWords, Tag("bytes")]
    | Annotated[OrderedBytesWords, Tag("orders")],
    Discriminator(name_bytes),
]
Sync = Annotated[
    Annotated[ByteText, Tag("plain")] | Annotated[OrderedBytesWords, Tag("orders")], Discriminator(name_bytes)
]


class SizeWords(Words):
    """What the size of a source must be, in bytes."""

    least: int = Field(0, ge=0, description="the smallest")
    most: int | None = Field(None, ge=0, description="the largest")
    multiple: int = Field(1, ge=1, description="a number that divides it")
    rest: int = Field(0, ge=0, description="what is left over when it is divided")


class MatchWords(Words):
    """What a source looks like; all that is said must hold."""

    name: str | tuple[str, ...] = Field(
        (), description="pattern of its name, or several: * any text, {name} a part with a name, {name:4} four digits"
    )
    magic: Magic | None = Field(None, description="bytes that it begins with, or has")
    size: SizeWords | None = Field(None, description="its size")


class HeadWords(Words):
    """What is in front of the frames of a file, once."""

    fields: tuple[PartWords, ...] = Field(min_length=1, description="what it is made of; all records know its values")
    size: int | str | None = Field(None, description="its bytes, if it has more than its fields: a number or a sum")


class ChecksumWords(Words):
    """A checksum of each frame; places count from its first byte or, if negative, from its end."""

    kind: Literal[tuple(CHECKSUMS)] = Field(description="how it is computed")  # type: ignore[valid-type]  # one list
    from_: int = Field(0, alias="from", description="first byte that it covers")
    to: int | None = Field(None, description="first byte behind those that it covers; that of the checksum if left out")
    at: int | None = Field(None, description="its first byte; the last of the frame if left out")
    byte_order: Literal["big", "little"] | None = Field(None, description="its byte order; the usual one if left out")


class FramesWords(Words):
    """Where records begin and end."""

    head: HeadWords | None = Field(None, description="what is in front of the first frame, once in a file")
    sync: Sync | None = Field(None, description="bytes that each frame begins with: hexadecimal, or 'text: EHDR'")
    fields: tuple[PartWords, ...] = Field((), description="what each frame begins with, behind 'sync'")
    size: int | str | None = Field(
        None, description="bytes of a whole frame: a number, or a sum of values such as 'length + 8'"
    )
    longest: int | None = Field(None, ge=1, description="bytes that no frame is longer than; 16 MiB if left out")
    checksum: ChecksumWords | None = Field(None, description="the checksum of each frame")
    ccsds: Literal[True] | None = Field(None, description="in place of 'size': CCSDS space packets")
    fortran: Literal[4, 8] | None = Field(None, description="in place of 'size': Fortran records; bytes of a marker")
    lines: LinesWords | None = Field(None, description="in place of 'size': lines of text")
    call: str | None = Field(None, description="in place of 'size': a function of the package, as module.function")
    inside: FramesWords | None = Field(None, description="what the body of each frame is made of: frames again")
    ignore: Literal["others"] | tuple[dict[str, Wanted], ...] = Field(
        (), description="frames of no type that are left out quietly: 'others' for all, or a list of conditions"
    )
    between: Literal["remark", "ignore"] = Field(
        "remark", description="what is done with bytes between frames: a remark says where they are, or nothing"
    )


class CarryRecordWords(Words):
    """A value that records of some types tell, for other records."""

    of: tuple[Name, ...] = Field(min_length=1, description="the types whose records have it as a field")
    which: Literal["latest", "first"] = Field(
        "latest", description="the last one before a record, or the first of the file for all of its records"
    )


def name_carried(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of a value that is carried that is meant."""
    return "line" if isinstance(value, CarryLineWords) or (isinstance(value, dict) and "line" in value) else "record"


CarryWords = Annotated[
    Annotated[CarryLineWords, Tag("line")] | Annotated[CarryRecordWords, Tag("record")], Discriminator(name_carried)
]
FramesWords.model_rebuild()
