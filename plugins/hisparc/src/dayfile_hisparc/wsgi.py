"""The receiver as a WSGI callable, for sites that run uWSGI or gunicorn: ``dayfile_hisparc.wsgi:application``.

``DAYFILE_CONFIG`` names the settings file (the datastore's own INI file serves), ``DAYFILE_ARCHIVE`` the archive.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from dayfile.configuration import configured
from dayfile.errors import SettingsError
from dayfile.logs import log_as
from dayfile_hisparc import HisparcSettings
from dayfile_hisparc.receiver import Answer, Receiver
from dayfile_hisparc.server import receive
from dayfile_hisparc.stations import StationList

__all__ = ["application"]

BLOCK = 2**16


@cache
def prepared() -> tuple[Receiver, int]:
    """The receiver of this process and the longest body; made at the first request."""
    archive, config = os.environ.get("DAYFILE_ARCHIVE"), os.environ.get("DAYFILE_CONFIG")
    root, _, settings = configured(Path(archive) if archive else None, "hisparc", [], Path(config) if config else None)
    own = settings.plugins["hisparc"]
    if not isinstance(own, HisparcSettings) or own.station_list is None:
        raise SettingsError("set hisparc.station_list to the station list")
    root.prepare()
    log_as("serve", settings.core)
    return Receiver(root, StationList(own.station_list)), settings.core.serve_body_limit


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer an upload; see :mod:`dayfile_hisparc.receiver`."""
    receiver, limit = prepared()
    body = read(environ, limit)
    answer = Answer.MISSING if body is None else receive(receiver, body, str(environ.get("REMOTE_ADDR", "")))
    start_response("200 OK", [("Content-type", "text/plain"), ("Content-Length", "3")])
    return [answer.body]


def read(environ: dict[str, Any], limit: int) -> bytes | None:
    """The body of a request, whole, line feeds included; None if it is longer than the limit or breaks off."""
    told = str(environ.get("CONTENT_LENGTH") or "")
    if not told.isdigit():
        # Without a length only a server that ends the input itself can be read to the end.
        whole = bytes(environ["wsgi.input"].read(limit + 1)) if environ.get("wsgi.input_terminated") else b""
        return whole if len(whole) <= limit else None
    length = int(told)
    if length > limit:
        return None
    body = bytearray()
    while len(body) < length:
        block = environ["wsgi.input"].read(min(length - len(body), BLOCK))
        if not block:
            return None
        body += block
    return bytes(body)
