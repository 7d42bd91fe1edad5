"""The receiver as a WSGI callable, for sites that run uWSGI or gunicorn: ``dayfile_hisparc.wsgi:application``.

``DAYFILE_CONFIG`` names the settings file (the datastore's own INI file serves), ``DAYFILE_ARCHIVE`` the archive.
"""

from __future__ import annotations

import atexit
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from dayfile.configuration import configure
from dayfile.errors import DayfileError
from dayfile.logs import log_as
from dayfile.problems import collect_errors, combine
from dayfile.serving.health import HEALTH_PATH, find_obstacle
from dayfile.serving.proxies import Proxies
from dayfile.settings import CoreSettings
from dayfile.state.receiver import UploadRecorder, forget_old_receivers
from dayfile_hisparc import HisparcSettings
from dayfile_hisparc.passwords import Verdict
from dayfile_hisparc.receiver import Answer, Claim, Receiver
from dayfile_hisparc.server import choose_refusal, receive, store_or_refuse
from dayfile_hisparc.stations import open_list

__all__ = ["application"]

BLOCK = 2**16
LARGEST_READ = 2**24
"""Bytes of a body that are read if the limit is unknown."""


@dataclass(frozen=True)
class Prepared:
    """The objects with which a process answers.

    Parameters
    ----------
    receiver : Receiver
        Receives uploads.
    settings : CoreSettings
        The archive's, such as the longest body.
    proxies : Proxies
        Trusted proxies.
    """

    receiver: Receiver
    settings: CoreSettings
    proxies: Proxies


@cache
def prepare() -> Prepared:
    """Read the settings at the first request of this process."""
    archive, config = os.environ.get("DAYFILE_ARCHIVE"), os.environ.get("DAYFILE_CONFIG")
    root, _, settings = configure(Path(archive) if archive else None, ["hisparc"], [], Path(config) if config else None)
    own = settings.plugins["hisparc"]
    problems: list[DayfileError] = []
    with collect_errors(problems):
        log_as("serve", settings.core)
    with collect_errors(problems):
        root.prepare()
    stations = None
    with collect_errors(problems):
        stations = open_list(own.station_list if isinstance(own, HisparcSettings) else None)
    if problems or stations is None:
        raise combine(problems)
    forget_old_receivers(root)
    uploads = UploadRecorder(root)
    uploads.begin(regular=False)
    atexit.register(uploads.end)
    receiver = Receiver(root, stations, uploads)
    return Prepared(receiver, settings.core, Proxies(settings.core.serve_proxies))


def try_prepare(environ: dict[str, Any]) -> Prepared | None:
    """Prepare for answers; return None, with a line in the server's log, while that fails."""
    try:
        return prepare()
    except DayfileError as error:
        environ["wsgi.errors"].write(f"dayfile: {error}\n")
        environ["wsgi.errors"].flush()
        return None


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer an upload, see :mod:`dayfile_hisparc.receiver`, or another request."""
    status, headers, body = 200, {}, b""
    prepared = try_prepare(environ)
    if environ["REQUEST_METHOD"] == "POST":
        answer = answer_upload(environ, prepared) if prepared else refuse_unready(environ)
        if prepared and answer is not Answer.STORED:
            prepared.receiver.uploads.note_refused(answer.reason)
        body = answer.body
    elif prepared is None:
        status, body = 503, b"the settings are wrong or the archive is missing; the log says what to do\n"
    elif environ.get("PATH_INFO") == HEALTH_PATH and environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
        reason = find_obstacle(prepared.receiver.root, prepared.settings)
        status, body = (503, f"{reason}\n".encode()) if reason else (200, b"ok\n")
    elif environ.get("PATH_INFO") == HEALTH_PATH:
        status, headers = 405, {"Allow": "GET, HEAD"}
    else:
        status, headers = choose_refusal(str(environ.get("PATH_INFO", "")))
    fields = [*headers.items(), ("Content-type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", fields)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def refuse_unready(environ: dict[str, Any]) -> Answer:
    """Refuse a POST that cannot be stored, after reading its body: otherwise the client would not see the answer."""
    read_body(environ, LARGEST_READ)
    return Answer.NOT_STORED


def answer_upload(environ: dict[str, Any], prepared: Prepared) -> Answer:
    """Answer a POST."""
    sender = prepared.proxies.client(
        str(environ.get("REMOTE_ADDR", "")),
        str(environ.get("HTTP_X_FORWARDED_FOR", "")),
        str(environ.get("HTTP_FORWARDED", "")),
    )
    body = read_body(environ, prepared.settings.serve_body_limit)
    if body is None:
        return Answer.MISSING
    found = receive(prepared.receiver, body, sender, prepared.proxies.find_limit_key(sender))
    if isinstance(found, Claim):
        with take_hashing_turn(prepared.receiver.stations.path) as mine:
            station = found.station
            proofs = prepared.receiver.stations.proofs
            verdict = proofs.prove(station.password, found.password) if mine else Verdict.UNKNOWN
        receiver = prepared.receiver
        return store_or_refuse(partial(receiver.settle, found, verdict, sender), receiver.uploads, sender)
    return found


@contextmanager
def take_hashing_turn(station_list: Path) -> Iterator[bool]:
    """Try to be the only process that hashes; yield whether this is it. The others continue with other uploads."""
    with station_list.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def read_body(environ: dict[str, Any], limit: int) -> bytes | None:
    """Read the whole body of a request, with line feeds; None if it is longer than the limit or incomplete."""
    declared = str(environ.get("CONTENT_LENGTH") or "")
    if not declared.isdigit():
        # Without a length the input can be read to its end only if the server ends it.
        whole = bytes(environ["wsgi.input"].read(limit + 1)) if environ.get("wsgi.input_terminated") else b""
        return whole if len(whole) <= limit else None
    length = int(declared)
    if length > limit:
        return None
    body = bytearray()
    while len(body) < length:
        block = environ["wsgi.input"].read(min(length - len(body), BLOCK))
        if not block:
            return None
        body += block
    return bytes(body)
