"""Parts of lines as columns of text: parts between blanks, or between one character with quotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.line_kinds import BLANKS
from dayfile.lines.numbers import Parse, TextColumn, read_texts
from dayfile.lines.texts import HAS_ARROW, Texts
from dayfile.lines.widths import cut_line, cut_lines, describe_width
from dayfile.stages.base import Bytes, Columns, Frames, Wrong

__all__ = ["MORE", "Cells", "ColumnParts", "split_line", "split_lines", "split_one_by_one"]

QUOTE_BYTE = ord('"')
MORE = "..."
"""In place of the last name: any further parts, which are not read."""


@dataclass(frozen=True)
class Cells:
    """Where the parts of lines are.

    Parameters
    ----------
    buffer : array of uint8, shape (m,)
        The bytes.
    starts, lengths : arrays of int64, shape (n, k)
        Offset of each part, and its bytes; lines that are wrong have none, which is -1.
    wrong : Wrong
        Lines that have another number of parts, or quotes where none may be.
    """

    buffer: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    wrong: Wrong

    def column(self, index: int) -> Texts:
        """Return the texts of a column."""
        return Texts(self.buffer, self.starts[:, index], self.lengths[:, index])


def split_line(line: bytes, separator: str) -> list[bytes]:
    """Split a line into its parts: the reference. ValueError says what is wrong with it.

    Examples
    --------
    >>> split_line(b" a  b ", ""), split_line(b'1,"a, b",', ",")
    ([b'a', b'b'], [b'1', b'a, b', b''])
    """
    if not separator:
        return [part for part in line.replace(b"\t", b" ").split(b" ") if part]
    mark = separator.encode("latin-1")
    parts: list[bytes] = []
    at = 0
    while True:
        if line[at : at + 1] == b'"':
            part, at = read_quoted(line, at)
            if at < len(line) and line[at : at + 1] != mark:
                raise ValueError("after a quote that ends a part, something follows")
        else:
            end = line.find(mark, at)
            end = len(line) if end < 0 else end
            part, at = line[at:end], end
        parts.append(part)
        if at >= len(line):
            return parts
        at += 1


def read_quoted(line: bytes, at: int) -> tuple[bytes, int]:
    """Read the quoted part that begins at a place; return it without quotes, and the place behind it."""
    part = b""
    while True:
        end = line.find(b'"', at + 1)
        if end < 0:
            raise ValueError("a quote is not closed")
        part += line[at + 1 : end]
        if line[end + 1 : end + 2] != b'"':
            return part, end + 1
        part += b'"'
        at = end + 1


def describe_count(due: int, found: int, *, more: bool = False) -> str:
    """Say that a line has the wrong number of parts.

    Examples
    --------
    >>> describe_count(8, 7), describe_count(1, 2)
    ('8 parts are due, 7 are there', '1 part is due, 2 are there')
    """
    least = "at least " if more else ""
    return f"{least}{due} {'part is' if due == 1 else 'parts are'} due, {found} {'is' if found == 1 else 'are'} there"


def split_one_by_one(
    lines: Frames, count: int, separator: str, widths: Sequence[int] = (), *, more: bool = False
) -> Cells:
    """Split lines into n parts each, one line after the other: the reference."""
    wrong = Wrong.none(len(lines))
    rows: list[Sequence[bytes | None]] = []
    reasons: dict[int, str] = {}
    for row, line in enumerate(Texts(lines.block, lines.starts, lines.lengths)):
        try:
            parts: Sequence[bytes | None] = split_line(line or b"", separator) if not widths else ()
        except ValueError as error:
            reasons[row] = str(error)
        else:
            rest = b""
            if widths:
                parts, rest = cut_line(line or b"", widths)
            if (len(parts) == count and not rest) or (more and len(parts) >= count):
                rows.append(parts[:count])
                continue
            long = describe_width(sum(widths), len(line or b""))
            reasons[row] = long if widths else describe_count(count, len(parts), more=more)
        rows.append([None] * count)
    bad = np.zeros(len(lines), bool)
    bad[list(reasons)] = True
    wrong.add(bad, lambda row: reasons[row])
    texts = Texts.of([part for parts in rows for part in parts])
    return Cells(texts.buffer, texts.starts.reshape(len(lines), count), texts.lengths.reshape(len(lines), count), wrong)


def split_lines(lines: Frames, count: int, separator: str, widths: Sequence[int] = (), *, more: bool = False) -> Cells:
    """Split lines into n parts each, all at once; lines with odd quotes one after the other."""
    if widths:
        return split_at_widths(lines, widths, more=more)
    if not separator:
        return split_at_blanks(lines, count, more=more)
    if not (lines.block == QUOTE_BYTE).any():
        return split_at(lines, count, np.flatnonzero(lines.block == ord(separator)), more=more)
    return split_quoted(lines, count, separator, more=more)


def split_at_widths(lines: Frames, widths: Sequence[int], *, more: bool) -> Cells:
    """Split lines into parts of fixed widths."""
    starts, lengths, longer = cut_lines(lines, widths)
    wrong = Wrong.none(len(lines))
    if not more:
        wrong.add(longer, lambda row: describe_width(sum(widths), int(lines.lengths[row])))
    bad = wrong.rows[:, None]
    return Cells(lines.block, np.where(bad, 0, starts), np.where(bad, -1, lengths), wrong)


def locate(lines: Frames, places: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the places that are within lines, and how many each line has."""
    firsts = np.searchsorted(places, lines.starts)
    counts = np.searchsorted(places, lines.starts + lines.lengths) - firsts
    if int(counts.sum()) == len(places):
        return places, counts
    return places[spread_out(firsts, counts)], counts


def spread_out(firsts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the indexes ``first … first + count - 1`` of all rows, one behind the other."""
    ends = np.cumsum(counts)
    return np.repeat(firsts - (ends - counts), counts) + np.arange(int(ends[-1]) if len(ends) else 0)


def arrange(
    lines: Frames,
    count: int,
    counts: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    *,
    more: bool,
) -> Cells:
    """Arrange parts, given one line after the other, into rows of n; lines with another number are wrong."""
    wrong = Wrong.none(len(lines))
    bad = counts < count if more else counts != count
    wrong.add(bad, lambda row: describe_count(count, int(counts[row]), more=more))
    if len(begins) == count * len(lines) and not wrong.rows.any():
        return Cells(lines.block, begins.reshape(len(lines), count), (ends - begins).reshape(len(lines), count), wrong)
    good = np.repeat(~wrong.rows, counts)
    if more:
        good &= np.arange(len(begins)) - np.repeat(np.cumsum(counts) - counts, counts) < count
    starts = np.zeros((len(lines), count), np.int64)
    lengths = np.full((len(lines), count), -1, np.int64)
    starts[~wrong.rows] = begins[good].reshape(-1, count)
    lengths[~wrong.rows] = (ends - begins)[good].reshape(-1, count)
    return Cells(lines.block, starts, lengths, wrong)


def split_at_blanks(lines: Frames, count: int, *, more: bool) -> Cells:
    """Split lines at one or more blanks."""
    written = np.zeros(len(lines.block) + 2, bool)
    written[1:-1] = (lines.block != BLANKS[0]) & (lines.block != BLANKS[1])
    written[lines.starts] = False
    written[lines.starts + lines.lengths + 1] = False
    changes = np.flatnonzero(written[1:] & ~written[:-1]), np.flatnonzero(~written[1:] & written[:-1])
    begins, counts = locate(lines, changes[0])
    ends = changes[1] if len(begins) == len(changes[0]) else changes[1][np.searchsorted(changes[0], begins)]
    return arrange(lines, count, counts, begins, ends, more=more)


def split_at(lines: Frames, count: int, places: npt.NDArray[np.int64], *, more: bool) -> Cells:
    """Split lines at these places, each of one character."""
    within, seps = locate(lines, places)
    counts = seps + 1
    begins = np.empty(len(within) + len(lines), np.int64)
    ends = np.empty_like(begins)
    firsts = np.zeros(len(begins), bool)
    lasts = np.zeros(len(begins), bool)
    firsts[np.cumsum(counts) - counts] = True
    lasts[np.cumsum(counts) - 1] = True
    begins[firsts], begins[~firsts] = lines.starts, within + 1
    ends[lasts], ends[~lasts] = lines.starts + lines.lengths, within
    return arrange(lines, count, counts, begins, ends, more=more)


def split_quoted(lines: Frames, count: int, separator: str, *, more: bool) -> Cells:
    """Split lines of which some have quotes: a separator behind an odd number of quotes is text."""
    block = lines.block
    quotes = np.flatnonzero(block == QUOTE_BYTE)
    before = np.searchsorted(quotes, lines.starts)
    places, seps = locate(lines, np.flatnonzero(block == ord(separator)))
    inside = (np.searchsorted(quotes, places) - np.repeat(before, seps)) % 2 == 1
    cells = split_at(lines, count, places[~inside], more=more)
    starts, ends = cells.starts.copy(), cells.starts + cells.lengths
    marks = np.searchsorted(quotes, ends) - np.searchsorted(quotes, starts)
    clean = (marks == 2) & (ends - starts >= 2)
    clean[clean] = (block[starts[clean]] == QUOTE_BYTE) & (block[ends[clean] - 1] == QUOTE_BYTE)
    lengths = np.where(clean, cells.lengths - 2, cells.lengths)
    starts[clean] += 1
    quoted = np.searchsorted(quotes, lines.starts + lines.lengths) > before
    unsure = cells.wrong.rows | ((marks > 0) & ~clean).any(axis=1)
    odd = np.flatnonzero(quoted if more else quoted & unsure)  # quotes may be in the parts that are not read
    if not len(odd):
        return Cells(block, starts, lengths, cells.wrong)
    rest = split_one_by_one(lines.select(odd), count, separator, more=more)
    starts[odd], lengths[odd] = rest.starts + len(block), rest.lengths
    reasons = {row: reason for row, reason in cells.wrong.reasons.items() if not quoted[row]}
    reasons |= {int(odd[row]): reason for row, reason in rest.wrong.reasons.items()}
    wrong = Wrong.none(len(lines))
    wrong.rows[list(reasons)] = True
    return Cells(np.concatenate([block, rest.buffer]), starts, lengths, replace(wrong, reasons=reasons))


class ColumnParts:
    """The parts of lines that have the same number of them, in order.

    Parameters
    ----------
    lines : Frames
        The lines.
    names : sequence of str
        What the parts are called; a part without a name is not read. ``...`` at the end: there may be further ones.
    separator : str
        One character, or empty for blanks.
    widths : sequence of int
        Bytes of each part, if these are fixed.
    """

    def __init__(self, lines: Frames, names: Sequence[str], separator: str, widths: Sequence[int] = ()) -> None:
        self.lines = lines
        self.more = tuple(names[-1:]) == (MORE,)
        self.names = tuple(names[:-1] if self.more else names)
        self.separator = separator
        self.widths = tuple(widths)

    def __len__(self) -> int:
        return len(self.lines)

    @cached_property
    def cells(self) -> Cells:
        """Return where the parts are."""
        return split_lines(self.lines, len(self.names), self.separator, self.widths, more=self.more)

    def rename(self, names: Sequence[str], widths: Sequence[int]) -> ColumnParts:
        """Return the parts of the same lines by other names, and perhaps widths."""
        return ColumnParts(self.lines, names, self.separator, widths)

    @property
    def wrong(self) -> Wrong:
        """Return which lines are no rows of parts."""
        return self.cells.wrong

    def texts(self, name: str) -> Texts:
        """Return the texts of a name, without a value where the line is wrong, or has no part of that name."""
        return self.cells.column(self.names.index(name)) if name in self.names else Texts.of_none(len(self))

    def select(self, chosen: npt.NDArray[Any]) -> ColumnParts:
        """Return the parts of the lines of a mask or of indexes."""
        names = (*self.names, MORE) if self.more else self.names
        return ColumnParts(self.lines.select(chosen), names, self.separator, self.widths)

    def read(self, columns: Sequence[TextColumn], parse: Parse | None = None) -> tuple[Columns, Wrong]:
        """Read columns as what they are: shape (n,), and which rows are wrong, these hold zeros.

        Parameters
        ----------
        columns : sequence of TextColumn
            What is read.
        parse : callable, optional
            :func:`~dayfile.lines.numbers.parse_one_by_one` for the reference; the quickest way otherwise.
        """
        plain = not (self.more or self.widths)
        if plain and parse is None and HAS_ARROW and not ("cells" in self.__dict__ and self.wrong.rows.any()):
            from dayfile.lines.arrow_lines import read_at_once

            found = read_at_once(self.lines, self.names, self.separator, columns)
            if found is not None:
                return found, Wrong.none(len(self))
        if parse is None:
            return self._read_cells(self.cells, columns, parse)
        cells = split_one_by_one(self.lines, len(self.names), self.separator, self.widths, more=self.more)
        return self._read_cells(cells, columns, parse)

    def _read_cells(self, cells: Cells, columns: Sequence[TextColumn], parse: Parse | None) -> tuple[Columns, Wrong]:
        wrong = Wrong(cells.wrong.rows.copy(), dict(cells.wrong.reasons))
        found = {}
        for column in columns:
            known = column.name in self.names
            texts = cells.column(self.names.index(column.name)) if known else Texts.of_none(len(self))
            found[column.name] = read_texts(column, texts, wrong, parse)
        for values in found.values():
            if wrong.rows.any():
                values[wrong.rows] = np.zeros((), values.dtype)
        return found, wrong
