"""Lines of numbers as typed columns: beside pyarrow's and polars' own reading of the same bytes to the same types."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.measuring import Round, Row, Side, measured, timed
from dayfile.lines.line_reader import LineReader
from dayfile.lines.lines import LineForm
from dayfile.lines.numbers import TextColumn

__all__ = ["read_lines_of_numbers"]

TYPES = {"event": "int64", "adc": "int32", "sipm": "float64", "amps": "float64", "temp": "int8"}
AIM = 0.5
"""How many times the rate of the others we want to reach."""


def read_lines_of_numbers(asked: Round) -> Iterator[Row]:
    """Two rows: lines with commas, and lines in which two blanks are between parts."""
    lines = asked.size(600_000, 2000)
    content = make_lines(lines)
    numbers = int(np.sum(read_with_dayfile(content, ",")["adc"]))
    for peer, read in (("pyarrow", read_with_pyarrow), ("polars", read_with_polars)):
        if read(content) != numbers:
            raise SystemExit(f"{peer} reads other numbers")
        yield compare(asked, f"lines-{peer}", "with commas", lines, content, ",", peer, read)
    blanks = content.replace(b",", b"  ")
    yield compare(
        asked,
        "lines-blanks",
        "with blanks; theirs with commas",
        lines,
        blanks,
        "",
        "pyarrow",
        read_with_pyarrow,
        content,
    )


def make_lines(count: int) -> bytes:
    """Make lines of whole and decimal numbers, some 38 bytes each."""
    generator = np.random.default_rng(1)
    columns = (
        np.arange(count), generator.integers(0, 10**6, count), generator.normal(size=count),
        generator.normal(0, 1e-5, count), generator.integers(-100, 100, count),
    )  # fmt: skip
    return b"".join(b"%d,%d,%.4f,%.6e,%d\n" % row for row in zip(*(column.tolist() for column in columns), strict=True))


def compare(
    asked: Round, name: str, kind: str, lines: int, content: bytes, separator: str, peer: str,
    read: Callable[[bytes], object], theirs: bytes | None = None,
) -> Row:  # fmt: skip
    """Compare the rates of lines."""
    ours = Side("dayfile", lines, timed(lambda: read_with_dayfile(content, separator)))
    other = Side(peer, lines, timed(lambda: read(content if theirs is None else theirs)))
    took, took_peer = measured(asked.runs, ours, other)
    return Row(
        name, f"{lines:,} lines of five numbers, {kind}", "lines/s", took, took_peer, AIM if theirs is None else 0
    )


def read_with_dayfile(content: bytes, separator: str) -> dict[str, np.ndarray]:
    """Read lines as a layout says it."""
    form = LineForm(tuple(TYPES), separator=separator)
    block = LineReader(form).read(np.frombuffer(content, np.uint8), last=True)
    values, wrong = block.parts.read([TextColumn(name, kind) for name, kind in TYPES.items()])
    if wrong.rows.any():
        raise SystemExit(next(iter(wrong.reasons.values())))
    return values


def read_with_pyarrow(content: bytes) -> int:
    """Read lines with pyarrow's reader of CSV, on all processors."""
    import pyarrow as pa
    import pyarrow.csv

    table = pyarrow.csv.read_csv(
        pa.py_buffer(content),
        pyarrow.csv.ReadOptions(column_names=list(TYPES)),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: getattr(pa, kind)() for name, kind in TYPES.items()}
        ),
    )
    return int(table["adc"].to_numpy().sum())


def read_with_polars(content: bytes) -> int:
    """Read lines with polars' reader of CSV, on all processors."""
    import polars as pl

    schema = {name: getattr(pl, kind.capitalize())() for name, kind in TYPES.items()}
    return int(pl.read_csv(io.BytesIO(content), has_header=False, schema=schema)["adc"].to_numpy().sum())
