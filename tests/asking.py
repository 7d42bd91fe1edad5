"""Requests to an application of ``dayfile web`` in this process, as from a server, and what it is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from dayfile import DataType, Instrument, open_archive
from dayfile.settings import CoreSettings
from dayfile.web.application import make_site
from instruments import TELESCOPE

if TYPE_CHECKING:
    import numpy.typing as npt
    from starlette.applications import Starlette


@dataclass(frozen=True)
class Reply:
    """An answer: its status, headers by their names in small letters, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The object in the body."""
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """The code of HAPI."""
        return self.json["status"]["code"]


def make_reading_site(archive: Path, pages: Sequence[object] = (), **given: object) -> Starlette:
    """Return what ``dayfile web`` serves, with pages of plugins; settings by their names with ``_`` for the dot."""
    return make_site(partial(open_archive, archive), CoreSettings(**given), pages)


def call(
    app: Starlette,
    path: str,
    query: bytes = b"",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    client: str = "203.0.113.9",
    version: str = "1.1",
) -> Reply:
    """Send a request to an application."""
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        ended = asyncio.Event()

        async def receive() -> dict[str, object]:
            if received:
                await ended.wait()
                return {"type": "http.disconnect"}
            received.append(1)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        received: list[int] = []
        given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http",
            "http_version": version,
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("archive.example", 80),
            "client": (client, 4711),
            "headers": [(b"host", b"archive.example"), *given],
            "query_string": query,
        }
        await app(scope, receive, send)
        ended.set()

    asyncio.run(run())
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def ask_hapi(app: Starlette, word: str, headers: Mapping[str, str] | None = None, **words: object) -> Reply:
    """Send a request to HAPI: ``ask_hapi(app, "info", dataset="muon.hits")``."""
    return call(app, f"/hapi/{word}", urlencode(words).encode(), headers=headers)


DAY_SECOND = 57801601
"""Clock value of the first second of 1997-10-31."""
WHOLE = {"start": "1997-10-31", "stop": "1997-11-01"}


def make_rates(count: int) -> tuple[Instrument, DataType, npt.NDArray[Any]]:
    """Make rates of a day with every kind of value, in the order of their times; the first two have the same."""
    instrument = Instrument(TELESCOPE, "muon.yaml")
    (rates,) = instrument.layout.types
    random = np.random.default_rng(7)
    records = np.zeros(count, rates.dtype)
    records["second"] = DAY_SECOND + np.sort(random.integers(0, 86400, count))
    records["nanosecond"] = 5 * np.arange(count)
    records["second"][1] = records["second"][0]
    records["nanosecond"][1] = records["nanosecond"][0]
    records["counts"] = random.integers(-5, 30, (count, 3))
    records["counts"][:3, 0] = -1, -999, 4
    records["grid"] = random.normal(size=(count, 2, 2))
    records["grid"][0] = [[np.nan, 0.1], [np.inf, -np.inf]]
    records["pressure"] = random.integers(-(2**31), 2**31, count)
    records["level"] = random.normal(size=count) * 1e300
    records["label"][:5] = [b"a,b", b'"', b"x\ny", "é".encode(), b""]
    records["good"] = random.integers(0, 2, count)
    records["quality"] = random.integers(0, 256, count)
    records["large"] = np.uint64(2**63 + 5) + np.arange(count, dtype=np.uint64)
    return instrument, rates, records
