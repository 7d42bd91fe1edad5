"""Events of an upload → rows and blobs of their tables, by the rules of the datastore that the plugin replaces."""

from __future__ import annotations

import base64
import datetime as dt
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Batch, Rejected, Remark, Source, SourceError
from dayfile_hisparc import HisparcSettings, filling, instrument
from dayfile_hisparc.codes import find_plan
from dayfile_hisparc.events import Dates, decode_events
from dayfile_hisparc.pickles import Upload, read_upload, write_upload

TYPES = instrument.layout.by_code()
MOMENT = dt.datetime(2024, 5, 10, 12, 0, 1)


def event(code="CIC", values=(), moment=MOMENT, nanoseconds=5):
    header = {"eventtype_uploadcode": code, "datetime": moment, "nanoseconds": nanoseconds}
    return {"header": header, "datalist": [{"data_uploadcode": name, "data": value} for name, value in values]}


def trace(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


def decode(*events, station=501, cluster="Science Park", **dates):
    items = list(decode_events(Upload(station, cluster, list(events)), TYPES, Dates(**dates), "upload"))
    return [x for x in items if isinstance(x, Batch)], [x for x in items if isinstance(x, Rejected)]


def only(*events, **dates):
    batches, rejected = decode(*events, **dates)
    assert not rejected
    (batch,) = batches
    return batch


def test_an_event_fills_its_columns_and_leaves_the_others_at_their_defaults():
    batch = only(event(values=[("PH1", 300), ("PH3", 64537), ("RED", 1), ("EVENTRATE", 0.5), ("TRIGPATTERN", 9)]))
    (row,) = batch.records
    assert row["timestamp"] == 1715342401
    assert row["nanoseconds"] == 5
    assert row["ext_timestamp"] == 1715342401 * 10**9 + 5
    assert row["pulseheights"].tolist() == [300, -1, -999, -1]
    assert row["baseline"].tolist() == [-1] * 4
    assert row["traces"].tolist() == [-1] * 4
    assert row["data_reduction"]
    assert row["trigger_pattern"] == 9
    assert batch.keys == {"cluster": "science park", "cluster_name": "Science Park", "station": 501}


def test_traces_become_blobs_in_the_order_sent_and_cells_hold_their_index():
    first = event(values=[("TR2", trace(b"2,2")), ("TR1", trace(b"1,1"))])
    second = event(values=[("TR1", trace(b"3,3"))])
    batch = only(first, second)
    assert [zlib.decompress(blob) for blob in batch.blobs.values] == [b"2,2", b"1,1", b"3,3"]
    assert batch.records["traces"].tolist() == [[1, 0, -1, -1], [2, -1, -1, -1]]
    assert batch.blobs.owners.tolist() == [0, 0, 1]


def test_a_code_sent_twice_the_last_wins_and_both_blobs_stay():
    batch = only(event(values=[("TR1", trace(b"1")), ("PH1", 1), ("TR1", trace(b"2")), ("PH1", 2)]))
    assert [zlib.decompress(blob) for blob in batch.blobs.values] == [b"1", b"2"]
    assert batch.records["traces"][0].tolist() == [1, -1, -1, -1]
    assert batch.records["pulseheights"][0, 0] == 2


def test_a_code_without_its_digit_sets_every_element_and_zero_the_last():
    batch = only(event(values=[("PH", 7), ("NP0", 3), ("TR", "text, not base64!")]))
    assert batch.records["pulseheights"][0].tolist() == [7] * 4
    assert batch.records["n_peaks"][0].tolist() == [-1, -1, -1, 3]
    assert batch.blobs.values == [b"text, not base64!"]
    assert batch.records["traces"][0].tolist() == [0] * 4


@pytest.mark.parametrize("code", ["PH5", "PH9", "RED1"])
def test_an_element_that_does_not_exist_costs_the_event_and_no_other(code):
    batches, (rejected,) = decode(event(values=[("PH1", 1)]), event(values=[(code, 1)]), event(values=[("PH1", 3)]))
    assert batches[0].records["pulseheights"][:, 0].tolist() == [1, 3]
    assert batches[0].numbers.tolist() == [0, 2]
    assert rejected.numbers == (1,)
    assert code in rejected.reason


def test_a_value_that_cannot_be_stored_costs_its_event_and_its_blobs_and_no_other():
    good = event(values=[("PH1", 1), ("TR1", trace(b"1"))])
    bad = event(values=[("PH1", "many"), ("TR1", trace(b"2"))])
    (batch,), (rejected,) = decode(good, bad, good)
    assert batch.records["traces"][:, 0].tolist() == [0, 1]
    assert [zlib.decompress(blob) for blob in batch.blobs.values] == [b"1", b"1"]
    assert rejected.numbers == (1,)
    assert "many" not in rejected.reason


@pytest.mark.parametrize(
    ("value", "stored"),
    [("", b""), ("é", b"\xe9"), ("Hardware: 0 FPGA: 0", b"Hardware: 0 FPGA: 0")],
)
def test_texts_are_stored_as_latin_1(value, stored):
    batch = only(event("CFG", [("CFG_MAS_VERSION", value)]))
    assert batch.blobs.values == [stored]
    assert batch.records["mas_version"].tolist() == [0]


@pytest.mark.parametrize("value", ["€", b"bytes", 5, None])
def test_a_text_that_is_none_costs_its_event(value):
    batches, (rejected,) = decode(event("CFG", [("CFG_MAS_VERSION", value)]))
    assert not batches
    assert rejected.numbers == (0,)


def test_base64_is_read_as_leniently_as_the_standard_library_does():
    plain = base64.b64encode(b"some bytes").decode()
    assert only(event(values=[("TR1", plain[:4] + "\n *é"[:3] + plain[4:])])).blobs.values == [b"some bytes"]
    _, (rejected,) = decode(event(values=[("TR1", plain[:-1])]))
    assert "base64" in rejected.reason


def test_an_unknown_event_type_is_set_aside_and_the_others_are_archived():
    batches, (rejected,) = decode(event("XYZ", [("PH1", 1)]), event(values=[("PH1", 1)]), event("XYZ"))
    assert len(batches[0]) == 1
    assert rejected.numbers == (0, 2)
    assert "XYZ" in rejected.reason


def test_an_unknown_code_is_told_and_kept_and_the_rest_of_its_event_is_archived():
    upload = Upload(501, "Science Park", [event(values=[("PH1", 1), ("NEW1", 2)])])
    batch, remark = decode_events(upload, TYPES, Dates(), "upload")
    assert batch.records["pulseheights"][0, 0] == 1
    assert "'NEW'" in remark.text
    assert remark.numbers == (0,)
    assert [json.loads(value)["NEW1"] for value in remark.values] == [2]


def test_old_events_are_rejected_one_by_one_and_can_be_given_again():
    old = event(values=[("PH1", 1)], moment=dt.datetime(2019, 4, 7))
    (batch,), (rejected,) = decode(old, event(values=[("PH1", 2)]))
    assert len(batch) == 1
    assert rejected.numbers == (0,)
    again = read_upload(rejected.content, where="")
    (batch,), rejected = decode(*again.events, station=again.station, cluster=again.cluster, cutoff_year=2016)
    assert batch.records["pulseheights"][0, 0] == 1
    assert not rejected


def test_a_time_beyond_the_32_bit_timestamp_is_not_wrapped():
    _, (rejected,) = decode(event(moment=dt.datetime(2038, 1, 19, 3, 14, 8)))
    assert "2038" in rejected.reason


def test_events_ahead_of_the_clock_are_rejected_one_by_one():
    (batch,), (rejected,) = decode(event(), event(moment=MOMENT + dt.timedelta(days=2)), latest=1715342401 + 86400)
    assert batch.numbers.tolist() == [0]
    assert rejected.numbers == (1,)
    assert "days_ahead" in rejected.reason


def test_events_may_be_any_number_of_days_ahead_if_that_is_set():
    source = Source(Path("upload"), "upload", write_upload(501, "Amsterdam", [event(moment=dt.datetime(2037, 1, 1))]))
    (rejected,) = instrument.decode(source, HisparcSettings())
    assert "days_ahead" in rejected.reason
    (batch,) = instrument.decode(source, HisparcSettings(days_ahead="inf"))
    assert len(batch) == 1


def test_an_aware_datetime_is_converted_to_utc():
    zone = dt.timezone(dt.timedelta(hours=2))
    assert only(event(moment=MOMENT.replace(tzinfo=zone))).records["timestamp"][0] == 1715342401 - 7200


@pytest.mark.parametrize(
    "junk",
    [None, 5, "text", [], {}, {"header": {}}, {"header": 5, "datalist": []}, {"header": {"eventtype_uploadcode": []}}],
)
def test_what_is_no_event_costs_no_other(junk):
    (batch,), (rejected,) = decode(junk, event(values=[("PH1", 1)]))
    assert len(batch) == 1
    assert rejected.numbers == (0,)


@pytest.mark.parametrize(
    "datalist", [None, 5, [5], [{}], [{"data_uploadcode": "PH1"}], [{"data_uploadcode": [], "data": 1}]]
)
def test_a_datalist_without_its_form_costs_its_event(datalist):
    broken = {**event(), "datalist": datalist}
    (batch,), (rejected,) = decode(broken, event(values=[("PH1", 1)]))
    assert len(batch) == 1
    assert rejected.numbers == (0,)


def test_missing_nanoseconds_cost_the_event_only_where_they_are_stored():
    batches, rejected = decode(event("SIN", [("MAS_CH1_LOW", 3)], nanoseconds=None), event(nanoseconds=None))
    assert [batch.code for batch in batches] == ["SIN"]
    assert [item.code for item in rejected] == ["CIC"]


STORED = {
    "-1": (-1, 2**32 - 1, -1),
    "a second": (10**9, 10**9, 10**9),
    "a second and more": (10**9 + 8999, 10**9 + 8999, 10**9 + 8999),
    "2**32": (2**32, 0, 2**32),
    "2**32 and 5": (2**32 + 5, 5, 2**32 + 5),
    "2**64": (2**64, 0, 0),
    "a float": (1e9, 10**9, 10**9),
    "a text": ("-1", 2**32 - 1, -1),
    "a day": (86400 * 10**9, 86400 * 10**9 % 2**32, 86400 * 10**9),
}


@pytest.mark.parametrize("code", ["CIC", "CMP"])
@pytest.mark.parametrize(("sent", "stored", "added"), STORED.values(), ids=STORED)
def test_nanoseconds_beyond_a_second_are_stored_as_ever_and_reported(code, sent, stored, added):
    events = [event(code), event(code, nanoseconds=sent), event("SIN", nanoseconds=sent), event(code, nanoseconds=None)]
    items = list(decode_events(Upload(501, "Science Park", events), TYPES, Dates(), "upload"))
    batch = next(item for item in items if isinstance(item, Batch) and item.code == code)
    second = 1715342401
    assert batch.records["nanoseconds"].tolist() == [5, stored]
    assert batch.records["ext_timestamp"].tolist() == [second * 10**9 + 5, second * 10**9 + added]
    (remark,) = (item for item in items if isinstance(item, Remark))
    assert (remark.code, remark.numbers) == (code, (1,))
    assert remark.text.startswith("nanoseconds not from 0 to 999999999")


@pytest.mark.parametrize("sent", [0, 999_999_999, 5.7, -0.5, True, False, "7"], ids=repr)
def test_nanoseconds_of_a_second_are_no_remark_in_whatever_form(sent):
    items = list(decode_events(Upload(501, "Science Park", [event(nanoseconds=sent)]), TYPES, Dates(), "upload"))
    (batch,) = items
    assert batch.records["nanoseconds"][0] == int(sent)
    assert batch.records["ext_timestamp"][0] == 1715342401 * 10**9 + int(sent)


def test_of_an_event_in_quarantine_the_nanoseconds_are_no_remark():
    bad = event(values=[("TR1", "!")], nanoseconds=-1)
    items = list(decode_events(Upload(501, "Science Park", [bad, event()]), TYPES, Dates(), "upload", "quarantine"))
    assert not [item for item in items if isinstance(item, Remark)]
    assert [item.numbers for item in items if isinstance(item, Rejected)] == [(0,)]


def test_mixed_types_become_a_batch_each_with_places_in_the_upload():
    batches, _ = decode(event("SIN"), event("CIC"), event("SIN"), event("LNS"))
    assert {batch.code: batch.numbers.tolist() for batch in batches} == {"SIN": [0, 2], "CIC": [1], "LNS": [3]}


@pytest.mark.parametrize(
    ("code", "sent", "column", "value"),
    [
        ("LIT", "LIT_UNCORR_ANGLE", "uncorr_angle", 1.5),
        ("LIT", "LIT_CORR_ANGLE", "corr_angle", 2.5),
        ("LCG", "LCG_SQUELCH_SETTING", "squelch_seting", 4),
        ("LST", "LST_SEVERE_ALARM", "sever_alarm", True),
    ],
)
def test_the_columns_whose_codes_were_misspelt_are_stored(code, sent, column, value):
    assert only(event(code, [(sent, value)])).records[column].tolist() == [value]


def test_a_bare_upload_needs_the_settings_that_tell_its_station():
    with pytest.raises(SourceError, match=r"hisparc\.station"):
        decode(event(), station=None, cluster=None)


def test_a_bad_blob_field_keeps_the_index_of_later_events_right():
    events = [event(values=[("TR1", trace(str(n).encode()) if n % 3 else 5)]) for n in range(10)]
    (batch,), _ = decode(*events)
    stored = [zlib.decompress(batch.blobs.values[index]) for index in batch.records["traces"][:, 0]]
    assert stored == [str(n).encode() for n in range(10) if n % 3]
    assert np.array_equal(batch.blobs.owners, np.arange(6))


def test_events_of_one_type_with_other_codes_keep_the_order_of_the_upload():
    # Three sequences of codes in turn, with none, one and two traces; every fifth event cannot be stored.
    codes = [["PH1"], ["TR1", "PH1"], ["PH2", "TR2", "PH1", "TR1"]]
    events = []
    for n in range(30):
        values = {"PH1": n if n % 5 else None, "PH2": -n, "TR1": trace(b"%d,1" % n), "TR2": trace(b"%d,2" % n)}
        events.append(event(values=[(code, values[code]) for code in codes[n % 3]], nanoseconds=n))
    (batch,), rejected = decode(*events)
    stored = [n for n in range(30) if n % 5]
    assert sorted(number for item in rejected for number in item.numbers) == [n for n in range(30) if not n % 5]
    assert batch.numbers.tolist() == batch.records["nanoseconds"].tolist() == stored
    assert batch.records["pulseheights"].tolist() == [[n, -n if n % 3 == 2 else -1, -1, -1] for n in stored]
    sent = [[b"%d,2" % n, b"%d,1" % n][2 - n % 3 :] for n in stored]
    assert [zlib.decompress(blob) for blob in batch.blobs.values] == [text for texts in sent for text in texts]
    assert batch.blobs.owners.tolist() == [row for row, texts in enumerate(sent) for _ in texts]
    for row in range(len(stored)):
        found = [zlib.decompress(batch.blobs.values[index]) for index in batch.records["traces"][row] if index >= 0]
        assert found == sent[row][::-1]


FIELDS = [(field.code, field) for field in TYPES["CIC"].fields if field.code and not field.blob]
CODES = [code + digit for code, field in FIELDS for digit in (["", "0", "1", "2", "3", "4"] if field.shape else [""])]
GOOD = st.integers(0, 100) | st.booleans() | st.floats(0, 100)
ANY = GOOD | st.integers(-(2**70), 2**70) | st.floats() | st.none() | st.sampled_from(["12", "abc", b"1"])


@settings(max_examples=200)
@given(st.data(), st.lists(st.sampled_from(CODES), max_size=30), st.sampled_from([GOOD, ANY, st.integers(-1, 70_000)]))
def test_cells_filled_side_by_side_are_those_filled_one_by_one(data, codes, values):
    sent = [[(code, data.draw(values)) for code in codes] for _ in range(data.draw(st.integers(1, 3)))]
    upload = [event(values=values) for values in sent]
    found = told(*decode(*upload))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "fill_blocks", lambda *_: False)
        assert told(*decode(*upload)) == found


def told(batches, rejected):
    """All there is to know of batches of events and of those that were rejected."""
    return [(batch.records.tobytes(), batch.numbers.tolist()) for batch in batches], rejected


def test_values_of_one_number_type_are_filled_side_by_side(monkeypatch):
    monkeypatch.setattr(filling, "fill_one_by_one", None)
    values = [(f"{code}{digit}", digit) for code in ("BL", "STDDEV", "NP", "PH", "IN") for digit in (1, 2, 3, 4)]
    batch = only(event(values=[("RED", True), ("EVENTRATE", 0.5), *reversed(values)]))
    assert batch.records["integrals"].tolist() == batch.records["n_peaks"].tolist() == [[1, 2, 3, 4]]
    assert len(find_plan(TYPES["CIC"], tuple(code for code, _ in values)).blocks.blocks) == 2


def test_however_many_codes_are_sent_the_blocks_are_no_more_than_the_cells():
    assert find_plan(TYPES["CIC"], ("PH",) * 50_000).blocks is None
    batch = only(event(values=[("PH", n) for n in range(50_000)]))
    assert batch.records["pulseheights"].tolist() == [[49_999 - 2**16] * 4]
