"""Log lines that repeat are counted: what happens a thousand times a second must not fill the disk."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

__all__ = ["CountingHandler"]

SECONDS = 60.0
ALIKE = 100
"""Lines of one kind (they differ in names and numbers) that are written in that time."""
MOST = 1000
"""Different lines that are remembered."""


@dataclass
class Seen:
    """A line that was written, when, and how often it, or one of its kind, was not written since."""

    record: logging.LogRecord
    since: float
    more: int = 0


class CountingHandler(logging.Handler):
    """Hand on to another handler a line once a minute, and a hundred lines of a kind.

    How many were left out is logged with the next line after that minute, or at the end.

    Parameters
    ----------
    target : Handler
        What writes.
    """

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self.target = target
        self.lines: dict[str, Seen] = {}
        self.kinds: dict[tuple[str, int, str], list[float]] = {}
        self.left_out: dict[tuple[str, int, str], Seen] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it."""
        now = time.monotonic()
        self._report(now - SECONDS)
        line = f"{record.name}{record.levelno}{record.getMessage()}{record.exc_info and record.exc_info[0]}"
        if line in self.lines:
            self.lines[line].more += 1
            return
        kind = (record.name, record.levelno, str(record.msg))
        moments = self.kinds.setdefault(kind, [])
        if len(moments) >= ALIKE:
            self.left_out.setdefault(kind, Seen(record, moments[0])).more += 1
            return
        moments.append(now)
        if len(self.lines) < MOST:
            self.lines[line] = Seen(record, now)
        self.target.handle(record)

    def flush(self) -> None:
        """Flush what writes."""
        self.target.flush()

    def close(self) -> None:
        """Log what was counted, and close what writes."""
        self._report(time.monotonic())
        self.target.close()
        super().close()

    def _report(self, before: float) -> None:
        """Log the counts of what was first written before a moment, and forget it."""
        while self.lines and (first := next(iter(self.lines))) and self.lines[first].since <= before:
            self._count(self.lines.pop(first), "%s (%d times more)")
        while self.kinds and self.kinds[kind := next(iter(self.kinds))][0] <= before:
            del self.kinds[kind]
            if kind in self.left_out:
                self._count(self.left_out.pop(kind), "%s (and %d more lines of this kind)")

    def _count(self, seen: Seen, message: str) -> None:
        if seen.more:
            record = logging.makeLogRecord(
                {**seen.record.__dict__, "msg": message, "args": (seen.record.getMessage(), seen.more)}
            )
            record.exc_info = record.exc_text = None
            record.created = time.time()
            self.target.handle(record)
