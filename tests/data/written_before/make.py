"""Write the archive of this folder, with the code of commit cc7db5c; any later code reads, checks and extends it.

``python make.py`` with the three plugins of that commit installed writes beside itself:

- ``archive.tar.xz``: ``archive`` as a first run left it, sources kept, and ``later``, sources for a second run;
- ``first.npz`` and ``second.npz``: what was read after each run, by name of the data type;
- ``runs.json``: what each run reported, and the SHA-256 of all blobs of a field.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from dayfile.layouts.dtypes import to_structs

import dayfile
from dayfile_cris import instrument as cris
from dayfile_cris.simulation import sample_day as sample_of_cris
from dayfile_hisparc.simulation import events_of_station
from dayfile_sis import instrument as sis
from dayfile_sis.simulation import sample_day as sample_of_sis

HERE = Path(__file__).parent
DAY = np.datetime64("1997-10-31")
LAST_DAY_OF_THE_FIRST_VERSION = np.datetime64("1998-12-01")
DAY_OF_UPLOADS = np.datetime64("2024-05-01")


def structs(instrument, code, records, path):
    """Write records as a stream of structs, in the version that the code names."""
    form = instrument.known[code].forms[0]
    path.mkdir(parents=True, exist_ok=True)
    (path / f"{code}.be.bin").write_bytes(to_structs(records, instrument.struct(form, "big")).tobytes())


def sample(instrument, sample_day, day):
    """Simulated records of a day, by code."""
    types = {code: data_type.form_on(day) for code, data_type in instrument.layout.by_code().items()}
    streams, rest = sample_day(day, 1, types)
    return streams | rest


def changed(records, field):
    """The same records with one field changed, which contend for their slots."""
    other = records.copy()
    other[field] ^= 1
    return other


def upload(station, start, stop, path):
    """Write an upload of simulated events of a station."""
    path.mkdir(parents=True, exist_ok=True)
    events = list(islice(events_of_station(DAY_OF_UPLOADS, 1, station), start, stop))
    content = {"station_id": station, "cluster": "Amsterdam", "event_list": events}
    (path / f"upload_{station}_{start}").write_bytes(pickle.dumps(content, protocol=2))


def write_sources(first, later):
    """Write the sources of both runs: some of the later records are new, others identical or in contention."""
    made = sample(cris, sample_of_cris, DAY)
    hskp, cycles, browse = made["L1CrisHskp"][:8], made["L1CrisEventCycle"][:3], made["BrowseCris"][:5]
    structs(cris, "L1CrisHskp", hskp[:6], first / "a")
    structs(cris, "L1CrisHskp", changed(hskp[2:4], "CommandTableIndex"), first / "b")
    structs(cris, "L1CrisEventCycle", cycles[:2], first / "a")
    structs(cris, "BrowseCris", browse[:3], first / "a")
    structs(cris, "L1CrisHskp", hskp[4:], later / "a")
    structs(cris, "L1CrisHskp", changed(hskp[3:5], "CommandTableIndex"), later / "b")
    structs(cris, "L1CrisEventCycle", cycles[1:], later / "a")
    structs(cris, "BrowseCris", browse[1:], later / "a")

    made = sample(sis, sample_of_sis, DAY)
    rates = made["L1SisHighPriorityRate"][:12]
    structs(sis, "L1SisHighPriorityRate", rates[:8], first / "a")
    structs(sis, "L1SisHighPriorityRate", rates[6:], later / "a")
    browse = sample(sis, sample_of_sis, LAST_DAY_OF_THE_FIRST_VERSION)["BrowseSis"][:6]
    structs(sis, "BrowseSis", browse[:4], first / "a")
    wider = np.zeros(3, sis.known["BrowseSis_0"].dtype)
    for name in browse.dtype.names:
        wider[name] = browse[name][3:]
    wider["CounterRtsw0"] = np.arange(24).reshape(3, 8)
    structs(sis, "BrowseSis_0", wider, later / "a")

    for station in (501, 510):
        upload(station, 0, 14, first / "a")
    upload(501, 10, 20, later / "a")


def run(archive, sources, name):
    """Archive sources and give how many sources and records were reported."""
    report = archive.parent / f"{name}.json"
    program = [sys.executable, "-m", "dayfile", "run", sources, "--archive", archive, "--quiet", "--report", report]
    subprocess.run([*program, "--set", "sources.keep=always", "--engine", "serial"], check=True)
    reported = json.loads(report.read_text())
    return {word: reported[word] for word in ("sources", "records")}


def kept(archive, name):
    """Keep what is read from the archive now; the SHA-256 of the blobs of each field."""
    opened = dayfile.open_archive(archive)
    read = {data_type: opened.read(data_type) for data_type in opened.types()}
    np.savez_compressed(HERE / f"{name}.npz", **{data_type: records.array for data_type, records in read.items()})
    return {
        f"{data_type} {field.name}": hashlib.sha256(repr(records.all_blobs(field.name).tolist()).encode()).hexdigest()
        for data_type, records in read.items()
        for field in records.data_type.fields
        if field.blob
    }


def main():
    """Write everything."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        first, later, archive = work / "first", work / "later", work / "archive"
        write_sources(first, later)
        runs = {"first": run(archive, first, "first"), "first_blobs": kept(archive, "first")}
        with tarfile.open(HERE / "archive.tar.xz", "w:xz", preset=9) as tar:
            for path in (archive, later):
                tar.add(path, path.name)
        runs |= {"second": run(archive, later, "second"), "second_blobs": kept(archive, "second")}
        (HERE / "runs.json").write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    main()
