"""The way of the frames of a source to batches: tell types apart, read, carry values on, make times, put together."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.decoding.calls import call_for_columns
from dayfile.decoding.firsts import FIRST_TIME, NO_TIME, FirstTime
from dayfile.decoding.missing import describe_missing
from dayfile.decoding.plan import Carried, FrameReading, Plan, RecordForm, RecordKind
from dayfile.decoding.records import assemble, assemble_blobs, group_by_keys, require_key_values
from dayfile.decoding.rejecting import Rejecting
from dayfile.decoding.requirements import describe_values, hold_all
from dayfile.framing.reader import FramedBlock
from dayfile.messages import plural
from dayfile.model.batch import Batch, Rejected, Remark
from dayfile.stages.base import Columns, Frames, Stretch, Wrong
from dayfile.stages.structs import StructValues

__all__ = ["NO_TYPE", "SourceDecoding"]

FRAME_SIZE = "frame_size"
"""Name of the size of a frame, in conditions and sums."""
NO_TYPE = "unknown"
"""Code of records of no type."""


@dataclass
class TypeRows:
    """Frames of one form of a type in a block, with what was read of them.

    Parameters
    ----------
    kind, form
        What they are.
    places : array of int64, shape (n,)
        Which frames of the block.
    frames : Frames
        These frames.
    found : StructValues
        What was read of them.
    names : mapping of str to array
        Further values by name: of the frame, carried, of the file.
    wrong : Wrong
        Which are no records.
    """

    kind: RecordKind
    form: RecordForm
    places: npt.NDArray[np.int64]
    frames: Frames
    found: StructValues
    names: ChainMap[str, Any]
    wrong: Wrong


@dataclass(frozen=True)
class Located:
    """Frames of a block, with their places.

    Parameters
    ----------
    frames : Frames
        The frames.
    places : array of int64, shape (n,)
        Which they are among all frames of the block.
    numbers : array of int64, shape (n,)
        Which they are among all frames of the source.
    offset : int
        Where the block begins in the source.
    reading : FrameReading
        What reads them.
    """

    frames: Frames
    places: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    offset: int
    reading: FrameReading

    def select(self, places: npt.NDArray[np.int64]) -> Located:
        """Return those at some places."""
        if len(places) == len(self.places):
            return self
        return Located(self.frames.select(places), places, self.numbers[places], self.offset, self.reading)


@dataclass
class SourceDecoding:
    """A source that is being decoded, block by block.

    Parameters
    ----------
    plan : Plan
        How.
    name : str
        Name of the source.
    known : mapping of str to object
        Values of the file: of its head, and of its name.
    part : callable
        Returns bytes of the source, from an offset on.
    head : bytes
        What is in front of the first frame; put in front of rejected frames, so that they are a source again.
    """

    plan: Plan
    name: str
    known: dict[str, Any]
    part: Callable[[int, int], bytes]
    head: bytes = b""
    count: int = 0
    """Frames before the block, good or not."""
    row_counts: dict[str, int] = field(default_factory=dict)
    """Records so far of types that are rows of another."""
    carried: dict[str, Any] = field(default_factory=dict)
    """Latest values that are carried on."""
    rejecting: Rejecting = field(init=False)
    packet_counts: dict[int, int] = field(default_factory=dict)
    """Latest sequence counts by APID."""
    first_times: dict[str, int] = field(default_factory=dict)
    """Time of the first record of each type, in nanoseconds since 1970."""

    def __post_init__(self) -> None:
        self.rejecting = Rejecting(self.plan.instrument, self.name)

    def decode(self, piece: FramedBlock, reading: FrameReading) -> Iterator[Batch | Rejected | Remark]:
        """Decode the frames of a piece of the source."""
        frames, offset = piece.frames, piece.offset
        numbers = self.number_next(piece)
        yield from self._reject_stretches(piece)
        if not self.plan.ignores_between:
            yield from self._remark(piece.between)
        groups, others, heads = self.read(frames, reading)
        if self.plan.counts_packets and len(frames):
            for place, text in describe_missing(heads, frames, offset, self.packet_counts):
                yield Remark(self.plan.instrument, NO_TYPE, text, (int(numbers[place]),))
        block = Located(frames, np.arange(len(frames)), numbers, offset, reading)
        if reading.wrong is not None:
            yield from self._reject_rows(self.plan.only_code or NO_TYPE, block, reading.wrong)
        yield from self._reject_others(block, heads, others)
        self._carry_on(groups)
        for rows in groups:
            yield from self._finish(rows, block.select(rows.places))
        yield from self.rejecting.flush(reading.separator)

    def finish(self) -> Iterator[Batch | Rejected]:
        """Make the record of the head of the file, if it is one; when all frames are read."""
        kind = self.plan.head_kind
        if kind is None:
            return
        names = ChainMap[str, Any]({name: np.asarray(value)[None] for name, value in self.known.items()})
        wrong = Wrong.none(1)
        if isinstance(kind.making, FirstTime):
            names = names.new_child({FIRST_TIME: np.array([self.first_times.get(kind.making.type, NO_TIME)])})
        yield from self._make(kind, StructValues(), names, wrong, np.zeros(1, np.int64))
        for reason in wrong.reasons.values():
            head = np.frombuffer(self.head, np.uint8)
            yield from self._reject(kind.data_type.code, reason, head, Stretch(0, len(head)), 0, 0, b"")
        yield from self.rejecting.flush(b"")

    def read(self, frames: Frames, reading: FrameReading) -> tuple[list[TypeRows], npt.NDArray[np.bool_], Columns]:
        """Read the frames of each type; return them, which frames are of none, and what all frames have."""
        heads = reading.read_heads(frames, self.known)
        values: ChainMap[str, Any] = ChainMap(heads, {FRAME_SIZE: frames.lengths}, self.known)
        left = np.ones(len(frames), bool) if reading.wrong is None else ~reading.wrong.rows
        groups = []
        for kind in self.plan.kinds:
            for form in kind.forms:
                places = np.flatnonzero(
                    left & hold_all(form.requirements, values, len(frames)) if form.requirements else left
                )
                left[places] = False
                if len(places):
                    groups.append(self._read_rows(kind, form, frames, places, heads, reading))
        return groups, left, heads

    def _read_rows(
        self,
        kind: RecordKind,
        form: RecordForm,
        frames: Frames,
        places: npt.NDArray[np.int64],
        heads: Columns,
        reading: FrameReading,
    ) -> TypeRows:
        """Read the frames of one form of a type."""
        whole = len(places) == len(frames)
        own = frames if whole else frames.select(places)
        mine = heads if whole else {name: column[places] for name, column in heads.items()}
        names: ChainMap[str, Any] = ChainMap(mine, {FRAME_SIZE: own.lengths}, {}, self.known)
        found, wrong = reading.read_bodies(form, own, names, kind, places)
        if kind.call is not None:
            found.columns.update(call_for_columns(kind.call, names.new_child(found.columns), len(own)))
        return TypeRows(kind, form, places, own, found, names.new_child(found.columns), wrong)

    def number_next(self, piece: FramedBlock) -> npt.NDArray[np.int64]:
        """Number the frames of the next piece of the source, behind those that are numbered; rejected ones count."""
        numbers = np.arange(self.count, self.count + len(piece.frames))
        bad = np.array(sorted(stretch.start - piece.offset for stretch in piece.rejected), np.int64)
        if len(bad):
            numbers += np.searchsorted(bad, piece.frames.starts)
        self.count += len(piece.frames) + len(bad)
        return numbers

    def _reject_stretches(self, piece: FramedBlock) -> Iterator[Rejected]:
        """Reject what only looks like a frame."""
        before = self.count - len(piece.frames) - len(piece.rejected)
        covered, code = 0, self.plan.only_code or NO_TYPE
        for index, stretch in enumerate(sorted(piece.rejected, key=lambda each: each.start)):
            start, end = stretch.start - piece.offset, stretch.start - piece.offset + stretch.length
            number = before + index + int(np.searchsorted(piece.frames.starts, start))
            if self.rejecting.is_full:  # what claims overlap is kept once
                start = min(max(start, covered), end)
                covered = max(covered, end)
            here, block = Stretch(start, end - start), piece.frames.block
            yield from self._reject(code, stretch.reason, block, here, number, piece.offset, self.head)

    def _reject_rows(self, code: str, frames: Located, wrong: Wrong) -> Iterator[Rejected]:
        """Reject the frames that are wrong."""
        for row, reason in sorted(wrong.reasons.items()):
            yield from self._reject_frame(code, reason, frames, row, int(frames.numbers[row]))

    def _reject_frame(self, code: str, reason: str, frames: Located, row: int, number: int) -> Iterator[Rejected]:
        """Reject a frame, with what is in front of it in its file, so that it can be decoded alone."""
        stretch = Stretch(int(frames.frames.starts[row]), int(frames.frames.lengths[row]))
        head = self.head + frames.reading.make_head(int(frames.places[row]))
        return self._reject(code, reason, frames.frames.block, stretch, number, frames.offset, head)

    def _reject(
        self,
        code: str,
        reason: str,
        block: npt.NDArray[np.uint8],
        stretch: Stretch,
        number: int,
        offset: int,
        head: bytes,
    ) -> Iterator[Rejected]:
        """Reject some bytes, as a source of their own; what they claim may go on behind the block."""
        where, end = offset + stretch.start, stretch.start + stretch.length
        whole = end <= len(block)
        content = block[stretch.start : end].tobytes() if whole else self.part(where, stretch.length)
        return self.rejecting.reject(code, reason, number, where, head, content)

    def _remark(self, between: Sequence[Stretch]) -> Iterator[Remark]:
        """Tell of bytes that belong to no frame."""
        for stretch in between:
            text = f"{plural(stretch.length, 'byte')} from {stretch.start} on are of no frame, and left out"
            yield Remark(self.plan.instrument, NO_TYPE, text, (self.count,))

    def _reject_others(self, located: Located, heads: Columns, others: npt.NDArray[np.bool_]) -> Iterator[Rejected]:
        """Reject frames of no type, except those that are left out quietly."""
        if self.plan.ignores_others or not others.any():
            return
        frames = located.frames
        values: ChainMap[str, Any] = ChainMap(heads, {FRAME_SIZE: frames.lengths}, self.known)
        for conditions in self.plan.ignored:
            others = others & ~hold_all(conditions, values, len(frames))
        asked = dict.fromkeys(one.name for kind in self.plan.kinds for form in kind.forms for one in form.requirements)
        for place in np.flatnonzero(others).tolist():
            what = describe_values(asked, values, place)
            reason = f"no type has {what}" if what else "of no type"
            yield from self._reject_frame(NO_TYPE, reason, located, place, int(located.numbers[place]))

    def _carry_on(self, groups: Sequence[TypeRows]) -> None:
        """Give each record the values of earlier ones that hold for it."""
        for carried in self.plan.carried:
            if carried.first:
                if carried.name not in self.carried:
                    self.note_first(carried, groups)
                given = None
            else:
                given = find_carried(carried, groups)
            for rows in groups:
                if given is None:
                    if carried.name in self.carried:
                        rows.names.maps[3][carried.name] = self.carried[carried.name]
                    elif needs_carried(rows, carried.name):
                        rows.wrong.add(np.ones(len(rows.places), bool), f"no record tells {carried.name}")
                    continue
                places, values = given
                before = np.searchsorted(places, rows.places, side="right") - 1
                self._fill_carried(carried.name, rows, before, values)
            if given is not None and len(given[0]):
                self.carried[carried.name] = given[1][-1]

    def _fill_carried(self, name: str, rows: TypeRows, before: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> None:
        """Fill in a value of the record before, for each row; rows that need one and have none are wrong."""
        start = self.carried.get(name)
        if start is not None:
            column = np.concatenate([np.asarray([start], values.dtype if len(values) else None), values])[before + 1]
        else:
            rows.wrong.add(needs_carried(rows, name) & (before < 0), f"no record before it tells {name}")
            if not len(values):
                return
            column = values[np.maximum(before, 0)]
        rows.names.maps[3][name] = column

    def note_first(self, carried: Carried, groups: Sequence[TypeRows]) -> bool:
        """Note the first value of the file that is carried on, if these frames have one."""
        places, values = find_carried(carried, groups)
        if len(places):
            self.carried[carried.name] = values[0]
        return bool(len(places))

    def _finish(self, rows: TypeRows, frames: Located) -> Iterator[Batch | Rejected]:
        """Make records of what was read; rows of other types follow those that they are in."""
        yield from self._make(rows.kind, rows.found, rows.names, rows.wrong, frames.numbers)
        yield from self._reject_rows(rows.kind.data_type.code, frames, rows.wrong)
        for name, (found, owners) in rows.found.rows.items():
            kind = next(kind for kind in self.plan.kinds if kind.data_type.type == name)
            kept = ~rows.wrong.rows[owners]
            above = {name: value[owners] if np.ndim(value) else value for name, value in rows.names.items()}
            wrong = Wrong(~kept)
            first = self.row_counts.get(name, 0)
            self.row_counts[name] = first + len(owners)
            names: ChainMap[str, Any] = ChainMap(found.columns, above)
            yield from self._make(kind, found, names, wrong, first + np.arange(len(owners)))
            for row, reason in sorted(wrong.reasons.items()):
                yield from self._reject_frame(kind.data_type.code, reason, frames, int(owners[row]), first + row)

    def _make(
        self,
        kind: RecordKind,
        found: StructValues,
        names: ChainMap[str, Any],
        wrong: Wrong,
        numbers: npt.NDArray[np.int64],
    ) -> Iterator[Batch]:
        """Make batches of the records of a type that are good."""
        data_type, count = kind.data_type, len(numbers)
        values = names
        if kind.making is not None:
            times, odd = find_times(kind, names, count)
            wrong.add(odd.rows, odd.reasons.__getitem__)
            values = names.new_child({data_type.time: times})
        records = assemble(data_type, kind.names, values, count, wrong)
        timed = data_type.timed(records)
        if not timed.all():
            wrong.add(~timed, lambda row: data_type.why_untimed(records[row : row + 1]))
        require_key_values(data_type.placement.node.keys, values, count, wrong)
        good = np.flatnonzero(~wrong.rows)
        if not len(good):
            return
        if data_type.type not in self.first_times:
            first = data_type.clock.to_utc(data_type.find_begins(records[good[:1]]))
            self.first_times[data_type.type] = int(first[0].astype(np.int64))
        for keys, rows in group_by_keys(data_type.placement.node.keys, values, good):
            chosen = records if len(rows) == count else records[rows]
            blobs = assemble_blobs(data_type, found.blobs, chosen, rows)
            own = numbers if len(rows) == count else numbers[rows]
            yield Batch(self.plan.instrument, data_type.code, chosen, own, keys, blobs)


def needs_carried(rows: TypeRows, name: str) -> bool:
    """Return whether records of a type need a value that earlier ones tell, and nothing else has."""
    times = rows.kind.making.names if rows.kind.making is not None else ()
    needed = (*rows.kind.names.values(), *times, *rows.kind.data_type.placement.node.keys)
    return name in needed and name not in rows.names


def find_times(kind: RecordKind, names: Mapping[str, Any], count: int) -> tuple[npt.NDArray[np.int64], Wrong]:
    """Make the times of records; without a value that they need, all are wrong."""
    assert kind.making is not None  # noqa: S101 - for mypy
    missing = [name for name in kind.making.names if name not in names]
    if missing:
        wrong = Wrong.none(count)
        wrong.add(np.ones(count, bool), f"no time: nothing tells {', '.join(missing)}")
        return np.zeros(count, np.int64), wrong
    return kind.making.make({name: np.asarray(names[name]) for name in kind.making.names or names}, count)


def find_carried(carried: Carried, groups: Sequence[TypeRows]) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Find which frames of a block tell a value, in order, and the values."""
    places, values = [], []
    for rows in groups:
        if rows.kind.data_type.type in carried.types and carried.name in rows.found.columns:
            good = ~rows.wrong.rows
            places.append(rows.places[good])
            values.append(rows.found.columns[carried.name][good])
    if not places:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    joined, given = np.concatenate(places), np.concatenate(values)
    order = np.argsort(joined, kind="stable")
    return joined[order], given[order]
