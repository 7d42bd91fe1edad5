"""What a pickle unfolds to: its values with each one counted as often as it is used.

A pickle names a value again by its number in the memo, in two or three bytes. Read, that costs a pointer; but every
event becomes a record, and every text of one a blob of its own. So half a megabyte whose events share four traces would
unfold to gigabytes, and lists that share lists multiply.

The size is that of the pickle without a memo, which the C pickler writes in its fast mode: here to nowhere, and no
further than the bound.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Final

from dayfile_hisparc.stand_ins import RefusalError

__all__ = ["MOST_UNFOLDED", "Unfolding"]

MOST_UNFOLDED: Final = 256 * 2**20
"""Bytes that a pickle may unfold to; the largest that are honest, of 32 MB, unfold to half of it."""
PROTOCOL: Final = 4
"""The first with frames: the pickler hands over 64 kB at a time."""


class Unfolding:
    """Counts what a pickle unfolds to, and refuses more than ``most`` bytes; RefusalError from every method."""

    def __init__(self, most: int = MOST_UNFOLDED) -> None:
        self.most = most
        self.size = 0

    def add(self, size: int) -> None:
        """Count so many bytes."""
        self.size += size
        if self.size > self.most:
            message = f"unfolds to more than {self.most // 2**20} MB: it uses the same values in too many places"
            raise RefusalError(message)

    def write(self, part: bytes) -> None:
        """Count bytes that the pickler writes."""
        self.add(len(part))

    def counting(self, call: Callable[..., object]) -> Callable[..., object]:
        """Return a function that counts the bytes or the text that ``call`` makes of its arguments."""

        def counted(*arguments: object) -> object:
            made = call(*arguments)
            if isinstance(made, bytes | str):
                self.add(len(made))
            return made

        return counted

    def check(self, value: object) -> None:
        """Count all of a value that was read: lists and dicts of plain values, a few levels deep."""
        pickler = pickle.Pickler(self, PROTOCOL)
        pickler.fast = True
        pickler.dump(value)
