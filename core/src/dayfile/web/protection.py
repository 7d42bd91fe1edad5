"""What stands before the routes: the request log, the token, and how often a client may ask."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from dayfile.messages import plural
from dayfile.serving.health import HEALTH_PATH
from dayfile.serving.proxies import Proxies
from dayfile.settings import CoreSettings
from dayfile.web.answers import answer_error
from dayfile.web.codes import RequestError

__all__ = ["Guard", "RequestLog", "has_token"]

Application = Callable[[Any, Any, Any], Awaitable[None]]
MINUTE = 60.0
MOST_CLIENTS = 10_000
"""Clients that are remembered; of more, those that came first are forgotten."""
LONGEST_LOGGED = 500
"""Characters of an address that are logged."""

logger = logging.getLogger(__name__)


class RequestLog:
    """An ASGI middleware that logs each request when its answer has ended.

    Parameters
    ----------
    app : callable
        The ASGI application.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as in ASGI
        """Pass a request on, and log it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, size, whole = time.monotonic(), 0, 0, False

        async def note(message: dict[str, Any]) -> None:
            nonlocal status, size, whole
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive, note)
        finally:
            log_request(scope, status, size, time.monotonic() - began, cut=bool(status) and not whole)


def log_request(scope: dict[str, Any], status: int, size: int, seconds: float, *, cut: bool) -> None:
    """Log a request that was answered, whole or cut; status 0 if it was not."""
    path, query = scope["path"], scope["query_string"].decode("latin-1")
    address = f"{path}?{query}" if query else path
    client = scope["client"][0] if scope.get("client") else ""
    fields = {
        "event": "request",
        "client": client,
        "method": scope["method"],
        "path": path[:LONGEST_LOGGED],
        "query": query[:LONGEST_LOGGED],
        "status": status,
        "bytes": size,
        "seconds": round(seconds, 4),
        "cut": cut,
    }
    shown = f"{scope['method']} {address[:LONGEST_LOGGED]}"
    line = client or "-", shown, status, plural(size, "byte"), seconds, ", cut" if cut else ""
    logger.info("%s %s %d %s %.3f s%s", *line, extra={"fields": fields})


class Guard:
    """An ASGI middleware that refuses requests without the token, and those of a client that sends too many.

    Parameters
    ----------
    app : callable
        The ASGI application.
    settings : CoreSettings
        ``web.token``, ``web.requests_per_minute`` and ``serve.proxies``.
    """

    def __init__(self, app: Application, settings: CoreSettings) -> None:
        self.app = app
        self.token = settings.web_token
        self.rate = Rate(settings.web_requests_per_minute, Proxies(settings.serve_proxies))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as in ASGI
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            try:
                self.check(scope)
            except RequestError as error:
                await answer_error(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def check(self, scope: dict[str, Any]) -> None:
        """Raise a RequestError for a request that is not to be answered."""
        self.rate.count(scope["client"][0] if scope.get("client") else "")
        if self.token and scope["path"] != HEALTH_PATH and not has_token(Request(scope), self.token):
            error = RequestError(1400, "a token is needed", HTTPStatus.UNAUTHORIZED)
            error.headers = {"WWW-Authenticate": 'Basic realm="archive", charset="UTF-8"'}
            raise error


def has_token(request: Request, token: str) -> bool:
    """Return whether a request carries the token: as bearer token, or as password of any user."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() == "bearer":
        given = given.encode("latin-1").decode("utf-8", "replace")  # starlette takes bytes for Latin-1
    else:
        return False
    return hmac.compare_digest(given.strip().encode(), token.encode())


class Rate:
    """Counts the requests of each client: as many as in a minute at once, and then as they are forgotten.

    Parameters
    ----------
    per_minute : int
        Requests that a client may send in a minute.
    proxies : Proxies
        Whose requests are of many clients, and not counted.
    clock : callable
        Returns seconds.
    """

    def __init__(self, per_minute: int, proxies: Proxies, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.proxies = proxies
        self.clock = clock
        self.seen: dict[str, tuple[float, float]] = {}
        """Of each client, the requests that are not forgotten, and when that was."""

    def count(self, client: str) -> None:
        """Count a request; RequestError if its client has sent too many."""
        key = self.proxies.find_limit_key(client)
        if not key:
            return
        now = self.clock()
        counted, then = self.seen.pop(key, (0.0, now))
        counted = max(0.0, counted - (now - then) * self.per_minute / MINUTE)
        refused = counted + 1 > self.per_minute
        self.seen[key] = (counted if refused else counted + 1, now)
        if len(self.seen) > MOST_CLIENTS:
            del self.seen[next(iter(self.seen))]
        if refused:
            error = RequestError(1400, "too many requests; send fewer in a minute", HTTPStatus.TOO_MANY_REQUESTS)
            error.headers = {"Retry-After": str(1 + int(MINUTE / self.per_minute))}
            raise error
