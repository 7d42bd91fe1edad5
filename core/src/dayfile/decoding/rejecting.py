"""Rejected frames as sources of their own: each alone, until there are so many that one cause is likely.

A wrong month in the name of a file makes all its records wrong. A message and an entry of the quarantine for each would
bury what else is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dayfile.errors import RecordError
from dayfile.model.batch import Rejected

__all__ = ["MOST_ALONE", "Rejecting"]

MOST_ALONE = 100
"""Frames of a source that are rejected one by one; those that follow are rejected together, block by block."""


@dataclass
class Together:
    """Frames of a block that are rejected together."""

    reasons: dict[str, None] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    offset: int = 0
    content: list[bytes] = field(default_factory=list)


@dataclass
class Rejecting:
    """Rejects frames of a source.

    Parameters
    ----------
    instrument, name : str
        Whose they are, and the name of the source.

    Examples
    --------
    >>> rejecting = Rejecting("muon", "a.bin", count=MOST_ALONE)
    >>> for number in (7, 8):
    ...     assert not list(rejecting.reject("Hit", "no time", number, 100 * number, b"head", b"frame"))
    >>> (both,) = rejecting.flush(b"")
    >>> both.reason, both.numbers, both.offset, both.content
    ('no time', (7, 8), 700, b'headframeframe')
    """

    instrument: str
    name: str
    count: int = 0
    together: dict[tuple[str, bytes], Together] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Return whether what is rejected from now on is rejected together."""
        return self.count >= MOST_ALONE

    def reject(
        self, code: str, reason: str, number: int, offset: int, head: bytes, content: bytes
    ) -> Iterator[Rejected]:
        """Reject a frame with what has to be in front of it: at once, or later together with others."""
        if not self.is_full:
            self.count += 1
            yield self._make(code, reason, (number,), offset, head + content)
            return
        found = self.together.setdefault((code, head), Together(offset=offset))
        found.reasons[reason] = None
        found.numbers.append(number)
        found.offset = min(found.offset, offset)
        if content:
            found.content.append(content)

    def flush(self, separator: bytes) -> Iterator[Rejected]:
        """Reject what was put off, with a separator between frames."""
        for (code, head), found in self.together.items():
            first, *others = found.reasons
            reason = f"{first}, and {len(others)} more" if others else first
            content = head + separator.join(found.content)
            yield self._make(code, reason, tuple(sorted(found.numbers)), found.offset, content)
        self.together.clear()

    def _make(self, code: str, reason: str, numbers: tuple[int, ...], offset: int, content: bytes) -> Rejected:
        return Rejected(self.instrument, code, reason, RecordError.__name__, numbers, self.name, content, offset=offset)
