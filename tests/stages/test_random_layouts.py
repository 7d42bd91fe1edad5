"""Random layouts: both engines find the same in what they say, whole and damaged; and what is written is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dayfile import Batch, Instrument, Rejected, Remark, Source
from dayfile.decoding.encoding import encode_frames
from dayfile.errors import RecordError
from random_layouts import CHANGES, damage, layouts, make_source
from two_engines import compare

SLOW = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@SLOW
@given(
    text=layouts(),
    seed=st.integers(0, 2**32),
    count=st.integers(0, 12),
    changes=st.just([]) | CHANGES,
    size=st.integers(1, 200),
)
def test_random_layouts_give_the_same_in_both_engines_whole_and_damaged(text, seed, count, changes, size):
    content = damage(make_source(text, seed, count), changes, 8)
    compare(text, "a.bin", content, (2**19, size), Instrument(text, "layout.yaml"))


@SLOW
@given(text=layouts(), seed=st.integers(0, 2**32), count=st.integers(1, 8))
def test_records_that_are_written_are_read_as_they_were_by_both_engines(text, seed, count):
    instrument = Instrument(text, "layout.yaml")
    plan, head = instrument.layout.plan, make_source(text, seed, 0)
    known = {"serial": int.from_bytes(head[:2], plan.byte_order)} if head else {}
    records = read_all(instrument, make_source(text, seed, count))
    for data_type in instrument.data_types():
        carried_to = plan.carried and data_type.type not in plan.carried[0].types
        if data_type.code not in records or carried_to:
            continue  # records that need what others tell are no source alone
        try:
            written = encode_frames(data_type, records[data_type.code], plan, known)
        except RecordError as error:
            assert "nothing tells" in str(error)
            continue
        if written is None:
            continue
        compare(text, "a.bin", head + written, instrument=instrument)
        again = read_all(instrument, head + written)
        for name in data_type.dtype.names:  # NaN is NaN in single fields only
            np.testing.assert_array_equal(again[data_type.code][name], records[data_type.code][name])
        assert encode_frames(data_type, again[data_type.code], plan, known) == written


def read_all(instrument, content):
    """Read the records of a source, by code."""
    found = {}
    for item in instrument.decode(Source(Path("a.bin"), "a.bin", content)):
        if isinstance(item, Batch):
            found.setdefault(item.code, []).append(item.records)
        else:
            assert isinstance(item, Rejected | Remark)
    return {code: np.concatenate(parts) for code, parts in found.items()}
