"""What is wrong with a part of an archive, or odd in it, costs that part alone; no answer looks whole without it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import replace

import h5py
import numpy as np
import pytest

from asking import DAY_SECOND, WHOLE, ask_hapi, call, make_rates, make_reading_site
from dayfile import Instrument, create_archive, hookimpl
from instruments import SCHOOL, TELESCOPE
from running import until

RATES, EVENTS = "muon.rates", "school.events"
NEXT_DAY = {"start": "1997-11-01", "stop": "1997-11-02"}


@pytest.fixture
def both(tmp_path):
    """An archive with two days of rates and a day of events; of the rates' newest day file the path."""
    plugins = {"muon": Instrument(TELESCOPE, "muon.yaml"), "school": Instrument(SCHOOL, "school.yaml")}
    archive = create_archive(tmp_path / "archive", plugins=plugins)
    _, _, records = make_rates(10)
    archive.put(RATES, records)
    records["second"] += 86400
    archive.put(RATES, records)
    events = np.zeros(3, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = 1488067200 + np.arange(3)
    archive.put(EVENTS, events, station=7)
    (newest,) = archive.root.path.glob("muon/**/01.*.h5")
    return archive, newest


def test_a_newest_day_that_cannot_be_read_leaves_the_other_days(both, caplog):
    archive, newest = both
    newest.write_bytes(newest.read_bytes()[:2000])
    app = make_reading_site(archive.root.path)
    with caplog.at_level(logging.ERROR):
        info = ask_hapi(app, "info", dataset=RATES)
    assert info.status == 200
    assert "sampleStartDate" not in info.json
    assert newest.name in caplog.text
    assert b"muon" not in ask_hapi(app, "data", dataset=RATES, **NEXT_DAY).body
    assert len(ask_hapi(app, "data", dataset=RATES, format="json", **WHOLE).json["data"]) == 10
    lines = ask_hapi(app, "data", dataset=RATES, parameters="good", include="header", **WHOLE).body.splitlines()
    assert len([line for line in lines if not line.startswith(b"#")]) == 10
    assert ask_hapi(app, "data", dataset=RATES, **NEXT_DAY).code == 1500
    assert call(app, "/").status == 200


def test_a_type_that_cannot_be_read_leaves_the_others_in_the_catalog(both, caplog):
    archive, _ = both
    for path in archive.root.path.glob("muon/**/*.h5"):
        path.unlink()
    app = make_reading_site(archive.root.path)
    with caplog.at_level(logging.ERROR):
        listed = ask_hapi(app, "catalog")
    assert [each["id"] for each in listed.json["catalog"]] == [f"{EVENTS}/7"]
    assert caplog.text.count("no dataset of muon.rates") == 1
    assert EVENTS.encode() in call(app, "/").body
    assert ask_hapi(app, "info", dataset=RATES).code == 1500


def test_an_answer_is_not_shorter_without_a_word_where_a_day_file_has_lost_records(both, caplog):
    archive, newest = both
    with h5py.File(newest, "r+") as file:
        file["rates"].resize(9, axis=0)
    app = make_reading_site(archive.root.path)
    with caplog.at_level(logging.ERROR):
        assert ask_hapi(app, "data", dataset=RATES, **NEXT_DAY).code == 1500
    assert "holds 9 records of muon.rates, and 10 by the catalogue" in caplog.text
    assert ask_hapi(app, "data", dataset=RATES, **WHOLE).status == 200


@pytest.mark.parametrize(
    ("change", "health"),
    [("UPDATE types SET data_type = CAST(x'ff41' AS TEXT)", 503), ("UPDATE totals SET key = substr(key, 2)", 200)],
)
def test_bytes_of_the_catalogue_that_changed_are_named_as_damage(both, caplog, change, health):
    archive, _ = both
    with closing(sqlite3.connect(archive.root.catalogue)) as connection, connection:
        connection.execute(change)
    app = make_reading_site(archive.root.path)
    with caplog.at_level(logging.ERROR):
        assert call(app, "/healthz").status == health
        assert ask_hapi(app, "catalog").code == 1500
    assert "the catalogue cannot be used" in caplog.text
    assert "rebuild it from the day files: dayfile reindex" in caplog.text


def test_a_range_as_long_as_info_permits_is_answered_wherever_it_begins(tmp_path):
    instrument, rates, _ = make_rates(5)
    archive = create_archive(tmp_path / "archive", plugins={"muon": instrument})
    records = np.zeros(8640, rates.dtype)
    records["second"] = DAY_SECOND + 10 * np.arange(8640)
    archive.put(RATES, records)
    app = make_reading_site(archive.root.path, web_most_records=1000)
    longest = ask_hapi(app, "info", dataset=RATES).json["maxRequestDuration"]
    seconds = np.timedelta64(int(longest[2:-1]), "s")
    assert 2 * 3600 < seconds.astype(int) <= 10_000
    for second in np.random.default_rng(5).integers(0, 76_000, 20):
        start = np.datetime64("1997-10-31") + np.timedelta64(second, "s")
        words = {"start": f"{start}Z", "stop": f"{start + seconds}Z", "parameters": "good"}
        reply = ask_hapi(app, "data", dataset=RATES, **words)
        assert (reply.status, 990 < len(reply.body.splitlines()) <= 1000) == (200, True)


def test_a_burst_of_records_counts_whole(tmp_path):
    instrument, rates, _ = make_rates(5)
    archive = create_archive(tmp_path / "archive", plugins={"muon": instrument})
    records = np.zeros(3000, rates.dtype)
    records["second"] = DAY_SECOND + 5000 + np.arange(3000) // 300
    records["nanosecond"] = np.arange(3000) % 300
    archive.put(RATES, records)
    app = make_reading_site(archive.root.path, web_most_records=1000)
    for stop, code in (("01:23:23", 1200), ("01:23:40", 1408), ("03:10", 1408)):
        words = {"start": "1997-10-31T01:23:20Z", "stop": f"1997-10-31T{stop}Z", "format": "json"}
        sent = ask_hapi(app, "data", dataset=RATES, parameters="good", **words)
        assert sent.code == code
    words = {"start": "1997-10-31T01:23:20Z", "stop": "1997-10-31T01:23:23Z", "parameters": "good"}
    assert len(ask_hapi(app, "data", dataset=RATES, **words).body.splitlines()) == 900


@pytest.mark.parametrize("word", ["catalog", "data"])
def test_only_the_date_of_this_answer_is_taken_for_known(telescope, word):
    """A day file that was restored from an older copy makes the date of an answer older."""
    app, words = make_reading_site(telescope), {"dataset": RATES, **WHOLE} if word == "data" else {}
    until(lambda: "last-modified" in ask_hapi(app, word, **words).headers)
    assert ask_hapi(app, word, {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, **words).status == 200
    odd = "Sun, 06 Nov 2094 08:49:37 +999999999999999999999999"
    assert ask_hapi(app, word, {"If-Modified-Since": odd}, **words).status == 200


def test_what_comes_from_settings_is_sent_again_after_they_have_changed(telescope):
    app = make_reading_site(telescope, web_title="One")
    until(lambda: "last-modified" in ask_hapi(app, "about").headers)
    since = {"If-Modified-Since": ask_hapi(app, "about").headers["last-modified"]}
    assert ask_hapi(app, "about", since).status == 304
    other = make_reading_site(telescope, web_title="Two")
    until(lambda: "last-modified" in ask_hapi(other, "about").headers)
    assert ask_hapi(other, "about", since).json["title"] == "Two"


def test_a_range_from_a_leap_second_is_refused_for_a_clock_without_any(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"school": Instrument(SCHOOL, "school.yaml")})
    events = np.zeros(2, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = 1483228790, 1483228810  # around the end of 2016
    archive.put(EVENTS, events, station=7)
    words = {"start": "2016-12-31T23:59:60.5Z", "stop": "2017-01-01Z"}
    assert ask_hapi(make_reading_site(archive.root.path), "data", dataset=EVENTS, **words).code == 1404


def test_fields_with_all_names_of_times_leave_one_for_the_time(tmp_path):
    names = {"level": "Time", "label": "Epoch", "good": "RecordTime", "large": "RecordEpoch"}
    layout = TELESCOPE
    for name, other in names.items():
        layout = layout.replace(f"{{name: {name}", f"{{name: {other}")
    archive = create_archive(tmp_path / "archive", plugins={"muon": Instrument(layout, "muon.yaml")})
    _, _, records = make_rates(5)
    records.dtype.names = tuple(names.get(name, name) for name in records.dtype.names)
    archive.put(RATES, records)
    info = ask_hapi(make_reading_site(archive.root.path), "info", dataset=RATES).json
    assert info["parameters"][0]["name"] == "Time1"
    assert len({each["name"] for each in info["parameters"]}) == len(info["parameters"]) == 11


def test_keys_that_are_no_integers_of_hapi_are_text(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"school": Instrument(SCHOOL, "school.yaml")})
    events = np.zeros(1, [("timestamp", "<i4"), ("height", "<f4"), ("label", "S4")])
    events["timestamp"] = 1488067200
    for station in (-(2**63), 7):
        archive.put(EVENTS, events, station=station)
    words = {"start": "2017-02-26", "stop": "2017-02-27", "parameters": "station"}
    body = ask_hapi(make_reading_site(archive.root.path), "data", dataset=EVENTS, **words).body.decode()
    assert sorted(line.partition(",")[2] for line in body.splitlines()) == ["-9223372036854775808", "7"]


class Doubled(Instrument):
    """School detectors of which a field has the name of the key."""

    @hookimpl
    def data_types(self):
        return [
            replace(each, fields=tuple(replace(f, name="station") if f.name == "height" else f for f in each.fields))
            for each in self.layout.types
            if each.name == EVENTS
        ]


def test_a_key_with_the_name_of_a_field_is_one_parameter(tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"school": Doubled(SCHOOL, "school.yaml")})
    events = np.zeros(2, [("timestamp", "<i4"), ("station", "<f4"), ("label", "S4")])
    events["timestamp"], events["station"], events["label"] = 1488067200 + np.arange(2), 2.5, b"abcd"
    for station in (7, 501):
        archive.put(EVENTS, events, station=station)
    app, words = make_reading_site(archive.root.path), {"start": "2017-02-26", "stop": "2017-02-27"}
    names = [each["name"] for each in ask_hapi(app, "info", dataset=EVENTS).json["parameters"]]
    assert names == ["Time", "station", "event_id", "timestamp", "label"]
    lines = ask_hapi(app, "data", dataset=EVENTS, **words).body.decode().splitlines()
    assert sorted(line.split(",")[1] for line in lines) == ["501", "501", "7", "7"]
    assert len(ask_hapi(app, "data", dataset=f"{EVENTS}/7", **words).body.splitlines()) == 2


def test_what_is_wrong_with_the_program_is_answered_in_hapi_too(telescope, monkeypatch):
    def fail(self, *_):
        raise ZeroDivisionError

    app = make_reading_site(telescope)
    monkeypatch.setattr("dayfile.web.hapi.Hapi.list_catalog", fail)

    async def log_as_a_server(*arguments):
        with pytest.raises(ZeroDivisionError):
            await app(*arguments)

    reply = ask_hapi(log_as_a_server, "catalog")
    assert (reply.status, reply.code) == (500, 1500)
