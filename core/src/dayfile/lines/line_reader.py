"""Sources of lines, block by block: each line with its number, its parts, and what earlier lines say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.errors import SourceError
from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.columns import ColumnParts, split_line
from dayfile.lines.json_lines import JsonParts
from dayfile.lines.line_kinds import BLANKS
from dayfile.lines.lines import LineForm, LineSplitter, SourceLines
from dayfile.lines.numbers import Parse, TextColumn
from dayfile.lines.pairs import PairParts
from dayfile.lines.texts import Texts
from dayfile.stages.base import Bytes, Columns, Frames, Wrong

__all__ = ["LineBlock", "LineReader", "Parts"]


class Parts(Protocol):
    """The parts of n lines: first as texts, by which types are known; then as what a type says that they are."""

    @property
    def wrong(self) -> Wrong:
        """Return which lines have no parts."""
        ...

    def __len__(self) -> int: ...

    def texts(self, name: str) -> Texts:
        """Return the texts of a name, n of them, without a value where the line does not have it."""
        ...

    def select(self, chosen: npt.NDArray[Any]) -> Parts:
        """Return the parts of the lines of a mask or of indexes."""
        ...

    def read(self, columns: Sequence[TextColumn], parse: Parse | None = None) -> tuple[Columns, Wrong]:
        """Read columns as what they are: arrays of shape (n, …), and which rows are wrong; these hold zeros."""
        ...


@dataclass(frozen=True)
class LineBlock:
    """What is in a block of a source of lines.

    Parameters
    ----------
    lines : SourceLines
        The lines that may be records, and what is wrong with others.
    parts : Parts
        Their parts.
    checked : Wrong
        Lines whose checksum is not right.
    """

    lines: SourceLines
    parts: Parts
    checked: Wrong

    @cached_property
    def wrong(self) -> Wrong:
        """Return which lines are no records, whatever their type."""
        if not self.checked.rows.any():
            return self.parts.wrong
        wrong = Wrong(self.checked.rows.copy(), dict(self.checked.reasons))
        wrong.add(self.parts.wrong.rows, lambda row: self.parts.wrong.reasons[row])
        return wrong


class LineReader:
    r"""Reads a source of lines, block by block. Each reading of a source needs a new one.

    Parameters
    ----------
    form : LineForm
        How lines are records.
    carry : sequence of CarriedLine
        Lines whose values hold for those that follow.

    Examples
    --------
    >>> reader = LineReader(LineForm(columns=("event", "adc")), [CarriedLine.parse("# unit {unit}")])
    >>> block = reader.read(np.frombuffer(b"# unit north\n1 2.5\n2 x\n", np.uint8), last=True)
    >>> values, wrong = block.parts.read([TextColumn("event", "uint8"), TextColumn("adc", "float32")])
    >>> values["event"], wrong.reasons, block.lines.numbers, block.lines.carried["unit"][0]
    (array([1, 0], dtype=uint8), {1: "adc: 'x' is not a number"}, array([1, 2]), b'north')
    """

    def __init__(self, form: LineForm, carry: Sequence[CarriedLine] = ()) -> None:
        self.form = form
        self.splitter = LineSplitter(form, carry)
        self.names = form.columns
        self.header = b""
        self.preamble: list[bytes] = []

    def read(self, block: Bytes, *, last: bool) -> LineBlock:
        """Read a block, which begins where what was used before ends.

        Parameters
        ----------
        block : array of uint8, shape (n,)
            The bytes; what is not used has to be given again, with what follows in the source.
        last : bool
            Whether the source ends with the block.

        Raises
        ------
        SourceError
            The first line should have the names of the columns, and has none, or one twice.
        """
        before = self.splitter.number
        lines = self.splitter.split(block, last=last)
        self._keep_preamble(block[: lines.used], before)
        if self.form.form == "columns" and self.form.columns is None:
            lines = self._take_header(lines)
        frames, checked = lines.frames, Wrong.none(len(lines.frames))
        if self.form.checksum is not None:
            frames, checked = self.form.checksum.verify(frames)
        return LineBlock(lines, self._find_parts(frames), checked)

    def _find_parts(self, frames: Frames) -> Parts:
        """Find the parts of lines."""
        if self.form.form == "json":
            return JsonParts.parse(frames, self.form.encoding)
        if self.form.form == "pairs":
            return PairParts.parse(frames, self.form.separator)
        return ColumnParts(frames, self.names or (), self.form.separator, self.form.widths)

    def _keep_preamble(self, block: Bytes, number: int) -> None:
        """Keep the lines up to the last one that is skipped; those in between that are not count as empty."""
        count = max(self.form.skipped, default=-1) + 1
        if number >= count:
            return
        for line in block.tobytes().removesuffix(b"\n").split(b"\n")[: count - number] if len(block) else ():
            self.preamble.append(line if number in self.form.skipped else b"")
            number += 1

    def write_preamble(self) -> list[bytes]:
        """Return the lines on which all others depend: those that are skipped, and that with the names of the parts."""
        lines = list(self.preamble)
        if self.header:
            kept = [place for place in range(len(lines)) if place not in self.form.skipped]
            lines = [*lines[: kept[0]], self.header, *lines[kept[0] + 1 :]] if kept else [*lines, self.header]
        return lines

    def _take_header(self, lines: SourceLines) -> SourceLines:
        """Take the names from the first line; leave it out there, and wherever it comes again."""
        texts = Texts(lines.frames.block, lines.frames.starts, lines.frames.lengths)
        if self.names is None and len(texts):
            self.header = texts[0] or b""
            self.names = self._parse_header(self.header, int(lines.numbers[0]) + 1)
        rows = np.flatnonzero(lines.frames.lengths == len(self.header))
        first = self.header[:1]
        rows = rows[lines.frames.block[lines.frames.starts[rows]] == ord(first)] if first else rows[:0]
        again = [row for row in rows.tolist() if texts[row] == self.header]
        if not again:
            return lines
        kept = np.ones(len(texts), bool)
        kept[again] = False
        carried = {name: values.select(kept) for name, values in lines.carried.items()}
        quiet = lines.quiet + len(again) * len(self.header)
        frames: Frames = lines.frames.select(kept)
        return SourceLines(frames, lines.numbers[kept], carried, lines.rejected, lines.between, quiet, lines.used)

    def _parse_header(self, line: bytes, number: int) -> tuple[str, ...]:
        """Return the names in a line; SourceError if these cannot be the names of columns."""
        try:
            parts = [part.strip(BLANKS).decode(self.form.encoding) for part in split_line(line, self.form.separator)]
        except ValueError as error:
            raise SourceError(f"line {number} should have the names of the columns: {error}") from error
        twice = [name for name in parts if name and parts.count(name) > 1]
        if twice:
            raise SourceError(f"line {number} has the name {twice[0]!r} of a column twice")
        return tuple(parts)
