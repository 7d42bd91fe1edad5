"""Gaps and totals are what they say, whatever the times of the records are."""

from __future__ import annotations

import sqlite3
from array import array
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.archive.catalogue_forms import change_form
from dayfile.archive.catalogue_rows import CatalogueRow, KeyCount, Publication
from dayfile.archive.gaps import HOUR, find_gaps, parse_length
from dayfile.archive.tallies import list_totals, write_day_file
from dayfile.errors import UsageError

START, STOP = np.datetime64("2024-05-01T00:00:00", "ns"), np.datetime64("2024-05-05T00:00:00", "ns")
SECONDS = st.lists(st.integers(0, 4 * 86400 - 1), max_size=60)


def count_days(times):
    """Rows of days as the catalogue gives them."""
    for day in np.unique(times.astype("datetime64[D]")):
        inside = times[times.astype("datetime64[D]") == day]
        hours = np.bincount((inside - day).astype("timedelta64[h]").astype(int), minlength=24)
        yield 0, str(day), int(inside.min().astype(np.int64)), int(inside.max().astype(np.int64)), *hours.tolist()


@given(SECONDS, st.integers(1, 30))
def test_every_gap_is_one_and_every_one_that_is_two_hours_longer_is_found(seconds, hours):
    times = START + np.sort(np.array(seconds, "timedelta64[s]"))
    longer_than = hours * HOUR
    gaps = find_gaps(list(count_days(times)), START, STOP, longer_than)
    for gap in gaps:
        assert gap["stop"] - gap["start"] >= longer_than
        assert not ((times > gap["start"]) & (times < gap["stop"])).any()
        # It is at most an hour longer at either side.
        before, after = times[times <= gap["start"]], times[times >= gap["stop"]]
        assert gap["start"] - (before.max() if len(before) else START) <= HOUR
        assert (after.min() if len(after) else STOP) - gap["stop"] <= HOUR
    for first, second in pairwise([START, *times, STOP]):
        if second - first >= longer_than + 2 * HOUR:
            assert ((gaps["start"] >= first) & (gaps["stop"] <= second)).sum() == 1


@pytest.mark.parametrize("length", ["5400 s", "90 min", "90min", timedelta(minutes=90), np.timedelta64(90, "m")])
def test_a_length_of_time_can_be_written_in_several_ways(length):
    assert parse_length(length) == np.timedelta64(5400, "s")


@pytest.mark.parametrize("length", ["", "90", "an hour", "-2 h", "1.5 h", "2 w"])
def test_what_is_no_length_of_time_is_refused(length):
    with pytest.raises(UsageError, match="is not a length of time; write a number and s, min, h or d"):
        parse_length(length)


KEYS = st.dictionaries(st.sampled_from(['{"station": 1}', '{"station": 2}', "{}"]), st.integers(1, 9), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["a.h5", "b.h5", "c.h5"]), st.integers(1, 9), KEYS), max_size=12))
def test_totals_are_the_sums_of_the_day_files_however_these_change(changes):
    connection = sqlite3.connect(":memory:")
    change_form(connection)
    now = {}
    for path, first, keys in changes:
        day = {"a.h5": "2024-05-01", "b.h5": "2024-05-02", "c.h5": "2024-05-03"}[path]
        begin = np.datetime64(day, "ns")
        counts = tuple(
            KeyCount(key, records, begin + first, begin + first + records, array("q", [records, *[0] * 23]))
            for key, records in sorted(keys.items())
        )
        row = CatalogueRow(path, "roof.hits", day, sum(keys.values()), None, None, counts)
        write_day_file(connection, path, Publication([row], None))
        now[path] = counts
    expected = {}
    for count in (count for counts in now.values() for count in counts):
        days, records, first, last = expected.get(count.key, (0, 0, count.first, count.last))
        expected[count.key] = (days + 1, records + count.records, min(first, count.first), max(last, count.last))
    query = "SELECT key, days, records, first, last FROM totals"
    found = {key: (days, records, *np.array(span, "M8[ns]")) for key, days, records, *span in connection.execute(query)}
    assert found == expected
    assert len(list_totals(connection, "roof.hits")) == len(expected)
    connection.close()
