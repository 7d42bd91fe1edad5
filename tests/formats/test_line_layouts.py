"""Layouts of lines whose parts depend on their kind: what one kind tells for others, and what is before the data."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import pytest

from dayfile import Batch, Instrument, LayoutError, Rejected, Source

BUOY = """
instrument: buoy
title: Receiver of a test
clock: {epoch: 1970-01-01T00:00:00}
match: {name: "*.nmea"}
frames:
  lines: {columns: [sentence, ...], separator: ",", checksum: {kind: xor, from: "$", to: "*"}}
  ignore: [{sentence: "$??GSV"}]
carry:
  date: {of: rmc}
path: "buoy/{year}{month:02}{day:02}.h5"
types:
  gga:
    code: GGA
    title: Fixes
    store: append
    when: {sentence: "$??GGA"}
    columns: [sentence, utc, latitude, north, ...]
    time: {text: "{date} {utc}", form: "%d%m%y %H%M%S.%f"}
    fields: [{name: latitude, type: float64}]
  rmc:
    code: RMC
    title: Speeds
    store: append
    when: {sentence: "$??RMC"}
    columns: [sentence, utc, speed, date]
    time: {text: "{date} {utc}", form: "%d%m%y %H%M%S.%f"}
    fields: [{name: speed, type: float32}, {name: date, type: uint32}]
"""
MAST = """
instrument: mast
title: Logger of a test
clock: {epoch: 1970-01-01T00:00:00}
match: {name: "*.dat", magic: 'text: "TOA5"'}
frames:
  lines: {columns: header, separator: ",", skip: [1, 3, 4]}
carry:
  station: {line: '"TOA5","{station}","{model}"'}
path: "mast/{year}{month:02}{day:02}.h5"
node: "/{station}/{type}"
titles: [station]
types:
  air:
    code: Air
    title: Air
    store: append
    time: {text: "{TIMESTAMP}", form: "%Y-%m-%d %H:%M:%S"}
    fields: [{name: temperature, type: float32, unit: degC, from: AirT_Avg}]
"""
CARDS = """
instrument: cards
title: Cards of a test
clock: {epoch: 1970-01-01T00:00:00}
match: {name: "*.crd"}
frames:
  lines: {columns: {day: 8, kind: 2, ...}, decimal: ","}
path: "cards/{year}{month:02}{day:02}.h5"
types:
  rain:
    code: R
    title: Rain
    store: append
    when: {kind: RR}
    columns: {day: 8, kind: 2, amount: 7}
    time: {text: "{day}", form: "%Y%m%d"}
    fields: [{name: amount, type: float32, missing: [-1], unit: mm}]
  wind:
    code: W
    title: Wind
    store: append
    when: {kind: WW}
    columns: {day: 8, kind: 2, speed: 5, direction: 3}
    time: {text: "{day}", form: "%Y%m%d"}
    fields: [{name: speed, type: float32, unit: m/s}, {name: direction, type: uint16, unit: deg}]
"""


def decode(text, name, content):
    """The records of each code, and what is rejected: offset, reason and content."""
    instrument = Instrument(text, "layout.yaml")
    list(instrument.data_types())
    items = list(instrument.decode(Source(Path(name), name, content)) or [])
    batches = {item.code: item for item in items if isinstance(item, Batch)}
    return batches, [(item.offset, item.reason, item.content) for item in items if isinstance(item, Rejected)]


def seal(text):
    """A sentence with its checksum."""
    return b"$%s*%02X\r\n" % (text, reduce(lambda value, byte: value ^ byte, text, 0))


def find_times(batch):
    return batch.records["time"].astype("datetime64[ns]").astype("datetime64[ms]").astype(str).tolist()


def test_a_date_that_one_kind_of_line_tells_holds_for_the_others():
    lines = [
        seal(b"GPRMC,235959.00,1.5,010203"),
        seal(b"GPGGA,235959.50,48.25,N,8,0.9"),
        seal(b"GPGSV,1,1,00"),
        seal(b"GPRMC,000000.00,2.5,020203"),
        seal(b"GPGGA,000000.50,48.5,N"),
    ]
    batches, rejected = decode(BUOY, "a.nmea", b"".join(lines))
    assert rejected == []
    assert find_times(batches["GGA"]) == ["2003-02-01T23:59:59.500", "2003-02-02T00:00:00.500"]
    assert batches["GGA"].records["latitude"].tolist() == [48.25, 48.5]
    assert batches["RMC"].records["date"].tolist() == [10203, 20203]


def test_a_date_that_is_told_first_holds_for_lines_before_it():
    lines = [seal(b"GPGGA,235959.50,48.25,N"), seal(b"GPRMC,235959.00,1.5,010203")]
    batches, rejected = decode(BUOY.replace("{of: rmc}", "{of: rmc, which: first}"), "a.nmea", b"".join(lines))
    assert (find_times(batches["GGA"]), rejected) == (["2003-02-01T23:59:59.500"], [])


def test_lines_with_a_wrong_checksum_or_parts_that_are_not_of_their_type_are_rejected_alone():
    good = seal(b"GPRMC,235959.00,1.5,010203")
    short, bare, strange = seal(b"GPRMC,235959.00,1.5"), b"$GPRMC,235959.00,1.5,010203\r\n", seal(b"PXYZ,1")
    batches, rejected = decode(BUOY, "a.nmea", good + good.replace(b"1.5", b"1.6") + short + bare + strange)
    assert len(batches["RMC"].records) == 1
    assert sorted((offset, reason) for offset, reason, _ in rejected) == [
        (len(good), "wrong checksum"),
        (2 * len(good), "4 parts are due, 3 are there"),
        (2 * len(good) + len(short), "no checksum of 2 hexadecimal digits behind $…*"),
        (2 * len(good) + len(short) + len(bare), "no type has sentence $PXYZ"),
    ]


def test_lines_around_the_header_are_skipped_and_a_rejected_line_has_them():
    head = b'"TOA5","north","CR6"\n"TIMESTAMP","AirT_Avg"\n"TS","Deg C"\n"","Avg"\n'
    content = head + b'"2024-07-01 12:00:00",21.5\n"2024-07-01 12:10:00","NAN"\n"2024-07-01 12:20:00",x\n'
    batches, ((offset, reason, alone),) = decode(MAST, "a.dat", content)
    assert batches["Air"].keys == {"station": "north"}
    assert batches["Air"].records["temperature"][0] == 21.5
    assert (offset, reason) == (content.rindex(b'"2024'), "AirT_Avg: 'x' is not a number")
    again, rejected = decode(MAST, "a.dat", alone.replace(b",x", b",22"))
    assert rejected == []
    assert (again["Air"].keys, again["Air"].records["temperature"].tolist()) == ({"station": "north"}, [22])


def test_types_have_parts_of_their_own_widths():
    content = b"20240701RR   12,5\n20240701WW  3,4270\n20240702RR\n20240703WW 13,4 7099\n"
    batches, rejected = decode(CARDS, "a.crd", content)
    assert batches["R"].records["amount"].tolist() == [12.5, -1]
    assert batches["W"].records["direction"].tolist() == [270]
    assert [(offset, reason) for offset, reason, _ in rejected] == [(48, "more than the 18 bytes of its parts: 20")]


@pytest.mark.parametrize("more", ["", "    when: {amount: '5'}\n"])
def test_a_value_may_be_stored_and_be_part_of_the_time_and_of_the_condition(more):
    layout = MAST[: MAST.index("match")] + (
        'match: {name: "*.txt"}\nframes: {lines: {columns: [second, amount]}}\npath: "m/{year}{month:02}{day:02}.h5"\n'
        f"types:\n  sum:\n    code: S\n    title: Sums\n    store: append\n{more}"
        "    time: {epoch: 1970-01-01, plus: {second: s}}\n"
        "    fields: [{name: second, type: uint32}, {name: amount, type: int8}]\n"
    )
    batches, rejected = decode(layout, "a.txt", b"86400 5\ny 5\n")
    assert batches["S"].records.tolist() == [(86_400_000_000_000, 86_400, 5)]
    assert [reason for _, reason, _ in rejected] == ["second: 'y' is not a whole number"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[sentence, utc, speed, date]", "[utc, utc]", "columns[1]: 'utc' is here a second time"),
        ("[sentence, utc, speed, date]", "{sentence: 6, utc}", "columns.utc: give the bytes of this part, as {utc: 8}"),
        ("north, ...]", "..., north]", "columns[3]: '...' stands for further parts, and is the last"),
        ("[sentence, ...], ", "header, ", "need no 'columns'"),
    ],
)
def test_a_mistake_in_the_parts_of_a_type_is_reported_with_its_place(old, new, message):
    assert old in BUOY
    with pytest.raises(LayoutError) as raised:
        list(Instrument(BUOY.replace(old, new), "layout.yaml").data_types())
    assert message in str(raised.value)
    assert str(raised.value).startswith("layout.yaml:")


def test_only_lines_have_columns():
    layout = BUOY.replace(
        'lines: {columns: [sentence, ...], separator: ",", checksum: {kind: xor, from: "$", to: "*"}}', "size: 8"
    )
    with pytest.raises(LayoutError, match="only lines of text"):
        list(Instrument(layout, "layout.yaml").data_types())
