"""A short trial of an installation, without pytest: help, simulate, archive, check, read, export, one request.

Run by ``make lowest`` with the Python of an environment that has the lowest versions of all dependencies:
``python smoke.py DIRECTORY``, where the directory is new.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = (
    "dayfile --version",
    "dayfile --help",
    "archive-run --help",
    "dayfile serve --help",
    "dayfile web --help",
    "dayfile quarantine ls --help",
    "dayfile plugins",
    "dayfile simulate hisparc --day 2024-05-01 --out in/hisparc",
    "dayfile simulate cris --day 1997-10-31 --out in/cris",
    "dayfile simulate sis --day 1997-10-31 --out in/sis",
    "archive-run in --report report.json",
    "archive-run --metrics-file lowest.prom",
    "dayfile status --json",
    "dayfile ls",
    "dayfile show cris.hskp --rows 2 --fields Second1996",
    "dayfile plot cris.high_priority_rates -o rates.png",
    "dayfile coverage cris.hskp --png coverage.svg",
    "dayfile export cris.hskp --day 1997-10-31 --format level1.1 --out flat",
    "dayfile export cris.hskp -o hskp.csv",
    "dayfile export cris.hskp -o hskp.jsonl",
    "dayfile export hisparc.events -o events.parquet",
    "dayfile export hisparc.events -o events.nc",
    "dayfile export hisparc.events -o events.cdf",
    "dayfile check --deep",
    "archive-run in -q --engine processes",
)
SECONDS = 60


def run(command: str, directory: Path) -> None:
    """Run a command of the environment; the trial ends if it fails or warns."""
    name, *words = command.split()
    program = Path(sys.executable).with_name(name)
    done = subprocess.run([program, *words], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode or "Traceback" in done.stderr:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")


def read(directory: Path) -> None:
    """Read records, put them again, and make a pandas table of them."""
    import dayfile

    archive = dayfile.open_archive(directory / "archive")
    records = archive.read("cris.hskp")
    assert len(records) == len(records.to_pandas()) > 100
    assert set(archive.put("cris.hskp", records).tolist()) == {3}


def serve(directory: Path) -> None:
    """Start the receiver and post what is no upload: it answers with a code of the datastore."""
    (directory / "stations.csv").write_text("501,Amsterdam,password-501\n")
    program = Path(sys.executable).with_name("dayfile")
    setting = "hisparc.station_list=stations.csv"
    command = [program, "serve", "--plugins", "hisparc", "--port", "18231", "--workers", "1", "--set", setting]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE) as server:
        try:
            status, body = answer_of("127.0.0.1", 18231)
        finally:
            server.terminate()
            server.wait(SECONDS)
    assert status == 200
    assert re.fullmatch(rb"\d{3}", body), body


def read_over_http(directory: Path) -> None:
    """Start ``dayfile web`` and read an hour of rates as CSV."""
    program = Path(sys.executable).with_name("dayfile")
    with subprocess.Popen([program, "web", "--port", "18232", "--workers", "1"], cwd=directory) as server:
        try:
            query = "dataset=cris.high_priority_rates&start=1997-10-31T12:00Z&stop=1997-10-31T13:00Z"
            status, body = answer_of("127.0.0.1", 18232, "GET", f"/hapi/data?{query}")
        finally:
            server.terminate()
            server.wait(SECONDS)
    assert status == 200, body
    assert body.count(b"\n") > 100, body


def answer_of(host: str, port: int, method: str = "POST", path: str = "/hisparc/upload") -> tuple[int, bytes]:
    """Status and body of the answer to a request, an upload without content if not given, once the server listens."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
            connection.request(
                method, path, "station_id=501" if method == "POST" else None, {"Content-Type": "text/plain"}
            )
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def main() -> None:
    """Try all."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True)
    for command in COMMANDS:
        run(command, directory)
    read(directory)
    serve(directory)
    read_over_http(directory)


if __name__ == "__main__":
    main()
