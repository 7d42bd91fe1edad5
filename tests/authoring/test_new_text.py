"""``dayfile new --sample`` with text: recognised, drafted as lines, or refused with what to write by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import dayfile

BEGIN = datetime(2024, 5, 1, 12, 0, 7, tzinfo=UTC)
TIMES = [BEGIN + timedelta(seconds=10 * n) for n in range(40)]
COUNTS = list(range(100, 140))
HEAT = [20 + n / 8 for n in range(40)]


def join(separator: str, form: str, header: str = "") -> str:
    """Join lines of a time, a count and a number."""
    rows = [separator.join([t.strftime(form), str(n), f"{x}"]) for t, n, x in zip(TIMES, COUNTS, HEAT, strict=True)]
    return "\n".join([*([header] if header else []), *rows]) + "\n"


ISO = "%Y-%m-%dT%H:%M:%SZ"
TEXTS = {
    "header": join(",", ISO, "time,n,Heat (degC)"),
    "semicolons": join(";", "%Y-%m-%d %H:%M:%S", "when;n;heat").replace(".", ","),
    "tabs": join("\t", "%d.%m.%Y %H:%M:%S"),
    "blanks": join("   ", "%Y-%m-%d %H:%M:%S.%f"),
    "seconds": "".join(f"{int(t.timestamp())} {n} {x}\n" for t, n, x in zip(TIMES, COUNTS, HEAT, strict=True)),
    "comment": "# a station\n# t n heat\n"
    + "".join(f"{t.timestamp():.3f}  {n} {x}\n" for t, n, x in zip(TIMES, COUNTS, HEAT, strict=True)),
    "json": "".join(
        json.dumps({"t": t.timestamp(), "env": {"n": n, "heat": x}, "ok": True, "hv": [1, 2]}) + "\n"
        for t, n, x in zip(TIMES, COUNTS, HEAT, strict=True)
    ),
}


@pytest.fixture
def make_new(tmp_path, command_here):
    def make(content: str | bytes, *words: object):
        (tmp_path / "station_1.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
        done = command_here(
            "dayfile",
            "new",
            "station",
            "--out",
            tmp_path / "new",
            "--sample",
            tmp_path / "station_1.txt",
            *words,
            archive=None,
        )
        path = tmp_path / "new" / "src" / "dayfile_station" / "station.yaml"
        return done, path.read_text() if done.code == 0 else ""

    return make


def decode(layout: str, content: str | bytes) -> tuple[np.ndarray, np.ndarray]:
    """Decode a sample by a layout: times and records."""
    instrument = dayfile.Instrument(layout, "station.yaml")
    assert instrument.find_mistakes() == ()
    sent = content if isinstance(content, bytes) else content.encode()
    (batch,) = instrument.decode(dayfile.Source(Path("station_1.txt"), "station_1.txt", sent))
    data_type = instrument.layout.types[0]
    return data_type.clock.to_datetime64(batch.records[data_type.time]), batch.records


@pytest.mark.parametrize("kind", TEXTS)
def test_lines_of_columns_and_of_json_are_drafted_with_their_times_and_types(make_new, kind):
    done, layout = make_new(TEXTS[kind])
    assert done.code == 0, done.err
    assert "the sample is text" in done.out
    assert "# a guess" in layout
    times, records = decode(layout, TEXTS[kind])
    assert times.tolist() == [round(t.timestamp() * 1e9) for t in TIMES]
    values = [records[name].tolist() for name in records.dtype.names]
    assert COUNTS in values
    assert HEAT in values


def test_empty_parts_and_numbers_for_nothing_measured_are_missing(make_new):
    rows = TEXTS["header"].splitlines()
    rows[3] = rows[3].rsplit(",", 1)[0] + ","
    rows[5] = rows[5].replace(",104,", ",-999,")
    text = "\n".join(rows) + "\n"
    _, layout = make_new(text)
    _, records = decode(layout, text)
    assert np.isnan(records["heat_degc"][2])
    assert "missing: [-999]" in layout


def test_the_column_with_the_time_can_be_named(make_new):
    text = "".join(
        f"{t:%Y-%m-%dT%H:%M:%S},{t + timedelta(days=1):%Y-%m-%dT%H:%M:%S},{n}\n" for n, t in enumerate(TIMES)
    )
    done, layout = make_new(text, "--time", "column_2")
    times, _ = decode(layout, text)
    assert str(times[0]) == "2024-05-02T12:00:07.000000000", done.out


@pytest.mark.parametrize(
    "text",
    [
        join(",", "%Y-%m-%d %H:%M:%S", "Date Time,n,heat"),
        join(",", "%Y-%m-%d,%H:%M:%S", "date,clock time,n,heat"),
        "# made by hand\n" + join(";", ISO, "Time (UTC);n;heat"),
        b"\xef\xbb\xbf" + join(",", ISO, "time,n,heat").encode(),
        join(",", ISO, "time,n,Temp (\xb0C)").encode("latin-1"),
        join(",", ISO, "T,t,n").encode(),
    ],
    ids=["a blank", "a blank in one of two", "brackets and a comment", "byte order mark", "latin-1", "case alone"],
)
def test_headers_as_people_write_them_lead_to_the_true_times(make_new, text):
    done, layout = make_new(text)
    assert done.code == 0, done.err
    times, records = decode(layout, text)
    assert times.tolist() == [round(t.timestamp() * 1e9) for t in TIMES]
    values = [records[name].tolist() for name in records.dtype.names]
    assert COUNTS in values
    assert HEAT in values


def test_names_of_columns_that_differ_by_case_alone_are_kept_apart(make_new):
    text = "T,t,n\n" + "".join(f"{x},{int(t.timestamp())},{n}\n" for t, n, x in zip(TIMES, COUNTS, HEAT, strict=True))
    done, layout = make_new(text)
    assert done.code == 0, done.err
    times, records = decode(layout, text)
    assert times.tolist() == [int(t.timestamp()) * 10**9 for t in TIMES]
    assert HEAT in [records[name].tolist() for name in records.dtype.names]


@pytest.mark.parametrize(
    ("text", "words", "part"),
    [
        ("20240501120007A 12\n20240501120017B\n20240501120027C113\n" * 9, (), "docs/formats.md"),
        ("a,b\n1,2\n3,1\n" * 3, (), "no column has times"),
        (TEXTS["header"], ("--time", "tine"), "did you mean 'time'"),
        (TEXTS["header"], ("--record-bytes", 20), "is text"),
        (TEXTS["header"], ("--python",), "is text"),
        ("", (), "empty"),
        ("x" * 200_000 + "\n1 2\n", (), "neither objects of JSON nor columns"),
        ('{"env": {"time": "2024-05-01T12:00:00Z"}}\n' * 5, (), "station_1.txt"),
        (TEXTS["header"], ("--epoch", "0001-01-01"), "from 1700 on"),
    ],
)
def test_a_text_that_is_not_understood_is_refused_with_what_helps(make_new, text, words, part):
    done, _ = make_new(text, *words)
    assert (done.code, part in done.err) == (2, True), done.err


@pytest.mark.proof
@pytest.mark.parametrize("kind", TEXTS)
def test_the_tests_of_a_package_for_text_pass_as_they_are(make_new, tmp_path, kind):
    make_new(TEXTS[kind])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path / "new", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_a_damaged_text_is_text(make_new):
    text = TEXTS["header"].replace("105,", "1\x005,")
    done, _ = make_new(text)
    assert "the sample is text" in done.out
    assert "1 line rejected" in done.out


def test_the_sample_of_a_package_has_no_damaged_line(make_new, tmp_path):
    make_new(TEXTS["header"].replace("105,", "1\x005,"))
    (data,) = (tmp_path / "new" / "tests" / "data").iterdir()
    assert b"\x00" not in data.read_bytes()
    assert data.read_bytes().count(b"\n") == 40
