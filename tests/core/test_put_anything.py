"""Records of every type can be put, with keys and blobs; read back and rebuilt, they are as they were."""

from __future__ import annotations

import numpy as np
import pytest
import tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archives import find_defects, list_entries, read_ledger, rebuild_day
from dayfile import DataType, Field, Instrument, create_archive, hookimpl
from dayfile.errors import UsageError

WRITTEN, CONFLICT, IDENTICAL, REJECTED = 0, 1, 3, 4
EVENTS, ERRORS = "school.events", "school.errors"
ROOFS = "school/2017_2_26.h5"


@pytest.fixture
def opened(muon, school, tmp_path):
    return create_archive(
        tmp_path / "archive",
        plugins={"muon": muon.instrument, "school": school.instrument},
        settings={"sources.keep": "always"},
    )


def events(school, *seconds):
    """Events without the fields that a program need not give."""
    records = np.zeros(len(seconds), [("timestamp", "i4"), ("height", "f4"), ("label", "S4")])
    records["timestamp"] = [school.start + second for second in seconds]
    records["height"] = seconds
    return records


def traces(*rows):
    """Traces of n events, two each: bytes or None."""
    array = np.full((len(rows), 2), None, object)
    for place, row in enumerate(rows):
        array[place, : len(row)] = row
    return array


def content_of(archive, path):
    """Every table and blob array of a day file, as bytes, without what says when it was archived."""
    with tables.open_file(archive.root.path / path) as file:
        nodes = {node._v_pathname: node for node in file.walk_nodes("/", "Leaf")}
        found = {
            name: [bytes(each) for each in node] if isinstance(node, tables.VLArray) else node[:].tobytes()
            for name, node in nodes.items()
            if not name.startswith("/dayfile_ledger/sources")
        }
    listed = read_ledger(archive.root.path / path)
    return found, [(entry.sha256, entry.name, entry.records) for entry in listed]


def rebuild_all(archive):
    """Remove each day file, rebuild it, and compare what it holds."""
    for path in archive.root.list_day_files():
        before, listed = content_of(archive, path)
        (archive.root.path / path).unlink()
        report = rebuild_day(archive.root, archive.plugins, archive.settings, path)
        assert (report.exit_code, report.day_files) == (0, [path])
        after, again = content_of(archive, path)
        assert after == before
        assert again == listed
    assert find_defects(archive.root) == []


# ---- Keys and blobs


def test_records_with_keys_and_blobs_are_read_back_as_they_were_put(opened, school):
    given = traces([b"a\0", b""], [], [None, b"c"])
    statuses = opened.put(EVENTS, events(school, 3, 1, 2), station=501, blobs={"traces": given})
    assert statuses.tolist() == [WRITTEN] * 3
    found = opened.read(EVENTS)
    assert found["station"].tolist() == [501] * 3
    assert found["event_id"].tolist() == [2, 3, 1]  # the rows of the table are in the order of the put
    assert found.array["height"].tolist() == [1, 2, 3]
    assert found.all_blobs("traces").tolist() == [[None, None], [None, b"c"], [b"a\0", b""]]
    rebuild_all(opened)


def test_records_that_are_there_already_are_identical_only_with_the_same_keys_and_blobs(opened, school):
    def put(station, *row):
        return opened.put(EVENTS, events(school, 1), station=station, blobs={"traces": traces(row)}).tolist()

    assert [put(5, b"a"), put(5, b"a"), put(5, b"b"), put(6, b"a")] == [[WRITTEN], [IDENTICAL], [WRITTEN], [WRITTEN]]
    assert sorted(opened.read(EVENTS, station=5).all_blobs("traces")[:, 0]) == [b"a", b"b"]
    rebuild_all(opened)


def test_blobs_can_be_in_a_field_of_the_records(opened, school):
    records = np.zeros(2, [("timestamp", "i8"), ("message", object)])
    records["timestamp"], records["message"] = school.start, [b"low voltage", None]
    assert opened.put(ERRORS, records, station=7).tolist() == [WRITTEN] * 2
    assert opened.read(ERRORS).all_blobs("message").tolist() == [b"low voltage", None]
    assert opened.put(ERRORS, records[:1], station=7, blobs={"message": [b"gone"]}).tolist() == [WRITTEN]


def test_records_that_were_read_bring_their_keys_and_blobs(opened, school, tmp_path):
    opened.put(EVENTS, events(school, 1, 2), station=5, blobs={"traces": traces([b"a", b"b"], [b"c"])})
    other = create_archive(tmp_path / "other", plugins={"school": school.instrument})
    assert other.put(EVENTS, opened.read(EVENTS)).tolist() == [WRITTEN] * 2
    assert other.read(EVENTS).all_blobs("traces").tolist() == [[b"a", b"b"], [b"c", None]]
    assert other.read(EVENTS)["station"].tolist() == [5, 5]
    opened.put(EVENTS, events(school, 3), station=6)
    with pytest.raises(UsageError, match=r"more than one station \(5, 6\); put those of each alone"):
        other.put(EVENTS, opened.read(EVENTS))


@pytest.mark.parametrize("publish_bytes", [1, 2**20])
def test_blobs_of_several_puts_types_and_stations_keep_their_order_in_a_rebuild(opened, school, publish_bytes):
    with opened.putting(publish_bytes=publish_bytes) as put:
        for second in range(4):
            for station in (5, 6):
                row = traces([b"event %d of %d" % (second, station)])
                put(EVENTS, events(school, second), station=station, blobs={"traces": row})
                record = np.array([(school.start + second,)], [("timestamp", "i4")])
                put(ERRORS, record, station=station, blobs={"message": [b"error %d" % second]})
    rebuild_all(opened)


def test_records_without_a_time_go_to_quarantine_with_keys_and_blobs_and_come_back(muon, school, tmp_path):
    layout = school.layout.replace("clock: {epoch", "clock: {undefined: [0], epoch")
    opened = create_archive(tmp_path / "archive", plugins={"school": Instrument(layout, "school.yaml")})
    records = events(school, 1, 2)
    records["timestamp"][0] = 0
    given = traces([b"lost?"], [b"kept"])
    assert opened.put(EVENTS, records, station=5, blobs={"traces": given}).tolist() == [REJECTED, WRITTEN]
    (entry,) = list_entries(opened.root)
    assert entry.content.name == "school.events.parcel"
    again = opened.ingest(entry.content)
    assert (again.sources["quarantined"], again.records[EVENTS]["rejected"]) == (1, 1)
    # Without the mark for no time, the record is of 1970.
    mended = create_archive(tmp_path / "mended", plugins={"school": school.instrument})
    assert mended.ingest(entry.content).records[EVENTS]["written"] == 1
    assert mended.read(EVENTS).all_blobs("traces").tolist() == [[b"lost?", None]]
    assert mended.read(EVENTS)["station"].tolist() == [5]


WRONG = [
    ({}, r'need keys: put\("school.events", records, station=…\)'),
    ({"station": 5, "statoin": 5}, "no key 'statoin'; did you mean 'station'"),
    ({"station": 5.5}, r"the key station of school.events must be a text or a whole number, not 5\.5"),
    ({"station": True}, "must be a text or a whole number"),
    ({"station": 2**63}, "must be a number of 64 bits, not 9223372036854775808"),
    ({"station": "a/b"}, "cannot name a group in a day file"),
    ({"station": "501"}, "would be read back as a number; give the number"),
    ({"station": 5, "blobs": {"trace": [b""]}}, "'trace' of school.events has no blobs; did you mean 'traces'"),
    ({"station": 5, "blobs": {"traces": [b""]}}, r"the blobs of traces have the shape \(1,\), and must have \(1, 2\)"),
    ({"station": 5, "blobs": {"traces": [["a", None]]}}, "must be bytes or None; that of record 0 is str"),
    ({"station": 5, "blobs": {"traces": np.array([[b"a", b"b"]])}}, "must be in an array of dtype object, not"),
    ({"station": 5, "blobs": {"traces": [[b"a"], [b"a", b"b"]]}}, "are not an array"),
    ({"station": 5, "blobs": [[b"a", b"b"]]}, "must be values by the name of their field"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_keys_and_blobs_are_refused_and_nothing_is_put(opened, school, arguments, message):
    with pytest.raises(UsageError, match=message):
        opened.put(EVENTS, events(school, 1), **arguments)
    assert list(opened.root.list_day_files()) == []


@pytest.mark.parametrize("number", [-1, 2**40, 2**70])
def test_a_number_that_does_not_fit_is_refused_also_in_a_column_of_objects(opened, muon, number):
    records = np.zeros(1, [(name, object) for name in muon.hits.dtype.names])
    records["second"] = number
    with pytest.raises(UsageError, match=r"muon\.hits: second .*does not fit uint32"):
        opened.put("muon.hits", records)


def test_what_is_missing_is_listed_without_what_may_be_left_out(opened, school):
    with pytest.raises(UsageError, match=r"they lack height, label$"):
        opened.put(EVENTS, events(school, 1)[["timestamp"]], station=5)


def test_indexes_without_their_blobs_are_refused(opened, school):
    batch = school.make_events([(1, 1.0, b"a", b"x", None)])
    with pytest.raises(UsageError, match=r"traces of school.events has indexes of blobs; give their values too"):
        opened.put(EVENTS, batch.records, station=5)
    batch.records["traces"] = -1
    assert opened.put(EVENTS, batch.records, station=5).tolist() == [WRITTEN]


def test_a_type_without_keys_takes_none(opened, muon):
    with pytest.raises(UsageError, match=r"muon.hits has no key 'station'; it has no keys"):
        opened.put("muon.hits", muon.records("hits", [{"second": muon.start}]), station=5)


# ---- Types of plugins that encode nothing


class Bare:
    """A plugin that only decodes, and declares its types in Python."""

    def __init__(self, *types):
        self.types = types

    @hookimpl
    def data_types(self):
        return self.types

    @hookimpl
    def decode(self, source):
        return None


def of_muons(muon, name, code="Bare", **other):
    hits = muon.hits
    fields = (Field("second", "uint32"), Field("energy", "float64"))
    node = type(hits.placement.node)(f"/{name}")
    placement = type(hits.placement)("append", "bare/{year}.{month}.{day}.h5", node)
    return DataType("bare", name, code, "", fields, hits.clock, "second", placement, **other)


def test_records_of_a_type_without_an_encoding_of_its_own_can_be_put_and_rebuilt(muon, tmp_path):
    plugins = {"bare": Bare(of_muons(muon, "hits"))}
    opened = create_archive(tmp_path / "archive", plugins=plugins, settings={"sources.keep": "always"})
    records = np.array([(muon.start + 5, 1.5), (muon.start, np.nan)], [("second", ">u4"), ("energy", "f8")])
    assert opened.put("bare.hits", records).tolist() == [WRITTEN] * 2
    rebuild_all(opened)
    assert opened.read("bare.hits")["energy"].tolist()[1] == 1.5


def test_a_type_that_shares_its_code_is_refused_as_it_would_come_back_as_the_other(muon, tmp_path):
    opened = create_archive(tmp_path / "a", plugins={"bare": Bare(of_muons(muon, "hits"), of_muons(muon, "misses"))})
    with pytest.raises(UsageError, match=r"bare\.hits cannot be put: bare\.misses has its code, 'Bare', too"):
        opened.put("bare.hits", np.array([(muon.start, 1)], [("second", "u4"), ("energy", "f8")]))
    assert list(opened.root.list_day_files()) == []


# ---- Records of any type, put, read back, rebuilt


BYTES = st.none() | st.binary(max_size=20)


@given(data=st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_put_is_read_and_rebuilt(tmp_path_factory, school, muon, data):
    archive = create_archive(
        tmp_path_factory.mktemp("a") / "archive",
        plugins={"muon": muon.instrument, "school": school.instrument},
        settings={"sources.keep": "always"},
    )
    expected: dict[int, list] = {}
    with archive.putting() as put:
        for _ in range(data.draw(st.integers(1, 4))):
            station = data.draw(st.sampled_from([5, 6]))
            rows = data.draw(st.lists(st.tuples(st.integers(0, 2 * 86400 - 1), BYTES, BYTES), min_size=1, max_size=5))
            given = traces(*([first, second] for _, first, second in rows))
            statuses = put(EVENTS, events(school, *(row[0] for row in rows)), station=station, blobs={"traces": given})
            for row, status in zip(rows, statuses.tolist(), strict=True):
                assert (status == IDENTICAL) == (row in expected.setdefault(station, []))
                expected[station] += [row] * (status == WRITTEN)
            put("muon.hits", muon.records("hits", [{"second": muon.start + row[0]} for row in rows]))
    rebuild_all(archive)
    for station, rows in expected.items():
        found = archive.read(EVENTS, station=station)
        seconds = (found["timestamp"] - school.start).tolist()
        assert sorted(map(repr, zip(seconds, *found.all_blobs("traces").T.tolist(), strict=True))) == sorted(
            map(repr, rows)
        )
