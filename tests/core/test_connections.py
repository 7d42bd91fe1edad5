"""Clients that send nothing, or too much: each loses its own connection, and no good one waits for it."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dayfile.errors import SettingsError
from dayfile.serving.proxies import Proxies
from dayfile.settings import CoreSettings, from_command_line, resolve
from running import Server, find_free_port, until

PATIENCE = 60  # seconds; a busy machine is slow
HEAD = b"POST /take HTTP/1.1\r\nHost: x\r\n"

SERVER = """
import ast, asyncio, resource, sys, tempfile
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from dayfile.archive.root import Root
from dayfile.logs import log_as
from dayfile.serving.bounds import Bounds
from dayfile.serving.listening import serve_until_stopped
from dayfile.serving.service import Receiving
from dayfile.settings import CoreSettings
from dayfile.state.receiver import UploadRecorder

async def take(request):
    body = await request.app.state.bounds.read(request)
    if body is not None:
        await request.app.state.bounds.release(len(body))
    return PlainTextResponse("no" if body is None else str(len(body)))

async def limit(request):
    return PlainTextResponse(str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))

async def slow(request):
    await asyncio.sleep(2)
    return PlainTextResponse("done")

settings = CoreSettings(**ast.literal_eval(sys.argv[2]))
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[3]), int(sys.argv[4])))
log_as("serve", settings)
app = Starlette(routes=[Route("/" + view.__name__, view, methods=["GET", "POST"]) for view in (take, limit, slow)])
app.state.bounds = Bounds(settings, 1)
root = Root(Path(tempfile.mkdtemp()))
app.state.service = Receiving(root, UploadRecorder(root), app.state.bounds)
serve_until_stopped(app, "127.0.0.1", int(sys.argv[1]), 1)
"""


class OneWorker(Server):
    """A server with one worker, and the connections that a test opened to it."""

    def __init__(self, directory: Path, settings: dict[str, object], *descriptors: int) -> None:
        self.connections: list[socket.socket] = []
        port = find_free_port()
        words = [sys.executable, "-c", SERVER, port, repr(settings), *descriptors]
        super().__init__(*words, port=port, log=directory / "log.txt", patience=PATIENCE)

        def takes() -> bool:
            with suppress(OSError):
                return self.take(b"x") == "1"
            return False

        until(lambda: takes() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def take(self, body: bytes, source: str = "127.0.0.1", path: str = "/take") -> str:
        """Post a body, and return the answer."""
        return self.ask(body, path, source=source)[1].decode()

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """Open a connection until the end of the test, and send the beginning of something."""
        self.connections.append(super().connect(sent, source))
        return self.connections[-1]


@pytest.fixture
def serve(tmp_path):
    """Start a server; it stops with the test."""
    started = []

    def start(*descriptors: int, **settings: object) -> OneWorker:
        started.append(OneWorker(tmp_path, settings, *descriptors))
        return started[-1]

    yield start
    for server in started:
        for connection in server.connections:
            connection.close()
        server.stop()


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    content = b""
    with suppress(ConnectionError):
        while block := connection.recv(65536):
            content += block
    return content


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize(
    "begin",
    [b"", b"POST /", HEAD, HEAD + b"X: ", b"\r\n", HEAD + b"Content-Length: 1\r\n\r\na" + HEAD],
    ids=["nothing", "a word", "half a header", "a field", "line ends", "a second header"],
)
def test_a_header_that_does_not_come_in_time_ends_its_connection(serve, begin):
    server = serve(serve_header_seconds=1)
    started = time.monotonic()
    connection = server.connect(begin)
    connection.settimeout(0.2)
    while time.monotonic() - started < PATIENCE and not is_closed(connection):
        with suppress(OSError):
            connection.sendall(b"\r\n" if begin == b"\r\n" else b"a" * (begin != b""))  # and goes on to the end
        time.sleep(0.2)
        connection.settimeout(0.2)
        with suppress(OSError):
            connection.recv(4096)
    assert 0.9 < time.monotonic() - started < 15
    assert server.take(b"good") == "4"


def test_a_connection_with_an_unread_body_is_not_kept_open_by_it(serve):
    """It is answered at once, as its length is told; what follows is thrown away, but not for ever."""
    server = serve(serve_header_seconds=1, serve_body_limit=1000)
    connection = server.connect(HEAD + b"Content-Length: 1000000\r\n\r\n")
    started = time.monotonic()
    assert b"200 OK" in connection.recv(4096)
    while not is_closed(connection):
        assert time.monotonic() - started < PATIENCE
        with suppress(OSError):
            connection.send(b"a")
        time.sleep(0.1)
    assert 0.9 < time.monotonic() - started < 15


def test_a_request_that_takes_long_to_answer_is_answered_though_line_ends_follow_it(serve):
    server = serve(serve_header_seconds=0.5)
    connection = server.connect(
        b"POST /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\na\r\n"
    )
    assert received(connection).endswith(b"done")


@pytest.mark.parametrize(
    ("begin", "unit"),
    [
        (HEAD + b"X: ", b"a"),
        (HEAD, b"X: a\r\n"),
        (b"POST /", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X: a\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
    ],
    ids=["a field", "many fields", "a path", "a trailer", "many trailers", "a chunk extension"],
)
def test_what_is_no_body_is_refused_beyond_16_kb(serve, begin, unit):
    server = serve()
    connection = server.connect(begin)
    sent = 0
    block = unit * (16384 // len(unit))
    with suppress(OSError):
        while sent < 50 * len(block) and not is_closed(connection):
            connection.settimeout(PATIENCE)
            connection.sendall(block)
            sent += len(block)
            time.sleep(0.05)
    assert sent <= 10 * len(block)
    assert server.take(b"good") == "4"


def test_a_header_in_one_piece_is_answered_431_beyond_16_kb(serve):
    server = serve()
    for size, status in ((15_000, b"200"), (17_000, b"431"), (150_000, b"431")):
        with server.connect(HEAD + b"Connection: close\r\nX: " + b"a" * size + b"\r\n\r\n") as connection:
            assert received(connection)[9:12] == status


def test_an_address_has_no_more_connections_than_it_may_and_this_machine_as_many_as_it_likes(serve):
    server = serve(serve_connections_per_address=5)
    of_one = [server.connect(HEAD, "127.0.0.2") for _ in range(12)]
    of_this = [server.connect(HEAD) for _ in range(12)]
    assert server.take(b"good", "127.0.0.3") == "4"
    assert server.take(b"good") == "4"
    assert sum(map(is_closed, of_one)) == 7
    assert sum(map(is_closed, of_this)) == 0
    of_one[0].close()
    time.sleep(0.5)
    assert server.take(b"good", "127.0.0.2") == "4"


def test_proxies_have_as_many_connections_as_they_like(serve):
    server = serve(serve_connections_per_address=5, serve_proxies=("127.0.0.0/30",))
    of_proxy = [server.connect(HEAD, "127.0.0.2") for _ in range(12)]
    assert server.take(b"good", "127.0.0.2") == "4"
    assert sum(map(is_closed, of_proxy)) == 0


@pytest.mark.parametrize("begin", [HEAD, HEAD + b"Content-Length: 100\r\n\r\n"], ids=["headers", "bodies"])
def test_where_there_are_too_many_connections_the_oldest_make_room(serve, begin):
    server = serve(serve_connections=20)
    held = []
    for _ in range(50):
        held.append(server.connect(begin))
        time.sleep(0.01)
    assert server.take(b"good") == "4"
    time.sleep(0.5)
    assert [is_closed(connection) for connection in held].index(False) >= 30
    assert server.take(b"good") == "4"


def test_the_descriptor_limit_is_raised(serve):
    server = serve(512, 1024)
    assert server.take(b"", path="/limit") == "1024"


def test_a_full_descriptor_table_neither_stops_the_server_nor_fills_the_log(serve):
    """The limits leave room for the rest of the process; here there is none to leave."""
    server = serve(40, 40, serve_connections=30)
    held = []
    for _ in range(300):
        with suppress(OSError):
            held.append(server.connect(HEAD))
    before = cpu_seconds(server)
    for _ in range(3):
        assert server.take(b"good") == "4"
    assert cpu_seconds(server) - before < 5
    assert server.log.stat().st_size < 100_000


def cpu_seconds(server: OneWorker) -> float:
    pid = server.process.pid
    worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# ---- Who the client is


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "forwarded", "client"),
    [
        ("198.51.100.1", "192.0.2.7", "", "198.51.100.1"),
        ("10.0.0.1", "", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", "", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.7, 10.0.0.9", "", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.9", "", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.7:4711", "", "192.0.2.7"),
        ("10.0.0.1", "[2001:DB8::1]:4711", "", "2001:db8::1"),
        ("10.0.0.1", "192.0.2.7, unknown", "", "unknown"),
        ("10.0.0.1", ",", "", "unknown"),
        ("10.0.0.1", "", 'for=203.0.113.9, for="192.0.2.7:80";proto=http', "192.0.2.7"),
        ("10.0.0.1", "", 'By=10.0.0.2; For="[2001:db8::1]"', "2001:db8::1"),
        ("10.0.0.1", "", "for=_hidden", "unknown"),
        ("10.0.0.1", "192.0.2.7", "for=192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7", "for=203.0.113.9", "unknown"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(peer, forwarded_for, forwarded, client):
    assert Proxies(["10.0.0.0/8"]).client(peer, forwarded_for, forwarded) == client


def test_nobody_is_believed_by_default():
    assert Proxies(CoreSettings().serve_proxies).client("127.0.0.1", "192.0.2.7", "for=192.0.2.7") == "127.0.0.1"


def test_a_site_of_ipv6_is_limited_as_one():
    proxies = Proxies(["2001:db8:1::/48"])
    assert proxies.find_limit_key("2001:db8::1") == proxies.find_limit_key("2001:db8::ffff:1") != ""
    assert proxies.find_limit_key("2001:db8:0:1::1") != proxies.find_limit_key("2001:db8::1")
    assert {proxies.find_limit_key(text) for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "2001:db8:1::9")} == {""}


def test_clients_that_a_proxy_does_not_tell_are_limited_as_one_and_the_proxy_is_not():
    proxies = Proxies(["10.0.0.0/8"])
    told = [("garbage", ""), ("192.0.2.7, unknown", ""), ("192.0.2.7,", ""), ("192.0.2.7", "for=203.0.113.9")]
    (key,) = {proxies.find_limit_key(proxies.client("10.0.0.1", *words)) for words in told}
    assert key
    assert proxies.find_limit_key(proxies.client("10.0.0.1")) == proxies.find_limit_key("") == ""


def test_a_proxy_that_is_no_address_is_refused():
    with pytest.raises(SettingsError, match=r"serve\.proxies"):
        resolve({}, from_command_line(["serve.proxies=127.0.0.1,frontend"]))
