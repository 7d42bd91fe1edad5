"""The head of a file: which boards and channels there are, and the widths of their time bins."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from dayfile import Source, SourceError

MAGIC = b"DRS2TIME"
CHANNELS, CELLS = 4, 1024
WIDTHS = 4 * CELLS
"""Bytes of the widths of a channel."""


@dataclass(frozen=True)
class Board:
    """A board: its number, its channels (from 1), and the widths of their bins, ns, shape (channels, 1024)."""

    number: int
    channels: tuple[int, ...]
    widths: np.ndarray


@dataclass(frozen=True)
class Head:
    """The head of a file; ``content`` is its bytes."""

    boards: tuple[Board, ...]
    content: bytes

    @property
    def event(self) -> np.dtype:
        """The dtype of an event, all of which are alike in a file."""
        fields = [("tag", "S4"), ("serial", "<u4"), ("date", "<u2", 7), ("centre", "<i2")]
        channel = np.dtype([("tag", "S4"), ("scaler", "<u4"), ("samples", "<u2", CELLS)])
        for index, board in enumerate(self.boards):
            parts = [("tag", "S2"), ("number", "<u2"), ("trigger", "S2"), ("cell", "<u2")]
            fields.append((f"board{index}", [*parts, ("channels", channel, (len(board.channels),))]))
        return np.dtype(fields)


def read_head(source: Source) -> Head:
    """Read the head; SourceError if it is not whole."""
    boards, at = [], len(MAGIC)
    while source.part(at, 2) == b"B#":
        board, at = read_board(source, at)
        boards.append(board)
    if not boards:
        raise SourceError(f"{source.name}: no board follows the magic at byte {at}")
    return Head(tuple(boards), source.part(0, at))


def read_board(source: Source, at: int) -> tuple[Board, int]:
    """Read a board of the head; return it, and where the next one begins."""
    number = int.from_bytes(source.part(at + 2, 2), "little")
    at += 4
    channels, widths = [], []
    for index in count():
        tag = source.part(at, 4)
        if tag[:1] != b"C":
            break
        content = source.part(at + 4, WIDTHS)
        if not tag[1:].isdigit() or not 1 <= int(tag[1:]) <= CHANNELS or index == CHANNELS or len(content) < WIDTHS:
            raise SourceError(f"{source.name}: channel {index + 1} of board {number} at byte {at} cannot be read")
        channels.append(int(tag[1:]))
        widths.append(np.frombuffer(content, "<f4"))
        at += 4 + WIDTHS
    return Board(number, tuple(channels), np.array(widths).reshape(-1, CELLS)), at
