"""A small instrument of our own for the core's tests: a muon telescope, declared by a layout."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.routing import Route

from dayfile import Instrument, discovery, hookimpl, open_archive, settings
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.cli import main
from dayfile.engine.executors import run_serial, show_nothing
from dayfile.engine.processes import run_processes
from dayfile.engine.tuning import DEFAULTS
from dayfile.hdf5.library import FUNCTIONS, HID, load_library
from dayfile.model.batch import Batch, Blobs
from dayfile.plugins import Plugins

LAYOUT = """\
instrument: muon
title: Muon telescope on the roof
clock: {epoch: 1996-01-01T00:00:00, unit: s, leap_seconds: counted, undefined: [0, 0xFFFFFFFF]}
structs: {byte_order: big, alignment: natural}
sources: [struct_streams]
path: "muon/{year}/{month:02}/muon.{year}.{month:02}.{day:02}.{suffix}.h5"
types:
  rates:
    code: MuonRates
    title: Rates, one record a 256 s cycle
    suffix: rat
    store: slots
    period: 256
    time: second
    size: 28
    fields:
      - {name: quality, type: uint8}
      - {name: second, type: uint32, unit: s, doc: start of the cycle}
      - {name: counts, type: uint16, shape: [3], unit: '1/cycle'}
      - {name: temperature, type: float32, unit: degC}
      - {name: label, type: char, shape: [7]}
  hits:
    code: MuonHit
    title: Single muons
    suffix: hit
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: energy, type: float64, unit: GeV}
      - {name: channel, type: int16}
      - {name: label, type: char, shape: [5]}
  runs:
    code: MuonRun
    title: Runs of the telescope
    suffix: run
    store: intervals
    time: first
    end: last
    fields:
      - {name: first, type: uint32, unit: s}
      - {name: last, type: uint32, unit: s}
      - {name: gain, type: float32}
"""

# Records with blobs have no C struct: they stand in one group a station, two types beside one array of blobs.
SCHOOL = """\
instrument: school
title: Detectors on school roofs
clock: {epoch: 1970-01-01T00:00:00}
path: "school/{year}_{month}_{day}.h5"
node: /school/station_{station}/{type}
titles: [School data, 'Station {station}']
blobs: {node: '/school/station_{station}/blobs', title: Variable-length values}
keeps: [time32]
types:
  events:
    code: EVT
    title: Events
    store: append
    time: timestamp
    fields:
      - {name: event_id, type: uint32, counter: true}
      - {name: timestamp, type: time32, unit: s}
      - {name: height, type: float32}
      - {name: label, type: char, shape: [4]}
      - {name: traces, type: int32, shape: [2], blob: base64, default: -1}
  errors:
    code: ERR
    title: Error messages
    store: append
    time: timestamp
    fields:
      - {name: event_id, type: uint32, counter: true}
      - {name: timestamp, type: time32, unit: s}
      - {name: message, type: int32, blob: latin-1, default: -1}
"""

DAY = np.datetime64("1997-10-31")
START = 57801601  # clock value of the first second of that day
SCHOOL_DAY = np.datetime64("2017-02-26")
SCHOOL_START = 1488067200


class Given(SimpleNamespace):
    """What a fixture gives; without a word in a failing test's report."""

    def __repr__(self):
        return f"<{self.name}>"


@pytest.fixture(scope="session")
def muon():
    """The instrument as a plugin object, its types by their short names, and sources of it as bytes."""
    instrument = Instrument(LAYOUT, "muon.yaml")
    types = {data_type.type: data_type for data_type in instrument.layout.types}

    def records(name, rows):
        """Records of a type from dicts of fields."""
        array = np.zeros(len(rows), types[name].dtype)
        for index, row in enumerate(rows):
            for field, value in row.items():
                array[field][index] = value
        return array

    def batch(name, array):
        return Batch("muon", types[name].code, array, np.arange(len(array)))

    def stream(name, array, order="big"):
        """Content of a struct stream, with the padding a compiler leaves."""
        form = instrument.struct(types[name], order)
        structs = np.zeros(len(array), form)
        for field in form.names:
            structs[field] = array[field]
        return structs.tobytes()

    return Given(
        name="muon",
        instrument=instrument,
        layout=LAYOUT,
        day=DAY,
        start=START,
        records=records,
        batch=batch,
        stream=stream,
        types=types,
        **types,
    )


@pytest.fixture(scope="session")
def school():
    """Data types with blobs and counters, and batches of them from plain rows."""
    instrument = Instrument(SCHOOL, "school.yaml")
    types = {data_type.type: data_type for data_type in instrument.layout.types}

    def events(rows, numbers=None, station=7):
        """Batch of (second of the day, height, label, blob or None, blob or None); a second of blobs is sent too."""
        array = np.zeros(len(rows), types["events"].dtype)
        values, owners = [], []
        for index, (second, height, label, *traces) in enumerate(rows):
            array["timestamp"][index] = SCHOOL_START + second
            array["height"][index] = height
            array["label"][index] = label
            array["traces"][index] = -1
            for place, blob in enumerate(traces):
                if blob is not None:
                    array["traces"][index, place] = len(values)
                    values.append(blob)
                    owners.append(index)
        places = np.arange(len(rows)) if numbers is None else np.array(numbers, np.int64)
        return Batch("school", "EVT", array, places, {"station": station}, Blobs(values, np.array(owners, np.int64)))

    def errors(rows, numbers=None, station=7):
        """Batch of (second of the day, message)."""
        array = np.zeros(len(rows), types["errors"].dtype)
        array["timestamp"] = [SCHOOL_START + second for second, _ in rows]
        array["message"] = np.arange(len(rows))
        places = np.arange(len(rows)) if numbers is None else np.array(numbers, np.int64)
        blobs = Blobs([message for _, message in rows], np.arange(len(rows)))
        return Batch("school", "ERR", array, places, {"station": station}, blobs)

    return Given(
        name="school",
        instrument=instrument,
        layout=SCHOOL,
        day=SCHOOL_DAY,
        start=SCHOOL_START,
        make_events=events,
        make_errors=errors,
        types=types,
        **types,
    )


@pytest.fixture
def left_open(monkeypatch):
    """After the test all that the program opened in the HDF5 library must be closed, once each."""
    hdf5, held = load_library(), {}

    def noting(name, function):
        def called(*arguments):
            answer = function(*arguments)
            if name.endswith("close"):
                assert held.pop(arguments[0], None), f"{name} of what is not open"
            elif answer >= 0:
                held[answer] = name
            return answer

        return called

    for name, (answer, *_) in FUNCTIONS.items():
        if answer is HID or name.endswith("close"):
            monkeypatch.setattr(hdf5, name, noting(name, getattr(hdf5, name)))
    yield
    gc.collect()
    assert not held


@pytest.fixture
def work_file(tmp_path):
    """Make work files of one directory: ``work_file(day, name)``."""
    made = []

    def make(day, name="day.h5", directory=tmp_path):
        workshop = directory / "workshop"
        workshop.mkdir(exist_ok=True, parents=True)
        made.append(WorkFile(directory / "published" / name, workshop / name, day))
        return made[-1]

    yield make
    for work in made:
        if work.handle is not None:
            work.handle.close()


@pytest.fixture(scope="session")
def plugins_of():
    """Plugins of a run from objects, taken in as ``load`` takes in what entry points give."""

    def make(**objects):
        plugins = Plugins.make_empty()
        for name, plugin in objects.items():
            plugins.add(name, plugin, "1.0")
        return plugins

    return make


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """Install instruments for one test, as pip would: ``installed(muon=layout)`` makes a distribution of each."""

    def install(**layouts):
        site = tmp_path_factory.mktemp("site")
        for name, layout in layouts.items():
            package = site / f"{name}_{site.name}"
            package.mkdir()
            (package / "layout.yaml").write_text(layout)
            made = "from dayfile import Instrument\n\ninstrument = Instrument.from_package(__name__, 'layout.yaml')\n"
            (package / "__init__.py").write_text(made)
            told = site / f"{package.name}-1.0.dist-info"
            told.mkdir()
            (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.name}\nVersion: 1.0\n")
            (told / "entry_points.txt").write_text(f"[dayfile.plugins]\n{name} = {package.name}:instrument\n")
        monkeypatch.syspath_prepend(site)
        return site

    return install


@pytest.fixture
def archive(tmp_path, muon, plugins_of):
    """An archive of the muon telescope: ``drop`` a source into incoming, ``run``, look at ``root``."""
    root = Root(tmp_path / "archive")
    root.create()

    def drop(name, content, below=""):
        path = root.incoming / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(*given, plugins=None, progress=show_nothing, tuning=DEFAULTS, **core):
        """A run of the muon telescope; settings of the core by name, with ``__`` for the dot."""
        loaded = plugins or plugins_of(muon=muon.instrument)
        pairs = [f"{key.replace('__', '.')}={value}" for key, value in {"watch__settle": 0, **core}.items()]
        resolved = settings.resolve(loaded.settings_models, settings.from_command_line(pairs))
        return run_serial(root, loaded, resolved, [Path(path) for path in given], progress, tuning=tuning)

    def files(directory):
        return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())

    def seconds(name="muon.hits"):
        """Seconds of the day of the records of a type, in order."""
        return (open_archive(root.path).read(name)["second"].astype(np.int64) - muon.start).tolist()

    def counts(report, name="muon.hits"):
        """What became of the records of a type, by the report."""
        return {word: number for word, number in report.records[name].items() if number}

    def set_aside(entry):
        """Name and content of what an entry of the report holds."""
        (path,) = (path for path in (root.path / entry.entry).iterdir() if path.name != "reason.json")
        return path.name, path.read_bytes()

    told = {"seconds": seconds, "counts": counts, "set_aside": set_aside}
    return Given(name="archive", root=root, drop=drop, run=run, files=files, path=tmp_path, **told)


@pytest.fixture
def hits(muon):
    """Content of a source of single muons at these seconds of the day."""

    def make(*seconds, order="big"):
        rows = [{"second": muon.start + second} for second in seconds]
        return muon.stream("hits", muon.records("hits", rows), order)

    return make


@pytest.fixture
def good(archive, muon):
    """Two sources of the muon telescope, which must be archived whatever else goes on."""
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", [{"second": muon.start}])))
    archive.drop("MuonHit.le.bin", muon.stream("hits", muon.records("hits", [{"second": muon.start + 1}]), "little"))

    def assert_unharmed(report):
        assert report.records["muon.hits"]["written"] == 2
        assert report.sources["archived"] >= 2
        assert len(open_archive(archive.root.path).read("muon.hits")) == 2
        assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []

    return Given(**{**vars(archive), "name": "good", "assert_unharmed": assert_unharmed})


@pytest.fixture
def python():
    """Run Python in a process of its own, with further directories to import from."""

    def run(*arguments, paths=(), **options):
        search = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": search},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    return run


class Telescope(Instrument):
    """The muon telescope, with every hook that a command calls."""

    @hookimpl
    def export_formats(self, data_type):
        return ["numbers"]

    @hookimpl
    def export(self, tables, directory):
        path = directory / "numbers.txt"
        path.write_text(f"{tables.rows['second'].tolist()}")
        return [path]

    @hookimpl
    def routes(self):
        return [Route("/muon", lambda _: None)]

    @hookimpl
    def simulate(self, directory):
        path = directory / "muon.txt"
        path.write_text("muons")
        return [path]

    @hookimpl
    def send(self, url):
        yield f"sent to {url}"

    @hookimpl
    def read_config(self, path):
        return None


@pytest.fixture
def telescope(muon):
    return Telescope(muon.layout, "muon.yaml")


@pytest.fixture
def install(monkeypatch):
    """Install plugins, for what loads them itself."""
    return lambda loaded: monkeypatch.setattr(discovery, "load", lambda _names=None: loaded)


@pytest.fixture
def command_with(monkeypatch, capsys, install):
    """Run a command with these plugins installed: its exit code, and all that it says."""

    def run(loaded, *words):
        install(loaded)
        monkeypatch.setattr("sys.argv", ["dayfile", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(exit_code=end.value.code or 0, output=said.out + said.err)

    return run


@pytest.fixture(params=["serial", "processes"])
def run(archive, muon, plugins_of, request):
    """Run the muon telescope, in one process or in several."""

    def call(*given, **core):
        if request.param == "serial":
            return archive.run(*given, **core)
        loaded = plugins_of(muon=muon.instrument)
        pairs = [f"{key.replace('__', '.')}={value}" for key, value in {"watch__settle": 0, **core}.items()]
        chosen = settings.resolve(loaded.settings_models, settings.from_command_line(pairs))
        return run_processes(archive.root, loaded, chosen, given, workers=2)

    return call
