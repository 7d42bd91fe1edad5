"""Records as frames again: the words of a layout turned round, for fixtures, simulations and round trips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.decoding.bodies import Bodies
from dayfile.decoding.plan import Plan, RecordForm, RecordKind
from dayfile.decoding.requirements import hold_all
from dayfile.model.datatype import DataType
from dayfile.stages.base import Columns
from dayfile.stages.parts import Nested, StructPart

__all__ = ["encode_frames"]


def encode_frames(data_type: DataType, records: npt.NDArray[Any], plan: Plan) -> bytes | None:
    """Encode records as a stream of frames, without what is in front of them in a file.

    Parameters
    ----------
    data_type : DataType
        What they are.
    records : structured array, shape (n,)
        The records.
    plan : Plan
        How sources become such records.

    Returns
    -------
    bytes or None
        None if the words cannot be turned round for this type: it has no frames of its own, samples or other records
        are in its frames, or its values do not say in which form it comes.
    """
    kind = next((kind for kind in plan.kinds if kind.data_type.type == data_type.type), None)
    if kind is None or not kind.forms or plan.lines is not None or data_type.blob_fields:
        return None
    if any(has_rows(form.parts) for form in kind.forms):
        return None
    framer = plan.framing.framers[plan.byte_order]
    content = Bodies.of(framer, plan.byte_order, natural=plan.natural)
    count = len(records)
    values = collect_values(kind, records)
    bodies: list[bytes | None] = [None] * count
    heads: Columns = {}
    for form in kind.forms:
        given = imply_values(form, values)
        chosen = np.array([body is None for body in bodies], bool) & hold_all(form.requirements, given, count)
        rows = np.flatnonzero(chosen)
        mine = {name: choose_rows(value, rows) for name, value in given.items()}
        for row, body in zip(rows.tolist(), content.write_bodies(form, mine, len(rows)), strict=True):
            bodies[row] = body
        spread_rows(heads, mine, rows, count)
    whole = [body for body in bodies if body is not None]
    return framer.join(whole, heads, {}) if len(whole) == count else None


def has_rows(parts: Iterable[StructPart]) -> bool:
    """Return whether records of another type are among the parts of a record."""
    return any(part.rows or has_rows(part.parts) for part in parts if isinstance(part, Nested))


def collect_values(kind: RecordKind, records: npt.NDArray[Any]) -> Columns:
    """Collect values of records by the names that they have in the source, with those of which times are made."""
    values: Columns = {}
    if kind.making is not None:
        values |= kind.making.take_apart(kind.data_type.count(records))
    for name in records.dtype.names or ():
        values[kind.names.get(name, name)] = records[name]
    return values


def imply_values(form: RecordForm, values: Mapping[str, Any]) -> dict[str, Any]:
    """Add the values that a form requires, where there is only one and no record has another."""
    implied = {condition.name: condition.only for condition in form.requirements if condition.only is not None}
    return {**implied, **values}


def choose_rows(value: Any, rows: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - an array or a single value
    """Return the rows of a column; a single value stays one."""
    return value[rows] if np.ndim(value) else value


def spread_rows(heads: Columns, values: Mapping[str, Any], rows: npt.NDArray[np.int64], count: int) -> None:
    """Put values of some rows into columns of all."""
    for name, value in values.items():
        array = np.asarray(value)
        shape = array.shape[1:] if array.ndim else ()
        column = heads.setdefault(name, np.zeros((count, *shape), array.dtype))
        column[rows] = array
