"""Functions of an instrument's package in place of one stage, for what no word says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import PluginError
from dayfile.stages.base import Bytes, Columns, Frames, Reading, Split, Stretch, Wrong

__all__ = ["CalledFramer", "CalledTimes", "call_for_columns"]

Called = Callable[..., Any]


@dataclass(frozen=True)
class CalledTimes:
    """Times that a function makes.

    Parameters
    ----------
    call : callable
        Called with a mapping of all values by name, arrays of shape (n, …) and single values of the file; returns n
        times, int64 nanoseconds since 1970 in UTC or datetime64, NaT where there is none.

    Examples
    --------
    >>> made, wrong = CalledTimes(lambda values: values["day"].astype("datetime64[D]")).make({"day": np.array([1])}, 1)
    >>> made
    array([86400000000000])
    """

    call: Called
    names: tuple[str, ...] = ()

    def make(self, columns: Mapping[str, Any], count: int) -> tuple[npt.NDArray[np.int64], Wrong]:
        """Make the times of n records."""
        answer = np.asarray(self.call(columns))
        if answer.shape != (count,) or answer.dtype.kind not in "iM":
            problem = f"{self.call.__name__} must return {count} times, int64 or datetime64, not {answer.dtype}"
            raise PluginError(f"{problem} of shape {answer.shape}")
        times = (
            answer.astype("datetime64[ns]").astype(np.int64) if answer.dtype.kind == "M" else answer.astype(np.int64)
        )
        wrong = Wrong.none(count)
        wrong.add(times == np.iinfo(np.int64).min, "no time")
        return times, wrong

    def take_apart(self, times: npt.NDArray[np.int64]) -> Columns:  # noqa: ARG002 - of the protocol
        """Return nothing: a function cannot be turned round."""
        return {}


@dataclass(frozen=True)
class CalledFramer:
    """Frames that a function finds.

    Parameters
    ----------
    call : callable
        Called with a block of bytes, the values of the file, and whether it is the last block; returns where frames
        begin and how long they are, and how many bytes of the block are done with. What it leaves out between frames
        is named in a remark.
    """

    call: Called
    fields: Reading | None = None
    lead: int = 0
    tail: int = 0

    def split(self, block: Bytes, known: Mapping[str, Any], *, last: bool) -> Split:
        """Split a block into frames."""
        starts, lengths, used = self.call(block, known, last=last)
        frames = Frames(block, np.asarray(starts, np.int64), np.asarray(lengths, np.int64))
        ends = np.concatenate([[0], frames.starts + frames.lengths])
        begins = np.concatenate([frames.starts, [used]])
        if (begins < ends).any() or used > len(block):
            raise PluginError(f"{self.call.__name__} returned frames that overlap, or reach beyond the block")
        gaps = [Stretch(int(end), int(begin - end)) for end, begin in zip(ends, begins, strict=True) if begin > end]
        return Split(frames, (), gaps, int(used))

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, Any]) -> bytes:  # noqa: ARG002
        """Join frames as they are."""
        return b"".join(bodies)


def call_for_columns(call: Called, values: Mapping[str, Any], count: int) -> Columns:
    """Call a function that makes further columns of values; PluginError if they have not a row a record."""
    answer = call(values)
    if not isinstance(answer, Mapping):
        raise PluginError(f"{call.__name__} must return arrays by name, not {type(answer).__name__}")
    columns = {str(name): np.asarray(column) for name, column in answer.items()}
    odd = [name for name, column in columns.items() if column.shape[:1] != (count,)]
    if odd:
        shape = columns[odd[0]].shape
        raise PluginError(f"{call.__name__} must return {odd[0]} of length {count}, not of shape {shape}")
    return columns
