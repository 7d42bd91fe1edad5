"""The format of a layout's own words: ``match``, ``frames``, ``time`` and ``fields`` say how sources become records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.decoding.bodies import Bodies
from dayfile.decoding.encoding import encode_frames
from dayfile.decoding.line_records import read_line_blocks
from dayfile.decoding.plan import FrameReading, Plan
from dayfile.decoding.sources import NO_TYPE, SourceDecoding
from dayfile.errors import RecordError, SourceError
from dayfile.formats.base import Format
from dayfile.framing.matching import Match, recognise
from dayfile.framing.reader import BLOCK_SIZE, FramedBlock, Head, read_frames
from dayfile.layouts.reader import Layout
from dayfile.model.batch import Batch, Blocks, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.stages.base import Order

__all__ = ["Framed"]

ORDER_BYTES = 2**16
"""Bytes of a source that are searched for the first sync, which may say the byte order."""


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
        return Blocks(partial(read_records, source, plan, match), alone=True)

    def encode(self, data_type: DataType, records: npt.NDArray[Any], layout: Layout) -> tuple[str, bytes] | None:
        """Encode records as a source, where the words of the layout can be turned round.

        What decodes to other records is none: such as a time whose text lost digits, or a source that needs a head.
        """
        plan = layout.plan
        if plan is None or plan.framing.heads:
            return None
        try:
            content = encode_frames(data_type, records, plan)
        except RecordError:  # what frames are made of is in no record: the core's own encoding keeps all
            return None
        if content is None:
            return None
        for name in (name for pattern in plan.patterns for name in pattern.propose_names(data_type.code)):
            back = self.decode(Source(Path(name), name, content), layout)
            if back is not None and are_records(back, data_type, records):
                return name, content
        return None


def are_records(items: Iterable[Batch | Rejected | Remark], data_type: DataType, records: npt.NDArray[Any]) -> bool:
    """Return whether items of a source are these records, and nothing else."""
    found: list[bytes] = []
    for item in items:
        if not isinstance(item, Batch) or item.code != data_type.code:
            return False
        found.append(item.records.tobytes())
    return b"".join(found) == records.tobytes()


def read_records(
    source: Source, plan: Plan, match: Match, size: int = BLOCK_SIZE
) -> Iterator[Batch | Rejected | Remark]:
    """Read the records of a source, block by block; the size of blocks changes nothing of what is found."""
    known: dict[str, Any] = dict(match.captures)
    order = match.order or plan.framing.find_order(np.frombuffer(source.part(0, ORDER_BYTES), np.uint8))
    head = read_head(source, plan.framing.heads.get(order or plan.byte_order), known)
    blocks = partial(split_source, source, len(head), plan, order or plan.byte_order, known, size)
    decoding = SourceDecoding(plan, source.name, known, source.part, head)
    find_first_values(blocks(), decoding)
    found = False
    for block in blocks():
        for item in decoding.decode(*block):
            found = True
            yield item
    for item in decoding.finish():
        found = True
        yield item
    if not found:
        yield Remark(plan.instrument, NO_TYPE, "nothing in it is a record", (0,))


def read_head(source: Source, head: Head | None, known: dict[str, Any]) -> bytes:
    """Read the head of a file: note the values of its fields, and return its bytes.

    Raises
    ------
    SourceError
        The source is too short to have it, or it says that it has an impossible size.
    """
    if head is None:
        return b""
    found = head.measure(source, known)
    if found.reason:
        raise SourceError(f"its head is {found.reason}: it is damaged, or of another format", where=source.name)
    content = source.part(0, found.length)
    if head.fields is not None:
        columns = head.fields.read(np.frombuffer(content, np.uint8), np.zeros(1, np.int64), known)
        known.update({name: column[0] for name, column in columns.items()})
    return content


def split_source(
    source: Source, start: int, plan: Plan, order: Order, known: Mapping[str, Any], size: int = BLOCK_SIZE
) -> Iterator[tuple[FramedBlock, FrameReading]]:
    """Split a source into frames, block by block, each with what reads its frames."""
    if plan.lines is not None:
        yield from read_line_blocks(source, start, plan, size)
        return
    framer = plan.framing.framers[order]
    reading = Bodies.of(framer, order, natural=plan.natural)
    for block in read_frames(source, framer, known, offset=start, size=size):
        yield block, reading


def find_first_values(blocks: Iterator[tuple[FramedBlock, FrameReading]], decoding: SourceDecoding) -> None:
    """Find the first value of the file, for each that is carried to all its records."""
    wanted = [carried for carried in decoding.plan.carried if carried.first]
    while wanted and (following := next(blocks, None)) is not None:
        groups, _, _ = decoding.read(following[0].frames, following[1])
        wanted = [carried for carried in wanted if not decoding.note_first(carried, groups)]
