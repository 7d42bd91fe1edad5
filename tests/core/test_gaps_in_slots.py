"""Days with gaps: what is read has all records, in order, whether they miss one by one or for hours."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.archive.gathering import keep_rows

STRETCHES = st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(STRETCHES, st.sampled_from([1, 4, 12, 25]), st.booleans())
def test_rows_that_are_taken_are_those_of_a_plain_loop(stretches, itemsize, in_place):
    taken = np.repeat(*np.array(stretches, int).reshape(-1, 2).T).astype(bool)
    rows = np.random.default_rng(len(taken)).integers(0, 256, len(taken) * itemsize).astype(np.uint8)
    rows = rows.view(np.dtype((np.void, itemsize)))
    expected = [row.tobytes() for row, is_taken in zip(rows, taken, strict=True) if is_taken]
    out = rows[: len(expected)] if in_place else np.zeros(len(expected), rows.dtype)
    keep_rows(rows, taken, out)
    assert [row.tobytes() for row in out] == expected


def test_a_day_that_misses_hours_is_read_whole(archive, muon):
    slots = np.setdiff1d(np.arange(337), [*range(20), 100, *range(200, 260)])
    rows = [{"second": muon.start + 256 * int(slot) + 5, "quality": int(slot) % 200} for slot in slots]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    archive.run()
    assert archive.seconds("muon.rates") == (256 * slots + 5).tolist()
