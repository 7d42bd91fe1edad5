"""A day file that holds fewer records than were archived: no answer looks whole without them."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest
import tables

from dayfile import Instrument, create_archive, open_archive
from dayfile.api import choose_plugins
from dayfile.engine.maintenance import reindex
from dayfile.errors import StorageError
from instruments import LAYOUT, SCHOOL

MISSED = r"holds \d+ records? of school\.events, and \d+ by the catalogue|the day file of .*, and not of .* as the"
FIRST = 1488067200  # 2017-02-26
EVENTS, RATES = "school.events", "muon.rates"


@pytest.fixture
def school(tmp_path):
    """An archive with events of two stations on two days, and its day files."""
    archive = create_archive(tmp_path / "archive", plugins={"school": Instrument(SCHOOL, "school.yaml")})
    events = np.zeros(20, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = FIRST + 6 * 3600 * np.arange(20) // 3 + 60
    with archive.putting() as put:
        for station in (7, 501):
            put(EVENTS, events, station=station)
    return open_archive(archive.root.path), sorted(archive.root.path.glob("**/*.h5"))


def find_tables(file, station=""):
    """The paths of the tables of a station in an open day file, or of all."""
    found = []

    def look(name, node):
        if isinstance(node, h5py.Dataset) and node.id.get_type().get_class() == h5py.h5t.COMPOUND:
            found.append(name)

    file.visititems(look)
    return [name for name in found if "ledger" not in name and str(station) in name]


def shorten(path, others, station):
    with h5py.File(path, "r+") as file:
        for name in find_tables(file, station):
            file[name].resize(len(file[name]) - 1, axis=0)


def remove(path, others, station):
    with h5py.File(path, "r+") as file:
        for name in find_tables(file, station):
            del file[name]


def put_another(path, others, station):
    shutil.copy(others[0], path)


def empty(path, others, station):
    path.unlink()
    h5py.File(path, "w").close()


@pytest.mark.parametrize("change", [shorten, remove, put_another, empty])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"station": 501},
        {"start": "2017-02-27T07:00", "stop": "2017-02-27T09:00"},
        {"start": "2017-02-27T07:00", "stop": "2017-02-27T09:00", "station": [501], "fields": "height"},
        {"where": "height > 5"},
    ],
)
def test_records_that_are_gone_from_a_day_file_are_missed_whatever_is_asked(school, change, asked):
    archive, files = school
    before = archive.read(EVENTS, **asked)
    path, *others = files[1:] + files[:1]
    change(path, others, 501)
    for ask in (archive.read, lambda *words, **more: list(archive.iter(*words, **more))):
        with pytest.raises(StorageError, match=MISSED) as told:
            ask(EVENTS, **asked)
        assert path.name in str(told.value)
    if "start" not in asked:
        assert len(archive.read(EVENTS, stop="2017-02-26T20:00", **asked)) <= len(before)


@pytest.mark.parametrize("asked", [{}, {"stop": "2017-02-27"}, {"start": "2017-02-27"}])
def test_records_of_a_key_are_found_where_an_older_layout_had_them(school, asked):
    """The path of an older table looks like that of another key of the newer layout, ``station_7``."""
    archive, _ = school
    layout = SCHOOL.replace("station_{station}/{type}", "{station}/{type}").replace(
        "station_{station}/bl", "{station}/bl"
    )
    events = np.zeros(5, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = FIRST + 3 * 86400 + np.arange(5)
    newer = open_archive(archive.root.path, plugins={"school": Instrument(layout, "school.yaml")})
    newer.put(EVENTS, events, station=7)
    everything = newer.read(EVENTS, **asked)
    found = newer.read(EVENTS, station=7, **asked)
    assert len(found) == np.count_nonzero(everything["station"] == 7) > 0
    assert sum(map(len, newer.iter(EVENTS, station=7, **asked))) == len(found)


def test_what_is_gone_of_one_key_costs_the_others_nothing(school):
    archive, files = school
    before = archive.read(EVENTS, station=7)
    remove(files[1], files[:1], 501)
    assert archive.read(EVENTS, station=7).array.tobytes() == before.array.tobytes()


def test_slots_that_were_emptied_are_missed(archive, muon):
    rates = [{"second": 57888001 + 256 * slot, "quality": 1} for slot in range(6)]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rates)))
    archive.run()
    opened = open_archive(archive.root.path)
    assert len(opened.read("muon.rates")) == 6
    (path,) = archive.root.path.glob("**/*rat*.h5")
    with h5py.File(path, "r+") as file:
        (name,) = find_tables(file)
        rows = file[name][:]
        rows[2] = np.zeros(1, rows.dtype)[0]
        file[name][:] = rows
    with pytest.raises(StorageError, match=r"holds 5 records of muon\.rates, and 6 by the catalogue"):
        opened.read("muon.rates")


@pytest.fixture
def foreign(tmp_path):
    """An archive with a day of rates, and one of another program, in which slots without a time hold something."""
    muon = Instrument(LAYOUT, "muon.yaml")
    archive = create_archive(tmp_path / "archive", plugins={"muon": muon})
    rates = np.zeros(6, muon.layout.types[0].dtype)
    rates["second"] = 57888001 + 256 * np.arange(6)
    archive.put(RATES, rates)
    (path,) = archive.root.path.glob("**/*.h5")
    slots = np.zeros(338, rates.dtype)
    slots["second"] = 57974401 + 256 * np.arange(338)
    slots["second"][10:20], slots["temperature"][10:20] = 0, -999
    with tables.open_file(path.with_name(path.name.replace("01.r", "02.r")), "w") as file:
        file.create_table("/", "rates", obj=slots)
    reindex(archive.root, choose_plugins({"muon": muon}), trust=True)
    return archive.root.path, muon


def test_slots_of_other_programs_are_counted_as_they_are_read(foreign):
    path, muon = foreign
    opened = open_archive(path, plugins={"muon": muon})
    assert len(opened.read(RATES)) == opened.describe(RATES).records == 6 + 328
    assert len(opened.read(RATES, fields="temperature")) == 6 + 328


def test_a_table_that_no_plugin_here_knows_is_not_called_damaged(foreign):
    opened = open_archive(foreign[0])
    assert len(opened.read(RATES, "1997-11-01", "1997-11-01T20:00")) == 6
    with pytest.raises(StorageError, match="the plugin that knows its tables is not installed here") as told:
        opened.read(RATES)
    assert "--force" not in str(told.value)


def test_more_records_than_the_catalogue_knows_yet_are_read(school):
    """As while a day file is published: it is there a moment before the catalogue knows."""
    archive, files = school
    with h5py.File(files[1]) as file:
        (name,) = find_tables(file, 501)
    with tables.open_file(files[1], "r+") as file:
        table = file.get_node(f"/{name}")
        table.append(table[-1:])
    assert len(archive.read(EVENTS)) == 41
