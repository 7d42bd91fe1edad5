"""A large source is read block by block: what is archived of it is what would be if it were read whole, or nothing."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from archives import list_entries, make_settings, read_checksums, read_ledger, run_archive
from dayfile import Blocks, Instrument, SourceError, create_archive, hookimpl, open_archive
from dayfile.engine.intake import Arrival
from dayfile.engine.starting import start_run
from dayfile.engine.tuning import Tuning

MB = 2**20
DAY = 1_714_521_600
"""2024-05-01, seconds since 1970."""
LAYOUT = """\
instrument: flood
title: Water levels
clock: {epoch: 1970-01-01T00:00:00, undefined: [0]}
valid: {from: 2000-01-01}
structs: {byte_order: little, alignment: packed}
sources: [struct_streams, flat_files]
flat_files: {format: levels, name: "{year}{month:02}{day:02}.{type}"}
path: "flood/{year}{month:02}{day:02}.h5"
types:
  levels:
    code: Level
    title: Levels
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: level, type: uint16, shape: [6]}]
  minutes:
    code: Minute
    title: Levels of one minute
    store: slots
    period: 60
    time: second
    fields: [{name: second, type: uint32}, {name: level, type: uint16}]
"""
WHOLE, IN_BLOCKS = {"block_bytes": 2**24}, {"block_bytes": 100}
"""A source at once; six levels, or sixteen minutes."""


@pytest.fixture
def flood():
    return Instrument(LAYOUT, "flood.yaml")


@pytest.fixture
def archives(tmp_path, plugins_of):
    """Archives by name: drop sources into one, and run it."""

    class Place:
        def __init__(self, name):
            self.root = create_archive(tmp_path / name).root

        def drop(self, name, content):
            (self.root.incoming / name).write_bytes(content)

        def run(self, tuning=IN_BLOCKS, *given, plugins, **core):
            loaded = plugins_of(**plugins)
            assert loaded.failures == []
            return run_archive(self.root, loaded, *given, tuning=tuning, **core)

        def files(self):
            """Checksums of all tables, and the sources, by day file; when they came differs from run to run."""
            found = {}
            for path in self.root.path.glob("flood/*.h5"):
                sources = [(entry.sha256, entry.name, entry.records) for entry in read_ledger(path)]
                found[path.name] = read_checksums(path), sources
            return found

        def entries(self):
            return list_entries(self.root)

        def read(self, name="flood.levels"):
            return open_archive(self.root.path).read(name)

    return Place


def records(instrument, name, seconds):
    made = np.zeros(len(seconds), next(each for each in instrument.layout.types if each.type == name).dtype)
    made["second"] = seconds
    made["level"] = np.arange(made["level"].size).reshape(made["level"].shape)
    return made


STREAMS = {
    "one day": ("levels", "Level", DAY + np.arange(100)),
    "several days": ("levels", "Level", DAY + np.arange(100) * 7000),
    "days in turn": ("levels", "Level", DAY + np.arange(100) % 3 * 86400 + np.arange(100)),
    "the same again": ("levels", "Level", DAY + np.arange(100) % 10),
    "slots": ("minutes", "Minute", DAY + np.arange(100) * 60),
    "slots in conflict": ("minutes", "Minute", DAY + np.arange(100) % 40 * 60),
    "some without a time": ("levels", "Level", np.where(np.arange(100) % 9, DAY + np.arange(100), 0)),
    "some that are not plausible": ("levels", "Level", np.where(np.arange(100) % 9, DAY + np.arange(100), 1000)),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_what_is_archived_is_what_would_be_if_it_were_read_whole(archives, flood, stream):
    name, code, seconds = STREAMS[stream]
    content = records(flood, name, seconds).tobytes()
    found = []
    for tuning in (WHOLE, IN_BLOCKS):
        place = archives(f"archive-{tuning['block_bytes']}")
        place.drop(f"{code}.le.bin", content)
        report = place.run(tuning, plugins={"flood": flood})
        rejected = b"".join(sorted(entry.content.read_bytes() for entry in place.entries()))
        found.append((report.sources, report.records, report.exit_code, place.files(), len(rejected)))
        place.drop(f"{code}.le.bin", content)
        assert place.run(tuning, plugins={"flood": flood}).sources["already"] == 1
    assert found[0] == found[1]


def test_a_slot_file_is_the_same_in_blocks_with_its_conflicts(archives, flood, tmp_path, plugins_of, install, command):
    place = archives("first")
    place.drop("Minute.le.bin", records(flood, "minutes", DAY + np.arange(100) % 70 * 60).tobytes())
    place.run(plugins={"flood": flood})
    out = tmp_path / "out"
    words = ["flood.minutes", "--day", "2024-05-01", "--format", "levels", "-o", out]
    install(plugins_of(flood=flood))
    assert command("dayfile", "export", *words, archive=place.root.path).code == 0
    paths = sorted(out.iterdir())
    assert len(paths) == 2
    found = []
    for tuning in (WHOLE, IN_BLOCKS):
        again = archives(f"again-{tuning['block_bytes']}")
        report = again.run(tuning, *paths, plugins={"flood": flood})
        found.append((report.sources, report.records, report.remarks, again.files()))
    assert found[0] == found[1]
    assert len(found[0][2]) == 1


class Unsteady(Instrument):
    """Fails in its last block."""

    @hookimpl
    def decode(self, source):
        answer = super().decode(source)

        def read():
            yield from answer
            raise SourceError("the last block is not good", where=source.name)

        return answer and Blocks(read)


def test_a_source_that_is_bad_in_its_last_block_goes_to_quarantine_whole(archives):
    instrument = Unsteady(LAYOUT, "flood.yaml")
    content = records(instrument, "levels", DAY + np.arange(100)).tobytes()
    place = archives("archive")
    place.drop("Level.le.bin", content)
    report = place.run(plugins={"flood": instrument})
    assert (report.sources["quarantined"], report.records, place.files()) == (1, {}, {})
    (entry,) = place.entries()
    assert entry.content.read_bytes() == content
    assert "the last block is not good" in entry.reason["message"]


@pytest.mark.parametrize("cut", [1, 15, 17])
def test_a_truncated_stream_is_reported_as_one_that_is_read_whole(archives, flood, cut):
    content = records(flood, "levels", DAY + np.arange(100)).tobytes()[:-cut]
    messages = []
    for tuning in (WHOLE, IN_BLOCKS):
        place = archives(f"archive-{tuning['block_bytes']}")
        place.drop("Level.le.bin", content)
        place.run(tuning, plugins={"flood": flood})
        (entry,) = place.entries()
        messages.append((entry.reason["message"], entry.reason["offset"], entry.content.read_bytes() == content))
        assert place.files() == {}
    assert messages[0] == messages[1]
    assert messages[0][2]


def test_a_stream_of_too_many_days_goes_to_quarantine_whole(archives, flood):
    place = archives("archive")
    place.drop("Level.le.bin", records(flood, "levels", DAY + np.arange(100) * 86400).tobytes())
    report = place.run(plugins={"flood": flood}, run__most_new_days=20)
    (entry,) = place.entries()
    assert "more than 20 of them have no day file yet" in entry.reason["message"]
    assert (report.sources["quarantined"], place.files()) == (1, {})


class Refusing(Instrument):
    """Cannot write what its last block has."""

    refused = DAY + 99

    @hookimpl
    def write(self, work_file, data_type, batch):
        if (batch.records["second"] == self.refused).any():
            raise RuntimeError("boom")
        return work_file.write(data_type, batch)


def test_a_source_whose_last_block_cannot_be_written_leaves_nothing_and_costs_others_nothing(archives):
    instrument = Refusing(LAYOUT, "flood.yaml")
    place = archives("archive")
    place.drop("Level.be.bin", records(instrument, "levels", [DAY + 1000]).byteswap().tobytes())
    large = records(instrument, "levels", DAY + np.arange(100)).tobytes()
    place.drop("Level.le.bin", large)
    first = place.run(plugins={"flood": instrument})
    assert (first.sources["quarantined"], first.sources["held"], place.files()) == (1, 1, {})
    (entry,) = place.entries()
    assert entry.content.read_bytes() == large
    second = place.run(plugins={"flood": instrument})
    assert (second.sources["archived"], second.exit_code) == (1, 0)
    assert place.read()["second"].tolist() == [DAY + 1000]


class Meddler:
    """Changes a source after a number of looks."""

    def __init__(self, instrument, looks):
        self.instrument, self.looks = instrument, looks

    @hookimpl
    def data_types(self):
        return self.instrument.data_types()

    @hookimpl
    def decode(self, source):
        answer = self.instrument.decode(source)

        def read():
            for item in answer:
                self.looks -= 1
                if self.looks == 0:
                    with source.path.open("ab") as file:
                        file.write(b"more")
                yield item

        return answer and Blocks(read)


@pytest.mark.parametrize("looks", [1, 5, 17, 18, 25, 34])
def test_a_source_that_changes_meanwhile_is_left_for_the_next_run(archives, flood, looks):
    place = archives("archive")
    place.drop("Level.le.bin", records(flood, "levels", DAY + np.arange(100)).tobytes())
    report = place.run(plugins={"flood": Meddler(flood, looks)})
    assert (report.sources["archived"], report.records, place.files(), place.entries()) == (0, {}, {}, [])
    assert len(report.held) == 1
    waiting = [*place.root.incoming.rglob("*.bin"), *place.root.accepted.rglob("*.bin")]
    assert [path.read_bytes()[-4:] for path in waiting] == [b"more"]


def test_what_is_decoded_whole_is_decoded_once(archives, flood):
    calls = []

    class Whole(Instrument):
        @hookimpl
        def decode(self, source):
            calls.append(source.size)
            return list(super().decode(source))

    place = archives("archive")
    place.drop("Level.le.bin", records(flood, "levels", DAY + np.arange(100)).tobytes())
    assert place.run(plugins={"flood": Whole(LAYOUT, "flood.yaml")}).sources["archived"] == 1
    assert calls == [1600]


WIDE = LAYOUT.replace("shape: [6]", "shape: [32766]")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize("bad", [False, True])
def test_a_large_stream_takes_no_more_memory_than_some_blocks(archives, bad):
    instrument = Instrument(WIDE, "flood.yaml")
    place = archives("archive")
    size = 4 + 2 * 32766
    with (place.root.incoming / "Level.le.bin").open("wb") as file:
        for number in range(200 * MB // size):
            file.seek(number * size)
            file.write(np.uint32(0 if bad else DAY + number).tobytes())
        file.truncate((number + 1) * size)
    child = os.fork()
    if child == 0:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + 150 * MB
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            report = place.run({"block_bytes": 8 * MB}, plugins={"flood": instrument}, sources__keep="always")
            counts = report.records["flood.levels"]
            os._exit(0 if counts["rejected" if bad else "written"] == number + 1 else 1)
        except BaseException:  # noqa: BLE001 - a child must not go on with the tests
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_each_block_of_a_large_source_is_a_sign_of_life_and_what_takes_long_is_named_before(
    archives, flood, plugins_of
):
    place = archives("archive")
    content = records(flood, "levels", DAY + np.arange(100)).tobytes()
    place.drop("Level.le.bin", content)
    plugins = plugins_of(flood=flood)
    seen = []
    with start_run(place.root, plugins, make_settings(plugins), tuning=Tuning(**IN_BLOCKS)) as run:
        run.recorder.observers.append(lambda state: seen.append((state.doing, state.patience)))
        run.take([Arrival(place.root.incoming / "Level.le.bin", ours=False)])
        blocks = len(seen)
        run.publish()
    assert blocks > 2 * len(content) / IN_BLOCKS["block_bytes"]
    doing = [each for each, _ in seen]
    assert any(each.startswith("taking Level.le.bin (") for each in doing)
    (publishing,) = {
        each for each in seen[blocks:] if each[0].startswith("publishing flood/20240501.h5 (") and each[1] != 120
    }
    assert publishing[1] > 120, "it has longer, by its size"
