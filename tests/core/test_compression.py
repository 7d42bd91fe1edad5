"""The words ``compress``, ``chunk`` and ``clock`` of a type: how its tables are stored, and how its times count."""

from __future__ import annotations

import numpy as np
import pytest
import tables

import dayfile
from archives import run_archive
from dayfile import Instrument, LayoutError
from dayfile.archive.root import Root

LAYOUT = """\
instrument: sky
title: All-sky camera
clock: {epoch: 1970-01-01T00:00:00, unit: ms}
structs: {byte_order: little}
sources: [struct_streams]
path: "sky/{year}/{month:02}/{day:02}.h5"
types:
  frames:
    code: Frame
    title: Frames
    store: append
    time: stamp
    fields:
      - {name: stamp, type: int64, unit: ms}
      - {name: pixels, type: uint16, shape: [64, 64]}
  rates:
    code: Rates
    title: Rates
    store: slots
    period: 60
    time: second
    clock: {epoch: 1980-01-06T00:00:00, scale: gps, doc: as the receiver counts}
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: rate, type: uint16}
"""
FIRST = 1714521600000  # 2024-05-01
GPS_FIRST = 1398556818  # the same in seconds of GPS time


def make_frames(number):
    """Frames of a dark sky with a little noise, a minute apart."""
    rng = np.random.default_rng(5)
    frames = np.zeros(number, [("stamp", "<i8"), ("pixels", "<u2", (64, 64))])
    frames["stamp"] = FIRST + 60_000 * np.arange(number)
    frames["pixels"] = rng.normal(1000, 8, frames["pixels"].shape).astype("u2")
    return frames


def archive_of(path, layout):
    return dayfile.create_archive(path, plugins={"sky": Instrument(layout, "sky.yaml")})


def compress(words):
    return LAYOUT.replace("code: Frame\n", f"code: Frame\n    {words}\n")


@pytest.mark.parametrize(
    ("words", "library", "level", "least"),
    [
        ("compress: zlib", "zlib", 4, 0.6),
        ("compress: {kind: zlib, level: 9}", "zlib", 9, 0.6),
        ("compress: blosc", "blosc:zstd", 1, 0.6),
    ],
)
def test_tables_are_compressed_and_read_as_they_were_put(tmp_path, words, library, level, least):
    frames = make_frames(40)
    plain, small = (archive_of(tmp_path / name, text) for name, text in (("a", LAYOUT), ("b", compress(words))))
    for archive in (plain, small):
        archive.put("sky.frames", frames[:10])
        archive.put("sky.frames", frames[10:])
    sizes = [(archive.root.path / "sky/2024/05/01.h5").stat().st_size for archive in (plain, small)]
    assert sizes[1] < least * sizes[0]
    assert small.read("sky.frames").array.tobytes() == plain.read("sky.frames").array.tobytes() == frames.tobytes()
    assert small.read("sky.frames", fields=["stamp"])["stamp"].tolist() == frames["stamp"].tolist()
    with tables.open_file(small.root.path / "sky/2024/05/01.h5") as file:
        assert (file.root.frames.filters.complib, file.root.frames.filters.complevel) == (library, level)
    assert small.put("sky.frames", frames).tolist() == [3] * 40  # they are there already


@pytest.mark.parametrize("words", ["compress: none", "compress: {kind: none}"])
def test_what_is_not_compressed_is_stored_as_ever(tmp_path, words):
    files = []
    for name, text in (("a", LAYOUT), ("b", compress(words))):
        archive = archive_of(tmp_path / name, text)
        archive.put("sky.frames", make_frames(3))
        files.append(archive.root.path / "sky/2024/05/01.h5")
    with tables.open_file(files[0]) as one, tables.open_file(files[1]) as other:
        assert one.root.frames.filters.complevel == other.root.frames.filters.complevel == 0
        assert one.root.frames.chunkshape == other.root.frames.chunkshape


def test_a_type_says_how_many_records_are_in_a_chunk(tmp_path):
    archive = archive_of(tmp_path, compress("chunk: 5"))
    archive.put("sky.frames", make_frames(12))
    with tables.open_file(archive.root.path / "sky/2024/05/01.h5") as file:
        assert file.root.frames.chunkshape == (5,)
    assert len(archive.read("sky.frames")) == 12


def read_chunks(path):
    """The chunks of the table of frames as they are in the file, with their places."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        dataset = file["frames"].id
        chunks = [dataset.get_chunk_info(index) for index in range(dataset.get_num_chunks())]
        return [(chunk.byte_offset, dataset.read_direct_chunk(chunk.chunk_offset)[1]) for chunk in chunks]


@pytest.mark.parametrize("kind", ["none", "zlib", "blosc"])
def test_a_run_in_processes_writes_the_same_compressed_bytes(tmp_path, plugins_of, kind):
    frames, files = make_frames(60), []
    for number in range(10):
        source = tmp_path / "sources" / str(number) / "Frame.le.bin"
        source.parent.mkdir(parents=True)
        source.write_bytes(frames[number * 6 : number * 6 + 6].tobytes())
    plugins = plugins_of(sky=Instrument(compress(f"compress: {kind}"), "sky.yaml"))
    for workers in (None, 2):
        root = Root(tmp_path / str(workers))
        root.create()
        run_archive(root, plugins, tmp_path / "sources", workers=workers)
        files.append(read_chunks(root.path / "sky/2024/05/01.h5"))
    assert files[0] == files[1]
    assert len(dayfile.open_archive(tmp_path / "2").read("sky.frames")) == 60


def test_a_type_has_a_clock_of_its_own(tmp_path):
    archive = archive_of(tmp_path, LAYOUT)
    rates = np.array([(GPS_FIRST + 60, 7)], [("second", "u4"), ("rate", "u2")])
    archive.put("sky.rates", rates)
    archive.put("sky.frames", make_frames(2))
    found = dayfile.open_archive(tmp_path).read("sky.rates")
    assert str(found.times[0]) == "2024-05-01T00:01:00.000000000"
    assert found.times[0] == dayfile.open_archive(tmp_path).read("sky.frames").times[1]
    assert archive.plugins.data_types["sky.rates"].clock_doc == "as the receiver counts"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compress: zip", r"sky\.yaml:10:15: types\.frames\.compress.*'zip' must be 'zlib', 'blosc' or 'none'"),
        ("compress: {kind: zlib, level: 10}", "10"),
        ("compress: {kind: zlib, level: 0}", "0"),
        ("compress: {kind: none, level: 4}", "what is not compressed has no level"),
        ("compress: {level: 4}", "'kind' is missing"),
        ("compress: ", "the value is missing"),
        ("chunk: 0", "0"),
        ("chunk: 10000", "a chunk would have 82,000,000 bytes; 16777216 is the most"),
        ("chunk: ", "the value is missing"),
        ("clock: ", "the value is missing"),
        ("clock: {epoch: 1600-01-01T00:00:00}", r"types\.frames\.clock\.epoch: the year must be between"),
        ("clock: {epoch: 1970-01-01T00:00:00, units: s}", "unknown key 'units'; did you mean 'unit'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(words, message):
    with pytest.raises(LayoutError, match=message):
        Instrument(compress(words), "sky.yaml").layout  # noqa: B018 - compiles it
