"""Other programs that read by HAPI: the official verifier, hapiclient and PySPEDAS, where they can be had.

``make clients`` gets them; HAPI_VERIFIER can name a checkout of the verifier in which ``npm install`` has been run.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from running import run_command, run_python

BUILD = Path(__file__).parents[2] / "build"
VERIFIER = Path(os.environ.get("HAPI_VERIFIER", BUILD / "verifier"))
CLIENTS = BUILD / "clients" / "bin" / "python"
WARNINGS = {
    "is.TooLong()": "titles of layouts are as long as they are; 40 characters are a suggestion",
    "is.CIdentifier()": "ids have a dot, and a slash before a key; an identifier of C is a recommendation",
    "is.StatusInformative()": "the message is the one of the specification, which has no 'HAPI error'",
    "is.CadenceGiven()": "events and intervals have no cadence",
    "is.FileStructureOK()": "1201 is in the header, but not in the reason phrase of HTTP, which HTTP/2 has not either",
}
"""What the verifier would prefer otherwise, and why it is as it is."""

COMPARE = """
import sys
import numpy as np
from hapiclient import hapi
from dayfile import open_archive

url, path, form = sys.argv[1:]
archive = open_archive(path)
datasets = [each["id"] for each in hapi(url)["catalog"]]
for dataset in datasets:
    name, _, station = dataset.partition("/")
    stored = archive.read(name, **({"station": int(station)} if station else {}))
    info = hapi(url, dataset)
    words = {"usecache": False, "cache": False, "format": form}
    sent, _ = hapi(url, dataset, "", info["startDate"], info["stopDate"], **words)
    assert len(sent) == len(stored), dataset
    times = np.array([time.rstrip(b"Z") for time in sent["Time"]]).astype("datetime64[ns]")
    assert (times == stored.times).all(), dataset
    for parameter in info["parameters"][1:]:
        field, there = parameter["name"], stored[parameter["name"]]
        values = sent[field]
        if values.dtype.kind in "SU" and there.dtype.kind in "iu":
            values = values.astype(there.dtype)
        if values.dtype.kind == "U":
            values = np.char.encode(values, "utf-8")
        if there.dtype.kind in "UO":
            values, there = values.astype(str), there.astype(str)
        assert np.array_equal(values, there, equal_nan=there.dtype.kind == "f"), (dataset, field)
print(len(datasets))
"""

PYSPEDAS = """
import sys
from pyspedas import get_data
from pyspedas.hapi_tools.hapi import hapi

day, words = ["1997-10-31", "1997-11-01"], {"server": sys.argv[1], "quiet": True}
(name,) = hapi(trange=day, dataset="cris.high_priority_rates", parameters="hp", **words)
print("read", get_data(name).y.shape)
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH; the verifier is not run")
@pytest.mark.skipif(not (VERIFIER / "node_modules").is_dir(), reason="the verifier of HAPI is not here: make clients")
@pytest.mark.timeout(1200)
def test_the_verifier_finds_no_fault_in_any_dataset(simulated_day, start_web, tmp_path):
    server = start_web(simulated_day)
    time.sleep(2)  # answers about day files that were published just now do not say Last-Modified
    url = f"http://127.0.0.1:{server.port}/hapi"
    words = ["--url", url, "--output", "json", "--metatimeout", 20_000, "--datatimeout", 60_000]
    with (tmp_path / "report.txt").open("w") as report:
        done = run_command("node", "verify.js", *words, cwd=VERIFIER, timeout=1100, capture_output=False, stdout=report)
    text = (tmp_path / "report.txt").read_text()
    assert "{" in text, (done.returncode, text)
    found = json.loads(text[text.index("{") :])
    assert found["fails"] == []
    assert len(found["passes"]) > 30_000
    assert {warning["description"].split(":")[0] for warning in found["warns"]} <= WARNINGS.keys()


@pytest.mark.skipif(find_spec("hapiclient") is None, reason="hapiclient is not installed; pip cannot get it here")
@pytest.mark.parametrize("form", ["binary", "csv"])
def test_hapiclient_reads_every_dataset_as_the_archive_has_it(simulated_day, start_web, tmp_path, form):
    server = start_web(simulated_day)
    url = f"http://127.0.0.1:{server.port}/hapi"
    done = run_python("-c", COMPARE, url, simulated_day, form, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == 37


@pytest.mark.skipif(not CLIENTS.exists(), reason="PySPEDAS is not here: make clients")
def test_pyspedas_reads_a_day(simulated_day, start_web, tmp_path):
    server = start_web(simulated_day)
    environment = {"HOME": str(tmp_path), "SPEDAS_DATA_DIR": str(tmp_path)}
    url = f"http://127.0.0.1:{server.port}/hapi"
    done = run_command(CLIENTS, "-c", PYSPEDAS, url, environment=environment, cwd=tmp_path)
    assert "read (5341, 2)" in done.stdout, done.stderr
