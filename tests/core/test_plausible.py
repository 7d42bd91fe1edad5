"""Times outside the bounds of a layout go to quarantine, of any instrument, by any way in, and on a rebuild too."""

from __future__ import annotations

import json
import os
import struct
import time

import numpy as np
import pytest

from archives import make_settings, rebuild_day
from dayfile import (
    Batch,
    Clock,
    DataType,
    Field,
    Instrument,
    Node,
    Placement,
    Plausible,
    Source,
    hookimpl,
    open_archive,
)
from dayfile.errors import UsageError

LAYOUT = """\
instrument: lamp
title: Lamps
clock: {epoch: 1970-01-01T00:00:00}
valid: {from: 2020-01-01, days_ahead: 1}
structs: {byte_order: little}
SOURCES
path: "lamp/{year}_{month}_{day}.h5"
types:
  hours:
    code: Hours
    title: Hours
    store: append
    time: second
    fields: [{name: second, type: int64}]
  runs:
    code: Runs
    title: Runs
    store: intervals
    time: first
    end: last
    fields: [{name: first, type: int64}, {name: last, type: int64}]
  old:
    code: Old
    title: Old lamps
    store: append
    time: second
    valid: {from: 1990-01-01T12:00:00}
    fields: [{name: second, type: int64}]
"""
START = 1714521600  # 2024-05-01
A_DAY = 86400
STREAMS = LAYOUT.replace("SOURCES", "sources: [struct_streams]")


class Coded(Instrument):
    """Decodes in Python, and has no encoding: the text of a source is the seconds of its records."""

    @hookimpl
    def decode(self, source):
        if not source.name.endswith(".txt"):
            return None
        times = np.array(source.content.split(), np.int64)
        records = np.zeros(len(times), self.layout.types[0].dtype)
        records["second"] = times
        return [Batch("lamp", "Hours", records, np.arange(len(times)))]


@pytest.fixture
def lamp(plugins_of):
    return plugins_of(lamp=Instrument(STREAMS, "lamp.yaml"))


@pytest.fixture
def coded(plugins_of):
    return plugins_of(lamp=Coded(LAYOUT.replace("SOURCES\n", ""), "lamp.yaml"))


def stream(*seconds):
    return struct.pack(f"<{len(seconds)}q", *seconds)


def found(archive, name="lamp.hours", field="second"):
    return open_archive(archive.root.path).read(name)[field].tolist()


@pytest.mark.parametrize("workers", [None, 2], ids=["serial", "processes"])
def test_records_outside_go_to_quarantine_and_the_rest_is_archived(archive, lamp, workers):
    future = int(time.time()) + 3 * A_DAY
    archive.drop("Hours.le.bin", stream(START, 1000, future, START + 60))
    archive.drop("Hours.le.bin", stream(START + 1), "next")
    report = archive.run(plugins=lamp, workers=workers)
    assert found(archive) == [START, START + 1, START + 60]
    assert archive.counts(report, "lamp.hours") == {"written": 3, "rejected": 2}
    assert report.exit_code == 3
    (entry,) = report.quarantine
    assert archive.set_aside(entry) == ("Hours.be.bin", struct.pack(">2q", 1000, future))
    reason = json.loads((archive.root.path / entry.entry / "reason.json").read_text())
    assert reason["records"] == [1, 2]
    assert "second is 1970-01-01T00:16:40 (1000), before 2020-01-01" in entry.reason
    assert f"({future}), more than 1 day after its source arrived on 20" in entry.reason


@pytest.mark.parametrize("workers", [None, 2], ids=["serial", "processes"])
def test_a_source_of_a_plugin_without_encoding_is_kept_whole_for_its_records_outside(archive, coded, workers):
    content = f"{START} 1000 {START + 60}".encode()
    archive.drop("a.txt", content)
    archive.drop("b.txt", f"{START + 1}".encode())
    report = archive.run(plugins=coded, workers=workers)
    assert found(archive) == [START, START + 1, START + 60]
    assert report.sources["archived"] == 2
    (entry,) = report.quarantine
    assert archive.set_aside(entry) == ("a.txt", content)
    assert entry.records == 1


def test_records_outside_alone_make_no_day_file(archive, lamp):
    archive.drop("Hours.le.bin", stream(1000, 2000))
    report = archive.run(plugins=lamp)
    assert report.day_files == []
    assert report.sources["quarantined"] == 1


def test_the_bounds_themselves_are_plausible(archive, plugins_of):
    text = STREAMS.replace("days_ahead: 1", "days_ahead: 0.5").replace("2020-01-01,", "2020-01-01T06:00:00,")
    lamp = plugins_of(lamp=Instrument(text, "lamp.yaml"))
    first, arrived = 1577836800 + 6 * 3600, START + 0.25
    times = [first - 1, first, START + A_DAY // 2, START + A_DAY // 2 + 1]
    take(archive, lamp, Source(archive.path, "Hours.le.bin", stream(*times), arrived))
    assert found(archive) == times[1:3]


def test_the_end_of_plausible_times_is_not_plausible_any_more(archive, plugins_of):
    end = START + 1800
    text = STREAMS.replace("days_ahead: 1}", "to: 2024-05-01T00:30:00}", 1)
    lamp = plugins_of(lamp=Instrument(text, "lamp.yaml"))
    report = take(archive, lamp, Source(archive.path, "Hours.le.bin", stream(START, end - 1, end, end + 1), START))
    assert found(archive) == [START, end - 1]
    assert report.quarantine[0].reason.endswith(
        "implausible time: second is 2024-05-01T00:30:00 (1714523400), not before 2024-05-01T00:30:00 (valid: to)"
    )


def take(archive, plugins, *sources, **core):
    """What a run makes of sources that were accepted when they say, and not yet archived."""
    for number, source in enumerate(sources):
        path = archive.root.accepted / str(number) / source.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.content)
        os.utime(path, ns=(0, round(source.arrived * 10**9)))
    return archive.run(plugins=plugins, **core)


def list_kept(archive, day):
    """The sources of a day that are kept for good; their files have the times at which they arrived."""
    return [path for path in (archive.root.sources / day).glob("*/*") if path.is_file()]


def test_each_source_of_a_group_counts_from_its_own_arrival(archive, lamp):
    times = START + 3 * A_DAY, START + 3 * A_DAY + 1
    early = Source(archive.path, "Hours.le.bin", stream(times[0]), START)
    late = Source(archive.path, "Hours.le.bin", stream(times[1]), START + 2 * A_DAY + 1)
    report = take(archive, lamp, early, late)
    assert found(archive) == [times[1]]
    assert "its source arrived on 2024-05-01T00:00:00" in report.quarantine[0].reason


def test_of_intervals_start_or_end_outside_counts(archive, lamp):
    future = START + 3 * A_DAY
    runs = [(START, START + 60), (1000, START), (START, future), (START + 5, START + 9)]
    take(archive, lamp, Source(archive.path, "Runs.le.bin", stream(*sum(runs, ())), START))
    assert found(archive, "lamp.runs", "first") == [START, START + 5]
    assert found(archive, "lamp.runs", "last") == [START + 60, START + 9]


def test_the_bounds_of_a_type_take_the_place_of_the_layouts(archive, lamp):
    noon = 631152000 + A_DAY // 2  # 1990-01-01T12:00
    archive.drop("Old.le.bin", stream(noon - 1, noon, int(time.time()) + 9 * A_DAY))
    archive.run(plugins=lamp)
    assert found(archive, "lamp.old")[0] == noon
    assert len(found(archive, "lamp.old")) == 2


def test_rejected_records_that_became_plausible_are_archived_when_they_are_requeued(archive, coded):
    """The day file knows the source already, with fewer records."""
    early, late = START + A_DAY + 80_000, START + A_DAY + 80_010
    content = f"{early} {late}".encode()
    first = take(archive, coded, Source(archive.path, "a.txt", content, START + 80_005))
    assert found(archive) == [early]
    assert archive.set_aside(first.quarantine[0]) == ("a.txt", content)
    again = take(archive, coded, Source(archive.path, "a.txt", content, START + 80_010))
    assert found(archive) == [early, late]
    assert archive.counts(again, "lamp.hours") == {"written": 1, "identical": 1}
    assert take(archive, coded, Source(archive.path, "a.txt", content, START + 80_010)).sources["already"] == 1


def test_a_rebuild_counts_from_the_arrival_of_the_kept_source(archive, coded):
    """Also of one that came a second time, later."""
    arrived = START + 80_005.123456789
    early, late = START + A_DAY + 80_000, START + A_DAY + 80_010
    path = "lamp/2024_5_2.h5"
    for arrival, expected in ((arrived, [early]), (arrived + 10, [early, late])):
        source = Source(archive.path, "a.txt", f"{early} {late}".encode(), arrival)
        take(archive, coded, source, sources__keep="always")
        (copy,) = list_kept(archive, "2024-05-02")
        assert copy.stat().st_mtime == arrival
        assert found(archive) == expected
        (archive.root.path / path).unlink()
        rebuild_day(archive.root, coded, make_settings(coded), path)
        assert found(archive) == expected
    os.utime(copy, (START, START))
    with pytest.raises(UsageError, match="has no records of it"):
        rebuild_day(archive.root, coded, make_settings(coded), path)


def test_a_source_kept_for_several_days_has_one_arrival(archive, coded):
    arrived = 1714600000.987654321
    content = f"{START} {START + A_DAY}".encode()
    take(archive, coded, Source(archive.path, "a.txt", content, arrived), sources__keep="always")
    copies = [*list_kept(archive, "2024-05-01"), *list_kept(archive, "2024-05-02")]
    assert [path.stat().st_mtime for path in copies] == [arrived, arrived]


@pytest.mark.parametrize("workers", [None, 2], ids=["serial", "processes"])
def test_a_kept_source_has_the_arrival_that_its_records_were_compared_with(archive, coded, workers):
    archive.drop("a.txt", f"{START}".encode())
    before = time.time()
    archive.run(plugins=coded, workers=workers, sources__keep="always")
    (copy,) = list_kept(archive, "2024-05-01")
    assert before <= copy.stat().st_mtime <= time.time()


def test_records_outside_that_are_put_have_status_4_and_are_kept(installed, tmp_path, archive):
    installed(lamp=STREAMS)
    opened = open_archive(archive.root.path)
    future = int(time.time()) + 3 * A_DAY
    records = np.array([(1000,), (START,), (future,), (START + 1,)], [("second", "<i8")])
    assert opened.put("lamp.hours", records).tolist() == [4, 0, 4, 0]
    assert opened.read("lamp.hours")["second"].tolist() == [START, START + 1]
    ((name, content, reason),) = [
        (path.name, path.read_bytes(), json.loads((path.parent / "reason.json").read_text()))
        for path in archive.root.quarantine.glob("*/*.bin")
    ]
    assert (name, content, reason["records"]) == ("Hours.be.bin", struct.pack(">2q", 1000, future), [0, 2])
    assert "before 2020-01-01" in reason["message"]
    assert "more than 1 day after its source arrived" in reason["message"]


def test_records_with_blobs_and_keys_stay_together_when_some_are_outside(archive, plugins_of, school):
    """What is kept has the blobs too: it is the whole source."""

    class Roofs(Instrument):
        @hookimpl
        def decode(self, source):
            if source.name != "junk":
                return None
            return [school.make_events([(0, 1, b"a", b"one", None), (90_000, 2, b"b", b"two", None)], station=7)]

        @hookimpl
        def encode(self):
            return "alone", b"without station and blobs"

    text = school.layout.replace("path:", "valid: {from: 2017-02-27}\npath:", 1)
    archive.drop("junk", b"precious")
    report = archive.run(plugins=plugins_of(school=Roofs(text, "school.yaml")))
    records = open_archive(archive.root.path).read("school.events", station=7)
    assert records.blobs("traces", 0)[0] == b"two"
    assert archive.set_aside(report.quarantine[0]) == ("junk", b"precious")


WRONG = {
    "no Plausible": (1, "must be a Plausible"),
    "a text": (Plausible("2020-01-01"), "must be a numpy.datetime64"),
    "not a time": (Plausible(np.datetime64("NaT")), "must be a numpy.datetime64"),
    "a text as the end": (Plausible(until="2020-01-01"), "plausible.until of lamp.hours must be a numpy.datetime64"),
    "a negative number of days": (Plausible(days_ahead=-1), "must be a number from 0 on"),
    "no number of days": (Plausible(days_ahead=float("nan")), "must be a number from 0 on"),
    "endless days": (Plausible(days_ahead=float("inf")), "must be a number from 0 on"),
    "true": (Plausible(days_ahead=True), "must be a number from 0 on"),
}


@pytest.mark.parametrize(("plausible", "words"), WRONG.values(), ids=WRONG)
def test_wrong_bounds_of_a_data_type_made_in_python_are_refused(plugins_of, plausible, words):
    class Made:
        @hookimpl
        def data_types(self):
            fields, clock = (Field("second", "int64"),), Clock(np.datetime64("1970-01-01T00:00:00"))
            path = "lamp/{year}_{month}_{day}.h5"
            placement = Placement("append", path, Node("/hours"))
            return [DataType("lamp", "hours", "H", "", fields, clock, "second", placement, plausible=plausible)]

    (failure,) = plugins_of(lamp=Made()).failures
    assert words in failure.message
