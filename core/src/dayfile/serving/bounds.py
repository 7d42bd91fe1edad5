"""Limits on the memory and time that a server spends on request bodies, shared by all its processes."""

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
# Requests whose bodies are processed at once, as this is work for the processor.
AT_ONCE = 4
# Seconds after which a worker looks at the numbers of the others.
TICK = 0.02


class Bounds:
    """Limits on memory and time for bodies, and on threads that process them.

    Room for the whole length of a body is reserved before it is read, so that a body that is being read never waits for
    another: bodies that do not fit together are read one after another.

    It is made before the workers are forked, and limits all of them together: they share the room for bodies, and each
    worker has its part of the requests that are processed at once. Each publishes three numbers, in shared memory. As
    it writes only its own place, no lock is needed, which a killed worker would not release.

    Parameters
    ----------
    settings : CoreSettings
        ``serve.body_limit`` and ``serve.body_seconds``; the limits on connections are read from them too.
    workers : int
        Processes that share the bounds.

    Attributes
    ----------
    worker : int
        The index of this process, from 0; set in each after the fork.
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
        """Bytes reserved for bodies at each worker."""
        self.longest = shared[workers : 2 * workers]
        """Length of the longest body that is still arriving at each worker."""
        self.wanted = shared[2 * workers :]
        """Length of the shortest body that waits for room at each worker; 0 without any."""
        self.changed = asyncio.Condition()
        self.arriving: dict[asyncio.Timeout, int] = {}
        self.waiting: dict[asyncio.Timeout, int] = {}
        self.keeper: asyncio.Task[None] | None = None
        self.at_once = asyncio.Semaphore(max(1, AT_ONCE // workers))

    async def read(self, request: Request) -> bytearray | None:
        """Read the body of a request; None if it is longer than the limit, late, or incomplete.

        A body of undeclared length reserves the limit while it arrives. A body without room waits, within its own time;
        if a longer one is still arriving, that one is dropped. :meth:`release` frees the bytes of a returned body.
        """
        from starlette.requests import ClientDisconnect

        headers = request.headers
        declared = "" if "transfer-encoding" in headers else headers.get("content-length", "0")
        length = int(declared) if declared.isdecimal() else self.limit
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
                        whole = False  # it was dropped, and its room given away, though its last bytes have come
                    else:
                        self._publish()
                        if spare := length - len(body) if whole else length:
                            await self.release(spare)
        return body if whole else None

    async def release(self, size: int) -> None:
        """Free the bytes of a body."""
        self.held[self.worker] -= size
        if self.waiting:  # those of other workers look every TICK
            async with self.changed:
                self.changed.notify_all()

    async def work(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in a thread; only a few run at a time."""
        async with self.at_once:
            return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)

    def forget(self, worker: int) -> None:
        """Free everything that a dead worker had reserved."""
        self.held[worker] = self.longest[worker] = self.wanted[worker] = 0

    async def _take(self, length: int, body: asyncio.Timeout) -> None:
        """Reserve room for a body; wait until some is freed or a longer body is dropped."""
        if not self._try_take(length):
            self.waiting[body] = length
            self._publish()
            self._make_room()
            try:
                async with self.changed:
                    await self.changed.wait_for(lambda: self._try_take(length))
            finally:
                del self.waiting[body]
                self._publish()
        self.arriving[body] = length
        self._publish()

    def _try_take(self, length: int) -> bool:
        # Added before the sum is checked: of two workers that do so at the same instant, at least one sees both.
        self.held[self.worker] += length
        if sum(self.held) <= self.most:
            return True
        self.held[self.worker] -= length
        return False

    def _make_room(self) -> None:
        """If a body waits, drop the longest unfinished one, so that no short one waits for it."""
        wanted = min((length for length in self.wanted if length), default=0)
        if not wanted or self.most - sum(self.held) >= wanted:
            return
        length = max(self.longest)
        if length > wanted and self.longest.tolist().index(length) == self.worker:
            longest = max(self.arriving, key=self.arriving.__getitem__)
            del self.arriving[longest]
            self._publish()
            self.held[self.worker] -= length
            longest.reschedule(asyncio.get_running_loop().time())

    def _publish(self) -> None:
        self.longest[self.worker] = max(self.arriving.values(), default=0)
        self.wanted[self.worker] = min(self.waiting.values(), default=0)

    def _watch(self) -> None:
        if self.keeper is None or self.keeper.done():
            self.keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """While bodies arrive or wait, make room for those of other workers, and notice what they freed."""
        while self.arriving or self.waiting:
            await asyncio.sleep(TICK)
            self._make_room()
            async with self.changed:
                self.changed.notify_all()
