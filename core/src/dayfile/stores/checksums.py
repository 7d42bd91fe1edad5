"""Checksums that grow with what is written, to compare with what is read back.

The checksum of a table is the sum, modulo 2**64, of one number for each row: a hash of the row's bytes mixed with its
index. It is computed in advance from the rows that are appended or replaced, without reading the others, and a pass
over the table must give the same number. It guards against lost writes, not against forgery.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["hash_blobs", "hash_rows", "sum_hashes"]

Hashes = npt.NDArray[np.uint64]


@cache
def make_multipliers(words: int) -> Hashes:
    """Make a fixed odd 64-bit number for each 32-bit word of a row, shape (words,)."""
    numbers = np.random.default_rng(20260226).integers(0, 2**64, words, np.uint64, endpoint=False)
    return numbers | np.uint64(1)


def mix(values: Hashes) -> Hashes:
    """Spread each bit over the whole number (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def hash_rows(rows: npt.NDArray[Any]) -> Hashes:
    """Hash the bytes of each row.

    Parameters
    ----------
    rows : structured array, shape (n,)
        Packed rows.

    Returns
    -------
    numpy.ndarray of uint64, shape (n,)
        Equal for equal bytes; for different bytes equal with a probability of about 2**-64.
    """
    size, count = rows.dtype.itemsize, len(rows)
    full, rest = divmod(size, 4)
    content = np.ascontiguousarray(rows).view(np.uint8).reshape(count, size)
    numbers = make_multipliers(full + (rest > 0))
    # 32-bit words times 64-bit numbers: no difference between two words is lost at the upper end of the product.
    words = np.ndarray((count, full), np.uint32, content, strides=(size, 4))
    sums = np.einsum("ij,j->i", words, numbers[:full])  # in small steps, where a product of matrices copies all words
    if rest:
        last = np.zeros((count, 4), np.uint8)
        last[:, :rest] = content[:, 4 * full :]
        sums += last.view(np.uint32)[:, 0] * numbers[full]
    return mix(sums)


def hash_blobs(blobs: Sequence[bytes]) -> Hashes:
    """Hash each blob: CRC-32 and length, mixed."""
    sums, lengths = (np.fromiter(map(measure, blobs), np.uint64, len(blobs)) for measure in (zlib.crc32, len))
    return mix(sums | (lengths << np.uint64(32)))


def sum_hashes(hashes: Hashes, places: npt.NDArray[np.int64] | int) -> int:
    """Sum up the part of a checksum that rows with these hashes contribute.

    Parameters
    ----------
    hashes : array of uint64, shape (n,)
        Hash of each row.
    places : array of int64, shape (n,), or int
        Index of each row, or of the first of consecutive rows.
    """
    if isinstance(places, int):
        places = np.arange(places, places + len(hashes), dtype=np.int64)
    return int(mix(hashes ^ mix(places.astype(np.uint64) + np.uint64(1))).sum(dtype=np.uint64))
