"""Turns of answers with records: how many are written at once, of all clients and of one address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from dayfile.serving.proxies import Proxies
from dayfile.settings import CoreSettings
from dayfile.web.codes import RequestError

__all__ = ["Places", "Turns"]

SLOW_SECONDS = 10.0
"""How long a client may be slow while others wait; not longer than it may take nothing (``serve.body_seconds``)."""
LEAST_RATE = 10_000
"""Bytes a second; a client that takes fewer is slow."""
FRAMING = 1000
"""Bytes, at most, that are sent with blocks and not counted with them."""


class Places:
    """The places of clients that take records: each may have a few.

    Parameters
    ----------
    per_client : int
        How many a client may have.
    proxies : Proxies
        Whose requests are of many clients, and not counted.
    """

    def __init__(self, per_client: int, proxies: Proxies) -> None:
        self.per_client = per_client
        self.proxies = proxies
        self.taken: Counter[str] = Counter()

    @contextmanager
    def take(self, client: str) -> Iterator[None]:
        """Take a place until the end of the block; RequestError if the client has none left."""
        key = self.proxies.find_limit_key(client)
        if key and self.taken[key] >= self.per_client:
            error = RequestError(1400, "too many answers at once; wait for one", HTTPStatus.TOO_MANY_REQUESTS)
            error.headers = {"Retry-After": "5"}
            raise error
        self.taken[key] += 1
        try:
            yield
        finally:
            self.taken[key] -= 1
            if not self.taken[key]:
                del self.taken[key]


@dataclass(eq=False)
class Taking:
    """An answer that its client takes.

    Parameters
    ----------
    count_unread : callable
        Counts the bytes that were sent and not taken.
    time_left : Timeout
        Cuts the answer when it expires.
    sent : int
        Bytes that were sent.
    is_slow : bool
        Whether it was cut because its client is slow.
    """

    count_unread: Callable[[], int]
    time_left: asyncio.Timeout
    sent: int = 0
    is_slow: bool = False

    def cut(self) -> None:
        """Cut it, for others that wait."""
        self.is_slow = True
        self.time_left.reschedule(asyncio.get_running_loop().time())


class Turns:
    """The turns of all answers with records: a few at once, while others wait, for whom the slowest clients make room.

    Parameters
    ----------
    settings : CoreSettings
        ``web.answers``, ``web.answer_seconds`` and ``serve.body_seconds``.
    """

    def __init__(self, settings: CoreSettings) -> None:
        self.free = asyncio.Semaphore(settings.web_answers)
        self.longest = settings.web_answer_seconds
        self.seconds = min(SLOW_SECONDS, settings.serve_body_seconds)
        self.taking: set[Taking] = set()

    async def wait(self, is_gone: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a turn; meanwhile clients that are slow lose theirs, one after the other. :meth:`end` ends it.

        Nobody loses one for a client that is gone.
        """
        making_room = asyncio.create_task(self._make_room(is_gone)) if self.free.locked() else None
        try:
            await self.free.acquire()
        finally:
            if making_room is not None:
                making_room.cancel()

    def end(self) -> None:
        """End a turn."""
        self.free.release()

    @asynccontextmanager
    async def watch(self, count_unread: Callable[[], int]) -> AsyncIterator[Taking]:
        """Watch how a client takes its answer; TimeoutError, which says why, if it is cut."""
        try:
            async with asyncio.timeout(self.longest) as time_left:
                taking = Taking(count_unread, time_left)
                self.taking.add(taking)
                try:
                    yield taking
                finally:
                    self.taking.discard(taking)
        except TimeoutError:
            if taking.is_slow:
                raise TimeoutError(
                    f"the client took less than {LEAST_RATE} bytes a second while others waited"
                ) from None
            if time_left.expired():
                raise TimeoutError(f"the client took more than {self.longest:g} s") from None
            raise

    async def _make_room(self, is_gone: Callable[[], Awaitable[bool]]) -> None:
        """Cut the answer of the slowest client again and again, if it is slow.

        That is, if it took little, and not all that it could have taken: others wait for the archive.
        """
        while True:
            before = {each: (each.sent, each.count_unread()) for each in self.taking}
            await asyncio.sleep(self.seconds)
            if await is_gone():
                return
            slow: dict[Taking, int] = {}
            for each in self.taking & before.keys():
                sent, unread = before[each]
                taken = each.sent - sent + unread - each.count_unread()
                if taken < min(unread - FRAMING, LEAST_RATE * self.seconds) and not each.time_left.expired():
                    slow[each] = taken
            if slow:
                slowest = min(slow, key=slow.__getitem__)
                self.taking.discard(slowest)
                slowest.cut()
