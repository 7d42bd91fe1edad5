"""Sample records for any data type: tools for ``simulate``.

:func:`sample_records` fills a data type from its fields alone. What it cannot know is given by field name, as values or
as a :data:`Draw`. The level and the spread of a field follow from its name, and its course over the hours from the
time, so days that are made one by one continue one another. Random numbers come from the generator that is passed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.renamed import keep_old_names

__all__ = [
    "Draw",
    "Floats",
    "Integers",
    "Overrides",
    "RecordArray",
    "draw_counts",
    "draw_magnitudes",
    "draw_readings",
    "draw_setting",
    "draw_shares",
    "draw_slow_walk",
    "draw_when_sent",
    "draw_with_bits",
    "sample_records",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
RecordArray = npt.NDArray[Any]

Draw = Callable[[Field, Floats, np.random.Generator], npt.NDArray[Any]]
"""Draw the values of a field: called with the field, the records' times in seconds, shape (n,), and a generator; return
an array of shape (n, *field.array_shape)."""

Overrides = Mapping[str, npt.ArrayLike | Draw]
"""Values of fields, or how to draw them, by field name or by a pattern such as ``Monitor*``."""

__getattr__ = keep_old_names(
    __name__,
    {
        "Records": "RecordArray",
        "records": "sample_records",
        "sent_when": "draw_when_sent",
        "with_bits": "draw_with_bits",
    }
    | {name: f"draw_{name}" for name in ("counts", "magnitudes", "readings", "setting", "shares", "slow_walk")},
)
FILL_BITS = (0x40, 0x80)
FILL_SHARE = 0.0005
TIME_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
LARGEST_READING = 4095
"""Largest reading of a 12-bit converter, also in wider fields."""


def sample_records(
    data_type: DataType, times: npt.ArrayLike, rng: np.random.Generator, overrides: Overrides | None = None
) -> RecordArray:
    """Sample records of a data type.

    Bytes are :func:`draw_slow_walk`, wider integers :func:`draw_counts`, floats :func:`draw_magnitudes`, texts random
    letters. Fields in a unit finer than seconds hold a part of a second. A counter numbers the records from 1; no
    record has a blob. Each record ends where the next one begins, the last one tick after its begin.

    A byte field ``Quality<Field>`` is the quality of that field, and one named ``quality`` that of the whole record
    except its times. It is zero, except a few with bit 0x40 or 0x80, which means that the value was filled in: then all
    bits of the value are set.

    Parameters
    ----------
    data_type : DataType
        The type of the records.
    times : array of int or float, shape (n,)
        Values of the data type's clock.
    rng : numpy.random.Generator
        Source of random numbers.
    overrides : mapping of str to array or Draw, optional
        Values of fields, or how to draw them, by name; ``Monitor*`` means all fields with such a name. If several
        match a field, the last one counts. A value for all records can be a scalar.

    Returns
    -------
    structured array, shape (n,)
        The records, in the dtype of the data type.

    Raises
    ------
    UsageError
        An override matches no field, or its values do not fit into the field.

    Examples
    --------
    >>> from dayfile import Clock, Node, Placement
    >>> muons = DataType(
    ...     instrument="muon", type="counts", code="MuonCounts", title="", time="Second",
    ...     fields=(Field("Second", "uint32"), Field("rate", "uint16", (3,)), Field("tube", "uint8")),
    ...     clock=Clock(np.datetime64("1970-01-01T00:00:00")), placement=Placement("append", "", Node("/counts")),
    ... )
    >>> made = sample_records(muons, np.arange(60, 300, 60), np.random.default_rng(1), {"tube": [1, 1, 2, 2]})
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
        values = given.get(field.name, choose_draw(field))
        drawn = np.asarray(values(field, seconds, rng) if callable(values) else values)
        check_range(data_type, field, drawn)
        made[field.name] = drawn
    fill(made, data_type)
    return made


def choose_draw(field: Field) -> Draw:
    """Choose how to draw a field without an override."""
    if field.counter:
        return lambda _, seconds, __: np.arange(1, len(seconds) + 1)
    if field.blob:
        return lambda field, seconds, _: np.full(get_shape(field, seconds), -1)
    if field.unit in ("ms", "us", "ns") and field.base.kind in "iu":
        return draw_parts_of_a_second
    if field.type == "uint8" and normalise(field.name).startswith("quality"):
        return draw_quality
    by_kind: dict[str, Draw] = {"S": draw_letters, "b": draw_switches, "f": draw_magnitudes}
    return by_kind.get(field.base.kind, draw_slow_walk if field.base.itemsize == 1 else draw_counts)


def check_range(data_type: DataType, field: Field, values: npt.NDArray[Any]) -> None:
    """Refuse integers that the field cannot hold: NumPy would wrap them silently."""
    if values.dtype.kind in "iu" and field.base.kind in "iu" and values.size:
        limits = np.iinfo(field.base.str)
        if values.min() < limits.min or values.max() > limits.max:
            message = f"values from {values.min()} to {values.max()} do not fit into {field.type}"
            raise UsageError(f"{data_type.name}, field {field.name}: {message}; give other values, or another day")


def fill(made: RecordArray, data_type: DataType) -> None:
    """Set all bits of the values with a quality that means they were filled in."""
    by_name = {normalise(field.name): field for field in data_type.fields}
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


def normalise(name: str) -> str:
    """Normalise a field's name: ``rate_2`` and ``Rate2`` are the same."""
    return name.replace("_", "").lower()


def get_shape(field: Field, seconds: Floats) -> tuple[int, ...]:
    """Return the shape of the field's column."""
    return len(seconds), *field.array_shape


def seed(field: Field) -> np.random.Generator:
    """Make a generator seeded by a field's name, for what is the same in all its records on all days."""
    return np.random.default_rng(zlib.crc32(field.name.encode()))


def get_largest(field: Field) -> int:
    """Return the largest reading that the field can hold."""
    return min(np.iinfo(field.base.str).max, LARGEST_READING)


def draw_slow_walk(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw readings that vary around a level in waves of hours to days, with the noise of the converter."""
    own = seed(field)
    level = own.uniform(0.2, 0.8, field.array_shape) * get_largest(field)
    at = seconds.reshape(-1, *[1] * len(field.array_shape))
    walk = np.broadcast_to(level, get_shape(field, seconds)) + rng.normal(0, 0.4, get_shape(field, seconds))
    for _ in range(3):
        period, phase = own.uniform(2e4, 3e5, field.array_shape), own.random(field.array_shape)
        walk += 0.02 * level * np.sin(2 * np.pi * (at / period + phase))
    return np.rint(walk)


def draw_counts(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw counts of independent events, with a mean of 2 to 1000 for each element."""
    mean = 10 ** seed(field).uniform(0.3, min(3.0, np.log10(get_largest(field)) - 1), field.array_shape)
    return rng.poisson(mean, get_shape(field, seconds))


def draw_magnitudes(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw positive numbers such as fluxes: log-normal, with a median of 1e-6 to 1e-2 for each element."""
    median = 10 ** seed(field).uniform(-6, -2, field.array_shape)
    return median * rng.lognormal(0, 0.25, get_shape(field, seconds))


def draw_shares(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw shares of a whole, such as weights: a little below 1."""
    return 1 - rng.exponential(0.02, get_shape(field, seconds)).clip(max=1)


def draw_setting(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:  # noqa: ARG001 - a Draw
    """Draw a commanded setting: the same value in all records."""
    return np.broadcast_to(seed(field).integers(0, get_largest(field), field.array_shape), get_shape(field, seconds))


def draw_readings(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw independent readings over the whole range of the field."""
    return rng.integers(0, get_largest(field) + 1, get_shape(field, seconds))


def draw_letters(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw texts of capital letters, followed by zero bytes."""
    room = field.shape[-1]
    shape = get_shape(field, seconds)
    text = rng.integers(ord("A"), ord("Z") + 1, (*shape, room), np.uint8)
    text[np.arange(room) >= rng.integers(1, room + 1, (*shape, 1))] = 0
    return text.view(field.base)[..., 0]


def draw_switches(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw booleans."""
    return rng.random(get_shape(field, seconds)) < 0.5


def draw_parts_of_a_second(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw a part of a second in the field's unit."""
    return rng.integers(0, min(TIME_UNITS[field.unit], np.iinfo(field.base.str).max), get_shape(field, seconds))


def draw_quality(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw quality bytes: zero, except a few that mean that the value was filled in."""
    filled = rng.random(get_shape(field, seconds)) < FILL_SHARE
    return np.where(filled, rng.choice(FILL_BITS, filled.shape), 0)


def draw_when_sent(sent: npt.NDArray[np.bool_], draw: Draw = draw_slow_walk, absent: int = 255) -> Draw:
    """Make a Draw for a scalar field that is drawn where ``sent``, shape (n,), is true, and else holds ``absent``."""
    return lambda field, seconds, rng: np.where(sent, draw(field, seconds, rng), absent)


def draw_with_bits(bits: Integers, mask: int) -> Draw:
    """Make a Draw of a slow walk for a byte array; ``bits``, shape (n,), set the ``mask`` bits of its first element."""

    def draw(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Draw the walk, and set the bits."""
        walk = draw_slow_walk(field, seconds, rng).astype(np.int64)
        walk[:, 0] = walk[:, 0] & ~mask | bits & mask
        return walk

    return draw
