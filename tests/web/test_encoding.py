"""Binary of HAPI: columns that are next to each other in memory are converted together, to the same bytes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.web.encoding import BinaryEncoder, join_neighbours
from dayfile.web.parameters import Parameter

FORMS = ["<u1", "<i1", "<u2", "<i4", "<u4", "<f4", "<f8", "S3"]
KINDS = {"u": "integer", "i": "integer", "f": "double", "S": "string"}
FIELD = st.tuples(st.sampled_from(FORMS), st.sampled_from([(), (1,), (3,), (2, 2)]))
CHOICE = st.sampled_from(["field", "copy", "gaps"])


@st.composite
def columns(draw):
    """Some columns of records, fields of one array or arrays of their own, in any order."""
    fields = draw(st.lists(FIELD, min_size=1, max_size=8))
    form = np.dtype([(f"f{place}", *field) for place, field in enumerate(fields)])
    count = draw(st.integers(1, 5))
    rows = np.frombuffer(draw(st.binary(min_size=count * form.itemsize, max_size=count * form.itemsize)), form)
    made = {
        "field": lambda name: rows[name],
        "copy": lambda name: rows[name].copy(),
        "gaps": lambda name: np.repeat(rows[name], 2, axis=0)[::2],
    }
    names = draw(st.lists(st.sampled_from(form.names), min_size=1, max_size=10) | st.just(list(form.names)))
    return [made[draw(CHOICE)](name) for name in names]


@settings(max_examples=400, deadline=None)
@given(columns())
def test_columns_that_are_joined_have_the_bytes_of_those_that_are_not(given_columns):
    parameters = []
    for place, column in enumerate(given_columns):
        kind = KINDS[column.dtype.kind]
        read = lambda records, place=place: records.columns[place]  # noqa: E731
        parameters.append(Parameter(str(place), (), kind, read, 3, column.shape[1:]))
    count = len(given_columns[0])

    class Table(SimpleNamespace):
        def __len__(self):
            return count

    with np.errstate(invalid="ignore"):
        expected = b"".join(
            np.asarray(column[row]).astype(parameter.dtype).tobytes()
            for row in range(count)
            for column, parameter in zip(given_columns, parameters, strict=True)
        )
        found = BinaryEncoder(parameters, None).encode(Table(columns=given_columns), first=False)
    assert bytes(found) == expected


def test_fields_of_one_type_are_joined():
    rows = np.zeros(4, [("a", "u1"), ("b", "u1", (2,)), ("c", "<u4"), ("d", "<u4"), ("e", "u1")])
    joined = join_neighbours([(rows[name], np.dtype("<i4" if name in "abe" else "<f8")) for name in "abcde"])
    assert [values.shape for values, _ in joined] == [(4, 3), (4, 2), (4,)]
