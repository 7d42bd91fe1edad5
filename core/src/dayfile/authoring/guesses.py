"""What a sample shows of its format: byte order, length of records and the time in them, with the evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dayfile.authoring.draft_layouts import TimeMember
from dayfile.messages import plural
from dayfile.model.clock import Clock

__all__ = ["TIME_SIZES", "Guess", "guess_order", "guess_records", "make_clock"]

CLOCKS = (
    ("1970-01-01", "utc", "s"),
    ("1970-01-01", "utc", "ms"),
    ("1970-01-01", "utc", "us"),
    ("1970-01-01", "utc", "ns"),
    ("1980-01-06", "gps", "s"),
    ("2000-01-01", "utc", "s"),
)
"""Clocks that are tried: epoch, scale and unit."""
PLAUSIBLE = np.datetime64("1995-01-01"), np.datetime64("2040-01-01")
"""When instruments whose samples somebody has were measuring."""
TIME_SIZES = {"uint32": 4, "uint64": 8, "int32": 4, "int64": 8, "float64": 8}
"""Types that times have, and their bytes."""
TRIED = ("uint32", "uint64", "float64")
LONGEST_RECORD = 4096
FEWEST, FEWEST_UNKNOWN, MOST_RECORDS = 4, 16, 100_000
"""Records without which nothing can be said, if their length is known and if not; and how many are looked at."""
FARTHEST = 10 * 86400e9
"""Nanoseconds from one record to the next, at most."""
MOST_FORWARD = 0.99
"""Share of the steps that must not go back, if nothing else is known."""
NAMED_DAY = re.compile(r"(?P<year>19[89]\d|20[0-3]\d)[-_]?(?P<month>0[1-9]|1[0-2])[-_]?(?P<day>[0-3]\d)")


@dataclass(frozen=True)
class Guess:
    """What a sample seems to be.

    Parameters
    ----------
    order : {"little", "big"}
        Byte order.
    length : int
        Bytes of a record.
    offset : int
        Where the time is in a record.
    kind : str
        Type of the time.
    clock : (str, str, str)
        Epoch, scale and unit of its clock.
    times : array of datetime64[ns], shape (n,)
        The times of the records.
    head : int
        Bytes in front of the first record.
    evidence : list of str
        What speaks for it, for people.
    """

    order: str
    length: int
    offset: int
    kind: str
    clock: tuple[str, str, str]
    times: npt.NDArray[np.datetime64]
    head: int = 0
    evidence: list[str] = field(default_factory=list)

    @property
    def step(self) -> tuple[int, float]:
        """The most frequent step from one record to the next, in nanoseconds, and its share."""
        steps, counts = np.unique(np.diff(self.times).astype(np.int64), return_counts=True)
        best = int(counts.argmax())
        return int(steps[best]), float(counts[best] / counts.sum())

    @property
    def steady(self) -> bool:
        """Whether times do not go back, are not far apart, and not closer than clocks of their kind count."""
        steps = np.diff(self.times).astype(np.int64)
        forward = steps[steps > 0]
        least = 10**6 if self.kind == "float64" else 0
        return bool(
            (steps >= 0).mean() > MOST_FORWARD
            and len(forward) > len(steps) / 20
            and least < np.median(forward) < FARTHEST
        )

    @property
    def score(self) -> float:
        """How much speaks for it: times that do not go back, equal steps, aligned as compilers do it, not far apart."""
        steps = np.diff(self.times).astype(np.int64)
        size = TIME_SIZES[self.kind]
        near = np.median(np.abs(steps)) < FARTHEST
        return float((steps >= 0).mean()) + self.step[1] + 0.2 * (self.offset % size == 0) + 0.3 * bool(near)


def guess_order(content: bytes, name: str, length: int, time: TimeMember) -> list[Guess]:
    """Guess byte order, clock and head of a sample whose records are known; the best guess first.

    Parameters
    ----------
    content : bytes
        The sample.
    name : str
        Its name, which may have a date.
    length : int
        Bytes of a record.
    time : TimeMember
        The time in it.
    """
    said = (time.epoch.date, time.epoch.scale, time.unit)
    clocks = [said] if time.epoch.said else [said, *(each for each in CLOCKS if each != said)]
    found = [
        guess
        for head in sorted({0, len(content) % length})
        for order in ("little", "big")
        for clock in clocks
        if (guess := try_time(content, name, order, head, length, time.offset, time.member.type.kind, clock))
    ]
    return sort_guesses(found, name)


def guess_records(content: bytes, name: str) -> list[Guess]:
    """Guess length, byte order, time and clock of a sample of which nothing is known; the best guess first.

    The shortest length counts at which a field holds plausible times that do not go back.
    """
    for length in list_lengths(len(content)):
        found = [
            guess
            for kind in TRIED
            for offset in range(length - TIME_SIZES[kind] + 1)
            for order in ("little", "big")
            for clock in CLOCKS
            if (guess := try_time(content, name, order, 0, length, offset, kind, clock)) and guess.steady
        ]
        if found:
            return sort_guesses(found, name)
    return []


def list_lengths(size: int) -> Iterator[int]:
    """Find the lengths of records that a sample can have: those that divide its size."""
    return (length for length in range(4, min(LONGEST_RECORD, size // FEWEST_UNKNOWN) + 1) if size % length == 0)


def sort_guesses(found: Sequence[Guess], name: str) -> list[Guess]:
    """Sort guesses, the best first: a day that the name has counts most, then what speaks for each."""
    day = find_named_day(name)

    def rate(guess: Guess) -> tuple[bool, float]:
        return day is not None and abs((guess.times[0] - day) / np.timedelta64(1, "D")) < 2, guess.score

    return sorted(found, key=rate, reverse=True)


def find_named_day(name: str) -> np.datetime64 | None:
    """Find a day in the name of a file."""
    found = NAMED_DAY.search(name)
    try:
        return np.datetime64(f"{found['year']}-{found['month']}-{found['day']}") if found else None
    except ValueError:
        return None


def try_time(
    content: bytes, name: str, order: str, head: int, length: int, offset: int, kind: str, clock: tuple[str, str, str]
) -> Guess | None:
    """Read a field as times; None if they are not plausible."""
    count = min((len(content) - head) // length, MOST_RECORDS)
    form = np.dtype(kind).newbyteorder("<" if order == "little" else ">")
    if count < FEWEST:
        return None
    values = np.ndarray((count,), form, content, head + offset, (length,))
    epoch, scale, unit = clock
    counting = make_clock(epoch, scale, unit)
    first, last = (counting.number(each) for each in PLAUSIBLE)
    for some in (values[:FEWEST], values):
        if not ((some >= first) & (some < last)).all() or (len(some) > FEWEST and some[-1] == some[0]):
            return None
    times = counting.to_datetime64(values.astype(kind))
    guess = Guess(order, length, offset, kind, clock, times, head)
    if guess.score < 1:
        return None
    guess.evidence.extend(list_evidence(guess, len(content), name))
    return guess


def make_clock(epoch: str, scale: str, unit: str) -> Clock:
    """Make a clock of its words."""
    return Clock(np.datetime64(f"{epoch}T00:00:00"), unit=unit, scale=scale)  # type: ignore[arg-type]


def list_evidence(guess: Guess, size: int, name: str) -> Iterator[str]:
    """Say what speaks for a guess."""
    count, rest = divmod(size - guess.head, guess.length)
    left = f", and {plural(rest, 'byte')} at the end" if rest else ""
    head = f"{plural(guess.head, 'byte')} in front, then " if guess.head else ""
    yield f"{plural(size, 'byte')} are {head}{plural(count, 'record')} of {plural(guess.length, 'byte')}{left}"
    epoch, scale, unit = guess.clock
    where = f"the {guess.kind} at byte {guess.offset} of each record, {guess.order}-endian"
    yield f"{where}, counts {unit} since {epoch} ({scale}): {guess.times[0]} to {guess.times[-1]}"
    step, share = guess.step
    back = int((np.diff(guess.times).astype(np.int64) < 0).sum())
    yield f"it goes back {plural(back, 'time')}; {share:.0%} of the steps are {step / 1e9:g} s"
    seconds, rest = divmod(step, 10**9)
    if share == 1 and seconds > 0 and not rest and not 86400 % seconds and not guess.times[0].astype(np.int64) % step:
        yield f"'store: slots' with 'period: {seconds}' in its type would keep one record of each {seconds} s"
    day = find_named_day(name)
    if day is not None:
        near = abs((guess.times[0] - day) / np.timedelta64(1, "D")) < 2
        yield f"the name has the day {day}, which {'fits' if near else 'does not fit'}"
