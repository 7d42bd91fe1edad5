"""Where a sample stops to be what a guess says."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dayfile.authoring.ratings import FARTHEST, Guess
from dayfile.authoring.series import FieldSeries

__all__ = ["SampleDamage", "find_damage"]

MOST_RECORDS = 1_000_000
"""Records that are looked at."""
BROKEN_RUN = 8
"""Records that must go on, or not go on, in a row."""


@dataclass(frozen=True)
class SampleDamage:
    """What is damaged in a sample.

    Parameters
    ----------
    intact : slice
        The longest stretch of records in which all times go on.
    lost_at : int, optional
        The byte from which on nothing is where it should be.
    shift : int
        Bytes by which what follows is later; negative if bytes are missing; 0 if that is not known.
    single : int
        Records with a time that does not fit.
    """

    intact: slice
    lost_at: int | None
    shift: int
    single: int


def find_damage(guess: Guess, content: bytes) -> SampleDamage:
    """Find damage of a sample."""
    count = min((len(content) - guess.head) // guess.series.length, MOST_RECORDS)
    _, on = guess.find_steps(content, slice(0, count))
    broken = np.flatnonzero(~on)
    edges = np.concatenate([[-1], broken, [len(on)]])
    longest = int(np.diff(edges).argmax())
    intact = slice(int(edges[longest]) + 1, int(edges[longest + 1]) + 1)
    padded = np.concatenate([~on, np.zeros(BROKEN_RUN - 1, bool)])
    runs = np.convolve(padded, np.ones(BROKEN_RUN), "valid") >= 0.75 * BROKEN_RUN
    lost = np.flatnonzero(runs & ~on)
    if not lost.size:
        return SampleDamage(intact, None, 0, (len(broken) + 1) // 2)
    record = int(lost[0]) + 1
    before = int((broken < lost[0]).sum())
    return SampleDamage(
        intact, guess.head + record * guess.series.length, find_shift(guess, content, record), (before + 1) // 2
    )


def find_shift(guess: Guess, content: bytes, record: int) -> int:
    """Find by how many bytes the times are later from a record on; 0 if they do not go on anywhere."""
    length = guess.series.length
    begin = guess.head + record * length
    times, _ = guess.read(content, slice(record - 1, record))
    for shift in range(1, length):
        start = begin + shift + guess.offset
        series = FieldSeries(length, start % length, guess.series.kind, guess.series.order)
        moved = replace(guess, series=series, head=start - guess.offset)
        steps, on = moved.find_steps(content, slice(0, BROKEN_RUN))
        after, _ = moved.read(content, slice(0, 1))
        near = abs((after[:1] - times).astype(np.int64)) < FARTHEST
        if len(on) == BROKEN_RUN - 1 and on.all() and steps.any() and near.all():
            return shift if shift <= length // 2 else shift - length
    return 0
