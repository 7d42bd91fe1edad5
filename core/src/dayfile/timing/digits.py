"""Columns as numbers, exact: integers, floats, and texts of digits."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.stages.base import Columns, Wrong

__all__ = ["ATTO", "Int64", "Mask", "find_lengths", "find_time_column", "read_codes", "read_decimals"]

Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ATTO = 10**18
"""Parts of 1 in which the decimals of texts are counted; further decimals are cut."""
MOST_TIME_DIGITS = 18
"""Digits that int64 holds, whatever they are."""
DECIMAL_TEXT = re.compile(r"\s*[+-]?(\d{1,30}\.?\d{0,60}|\.\d{1,60})([eE][+-]?\d{1,2})?\s*", re.ASCII)
BLANK_CODE = 32


def find_time_column(columns: Columns, name: str, count: int, wrong: Wrong) -> npt.NDArray[Any]:
    """Find a column by name, with a value for each of n rows; rows without a value are wrong.

    Parameters
    ----------
    columns : dict of str to array of shape (n,) or ()
        An array of shape () holds for all rows. Masked values are missing.
    name : str
        Name of the column.
    count : int
        How many rows there are.
    wrong : Wrong
        Where rows that are wrong are noted.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Numbers or texts; zeros where they are missing.
    """
    if name not in columns:
        wrong.add(np.ones(count, bool), f"{name} is missing")
        return np.zeros(count, np.int64)
    column = np.ma.getdata(columns[name])
    if column.ndim > 1 or column.dtype.kind not in "iufbSUO":
        wrong.add(np.ones(count, bool), f"{name} is not a single number or text")
        return np.zeros(count, np.int64)
    missing: npt.NDArray[Any] = np.asarray(np.ma.getmask(columns[name]))
    if column.dtype.kind == "O":
        missing = missing | np.array([each is None for each in column.ravel()], bool).reshape(column.shape)
        column = np.where(missing, "", column).astype(str)
    if np.any(missing):
        wrong.add(np.broadcast_to(missing, (count,)), f"{name} is missing")
        column = np.where(missing, np.zeros((), column.dtype), column)
    return np.broadcast_to(column, (count,))


def read_codes(texts: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the characters of texts by their codes, shape (n, length): 255 for what is beyond, 0 behind the end.

    Examples
    --------
    >>> read_codes(np.array(["1é", "µ"])).tolist()
    [[49, 233], [181, 0]]
    """
    count, kind = len(texts), np.uint8 if texts.dtype.kind == "S" else np.uint32
    width = texts.dtype.itemsize // np.dtype(kind).itemsize
    codes = np.ascontiguousarray(texts).view(kind).reshape(count, width)
    seen: npt.NDArray[np.uint8] = np.minimum(codes, 255).astype(np.uint8, copy=False)
    return seen


def find_lengths(codes: npt.NDArray[np.uint8]) -> Int64:
    """Return the lengths of texts without the blanks behind them, shape (n,)."""
    lengths = np.zeros(len(codes), np.int64)
    for place in range(codes.shape[1], 0, -1):
        ends = codes[:, place - 1] > BLANK_CODE
        lengths[ends & (lengths == 0)] = place
        if lengths.all():
            break
    return lengths


def read_decimals(texts: npt.NDArray[Any]) -> tuple[Int64, Int64, Mask]:
    """Read decimal numbers exactly: ``-1.5`` is -2 and 0.5.

    Parameters
    ----------
    texts : array of bytes or str, shape (n,)
        Digits, with a sign, a point or an exponent if need be, and blanks around.

    Returns
    -------
    whole : array of int64, shape (n,)
        The next whole number below.
    rest : array of int64, shape (n,)
        What is above it, from 0 on, in parts of 1e-18.
    good : array of bool, shape (n,)
        Which texts are such numbers, and not too large.

    Examples
    --------
    >>> read_decimals(np.array(["1714607992.261", "-1.5", "12:00"]))[0].tolist()
    [1714607992, -2, 0]
    """
    codes = read_codes(texts)
    lengths = find_lengths(codes)
    whole, rest, good = read_plain(codes, lengths)
    for row in np.flatnonzero(~good & (lengths > 0)).tolist():
        text = texts[row].decode("latin-1") if texts.dtype.kind == "S" else str(texts[row])
        if DECIMAL_TEXT.fullmatch(text):
            value = Fraction(text.strip())
            if abs(value) < ATTO:
                whole[row], rest[row], good[row] = value // 1, int(value % 1 * ATTO), True
    return whole, rest, good


def read_plain(codes: npt.NDArray[np.uint8], lengths: Int64) -> tuple[Int64, Int64, Mask]:
    """Read numbers of at most 18 digits before and behind the point, without an exponent or blanks in front."""
    count = len(codes)
    whole, rest, decimals = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    digits, dotted, negative = np.zeros(count, np.int64), np.zeros(count, bool), np.zeros(count, bool)
    good = lengths > 0
    for place in range(int(lengths.max(initial=0))):
        code = codes[:, place].copy()
        inside, digit = place < lengths, code - np.uint8(48)
        is_digit = inside & (digit < 10)
        if place == 0:
            negative = code == ord("-")
        signed = (negative | (code == ord("+"))) if place == 0 else False
        point = inside & (code == ord(".")) & ~dotted
        good &= is_digit | point | signed | ~inside
        before, behind = is_digit & ~dotted, is_digit & dotted
        np.copyto(whole, whole * 10 + digit, where=before & (digits < MOST_TIME_DIGITS))
        digits += before
        if behind.any():
            np.copyto(rest, rest * 10 + digit, where=behind & (decimals < MOST_TIME_DIGITS))
            decimals += behind
        dotted |= point
    good &= (digits <= MOST_TIME_DIGITS) & (decimals <= MOST_TIME_DIGITS) & (digits + decimals > 0)
    if decimals.any():
        rest *= 10 ** (MOST_TIME_DIGITS - np.minimum(decimals, MOST_TIME_DIGITS))
    if negative.any():
        up = negative & (rest > 0)
        whole, rest = np.where(negative, -whole - up, whole), np.where(up, ATTO - rest, rest)
    return np.where(good, whole, 0), np.where(good, rest, 0), good
