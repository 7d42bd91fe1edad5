"""Sums of parts: days, milliseconds and fractions that are added up to a time, in whole nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.leap_seconds import SECOND
from dayfile.stages.base import Columns, Wrong
from dayfile.timing.digits import Int64, Mask, find_time_column, read_decimals

__all__ = ["OUTSIDE", "UNIT_LENGTHS", "Addend", "add_parts", "take_parts"]

UNIT_LENGTHS = {
    "w": 604_800 * SECOND,
    "d": 86_400 * SECOND,
    "h": 3_600 * SECOND,
    "min": 60 * SECOND,
    "s": SECOND,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
"""Nanoseconds of each unit of a part."""
NANO = 1_000_000_000
MICROSECOND = 1_000
OUTSIDE = "the time is not in the years 1900 to 2261"
TOO_FAR = 2.0**65
"""Nanoseconds of a part, either way, that lead out of these years whatever is added."""
LIMITS = np.iinfo(np.int64)


@dataclass(frozen=True)
class Addend:
    """A value that is added to a time.

    Parameters
    ----------
    name : str
        Name of the column.
    numerator, denominator : int
        What 1 is, in nanoseconds; what is less than a nanosecond is cut. Without a common divisor.
    least, below : int, optional
        PartValues from ``least`` on and less than ``below`` are possible; others are wrong.
    modulo : int
        0, or after how many the value begins again at 0.
    since : int
        With ``modulo``: the first number of all that the values may mean.

    Examples
    --------
    A GPS week of 10 bits, of a receiver that was built after week 2048:

    >>> week = Addend("week", UNIT_LENGTHS["w"], modulo=1024, since=2048)
    >>> total = add_parts([week], 0, {"week": np.array([80])}, 1, Wrong.none(1))
    >>> total // UNIT_LENGTHS["w"]
    array([2128])
    """

    name: str
    numerator: int = SECOND
    denominator: int = 1
    least: int | None = None
    below: int | None = None
    modulo: int = 0
    since: int = 0

    def read(self, columns: Columns, count: int, wrong: Wrong) -> Amount:
        """Read the values; those that are no numbers, or impossible ones, are wrong and taken for 0."""
        values = find_time_column(columns, self.name, count, wrong)
        rest: Int64 | None = None
        if values.dtype.kind in "SU":
            texts = values
            values, rest, good = read_decimals(texts)
            rest = rest if rest.any() else None
            if not good.all():
                wrong.add(~good, lambda row: f"{self.name} is not a number: {show_text(texts[row])}")
        elif values.dtype.kind == "f":
            finite = np.isfinite(values)
            if not finite.all():
                found = values
                wrong.add(~finite, lambda row: f"{self.name} is {found[row]}, which is no time")
                values = np.where(finite, values, 0)
        elif values.dtype.kind == "b":
            values = values.astype(np.uint8)
        return Amount(self, self._unroll(self._limit(values, wrong)), rest)

    def _limit(self, values: npt.NDArray[Any], wrong: Wrong) -> npt.NDArray[Any]:
        """Note values that are impossible as wrong, and return 0 in their place."""
        least, below = self.least, self.below
        if self.modulo:
            least, below = least or 0, min(below or self.modulo, self.modulo)
        bad = np.zeros(values.shape, bool)
        if values.size and least is not None and values.min() < least:
            bad |= values < least
        if values.size and below is not None and values.max() >= below:
            bad |= values >= below
        if not bad.any():
            return values
        last = below - 1 if below is not None and values.dtype.kind != "f" else below
        bounds = f"in {least or 0}..{last}" if below is not None else f"{least} or more"
        if below is not None and least is None:
            bounds = f"less than {below}"
        wrong.add(bad, lambda row: f"{self.name} must be {bounds}, not {values[row]}")
        return np.where(bad, 0, values)

    def _unroll(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the numbers that values mean which begin again at 0."""
        if not self.modulo:
            return values
        whole = values if values.dtype.kind == "f" else values.astype(np.int64)
        unrolled: npt.NDArray[Any] = self.since + (whole - self.since) % self.modulo
        return unrolled


@dataclass(frozen=True)
class Amount:
    """The values of a part: integers, with what is above them in parts of 1e-18 where they were texts; or floats."""

    part: Addend
    values: npt.NDArray[Any]
    rest: Int64 | None = None

    @property
    def span(self) -> tuple[int, int]:
        """Return the least and the greatest, in nanoseconds."""
        if not self.values.size:
            return 0, 0
        least, greatest = (
            int(each) * self.part.numerator // self.part.denominator for each in (self.values.min(), self.values.max())
        )
        one = self.part.numerator // self.part.denominator + 1
        return least - one, greatest + one

    def rough(self) -> npt.NDArray[np.float64]:
        """Return about how many nanoseconds they are."""
        with np.errstate(over="ignore"):
            return self.values.astype(np.float64) * (self.part.numerator / self.part.denominator)

    def nanoseconds(self) -> Int64:
        """Return the nanoseconds, modulo 2**64."""
        if self.values.dtype.kind == "f":
            return self._round(self.values)
        total = self._multiply(self.values)
        return total if self.rest is None else total + self._multiply_rest(self.rest)

    def _multiply(self, values: npt.NDArray[Any]) -> Int64:
        """Return the nanoseconds of integers."""
        numerator, denominator = self.part.numerator, self.part.denominator
        if denominator == 1:
            whole = values.astype(np.int64)
            if numerator != 1:
                whole *= numerator
            return whole
        wide = values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)
        parts, left = np.divmod(wide, wide.dtype.type(denominator))
        return parts.astype(np.int64) * numerator + left.astype(np.int64) * numerator // denominator

    def _multiply_rest(self, rest: Int64) -> Int64:
        """Return the nanoseconds of parts of 1e-18."""
        numerator, denominator = self.part.numerator, self.part.denominator
        high, low = rest // NANO, rest % NANO
        if numerator % NANO == 0:
            return (high * (numerator // NANO) + low * (numerator // NANO) // NANO) // denominator
        return (high * numerator + low * numerator // NANO) // (denominator * NANO)

    def _round(self, values: npt.NDArray[Any]) -> Int64:
        """Return the nanoseconds of floats; whole microseconds where floats of this size tell no nanoseconds apart."""
        length = self.part.numerator / self.part.denominator
        coarse = np.spacing(np.abs(values)).astype(np.float64) * length >= 1
        wide = values.astype(np.float64)
        whole = np.floor(wide)
        near = np.abs(whole) < 2.0**63
        rest = (wide - whole) * length
        step = np.where(coarse, MICROSECOND, 1)
        nanoseconds = np.rint(rest / step).astype(np.int64) * step
        return self._multiply(np.where(near, whole, 0).astype(np.int64)) + nanoseconds


def add_parts(
    parts: Sequence[Addend], base: Int64 | int, columns: Columns, count: int, wrong: Wrong
) -> npt.NDArray[np.int64]:
    """Add parts to a time.

    Parameters
    ----------
    parts : sequence of Addend
        What is added.
    base : int, or array of int64, shape (n,)
        Times, in nanoseconds. A single one may be beyond int64.
    columns : dict of str to array, shape (n,)
        The values of the parts.
    count : int
        How many rows there are.
    wrong : Wrong
        Where rows that are wrong are noted: those whose sum int64 cannot hold, too.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The sums, 0 where int64 cannot hold them.
    """
    lengths = [part.read(columns, count, wrong) for part in parts]
    # Sums modulo 2**64 are right if the true sum is within int64.
    total = np.full(count, wrap_int64(base), np.int64) if isinstance(base, int) else base.copy()
    for length in lengths:
        total += length.nanoseconds()
    spans = [(base, base) if isinstance(base, int) else (int(base.min(initial=0)), int(base.max(initial=0)))]
    spans += [length.span for length in lengths]
    if LIMITS.min <= sum(low for low, _ in spans) and sum(high for _, high in spans) <= LIMITS.max:
        return total
    outside = find_outside(lengths, base)
    wrong.add(outside, OUTSIDE)
    return np.where(outside, 0, total)


def find_outside(lengths: Sequence[Amount], base: Int64 | int) -> Mask:
    """Find the rows whose sum may be beyond int64; none of them is in the years that a time can be in."""
    rough = [length.rough() for length in lengths]
    total = np.clip(rough, -TOO_FAR, TOO_FAR).sum(axis=0) + np.asarray(base, np.float64)
    # The error of the sum is less than a second, and the last year ends 98 days before int64.
    outside: Mask = (total < LIMITS.min + 2.0 * SECOND) | (total > LIMITS.max - 2.0 * SECOND)
    for each in rough:
        outside |= np.abs(each) >= TOO_FAR
    return outside


def wrap_int64(value: int) -> int:
    """Return a number modulo 2**64, as int64 has it."""
    return (value - LIMITS.min) % 2**64 + LIMITS.min


def take_parts(parts: Sequence[Addend], times: Int64) -> Columns:
    """Take times apart: the largest unit first, and the smallest takes what is left, cut downwards."""
    columns: Columns = {}
    left = times
    for part in sorted(parts, key=lambda part: part.numerator / part.denominator, reverse=True):
        if part.denominator == 1:
            values = left // part.numerator
            left = left - values * part.numerator
        else:
            # The last value whose nanoseconds, cut, are not more than these.
            whole, within = left // part.numerator, left % part.numerator
            values = whole * part.denominator + ((within + 1) * part.denominator - 1) // part.numerator
            left = (
                left - whole * part.numerator - (values - whole * part.denominator) * part.numerator // part.denominator
            )
        columns[part.name] = (values % part.modulo if part.modulo else values).astype(np.int64)
    return columns


def show_text(value: Any) -> str:  # noqa: ANN401 - bytes or str, as NumPy has them
    """Show the beginning of a text in a message."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
