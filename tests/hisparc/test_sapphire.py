"""The analysis library of HiSPARC reads our day files and gets what it gets from those of the datastore.

It is the package ``hisparc-sapphire``. Where the environment of the tests does not have it, the environment variable
``DAYFILE_SAPPHIRE_PYTHON`` names the Python of one that does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.rowwise import write_uploads

from dayfile_hisparc.simulation import write_queue_files
from running import run_command

DAY = np.datetime64("2024-05-01")
DAY_FILE = Path("2024/5/2024_5_1.h5")
STATIONS = {501: 4, 510: 2}
"""Detectors of each."""
PYTHON = os.environ.get("DAYFILE_SAPPHIRE_PYTHON", sys.executable)

# What the HiSPARC site does every night with each station, and what a person does who looks at an event's traces.
# Called with a day file, the file for its results, and station numbers.
PROCESS = """
import sys
import numpy as np
import tables
from sapphire.analysis import process_events

day_file, results, *stations = sys.argv[1:]
found = {}
with tables.open_file(day_file) as source, tables.open_file(results + ".h5", "w") as target:
    for station in stations:
        group, place = f"/hisparc/cluster_amsterdam/station_{station}", f"/s{station}"
        events = process_events.ProcessEventsFromSourceWithTriggerOffset(source, target, group, place)
        events.process_and_store_results()
        for process in (process_events.ProcessSinglesFromSource, process_events.ProcessWeatherFromSource):
            process(source, target, group, place).process_and_store_results()
        for name in ("events", "singles", "weather"):
            found[f"{station}_{name}"] = target.get_node(place, name).read()
        traces = [events.get_traces_for_event(row).ravel() for row in target.get_node(place, "events")]
        found[f"{station}_traces"] = np.concatenate(traces)
        found[f"{station}_samples"] = [len(samples) for samples in traces]
np.savez(results, **found)
"""


@pytest.fixture(scope="module")
def uploads(tmp_path_factory) -> list[Path]:
    """Queue files of a station with four detectors and one with two: six minutes with traces and weather."""
    return write_queue_files(DAY, 1, tmp_path_factory.mktemp("uploads"), stations=STATIONS, uploads=12)


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """Give a function that lets the library process a day file: its results by station and table."""
    there = run_command(PYTHON, "-c", "import sapphire")
    if there.returncode:
        why = (there.stderr.strip().splitlines() or ["it cannot be imported"])[-1]
        pytest.skip(f"hisparc-sapphire is not to be had from {PYTHON} ({why}); set DAYFILE_SAPPHIRE_PYTHON")

    def process(day_file: Path) -> dict[str, np.ndarray]:
        results = tmp_path_factory.mktemp("results") / "results.npz"
        done = run_command(PYTHON, "-c", PROCESS, day_file, results, *STATIONS)
        assert done.returncode == 0, done.stderr
        with np.load(results) as found:
            return dict(found)

    return process


@pytest.fixture(scope="module")
def expected(uploads, processed, tmp_path_factory):
    """Results from the datastore's own way of writing."""
    archive = tmp_path_factory.mktemp("datastore")
    write_uploads(uploads, archive)
    return processed(archive / DAY_FILE)


def same(found, expected, *, but: tuple[str, ...] = ()) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        for column in array.dtype.names or (...,):
            if column not in but:
                np.testing.assert_array_equal(found[name][column], array[column], err_msg=f"{name} {column}")


def test_the_results_are_worth_comparing(expected):
    for station, detectors in STATIONS.items():
        events = expected[f"{station}_events"]
        assert len(events) > 100
        assert len(expected[f"{station}_singles"]) > 200
        assert len(expected[f"{station}_weather"]) >= 1
        # Arrival times and numbers of particles were reconstructed from the traces of each detector that is there.
        for detector in range(1, 5):
            assert (events[f"t{detector}"] > 0).any() == (detector <= detectors)
        assert (events["t_trigger"] > 0).any()
        assert expected[f"{station}_samples"].min() >= 80 * 2


def test_it_gets_the_same_events_singles_weather_and_traces_from_our_day_file(
    uploads, processed, expected, archive_run, tmp_path
):
    done = archive_run("--plugins", "hisparc", "--archive", "A", *uploads)
    assert done.returncode == 0, done.stderr
    same(processed(tmp_path / "A" / DAY_FILE), expected)


def test_it_gets_the_same_from_a_day_that_was_begun_by_the_datastore_and_adopted(
    uploads, processed, expected, archive_run, tmp_path
):
    write_uploads(uploads[:6], tmp_path / "A")
    assert archive_run("adopt", "A", command="dayfile").returncode == 0
    done = archive_run("--plugins", "hisparc", "--archive", "A", *uploads[6:])
    assert done.returncode == 0, done.stderr
    same(processed(tmp_path / "A" / DAY_FILE), expected)


def test_it_gets_the_same_whatever_order_uploads_came_in_and_however_often(
    uploads, processed, expected, archive_run, tmp_path
):
    for batch in (uploads[::-1], uploads[:5]):
        done = archive_run("--plugins", "hisparc", "--archive", "A", *batch)
        assert done.returncode == 0, done.stderr
    # Rows and blobs stand in the order of arrival: the indexes of the traces differ, what they lead to does not.
    same(processed(tmp_path / "A" / DAY_FILE), expected, but=("traces",))
