"""Numbers and texts of CSV and JSON lines are written as Python's own csv and json write them."""

from __future__ import annotations

import csv
import io
import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.export.numbers import format_numbers
from dayfile.export.text import join_cells, join_values
from dayfile.handover.columns import FieldColumn

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">u2", ">i4", "f2", "f4", "f8", ">f8"]


def expect(value, empty):
    """A number as Python writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return empty if value != value else repr(value)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_numbers_are_written_as_python_writes_them(dtype, data):
    values = data.draw(hnp.arrays(dtype, (4, 3)))
    missing = data.draw(hnp.arrays(bool, (4, 3)))
    # The shortest text of a float32 means another float64 than its bits.
    plain = values.astype(str).astype(float) if values.dtype == np.float32 else values
    expected = [expect(value, "-") for value in plain.ravel().tolist()]
    assert format_numbers(values, None, empty="-", infinite=True).ravel().tolist() == expected
    expected = ["-" if gone else text for text, gone in zip(expected, missing.ravel(), strict=True)]
    assert format_numbers(values, missing, empty="-", infinite=True).ravel().tolist() == expected


def test_infinity_is_missing_where_it_cannot_be_written():
    values = np.array([1.0, np.inf, -np.inf, np.nan])
    assert format_numbers(values, None, empty="null", infinite=False).tolist() == ["1.0", "null", "null", "null"]
    assert format_numbers(values, None, empty="", infinite=True).tolist() == ["1.0", "inf", "-inf", ""]


@given(st.lists(st.text() | st.text(',"\r\n ab'), min_size=1))
def test_texts_are_quoted_as_csv_and_json_quote_them(texts):
    column = FieldColumn("label", np.array(texts, object))
    lines = "".join(f"0,{cell}\n" for cell in join_cells(column))
    assert list(csv.reader(io.StringIO(lines, newline=""))) == [["0", text] for text in texts]
    if "\r" not in lines:  # which Python quotes from 3.13 on
        expected = io.StringIO()
        csv.writer(expected, lineterminator="\n").writerows([0, text] for text in texts)
        assert lines == expected.getvalue()
    assert join_values(column) == [json.dumps(text, ensure_ascii=False) for text in texts]


def test_arrays_are_cells_side_by_side_and_lists_in_lists():
    column = FieldColumn("grid", np.arange(12).reshape(2, 3, 2), np.arange(12).reshape(2, 3, 2) == 5)
    assert join_cells(column) == ["0,1,2,3,4,", "6,7,8,9,10,11"]
    assert join_values(column) == ["[[0,1],[2,3],[4,null]]", "[[6,7],[8,9],[10,11]]"]
