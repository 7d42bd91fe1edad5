"""Columns of text: stretches of bytes in one buffer, which nothing copies before somebody needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.stages.base import Bytes

__all__ = ["HAS_ARROW", "Texts"]

HAS_ARROW = find_spec("pyarrow") is not None
SPREAD_BYTES = 1 << 22
"""Most bytes of texts that are spread to one width at once."""
ARRAY_BYTES = 1 << 26
"""Most bytes of an array in which all texts have the width of the longest."""
NO_VALUE = -1


@dataclass(frozen=True)
class Texts:
    """A column of texts, as bytes.

    Parameters
    ----------
    buffer : array of uint8, shape (m,)
        The bytes.
    starts, lengths : arrays of int64, shape (n,)
        Offset of each text in the buffer and its number of bytes; -1 where there is no value.

    Examples
    --------
    >>> texts = Texts.of([b"OK", None, b"FAIL"])
    >>> list(texts)
    [b'OK', None, b'FAIL']
    >>> texts.choose(lambda text: text.startswith("F"))
    array([False, False,  True])
    >>> texts.spread(4)
    array([b'OK', b'', b'FAIL'], dtype='|S4')
    """

    buffer: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Texts:
        """Make a column of these texts."""
        lengths = np.fromiter((NO_VALUE if value is None else len(value) for value in values), np.int64, len(values))
        ends = np.cumsum(np.maximum(lengths, 0))
        buffer = np.frombuffer(b"".join(value for value in values if value), np.uint8)
        return cls(buffer, ends - np.maximum(lengths, 0), lengths)

    @classmethod
    def of_none(cls, count: int) -> Texts:
        """Make a column of n rows without a value."""
        return cls(np.zeros(0, np.uint8), np.zeros(count, np.int64), np.full(count, NO_VALUE, np.int64))

    @classmethod
    def of_arrow(cls, column: Any) -> Texts:  # noqa: ANN401 - an array of pyarrow
        """Make a column of an Arrow array of binary type without nulls; nothing is copied."""
        _, offsets, data = column.buffers()
        places = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
        buffer = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        return cls(buffer, places[:-1], np.diff(places))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> bytes | None:
        start, length = int(self.starts[row]), int(self.lengths[row])
        return None if length < 0 else self.buffer[start : start + length].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        whole = np.ascontiguousarray(self.buffer).data
        for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True):
            yield None if length < 0 else bytes(whole[start : start + length])

    def select(self, chosen: npt.NDArray[Any]) -> Texts:
        """Return the texts of a mask or of indexes."""
        return Texts(self.buffer, self.starts[chosen], self.lengths[chosen])

    @cached_property
    def packed(self) -> Texts:
        """Return the same texts one behind the other, without gaps; texts that are so already are not copied."""
        lengths = np.maximum(self.lengths, 0)
        if len(self) == 0 or np.array_equal(self.starts[1:], self.starts[:-1] + lengths[:-1]):
            return self
        ends = np.cumsum(lengths)
        places = np.repeat(self.starts - (ends - lengths), lengths)
        places += np.arange(len(places))
        return Texts(self.buffer[places], ends - lengths, self.lengths)

    @property
    def content(self) -> Bytes:
        """Return the bytes of all texts, one behind the other."""
        packed = self.packed
        if len(packed) == 0:
            return packed.buffer[:0]
        return packed.buffer[packed.starts[0] : packed.starts[-1] + max(int(packed.lengths[-1]), 0)]

    def as_arrow(self) -> Any:  # noqa: ANN401 - an array of pyarrow
        """Return the texts as an Arrow array of type binary; rows without a value are empty texts."""
        import pyarrow as pa

        content = np.ascontiguousarray(self.content)
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.maximum(self.lengths, 0), out=offsets[1:])
        if offsets[-1] >= 2**31:
            return pa.array([value or b"" for value in self], pa.large_binary())
        buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(content)]
        return pa.Array.from_buffers(pa.binary(), len(self), buffers)

    def spread(self, width: int) -> npt.NDArray[np.bytes_]:
        """Return the texts as a NumPy array of type ``S<width>``, shape (n,); longer ones are cut."""
        lengths = np.clip(self.lengths, 0, width)
        if len(self) and bool((self.lengths == width).all()):
            return self.content.copy().view(f"S{width}")
        spread = np.zeros((len(self), width), np.uint8)
        columns = np.arange(width)
        step = max(1, SPREAD_BYTES // max(width, 1))
        for first in range(0, len(self), step):
            rows = slice(first, first + step)
            held = columns < lengths[rows, None]
            places = self.starts[rows, None] + columns
            spread[rows][held] = self.buffer[places[held]]
        return spread.view(f"S{width}").reshape(len(self))

    def as_array(self) -> npt.NDArray[Any]:
        """Return the texts as a NumPy array of bytes, or of objects if one of many is long; None is an empty text."""
        width = max(1, int(self.lengths.max(initial=0)))
        if width * len(self) <= ARRAY_BYTES:
            return self.spread(width)
        texts = np.empty(len(self), object)
        texts[:] = [text or b"" for text in self]
        return texts

    def sort_out(self) -> tuple[list[bytes | None], npt.NDArray[np.int64]]:
        """Return the different texts, and for each row the index of its text among them, shape (n,)."""
        if HAS_ARROW and bool((self.lengths >= 0).all()):
            encoded = self.as_arrow().dictionary_encode()
            return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
        known: dict[bytes | None, int] = {}
        places = [known.setdefault(value, len(known)) for value in self]
        return list(known), np.array(places, np.int64)

    def choose(self, accepts: Callable[[str], bool]) -> npt.NDArray[np.bool_]:
        """Find the texts that a function accepts, shape (n,); it is asked once for each different text.

        Bytes that are not UTF-8 come as lone surrogates; a row without a value is not asked about.
        """
        texts, places = self.sort_out()
        good = [text is not None and bool(accepts(text.decode("utf-8", "surrogateescape"))) for text in texts]
        found: npt.NDArray[np.bool_] = np.array(good, bool)[places]
        return found
