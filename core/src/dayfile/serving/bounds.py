"""What a server spends on clients, however many processes it has: bodies are read within common bounds."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from dayfile.serving.proxies import Proxies
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

    A body has room for the whole of its length before it is read, so that what is being read never waits for what else
    is: bodies that together are more than there is room for are read one after another.

    It is made before the workers are forked, and holds for all of them together: the room for bodies is one, and of the
    requests that are worked on at once each worker has its part. Each tells the others three numbers, in memory that
    all share. As it writes its own place only, there is no lock, which a worker that is killed would not give back.

    Parameters
    ----------
    settings : CoreSettings
        ``serve.body_limit`` and ``serve.body_seconds``; the limits on connections are read from them too.
    workers : int
        Processes that share the bounds.

    Attributes
    ----------
    worker : int
        The place of this process among them, from 0; set in each after the fork.
    """

    def __init__(self, settings: CoreSettings, workers: int = 1) -> None:
        self.settings = settings
        self.proxies = Proxies(settings.serve_proxies)
        self.limit = settings.serve_body_limit
        self.seconds = settings.serve_body_seconds
        self.most = BODIES * self.limit
        self.worker = 0
        shared = memoryview(mmap.mmap(-1, 3 * 8 * workers)).cast("q")
        self.held = shared[:workers]
        """Bytes that the bodies at each worker have room for."""
        self.longest = shared[workers : 2 * workers]
        """Length of the longest body that still arrives at each."""
        self.wanted = shared[2 * workers :]
        """Length of the shortest body that waits for room at each; 0 if none does."""
        self.changed = asyncio.Condition()
        self.arriving: dict[asyncio.Timeout, int] = {}
        self.waiting: dict[asyncio.Timeout, int] = {}
        self.keeper: asyncio.Task[None] | None = None
        self.at_once = asyncio.Semaphore(max(1, AT_ONCE // workers))

    async def read(self, request: Request) -> bytearray | None:
        """The body of a request; None if it is longer than the limit, or does not come in time, or breaks off.

        One whose length the client does not tell has room for the limit while it arrives. A body that finds no room
        waits, within its own time; if there is a longer one that still arrives, that one goes. :meth:`release` gives
        back the bytes of a body that was returned.
        """
        from starlette.requests import ClientDisconnect

        headers = request.headers
        told = "" if "transfer-encoding" in headers else headers.get("content-length", "0")
        length = int(told) if told.isdecimal() else self.limit
        if length > self.limit:
            return None
        body, whole = bytearray(), False
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(self.seconds) as time_left:
                self._watch()
                await self._take(length, time_left)
                try:
                    async for chunk in request.stream():
                        body += chunk
                        if len(body) > length:
                            break
                    else:
                        whole = True
                finally:
                    if self.arriving.pop(time_left, None) is None:
                        whole = False  # it had to go, and its room is another's, though its last bytes have come
                    else:
                        self._tell()
                        if spare := length - len(body) if whole else length:
                            await self.release(spare)
        return body if whole else None

    async def release(self, size: int) -> None:
        """Give the bytes of a body back."""
        self.held[self.worker] -= size
        async with self.changed:
            self.changed.notify_all()

    async def work(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in a thread, a few at a time."""
        async with self.at_once:
            return await asyncio.to_thread(function, *arguments)

    def forget(self, worker: int) -> None:
        """Give back what a worker that is no more has taken."""
        self.held[worker] = self.longest[worker] = self.wanted[worker] = 0

    async def _take(self, length: int, body: asyncio.Timeout) -> None:
        """Room for a body; if there is none, wait until some was given back or a longer body has gone."""
        if not self._taken(length):
            self.waiting[body] = length
            self._tell()
            self._make_room()
            try:
                async with self.changed:
                    await self.changed.wait_for(lambda: self._taken(length))
            finally:
                del self.waiting[body]
                self._tell()
        self.arriving[body] = length
        self._tell()

    def _taken(self, length: int) -> bool:
        # Added before it is looked at: of two workers that do so in the same instant, one at least sees both.
        self.held[self.worker] += length
        if sum(self.held) <= self.most:
            return True
        self.held[self.worker] -= length
        return False

    def _make_room(self) -> None:
        """If a body waits, the longest unfinished one of all goes, so that no short one waits for it."""
        wanted = min((length for length in self.wanted if length), default=0)
        if not wanted or self.most - sum(self.held) >= wanted:
            return
        length = max(self.longest)
        if length > wanted and self.longest.tolist().index(length) == self.worker:
            longest = max(self.arriving, key=self.arriving.__getitem__)
            del self.arriving[longest]
            self._tell()
            self.held[self.worker] -= length
            longest.reschedule(asyncio.get_running_loop().time())

    def _tell(self) -> None:
        self.longest[self.worker] = max(self.arriving.values(), default=0)
        self.wanted[self.worker] = min(self.waiting.values(), default=0)

    def _watch(self) -> None:
        if self.keeper is None or self.keeper.done():
            self.keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """As long as bodies arrive or wait: make room for those of other workers, look for what they gave back."""
        while self.arriving or self.waiting:
            await asyncio.sleep(TICK)
            self._make_room()
            async with self.changed:
                self.changed.notify_all()
