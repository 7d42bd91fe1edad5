"""What is in lines of text: the values of their parts, found by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.decoding.plan import Plan, RecordForm, RecordKind, name_typed
from dayfile.framing.reader import BLOCK_SIZE, FramedBlock, Stream
from dayfile.framing.shapes import Stretches
from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.columns import ColumnParts
from dayfile.lines.line_reader import LineReader, Parts
from dayfile.lines.numbers import read_texts
from dayfile.lines.texts import Texts
from dayfile.model.batch import Source
from dayfile.stages.base import Columns, Frames, Wrong
from dayfile.stages.structs import StructValues

__all__ = ["LineRecords", "read_line_blocks"]


@dataclass
class LineRecords:
    """Reads the lines of a block.

    Parameters
    ----------
    parts : Parts
        Their parts.
    wrong : Wrong
        Which lines are no records, whatever their type.
    carried : dict of str to Texts
        Values of earlier lines, by name.
    asked : tuple of str
        Names of values by which types are distinguished.
    forms : tuple of CarriedLine
        How lines are written that carry values.
    preamble : sequence of bytes
        The lines at the begin of the source on which all others depend.
    """

    parts: Parts
    wrong: Wrong
    carried: Mapping[str, Texts]
    asked: tuple[str, ...]
    forms: tuple[CarriedLine, ...] = ()
    preamble: Sequence[bytes] = ()

    @property
    def separator(self) -> bytes:
        """Return the end of a line."""
        return b"\n"

    def make_head(self, place: int) -> bytes:
        """Make the lines that a line depends on: those at the begin of the source, and those whose values it has."""
        lines = list(self.preamble)
        for form in self.forms:
            values = {name: self.carried[name][place] for name in form.names if name in self.carried}
            given = {name: value for name, value in values.items() if value is not None}
            if len(given) == len(form.names):
                lines.append(form.write(given))
        return b"".join(line + b"\n" for line in lines)

    @cached_property
    def texts(self) -> Columns:
        """Return the values of earlier lines, as text."""
        return {name: texts.as_array() for name, texts in self.carried.items()}

    def read_heads(self, frames: Frames, known: Mapping[str, Any]) -> Columns:  # noqa: ARG002 - of the protocol
        """Read the values by which types are distinguished, and those of earlier lines, as text."""
        return {name: self.parts.texts(name).as_array() for name in self.asked} | self.texts

    def read_bodies(
        self,
        form: RecordForm,  # noqa: ARG002 - of the protocol
        frames: Frames,  # noqa: ARG002
        values: Mapping[str, Any],
        kind: RecordKind,
        places: npt.NDArray[np.int64],
    ) -> tuple[StructValues, Wrong]:
        """Read the values of a type's fields, and as text those of which its times and keys are made."""
        parts = self.parts if len(places) == len(self.parts) else self.parts.select(places)
        if kind.line is not None and isinstance(parts, ColumnParts):
            parts = parts.rename(kind.line.columns or (), kind.line.widths)
        columns, wrong = parts.read([column for column in kind.columns if column.name not in self.carried])
        for column in kind.columns:
            if column.name in self.carried:
                columns[column.name] = read_texts(column, self.carried[column.name].select(places), wrong)
        for name in kind.texts:
            if name in columns:
                columns[name_typed(name)] = columns.pop(name)
            if name not in values:
                columns[name] = parts.texts(name).as_array()
        return StructValues(columns), wrong


def read_line_blocks(
    source: Source, start: int, plan: Plan, size: int = BLOCK_SIZE
) -> Iterator[tuple[FramedBlock, LineRecords]]:
    """Read the lines of a source, block by block, each with what reads their parts."""
    assert plan.lines is not None  # noqa: S101 - for mypy
    asked = tuple(dict.fromkeys(each.name for kind in plan.kinds for form in kind.forms for each in form.requirements))
    reader, stream = LineReader(plan.lines.form, plan.lines.carried), Stream(source, start)
    offset, wanted = start, size
    while offset < source.size:
        content = stream.peek(wanted)
        last = offset + len(content) >= source.size
        read = reader.read(np.frombuffer(content, np.uint8), last=last)
        lines = read.lines
        rejected, between = (
            Stretches.collect(stretches).move(offset, source.size) for stretches in (lines.rejected, lines.between)
        )
        block = FramedBlock(offset, lines.frames, rejected, between, Stretches.collect(()))
        preamble = reader.write_preamble()
        yield block, LineRecords(read.parts, read.wrong, lines.carried, asked, plan.lines.carried, preamble)
        wanted = size if lines.used else 2 * wanted
        stream.skip(lines.used)
        offset = source.size if last else offset + lines.used
