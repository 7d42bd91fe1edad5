"""Answers over HTTP: metadata at once, records block by block, neither if the client has them already."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

import dayfile
from dayfile.errors import DayfileError
from dayfile.serving.connections import CUT, UNREAD
from dayfile.web.ahead import BlocksAhead
from dayfile.web.codes import RequestError
from dayfile.web.compression import choose_encoding, compress

if TYPE_CHECKING:
    from dayfile.web.turns import Turns

__all__ = ["answer_error", "answer_metadata", "answer_records", "is_known", "make_headers"]

SMALL = 1000
"""Bytes below which nothing is compressed."""
NANOSECONDS = 1_000_000_000
SETTLED = 2 * NANOSECONDS
"""Answers of what is older than this say Last-Modified: it has whole seconds, in which more may follow."""

logger = logging.getLogger(__name__)


def make_headers(version: Iterable[str], changed: int | None, encoding: str) -> dict[str, str]:
    """Make the headers that say in which version an answer is: ETag, and Last-Modified if that is known.

    Parameters
    ----------
    version : iterable of str
        Whatever the answer depends on.
    changed : int or None
        When it changed last, ns since 1970.
    encoding : str
        How it is compressed; empty if it is not.
    """
    digest = hashlib.sha256("\0".join([dayfile.__version__, encoding, *version]).encode()).hexdigest()
    headers = {"ETag": f'"{digest[:40]}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if changed is not None and time.time_ns() - changed > SETTLED:
        headers["Last-Modified"] = formatdate(changed // NANOSECONDS, usegmt=True)
    if encoding:
        headers["Content-Encoding"] = encoding
    return headers


def is_known(asked: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """Return whether a client has an answer already, by the headers of its request and those of the answer."""
    if tags := asked.get("if-none-match"):
        listed = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in listed or headers["ETag"] in listed
    since = asked.get("if-modified-since")
    if not since or "Last-Modified" not in headers:
        return False
    try:
        # An older date than the client has is of a day file that was restored: it has another answer.
        return parsedate_to_datetime(headers["Last-Modified"]) == parsedate_to_datetime(since)
    except (TypeError, ValueError, OverflowError):  # no date, or one without a time zone, or with an impossible one
        return False


def answer_metadata(request: Request, content: Mapping[str, object], changed: int | None) -> Response:
    """Answer with an object in JSON."""
    body = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
    encoding = choose_encoding(request.headers.get("accept-encoding", "")) if len(body) > SMALL else ""
    headers = make_headers([hashlib.sha256(body).hexdigest()], changed, encoding)
    if is_known(request.headers, headers):
        return Response(status_code=304, headers=headers)
    compressed = b"".join(compress(iter([body]), encoding))
    return Response(compressed, headers=headers, media_type="application/json")


def answer_error(error: RequestError) -> Response:
    """Answer with what is wrong, also where records were asked for in another form."""
    from dayfile.web.hapi import HAPI_VERSION

    content = {"HAPI": HAPI_VERSION, "status": {"code": error.code, "message": error.message}}
    headers = {"Cache-Control": "no-store", **error.headers}
    return Response(json.dumps(content) + "\n", error.status, headers, media_type="application/json")


def answer_records(
    blocks: Iterator[bytes | memoryview],
    headers: dict[str, str],
    media_type: str,
    pool: Executor,
    room: AsyncExitStack,
    turns: Turns,
) -> StreamingResponse:
    """Answer with records, block by block, as fast as the client takes them.

    Parameters
    ----------
    blocks : iterator of bytes or memoryview
        The body, compressed as the headers say.
    headers : dict of str to str
        Headers of the answer.
    media_type : str
        What it is.
    pool : Executor
        What makes blocks, as that is work for the processor.
    room : AsyncExitStack
        Closed when the answer has ended, in whatever way.
    turns : Turns
        Cuts it if the client takes too long.
    """
    body = BlocksAhead(blocks, pool).iterate()
    return RecordsResponse(body, headers=headers, media_type=media_type, room=room, turns=turns)


class RecordsResponse(StreamingResponse):
    """An answer that is cut where something goes wrong, so that the client does not take it for a whole one."""

    def __init__(self, *arguments: Any, room: AsyncExitStack, turns: Turns, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        self.room = room
        self.turns = turns
        self.cut: Callable[[], None] = lambda: None  # of a server that cannot, the answer has no end
        self.count_unread: Callable[[], int] = lambda: 0  # of a server that does not say it

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as in starlette
        """Send it, and free its room in the end."""
        self.cut = scope.get(CUT, self.cut)
        self.count_unread = scope.get(UNREAD, self.count_unread)
        async with self.room:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send the header and the blocks; without the end of the body if that could not be made."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with self.turns.watch(self.count_unread) as taking:
                async for block in self.body_iterator:
                    await send({"type": "http.response.body", "body": block, "more_body": True})
                    taking.sent += len(block)
        except TimeoutError as error:
            logger.warning("an answer was cut: %s", error)
        except (DayfileError, OSError) as error:
            logger.error("an answer was cut: %s", error)  # noqa: TRY400 - what went wrong is no bug
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        self.cut()
        await asyncio.sleep(0)  # the server learns of it
