"""A source that would begin very many days goes to quarantine: a wrong byte order or epoch is suspected."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from archives import make_settings, rebuild_day, run_archive
from dayfile import Batch, Instrument, create_archive, hookimpl, open_archive
from dayfile.errors import UsageError

LAYOUT = """\
instrument: lamp
title: Lamps
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little}
sources: [struct_streams]
path: "lamp/{year}/{type}.{year}.{month:02}.{day:02}.h5"
node: /NODE
types:
  hours:
    code: Hours
    title: Hours
    store: append
    time: second
    fields: [{name: second, type: int64}]
  cycles:
    code: Cycles
    title: Cycles
    store: slots
    period: 60
    time: second
    fields: [{name: second, type: int64}]
"""
PLAIN = LAYOUT.replace("NODE", "{type}")
A_DAY = 86400
ENGINES = pytest.mark.parametrize("workers", [pytest.param(None, id="run_serial"), pytest.param(2, id="run_processes")])


def stream(days, order="<"):
    return struct.pack(f"{order}{len(days)}q", *(day * A_DAY for day in days))


class Lamp(Instrument):
    """Counts how often it is asked for the place of a day."""

    asked = 0

    @hookimpl
    def locate_file(self, data_type, day):
        Lamp.asked += 1


@pytest.fixture
def lamp(plugins_of):
    Lamp.asked = 0
    return plugins_of(lamp=Lamp(PLAIN, "lamp.yaml"))


def run(archive, plugins, workers=None, **core):
    return run_archive(archive.root, plugins, workers=workers, **core)


def day_files(archive):
    return len(list((archive.root.path / "lamp").rglob("*.h5")))


@ENGINES
@pytest.mark.parametrize("code", ["Hours", "Cycles"])
def test_a_source_of_too_many_new_days_goes_to_quarantine_whole(archive, lamp, workers, code):
    flood = stream(range(401))
    archive.drop(f"{code}.le.bin", flood)
    archive.drop(f"{code}.le.bin", stream([500, 501]), "good")
    report = run(archive, lamp, workers)
    (entry,) = report.quarantine
    assert (entry.records, archive.set_aside(entry)) == (None, (f"{code}.le.bin", flood))
    for words in (
        "401 days of",
        "1970-01-01 to 1971-02-05",
        "more than 400",
        "byte order",
        "epoch",
        "dayfile quarantine requeue --all, then archive-run --set run.most_new_days=401",
    ):
        assert words in entry.reason
    assert report.exit_code == 3
    assert day_files(archive) == 2
    assert archive.files(archive.root.accepted) == []


@ENGINES
def test_as_many_new_days_as_the_setting_says_are_archived(archive, lamp, workers):
    archive.drop("Hours.le.bin", stream(range(5)))
    archive.drop("Hours.le.bin", stream(range(100, 106)), "more")
    report = run(archive, lamp, workers, run__most_new_days=5)
    assert [entry.source for entry in report.quarantine] == ["Hours.le.bin"]
    assert report.quarantine[0].reason.startswith("6 days of lamp.hours")
    assert open_archive(archive.root.path).read("lamp.hours")["second"].tolist() == [day * A_DAY for day in range(5)]


def test_days_that_have_a_day_file_do_not_count(archive, lamp):
    for start in (0, 4):
        archive.drop("Hours.le.bin", stream(range(start, start + 4)))
        assert run(archive, lamp, run__most_new_days=4).exit_code == 0
    archive.drop("Hours.le.bin", stream(range(12)))
    assert run(archive, lamp, run__most_new_days=4).exit_code == 0
    assert day_files(archive) == 12
    archive.drop("Cycles.le.bin", stream(range(12)))
    assert run(archive, lamp, run__most_new_days=4).exit_code == 3


@ENGINES
def test_days_of_all_batches_of_a_source_count_together(archive, plugins_of, workers):
    """Of each key, and of batches that cannot be put together."""

    class Keyed(Instrument):
        @hookimpl
        def decode(self, source):
            if source.name != "junk":
                return None
            items = []
            for day in range(6):
                records = np.zeros(1, self.layout.types[0].dtype)
                records["second"] = day * A_DAY
                items.append(Batch("lamp", "Hours", records, np.array([day]), {"lamp": day % 3}))
            return items

    archive.drop("junk", b"precious")
    keyed = plugins_of(lamp=Keyed(LAYOUT.replace("NODE", "l{lamp}/{type}"), "lamp.yaml"))
    report = run(archive, keyed, workers, run__most_new_days=5)
    assert archive.set_aside(report.quarantine[0]) == ("junk", b"precious")
    assert day_files(archive) == 0


def test_a_flood_of_days_costs_few_looks(archive, lamp):
    """Of 49,710 days, as swapped seconds of 32 bits make, no more are looked for than it takes."""
    archive.drop("Hours.le.bin", stream(range(49_710)))
    report = run(archive, lamp)
    assert "49,710 days of lamp.hours (1970-01-01 to 2106-02-06)" in report.quarantine[0].reason
    assert Lamp.asked <= 401


def test_a_source_in_quarantine_for_its_days_is_archived_once_the_setting_is_raised(archive, lamp):
    archive.drop("Hours.le.bin", stream(range(6)))
    (entry,) = run(archive, lamp, run__most_new_days=5).quarantine
    archive.drop(*archive.set_aside(entry))
    assert run(archive, lamp, run__most_new_days=6).exit_code == 0
    assert day_files(archive) == 6


def test_a_rebuild_has_no_limit_of_days(archive, lamp):
    archive.drop("Hours.le.bin", stream(range(6)))
    run(archive, lamp, sources__keep="always")
    first, *others = sorted((archive.root.path / "lamp").rglob("*.h5"))
    for path in others:
        path.unlink()
    chosen = make_settings(lamp, run__most_new_days=1)
    path = str(first.relative_to(archive.root.path))
    rebuild_day(archive.root, lamp, chosen, path)
    assert day_files(archive) == 1


@pytest.fixture
def opened(installed, tmp_path):
    installed(lamp=PLAIN)
    archive = create_archive(tmp_path / "archive")
    archive.root.settings.write_text("run: {most_new_days: 5}\n")
    return archive


def seconds(*days):
    return np.array([(day * A_DAY,) for day in days], [("second", "<i8")])


def test_a_put_of_too_many_new_days_is_refused_and_nothing_is_put(opened):
    with pytest.raises(UsageError, match=r"6 days of lamp\.hours \(.*byte order and epoch.*run\.most_new_days"):
        opened.put("lamp.hours", seconds(*range(6), 2**40))
    assert list(opened.root.list_day_files()) == []
    assert list(opened.root.quarantine.iterdir()) == []
    assert opened.put("lamp.hours", seconds(*range(5))).tolist() == [0] * 5
    assert opened.put("lamp.hours", seconds(*range(10))).tolist() == [3] * 5 + [0] * 5


def test_the_days_of_a_series_of_puts_count_together(opened):
    with opened.putting() as put:
        for day in range(5):
            put("lamp.hours", seconds(day, day))
        put("lamp.cycles", seconds(*range(5)))
        with pytest.raises(UsageError, match=r"6 days of lamp\.hours"):
            put("lamp.hours", seconds(5))
        assert put("lamp.hours", seconds(4)).tolist() == [3]
    assert len(list(opened.root.list_day_files())) == 10
