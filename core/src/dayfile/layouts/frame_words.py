"""The words of a layout for sources: which they are (``match``), where frames are in them (``frames``), ``carry``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StrictInt, Tag
from pydantic_core import PydanticCustomError

from dayfile.framing.checksums import FRAME_CHECKSUMS
from dayfile.layouts.line_words import LinesWords
from dayfile.layouts.part_words import PartWords
from dayfile.layouts.words import Name, Words

__all__ = [
    "ByOrderWords",
    "CarryWords",
    "ChecksumWords",
    "FramesWords",
    "HeadWords",
    "MagicWords",
    "MatchWords",
    "SizeWords",
    "Wanted",
]


def refuse_unquoted(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds; pydantic judges it afterwards
    """Refuse bytes that YAML took for a number: leading zeros would be lost, and 010 would be 8."""
    if isinstance(value, int | float):
        raise PydanticCustomError("bytes_unquoted", "YAML reads a number; write bytes in quotes, such as '55 AA'")
    return value


PatternText = Annotated[str, BeforeValidator(refuse_unquoted)]
"""Bytes in hex such as ``55 AA``, or ``text: IMGF``."""
Wanted = StrictInt | str | tuple[StrictInt | str, ...]
"""What a value of a frame has to be: a number, a range such as 20-24, a text with * and ?, or a list of these."""
SumText = int | str


class ByOrderWords(Words):
    """A pattern in either byte order, which says the order of the whole source."""

    big: PatternText = Field(description="the pattern in sources whose numbers are big-endian")
    little: PatternText = Field(description="the pattern in sources whose numbers are little-endian")


class MagicWords(Words):
    """Bytes or text that a source has: exactly one of ``bytes`` and ``text``."""

    bytes_: PatternText | None = Field(None, alias="bytes", description="bytes in hex, such as 55 AA")
    text: str | None = Field(None, description="text in UTF-8")
    at: int = Field(0, ge=0, description="offset of the first byte")
    within: int | None = Field(
        None, ge=1, description="how many bytes from 'at' on are searched; if left out, they are just there"
    )


def name_a_pattern(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of a pattern that is meant, so that a complaint is about that one alone."""
    if isinstance(value, ByOrderWords) or (isinstance(value, dict) and value.keys() & {"big", "little"}):
        return "orders"
    return "magic" if isinstance(value, dict | MagicWords) else "pattern"


Magics = Annotated[
    Annotated[PatternText, Tag("pattern")]
    | Annotated[MagicWords, Tag("magic")]
    | Annotated[ByOrderWords, Tag("orders")],
    Discriminator(name_a_pattern),
]


def name_a_sync(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of a sync that is meant."""
    return "orders" if isinstance(value, dict | ByOrderWords) else "pattern"


Syncs = Annotated[
    Annotated[PatternText, Tag("pattern")] | Annotated[ByOrderWords, Tag("orders")], Discriminator(name_a_sync)
]


class SizeWords(Words):
    """What the size of a source must be, in bytes."""

    least: int = Field(0, ge=0, description="the smallest size")
    most: int | None = Field(None, ge=0, description="the largest size")
    multiple: int = Field(1, ge=1, description="a size that divides it, such as that of a record")
    rest: int = Field(0, ge=0, description="what is left over, such as the size of a head")


def make_list(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds; pydantic judges it afterwards
    """Take a single text for a list of one."""
    return (value,) if isinstance(value, str) else value


OneOrMore = Annotated[tuple[str, ...], BeforeValidator(make_list), Field(min_length=1)]


class MatchWords(Words):
    """Which sources are those of the instrument; all that is given must hold."""

    name: OneOrMore | None = Field(
        None,
        description="pattern of the name, or a list of them: * is any text, {name} captures text, {name:4} four digits",
    )
    magic: Magics | None = Field(None, description="bytes in hex or 'text: …', which may say the byte order as well")
    contains: str | None = Field(None, min_length=1, description="text within the first 400 bytes")
    size: SizeWords | None = Field(None, description="what the size must be")


class ChecksumWords(Words):
    """The checksum of a frame. Places count from its begin; negative ones from its end."""

    kind: Literal[tuple(FRAME_CHECKSUMS)] = Field(  # type: ignore[valid-type]  # one list of them
        description="which checksum; sum8, sum16 and sum32 are sums of bytes, modulo 2^8, 2^16 and 2^32"
    )
    first: int = Field(0, alias="from", description="first byte that it covers")
    to: int | None = Field(None, description="first byte behind those; where the checksum is if left out")
    at: int | None = Field(None, description="where it is; at the end of the frame if left out")
    byte_order: Literal["big", "little"] | None = Field(
        None, description="order of its bytes; that of the source if left out, the first sum first for fletcher"
    )


class HeadWords(Words):
    """What a source has once, in front of its frames."""

    size: SumText | None = Field(
        None, description="its bytes: a number, or a sum of its fields; those of its fields if left out"
    )
    fields: tuple[PartWords, ...] = Field((), description="its fields")
    type: Name | None = Field(None, description="the type whose records the heads are: one for each file")


class FramesWords(Words):
    """Where frames begin and end: exactly one of ``size``, ``ccsds``, ``fortran`` and ``lines``."""

    head: HeadWords | None = Field(None, description="what a source has once, in front of its frames")
    sync: Syncs | None = Field(None, description="bytes in hex or 'text: …' that each frame begins with")
    fields: tuple[PartWords, ...] = Field((), description="fields of each frame, directly behind sync")
    size: SumText | None = Field(
        None, description="bytes of a frame, sync and checksum included: a number, or a sum of values by name"
    )
    ccsds: Literal[True] | None = Field(None, description="frames are CCSDS space packets")
    fortran: Literal[4, 8] | None = Field(
        None, description="frames are sequential records of Fortran with markers of 4 or 8 bytes"
    )
    lines: LinesWords | None = Field(None, description="frames are lines of text")
    call: str | None = Field(None, description="a function of the package finds the frames: module.function")
    longest: int = Field(16 * 2**20, ge=1, description="bytes of a frame beyond which a size is wrong")
    checksum: ChecksumWords | None = Field(None, description="the checksum of a frame")
    inside: FramesWords | None = Field(None, description="the body of each frame is a stream of these frames")
    ignore: Literal["others"] | tuple[dict[str, Wanted], ...] = Field(
        (), description="frames left out quietly: 'others', all that no type describes, or a list of conditions"
    )
    between: Literal["ignore", "remark"] = Field("remark", description="what is said of bytes between frames")


class CarryWords(Words):
    """A value of an earlier record: exactly one of ``of`` and ``line``."""

    of: Annotated[tuple[Name, ...], BeforeValidator(make_list)] = Field((), description="types whose records have it")
    line: str | None = Field(None, min_length=1, description="a line that has it, such as '# Device: {device}'")
    which: Literal["first", "latest"] = Field(
        "latest", description="first of the source, which holds for records before it too, or the latest one"
    )
