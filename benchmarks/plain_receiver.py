"""A plain receiver of uploads: the peer of ours. Nothing of dayfile is used.

It does what the datastore in production did with an upload, in the same order: parse the form, look the station up,
compare password and MD5 digest, unpickle the events, pickle them again with station and cluster, write that to a
temporary file, move it to the queue. Nothing is forced to disk. It runs in the threaded server of the standard
library: ``python plain_receiver.py PORT DIRECTORY STATION_LIST``.
"""

from __future__ import annotations

import csv
import hashlib
import pickle
import socketserver
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

__all__ = ["PlainReceiver"]

UNKNOWN_STATION, WRONG_PASSWORD, WRONG_CHECKSUM, STORED = b"206", b"203", b"201", b"100"


class PlainReceiver:
    """Takes uploads into a directory.

    Parameters
    ----------
    directory : Path
        The queue.
    stations : dict of int to tuple
        Cluster and password by number.
    """

    def __init__(self, directory: Path, stations: dict[int, tuple[str, str]]) -> None:
        self.directory = directory
        self.stations = stations

    def answer(self, body: bytes) -> bytes:
        """Check an upload and queue it."""
        form = urllib.parse.parse_qs(body.decode())
        data, checksum, number, password = (form[name][0] for name in ("data", "checksum", "station_id", "password"))
        station = self.stations.get(int(number))
        if station is None:
            return UNKNOWN_STATION
        if station[1] != password:
            return WRONG_PASSWORD
        payload = data.encode("latin-1")
        if hashlib.md5(payload, usedforsecurity=False).hexdigest() != checksum:
            return WRONG_CHECKSUM
        content = {"station_id": int(number), "cluster": station[0], "event_list": pickle.loads(payload)}
        with tempfile.NamedTemporaryFile(dir=self.directory, prefix=".", delete=False) as file:
            pickle.dump(content, file)
        path = Path(file.name)
        path.rename(path.with_name(path.name[1:]))
        return STORED

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request (WSGI)."""
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-type", "text/plain")])
        return [self.answer(body)]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    request_queue_size = 128
    daemon_threads = True


class Silent(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its parent
        """Leave it out."""


def main() -> None:
    """Listen."""
    port, directory, station_list = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    with station_list.open(newline="") as file:
        stations = {int(number): (cluster, password) for number, cluster, password in csv.reader(file)}
    directory.mkdir(exist_ok=True)
    with Server(("127.0.0.1", port), Silent) as server:
        server.set_app(PlainReceiver(directory, stations))
        server.serve_forever()


if __name__ == "__main__":
    main()
