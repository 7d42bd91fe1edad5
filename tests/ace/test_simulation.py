"""Sample days of CRIS and SIS: the same seed gives the same bytes, days continue one another, values agree."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile import Batch, Clock, DataType, Field, Node, Placement, Source, create_archive, open_archive
from dayfile.errors import StorageError, UsageError
from dayfile.testing.generators import sample_records
from dayfile.testing.telemetry import TelemetryDay, sample_event_buffers
from dayfile_cris import instrument as cris
from dayfile_cris.simulation import SPACECRAFT_CLOCK
from dayfile_sis import instrument as sis
from dayfile_sis.simulation import SPACECRAFT_CLOCK as CLOCK_OF_SIS
from running import call_command, run_python

DAY = np.datetime64("1997-10-31")
NEXT = np.datetime64("1997-11-01")
INSTRUMENTS = {"cris": cris, "sis": sis}
CLOCK = cris.layout.types[0].clock
PERIODIC = {
    "L1CrisSummary": 1,
    "L1CrisHighPriorityRate": 16,
    "L1CrisLowPriorityRate": 256,
    "L1CrisHskp": 256,
    "L1SisSummary": 1,
    "L1SisHighPriorityRate": 32,
    "L1SisLowPriorityRate": 256,
    "L1SisHskp": 256,
}


def types_by_code():
    return {
        code: data_type
        for instrument in INSTRUMENTS.values()
        for code, data_type in instrument.layout.by_code().items()
    }


def decoded(paths):
    """Records by code, as the plugins decode them; every one of them has a time."""
    found = {}
    for path in paths:
        instrument = INSTRUMENTS["sis" if "sis" in path.name.lower() else "cris"]
        for batch in instrument.decode(Source.read(path)):
            assert isinstance(batch, Batch)
            assert batch.code not in found
            found[batch.code] = batch.records
    return found


def digests(paths):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return {
        (name, day): instrument.simulate(day=day, seed=1, directory=tmp_path_factory.mktemp(name))
        for name, instrument in INSTRUMENTS.items()
        for day in (DAY, NEXT)
    }


@pytest.fixture(scope="module")
def sample(files):
    return decoded([*files["cris", DAY], *files["sis", DAY]])


@pytest.fixture(scope="module")
def next_sample(files):
    return decoded([*files["cris", NEXT], *files["sis", NEXT]])


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_same_day_and_seed_give_same_names_and_bytes_in_any_process_and_time_zone(files, tmp_path, name):
    code = (
        f"import sys, pathlib, numpy; from dayfile_{name} import instrument\n"
        "instrument.simulate(numpy.datetime64('1997-10-31'), 1, pathlib.Path(sys.argv[1]))"
    )
    run_python("-c", code, tmp_path, environment={"PYTHONHASHSEED": "2", "TZ": "Pacific/Kiritimati"}, check=True)
    assert digests(tmp_path.iterdir()) == digests(files[name, DAY])


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_another_seed_gives_other_bytes_in_every_file(files, tmp_path, name):
    others = digests(INSTRUMENTS[name].simulate(day=DAY, seed=2, directory=tmp_path))
    same = digests(files[name, DAY])
    assert others.keys() == same.keys()
    assert all(others[path] != digest for path, digest in same.items())


def test_every_type_is_there_in_one_source_and_none_is_without_records(files, sample):
    assert sample.keys() == types_by_code().keys()
    assert all(map(len, sample.values()))
    for name, types in (("cris", 10), ("sis", 12)):
        streams = {path.name.removesuffix(".be.bin") for path in files[name, DAY] if path.suffix == ".bin"}
        (hdf,) = [path for path in files[name, DAY] if path.suffix == ".hdf"]
        assert hdf.name == f"{name}_level1_1997304.hdf"
        assert streams | set(decoded([hdf])) == INSTRUMENTS[name].layout.by_code().keys()
        assert streams == {code for code in PERIODIC if name in code.lower()}
        assert len(INSTRUMENTS[name].layout.types) == types


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_day_is_below_30_mb_and_streams_hold_whole_structs(files, name):
    assert sum(path.stat().st_size for path in files[name, DAY]) < 30_000_000
    by_code = INSTRUMENTS[name].layout.by_code()
    for path in files[name, DAY]:
        if path.suffix == ".bin":
            assert path.stat().st_size % INSTRUMENTS[name].struct(by_code[path.name.split(".")[0]]).itemsize == 0


def test_all_times_are_within_the_day_and_ascend(sample):
    for code, made in sample.items():
        data_type = types_by_code()[code]
        times = made[data_type.time]
        assert set(CLOCK.days(times)) == {DAY}
        assert (np.diff(times) > 0).all()
        if data_type.end:
            assert (made[data_type.end] > times).all()


def test_periodic_types_come_at_full_cadence_but_for_two_gaps(sample):
    for code, period in PERIODIC.items():
        times = sample[code]["Second1996"].astype(np.int64)
        steps = np.diff(times)
        gaps = np.flatnonzero(steps > period + 1)
        assert len(gaps) == 2
        assert ((steps == period) | (steps > period + 1)).all()
        assert (steps[gaps] >= 300).all()
        assert (steps[gaps] < 1200 + 3 * period).all()
        assert times[0] - CLOCK.day_start(DAY) < period
        assert CLOCK.day_start(NEXT) - times[-1] <= period


def test_both_instruments_lose_the_same_frames(sample):
    assert np.array_equal(sample["L1CrisSummary"]["Second1996"], sample["L1SisSummary"]["Second1996"])


def test_the_next_day_goes_on_where_the_day_ends(sample, next_sample):
    for code, period in PERIODIC.items():
        clock = next(name for name in sample[code].dtype.names if name.startswith("Clock"))
        assert int(next_sample[code][clock][0]) - int(sample[code][clock][-1]) == period
        assert int(next_sample[code]["Second1996"][0]) - int(sample[code]["Second1996"][-1]) == period
    ends, begins = sample["BrowseCris"]["bin_end"], next_sample["BrowseCris"]["bin_start"]
    assert ends[-1] == begins[0]


@given(
    st.dates(np.datetime64("1997-08-26").item(), np.datetime64("2030-12-30").item()), st.sampled_from([1, 16, 32, 256])
)
def test_days_share_out_all_frames_whatever_the_day(day, every):
    days = np.datetime64(day) + np.arange(2)
    first, second = (SPACECRAFT_CLOCK.list_frames(CLOCK, one) for one in days)
    frames = np.concatenate([first, second])
    assert (np.diff(frames) == 1).all()
    seconds, microseconds = SPACECRAFT_CLOCK.compute_times(frames)
    assert np.array_equal(CLOCK.days(seconds), np.repeat(days, [len(first), len(second)]))
    assert (np.diff(seconds * 10**6 + microseconds) >= 10**6).all()
    chosen = seconds[frames % every == 0]
    slots = (chosen - CLOCK.day_start(days[0])) // every
    assert len(set(slots[chosen < CLOCK.day_start(days[1])])) == (first % every == 0).sum()


def test_a_month_of_days_is_seamless_and_the_carry_of_the_microseconds_is_in_it():
    days = np.arange("1997-12-01", "1998-01-31", dtype="datetime64[D]")
    frames = np.concatenate([SPACECRAFT_CLOCK.list_frames(CLOCK, day) for day in days])
    seconds, _ = SPACECRAFT_CLOCK.compute_times(frames)
    assert (np.diff(frames) == 1).all()
    assert sorted(set(np.diff(seconds))) == [1, 2]


def test_a_leap_second_is_a_second_of_its_day(tmp_path):
    day = np.datetime64("1998-12-31")
    summary = decoded(cris.simulate(day=day, seed=1, directory=tmp_path))["L1CrisSummary"]
    assert int(summary["Second1996"][-1]) - CLOCK.day_start(day) == 86_400
    assert len(SPACECRAFT_CLOCK.list_frames(CLOCK, day)) == 86_401


def test_the_spacecrafts_clock_and_the_time_agree(sample):
    assert CLOCK_OF_SIS == SPACECRAFT_CLOCK
    for code in PERIODIC:
        made = sample[code]
        clock = next(name for name in made.dtype.names if name.startswith("Clock"))
        seconds = made["Second1996"].astype(np.int64)
        frames = made[clock].astype(np.int64)
        microseconds = made["microsecond"] + (seconds - frames - 52_069_705) * 10**6
        assert np.array_equal(microseconds, 604_000 + frames * 85 // 256)
        assert made["microsecond"].max() < 10**6
    for code in ("L1CrisHskp", "L1SisEventCycle", "L1SisDacOffset0"):
        assert (sample[code]["ClockCycle"] % 256 == 0).all()


def test_intervals_carry_the_stamps_of_their_end(sample):
    for code in ("L1CrisCommandTable", "L1SisCommandTable", "L1CrisDiagnosticEvent", "L1SisDiagnosticEvent"):
        made = sample[code]
        frames = made["ClockMinorFrame1"].astype(np.int64)
        seconds, microseconds = SPACECRAFT_CLOCK.compute_times(frames)
        assert np.array_equal(made["Second1996MinorFrame1"], seconds)
        assert np.array_equal(made["MicrosecondMinorFrame1"], microseconds)
        assert (frames > made["ClockMinorFrame0"]).all()
    assert set(sample["L1CrisCommandTable"]["ClockMinorFrame1"] - sample["L1CrisCommandTable"]["ClockMinorFrame0"]) == {
        3072
    }
    assert set(sample["L1SisCommandTable"]["ClockMinorFrame1"] - sample["L1SisCommandTable"]["ClockMinorFrame0"]) == {
        3584
    }


def test_filled_values_are_undefined_and_rare_and_the_others_have_no_mark(sample):
    for code in ("L1CrisHskp", "L1SisHskp"):
        quality = np.stack([sample[code][name] for name in sample[code].dtype.names if name.startswith("QualityMon")])
        values = np.stack([sample[code][name] for name in sample[code].dtype.names if name.startswith("Monitor")])
        assert set(np.unique(quality)) <= {0, 0x40, 0x80}
        assert np.array_equal(quality != 0, values == 0xFFFF)
    hp = sample["L1SisHighPriorityRate"]
    assert set(np.unique(hp["QualityHp"])) == {0, 0x40, 0x80}
    assert np.array_equal(hp["QualityHp"] != 0, hp["hp"] == 0xFFFF)
    assert 0 < (hp["QualityHp"] != 0).mean() < 0.002


@pytest.mark.parametrize("name", ["Cris", "Sis"])
def test_frame_counts_run_and_spacecraft_housekeeping_is_sent_in_one_of_16_frames(sample, name):
    made = sample[f"L1{name}Summary"]
    filled = made["quality"] != 0
    assert 0 < filled.sum() < 100
    assert (made["MinorFrameCount"][filled] == 255).all()
    made = made[~filled]
    turn = made["ClockMinorFrame"] % 16
    assert np.array_equal(made["MinorFrameCount"], turn)
    assert np.array_equal(made["MajorFrameCount"], made["ClockMinorFrame"] // 16 % 8)
    for field, frame in {"MainBusVoltage": 3, f"{name}InternalTemperature2": 9, f"{name}Current": 10}.items():
        assert np.array_equal(made[field] != 255, turn == frame)
    sync = made[f"{name}Hskp"][:, 0] & 0x80
    assert np.array_equal(sync != 0, made["ClockMinorFrame"] % 256 < 128)


@pytest.mark.parametrize(("name", "data", "first"), [("Cris", "CrisData", 4), ("Sis", "SisData", 0)])
def test_subsets_are_made_in_diagnostic_and_command_response_mode_and_agree_with_the_summary(sample, name, data, first):
    summary, subset = sample[f"L1{name}Summary"], sample[f"L1{name}Subset"]
    rows = np.flatnonzero(np.isin(summary["Second1996"], subset["Second1996"]))
    assert len(rows) == len(subset) == 720
    hskp = summary[f"{name}Hskp"]
    assert np.array_equal(subset[data][:, first : first + hskp.shape[1]], hskp[rows])
    assert np.array_equal(subset["MainBusVoltage"], summary["MainBusVoltage"][rows])
    responding = (hskp[:, 0] & 0x60 != 0) & (summary["quality"] == 0)
    assert set(np.flatnonzero(responding)) <= set(rows)
    assert responding.sum() > 700


@pytest.mark.parametrize(("name", "room"), [("Cris", 40), ("Sis", 80)])
def test_command_echoes_are_ascii_of_so_many_characters_and_padded_with_zero_bytes(sample, name, room):
    made = sample[f"L1{name}CommandEcho"]
    assert len(made) == 66
    subset = sample[f"L1{name}Subset"]["Second1996"]
    assert np.isin(made["Second1996"], subset).all()
    for number, text in zip(made["NumberChars"], made["CommandEcho"], strict=True):
        assert len(text) == number <= room
        assert text.decode("ascii").isprintable()
    tables = sample[f"L1{name}CommandTable"]
    assert tables["NumberCommandEchoes"].sum() == 66
    assert tables["NumberCommandEchoes"][0] == 0


@pytest.mark.parametrize(("name", "oldest", "longest"), [("Cris", 63, 162), ("Sis", 7, 109)])
def test_event_buffers_hold_so_many_events_in_order_of_age_and_nothing_else(sample, name, oldest, longest):
    made = sample[f"L1{name}EventCycle"]
    assert len(made) * 256 > 3 * 3600
    for record in made:
        buffer = record["EventBuffer"].tolist()
        spent = np.zeros(oldest + 1, int)
        place, before = 0, (0, 0)
        for _ in range(record["NumberEvents"]):
            age, frame, length = buffer[place : place + 3]
            assert before <= (age, frame) <= (oldest, 255)
            assert 30 <= length <= longest
            spent[age] += length
            place, before = place + 2 + length, (age, frame)
        assert not any(buffer[place:])
        assert np.array_equal(spent, record["NumberNormalEventBytes"])


@pytest.mark.parametrize("name", ["Cris", "Sis"])
def test_low_priority_rates_count_the_events_of_the_cycle(sample, name):
    events = sample[f"L1{name}EventCycle"]
    rates = sample[f"L1{name}LowPriorityRate"][: len(events)]
    assert np.array_equal(rates["Second1996"], events["Second1996"])
    good = rates["QualityNumberEvents"] == 0
    counted = rates["NumberEvents"].reshape(len(rates), -1).sum(axis=1)
    assert np.array_equal(counted[good], events["NumberEvents"][good])


def test_housekeeping_walks_slowly_and_over_midnight_too(sample, next_sample):
    for code in ("L1CrisHskp", "L1SisHskp"):
        for name in ("MonitorP7V", "MonitorM13V", "TemperatureLogicBoard"):
            walk = np.concatenate([sample[code][name], next_sample[code][name]]).astype(int)
            walk = walk[walk != 0xFFFF]
            assert 0 < np.abs(np.diff(walk)).max() < 40
            assert np.ptp(walk) > 10


def test_rates_scatter_about_their_mean_like_counts_and_fluxes_like_log_normal_numbers(sample):
    rates = sample["L1CrisLowPriorityRate"]
    for name in ("z1ab", "z2ab", "mor", "hor", "e2ab"):
        values = rates[name][rates[name] != 0xFFFFFFFF]
        assert 0.6 < values.var() / values.mean() < 1.5
    logarithms = np.log(sample["BrowseCris"]["FluxCnoSum"])
    assert logarithms.std() == pytest.approx(0.25, rel=0.2)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_day_before_the_spacecrafts_clock_began_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(UsageError, match="began on 1997-08-25: 1997-08-25 has no data"):
        INSTRUMENTS[name].simulate(day=np.datetime64("1997-08-25"), seed=1, directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line_writes_the_same_files(files, tmp_path):
    done = call_command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", tmp_path, "--seed", "1")
    assert done.code == 0
    assert digests(tmp_path.iterdir()) == digests(files["cris", DAY])


def test_several_days_have_a_directory_each_with_the_files_that_the_day_has_by_itself(files, tmp_path):
    done = call_command("dayfile", "simulate", "sis", "--day", "1997-10-31", "--days", "2", "--out", tmp_path)
    assert done.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"1997-10-31", "1997-11-01"}
    for day in (DAY, NEXT):
        assert digests((tmp_path / str(day)).iterdir()) == digests(files["sis", day])
    assert done.out.startswith(f"{2 * len(files['sis', DAY])} files")


@pytest.mark.parametrize("days", ["0", "-1"])
def test_no_days_at_all_are_refused(tmp_path, days):
    done = call_command("dayfile", "simulate", "sis", "--day", "1997-10-31", "--days", days, "--out", tmp_path)
    assert done.code == 2
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    done = call_command("dayfile", "simulate", "sis", "--day", "1997-10-31", "--out", tmp_path / "file")
    assert done.code == StorageError.exit_code
    assert "file: could not write: File exists" in done.err


def test_several_days_are_for_files_and_not_for_a_server():
    done = call_command("dayfile", "simulate", "sis", "--days", "2", "--upload", "http://localhost:1")
    assert done.code == UsageError.exit_code
    assert "--days N and --out DIR for files" in done.err


def test_an_archive_takes_every_record_of_two_days_and_finds_no_overlap(files, sample, next_sample, tmp_path):
    archive = create_archive(tmp_path / "archive", plugins=["cris", "sis"])
    paths = [path for written in files.values() for path in written]
    report = archive.ingest(paths)
    assert report.exit_code == 0
    assert report.sources == {"archived": len(paths), "already": 0, "quarantined": 0, "held": 0, "left": 0}
    assert not report.quarantine
    for code, data_type in types_by_code().items():
        counts = report.records[data_type.name]
        assert counts == {
            "written": len(sample[code]) + len(next_sample[code]),
            "identical": 0,
            "overlap": 0,
            "rejected": 0,
        }
    assert len(report.day_files) == 2 * len(types_by_code())
    archive = open_archive(tmp_path / "archive")
    for code in ("L1CrisSummary", "L1SisEventCycle", "BrowseSis"):
        both = archive.read(types_by_code()[code].name)
        assert len(both) == len(sample[code]) + len(next_sample[code])


def muon_counts(*fields):
    return DataType(
        instrument="muon",
        type="counts",
        code="MuonCounts",
        title="Counts of a muon telescope",
        fields=(Field("Second", "uint32", unit="s"), *fields),
        clock=Clock(np.datetime64("1970-01-01T00:00:00")),
        time="Second",
        placement=Placement("append", "muon", Node("/counts")),
    )


EVERY_KIND = muon_counts(
    Field("row", "uint32", counter=True),
    Field("nanosecond", "uint32", unit="ns"),
    Field("coincidence", "bool", (2,)),
    Field("note", "char", (3, 12)),
    Field("trace", "int32", (2,), blob="base64"),
    *(Field(f"i{bits}", f"int{bits}", (4,)) for bits in (8, 16, 32, 64)),
    *(Field(f"u{bits}", f"uint{bits}") for bits in (8, 16, 32, 64)),
    Field("flux", "float32", (2, 3)),
    Field("QualityFlux", "uint8", (2, 3)),
    Field("QualityU16", "uint8"),
    Field("qualityI16", "uint8"),
)


@given(number=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_any_type_can_be_filled_from_its_fields_alone(number, seed):
    made = sample_records(EVERY_KIND, np.arange(number), np.random.default_rng(seed))
    assert made.dtype == EVERY_KIND.dtype
    assert made["Second"].tolist() == list(range(number))
    assert made["row"].tolist() == list(range(1, number + 1))
    assert (made["nanosecond"] < 10**9).all()
    assert (made["trace"] == -1).all()
    assert (made["i8"] >= 0).all()
    assert all(text.isalpha() for row in made["note"].tolist() for text in row)
    assert np.array_equal(np.isnan(made["flux"]), made["QualityFlux"] != 0)
    assert np.array_equal(made["i16"] == -1, np.repeat((made["qualityI16"] != 0)[:, np.newaxis], 4, axis=1))


def test_overrides_may_be_values_patterns_or_draws_and_the_last_that_fits_counts():
    def ramp(field, seconds, rng):
        return seconds[:, np.newaxis] + np.arange(4)

    times = np.arange(5)
    made = sample_records(EVERY_KIND, times, np.random.default_rng(1), {"u*": 7, "u16": times, "i32": ramp})
    assert (made["u8"] == 7).all()
    assert made["u16"].tolist() == times.tolist()
    assert made["i32"][2].tolist() == [2, 3, 4, 5]


def test_quality_that_is_given_decides_what_is_filled():
    made = sample_records(
        EVERY_KIND, np.arange(4), np.random.default_rng(1), {"QualityU16": [0, 0x40, 0x01, 0x80], "u16": 5}
    )
    assert made["u16"].tolist() == [5, 0xFFFF, 5, 0xFFFF]


@pytest.mark.parametrize(("overrides", "complaint"), [({"u61": 1}, "no field 'u61'"), ({"u8": 256}, "into uint8")])
def test_an_override_that_fits_no_field_or_does_not_fit_into_it_is_refused(overrides, complaint):
    with pytest.raises(UsageError, match=complaint):
        sample_records(EVERY_KIND, np.arange(4), np.random.default_rng(1), overrides)


def test_what_a_field_is_like_follows_from_its_name_and_not_from_the_day():
    data_type = muon_counts(Field("rate", "uint16", (6,)), Field("tube", "uint8", (6,)))
    first, second = (
        sample_records(data_type, times, np.random.default_rng(n))
        for n, times in enumerate(np.arange(4000).reshape(2, -1))
    )
    assert first["rate"].mean(axis=0) == pytest.approx(second["rate"].mean(axis=0), rel=0.1)
    assert np.abs(first["tube"].mean(axis=0) - second["tube"].mean(axis=0)).max() < 5
    assert not np.array_equal(first["rate"], second["rate"])


def test_events_that_may_not_fit_into_the_buffer_are_refused():
    with pytest.raises(UsageError, match="5 events of up to 100 bytes"):
        sample_event_buffers(np.array([5]), 500, np.random.default_rng(1), lengths=(30, 100), ages=4)


def test_records_with_a_frame_in_a_gap_are_left_out():
    telemetry = TelemetryDay(SPACECRAFT_CLOCK, cris.layout.by_code(), DAY, 1)
    lost = np.concatenate([np.arange(begin, end) for begin, end in telemetry.gaps])
    assert np.array_equal(np.union1d(telemetry.list_frames(), lost), telemetry.all_frames)
    for every in (16, 256):
        covered = (telemetry.list_frames(every)[:, np.newaxis] + np.arange(every)).ravel()
        assert not np.isin(covered, lost).any()
