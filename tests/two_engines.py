"""A source decoded by both engines: the vectorised one of a layout, and the plain one; they must say the same."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from dayfile import Batch, Instrument, Rejected, Source
from dayfile.formats.framed import read_records
from dayfile.framing.matching import recognise
from dayfile.framing.reader import BLOCK_SIZE
from dayfile.messages import plural
from plain_decoding import decode_plainly


def plain_value(value):
    """A value as the plain engine has it; one NaN is like another."""
    if isinstance(value, list | tuple):
        return [plain_value(each) for each in value]
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def decode(instrument, name, content, size=BLOCK_SIZE):
    """Decode by a layout, in blocks of a size: records by type in order, rejected, and remarks."""
    source, plan = Source(Path(name), name, content), instrument.layout.plan
    match = recognise(source, plan.patterns)
    types = {data_type.code: data_type for data_type in instrument.data_types()}
    rows, records, rejected, remarks = instrument_rows(plan), {}, [], []
    for item in read_records(source, plan, match, size):
        if isinstance(item, Rejected):
            rejected.append(item)
        elif isinstance(item, Batch):
            kind = types[item.code]
            numbers = [0] * len(item.records) if kind.type in rows else item.numbers.tolist()
            for place, (number, record) in enumerate(zip(numbers, item.records, strict=True)):
                values = {field: plain_value(record[field].tolist()) for field in kind.dtype.names}
                records.setdefault(kind.type, []).append((number, int(item.numbers[place]), dict(item.keys), values))
        else:
            remarks.append(item.text)
    ordered = {
        name: [(number, keys, values) for number, _, keys, values in sorted(found, key=lambda each: each[:2])]
        for name, found in records.items()
    }
    return ordered, rejected, remarks


def instrument_rows(plan):
    return {kind.data_type.type for kind in plan.kinds if not kind.forms}


def compare(text, name, content, sizes=(BLOCK_SIZE,), instrument=None):
    """Check that both engines find the same in a source, that it adds up, and return what the plain one finds."""
    instrument = instrument or Instrument(text, "layout.yaml")
    plain = decode_plainly(text, name, content)
    expected = {
        kind: [
            (one.number, one.keys, {field: plain_value(value) for field, value in one.values.items()}) for one in found
        ]
        for kind, found in plain.records.items()
    }
    for size in sizes:
        records, rejected, remarks = decode(instrument, name, content, size)
        places = sorted((each.offset, len(each.content) - plain.head) for each in rejected)
        assert places == sorted(plain.rejected)
        for each in rejected:
            assert each.content[plain.head :] == content[each.offset : each.offset + len(each.content) - plain.head]
        assert records.keys() == expected.keys()
        for kind, found in expected.items():
            assert records[kind] == found
        if not instrument.layout.plan.ignores_between:
            told = [text for text in remarks if "are of no frame" in text]
            assert told == [
                f"{plural(length, 'byte')} from {start} on are of no frame, and left out"
                for start, length in plain.between
            ]
    add_up(plain, len(content))
    return plain


def add_up(plain, size):
    """Check that each byte of a source belongs to something, and no frame to another."""
    covered, framed = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for start, length in plain.frames + plain.ignored:
        framed[start : start + length] += 1
    for start, length in plain.rejected + plain.between + plain.around + [(0, plain.head)]:
        assert 0 <= start <= start + length <= size
        covered[start : start + length] += 1
    assert framed.max(initial=0) <= 1
    assert (covered + framed).min(initial=1) >= 1
