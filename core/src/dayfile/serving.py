"""HTTP: the application that ``dayfile serve`` runs, and bodies read within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from dayfile.archive.root import Root
from dayfile.errors import MissingExtraError, UsageError
from dayfile.plugins import Plugins
from dayfile.settings import CoreSettings, Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

__all__ = ["Bounds", "application"]

Result = TypeVar("Result")

# Bodies of all clients together that may be in memory, as a multiple of the longest.
BODIES = 2
# Requests whose bodies are worked on at once: the work is the processor's, of which there are few.
WORKERS = 4


class Bounds:
    """What a server spends on clients: bytes and time for bodies, processors for work on them.

    Parameters
    ----------
    settings : CoreSettings
        ``serve.body_limit`` and ``serve.body_seconds``.
    """

    def __init__(self, settings: CoreSettings) -> None:
        self.limit = settings.serve_body_limit
        self.seconds = settings.serve_body_seconds
        self.free = BODIES * self.limit
        self.changed = asyncio.Condition()
        self.arriving: dict[asyncio.Timeout, int] = {}
        self.workers = asyncio.Semaphore(WORKERS)

    async def read(self, request: Request) -> bytearray | None:
        """The body of a request; None if it is longer than the limit, or does not come in time, or breaks off.

        Bytes count against a common store from the moment they are here; a client that finds it empty waits, within
        its own time. :meth:`release` gives them back.
        """
        from starlette.requests import ClientDisconnect

        body = bytearray()
        told = request.headers.get("content-length", "")
        if told.isdigit() and int(told) > self.limit:
            return None
        try:
            async with asyncio.timeout(self.seconds) as time_left:
                self.arriving[time_left] = 0
                async for chunk in request.stream():
                    if len(body) + len(chunk) > self.limit:
                        await self.release(len(body))
                        return None
                    await self._take(len(chunk), len(body))
                    body += chunk
                    self.arriving[time_left] = len(body)
        except (TimeoutError, ClientDisconnect):
            await self.release(len(body))
            return None
        finally:
            self.arriving.pop(time_left, None)
        return body

    async def _take(self, size: int, held: int) -> None:
        """Take from the store; if it is empty, the longest unfinished body goes, so that no short one waits for it."""
        async with self.changed:
            if self.free < size:
                longest = max(self.arriving, key=self.arriving.__getitem__)
                if self.arriving[longest] > held + size:
                    self.arriving.pop(longest)
                    longest.reschedule(asyncio.get_running_loop().time())
            await self.changed.wait_for(lambda: self.free >= size)
            self.free -= size

    async def release(self, size: int) -> None:
        """Give the bytes of a body back."""
        async with self.changed:
            self.free += size
            self.changed.notify_all()

    async def work(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in a thread, a few at a time."""
        async with self.workers:
            return await asyncio.to_thread(function, *arguments)


def application(root: Root, plugins: Plugins, settings: Settings) -> Starlette:
    """The application with the routes of all plugins.

    Raises
    ------
    UsageError
        No plugin of this run has a route.
    MissingExtraError
        starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
    except ImportError as error:
        raise MissingExtraError('serving needs an extra; install it with: pip install "dayfile[serve]"') from error
    root.create()
    routes: list[Any] = []
    for name in plugins.names:
        routes += plugins.routes(name, root, settings)
    if not routes:
        raise UsageError(f"none of the plugins {', '.join(plugins.names) or '(none)'} receives anything by HTTP")
    app = Starlette(routes=routes)
    app.state.bounds = Bounds(settings.core)
    return app
