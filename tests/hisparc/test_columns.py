"""Values as sent → cells: the whole-column way and the plain way agree, and both follow the datastore's rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dayfile import Field
from dayfile_hisparc.columns import convert_column, convert_value, fill_cells

TYPES = ["bool", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
VALUES = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-70000, 70000),
    st.booleans(),
    st.floats(),
    st.floats(-70000, 70000),
    st.none(),
    st.sampled_from(["12", "-3", "abc", "", "1.5"]),
    st.binary(max_size=3),
)


@pytest.mark.parametrize(
    ("sent", "type_", "stored"),
    [
        (64537, "int16", -999),
        (65535, "int16", -1),
        (4294966297, "int32", -999),
        (4294967295, "int32", -1),
        (70000, "uint16", 4464),
        (-5, "uint32", 4294967291),
        (3.7, "int16", 3),
        (-3.99, "int16", -3),
        ("12", "int16", 12),
        (None, "bool", False),
        (2, "bool", True),
        (True, "int16", 1),
    ],
)
def test_values_are_stored_as_the_datastore_stored_them(sent, type_, stored):
    assert convert_value(sent, np.dtype(Field("x", type_).base)) == stored


def test_none_is_nan_in_a_float_column():
    assert math.isnan(convert_value(None, np.dtype("f4")))


@pytest.mark.parametrize("sent", [None, math.nan, math.inf, "abc", b"1", [1], {"a": 1}, (1,)])
def test_what_an_integer_column_cannot_hold_is_told_and_never_stored(sent):
    target = np.full(3, 7, np.int16)
    problems = fill_cells(target, [1, sent, 3], Field("pulseheights", "int16"))
    assert target.tolist() == [1, 7, 3]
    assert list(problems) == [1]
    assert "pulseheights" in problems[1]


@given(st.lists(VALUES, min_size=1, max_size=8), st.sampled_from(TYPES))
@example([1, 2**63], "int16")
@example([True, -(2**63) - 1], "uint32")
@example([], "int16")
def test_whole_columns_and_single_values_give_the_same_cells(values, type_):
    dtype = np.dtype(Field("x", type_).base)
    plain = np.zeros(len(values), dtype)
    bad = set()
    for place, value in enumerate(values):
        try:
            plain[place] = convert_value(value, dtype)
        except (TypeError, ValueError, OverflowError):
            bad.add(place)
    target = np.zeros(len(values), dtype)
    assert set(fill_cells(target, values, Field("x", type_))) == bad
    np.testing.assert_array_equal(target, plain)


@given(
    st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
        st.lists(st.floats(-(2.0**61), 2.0**61, width=32), min_size=1),
        st.lists(st.booleans(), min_size=1),
    ),
    st.sampled_from(TYPES),
)
def test_columns_of_one_number_type_take_the_whole_column_way(values, type_):
    assert convert_column(values, np.dtype(Field("x", type_).base)) is not None
