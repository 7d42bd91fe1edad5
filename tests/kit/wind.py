"""An anemometer whose files are lines of text, and one that leaves out the lines that it cannot read."""

from __future__ import annotations

import numpy as np

from dayfile import Batch, Instrument, Rejected

LAYOUT = """\
instrument: wind
title: Wind on the roof
clock: {epoch: 1970-01-01T00:00:00, unit: s, undefined: [0]}
sources: []
path: "wind/{year}/{month:02}.{day:02}.h5"
types:
  speed:
    code: Speed
    title: Speed and direction
    store: append
    time: second
    fields:
      - {name: second, type: int64, unit: s}
      - {name: speed, type: float64, unit: m/s}
      - {name: direction, type: char, shape: [4]}
"""
HEAD = b"# wind v1\n"


def make_lines(first, count=200):
    """Make a file."""
    return HEAD + b"".join(b"%d,%.2f,%s\n" % (first + 10 * i, i / 7, (b"NNW", b"SE")[i % 2]) for i in range(count))


class Wind(Instrument):
    """Reads each line by itself; lines that begin with # are comments."""

    def __init__(self):
        super().__init__(LAYOUT, "wind.yaml")

    def decode(self, source):
        if source.part(0, len(HEAD)) != HEAD:
            return None
        (speed,) = self.layout.types
        rows, numbers, rejected = [], [], []
        lines = [line for line in source.content[len(HEAD) :].splitlines() if not line.startswith(b"#")]
        for number, line in enumerate(lines):
            try:
                rows.append(parse(line))
                numbers.append(number)
            except ValueError as error:
                content = HEAD + line + b"\n"
                rejected.append(Rejected("wind", "Speed", str(error), "RecordError", (number,), "rest.wind", content))
        return [Batch("wind", "Speed", np.array(rows, speed.dtype), np.array(numbers, np.int64)), *rejected]


def parse(line):
    """Parse a line; ValueError if it is none."""
    second, speed, direction = line.split(b",")
    if not 0 < int(second) < 2**32 or len(direction) > 4:
        raise ValueError("a time or a direction that cannot be")
    return int(second), float(speed), direction


class SilentWind(Wind):
    def decode(self, source):
        found = super().decode(source)
        return None if found is None else found[:1]
