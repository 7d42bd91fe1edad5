"""Times as texts: strptime's letters, or ISO 8601, read by the positions of their digits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.model.leap_seconds import NANOSECONDS_A_DAY, SECOND
from dayfile.stages.base import Columns, Wrong
from dayfile.timing.calendar import PART_BOUNDS, Shown, join_dates
from dayfile.timing.digits import Int64, Mask, find_lengths, find_time_column, read_codes
from dayfile.timing.forms import ISO_FORMS, TextForm, TextPlaces
from dayfile.timing.parts import show_text

__all__ = ["TimeTexts"]

ROWS_AT_ONCE = 2**15
"""Rows that are read at once, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class TimeTexts:
    """Columns of text that make a time together.

    Parameters
    ----------
    template : str
        Names of columns in braces, with what is between them: ``{date} {clock}``.
    forms : sequence of TextForm
        What the text may look like; the first that fits is used. ISO 8601 if left out.

    Examples
    --------
    >>> wrong = Wrong.none(3)
    >>> t = np.array(["2024-05-01T23:50:00.250Z", "2024-05-02T01:50+02:00", "2024-05-01T23:61:00Z"])
    >>> shown = TimeTexts("{t}").read({"t": t}, 3, wrong)
    >>> (shown.times - shown.ahead)[:2].astype("datetime64[ns]").astype("datetime64[ms]").astype(str).tolist()
    ['2024-05-01T23:50:00.250', '2024-05-01T23:50:00.000']
    >>> wrong.reasons
    {2: 'minute must be in 0..59, not 61'}
    """

    template: str
    forms: Sequence[TextForm] = ISO_FORMS
    is_moment: bool = field(default=True, init=False)

    @property
    def pieces(self) -> tuple[tuple[str, str], ...]:
        """Return the literals, each with the name that follows it; the last name may be empty."""
        return tuple((literal, name or "") for literal, name, _, _ in Formatter().parse(self.template))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns, each once."""
        return tuple(dict.fromkeys(name for _, name in self.pieces if name))

    def read(self, columns: Columns, count: int, wrong: Wrong) -> Shown:
        """Read what the clock shows in n rows."""
        texts = {name: find_text(columns, name, count, wrong) for name in self.names}
        found = Gathered.empty(count, self.forms[0].parts)
        for start in range(0, count, ROWS_AT_ONCE):
            block = slice(start, start + ROWS_AT_ONCE)
            self._read_block({name: each[block] for name, each in texts.items()}, found.select(block))
        for row in np.flatnonzero(~found.good & ~wrong.rows).tolist():
            self._read_row(self._show({name: each[row] for name, each in texts.items()}), row, found)
        if not found.good.all():
            wanted = "a time as in ISO 8601" if self.forms is ISO_FORMS else f"of the form {self.forms[0].text}"
            said = {row: self._show({name: each[row] for name, each in texts.items()}) for row in found.list_bad(wrong)}
            wrong.add(~found.good, lambda row: f"{show_text(said[row])} is not {wanted}")
        return found.join(wrong)

    def _read_block(self, texts: Columns, found: Gathered) -> None:
        """Read the rows whose digits are where a form has them, all texts of one length at a time."""
        codes = [read_codes(texts[name]) for name in self.names]
        for lengths, rows in find_groups([find_lengths(each) for each in codes]):
            sizes = dict(zip(self.names, lengths, strict=True))
            matrix = self._join({name: each[rows, : sizes[name]] for name, each in zip(self.names, codes, strict=True)})
            numbers = np.arange(len(found.good))[rows]
            for form, places in self._list_forms(len(matrix)):
                values, good = form.read(matrix, places)
                if good.all():
                    found.note(numbers, values)
                    break
                if good.any():
                    found.note(numbers[good], {name: each[good] for name, each in values.items()})
                    matrix, numbers = matrix[:, ~good], numbers[~good]

    def _list_forms(self, length: int) -> list[tuple[TextForm, TextPlaces]]:
        """List the forms of texts of a length, with the places of their pieces."""
        return [(form, places) for form in self.forms for places in form.place(length)]

    def _join(self, codes: dict[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
        """Join the characters of columns to those of whole texts, shape (length, n)."""
        length = sum(len(literal) + (codes[name].shape[1] if name else 0) for literal, name in self.pieces)
        joined = np.empty((length, len(next(iter(codes.values())))), np.uint8)
        at = 0
        for literal, name in self.pieces:
            for each in literal:
                joined[at] = min(ord(each), 255)
                at += 1
            if name:
                joined[at : at + codes[name].shape[1]] = codes[name].T
                at += codes[name].shape[1]
        return joined

    def _read_row(self, text: str, row: int, found: Gathered) -> None:
        """Read a single text by the patterns of the forms, which are slower and understand more."""
        for form in self.forms:
            if values := form.match(text):
                found.note(np.array([row]), {name: np.array([value]) for name, value in values.items()})
                return

    def _show(self, texts: dict[str, Any]) -> str:
        """Return the whole text of a row."""
        return "".join(literal + (make_str(texts[name]) if name else "") for literal, name in self.pieces)

    def write(self, times: Int64) -> tuple[Columns, Int64]:
        """Write what a clock shows, in columns of text; return the nanoseconds that the form cannot hold, too.

        UsageError if two columns follow each other directly, so that nothing says where the first ends.
        """
        form, rest = (
            (find_iso_form(times), times % 1)
            if self.forms is ISO_FORMS
            else (self.forms[0], find_rest(times, self.forms[0]))
        )
        pattern, seen = "", set()
        for literal, name in self.pieces:
            if not literal and pattern:
                raise UsageError(f"times cannot be written as {self.template!r}: nothing is between two of its columns")
            pattern += re.escape(literal)
            if name:
                pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.*?)"
                seen.add(name)
        matches = [re.fullmatch(pattern, text, re.DOTALL) for text in form.write(times - rest)]
        if None in matches:
            raise UsageError(f"times of the form {form.text!r} cannot be divided into the columns of {self.template!r}")
        return {name: np.array([each[name] for each in matches if each], "U") for name in self.names}, rest


@dataclass(frozen=True)
class Gathered:
    """Parts of dates that were read so far: arrays of shape (n,), and which rows have them."""

    values: dict[str, Int64]
    rest: Int64
    ahead: Int64
    explicit: Mask
    good: Mask

    @classmethod
    def empty(cls, count: int, parts: Sequence[str]) -> Gathered:
        """Return n rows without a date."""
        values = {part: np.full(count, bounds[0]) for part, bounds in PART_BOUNDS.items() if part in parts}
        values |= {part: np.zeros(count, np.int64) for part in ("hour", "minute", "second")}
        return cls(values, *(np.zeros(count, kind) for kind in (np.int64, np.int64, bool, bool)))

    def select(self, rows: slice) -> Gathered:
        """Return views of some rows."""
        values = {part: each[rows] for part, each in self.values.items()}
        return Gathered(values, self.rest[rows], self.ahead[rows], self.explicit[rows], self.good[rows])

    def note(self, rows: npt.NDArray[np.int64], values: dict[str, Int64]) -> None:
        """Note what was read of some rows, numbered in ascending order."""
        at: Any = slice(None) if len(rows) == len(self.good) else rows
        for part, each in values.items():
            if part in self.values:
                self.values[part][at] = each
        if "rest" in values:
            self.rest[at] = values["rest"]
        if "ahead" in values:
            self.ahead[at] = values["ahead"]
            self.explicit[at] = True
        self.good[at] = np.abs(values["ahead"]) < NANOSECONDS_A_DAY if "ahead" in values else True

    def list_bad(self, wrong: Wrong) -> list[int]:
        """List the rows that have no date, and are not wrong already."""
        rows: list[int] = np.flatnonzero(~self.good & ~wrong.rows).tolist()
        return rows

    def join(self, wrong: Wrong) -> Shown:
        """Join the parts to times."""
        shown = join_dates(self.values, self.rest, wrong)
        if not self.explicit.any():
            return shown
        return Shown(shown.times, shown.leaps, self.ahead, self.explicit)


def find_text(columns: Columns, name: str, count: int, wrong: Wrong) -> npt.NDArray[Any]:
    """Find a column of texts; integers are taken for their digits."""
    column = find_time_column(columns, name, count, wrong)
    if column.dtype.kind == "f":
        wrong.add(np.ones(count, bool), f"{name} is not a text")
    return column if column.dtype.kind in "SU" else column.astype("S32")


def find_groups(lengths: list[Int64]) -> Iterator[tuple[list[int], Any]]:
    """Find the rows whose columns have the same lengths, with these lengths; each row is in one group."""
    if not len(lengths[0]):
        return
    if all((each == each[0]).all() for each in lengths):
        yield [int(each[0]) for each in lengths], slice(None)
        return
    key = np.zeros(len(lengths[0]), np.int64)
    for each in lengths:
        key = key * (int(each.max()) + 1) + each
    _, firsts, inverse = np.unique(key, return_index=True, return_inverse=True)
    for group, first in enumerate(firsts.tolist()):
        yield [int(each[first]) for each in lengths], np.flatnonzero(inverse == group)


def find_rest(times: Int64, form: TextForm) -> Int64:
    """Return the nanoseconds that a form cannot hold."""
    if "f" in form.letters:
        return np.zeros_like(times)
    lengths = {"second": SECOND, "minute": 60 * SECOND, "hour": 3600 * SECOND}
    return times % next((length for part, length in lengths.items() if part in form.parts), NANOSECONDS_A_DAY)


def find_iso_form(times: Int64) -> TextForm:
    """Return the form of ISO 8601 that holds times: with a fraction if one of them has one."""
    return TextForm("%Y-%m-%dT%H:%M:%S.%f" if (times % SECOND).any() else "%Y-%m-%dT%H:%M:%S", strict=True)


def make_str(text: Any) -> str:  # noqa: ANN401 - bytes or str, as NumPy has them
    """Return a text as str."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
