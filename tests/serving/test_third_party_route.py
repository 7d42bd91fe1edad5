"""An HTTP route that a plugin brings: what arrives by it is archived, and answered from the archive."""

from __future__ import annotations

import asyncio

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from archives import make_web_application, run_archive
from dayfile import Instrument, create_archive, open_archive

LAYOUT = """\
instrument: gauge
title: Water gauge
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little}
sources: [struct_streams]
path: "gauge/{year}_{month}_{day}.h5"
types:
  levels:
    code: Level
    title: Levels of the river
    store: append
    time: second
    fields: [{name: second, type: uint32, unit: s}, {name: level, type: float32, unit: m}]
"""
SECOND = 10_000 * 86400


class Gauge(Instrument):
    def routes(self, root):
        async def receive(request: Request):
            hidden = root.incoming / ".Level.le.bin"
            hidden.write_bytes(await request.body())
            hidden.rename(root.incoming / "Level.le.bin")  # what is received appears whole
            return PlainTextResponse("kept")

        async def last(_: Request):
            record = open_archive(root.path).read("gauge.levels").array[-1]
            return PlainTextResponse(f"{record['level']:.2f} m")

        return [Route("/gauge", receive, methods=["POST"]), Route("/gauge/last", last)]


def ask(app, method, path, body=b""):
    """The body of the answer of an application, called as a server calls it."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    return b"".join(message.get("body", b"") for message in sent[1:])


def test_a_route_of_a_plugin_takes_input_and_answers_from_the_archive(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"gauge": Gauge(LAYOUT, "gauge.yaml")})
    app = make_web_application(archive.root, archive.plugins, archive.settings)
    levels = np.array([(SECOND, 1.25), (SECOND + 60, 1.5)], [("second", "<u4"), ("level", "<f4")])

    assert ask(app, "POST", "/gauge", levels.tobytes()) == b"kept"
    assert run_archive(archive.root, archive.plugins).exit_code == 0
    assert ask(app, "GET", "/gauge/last") == b"1.50 m"
