"""Limit the size that a pickle unfolds to: its values with each one counted as often as it is used.

A pickle refers to a value again by its number in the memo, in two or three bytes. In memory that costs a pointer; but
every event becomes a record, and every text in it a separate blob. So half a megabyte whose events share four traces
would unfold to gigabytes, and lists that share lists multiply.

The size is that of the pickle without a memo, which the C pickler writes in its fast mode: here to nowhere, and only up
to the limit. An honest upload is so far from it that the number of its values, each as long as the longest string of
the pickle, shows that at a third of the cost.
"""

from __future__ import annotations

import pickle
from typing import Final

from dayfile_hisparc.stand_ins import RefusalError

__all__ = ["MOST_UNFOLDED", "Unfolding", "find_largest_size"]

MOST_UNFOLDED: Final = 256 * 2**20
"""Bytes that a pickle may unfold to; the largest honest ones, of 32 MB, unfold to half of it."""
WITHOUT_TEXT: Final = 128
"""Bytes that any value takes beside its text; a datetime with a time zone takes most."""
FOR_A_BYTE: Final = 3
"""Bytes that one byte of a string can take: as a surrogate, which a byte of Python 2 is read as if it is not UTF-8."""
PROTOCOL: Final = 4
"""The first with frames: the pickler hands over 64 kB at a time."""


class Unfolding:
    """Count the bytes that a pickle unfolds to; every method raises RefusalError beyond ``most`` bytes."""

    def __init__(self, most: int = MOST_UNFOLDED) -> None:
        self.most = most
        self.size = 0

    def add(self, size: int) -> None:
        """Count n bytes."""
        self.size += size
        if self.size > self.most:
            message = f"unfolds to more than {self.most // 2**20} MB: it uses the same values in too many places"
            raise RefusalError(message)

    def write(self, part: bytes) -> None:
        """Count bytes that the pickler writes."""
        self.add(len(part))

    def check(self, value: object) -> None:
        """Count a whole value that was read: lists and dicts of plain values, a few levels deep."""
        pickler = pickle.Pickler(self, PROTOCOL)
        pickler.fast = True
        pickler.dump(value)


def find_largest_size(values: int, longest: int) -> int:
    """Find the most bytes that values can unfold to, if no string of their pickle has more than ``longest``."""
    return values * (FOR_A_BYTE * longest + WITHOUT_TEXT)
