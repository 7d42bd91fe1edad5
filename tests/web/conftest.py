"""Archives that are read over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from asking import make_rates
from dayfile import Instrument, create_archive
from instruments import SCHOOL, make_stream
from running import Server, find_free_port, run_command


@pytest.fixture(scope="session")
def telescope(tmp_path_factory) -> Path:
    """An archive with a day of rates."""
    instrument, rates, records = make_rates(1000)
    path = tmp_path_factory.mktemp("telescope") / "archive"
    archive = create_archive(path, plugins={"muon": instrument})
    assert archive.ingest(("MuonRates.be.bin", make_stream(instrument, rates, records))).exit_code == 0
    return path


@pytest.fixture(scope="session")
def school(tmp_path_factory) -> Path:
    """An archive with events of three stations."""
    path = tmp_path_factory.mktemp("school") / "archive"
    archive = create_archive(path, plugins={"school": Instrument(SCHOOL, "school.yaml")})
    events = np.zeros(5, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = 1488067200 + 60 * np.arange(5)
    traces = np.empty((5, 2), object)
    traces[:, 0] = b"ab"
    with archive.putting() as put:
        for station in (7, 501, "x,y z"):
            put("school.events", events, blobs={"traces": traces}, station=station)
    return path


@pytest.fixture(scope="session")
def simulated_day(tmp_path_factory) -> Path:
    """An archive of a simulated day of each instrument."""
    directory = tmp_path_factory.mktemp("simulated")
    for name in ("hisparc", "cris", "sis"):
        done = run_command("dayfile", "simulate", name, "--day", "1997-10-31", "--out", directory / "input" / name)
        assert done.returncode == 0, done.stderr
    words = ["--plugins", "hisparc,cris,sis", "--set", "hisparc.cutoff_year=1997", "--archive", directory / "archive"]
    done = run_command("archive-run", directory / "input", *words)
    assert done.returncode == 0, done.stderr
    return directory / "archive"


@pytest.fixture
def start_web(tmp_path) -> Iterator[Callable[..., Server]]:
    """Start ``dayfile web`` of an archive, with further words, until the end of the test."""
    started: list[Server] = []

    def start(archive: Path, *words: object, environment: dict[str, str] | None = None) -> Server:
        port, log = find_free_port(), tmp_path / f"web{len(started)}.txt"
        command = ["dayfile", "web", "--archive", archive, "--port", port, *words]
        started.append(Server(*command, port=port, log=log, environment=environment))
        return started[-1]

    yield start
    for server in started:
        assert server.stop() == 0, server.log.read_text()
