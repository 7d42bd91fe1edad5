"""Small instruments of our own, declared by layouts, and what they send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dayfile import Batch, Blobs, DataType, Instrument

if TYPE_CHECKING:
    import numpy.typing as npt

LAYOUT = """\
instrument: muon
title: Muon telescope on the roof
clock: {epoch: 1996-01-01T00:00:00, unit: s, leap_seconds: counted, undefined: [0, 0xFFFFFFFF]}
structs: {byte_order: big, alignment: natural}
sources: [struct_streams]
path: "muon/{year}/{month:02}/muon.{year}.{month:02}.{day:02}.{suffix}.h5"
types:
  rates:
    code: MuonRates
    title: Rates, one record a 256 s cycle
    suffix: rat
    store: slots
    period: 256
    time: second
    size: 28
    fields:
      - {name: quality, type: uint8}
      - {name: second, type: uint32, unit: s, doc: start of the cycle}
      - {name: counts, type: uint16, shape: [3], unit: '1/cycle'}
      - {name: temperature, type: float32, unit: degC}
      - {name: label, type: char, shape: [7]}
  hits:
    code: MuonHit
    title: Single muons
    suffix: hit
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: energy, type: float64, unit: GeV}
      - {name: channel, type: int16}
      - {name: label, type: char, shape: [5]}
  runs:
    code: MuonRun
    title: Runs of the telescope
    suffix: run
    store: intervals
    time: first
    end: last
    fields:
      - {name: first, type: uint32, unit: s}
      - {name: last, type: uint32, unit: s}
      - {name: gain, type: float32}
"""

# Appended rates with fractions of a second, values that are missing, flags and names of elements: what files of other
# programs and libraries are to say.
TELESCOPE = """\
instrument: muon
title: Muon telescope on the roof
clock: {epoch: 1996-01-01T00:00:00, unit: s, leap_seconds: counted, undefined: [0]}
path: "muon/{year}/{month:02}/{day:02}.{suffix}.h5"
sources: [struct_streams]
types:
  rates:
    code: MuonRates
    title: Rates of the layers
    store: append
    time: {field: second, fraction: nanosecond, unit: ns}
    fields:
      - {name: second, type: uint32, unit: s, doc: start of the cycle}
      - {name: nanosecond, type: uint32, unit: ns}
      - {name: counts, type: int16, shape: [3], unit: 1/s, missing: [-1, -999], doc: counts of each layer}
      - {name: grid, type: float32, shape: [2, 2], unit: ADC count}
      - {name: pressure, type: int32, unit: hPa, missing: [-1]}
      - {name: level, type: float64, missing: [-9.5]}
      - {name: label, type: char, shape: [5]}
      - {name: good, type: bool}
      - {name: quality, type: uint8}
      - {name: large, type: uint64}
    flags:
      quality: [{bit: 0x01, name: BAD_CLOCK}, {bit: 0x80, doc: filled up}]
    elements:
      counts: [{index: 0, name: top}, {index: 1-2, name: lower}]
"""

# Records with blobs have no C struct: they stand in one group a station, two types beside one array of blobs.
SCHOOL = """\
instrument: school
title: Detectors on school roofs
clock: {epoch: 1970-01-01T00:00:00}
path: "school/{year}_{month}_{day}.h5"
node: /school/station_{station}/{type}
titles: [School data, 'Station {station}']
blobs: {node: '/school/station_{station}/blobs', title: Variable-length values}
keeps: [time32]
types:
  events:
    code: EVT
    title: Events
    store: append
    time: timestamp
    fields:
      - {name: event_id, type: uint32, counter: true}
      - {name: timestamp, type: time32, unit: s}
      - {name: height, type: float32}
      - {name: label, type: char, shape: [4]}
      - {name: traces, type: int32, shape: [2], blob: base64, default: -1}
  errors:
    code: ERR
    title: Error messages
    store: append
    time: timestamp
    fields:
      - {name: event_id, type: uint32, counter: true}
      - {name: timestamp, type: time32, unit: s}
      - {name: message, type: int32, blob: latin-1, default: -1}
"""


@dataclass(frozen=True, repr=False)
class Muon:
    """A muon telescope: its plugin, its types, and sources of it as bytes."""

    layout: ClassVar[str] = LAYOUT
    day: ClassVar[np.datetime64] = np.datetime64("1997-10-31")
    start: ClassVar[int] = 57801601  # clock value of the first second of that day
    instrument: Instrument = field(default_factory=lambda: Instrument(LAYOUT, "muon.yaml"))

    @property
    def types(self) -> dict[str, DataType]:
        """Its types by their short names."""
        return {data_type.type: data_type for data_type in self.instrument.layout.types}

    @property
    def rates(self) -> DataType:
        """Slots of 256 s."""
        return self.types["rates"]

    @property
    def hits(self) -> DataType:
        """Appended, one after the other."""
        return self.types["hits"]

    @property
    def runs(self) -> DataType:
        """Intervals."""
        return self.types["runs"]

    def records(self, name: str, rows: Sequence[Mapping[str, object]]) -> npt.NDArray[Any]:
        """Make records of a type from dicts of fields."""
        array = np.zeros(len(rows), self.types[name].dtype)
        for index, row in enumerate(rows):
            for column, value in row.items():
                array[column][index] = value
        return array

    def batch(self, name: str, array: npt.NDArray[Any]) -> Batch:
        """Make a batch of records of a type."""
        return Batch("muon", self.types[name].code, array, np.arange(len(array)))

    def stream(self, name: str, array: npt.NDArray[Any], order: str = "big") -> bytes:
        """Make the content of a struct stream, with the padding a compiler leaves."""
        form = self.instrument.struct(self.types[name], order)
        structs = np.zeros(len(array), form)
        for column in form.names:
            structs[column] = array[column]
        return structs.tobytes()


@dataclass(frozen=True, repr=False)
class School:
    """Detectors on school roofs: types with blobs and counters, and batches of them from plain rows."""

    layout: ClassVar[str] = SCHOOL
    day: ClassVar[np.datetime64] = np.datetime64("2017-02-26")
    start: ClassVar[int] = 1488067200
    instrument: Instrument = field(default_factory=lambda: Instrument(SCHOOL, "school.yaml"))

    @property
    def types(self) -> dict[str, DataType]:
        """Its types by their short names."""
        return {data_type.type: data_type for data_type in self.instrument.layout.types}

    @property
    def events(self) -> DataType:
        """Records with two blobs each."""
        return self.types["events"]

    @property
    def errors(self) -> DataType:
        """Records with a text each."""
        return self.types["errors"]

    def make_events(
        self, rows: Sequence[tuple[Any, ...]], numbers: Iterable[int] | None = None, station: int = 7
    ) -> Batch:
        """Make a batch of (second of the day, height, label, blob or None, blob or None).

        A row may leave the blobs out.
        """
        array = np.zeros(len(rows), self.events.dtype)
        values, owners = [], []
        for index, (second, height, label, *traces) in enumerate(rows):
            array["timestamp"][index] = self.start + second
            array["height"][index] = height
            array["label"][index] = label
            array["traces"][index] = -1
            for place, blob in enumerate(traces):
                if blob is not None:
                    array["traces"][index, place] = len(values)
                    values.append(blob)
                    owners.append(index)
        return self._batch("EVT", array, numbers, station, Blobs(values, np.array(owners, np.int64)))

    def make_errors(
        self, rows: Sequence[tuple[int, bytes]], numbers: Iterable[int] | None = None, station: int = 7
    ) -> Batch:
        """Make a batch of (second of the day, message)."""
        array = np.zeros(len(rows), self.errors.dtype)
        array["timestamp"] = [self.start + second for second, _ in rows]
        array["message"] = np.arange(len(rows))
        blobs = Blobs([message for _, message in rows], np.arange(len(rows)))
        return self._batch("ERR", array, numbers, station, blobs)

    def _batch(
        self, code: str, array: npt.NDArray[Any], numbers: Iterable[int] | None, station: int, blobs: Blobs
    ) -> Batch:
        places = np.arange(len(array)) if numbers is None else np.array(numbers, np.int64)
        return Batch("school", code, array, places, {"station": station}, blobs)


def make_stream(
    instrument: Instrument, data_type: DataType, records: npt.NDArray[Any], order: str | None = None
) -> bytes:
    """Make the content of a struct stream of any instrument; the byte order is that of its layout, if not given."""
    form = instrument.struct(data_type, order)
    structs = np.zeros(len(records), form)
    for name in records.dtype.names:
        structs[name] = records[name]
    return structs.tobytes()
