"""The processes of a server: they share a socket and bounds, none is missed for long, and none is left behind."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import pytest

from archives import get_root
from dayfile.serving.health import find_obstacle
from dayfile.settings import CoreSettings
from running import Server, find_free_port, until

LIMIT = 2**20  # bytes
BODY_SECONDS = 300  # longer than any test takes that is not held up
PATIENCE = 100  # seconds; a busy machine is slow

SERVER = f"""
import os, sys, tempfile, time
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from dayfile.archive.root import Root
from dayfile.serving.bounds import Bounds
from dayfile.serving.listening import serve_until_stopped
from dayfile.serving.service import Receiving
from dayfile.settings import CoreSettings
from dayfile.state.receiver import UploadRecorder

async def who(request):
    return PlainTextResponse(str(os.getpid()))

async def held(request):
    return PlainTextResponse(str(sum(request.app.state.bounds.held)))

async def take(request):
    bounds = request.app.state.bounds
    body = await bounds.read(request)
    if body is None:
        return PlainTextResponse("no")
    await bounds.release(len(body))
    return PlainTextResponse(str(os.getpid()))

async def work(request):
    def busy():
        with open(sys.argv[3], "a") as log:
            log.write("begin\\n"); log.flush(); time.sleep(0.2); log.write("end\\n")
    await request.app.state.bounds.work(busy)
    return PlainTextResponse("done")

app = Starlette(routes=[Route("/" + view.__name__, view, methods=["GET", "POST"]) for view in (who, held, take, work)])
workers = int(sys.argv[2])
app.state.bounds = Bounds(CoreSettings(serve_body_limit={LIMIT}, serve_body_seconds={BODY_SECONDS}), workers)
root = Root(Path(tempfile.mkdtemp()))
app.state.service = Receiving(root, UploadRecorder(root), app.state.bounds)
serve_until_stopped(app, "127.0.0.1", int(sys.argv[1]), workers)
"""


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def pushed(connection: socket.socket, most: int) -> int:
    """Send bytes of a body, and tell how many were taken: one that finds no room is not read, and holds up nobody."""
    connection.settimeout(0.3)
    sent = 0
    with suppress(OSError):
        while sent < most:
            sent += connection.send(b"a" * (most - sent))
    connection.settimeout(PATIENCE)
    return sent


class Workers(Server):
    """A server with several workers."""

    def __init__(self, directory: Path, workers: int) -> None:
        self.work = directory / "work.txt"
        port = find_free_port()
        words = [sys.executable, "-c", SERVER, port, workers, self.work]
        super().__init__(*words, port=port, log=directory / "log.txt", patience=PATIENCE)
        self.workers = self.seen(workers)

    def get(self, path: str, body: bytes = b"") -> str:
        return self.ask(body, path)[1].decode()

    def seen(self, number: int) -> set[int]:
        """The processes that answer, once there are so many."""
        found: set[int] = set()

        def enough() -> bool:
            with suppress(OSError, http.client.HTTPException):
                found.add(int(self.get("/who")))
            return len(found) >= number

        until(enough)
        return found

    def announced(self, length: int) -> socket.socket:
        """A body of which only the header was sent."""
        return self.connect(b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)

    def stalled(self, sent: int) -> socket.socket:
        """A body of the limit that is not whole and goes on no further."""
        connection = self.announced(LIMIT)
        pushed(connection, sent)
        return connection

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in filter(is_running, self.workers):
            # Some wait for bodies; a number may be another's by now.
            if str(self.port).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def serve(tmp_path):
    """Start a server."""
    started = []

    def start(workers: int = 2) -> Workers:
        started.append(Workers(tmp_path, workers))
        return started[-1]

    yield start
    for server in started:
        server.end()


def test_workers_share_a_socket(serve):
    server = serve(3)
    assert len(server.workers) == 3
    assert server.process.pid not in server.workers


def test_bodies_of_all_workers_together_have_one_bound(serve):
    server = serve(4)
    stalled = [server.stalled(LIMIT - 1) for _ in range(6)]
    try:
        until(lambda: int(server.get("/held")) > LIMIT)
        for _ in range(50):
            assert int(server.get("/held")) <= 2 * LIMIT
    finally:
        for connection in stalled:
            connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_more_bodies_at_once_than_there_is_room_for_are_all_read(serve, workers):
    """Of each there is a part before any is whole; the parts alone fill the room."""
    server = serve(workers)
    begun = threading.Barrier(60)

    def answer(_: int) -> str:
        with server.announced(200_000) as connection:
            sent = pushed(connection, 70_000)
            begun.wait(PATIENCE)
            connection.sendall(b"a" * (200_000 - sent))
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.read().decode()

    with ThreadPoolExecutor(60) as threads:
        assert {int(text) for text in threads.map(answer, range(60))} <= server.workers


def test_a_short_body_gets_the_room_of_a_long_one_at_another_worker(serve):
    """Whoever takes it: both workers are asked often enough."""
    server = serve(2)
    stalled = [server.stalled(LIMIT - 1) for _ in range(2)]
    answered = set()

    def ask() -> None:
        begin = time.monotonic()
        answered.add(int(server.get("/take", b"a" * 200_000)))
        assert time.monotonic() - begin < BODY_SECONDS / 3
        stalled.append(server.stalled(LIMIT - 1))

    try:
        for _ in range(30):
            ask()
        until(lambda: answered == server.workers or ask())
    finally:
        for connection in stalled:
            connection.close()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_requests_worked_on_at_once_are_bounded_in_all_workers_together(serve, workers):
    server = serve(workers)

    def most() -> int:
        with ThreadPoolExecutor(16) as threads:
            assert set(threads.map(server.get, ["/work"] * 16)) == {"done"}
        steps = (1 if line == "begin" else -1 for line in server.work.read_text().split())
        found = max(accumulate(steps))
        assert found <= 4
        return found

    until(lambda: most() > 1)  # one of four may have taken all the requests there were


def test_a_worker_that_is_killed_is_replaced_and_what_it_held_is_given_back(serve):
    server = serve(2)
    stalled = [server.stalled(LIMIT - 1) for _ in range(2)]
    until(lambda: int(server.get("/held")) > LIMIT)
    before = server.workers
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_running, before)))
    server.workers = server.seen(2)
    assert not server.workers & before
    assert server.get("/held") == "0"
    assert server.log.read_text().count("another is started") == 2
    for connection in stalled:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_after_what_is_under_way_is_answered(serve, number):
    server = serve(2)
    length = 100_000
    slow = [server.announced(length) for _ in range(4)]
    for connection in slow:
        connection.sendall(b"a" * (length - 1))
    until(lambda: int(server.get("/held")) == 4 * length)
    for pid in server.workers if number == signal.SIGINT else ():
        os.kill(pid, number)  # as a terminal does
    server.process.send_signal(number)
    until(lambda: not server.listens)
    assert server.process.poll() is None
    for connection in slow:
        connection.sendall(b"a")
        answer = b""
        while part := connection.recv(1000):
            answer += part
        assert int(answer.rpartition(b"\r\n")[2]) in server.workers
        connection.close()
    assert server.process.wait(PATIENCE) == 0
    assert not any(map(is_running, server.workers))
    said = "dayfile: answering what is under way; press Ctrl-C again to stop at once"
    assert server.log.read_text().splitlines() == ([said] if number == signal.SIGINT else [])


def test_a_second_interrupt_waits_for_nobody(serve):
    server = serve(2)
    slow = server.stalled(10)
    until(lambda: int(server.get("/held")) == LIMIT)
    server.process.send_signal(signal.SIGINT)
    until(lambda: not server.listens)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE) == 0
    assert not any(map(is_running, server.workers))
    slow.close()


def test_no_worker_is_left_behind_when_the_first_process_is_killed(serve):
    server = serve(2)
    server.process.kill()
    server.process.wait()
    until(lambda: not any(map(is_running, server.workers)))
    assert not server.listens


def test_healthz_says_why_uploads_cannot_be_stored(tmp_path, monkeypatch):
    root = get_root(tmp_path / "archive")
    assert "No such file" in find_obstacle(root, CoreSettings())
    root.create()
    assert find_obstacle(root, CoreSettings()) == ""
    assert "less than" in find_obstacle(root, CoreSettings(serve_body_limit=2**80, disk_least_free=2**80))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert "not writable" in find_obstacle(root, CoreSettings())
