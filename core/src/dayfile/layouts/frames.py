"""From the words ``match``, ``frames`` and ``carry`` to what recognises sources and finds frames in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dayfile.decoding.calls import CalledFramer
from dayfile.decoding.plan import Framing
from dayfile.framing.ccsds import PACKET_FIELDS, make_packets
from dayfile.framing.checksums import FIRST_SUM_FIRST, FRAME_CHECKSUMS, Check
from dayfile.framing.fortran import Fortran
from dayfile.framing.matching import Magic, NamePattern, Pattern, SizeCondition
from dayfile.framing.nested import NestedFrames
from dayfile.framing.reader import Head
from dayfile.framing.shapes import Shape
from dayfile.framing.sized import Sized
from dayfile.framing.synced import Synced
from dayfile.layouts.document import Document, Path
from dayfile.layouts.frame_words import (
    ByOrderWords,
    CarryWords,
    ChecksumWords,
    FramesWords,
    HeadWords,
    MagicWords,
    MatchWords,
)
from dayfile.layouts.part_words import PartWords
from dayfile.layouts.parts import list_stored_fields
from dayfile.messages import plural, suggest
from dayfile.stages.base import Framer, Order, Reading
from dayfile.stages.sums import Sum

__all__ = ["Call", "check_carry", "compile_frames", "compile_match", "list_names"]

CONTAINS_WITHIN = 400
BYTE_ORDERS: tuple[Order, Order] = ("big", "little")
MakeReading = Callable[[Sequence[PartWords], Order, Path, int], Reading]
"""Makes the reading of fields from their words, the byte order of the source, their place in the layout, and the bytes
in front of them."""
Call = Callable[[str, Path], Callable[..., Any]]
"""Finds a function of the layout's package by its name."""


def compile_match(document: Document, path: Path, words: MatchWords | Sequence[MatchWords]) -> list[Pattern]:
    """Compile ``match``: a mapping, or a list of them."""
    if isinstance(words, MatchWords):
        return [compile_pattern(document, path, words)]
    return [compile_pattern(document, (*path, number), each) for number, each in enumerate(words)]


def compile_pattern(document: Document, path: Path, words: MatchWords) -> Pattern:
    """Compile one mapping of ``match``."""
    if words == MatchWords():
        document.fail(path, "matches every source; give it at least one of name, magic, contains and size")
    names = []
    for text in words.name or ():
        try:
            names.append(NamePattern.parse(text))
        except ValueError as error:
            document.fail((*path, "name"), str(error))
    size = None
    if words.size:
        size = SizeCondition(words.size.least, words.size.most, words.size.multiple, words.size.rest)
        if size.rest >= size.multiple:
            document.fail((*path, "size", "rest"), "must be less than 'multiple', for it is what is left over")
        if size.most is not None and size.most < size.least:
            document.fail((*path, "size", "most"), "must not be less than 'least'")
    contains = Magic(words.contains.encode(), within=CONTAINS_WITHIN) if words.contains else None
    return Pattern(names, compile_magic(document, (*path, "magic"), words), contains, size)


def compile_magic(document: Document, path: Path, words: MatchWords) -> dict[Order | None, Magic]:
    """Compile ``magic``."""
    magic = words.magic
    if magic is None:
        return {}
    if isinstance(magic, ByOrderWords):
        return {order: Magic(content) for order, content in parse_orders(document, path, magic).items()}
    if not isinstance(magic, MagicWords):
        return {None: Magic(parse_bytes(document, path, magic))}
    if (magic.bytes_ is None) == (magic.text is None):
        document.fail(path, "give either 'bytes' (in hex) or 'text'")
    content = parse_bytes(document, (*path, "bytes"), magic.bytes_) if magic.bytes_ else (magic.text or "").encode()
    if not content:
        document.fail(path, "is empty, so that every source has it")
    if magic.within is not None and magic.within < len(content):
        document.fail((*path, "within"), f"is shorter than what is searched for; at least {len(content)}")
    return {None: Magic(content, magic.at, magic.within)}


def parse_bytes(document: Document, path: Path, text: str) -> bytes:
    """Parse bytes in hex, or a text behind ``text:``."""
    try:
        content = text[5:].strip().encode() if text.startswith("text:") else bytes.fromhex(text)
    except ValueError:
        document.fail(path, f"{text!r} is neither bytes in hex, such as 55 AA, nor a text, such as 'text: IMGF'")
    if not content:
        document.fail(path, "is empty; write bytes in hex, such as 55 AA, or a text, such as 'text: IMGF'")
    return content


def parse_orders(document: Document, path: Path, words: ByOrderWords) -> dict[Order, bytes]:
    """Parse a pattern in either byte order."""
    patterns = {order: parse_bytes(document, (*path, order), getattr(words, order)) for order in BYTE_ORDERS}
    if patterns["big"].startswith(patterns["little"]) or patterns["little"].startswith(patterns["big"]):
        document.fail(path, "both begin alike, so that they say nothing of the byte order")
    return patterns


def compile_frames(
    document: Document,
    path: Path,
    words: FramesWords,
    make_reading: MakeReading,
    order: Order = "big",
    known: Collection[str] = (),
    *,
    constants: Mapping[str, int] | None = None,
    call: Call | None = None,
) -> Framing:
    """Compile ``frames``, without ``lines``.

    Parameters
    ----------
    document : Document
        The layout, for the places of errors.
    path : tuple
        Where the words are in it.
    words : FramesWords
        The words.
    make_reading : callable
        Makes the reading of fields.
    order : {"big", "little"}
        Byte order of sources if neither sync nor magic says it; framers are made for both.
    known : collection of str
        Names of values of the whole source, such as captures of its name; those of the head come in addition.
    constants : mapping of str to int
        Numbers by name, for sums.
    call : callable, optional
        Finds a function of the layout's package.

    Raises
    ------
    LayoutError
        The words contradict each other; it says where, and what would be right.
    """
    framers, heads = {}, {}
    names = {*known, *(list_names(words.head.fields) if words.head else ())}
    for each in (order, *(other for other in BYTE_ORDERS if other != order)):
        compiler = FrameCompiler(document, make_reading, each, constants or {}, call)
        if words.head:
            heads[each] = compiler.compile_head((*path, "head"), words.head, known)
        compiler.check_words(path, words)
        if not words.lines:
            framers[each] = compiler.compile(path, words, names)
    syncs = parse_orders(document, (*path, "sync"), words.sync) if isinstance(words.sync, ByOrderWords) else {}
    return Framing(framers, heads, syncs)


def list_names(entries: Sequence[PartWords]) -> list[str]:
    """List the names of the values that entries have."""
    return [field.name for _, field in list_stored_fields(entries, ())]


def check_carry(
    document: Document, path: Path, words: Mapping[str, CarryWords], types: Mapping[str, Collection[str]]
) -> None:
    """Check ``carry``: each value has one origin, which exists; ``types`` are the names of the fields of each type."""
    for name, carry in words.items():
        here = (*path, name)
        if bool(carry.of) == (carry.line is not None):
            document.fail(here, "give either 'of' (types whose records have the value) or 'line' (a line that has it)")
        for number, each in enumerate(carry.of):
            place = (*here, "of", number) if (*here, "of", number) in document.places else (*here, "of")
            if each not in types:
                document.fail(place, f"{each!r} is not a type of this layout{suggest(each, types)}")
            if name not in types[each]:
                document.fail(place, f"{each} has no field {name!r}{suggest(name, types[each])}")
        if carry.line is not None and f"{{{name}}}" not in carry.line:
            document.fail((*here, "line"), f"does not capture the value; write {{{name}}} where it is in the line")


@dataclass(frozen=True)
class FrameCompiler:
    """Compiles frames for sources of one byte order."""

    document: Document
    make_reading: MakeReading
    order: Order
    constants: Mapping[str, int]
    call: Call | None

    def compile_head(self, path: Path, words: HeadWords, known: Collection[str]) -> Head:
        """Compile ``head``."""
        fields = self.make_reading(words.fields, self.order, (*path, "fields"), 0) if words.fields else None
        if words.size is None and fields is None:
            self.document.fail(path, "give 'size' (its bytes), 'fields', or both")
        least = fields.size if fields else 0
        size = self._parse_sum((*path, "size"), least if words.size is None else words.size)
        self._check_names((*path, "size"), size, {*known, *list_names(words.fields)})
        if size.constant is not None and size.constant < least:
            self.document.fail((*path, "size"), f"is less than its fields, {plural(least, 'byte')}")
        return Head(size, fields)

    def compile(self, path: Path, words: FramesWords, known: Collection[str]) -> Framer:
        """Compile ``frames``, or ``inside``; ``known`` are names of the file, and of the frames around."""
        outer = self._compile_one(path, words, known)
        if words.inside is None:
            return outer
        for word in ("head", "lines"):
            if getattr(words.inside, word):
                self.document.fail((*path, "inside", word), f"frames in frames have no {word!r}; remove it")
        self.check_words((*path, "inside"), words.inside)
        names = {*known, *(PACKET_FIELDS if words.ccsds else list_names(words.fields))}
        return NestedFrames(outer, self.compile((*path, "inside"), words.inside, names))

    def check_words(self, path: Path, words: FramesWords) -> None:
        """Refuse words that contradict each other."""
        kinds = [kind for kind in ("size", "ccsds", "fortran", "lines", "call") if getattr(words, kind) is not None]
        if not kinds:
            self.document.fail(path, "does not say where a frame ends; give one of size, ccsds, fortran and lines")
        if len(kinds) > 1:
            self.document.fail((*path, kinds[1]), f"{kinds[0]!r} says already where a frame ends; remove one of them")
        if words.ccsds and words.fields:
            names = ", ".join(PACKET_FIELDS)
            self.document.fail((*path, "fields"), f"packets have their fields already: {names}; remove 'fields'")
        for word in ("sync", "checksum") if words.fortran else ():
            if getattr(words, word) is not None:
                self.document.fail((*path, word), "records of Fortran have markers instead; remove it")
        for word in ("sync", "checksum", "fields", "inside") if words.lines or words.call else ():
            if word in words.model_fields_set:
                kind = "lines have" if words.lines else "frames that a function finds have"
                self.document.fail((*path, word), f"{kind} no {word!r}; remove it")

    def _compile_one(self, path: Path, words: FramesWords, known: Collection[str]) -> Framer:
        """Compile frames without those inside."""
        if words.call and self.call:
            return CalledFramer(self.call(words.call, (*path, "call")))
        sync = b""
        if isinstance(words.sync, ByOrderWords):
            sync = parse_orders(self.document, (*path, "sync"), words.sync)[self.order]
        elif words.sync is not None:
            sync = parse_bytes(self.document, (*path, "sync"), words.sync)
        before = words.fortran or len(sync)
        fields = self.make_reading(words.fields, self.order, (*path, "fields"), before) if words.fields else None
        if words.fortran:
            return Fortran(words.fortran, self.order, fields, words.longest)
        check = self._compile_checksum((*path, "checksum"), words.checksum) if words.checksum else None
        if words.ccsds:
            return make_packets(sync, check, words.longest)
        size = self._parse_sum((*path, "size"), words.size or 0)
        self._check_names((*path, "size"), size, {*known, *list_names(words.fields)})
        shape = Shape(size, sync, fields, check, words.longest)
        if size.constant is not None and size.constant < shape.minimum:
            problem = "has no place for the sync, fields and checksum of a frame"
            self.document.fail((*path, "size"), f"{size.constant} {problem}: they need {shape.minimum}")
        if size.constant is not None and size.constant > words.longest:
            self.document.fail((*path, "size"), f"is more than 'longest', {words.longest}; raise that")
        if words.longest < shape.minimum:
            self.document.fail((*path, "longest"), f"is less than the shortest frame, {plural(shape.minimum, 'byte')}")
        return Synced(shape) if sync else Sized(shape)

    def _compile_checksum(self, path: Path, words: ChecksumWords) -> Check:
        """Compile ``checksum``."""
        size = FRAME_CHECKSUMS[words.kind].size
        at = -size if words.at is None else words.at
        to = at if words.to is None else words.to
        if -size < at < 0:
            self.document.fail(
                (*path, "at"), f"{words.kind} has {plural(size, 'byte')}: at most {-size}, counted from the end"
            )
        if to == 0 or ((words.first < 0) == (to < 0) and words.first >= to):
            place = (*path, "from" if words.to is None else "to")
            self.document.fail(place, "nothing is between 'from' and 'to'; 'to' is the first byte that is not covered")
        alike = (words.first < 0) == (to < 0) == (at < 0)
        if (alike and words.first < at + size and at < to) or (0 <= words.first <= at and at < to):
            self.document.fail((*path, "at"), "is within what the checksum covers; it cannot cover itself")
        order = words.byte_order or FIRST_SUM_FIRST.get(words.kind, self.order)
        return Check(words.kind, words.first, to, at, order)

    def _parse_sum(self, path: Path, text: str | int) -> Sum:
        try:
            return Sum.parse(text).replace(self.constants)
        except ValueError as error:
            self.document.fail(path, str(error))

    def _check_names(self, path: Path, size: Sum, known: Collection[str]) -> None:
        for name in size.names:
            if name not in known:
                there = ", ".join(sorted(known)) or "no values"
                hint = suggest(name, known)
                self.document.fail(path, f"{name!r} is not known where a frame begins{hint}; there are {there}")
