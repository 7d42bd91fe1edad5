"""Level 1.1 flat files of CRIS and SIS: sizes, bytes, and a day that goes out and comes in again."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import load_plugins
from dayfile import (
    Archive,
    Batch,
    Clock,
    DataType,
    Field,
    Instrument,
    Node,
    Placement,
    Rejected,
    Remark,
    Source,
    create_archive,
)
from dayfile.archive.day_tables import DayTables, read_day
from dayfile.errors import DayfileError, LayoutError, SourceError, StorageError, UsageError
from dayfile.export.base import Day
from dayfile.formats.slot_bytes import HEADER_SIZE, lay_out, make_header, open_slot_file, parse_file_name, read_header
from dayfile.formats.slot_files import get_template
from dayfile.formats.struct_dtypes import make_struct_dtype
from dayfile_cris import instrument as cris
from dayfile_sis import instrument as sis
from running import call_command

DAY = np.datetime64("1997-10-31")
START = 57801601  # second 0 of that day
INSTRUMENTS = {"cris": cris, "sis": sis}
TYPES = {t.name: t for instrument in INSTRUMENTS.values() for t in instrument.layout.types}
ORDERS = ("big", "little")

# Naturally aligned size of each struct, and slots of a day of the periodic ones, as the format has them.
SIZES = {
    "BrowseCris": (120, None),
    "L1CrisCommandEcho": (56, 86400),
    "L1CrisCommandTable": (1548, None),
    "L1CrisDiagnosticEvent": (2260, None),
    "L1CrisEventCycle": (17144, 338),
    "L1CrisHighPriorityRate": (24, 5400),
    "L1CrisHskp": (292, 338),
    "L1CrisLowPriorityRate": (784, 338),
    "L1CrisSubset": (80, 86400),
    "L1CrisSummary": (24, 86400),
    "BrowseSis": (152, None),
    "BrowseSis_0": (216, None),
    "BrowseSis_1": (232, None),
    "L1SisCommandEcho": (96, 86400),
    "L1SisCommandTable": (2284, None),
    "L1SisDacOffset0": (2060, 338),
    "L1SisDacOffset1": (2060, 338),
    "L1SisDiagnosticEvent": (676, None),
    "L1SisEventCycle": (75032, 338),
    "L1SisHighPriorityRate": (68, 2700),
    "L1SisHskp": (152, 338),
    "L1SisLowPriorityRate": (1420, 338),
    "L1SisSubset": (272, 86400),
    "L1SisSummary": (28, 86400),
}
SUFFIXES = {
    "browse_parameters": "bp0", "command_echo": "ce", "command_table": "ct", "diagnostic_events": "de",
    "events": "evt", "high_priority_rates": "hp", "hskp": "hsk", "low_priority_rates": "lp", "subset": "sub",
    "summary": "sum", "dac_offset0": "do0", "dac_offset1": "do1",
}  # fmt: skip


@dataclass(frozen=True)
class Archived:
    """An archive, and the report of the run that sources were given to."""

    archive: Archive
    report: object

    @property
    def root(self):
        """The directory of the archive."""
        return self.archive.root


def archived(directory, *paths, on_conflict="overlap"):
    """An archive that has taken sources in, and the report of the run."""
    archive = create_archive(directory, plugins=["cris", "sis"], settings={"on_conflict": on_conflict})
    return Archived(archive, archive.ingest(paths))


def exported(root, name, directory, order="big"):
    """Export a type's day; the file of the day, and the overlap file or None."""
    directory.mkdir(exist_ok=True)
    data_type = TYPES[name]
    day = Day(data_type, DAY, read_day(root, name, DAY), order)
    paths = exporter(INSTRUMENTS[data_type.instrument]).export(day, directory)
    assert {path.name for path in directory.iterdir()} >= {path.name for path in paths}
    return paths[0], paths[1] if len(paths) > 1 else None


def exporter(instrument):
    """What writes flat files of an instrument, under the name that its layout gives them."""
    (found,) = instrument.exporters()
    assert found.name == "level1.1"
    return found


def there(root, name):
    """What an archive has of a type's day, as bytes: rows in their order (of intervals, sorted), overlap sorted."""
    tables = read_day(root, name, DAY)
    if tables.data_type.placement.store != "slots":
        return sorted(row.tobytes() for row in tables.rows), []
    return tables.rows.tobytes(), sorted(row.tobytes() for row in tables.overlap)


def decoded(name, content, instrument=cris):
    """Items that a source gives, by kind."""
    items = list(instrument.decode(Source(Path(name), name, content)))
    return {kind: [item for item in items if isinstance(item, kind)] for kind in (Batch, Rejected, Remark)}


@pytest.fixture(scope="module", params=["simulated", "sample"])
def day(request, tmp_path_factory):
    """An archive of a day of all 22 types, simulated, or the sample day where it is there."""
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "sample":
        paths = sorted((request.getfixturevalue("samples") / "ace").glob("*.hdf"))
    else:
        paths = [path for each in INSTRUMENTS.values() for path in each.simulate(DAY, 1, directory / "sources")]
    made = archived(directory / "archive", *paths)
    assert made.report.exit_code == 0
    return made


@pytest.fixture(scope="module")
def files(day, tmp_path_factory):
    """All types of that day, exported in both byte orders: paths by byte order and type."""
    out = tmp_path_factory.mktemp("out")
    return {order: {name: exported(day.root, name, out / order, order) for name in TYPES} for order in ORDERS}


def hp_rates(*times, hp=7):
    """CRIS high-priority rates at seconds of the day."""
    records = np.zeros(len(times), TYPES["cris.high_priority_rates"].dtype)
    records["ClockMinorFrame"] = np.arange(len(times)) + 1
    records["Second1996"] = START + np.array(times)
    records["hp"] = hp
    records["QualityHp"] = [0x40, 1]
    return records


def hp_tables(*times, conflicts=(), overlap=()):
    data_type = TYPES["cris.high_priority_rates"]
    rows = np.zeros(5400, data_type.dtype)
    for record in hp_rates(*times):
        rows[(record["Second1996"] - START) // 16] = record
    rows.view(np.uint8).reshape(5400, -1)[list(conflicts)] = 0xFF
    return DayTables(data_type, rows, hp_rates(*overlap, hp=9))


def hp_file(directory, tables, order="big"):
    data_type = TYPES["cris.high_priority_rates"]
    return exporter(cris).export(Day(data_type, DAY, tables, order), directory)


@pytest.mark.parametrize("order", ORDERS)
def test_files_have_the_names_and_sizes_of_the_format(day, files, order):
    for name, (path, overlap) in files[order].items():
        data_type = TYPES[name]
        assert path.name == f"{data_type.instrument}_prelim.1997.10.31.{SUFFIXES[data_type.type]}"
        assert overlap is None
        size, slots = SIZES[read_header(path.read_bytes(), path.name).code]
        rows = len(read_day(day.root, name, DAY).rows) if slots is None else slots
        assert path.stat().st_size == 32 + size * rows
    assert files[order]["cris.low_priority_rates"][0].stat().st_size == 265_024
    assert len({path for path, _ in files[order].values()}) == 22


def test_a_day_that_went_out_and_comes_in_again_is_identical_record_by_record(day, files, tmp_path):
    before = {name: there(day.root, name) for name in TYPES}
    again = archived(day.root.path, *(path for path, _ in files["big"].values()))
    assert again.report.exit_code == 0
    identical = {name: again.report.records[name]["identical"] for name in TYPES}
    assert min(identical.values()) > 0
    for name in TYPES:
        assert again.report.records[name] == {
            "written": 0, "identical": identical[name], "overlap": 0, "rejected": 0,
        }  # fmt: skip
    assert before == {name: there(day.root, name) for name in TYPES}

    new = archived(tmp_path / "new", *(path for path, _ in files["little"].values()))
    assert new.report.exit_code == 0
    assert identical == {name: counts["written"] for name, counts in new.report.records.items()}
    assert before == {name: there(new.root, name) for name in TYPES}


def test_an_export_of_the_same_records_has_the_same_bytes(files, tmp_path):
    for name in ("cris.low_priority_rates", "sis.command_table"):
        path, _ = files["big"][name]
        again = archived(tmp_path / "again", path)
        copy, _ = exported(again.root, name, tmp_path / "second")
        assert copy.read_bytes() == path.read_bytes()


def test_the_bytes_of_an_export_stay_what_they_are(tmp_path):
    path, overlap = hp_file(tmp_path, hp_tables(0, 15 * 16, 86399, conflicts=[1], overlap=[17, 16]))
    digests = [hashlib.sha256(each.read_bytes()).hexdigest()[:16] for each in (path, overlap)]
    assert digests == ["4506483772b2a089", "b7ae9d11cb217244"]


@pytest.mark.parametrize(("order", "sign"), [("big", ">"), ("little", "<")])
def test_the_bytes_are_those_that_the_format_tells(tmp_path, order, sign):
    """Header, empty slots, slots in conflict and padding, written down by hand."""
    path, overlap = hp_file(tmp_path, hp_tables(32, 86399, conflicts=[1], overlap=[17, 16]), order)
    letter = order[0].upper().encode()
    header = b"\x89DAY\x01" + letter + struct.pack(f"{sign}I", 19971031) + b"L1CrisHighPriorityRate"

    def rate(*values):
        return struct.pack(f"{sign}3I2I2B2x", *values)

    slots = [bytes(24)] * 5400
    slots[1] = b"\xff" * 24
    slots[2] = rate(1, START + 32, 0, 7, 7, 0x40, 1)
    slots[5399] = rate(2, START + 86399, 0, 7, 7, 0x40, 1)
    assert len(header) == 32
    assert path.read_bytes() == header + b"".join(slots)
    assert overlap.name == "cris_prelim.1997.10.31.hp.overlap"
    sort_by_time = rate(2, START + 16, 0, 9, 9, 0x40, 1) + rate(1, START + 17, 0, 9, 9, 0x40, 1)
    assert overlap.read_bytes() == header + sort_by_time


@pytest.fixture(scope="module")
def contending(tmp_path_factory):
    """Streams of a day on which three records contend for one slot, and two for another."""
    directory = tmp_path_factory.mktemp("contending")
    form = cris.struct(TYPES["cris.high_priority_rates"], "big")
    streams = []
    for number, times in enumerate([(0, 5, 100, 5000), (1, 16, 101), (7,)]):
        streams.append(directory / str(number) / "L1CrisHighPriorityRate.be.bin")
        streams[-1].parent.mkdir()
        streams[-1].write_bytes(lay_out(hp_rates(*times, hp=number), form).tobytes())
    return streams


@pytest.fixture(scope="module")
def contended(contending, tmp_path_factory):
    """An archive of them."""
    return archived(tmp_path_factory.mktemp("contended") / "archive", *contending)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("first", [0, 1])
def test_a_conflicted_day_comes_back_the_same_whichever_file_comes_first(contended, tmp_path, order, first):
    name = "cris.high_priority_rates"
    files = exported(contended.root, name, tmp_path / "out", order)
    content = files[0].read_bytes()
    slots = [content[32 + 24 * slot : 56 + 24 * slot] for slot in range(5400)]
    assert [slot for slot in range(5400) if slots[slot] == b"\xff" * 24] == [0, 6]
    assert len(files[1].read_bytes()) == 32 + 24 * 6

    new = archived(tmp_path / "new", files[first])
    new = archived(tmp_path / "new", files[1 - first])
    assert new.report.exit_code == 0
    assert there(new.root, name) == there(contended.root, name)

    other = ORDERS[1 - ORDERS.index(order)]
    again = archived(tmp_path / "new", *exported(contended.root, name, tmp_path / "other", other))
    counts = again.report.records[name]
    assert (counts["written"], counts["rejected"]) == (0, 0)
    assert there(new.root, name) == there(contended.root, name)


@pytest.mark.parametrize(("mode", "winners"), [("replace", [7, 101]), ("keep", [0, 100])])
@pytest.mark.parametrize("first", [0, 1])
def test_the_winner_of_a_slot_wins_again_whichever_file_comes_first(contending, tmp_path, mode, winners, first):
    name = "cris.high_priority_rates"
    before = archived(tmp_path / "before", *contending, on_conflict=mode)
    rows = read_day(before.root, name, DAY).rows
    assert (rows["Second1996"][[0, 6]] - START).tolist() == winners
    files = exported(before.root, name, tmp_path / "out")
    for path in (files[first], files[1 - first]):
        after = archived(tmp_path / "after", path, on_conflict=mode)
    assert after.report.exit_code == 0
    assert there(after.root, name) == there(before.root, name)


def test_conflicts_are_told_where_a_flat_file_is_read(contended, tmp_path):
    path, _ = exported(contended.root, "cris.high_priority_rates", tmp_path)
    found = decoded(path.name, path.read_bytes())
    assert [remark.numbers for remark in found[Remark]] == [(0, 6)]
    text = f"slots in conflict in {path.name}; their records come with {path.name}.overlap"
    assert found[Remark][0].text == text
    assert found[Batch][0].numbers.tolist() == [1, 312]


def test_an_overlap_file_that_is_out_of_date_goes(tmp_path):
    _, overlap = hp_file(tmp_path, hp_tables(conflicts=[1], overlap=[16, 17]))
    assert hp_file(tmp_path, hp_tables(16)) == [tmp_path / "cris_prelim.1997.10.31.hp"]
    assert not overlap.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cris_prelim.1997.10.31.hp"]


@pytest.mark.parametrize("header", [bytes(32), b"\xff" * 32, bytes(range(32))], ids=["zero", "ones", "count"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_file_with_an_unknown_header_is_read_in_the_byte_order_of_its_times(tmp_path, order, header):
    tables = hp_tables(0, 1000, 86399)
    path, *_ = hp_file(tmp_path, tables, order)
    content = header + path.read_bytes()[32:]
    assert read_header(content, "") is None
    (batch,) = decoded(path.name, content)[Batch]
    assert batch.records.tobytes() == tables.rows[[0, 62, 5399]].tobytes()
    assert batch.numbers.tolist() == [0, 62, 5399]


def test_padding_that_a_machine_left_as_it_was_does_not_matter(tmp_path):
    tables = hp_tables(0, 1000)
    path, *_ = hp_file(tmp_path, tables)
    content = bytearray(path.read_bytes())
    content[32 + 22 : 32 + 24] = b"\xab\xcd"
    (batch,) = decoded(path.name, bytes(content))[Batch]
    assert batch.records.tobytes() == tables.rows[[0, 62]].tobytes()


def refused(name, content):
    with pytest.raises(SourceError) as caught:
        decoded(name, content)
    assert caught.value.where.startswith(name)
    return str(caught.value)


@pytest.mark.parametrize("header", [None, bytes(32)], ids=["ours", "unknown"])
def test_a_file_of_another_day_than_its_name_tells_is_refused(tmp_path, header):
    path, *_ = hp_file(tmp_path, hp_tables(0, 1000))
    content = (header or path.read_bytes()[:32]) + path.read_bytes()[32:]
    told = refused("cris_prelim.1997.11.01.hp", content)
    assert "1997-11-01" in told
    if header:
        assert "0 of 2 in big-endian order and 0 of 2 in little-endian order" in told
    else:
        assert "its header L1CrisHighPriorityRate of 1997-10-31" in told


def test_a_file_of_another_type_than_its_name_tells_is_refused(tmp_path):
    path, *_ = hp_file(tmp_path, hp_tables(0, 1000))
    assert "its header L1CrisHighPriorityRate" in refused("cris_prelim.1997.10.31.sum", path.read_bytes())


@pytest.mark.parametrize("header", [None, bytes(32)], ids=["ours", "unknown"])
@pytest.mark.parametrize("place", [0, 3, 5399])
def test_one_time_outside_the_day_does_not_cost_the_others(tmp_path, place, header):
    tables = hp_tables(*range(0, 86400, 16))
    tables.rows["Second1996"][place] = START - 1
    path, *_ = hp_file(tmp_path, tables)
    (batch,) = decoded(path.name, (header or path.read_bytes()[:32]) + path.read_bytes()[32:])[Batch]
    assert batch.records.tobytes() == tables.rows.tobytes()


def test_times_that_read_the_same_both_ways_decide_nothing(tmp_path):
    palindrome = 0x03727203 - START
    path, *_ = hp_file(tmp_path, hp_tables(palindrome))
    refused(path.name, bytes(32) + path.read_bytes()[32:])
    assert len(decoded(path.name, path.read_bytes())[Batch][0]) == 1
    both, *_ = hp_file(tmp_path, hp_tables(palindrome, 1000))
    assert len(decoded(path.name, bytes(32) + both.read_bytes()[32:])[Batch][0]) == 2


@pytest.mark.parametrize("length", [0, 31, 33, 32 + 24 + 23])
@pytest.mark.parametrize("header", [None, bytes(32)], ids=["ours", "unknown"])
def test_a_file_that_was_cut_within_a_struct_is_refused_with_the_place(tmp_path, length, header):
    path, *_ = hp_file(tmp_path, hp_tables(0, 1000))
    content = ((header or path.read_bytes()[:32]) + path.read_bytes()[32:])[:length]
    told = refused(path.name, content)
    place = {0: 0, 31: 31, 33: 32}.get(length, 56)
    assert told.startswith(f"{path.name}, byte {place}: ")


@pytest.mark.parametrize("offset", [4, 5])
def test_a_header_of_a_later_version_is_refused(tmp_path, offset):
    path, *_ = hp_file(tmp_path, hp_tables(0, 1000))
    content = bytearray(path.read_bytes())
    content[offset] = 0x58
    assert "the header has version" in refused(path.name, bytes(content))


@pytest.mark.parametrize("slots", [0, 10, 5399, 5401])
@pytest.mark.parametrize("header", [None, bytes(32)], ids=["ours", "unknown"])
def test_a_file_that_was_cut_between_two_structs_is_refused(tmp_path, slots, header):
    path, *_ = hp_file(tmp_path, hp_tables(0, 1000))
    content = ((header or path.read_bytes()[:32]) + path.read_bytes()[32:] + bytes(24))[: 32 + 24 * slots]
    assert f"{slots:,} slots, but 1997-10-31 has 5400" in refused(path.name, content)


@pytest.mark.parametrize(("slots", "part"), [(0, ".overlap"), (10, ".overlap"), (5400, "")])
def test_a_file_without_records_gives_an_empty_batch(slots, part):
    name = "cris_prelim.1997.10.31.hp" + part
    found = decoded(name, bytes(32 + 24 * slots))
    assert [len(batch) for batch in found[Batch]] == [0]
    assert not found[Rejected]
    assert not found[Remark]


def test_a_slot_without_a_time_is_rejected_and_the_others_are_not(tmp_path):
    tables = hp_tables(0, 1000, 2000)
    tables.rows["Second1996"][62] = 0
    path, *_ = hp_file(tmp_path, tables)
    for content in (path.read_bytes(), bytes(32) + path.read_bytes()[32:]):
        found = decoded(path.name, content)
        (rejected,) = found[Rejected]
        assert rejected.numbers == (62,)
        assert rejected.offset == HEADER_SIZE + 62 * 24
        assert rejected.content == content[rejected.offset : rejected.offset + 24]
        assert found[Batch][0].numbers.tolist() == [0, 125]


BROWSE = TYPES["sis.browse_parameters"]


@pytest.mark.parametrize("version", range(len(BROWSE.versions)))
@pytest.mark.parametrize("header", [None, bytes(32)], ids=["ours", "unknown"])
def test_a_day_of_each_version_of_a_type_goes_out_and_comes_in_in_its_own_form(tmp_path, version, header):
    form = BROWSE.forms[version]
    day = BROWSE.versions[version].since or DAY
    rows = np.zeros(3, form.dtype)
    rows["bin_start"] = BROWSE.clock.day_start(day) + np.array([512.5, 0, 256])
    rows["bin_end"] = rows["bin_start"] + 255
    (path,) = exporter(sis).export(Day(BROWSE, day, DayTables(form, rows, rows[:0]), "big"), tmp_path)
    content = path.read_bytes()
    assert read_header(content, path.name).code == BROWSE.versions[version].code
    assert len(content) == 32 + 3 * SIZES[BROWSE.versions[version].code][0]
    (batch,) = decoded(path.name, (header or content[:32]) + content[32:], sis)[Batch]
    assert batch.records.dtype == form.dtype
    assert batch.records.tobytes() == rows[[1, 2, 0]].tobytes()


def test_a_header_tells_the_version_whatever_the_day(tmp_path):
    rows = np.zeros(1, BROWSE.dtype)
    rows["bin_start"] = rows["bin_end"] = START
    (path,) = exporter(sis).export(Day(BROWSE, DAY, DayTables(BROWSE, rows, rows[:0]), "little"), tmp_path)
    (batch,) = decoded(path.name, path.read_bytes(), sis)[Batch]
    assert batch.records.tobytes() == rows.tobytes()


@pytest.mark.parametrize("kept", [[0, 1], [1, 0]])
def test_records_of_one_time_stand_in_the_same_order_however_they_came(tmp_path, kept):
    overlap = np.concatenate([hp_rates(20, hp=9), hp_rates(20, hp=3)])[kept]
    tables = hp_tables(conflicts=[1])
    _, path = hp_file(tmp_path, DayTables(tables.data_type, tables.rows, overlap))
    assert [record["hp"].tolist() for record in decoded(path.name, path.read_bytes())[Batch][0].records] == [
        [3, 3],
        [9, 9],
    ]


LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1996-01-01T00:00:00}
structs: {byte_order: big}
sources: [flat_files]
flat_files: {format: level1.1, name: "muon.{year}.{month:02}.{day:02}.{suffix}"}
path: "muon/{year}{month:02}{day:02}.{suffix}.h5"
types:
  rates: {code: MuonRates, title: Rates, store: append, time: second, fields: [{name: second, type: uint32}]}
  hits: {code: MuonHits, title: Hits, store: append, time: second, fields: [{name: second, type: uint32}]}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("flat_files: {format", "constants: {} #", "muon.yaml:5:11: sources[0]: the layout has no 'flat_files'"),
        ("structs: {byte_order: big}\n", "", "muon.yaml:5:1: flat_files: flat files hold C structs"),
        (".{day:02}", "", "missing: ['{day}']"),
        ("muon.{year}.", "muon/{year}.", "a name without '/'"),
        (".{day:02}.{suffix}", ".{day:02}.{code}", "muon.yaml:6:38: flat_files.name: unknown key {code}"),
        (".{day:02}.{suffix}", ".{day:02}", "hits and rates would share file names"),
        ("MuonRates", "M" * 23, "types.rates.code: 'MMMMMMMMMMMMMMMMMMMMMMM' does not fit the header"),
        ("level1.1", "level 2", "muon.yaml:6:22: flat_files.format: 'level 2'"),
    ],
)
def test_a_layout_whose_flat_files_cannot_be_is_refused(old, new, message):
    assert Instrument(LAYOUT, "muon.yaml").layout.words.flat_files.format == "level1.1"
    assert old in LAYOUT
    with pytest.raises(LayoutError) as caught:
        Instrument(LAYOUT.replace(old, new, 1), "muon.yaml").layout  # noqa: B018 - compiles it
    assert message in str(caught.value)


def test_the_last_second_of_a_day_with_a_leap_second_has_its_slot(tmp_path):
    day = np.datetime64("1998-12-31")
    data_type = TYPES["cris.summary"]
    rows = np.zeros(86401, data_type.dtype)
    rows["Second1996"] = data_type.clock.day_start(day) + np.arange(86401)
    (path,) = exporter(cris).export(Day(data_type, day, DayTables(data_type, rows, rows[:0]), "big"), tmp_path)
    assert path.stat().st_size == 32 + 24 * 86401
    (batch,) = decoded(path.name, path.read_bytes())[Batch]
    assert batch.records.tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    "name",
    [
        "cris_prelim.1997.10.31.xyz",
        "sis_prelim.1997.10.31.hp",
        "cris_prelim.1997.02.31.hp",
        "cris_prelim.1997.2.3.hp",
        "cris_prelim.97.10.31.hp",
        "cris_prelim.1997.10.31.hp.overlap.overlap",
        "xcris_prelim.1997.10.31.hp",
        "cris_prelim.1997.10.31.hp.h5",
        "notes.txt",
    ],
)
def test_files_of_other_names_are_not_taken_for_flat_files(name):
    assert cris.decode(Source(Path(name), name, bytes(32))) is None


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_and_day_has_a_name_of_its_own_that_tells_them(name):
    data_type = TYPES[name]
    instrument = INSTRUMENTS[data_type.instrument]
    for day in ("1997-10-31", "2001-01-09"):
        told = f"{data_type.instrument}_prelim.{day.replace('-', '.')}.{SUFFIXES[data_type.type]}"
        for each, part in ((told, "slots"), (f"{told}.overlap", "overlap")):
            found = parse_file_name(get_template(instrument.layout), instrument.layout.types, each)
            assert found == (data_type, np.datetime64(day), part)


MUON = DataType(
    instrument="muon", type="rates", code="MuonRates", title="", time="second", period=3600,
    placement=Placement("slots", "", Node("/rates")), clock=Clock(np.datetime64("1996-01-01T00:00:00"), undefined=(0,)),
    fields=(
        Field("quality", "uint8"), Field("second", "uint32"), Field("counts", "int16", (2,)),
        Field("level", "float64"), Field("label", "char", (3,)),
    ),
)  # fmt: skip
MUON_DAY = np.datetime64("1997-03-01")
MUON_START = MUON.clock.day_start(MUON_DAY)


@st.composite
def slots(draw):
    """The 24 slots of a day: empty, in conflict, or a record of any bytes but a time in its slot."""
    kinds = draw(st.lists(st.sampled_from(["empty", "conflict", "record"]), min_size=24, max_size=24))
    rows = np.zeros(24, MUON.dtype)
    content = rows.view(np.uint8).reshape(24, -1)
    for slot, kind in enumerate(kinds):
        if kind == "record":
            content[slot] = np.frombuffer(draw(st.binary(min_size=content.shape[1], max_size=content.shape[1])), "u1")
            rows["second"][slot] = MUON_START + slot * 3600 + draw(st.integers(0, 3599))
        elif kind == "conflict":
            content[slot] = 0xFF
    return kinds, rows


@settings(deadline=None)
@given(slots=slots(), order=st.sampled_from(ORDERS))
def test_any_slots_are_laid_out_and_read_back(slots, order):
    kinds, rows = slots

    def find_struct(form, byte_order):
        return make_struct_dtype(form.fields, byte_order, "natural")

    form = find_struct(MUON, order)
    laid = lay_out(rows, form)
    content = make_header("MuonRates", MUON_DAY, order) + laid.tobytes()
    source = Source(Path("muon"), "muon", content)
    (found,) = open_slot_file(source, MUON, MUON_DAY, find_struct, part="slots").read()
    assert found.places.tolist() == [slot for slot, kind in enumerate(kinds) if kind == "record"]
    assert found.conflicts.tolist() == [slot for slot, kind in enumerate(kinds) if kind == "conflict"]
    assert found.structs.astype(MUON.dtype).tobytes() == rows[found.places].tobytes()
    padding = sorted(set(range(form.itemsize)) - {at for name in form.names for at in bytes_of(form, name)})
    assert len(padding) == form.itemsize - MUON.dtype.itemsize > 0
    expected = [0xFF if kind == "conflict" else 0 for kind in kinds]
    padded = laid.view(np.uint8).reshape(24, -1)[:, padding]
    assert (padded == np.array(expected)[:, np.newaxis]).all()


def bytes_of(form, name):
    field, offset, *_ = form.fields[name]
    return range(offset, offset + field.itemsize)


def test_the_command_writes_the_file_and_tells_its_size(contended, tmp_path):
    out = tmp_path / "a" / "b"
    told = ["cris.high_priority_rates", "--archive", str(contended.root.path), "--day", "1997-10-31"]
    done = call_command("dayfile", "export", *told, "--format", "level1.1", "-o", out)
    assert done.code == 0, done.err
    assert [line.split() for line in done.out.splitlines()] == [
        [str(32 + 24 * 5400), str(out / "cris_prelim.1997.10.31.hp")],
        [str(32 + 24 * 6), str(out / "cris_prelim.1997.10.31.hp.overlap")],
    ]
    assert (out / "cris_prelim.1997.10.31.hp").read_bytes()[5:6] == b"B"
    little = call_command("dayfile", "export", *told, "--format", "level1.1", "--byte-order", "little", "-o", out)
    assert little.code == 0
    assert (out / "cris_prelim.1997.10.31.hp").read_bytes()[5:6] == b"L"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--day": "1997-11-05"}, "no cris.high_priority_rates on 1997-11-05; nearest: 1997-10-31"),
        ({"--day": "someday"}, "is not a day"),
        ({"--format": "level2"}, "no format 'level2'; its formats are: cdf, csv, jsonl, level1.1, netcdf, parquet"),
        ({"TYPE": "cris.hp"}, "holds no 'cris.hp'; one of cris.high_priority_rates"),
    ],
)
def test_what_cannot_be_exported_is_told_with_what_can(contended, tmp_path, changed, message):
    told = {"TYPE": "cris.high_priority_rates", "--day": "1997-10-31", "--format": "level1.1", "-o": str(tmp_path)}
    told |= {"--archive": str(contended.root.path), **changed}
    name = told.pop("TYPE")
    done = call_command("dayfile", "export", name, *(word for pair in told.items() for word in pair))
    assert done.code == UsageError.exit_code
    assert message in done.err
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written_is_told(contended, tmp_path):
    (tmp_path / "cris_prelim.1997.10.31.hp").mkdir()
    with pytest.raises(StorageError, match="could not write") as caught:
        exported(contended.root, "cris.high_priority_rates", tmp_path)
    assert isinstance(caught.value, DayfileError)
    assert [path.name for path in tmp_path.iterdir()] == ["cris_prelim.1997.10.31.hp"]


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    (path,) = hp_file(tmp_path, hp_tables(0))
    before = path.read_bytes()

    def full_disk(self, content):
        with self.open("wb") as file:
            file.write(content[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        hp_file(tmp_path, hp_tables(16))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_types_with_a_table_for_each_key_are_refused(tmp_path):
    loaded = load_plugins("hisparc")
    simulated = loaded.simulate("hisparc", np.datetime64("2024-05-01"), 1, tmp_path)
    archive = create_archive(tmp_path / "archive", plugins=loaded)
    archive.ingest(simulated[:1])
    with pytest.raises(UsageError, match="tables by key"):
        read_day(archive.root, "hisparc.events", np.datetime64("2024-05-01"))
    assert "level1.1" not in loaded.exporters(loaded.data_types["hisparc.events"])
