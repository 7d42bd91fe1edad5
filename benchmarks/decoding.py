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

__all__ = ["decode"]

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
PARSERS = {"ccsdspy": 500_000, "construct": 30_000, "dissect.cstruct": 30_000, "space_packet_parser": 15_000}
"""Other parsers, and how many packets each is given."""
FLOOR_AIM, PEER_AIM = 0.9, 1


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
