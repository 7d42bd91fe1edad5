"""A day of a spacecraft's telemetry: records with times from a continuous frame count, written as sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.formats.hdf4_structs import write_structs
from dayfile.formats.struct_dtypes import to_structs
from dayfile.instrument import Instrument
from dayfile.messages import plural
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType
from dayfile.renamed import keep_old_names
from dayfile.testing.generators import Integers, Overrides, RecordArray, sample_records

__all__ = ["FrameClock", "TelemetryDay", "sample_event_buffers", "write_sources"]


__getattr__ = keep_old_names(
    __name__, {"event_buffers": "sample_event_buffers", "commands": "dayfile.testing.operations:draw_commands"}
)


def sample_event_buffers(
    numbers: Integers, size: int, rng: np.random.Generator, *, lengths: tuple[int, int], ages: int
) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Sample events one after another in the buffer of their cycle, in the order in which they were sent.

    In front of each event are two bytes: how many cycles later it was sent (its age), and the frame of that cycle with
    its first byte. An event is random except its first byte, which is its length here.

    Parameters
    ----------
    numbers : array of int64, shape (n,)
        Number of events in each cycle.
    size : int
        Size of a buffer in bytes; those after the last event are zero.
    rng : numpy.random.Generator
        Source of random numbers.
    lengths : tuple of int
        Shortest and longest event in bytes, 255 at most.
    ages : int
        Number of ages, from 0; half of the events have age 0, half of the rest age 1, and so on.

    Returns
    -------
    buffers : array of uint8, shape (n, size)
        The buffers.
    bytes_by_age : array of int64, shape (n, ages)
        Number of bytes of the events of each age, without the two in front.

    Raises
    ------
    UsageError
        The events may not fit into the buffer.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> buffers, spent = sample_event_buffers(np.array([2, 0]), 400, rng, lengths=(30, 160), ages=8)
    >>> lengths = int(buffers[0, 2]), int(buffers[0, buffers[0, 2] + 4])
    >>> sum(lengths) - int(spent[0].sum()), int(buffers[1].max())
    (0, 0)
    """
    if numbers.max(initial=0) * (2 + lengths[1]) > size:
        events = f"{plural(int(numbers.max()), 'event')} of up to {plural(lengths[1], 'byte')}"
        message = f"{events}, and two more for each, may exceed the {size}"
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
    """A spacecraft's clock: it counts the frames of the telemetry, about one a second, from frame 0 without end.

    Parameters
    ----------
    second, microsecond : int
        Time of frame 0, in seconds of the data types' clock.
    cycle : int
        Number of frames in a cycle of the instrument.
    creep : int
        Microseconds by which a cycle is longer than ``cycle`` seconds.
    counts, parts : str
        Patterns of the fields with the frame number, and with the microseconds of its time.
    of_end : str
        Pattern of further fields about the end of a record, besides the data type's end.

    Examples
    --------
    >>> clock = FrameClock(52_069_705, 604_000, cycle=256, creep=85)
    >>> clock.compute_times(np.array([0, 256, 1_192_960]))
    (array([52069705, 52069961, 53262666]), array([604000, 604085,    100]))
    """

    second: int
    microsecond: int
    cycle: int
    creep: int
    counts: str = "frame*"
    parts: str = "microsecond*"
    of_end: str = "*_end"

    def compute_times(self, frames: Integers) -> tuple[Integers, Integers]:
        """Compute whole seconds and microseconds of frames, with the same shape."""
        microseconds = self.microsecond + frames * self.creep // self.cycle
        return self.second + frames + microseconds // 10**6, microseconds % 10**6

    def list_frames(self, clock: Clock, day: np.datetime64) -> Integers:
        """List all frames with a whole second on a day, shape (n,), ascending.

        Raises
        ------
        UsageError
            The clock was not running yet at the start of the day.
        """
        start, end = int(clock.day_start(day)), int(clock.day_start(day + np.timedelta64(1, "D")))
        first = (start - self.second) * self.cycle * 10**6 // (self.cycle * 10**6 + self.creep) - 2
        frames = np.arange(first, first + end - start + 4)
        seconds, _ = self.compute_times(frames)
        frames = frames[(seconds >= start) & (seconds < end)]
        if frames[0] < 0:
            began = clock.to_datetime64(self.second).astype("datetime64[D]")
            raise UsageError(f"the spacecraft's clock began on {began}: {day} has no data; choose a day after that one")
        return frames

    def stamp(self, data_type: DataType, first: Integers, last: Integers | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return the values of the fields for start and end of records, by name.

        The data type's time (and end) is the second, or with the part of the second if it is a float.
        """
        stamps: dict[str, npt.NDArray[Any]] = {}
        for field in data_type.fields:
            of_end = last is not None and (field.name == data_type.end or fnmatchcase(field.name, self.of_end))
            frames = last if last is not None and of_end else first
            seconds, microseconds = self.compute_times(frames)
            if field.name in (data_type.time, data_type.end):
                stamps[field.name] = seconds + microseconds / 10**6 if field.base.kind == "f" else seconds
            elif fnmatchcase(field.name, self.counts):
                stamps[field.name] = frames
            elif fnmatchcase(field.name, self.parts):
                stamps[field.name] = microseconds
        return stamps


@dataclass(frozen=True)
class TelemetryDay:
    """One day of a spacecraft's telemetry, for the ``simulate`` of an instrument.

    Parameters
    ----------
    frame_clock : FrameClock
        The clock that counts the frames.
    types : mapping of str to DataType
        The instrument's data types by code; they have one clock, whose unit is the second.
    day : numpy.datetime64
        The day.
    seed : int
        The same day and seed give the same records.
    """

    frame_clock: FrameClock
    types: Mapping[str, DataType]
    day: np.datetime64
    seed: int

    def make_generator(self, name: str) -> np.random.Generator:
        """Make the random generator for a name, the same for each day and seed."""
        # A seed sequence takes no negative numbers.
        day = int(self.day.astype("datetime64[D]").astype(np.int64))
        return np.random.default_rng([self.seed % 2**64, day % 2**64, int.from_bytes(name.encode())])

    @cached_property
    def all_frames(self) -> Integers:
        """The frames of the day, including lost ones; shape (n,)."""
        clock = next(iter(self.types.values())).clock
        return self.frame_clock.list_frames(clock, self.day)

    @cached_property
    def gaps(self) -> Integers:
        """Two gaps, shape (2, 2): the first lost frame of each, and the first frame after it.

        They last 5 to 20 minutes and begin between 6 and 8 h and between 16:30 and 18:30.
        """
        rng = self.make_generator("gaps")
        begin = self.all_frames[0] + np.array([21600, 59400]) + rng.integers(0, 7200, 2)
        return np.stack([begin, begin + rng.integers(300, 1200, 2)], axis=1)

    def list_frames(self, every: int = 1) -> Integers:
        """List each ``every``-th frame of the day, by the spacecraft's count, if nothing up to the next one is lost."""
        frames: Integers = self.all_frames[self.all_frames % every == 0]
        for begin, end in self.gaps.tolist():
            frames = frames[(frames + every <= begin) | (frames >= end)]
        return frames

    @property
    def cycles(self) -> Integers:
        """The first frames of the day's cycles, shape (n,)."""
        return self.list_frames(every=self.frame_clock.cycle)

    def list_burst(self, second: int, number: int) -> Integers:
        """List n consecutive frames, from a second of the day on; shape (number,)."""
        return self.all_frames[second : second + number]

    def sample(
        self, code: str, first: Integers, last: Integers | None = None, overrides: Overrides | None = None
    ) -> RecordArray:
        """Sample records that begin with the frames ``first``, and end with ``last`` if they have an end.

        See :func:`sample_records` for ``overrides``; overrides of times are ignored.
        """
        data_type = self.types[code]
        stamps = self.frame_clock.stamp(data_type, first, last)
        return sample_records(
            data_type, stamps[data_type.time], self.make_generator(code), {**(overrides or {}), **stamps}
        )

    def sample_packed(
        self, code: str, first: Integers, numbers: Integers, *, lengths: tuple[int, int], ages: int, bytes_by_age: str
    ) -> RecordArray:
        """Sample records of a type with a packed buffer of events; none is continued.

        Parameters
        ----------
        code : str
            Code of the data type.
        first : array of int64, shape (n,)
            The first frame of each record.
        numbers : array of int64, shape (n,)
            The number of events in each record.
        lengths, ages
            As for :func:`sample_event_buffers`.
        bytes_by_age : str
            The field with the bytes of the events of each age.
        """
        data_type = self.types[code]
        packed = data_type.packed
        if packed is None:
            raise UsageError(f"{data_type.name} has no packed buffer; choose another type")
        size = data_type.field(packed.field).shape[0]
        buffers, spent = sample_event_buffers(numbers, size, self.make_generator("bodies"), lengths=lengths, ages=ages)
        values: Overrides = {packed.count: numbers, packed.field: buffers, bytes_by_age: spent}
        return self.sample(code, first, overrides={**values, **({packed.continued: 0} if packed.continued else {})})


def write_sources(
    instrument: Instrument,
    directory: Path,
    streams: Mapping[str, RecordArray],
    name: str,
    rest: Mapping[str, RecordArray],
) -> list[Path]:
    """Write records as sources that the instrument decodes: struct streams, and one HDF4 file.

    Parameters
    ----------
    instrument : Instrument
        The instrument; its layout declares the structs.
    directory : Path
        Directory for the files; created if it does not exist.
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
