"""What a plugin gives is kept whole or refused by name: keys, blobs, masks, and records that cannot be archived."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dayfile import (
    Batch,
    Blobs,
    Clock,
    DataType,
    Field,
    Instrument,
    Node,
    Placement,
    Rejected,
    create_archive,
    hookimpl,
    open_archive,
)
from dayfile.errors import UsageError

STATIONS = """\
instrument: roof
title: Detectors on roofs
clock: {{epoch: 1970-01-01T00:00:00}}
path: "roof/{{year}}_{{month}}_{{day}}.h5"
node: {node}
titles: {titles}
types:
  hits:
    code: Hit
    title: Hits
    store: append
    time: second
    fields: [{{name: second, type: int64}}, {{name: height, type: float32}}]
"""
DAY = 1488067200  # 2017-02-26


class Roof(Instrument):
    """Decodes a source named junk to what it is given: a list of keys, or whatever a function makes."""

    def __init__(self, answer, node="/s{station}/{type}", titles="[]"):
        super().__init__(STATIONS.format(node=node, titles=titles), "roof.yaml")
        self.answer = answer

    @hookimpl
    def decode(self, source):
        if source.name != "junk":
            return None
        return self.answer(self) if callable(self.answer) else [self.batch(keys=keys) for keys in self.answer]

    def batch(self, **other):
        records = np.zeros(2, self.layout.types[0].dtype)
        records["second"] = DAY + np.arange(2)
        return Batch(**{"instrument": "roof", "code": "Hit", "records": records, "numbers": np.arange(2), **other})


@pytest.fixture
def taken(good, muon, plugins_of):
    """A run over a source of a plugin: what the quarantine says of it, and the records of each key."""

    def take(roof):
        good.drop("junk", b"precious")
        report = good.run(plugins=plugins_of(roof=roof, muon=muon.instrument))
        good.assert_unharmed(report)
        for entry in report.quarantine:
            assert good.set_aside(entry) == ("junk", b"precious")
        return [entry.reason for entry in report.quarantine], report.records.get("roof.hits", {})

    return take


def read(good, **keys):
    return open_archive(good.root.path).read("roof.hits", **keys)


NODES = {
    "no key at all": ("/{type}", "[]", {"station": 5}, "'station'", "has no keys"),
    "a further key": ("/s{station}/{type}", "[]", {"station": 5, "roof": 1}, "'roof'", "has the keys station"),
    "a key of another name": ("/s{station}/{type}", "[]", {"statoin": 5}, "'statoin'", "lack the key 'station'"),
    "a missing key": ("/s{station}/{type}", "[]", {}, "'station'", "has the keys station"),
    "a key missing in a title": ("/s{station}/{type}", "['Roof of {name}']", {"station": 5}, "'name'", "station, name"),
    "a key of a title of no group": ("/{type}", "['Roof of {name}']", {"name": "x"}, "'name'", "has no keys"),
}


@pytest.mark.parametrize(("node", "titles", "keys", "key", "has"), NODES.values(), ids=NODES)
def test_keys_that_are_not_those_of_the_node_are_refused_by_name(taken, node, titles, keys, key, has):
    (reason,), records = taken(Roof([keys], node, titles))
    assert reason.startswith("plugin roof: ")
    assert key in reason
    assert has in reason
    assert not records


def test_equal_records_of_two_stations_stay_two(taken, good):
    reasons, records = taken(Roof([{"station": 5}, {"station": 6}]))
    assert (reasons, records["written"]) == ([], 4)
    assert [len(read(good, station=station)) for station in (5, 6)] == [2, 2]


def test_a_key_that_only_a_title_has_is_given_and_kept_in_the_title(taken, good):
    reasons, _ = taken(Roof([{"station": 5, "name": "Zaanlands"}], titles="['Roof of {name}']"))
    assert reasons == []
    assert read(good)["station"].tolist() == [5, 5]


VALUES = [5, -5, 0, 2**40, "a", "05", "-0", "5.0", "²", "५", "99999999999999999999"]


def test_a_key_is_read_back_as_it_was_given(taken, good):
    reasons, records = taken(Roof([{"station": value} for value in VALUES], node="/{station}"))
    assert reasons == []
    assert records["written"] == 2 * len(VALUES)
    for value in VALUES:
        assert read(good, station=value)["station"].tolist() == [value, value]
    found = read(good)["station"].tolist()
    assert [found.count(value) for value in VALUES] == [2] * len(VALUES)


ALIKE = {
    "the name of an overlap table": ("/{a}", {"a": "5_overlap"}),
    "two keys side by side": ("/{a}{b}", {"a": 12, "b": 3}),
    "two keys that share a letter": ("/{a}_{b}", {"a": "1_2", "b": 3}),
}


@pytest.mark.parametrize(("node", "keys"), ALIKE.values(), ids=ALIKE)
def test_keys_that_a_reader_would_take_for_others_are_refused(taken, node, keys):
    (reason,), records = taken(Roof([keys], node))
    assert "cannot be distinguished from other keys" in reason
    assert not records


@pytest.mark.parametrize("value", [True, 1.0, None, b"5", [5], 2**63, np.float64(5), np.bool_(1)], ids=repr)
def test_a_value_that_no_key_can_have_is_refused(taken, value):
    (reason,), _ = taken(Roof([{"station": value}]))
    assert "a key that is neither a text nor a whole number" in reason


def masked(roof):
    batch = roof.batch(keys={"station": 5})
    return [replace(batch, records=np.ma.array(batch.records, mask=[(False, True), (False, False)]))]


def rejected(content):
    return lambda _: [Rejected("roof", "Hit", "bad", "RecordError", (0,), "junk", content)]


DROPPED = {
    "blobs of a type without blobs": (
        lambda roof: [roof.batch(keys={"station": 5}, blobs=Blobs([b"trace"], np.array([0])))],
        "has no blob field",
    ),
    "gave_way of a type without slots": (lambda roof: [roof.batch(keys={"station": 5}, gave_way=True)], "gave_way"),
    "gave_way in the second of two": (
        lambda roof: [roof.batch(keys={"station": 5}), roof.batch(keys={"station": 5}, gave_way=True)],
        "gave_way",
    ),
    "gave_way for each record": (lambda roof: [roof.batch(gave_way=np.array([True, False]))], "gave_way"),
    "masked records": (masked, "mask would be lost"),
    "masked numbers": (lambda roof: [roof.batch(numbers=np.ma.array([0, 1], mask=[0, 1]))], "mask would be lost"),
    "rejected records without content": (rejected(b""), "without content"),
}


@pytest.mark.parametrize(("answer", "words"), DROPPED.values(), ids=DROPPED)
def test_what_would_be_dropped_is_refused_by_name(taken, answer, words):
    (reason,), _ = taken(Roof(answer))
    assert words in reason


def test_a_batch_that_gives_way_does_not_pass_with_another_source_that_does_not(good, muon, plugins_of):
    """Batches of several sources are checked as one."""

    class Both(Roof):
        @hookimpl
        def decode(self, source):
            gave_way = source.content == b"second"
            return [self.batch(keys={"station": 5}, gave_way=gave_way)] if source.name == "junk" else None

    for below in ("first", "second"):
        good.drop("junk", below.encode(), below)
    report = good.run(plugins=plugins_of(roof=Both([]), muon=muon.instrument))
    good.assert_unharmed(report)
    assert [good.set_aside(entry) for entry in report.quarantine] == [("junk", b"second")]
    assert report.records["roof.hits"]["written"] == 2


# ---- Data types made in Python


def data_type(**other):
    fields = (Field("second", "int64"), Field("trace", "int32", blob="base64"))
    words = {"instrument": "roof", "type": "hits", "code": "Hit", "title": "Hits", "fields": fields}
    clock = Clock(np.datetime64("1970-01-01T00:00:00"))
    node = Node("/s{station}/hits", blobs="/s{station}/blobs")
    path = "roof/{year}_{month}_{day}.h5"
    placement = Placement(other.pop("store", "append"), path, other.pop("node", node))
    return DataType(**{**words, "clock": clock, "time": "second", "placement": placement, **other})


REFUSED = {
    "a key with a format": ({"node": Node("/s{station:03}/hits", blobs="/blobs")}, "not a template"),
    "a key twice": ({"node": Node("/s{station}/{station}", blobs="/blobs")}, "twice"),
    "a brace in a title": ({"node": Node("/s/hits", ("Roof of {name!r}", "Hits"), "/blobs")}, "not a template"),
    "blobs with a further key": ({"node": Node("/s/hits", blobs="/{station}")}, "lacks"),
    "a blob field without blobs": ({"node": Node("/s{station}/hits")}, "no array for its values"),
    "a blob field in slots": ({"store": "slots", "period": 60}, "has neither blobs nor counters"),
    "a blob field that is no index": (
        {"fields": (Field("second", "int64"), Field("trace", "uint8", blob="base64"))},
        "must be int32",
    ),
}


@pytest.mark.parametrize(("other", "words"), REFUSED.values(), ids=REFUSED)
def test_a_data_type_that_would_drop_what_it_is_given_does_not_load(plugins_of, other, words):
    class Made:
        def __init__(self, item):
            self.item = item

        @hookimpl
        def data_types(self):
            return [self.item]

    assert plugins_of(roof=Made(data_type())).failures == []
    (failure,) = plugins_of(roof=Made(data_type(**other))).failures
    assert failure.message.startswith("plugin roof: ")
    assert words in failure.message


def test_masked_records_cannot_be_put(installed, muon, tmp_path):
    installed(muon=muon.layout)
    archive = create_archive(tmp_path / "archive")
    records = muon.records("hits", [{"second": muon.start}])
    with pytest.raises(UsageError, match="whose mask would be lost"):
        archive.put("muon.hits", np.ma.array(records, mask=[(False, True, False, False)]))
    assert list(archive.root.list_day_files()) == []
