"""Curves of records: one for each field, element and key, and where its gaps are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural, suggest
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.model.plot_default import has_element, split_element
from dayfile.plots.base import Pieces
from dayfile.plots.figures import COLOURS
from dayfile.plots.survey import Elements, KeyTexts, Survey, label_keys

__all__ = [
    "Curve",
    "Panel",
    "choose_elements",
    "find_longest_step",
    "find_thresholds",
    "group_by_panel",
    "guess_fields",
    "list_curves",
    "name_axis",
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
    """Values of one field or element of one key.

    Parameters
    ----------
    label : str
        What a legend says of it.
    owner : str
        The part of it that names the key; empty if all keys are the same.
    field : Field
        Its field.
    key : KeyTexts
        The key of its records.
    chosen : int
        Index of its elements among those that are drawn.
    column : int
        Index of its element among these.
    """

    label: str
    owner: str
    field: Field
    key: KeyTexts
    chosen: int
    column: int


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis of values.

    Parameters
    ----------
    curves : list of Curve
        At least one.
    least, greatest : float
        Range of their values; infinite if all are missing.
    low, high : float
        What is below or above is far away from all others, and not drawn.
    """

    curves: list[Curve]
    least: float
    greatest: float
    low: float
    high: float

    @property
    def unit(self) -> str:
        """Return the unit of the curves, in brackets if there is one."""
        unit = self.curves[0].field.unit
        return f"[{unit}]" if unit else ""

    @property
    def field_names(self) -> list[str]:
        """Return the names of the fields."""
        return list(dict.fromkeys(curve.field.name for curve in self.curves))

    @property
    def has_one_name(self) -> bool:
        """Return whether there is one curve, whose label is that of its axis."""
        return [curve.label for curve in self.curves] == self.field_names

    def describe_outside(self, outside: int) -> list[str]:
        """Describe how many values were not drawn; nothing for none."""
        if not outside:
            return []
        return [f"{plural(outside, 'value')} outside not drawn; all: {self.least:g} to {self.greatest:g}"]


def name_axis(panel: Panel) -> str:
    """Name the axis of values of a panel: by the field if there is one, and by the unit."""
    names = panel.field_names
    return " ".join(filter(None, (names[0] if len(names) == 1 else "", panel.unit)))


def choose_elements(data_type: DataType, wanted: Sequence[str]) -> list[Elements]:
    """Choose what to draw: the fields or elements that are wanted, or the first fields that look like measurements.

    Raises
    ------
    UsageError
        There are none, or a field does not exist or is not a number.
    """
    found = list(wanted) or guess_fields(data_type)
    if not found:
        raise UsageError(f"no field of {data_type.name} looks like a measurement; choose with fields, or kind 'rates'")
    known = {field.name: field for field in data_type.fields}
    return [find_elements(text, known, data_type.name) for text in found]


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


def find_elements(text: str, known: dict[str, Field], owner: str) -> Elements:
    """Find a field by its name, ``hp`` or ``hp[0]``, and which of its elements are meant: all, or that one."""
    name, place = split_element(text)
    if name not in known:
        raise UsageError(f"{owner} has no field {name!r}{suggest(name, known)}")
    field = known[name]
    if field.base.kind not in "biuf" or field.blob:
        raise UsageError(f"{name} of {owner} is {'a blob' if field.blob else field.type}, which has no axis")
    if place is None:
        return Elements(field, tuple(range(int(np.prod(field.array_shape, dtype=int)))))
    if not has_element(field.array_shape, place):
        raise UsageError(f"{name} of {owner} has no element {list(place)}; its shape is {list(field.array_shape)}")
    return Elements(field, (int(np.ravel_multi_index(place, field.array_shape)) if place else 0,))


def list_curves(pieces: Pieces, chosen: Sequence[Elements], survey: Survey) -> list[Curve]:
    """List the curves of some elements: one for each of them, and for each key of the records."""
    labels = label_keys(pieces.data_type, list(pieces.keys), survey.tracks)
    return [
        Curve(
            " ".join(filter(None, (owner, label_element(pieces.data_type, each.field, place)))),
            owner,
            each.field,
            key,
            number,
            column,
        )
        for number, each in enumerate(chosen)
        for key, owner in labels.items()
        for column, place in enumerate(each.places)
    ]


def label_element(data_type: DataType, field: Field, number: int) -> str:
    """Label a field or an element: by its name, ``hp[0] (protons)`` where the layout names the element."""
    if not field.array_shape:
        return field.name
    index = ",".join(map(str, np.unravel_index(number, field.array_shape)))
    names = [each.name for each in data_type.elements if (each.field, each.index) == (field.name, index)]
    return f"{field.name}[{index}]" + "".join(f" ({name})" for name in names if name)


def group_by_panel(curves: Sequence[Curve], survey: Survey, *, far: bool) -> list[Panel]:
    """Group curves that can share an axis: those of one field, or of one unit, as far as they can be distinguished.

    Parameters
    ----------
    curves : sequence of Curve
        What is drawn.
    survey : Survey
        With the values of their elements.
    far : bool
        Whether values that are far away from all others are drawn too.

    Raises
    ------
    UsageError
        There are too many groups for a picture.
    """
    groups: list[list[Curve]] = []
    for name in dict.fromkeys(curve.field.name for curve in curves):
        mine = [curve for curve in curves if curve.field.name == name]
        unit = mine[0].field.unit
        fits = (group for group in groups if group[0].field.unit == unit and len(group) + len(mine) <= len(COLOURS))
        group = next(fits, None) if unit else None
        if group is None:
            groups.append(mine)
        else:
            group.extend(mine)
    if len(groups) > MOST_PANELS:
        raise UsageError(
            f"{plural(len(groups), 'panel')} do not fit into a picture; choose at most {MOST_PANELS} fields"
        )
    return [make_panel(group, survey, far=far) for group in groups]


def make_panel(curves: list[Curve], survey: Survey, *, far: bool) -> Panel:
    """Make a panel of curves, with the range of their values."""
    values = [survey.values[chosen] for chosen in dict.fromkeys(curve.chosen for curve in curves)]
    least = min(each.least.min() for each in values)
    greatest = max(each.greatest.max() for each in values)
    sample = np.concatenate([each.sample.rows.ravel() for each in values])
    sample = sample[np.isfinite(sample)]
    low, high = (-np.inf, np.inf) if far or not len(sample) else find_thresholds(sample)
    return Panel(curves, float(least), float(greatest), low, high)


def find_longest_step(steps: npt.NDArray[np.float64], period: int) -> np.timedelta64:
    """Find the longest step between records that is no gap, timedelta64[ns]: by their period, or the usual step.

    Parameters
    ----------
    steps : array of float64, shape (n,)
        Nanoseconds between records, or some of them.
    period : int
        Seconds between records; 0 if they come at any time.
    """
    if period:
        return np.timedelta64(int(period * PERIODS_TO_A_GAP * 1e9), "ns")
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    return np.timedelta64(int(usual * STEPS_TO_A_GAP), "ns")


def find_thresholds(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Find between which values to draw: what is far away from all others would flatten these to a line.

    Examples
    --------
    >>> find_thresholds(np.array([8.0, 9, 10, 11, 4294967295])), find_thresholds(np.array([8.0, 8, 8]))
    ((-30.0, 50.0), (-inf, inf))
    """
    low, middle, high = np.percentile(values, [25, 50, 75])
    if high <= low:
        return -np.inf, np.inf
    return float(middle - FAR * (high - low)), float(middle + FAR * (high - low))
