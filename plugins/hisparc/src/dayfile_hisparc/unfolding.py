"""Limit the size that a pickle unfolds to: its values with each one counted as often as it is used.

A pickle refers to a value again by its number in the memo, in two or three bytes. In memory that costs a pointer; but
every event becomes a record, and every text in it a separate blob. So half a megabyte whose events share four traces
would unfold to gigabytes, and lists that share lists multiply.

The size is that of the pickle without a memo, which the C pickler writes in its fast mode: here to nowhere, and only up
to the limit.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Final

from dayfile_hisparc.stand_ins import RefusalError

__all__ = ["MOST_UNFOLDED", "Unfolding"]

MOST_UNFOLDED: Final = 256 * 2**20
"""Bytes that a pickle may unfold to; the largest honest ones, of 32 MB, unfold to half of it."""
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

    def count_calls(self, call: Callable[..., object]) -> Callable[..., object]:
        """Return a function that counts the bytes or the text that ``call`` makes of its arguments."""

        def call_and_count(*arguments: object) -> object:
            made = call(*arguments)
            if isinstance(made, bytes | str):
                self.add(len(made))
            return made

        return call_and_count

    def check(self, value: object) -> None:
        """Count a whole value that was read: lists and dicts of plain values, a few levels deep."""
        pickler = pickle.Pickler(self, PROTOCOL)
        pickler.fast = True
        pickler.dump(value)
