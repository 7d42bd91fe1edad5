"""Frames found in the plainest way: byte by byte, field by field, the whole source at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dayfile.framing.reader import read_frames
from dayfile.model.batch import Source


@dataclass(frozen=True)
class Words:
    """Fields of a struct, without padding, as a NumPy dtype: the plainest Reading and StructWriting."""

    dtype: np.dtype

    @property
    def size(self):
        return self.dtype.itemsize

    def read(self, block, starts, known):
        raw = block[starts[:, None] + np.arange(self.size)]
        structs = np.ascontiguousarray(raw).view(self.dtype).reshape(len(starts))
        return {name: structs[name].astype(structs[name].dtype.newbyteorder("=")) for name in self.dtype.names}

    def write(self, columns, count):
        structs = np.zeros(count, self.dtype)
        for name in columns.keys() & set(self.dtype.names):
            structs[name] = columns[name]
        return structs.view(np.uint8).reshape(count, self.size)


@dataclass
class Found:
    """What is found in a source: good frames, rejected ones, and stretches between, as (offset, length)."""

    frames: list
    rejected: list
    between: list


def measure_plainly(shape, content, start, known):
    """Return the size that a frame claims: None if its fields are cut."""
    if start + shape.lead > len(content):
        return None
    values = dict(known)
    if shape.fields:
        at = start + len(shape.sync)
        struct = np.frombuffer(content[at : at + shape.fields.size], shape.fields.dtype)[0]
        values |= {name: int(struct[name]) for name in shape.fields.dtype.names}
    return eval(shape.size.text, {}, values)  # noqa: S307 - a sum of the test


def is_sealed(check, frame):
    """Whether a frame has the right checksum, computed byte by byte."""
    if check is None:
        return True
    size = check.checksum.size
    end = len(frame)
    start, stop, at = (place if place >= 0 else end + place for place in (check.start, check.stop, check.at))
    return check.checksum.compute(frame[start:stop]) == int.from_bytes(frame[at : at + size], check.order)


def find_synced(shape, content, known=None):
    """Find frames that begin with a sync: behind a good one, else directly behind the sync."""
    frames, rejected, place = [], [], 0
    while (start := content.find(shape.sync, place)) >= 0:
        size = measure_plainly(shape, content, start, known or {})
        place = start + len(shape.sync)
        if size is None or (shape.minimum <= size <= shape.longest and start + size > len(content)):
            rejected.append((start, len(content) - start, "incomplete"))
        elif not shape.minimum <= size <= shape.longest:
            rejected.append((start, shape.lead, "impossible size"))
        elif not is_sealed(shape.check, content[start : start + size]):
            rejected.append((start, size, "wrong checksum"))
        else:
            frames.append((start, size))
            place = start + size
    return Found(frames, rejected, find_gaps(frames, rejected, len(content)))


def find_sized(shape, content, known=None):
    """Find frames that follow each other."""
    frames, rejected, place = [], [], 0
    while place < len(content):
        size = measure_plainly(shape, content, place, known or {})
        if size is None or (shape.minimum <= size <= shape.longest and place + size > len(content)):
            rejected.append((place, len(content) - place, "incomplete"))
            break
        if not shape.minimum <= size <= shape.longest:
            rejected.append((place, len(content) - place, "impossible size"))
            break
        if is_sealed(shape.check, content[place : place + size]):
            frames.append((place, size))
        else:
            rejected.append((place, size, "wrong checksum"))
        place += size
    return Found(frames, rejected, find_gaps(frames, rejected, len(content)))


def find_gaps(frames, rejected, size):
    """Return the stretches that neither frames nor rejected ones cover."""
    free = np.ones(size + 2, np.int8)
    free[0] = free[-1] = 0
    for start, length, *_ in [*frames, *rejected]:
        free[start + 1 : start + 1 + length] = 0
    edges = np.flatnonzero(np.diff(free))
    return [(int(start), int(end - start)) for start, end in edges.reshape(-1, 2)]


def find(framer, content, size=2**20, known=None, offset=0):
    """Find frames by a framer, in blocks of a size; as plain places in the source."""
    found = Found([], [], [])
    source = Source(Path("source"), "source", content)
    for piece in read_frames(source, framer, known or {}, offset=offset, size=size):
        starts = (piece.frames.starts + piece.offset).tolist()
        found.frames += zip(starts, piece.frames.lengths.tolist())
        found.rejected += [(each.start, each.length, each.reason) for each in piece.rejected]
        found.between += [(each.start, each.length) for each in piece.between]
    return found
