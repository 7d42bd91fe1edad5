"""``dayfile web`` as it is run: processes and sockets, many clients, slow ones, and those that go away."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from asking import DAY_SECOND, make_rates
from dayfile import create_archive, open_archive
from instruments import make_stream
from running import Server, find_free_port, run_script, until

CLIENTS = 50
LARGEST_MEMORY = 350  # MB; 290 were measured: a server without a request has 120
INFO = "/hapi/info?dataset=muon.rates"
RECORDS = "/hapi/data?dataset=muon.rates&start=1997-10-31&stop=1997-11-01"
PUBLISH = """
import sys, time
import numpy as np
sys.path.insert(0, sys.argv[2])
from asking import make_rates, DAY_SECOND
from dayfile import open_archive
instrument, rates, records = make_rates(20)
archive = open_archive(sys.argv[1], plugins={"muon": instrument}, settings={"publish.after": 0.1, "watch.settle": 0})
print("begins", flush=True)
for number in range(10**6):
    records["second"] = DAY_SECOND + (np.arange(20) + 20 * number) % 86400
    records["large"] = number
    archive.put("muon.rates", records)
    time.sleep(0.2)
"""


STOPS_SOON = """
import sys
from functools import partial
from dayfile import open_archive
from dayfile.logs import log_as
from dayfile.serving.listening import serve_until_stopped
from dayfile.serving.service import Service
from dayfile.settings import CoreSettings
from dayfile.web.application import make_site
log_as("web", CoreSettings())
app = make_site(partial(open_archive, sys.argv[1]), CoreSettings())
app.state.service = Service(CoreSettings(), stop_seconds=1)
serve_until_stopped(app, "127.0.0.1", int(sys.argv[2]), 1)
"""
NO_PLUGINS = """
from importlib import metadata
found = metadata.entry_points
metadata.entry_points = lambda **words: () if words.get("group") == "dayfile.plugins" else found(**words)
"""
"""Python without any plugin of dayfile."""


def list_workers(server: int) -> list[int]:
    """The workers of a server, once they are there."""
    return [int(each) for each in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def measure_peak(process: int) -> float:
    """The most memory a process ever had, in MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """An archive with 400,000 records of a day, 30 MB as they are stored."""
    instrument, rates, few = make_rates(1000)
    records = np.resize(few, 400_000)
    records["second"] = DAY_SECOND + np.arange(400_000) // 5
    records["nanosecond"] = np.arange(400_000) % 5
    path = tmp_path_factory.mktemp("large") / "archive"
    archive = create_archive(path, plugins={"muon": instrument})
    assert archive.ingest(("MuonRates.be.bin", make_stream(instrument, rates, records))).exit_code == 0
    return path


def serve_many(start_web, directory: Path, seconds: float) -> None:
    """Let 50 clients read all the time while a program publishes; every answer has whole records, never fewer."""
    instrument, _, records = make_rates(200)
    archive = create_archive(directory / "archive", plugins={"muon": instrument})
    archive.put("muon.rates", records)
    server = start_web(archive.root.path, "--workers", 2)
    end = time.monotonic() + seconds

    def read(number: int) -> int:
        least, asked = 0, 0
        form = ("csv", "binary", "json")[number % 3]
        while time.monotonic() < end or not asked:
            answer, body = server.ask(path=f"{RECORDS}&format={form}&parameters=good", method="GET")
            assert answer.status == 200, body
            if form == "csv":
                count = body.count(b"\n")
            elif form == "binary":
                assert len(body) % 34 == 0
                count = len(body) // 34
            else:
                count = len(json.loads(body)["data"])
            assert count >= max(least, 200)
            least, asked = count, asked + 1
            answer, body = server.ask(path=("/hapi/catalog", INFO, "/")[asked % 3], method="GET")
            assert answer.status == 200, body
        return asked

    with run_script(PUBLISH, archive.root.path, Path(__file__).parents[1]), ThreadPoolExecutor(CLIENTS) as pool:
        asked = list(pool.map(read, range(CLIENTS)))
    assert min(asked) >= 1
    assert len(open_archive(archive.root.path).read("muon.rates")) > 200
    assert "ERROR" not in server.log.read_text()


def test_many_clients_read_while_day_files_are_published(start_web, tmp_path):
    serve_many(start_web, tmp_path, 5)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_many_clients_read_for_minutes_while_day_files_are_published(start_web, tmp_path):
    serve_many(start_web, tmp_path, 300)


def test_clients_that_do_not_read_or_go_away_hold_up_nobody_and_need_little_memory(start_web, large):
    server = start_web(large, "--workers", 1, "--set", "web.answers=16", "--set", "serve.body_seconds=3")
    request = f"GET {RECORDS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    asleep = [server.connect(request) for _ in range(12)]
    for _ in range(30):
        gone = server.connect(request)
        gone.recv(1000)
        gone.close()
    answer, body = server.ask(path=f"{RECORDS}&parameters=good", method="GET")
    assert answer.status == 200
    assert body.count(b"\n") == 400_000
    with ThreadPoolExecutor(CLIENTS) as pool:
        replies = list(pool.map(lambda _: server.ask(path=INFO, method="GET")[0].status, range(CLIENTS)))
    assert replies == [200] * CLIENTS
    for connection in asleep:  # those that never read are given up after a while
        with suppress(ConnectionError):
            while connection.recv(2**20):
                pass
        connection.close()
    (worker,) = until(lambda: list_workers(server.process.pid))
    assert measure_peak(worker) < LARGEST_MEMORY
    until(lambda: "GET /hapi/data" in server.log.read_text())


def test_a_client_that_reads_slowly_gets_all_and_one_that_reads_nothing_is_closed(start_web, large):
    server = start_web(large, "--workers", 1, "--set", "serve.body_seconds=3")
    slow, asleep = socket.socket(), socket.socket()
    for connection in (slow, asleep):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)  # the system keeps little of what is not read
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(f"GET {RECORDS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    began, received = time.monotonic(), 0
    while time.monotonic() < began + 8:
        received += len(slow.recv(10_000))
        time.sleep(0.05)
    until(lambda: "took nothing of its answer for 3 s" in server.log.read_text())
    assert server.log.read_text().count("took nothing") == 1
    with pytest.raises(ConnectionError):
        while asleep.recv(2**20):
            pass
    end = b""
    while part := slow.recv(2**20):
        received, end = received + len(part), (end + part)[-5:]
        if end == b"0\r\n\r\n":
            break
    assert end == b"0\r\n\r\n"
    assert received > 10 * 2**20
    slow.close()
    asleep.close()


def test_an_answer_that_takes_too_long_is_cut_and_not_ended(start_web, large):
    words = ["--set", "web.answer_seconds=0.001", "--set", "log.format=json"]
    server = start_web(large, "--workers", 1, *words)
    connection = server.connect(f"GET {RECORDS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    received = b""
    with pytest.raises(ConnectionResetError):
        while part := connection.recv(2**20):
            received += part
    connection.close()
    assert not received.endswith(b"0\r\n\r\n")
    until(lambda: "an answer was cut: the client took more than 0.001 s" in server.log.read_text())
    server.ask(path=INFO, method="GET")
    until(lambda: server.log.read_text().count('"event": "request"') == 2)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [(line["status"], line["cut"]) for line in lines if line.get("event") == "request"] == [
        (200, True),
        (200, False),
    ]


@dataclass
class SlowClient:
    """A client that takes an answer slowly: what it received, and whether it was reset."""

    connection: socket.socket
    received: bytes = b""
    was_reset: bool = False

    def take(self, size: int) -> None:
        """Take some bytes, if they are there."""
        try:
            self.received += self.connection.recv(size)
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.was_reset = True


@contextmanager
def take_slowly(server: Server, addresses: Sequence[str], rate: int) -> Iterator[list[SlowClient]]:
    """Ask for all records from each address, and take some bytes a second of each answer until the end of the block."""
    clients = [SlowClient(socket.socket()) for _ in addresses]
    for client, address in zip(clients, addresses, strict=True):
        connection = client.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)  # the system keeps little of what is not read
        connection.bind((address, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 500)  # and takes a little at once
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(f"GET {RECORDS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.setblocking(False)
    done = threading.Event()

    def take() -> None:
        while not done.wait(0.1):
            for client in clients:
                client.take(rate // 10)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield clients
    finally:
        done.set()
        thread.join()
        for client in clients:
            client.connection.close()


def test_the_slowest_client_makes_room_for_one_that_waits(start_web, large):
    words = ["--set", "web.answers=3", "--set", "serve.body_seconds=3", "--set", "web.answers_per_address=2"]
    server = start_web(large, "--workers", 1, *words)
    slow, faster = ["127.0.0.2", "127.0.0.3"], ["127.0.0.4"]
    with take_slowly(server, faster, 40_000), take_slowly(server, slow, 3000) as clients:
        time.sleep(1)
        assert "cut" not in server.log.read_text()  # nobody waits
        began = time.monotonic()
        answer, body = server.ask(path=f"{RECORDS}&parameters=good", method="GET")
        assert answer.status == 200
        assert body.count(b"\n") == 400_000
        assert time.monotonic() - began < 10
        assert server.log.read_text().count("an answer was cut: the client took less than 10000 bytes a second") == 1
        assert server.log.read_text().count("an answer was cut") == 1
        assert "took nothing" not in server.log.read_text()
        until(lambda: [client.was_reset for client in clients].count(True) == 1, 10)


def test_nobody_is_cut_for_a_client_that_has_gone(start_web, large):
    server = start_web(large, "--workers", 1, "--set", "web.answers=1", "--set", "serve.body_seconds=2")
    with take_slowly(server, ["127.0.0.2"], 3000) as clients:
        until(lambda: clients[0].received)
        server.connect(f"GET {RECORDS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).close()
        time.sleep(5)
        assert not clients[0].was_reset
        assert "an answer was cut" not in server.log.read_text()


def test_a_server_that_stops_cuts_what_is_taken_too_slowly(large, tmp_path):
    port = find_free_port()
    server = Server(sys.executable, "-c", STOPS_SOON, large, port, port=port, log=tmp_path / "web.txt", patience=20)
    with take_slowly(server, ["127.0.0.2", "127.0.0.3"], 3000) as clients:
        until(lambda: all(client.received for client in clients))
        began = time.monotonic()
        assert server.stop() == 0
        assert 1 <= time.monotonic() - began < 10
        until(lambda: all(client.was_reset for client in clients), 10)
    log = server.log.read_text()
    assert log.count("cut, as the server stops") == 2
    assert "Traceback" not in log


def test_requests_are_logged_as_json_without_a_word_of_the_archives_place(start_web, telescope):
    server = start_web(telescope, "--set", "log.format=json")
    for path in ("/", INFO, RECORDS, "/hapi/info?dataset=%2Fetc%2Fpasswd", "/nothing"):
        server.ask(path=path, method="GET")
    until(lambda: server.log.read_text().count('"event": "request"') == 5)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    requests = [line for line in lines if line.get("event") == "request"]
    assert sorted(line["status"] for line in requests) == [200, 200, 200, 404, 404]
    assert all(line["client"] == "127.0.0.1" and line["seconds"] >= 0 for line in requests)


def test_no_plugin_needs_to_be_installed(start_web, telescope, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(NO_PLUGINS)
    server = start_web(telescope, environment={"PYTHONPATH": str(hidden)})
    answer, body = server.ask(path=RECORDS, method="GET")
    assert answer.status == 200
    assert body


def test_what_is_no_archive_is_not_served(archive_run, tmp_path):
    done = archive_run("web", "--archive", tmp_path / "nothing", "--port", 0, command="dayfile")
    assert done.returncode == 2
    assert "no archive is here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_dies_is_replaced(start_web, telescope):
    server = start_web(telescope, "--workers", 1)
    (worker,) = until(lambda: list_workers(server.process.pid))
    os.kill(worker, signal.SIGKILL)
    until(lambda: list_workers(server.process.pid) not in ([], [worker]))
    answer, _ = server.ask(path=INFO, method="GET")
    assert answer.status == 200
