"""The routes of ``dayfile serve``: uploads at any path, and renewal of the station list by XML-RPC."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import urlsplit, urlunsplit
from xmlrpc.server import SimpleXMLRPCDispatcher

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile.serving.proxies import canonicalise
from dayfile.state.receiver import UploadRecorder
from dayfile_hisparc.passwords import HashingQueue, Verdict
from dayfile_hisparc.receiver import Answer, Claim, Receiver
from dayfile_hisparc.stations import StationList, parse_list, replace_list

__all__ = ["Renewal", "choose_refusal", "make_routes", "receive", "store_or_refuse"]

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

UPLOADS = "/hisparc/upload"
"""Where stations post; any other path is as good."""
LONGEST_CALL = 64 * 1024
LONGEST_LIST = 16 * 2**20
FETCH_SECONDS = 30


def receive(receiver: Receiver, body: bytes, sender: str, limited_as: str = "") -> Answer | Claim:
    """Receive an upload and return the answer; a claim if its password must be hashed first."""
    return store_or_refuse(partial(receiver.examine, body, sender, limited_as), receiver.uploads, sender)


def store_or_refuse(function: Callable[[], Found], uploads: UploadRecorder, sender: str) -> Found | Answer:
    """Call a function of the receiver; answer NOT_STORED if the disk fails."""
    try:
        return function()
    except StorageError as error:
        logger.error("%s: an upload could not be stored: %s", sender, error)  # noqa: TRY400 - the message is sufficient
        uploads.note_error(str(error))
        return Answer.NOT_STORED


def choose_refusal(path: str) -> tuple[int, dict[str, str]]:
    """Choose status and header fields for a request that is neither an upload nor for another route."""
    if path.rstrip("/") == UPLOADS:
        return 405, {"allow": "POST"}
    return 404, {}


class Uploads:
    """The ASGI application for uploads: POST at any path.

    Parameters
    ----------
    receiver : Receiver
        Receives the uploads.
    """

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.queue: HashingQueue | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        if request.method == "POST":
            answer = await self.upload(request)
            if answer is not Answer.STORED:
                self.receiver.uploads.note_refused(answer.reason)
            response = Response(answer.body, headers={"content-type": "text/plain"})
        else:
            status, headers = choose_refusal(request.url.path)
            response = Response(status_code=status, headers=headers)
        await response(scope, receive, send)

    async def upload(self, request: Request) -> Answer:
        """Answer an upload, and release its memory."""
        bounds = request.app.state.bounds
        sender = request.client.host if request.client else ""
        body = await bounds.read(request)
        if body is None:
            logger.warning("%s: a body that is too long, too slow or broken off", sender)
            return Answer.MISSING
        size = len(body)
        try:
            limited_as = bounds.proxies.find_limit_key(sender)
            found = await bounds.work(receive, self.receiver, bytes(body), sender, limited_as)
            if isinstance(found, Claim):
                del body
                verdict = await self._judge(found, size, bounds.limit // 2)
                found = await bounds.work(
                    store_or_refuse,
                    partial(self.receiver.settle, found, verdict, sender),
                    self.receiver.uploads,
                    sender,
                )
        finally:
            await bounds.release(size)
        return cast("Answer", found)

    async def _judge(self, claim: Claim, size: int, most_bytes: int) -> Verdict:
        """Judge the password of a claim, in its turn."""
        if self.queue is None:  # made after the fork
            self.queue = HashingQueue(self.receiver.stations.proofs, most_bytes)
        station = claim.station
        return await self.queue.ask(station.number, station.password, claim.password, claim.wrong, size)


def make_routes(
    root: Root, stations: StationList, source: str, permitted: tuple[str, ...], uploads: UploadRecorder
) -> list[BaseRoute]:
    """Make the routes for an archive.

    Parameters
    ----------
    root : Root
        The archive.
    stations : StationList
        The stations that may upload.
    source : str
        URL of the station list; empty: no renewal by XML-RPC.
    permitted : tuple of str
        Addresses that may ask for the renewal.
    uploads : UploadRecorder
        Where uploads are recorded.
    """
    callers = {canonicalise(address) for address in permitted}

    async def call(request: Request) -> Response:
        bounds = request.app.state.bounds
        sender = request.client.host if request.client else ""
        if sender not in callers:
            logger.warning("%s: may not call /RPC2", sender)
            return Response(status_code=403)
        body = await bounds.read(request)
        if body is None:
            return Response(status_code=413)
        await bounds.release(len(body))
        if len(body) > LONGEST_CALL:
            return Response(status_code=413)
        return Response(await bounds.work(renewal.answer, bytes(body)), media_type="text/xml")

    found: list[BaseRoute] = []
    if source:
        renewal = Renewal(stations.path, source)
        found.append(Route("/RPC2", call, methods=["POST"]))
        found.append(Route("/RPC2", refuse_method, methods=["GET", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    # The datastore accepted uploads at any path; any other POST lacks their fields.
    found.append(Route("/{path:path}", Uploads(Receiver(root, stations, uploads))))
    return found


async def refuse_method(request: Request) -> Response:  # noqa: ARG001 - a route takes it
    """Answer that only POST is allowed."""
    return Response(status_code=405, headers={"allow": "POST"})


class Renewal:
    """The XML-RPC method ``reload_datastore``: fetch the station list from its source and replace the old one.

    It takes no arguments and returns true, even if the list has not changed. The list is replaced in one step, and only
    by one with a station in it.

    Parameters
    ----------
    station_list : Path
        The file to replace.
    source : str
        URL of the list.
    """

    def __init__(self, station_list: Path, source: str) -> None:
        self.station_list = station_list
        self.source = source
        self.dispatcher = SimpleXMLRPCDispatcher(allow_none=False, encoding="utf-8")
        self.dispatcher.register_introspection_functions()
        self.dispatcher.register_function(self.reload_datastore)

    def answer(self, body: bytes) -> bytes:
        """Answer a call with XML, which may be a fault."""
        # The only way without a separate server; bytes, though its stub says text.
        return cast("bytes", self.dispatcher._marshaled_dispatch(body))  # noqa: SLF001

    def reload_datastore(self) -> bool:
        """Fetch the list; replace the old one if it differs."""
        content = fetch(self.source)
        stations, problems = parse_list(content.decode("utf-8", errors="surrogateescape"))
        if not stations or len(content) > LONGEST_LIST:
            raise ValueError(f"the answer of {strip_secrets(self.source)} is not a station list")
        for problem in problems:
            logger.warning("station list from %s: %s", strip_secrets(self.source), problem)
        if not self.station_list.exists() or self.station_list.read_bytes() != content:
            replace_list(self.station_list, content)
            logger.info("station list replaced; stations: %d", len(stations))
        return True


def fetch(url: str) -> bytes:
    """Fetch a station list, at most one byte more than the longest.

    Raises
    ------
    ValueError
        It cannot be fetched. The reason is only logged, as this error goes to the caller.
    """
    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - the operator's own URL
            return bytes(answer.read(LONGEST_LIST + 1))
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error) if isinstance(error, OSError) else type(error).__name__
        logger.warning("station list from %s: cannot be fetched: %s", strip_secrets(url), reason)
        raise ValueError("the station list could not be fetched") from None


def strip_secrets(url: str) -> str:
    """Strip possible passwords from an address.

    Examples
    --------
    >>> strip_secrets("https://user:secret@example.org:8443/list?key=secret")
    'https://example.org:8443/list'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
