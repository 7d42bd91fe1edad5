"""HTTP: the application that ``dayfile web`` runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from http import HTTPStatus
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from dayfile.errors import DayfileError, MissingExtraError
from dayfile.messages import suggest_extra
from dayfile.serving.health import HEALTH_PATH
from dayfile.serving.proxies import Proxies, TrueClient
from dayfile.serving.service import Service
from dayfile.web.codes import RequestError
from dayfile.web.query import CatalogQuery, DataQuery, InfoQuery, read_words

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from dayfile.api import Archive
    from dayfile.settings import CoreSettings
    from dayfile.web.hapi import Answered, Hapi, Prepared

__all__ = ["make_site"]

WEB_LIBRARIES = "starlette", "uvicorn", "httptools", "zstandard"
NEEDS_WEB = f"reading over HTTP needs an extra; {suggest_extra('web')}"
THREADS = 2
"""What a process does at once: one reads while another writes. Each thread keeps memory of its own."""
OLD_HTTP = "1.0"
"""Has no way to say where an answer of unknown length ends, so that one that was cut would look whole."""
TURN_SECONDS = 60.0
"""How long a request for records waits for its turn."""

Returned = TypeVar("Returned")
Pairs = Iterable[tuple[str, str]]
"""The words of a request."""
Metadata = tuple[dict[str, object], int | None]
"""An answer in JSON, and when what it is made of was last published, or set; ns since 1970."""

logger = logging.getLogger(__name__)


def make_site(reopen: Callable[[], Archive], settings: CoreSettings, routes: Sequence[Any] = ()) -> Starlette:
    """Make the application: HAPI, the plain page, ``/healthz``, and further routes.

    Parameters
    ----------
    reopen : callable
        Opens the archive; it is called for each request, so that what was published since is seen.
    settings : CoreSettings
        ``web.*`` and ``serve.proxies``.
    routes : sequence of Route
        Those of plugins; the application's own go first.

    Raises
    ------
    MissingExtraError
        A library of the extra ``web`` is not installed.
    """
    if not all(map(find_spec, WEB_LIBRARIES)):
        raise MissingExtraError(NEEDS_WEB)
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.routing import Route

    from dayfile.web.protection import Guard, RequestLog

    site = Site(reopen, settings)
    own = [
        Route("/", site.show_page),
        Route(HEALTH_PATH, site.show_health),
        Route("/hapi", site.show_page),
        Route("/hapi/", site.show_page),
        Route("/hapi/data", site.send_records),
        Route("/hapi/data/", site.send_records),
        Route("/hapi/{word:path}", site.send_metadata),
    ]
    origins = [origin.strip() for origin in settings.web_cors.split(",") if origin.strip()]
    app = Starlette(
        routes=[*own, *routes],
        middleware=[
            Middleware(TrueClient, proxies=Proxies(settings.serve_proxies)),
            Middleware(RequestLog),
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["GET", "HEAD"],
                allow_headers=["Authorization", "Content-Type", "If-Modified-Since", "If-None-Match"],
                expose_headers=["ETag", "Last-Modified", "Content-Encoding", "Retry-After"],
            ),
            Middleware(Guard, settings=settings),
        ],
        exception_handlers={DayfileError: answer_failure, OSError: answer_failure, Exception: answer_failure},
    )
    app.state.service = Service(settings)
    return app


def without_length(response: Response) -> Response:
    """Take the length out of an answer to HEAD: that of the records is not known."""
    del response.headers["Content-Length"]
    return response


def answer_failure(request: Request, error: Exception) -> Response:  # noqa: ARG001 - as starlette calls it
    """Say what is wrong with a request; if it failed through no fault of its own, that is in the log alone."""
    from dayfile.web.answers import answer_error

    if isinstance(error, RequestError):
        return answer_error(error)
    logger.error("a request could not be answered: %s", error)
    return answer_error(RequestError(1500))


def show_about(hapi: Hapi, pairs: Pairs) -> Metadata:
    """Answer ``about``."""
    read_words(pairs, ())
    return hapi.describe_server(), hapi.began


def show_capabilities(hapi: Hapi, pairs: Pairs) -> Metadata:
    """Answer ``capabilities``."""
    read_words(pairs, ())
    return hapi.list_capabilities(), hapi.began


def show_catalog(hapi: Hapi, pairs: Pairs) -> Metadata:
    """Answer ``catalog``."""
    return hapi.list_catalog(CatalogQuery.read(pairs)), hapi.find_change()


def show_info(hapi: Hapi, pairs: Pairs) -> Metadata:
    """Answer ``info``."""
    query = InfoQuery.read(pairs)
    return hapi.describe_dataset(query), hapi.find_change(query.dataset)


METADATA: Mapping[str, Callable[[Hapi, Pairs], Metadata]] = {
    "about": show_about,
    "capabilities": show_capabilities,
    "catalog": show_catalog,
    "info": show_info,
}
"""What the addresses below ``/hapi`` answer in JSON."""


class Site:
    """What answers requests.

    Parameters
    ----------
    reopen, settings
        As for :func:`make_site`.
    """

    def __init__(self, reopen: Callable[[], Archive], settings: CoreSettings) -> None:
        from dayfile.web.turns import Places, Turns

        self.reopen = reopen
        self.settings = settings
        self.began = time.time_ns()
        self.places = Places(settings.web_answers_per_address, Proxies(settings.serve_proxies))
        self.turns = Turns(settings)
        self.pool = ThreadPoolExecutor(THREADS)  # its threads begin with the first request, after the fork

    def open(self) -> Hapi:
        """Open the archive for a request."""
        from dayfile.web.hapi import Hapi

        return Hapi(self.reopen(), self.settings, self.began)

    async def _run(self, function: Callable[..., Returned], *arguments: object) -> Returned:
        """Call a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    async def show_health(self, request: Request) -> Response:  # noqa: ARG002 - a route takes it
        """Answer ``/healthz``: 200 if the archive can be read, else 503."""
        from starlette.responses import PlainTextResponse

        try:
            await self._run(lambda: self.reopen().types())
        except DayfileError as error:
            logger.error("the archive cannot be read: %s", error)  # noqa: TRY400 - no bug
            return PlainTextResponse("the archive cannot be read; the log says why\n", 503)
        return PlainTextResponse("ok\n")

    async def show_page(self, request: Request) -> Response:
        """Answer ``/`` and ``/hapi``."""
        return await self._run(self._write_page, request)

    def _write_page(self, request: Request) -> Response:
        """Write the plain page."""
        from starlette.responses import HTMLResponse

        from dayfile.web.page import PAGE_POLICY, write_page
        from dayfile.web.samples import choose_example

        archive = self.reopen()
        base = (self.settings.web_url or str(request.base_url)).rstrip("/")
        page = write_page(self.settings, archive.catalogue.sum_types(), f"{base}/hapi", choose_example(archive))
        headers = {
            "Content-Security-Policy": PAGE_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return HTMLResponse(page, headers=headers)

    async def send_metadata(self, request: Request) -> Response:
        """Answer ``about``, ``capabilities``, ``catalog`` and ``info``, and any other address with an error."""
        return await self._run(self._write_metadata, request)

    def _write_metadata(self, request: Request) -> Response:
        """Find and write the answer."""
        from dayfile.web.answers import answer_metadata

        word = request.path_params["word"].rstrip("/")
        answer = METADATA.get(word)
        if answer is None:
            raise RequestError(1400, f"no such address; there are data, {', '.join(METADATA)}")
        hapi = self.open()
        content, changed = answer(hapi, request.query_params.multi_items())
        return answer_metadata(request, content, changed)

    async def send_records(self, request: Request) -> Response:
        """Answer ``data``."""
        from starlette.responses import Response

        from dayfile.web.answers import answer_records, is_known, make_headers
        from dayfile.web.compression import choose_encoding, compress
        from dayfile.web.encoding import ENCODERS

        if request.scope["http_version"] == OLD_HTTP:
            raise RequestError(1400, "records need HTTP/1.1", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        query = DataQuery.read(request.query_params.multi_items())
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        async with AsyncExitStack() as stack:
            stack.enter_context(self.places.take(request.client.host if request.client else ""))
            await self._wait_for_turn(request, stack)
            hapi, prepared = await self._run(self._prepare, query)
            headers = make_headers(prepared.version, prepared.changed, encoding)
            if is_known(request.headers, headers):
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            media_type = ENCODERS[query.form].media_type
            if request.method == "HEAD":
                return without_length(Response(headers=headers, media_type=media_type))
            answered: Answered = await self._run(hapi.read, prepared)
            blocks = compress(answered.write(), encoding)
            return answer_records(blocks, headers, media_type, self.pool, stack.pop_all(), self.turns)

    async def _wait_for_turn(self, request: Request, stack: AsyncExitStack) -> None:
        """Wait until there is room for another answer; RequestError if none comes free for a while."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self.turns.wait(request.is_disconnected)
        except TimeoutError:
            error = RequestError(1500, "busy; try again later", HTTPStatus.SERVICE_UNAVAILABLE)
            error.headers = {"Retry-After": "10"}
            raise error from None
        stack.callback(self.turns.end)

    def _prepare(self, query: DataQuery) -> tuple[Hapi, Prepared]:
        """Open the archive, and check a request for records."""
        hapi = self.open()
        return hapi, hapi.prepare(query)
