"""What speaks for a guess, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dayfile.authoring.damage import SampleDamage
from dayfile.authoring.ratings import Guess, SampleFile, find_manner
from dayfile.messages import list_some, plural

__all__ = ["list_evidence"]

SHOWN_OTHERS = 4
"""Other candidates that are shown."""
CLOSE = 6
"""Points by which another candidate is hardly worse."""


def list_evidence(found: Sequence[Guess], sample: SampleFile, damage: SampleDamage, *, known: bool) -> Iterator[str]:
    """Say what speaks for the first of several guesses, and what the others are.

    Parameters
    ----------
    found : sequence of Guess
        The guesses, the best first.
    sample : SampleFile
        The sample.
    damage : SampleDamage
        What is damaged in it, by the best guess.
    known : bool
        Whether a header says the length of records.
    """
    guess = found[0]
    content = sample.content
    size, length = len(content), guess.series.length
    count, rest = divmod(size - guess.head, length)
    left = f", and {plural(rest, 'byte')} at the end" if rest else ""
    head = f"{plural(guess.head, 'byte')} in front, then " if guess.head else ""
    yield f"{plural(size, 'byte')} are {head}{plural(count, 'record')} of {plural(length, 'byte')}{left}"
    if guess.head and guess.head % length == 0:
        yield "what is in front may also be records with damaged times; --head-bytes 0 says so"
    if not known:
        others = sorted({each.series.length for each in found} - {length})
        more = f"other lengths with a field that goes on like a time: {list_some(map(str, others), 6)}"
        yield more if others else "no other length has a field that goes on like a time, except for multiples"
    yield f"time: {describe_guess(guess, content)}"
    manner = find_manner(guess, content)
    assert manner is not None  # noqa: S101 - it was rated by it
    yield (
        f"{manner.share:.1%} of the steps go on; the median step is {manner.typical / 1e9:g} s, "
        f"and {manner.regular:.0%} of the steps are as long"
    )
    yield from suggest_slots(guess, content)
    if sample.day is not None:
        near = abs((manner.first - sample.day) / np.timedelta64(1, "D")) < 2
        yield f"the name has the day {sample.day}, which {'fits' if near else 'does not fit'}"
    yield from describe_damage(damage)
    for each in list_others(found):
        close = "about as likely" if guess.points - each.points < CLOSE else "less likely"
        yield f"{close}: {describe_guess(each, content)}; {name_options(guess, each, known=known)} chooses it"
    yield "tests that pass do not prove a guess: compare times and lengths with what you know of the instrument"


def describe_guess(guess: Guess, content: bytes) -> str:
    """Describe the field and clock of a guess, with its first and last time."""
    manner = find_manner(guess, content)
    assert manner is not None  # noqa: S101 - it was rated by it
    first, last = (np.datetime_as_string(each, "ms") for each in (manner.first, manner.last))
    head = f" behind {plural(guess.head, 'byte')}" if guess.head else ""
    week = f", with the week in the uint16 at byte {guess.week}" if guess.week is not None else ""
    where = (
        f"the {guess.series.kind} at byte {guess.offset} of each record of {plural(guess.series.length, 'byte')}{head}"
    )
    return f"{where}, {guess.series.order}-endian, counts {guess.clock.words}{week}: {first} to {last}"


def suggest_slots(guess: Guess, content: bytes) -> Iterator[str]:
    """Suggest to keep records in slots if all steps are the same whole seconds that divide a day."""
    times, _ = guess.read(content, guess.list_parts(content)[0])
    step, *others = np.unique(np.diff(times).astype(np.int64)).tolist()
    seconds, rest = divmod(step, 10**9)
    if not others and seconds > 0 and not rest and not 86400 % seconds and not times[0].astype(np.int64) % step:
        yield f"'store: slots' with 'period: {seconds}' in its type would keep one record of each {seconds} s"


def describe_damage(damage: SampleDamage) -> Iterator[str]:
    """Warn of damage."""
    if damage.single:
        yield f"{plural(damage.single, 'record')} of the sample with a time that does not fit the others"
    if damage.lost_at is not None:
        what = f"{plural(abs(damage.shift), 'byte')} {'more' if damage.shift > 0 else 'missing'} there"
        unknown = "and what follows is not found again"
        yield f"the sample is damaged at byte {damage.lost_at:,}: {what if damage.shift else unknown}"


def list_others(found: Sequence[Guess]) -> list[Guess]:
    """List the guesses that are shown beside the best: first those by other clocks of the same numbers."""
    best, *others = found
    same = [each for each in others if each.series == best.series]
    return [*same, *(each for each in others if each.series != best.series)][:SHOWN_OTHERS]


def name_options(best: Guess, other: Guess, *, known: bool) -> str:
    """Name the options that choose another guess."""
    words = []
    if other.series.length != best.series.length and not known:
        words.append(f"--record-bytes {other.series.length}")
    if other.head != best.head:
        words.append(f"--head-bytes {other.head}")
    if other.series.order != best.series.order:
        words.append(f"--byte-order {other.series.order}")
    if other.offset != best.offset and not known:
        words.append(f"--time {other.offset}")
    if other.clock != best.clock:
        words.append(f"--epoch {other.clock.epoch}")
    return " ".join(words)
