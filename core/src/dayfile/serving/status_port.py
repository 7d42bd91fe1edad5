"""A port for monitors, beside the work: ``/healthz``, ``/status.json`` and ``/metrics``, from the record of state.

It needs no library, except for ``/metrics``, and answers from a thread or a process of its own. It is meant for a
network that one trusts: everybody who reaches it may read the status.
"""

from __future__ import annotations

import json
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from dayfile.archive.root import Root
from dayfile.errors import DayfileError, MissingExtraError, StorageError, UsageError
from dayfile.serving.health import HEALTH_PATH
from dayfile.state.metrics import format_metrics
from dayfile.state.silence import parse_ages
from dayfile.state.status import make_status

__all__ = ["StatusServer", "format_address", "parse_place"]

LOCAL = "127.0.0.1"
REQUEST_SECONDS = 10.0
"""Seconds that a client may take to send its request."""
PATHS = (HEALTH_PATH, "/status.json", "/metrics")
PLAIN, JSON = "text/plain; charset=utf-8", "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

HttpAnswer = tuple[int, str, bytes]
"""Status, content type and body."""

logger = logging.getLogger(__name__)


def parse_place(text: str) -> tuple[str, int]:
    """Parse ``PORT`` or ``HOST:PORT``.

    Raises
    ------
    UsageError
        It is neither.

    Examples
    --------
    >>> parse_place("9400"), parse_place("0.0.0.0:9400"), parse_place("[::1]:9400")
    (('127.0.0.1', 9400), ('0.0.0.0', 9400), ('::1', 9400))
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 2**16 - 1:
        raise UsageError(f"{text!r} is not a port, or HOST:PORT", where="--status-port")
    return host.strip("[]") or LOCAL, int(port)


def format_address(listener: socket.socket) -> str:
    """Format the address at which a socket listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class MonitorServer(ThreadingHTTPServer):
    """A server of the standard library, for addresses of both families; monitors may go away."""

    daemon_threads = True

    def __init__(self, place: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(place, handler)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - named by socketserver
        """Log that a monitor went away before it had its answer."""
        logger.debug("%s went away", client_address)


class StatusServer:
    """Answers monitors. It listens as soon as it is made, and answers within :meth:`run`.

    Parameters
    ----------
    root : Root
        The archive.
    place : (str, int)
        Host and port to listen on; port 0 for any that is free.
    find_trouble : callable
        Returns what is wrong with the program beside which it answers; empty if all is well.

    Raises
    ------
    UsageError
        It cannot listen there.
    """

    def __init__(self, root: Root, place: tuple[str, int], find_trouble: Callable[[], str]) -> None:
        self.root = root
        self.find_trouble = find_trouble
        try:
            self.server = MonitorServer(place, partial(StatusRequest, self))
        except OSError as error:
            host, port = place
            raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
        self.address = format_address(self.server.socket)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Answer in a thread until the end of the block."""
        thread = threading.Thread(target=self.server.serve_forever, name="status port", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.server.shutdown()
            thread.join()

    def serve(self, stop: int) -> None:
        """Answer until a pipe is closed."""
        with self.run():
            select.select([stop], [], [])

    def close(self) -> None:
        """Stop listening."""
        self.server.server_close()

    def answer(self, target: str) -> HttpAnswer:
        """Answer a request for a path with a query."""
        parts = urlsplit(target)
        if parts.path not in PATHS:
            return 404, PLAIN, f"{', '.join(PATHS)}\n".encode()
        try:
            if parts.path == HEALTH_PATH:
                trouble = self.find_trouble()
                return (503 if trouble else 200), PLAIN, f"{trouble or 'ok'}\n".encode()
            query = parse_qs(parts.query)
            status = make_status(self.root, parse_ages(query.get("max_age", []), query.get("retired", [""])[0]))
            if parts.path == "/metrics":
                return 200, PROMETHEUS, format_metrics(status)
            return 200, JSON, json.dumps(status.as_json(), ensure_ascii=False).encode(errors="backslashreplace")
        except DayfileError as error:
            code = 501 if isinstance(error, MissingExtraError) else 503 if isinstance(error, StorageError) else 400
            return code, PLAIN, f"{error}\n".encode(errors="backslashreplace")


class StatusRequest(BaseHTTPRequestHandler):
    """A request of a monitor."""

    timeout = REQUEST_SECONDS

    def __init__(self, server: StatusServer, *arguments: object) -> None:
        self.status = server
        super().__init__(*arguments)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        """Answer."""
        code, kind, body = self.status.answer(self.path)
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by http.server
        """Log at a level that is usually off: monitors ask all the time."""
        logger.debug(format, *arguments)
