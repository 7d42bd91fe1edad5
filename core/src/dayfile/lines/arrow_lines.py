"""Lines of a block as typed columns at once, by pyarrow's reader of CSV, where nothing about them is odd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.arrow_numbers import ODD
from dayfile.lines.numbers import TextColumn, read_texts, round_to
from dayfile.lines.texts import Texts
from dayfile.stages.base import Columns, Frames, Wrong

__all__ = ["read_at_once"]


def read_at_once(lines: Frames, names: Sequence[str], separator: str, columns: Sequence[TextColumn]) -> Columns | None:
    """Read columns of lines; None if something about these is odd, and has to be looked at line by line.

    What is returned equals what :class:`~dayfile.lines.columns.ColumnParts` reads in its other ways.
    """
    import pyarrow as pa
    import pyarrow.csv

    wanted = {column.name: column for column in columns}
    if not (len(lines) and wanted and wanted.keys() <= set(names)) or any(each.decimal != "." for each in columns):
        return None
    text = gather(lines, separator)
    if text is None:
        return None
    types = {name: pa.from_numpy_dtype(find_type(column)) for name, column in wanted.items()}
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(text),
            pyarrow.csv.ReadOptions(column_names=list(names)),
            pyarrow.csv.ParseOptions(delimiter=separator or " ", quote_char=False),
            pyarrow.csv.ConvertOptions(
                column_types=types, include_columns=list(wanted), null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(lines):
        return None
    found = {}
    for name, column in wanted.items():
        values = take(table[name], column)
        if values is None:
            return None
        found[name] = values
    return found


def find_type(column: TextColumn) -> np.dtype[Any]:
    """Return what pyarrow reads a column as: our own rounding makes float32 of float64."""
    if column.type == "char":
        return np.dtype(np.bytes_)
    return np.dtype(np.float64) if column.dtype.kind == "f" else column.dtype


def take(chunks: Any, column: TextColumn) -> npt.NDArray[Any] | None:  # noqa: ANN401 - an array of pyarrow
    """Return the values of a column as we have them; None if one of them does not fit."""
    if column.type == "char":
        wrong = Wrong.none(len(chunks))
        chars = read_texts(column, Texts.of_arrow(chunks.combine_chunks()), wrong)
        return None if wrong.rows.any() else chars
    values: npt.NDArray[Any] = chunks.to_numpy()
    if column.dtype.kind == "f":
        values = round_to(values, column.dtype)
        return None if np.isinf(values).any() else values
    return values if values.flags.writeable else values.copy()


def gather(lines: Frames, separator: str) -> bytes | None:
    """Return the lines as one text in which each is a row of pyarrow's; None if it might take them for another."""
    ends = lines.starts + lines.lengths
    gaps = lines.starts[1:] - ends[:-1] > 2
    firsts = np.concatenate([[0], np.flatnonzero(gaps) + 1])
    lasts = np.append(firsts[1:], len(lines)) - 1
    whole = np.ascontiguousarray(lines.block).data
    text = b"\n".join(
        whole[start:end] for start, end in zip(lines.starts[firsts].tolist(), ends[lasts].tolist(), strict=True)
    )
    if any(odd in text for odd in ODD) or (separator and b'"' in text):
        return None
    if b"\r" in text and text.count(b"\r\n") != text.count(b"\r"):
        return None
    if text.startswith(b"\xef\xbb\xbf"):
        return None
    return text if separator else squeeze(text)


def squeeze(text: bytes) -> bytes:
    """Leave one space between parts, and none around lines."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    if b"  " in text:
        content = np.frombuffer(text, np.uint8)
        kept = content != ord(" ")
        kept[1:] |= kept[:-1]
        text = content[kept].tobytes()
    for blank_end, end in ((b" \n", b"\n"), (b" \r", b"\r"), (b"\n ", b"\n")):
        if blank_end in text:
            text = text.replace(blank_end, end)
    return text.strip(b" ")
