"""The format of a layout's own words: ``match``, ``frames``, ``time`` and ``fields`` say how sources become records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.decoding.encoding import encode_frames
from dayfile.decoding.line_records import read_lines
from dayfile.decoding.plan import FrameReading, Head, Plan
from dayfile.decoding.sources import NO_TYPE, SourceDecoding
from dayfile.errors import SourceError
from dayfile.formats.base import Format
from dayfile.framing.matching import Match, recognise
from dayfile.framing.reader import Piece, read_frames
from dayfile.layouts.reader import Layout
from dayfile.messages import plural
from dayfile.model.batch import Batch, Blocks, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.stages.base import Order
from dayfile.stages.structs import Struct

__all__ = ["Framed"]

HEAD_BYTES = 2**20
"""Bytes that the head of a file may have, if its fields do not say."""


class Framed(Format):
    """Sources as the words ``match`` and ``frames`` of a layout say."""

    name = "frames"

    def recognise(self, source: Source, layout: Layout) -> bool:
        """Return whether a pattern of ``match`` fits."""
        return layout.plan is not None and recognise(source, layout.plan.patterns) is not None

    def decode(self, source: Source, layout: Layout) -> Blocks | None:
        """Decode a source frame by frame."""
        plan = layout.plan
        match = recognise(source, plan.patterns) if plan else None
        if plan is None or match is None:
            return None
        return Blocks(partial(read_source, source, plan, match), alone=True)

    def encode(self, data_type: DataType, records: npt.NDArray[Any], layout: Layout) -> tuple[str, bytes] | None:
        """Encode records as a source, where the words of the layout can be turned round."""
        content = encode_frames(data_type, records, layout.plan) if layout.plan else None
        return (f"{data_type.code}.bin", content) if content is not None else None


def read_source(source: Source, plan: Plan, match: Match) -> Iterator[Batch | Rejected | Remark]:
    """Read the records of a source, block by block."""
    order: Order = match.order or plan.byte_order
    known: dict[str, Any] = dict(match.captures)
    head = read_head(source, plan, plan.head, order, known) if plan.head else b""
    pieces = partial(split_source, source, len(head), plan, order, known)
    decoding = SourceDecoding(plan, source.name, known, head)
    find_first_values(pieces(), decoding)
    found = False
    for piece in pieces():
        for item in decoding.decode(*piece):
            found = True
            yield item
    if not found:
        yield Remark(plan.instrument, NO_TYPE, "nothing in it is a record", (0,))


def read_head(source: Source, plan: Plan, head: Head, order: Order, known: dict[str, Any]) -> bytes:
    """Read the head of a file: note the values of its fields, and return its bytes.

    Raises
    ------
    SourceError
        The source is too short to have it.
    """
    struct = Struct(head.parts, order, plan.natural)
    least = source.part(0, struct.size)
    if len(least) < struct.size:
        short = f"{plural(len(least), 'byte')}; the head of the file alone has {struct.size}: it is truncated"
        raise SourceError(short, where=source.name)
    columns = struct.read(np.frombuffer(least, np.uint8), np.zeros(1, np.int64), {})
    known.update({name: column[0] for name, column in columns.items()})
    size = int(head.size.evaluate(known)) if head.size else struct.size
    if not struct.size <= size <= max(HEAD_BYTES, struct.size) or size > source.size:
        raise SourceError(f"its head says that it has {plural(size, 'byte')}, which cannot be", where=source.name)
    return source.part(0, size)


def split_source(
    source: Source, start: int, plan: Plan, order: Order, known: Mapping[str, Any]
) -> Iterator[tuple[Piece, FrameReading]]:
    """Split a source into frames, piece by piece, each with what reads its frames."""
    if plan.lines is not None:
        yield from read_lines(source, start, plan)
    elif plan.framing is not None:
        reading = plan.framing.make_reading(order)
        for piece in read_frames(source, plan.framing.make_framer(order), known, offset=start):
            yield piece, reading


def find_first_values(pieces: Iterator[tuple[Piece, FrameReading]], decoding: SourceDecoding) -> None:
    """Find the first value of the file, for each that is carried to all its records."""
    wanted = [carried for carried in decoding.plan.carried if carried.first]
    while wanted and (following := next(pieces, None)) is not None:
        groups, _, _ = decoding.read(following[0].frames, following[1])
        wanted = [carried for carried in wanted if not decoding.note_first(carried, groups)]
