"""A stream of 48-byte structs decoded by a layout: beside NumPy by hand, and beside parsers of packets and structs.

The structs are space packets (CCSDS 133.0), so that parsers of those can read the same bytes: the primary header of
6 bytes, as three numbers of 16 bits, and 42 bytes of data.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Measured, Round, Row, Side, absent, measured, timed
from dayfile.formats.struct_dtypes import to_records
from dayfile.formats.structs import read_stream
from dayfile.instrument import Instrument
from dayfile.model.batch import Batch, Source

__all__ = ["decode", "decode_fields"]

LAYOUT = """
instrument: probe
title: A probe
clock: {epoch: 1996-01-01T00:00:00, unit: s}
structs: {byte_order: big, alignment: natural}
sources: [struct_streams]
path: "probe/{year}/{month:02}/{day:02}.h5"
types:
  packets:
    code: Packet
    title: Packets
    store: slots
    period: 1
    time: second
    fields:
      - {name: first, type: uint16, doc: version and identifier}
      - {name: sequence, type: uint16, doc: flags and count}
      - {name: length, type: uint16, doc: bytes of data less one}
      - {name: status, type: uint16, doc: status}
      - {name: second, type: uint32, unit: s, doc: time}
      - {name: microsecond, type: uint32, unit: us, doc: fraction}
      - {name: counts, type: uint16, shape: [12], doc: counts}
      - {name: quality, type: uint8, shape: [8], doc: flags}
"""
BY_HAND = np.dtype(
    [
        ("first", ">u2"),
        ("sequence", ">u2"),
        ("length", ">u2"),
        ("status", ">u2"),
        ("second", ">u4"),
        ("microsecond", ">u4"),
        ("counts", ">u2", 12),
        ("quality", "u1", 8),
    ]
)
IDENTIFIER, UNSEGMENTED, COUNTS = 0x123, 0xC000, 0x4000
PARSERS = {
    "ccsdspy": 500_000,
    "construct": 30_000,
    "dissect.cstruct": 30_000,
    "kaitaistruct": 30_000,
    "space_packet_parser": 15_000,
}
"""Other parsers, and how many packets each is given."""
FLOOR_AIM, PEER_AIM = 0.9, 1
FRAMED = """
instrument: probe
title: A probe
clock: {epoch: 1970-01-01T00:00:00, unit: s}
structs: {byte_order: little, alignment: packed}
match: {name: "*.bin"}
frames: {size: 48}
path: "probe/{year}{month:02}{day:02}.h5"
types:
  records:
    code: Record
    title: Records
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: nanosecond, type: uint32, unit: ns}
      - type: uint32
        bits: [{name: mode, bits: 4}, {name: gain, bits: 8}, {name: rate, bits: 8}, {name: dead, bits: 12}]
      - {name: temperature, type: int16, physical: {scale: 0.01, unit: degC}}
      - {name: station, type: uint16}
      - {name: x, type: float32}
      - {name: y, type: float32}
      - {name: counts, type: uint16, shape: [8]}
      - {name: energy, type: float64}
"""
"""Records of 48 bytes with four bit fields, and a scaled one that is kept as it was sent."""
RAW_FIELDS = [("second", "<u4"), ("nanosecond", "<u4"), ("word", "<u4"), ("temperature", "<i2"), ("station", "<u2")]
RAW = np.dtype([*RAW_FIELDS, ("x", "<f4"), ("y", "<f4"), ("counts", "<u2", 8), ("energy", "<f8")])
FRAMED_AIM = 0.4


def decode(asked: Round, programs: Path) -> list[Row]:
    """A row for each other parser; ``programs`` is the Python of the environment they are installed in."""
    path, count = asked.place("decode") / "packets", asked.size(500_000, 2000)
    packets = made(count)
    content = packets.tobytes()
    path.write_bytes(content)
    instrument = Instrument(LAYOUT, "probe.yaml")
    (data_type,) = instrument.data_types()
    struct, native = instrument.struct(data_type), BY_HAND.newbyteorder("<")

    def peer(name: str) -> Side:
        number = min(count, PARSERS[name])
        total = int(packets["second"][:number].sum(dtype=np.int64))
        return Side(name, number, lambda: seconds_of(programs, name, path, number, total))

    there = [name for name in PARSERS if installed(programs, name)]
    ours, by_hand, *took = measured(
        asked.runs,
        Side("dayfile", count, timed(lambda: to_records(read_stream(content, struct, "packets"), data_type))),
        Side(
            "numpy.frombuffer and astype by hand", count, timed(lambda: np.frombuffer(content, BY_HAND).astype(native))
        ),
        *map(peer, there),
    )
    peers: dict[str, Measured] = dict(zip(there, took, strict=True))
    work = "decode 48-byte structs by a layout"
    return [
        Row(
            f"decode-{name.partition('_')[0].removeprefix('dissect.')}",
            work,
            "structs/s",
            ours,
            peers.get(name, absent(name)),
            PEER_AIM,
            by_hand,
            FLOOR_AIM,
        )
        for name in PARSERS
    ]


def decode_fields(asked: Round) -> list[Row]:
    """A row for records with bit fields by the words of a layout, beside NumPy that copies the same bytes."""
    count = asked.size(1_000_000, 2000)
    structs = np.frombuffer(bytearray(np.random.default_rng(1).bytes(count * RAW.itemsize)), RAW)
    structs["second"] = 10**9 + np.arange(count)
    content = structs.tobytes()
    source, instrument = Source(Path("records.bin"), "records.bin", content), Instrument(FRAMED, "probe.yaml")
    widened = np.dtype([(name, "<u8" if name == "word" else RAW[name]) for name in RAW.names or ()])

    def decode_all() -> None:
        items = instrument.decode(source)
        if items is None or sum(len(item.records) for item in items if isinstance(item, Batch)) != count:
            raise SystemExit("dayfile did not read all records")

    ours, by_hand = measured(
        asked.runs,
        Side("dayfile", count, timed(decode_all)),
        Side("numpy.frombuffer and astype", count, timed(lambda: np.frombuffer(content, RAW).astype(widened))),
    )
    work = "decode 48-byte records with bit fields"
    return [Row("fields", work, "records/s", ours, floor=by_hand, floor_aim=FRAMED_AIM)]


def made(count: int) -> npt.NDArray[np.void]:
    """Packets, big-endian: headers as they should be, all else random; shape (count,)."""
    packets = np.frombuffer(bytearray(np.random.default_rng(1).bytes(count * BY_HAND.itemsize)), BY_HAND)
    packets["first"] = IDENTIFIER
    packets["sequence"] = UNSEGMENTED + np.arange(count) % COUNTS
    packets["length"] = BY_HAND.itemsize - 6 - 1
    return packets


def installed(programs: Path, name: str) -> bool:
    """Whether an environment has a parser."""
    code = f"import {name}"
    return programs.exists() and not subprocess.run([programs, "-c", code], capture_output=True, check=False).returncode


def seconds_of(programs: Path, name: str, path: Path, count: int, total: int) -> float:
    """Seconds of another parser, as it tells them itself; SystemExit if it read something else."""
    script = Path(__file__).with_name("parsers.py")
    command: list[str | Path] = [programs, script, name, path, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    if told["total"] != total:
        raise SystemExit(f"{name} read other numbers: their sum is {told['total']}, not {total}")
    return float(told["seconds"])
