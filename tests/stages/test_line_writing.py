"""Lines that were written from columns are read as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.lines.line_reader import LineReader
from dayfile.lines.lines import LineForm
from dayfile.lines.numbers import TextColumn
from line_writing import write_lines

COLUMNS = [
    TextColumn("event", "uint64"),
    TextColumn("env.low", "int8"),
    TextColumn("adc", "float32"),
    TextColumn("env.temp", "float64"),
    TextColumn("ok", "bool"),
    TextColumn("note", "char", (24,)),
]
NAMES = tuple(column.name for column in COLUMNS)
words = st.text("abcäö.:#-", min_size=1, max_size=6).map(str.encode)
texts = st.text('ab, "=;#\\x\t\x01ß', max_size=6).map(str.encode)
rows = st.tuples(
    st.integers(0, 2**64 - 1),
    st.integers(-128, 127),
    st.floats(width=32, allow_infinity=False) | st.just(float("nan")),
    st.floats(allow_infinity=False),
    st.booleans(),
)


def make_columns(values, notes):
    """Columns of these rows."""
    whole = [(*row, note) for row, note in zip(values, notes, strict=False)]
    arrays = [np.array(each, column.dtype) for each, column in zip(zip(*whole, strict=True), COLUMNS, strict=False)]
    return dict(zip(NAMES, arrays, strict=False))


def check_round_trip(form, columns):
    """Check that lines of these columns are read as the same columns, every bit of them but those of NaN."""
    content = np.frombuffer(write_lines(form, columns), np.uint8)
    values, wrong = LineReader(form).read(content, last=True).parts.read(COLUMNS)
    assert wrong.reasons == {}
    for name, column in columns.items():
        odd = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
        assert values[name][~odd].tobytes() == column[~odd].tobytes(), name
        if odd.any():
            assert np.isnan(values[name][odd]).all()


@given(st.lists(rows, min_size=1, max_size=5), st.lists(texts, min_size=5, max_size=5))
@pytest.mark.parametrize(
    "form",
    [
        LineForm(NAMES, separator=","),
        LineForm(NAMES, separator="\t"),
        LineForm(None, separator=";"),
        LineForm(form="json"),
    ],
    ids=str,
)
def test_what_was_written_is_read_as_it_was(form, values, notes):
    check_round_trip(form, make_columns(values, notes))


@given(st.lists(rows, min_size=1, max_size=5), st.lists(words, min_size=5, max_size=5))
@pytest.mark.parametrize("form", [LineForm(NAMES), LineForm(None), LineForm(form="pairs")], ids=str)
def test_words_between_blanks_are_read_as_they_were(form, values, notes):
    check_round_trip(form, make_columns(values, notes))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (LineForm(("a",)), b""),
        (LineForm(("a",)), b"a b"),
        (LineForm(("a",)), b"# a"),
        (LineForm(("a",), separator=","), b"a\nb"),
        (LineForm(("a",), separator=","), b"a\r"),
        (LineForm(("a",), separator=","), b""),
        (LineForm(("a",), comments=("a",)), b"ab"),
    ],
)
def test_a_text_that_a_line_cannot_have_is_not_written(form, text):
    with pytest.raises(ValueError, match="cannot be"):
        write_lines(form, {"a": np.array([text])})


def test_times_that_are_kept_as_texts_are_numbers_of_json_again():
    columns = {"t": np.array([b"1714607992.2610"]), "hv": np.array([[1.5, np.nan]], np.float32)}
    assert write_lines(LineForm(form="json"), columns, numbers=["t"]) == b'{"t":1714607992.2610,"hv":[1.5,null]}\n'
