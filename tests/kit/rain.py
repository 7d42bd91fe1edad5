"""A rain gauge as a stranger would write it: a format of its own, decoded by Python. Public names only."""

from __future__ import annotations

from functools import partial

import numpy as np

from dayfile import Batch, Blocks, Instrument, RecordError, Rejected, hookimpl

LAYOUT = """\
instrument: rain
title: Rain gauge
clock: {epoch: 1970-01-01T00:00:00, unit: s, undefined: [0]}
structs: {byte_order: little, alignment: packed}
sources: []
path: "rain/{year}/rain.{year}.{month:02}.{day:02}.h5"
types:
  level:
    code: Level
    title: Level of the water
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: level, type: float32, unit: mm}
"""
HEAD = b"RAIN\0\0\0\1"
RAW = np.dtype([("second", "<u4"), ("level", "<f4"), ("check", "<u4")])
DAY = 1_714_521_600


def compute_checks(second, level):
    """Compute the checksum of each record."""
    return second ^ level.view("<u4") ^ np.uint32(0x5A5A5A5A)


def write_file(second, level):
    """Make the content of a file."""
    raw = np.zeros(len(second), RAW)
    raw["second"], raw["level"] = second, level
    raw["check"] = compute_checks(raw["second"], np.ascontiguousarray(raw["level"]))
    return HEAD + raw.tobytes()


def make_sample(first=DAY + 80_000, count=400, step=60):
    """Make a file of some hours, with midnight among them."""
    second = first + step * np.arange(count)
    return write_file(second, np.sin(second / 5000))


class Rain(Instrument):
    """The good plugin: each bad one changes one thing of it."""

    def __init__(self):
        super().__init__(LAYOUT, "rain.yaml")

    @hookimpl
    def decode(self, source):
        if source.part(0, len(HEAD)) != HEAD:
            return None
        return Blocks(partial(self.read, source))

    def read(self, source):
        for offset, block in source.blocks(start=len(HEAD), step=RAW.itemsize):
            count, rest = divmod(len(block), RAW.itemsize)
            raw = np.frombuffer(block, RAW, count)
            first = (offset - len(HEAD)) // RAW.itemsize
            good = (compute_checks(raw["second"], np.array(raw["level"])) == raw["check"]) & (raw["second"] != 0)
            yield self.make_batch(raw[good], np.flatnonzero(good) + first)
            for place in np.flatnonzero(~good).tolist():
                yield self.reject("the checksum is wrong", first + place, raw[place : place + 1].tobytes())
            if rest:
                yield self.reject("the record is cut off", first + count, bytes(block[-rest:]))

    def make_batch(self, raw, numbers):
        (level,) = self.layout.types
        records = np.zeros(len(raw), level.dtype)
        records["second"], records["level"] = raw["second"], raw["level"]
        return Batch("rain", "Level", records, numbers)

    def reject(self, reason, number, content):
        offset = len(HEAD) + number * RAW.itemsize
        return Rejected("rain", "Level", reason, RecordError.__name__, (number,), "rest.rain", HEAD + content, offset)

    @hookimpl
    def encode(self, data_type, records):
        return "put.rain", write_file(records["second"], records["level"])

    @hookimpl
    def simulate(self, day, seed, directory):
        rng = np.random.default_rng(seed)
        second = (day - np.datetime64("1970-01-01")).astype(int) * 86400 + np.sort(rng.integers(1, 86400, 300))
        path = directory / "day.rain"
        path.write_bytes(write_file(second, rng.random(300)))
        return [path]
