"""Lines of pairs, ``a=1 b=2``, as columns of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.columns import split_line
from dayfile.lines.line_kinds import BLANKS
from dayfile.lines.numbers import Parse, TextColumn, quote, read_texts
from dayfile.lines.texts import Texts
from dayfile.stages.base import Columns, Frames, Wrong

__all__ = ["PairParts", "parse_pairs"]


def parse_pairs(line: bytes, separator: str) -> dict[bytes, bytes]:
    """Parse a line as pairs; ValueError says what is wrong with it.

    Examples
    --------
    >>> parse_pairs(b"a=1 b=x=y c=", "")
    {b'a': b'1', b'b': b'x=y', b'c': b''}
    """
    pairs: dict[bytes, bytes] = {}
    for part in split_line(line, separator):
        name, equals, value = part.partition(b"=")
        name = name.strip(BLANKS)
        if not (equals and name):
            raise ValueError(f"{quote(part)} is not a pair, name=value")
        if name in pairs:
            raise ValueError(f"{quote(name)} is there twice")
        pairs[name] = value.strip(BLANKS)
    return pairs


class PairParts:
    """The pairs of lines.

    Parameters
    ----------
    pairs : sequence of mappings of bytes to bytes
        Values by name, of each line.
    wrong : Wrong
        Lines that are something else.
    """

    def __init__(self, pairs: Sequence[Mapping[bytes, bytes]], wrong: Wrong) -> None:
        self.pairs = pairs
        self.wrong = wrong

    @classmethod
    def parse(cls, lines: Frames, separator: str) -> PairParts:
        """Parse lines; those that are not pairs are wrong."""
        pairs: list[dict[bytes, bytes]] = []
        wrong = Wrong.none(len(lines))
        for row, line in enumerate(Texts(lines.block, lines.starts, lines.lengths)):
            try:
                pairs.append(parse_pairs(line or b"", separator))
            except ValueError as error:
                pairs.append({})
                wrong.rows[row] = True
                wrong.reasons[row] = str(error)
        return cls(pairs, wrong)

    def __len__(self) -> int:
        return len(self.pairs)

    def texts(self, name: str) -> Texts:
        """Return the texts of a name, without a value where the line does not have it."""
        key = name.encode()
        return Texts.of([pairs.get(key) for pairs in self.pairs])

    def select(self, chosen: npt.NDArray[Any]) -> PairParts:
        """Return the pairs of the lines of a mask or of indexes."""
        rows = np.arange(len(self))[chosen]
        wrong = Wrong.none(len(rows))
        wrong.add(self.wrong.rows[rows], lambda row: self.wrong.reasons[int(rows[row])])
        return PairParts([self.pairs[row] for row in rows.tolist()], wrong)

    def read(self, columns: Sequence[TextColumn], parse: Parse | None = None) -> tuple[Columns, Wrong]:
        """Read columns as what they are: shape (n,), and which rows are wrong, these hold zeros."""
        wrong = Wrong(self.wrong.rows.copy(), dict(self.wrong.reasons))
        found = {column.name: read_texts(column, self.texts(column.name), wrong, parse) for column in columns}
        for values in found.values():
            values[wrong.rows] = np.zeros((), values.dtype)
        return found, wrong
