"""Curves of records: one for each field, element and key, and where its gaps are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.handover.columns import FieldColumn, RecordTable, iterate_columns
from dayfile.messages import plural, suggest
from dayfile.model.datatype import DataType, Field
from dayfile.model.plot_default import has_element, split_element
from dayfile.plots.figures import COLOURS

__all__ = [
    "Curve",
    "choose_fields",
    "find_limits",
    "find_longest_step",
    "group_by_panel",
    "guess_fields",
    "list_curves",
    "split_by_key",
]

MOST_FIELDS = 4
"""Fields that are drawn where nobody chose any."""
MOST_PANELS = 8
PERIODS_TO_A_GAP = 1.5
FAR = 20
"""A value is not drawn if its distance to the middle half of all values is more than n times their range."""
STEPS_TO_A_GAP = 20
"""How many times the usual step between records at irregular times makes a gap."""


@dataclass(frozen=True)
class Curve:
    """Values of one field or element of one key, in time order.

    Parameters
    ----------
    label : str
        What a legend says of it.
    field : Field
        Its field.
    times : array of datetime64[ns], shape (n,)
        When.
    values : array of float, shape (n,)
        NaN where nothing was measured.
    """

    label: str
    field: Field
    times: npt.NDArray[np.datetime64]
    values: npt.NDArray[Any]


def choose_fields(data_type: DataType, wanted: Sequence[str]) -> list[str]:
    """Choose the fields to draw: those that are wanted, or the first that look like measurements.

    Raises
    ------
    UsageError
        There are none.
    """
    found = list(wanted) or guess_fields(data_type)
    if not found:
        raise UsageError(f"no field of {data_type.name} looks like a measurement; choose with fields, or kind 'rates'")
    return found


def guess_fields(data_type: DataType) -> list[str]:
    """Guess the fields that are worth drawing: the first few that look like measurements."""
    timing = {*data_type.timing.field_names, data_type.end}
    found = [
        field.name
        for field in data_type.fields
        if field.base.kind in "iuf"
        and not (field.blob or field.counter or field.name in timing or field.unit in ("s", "us", "ns"))
        and not any(flag.kind == "bit" and flag.applies_to(field) for flag in data_type.flags)
        and np.prod(field.array_shape, dtype=int) <= len(COLOURS)
    ]
    return found[:MOST_FIELDS]


def list_curves(records: RecordTable, fields: Sequence[str]) -> list[Curve]:
    """List the curves of fields: one for each element, and for each key of the records.

    Raises
    ------
    UsageError
        A field does not exist or is not a number, or the curves are too many for a picture.
    """
    known = {field.name: field for field in records.data_type.fields}
    matches = [find_element(text, known, records.data_type.name) for text in fields]
    columns = {column.name: column for column in iterate_columns(records, blobs=False)}
    times = records.times
    groups = list(split_by_key(records))
    curves = []
    for name, places in matches:
        check_number(known[name], len(places) * len(groups))
        values = columns[name].fill_with_nan().astype(float)
        for key, rows in groups:
            for place in places:
                label = " ".join(filter(None, (key, label_element(records.data_type, columns[name], place))))
                element = values[rows].reshape(int(rows.sum()), -1)[:, list_places(known[name]).index(place)]
                curves.append(Curve(label, known[name], times[rows], element))
    return curves


def check_number(field: Field, curves: int) -> None:
    """Check that the curves of a field can be distinguished."""
    if curves > len(COLOURS):
        raise UsageError(
            f"{field.name} gives {plural(curves, 'curve')}, and a picture can show {len(COLOURS)} clearly; "
            f"choose elements, such as {field.name}[0], or a key"
        )


def find_element(text: str, known: dict[str, Field], owner: str) -> tuple[str, list[tuple[int, ...]]]:
    """Find a field by its name, ``hp`` or ``hp[0]``, and which of its elements are meant: all, or that one."""
    name, place = split_element(text)
    if name not in known:
        raise UsageError(f"{owner} has no field {name!r}{suggest(name, known)}")
    field = known[name]
    if field.base.kind not in "biuf" or field.blob:
        raise UsageError(f"{name} of {owner} is {'a blob' if field.blob else field.type}, which has no axis")
    if place is None:
        return name, list_places(field)
    if not has_element(field.array_shape, place):
        raise UsageError(f"{name} of {owner} has no element {list(place)}; its shape is {list(field.array_shape)}")
    return name, [place]


def list_places(field: Field) -> list[tuple[int, ...]]:
    """List the places of the elements of a field, in their order in memory; of a single value, one empty place."""
    return list(np.ndindex(field.array_shape))


def label_element(data_type: DataType, column: FieldColumn, place: tuple[int, ...]) -> str:
    """Label a field or an element: by its name, ``hp[0] (protons)`` where the layout names the element."""
    if not place:
        return column.name
    index = ",".join(map(str, place))
    names = [each.name for each in data_type.elements if (each.field, each.index) == (column.name, index)]
    return f"{column.name}[{index}]" + "".join(f" ({name})" for name in names if name)


def split_by_key(records: RecordTable) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the rows of each key with its label, ``station 501``; keys that are all the same are not named.

    The main key names its rows alone, where each of its values goes with one of the others.
    """
    main = records.data_type.placement.node.main_key
    columns = {name: np.array(column, str) for name, column in records.keys.items()}
    columns = {name: column for name, column in columns.items() if len(set(column)) > 1}
    rows = set(zip(*columns.values(), strict=True))
    if main in columns and len(set(columns[main])) == len(rows):
        columns = {main: columns[main]}
    if not columns:
        yield "", np.ones(len(records), bool)
        return
    for values in sorted(
        set(zip(*columns.values(), strict=True)), key=lambda each: [(len(text), text) for text in each]
    ):
        chosen = np.all([column == value for column, value in zip(columns.values(), values, strict=True)], axis=0)
        yield ", ".join(f"{name} {value}" for name, value in zip(columns, values, strict=True)), chosen


def group_by_panel(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Group curves that can share an axis: those of one field, or of one unit, as far as they can be distinguished.

    Raises
    ------
    UsageError
        There are too many groups for a picture.
    """
    panels: list[list[Curve]] = []
    for name in dict.fromkeys(curve.field.name for curve in curves):
        mine = [curve for curve in curves if curve.field.name == name]
        unit = mine[0].field.unit
        fits = (panel for panel in panels if panel[0].field.unit == unit and len(panel) + len(mine) <= len(COLOURS))
        panel = next(fits, None) if unit else None
        if panel is None:
            panels.append(mine)
        else:
            panel.extend(mine)
    if len(panels) > MOST_PANELS:
        raise UsageError(
            f"{plural(len(panels), 'panel')} do not fit into a picture; choose at most {MOST_PANELS} fields"
        )
    return panels


def find_longest_step(times: npt.NDArray[np.datetime64], period: int) -> np.timedelta64:
    """Find the longest step between records, timedelta64[ns], that is no gap: by their period, or the usual step."""
    if period:
        return np.timedelta64(int(period * PERIODS_TO_A_GAP * 1e9), "ns")
    steps = np.diff(times).astype("timedelta64[ns]").astype(np.int64)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    return np.timedelta64(int(usual * STEPS_TO_A_GAP), "ns")


def find_limits(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Find the range of values to draw: of all, except those far away, which would flatten the others to a line.

    Examples
    --------
    >>> find_limits(np.array([8.0, 9, 10, 11, 4294967295])), find_limits(np.array([8.0, 9, 10, 11]))
    ((8.0, 11.0), (8.0, 11.0))
    """
    low, high = np.percentile(values, [25, 75])
    near = np.abs(values - np.median(values)) <= FAR * (high - low) if high > low else np.ones(len(values), bool)
    return float(values[near].min()), float(values[near].max())
