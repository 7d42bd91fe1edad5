"""Fill cells of records with values that stations sent, and decode traces and texts: by columns, or one by one.

If all values of a column have the usual form, they are converted together; otherwise one by one, and events with a
value that cannot be stored are reported.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pybase64

from dayfile import DataType
from dayfile_hisparc.codes import Blocks, Plan, Target
from dayfile_hisparc.columns import convert_column, fill_cells

__all__ = ["Group", "fill_part", "find_beyond_a_second"]

A_SECOND = 10**9
"""Nanoseconds."""


@dataclass
class Group:
    """Well-formed events of one type and sequence of codes: their indexes in the upload, times and values."""

    numbers: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    nanoseconds: list[object] = field(default_factory=list)
    values: list[list[object]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.numbers)


def fill_part(
    records: npt.NDArray[Any], group: Group, data_type: DataType, plan: Plan
) -> tuple[list[Sequence[bytes]], dict[int, str]]:
    """Fill the records of a group; return the blobs of each, and reasons why records cannot be stored, by index."""
    if plan.refusal:
        return [()] * len(group), dict.fromkeys(range(len(group)), plan.refusal)
    bad = fill_header(records, group, data_type)
    columns = list(zip(*group.values, strict=True))
    if plan.blocks is None or not fill_blocks(records, columns, plan.blocks):
        bad |= fill_one_by_one(records, columns, plan.values)
    decoded = [decode_blobs(columns[target.place], target) for target in plan.blobs]
    whole = [values for values in decoded if values is not None]
    if not decoded:
        return [()] * len(group), bad
    if len(whole) == len(decoded):
        return list(zip(*whole, strict=True)), bad
    blobs: list[Sequence[bytes]] = []
    for index, sent in enumerate(group.values):
        try:
            blobs.append([decode_blob(sent[target.place], target) for target in plan.blobs])
        except (TypeError, ValueError) as error:
            blobs.append(())
            bad[index] = str(error)
    return blobs, bad


def fill_blocks(records: npt.NDArray[Any], columns: Sequence[Sequence[object]], blocks: Blocks) -> bool:
    """Fill adjacent cells at once; return False, with cells in any state, if values must be converted one by one."""
    cells = records.view(blocks.form)
    for name, block in zip(blocks.form.names or (), blocks.blocks, strict=True):
        values = convert_column(list(chain.from_iterable(columns[place] for place in block.places)), block.base)
        if values is None:
            return False
        cells[name][...] = values.reshape(len(block.places), -1).T
    return True


def fill_one_by_one(
    records: npt.NDArray[Any], columns: Sequence[Sequence[object]], targets: Sequence[Target]
) -> dict[int, str]:
    """Fill cells code by code, in the order sent; return reasons why events cannot be stored, by index."""
    bad: dict[int, str] = {}
    for target in targets:
        cells = target.select_cells(records)
        if cells.ndim == 1:
            bad |= fill_cells(cells, columns[target.place], target.field)
        else:
            # An array code without a digit sets every element.
            first = np.zeros(len(records), cells.dtype)
            bad |= fill_cells(first, columns[target.place], target.field)
            cells[...] = first.reshape((-1,) + (1,) * (cells.ndim - 1))
    return bad


def fill_header(records: npt.NDArray[Any], group: Group, data_type: DataType) -> dict[int, str]:
    """Fill the time columns; return reasons why the nanoseconds of events cannot be stored, by index."""
    records["timestamp"] = group.timestamps
    if "ext_timestamp" not in (data_type.dtype.names or ()):
        return {}
    nanoseconds = np.zeros(len(group), np.int64)
    bad = fill_cells(nanoseconds, group.nanoseconds, data_type.field("nanoseconds"))
    records["nanoseconds"] = nanoseconds.astype(np.uint32)
    records["ext_timestamp"] = records["timestamp"].astype(np.int64) * A_SECOND + nanoseconds
    return bad


def find_beyond_a_second(values: Sequence[object]) -> list[int]:
    """Find the indexes of nanoseconds, as sent, that are not within a second.

    They are stored as they are: station software adds up to 9,000 without a carry. But then ``nanoseconds`` wraps while
    ``ext_timestamp`` has the sum, or both belong to a later second than ``timestamp``.

    Examples
    --------
    >>> find_beyond_a_second([0, 999_999_999, 10**9, -1, 2**32]), find_beyond_a_second([1.5, "12", 2**64, None])
    ([2, 3, 4], [2])
    """
    whole = convert_column(values, np.dtype(np.int64))
    if whole is not None:
        places: list[int] = np.flatnonzero((whole < 0) | (whole >= A_SECOND)).tolist()
        return places
    found = []
    for place, value in enumerate(values):
        with suppress(TypeError, ValueError, OverflowError):  # such an event is rejected
            if not 0 <= int(value) < A_SECOND:  # type: ignore[call-overload]  # as for `cell`
                found.append(place)
    return found


def decode_blobs(values: Sequence[object], target: Target) -> list[bytes] | None:
    """Decode one code's blobs of many events; None if they must be decoded one by one."""
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return None
    try:
        if is_trace(target):
            return [pybase64.b64decode(text, None, True) for text in texts]  # noqa: FBT003 - by name it takes twice as long
        return [text.encode("latin-1") for text in texts]
    except (binascii.Error, ValueError):  # which UnicodeEncodeError is
        return None


def is_trace(target: Target) -> bool:
    """Return whether a code's values are traces, in base64; TR without a digit is a text."""
    return target.field.blob == "base64" and target.element is not None


def decode_blob(value: object, target: Target) -> bytes:
    """Decode a trace (base64) or a text (latin-1); TypeError or ValueError if that fails.

    Base64 is read leniently, as the datastore did: foreign characters are skipped, wrong padding is an error.
    """
    name = target.field.name
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where {name} needs a text")
    if is_trace(target):
        with suppress(binascii.Error, ValueError):
            return pybase64.b64decode(value, validate=True)
        try:
            return pybase64.b64decode(value)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"{name}: not base64 (foreign characters or wrong padding)") from error
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: a character beyond U+00FF") from error
