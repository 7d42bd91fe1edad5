"""Texts as numbers by pyarrow: what :mod:`dayfile.lines.numbers` reads from them, quicker."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.numbers import Parsed, describe_range, parse_one_by_one, round_to
from dayfile.lines.texts import Texts

__all__ = ["ODD", "parse_with_arrow"]

ODD = (b"x", b"X", b"(", b"\0")
"""What is in numbers that pyarrow reads and we do not: ``0x1F``, ``nan(1)``; and what might end a text."""
REGULAR = {
    "f": r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "i": r"^-?[0-9]{1,18}$",
    "u": r"^[0-9]{1,19}$",
}
"""Numbers that pyarrow reads as we do, by the kind of their type."""


def parse_with_arrow(texts: Texts, dtype: np.dtype[Any]) -> Parsed:
    """Parse texts that are not empty: all at once, or what is plain at once and the others one after the other."""
    kind = dtype.kind
    if kind not in REGULAR or len(texts) == 0:
        return parse_one_by_one(texts, dtype)
    column = texts.as_arrow()
    content = texts.content.tobytes()
    values = None if any(odd in content for odd in ODD) else cast(column, kind)
    plain = np.ones(len(texts), bool)
    if values is None:
        import pyarrow.compute

        plain = pyarrow.compute.match_substring_regex(column, REGULAR[kind]).to_numpy(zero_copy_only=False)
        chosen = cast(column.filter(pyarrow.array(plain)), kind)
        if chosen is None:
            return parse_one_by_one(texts, dtype)
        values = np.zeros(len(texts), chosen.dtype)
        values[plain] = chosen
    parsed = round_to(values, dtype) if kind == "f" else values.astype(dtype)
    problems = {}
    if kind == "f":
        plain &= ~np.isinf(parsed)
    else:
        limits = np.iinfo(dtype)
        outside = plain & ((values < limits.min) | (values > limits.max))
        parsed[outside] = 0
        problems = {row: describe_range(texts[row] or b"", dtype) for row in np.flatnonzero(outside).tolist()}
    others = np.flatnonzero(~plain)
    if len(others):
        rest = parse_one_by_one(texts.select(others), dtype)
        parsed[others] = rest.values
        problems |= {int(others[row]): problem for row, problem in rest.problems.items()}
    return Parsed(parsed, problems)


def cast(column: Any, kind: str) -> npt.NDArray[Any] | None:  # noqa: ANN401 - an array of pyarrow
    """Read texts as float64, int64 or uint64; None if one of them is not a number."""
    import pyarrow as pa

    types = {"f": pa.float64(), "i": pa.int64(), "u": pa.uint64()}
    text = pa.string() if column.type == pa.binary() else pa.large_string()
    try:
        values: npt.NDArray[Any] = column.view(text).cast(types[kind]).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values
