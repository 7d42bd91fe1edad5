"""Limits on connections: their number, the length of a header, and the time that a client may take to send it.

uvicorn limits the time of connections that are idle after an answer, and the requests at once, which it answers with
503. It does not limit the time for a header, the connections of one address, or (with httptools) the size of a header.
So its protocol is extended here.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import resource
import socket
import struct
import termios
from array import array
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from dayfile.messages import plural
from dayfile.serving.proxies import Proxies
from dayfile.settings import CoreSettings

__all__ = ["CUT", "UNREAD", "Connection", "Connections", "raise_descriptor_limit"]

logger = logging.getLogger(__name__)

HEADER_LIMIT = 16 * 1024
"""Bytes of the longest header (request line and fields), and of anything else that is not a body, such as trailers."""
PIPELINE = 16
"""Requests of one connection that may wait for an answer."""
RESERVED_DESCRIPTORS = 200
"""Descriptors of a process reserved for files, logs, and connections that are accepted but not yet counted."""
CUT = "dayfile.cut"
"""In the scope of a request: a function that resets its connection."""
UNREAD = "dayfile.unread"
"""In the scope of a request: a function that counts the bytes that its client has not taken."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` of no seconds: closing drops what was not sent yet, and the client sees an error."""
FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def raise_descriptor_limit() -> None:
    """Raise the number of open files of this process and its children to what the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems have a hard limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Phase(Enum):
    """What a connection waits for: a header, the rest of a body, or the answer."""

    HEADER = "header"
    BODY = "body"
    ANSWER = "answer"


class Connections:
    """The connections of one process, and their limits.

    If there are too many, the one that has waited longest for a header is closed in favour of a new one, or else the
    one that has waited longest for the rest of a body: a client that sends at once is never the oldest.

    Parameters
    ----------
    settings : CoreSettings
        ``serve.connections``, ``serve.connections_per_address``, ``serve.header_seconds``, ``serve.body_seconds`` and
        ``serve.proxies``.
    """

    def __init__(self, settings: CoreSettings) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = settings.serve_connections if soft == resource.RLIM_INFINITY else max(1, soft - RESERVED_DESCRIPTORS)
        self.limit = min(settings.serve_connections, room)
        self.per_address = settings.serve_connections_per_address
        self.header_seconds = settings.serve_header_seconds
        self.body_seconds = settings.serve_body_seconds
        self.proxies = Proxies(settings.serve_proxies)
        self.addresses: Counter[str] = Counter()
        self.waiting: dict[Phase, dict[Connection, None]] = {phase: {} for phase in Phase}

    def __len__(self) -> int:
        return sum(map(len, self.waiting.values()))

    def admit(self, connection: Connection, address: str) -> bool:
        """Admit and count a new connection; False if its address has too many, or all are answering."""
        network = self.proxies.find_limit_key(address)
        if network and self.addresses[network] >= self.per_address:
            logger.warning("%s: already has %d connections; refused another one", address, self.per_address)
            return False
        if len(self) >= self.limit and not self.make_room():
            logger.warning("%s: refused, as there are %d connections", address, self.limit)
            return False
        if network:
            self.addresses[network] += 1
        self.waiting[connection.phase][connection] = None
        return True

    def place(self, connection: Connection, phase: Phase) -> None:
        """Record what a connection waits for from now on."""
        if connection.phase is not phase:
            del self.waiting[connection.phase][connection]
            self.waiting[phase][connection] = None
            connection.phase = phase

    def remove(self, connection: Connection, address: str) -> None:
        """Forget a connection that was admitted."""
        del self.waiting[connection.phase][connection]
        network = self.proxies.find_limit_key(address)
        if network:
            self.addresses[network] -= 1
        if self.addresses[network] <= 0:
            del self.addresses[network]

    def make_room(self) -> bool:
        """Close the connection that has waited longest; False if none waits for its client."""
        for phase in (Phase.HEADER, Phase.BODY):
            for connection in self.waiting[phase]:
                logger.warning("%d connections are open: closed the one that waited longest", len(self))
                connection.abandon()
                return True
        return False

    def note_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error in the loop: without a free descriptor, close a connection and try again later."""
        failure = context.get("exception")
        if isinstance(failure, OSError) and failure.errno in FULL:
            logger.error("cannot accept a connection: %s", failure.strerror)
            self.make_room()
        else:
            loop.default_exception_handler(context)


class Connection(HttpToolsProtocol):
    """A connection of uvicorn with limits.

    Parameters
    ----------
    config, server_state, app_state, _loop
        As uvicorn passes them.
    limits : Connections
        Limits of this process.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = limits
        self.address = ""
        self.admitted = False
        self.phase = Phase.HEADER
        self.in_body = False
        self.too_long = False
        self.progress = False
        self.pending = 0
        """Bytes since the last complete header or part of a body."""
        self.timer: asyncio.TimerHandle | None = None
        self.unread_timer: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """Return whether a request is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Refuse an excess connection before anything is read."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.admitted = self.limits.admit(self, self.address)
        if self.admitted:
            self._wait_for(self.limits.header_seconds, self.abandon)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting it."""
        self._stop_waiting()
        self._stop_unread()
        if self.admitted:
            self.admitted = False
            self.limits.remove(self, self.address)
        super().connection_lost(exc)

    def cut(self) -> None:
        """Reset it, so that no client takes the end of what it has for the end of the answer."""
        with suppress(OSError):  # it is closed already
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.abandon()

    def abandon(self) -> None:
        """Close it now, dropping unsent data."""
        if self.admitted:
            self.admitted = False
            self.limits.remove(self, self.address)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse received data, unless it belongs to an endless header."""
        if not self.admitted or self.transport.is_closing():
            return
        if self.timer is None and not self.in_body and not self.answering:
            self._wait_for(self.limits.header_seconds, self.abandon)
        self.progress = False
        super().data_received(data)
        self.pending = 0 if self.progress else self.pending + len(data)
        if self.pending > HEADER_LIMIT and not self.transport.is_closing():
            self.too_long = True
            self.send_400_response("")
        self._note_phase()

    def send_400_response(self, msg: str) -> None:
        """Answer 431 if a header is too long, and close."""
        if not self.too_long:
            super().send_400_response(msg)
            return
        logger.warning("%s: a header of more than %s", self.address, plural(HEADER_LIMIT, "byte"))
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()

    # ---- The parser's callbacks

    def on_headers_complete(self) -> None:
        """Start a request whose header is complete."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self.too_long = size > HEADER_LIMIT
        if self.too_long or len(self.pipeline) >= PIPELINE:
            raise ValueError("refused")  # the parser stops, and the connection is closed
        self.progress = self.in_body = True
        self._stop_waiting()
        cast("dict[str, Any]", self.scope).update({CUT: self.cut, UNREAD: self.count_unread})
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a part of the body has come."""
        self.progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the next bytes belong to another request."""
        self.progress = True
        self.in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait a short time for the rest of a body that nobody reads: bytes on the way would break the answer."""
        super().on_response_complete()
        if self.in_body and not self.transport.is_closing():
            self._wait_for(self.limits.header_seconds, self.transport.close)
        elif self.pending and not self.answering:
            self._wait_for(self.limits.header_seconds, self.abandon)
        self._note_phase()

    # ---- The transport's callbacks

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers, as long as for one that sends a body."""
        super().pause_writing()
        self._stop_unread()
        self._watch_unread()

    def resume_writing(self) -> None:
        """Resume, as the client reads again."""
        self._stop_unread()
        super().resume_writing()

    def _watch_unread(self) -> None:
        """Look later whether the client takes anything."""
        left = self.count_unread()
        self.unread_timer = self.loop.call_later(self.limits.body_seconds, self._check_unread, left)

    def count_unread(self) -> int:
        """Count the bytes that its client has not taken: those here, and those that the system holds, if it says so."""
        held = array("i", [0])
        with suppress(OSError, ValueError):  # a ValueError if it is closed already
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
        return self.transport.get_write_buffer_size() + held[0]

    def _check_unread(self, before: int) -> None:
        """Close it if its client took nothing meanwhile."""
        if self.count_unread() < before:
            self._watch_unread()  # it reads, though slowly
            return
        logger.warning("%s: took nothing of its answer for %g s; closed", self.address, self.limits.body_seconds)
        self.cut()

    def _wait_for(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self.timer = self.loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _stop_unread(self) -> None:
        if self.unread_timer is not None:
            self.unread_timer.cancel()
            self.unread_timer = None

    def _note_phase(self) -> None:
        if not self.admitted:
            return
        if self.in_body:
            phase = Phase.BODY
        elif self.answering:
            phase = Phase.ANSWER
        else:
            phase = Phase.HEADER
        self.limits.place(self, phase)
