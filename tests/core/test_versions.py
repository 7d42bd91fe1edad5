"""Types whose records got more fields: each record in the form of its time, and all of them in one table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tables

from archives import find_defects, reindex
from dayfile import Batch, Instrument, Source, Status, create_archive, open_archive
from dayfile.errors import LayoutError, UsageError
from dayfile.testing.telemetry import write_sources
from instruments import make_stream

WRITTEN, CONFLICT, IN_CONFLICT, IDENTICAL, _ = Status
EARLY, MIDDLE, LATE = (np.datetime64(day) for day in ("1997-10-31", "1998-12-02", "2001-11-14"))

LATER = """
    later:
      - since: 1998-12-02
        code: {code}_0
        fields:
          - {{name: humidity, type: float32, default: .nan, doc: since 1998}}
          - {{name: layers, type: int16, shape: [2], default: -1}}
      - since: 2001-11-14
        code: {code}_1
        fields:
          - {{name: wind, type: float64, default: .nan}}
          - {{name: comment, type: char, shape: [3]}}
"""


@pytest.fixture(scope="module")
def layout(muon):
    """The layout of the telescope with two later versions of each of its types."""
    text = muon.layout.replace("[struct_streams]", "[struct_streams, hdf4]")
    for code, following in (("MuonRates", "  hits:\n"), ("MuonHit", "  runs:\n")):
        text = text.replace(following, f"{LATER.format(code=code).lstrip(chr(10))}{following}")
    return text + LATER.format(code="MuonRun").lstrip("\n")


@pytest.fixture(scope="module")
def telescope(layout):
    return Instrument(layout, "muon.yaml")


@pytest.fixture(scope="module")
def types(telescope):
    return {data_type.type: data_type for data_type in telescope.layout.types}


@pytest.fixture
def taken(archive, telescope, plugins_of):
    """Archive one source of the telescope: its report."""

    def take(name, content, **core):
        archive.drop(name, content)
        return archive.run(plugins=plugins_of(muon=telescope), **core)

    return take


@pytest.fixture
def opened(installed, layout, tmp_path):
    installed(muon=layout)
    return create_archive(tmp_path / "archive")


def made(data_type, day, seconds, values=1, version=2):
    """Records of a version at seconds of a day; every field that came later has a value."""
    form = data_type.forms[version]
    records = np.zeros(len(seconds), form.dtype)
    records[form.time] = np.asarray(seconds) + data_type.clock.day_start(np.datetime64(day))
    if form.end:
        records[form.end] = records[form.time]
    records[next(name for name in ("temperature", "energy", "gain") if name in form.dtype.names)] = values
    for field in form.fields[len(data_type.forms[0].fields) :]:
        records[field.name] = b"abc" if field.type == "char" else 7
    return records


def stream(telescope, data_type, records):
    form = next(form for form in data_type.forms if form.dtype == records.dtype)
    return make_stream(telescope, form, records, "big")


def columns(archive, name):
    """How many columns the tables of each day file have, the overlap tables too."""
    found = {}
    for path in archive.root.list_day_files():
        with tables.open_file(archive.root.path / path) as file:
            for table in file.walk_nodes("/", "Table"):
                if table._v_pathname.removesuffix("_overlap") == f"/{name}":
                    found[path[-14:-7] + table._v_pathname] = len(table.colnames)
    return found


def filled(records, version):
    """Whether fields that a version does not have hold their defaults."""
    missing = {0: ("humidity", "layers", "wind", "comment"), 1: ("wind", "comment"), 2: ()}[version]
    defaults = {"humidity": math.nan, "layers": -1, "wind": math.nan, "comment": b""}
    return all(
        np.isnan(records[name]).all() if name in {"humidity", "wind"} else (records[name] == defaults[name]).all()
        for name in missing
    )


# ---- What a layout says of versions


def test_a_type_has_the_form_of_each_version_and_that_of_a_day(types):
    rates = types["rates"]
    assert [len(form.fields) for form in rates.forms] == [5, 7, 9]
    assert rates.forms[-1] is rates
    assert [form.name for form in rates.forms] == ["muon.rates"] * 3
    days = [EARLY, MIDDLE - 1, MIDDLE, LATE - 1, LATE, LATE + 1000]
    assert [len(rates.form_on(day).fields) for day in days] == [5, 5, 7, 7, 9, 9]


def test_a_type_without_versions_has_one_form(muon):
    assert muon.rates.forms == (muon.rates,)
    assert muon.rates.form_on(LATE) is muon.rates


def test_records_take_the_form_of_another_version_with_defaults_for_what_they_lack(types):
    old = made(types["rates"], EARLY, [0, 300], version=0)
    wide = types["rates"].conform(old)
    assert wide.dtype == types["rates"].dtype
    assert wide[["second", "temperature"]].tolist() == old[["second", "temperature"]].tolist()
    assert filled(wide, 0)
    assert types["rates"].forms[0].conform(wide).tobytes() == old.tobytes()
    assert types["rates"].conform(wide) is wide


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("since: 2001-11-14", "since: 1998-12-02", "1998-12-02 is not after 1998-12-02; the oldest comes first"),
        ("code: MuonRates_1", "code: MuonHit", "is a code of another type already|is the code of"),
        ("name: wind", "name: humidity", "'humidity' is here a second time"),
        ("code: MuonRates_0\n", "code: MuonRates_0\n        size: 99\n", "the fields make a struct of .* not 99"),
        ("time: second", "time: wind", "'wind' is not a field"),
    ],
)
def test_versions_that_cannot_be_are_refused(layout, old, new, message):
    assert old in layout
    with pytest.raises(LayoutError, match=message):
        _ = Instrument(layout.replace(old, new, 1), "muon.yaml").layout


# ---- Which version a record is of


@pytest.mark.parametrize("name", ["rates", "runs", "hits"])
@pytest.mark.parametrize("told", ["time", "name", "fields"])
def test_a_record_is_of_the_version_of_its_time_its_name_or_its_fields(
    archive, taken, telescope, types, tmp_path, name, told
):
    data_type = types[name]
    for version, day in enumerate((EARLY, MIDDLE, LATE)):
        records = made(data_type, day if told == "time" else EARLY, [version * 600], version=version)
        code = data_type.code if told != "name" or not version else data_type.versions[version].code
        if told == "fields":
            write_sources(telescope, tmp_path, {}, "source.hdf", {code: records})
            report = taken(f"{version}.hdf", (tmp_path / "source.hdf").read_bytes())
        else:
            report = taken(f"{code}.be.bin", stream(telescope, data_type, records))
        assert (report.exit_code, report.records[data_type.name]["written"]) == (0, 1), report.quarantine
    records = open_archive(archive.root.path).read(data_type.name)
    assert records.array.dtype == data_type.dtype
    assert [filled(records.array[row : row + 1], version) for row, version in enumerate((0, 1, 2))] == [True] * 3
    assert records["layers"].tolist() == [[-1, -1], [7, 7], [7, 7]]
    assert records["comment"].tolist() == [b"", b"", b"abc"]
    assert find_defects(archive.root) == []


@pytest.mark.parametrize("name", ["rates", "runs", "hits"])
@pytest.mark.parametrize(("version", "day"), [(0, EARLY), (1, EARLY), (1, MIDDLE), (2, MIDDLE), (2, LATE)])
def test_records_that_are_encoded_decode_to_the_same(telescope, types, name, version, day):
    records = made(types[name], day, [0, 300], version=version)
    told, content = telescope.encode(types[name].forms[version], records)
    assert telescope.encode(types[name].forms[version], records[:0]) == (told, b"")
    (batch,) = telescope.decode(Source(Path(told), told, content))
    assert (batch.code, batch.records.dtype) == (types[name].code, records.dtype)
    assert batch.records.tobytes() == records.tobytes()


def test_records_of_a_type_are_encoded_as_its_own_though_a_version_of_another_has_the_same_fields(layout):
    rates, hits = layout.index("  rates:"), layout.index("  hits:")
    like = layout[rates:hits].replace("rates:", "others:").replace("MuonRates", "Other").replace("suffix: rat", "")
    instrument = Instrument(f"{layout[:hits]}{like}{layout[hits:]}", "muon.yaml")
    codes = instrument.layout.by_code()
    for code in ("MuonRates", "Other"):
        for version, day in enumerate((EARLY, MIDDLE, LATE)):
            records = made(codes[code], day, [0], version=version)
            name, content = instrument.encode(codes[code].forms[version], records)
            assert [batch.code for batch in instrument.decode(Source(Path(name), name, content))] == [code]


@pytest.mark.parametrize("name", ["rates", "runs", "hits"])
@pytest.mark.parametrize("version", [0, 1, 2])
def test_records_without_a_time_are_set_aside_so_that_they_can_be_read_again(telescope, types, name, version):
    form = types[name].forms[version]
    records = made(types[name], (EARLY, MIDDLE, LATE)[version], [0, 300], version=version)
    records[form.time][1] = 0
    name, content = telescope.encode(form, records)
    _, rejected = telescope.decode(Source(Path(name), name, content))
    (again,) = telescope.decode(Source(Path(rejected.name), rejected.name, rejected.content))
    assert (again.reason, again.content) == (rejected.reason, rejected.content)
    assert len(rejected.content) == telescope.struct(form).itemsize


def test_records_of_which_none_has_a_time_are_encoded_in_their_own_form(types, layout):
    layout = layout.replace("{name: second, type: uint32", "{name: second, type: float64")
    instrument = Instrument(layout.replace("        size: 28\n", "").replace("    size: 28\n", ""), "muon.yaml")
    hits = instrument.layout.by_code()["MuonHit"]
    for time in (math.nan, math.inf, 0):
        records = made(hits, EARLY, [0], version=0)
        records["second"] = time
        _, content = instrument.encode(hits.forms[0], records)
        assert len(content) == instrument.struct(hits.forms[0]).itemsize


# ---- Tables that grow wider


@pytest.mark.parametrize("name", ["rates", "runs", "hits"])
def test_a_table_gets_the_fields_of_records_that_have_more(opened, types, name):
    data_type = types[name]
    sent = [made(data_type, EARLY, [600 * version, 600 * version + 300], version=version) for version in range(3)]
    widths = []
    for records in sent:
        assert opened.put(data_type.name, records).tolist() == [WRITTEN, WRITTEN]
        widths += columns(opened, name).values()
        assert find_defects(opened.root) == []
    assert widths == [len(form.fields) for form in data_type.forms]
    records = opened.read(data_type.name)
    for version in range(3):
        part = records.array[2 * version : 2 * version + 2]
        assert data_type.forms[version].conform(part).tobytes() == sent[version].tobytes()
        assert filled(part, version)
    before = {path: (opened.root.path / path).read_bytes() for path in opened.root.list_day_files()}
    for again in sent:
        assert opened.put(data_type.name, again).tolist() == [IDENTICAL, IDENTICAL]
    assert before == {path: (opened.root.path / path).read_bytes() for path in before}


def test_records_with_some_of_the_fields_of_a_version_are_refused(opened, types):
    records = made(types["rates"], LATE, [0], version=1)
    partial = records[[name for name in records.dtype.names if name != "layers"]]
    with pytest.raises(UsageError, match=r"records of muon\.rates with humidity need layers as well"):
        opened.put("muon.rates", partial)
    assert list(opened.root.list_day_files()) == []


@pytest.mark.parametrize("name", ["rates", "runs", "hits"])
def test_records_of_an_old_form_go_into_a_wide_table(opened, types, name):
    data_type = types[name]
    assert opened.put(data_type.name, made(data_type, EARLY, [0])).tolist() == [WRITTEN]
    old = made(data_type, EARLY, [300, 600], version=0)
    assert opened.put(data_type.name, old).tolist() == [WRITTEN, WRITTEN]
    assert opened.put(data_type.name, old).tolist() == [IDENTICAL, IDENTICAL]
    assert list(columns(opened, name).values()) == [len(data_type.fields)]
    assert filled(opened.read(data_type.name).array[1:], 0)
    assert find_defects(opened.root) == []


def test_empty_slots_of_a_new_day_are_zero_bytes_whatever_the_defaults_of_the_fields(opened, types):
    assert opened.put("muon.rates", made(types["rates"], EARLY, [300])).tolist() == [WRITTEN]
    (path,) = opened.root.list_day_files()
    with tables.open_file(opened.root.path / path) as file:
        content = file.root.rates.read().view(np.uint8).reshape(338, -1)
    assert np.flatnonzero(content.any(axis=1)).tolist() == [1]
    assert find_defects(opened.root) == []


def test_conflicts_stay_conflicts_and_empty_slots_empty_when_a_day_gets_wider(opened, types):
    rates = types["rates"]
    old = made(rates, EARLY, [0, 5, 512, 520, 1024], [1, 2, 3, 4, 5], version=0)
    assert opened.put("muon.rates", old).tolist() == [WRITTEN, CONFLICT, WRITTEN, CONFLICT, WRITTEN]
    new = made(rates, EARLY, [6, 1030, 1280, 1290], [6, 7, 8, 9])
    assert opened.put("muon.rates", new).tolist() == [IN_CONFLICT, CONFLICT, WRITTEN, CONFLICT]
    (path,) = opened.root.list_day_files()
    with tables.open_file(opened.root.path / path) as file:
        rows = file.root.rates.read()
        overlap = file.root.rates_overlap.read()
    content = rows.view(np.uint8).reshape(338, -1)
    assert np.flatnonzero((content == 0xFF).all(axis=1)).tolist() == [0, 2, 4, 5]
    assert np.flatnonzero((content == 0).all(axis=1)).tolist() == [1, 3, *range(6, 338)]
    assert rows.dtype == overlap.dtype == rates.dtype
    assert overlap["temperature"].tolist() == [1, 2, 3, 4, 6, 5, 7, 8, 9]
    assert np.isnan(overlap["wind"]).tolist() == [True] * 4 + [False, True] + [False] * 3
    assert opened.put("muon.rates", old).tolist() == [IN_CONFLICT] * 5
    assert opened.put("muon.rates", new).tolist() == [IN_CONFLICT] * 4
    assert sorted(opened.read("muon.rates")["temperature"].tolist()) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert find_defects(opened.root) == []


def test_a_day_gets_wider_in_the_midst_of_a_series(opened, types):
    rates = types["rates"]
    with opened.putting() as put:
        statuses = [
            put("muon.rates", made(rates, EARLY, [second], value, version)).tolist()[0]
            for second, value, version in (
                (0, 1, 0),
                (300, 2, 1),
                (5, 3, 2),
                (300, 2, 1),
                (600, 4, 0),
                (0, 1, 0),
                (5, 3, 2),
            )
        ]
    assert statuses == [WRITTEN, WRITTEN, CONFLICT, IDENTICAL, WRITTEN, IN_CONFLICT, IN_CONFLICT]
    assert opened.read("muon.rates")["temperature"].tolist() == [1, 3, 2, 4]
    assert find_defects(opened.root) == []


@pytest.mark.parametrize("name", ["rates", "runs", "hits"])
def test_what_waits_to_be_stored_is_there_when_a_day_gets_wider(opened, types, name):
    sent = [made(types[name], EARLY, [0, 5, 9], [1, 2, 3], version=version) for version in (0, 2)]
    with opened.putting() as put:
        for records in sent:
            put(f"muon.{name}", records)
    values = next(field for field in ("temperature", "energy", "gain") if field in sent[0].dtype.names)
    assert opened.read(f"muon.{name}")[values].tolist() == [1, 1, 2, 2, 3, 3]
    assert find_defects(opened.root) == []


def test_fields_of_an_earlier_day_are_read_though_a_later_one_lacks_them(opened, types):
    opened.put("muon.runs", made(types["runs"], EARLY, [0], version=2))
    opened.put("muon.runs", made(types["runs"], EARLY + 1, [0], version=0))
    records = open_archive(opened.root.path).read("muon.runs")
    assert records["layers"].tolist() == [[7, 7], [-1, -1]]
    assert records["comment"].tolist() == [b"abc", b""]


def test_a_record_with_values_in_its_later_fields_is_another_than_one_without(opened, types):
    rates = types["rates"]
    assert opened.put("muon.rates", made(rates, EARLY, [0], version=0)).tolist() == [WRITTEN]
    assert opened.put("muon.rates", made(rates, EARLY, [0])).tolist() == [CONFLICT]
    assert opened.read("muon.rates")["layers"].tolist() == [[-1, -1], [7, 7]]


def test_old_and_new_days_keep_their_widths_and_are_read_together(opened, types):
    rates = types["rates"]
    for version, day in enumerate((EARLY, MIDDLE, LATE)):
        opened.put("muon.rates", made(rates, day, [0, 300], version=version))
    assert sorted(columns(opened, "rates").values()) == [5, 7, 9]
    assert opened.read("muon.rates", EARLY, EARLY + 1).array.dtype == rates.forms[0].dtype
    both = opened.read("muon.rates", EARLY, MIDDLE + 1)
    assert both.array.dtype == rates.forms[1].dtype
    everything = open_archive(opened.root.path).read("muon.rates")
    assert everything.array.dtype == rates.dtype
    assert np.isnan(everything["humidity"]).tolist() == [True, True] + [False] * 4
    assert everything["layers"][:, 0].tolist() == [-1, -1, 7, 7, 7, 7]
    assert [field.name for field in everything.data_type.fields] == [field.name for field in rates.fields]


@pytest.mark.parametrize("name", ["rates", "runs"])
def test_records_read_across_versions_are_known_when_they_are_put_again(opened, types, name):
    for version, day in enumerate((EARLY, MIDDLE, LATE)):
        opened.put(f"muon.{name}", made(types[name], day, [0, 300], version=version))
    read = opened.read(f"muon.{name}")
    assert opened.put(f"muon.{name}", read).tolist() == [IDENTICAL] * 6
    assert len(opened.read(f"muon.{name}")) == 6


def test_what_a_wider_table_holds_is_told_by_the_table(opened, types):
    opened.put("muon.rates", made(types["rates"], EARLY, [0, 0], [1, 2], version=0))
    opened.put("muon.rates", made(types["rates"], EARLY, [0], version=2))
    (path,) = opened.root.list_day_files()
    with tables.open_file(opened.root.path / path) as file:
        assert file.root.rates.attrs.store == "slots"
        assert file.root.rates_overlap.attrs.store == "append"
        assert (file.root.rates.title, file.root.rates.attrs.period) == ("Rates, one record a 256 s cycle", 256)
        assert file.root.rates_overlap.title.endswith("records that contended for a slot")
        assert '"humidity"' in file.root.rates.attrs.fields


def test_sources_of_both_forms_in_any_order_give_the_same_records(telescope, types, tmp_path):
    rates = types["rates"]
    old, new = made(rates, EARLY, [0, 300, 600], [1, 2, 3], 0), made(rates, EARLY, [5, 900], [4, 5], 2)
    sources = {tmp_path / "MuonRates.be.bin": old, tmp_path / "MuonRates_1.be.bin": new}
    found = []
    for order in (1, -1):
        made_here = create_archive(tmp_path / f"archive{order}", plugins={"muon": telescope})
        for path in list(sources)[::order]:
            path.write_bytes(stream(telescope, rates, sources[path]))
            assert made_here.ingest(path).sources["archived"] == 1
            assert made_here.ingest(path).sources["already"] == 1
            assert find_defects(made_here.root) == []
        found.append(sorted(one.tobytes() for one in made_here.read("muon.rates").array))
    assert found[0] == found[1]
    assert len(found[0]) == 5


@pytest.mark.parametrize("mode", ["replace", "keep"])
def test_a_slot_that_keeps_a_record_keeps_it_in_the_wider_form(work_file, types, mode):
    rates = types["rates"]
    work = work_file(EARLY, on_conflict=mode)
    old, new = made(rates, EARLY, [0], 1, 0), made(rates, EARLY, [0], 2, 2)
    for records, status in ((old, WRITTEN), (new, CONFLICT), (old, IDENTICAL), (new, IDENTICAL)):
        assert work.write(rates, Batch("muon", "MuonRates", records, np.arange(1))).tolist() == [status]
    work.publish()
    with tables.open_file(work.published) as file:
        kept, aside = file.root.rates[0]["temperature"], file.root.rates_overlap.col("temperature").tolist()
    assert (kept, aside) == ((2, [1]) if mode == "replace" else (1, [2]))


def test_a_table_that_has_fields_of_no_version_is_refused(opened, types):
    opened.put("muon.rates", made(types["rates"], EARLY, [0], version=0))
    (path,) = opened.root.list_day_files()
    other = opened.root.path / path
    with tables.open_file(other, "a") as file:
        table = file.root.rates
        names = [name for name in table.colnames if name != "label"]
        rows = table.read()[names]
        file.remove_node("/rates")
        file.create_table("/", "rates", np.zeros(len(rows), [(name, rows.dtype[name]) for name in names]))
    reindex(opened.root, trust=True)
    with pytest.raises(LayoutError, match="/rates has other fields: it was written by"):
        opened.put("muon.rates", made(types["rates"], EARLY, [300]))
