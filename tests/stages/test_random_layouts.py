"""Random layouts: both engines find the same in what they say, whole and damaged; and what is written is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dayfile import Batch, Instrument, Rejected, Remark, Source
from random_layouts import CHANGES, damage, layouts, make_source
from two_engines import compare

SLOW = settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))


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
    plan = instrument.layout.plan
    records = read_all(instrument, make_source(text, seed, count))
    for data_type in instrument.data_types():
        carried_to = plan.carried and data_type.type not in plan.carried[0].types
        if data_type.code not in records or carried_to:
            continue  # records that need what others tell are no source alone
        source = instrument.encode(data_type, records[data_type.code])
        if source is None:
            continue  # it would not be decoded to the same records
        name, written = source
        compare(text, name, written, instrument=instrument)
        again = read_all(instrument, written)[data_type.code]
        assert again.tobytes() == records[data_type.code].tobytes()
        assert instrument.encode(data_type, again) == source


def read_all(instrument, content):
    """Read the records of a source, by code."""
    found = {}
    for item in instrument.decode(Source(Path("a.bin"), "a.bin", content)):
        if isinstance(item, Batch):
            found.setdefault(item.code, []).append(item.records)
        else:
            assert isinstance(item, Rejected | Remark)
    return {code: np.concatenate(parts) for code, parts in found.items()}
