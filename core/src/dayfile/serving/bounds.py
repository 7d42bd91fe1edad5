"""What a server spends on clients, however many processes it has: bodies are read within common bounds."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from dayfile.settings import CoreSettings

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["AT_ONCE", "Bounds"]

Result = TypeVar("Result")

# Bodies of all clients together that may be in memory, as a multiple of the longest.
BODIES = 2
# Requests whose bodies are worked on at once: the work is the processor's, of which there are few.
AT_ONCE = 4
# Seconds after which a worker looks what the others want.
TICK = 0.02


class Bounds:
    """What a server spends on clients: bytes and time for bodies, processors for work on them.

    It is made before the workers are forked, and holds for all of them together: the bytes of bodies are one store, and
    of the requests that are worked on at once each worker has its part. Each tells the others three numbers, in memory
    that all share. As it writes its own place only, there is no lock, which a worker that is killed would not give
    back. Two that take in the same instant may both find room, so the store can be exceeded by a piece of a body, some
    64 kB, for each worker.

    Parameters
    ----------
    settings : CoreSettings
        ``serve.body_limit`` and ``serve.body_seconds``.
    workers : int
        Processes that share the bounds.

    Attributes
    ----------
    worker : int
        The place of this process among them, from 0; set in each after the fork.
    """

    def __init__(self, settings: CoreSettings, workers: int = 1) -> None:
        self.limit = settings.serve_body_limit
        self.seconds = settings.serve_body_seconds
        self.most = BODIES * self.limit
        self.worker = 0
        shared = memoryview(mmap.mmap(-1, 3 * 8 * workers)).cast("q")
        self.held = shared[:workers]
        """Bytes of bodies that each worker has in memory."""
        self.longest = shared[workers : 2 * workers]
        """Length so far of the longest body that still arrives at each."""
        self.wanted = shared[2 * workers :]
        """Length so far of the shortest body that waits for room at each; 0 if none does."""
        self.changed = asyncio.Condition()
        self.arriving: dict[asyncio.Timeout, int] = {}
        self.waiting: dict[asyncio.Timeout, int] = {}
        self.keeper: asyncio.Task[None] | None = None
        self.at_once = asyncio.Semaphore(max(1, AT_ONCE // workers))

    async def read(self, request: Request) -> bytearray | None:
        """The body of a request; None if it is longer than the limit, or does not come in time, or breaks off.

        Bytes count against a common store from the moment they are here; a client that finds it empty waits, within
        its own time. :meth:`release` gives them back.
        """
        from starlette.requests import ClientDisconnect

        told = request.headers.get("content-length", "")
        if told.isdigit() and int(told) > self.limit:
            return None
        body, whole = bytearray(), False
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(self.seconds) as time_left:
                self.arriving[time_left] = 0
                self._watch()
                try:
                    async for chunk in request.stream():
                        if len(body) + len(chunk) > self.limit:
                            break
                        await self._take(len(chunk), len(body), time_left)
                        body += chunk
                        self.arriving[time_left] = len(body)
                    else:
                        whole = True
                finally:
                    self.arriving.pop(time_left, None)
        if whole:
            return body
        await self.release(len(body))
        return None

    async def release(self, size: int) -> None:
        """Give the bytes of a body back."""
        async with self.changed:
            self.held[self.worker] -= size
            self.changed.notify_all()

    async def work(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in a thread, a few at a time."""
        async with self.at_once:
            return await asyncio.to_thread(function, *arguments)

    def forget(self, worker: int) -> None:
        """Give back what a worker that is no more has taken."""
        self.held[worker] = self.longest[worker] = self.wanted[worker] = 0

    async def _take(self, size: int, so_far: int, body: asyncio.Timeout) -> None:
        """Take from the store; if it is empty, wait until something was given back or a longer body has gone."""
        async with self.changed:
            if self._taken(size):
                return
            self.waiting[body] = so_far + size
            self._tell()
            self._make_room()
            try:
                await self.changed.wait_for(lambda: self._taken(size))
            finally:
                del self.waiting[body]
                self._tell()

    def _taken(self, size: int) -> bool:
        self.held[self.worker] += size
        if sum(self.held) <= self.most:
            return True
        self.held[self.worker] -= size
        return False

    def _make_room(self) -> None:
        """If a body waits, the longest unfinished one of all goes, so that no short one waits for it."""
        wanted = min((size for size in self.wanted if size), default=0)
        if not wanted or not self.arriving or self.most - sum(self.held) >= wanted:
            return
        longest = max(self.arriving, key=self.arriving.__getitem__)
        size = self.arriving[longest]
        if size > wanted and size >= max(self.longest):
            del self.arriving[longest]
            longest.reschedule(asyncio.get_running_loop().time())

    def _tell(self) -> None:
        self.longest[self.worker] = max(self.arriving.values(), default=0)
        self.wanted[self.worker] = min(self.waiting.values(), default=0)

    def _watch(self) -> None:
        if self.keeper is None or self.keeper.done():
            self.keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """As long as bodies arrive: tell other workers of them, make room for theirs, look for what they gave back."""
        while self.arriving:
            await asyncio.sleep(TICK)
            self._tell()
            self._make_room()
            async with self.changed:
                self.changed.notify_all()
