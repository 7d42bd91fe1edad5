r"""Texts as numbers: what is a number, exactly, and what is wrong with a text that is not one.

Blanks (spaces and tabs) around a number count for nothing. Without regard to case:

============== ====================================================================================
type           form
============== ====================================================================================
int…, uint…    ``[+-]?[0-9]+``, within the type's range; ``1.0`` and ``0x1F`` are no whole numbers
float…         ``[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?``, or ``[+-]?(inf|infinity|nan)``
bool           ``true``, ``false``, ``1`` or ``0``
============== ====================================================================================

A float64 is the one nearest to the text; a float32 is the float32 nearest to that float64. A finite number that is too
large for its type is wrong; one that is too small is 0. Every NaN is the same NaN. An empty text is no value.

This is the reference, which reads a text at a time. :mod:`dayfile.lines.arrow_numbers` gives the same, quicker.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.line_kinds import BLANKS
from dayfile.lines.texts import HAS_ARROW, Texts
from dayfile.messages import plural
from dayfile.model.field import STORED_TYPES
from dayfile.stages.base import Wrong

__all__ = ["Parsed", "TextColumn", "name_values", "parse_one_by_one", "quote", "read_texts", "round_to"]

WHOLE = re.compile(rb"([+-]?)0*([0-9]+)")
DECIMAL = re.compile(rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|(inf(?:inity)?)|nan)", re.IGNORECASE)
TRUTHS = {b"true": True, b"1": True, b"false": False, b"0": False}
MOST_DIGITS = 20
"""Digits of the largest uint64."""
SHOWN_CHARACTERS = 40
SWAPPED = np.arange(256, dtype=np.uint8)
"""Each byte, with points for commas and commas for points: so a point is in no number that has a decimal comma."""
SWAPPED[[ord("."), ord(",")]] = [ord(","), ord(".")]


@dataclass(frozen=True)
class TextColumn:
    """What the texts of a column are read as.

    Parameters
    ----------
    name : str
        Name of the part, as the lines have it.
    type : str
        A key of ``STORED_TYPES``, or ``char``.
    shape : tuple of int
        Of an array; the last one of a ``char`` is its number of bytes.
    missing : tuple of int or float
        Values that mean that nothing was measured: the first is what a record holds that has no value.
    default : int, float, bool or str, optional
        The same, for a column without ``missing``.
    encoding : str
        Of a ``char``; bytes that are not text in it are wrong. Empty: any bytes.
    required : bool
        Whether a line without a value is wrong, whatever the others say.
    decimal : str
        What is in front of the fraction of a float: a point, or a comma.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    missing: tuple[int | float, ...] = ()
    default: int | float | bool | str | None = None
    encoding: str = ""
    required: bool = False
    decimal: str = "."

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of an element."""
        return np.dtype(f"S{self.shape[-1]}") if self.type == "char" else np.dtype(STORED_TYPES[self.type])

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Return the shape as NumPy sees it: without the length of a text."""
        return self.shape[:-1] if self.type == "char" else self.shape

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.array_shape, dtype=np.int64))

    @property
    def filling(self) -> bytes | int | float | bool | None:
        """Return what an element without a value holds; None if it has to have one."""
        if self.required:
            return None
        if self.type == "char":
            return str(self.default if self.default is not None else "").encode(self.encoding or "utf-8")
        if self.missing:
            return self.missing[0]
        if self.default is not None and not isinstance(self.default, str):
            return self.default
        return np.nan if self.dtype.kind == "f" else None


@dataclass(frozen=True)
class Parsed:
    """Texts that were parsed.

    Parameters
    ----------
    values : array, shape (n,)
        Of the column's type; rows with a problem hold zeros.
    problems : dict of int to str
        What is wrong, by row.
    """

    values: npt.NDArray[Any]
    problems: dict[int, str]


Parse = Callable[[Texts, "np.dtype[Any]"], Parsed]
"""Parses texts that are not empty as numbers, or as true and false."""


def quote(text: bytes) -> str:
    """Return a text as messages show it."""
    shown = repr(text.decode("utf-8", "backslashreplace"))
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"


def name_values(dtype: np.dtype[Any]) -> str:
    """Return what values of a type are called."""
    return {"f": "a number", "b": "true or false"}.get(dtype.kind, "a whole number")


def parse_one_by_one(texts: Texts, dtype: np.dtype[Any]) -> Parsed:
    """Parse texts that are not empty, one after the other: the reference."""
    values: npt.NDArray[Any] = np.zeros(len(texts), dtype)
    problems: dict[int, str] = {}
    parse: Callable[[bytes, np.dtype[Any]], float] = PARSES.get(dtype.kind, parse_whole)
    for row, text in enumerate(texts):
        try:
            values[row] = parse((text or b"").strip(BLANKS), dtype)
        except ValueError as error:
            problems[row] = str(error)
    return Parsed(values, problems)


def parse_whole(text: bytes, dtype: np.dtype[Any]) -> int:
    """Parse a whole number; ValueError says what is wrong with it."""
    match = WHOLE.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote(text)} is not a whole number")
    limits = np.iinfo(dtype)
    value = int(match[1] + match[2]) if len(match[2]) <= MOST_DIGITS else None
    if value is None or not limits.min <= value <= limits.max:
        raise ValueError(describe_range(text, dtype))
    return value


def describe_range(text: bytes, dtype: np.dtype[Any]) -> str:
    """Say that a whole number is outside the range of its type."""
    limits = np.iinfo(dtype)
    return f"{quote(text.strip(BLANKS))} is not in {limits.min} to {limits.max}"


def parse_number(text: bytes, dtype: np.dtype[Any]) -> float:
    """Parse a decimal number; ValueError says what is wrong with it."""
    match = DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote(text)} is not a number")
    value = float(text.decode())
    if math.isnan(value):
        return math.nan
    if dtype.itemsize < np.dtype(np.float64).itemsize:
        value = float(round_to(np.array([value]), dtype)[0])
    if math.isinf(value) and not match[1]:
        raise ValueError(f"{quote(text)} is too large for {dtype.name}")
    return value


def parse_truth(text: bytes, dtype: np.dtype[Any]) -> bool:  # noqa: ARG001 - all are called alike
    """Parse true or false; ValueError says what is wrong with it."""
    value = TRUTHS.get(text.lower())
    if value is None:
        raise ValueError(f"{quote(text)} is not true or false")
    return value


def round_to(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Round float64 to a type of floats; every NaN becomes the same."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = values.astype(dtype)
    odd = np.isnan(rounded)
    if odd.any():
        rounded[odd] = np.nan
    return rounded


PARSES = {"f": parse_number, "b": parse_truth}


def choose_parse() -> Parse:
    """Return the quickest way to parse."""
    if not HAS_ARROW:
        return parse_one_by_one
    from dayfile.lines.arrow_numbers import parse_with_arrow

    return parse_with_arrow


def read_texts(column: TextColumn, texts: Texts, wrong: Wrong, parse: Parse | None = None) -> npt.NDArray[Any]:
    """Read texts as values of a column, one each.

    Parameters
    ----------
    column : TextColumn
        What they are read as.
    texts : Texts
        The texts, n of them. Those of rows that are wrong already are not looked at.
    wrong : Wrong
        Gets the rows whose text does not fit.
    parse : callable, optional
        :func:`parse_one_by_one` for the reference; the quickest otherwise.

    Returns
    -------
    array, shape (n,)
        Of the column's type; rows that are wrong hold zeros.
    """
    if column.type == "char":
        return read_chars(column, texts, wrong)
    values = np.zeros(len(texts), column.dtype)
    empty = find_empty(texts)
    if (empty & ~wrong.rows).any():
        if column.filling is None:
            wrong.add(empty, f"{column.name}: no value")
        else:
            values[empty] = column.filling
    rows = np.flatnonzero(~empty & ~wrong.rows)
    whole = len(rows) == len(texts)
    parsed = parse_written(column, texts if whole else texts.select(rows), parse or choose_parse())
    if whole:
        values = parsed.values
    else:
        values[rows] = parsed.values
    if parsed.problems:
        bad = np.zeros(len(texts), bool)
        bad[rows[list(parsed.problems)]] = True
        place = {int(rows[row]): problem for row, problem in parsed.problems.items()}
        wrong.add(bad, lambda row: f"{column.name}: {place[row]}")
    values[wrong.rows] = 0
    return values


def parse_written(column: TextColumn, texts: Texts, parse: Parse) -> Parsed:
    """Parse texts with the point, or comma, of a column."""
    if column.decimal == "." or column.dtype.kind != "f":
        return parse(texts, column.dtype)
    ends = np.cumsum(np.maximum(texts.lengths, 0))
    parsed = parse(Texts(SWAPPED[texts.content], ends - texts.lengths, texts.lengths), column.dtype)
    problems = {row: problem.translate({ord("."): ",", ord(","): "."}) for row, problem in parsed.problems.items()}
    return Parsed(parsed.values, problems)


def find_empty(texts: Texts) -> npt.NDArray[np.bool_]:
    """Find the rows that have no value, or nothing but blanks, shape (n,)."""
    empty = texts.lengths <= 0
    rows = np.flatnonzero(~empty)
    rows = rows[np.isin(texts.buffer[texts.starts[rows]], list(BLANKS))]
    for row in rows.tolist():
        empty[row] = not (texts[row] or b"").strip(BLANKS)
    return empty


def read_chars(column: TextColumn, texts: Texts, wrong: Wrong) -> npt.NDArray[Any]:
    """Read texts as texts of a number of bytes; what does not fit is wrong."""
    width = column.shape[-1]
    name = column.name
    absent = texts.lengths < (1 if column.required else 0)
    if column.required:
        wrong.add(absent, f"{name}: no value")
    long = texts.lengths > width
    wrong.add(long, lambda row: f"{name}: {plural(int(texts.lengths[row]), 'byte')}, and there is room for {width}")
    rows = np.flatnonzero((texts.lengths > 0) & ~wrong.rows)
    cut = np.zeros(len(texts), bool)
    cut[rows] = texts.buffer[texts.starts[rows] + texts.lengths[rows] - 1] == 0
    wrong.add(cut, f"{name}: ends with a zero byte, which would be lost")
    if column.encoding:
        foreign = np.zeros(len(texts), bool)
        high = texts.select(rows).content >= 128
        for row in rows.tolist() if high.any() else ():
            foreign[row] = not is_encoded(texts[row] or b"", column.encoding)
        wrong.add(foreign, f"{name}: not text in {column.encoding}")
    values = texts.spread(width)
    if absent.any() or wrong.rows.any():
        values[absent] = column.filling or b""
        values[wrong.rows] = b""
    return values


def is_encoded(content: bytes, encoding: str) -> bool:
    """Return whether bytes are text in an encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
