"""What a sample shows of its format: length of records, byte order, and the time in them.

Each number that grows from record to record is a candidate, with each clock by which it is a plausible time. A written
rule, :func:`dayfile.authoring.ratings.rate`, gives each candidate points; the most points win.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dayfile.authoring.clocks import EARLIEST, GPS_EPOCH, TIME_SIZES, CountedClock, list_counted_clocks
from dayfile.authoring.ratings import FARTHEST, PART, Guess, SampleFile, find_manner, rate
from dayfile.authoring.series import LONGEST_HEAD, FieldSeries, find_record_lengths, find_series
from dayfile.authoring.time_members import TimeMember

__all__ = ["Corrections", "guess_known", "guess_unknown"]

TRIED = ("uint64", "float64", "uint32")
FEWEST_UNKNOWN = 16
"""Records without which nothing can be said, if their length is not known."""
LEAST_UNKNOWN, LEAST_KNOWN = 0.9, 0.6
"""Share of the steps that must go on, if only the sample says which field is the time, and if a header does."""
CONVINCING = 25
"""Points below which a guess is not shown."""
FIRST_RUN = 8
"""Records, three quarters of which are plausible where records begin."""
ROUNDING = 1000
"""Nanoseconds by which medians of times are not exact."""
MOST_WEEKS = 53
"""Weeks that a sample spans, at most, where these are numbers of their own."""
WEEK_PLACES = (-4, -2, 4, 6, 8)
"""Where the number of a week can be, from the milliseconds in it on."""


@dataclass(frozen=True)
class Corrections:
    """What somebody says of a sample, so that it is not guessed; None for what is."""

    byte_order: str | None = None
    record_bytes: int | None = None
    head_bytes: int | None = None
    epoch: str | None = None
    time_byte: int | None = None

    @property
    def orders(self) -> tuple[str, ...]:
        """Byte orders to try."""
        return (self.byte_order,) if self.byte_order else ("little", "big")


def guess_unknown(sample: SampleFile, said: Corrections) -> list[Guess]:
    """Guess length, byte order, time and clock of a sample of which nothing is known; the best guess first.

    A length counts only if no shorter one that divides it explains the sample.
    """
    lengths = [said.record_bytes] if said.record_bytes else find_record_lengths(sample.content, FEWEST_UNKNOWN)
    clocks = {kind: list_kind_clocks(kind, sample, said) for kind in TRIED}
    found: list[Guess] = []
    for length in lengths:
        if any(length % guess.series.length == 0 for guess in found):
            continue
        tried = [
            guess
            for kind in TRIED
            for series, fitting in find_series(sample.content, length, kind, clocks[kind], said.orders, LEAST_UNKNOWN)
            for guess in try_series(sample, series, fitting, said)
        ]
        found += [guess for guess in tried if guess.points >= CONVINCING]
    return sort_guesses(found)


def guess_known(sample: SampleFile, length: int, time: TimeMember, said: Corrections) -> list[Guess]:
    """Guess byte order, clock and head of a sample whose records are known; the best guess first.

    If the first records go on from the begin of the sample, nothing is in front of them, whatever comes later.

    Parameters
    ----------
    sample : SampleFile
        The sample.
    length : int
        Bytes of a record.
    time : TimeMember
        The time in it.
    said : Corrections
        What is not guessed.
    """
    kind = time.member.type.kind
    clocks = list_member_clocks(time, sample, said)
    said = replace(said, time_byte=time.offset)
    found = [
        guess
        for skip in (0, LONGEST_HEAD)
        for series, fitting in find_series(sample.content, length, kind, clocks, said.orders, LEAST_KNOWN, skip)
        for guess in try_series(sample, series, fitting, said, LEAST_KNOWN)
    ]
    return sort_guesses([each for each in found if not each.head] or found)


def list_member_clocks(time: TimeMember, sample: SampleFile, said: Corrections) -> list[CountedClock]:
    """List the clocks that a member of a struct is tried with: those that its comment allows."""
    kind, epoch = time.member.type.kind, time.epoch
    if said.epoch or not epoch.said:
        clocks = list_counted_clocks(kind, sample.latest, said.epoch)
        return [each for each in clocks if each.unit == time.unit] if time.named_unit else clocks
    units = (time.unit,) if time.named_unit or TIME_SIZES[kind] == 4 else ("s", "ms", "us", "ns", "d")
    return [CountedClock(epoch.date, epoch.scale, unit, sample.latest, given=True) for unit in units]


def list_kind_clocks(kind: str, sample: SampleFile, said: Corrections) -> list[CountedClock]:
    """List the clocks that numbers of a type are tried with."""
    clocks = list_counted_clocks(kind, sample.latest, said.epoch)
    if kind == "uint32" and said.epoch in (None, GPS_EPOCH):
        clocks.append(CountedClock(GPS_EPOCH, "gps", "ms", sample.latest, week=True))
    return clocks


def sort_guesses(found: Sequence[Guess]) -> list[Guess]:
    """Sort guesses, the best first; of several that read the same numbers by the same clock, only the best remains."""
    best: dict[tuple[object, ...], Guess] = {}
    for guess in sorted(found, key=lambda guess: -guess.points):
        best.setdefault(guess.identity, guess)
    return list(best.values())


def try_series(
    sample: SampleFile,
    series: FieldSeries,
    clocks: Sequence[CountedClock],
    said: Corrections,
    least: float = LEAST_UNKNOWN,
) -> Iterator[Guess]:
    """Make the guesses of a series: each clock by which its numbers go on, with the places where records can begin."""
    for clock in clocks:
        whole = Guess(series, clock, 0, series.start)
        for guess in place_head(whole, sample.content, said):
            for one in find_weeks(guess, sample) if clock.week else [guess]:
                manner = find_manner(one, sample.content)
                if manner and manner.begins >= least and manner.last > manner.first:
                    yield replace(one, points=rate(one, sample, manner))


def place_head(guess: Guess, content: bytes, said: Corrections) -> Iterator[Guess]:
    """Find the bytes in front of the first record: up to where the times begin to go on, and whole records follow."""
    length, size = guess.series.length, TIME_SIZES[guess.series.kind]
    begins = find_first_record(guess, content, -(-LONGEST_HEAD // length) + FIRST_RUN + 1)
    if begins is None or begins * length > LONGEST_HEAD:
        return
    place = guess.series.start + begins * length
    for head in sorted(list_heads(place, len(content), length, said)):
        offset = place - head if said.head_bytes is None else (place - head) % length
        fits = said.time_byte is None or offset == said.time_byte
        if 0 <= head <= LONGEST_HEAD and 0 <= offset <= length - size and fits:
            yield replace(guess, head=head, offset=offset)


def find_first_record(guess: Guess, content: bytes, most: int) -> int | None:
    """Find the first record that is followed by times that are plausible, and not far behind its own."""
    times, good = guess.read(content, slice(0, most))
    run = min(FIRST_RUN, len(times))
    follow = np.lib.stride_tricks.sliding_window_view
    ahead = np.median(follow(times.astype(np.int64), run), axis=1) - times[: len(times) - run + 1].astype(np.int64)
    plausible = follow(good, run).mean(axis=1) >= 0.75
    begins = np.flatnonzero(plausible & good[: len(ahead)] & (ahead >= -ROUNDING) & (ahead < FARTHEST))
    return int(begins[0]) if begins.size else None


def list_heads(place: int, size: int, length: int, said: Corrections) -> set[int]:
    """List what may be in front of the first record, whose time is at a place: what leaves whole records, or nothing.

    If no whole records are left, the sample was cut, and the head is a multiple of 4 bytes.
    """
    if said.head_bytes is not None:
        return {said.head_bytes} if said.head_bytes + length <= size else set()
    if said.time_byte is not None:
        head = place - said.time_byte
        return {head if head >= 0 else head + length}
    if place < length:
        return {0, size % length}
    return {place - (place - size) % length, place - place % 4}


def find_weeks(guess: Guess, sample: SampleFile) -> Iterator[Guess]:
    """Find the numbers of weeks beside the milliseconds in them."""
    latest = (sample.latest - np.datetime64(GPS_EPOCH)) // np.timedelta64(7, "D")
    earliest = (EARLIEST - np.datetime64(GPS_EPOCH)) // np.timedelta64(7, "D")
    for place in WEEK_PLACES:
        offset = guess.offset + place
        if not 0 <= offset <= guess.series.length - 2:
            continue
        weeks = FieldSeries(guess.series.length, guess.head + offset, "uint16", guess.series.order).view(sample.content)
        some = weeks[: 3 * PART].astype(np.int64)
        low, middle, high = np.percentile(some, (5, 50, 95))
        if earliest <= middle <= latest and high - low <= MOST_WEEKS:
            yield replace(guess, week=offset)
