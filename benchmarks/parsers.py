"""Other parsers at work on the packets of :mod:`benchmarks.decoding`: a script for an environment that has them.

``python parsers.py NAME FILE COUNT`` decodes the first packets of a file all at once, in the quickest form that the
parser's documentation gives, and writes as JSON the seconds it took, without imports and the making of the parser, and
the sum of one field, which tells that it read what was there.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE, COUNTS, QUALITIES = 48, 12, 8
HEADER = ("first", "sequence", "length")
Parse = Callable[[bytes], int]
"""Decodes packets, and sums their seconds."""


def ccsdspy_(count: int) -> Parse:  # noqa: ARG001 - all are called alike
    """Fixed-length packets, decoded to columns."""
    import ccsdspy
    from ccsdspy import PacketArray, PacketField

    packets = ccsdspy.FixedLength(
        [
            PacketField("status", "uint", 16),
            PacketField("second", "uint", 32),
            PacketField("microsecond", "uint", 32),
            PacketArray(name="counts", data_type="uint", bit_length=16, array_shape=COUNTS, array_order="C"),
            PacketArray(name="quality", data_type="uint", bit_length=8, array_shape=QUALITIES, array_order="C"),
        ]
    )
    return lambda content: int(packets.load(io.BytesIO(content), include_primary_header=True)["second"].sum())


def construct_(count: int) -> Parse:
    """A compiled struct, in an array of as many as there are."""
    from construct import Array, Int8ub, Int16ub, Int32ub, Struct

    struct = Struct(
        *(name / Int16ub for name in (*HEADER, "status")),
        "second" / Int32ub,
        "microsecond" / Int32ub,
        "counts" / Array(COUNTS, Int16ub),
        "quality" / Array(QUALITIES, Int8ub),
    )
    compiled = Array(count, struct).compile()
    return lambda content: sum(packet.second for packet in compiled.parse(content))


def cstruct(count: int) -> Parse:
    """A compiled struct, in an array of as many as there are."""
    from dissect.cstruct import cstruct as declarations

    words = "".join(f"uint16 {name};" for name in (*HEADER, "status"))
    text = f"struct packet {{ {words} uint32 second; uint32 microsecond; uint16 counts[12]; uint8 quality[8]; }};"
    struct = declarations(endian=">").load(text, compiled=True).packet
    return lambda content: sum(packet.second for packet in struct[count](content))


def space_packet_parser_(count: int) -> Parse:  # noqa: ARG001 - all are called alike
    """Packets by an XTCE definition, one after the other from its generator; it knows no arrays of numbers."""
    from space_packet_parser.generators import ccsds_generator
    from space_packet_parser.xtce.definitions import XtcePacketDefinition

    definition = XtcePacketDefinition.from_xtce(io.BytesIO(xtce().encode()))
    return lambda content: sum(
        int(definition.parse_bytes(packet)["SECOND"]) for packet in ccsds_generator(io.BytesIO(content))
    )


def kaitaistruct(count: int) -> Parse:  # noqa: ARG001 - all are called alike
    """The class that its compiler makes of a description; packets up to the end of the stream."""
    numbers = {**dict.fromkeys((*HEADER, "status"), "u2"), "second": "u4", "microsecond": "u4"}
    fields = [{"id": name, "type": kind} for name, kind in numbers.items()]
    for name, kind, number in (("counts", "u2", COUNTS), ("quality", "u1", QUALITIES)):
        fields.append({"id": name, "type": kind, "repeat": "expr", "repeat-expr": number})
    description = {
        "meta": {"id": "stream", "endian": "be"},
        "seq": [{"id": "packets", "type": "packet", "repeat": "eos"}],
        "types": {"packet": {"seq": fields}},
    }
    words = ["node", "-e", COMPILE, Path(sys.prefix) / "node_modules/kaitai-struct-compiler", json.dumps(description)]
    made: dict[str, Any] = {}
    exec(subprocess.run(words, capture_output=True, text=True, check=True).stdout, made)  # noqa: S102 - the parser
    return lambda content: sum(packet.second for packet in made["Stream"].from_bytes(content).packets)


COMPILE = """
const [path, description] = process.argv.slice(1)
require(path).compile("python", JSON.parse(description), null, false).then(files => console.log(files["stream.py"]))
"""


def xtce() -> str:
    """The packet as XTCE."""
    header = {"VERSION": 3, "TYPE": 1, "SEC_HDR_FLG": 1, "PKT_APID": 11, "SEQ_FLGS": 2, "SRC_SEQ_CTR": 14}
    fields = {**header, "PKT_LEN": 16, "STATUS": 16, "SECOND": 32, "MICROSECOND": 32}
    fields |= {f"COUNTS{place}": 16 for place in range(COUNTS)} | {f"QUALITY{place}": 8 for place in range(QUALITIES)}
    types = "".join(
        f'<xtce:IntegerParameterType name="U{bits}" signed="false">'
        f'<xtce:IntegerDataEncoding sizeInBits="{bits}" encoding="unsigned"/></xtce:IntegerParameterType>'
        for bits in sorted(set(fields.values()))
    )
    names = "".join(f'<xtce:Parameter name="{name}" parameterTypeRef="U{bits}"/>' for name, bits in fields.items())
    entries = "".join(f'<xtce:ParameterRefEntry parameterRef="{name}"/>' for name in fields)
    return (
        '<xtce:SpaceSystem xmlns:xtce="http://www.omg.org/spec/XTCE/20180204" name="packets"><xtce:TelemetryMetaData>'
        f"<xtce:ParameterTypeSet>{types}</xtce:ParameterTypeSet><xtce:ParameterSet>{names}</xtce:ParameterSet>"
        f'<xtce:ContainerSet><xtce:SequenceContainer name="CCSDSPacket"><xtce:EntryList>{entries}</xtce:EntryList>'
        "</xtce:SequenceContainer></xtce:ContainerSet></xtce:TelemetryMetaData></xtce:SpaceSystem>"
    )


PARSERS = {
    "ccsdspy": ccsdspy_,
    "construct": construct_,
    "dissect.cstruct": cstruct,
    "kaitaistruct": kaitaistruct,
    "space_packet_parser": space_packet_parser_,
}


def main() -> None:
    """Decode and tell."""
    name, path, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    parse = PARSERS[name](count)
    content = path.read_bytes()[: count * SIZE]
    start = time.perf_counter()
    total = parse(content)
    print(json.dumps({"seconds": time.perf_counter() - start, "total": total}))


if __name__ == "__main__":
    main()
