"""The same sources, in any order, again and again, in one run or in many, give the same records."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tables
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from archives import find_defects, run_with
from dayfile import create_archive, open_archive
from dayfile.testing import selftest
from instruments import make_stream

PROBE = selftest.Probe()
MIDNIGHT = int((np.datetime64("2020-05-11T00:00:00") - np.datetime64("2020-01-01T00:00:00")).astype(np.int64))
CODES = {"Rate": "probe.rates", "Run": "probe.runs", "Note": "probe.notes"}

# Few seconds and few identities, so that records are sent again, and others for the same slot; on both sides of
# midnight, and in the last slot of the day and the first of the next.
SECONDS = st.sampled_from([-40, -16, -1, 0, 15, 16])
IDS = st.integers(1, 3)
RECORDS = st.lists(st.tuples(SECONDS, IDS), min_size=1, max_size=6)
SOURCES = st.lists(st.tuples(st.sampled_from(sorted(CODES)), RECORDS), min_size=1, max_size=5)


def source(code: str, rows: list[tuple[int, int]]) -> tuple[str, bytes]:
    """Name and content of a source with records at these seconds from midnight on, with these identities."""
    if code == "Note":
        notes = [{"second": MIDNIGHT + second, "id": i, "text": f"note {i}"} for second, i in rows]
        return "1.notes", "\n".join(map(json.dumps, notes)).encode()
    data_type = PROBE.layout.by_code()[code]
    records = np.zeros(len(rows), data_type.dtype)
    records[data_type.time] = [MIDNIGHT + second for second, _ in rows]
    records["id"] = [i for _, i in rows]
    if code == "Run":
        records["last"] = records["first"] + 5
    return f"{code}.be.bin", make_stream(PROBE, data_type, records)


def archived(directory: Path, runs: list[list[tuple[str, bytes]]]) -> dict[str, Counter[bytes]]:
    """What the tables of an archive hold after runs over these sources: by day file and table, rows and how often.

    Rows of slots go by place, as a slot is what its place says; the numbers of rows and blobs do not matter.
    """
    shutil.rmtree(directory, ignore_errors=True)
    root = create_archive(directory / "archive").root
    for number, run in enumerate(runs):
        paths = []
        for place, (name, content) in enumerate(run):
            paths.append(directory / f"{number}-{place}" / name)
            paths[-1].parent.mkdir(parents=True)
            paths[-1].write_bytes(content)
        report = run_with(root, selftest.make_plugins(), selftest.make_settings(), *paths)
        assert report.exit_code == 0
        assert sum(report.sources.values()) == len(run)
    assert find_defects(root) == []
    return {f"{path}:{name}": rows for path in root.list_day_files() for name, rows in held(root.path / path).items()}


def held(path: Path) -> dict[str, Counter[bytes]]:
    found = {}
    with tables.open_file(path) as file:
        for table in file.walk_nodes("/", "Table"):
            rows = table.read()
            if "dayfile_ledger" in table._v_pathname:
                if table.name == "sources":
                    found["sources"] = Counter(rows["sha256"].tolist())
            elif table.name == "notes":
                texts = [file.root.blobs[place] for place in rows["text"]]
                values = zip(rows["second"].tolist(), rows["id"].tolist(), texts, strict=True)
                found["notes"] = Counter(map(repr, values))
            elif table.name == "rates":
                found["rates"] = Counter(repr((place, row)) for place, row in enumerate(rows.tolist()) if any(row))
            else:
                found[table.name] = Counter(map(repr, rows.tolist()))
    return found


def expected(sources: list[tuple[str, list[tuple[int, int]]]]) -> dict[str, Counter[tuple[int, int]]]:
    """Each record that was sent, once: by data type, second from midnight and identity."""
    return {
        name: Counter({row for sent, rows in sources if sent == code for row in rows}) for code, name in CODES.items()
    }


def read(directory: Path) -> dict[str, Counter[tuple[int, int]]]:
    """What a reader gets."""
    archive = open_archive(directory / "archive")
    found = {name: Counter[tuple[int, int]]() for name in CODES.values()}
    for name in archive.types():
        records = archive.read(name)
        seconds = records[records.data_type.time].astype(np.int64) - MIDNIGHT
        found[name] = Counter(zip(seconds.tolist(), records["id"].tolist(), strict=True))
    return found


def prove(sources, data) -> None:
    with tempfile.TemporaryDirectory(prefix="dayfile-test-") as place:
        made = [source(code, rows) for code, rows in sources]
        first = archived(Path(place) / "first", [made])
        assert read(Path(place) / "first") == expected(sources)
        again = data.draw(st.lists(st.sampled_from(made), max_size=3))
        mixed = data.draw(st.permutations(made + again))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(mixed)), max_size=2)))
        runs = [mixed[begin:stop] for begin, stop in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
        second = archived(Path(place) / "second", runs)
        assert second == first
        assert read(Path(place) / "second") == expected(sources)


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


# Without shrinking, which would take minutes: the sets of sources are small already.
@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=SLOW)
@given(SOURCES, st.data())
def test_any_order_repetition_and_split_of_the_same_sources_gives_the_same_records(sources, data):
    prove(sources, data)


@pytest.mark.proof
@settings(max_examples=1000, deadline=None, suppress_health_check=SLOW)
@given(SOURCES, st.data())
def test_any_order_of_a_thousand_sets_of_sources_gives_the_same_records(sources, data):
    prove(sources, data)


def test_records_that_contend_for_a_slot_are_all_kept_whatever_came_first(tmp_path):
    one, other, third = (source("Rate", [(0, i), (-1, 1)]) for i in (1, 2, 3))
    orders = ([one, other, third], [third, one, other], [other, third, one, other, one])
    found = [archived(tmp_path / str(number), [[sent] for sent in order]) for number, order in enumerate(orders)]
    assert found[0] == found[1] == found[2]
    contended = found[0]["probe/2020/05/rates.2020.05.11.h5:rates_overlap"]
    assert contended == Counter({repr((MIDNIGHT, i)): 1 for i in (1, 2, 3)})
    assert read(tmp_path / "0")["probe.rates"] == Counter([(0, 1), (0, 2), (0, 3), (-1, 1)])


def test_late_data_for_a_published_day_are_added_to_it(tmp_path):
    early, late = source("Note", [(5, 1), (7, 2)]), source("Note", [(6, 3), (7, 2)])
    archived(tmp_path, [[early], [source("Run", [(86400 * 30, 1)])], [late]])
    assert read(tmp_path)["probe.notes"] == Counter([(5, 1), (6, 3), (7, 2)])
    assert [*held(tmp_path / "archive/probe/2020/05/notes.2020.05.11.h5")["sources"].values()] == [1, 1]


@pytest.mark.parametrize("code", sorted(CODES))
def test_records_on_both_sides_of_midnight_in_one_source_land_in_both_days(tmp_path, code):
    found = archived(tmp_path, [[source(code, [(1, 1), (-1, 2), (0, 3) if code != "Rate" else (16, 3)])]])
    name = CODES[code].removeprefix("probe.")
    sums = {key: rows.total() for key, rows in found.items() if key.endswith(f":{name}")}
    assert sums == {
        f"probe/2020/05/{name}.2020.05.10.h5:{name}": 1,
        f"probe/2020/05/{name}.2020.05.11.h5:{name}": 2,
    }
