"""The index of rows by hash answers as a plain dict of lists would."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.stores.index import RowIndex

# Few hashes, many of them wanting the same place: multiples of 128 all start at place 0 of the first table.
hashes = (
    st.integers(0, 20)
    | st.integers(0, 30).map(lambda number: number * 128)
    | st.integers(2**64 - 200, 2**64 - 1)
    | st.integers(0, 2**64 - 1)
)
batches = st.lists(st.lists(hashes, max_size=60), max_size=8)


def as_array(numbers):
    return np.array(numbers, np.uint64)


@settings(max_examples=200)
@given(batches, st.lists(hashes, max_size=20))
def test_every_row_is_found_by_its_hash_and_no_other_is(added, asked):
    index, model = RowIndex(), defaultdict(list)
    row = 0
    for batch in added:
        index.add(as_array(batch))
        for hash_ in batch:
            model[hash_].append(row)
            row += 1
        questions = asked + batch
        assert index.holds(as_array(questions)).tolist() == [hash_ in model for hash_ in questions]
    for hash_ in [*model, *asked]:
        assert index.find_rows(hash_) == model.get(hash_, [])


@given(st.lists(hashes, max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_the_split_into_batches_changes_no_answer(numbers, cuts):
    whole, split = RowIndex(), RowIndex()
    whole.add(as_array(numbers))
    for part in np.split(as_array(numbers), sorted(min(cut, len(numbers)) for cut in cuts)):
        split.add(part)
    for hash_ in set(numbers):
        assert whole.find_rows(hash_) == split.find_rows(hash_)


@pytest.mark.parametrize("count", [63, 64, 65, 85, 86, 127, 128, 129, 5000])
def test_the_index_grows_with_what_it_holds(count):
    index = RowIndex()
    numbers = np.random.default_rng(1).integers(0, 2**64, count, np.uint64, endpoint=False)
    index.add(numbers)
    assert index.holds(numbers).all()
    assert not index.holds(~numbers).any()
    assert [index.find_rows(int(number)) for number in numbers] == [[row] for row in range(count)]


def test_one_hash_can_have_many_rows():
    index = RowIndex()
    for _ in range(3):
        index.add(np.full(100, 128, np.uint64))
    index.add(as_array([0]))
    assert index.find_rows(128) == list(range(300))
    assert index.find_rows(0) == [300]


def test_an_empty_index_holds_nothing():
    index = RowIndex()
    index.add(as_array([]))
    assert index.holds(as_array([0, 2**64 - 1])).tolist() == [False, False]
    assert index.holds(as_array([])).tolist() == []
    assert index.find_rows(0) == []


def test_a_row_costs_a_third_of_what_a_dict_takes_also_after_growing_in_small_steps():
    index = RowIndex()
    for start in range(0, 150_000, 10_000):
        index.add(np.arange(start, start + 10_000, dtype=np.uint64))
        assert start < 50_000 or (index.hashes.nbytes + index.places.nbytes) / index.count <= 48
