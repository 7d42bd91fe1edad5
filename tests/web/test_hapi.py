"""What HAPI says of an archive, and that its records are those of ``archive.read``, bit for bit."""

from __future__ import annotations

import csv
import io
import itertools
import json
from urllib.parse import unquote_plus

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import make_plugins, run_archive
from asking import WHOLE, ask_hapi, make_rates, make_reading_site
from dayfile import Instrument, create_archive, open_archive
from dayfile.export.base import BlobReader
from dayfile.settings import CoreSettings
from dayfile.web.application import make_site
from instruments import SCHOOL, TELESCOPE, make_stream

BINARY = {"integer": "<i4", "double": "<f8"}


def make_form(info):
    """The dtype of records by what ``info`` says of them."""
    return np.dtype(
        [
            (each["name"], BINARY.get(each["type"]) or f"S{each['length']}", tuple(each.get("size", ())))
            for each in info["parameters"]
        ]
    )


def read_binary(body, form):
    """The records of a binary answer."""
    return np.frombuffer(body, form)


def read_csv(body, form):
    """The records of an answer in CSV."""
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    records = np.zeros(len(rows), form)
    for index, row in enumerate(rows):
        cells = iter(row)
        for name in form.names:
            base, shape = form[name].base, form[name].shape
            texts = [next(cells) for _ in range(int(np.prod(shape, dtype=int)))]
            values = [text.encode() if base.kind == "S" else float(text) for text in texts]
            records[name][index] = np.array(values, base).reshape(shape)
    return records


def read_json(body, form):
    """The records of an answer in JSON, where NaN and infinity are null."""
    rows = json.loads(body)["data"]
    records = np.zeros(len(rows), form)
    for index, row in enumerate(rows):
        for name, value in zip(form.names, row, strict=True):
            kind = form[name].base.kind
            records[name][index] = value.encode() if kind == "S" else np.array(value, float if kind == "f" else None)
    return records


READERS = {"binary": read_binary, "csv": read_csv, "json": read_json}


@pytest.mark.parametrize("form", READERS)
def test_the_records_are_those_of_the_archive_bit_for_bit(telescope, form):
    app = make_reading_site(telescope)
    info = ask_hapi(app, "info", dataset="muon.rates").json
    reply = ask_hapi(app, "data", dataset="muon.rates", format=form, **WHOLE)
    assert reply.status == 200
    found, records = READERS[form](reply.body, make_form(info)), open_archive(telescope).read("muon.rates")
    assert len(found) == len(records) == 1000
    times = np.array([time.rstrip(b"Z") for time in found["Time"]]).astype("datetime64[ns]")
    np.testing.assert_array_equal(times, records.times)
    for name in records.array.dtype.names:
        stored, sent = records[name], found[name]
        if name == "large":
            sent = sent.astype(np.uint64)
        if form == "json" and stored.dtype.kind == "f":
            stored = np.where(np.isfinite(stored), stored, np.nan)
        np.testing.assert_array_equal(sent, stored, err_msg=name)


def test_info_says_what_the_layout_says(telescope):
    info = ask_hapi(make_reading_site(telescope), "info", dataset="muon.rates").json
    parameters = {each["name"]: each for each in info["parameters"]}
    assert info["HAPI"] == "3.3"
    assert info["parameters"][0] == {
        "name": "Time", "type": "isotime", "length": 30, "units": "UTC", "fill": None,
        "description": "UTC; a time in a leap second is the last moment before it",
    }  # fmt: skip
    assert parameters["counts"] == {
        "name": "counts", "type": "integer", "size": [3], "units": "1/s", "fill": "-1",
        "description": "counts of each layer; also not measured: -999",
        "label": ["top", "counts[1]", "counts[2]"],
    }  # fmt: skip
    assert parameters["grid"]["size"] == [2, 2]
    assert parameters["grid"]["fill"] == "NaN"
    assert parameters["level"]["fill"] == "-9.5"
    assert parameters["label"]["length"] == 5
    assert [each["name"] for each in parameters["quality"]["x_flags"]] == ["BAD_CLOCK", ""]
    assert "bit 0x01: BAD_CLOCK" in parameters["quality"]["description"]
    assert parameters["large"]["type"] == "string"
    assert info["startDate"] < info["stopDate"]


def test_indexes_that_count_something_are_bins(tmp_path):
    layout = TELESCOPE.replace("{index: 1-2, name: lower}", "{index: 0-2, name: layer, doc: from above}")
    archive = create_archive(tmp_path / "archive", plugins={"muon": Instrument(layout, "muon.yaml")})
    archive.put("muon.rates", make_rates(5)[2])
    info = ask_hapi(make_reading_site(archive.root.path), "info", dataset="muon.rates", parameters="counts").json
    assert info["parameters"][1]["bins"] == [
        {"name": "layer", "units": "dimensionless", "centers": [0, 1, 2], "description": "from above"}
    ]


def test_a_type_with_keys_has_a_dataset_for_each_key_and_can_be_asked_for_as_a_whole(school):
    app = make_reading_site(school)
    ids = [each["id"] for each in ask_hapi(app, "catalog").json["catalog"]]
    assert ids == ["school.events/7", "school.events/501", "school.events/x~2Cy~20z"]
    day = {"start": "2017-02-26", "stop": "2017-02-27"}
    for name in ids:
        assert len(ask_hapi(app, "data", dataset=name, **day).body.splitlines()) == 5
    lines = ask_hapi(app, "data", dataset="school.events", parameters="station", **day).body.decode().splitlines()
    assert sorted(lines[:3]) == [f"2017-02-26T00:00:00Z,{station}" for station in ('"x,y z"', "501", "7")]
    info = ask_hapi(app, "info", dataset="school.events").json
    assert "several records can have the same time" in info["note"]
    assert "traces" in info["note"][0]
    assert "traces" not in [each["name"] for each in info["parameters"]]


def test_an_id_names_one_key_also_if_it_is_decoded_once_too_often(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"school": Instrument(SCHOOL, "school.yaml")})
    events = np.zeros(1, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = 1488067200
    stations = ["a b", "a%20b", "a~20b", "50~60", "a+b"]
    with archive.putting() as put:
        for number, station in enumerate(stations):
            events["height"] = number
            put("school.events", events, station=station)
    app = make_reading_site(archive.root.path)
    ids = [each["id"] for each in ask_hapi(app, "catalog").json["catalog"]]
    words = {"start": "2017-02-26", "stop": "2017-02-27", "parameters": "height"}
    heights = set()
    for name in ids:
        assert unquote_plus(name) == name
        heights.add(ask_hapi(app, "data", dataset=name, **words).body)
    assert len(heights) == len(ids) == len(stations)


def test_a_fill_value_is_what_the_records_have(tmp_path):
    layout = TELESCOPE.replace("unit: ADC count}", "missing: [-1.0e+31]}")
    archive = create_archive(tmp_path / "archive", plugins={"muon": Instrument(layout, "muon.yaml")})
    _, _, records = make_rates(5)
    records["grid"] = -1.0e31
    archive.put("muon.rates", records)
    app = make_reading_site(archive.root.path)
    (grid,) = [
        each for each in ask_hapi(app, "info", dataset="muon.rates").json["parameters"] if each["name"] == "grid"
    ]
    sent = json.loads(ask_hapi(app, "data", dataset="muon.rates", parameters="grid", format="json", **WHOLE).body)
    assert {value for _, rows in sent["data"] for row in rows for value in row} == {float(grid["fill"])}


@pytest.mark.parametrize("form", ["csv", "binary", "json"])
def test_text_that_is_not_utf8_is_text_of_its_length_in_all_forms(tmp_path, form):
    archive = create_archive(tmp_path / "archive", plugins={"muon": Instrument(TELESCOPE, "muon.yaml")})
    _, _, records = make_rates(5)
    records["label"] = [b"\xff\xfe\xfd\xfc", b"caf\xe9", "fé".encode(), b"", b"plain"]
    archive.put("muon.rates", records)
    app = make_reading_site(archive.root.path)
    words = {"dataset": "muon.rates", "parameters": "label", "format": form, **WHOLE}
    answer = READERS[form](ask_hapi(app, "data", **words).body, np.dtype([("Time", "S30"), ("label", "S5")]))
    assert sorted(answer["label"].tolist()) == sorted([b"????", b"caf?", "fé".encode(), b"", b"plain"])


def test_names_that_can_stay_do_when_others_are_changed(tmp_path):
    layout = TELESCOPE.replace("{name: pressure", "{name: GOOD").replace("{name: level", "{name: good_")
    archive = create_archive(tmp_path / "archive", plugins={"muon": Instrument(layout, "muon.yaml")})
    _, _, records = make_rates(5)
    names = {"pressure": "GOOD", "level": "good_"}
    records.dtype.names = tuple(names.get(name, name) for name in records.dtype.names)
    archive.put("muon.rates", records)
    app = make_reading_site(archive.root.path)
    sent = ask_hapi(app, "data", dataset="muon.rates", parameters="good_", format="json", **WHOLE).json["data"]
    assert [value for _, value in sent] == archive.read("muon.rates")["good_"].tolist()
    assert [each["name"] for each in ask_hapi(app, "info", dataset="muon.rates").json["parameters"]][-6:] == [
        *("GOOD", "good_", "label", "good__", "quality", "large")
    ]


class Sampled(Instrument):
    """School detectors whose traces always have two samples."""

    def exporters(self):
        def read(blob):
            if b"?" in blob:
                raise ValueError("damaged")
            return np.frombuffer(blob, np.uint8)

        return [BlobReader("school.events", "traces", "uint8", read, unit="mV", length=2)]


def test_blobs_of_a_fixed_length_are_arrays_with_nan_for_those_that_are_missing_or_damaged(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"school": Sampled(SCHOOL, "school.yaml")})
    traces = np.empty((3, 2), object)
    traces[:, 0] = b"ab", b"abc", b"?b"
    events = np.zeros(3, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = 1488067200 + np.arange(3)
    archive.put("school.events", events, blobs={"traces": traces}, station=7)
    app = make_site(lambda: archive, CoreSettings())
    info = ask_hapi(app, "info", dataset="school.events/7").json
    assert info["parameters"][-1] == {
        "name": "traces", "type": "double", "size": [2, 2], "units": "mV", "fill": "NaN"
    }  # fmt: skip
    assert "note" not in info
    words = {"dataset": "school.events/7", "start": "2017-02-26", "stop": "2017-02-27", "parameters": "traces"}
    rows = [line.split(",")[1:] for line in ask_hapi(app, "data", **words).body.decode().splitlines()]
    assert rows == [["97.0", "98.0", "NaN", "NaN"], ["NaN"] * 4, ["NaN"] * 4]


def test_neighbouring_ranges_have_each_record_once_and_in_order(telescope):
    app = make_reading_site(telescope)
    info = ask_hapi(app, "info", dataset="muon.rates").json
    words = {"dataset": "muon.rates", "parameters": "quality"}
    whole = ask_hapi(app, "data", start=info["startDate"], stop=info["stopDate"], **words).body
    times = [line.split(b",")[0].decode() for line in whole.splitlines()]
    assert len(times) == 1000
    assert times == sorted(times)
    bounds = ["1997-10-31", times[3], f"{times[500][:19]}Z", times[500], times[900], "1997-304T24:00:00Z"]
    parts = [ask_hapi(app, "data", start=a, stop=b, **words).body for a, b in itertools.pairwise(bounds)]
    assert b"".join(parts) == whole


@given(st.integers(0, 999), st.integers(0, 999))
def test_a_range_has_what_is_at_its_start_and_not_what_is_at_its_stop(telescope, one, other):
    app = make_reading_site(telescope)
    times = open_archive(telescope).read("muon.rates").times
    start, stop = sorted([times[one], times[other]])
    reply = ask_hapi(app, "data", dataset="muon.rates", start=start, stop=stop, format="binary", parameters="Time")
    if start == stop:
        assert reply.code == 1404
        return
    assert len(reply.body) == 30 * int(((times >= start) & (times < stop)).sum())


def test_parameters_are_chosen_in_their_order_with_the_time(telescope):
    app = make_reading_site(telescope)
    line = ask_hapi(app, "data", dataset="muon.rates", parameters="good,quality", **WHOLE).body.splitlines()[0]
    assert line.count(b",") == 2
    both = ask_hapi(app, "data", dataset="muon.rates", parameters="Time,good,quality", **WHOLE).body.splitlines()[0]
    assert both == line
    assert len(ask_hapi(app, "info", dataset="muon.rates", parameters="").json["parameters"]) == 11


def test_a_header_comes_before_the_records_if_asked_for(telescope):
    app = make_reading_site(telescope)
    words = {"dataset": "muon.rates", "parameters": "good", "include": "header", **WHOLE}
    lines = ask_hapi(app, "data", **words).body.decode().splitlines()
    header = json.loads("".join(line[1:] for line in lines if line.startswith("#")))
    assert header["format"] == "csv"
    assert header["status"]["code"] == 1200
    assert [each["name"] for each in header["parameters"]] == ["Time", "good"]
    binary = ask_hapi(app, "data", format="binary", **words).body
    assert binary.startswith(b"#{\n")
    assert len(binary.rpartition(b"#}\n")[2]) == 1000 * (30 + 4)


def test_a_range_without_records_is_no_error(telescope):
    app = make_reading_site(telescope)
    first = open_archive(telescope).read("muon.rates").times[0]
    words = {"dataset": "muon.rates", "start": "1997-10-31", "stop": str(first)}
    reply = ask_hapi(app, "data", **words)
    assert (reply.status, reply.body) == (200, b"")
    answer = ask_hapi(app, "data", format="json", **words).json
    assert (answer["status"]["code"], answer["data"]) == (1201, [])


@pytest.mark.parametrize(
    ("word", "words", "code", "status"),
    [
        ("nothing", {}, 1400, 400),
        ("info", {}, 1400, 400),
        ("info", {"dataset": "muon.rates", "id": "muon.rates"}, 1400, 400),
        ("about", {"x": "1"}, 1401, 400),
        ("data", {"dataset": "muon.rates", "avg": "5s", **WHOLE}, 1401, 400),
        ("data", {"dataset": "muon.rates", **WHOLE, "start": "yesterday"}, 1402, 400),
        ("data", {"dataset": "muon.rates", "stop": "1997-11-01"}, 1402, 400),
        ("data", {"dataset": "muon.rates", **WHOLE, "start": "1997-10-31T23:59:60"}, 1402, 400),
        ("data", {"dataset": "muon.rates", **WHOLE, "stop": "1997-10-31T23:61"}, 1403, 400),
        ("data", {"dataset": "muon.rates", "start": "1997-10-31", "stop": "1997-10-31T23:59:60"}, 1403, 400),
        ("data", {"dataset": "muon.rates", "start": "1997-11-01", "stop": "1997-11-01"}, 1404, 400),
        ("data", {"dataset": "muon.rates", "start": "1997-10-30", "stop": "1997-11-01"}, 1405, 400),
        ("data", {"dataset": "muon.rates", "start": "1997-10-31", "stop": "1997-11-01T00:00:01"}, 1405, 400),
        ("data", {"dataset": "muon.rats", **WHOLE}, 1406, 404),
        ("info", {"dataset": "../archive"}, 1406, 404),
        ("info", {"dataset": "muon.rates/501"}, 1406, 404),
        ("info", {"dataset": "muon.rates", "parameters": "nothing"}, 1407, 404),
        ("data", {"dataset": "muon.rates", "format": "xml", **WHOLE}, 1409, 400),
        ("data", {"dataset": "muon.rates", "include": "footer", **WHOLE}, 1410, 400),
        ("info", {"dataset": "muon.rates", "parameters": "quality,good"}, 1411, 400),
        ("info", {"dataset": "muon.rates", "parameters": "good,good"}, 1411, 400),
        ("info", {"dataset": "muon.rates", "resolve_references": "maybe"}, 1412, 400),
        ("catalog", {"depth": "all"}, 1413, 400),
    ],
)
def test_what_cannot_be_answered_has_the_code_of_the_specification(telescope, word, words, code, status):
    reply = ask_hapi(make_reading_site(telescope), word, {"If-None-Match": "*"}, **words)
    assert (reply.code, reply.status) == (code, status)
    assert reply.json["HAPI"] == "3.3"


def test_more_records_than_one_request_may_have_are_refused_and_info_says_how_long_a_range_may_be(telescope):
    app = make_reading_site(telescope, web_most_records=500)
    assert ask_hapi(app, "data", dataset="muon.rates", **WHOLE).code == 1408
    assert ask_hapi(app, "info", dataset="muon.rates").json["maxRequestDuration"].startswith("PT4")
    hour = {"start": "1997-10-31T11:00", "stop": "1997-10-31T12:00"}
    assert 0 < len(ask_hapi(app, "data", dataset="muon.rates", parameters="good", **hour).body.splitlines()) < 500


def test_words_of_hapi_2_are_understood(telescope):
    app = make_reading_site(telescope)
    words = {"id": "muon.rates", "time.min": "1997-304", "time.max": "1997-305"}
    assert ask_hapi(app, "data", **words).body == ask_hapi(app, "data", dataset="muon.rates", **WHOLE).body


def test_an_empty_archive_has_an_empty_catalog_and_says_whom_to_ask(tmp_path):
    create_archive(tmp_path / "archive")
    app = make_reading_site(tmp_path / "archive")
    assert ask_hapi(app, "catalog").json["catalog"] == []
    assert ask_hapi(app, "about").json["contact"]


def test_what_is_published_is_seen_by_the_next_request(tmp_path):
    instrument, rates, records = make_rates(20)
    archive = create_archive(tmp_path / "archive", plugins={"muon": instrument})
    app = make_reading_site(archive.root.path)
    sizes = []
    for part in (records[:10], records[10:]):
        (archive.root.incoming / "MuonRates.be.bin").write_bytes(make_stream(instrument, rates, part))
        run_archive(archive.root, make_plugins(muon=instrument))
        sizes.append(len(ask_hapi(app, "data", dataset="muon.rates", parameters="Time", **WHOLE).body))
    assert sizes == [310, 620]


def test_a_time_in_a_leap_second_is_within_the_range_that_was_asked_for(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"muon": Instrument(TELESCOPE, "muon.yaml")})
    _, rates, records = make_rates(5)
    midnight = rates.clock.day_start(np.datetime64("2017-01-01"))
    records["second"], records["nanosecond"] = midnight + np.arange(-3, 2), 500_000_000
    archive.put("muon.rates", records)
    app = make_reading_site(archive.root.path)
    words = {"dataset": "muon.rates", "parameters": "Time", "stop": "2017-01-01"}
    lines = ask_hapi(app, "data", start="2016-12-31T23:59:60", **words).body.decode().splitlines()
    assert lines == ["2016-12-31T23:59:59.999999999Z"]
