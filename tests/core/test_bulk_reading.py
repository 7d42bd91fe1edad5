"""Reading much at once gives what reading it plainly gives: records in few copies, blobs in few slices."""

from __future__ import annotations

from contextlib import closing
from unittest.mock import patch

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from dayfile import hookimpl, open_archive
from dayfile.archive import opening
from dayfile.archive.reading import Reader
from dayfile.archive.survey import open_leaves
from dayfile.errors import StorageError, UsageError
from dayfile.hdf5 import rows
from dayfile.hdf5.vlen import VlenArray, open_vlen_array
from dayfile.model.validity import ALWAYS, NEVER, find_valid_between
from dayfile.stores.blobs import SLICE, take_blobs
from dayfile.stores.declarations import BY_DIGEST, parse_data_type, read_data_type
from dayfile.stores.slots import find_filled


def plainly(archive, name, start, stop):
    """Records of a type between two times, the plain way: every table of every file, records one by one."""
    found = []
    for row in archive.catalogue.rows(name):
        with tables.open_file(archive.root.path / row.path) as file:
            for table in open_leaves(file):
                data_type = None if isinstance(table, VlenArray) else read_data_type(table)
                if data_type is None or data_type.name != name:
                    continue
                rows = file.get_node(table.path).read()
                if data_type.placement.store == "slots":
                    rows = rows[[record.tobytes().strip(b"\0") != b"" for record in rows]]
                    rows = rows[[record.tobytes().strip(b"\xff") != b"" for record in rows]]
                first = data_type.clock.read(start) if np.isfinite(start) else ALWAYS
                last = data_type.clock.read(stop) if np.isfinite(stop) else NEVER
                found += list(rows[find_valid_between(rows, data_type, first, last)])
    return b"".join(record.tobytes() for record in sorted(found, key=lambda record: record["second"]))


@pytest.mark.parametrize("seed", range(3))
def test_random_archives_are_read_as_the_plain_way_reads_them(seed, archive, muon):
    rng = np.random.default_rng(seed)
    span = 2 * 86400
    for number in range(3):
        seconds = muon.start + rng.integers(0, span, 200)
        hits = muon.records("hits", [{"second": second, "energy": rng.random()} for second in seconds])
        archive.drop("MuonHit.be.bin", muon.stream("hits", hits), str(number))
        # Of one slot in two there is a record, of some several that contend for it.
        cycles = muon.start + rng.choice(np.arange(0, span, 256), 300) + rng.integers(0, 2, 300)
        rates = muon.records("rates", [{"second": second, "temperature": rng.random()} for second in cycles])
        archive.drop("MuonRates.be.bin", muon.stream("rates", rates), str(number))
    archive.run()
    ranges = [(-np.inf, np.inf), *np.sort(muon.start + rng.integers(-300, span + 300, (8, 2)), axis=1).tolist()]
    for name in ("muon.hits", "muon.rates"):
        for start, stop in ranges:
            reader = Reader(archive.root, read_bytes=int(rng.integers(100, 4000)))
            records = reader.read(name, *((start, stop) if np.isfinite(start) else ()))
            assert records.array.tobytes() == plainly(reader, name, start, stop)
            assert len(records.origins) == len(records)
            assert len(set(records.origins.tolist())) <= len(records.places)


@given(
    size=st.sampled_from([1, 3, 7, 8, 9, 24]),
    rows=st.lists(
        st.tuples(st.sampled_from([0x00, 0xFF, 0x01]), st.integers(0, 23), st.sampled_from([0x00, 0xFF, 0x7F]))
    ),
)
def test_a_slot_is_filled_by_any_byte_that_an_empty_one_or_one_in_conflict_does_not_have(size, rows):
    content = np.zeros((len(rows), size), np.uint8)
    for row, (byte, place, other) in zip(content, rows, strict=True):
        row[:] = byte
        row[place % size] = other
    expected = [bytes(row) not in {b"\0" * size, b"\xff" * size} for row in content]
    assert find_filled(content.view(np.dtype((np.void, size))).ravel()).tolist() == expected


def test_a_table_that_stands_elsewhere_is_read_too(archive, muon):
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", [{"second": muon.start + 5}])))
    archive.run()
    (path,) = archive.root.path.rglob("*.hit.h5")
    with tables.open_file(path, "a") as file:
        file.root.hits.copy(file.create_group("/", "before"), "hits")
    records = open_archive(archive.root.path).read("muon.hits")
    assert records["second"].tolist() == [muon.start + 5] * 2


class School:
    """A plugin: a source is a station and how many events it sends, every third without a second trace."""

    def __init__(self, school):
        self.school = school

    @hookimpl
    def data_types(self):
        return self.school.types.values()

    @hookimpl
    def decode(self, source):
        station, first, last = map(int, source.content.split())
        rows = [
            (second, 1.5, b"x", b"%d of %d" % (second, station), None if second % 3 == 0 else b"second" * (second % 5))
            for second in range(first, last, 7)
        ]
        yield self.school.make_events(rows, station=station)
        yield self.school.make_errors([(last, b"late")], numbers=[len(rows)], station=station)


@pytest.fixture
def stations(archive, school, plugins_of):
    """Two stations over three days, events of one day in several sources and not in time order."""
    for number, content in enumerate((b"7 90000 91000", b"7 100 1500", b"501 0 800", b"501 172000 173000", b"7 0 90")):
        archive.drop(f"{number}", content)
    archive.run(plugins=plugins_of(school=School(school)))
    return open_archive(archive.root.path)


def test_tables_of_other_stations_are_not_opened(stations):
    opened = []
    open_dataset = rows.open_dataset

    def noting(file, path):
        opened.append(path)
        return open_dataset(file, path)

    with patch.object(rows, "open_dataset", noting):
        records = stations.read("school.events", station=501)
    assert set(records["station"].tolist()) == {501}
    assert "/school/station_501/events" in opened
    assert "/school/station_7/events" not in opened


def test_all_blobs_are_those_of_each_record(stations):
    records = stations.read("school.events")
    blobs = records.all_blobs("traces")
    assert blobs.shape == records["traces"].shape == (len(records), 2)
    assert blobs.tolist() == [records.blobs("traces", row) for row in range(len(records))]
    assert blobs[5].tolist()[0].endswith(b" of %d" % records["station"][5])
    assert {type(blob) for blob in blobs.ravel()} == {bytes, type(None)}


def test_a_single_blob_a_record_comes_without_a_dimension_of_its_own(stations):
    assert stations.read("school.errors", station=501).all_blobs("message").tolist() == [b"late", b"late"]


def test_each_day_file_is_opened_once_for_all_blobs(stations):
    records = stations.read("school.events")
    with patch.object(opening, "open_to_read", wraps=opening.open_to_read) as opened:
        records.all_blobs("traces")
    assert len({place.path for place in records.places}) == 3 < len(records.places)
    assert opened.call_count == 3


def test_without_records_there_are_no_blobs(stations):
    assert stations.read("school.events", "2030-01-01", "2030-01-02").all_blobs("traces").shape == (0, 2)


def test_a_field_without_blobs_has_none_to_give(stations):
    with pytest.raises(UsageError, match=r"'height' holds no blobs; these do: traces"):
        stations.read("school.events").all_blobs("height")


def test_a_blob_that_the_day_file_does_not_have_is_told_with_its_place(stations):
    records = stations.read("school.events", station=7)
    records.array["traces"][0, 0] = 10**6
    for read in (lambda: records.all_blobs("traces"), lambda: records.blobs("traces", 0)):
        with pytest.raises(StorageError, match=r"\.h5: /school/station_7/blobs does not have blob 1000000"):
            read()


def test_blobs_of_a_day_file_that_is_gone_are_told_with_its_place(stations):
    records = stations.read("school.events")
    records.places[0].path.unlink()
    with pytest.raises(StorageError, match=r"\.h5"):
        records.all_blobs("traces")


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """An array of blobs, open, and what it holds."""
    sent = [b"%d" % number * (number % 4) for number in range(5 * SLICE)]
    with tables.open_file(tmp_path_factory.mktemp("values") / "values.h5", "w") as file:
        array = file.create_vlarray("/", "values", tables.VLStringAtom(), chunkshape=16)
        for value in sent:
            array.append(value)
        file.flush()
        with closing(open_vlen_array(file, "/values")) as opened:
            yield opened, sent


@given(data=st.data())
def test_blobs_in_any_order_are_found_by_their_index(data, values):
    array, sent = values
    indexes = data.draw(st.lists(st.integers(-2, len(sent) - 1)))
    if data.draw(st.booleans()):
        indexes += range(SLICE // 2, 3 * SLICE)
    found = take_blobs(array, np.array(indexes, np.int32))
    assert found.tolist() == [sent[index] if index >= 0 else None for index in indexes]


def test_a_blob_beyond_the_last_is_refused(values):
    array, sent = values
    with pytest.raises(IndexError, match=f"the array has no value {len(sent)}, only {len(sent)}"):
        take_blobs(array, np.array([0, len(sent) - 1, len(sent)]))


def test_blobs_are_read_in_slices_that_leave_out_what_is_far(values, monkeypatch):
    array, sent = values
    ranges = []

    read = VlenArray.read

    def noting(array, start, stop):
        ranges.append((start, stop))
        return read(array, start, stop)

    monkeypatch.setattr(VlenArray, "read", noting)
    asked = [0, 1, 5, 40, 2 * SLICE, 2 * SLICE + 1, 3 * SLICE - 1, 3 * SLICE]
    assert take_blobs(array, np.array(asked)).tolist() == [sent[index] for index in asked]
    last = 3 * SLICE
    assert ranges == [(0, 6), (40, 41), (2 * SLICE, 2 * SLICE + 2), (last - 1, last), (last, last + 1)]


def test_the_data_type_of_like_tables_is_made_once(stations):
    parse_data_type.cache_clear()
    BY_DIGEST.clear()
    stations.read("school.events")
    assert parse_data_type.cache_info().misses == 2  # events and errors
