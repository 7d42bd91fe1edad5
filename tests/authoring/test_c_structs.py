"""Structs of C headers are read as gcc lays them out: sizes, offsets, and bit fields beside other members."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dayfile import Instrument, Source

GCC = shutil.which("gcc")
pytestmark = pytest.mark.skipif(GCC is None, reason="gcc is not installed")

STRUCTS = {
    "bits behind a byte of their unit": "uint8_t ok; unsigned a : 5; unsigned b : 9; uint16_t x;",
    "bool in front of bits": "bool ok; int s5 : 5;",
    "bits that do not fit into what is left": "uint8_t ok; unsigned a : 20; unsigned b : 9;",
    "a byte behind bits": "unsigned a : 3; unsigned b : 7; uint8_t ok; uint8_t more;",
    "zero width": "unsigned a : 3; unsigned : 0; unsigned b : 7; uint8_t ok; uint16_t : 0; uint16_t c : 3;",
    "bits without names": "uint16_t a : 3; uint16_t : 9; uint16_t b : 4; uint8_t : 3; uint8_t c : 5;",
    "signed bits": "int8_t a : 3; short b : 9; int c : 17; long d : 40; char e : 4; signed char f : 7;",
    "units of several sizes": "uint8_t a : 3; uint32_t b : 7; uint16_t c : 16; uint64_t d : 33;",
    "wide units": "uint8_t ok; uint64_t a : 33; uint64_t b : 23; uint64_t c : 64; uint8_t last;",
    "across units": "uint32_t a : 20; uint32_t b : 20; uint32_t c : 12; uint32_t d : 32;",
    "bits of truth": "bool a : 1; bool b : 1; unsigned char c : 6; bool d : 1;",
    "behind an array": "uint8_t n[3]; unsigned a : 8; unsigned b : 4; double x; unsigned c : 2;",
}
KINDS = {
    "uint8_t": (8, False), "int8_t": (8, True), "uint16_t": (16, False), "int16_t": (16, True), "unsigned": (32, False),
    "int": (32, True), "uint64_t": (64, False), "long": (64, True), "char": (8, True), "bool": (1, False),
}  # fmt: skip
WAYS = {
    "natural": ("", "", ""),
    "packed": ("", " __attribute__((packed))", ""),
    "pack(1)": ("#pragma pack(push, 1)\n", "", "#pragma pack(pop)\n"),
    "pack(2)": ("#pragma pack(push, 2)\n", "", "#pragma pack(pop)\n"),
    "pack(8)": ("#pragma pack(push, 8)\n", "", "#pragma pack(pop)\n"),
}


def make_members(seed):
    """Make members at random: numbers, bits, bits without names, and those of no width."""
    chance = random.Random(seed)
    for number in range(chance.randint(2, 9)):
        kind, (width, _) = chance.choice(list(KINDS.items()))
        form = chance.random()
        if form < 0.3:
            yield f"{kind if kind != 'char' else 'float'} m{number};"
        elif form < 0.4:
            yield f"{kind} : {chance.choice([0, chance.randint(1, width)])};"
        else:
            yield f"{kind} m{number} : {chance.randint(1, width)};"


def draw_value(chance, kind, bits):
    """Draw a value that bits, or a number of a type, can have."""
    width, signed = KINDS.get(kind, (bits or 16, False))
    width = bits or min(width, 62)
    return chance.choice([0, 1, 2**width - 1, chance.randrange(2**width)]) - (2 ** (width - 1) if signed else 0)


def write_with_gcc(folder: Path, struct: str, values: dict[str, int]) -> bytes:
    """Compile and run a program that sets members of a struct and writes it."""
    sets = " ".join(f"it.{name} = {value - 1}LL + 1;" for name, value in values.items())
    source, program = folder / "a.c", folder / "a"
    source.write_text(
        f'#include <stdbool.h>\n#include <stdio.h>\n#include <string.h>\n#include "a.h"\n'
        f"int main(void) {{ struct {struct} it; memset(&it, 0, sizeof it);\n{sets}\n"
        "fwrite(&it, sizeof it, 1, stdout); }\n"
    )
    subprocess.run([GCC, "-w", "-fsigned-char", source, "-o", program], check=True)
    return subprocess.run([program], check=True, capture_output=True).stdout


def check_struct(folder: Path, command_here, members: str, way: str, seed: int) -> bool:
    """Compare a struct with gcc's; False if it is refused, as packed bits that share more than 8 bytes are."""
    before, attribute, after = WAYS[way]
    header = folder / "a.h"
    header.write_text(
        f"#include <stdint.h>\n#include <stdbool.h>\n{before}struct{attribute} it {{ uint32_t t; {members} }};\n{after}"
    )
    chance = random.Random(seed)
    declared = re.findall(r"([\w ]+?) (\w+)(?: : (\d+))?;", members)
    values = {name: draw_value(chance, kind.strip(), int(bits or 0)) for kind, name, bits in declared}
    content = write_with_gcc(folder, "it", {"t": 700_000_000, **values})
    done = command_here("dayfile", "layout", "from-header", header, "--struct", "it", archive=None)
    if done.code and "more than 8 bytes" in done.err:
        return False
    assert done.code == 0, done.err
    assert f"  size: {len(content)}\n" in done.out, header.read_text()
    instrument = Instrument(done.out, "a.yaml")
    assert instrument.find_mistakes() == (), done.out
    (batch,) = instrument.decode(Source(Path("a.bin"), "a.bin", content))
    record = batch.records[0]
    found = {name: np.asarray(record[name]).item() for name in ("t", *values)}
    assert found == {"t": 700_000_000, **values}, f"{header.read_text()}\n{done.out}"
    return True


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("struct", STRUCTS)
def test_a_struct_with_bit_fields_is_read_as_gcc_writes_it(tmp_path, command_here, struct, way):
    too_wide = struct == "signed bits" and way != "natural"  # 80 bits, one behind the other
    assert check_struct(tmp_path, command_here, STRUCTS[struct], way, 1) != too_wide


@pytest.mark.parametrize("seed", range(20))
def test_structs_of_members_and_bit_fields_at_random_are_read_as_gcc_writes_them(tmp_path, command_here, seed):
    way = list(WAYS)[seed % len(WAYS)]
    assert check_struct(tmp_path, command_here, " ".join(make_members(seed)), way, seed) or way != "natural"
