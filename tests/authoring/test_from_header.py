"""``dayfile layout from-header``: layouts from structs of C headers, with the offsets that a compiler gives them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dayfile import Instrument, Source

SAMPLES = Path(os.environ.get("DAYFILE_SAMPLES", "none")) / "formats" / "counts_h"
RAIN = """\
#pragma once
#include <stdint.h>
typedef unsigned char byte;
#define GAUGES 3
#define ALL (GAUGES + \\
             1)   // and the sum
#ifdef OLD
#error not compiled
#else
typedef enum { DRY, WET = 4, FROZEN } surface_t;
#endif
/** One minute of rain. */
typedef struct rain_minute {
    uint32_t time;            /*!< seconds since 2000-01-01 */
    byte status;
    surface_t surface;
    double amount[ALL];       ///< 0.1 mm; -1 when there is no gauge
    unsigned a : 3, b : 7;
    int c : 9;                /* us */
    long total;
    float wind, gust;         // m/s, m/s
    struct { int16_t x; char name[5]; } part[2];
    _Bool good;
} Rain;
#pragma pack(push, 1)
struct tight { uint8_t kind; uint64_t stamp; /* ms since 1970-01-01 */ uint16_t n; };
#pragma pack(pop)
struct __attribute__((packed)) closed { char c; int t; };
struct mixed { struct tight inside; uint32_t t; struct closed last[2]; unsigned short few : 3; unsigned char after; };
struct bad { int *t; union { int a; float b; } u; };
struct anonymous { uint32_t t; union { int a; float b; }; };
struct text { uint32_t t; char words[]; };
struct big { long double x; };
struct own { uint32_t t; _Alignas(16) uint32_t b; };
struct sums { uint32_t t; int n[2 * sizeof(int)]; };
"""


@pytest.fixture
def header(tmp_path):
    path = tmp_path / "rain.h"
    path.write_text(RAIN)
    return path


@pytest.fixture
def write_layout(header, command_here):
    def write(struct, *further, path=header):
        done = command_here("dayfile", "layout", "from-header", path, "--struct", struct, *further, archive=None)
        assert done.code == 0, done.err
        return done.out

    return write


def compile_sample(header: Path, struct: str, body: str) -> bytes:
    """Compile and run a C program that fills a struct ``it`` and writes it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    source = header.with_suffix(".c")
    program = header.with_suffix("")
    source.write_text(
        f'#include <stdio.h>\n#include <string.h>\n#include "{header.name}"\n'
        f"int main(void) {{ {struct} it; memset(&it, 0, sizeof it); {body} fwrite(&it, sizeof it, 1, stdout); }}\n"
    )
    subprocess.run([compiler, source, "-o", program], check=True)
    return subprocess.run([program], check=True, capture_output=True).stdout


def decode(layout: str, content: bytes) -> np.void:
    """Decode the only record of a source."""
    instrument = Instrument(layout, "rain.yaml")
    assert instrument.find_mistakes() == ()
    (batch,) = instrument.decode(Source(Path("rain_1.bin"), "rain_1.bin", content))
    return batch.records[0]


def test_what_a_compiler_writes_is_read_as_it_was_set(header, write_layout):
    content = compile_sample(
        header,
        "Rain",
        "it.time = 7e8; it.status = 9; it.surface = FROZEN; it.amount[3] = 2.5; it.a = 5; it.b = 100; it.c = -200;"
        'it.total = -4000000000L; it.gust = 1.5; it.part[1].x = -7; strcpy(it.part[1].name, "east"); it.good = 1;',
    )
    record = decode(write_layout("Rain"), content)
    assert record["time"] == 700_000_000
    assert (record["status"], record["surface"], record["amount"][3]) == (9, 5, 2.5)
    assert (record["a"], record["b"], record["c"], record["total"]) == (5, 100, -200, -4_000_000_000)
    assert (record["gust"], record["part_x"].tolist(), record["part_name"][1], record["good"]) == (
        1.5,
        [0, -7],
        b"east",
        1,
    )


def test_packed_structs_and_bits_in_front_of_a_narrow_member_are_read_as_a_compiler_writes_them(header, write_layout):
    content = compile_sample(
        header,
        "struct mixed",
        "it.inside.kind = 3; it.inside.stamp = 1700000000123UL; it.inside.n = 40000; it.t = 5; it.last[1].t = 6;"
        "it.few = 6; it.after = 7;",
    )
    layout = write_layout("mixed", "--time", "inside_stamp")
    record = decode(layout, content)
    assert (record["inside_kind"], record["inside_stamp"], record["inside_n"]) == (3, 1_700_000_000_123, 40_000)
    assert (record["t"], record["last_t"].tolist(), record["few"], record["after"]) == (5, [0, 6], 6, 7)
    assert "alignment: packed" in layout


def test_comments_become_units_scales_missing_values_and_epochs_where_they_say_it_plainly(write_layout):
    layout = write_layout("Rain")
    rain = Instrument(layout, "rain.yaml").layout.types[0]
    assert rain.title == "One minute of rain"
    assert str(rain.clock.epoch).startswith("2000-01-01T00:00:00")
    amount = rain.field("amount")
    assert (amount.physical.scale, amount.physical.unit, amount.missing, amount.shape) == (0.1, "mm", (-1,), (4,))
    assert [rain.field(name).unit for name in ("wind", "gust", "c")] == ["m/s", "m/s", "us"]
    assert [(flag.value, flag.name) for flag in rain.list_names(rain.field("surface"))] == [
        ("0", "DRY"),
        ("4", "WET"),
        ("5", "FROZEN"),
    ]
    assert "constants: {ALL: 4}" in layout


def test_what_the_header_does_not_say_is_marked_as_a_guess(header, write_layout, tmp_path):
    plain = tmp_path / "plain.h"
    plain.write_text("struct plain { unsigned n; };")
    layout = write_layout("plain", path=plain)
    assert re.search(r"^clock: .*# a guess", layout, re.MULTILINE)
    assert re.search(r"time: n  # a guess", layout)
    assert "guess" not in write_layout("Rain")


@pytest.mark.parametrize(
    ("struct", "declared", "part"),
    [
        ("bad", "struct bad {", "a pointer"),
        ("anonymous", "struct anonymous {", "a union without a name"),
        ("text", "struct text {", "an array without a size"),
        ("big", "struct big {", "long double"),
        ("own", "struct own {", "take _Alignas out"),
        ("sums", "struct sums {", "sizeof(int) is not a whole number that the header gives"),
        ("Rian", None, "did you mean 'Rain'"),
    ],
)
def test_what_has_no_equal_is_refused_at_its_line_in_plain_words(header, command_here, struct, declared, part):
    done = command_here("dayfile", "layout", "from-header", header, "--struct", struct, archive=None)
    assert done.code == 2
    assert part in done.err
    lines = [number for number, line in enumerate(RAIN.splitlines(), 1) if declared and line.startswith(declared)]
    assert f"rain.h:{lines[0]}:" in done.err if lines else "rain.h" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "text",
    [
        "struct a { int t __attribute__((packed)); };",
        "struct a { int t; } A __attribute__((packed));\nstruct b { int t; };",
        "struct a { int ",
        "#if FOO > 3\n#endif",
        "#define F(x) x\nstruct a { int F(y); };",
        "",
    ],
)
def test_a_header_that_is_not_understood_gives_one_message(tmp_path, command_here, text):
    path = tmp_path / "a.h"
    path.write_text(text)
    done = command_here("dayfile", "layout", "from-header", path, "--struct", "a", archive=None)
    assert (done.code, "a.h" in done.err, "Traceback" in done.err) == (2, True, False)


def test_comments_of_headers_of_the_system_say_nothing_of_a_struct(write_layout, tmp_path):
    path = tmp_path / "whole.h"
    path.write_text(
        '# 1 "a.h"\n# 1 "/usr/include/stdint.h" 1 3 4\n/* Limits */\nstruct system { int n; /* 0.1 mm */ };\n'
        '# 2 "a.h" 2\n/* Rain */\nstruct plain { unsigned t; /* s since 2000-01-01 */ };\n'
    )
    plain, system = write_layout("plain", path=path), write_layout("system", "--time", "n", path=path)
    assert "title: Rain" in plain
    assert "2000-01-01" in plain
    assert "title: system" in system
    assert "mm" not in system


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
@pytest.mark.parametrize(
    ("struct", "size", "fields"), [("counts", 320, 19), ("house", 88, 12), ("note", 24, 8), ("header", 20, 6)]
)
def test_the_header_of_a_counting_crate_gives_its_sizes(write_layout, struct, size, fields):
    layout = write_layout(struct, path=SAMPLES / "counts.h")
    instrument = Instrument(layout, "counts.yaml")
    assert f"  size: {size}\n" in layout
    assert len(instrument.layout.types[0].fields) == fields
    assert instrument.layout.types[0].clock.scale == "gps"
