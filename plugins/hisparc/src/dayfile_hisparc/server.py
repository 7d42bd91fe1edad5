"""The routes of ``dayfile serve``: uploads at any path, and the station list's renewal by XML-RPC."""

from __future__ import annotations

import logging
import urllib.request
from pathlib import Path
from typing import cast
from xmlrpc.server import SimpleXMLRPCDispatcher

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile_hisparc.receiver import Answer, Receiver
from dayfile_hisparc.stations import StationList, parsed, replace_list

__all__ = ["Renewal", "receive", "routes"]

logger = logging.getLogger(__name__)

LONGEST_CALL = 64 * 1024
LONGEST_LIST = 16 * 2**20
FETCH_SECONDS = 30


def receive(receiver: Receiver, body: bytes, sender: str) -> Answer:
    """The answer to an upload, whatever happens to it."""
    try:
        return receiver.answer(body, sender)
    except StorageError as error:
        logger.error("%s: an upload could not be stored: %s", sender, error)  # noqa: TRY400 - the message says it all
        return Answer.NOT_STORED


def routes(root: Root, station_list: Path, source: str, permitted: tuple[str, ...]) -> list[BaseRoute]:
    """Routes for an archive.

    Parameters
    ----------
    root : Root
        The archive.
    station_list : Path
        The CSV file of stations.
    source : str
        URL of the station list; empty: no renewal by XML-RPC.
    permitted : tuple of str
        Addresses that may ask for the renewal.
    """
    receiver = Receiver(root, StationList(station_list))

    async def upload(request: Request) -> Response:
        bounds = request.app.state.bounds
        sender = request.client.host if request.client else ""
        body = await bounds.read(request)
        if body is None:
            logger.warning("%s: a body that is too long, too slow or broken off", sender)
            answer = Answer.MISSING
        else:
            try:
                answer = await bounds.work(receive, receiver, bytes(body), sender)
            finally:
                await bounds.release(len(body))
        return Response(answer.body, headers={"content-type": "text/plain"})

    async def call(request: Request) -> Response:
        bounds = request.app.state.bounds
        sender = request.client.host if request.client else ""
        if sender not in permitted:
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
        renewal = Renewal(station_list, source)
        found.append(Route("/RPC2", call, methods=["POST"]))
    # The datastore answers any method at any path; what is no upload lacks its fields.
    found.append(Route("/{path:path}", upload, methods=["POST", "GET", "PUT"]))
    return found


class Renewal:
    """The XML-RPC method ``reload_datastore``: fetch the station list from its source and put it in place.

    It takes no arguments and returns true, also where the list has not changed. The list is replaced in one step, and
    only by one with a station in it.

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
        """The XML that answers a call, a fault included."""
        # The one way in without a server of its own; bytes, though its stub says text.
        return cast("bytes", self.dispatcher._marshaled_dispatch(body))  # noqa: SLF001

    def reload_datastore(self) -> bool:
        """Fetch the list; put it in place if it differs."""
        with urllib.request.urlopen(self.source, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - the operator's own URL
            content: bytes = answer.read(LONGEST_LIST + 1)
        stations, problems = parsed(content.decode("utf-8", errors="surrogateescape"))
        if not stations or len(content) > LONGEST_LIST:
            raise ValueError(f"what {self.source} gave is no station list")
        for problem in problems:
            logger.warning("station list from %s: %s", self.source, problem)
        if not self.station_list.exists() or self.station_list.read_bytes() != content:
            replace_list(self.station_list, content)
            logger.info("station list replaced; stations: %d", len(stations))
        return True
