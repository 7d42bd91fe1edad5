"""How much speaks for a guess of what a sample is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dayfile.authoring.clocks import TIME_SIZES, CountedClock
from dayfile.authoring.series import FieldSeries

__all__ = ["FARTHEST", "PART", "Guess", "Manner", "SampleFile", "find_manner", "rate"]

PART = 700
"""Records that are looked at, from the begin, the middle and the end each."""
LEAST_FLOAT = 1e-6
"""What floats below this count is no time."""
FARTHEST = 10 * 86400 * 10**9
"""Nanoseconds from one record to the next, at most."""
FIRST_STEPS = 50
"""Steps among which most must go on."""
MOST_BACK = 2
"""Steps among the first that go back for good, from which on it is no time."""
NANOSECONDS_OF_DAY = 86400 * 10**9
NAMED_DAY = re.compile(r"(?P<year>19[89]\d|20[0-3]\d)[-_]?(?P<month>0[1-9]|1[0-2])[-_]?(?P<day>[0-3]\d)")


@dataclass(frozen=True)
class SampleFile:
    """A file of which the format is guessed.

    Parameters
    ----------
    content : bytes
        What it holds.
    name : str
        Its name, which may have a date.
    modified : datetime64
        When it was written.
    """

    content: bytes
    name: str
    modified: np.datetime64

    @property
    def latest(self) -> np.datetime64:
        """The latest plausible time: tomorrow, as clocks may be a little wrong."""
        return np.datetime64("now") + np.timedelta64(1, "D")

    @cached_property
    def day(self) -> np.datetime64 | None:
        """The day in its name."""
        found = NAMED_DAY.search(self.name)
        try:
            return np.datetime64(f"{found['year']}-{found['month']}-{found['day']}") if found else None
        except ValueError:
            return None


@dataclass(frozen=True)
class Guess:
    """What a sample seems to be.

    Parameters
    ----------
    series : FieldSeries
        The numbers that are the times.
    clock : CountedClock
        By which they count.
    head : int
        Bytes in front of the first record.
    offset : int
        Where the time is in a record.
    week : int, optional
        Where the number of the GPS week is in a record.
    points : float
        How much speaks for it.
    """

    series: FieldSeries
    clock: CountedClock
    head: int
    offset: int
    week: int | None = None
    points: float = 0.0

    def read(self, content: bytes, rows: slice) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.bool_]]:
        """Read times of records, and which of them are plausible."""
        place = replace(self.series, start=self.head + self.offset)
        values = place.view(content)[rows].astype(self.series.kind)
        first, last = self.clock.bounds
        least = LEAST_FLOAT if self.series.kind == "float64" else 0
        with np.errstate(invalid="ignore"):
            good: npt.NDArray[np.bool_] = (values >= max(first, least)) & (values < last)
        times = self.clock.clock.to_nanoseconds(values)
        if self.week is not None:
            good = values < last  # later weeks begin at 0
            weeks = FieldSeries(place.length, self.head + self.week, "uint16", place.order).view(content)[rows]
            times = times + weeks.astype(np.int64) * 7 * NANOSECONDS_OF_DAY
        return self.clock.clock.to_utc(times), good

    def find_steps(self, content: bytes, rows: slice) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Find the nanoseconds from record to record, and which of these steps go on: not back, and not too far."""
        times, good = self.read(content, rows)
        steps = np.diff(times).astype(np.int64)
        return steps, good[1:] & good[:-1] & (steps >= 0) & (steps < FARTHEST)

    def list_parts(self, content: bytes) -> list[slice]:
        """List the records that are looked at."""
        count = (len(content) - self.head) // self.series.length
        starts = (0, count // 2, count - PART) if count > 3 * PART else (0,)
        return [slice(start, start + PART if len(starts) > 1 else count) for start in starts]

    @property
    def identity(self) -> tuple[object, ...]:
        """What two guesses of the same times have in common."""
        return self.series.length, self.series.start, self.clock, self.series.order, self.head, self.week


@dataclass(frozen=True)
class Manner:
    """How the times of a guess go on.

    Parameters
    ----------
    share : float
        Share of the steps that go on.
    typical : int
        Nanoseconds of the median step.
    moved : int
        That of the steps that are not 0.
    regular : float
        Share of the steps that are as long as that, within 1 %.
    first, last : datetime64
        First and last time.
    moving : float
        Share of the steps that are not 0.
    back : float
        Share of the steps that go back for good, not to and fro as at one damaged time.
    begins : float
        Share of the steps that go on among the first records; 0 if several of these go back for good.
    """

    share: float
    typical: int
    moved: int
    regular: float
    first: np.datetime64
    last: np.datetime64
    moving: float
    back: float
    begins: float


def find_manner(guess: Guess, content: bytes) -> Manner | None:
    """Find how the times of a guess go on; None if hardly any does."""
    parts = guess.list_parts(content)
    steps, on = zip(*(guess.find_steps(content, part) for part in parts), strict=True)
    forward = np.concatenate([some[good] for some, good in zip(steps, on, strict=True)])
    if not forward.size or not on[0].any():
        return None
    typical = int(np.median(forward))
    moved = int(np.median(forward[forward > 0])) if forward.any() else 0
    last = next(index for index in reversed(range(len(parts))) if on[index].any())
    back = [find_back(some) for some in steps]
    return Manner(
        share=float(np.concatenate(on).mean()),
        typical=typical,
        moved=moved,
        regular=float((np.abs(forward - moved) <= 0.01 * moved).mean()) if moved else 0.0,
        first=guess.read(content, parts[0])[0][np.flatnonzero(on[0])[0]],
        last=guess.read(content, parts[last])[0][np.flatnonzero(on[last])[-1] + 1],
        moving=float((forward > 0).mean()),
        back=float(np.concatenate(back).mean()),
        begins=float(on[0][:FIRST_STEPS].mean()) if back[0][:FIRST_STEPS].sum() < MOST_BACK else 0.0,
    )


def find_back(steps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Find the steps that go back for good: together with the step before, and with the one behind."""
    padded = np.concatenate([[0], steps, [0]])
    found: npt.NDArray[np.bool_] = (steps < 0) & (padded[:-2] + steps < 0) & (steps + padded[2:] < 0)
    return found


def rate(guess: Guess, sample: SampleFile, manner: Manner) -> float:
    """Give a guess points: what speaks for it, and against it.

    A point is about what halves or doubles the odds; docs/layouts.md has the rule in words.
    """
    size = TIME_SIZES[guess.series.kind]
    tick: float = guess.clock.clock.tick
    if guess.series.kind == "float64":
        tick *= float(np.spacing(np.nanmedian(guess.series.view(sample.content)[: 3 * PART].astype(float))))
    moved = manner.moved
    even = moved > 0 and (NANOSECONDS_OF_DAY % moved == 0 or (moved < 10**9 and 10**9 % moved == 0))
    days = abs((manner.last - manner.first) / np.timedelta64(1, "D"))
    years = abs((sample.modified - manner.last) / np.timedelta64(365, "D"))
    named = sample.day is not None and abs((manner.first - sample.day) / np.timedelta64(1, "D")) < 2
    whole = (len(sample.content) - guess.head) % guess.series.length == 0
    coarse = guess.series.kind != "float64" and not find_moving_bits(guess, sample.content) & 0xFF
    return (
        min(8 * size - math.log2(max(moved / tick, 1)), 24)
        + min(guess.clock.rate_chance(guess.series.kind), 6)
        + (5 if guess.week is not None else 0)
        + 20 * manner.share
        - 10
        + (4 + 5 * even) * manner.regular
        + 4 * manner.moving
        + 2 * (guess.offset % size == 0)
        - 1000 * min(manner.back, 0.01)
        - math.log2(max(10**6 / max(moved, 1), 1))
        - math.log2(guess.series.length)
        - math.log2(max(days, 1))
        - math.log2(max(years, 1))
        + 12 * named
        - 4 * coarse
        - (guess.head > 0)
        - 5 * (not whole)
    )


def find_moving_bits(guess: Guess, content: bytes) -> int:
    """Find the bits in which the first numbers of a guess differ."""
    place = replace(guess.series, start=guess.head + guess.offset)
    values = place.view(content)[:FIRST_STEPS].astype(guess.series.kind)
    return int(np.bitwise_or.reduce(values ^ values[0]))
