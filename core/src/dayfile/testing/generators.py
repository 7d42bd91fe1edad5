"""Sample records for any data type: tools for ``simulate``.

:func:`records` fills a data type from its fields alone; what it cannot know is given by field name, as values or as a
:data:`Draw`. What a field is like (its level, its spread) follows from its name, and what it does over the hours from
the time, so days that are made one by one continue one another. Chance comes from the generator that is passed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.model.datatype import DataType, Field

__all__ = [
    "Draw",
    "Floats",
    "Integers",
    "Overrides",
    "RecordArray",
    "counts",
    "magnitudes",
    "readings",
    "records",
    "sent_when",
    "setting",
    "shares",
    "slow_walk",
    "with_bits",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
RecordArray = npt.NDArray[Any]

Draw = Callable[[Field, Floats, np.random.Generator], npt.NDArray[Any]]
"""Draws a field: called with the field, the records' times in seconds, shape (n,), and a generator; answers an array
of shape (n, *field.array_shape)."""

Overrides = Mapping[str, npt.ArrayLike | Draw]
"""Values of fields, or how to draw them, by field name or by a pattern such as ``Monitor*``."""

FILL_BITS = (0x40, 0x80)
FILL_SHARE = 0.0005
TIME_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
LARGEST_READING = 4095
"""Of a 12-bit converter: what wider fields hold too, where a field holds a reading."""


def records(
    data_type: DataType,
    times: npt.ArrayLike,
    rng: np.random.Generator,
    overrides: Overrides | None = None,
) -> RecordArray:
    """Sample records of a data type.

    Bytes are :func:`slow_walk`, wider integers :func:`counts`, floats :func:`magnitudes`, texts random letters. Fields
    in a unit finer than seconds hold a part of a second. A counter numbers the records from 1; no record has a blob.
    Each record ends where the next one begins, the last one tick after its begin.

    A byte field ``Quality<Field>`` is taken for the quality of that field, one named ``quality`` for that of the whole
    record but its times. It is zero, except a few whose bit 0x40 or 0x80 says that the value was filled in: then all
    bits of the value are set.

    Parameters
    ----------
    data_type : DataType
        What to make.
    times : array of int or float, shape (n,)
        Values of the data type's clock.
    rng : numpy.random.Generator
        Where chance comes from.
    overrides : mapping of str to array or Draw, optional
        Values of fields, or how to draw them, by name; ``Monitor*`` stands for all fields named so. Of several that
        fit a field the last one counts. A value for all records may be a scalar.

    Returns
    -------
    structured array, shape (n,)
        In the dtype of the data type.

    Raises
    ------
    UsageError
        An override fits no field, or its values do not fit into the field.

    Examples
    --------
    >>> from dayfile import Clock, Node, Placement
    >>> muons = DataType(
    ...     instrument="muon", type="counts", code="MuonCounts", title="", time="Second",
    ...     fields=(Field("Second", "uint32"), Field("rate", "uint16", (3,)), Field("tube", "uint8")),
    ...     clock=Clock(np.datetime64("1970-01-01T00:00:00")), placement=Placement("append", "", Node("/counts")),
    ... )
    >>> made = records(muons, np.arange(60, 300, 60), np.random.default_rng(1), {"tube": [1, 1, 2, 2]})
    >>> made["Second"].tolist(), made["rate"].shape, made["tube"].tolist()
    ([60, 120, 180, 240], (4, 3), [1, 1, 2, 2])
    """
    clock_values = np.asarray(times)
    given: dict[str, npt.ArrayLike | Draw] = {data_type.time: clock_values}
    if data_type.end:
        given[data_type.end] = np.append(clock_values[1:], clock_values[-1:] + 1)
    for pattern, values in (overrides or {}).items():
        names = [field.name for field in data_type.fields if fnmatchcase(field.name, pattern)]
        if not names:
            raise UsageError(f"{data_type.name} has no field {pattern!r}; check the spelling")
        given |= dict.fromkeys(names, values)
    made = np.zeros(len(clock_values), data_type.dtype)
    seconds = clock_values / data_type.clock.ticks
    for field in data_type.fields:
        values = given.get(field.name, usual_draw(field))
        drawn = np.asarray(values(field, seconds, rng) if callable(values) else values)
        check_range(data_type, field, drawn)
        made[field.name] = drawn
    fill(made, data_type)
    return made


def usual_draw(field: Field) -> Draw:
    """How a field is drawn where nothing is said about it."""
    if field.counter:
        return lambda _, seconds, __: np.arange(1, len(seconds) + 1)
    if field.blob:
        return lambda field, seconds, _: np.full(shape_of(field, seconds), -1)
    if field.unit in ("ms", "us", "ns") and field.base.kind in "iu":
        return parts_of_a_second
    if field.type == "uint8" and plain(field.name).startswith("quality"):
        return quality
    by_kind: dict[str, Draw] = {"S": letters, "b": switches, "f": magnitudes}
    return by_kind.get(field.base.kind, slow_walk if field.base.itemsize == 1 else counts)


def check_range(data_type: DataType, field: Field, values: npt.NDArray[Any]) -> None:
    """Refuse integers that the field cannot hold: NumPy would wrap them without a word."""
    if values.dtype.kind in "iu" and field.base.kind in "iu" and values.size:
        limits = np.iinfo(field.base.str)
        if values.min() < limits.min or values.max() > limits.max:
            message = f"values from {values.min()} to {values.max()} do not fit into {field.type}"
            raise UsageError(f"{data_type.name}, field {field.name}: {message}; give other values, or another day")


def fill(made: RecordArray, data_type: DataType) -> None:
    """Set all bits of the values whose quality says that they were filled in."""
    by_name = {plain(field.name): field for field in data_type.fields}
    times = {data_type.time, data_type.end}
    measured = [field for field in data_type.fields if field.unit not in TIME_UNITS and field.name not in times]
    for name, field in by_name.items():
        if not name.startswith("quality") or field.type != "uint8":
            continue
        filled = (made[field.name] & sum(FILL_BITS)) != 0
        described = by_name.get(name.removeprefix("quality"))
        whole = [other for other in measured if other is not field] if name == "quality" else []
        for other in [described] if described else whole:
            column = made[other.name]
            if column.shape[: filled.ndim] == filled.shape:
                column[filled] = np.frombuffer(b"\xff" * other.base.itemsize, other.base)[0]


def plain(name: str) -> str:
    """A field's name without case and underscores: ``rate_2`` and ``Rate2`` are the same."""
    return name.replace("_", "").lower()


def shape_of(field: Field, seconds: Floats) -> tuple[int, ...]:
    """Shape of the field's column."""
    return len(seconds), *field.array_shape


def character(field: Field) -> np.random.Generator:
    """What a field is like, every day and in every record: chance that follows from its name."""
    return np.random.default_rng(zlib.crc32(field.name.encode()))


def largest(field: Field) -> int:
    """The largest reading that the field holds."""
    return min(np.iinfo(field.base.str).max, LARGEST_READING)


def slow_walk(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw readings that wander about a level in waves of hours to days, with the noise of the converter."""
    own = character(field)
    level = own.uniform(0.2, 0.8, field.array_shape) * largest(field)
    at = seconds.reshape(-1, *[1] * len(field.array_shape))
    walk = np.broadcast_to(level, shape_of(field, seconds)) + rng.normal(0, 0.4, shape_of(field, seconds))
    for _ in range(3):
        period, phase = own.uniform(2e4, 3e5, field.array_shape), own.random(field.array_shape)
        walk += 0.02 * level * np.sin(2 * np.pi * (at / period + phase))
    return np.rint(walk)


def counts(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw counts of independent events, about a mean of 2 to 1000 for each element."""
    mean = 10 ** character(field).uniform(0.3, min(3.0, np.log10(largest(field)) - 1), field.array_shape)
    return rng.poisson(mean, shape_of(field, seconds))


def magnitudes(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw positive numbers such as fluxes: log-normal, about a median of 1e-6 to 1e-2 for each element."""
    median = 10 ** character(field).uniform(-6, -2, field.array_shape)
    return median * rng.lognormal(0, 0.25, shape_of(field, seconds))


def shares(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw shares of a whole, such as weights: a little below 1."""
    return 1 - rng.exponential(0.02, shape_of(field, seconds)).clip(max=1)


def setting(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:  # noqa: ARG001 - a Draw
    """Give what was commanded once: the same in all records."""
    return np.broadcast_to(character(field).integers(0, largest(field), field.array_shape), shape_of(field, seconds))


def readings(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw readings that have nothing to do with one another, from all that the field holds."""
    return rng.integers(0, largest(field) + 1, shape_of(field, seconds))


def letters(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw texts of capital letters, with zero bytes behind them."""
    room = field.shape[-1]
    shape = shape_of(field, seconds)
    text = rng.integers(ord("A"), ord("Z") + 1, (*shape, room), np.uint8)
    text[np.arange(room) >= rng.integers(1, room + 1, (*shape, 1))] = 0
    return text.view(field.base)[..., 0]


def switches(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw yes or no."""
    return rng.random(shape_of(field, seconds)) < 0.5


def parts_of_a_second(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw a part of a second in the field's unit."""
    return rng.integers(0, min(TIME_UNITS[field.unit], np.iinfo(field.base.str).max), shape_of(field, seconds))


def quality(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw quality bytes: zero, except a few that say that the value was filled in."""
    filled = rng.random(shape_of(field, seconds)) < FILL_SHARE
    return np.where(filled, rng.choice(FILL_BITS, filled.shape), 0)


def sent_when(sent: npt.NDArray[np.bool_], draw: Draw = slow_walk, absent: int = 255) -> Draw:
    """Let a scalar field be drawn where ``sent``, shape (n,), is true; elsewhere it holds ``absent``."""
    return lambda field, seconds, rng: np.where(sent, draw(field, seconds, rng), absent)


def with_bits(bits: Integers, mask: int) -> Draw:
    """Let a byte array be a slow walk; the bits of ``mask`` in its first element are those of ``bits``, shape (n,)."""

    def draw(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
        walk = slow_walk(field, seconds, rng).astype(np.int64)
        walk[:, 0] = walk[:, 0] & ~mask | bits & mask
        return walk

    return draw
