"""Compile which sources are of an instrument, and where records begin and end in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dayfile.decoding.bodies import Bodies
from dayfile.decoding.calls import CalledFramer
from dayfile.framing.ccsds import PrimaryHeader, packets
from dayfile.framing.checksums import CHECKSUMS, FIRST_SUM_FIRST, Check
from dayfile.framing.fortran import Fortran
from dayfile.framing.matching import Magic, NamePattern, Pattern, SizeCondition
from dayfile.framing.nested import Nested
from dayfile.framing.shapes import LONGEST, Shape
from dayfile.framing.sized import Sized
from dayfile.framing.synced import Synced
from dayfile.layouts.document import Document, Path
from dayfile.layouts.frame_words import ChecksumWords, FramesWords, MagicWords, MatchWords, OrderedBytesWords
from dayfile.layouts.parts import compile_parts, compile_sum
from dayfile.layouts.schema import LayoutWords
from dayfile.messages import plural
from dayfile.stages.base import Framer, Order, Reading
from dayfile.stages.parts import StructPart, is_variable
from dayfile.stages.sums import Sum
from dayfile.stages.writing import FrameFields

__all__ = ["StructFraming", "compile_framing", "compile_patterns"]

TEXT = "text:"
Call = Callable[[str, Path], Callable[..., Any]]
KINDS = ("size", "ccsds", "fortran", "lines", "call")


def parse_bytes(text: str, document: Document, path: Path) -> bytes:
    """Parse bytes that are written in hexadecimal, or as text behind ``text:``."""
    if text.startswith(TEXT):
        return text.removeprefix(TEXT).strip().encode()
    try:
        return bytes.fromhex(text)
    except ValueError:
        document.fail(path, f"{text!r} is neither bytes in hexadecimal, as B5 62, nor text, as 'text: EHDR'")


def compile_patterns(words: LayoutWords, document: Document) -> tuple[Pattern, ...]:
    """Compile what sources look like."""
    match = words.match
    if match is None:
        return ()
    single = isinstance(match, MatchWords)
    listed = (match,) if isinstance(match, MatchWords) else match
    return tuple(
        compile_pattern(each, document, ("match",) if single else ("match", index)) for index, each in enumerate(listed)
    )


def compile_pattern(words: MatchWords, document: Document, path: Path) -> Pattern:
    """Compile one description of what a source looks like."""
    if not words.model_fields_set:
        document.fail(path, "'name', 'magic' or 'size' must be given")
    names = []
    for text in (words.name,) if isinstance(words.name, str) else words.name:
        try:
            names.append(NamePattern.parse(text))
        except ValueError as error:
            document.fail((*path, "name"), str(error))
    size = SizeCondition(**words.size.model_dump()) if words.size else None
    if size and size.rest >= size.multiple > 1:
        document.fail((*path, "size", "rest"), f"{size.rest} is never left over; it must be less than 'multiple'")
    return Pattern(tuple(names), compile_magic(words.magic, document, (*path, "magic")), size=size)


def compile_magic(words: str | MagicWords | OrderedBytesWords | None, document: Document, path: Path) -> Any:  # noqa: ANN401 - by byte order
    """Compile the bytes that a source has, by the byte order that they tell."""
    if words is None:
        return {}
    if isinstance(words, str):
        return {None: Magic(parse_bytes(words, document, path))}
    if isinstance(words, OrderedBytesWords):
        return {
            "big": Magic(parse_bytes(words.big, document, (*path, "big"))),
            "little": Magic(parse_bytes(words.little, document, (*path, "little"))),
        }
    if (words.bytes_ is None) == (words.text is None):
        document.fail(path, "either 'bytes' or 'text' must be given")
    content = parse_bytes(words.bytes_, document, (*path, "bytes")) if words.bytes_ else (words.text or "").encode()
    return {None: Magic(content, words.at, words.within)}


@dataclass(frozen=True)
class StructFraming:
    """How frames are found and read, for either byte order.

    Parameters
    ----------
    make_framer : callable
        Makes what finds frames.
    make_fields : callable
        Makes what reads the fields that all frames begin with.
    natural : bool
        Whether fields are aligned as C compilers do it.
    """

    make_framer: Callable[[Order], Framer]
    make_fields: Callable[[Order], Reading | None]
    natural: bool

    def make_reading(self, order: Order) -> Bodies:
        """Make what reads frames."""
        framer, fields = self.make_framer(order), self.make_fields(order)
        before = framer.lead - (fields.size if fields else 0)
        return Bodies(fields, order, self.natural, before, framer.lead, framer.tail)


def compile_framing(
    frames: FramesWords, words: LayoutWords, document: Document, path: Path, call: Call
) -> StructFraming:
    """Compile where records begin and end.

    Parameters
    ----------
    frames : FramesWords
        What is said of them.
    words : LayoutWords
        The layout.
    document : Document
        Its file.
    path : Path
        Place of the words.
    call : callable
        Finds a function of the instrument's package by its name.
    """
    said = [kind for kind in KINDS if getattr(frames, kind) is not None]
    if len(said) != 1:
        found = f"; here are {' and '.join(said)}" if said else ""
        document.fail(path, f"exactly one of {', '.join(KINDS)} says where a frame ends{found}")
    syncs = compile_sync(frames, document, (*path, "sync"))
    natural = words.natural
    parts = compile_parts(frames.fields, words, document, (*path, "fields"))
    check_frame_fields(frames, parts, document, path)
    check = compile_check(frames.checksum, document, (*path, "checksum"))
    longest = frames.longest or LONGEST
    size = Sum("0") if frames.size is None else compile_sum(frames.size, words, document, (*path, "size"))
    called = call(frames.call, (*path, "call")) if frames.call else None
    inside = compile_framing(frames.inside, words, document, (*path, "inside"), call) if frames.inside else None

    def make_fields(order: Order) -> Reading | None:
        if frames.ccsds:
            return PrimaryHeader()
        return FrameFields(parts, order, natural, len(syncs[order])) if parts else None

    def make(order: Order) -> Framer:
        checked = check(order) if check else None
        if called:
            return CalledFramer(called)
        if frames.ccsds:
            return packets(syncs[order], checked, longest)
        if frames.fortran:
            return Fortran(frames.fortran, order, make_fields(order), longest)
        shape = Shape(size, syncs[order], make_fields(order), checked, longest)
        return Synced(shape) if syncs[order] else Sized(shape)

    if inside is None:
        return StructFraming(make, make_fields, natural)
    inner = inside
    return StructFraming(lambda order: Nested(make(order), inner.make_framer(order)), inner.make_fields, natural)


def check_frame_fields(frames: FramesWords, parts: tuple[StructPart, ...], document: Document, path: Path) -> None:
    """Check that what all frames begin with can be read before their type is known."""
    for index, part in enumerate(parts):
        if is_variable(part):
            document.fail((*path, "fields", index), "what all frames begin with has the same size in each of them")
    if frames.ccsds and parts:
        document.fail((*path, "fields"), "packets begin with the primary header, whose fields have names already")
    if frames.checksum and (frames.fortran or frames.lines or frames.call):
        document.fail((*path, "checksum"), "only frames with 'size' or 'ccsds' have a checksum")


def compile_sync(frames: FramesWords, document: Document, path: Path) -> dict[Order, bytes]:
    """Compile what frames begin with, by byte order."""
    if frames.sync is None:
        return {"big": b"", "little": b""}
    if isinstance(frames.sync, str):
        both = parse_bytes(frames.sync, document, path)
        return {"big": both, "little": both}
    big, little = (parse_bytes(getattr(frames.sync, order), document, (*path, order)) for order in ("big", "little"))
    if len(big) != len(little):
        document.fail(path, "the patterns of both byte orders have the same number of bytes")
    return {"big": big, "little": little}


def compile_check(words: ChecksumWords | None, document: Document, path: Path) -> Callable[[Order], Check] | None:
    """Compile the checksum of frames, for either byte order."""
    if words is None:
        return None
    size = CHECKSUMS[words.kind].size
    at = -size if words.at is None else words.at
    stop = at if words.to is None else words.to
    if at < 0 and at + size > 0:
        document.fail((*path, "at"), f"{words.kind} has {plural(size, 'byte')}, which must be within the frame")

    def make(order: Order) -> Check:
        own = words.byte_order or FIRST_SUM_FIRST.get(words.kind, order)
        return Check(words.kind, words.from_, stop, at, own)

    return make
