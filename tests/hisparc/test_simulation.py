"""Sample uploads of HiSPARC: the same seed gives the same bytes, and what is sent agrees with itself."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import pickle
import zlib
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.errors import UsageError
from dayfile_hisparc.simulation import simulate_events, write_queue_files
from running import run_python

DAY = np.datetime64("2024-05-01")
KINDS = {"CFG", "CIC", "SIN", "WTR", "ERR"}


def kind(event):
    return event["header"]["eventtype_uploadcode"]


def sent(event):
    return {item["data_uploadcode"]: item["data"] for item in event["datalist"]}


def instant(event):
    return event["header"]["datetime"], event["header"]["nanoseconds"]


def counts_of(trace):
    return np.array([int(count) for count in zlib.decompress(base64.b64decode(trace, validate=True)).split(b",")])


def digest(paths):
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in paths)).hexdigest()


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_queue_files(DAY, 7, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def uploads(sample):
    return [pickle.loads(path.read_bytes()) for path in sample]


@pytest.fixture(scope="module")
def showers():
    return [sent(event) for event in islice(simulate_events(DAY, 7, 501), 3000) if kind(event) == "CIC"]


@pytest.mark.parametrize(("hash_seed", "time_zone"), [("1", "UTC"), ("2", "Pacific/Kiritimati")])
def test_same_arguments_give_same_names_and_bytes_in_any_process_and_time_zone(sample, tmp_path, hash_seed, time_zone):
    code = (
        "import sys, pathlib, numpy; from dayfile_hisparc.simulation import write_queue_files\n"
        "write_queue_files(numpy.datetime64('2024-05-01'), 7, pathlib.Path(sys.argv[1]))"
    )
    run_python("-c", code, tmp_path, environment={"PYTHONHASHSEED": hash_seed, "TZ": time_zone}, check=True)
    assert digest(sorted(tmp_path.iterdir())) == digest(sorted(sample))


@pytest.mark.parametrize("other", [("2024-05-02", 7, 501), ("2024-05-01", 8, 501), ("2024-05-01", 7, 502)])
def test_another_day_seed_or_station_gives_other_showers(other):
    def traces(day, seed, station):
        events = list(islice(simulate_events(np.datetime64(day), seed, station), 100))
        return {sent(event)["TR1"] for event in events if kind(event) == "CIC"}

    assert traces("2024-05-01", 7, 501).isdisjoint(traces(*other))


def test_a_longer_run_begins_with_the_same_files(sample, tmp_path):
    assert digest(write_queue_files(DAY, 7, tmp_path, uploads=5)) == digest(sample[:5])


def test_every_upload_is_a_queue_file_of_100_events(uploads):
    assert len(uploads) == 30
    for upload in uploads:
        assert list(upload) == ["station_id", "cluster", "event_list"]
        assert (type(upload["station_id"]), upload["cluster"]) == (int, "Amsterdam")
        assert len(upload["event_list"]) == 100
        assert all(list(event) == ["header", "datalist"] for event in upload["event_list"])


def test_stations_take_turns_and_each_uses_every_pickle_protocol(sample, uploads):
    assert [upload["station_id"] for upload in uploads] == [501, 502, 510] * 10
    protocols = {}
    for path, upload in zip(sample, uploads, strict=True):
        start = path.read_bytes()[:2]
        protocols.setdefault(upload["station_id"], set()).add(start[1] if start[0] == 0x80 else 0)
    assert set(map(tuple, map(sorted, protocols.values()))) == {(0, 2, 3, 4, 5)}


def test_the_default_sample_is_small_and_has_every_type_of_every_station(sample, uploads):
    assert sum(path.stat().st_size for path in sample) < 4_000_000
    types = {(upload["station_id"], kind(event)) for upload in uploads for event in upload["event_list"]}
    assert types == {(station, code) for station in (501, 502, 510) for code in KINDS}


def test_uploads_of_a_station_follow_each_other_in_time(uploads):
    for station in (501, 502, 510):
        events = [event for upload in uploads if upload["station_id"] == station for event in upload["event_list"]]
        assert kind(events[0]) == "CFG"
        assert all(instant(first) <= instant(second) for first, second in pairwise(events))


def test_a_whole_day_stays_within_the_day_and_fills_1300_uploads():
    events = 0
    for event in simulate_events(DAY, 7, 510, detectors=2):
        events += 1
        assert event["header"]["datetime"].date() == dt.date(2024, 5, 1)
    assert event["header"]["time"] == "23:59:59"
    assert events >= 130_000


@settings(max_examples=15, deadline=None)
@given(day=st.dates(dt.date(1960, 1, 1), dt.date(2037, 12, 31)), seed=st.integers(), detectors=st.sampled_from([2, 4]))
def test_any_day_and_seed_give_events_of_that_day(day, seed, detectors):
    for event in islice(simulate_events(np.datetime64(day), seed, 501, detectors=detectors), 150):
        header = event["header"]
        assert header["datetime"].date() == day
        assert f"{header['date']}T{header['time']}" == header["datetime"].isoformat()
        assert 0 <= header["nanoseconds"] < 10**9


def test_36_showers_come_with_64_singles():
    types = Counter(kind(event) for event in islice(simulate_events(DAY, 7, 501), 10_000))
    assert types["CIC"] / (types["CIC"] + types["SIN"]) == pytest.approx(0.36, abs=0.02)
    assert set(types) == KINDS


def test_values_are_of_the_types_stations_send(uploads):
    for upload in uploads:
        for event in upload["event_list"]:
            assert type(event["header"]["nanoseconds"]) is int
            assert {type(value) for value in sent(event).values()} <= {int, float, bool, str}


def test_traces_inflate_to_adc_counts_of_one_length_an_event(showers):
    lengths = []
    for shower in showers:
        traces = [counts_of(shower[f"TR{detector}"]) for detector in range(1, 5)]
        assert len({len(trace) for trace in traces}) == 1
        assert min(trace.min() for trace in traces) >= 0
        assert max(trace.max() for trace in traces) <= 4095
        lengths.append(len(traces[0]))
    assert min(lengths) == 80
    assert 500 < max(lengths) <= 902


def test_pulse_heights_and_integrals_agree_with_the_traces(showers):
    for shower in showers:
        for detector in range(1, 5):
            above = counts_of(shower[f"TR{detector}"]) - shower[f"BL{detector}"]
            assert shower[f"PH{detector}"] == above.max()
            assert shower[f"IN{detector}"] == above[above >= 20].sum()
            assert shower[f"NP{detector}"] == (above.max() >= 20)


def test_baseline_and_noise_agree_with_the_samples_before_the_pulse(showers):
    offsets, noises = [], []
    for shower in showers:
        for detector in range(1, 5):
            lead = counts_of(shower[f"TR{detector}"])[:26] - shower[f"BL{detector}"]
            offsets.append(lead.mean())
            noises.append(lead.std(ddof=1) / (shower[f"STDDEV{detector}"] / 1000))
    assert np.abs(offsets).max() < 3
    assert np.mean(offsets) == pytest.approx(0, abs=0.05)
    assert np.mean(noises) == pytest.approx(1, abs=0.05)


def test_two_detectors_or_more_see_a_shower_and_the_trigger_pattern_says_which(showers):
    for shower in showers:
        seen = [detector for detector in range(1, 5) if shower[f"NP{detector}"]]
        assert len(seen) >= 2
        for detector in range(1, 5):
            low, high = (shower["TRIGPATTERN"] >> 2 * (detector - 1) + level & 1 for level in (0, 1))
            assert (low, high) == (shower[f"PH{detector}"] >= 53, shower[f"PH{detector}"] >= 123)


def test_pulse_heights_peak_at_one_particle_and_have_a_long_tail(showers):
    heights = np.array([shower[f"PH{detector}"] for shower in showers for detector in range(1, 5)])
    heights = heights[heights >= 20]
    number, edges = np.histogram(heights, np.arange(0, 4100, 50))
    assert 200 <= edges[number.argmax()] <= 300
    assert np.median(heights) < 0.85 * heights.mean()
    assert heights.max() > 1000


def test_values_of_a_station_stay_in_the_ranges_of_a_real_one(showers):
    for shower in showers:
        assert shower["RED"] == 1
        assert 0 < shower["EVENTRATE"] < 1.5
        for detector in range(1, 5):
            assert 20 <= shower[f"BL{detector}"] <= 40
            assert 500 <= shower[f"STDDEV{detector}"] <= 4500


def test_a_station_without_secondary_sends_minus_one_as_unsigned_and_two_traces():
    events = list(islice(simulate_events(DAY, 7, 510, detectors=2), 300))
    for shower in (sent(event) for event in events if kind(event) == "CIC"):
        assert [code for code in shower if code.startswith("TR")] == ["TRIGPATTERN", "TR1", "TR2"]
        for detector in (3, 4):
            assert {shower[f"{code}{detector}"] for code in ("BL", "STDDEV", "NP", "PH")} == {65535}
            assert shower[f"IN{detector}"] == 4_294_967_295
    singles = next(sent(event) for event in events if kind(event) == "SIN")
    assert list(singles.values())[4:] == [-1] * 4
    assert min(list(singles.values())[:4]) > 0
    assert sent(events[0])["CFG_SLV_VERSION"] == "Hardware: 0 FPGA: 0"


def test_more_uploads_than_a_day_holds_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="ask for at most 1300"):
        write_queue_files(DAY, 7, tmp_path / "queue", stations={501: 4}, uploads=1301)
    with pytest.raises(UsageError, match="name more stations"):
        write_queue_files(DAY, 7, tmp_path / "queue", stations={})
    assert not (tmp_path / "queue").exists()


def test_a_number_of_detectors_that_no_station_has_is_refused():
    with pytest.raises(UsageError, match="2 or 4 detectors, not 3"):
        next(simulate_events(DAY, 7, 501, detectors=3))


def test_files_go_where_they_are_told_under_names_of_day_station_and_turn(tmp_path):
    paths = write_queue_files(DAY, 7, tmp_path / "a" / "b", stations={3: 2}, cluster="Science Park", uploads=2)
    assert paths == [tmp_path / "a" / "b" / name for name in ("2024-05-01_3_00000", "2024-05-01_3_00001")]
    assert pickle.loads(Path(paths[0]).read_bytes())["cluster"] == "Science Park"
