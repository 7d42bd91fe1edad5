"""Drafts for instruments whose files are records of one length: from a header, a sample, both, or an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dayfile.authoring import templates
from dayfile.authoring.c_structs import CMember, CStruct, CType
from dayfile.authoring.c_types import HeaderTypes
from dayfile.authoring.damage import SampleDamage, find_damage
from dayfile.authoring.draft_layouts import (
    list_flat,
    write_flat_layout,
    write_struct_layout,
)
from dayfile.authoring.evidence import list_evidence
from dayfile.authoring.guesses import Corrections, guess_known, guess_unknown
from dayfile.authoring.preprocessing import CHeader
from dayfile.authoring.ratings import Guess, SampleFile
from dayfile.authoring.remarks import Epoch
from dayfile.authoring.series import LONGEST_HEAD, LONGEST_RECORD
from dayfile.authoring.time_members import TimeMember, choose_time
from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile.model.clock import Clock

__all__ = ["Described", "InstrumentDraft", "describe_example", "describe_header", "describe_sample", "draft_records"]

EXAMPLE_TIME = np.datetime64("2024-05-01T00:00:00")
STEP = 60
MADE_RECORDS = 200
"""Records of the source that is made where no sample is given: one a minute."""
LARGEST_SAMPLE = 2**18
"""Bytes of a sample that are copied into the package."""


@dataclass(frozen=True)
class InstrumentDraft:
    """What a package needs to know of its instrument.

    Parameters
    ----------
    layout, module : str
        Its layout, and the module with the plugin.
    type_name : str
        Its data type.
    content : bytes
        The source of its tests.
    head, count : int
        Bytes in front of the first record of that source, and the number of its records.
    evidence : list of str
        What was guessed, and why.
    """

    layout: str
    module: str
    type_name: str
    content: bytes
    head: int
    count: int
    evidence: list[str]


@dataclass(frozen=True)
class Described:
    """What the records of a new instrument are.

    Parameters
    ----------
    types : HeaderTypes
        The header.
    struct : CStruct
        The struct of a record.
    time : TimeMember
        Its time.
    found : list of Guess
        What a sample may be, the best guess first; empty without a sample.
    known : bool
        Whether a header says what a record is.
    """

    types: HeaderTypes
    struct: CStruct
    time: TimeMember
    found: list[Guess]
    known: bool = True


def describe_header(
    path: Path, name: str, wanted: str | None, sample: SampleFile | None, said: Corrections
) -> Described:
    """Describe the records of a struct of a header, and of a sample; UsageError if its times make no sense."""
    types = HeaderTypes.read(path)
    struct = types.find_struct(name)
    time = choose_time(struct, wanted)
    if sample is None:
        return Described(types, struct, time, [])
    found = guess_known(sample, struct.size, time, said)
    if not found:
        problem = f"{time.name} is no plausible time in records of {plural(struct.size, 'byte')}"
        advice = "name the field with --time or its epoch with --epoch, or compare the struct with the sample"
        raise UsageError(f"{problem}; {advice}", where=sample.name)
    clock = found[0].clock
    if not time.epoch.said or said.epoch:
        time = replace(time, epoch=Epoch(clock.epoch, clock.scale, said=said.epoch is not None))
    return Described(types, struct, replace(time, counts=clock.unit), found)


def describe_sample(sample: SampleFile, said: Corrections) -> Described:
    """Describe the records of a sample, of which only the time is known; UsageError if nothing is convincing."""
    found = guess_unknown(sample, said)
    if not found:
        lengths = (
            f"of {plural(said.record_bytes, 'byte')}" if said.record_bytes else f"of 4 to {LONGEST_RECORD:,} bytes"
        )
        clocks = (
            "s, ms, us or ns since 1970, 2000 or 1980-01-06 (GPS), days since 1858-11-17, or the week and ms of GPS"
        )
        tried = f"times since {said.epoch}" if said.epoch else clocks
        raise UsageError(
            f"no field of 4 or 8 bytes goes on like a time, in records {lengths} behind at most "
            f"{LONGEST_HEAD:,} bytes; tried were {tried}. Give its struct with --from-header, "
            "or what you know with --record-bytes, --head-bytes, --byte-order, --epoch or --time",
            where=sample.name,
        )
    best = found[0]
    parts = [(best.offset, "time_count", best.series.kind, 1)]
    if best.week is not None:
        parts.append((best.week, "week", "uint16", 1))
    struct = make_struct(list(fill_gaps(sorted(parts), best.series.length)))
    time = replace(
        choose_time(struct, "time_count"),
        epoch=Epoch(best.clock.epoch, best.clock.scale, said=said.epoch is not None),
        counts=best.clock.unit,
        likely=said.time_byte is not None,
        week="week" if best.week is not None else "",
    )
    return Described(name_types(f"{sample.name}, as it looks"), struct, time, found, known=False)


def describe_example() -> Described:
    """Describe the records of an example."""
    struct = make_struct([(0, "second", "uint32", 1), (4, "counts", "uint16", 4)])
    return Described(name_types("an example to be replaced"), struct, choose_time(struct), [])


def fill_gaps(parts: list[tuple[int, str, str, int]], length: int) -> Iterator[tuple[int, str, str, int]]:
    """Put bytes of unknown meaning between parts of a record."""
    end = 0
    for offset, name, kind, count in [*parts, (length, "", "uint8", 0)]:
        if offset > end:
            yield end, "before" if not end else "after" if offset == length else "between", "uint8", offset - end
        if count:
            yield offset, name, kind, count
        end = offset + np.dtype(kind).itemsize * count


def make_struct(parts: list[tuple[int, str, str, int]]) -> CStruct:
    """Make the struct of records of offset, name, type and number of their parts."""
    members = tuple(
        CMember(
            name,
            CType(kind, np.dtype(kind).itemsize, 1, ((count, ""),) if kind == "uint8" or count > 1 else ()),
            offset,
            number,
        )
        for number, (offset, name, kind, count) in enumerate(parts, 1)
    )
    offset, _, kind, count = parts[-1]
    return CStruct("records", members, offset + np.dtype(kind).itemsize * count, 1)


def name_types(origin: str) -> HeaderTypes:
    """Name what structs are from that no header has."""
    return HeaderTypes(CHeader(Path(origin)))


def draft_records(
    name: str, pattern: str, described: Described, sample: SampleFile | None, said: Corrections, *, python: bool
) -> InstrumentDraft:
    """Draft an instrument.

    Parameters
    ----------
    name : str
        Name of the instrument.
    pattern : str
        Pattern of the names of its sources.
    described : Described
        What its records are.
    sample : SampleFile, optional
        The sample.
    said : Corrections
        What of it is not guessed.
    python : bool
        Whether its sources are decoded in Python.
    """
    guess = described.found[0] if described.found else None
    head, order = (guess.head, guess.series.order) if guess else (0, "little")
    parts = described.struct, name, described.time, order
    if python:
        if head or described.time.week:
            what = "bytes in front of the first record" if head else "weeks in a field of their own"
            raise UsageError(f"the sample has {what}, which layouts have words for: leave out --python")
        layout = write_flat_layout(described.types, *parts)
        module = templates.write_python_module(name, pattern, list_flat(described.struct), *parts)
    else:
        guessed = list_guessed(said, known=described.known) if guess else ()
        layout = write_struct_layout(described.types, *parts, name=pattern, head=head, guessed=guessed)
        module = templates.write_module(name)
    size = described.struct.size
    if guess is None or sample is None:
        content, evidence = make_sample(described.struct, described.time), []
    else:
        damage = find_damage(guess, sample.content)
        content = cut_sample(sample.content, guess, damage)
        evidence = list(list_evidence(described.found, sample, damage, known=described.known))
    records = np.frombuffer(content, f"V{size}", offset=head)
    type_name = f"{name}.{described.struct.name}"
    return InstrumentDraft(layout, module, type_name, content, head, len(set(records.tolist())), evidence)


def list_guessed(said: Corrections, *, known: bool) -> list[str]:
    """List what of a layout is guessed from a sample."""
    guessed = {"order": said.byte_order is None, "head": said.head_bytes is None}
    return [word for word, unknown in guessed.items() if unknown] + ([] if known or said.record_bytes else ["size"])


def cut_sample(content: bytes, guess: Guess, damage: SampleDamage) -> bytes:
    """Cut whole records that are not damaged out of a sample, with what is in front of the first record."""
    length = guess.series.length
    most = max(1, (LARGEST_SAMPLE - guess.head) // length)
    start = guess.head + damage.intact.start * length
    stop = guess.head + min(damage.intact.stop, damage.intact.start + most) * length
    return content[: guess.head] + content[start:stop]


def make_sample(struct: CStruct, time: TimeMember) -> bytes:
    """Make records that are zero except for their times, one a minute."""
    clock = Clock(np.datetime64(f"{time.epoch.date}T00:00:00"), unit=time.unit, scale=time.epoch.scale)  # type: ignore[arg-type]
    content = np.zeros((MADE_RECORDS, struct.size), np.uint8)
    counts = [clock.number(EXAMPLE_TIME + np.timedelta64(STEP * number, "s")) for number in range(MADE_RECORDS)]
    form = np.dtype(time.member.type.kind).newbyteorder("<")
    content[:, time.offset : time.offset + form.itemsize] = np.array(counts, form)[:, np.newaxis].view(np.uint8)
    return content.tobytes()
