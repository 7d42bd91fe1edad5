"""Records are a table: they can be sliced, masked, selected and put together, and stay what they are."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Records, create_archive, hookimpl, open_archive
from dayfile.errors import UsageError


class School:
    """A plugin: a source is a station and the seconds of its events, whose traces say where they are from."""

    def __init__(self, school):
        self.school = school

    @hookimpl
    def data_types(self):
        return self.school.types.values()

    @hookimpl
    def decode(self, source):
        station, *seconds = map(int, source.content.split())
        rows = [(second, second / 2, b"x", b"%d of %d" % (second, station), None) for second in seconds]
        yield self.school.make_events(rows, station=station)


@pytest.fixture
def events(archive, school, plugins_of):
    """Events of two stations on two days."""
    for number, content in enumerate((b"501 5 1 90000", b"7 3 86399", b"501 100000")):
        archive.drop(f"{number}", content)
    archive.run(plugins=plugins_of(school=School(school)))
    return open_archive(archive.root.path).read("school.events")


def told(records):
    """What each record says of itself, by all ways there are: its time, key, blobs and fields must agree."""
    found = []
    for index, record in enumerate(records):
        second = int((record.time - np.datetime64("2017-02-26")) / np.timedelta64(1, "s"))
        trace = b"%d of %d" % (second, record["station"])
        assert records.blobs("traces", index) == record.blobs("traces") == [trace, None]
        assert records.times[index] == record.time
        found.append((second, int(record["station"])))
    assert records.all_blobs("traces")[:, 0].tolist() == [b"%d of %d" % each for each in found]
    return found


ALL = [(1, 501), (3, 7), (5, 501), (86399, 7), (90000, 501), (100000, 501)]


@pytest.mark.parametrize(
    "wanted",
    [
        slice(2, 4),
        slice(None, None, -2),
        slice(10, 20),
        np.array([True, False, False, True, True, False]),
        [True, False, False, True, True, False],
        np.array([4, 0, 0]),
        [-1, 2],
        [],
    ],
    ids=str,
)
def test_times_keys_and_blobs_follow_the_records_that_are_taken(events, wanted):
    assert told(events) == ALL
    index = wanted if isinstance(wanted, slice) else np.asarray(wanted, None if len(wanted) else int)
    assert told(events[wanted]) == [tuple(row) for row in np.array(ALL)[index].tolist()]


def test_a_condition_on_fields_takes_records(events):
    assert told(events[events["height"] > 40000]) == [(86399, 7), (90000, 501), (100000, 501)]
    assert told(events[events["station"] == 7][events["height"][events["station"] == 7] < 2]) == [(3, 7)]


def test_selected_fields_keep_times_keys_and_blobs(events):
    chosen = events[["traces", "height"]]
    assert chosen.array.dtype.names == ("traces", "height")
    assert [field.name for field in chosen.data_type.fields] == ["traces", "height"]
    assert chosen.data_type.dtype == chosen.array.dtype
    assert told(chosen[1:4][::-1]) == ALL[1:4][::-1]
    assert np.array_equal(chosen.end_seconds, events.end_seconds)
    assert chosen[["height"]].names == ("station", "height")
    assert np.array_equal(chosen[["height"]].times, events.times)
    assert events[["station", "height", "height"]].names == ("station", "height")


def test_a_record_is_a_mapping_of_its_keys_and_fields(events):
    record = events[-2]
    assert dict(record).keys() == {"station", "event_id", "timestamp", "height", "label", "traces"}
    assert (record["station"], record["height"], record["traces"].shape) == (501, 45000.0, (2,))
    assert str(record).startswith("<record of school.events at 2017-02-27T01:00:00.000000000: station=501, ")
    assert events[1].time == events.times[1]
    with pytest.raises(IndexError, match="no record 6: there are 6 records"):
        events[6]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("heigth", r"school\.events has no field or key 'heigth'; did you mean 'height'\?"),
        (["height", "stations"], "no field or key 'stations'; did you mean 'station'"),
        ("time", r"no field or key 'time'; times are in \.times"),
        (np.array([True, False]), "the mask has 2 values for 6 records"),
        (True, "not by values of bool"),
        (None, "not by values of object"),
        (1.5, "not by values of float64"),
        (np.array(5), "not by values of int64"),
        (np.array([1.5]), "not by values of float64"),
    ],
)
def test_what_does_not_exist_is_an_error_that_says_what_there_is(events, wanted, message):
    with pytest.raises(UsageError, match=message):
        events[wanted]


def test_a_field_that_was_left_out_is_named_as_that(events, archive):
    some = open_archive(archive.root.path).read("school.events", fields=["height"])
    for ask in (some.__getitem__, some.all_blobs, lambda name: some.blobs(name, 0), events[["height"]].all_blobs):
        with pytest.raises(
            UsageError, match=r"traces of school\.events was left out; add it to the fields that are read"
        ):
            ask("traces")
    joined = Records.concatenate([some[:2], some[2:]])
    with pytest.raises(UsageError, match=r"timestamp of school\.events was left out"):
        joined["timestamp"]


def test_an_attribute_that_does_not_exist_says_how_fields_keys_and_times_are_read(events):
    for owner, wrong, hint in (
        (events, "station", r"write \['station'\]"),
        (events, "height", r"write \['height'\]"),
        (events, "time", r"write \.times"),
        (events[0], "station", r"write \['station'\]"),
        (events[0], "times", r"write \.time$"),
    ):
        with pytest.raises(AttributeError, match=f"{type(owner).__name__} has no attribute '{wrong}'; {hint}"):
            getattr(owner, wrong)
    assert not hasattr(events, "colour")
    again = pickle.loads(pickle.dumps(events))
    assert again.times.tolist() == copy.copy(events).times.tolist() == events.times.tolist()
    assert copy.copy(events[0])["station"] == events[0]["station"]


@given(cuts=st.lists(st.integers(0, 6), max_size=4), names=st.sampled_from([None, ["traces"], ["timestamp", "traces"]]))
@settings(max_examples=30, deadline=None)
def test_pieces_put_together_are_the_whole(shared_events, cuts, names):
    whole = shared_events if names is None else shared_events[names]
    bounds = [0, *sorted(cuts), len(whole)]
    joined = Records.concatenate(whole[a:b] for a, b in pairwise(bounds))
    assert joined.array.tobytes() == whole.array.tobytes()
    assert joined.array.dtype == whole.array.dtype
    assert told(joined) == ALL
    assert joined.places == whole.places


@pytest.fixture(scope="module")
def shared_events(tmp_path_factory, school):
    path = tmp_path_factory.mktemp("shared")
    archive = create_archive(path / "archive", plugins={"school": School(school)})
    for number, content in enumerate((b"501 5 1 90000", b"7 3 86399", b"501 100000")):
        (path / f"{number}").write_bytes(content)
    archive.ingest(path / f"{number}" for number in range(3))
    return archive.read("school.events")


def test_parts_of_several_reads_are_put_together_in_the_order_given(events, archive):
    opened = open_archive(archive.root.path)
    second, first = (
        opened.read("school.events", day, stop) for day, stop in (("2017-02-27", None), (None, "2017-02-27"))
    )
    assert told(Records.concatenate([second, first])) == ALL[4:] + ALL[:4]


def test_records_that_do_not_fit_together_are_refused(events, archive, hits):
    with pytest.raises(UsageError, match="do not have the same fields"):
        Records.concatenate([events, events[["height"]]])
    with pytest.raises(UsageError, match="no records to concatenate"):
        Records.concatenate([])
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    with pytest.raises(UsageError, match=r"muon\.hits cannot be put after school\.events"):
        Records.concatenate([events, open_archive(archive.root.path).read("muon.hits")])


def test_what_was_selected_is_not_put_as_if_it_were_whole(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.run()
    opened = open_archive(archive.root.path, plugins={"muon": muon.instrument})
    records = opened.read("muon.hits")
    assert opened.put("muon.hits", records[1:]).tolist() == [3]
    with pytest.raises(UsageError, match="second"):
        opened.put("muon.hits", records[["energy"]])
