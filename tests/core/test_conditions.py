"""Conditions of ``where``: what they select, record by record, and what is not one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Instrument
from dayfile.errors import DayfileError, UsageError
from dayfile.model.conditions import parse_condition

LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1970-01-01T00:00:00}
path: "muon/{year}/{month:02}/{day:02}.h5"
node: /station_{station}/{type}
flags:
  quality: [{bit: 0x01, name: BAD_CLOCK}, {bit: 0x80, name: FILL}, {value: 3-5, name: MIDDLE}]
types:
  hits:
    code: Hit
    title: Hits
    store: append
    time: second
    fields:
      - {name: second, type: uint32}
      - {name: counts, type: int16, shape: [3]}
      - {name: grid, type: int8, shape: [2, 2]}
      - {name: energy, type: float32}
      - {name: good, type: bool}
      - {name: label, type: char, shape: [4]}
      - {name: quality, type: uint8}
      - {name: qualities, type: uint8, shape: [2]}
      - {name: big, type: uint64}
    flags:
      qualit*: quality
      good: [{value: 1, name: GOOD}]
"""
(HITS,) = Instrument(LAYOUT, "muon.yaml").data_types()
KEYS = ("station",)


def select(where, records, station=501):
    def look_up(name, *, stored=False):
        return station if name == "station" else records[name]

    return parse_condition(where, HITS, KEYS).holds(look_up, len(records)).tolist()


RECORDS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.tuples(*[st.integers(-9, 9)] * 3),
        st.tuples(*[st.tuples(*[st.integers(-3, 3)] * 2)] * 2),
        st.sampled_from([0.0, -1.5, 0.1, np.nan, np.inf, 7.0]),
        st.booleans(),
        st.sampled_from([b"", b"a", b"ab", b"abcd"]),
        st.sampled_from([0, 1, 0x80, 0x81, 4]),
        st.tuples(*[st.sampled_from([0, 1, 0x80, 3])] * 2),
        st.sampled_from([0, 2**63 + 1, 2**64 - 1]),
    ),
    max_size=8,
).map(lambda rows: np.array(rows, HITS.dtype))
NUMBERS = ("second", "counts[0]", "counts[2]", "grid[1,0]", "energy", "quality", "qualities[1]", "big", "good")
FLAGS = ("quality.BAD_CLOCK", "quality.FILL", "qualities[0].FILL", "qualities[1].MIDDLE", "good.GOOD", "GOOD")
CONSTANTS = st.sampled_from(["0", "1", "3", "-2", "0.1", "7.0", "4", "9223372036854775808"])
NUMBER = st.sampled_from(NUMBERS) | CONSTANTS
TEXT = st.sampled_from(["label", "'a'", "'ab'", "''", "'abcd'"])
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def compare(values):
    pair = st.tuples(values, OPERATORS, values)
    chain = st.tuples(values, OPERATORS, values, OPERATORS, values)
    return (pair | chain).map(" ".join)


MEMBERS = st.tuples(st.sampled_from(NUMBERS), st.sampled_from(["in", "not in"]), st.lists(CONSTANTS, max_size=3)).map(
    lambda parts: f"{parts[0]} {parts[1]} [{', '.join(parts[2])}]"
)
ATOMS = compare(NUMBER) | compare(TEXT) | MEMBERS | st.sampled_from([*FLAGS, "good", "True", "station in (7, 501)"])
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: (
        inner.map(lambda text: f"not ({text})")
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})")
    ),
    max_leaves=5,
)


def flags_of(value):
    return {"BAD_CLOCK": bool(value & 1), "FILL": bool(value & 0x80), "MIDDLE": 3 <= value <= 5}


def plainly(where, record, station):
    """Whether a condition holds for one record, by Python itself: flags and texts are made ready for it."""
    text = where
    for name in ("quality", "qualities[0]", "qualities[1]"):
        value = record["quality"] if name == "quality" else record["qualities"][int(name[-2])]
        for flag, there in flags_of(int(value)).items():
            text = text.replace(f"{name}.{flag}", str(there))
    text = text.replace("good.GOOD", str(bool(record["good"]))).replace("GOOD", str(bool(record["good"])))
    # Whole numbers are Python's own, which are exact; a float32 compares with a constant as its array does.
    values = {name: record[name] if name == "energy" else record[name].tolist() for name in record.dtype.names}
    values |= {"station": station, "grid": record["grid"]}
    values["label"] = bytes(record["label"]).decode()
    return bool(eval(text, {"__builtins__": {}, "True": True, "False": False}, values))  # noqa: S307 - our own text


@given(where=CONDITIONS, records=RECORDS, station=st.sampled_from([501, 8]))
@settings(max_examples=400, deadline=None)
def test_a_condition_selects_what_python_selects_record_by_record(where, records, station):
    assert select(where, records, station) == [plainly(where, record, station) for record in records]


def test_a_key_equals_a_text_or_a_number_as_in_a_call():
    records = np.zeros(2, HITS.dtype)
    for same in (
        "station == 501",
        "station == '501'",
        "station in ['501']",
        "'502' != station",
        "station in (7, '501')",
    ):
        assert select(same, records) == [True, True]
    for other in ("station == '0501'", "station != '501'", "station == 'roof'", "station in ('50', 7)"):
        assert select(other, records) == [False, False]
    assert select("station != 'roof'", records, "roof") == [False, False]
    assert select("station in ('roof', 7)", records, "roof") == [True, True]
    assert select("station == 7", records, "roof") == [False, False]


@pytest.mark.parametrize(("where", "station"), [("station < 5", "roof"), ("'400' <= station", 501)])
def test_neither_a_text_nor_a_number_is_less_than_the_other(where, station):
    with pytest.raises(UsageError, match=f"where: {where} compares a text with a number"):
        select(where, np.zeros(2, HITS.dtype), station)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "'' is not a condition; write one such as"),
        ("second >", r"'second >' cannot be parsed \(invalid syntax\); a condition has comparisons \(== != <"),
        ("second = 5", "a condition has comparisons"),
        ("second > 5 && good", "a condition has comparisons"),
        ("second > 5 & energy > 5", "5 & energy: write 'and'"),
        ("(second > 5) | good", r"\(second > 5\) \| good: write 'or'"),
        ("~good", "~good: write 'not'"),
        ("time > '2024'", "time is not a field: choose times by start and stop"),
        ("counts[0:2] > 5", r"\[0:2\] is not an element: write one number, counted from 0"),
        ("secnd > 5", r"muon\.hits has no field, key or flag 'secnd'; did you mean 'second'\?"),
        ("count[1] > 5", "'count'; did you mean 'counts'"),
        ("counts > 5", r"counts has elements: write one of counts\[0\] to counts\[2\]"),
        ("counts[3] > 5", r"write one of counts\[0\] to counts\[2\]"),
        ("grid[0] > 5", r"write one of grid\[0,0\] to grid\[1,1\]"),
        ("counts[-1] > 5", "is not an element: write one number, counted from 0"),
        ("counts[second] > 5", r"\[second\] is not an element"),
        ("second[0] > 5", "second is a single value, without elements"),
        ("second", "second is a value, not a condition: compare it, as in second > 0"),
        ("5", "5 is not a condition; a condition has comparisons"),
        ("second + 1 > 5", r"second \+ 1 is not in the grammar"),
        ("abs(second) > 5", r"abs\(second\) is not in the grammar"),
        ("__import__('os').system('true') == 0", "is not in the grammar"),
        ("[x for x in (1,)] == 5", "is not in the grammar"),
        ("second is 5", "'is' is not in the grammar; write =="),
        ("second in counts", "'in' needs a list of values"),
        ("second in [counts[0]]", r"numbers or texts, and counts\[0\] is neither"),
        ("label > 5", "compares a text with a number"),
        ("energy == 'a'", "compares a text with a number"),
        ("label in [5]", "compares a text with a number"),
        ("quality.FIL", "quality has no flag 'FIL'; did you mean 'FILL'"),
        ("quality.real.imag", "is not in the grammar"),
        ("station.FILL", "station has no flags"),
        ("FILL", r"FILL is a flag of 2 fields: write quality\.FILL"),
        ("second > 1; 5", "cannot be parsed"),
        ("second > 1 if good else good", "is not in the grammar"),
        ("lambda: 5", "is not in the grammar"),
        ("(second := 5) > 1", "is not in the grammar"),
        ("second > b'5'", "is not in the grammar"),
        ("second > 1j", "is not in the grammar"),
        ("x" * 3000, "a condition has at most 2000 letters"),
        ("second > 5\0", "cannot be parsed"),
        ("label == '\ud800'", "surrogates not allowed"),
        ("label == '\\ud800'", "surrogates not allowed"),
        (17, "17 is not a condition"),
    ],
)
def test_what_is_not_a_condition_is_refused_with_what_is(where, message):
    with pytest.raises(UsageError, match=message):
        parse_condition(where, HITS, KEYS)


@given(st.text(max_size=40) | st.text("()[].,'\"<>=! notandir0159_-+*:\n", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_condition_or_a_usage_error(text):
    try:
        condition = parse_condition(text, HITS, KEYS)
    except DayfileError:
        return
    condition.holds(lambda name: 501 if name == "station" else np.zeros(2, HITS.dtype)[name], 2)


def test_a_number_may_have_any_digits():
    digits = "1" + "0" * 400
    assert select(f"big < {digits} and energy < {digits} and not counts[0] < -{digits}", np.zeros(1, HITS.dtype)) == [
        True
    ]


@pytest.mark.parametrize("where", ["not " * 400 + "good", "(" * 500 + "good" + ")" * 500, "-" * 1000 + "1 > 0"])
def test_deep_nesting_ends_in_an_answer_or_a_usage_error(where):
    try:
        assert select(where, np.zeros(1, HITS.dtype)) in ([True], [False])
    except UsageError as error:
        assert "where: " in str(error)
