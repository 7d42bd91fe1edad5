"""What tests of the core share: archives of small instruments of our own; see ``instruments.py``."""

from __future__ import annotations

import gc
from functools import partial

import pytest
from starlette.routing import Route

from archives import GoodArchive, MuonArchive, make_plugins, make_work_file
from dayfile import Instrument, hookimpl
from dayfile.hdf5.library import FUNCTIONS, HID, load_library
from instruments import Muon, School


@pytest.fixture(scope="session")
def muon():
    return Muon()


@pytest.fixture(scope="session")
def school():
    return School()


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
    """Make work files of one directory: ``work_file(day, name)``; see :func:`make_work_file`."""
    made = []

    def make(day, name="day.h5", directory=tmp_path, **options):
        made.append(make_work_file(directory, day, name, **options))
        return made[-1]

    yield make
    for work in made:
        if work.handle is not None:
            work.handle.close()


@pytest.fixture(scope="session")
def plugins_of():
    return make_plugins


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
def archive(tmp_path, muon):
    return MuonArchive(tmp_path, muon)


@pytest.fixture
def hits(muon):
    """Content of a source of single muons at these seconds of the day."""

    def make(*seconds, order="big"):
        rows = [{"second": muon.start + second} for second in seconds]
        return muon.stream("hits", muon.records("hits", rows), order)

    return make


@pytest.fixture
def good(tmp_path, muon):
    return GoodArchive(tmp_path, muon)


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


@pytest.fixture(params=["serial", "processes"])
def run(archive, request):
    """Run the muon telescope, in one process or in several."""
    return partial(archive.run, workers=None if request.param == "serial" else 2)
