"""Sample records for any data type, and the frame count of a spacecraft to stamp them with: tools for ``simulate``.

:func:`records` fills a data type from its fields alone; what it cannot know is given by field name, as values or as a
:data:`Draw`. What a field is like (its level, its spread) follows from its name, and what it does over the hours from
the time, so days that are made one by one continue one another. Chance comes from the generator that is passed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.layouts.dtypes import to_structs
from dayfile.layouts.hdf4 import write_structs
from dayfile.layouts.instrument import Instrument
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType, Field

__all__ = [
    "Draw",
    "FrameClock",
    "TelemetryDay",
    "commands",
    "counts",
    "event_buffers",
    "magnitudes",
    "readings",
    "records",
    "sent_when",
    "setting",
    "slow_walk",
    "with_bits",
    "write_sources",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Records = npt.NDArray[Any]

Draw = Callable[[Field, Floats, np.random.Generator], npt.NDArray[Any]]
"""Draws a field: called with the field, the records' times in seconds, shape (n,), and a generator; answers an array
of shape (n, *field.array_shape)."""

FILL_BITS = (0x40, 0x80)
FILL_SHARE = 0.0005
TIME_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
LARGEST_READING = 4095
"""Of a 12-bit converter: what wider fields hold too, where a field holds a reading."""


def records(
    data_type: DataType,
    times: npt.ArrayLike,
    rng: np.random.Generator,
    overrides: Mapping[str, npt.ArrayLike | Draw] | None = None,
) -> Records:
    """Sample records of a data type.

    Bytes are :func:`slow_walk`, wider integers :func:`counts`, floats :func:`magnitudes`, texts random letters. Fields
    in a unit finer than seconds hold a part of a second. A counter numbers the records from 1; no record has a blob.
    Each record ends where the next one begins, the last one tick after its begin.

    A byte field ``Quality<Field>`` is taken for the quality of that field, one named ``quality`` for that of the whole
    record but its times. It is zero, but for a few whose bit 0x40 or 0x80 says that the value was filled in: then all
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
        fit a field, the last counts.

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
    >>> muons = DataType(
    ...     instrument="muon", type="counts", code="MuonCounts", title="", store="append", time="Second", path="",
    ...     fields=(Field("Second", "uint32"), Field("rate", "uint16", (3,)), Field("tube", "uint8")),
    ...     clock=Clock(np.datetime64("1970-01-01T00:00:00")), node=Node("/counts"),
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
    if field.blob or field.counter:
        return row_numbers if field.counter else no_blob
    if field.unit in ("ms", "us", "ns") and field.base.kind in "iu":
        return parts_of_a_second
    if field.type == "uint8" and plain(field.name).startswith("quality"):
        return quality
    by_kind: dict[str, Draw] = {"S": letters, "b": switches, "f": magnitudes}
    return by_kind.get(field.base.kind, slow_walk if field.base.itemsize == 1 else counts)


def check_range(data_type: DataType, field: Field, values: npt.NDArray[Any]) -> None:
    """Refuse integers that the field cannot hold: NumPy would wrap them without a word."""
    if values.dtype.kind in "iu" and field.base.kind in "iu" and values.size:
        limits = np.iinfo(field.base)
        if values.min() < limits.min or values.max() > limits.max:
            message = f"values from {values.min()} to {values.max()} do not fit into {field.type}"
            raise UsageError(f"{data_type.name}, field {field.name}: {message}; give others")


def fill(made: Records, data_type: DataType) -> None:
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
    """A field's name without case and underscores: ``z_gt_2ab`` and ``ZGt2ab`` are the same."""
    return name.replace("_", "").lower()


def shape_of(field: Field, seconds: Floats) -> tuple[int, ...]:
    """Shape of the field's column."""
    return len(seconds), *field.array_shape


def character(field: Field) -> np.random.Generator:
    """What a field is like, every day and in every record: chance that follows from its name."""
    return np.random.default_rng(zlib.crc32(field.name.encode()))


def largest(field: Field) -> int:
    """The largest reading that the field holds."""
    return min(int(np.iinfo(field.base).max), LARGEST_READING)


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
    return rng.integers(0, min(TIME_UNITS[field.unit], int(np.iinfo(field.base).max)), shape_of(field, seconds))


def quality(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw quality bytes: zero, but for a few that say that the value was filled in."""
    filled = rng.random(shape_of(field, seconds)) < FILL_SHARE
    return np.where(filled, rng.choice(FILL_BITS, filled.shape), 0)


def row_numbers(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:  # noqa: ARG001 - a Draw
    """Number the records from 1."""
    return np.arange(1, len(seconds) + 1)


def no_blob(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:  # noqa: ARG001 - a Draw
    """Give -1, which says that there is no blob."""
    return np.full(shape_of(field, seconds), -1)


def sent_when(sent: npt.NDArray[np.bool_], draw: Draw = slow_walk, absent: int = 255) -> Draw:
    """Let a field be drawn where ``sent``, shape (n,), is true; elsewhere it holds ``absent``."""
    return lambda field, seconds, rng: np.where(sent, draw(field, seconds, rng), absent)


def with_bits(bits: Integers, mask: int) -> Draw:
    """Let a byte array be a slow walk; the bits of ``mask`` in its first element are those of ``bits``, shape (n,)."""

    def draw(field: Field, seconds: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
        walk = slow_walk(field, seconds, rng).astype(np.int64)
        walk[:, 0] = walk[:, 0] & ~mask | bits & mask
        return walk

    return draw


def commands(number: int, rng: np.random.Generator) -> npt.NDArray[np.bytes_]:
    """Texts such as operators send: a verb and one to three hexadecimal words, at most 19 characters; shape (n,)."""
    verbs = rng.choice(["CTAB", "DUMP", "HVON", "PEEK", "POKE"], number).tolist()
    words = rng.integers(0, 0x10000, (number, 3)).tolist()
    lengths = rng.integers(1, 4, number).tolist()
    texts = (
        " ".join([verb, *(f"{word:04X}" for word in row[:length])])
        for verb, row, length in zip(verbs, words, lengths, strict=True)
    )
    return np.array([text.encode() for text in texts], "S19")


def event_buffers(
    numbers: Integers, size: int, rng: np.random.Generator, *, lengths: tuple[int, int], ages: int
) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Events one after another in the buffer of the cycle that they belong to, in the order in which they were sent.

    In front of each event stand two bytes: how many cycles later it was sent (its age), and the frame of that cycle in
    which its first byte was. An event is random but for its first byte, which is its length here.

    Parameters
    ----------
    numbers : array of int64, shape (n,)
        Events of each cycle.
    size : int
        Bytes of a buffer; behind the last event they are zero.
    rng : numpy.random.Generator
        Where chance comes from.
    lengths : tuple of int
        Shortest and longest event in bytes, 255 at most.
    ages : int
        How many ages there are, from 0 on; half of the events have age 0, half of the rest age 1, and so on.

    Returns
    -------
    buffers : array of uint8, shape (n, size)
        The buffers.
    bytes_by_age : array of int64, shape (n, ages)
        Bytes of the events of each age, without the two in front.

    Raises
    ------
    UsageError
        The events may not fit into the buffer.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> buffers, spent = event_buffers(np.array([2, 0]), 400, rng, lengths=(30, 160), ages=8)
    >>> first = buffers[0, 2]
    >>> int(buffers[0, 2 + first + 2]) + int(first) == spent[0].sum(), buffers[1].any()
    (np.True_, np.False_)
    """
    if numbers.max(initial=0) * (2 + lengths[1]) > size:
        message = f"{numbers.max()} events of up to {lengths[1]} bytes, and two more for each, may exceed the {size}"
        raise UsageError(f"{message} bytes of a buffer; ask for fewer")
    cycle = np.repeat(np.arange(len(numbers)), numbers)
    length = rng.integers(lengths[0], lengths[1] + 1, len(cycle))
    age = (rng.geometric(0.5, len(cycle)) - 1).clip(max=ages - 1)
    frame = rng.integers(0, 256, len(cycle))
    order = np.lexsort((frame, age, cycle))
    age, frame = age[order], frame[order]
    used = np.bincount(cycle, 2 + length, len(numbers)).astype(np.int64)
    start = np.cumsum(2 + length) - (2 + length) - (np.cumsum(used) - used)[cycle]
    buffers = rng.integers(0, 256, (len(numbers), size), np.uint8)
    buffers[np.arange(size) >= used[:, np.newaxis]] = 0
    for place, values in enumerate((age, frame, length)):
        buffers[cycle, start + place] = values
    bytes_by_age = np.zeros((len(numbers), ages), np.int64)
    np.add.at(bytes_by_age, (cycle, age), length)
    return buffers, bytes_by_age


@dataclass(frozen=True)
class FrameClock:
    """A spacecraft's clock: it counts the frames of the telemetry, about one a second, from frame 0 on for ever.

    Parameters
    ----------
    second, microsecond : int
        Time of frame 0, by the seconds of the data types' clock.
    cycle : int
        Frames of a cycle of the instrument.
    creep : int
        Microseconds by which a cycle is longer than so many seconds.

    Examples
    --------
    >>> clock = FrameClock(52_069_705, 604_000, cycle=256, creep=85)
    >>> clock.times(np.array([0, 256, 1_192_960]))
    (array([52069705, 52069961, 53262666]), array([604000, 604085,     100]))
    """

    second: int
    microsecond: int
    cycle: int
    creep: int

    def times(self, frames: Integers) -> tuple[Integers, Integers]:
        """Whole seconds and microseconds of frames, shape kept."""
        microseconds = self.microsecond + frames * self.creep // self.cycle
        return self.second + frames + microseconds // 10**6, microseconds % 10**6

    def frames(self, clock: Clock, day: np.datetime64) -> Integers:
        """All frames of a day, shape (n,), ascending: those whose whole second lies in it.

        Raises
        ------
        UsageError
            The clock did not run yet when the day began.
        """
        start, end = clock.day_start(day), clock.day_start(day + np.timedelta64(1, "D"))
        first = (start - self.second) * self.cycle * 10**6 // (self.cycle * 10**6 + self.creep) - 2
        frames = np.arange(first, first + end - start + 4)
        seconds, _ = self.times(frames)
        frames = frames[(seconds >= start) & (seconds < end)]
        if frames[0] < 0:
            began = clock.to_datetime64(self.second).astype("datetime64[D]")
            raise UsageError(f"the spacecraft's clock began on {began}: {day} has no data; choose a day after that one")
        return frames

    def stamps(self, data_type: DataType, first: Integers, last: Integers | None = None) -> dict[str, npt.NDArray[Any]]:
        """Values of the fields that say when a record begins, and when it ends, by their names.

        ``Clock...`` is the spacecraft's clock, ``Microsecond...`` the part of the second, the data type's time (and
        end) the second, or second and part where it is a float. The end and names that end in 1 are of ``last``.
        """
        stamps: dict[str, npt.NDArray[Any]] = {}
        for field in data_type.fields:
            of_end = last is not None and (field.name == data_type.end or field.name.endswith("1"))
            frames = last if last is not None and of_end else first
            seconds, microseconds = self.times(frames)
            if field.name in (data_type.time, data_type.end):
                stamps[field.name] = seconds + microseconds / 10**6 if field.base.kind == "f" else seconds
            elif field.name.startswith("Clock"):
                stamps[field.name] = frames
            elif field.name.lower().startswith("microsecond"):
                stamps[field.name] = microseconds
        return stamps


@dataclass(frozen=True)
class TelemetryDay:
    """One day of a spacecraft's telemetry, as an instrument's ``simulate`` needs it.

    Parameters
    ----------
    frame_clock : FrameClock
        What counts the frames.
    clock : Clock
        The data types' clock; its unit is the second.
    day : numpy.datetime64
        The day.
    seed : int
        The same day and seed give the same records.
    """

    frame_clock: FrameClock
    clock: Clock
    day: np.datetime64
    seed: int

    def generator(self, name: str) -> np.random.Generator:
        """A generator of its own for everything that has a name."""
        # A seed sequence takes no negative numbers.
        day = int(self.day.astype("datetime64[D]").astype(np.int64))
        return np.random.default_rng([self.seed % 2**64, day % 2**64, int.from_bytes(name.encode())])

    @cached_property
    def all_frames(self) -> Integers:
        """The frames of the day, those that were lost too; shape (n,)."""
        return self.frame_clock.frames(self.clock, self.day)

    @cached_property
    def gaps(self) -> Integers:
        """First frame that was lost and first that was not, of two gaps, shape (2, 2).

        They last 5 to 20 minutes and begin between 6 and 8 h and between 16:30 and 18:30.
        """
        rng = self.generator("gaps")
        begin = self.all_frames[0] + np.array([21600, 59400]) + rng.integers(0, 7200, 2)
        return np.stack([begin, begin + rng.integers(300, 1200, 2)], axis=1)

    def frames(self, every: int = 1) -> Integers:
        """Each ``every``-th frame of the day, by the count of the spacecraft, if nothing up to the next one is lost."""
        frames = self.all_frames[self.all_frames % every == 0]
        lost = (frames[:, np.newaxis] < self.gaps[:, 1]) & (frames[:, np.newaxis] + every > self.gaps[:, 0])
        return frames[~lost.any(axis=1)]

    def burst(self, second: int, number: int) -> Integers:
        """So many frames one after another, from a second of the day on; shape (number,)."""
        return self.all_frames[second : second + number]

    def records(
        self,
        data_type: DataType,
        first: Integers,
        last: Integers | None = None,
        overrides: Mapping[str, npt.ArrayLike | Draw] | None = None,
    ) -> Records:
        """Sample records that begin with the frames ``first``, and end with ``last`` where they have an end."""
        stamps = self.frame_clock.stamps(data_type, first, last)
        rng = self.generator(data_type.code)
        return records(data_type, stamps[data_type.time], rng, {**(overrides or {}), **stamps})


def write_sources(
    instrument: Instrument,
    directory: Path,
    streams: Mapping[str, Records],
    name: str,
    rest: Mapping[str, Records],
) -> list[Path]:
    """Write records as sources that the instrument decodes: struct streams, and one HDF4 file.

    Parameters
    ----------
    instrument : Instrument
        Whose layout has the structs.
    directory : Path
        Where to write; made if it is not there.
    streams : mapping of str to structured array
        Records by code; each becomes a file ``<code>.be.bin``.
    name : str
        Name of the HDF4 file.
    rest : mapping of str to structured array
        Records of the HDF4 file by code.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    MissingExtraError
        pyhdf is not installed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    types = instrument.layout.by_code()
    paths = [directory / name]
    write_structs(paths[0], rest)
    for code, made in streams.items():
        path = directory / f"{code}.be.bin"
        path.write_bytes(to_structs(made, instrument.struct(types[code], "big")).tobytes())
        paths.append(path)
    return paths
