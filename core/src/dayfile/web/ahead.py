"""Blocks of an answer, made in a thread ahead of the client that takes them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, Future

__all__ = ["BlocksAhead"]

AHEAD = 2
"""Blocks that are made before the client takes them."""


class BlocksAhead:
    """Blocks that are made while the client takes those before them.

    One thread makes block after block as long as there is room: to wake it for each takes a fifth more time. It does
    not wait for a client that takes none, but is given back, and called again when there is room.

    Parameters
    ----------
    blocks : iterator of bytes or memoryview
        Makes them, one after the other.
    pool : Executor
        The threads.
    """

    def __init__(self, blocks: Iterator[bytes | memoryview], pool: Executor) -> None:
        self.blocks = blocks
        self.pool = pool
        self.loop = asyncio.get_running_loop()
        self.there = asyncio.Event()
        self.lock = threading.Lock()
        self.made: deque[Future[bytes | memoryview | None]] = deque()
        self.room = AHEAD
        self.is_making = self.has_ended = False

    async def iterate(self) -> AsyncIterator[bytes | memoryview]:
        """Yield the blocks in order; an exception of what makes them is raised after those before it."""
        try:
            while (block := await self._take()) is not None:
                yield block
        finally:
            self.room = 0

    async def _take(self) -> bytes | memoryview | None:
        """Return the next block as soon as it is there; None after the last."""
        self._go_on()
        while not self.made:
            await self.there.wait()
            self.there.clear()
        block = self.made.popleft()
        self._go_on()
        return block.result()

    def _go_on(self) -> None:
        """Let a thread make blocks if none does, and there is room."""
        with self.lock:
            begins = not (self.is_making or self.has_ended) and len(self.made) < self.room
            self.is_making |= begins
        if begins:
            self.pool.submit(self._make)

    def _make(self) -> None:
        """Make blocks as long as there is room."""
        going_on = True
        while going_on:
            block: Future[bytes | memoryview | None] = Future()
            try:
                block.set_result(next(self.blocks, None))
            except BaseException as error:  # noqa: BLE001 - raised again where the block is taken
                block.set_exception(error)
            with self.lock:
                self.made.append(block)
                self.has_ended = block.exception() is not None or block.result() is None
                going_on = self.is_making = not self.has_ended and len(self.made) < self.room
            self.loop.call_soon_threadsafe(self.there.set)
