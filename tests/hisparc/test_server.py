"""The server as it is run: processes, sockets, good stations among bad ones."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import io
import json
import os
import pickle
import signal
import socket
import sys
import threading
import time
import urllib.parse
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from archives import list_entries, list_waiting
from dayfile import create_archive, open_archive
from dayfile.errors import UsageError
from dayfile_hisparc.clients import (
    Identity,
    Pysparc,
    StationSoftware,
    identify,
    make_form,
    make_password,
    make_station_list,
    send,
)
from dayfile_hisparc.pickles import read_upload, write_upload
from dayfile_hisparc.simulation import simulate_events
from dayfile_hisparc.wsgi import read_body
from running import Server, call_command, find_free_port, start_command, stop, until

DAY = np.datetime64("2024-05-01")
BODY_LIMIT = 8 * 2**20
BODY_SECONDS = 200  # longer than any test takes that is not held up
PATIENCE = 100  # seconds; a busy machine is slow
LARGEST_MEMORY = 400  # MB
EVENTS = list(islice(simulate_events(DAY, 1, 501), 100))
GOOD = make_form(501, EVENTS, 0)
FORM = "application/x-www-form-urlencoded"


def peak_memory(pid: int) -> float:
    """The most memory a process ever had, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class UploadServer(Server):
    """A process that receives uploads, and its archive."""

    def __init__(self, command: list[object], port: int, archive: Path, **environment: str) -> None:
        self.root = open_archive(archive).root
        log = archive.parent / f"{port}.txt"
        super().__init__(*command, port=port, log=log, environment=environment, patience=PATIENCE)

    @property
    def workers(self) -> list[int]:
        """The processes that answer."""
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def memory(self) -> float:
        """The most memory that its processes ever had, together, in MB."""
        return sum(map(peak_memory, [self.process.pid, *self.workers]))

    def post(self, body: bytes, path: str = "/hisparc/upload", method: str = "POST"):
        """Status, content type and body of the answer."""
        answer, content = self.ask(body, path, method, {"Content-Type": FORM})
        return answer.status, answer.headers.get_content_type(), content

    def opened(self, *headers: str) -> socket.socket:
        """A connection on which the header of an upload was sent."""
        lines = ["POST / HTTP/1.1", "Host: localhost", f"Content-Type: {FORM}", *headers, "", ""]
        return self.connect("\r\n".join(lines).encode())


OK = (200, "text/plain")


def told(connection: socket.socket) -> bytes:
    """The body of the answer on a raw connection; empty if it was closed without one."""
    content = b""
    with connection, suppress(ConnectionResetError):
        while block := connection.recv(4096):
            content += block
            head, end, body = content.partition(b"\r\n\r\n")
            if end and len(body) >= 3:
                assert head.split(b" ")[1] == b"200"
                return body
    return b""


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Start servers, each with an archive of its own that lets stations 501 to 520 in."""
    started = []

    def start(**settings: object) -> UploadServer:
        directory = tmp_path_factory.mktemp("serve")
        create_archive(directory / "archive")
        (directory / "stations.csv").write_text(make_station_list(20))
        chosen = {"serve__body_limit": BODY_LIMIT, "serve__body_seconds": BODY_SECONDS, **settings}
        pairs = [f"{name.replace('__', '.')}={value}" for name, value in chosen.items()]
        pairs.append(f"hisparc.station_list={directory / 'stations.csv'}")
        port = find_free_port()
        program = Path(sys.executable).with_name("dayfile")
        command = [program, "serve", "--plugins", "hisparc", "--archive", directory / "archive", "--port", port]
        started.append(
            UploadServer([*command, *(word for pair in pairs for word in ("--set", pair))], port, directory / "archive")
        )
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(serve) -> UploadServer:
    return serve()


class Hostile:
    """What runs a command when it is unpickled as usual."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def upload(payload: bytes, **changed: object) -> bytes:
    """A form with any payload."""
    checksum = hashlib.md5(payload, usedforsecurity=False).hexdigest()
    fields = {
        "station_id": 501,
        "password": make_password(501),
        "data": payload.decode("latin-1"),
        "checksum": checksum,
    }
    return urllib.parse.urlencode({**fields, **changed}).encode()


def bad_uploads(mark: Path) -> dict[bytes, list[bytes]]:
    """Bodies by answer."""
    payload = pickle.dumps(EVENTS[:2], 2)
    return {
        b"400": [b"", b"\0" * 1000, b"&" * 100_000, b"=" * 1000, os.urandom(10_000), upload(payload, station_id="x")],
        b"206": [upload(payload, station_id=9)],
        b"203": [upload(payload, password="x"), upload(payload, password="\0" * 1000)],  # noqa: S106
        b"201": [upload(payload, checksum="0" * 32), upload(payload[:-1], checksum="é")],
        b"208": [
            upload(pickle.dumps([Hostile(mark)])),
            upload(payload[:-1]),
            upload(b"]" * 1_000_000 + b"."),
            upload(b"(" * 1_000_000 + b"."),
            upload(b"}" * 200_000),
            upload(b"I" + b"9" * 1_000_000 + b"\n."),
            upload(b"p2000000000\n."),
            upload(pickle.dumps("x" * 1_000_000)),
        ],
    }


# ---- Answers


@pytest.mark.parametrize("path", ["/", "/hisparc/upload", "/a/b//c", "/x?station_id=9", "/RPC2", "/%00%ff"])
def test_an_upload_is_taken_at_any_path(server, path):
    before = len(list_waiting(server.root.incoming))
    assert server.post(GOOD, path) == (*OK, b"100")
    assert len(list_waiting(server.root.incoming)) == before + 1


def test_the_answer_is_always_200_and_plain_text_of_three_digits(server, tmp_path):
    for expected, bodies in bad_uploads(tmp_path / "mark").items():
        for body in bodies:
            assert server.post(body) == (*OK, expected)
    assert not (tmp_path / "mark").exists()


def test_a_replay_is_answered_100_and_archived_once(serve, archive_run):
    server = serve()
    for _ in range(3):
        assert server.post(GOOD) == (*OK, b"100")
    archive = server.root.path
    assert archive_run("--plugins", "hisparc", "--archive", archive, "--set", "watch.settle=0").returncode == 0
    archived = open_archive(archive)
    assert sum(len(archived.read(name)) for name in archived.types()) == len(EVENTS)


def test_a_disk_that_fails_is_answered_500(serve):
    server = serve()
    server.root.incoming.rmdir()
    assert server.post(GOOD) == (*OK, b"500")
    server.root.incoming.mkdir()
    assert server.post(GOOD) == (*OK, b"100")


# ---- Bounds


@pytest.mark.parametrize("length", [BODY_LIMIT + 1, 10**12, 10**18])
def test_a_body_announced_too_long_is_answered_400_unread(server, length):
    assert told(server.opened(f"Content-Length: {length}")) == b"400"
    assert server.post(GOOD) == (*OK, b"100")


def test_a_body_of_the_limit_is_read(server):
    assert server.post(b"a" * BODY_LIMIT) == (*OK, b"400")
    filler = b"&x=" + b"a" * (BODY_LIMIT - len(GOOD) - 3)
    assert server.post(GOOD + filler) == (*OK, b"100")


def test_a_body_that_grows_beyond_the_limit_is_answered_400(server):
    """Its length is not announced; it would be a good upload."""
    body = GOOD + b"&x=" + b"a" * (BODY_LIMIT - len(GOOD) - 2)
    connection = server.opened("Transfer-Encoding: chunked")
    with suppress(ConnectionError):
        for start in range(0, len(body), 0x10000):
            block = body[start : start + 0x10000]
            connection.sendall(b"%x\r\n%b\r\n" % (len(block), block))
        connection.sendall(b"0\r\n\r\n")
    assert told(connection) in (b"400", b"")
    assert server.post(GOOD) == (*OK, b"100")


def test_a_body_that_comes_in_pieces_is_whole(server):
    connection = server.opened(f"Content-Length: {len(GOOD)}")
    for start in range(0, len(GOOD), len(GOOD) // 5):
        connection.sendall(GOOD[start : start + len(GOOD) // 5])
        time.sleep(0.05)
    assert told(connection) == b"100"


def test_a_body_that_breaks_off_stores_nothing(server):
    before = len(list_waiting(server.root.incoming))
    for sent in (0, 10, len(GOOD) // 2, len(GOOD) - 1):
        connection = server.opened(f"Content-Length: {len(GOOD)}")
        connection.sendall(GOOD[:sent])
        connection.close()
    assert server.post(GOOD) == (*OK, b"100")
    assert len(list_waiting(server.root.incoming)) == before + 1


def slow_bodies(server: UploadServer) -> list[socket.socket]:
    """Uploads that have begun and go on no further."""
    slow = [server.opened(f"Content-Length: {BODY_LIMIT}") for _ in range(50)]
    for connection in slow:
        connection.sendall(b"station_id=501&data=" + b"a" * 1000)
    return slow


def test_slow_bodies_hold_up_no_good_station(server):
    slow = slow_bodies(server)
    begin = time.monotonic()
    for _ in range(5):
        assert server.post(GOOD) == (*OK, b"100")
    assert time.monotonic() - begin < BODY_SECONDS / 2
    for connection in slow:
        connection.close()


def test_slow_bodies_end_in_time(serve):
    """All in the same time: one after the other they would take far longer."""
    slow = slow_bodies(serve(serve__body_seconds=4))
    begin = time.monotonic()
    assert {told(connection) for connection in slow} == {b"400"}  # what is not here in time counts as missing
    assert time.monotonic() - begin < 4 * len(slow) / 4


class Crowd:
    """Clients that do the same again and again, each in a thread, until the crowd leaves."""

    def __init__(self, count: int, deed) -> None:
        self.left = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(deed,), daemon=True) for _ in range(count)]

    def work(self, deed) -> None:
        while not self.left.is_set():
            with suppress(OSError, http.client.HTTPException):
                deed(self.left)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.left.set()
        for thread in self.threads:
            thread.join(PATIENCE)


def test_endless_bodies_hold_up_no_good_station(server):
    def endless(left: threading.Event) -> None:
        with server.opened("Transfer-Encoding: chunked") as connection:
            while not left.is_set():
                connection.sendall(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
                time.sleep(0.01)

    with Crowd(20, endless):
        time.sleep(0.5)
        for _ in range(10):
            begin = time.monotonic()
            assert server.post(GOOD) == (*OK, b"100")
            assert time.monotonic() - begin < BODY_SECONDS / 2
    assert server.memory < LARGEST_MEMORY


def test_bodies_that_are_nearly_whole_and_never_end_hold_up_no_good_station(serve):
    """Together they fill what the server spends on bodies, for as long as a body may take."""
    server = serve()

    def stalling(left: threading.Event) -> None:
        with server.opened(f"Content-Length: {BODY_LIMIT}") as connection:
            connection.sendall(b"a" * (BODY_LIMIT - 1000))
            connection.settimeout(0.5)
            while not left.is_set():
                with suppress(TimeoutError):
                    connection.recv(1)
                    return

    seconds = []
    with Crowd(12, stalling):
        time.sleep(1)
        for _ in range(5):
            begin = time.monotonic()
            assert server.post(GOOD) == (*OK, b"100")
            seconds.append(time.monotonic() - begin)
    assert max(seconds) < BODY_SECONDS / 2


def test_it_stays_up_within_its_memory_and_serves_good_stations_among_all_sorts_of_garbage(serve, tmp_path):
    server = serve()
    bodies = [(answer, body) for answer, bodies in bad_uploads(tmp_path / "mark").items() for body in bodies]
    heavy = b"(" + b"F1\n" * (5 * 2**20 // 3 - 100) + b"l."
    bodies += [(b"100", upload(heavy)), (b"100", GOOD), (b"400", b"a" * BODY_LIMIT)]
    chance = np.random.default_rng(1)
    wrong: list[object] = []

    def garbage(left: threading.Event) -> None:
        expected, body = bodies[chance.integers(len(bodies))]
        answer = server.post(body)
        # 400 is also what is answered when there was no room for the body in time.
        if answer not in {(*OK, expected), (*OK, b"400")}:
            wrong.append((expected, answer, body[:80]))

    def broken(left: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(os.urandom(int(chance.integers(1, 5000))))

    with Crowd(6, garbage), Crowd(2, broken):
        outcome = send(f"http://127.0.0.1:{server.port}/", DAY, 1, 4, PATIENCE, most_uploads=12, patience=3 * PATIENCE)
    assert server.process.poll() is None
    assert [tally.station for tally in outcome.tallies if not tally.stored or tally.others] == []
    assert wrong == []
    assert server.memory < LARGEST_MEMORY
    assert not (tmp_path / "mark").exists()
    assert "Traceback" not in server.log.read_text()


def test_no_password_is_in_what_the_server_says(server, tmp_path):
    for bodies in bad_uploads(tmp_path / "mark").values():
        for body in bodies:
            server.post(body)
    server.post(GOOD, f"/upload?password={make_password(501)}")
    assert "wrong password for station 501" in server.log.read_text()
    assert make_password(501) not in server.log.read_text()


def test_it_stops_when_told_and_leaves_no_process_behind(serve):
    server = serve()
    workers = until(lambda: server.workers)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_worker_that_is_killed_loses_no_upload_that_was_answered_100(serve):
    """One is killed whenever some more uploads were stored, however long that takes here."""
    server = serve()
    killed: set[int] = set()
    stored = 0

    def kill(left: threading.Event) -> None:
        nonlocal stored
        if left.wait(0.1) or (now := len(list_waiting(server.root.incoming))) < stored + 10:
            return
        if alive := set(server.workers) - killed:
            pid = min(alive)
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            stored = now

    answered: list[Identity] = []
    with Crowd(1, kill):
        for seed in range(20):
            answered += send(f"http://127.0.0.1:{server.port}/", DAY, seed, 8, 4.0).stored
            if len(killed) > 3:
                break
    assert len(killed) > 3
    assert server.process.poll() is None
    queued = [read_upload(path.read_bytes(), where="") for path in list_waiting(server.root.incoming)]
    assert set(answered) - {identify(upload.station, event) for upload in queued for event in upload.events} == set()


def test_a_port_that_is_taken_is_told(serve, archive_run):
    server = serve()
    options = ("--port", server.port, "--archive", server.root.path, "--set")
    listed = f"hisparc.station_list={server.root.path.parent / 'stations.csv'}"
    quiet = ("--set", "log.level=warning")
    done = archive_run("serve", "--plugins", "hisparc", *options, listed, *quiet, command="dayfile")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {server.port}: " in done.stderr
    assert done.stderr.count("\n") == 1


# ---- The renewal of the station list


@pytest.fixture(scope="module")
def publisher():
    """A web server with a station list, which can be changed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = self.server.content
            self.send_response(200 if content is not None else 500)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield web
        web.shutdown()
        thread.join()


def address(web: http.server.HTTPServer) -> str:
    return f"http://127.0.0.1:{web.server_address[1]}"


def proxied(server: UploadServer) -> xmlrpc.client.ServerProxy:
    return xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.port}/RPC2")


@pytest.fixture(scope="module")
def renewing(serve, publisher) -> UploadServer:
    return serve(hisparc__station_list_source=f"{address(publisher)}/config/datastore")


def test_the_station_list_is_fetched_when_xml_rpc_says_so(renewing, publisher):
    publisher.content = (
        b"777,Aarhus," + make_password(777).encode() + b"\r\n501,Amsterdam," + make_password(501).encode() + b"\r\n"
    )
    assert renewing.post(make_form(777, [], 2)) == (*OK, b"206")
    path = renewing.root.path.parent / "stations.csv"
    with proxied(renewing) as proxy:
        assert proxy.reload_datastore() is True
        assert path.read_bytes() == publisher.content
        changed = path.stat().st_mtime_ns
        assert proxy.reload_datastore() is True
    assert path.stat().st_mtime_ns == changed
    assert renewing.post(make_form(777, EVENTS, 2)) == (*OK, b"100")
    assert renewing.post(make_form(502, EVENTS, 2)) == (*OK, b"206")


def test_xml_rpc_tells_its_methods(renewing):
    with proxied(renewing) as proxy:
        assert "reload_datastore" in proxy.system.listMethods()
        assert isinstance(proxy.system.methodHelp("reload_datastore"), str)


@pytest.mark.parametrize("content", [None, b"", b"<html>404</html>", b"\0" * 1000, os.urandom(1000), b"501,a\n502\n"])
def test_garbage_in_place_of_a_station_list_is_refused(renewing, publisher, content):
    path = renewing.root.path.parent / "stations.csv"
    before = path.read_bytes()
    publisher.content = content
    with proxied(renewing) as proxy, pytest.raises(xmlrpc.client.Fault):
        proxy.reload_datastore()
    assert path.read_bytes() == before
    assert renewing.post(GOOD) == (*OK, b"100")


def test_only_what_is_meant_can_be_called(renewing):
    with proxied(renewing) as proxy:
        calls = (proxy.answer, proxy.dispatcher, proxy.system.exit, proxy.station_list.unlink)
        for call in (*calls, lambda: proxy.reload_datastore("x")):
            with pytest.raises(xmlrpc.client.Fault):
                call()


@pytest.mark.parametrize(
    "body", [b"", b"<", b"\xff", b"<methodCall>", b"<?xml version='1.0'?>" + b"<a>" * 10_000, b"a" * 100_000]
)
def test_a_call_that_is_none_does_no_harm(renewing, body):
    status, kind, _ = renewing.post(body, "/RPC2")
    assert (status, kind) in {(200, "text/xml"), (413, "text/plain")}
    assert renewing.post(GOOD) == (*OK, b"100")


def test_who_is_not_permitted_cannot_renew_the_station_list(serve, publisher):
    server = serve(hisparc__station_list_source=address(publisher), hisparc__reload_from="10.0.0.1")
    publisher.content = b"777,Aarhus,x\n"
    with proxied(server) as proxy, pytest.raises(xmlrpc.client.ProtocolError, match="403"):
        proxy.reload_datastore()
    assert server.post(GOOD) == (*OK, b"100")


# ---- In place of the datastore


@pytest.fixture
def deployed(tmp_path) -> Path:
    """A directory as the datastore's deployment leaves it: settings, station list, queue directories."""
    for name in ("tmp", "incoming", "partial", "suspicious"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "log").mkdir()
    (tmp_path / "stations.csv").write_text(make_station_list(2))
    (tmp_path / "config.ini").write_text(
        f"[General]\nlog={tmp_path}/log/hisparc\nloglevel=debug\nstation_list={tmp_path}/stations.csv\n"
        f"data_dir={tmp_path}/data\n\n[Writer]\nsleep=1\n"
    )
    assert call_command("dayfile", "adopt", tmp_path / "data", "--plugins", "hisparc").code == 0
    return tmp_path


WSGI = """
import sys
from wsgiref.simple_server import make_server
from wsgiref.validate import validator
from dayfile_hisparc.wsgi import application
make_server("127.0.0.1", int(sys.argv[1]), validator(application)).serve_forever()
"""


def test_the_wsgi_callable_takes_the_settings_of_the_datastore(deployed):
    port = find_free_port()
    config = str(deployed / "config.ini")
    server = UploadServer([sys.executable, "-c", WSGI, port], port, deployed / "data", DAYFILE_CONFIG=config)
    try:
        assert server.post(GOOD) == (*OK, b"100")
        assert server.post(make_form(503, EVENTS, 2)) == (*OK, b"206")
        assert server.post(upload(b"aaaaa")) == (*OK, b"208")
        assert server.post(upload(b"]", checksum="x")) == (*OK, b"201")
        assert server.post(b"") == (*OK, b"400")
        assert server.post(b"", method="GET")[0] == 405
        assert server.post(b"", "/", "PUT")[0] == 404
        assert server.post(b"", "/healthz", "GET") == (*OK, b"ok\n")
        assert told(server.opened(f"Content-Length: {10**12}", "Connection: close")) in (b"400", b"")
    finally:
        server.stop()
    assert len(list_waiting(server.root.incoming)) == 1
    (log,) = (deployed / "log").iterdir()
    assert log.name == "hisparc-serve"
    assert "503 is not in the station list" in log.read_text()
    assert make_password(503) not in log.read_text()


@pytest.mark.parametrize("told", [True, False], ids=["length told", "ended by the server"])
@pytest.mark.parametrize(("length", "expected"), [(10, b"x" * 10), (11, None)])
def test_the_wsgi_callable_takes_no_part_of_a_body_beyond_the_limit(told, length, expected):
    words = {"CONTENT_LENGTH": str(length)} if told else {"wsgi.input_terminated": True}
    assert read_body({"wsgi.input": io.BytesIO(b"x" * length), **words}, 10) == expected


def test_a_watch_takes_over_what_the_datastore_left_behind(deployed):
    """Its partial/ holds what a crash cut off; its suspicious/ holds good events beside old ones."""
    old = {
        **EVENTS[0],
        "header": {**EVENTS[0]["header"], "datetime": EVENTS[0]["header"]["datetime"].replace(year=2011)},
    }
    data = deployed / "data"
    (data / "partial" / "tmpaaaa").write_bytes(write_upload(501, "Amsterdam", EVENTS[:10]))
    (data / "suspicious" / "tmpbbbb").write_bytes(write_upload(501, "Amsterdam", [old, *EVENTS[10:20]]))
    (data / "incoming" / "tmpcccc").write_bytes(write_upload(501, "Amsterdam", EVENTS[20:30]))
    words = [
        "--plugins",
        "hisparc",
        "--config",
        deployed / "config.ini",
        "--watch",
        "--report",
        deployed / "report.json",
    ]
    process = start_command("archive-run", *words, log=deployed / "watch.txt")
    try:
        until(lambda: not any(list_waiting(data / name) for name in ("incoming", "partial", "suspicious")))
        until(lambda: list_entries(open_archive(data).root))
        late = data / "tmp" / "tmpdddd"
        late.write_bytes(write_upload(501, "Amsterdam", EVENTS[30:40]))
        late.rename(data / "incoming" / late.name)
        until(lambda: not list_waiting(data / "incoming"))
    finally:
        stop(process)
    assert process.returncode == 0, (deployed / "watch.txt").read_text()
    archived = open_archive(data)
    assert sum(len(archived.read(name)) for name in archived.types()) == 40
    assert (data / "2024" / "5" / "2024_5_1.h5").exists()
    (entry,) = list_entries(archived.root)
    assert "2020" in entry.reason["message"]
    assert json.loads((deployed / "report.json").read_text())["sources"]["archived"] == 4
    assert (deployed / "log" / "hisparc-run").exists()


# ---- Simulated clients


class Answering(http.server.BaseHTTPRequestHandler):
    """Notes what comes and answers what the server's list says, then 100."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((time.monotonic(), self.path, body))
        answer = self.server.answers.pop(0) if self.server.answers else b"100"
        self.send_response(503 if answer == b"down" else 200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as web:
        web.seen, web.answers = [], []
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield web
        web.shutdown()
        thread.join()


def sent(body: bytes) -> list[dict[str, object]]:
    """The events of an upload."""
    (data,) = urllib.parse.parse_qs(body.decode())["data"]
    return pickle.loads(data.encode("latin-1"))


def test_station_software_sends_the_same_batch_again_until_it_is_answered_100(answering):
    answering.answers = [b"500"]
    outcome = send(f"{address(answering)}/hisparc/upload", DAY, 3, 1, PATIENCE, most_uploads=3)
    (first, path, body), (second, _, again), (_, _, following) = answering.seen
    assert (path, body) == ("/hisparc/upload", again)
    assert second - first >= 2.0
    assert following != body
    events = sent(body) + sent(following)
    assert min(len(sent(body)), len(sent(following))) >= 100
    (tally,) = outcome.tallies
    assert (tally.uploads, tally.retries, dict(tally.others)) == (3, 1, {"500": 1})
    assert len(tally.stored) == len(set(tally.stored)) == len(events)
    assert outcome.format_lines()[0].startswith(f"{len(events):,} events of 1 station answered 100")
    assert outcome.format_lines()[1:] == ["3 uploads, repeated: 1", "other answers: 1 time 500"]


def test_pysparc_sends_single_events_and_repeats_after_a_moment(answering):
    answering.answers = [b"down", b"100\n", b"206"]
    outcome = send(address(answering), DAY, 3, 2, PATIENCE, most_uploads=12)
    seen = [(moment, body) for moment, _, body in answering.seen if b"station_id=502&" in body]
    assert {event["header"]["eventtype_uploadcode"] for _, body in seen for event in sent(body)} == {"CFG", "CIC"}
    assert {len(sent(body)) for _, body in seen} == {1}
    pauses = [later - earlier for (earlier, body), (later, again) in pairwise(seen) if body == again]
    assert len(pauses) == outcome.tallies[1].retries
    assert all(pause >= 0.4 for pause in pauses)
    assert len({body for _, body in seen}) == len(outcome.tallies[1].stored)
    assert sum(tally.uploads for tally in outcome.tallies) <= 12


def test_clients_wait_as_the_real_ones_do():
    assert [StationSoftware().compute_pause(failures) for failures in (1, 2, 5, 6, 10**6)] == [2, 4, 32, 60, 60]
    assert [Pysparc().compute_pause(failures) for failures in (1, 10**6)] == [0.4, 0.4]
    batches = list(StationSoftware().split_events(iter(EVENTS * 50), 1))
    assert all(100 <= len(batch) <= 1000 for batch in batches[:-1])
    assert sum(map(len, batches)) == 50 * len(EVENTS)


def test_the_same_seed_sends_the_same_uploads(answering):
    for _ in range(2):
        send(address(answering), DAY, 5, 1, PATIENCE, most_uploads=2)
    bodies = [body for _, _, body in answering.seen]
    assert bodies[:2] == bodies[2:]


def test_clients_end_in_time_where_nobody_listens():
    begin = time.monotonic()
    with socket.socket() as taken:  # and nobody can
        taken.bind(("127.0.0.1", 0))
        outcome = send(f"http://127.0.0.1:{taken.getsockname()[1]}", DAY, 1, 4, 3.0)
    assert time.monotonic() - begin < PATIENCE
    assert outcome.stored == []
    # On a busy machine drawing the first events takes some stations all the time there is.
    assert {answer for tally in outcome.tallies for answer in tally.others} == {"ConnectionRefusedError"}


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1/", "http://", "http://[", "http://a:x/"])
def test_what_is_no_address_is_told(url):
    with pytest.raises(UsageError, match="not an upload address"):
        send(url, DAY, 1, 1, 1.0)


def test_the_command_sends_and_tells(serve, archive_run):
    server = serve()
    url = f"http://127.0.0.1:{server.port}/hisparc/upload"
    seconds = 1
    while not list_waiting(server.root.incoming):  # a busy machine draws no event in a second
        assert seconds < PATIENCE
        options = ("--upload", url, "--clients", 3, "--seconds", seconds)
        done = archive_run("simulate", "hisparc", *options, command="dayfile")
        assert (done.returncode, done.stderr) == (0, "")
        assert "events of 3 stations answered 100" in done.stdout
        assert "other answers: none" in done.stdout
        seconds *= 3


def test_the_command_fails_where_uploads_were_sent_and_none_was_stored(archive_run):
    seconds = 1
    with socket.socket() as taken:  # and nobody listens
        taken.bind(("127.0.0.1", 0))
        options = ("--upload", f"http://127.0.0.1:{taken.getsockname()[1]}", "--clients", 2)
        while (
            done := archive_run("simulate", "hisparc", *options, "--seconds", seconds, command="dayfile")
        ).returncode == 0:
            assert seconds < PATIENCE
            assert "0 uploads" in done.stdout  # a busy machine draws no event in a second
            seconds *= 3
    assert done.returncode == 4
    assert "ConnectionRefusedError" in done.stdout
    assert "nothing was stored" in done.stderr
    assert "501,Amsterdam,password-501, 502,Amsterdam,password-502" in done.stderr


def test_many_stations_at_once_are_served(server):
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda number: server.post(make_form(501 + number, EVENTS, 2)), range(20)))
    assert answers == [(*OK, b"100")] * 20


@pytest.fixture
def uploads_answered():
    """Make a server that answers every upload alike; its URL."""
    servers = []

    def make(status: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"100")

            def log_message(self, *_):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_of_today_only_what_has_happened_is_sent(uploads_answered, monkeypatch):
    now = time.time() // 86400 * 86400 + 60
    monkeypatch.setattr(time, "time", lambda: now)
    today = np.datetime64(int(now), "s").astype("M8[D]")
    stored = send(uploads_answered(200), today, 1, 1, PATIENCE, most_uploads=3).stored
    assert now - 10 < max(identity.timestamp for identity in stored) <= now


def test_an_answer_of_http_that_is_not_the_receivers_is_named(uploads_answered, archive_run):
    done = archive_run(
        "simulate",
        "hisparc",
        "--upload",
        uploads_answered(404),
        "--day",
        "2024-05-01",
        "--seconds",
        10,
        command="dayfile",
    )
    assert done.returncode == 4
    assert "nothing was stored; HTTP 404: is this the receiver?" in done.stderr
