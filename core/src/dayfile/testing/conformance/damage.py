"""Rules about damaged sources: truncated and flipped input is refused in place, and nothing of it is lost silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from dayfile.messages import plural
from dayfile.model.batch import Rejected, Source
from dayfile.testing.conformance.subject import InapplicableError, Response, Subject

__all__ = ["find_flip_problems", "find_resend_problems", "find_truncation_problems"]

Damage = Callable[[bytes, Random], tuple[bytes, str]]
"""Damages bytes; returns them with a description of the damage."""
LEAST_SILENT = 2
"""From how many copies that lose records silently this is a fault of the plugin, and not of the format."""
LEAST_COPIES = 3
"""Damaged copies of each sample, if there are many samples."""
MOST_RESENT = 20


def truncate(content: bytes, chance: Random) -> tuple[bytes, str]:
    """Cut off the end."""
    place = chance.randrange(1, max(2, len(content)))
    return content[:place], f"truncated to {plural(place, 'byte')}"


def flip(content: bytes, chance: Random) -> tuple[bytes, str]:
    """Flip a bit."""
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    return bytes(damaged), f"bit {bit} of byte {place} flipped"


@dataclass
class Tally:
    """What became of damaged copies.

    Attributes
    ----------
    lossy : int
        Number of copies that lost records.
    silent : list of str
        Copies that lost records without a word.
    raised : dict of str to list of str
        What the plugin raised and may not raise, by class of the error.
    wrong : dict of str to list of str
        What is wrong with rejected records, and of which copies.
    """

    lossy: int = 0
    silent: list[str] = field(default_factory=list)
    raised: dict[str, list[str]] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def note(self, answer: Response, source: Source, what: str) -> None:
        """Note what is wrong with the answer to a damaged source, whatever the damage."""
        if answer.failure and answer.trouble:
            self.raised.setdefault(answer.failure.error, []).append(f"{what}: {answer.trouble}")
        for item in answer.rejected:
            for problem in find_place_problems(item, source):
                self.wrong.setdefault(problem, []).append(what)

    def list_problems(self) -> Iterator[str]:
        """Yield a line for each kind of problem, with an example."""
        for each in self.raised.values():
            copies = "" if len(each) == 1 else f", and {plural(len(each) - 1, 'other copy')} likewise"
            yield f"{each[0]}{copies}; raise SourceError for what cannot be read"
        yield from (f"{copies[0]}: {problem}" for problem, copies in self.wrong.items())
        if problem := self.find_silence():
            yield problem

    def find_silence(self) -> str:
        """Describe silent losses; empty if there are few.

        Now and then damage makes good input of another kind, such as a comment, and no plugin can know. A plugin that
        leaves out what it cannot read does so in most copies.
        """
        if len(self.silent) < LEAST_SILENT or 2 * len(self.silent) <= self.lossy:
            return ""
        copies = f"{len(self.silent)} of {plural(self.lossy, 'damaged copy')} with fewer records"
        return (
            f"{copies} say nothing about the others, such as {self.silent[0]}: raise SourceError, or return a Rejected "
            f"with the bytes that could not be read"
        )


def find_truncation_problems(subject: Subject) -> Iterator[str]:
    """A source whose end was cut off is refused, or what is left of its last record is rejected."""
    tally = Tally()
    for source, answer, _, what in decode_damaged(subject, truncate):
        tally.note(answer, source, what)
        if not answer.claimed or answer.failure or ends_whole(subject, source, answer):
            continue
        tally.lossy += 1
        if not answer.says_more:
            tally.silent.append(what)
    yield from tally.list_problems()


def ends_whole(subject: Subject, source: Source, answer: Response) -> bool:
    """Return whether a truncated source ends with a whole record: without its last byte, it gives fewer."""
    shorter = subject.decode(replace(source, content=source.content[:-1]))
    return sum(map(len, shorter.batches)) < sum(map(len, answer.batches))


def find_flip_problems(subject: Subject) -> Iterator[str]:
    """A source with a flipped bit gives as many records as the good one, archived or rejected, or is refused."""
    tally = Tally()
    for source, answer, good, what in decode_damaged(subject, flip):
        tally.note(answer, source, what)
        lost = good.count_records() - answer.count_records()
        if not answer.claimed or answer.failure or lost <= 0:
            continue
        tally.lossy += 1
        rejected = sum(len(item.content) for item in answer.rejected)
        # Records that run into one another can be one Rejected: it has at least half the bytes of as many records.
        if not answer.says_more or (answer.rejected and 2 * rejected < lost * source.size / good.count_records()):
            tally.silent.append(f"{what} ({plural(lost, 'record')} fewer)")
    yield from tally.list_problems()


def decode_damaged(subject: Subject, damage: Damage) -> Iterator[tuple[Source, Response, Response, str]]:
    """Yield damaged copies of the samples, the answers to them and to the good samples, and what the damage is."""
    each = max(LEAST_COPIES, subject.copies // len(subject.samples))
    chance = Random(len(subject.samples[0].content))  # noqa: S311 - not a secret
    most = subject.copies
    for sample, good in zip(subject.samples, subject.answers, strict=True):
        for _ in range(min(each, most)):
            most -= 1
            content, what = damage(bytes(sample.content), chance)
            source = replace(sample, content=content)
            yield source, subject.decode(source), good, f"{sample.name}, {what}"


def find_place_problems(item: Rejected, source: Source) -> Iterator[str]:
    """Find what is wrong with the place of a Rejected."""
    if item.offset is not None and not 0 <= item.offset <= source.size:
        yield "a Rejected has an offset that is not in the source"
    if min(item.numbers, default=0) < 0:
        yield "a Rejected has a negative number"
    if not item.reason.strip():
        yield "a Rejected has no reason"


def find_resend_problems(subject: Subject) -> Iterator[str]:
    """What was rejected is a source of the plugin, so that it can be sent through again when the cause is fixed."""
    found: dict[tuple[str, bytes], str] = {}
    for damage in (flip, truncate):
        for _, answer, _, what in decode_damaged(subject, damage):
            found |= {(item.name, item.content): what for item in answer.rejected}
    if not found:
        raise InapplicableError("no damaged copy has rejected records: the plugin refuses whole sources")
    for (name, content), what in list(found.items())[:MOST_RESENT]:
        again = subject.decode(Source(Path(name), name, content))
        if again.trouble:
            yield f"{what}: what was rejected, sent again as {name!r}: {again.trouble}"
        elif not again.claimed:
            yield f"{what}: what was rejected is not recognised when it is sent again as {name!r}"
