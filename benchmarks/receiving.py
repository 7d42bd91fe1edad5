"""Uploads of many stations at once, over HTTP on this machine: our server, a plain one, and what the disk allows.

Both servers get the same forms from the same clients, one thread for each station, each with one request under way and
a new connection for each upload, as stations do. The clients share the processors, so they do no more than they must:
an upload costs them 0.15 ms, where http.client took 0.3.

What was stored is set aside after each run and not removed: to make a new file, ext4 passes over the inodes that were
freed within the last minutes, one by one. After a thousand of them that takes 0.4 ms, more than all other steps on
disk.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from benchmarks.measuring import Round, Row, Side, measured
from benchmarks.uploads import DAY
from dayfile import create_archive
from dayfile_hisparc.clients import make_form, make_station_list
from dayfile_hisparc.simulation import simulate_events

__all__ = ["receive_one", "receive_one_hundred"]

PLAIN = Path(__file__).with_name("plain_receiver.py")
FIRST_STATION = 501
PATIENCE = 60.0
PROTOCOL = 0
"""That of station software, which is written in Python 2."""
STORED = b"100"


def receive_one_hundred(asked: Round) -> list[Row]:
    """Twenty clients that send 100 events at once."""
    return compared(asked, "receive-100", asked.size(20, 3), asked.size(20, 2), 100, aim=4)


def receive_one(asked: Round) -> list[Row]:
    """A hundred clients that send one event at once."""
    return compared(asked, "receive-1", asked.size(100, 5), asked.size(10, 2), 1, aim=1)


def compared(asked: Round, name: str, clients: int, uploads: int, events: int, aim: float) -> list[Row]:
    """A row: so many clients that send so many uploads each."""
    directory = asked.place(name)
    stations = directory / "stations.csv"
    stations.write_text(make_station_list(clients))
    bodies = [forms(FIRST_STATION + client, uploads, events) for client in range(clients)]
    total, size = clients * uploads, sum(len(body) for of_one in bodies for body in of_one) // (clients * uploads)
    program = Path(sys.executable).with_name("dayfile")
    setting = f"hisparc.station_list={stations}"
    archive, queue = directory / "archive", directory / "queue"
    create_archive(archive)
    ours: list[str | Path] = [
        program,
        "serve",
        "--plugins",
        "hisparc",
        "--archive",
        archive,
        "--set",
        setting,
        "--port",
    ]
    theirs: list[str | Path] = [sys.executable, PLAIN]
    with listening(ours) as our_port, listening(theirs, queue, stations) as their_port:
        took, peer, floor = measured(
            asked.runs,
            Side("dayfile serve", total, lambda: seconds_to_send(our_port, bodies, archive / "incoming")),
            Side(
                "plain WSGI server, nothing forced to disk", total, lambda: seconds_to_send(their_port, bodies, queue)
            ),
            Side(
                f"new files of {size // 1000} kB with fsync of file and directory",
                total,
                lambda: seconds_to_force(directory, total, size),
            ),
        )
    work = f"uploads of {events} event{'s' * (events > 1)}, {size / 1000:.1f} kB, from {clients} clients at once"
    return [Row(name, work, "uploads/s", took, peer, aim, floor)]


def forms(station: int, uploads: int, events: int) -> list[bytes]:
    """What one station posts: so many uploads, of so many events each."""
    stream = simulate_events(DAY, 1, station, detectors=2 if station % 3 else 4)
    return [make_form(station, list(islice(stream, events)), PROTOCOL) for _ in range(uploads)]


@contextmanager
def listening(command: Sequence[str | os.PathLike[str]], *words: str | os.PathLike[str]) -> Iterator[int]:
    """A server; the number of its port stands between command and further words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen([*command, str(port), *words], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{' '.join(map(str, command))} does not listen")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def seconds_to_send(port: int, bodies: Sequence[Sequence[bytes]], queue: Path) -> float:
    """Seconds until all uploads are stored; SystemExit if one was answered otherwise, or is not there."""

    def client(own: Sequence[bytes]) -> set[bytes]:
        return {post(port, body) for body in own}

    with ThreadPoolExecutor(len(bodies)) as threads:
        start = time.perf_counter()
        told = set().union(*threads.map(client, bodies))
        seconds = time.perf_counter() - start
    stored = [path for path in queue.iterdir() if path.is_file()]
    if told != {STORED} or len(stored) != sum(map(len, bodies)):
        answers = ", ".join(sorted(answer.decode("latin-1") for answer in told))
        raise SystemExit(f"uploads were answered {answers}; {len(stored)} were stored")
    aside = Path(tempfile.mkdtemp(prefix="stored-", dir=queue.parent))
    for path in stored:
        path.rename(aside / path.name)
    return seconds


def post(port: int, body: bytes) -> bytes:
    """Send a form on a connection of its own, and tell what was answered."""
    lines = (
        b"POST /hisparc/upload HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        b"",
        body,
    )
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(b"\r\n".join(lines))
        while part := connection.recv(4096):
            answer += part
    return bytes(answer).partition(b"\r\n\r\n")[2]


def seconds_to_force(directory: Path, number: int, size: int) -> float:
    """Seconds to write so many new files of a size, one after the other, each forced to disk with its directory."""
    place = Path(tempfile.mkdtemp(prefix="forced-", dir=directory))
    content = bytes(size)
    above = os.open(place, os.O_RDONLY)
    start = time.perf_counter()
    for name in range(number):
        with (place / str(name)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.fsync(above)
    seconds = time.perf_counter() - start
    os.close(above)
    return seconds
