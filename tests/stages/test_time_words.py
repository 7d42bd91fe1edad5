"""The words for times in layouts: each form that is meant, its times, and complaints about that form at their place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dayfile.errors import LayoutError
from dayfile.layouts.document import Document
from dayfile.layouts.makings import compile_making
from dayfile.layouts.reader import extend_vocabulary, read_layout
from dayfile.layouts.validation import validate_words
from dayfile.timing.times import MADE_CLOCK

LAYOUT = """\
instrument: hall
title: Hall
clock: {{epoch: 1970-01-01T00:00:00}}
path: "hall/{{year}}{{month:02}}{{day:02}}.h5"
types:
  t:
    code: T
    title: T
    store: append
    time: {time}
    fields:
      - {{name: mark, type: uint16}}
"""
HERE = "§"
PLACE = ("types", "t", "time")


def check_words(document, model):
    """The words of a document, or an error with its mistakes."""
    words = validate_words(document, model)
    document.raise_mistakes()
    return words


def compile_words(time):
    """What the words of a type's time are compiled to."""
    document = Document.parse(LAYOUT.format(time=time), "hall.yaml")
    words = check_words(document, extend_vocabulary(())).types["t"].time
    return compile_making(words, document, PLACE)


def make(time, **columns):
    """Times that words make of columns, as text, or the reasons why they are wrong."""
    arrays = {name: np.atleast_1d(each) for name, each in columns.items()}
    times, wrong = compile_words(time).make(arrays, max(len(each) for each in arrays.values()))
    shown = times.astype("datetime64[ns]").astype(str).tolist()
    return [wrong.reasons.get(row, text) for row, text in enumerate(shown)]


CDS = "{epoch: 1958-01-01, plus: {DAY: d, MSEC: {unit: ms, below: 86400000}, USEC: us}, scale: utc}"


def test_the_forms_of_the_grammar_make_times():
    assert make(CDS, DAY=23109, MSEC=7, USEC=137) == ["2021-04-09T00:00:00.007137000"]
    weeks = (
        "{epoch: 1980-01-06, scale: gps, plus: {week: {unit: w, modulo: 1024, since: 2019-04-07}, iTOW: ms, fTOW: ns}}"
    )
    assert make(weeks, week=2128 % 1024, iTOW=473_613_000, fTOW=52_790) == ["2020-10-23T11:33:15.000052790"]
    parts = "{year: y, month: mo, day: d, hour: h, minute: mi, second: s, plus: {nano: ns}}"
    assert make(parts, y=2020, mo=10, d=23, h=11, mi=33, s=15, nano=52_792) == ["2020-10-23T11:33:15.000052792"]
    text = '{text: "{date} {clock}", form: "%Y-%m-%d %H:%M:%S.%f", zone: Europe/Amsterdam, repeated: second}'
    assert make(text, date="2024-10-27", clock="02:30:00.5") == ["2024-10-27T01:30:00.500000000"]
    assert make('{text: "{t}"}', t="2024-05-02T01:50:00+02:00") == ["2024-05-01T23:50:00.000000000"]
    assert make("{epoch: 1601-01-01, plus: {ticks: 1/10000000 s}}", ticks=133_590_384_001_234_567) == [
        "2024-05-01T12:00:00.123456700"
    ]
    assert make("{year: y, day_of_year: d, plus: {minute: min}}", y="2024", d="366", minute=1440) == [
        "2025-01-01T00:00:00.000000000"
    ]
    assert make("{year: y, month: m, day: d, fraction: f, unit: ms}", y=2024, m=5, d=1, f=250) == [
        "2024-05-01T00:00:00.250000000"
    ]


HS = {
    1: ("2015-01-01T00:00:00", "1/65536 s", "utc, leap_seconds: counted"),
    10: ("2014-12-31T00:00:00", "1/65536 s", "utc, leap_seconds: counted"),
    35: ("2015-01-01T00:00:00", "ms", "utc, leap_seconds: counted"),
    130: ("1972-01-01T00:00:00.5", "ms", "utc, leap_seconds: counted"),
    251: ("2015-01-01T00:00:35", "us", "tai"),
    895: ("2001-01-01T00:00:00", "us", "utc, leap_seconds: counted"),
}


@pytest.mark.parametrize("apid", HS)
def test_clocks_that_count_leap_seconds_begin_together(apid):
    epoch, unit, scale = HS[apid]
    making = compile_words(f"{{epoch: {epoch}, scale: {scale}, plus: {{s: s, f: {unit}}}}}")
    begin = np.array([np.datetime64("2015-06-29T00:00:00", "ns").astype(np.int64)])
    columns = making.take_apart(begin)
    times, wrong = making.make(columns, 1)
    assert wrong.reasons == {}
    assert abs(int(times[0] - begin[0])) < 1_000_000
    later = {"s": columns["s"] + 3 * 86_400, "f": columns["f"]}
    assert making.make(later, 1)[0].astype("datetime64[ns]") == times.astype("datetime64[ns]") + np.timedelta64(
        3 * 86_400 - 1, "s"
    )


def test_a_made_time_is_stored_in_a_field_of_its_own():
    framed = LAYOUT.replace("path:", "match: {{name: '*.hall'}}\nframes: {{size: 16}}\npath:")
    framed += "".join(f"      - {{{{name: {name}, type: uint32}}}}\n" for name in ("DAY", "MSEC", "USEC"))
    found = read_layout(framed.format(time=CDS), "hall.yaml").types[0]
    assert next((field.name, field.type, field.unit) for field in found.fields) == ("time", "int64", "ns")
    assert (found.time, found.clock) == ("time", MADE_CLOCK)
    with pytest.raises(LayoutError, match="the name of the time that is made"):
        read_layout(framed.format(time=CDS) + "      - {name: time, type: uint8}\n", "hall.yaml")
    assert [
        field.name
        for field in read_layout(LAYOUT.format(time="mark").replace("uint16", "uint32"), "hall.yaml").types[0].fields
    ] == ["mark"]


def test_the_time_of_the_first_record_of_a_type_is_a_form():
    document = Document.parse(LAYOUT.format(time="{first: events}"), "hall.yaml")
    assert check_words(document, extend_vocabulary(())).types["t"].time.first == "events"


MISTAKES = {
    "word of a sum": ("{epoch: 1958-01-01, §pluss: {DAY: d}}", "did you mean 'plus'?"),
    "word of a text": ('{text: "{t}", §from: "%Y"}', "did you mean 'form'?"),
    "word of a date": ("{year: y, §mnth: m, day: d, zone: UTC}", "did you mean 'month'?"),
    "no epoch": ("§{plus: {t: s}}", "'epoch' is missing"),
    "no plus": ("§{epoch: 1958-01-01}", "'plus' is missing"),
    "no part": ("{epoch: 1958-01-01, plus: §{}}", "must have at least 1"),
    "unit": ("{epoch: 1958-01-01, plus: {t: §sec}}", "'sec' is not a unit: w, d, h, min, s, ms, us, ns, or a fraction"),
    "unit in a mapping": ("{epoch: 1958-01-01, plus: {t: {unit: §m}}}", "'m' is not a unit"),
    "no unit": ("{epoch: 1958-01-01, plus: {t: §{below: 3}}}", "'unit' is missing"),
    "fraction": ("{epoch: 1958-01-01, plus: {t: §1/999999999989 s}}", "too small a part of a second"),
    "bounds": ("{epoch: 1958-01-01, plus: {t: {unit: s, least: 5, below: §5}}}", "5 is not more than the least value"),
    "modulo": ("{epoch: 1980-01-06, plus: {w: {unit: w, modulo: §1024}}}", "'since' is missing"),
    "since": ("{epoch: 1980-01-06, plus: {w: {unit: w, since: §2019-04-07}}}", "a date goes with 'modulo'"),
    "since before": ("{epoch: 1980-01-06, plus: {w: {unit: w, modulo: 9, since: §1979-04-07}}}", "is before the epoch"),
    "epoch of counted": ("{epoch: §1958-01-01, leap_seconds: counted, plus: {t: s}}", "from 1972-01-01 on"),
    "epoch is a number": ("{epoch: §1958, plus: {t: s}}", "not a date"),
    "scale": ("{epoch: 1958-01-01, scale: §gsp, plus: {t: s}}", "must be 'utc', 'tai', 'gps' or 'tt'"),
    "zone": ('{text: "{t}", zone: §Europe/Amsterdm}', "did you mean 'Europe/Amsterdam'?"),
    "zone and scale": ('{text: "{t}", zone: §Europe/Amsterdam, scale: tai}', "leave one out"),
    "zone and offset": ('{text: "{t}", form: "%Y-%m-%d%z", zone: §Europe/Amsterdam}', "leave 'zone' out"),
    "repeated alone": ('{text: "{t}", repeated: §first}', "'zone' is missing"),
    "repeated": ('{text: "{t}", zone: UTC, repeated: §last}', "must be 'first', 'second' or 'reject'"),
    "text": ("{text: §t}", "has no name in braces"),
    "braces": ('{text: §"{t"}', "must have names in braces"),
    "form in a name": ('{text: §"{t:04}"}', "is not a name alone"),
    "form": ('{text: "{t}", form: §"%H:%M"}', "the form has no year: %Y"),
    "day": ("§{year: y, plus: {s: s}}", "'month' is missing, or 'day_of_year'"),
    "two days": ("{year: y, day: §d, day_of_year: n}", "'day_of_year' says the day already; leave 'day' out"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_about_the_form_that_is_meant_and_at_its_place(mistake):
    marked, problem = MISTAKES[mistake]
    text = LAYOUT.format(time=marked)
    before = text[: text.index(HERE)]
    place = f"hall.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}:"
    with pytest.raises(LayoutError) as caught:
        compile_words(marked.replace(HERE, ""))
    assert (str(caught.value).startswith(place), problem in str(caught.value)) == (True, True), str(caught.value)


def test_the_zone_of_the_settings_is_asked_for_by_its_name():
    making = compile_words('{text: "{t}", zone: required}')
    assert making.zone.setting == "hall.zone"


FORMATS = Path(os.environ.get("DAYFILE_SAMPLES", "")) / "formats"
OF_FORMATS = {
    ("ccsds_cds", "apid011"): CDS,
    (
        "ccsds_hs",
        "apid001",
    ): "{epoch: 2015-01-01, leap_seconds: counted, plus: {time_secs: s, time_subsecs: 1/65536 s}}",
    ("ccsds_hs", "apid035"): "{epoch: 2015-01-01, leap_seconds: counted, plus: {time_secs: s, time_msecs: ms}}",
    (
        "ccsds_hs",
        "apid130",
    ): "{epoch: 1972-01-01T00:00:00.5, leap_seconds: counted, plus: {time_secs: s, time_msecs: ms}}",
    ("ccsds_hs", "apid251"): "{epoch: 2015-01-01T00:00:35, scale: tai, plus: {time_secs: s, time_usecs: us}}",
    ("ccsds_hs", "apid895"): "{epoch: 2001-01-01, leap_seconds: counted, plus: {time_secs: s, time_usecs: us}}",
    ("counts_h", "counts"): "{epoch: 1980-01-06, scale: gps, plus: {time_seconds: s, time_nanoseconds: ns}}",
    ("imager", "frame"): "{epoch: 1970-01-01, plus: {stamp: ms}}",
    ("slots", "house"): "{epoch: 2000-01-01, plus: {second: s}}",
    ("ubx", "NAV-PVT"): "{year: year, month: month, day: day, hour: hour, minute: min, second: sec, plus: {nano: ns}}",
    ("ubx", "NAV-SOL"): "{epoch: 1980-01-06, scale: gps, plus: {week: w, iTOW: ms, fTOW: ns}}",
}


@pytest.mark.skipif(not FORMATS.is_dir(), reason="without samples")
@pytest.mark.parametrize(("name", "kind"), OF_FORMATS)
def test_raw_values_of_the_sample_formats_make_the_times_that_are_expected(name, kind):
    expected = json.loads((FORMATS / name / "expected.json").read_text(encoding="utf-8"))
    values = [each for file in expected["files"].values() for each in file["values"] if each["type"] == kind]
    making = compile_words(OF_FORMATS[name, kind])
    raws = [{key.replace(".", "_"): value for key, value in each["raw"].items()} for each in values]
    assert raws
    times, wrong = making.make({key: np.array([raw[key] for raw in raws]) for key in making.names}, len(raws))
    assert wrong.reasons == {}
    assert times.astype("datetime64[ns]").astype(str).tolist() == [each["time"] for each in values]
    assert {key: value.tolist() for key, value in making.take_apart(times).items()} == {
        key: [raw[key] for raw in raws] for key in making.names
    } or name == "ubx"
