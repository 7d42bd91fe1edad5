"""Every mistake in a layout is told with file, line and column, and with what would be right."""

from __future__ import annotations

import re

import pytest

from dayfile import Instrument
from dayfile.errors import LayoutError
from dayfile.model.packed import HeaderField, Packed

LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1996-01-01T00:00:00, undefined: [0]}
structs: {byte_order: big, alignment: natural}
constants: {CHANNELS: 3}
path: "muon/{year}/{month:02}/{day:02}.{suffix}.h5"
types:
  rates:
    code: MuonRates
    title: Rates
    store: slots
    period: 256
    time: second
    size: 12
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: counts, type: uint16, shape: [CHANNELS]}
  runs:
    code: MuonRun
    title: Runs
    store: intervals
    time: first
    end: last
    fields:
      - {name: first, type: uint32}
      - {name: last, type: uint32}
"""
HERE = "§"  # stands in a changed layout where the complaint should point to


def complaint(marked):
    """Error of a layout and the place that is marked in it."""
    before = marked[: marked.index(HERE)]
    place = f"muon.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    with pytest.raises(LayoutError) as caught:
        _ = Instrument(marked.replace(HERE, ""), "muon.yaml").layout
    return caught.value, place


def changed(old, new):
    assert LAYOUT.count(old) >= 1
    return LAYOUT.replace(old, new, 1)


def test_the_layout_without_a_mistake_is_read():
    rates, runs = Instrument(LAYOUT, "muon.yaml").layout.types
    assert (rates.name, rates.period, rates.fields[1].shape) == ("muon.rates", 256, (3,))
    assert (runs.name, runs.time, runs.end, runs.placement.suffix) == ("muon.runs", "first", "last", "runs")


MISSPELT = {
    "type": ("type: uint16", "type: §unit16", "'unit16' is not a type; did you mean 'uint16'?"),
    "type that is like none": ("type: uint16", "type: §zzz", "'zzz' is not a type; one of bool, int8"),
    "word at the top": (
        "title: Muon",
        "§titel: Muon",
        "unknown key 'titel'; did you mean 'title'?",
    ),
    "word of the clock": ("undefined:", "§undefind:", "did you mean 'undefined'?"),
    "word of the structs": ("byte_order:", "§byteorder:", "did you mean 'byte_order'?"),
    "word of a type": ("    period: 256", "    §perriod: 256", "did you mean 'period'?"),
    "word of a field": ("unit: s", "§units: s", "did you mean 'unit'?"),
    "constant": ("[CHANNELS]", "[§CHANELS]", "'CHANELS' is not a constant; did you mean 'CHANNELS'?"),
    "constant in a second dimension": ("[CHANNELS]", "[2, §CHANELS]", "did you mean 'CHANNELS'?"),
    "time field": ("time: second", "time: §secnd", "'secnd' is not a field; did you mean 'second'?"),
    "end field": ("end: last", "end: §lst", "'lst' is not a field; did you mean 'last'?"),
    "store": ("store: slots", "store: §slot", "'slot' must be 'append', 'slots' or 'intervals'"),
    "unit of the clock": ("undefined: [0]", "unit: §sec", "'sec' must be 'd', 's', 'ms', 'us' or 'ns'"),
    "byte order": ("byte_order: big", "byte_order: §bigg", "'bigg' must be 'big' or 'little'"),
    "alignment": ("alignment: natural", "alignment: §none", "'none' must be 'natural' or 'packed'"),
    "template key": ("{year}", "{yaer}", "unknown key {yaer}; did you mean 'year'?"),
    "kind of source": (
        "constants:",
        "sources: [§struct_stream]\nconstants:",
        "'struct_streams', 'flat_files' or 'hdf4'",
    ),
}

MISSING = {
    "instrument": ("instrument: muon\ntitle", "§title", "'instrument' is missing"),
    "title of a type": (
        "    code: MuonRates\n    title: Rates",
        "    §code: MuonRates",
        "types.rates: 'title' is missing",
    ),
    "epoch": ("{epoch: 1996-01-01T00:00:00, undefined: [0]}", "§{undefined: [0]}", "clock: 'epoch' is missing"),
    "name of a field": ("{name: counts, type", "§{type", "types.rates.fields[1]: 'name' is missing"),
    "type of a field": ("{name: first, type: uint32}", "§{name: first}", "types.runs.fields[0]: 'type' is missing"),
    "types": (LAYOUT[LAYOUT.index("types:") :], "types: §{}\n", "at least 1"),
    "fields": (
        "fields:\n      - {name: first, type: uint32}\n      - {name: last, type: uint32}",
        "fields: §[]",
        "at least 1",
    ),
}

WRONG = {
    "text where a number stands": ("period: 256", "period: §often", "'often': input should be a valid integer"),
    "number where a text stands": ("title: Rates", "title: §5", "5: input should be a valid string"),
    "period longer than a day": ("period: 256", "period: §86401", "86401: input should be less than or equal to 86400"),
    "length of nothing": ("[CHANNELS]", "[§0]", "0 is not a length"),
    "negative length": ("[CHANNELS]", "[§-1]", "-1 is not a length"),
    "half a length": ("[CHANNELS]", "[§1.5]", "1.5"),
    "constant of nothing": ("CHANNELS: 3", "CHANNELS: 0", "0 is not a length"),
    "shape that is no list": ("[CHANNELS]", "§CHANNELS", "'CHANNELS'"),
    "date that is none": ("1996-01-01T00:00:00", "§1996-02-30T00:00:00", "'1996-02-30T00:00:00' is not a valid value"),
    "epoch that is no date": ("1996-01-01T00:00:00", "§lately", "'lately'"),
    "name of a field": ("name: counts", "name: §my counts", "'my counts'"),
    "name of a type": ("  rates:", "  §my-rates:", "my-rates"),
    "name of a constant": ("{CHANNELS: 3}", "{CHANNELS: 3, §2ND: 4}", "2ND"),
    "instrument": ("instrument: muon", "instrument: §mu on", "'mu on'"),
    "size": ("size: 12", "size: §10", "the fields make a struct of 12 bytes (natural alignment), not 10"),
    "a field where fields stand": (
        "fields:\n      - {name: first",
        "fields:\n      - §first\n      - {name: first",
        "'first'",
    ),
    "template": ("{year}", "{year", "is not a template"),
    "format in the template": ("{month:02}", "{month:zz}", "not a template"),
}

LAST = "- {name: last, type: uint32}\n      - "
CONTRADICTIONS = {
    "a word twice": (
        "title: Muon telescope",
        "title: Muon telescope\n§title: again",
        "'title' is here a second time",
    ),
    "a word of a field twice": ("unit: s}", "unit: s, §unit: s}", "'unit' is here a second time"),
    "a type twice": ("  runs:", "  §rates:", "'rates' is here a second time"),
    "a constant twice": ("CHANNELS: 3", "CHANNELS: 3, §CHANNELS: 4", "'CHANNELS' is here a second time"),
    "a field twice": ("name: counts", "name: §second", "'second' is here a second time"),
    "a code twice": ("code: MuonRun", "code: §MuonRates", "'MuonRates' is the code of 'rates' already"),
    "slots without a period": ("    period: 256\n", "", "'period' (seconds, above 0) and 'store: slots' go together"),
    "slots with a period of 0": (
        "period: 256",
        "period: 0",
        "'period' (seconds, above 0) and 'store: slots' go together",
    ),
    "a period without slots": (
        "end: last",
        "end: last\n    period: 5",
        "'period' (seconds, above 0) and 'store: slots'",
    ),
    "intervals without an end": ("    end: last\n", "", "'end' (a field) and 'store: intervals' go together"),
    "an end without intervals": (
        "store: intervals",
        "store: append",
        "'end' (a field) and 'store: intervals' go together",
    ),
    "char without a shape": (
        "{name: counts, type: uint16, shape: [CHANNELS]}",
        "§{name: counts, type: char}",
        "needs a shape",
    ),
    "blob without blobs": (
        "type: uint16, shape: [CHANNELS]",
        "type: int32, blob: §base64",
        "the layout has no 'blobs'",
    ),
    "blob that is no index": (
        "{name: last, type: uint32}",
        "{name: last, type: uint32}\n      - {name: x, type: §uint8, blob: base64}\nblobs: {node: /blobs}",
        "must be int32",
    ),
    "size without structs": ("structs: {byte_order: big, alignment: natural}\n", "", "the layout has no 'structs'"),
    "default that does not fit": (
        "- {name: last, type: uint32}",
        LAST + "{name: x, type: uint8, default: §300}",
        "300",
    ),
    "counter that is no integer": (
        "- {name: last, type: uint32}",
        LAST + "{name: x, type: §float32, counter: true}",
        "counter",
    ),
    "counter that is an array": (
        "- {name: last, type: uint32}",
        LAST + "{name: x, type: uint32, counter: true, shape: §[3]}",
        "must be a single number",
    ),
    "counter in slots": ("shape: [CHANNELS]}", "counter: §true}", "has neither blobs nor counters"),
    "blob with a place for none": (
        "{name: last, type: uint32}",
        "{name: last, type: uint32}\n      - {name: x, type: int32, blob: base64, default: §0}\nblobs: {node: /blobs}",
        "leave 'default' out",
    ),
    "time that is a text": ("{name: first, type: uint32}", "{name: first, type: char, shape: [4]}", "first"),
    "time that is an array": ("{name: first, type: uint32}", "{name: first, type: uint32, shape: [2]}", "first"),
}


VALID = {
    "nothing": ("§{}", "'from' or 'to' (dates), 'days_ahead' (a number of days) or several must"),
    "no value": ("§~", "the value is missing"),
    "no date": ("{from: §}", "the value is missing"),
    "a word": ("{§form: 1997-08-25}", "unknown key 'form'; did you mean 'from'?"),
    "a date alone": ("§1997-08-25", "must be a mapping: {from: …, to: …}"),
    "a year": ("{from: §1997}", "1997 is not a date and time"),
    "a text": ("{from: §soon}", "'soon' is not a date and time"),
    "a year that no clock has": ("{from: §1500-01-01}", "the year must be between 1900 and 2200"),
    "an end of no value": ("{to: §}", "the value is missing"),
    "an end before": ("{from: 1997-08-25, to: §1997-08-25}", "1997-08-25 is not after 1997-08-25"),
    "negative days": ("{days_ahead: §-1}", "-1: input should be greater than or equal to 0"),
    "endless days": ("{days_ahead: §.inf}", "inf: input should be a finite number"),
    "days that are true": ("{days_ahead: §true}", "True: must be a number, not true or false"),
}


@pytest.mark.parametrize("place", ["structs:", "    code: MuonRun"], ids=["layout", "type"])
@pytest.mark.parametrize(("words", "message"), VALID.values(), ids=VALID)
def test_bounds_of_times_that_are_none_are_told_with_their_place(words, message, place):
    indent = place[: len(place) - len(place.lstrip())]
    error, where = complaint(changed(place, f"{indent}valid: {words}\n{place}"))
    assert str(error).startswith(f"{where}: "), str(error)
    assert message in str(error)


# Where a change has no mark of its own, because the place is in a part that did not change.
PLACES = {
    "template key": 'path: §"muon/',
    "template": 'path: §"muon/',
    "format in the template": 'path: §"muon/',
    "constant of nothing": "shape: [§CHANNELS",
    "slots without a period": "  §rates:",
    "slots with a period of 0": "  §rates:",
    "a period without slots": "  §runs:",
    "intervals without an end": "  §runs:",
    "an end without intervals": "  §runs:",
    "size without structs": "size: §12",
    "time that is a text": "time: §first",
    "time that is an array": "time: §first",
}


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        pytest.param(name, *case, id=f"{group}-{name}")
        for group, cases in {
            "misspelt": MISSPELT,
            "missing": MISSING,
            "wrong": WRONG,
            "contradiction": CONTRADICTIONS,
        }.items()
        for name, case in cases.items()
    ],
)
def test_a_mistake_is_told_at_its_place_with_what_would_be_right(name, old, new, words):
    marked = changed(old, new)
    if HERE not in new:
        spot = PLACES[name]
        marked = marked.replace(spot.replace(HERE, ""), spot, 1)
    error, place = complaint(marked)
    assert error.where == place
    assert words in error.message


def test_a_blob_that_was_not_sent_is_none():
    field = LAST + "{name: x, type: int32, blob: base64}\nblobs: {node: /blobs}"
    (*_, runs) = Instrument(changed("- {name: last, type: uint32}", field), "muon.yaml").layout.types
    assert runs.field("x").default == -1


def test_a_blob_in_slots_is_refused_as_they_would_lose_its_value():
    slots = changed("type: uint16, shape: [CHANNELS]", "type: int32, blob: §base64")
    error, place = complaint(f"blobs: {{node: /blobs}}\n{slots}")
    assert (error.where, error.message.endswith("has neither blobs nor counters")) == (place, True)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "the file is empty; a layout begins with 'instrument: <name>'"),
        ("# a remark and nothing else\n", "1:1", "the file is empty"),
        ("- instrument\n- muon\n", "1:1", ""),
        ("muon\n", "1:1", "'muon'"),
        ("instrument: muon: telescope\n", "1:17", "this is not YAML"),
        ("instrument: muon\n\ttitle: x\n", "2:1", "this is not YAML"),
        ("instrument: muon\n---\ninstrument: sand\n", "2:1", "this is not YAML"),
    ],
    ids=["empty", "remarks only", "a list", "a word", "two colons", "a tab", "two documents"],
)
def test_a_file_that_is_no_layout_at_all_is_told_at_its_place(text, place, words):
    with pytest.raises(LayoutError) as caught:
        _ = Instrument(text, "muon.yaml").layout
    assert caught.value.where == f"muon.yaml:{place}"
    assert words in caught.value.message


@pytest.mark.parametrize("byte", ["\x00", "\x07"])
def test_a_file_with_control_characters_is_no_yaml(byte):
    with pytest.raises(LayoutError, match=r"muon\.yaml.*not YAML"):
        _ = Instrument(f"instrument: mu{byte}on\n", "muon.yaml").layout


def test_an_alias_is_refused_by_its_path_at_the_place_of_the_value_to_be_written_out():
    anchor, alias = "- §&f {name: first, type: uint32}", "- *f"
    error, place = complaint(changed("- {name: first, type: uint32}", f"{anchor}\n      {alias}"))
    assert error.where == place
    assert error.message.startswith("types.runs.fields[1]: anchors and aliases")
    assert "write the value out" in error.message


def test_a_merge_key_is_refused_at_its_place():
    error, place = complaint(changed("title: Runs", "title: Runs\n    §<<: {code: x}"))
    assert error.where == place
    assert "unknown key '<<'" in error.message


def test_nested_aliases_that_would_fill_the_memory_are_refused():
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for here, above in zip("bcdefghijkl", "abcdefghijk", strict=True):
        bomb += f"{here}: &{here} [{', '.join([f'*{above}'] * 9)}]\n"
    with pytest.raises(LayoutError, match=r"muon\.yaml:\d+:\d+: b\[\d\].*aliases"):
        _ = Instrument(bomb, "muon.yaml").layout


TAGGED = {
    "a scalar": ("title: Rates", "title: §!!python/name:os.system ''"),
    "a list": ("shape: [CHANNELS]", "shape: §!!python/tuple [CHANNELS]"),
    "a call": ("shape: [CHANNELS]", "shape: §!!python/object/apply:os.mkdir [CHANNELS]"),
    "a mapping": ("constants: {", "constants: §!!python/object:pathlib.Path {"),
    "a tag of their own": ("undefined: [0]", "undefined: §!numbers [0]"),
}


@pytest.mark.parametrize(("old", "new"), TAGGED.values(), ids=TAGGED)
def test_a_tag_is_refused_at_its_place(old, new):
    error, place = complaint(changed(old, new))
    assert error.where == place
    assert "tag" in error.message


def test_no_tag_runs_code(tmp_path):
    target = tmp_path / "made by a layout"
    for value in (
        f"!!python/object/apply:os.mkdir ['{target}']",
        f"!!python/object/new:os.mkdir ['{target}']",
        f"!!python/object/apply:os.system ['touch {target}']",
    ):
        with pytest.raises(LayoutError):
            _ = Instrument(changed("title: Rates", f"title: {value}"), "muon.yaml").layout
    assert not target.exists()


def test_an_epoch_with_an_offset_from_utc_is_refused_or_means_the_same_instant():
    try:
        layout = Instrument(changed("1996-01-01T00:00:00", "1996-01-01T02:00:00+02:00"), "muon.yaml").layout
    except LayoutError as error:
        assert "epoch" in str(error)
    else:
        assert str(layout.types[0].clock.epoch) == "1996-01-01T00:00:00"


@pytest.mark.parametrize(
    "node",
    [
        *("/{type", "/muon/{station", "", "/", "{type}", "muon/{type}", "/muon//{type}", "/{}/{type}", "/{0}/{type}"),
        *("/{a.b}/{type}", "/{station:03}/{type}", "/{station!r}/{type}", "/{{station}}/{type}"),
        "/{station}/{station}_{type}",
    ],
)
def test_a_node_that_cannot_be_filled_or_found_again_is_refused_when_the_layout_is_read(node):
    error, place = complaint(changed("path:", f"node: §{node!r}\npath:"))
    assert error.where == place


@pytest.mark.parametrize("node", ["blobs", "/{station", "/{cluster}/blobs", "/{type}/blobs"])
def test_a_node_of_blobs_that_readers_do_not_find_is_refused_when_the_layout_is_read(node):
    error, place = complaint(changed("path:", f"node: /{{station}}/{{type}}\nblobs: {{node: §{node!r}}}\npath:"))
    assert error.where == place


@pytest.mark.parametrize("title", ["{", "{}", "Station {0}", "Station {station:03}"])
def test_a_title_that_cannot_be_filled_is_refused_when_the_layout_is_read(title):
    error, place = complaint(changed("path:", f"titles: [§{title!r}]\npath:"))
    assert error.where == place


def test_in_nodes_and_titles_a_key_may_stand_twice_where_readers_do_not_look_for_it():
    words = ["node: '/{type}/x{station}y/{type}'", "blobs: {node: '/{station}/{station}'}", "titles: ['{name} {name}']"]
    (rates, _) = Instrument(changed("path:", "\n".join([*words, "path:"])), "muon.yaml").layout.types
    assert rates.placement.node.path == "/rates/x{station}y/rates"


def test_the_first_mistake_in_the_file_is_told_first():
    text = changed("title: Muon", "titel: Muon").replace("uint16", "unit16")
    with pytest.raises(LayoutError, match=r"^muon\.yaml:2:1: titel"):
        _ = Instrument(text, "muon.yaml").layout


def test_a_misspelt_type_is_told_also_where_it_is_the_only_field():
    text = changed("title: Muon", "title: Muon").split("types:")[0] + (
        "types:\n  hits:\n    code: H\n    title: Hits\n    store: append\n    time: second\n    fields:\n"
        "      - {name: second, type: uimt32}\n"
    )
    with pytest.raises(LayoutError, match="'uimt32' is not a type; did you mean 'uint32'"):
        _ = Instrument(text, "muon.yaml").layout


def test_what_is_missing_is_told_only_if_nothing_is_misspelt():
    with pytest.raises(LayoutError, match="unknown key 'instrumnt'; did you mean 'instrument'"):
        _ = Instrument(changed("instrument", "instrumnt"), "muon.yaml").layout


def test_a_text_over_several_lines_becomes_one_line():
    layout = Instrument(changed("title: Rates", "title: >\n      Rates of the\n      telescope"), "muon.yaml").layout
    assert layout.types[0].title == "Rates of the telescope"


def test_a_struct_has_the_size_the_layout_tells_under_either_alignment():
    packed = LAYOUT.replace("alignment: natural", "alignment: packed").replace("size: 12", "size: 10")
    assert Instrument(packed, "muon.yaml").layout.words.types["rates"].size == 10


MEANINGS = (
    LAYOUT.replace("types:\n", "flags:\n  quality:\n    - {bit: 0x01, name: LATE}\ntypes:\n", 1).replace(
        "shape: [CHANNELS]}\n",
        """shape: [CHANNELS, 2]}
      - {name: QualityCounts, type: uint8, shape: [CHANNELS]}
      - {name: label, type: char, shape: [9]}
    flags:
      Quality*: quality
      counts: [{value: 0-40, name: FEW, doc: few of them}, {index: 12}]
    elements:
      counts: [{index: "0-2,1", name: layer}]
      label: [{index: 0-8}]
""",
    )
).replace("    size: 12\n", "")

WRONG_MEANINGS = {
    "pattern that fits no field": ("      Quality*: quality", "      §Qualty*: quality", "no field is named 'Qualty*'"),
    "pattern in other case": ("      Quality*: quality", "      §quality*: quality", "no field is named 'quality*'"),
    "field that is none": ("      counts: [{value", "      §count: [{value", "did you mean 'counts'?"),
    "list that is none": (
        "Quality*: quality",
        "Quality*: §qualty",
        "'qualty' is not a list of flags; did you mean 'quality'?",
    ),
    "bit too high": (
        "bit: 0x01",
        "bit: §0x100",
        "0x100 is not a bit of QualityCounts; those of uint8 are 0x01 to 0x80",
    ),
    "two bits": ("bit: 0x01", "bit: §0x03", "0x03 is not a bit of QualityCounts"),
    "no bit": ("bit: 0x01", "bit: §0", "0x00 is not a bit of QualityCounts"),
    "bit of a text": ("Quality*: quality", "label: [{bit: §0x01}]", "label is char; only integers have bits"),
    "bit that is none": ("bit: 0x01", "bit: §on", "True: must be a number, not true or false"),
    "value too high": ("value: 0-40", "value: §0-70000", "0-70000 does not fit counts; uint16 goes from 0 to 65535"),
    "value below": ("value: 0-40", "value: §-1", "-1 does not fit counts"),
    "value that is none": ("value: 0-40", "value: §few", "'few' is neither a number nor a range such as 0-40"),
    "range backwards": ("value: 0-40", "value: §40-0", "40-0 is empty; the smaller number comes first"),
    "place below 0": ("{index: 12}", "{index: §-1}", "-1 is not a place in a list"),
    "two kinds": (
        "{value: 0-40, name",
        "§{value: 0-40, bit: 0x01, name",
        "a flag has exactly one of 'bit', 'value' and 'index'",
    ),
    "no kind": ("{value: 0-40, name", "§{name", "a flag has exactly one of 'bit', 'value' and 'index'"),
    "no kind in a shared list": ("{bit: 0x01, name", "§{name", "a flag has exactly one of 'bit', 'value' and 'index'"),
    "word of a flag": ("{index: 12}", "{§indx: 12}", "unknown key 'indx'; did you mean 'index'?"),
    "word of a shared flag": ("{bit: 0x01", "{§bitt: 0x01", "did you mean 'bit'?"),
    "word of an element": ("name: layer", "§nam: layer", "did you mean 'name'?"),
    "name of a shared list": ("  quality:\n", "  §qua-lity:\n", "'qua-lity' is not a name"),
    "element of no field": ("      label: [", "      §labl: [", "'labl' is not a field; did you mean 'label'?"),
    "element of a single value": ("      label: [{index: 0-8}]", "      §second: [{index: 0}]", "has no elements"),
    "element outside": ("{index: 0-8}", "{index: §0-9}", "0-9 is outside label, of shape [9]"),
    "element outside in one dimension": ('"0-2,1"', '§"0-2,2"', "0-2,2 is outside counts, of shape [3, 2]"),
    "element below 0": ("{index: 0-8}", "{index: §-1}", "-1 is outside label"),
    "too few dimensions": ('"0-2,1"', "§0-2", "0-2 has 1 dimension, counts has 2"),
    "element without index": ("{index: 0-8}", "§{name: letter}", "'index' is missing"),
}


def test_flags_and_elements_without_a_mistake_are_read():
    rates, runs = Instrument(MEANINGS, "muon.yaml").layout.types
    told = [(flag.field, flag.kind, flag.value, flag.name) for flag in rates.flags]
    assert told == [
        ("Quality*", "bit", "0x01", "LATE"),
        ("counts", "value", "0-40", "FEW"),
        ("counts", "index", "12", ""),
    ]
    assert [(e.field, e.index, e.name) for e in rates.elements] == [("counts", "0-2,1", "layer"), ("label", "0-8", "")]
    assert (runs.flags, runs.elements) == ((), ())


@pytest.mark.parametrize(("old", "new", "words"), WRONG_MEANINGS.values(), ids=WRONG_MEANINGS)
def test_a_flag_or_element_that_cannot_be_is_told_at_its_place(old, new, words):
    assert MEANINGS.count(old) == 1
    error, place = complaint(MEANINGS.replace(old, new))
    assert error.where == place
    assert words in error.message


PACKED = LAYOUT.replace("    size: 12\n", "").replace(
    "shape: [CHANNELS]}\n",
    """shape: [CHANNELS]}
      - {name: hits, type: uint8}
      - {name: more, type: uint8}
      - {name: buffer, type: uint8, shape: [12]}
    packed:
      field: buffer
      count: hits
      continued: more
      header: [{name: delay, type: uint16, unit: us}, {name: layer, type: uint8}]
      longest: CHANNELS
""",
)
WRONG_PACKED = {
    "word": ("      count: hits", "      §cuont: hits", "did you mean 'count'?"),
    "field that is none": ("field: buffer", "field: §bufer", "'bufer' is not a field; did you mean 'buffer'?"),
    "no array": ("field: buffer", "field: §hits", "hits is not a buffer: it must be uint8 and have one dimension"),
    "no bytes": ("field: buffer", "field: §counts", "counts is not a buffer"),
    "count that is none": ("count: hits", "count: §hit", "'hit' is not a field; did you mean 'hits'?"),
    "array as count": ("count: hits", "count: §counts", "counts must be a single integer"),
    "flag that is none": ("continued: more", "continued: §mroe", "did you mean 'more'?"),
    "array as flag": ("continued: more", "continued: §buffer", "buffer must be a single integer"),
    "type of the header": ("type: uint16, unit: us", "type: §unit16", "'unit16'"),
    "text in the header": ("type: uint16, unit: us", "type: §char", "'char'"),
    "word of the header": ("unit: us}", "§units: us}", "did you mean 'unit'?"),
    "field in the header": ("{name: delay", "{name: §second", "'second' would be in the rows of items twice"),
    "twice in the header": ("{name: layer", "{name: §delay", "'delay' would be in the rows of items twice"),
    "row in the header": ("{name: layer", "{name: §size", "'size' would be in the rows of items twice"),
    "constant": ("longest: CHANNELS", "longest: §CHANELS", "did you mean 'CHANNELS'?"),
    "item too long": (
        "longest: CHANNELS",
        "longest: §10",
        "10 bytes and 3 in front do not fit into buffer, which has 12",
    ),
    "item of no bytes": ("longest: CHANNELS", "longest: §0", "use 1 to 9"),
    "fraction": ("longest: CHANNELS", "longest: §1.5", "1.5"),
    "truth": ("longest: CHANNELS", "longest: §yes", "must be a number, not true or false"),
    "field as in the rows": (
        "{name: hits, type: uint8}\n    ",
        "{name: hits, type: uint8}\n      - {name: size, type: uint8}\n    ",
        "the field 'size' cannot be in a type with 'packed'",
    ),
}


def test_a_packed_buffer_without_a_mistake_is_read():
    rates, runs = Instrument(PACKED, "muon.yaml").layout.types
    header = (HeaderField("delay", "uint16", "us"), HeaderField("layer", "uint8"))
    assert rates.packed == Packed("buffer", "hits", 3, continued="more", header=header)
    assert runs.packed is None


@pytest.mark.parametrize(("old", "new", "words"), WRONG_PACKED.values(), ids=WRONG_PACKED)
def test_a_packed_buffer_that_cannot_be_is_told_at_its_place(old, new, words):
    assert PACKED.count(old) == 1
    changed = PACKED.replace(old, new)
    error, place = complaint(changed if HERE in changed else changed.replace("    packed:", "    §packed:"))
    assert error.where == place
    assert words in error.message


def test_a_field_of_a_later_version_cannot_count_what_is_packed():
    early = PACKED.replace("      - {name: hits, type: uint8}\n", "")
    later = "    later: [{since: 2000-01-01, code: MuonRates2, fields: [{name: hits, type: uint8}]}]\n    packed:\n"
    error, place = complaint(early.replace("    packed:\n", later).replace("count: hits", "count: §hits"))
    assert error.where == place
    assert "'hits' is not a field" in error.message


ONE_FILE = LAYOUT.replace(".{suffix}", "")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("path:", "node: §/data\npath:", "records of runs and rates would share /data of one day file; put {type}"),
        ("path:", "node: §'/{station}/data'\npath:", "would share /{station}/data of one day file"),
        ("  runs:", "  §rates_overlap:", "records of rates_overlap and rates would share /rates_overlap"),
        ("path:", "blobs: {node: §/runs}\npath:", "the table of runs; the array needs a place of its own"),
        ("path:", "blobs: {node: §/rates_overlap}\npath:", "the table of rates; the array needs"),
        ("path:", "node: '/a/{type}'\nblobs: {node: §/a}\npath:", "above or below, /a/rates"),
        ("path:", "blobs: {node: §/runs/blobs}\npath:", "above or below, /runs"),
        ("path:", "node: §'/dayfile_ledger/{type}'\npath:", "a reserved name in day files"),
        ("path:", "blobs: {node: §/dayfile_ledger/blobs}\npath:", "a reserved name in day files"),
        ("  runs:", "  §dayfile_ledger:", "a reserved name in day files"),
        ("  runs:", "  §_i_runs:", "'_i_runs' in '/_i_runs' is a reserved name in day files"),
        ("path:", "node: §'/_f_x/{type}'\npath:", "'_f_x' in "),
    ],
)
def test_what_would_hide_or_mix_the_tables_of_a_day_file_is_refused_when_the_layout_is_read(old, new, words):
    error, place = complaint(ONE_FILE.replace(old, new, 1))
    assert error.where == place
    assert words in error.message


@pytest.mark.parametrize("node", ["/data", "/{station}/data"])
def test_types_with_a_day_file_each_may_have_the_same_node(node):
    types = Instrument(changed("path:", f"node: '{node}'\npath:"), "muon.yaml").layout.types
    assert [data_type.placement.node.path for data_type in types] == [node, node]


def test_a_type_may_be_named_as_the_overlap_of_one_that_has_no_slots():
    types = Instrument(ONE_FILE.replace("  rates:", "  runs_overlap:"), "muon.yaml").layout.types
    assert [data_type.type for data_type in types] == ["runs_overlap", "runs"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        *(('"muon/', f'§"{start}', "cannot be a day file of rates") for start in ("/muon/", "//muon/")),
        *(
            ('"muon/', f'§"{start}', "no part may begin with '.'")
            for start in ("../", "muon/../", ".muon/", "muon/.x/")
        ),
        *(
            (
                '"muon/',
                f'§"{own}/',
                "must be below the archive, not below its own accepted, incoming, quarantine, sour",
            )
            for own in ("incoming", "accepted", "quarantine", "workshop", "sources", "muon\\0")
        ),
        ("muon/{year}", "§sources/{year}", "'sources/2000/"),
        ("{year}/", "", "2000-01-01 and 2001-01-01 would share the day file 'muon/01/01.rates.h5' of rates; {year}, "),
        ("{month:02}/", "", "2000-01-01 and 2000-02-01 would share the day file"),
        ("{day:02}.", "", "2000-01-01 and 2000-01-02 would share the day file"),
        ("{month:02}/{day:02}", "{month}{day}", "2000-01-11 and 2000-11-01 would share the day file 'muon/2000/111."),
        ("name: counts", "name: §_v_counts", "'_v_counts' begins like a reserved name of day files"),
        ("name: counts", "name: §_f_col", "'_f_col' begins like a reserved name of day files"),
        ("name: counts", "name: §__members__", "'__members__' begins like a reserved name of day files"),
        ("name: counts", "name: §a/b", "'a/b'"),
        ("code: MuonRates", "code: §''", "types.rates.code: '' must have at least 1 character"),
    ],
)
def test_what_no_day_file_can_have_is_refused_when_the_layout_is_read(old, new, words):
    marked = changed(old, new)
    if HERE not in marked:
        marked = marked.replace('path: "', f'path: {HERE}"')
    marked = marked.replace(f'"{HERE}', f'{HERE}"')
    error, place = complaint(marked)
    assert error.where == place
    assert words in error.message


def test_a_suffix_cannot_lead_out_of_the_archive():
    error, _ = complaint(
        changed("title: Runs", "suffix: /../../../x\n    title: Runs").replace('path: "', f'path: {HERE}"')
    )
    assert error.message.startswith("path: 'muon/2000/01/01./../../../x.h5' cannot be a day file of runs")


@pytest.mark.parametrize(
    "path", ["{year}/{month}/{year}_{month}_{day}.h5", "{day:02}{month:02}{year}.h5", "x/{type}{year}-{month}-{day}.h5"]
)
def test_a_path_that_tells_the_day_is_taken(path):
    assert (
        Instrument(changed("muon/{year}/{month:02}/{day:02}.{suffix}.h5", path), "muon.yaml").layout.words.path == path
    )


YAML_WORDS = {
    "a text where a list stands": (
        "constants:",
        "sources: §hdf4\nconstants:",
        "sources: 'hdf4' must be a list: [hdf4]",
    ),
    "a length where a list stands": ("[CHANNELS]", "§3", "shape: 3 must be a list: [3]"),
    "a value where a list stands": ("undefined: [0]", "undefined: §0", "clock.undefined: 0 must be a list: [0]"),
    "a mapping where a list stands": ("title: Runs", "later: §{code: x}\n    title: Runs", "a mapping must be a list"),
    "a text where a field stands": (
        "- {name: first, type: uint32}",
        "- §first",
        "'first' must be a mapping: {name: …, type: …}",
    ),
    "a text where the clock stands": ("{epoch: 1996-01-01T00:00:00, undefined: [0]}", "§unix", "{epoch: …, unit: …}"),
    "a default that is a text": (
        "name: counts",
        "default: §abc, name: counts",
        "'abc' must be a number, or true or false",
    ),
    "a default that is a list": (
        "name: counts",
        "default: §[1, 2], name: counts",
        "].default: a list must be a number",
    ),
    "a counter": ("name: counts", "counter: §maybe, name: counts", "'maybe' must be true or false"),
    "a day without dashes": (
        "title: Runs",
        "later: [{since: §20240502, code: x, fields: []}]\n    title: Runs",
        "20240502 is not a day; write it as 2024-05-02",
    ),
    "a day with a time": (
        "title: Runs",
        "later: [{since: §2024-05-02T12:00:00, code: x, fields: []}]\n    title: Runs",
        "2024-05-02 12:00:00 is not a day; write",
    ),
    "an epoch": ("1996-01-01T00:00:00", "§lately", "'lately' is not a date and time; write it as 2024-05-02T00:00:00"),
    "a name that is a boolean": ("name: counts", "name: §OFF", "put it in quotes"),
    "a unit that is a boolean": (
        "unit: s",
        "unit: §no",
        "YAML reads yes, no, on and off as true and false: put it in quotes",
    ),
    "a name": ("name: counts", "name: §2nd", "'2nd' is not a name: letters, digits and _, not a digit first"),
    "nothing": ("instrument: muon", "instrument:§", "the value is missing; write one, or leave the word out"),
    "types that are a list": (LAYOUT[LAYOUT.index("types:") :], "types: §[a]\n", "types: a list must be a mapping"),
    "a NUL byte": ("title: Rates", "title: Ra§\0tes", r"this is not YAML: it must not contain the character '\x00'"),
}


@pytest.mark.parametrize(("old", "new", "words"), YAML_WORDS.values(), ids=YAML_WORDS)
def test_a_value_of_the_wrong_kind_is_told_in_words_of_yaml(old, new, words):
    error, place = complaint(changed(old, new))
    assert error.where == place
    assert words in error.message
    assert not re.search(r"tuple|dictionary|boolean|instance|datetime|\n", error.message)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("period: 256", "period: §0400", "'0400' is 256 in YAML 1.1 and 400 in YAML 1.2; write one of these"),
        ("period: 256", "period: §4:16", "'4:16' is 256 in YAML 1.1 and a text in YAML 1.2; write 256"),
        ("period: 256", "period: §0b100000000", "write 256"),
        ("period: 256", "period: §2_56", "write 256"),
        ("period: 256", "period: §yes", "must be a number, not true or false"),
        ("undefined: [0]", "undefined: [§0_1]", "write 1"),
        ("undefined: [0]", "undefined: §[0, no]", "must be a number, not true or false"),
        ("constants: {CHANNELS: 3}", "constants: §{CHANNELS: on}", "must be a number, not true or false"),
        ("title: Rates", "title: §12:30", "write 750, or put it in quotes if it is a text"),
    ],
)
def test_a_number_that_yaml_1_1_and_1_2_read_differently_is_refused(old, new, words):
    error, place = complaint(changed(old, new))
    assert error.where == place
    assert words in error.message


def test_a_number_that_all_readers_of_yaml_agree_on_is_taken():
    layout = Instrument(
        changed("period: 256", "period: 0x100").replace("undefined: [0]", "undefined: [00, -1]"), "m"
    ).layout
    assert layout.types[0].period == 256
    assert layout.types[0].clock.undefined == (0, -1)


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ("{epoch: §1500-01-01T12:00:00, undefined: [0]}", "the year must be between 1700 and 2200"),
        ("{epoch: §1958-01-01T00:00:00, leap_seconds: counted}", "leap seconds are counted from 1972-01-01 on"),
        ("{epoch: §1970-01-01T00:00:00, leap_seconds: counted}", "leap seconds are counted from 1972-01-01 on"),
    ],
)
def test_an_epoch_from_which_times_would_be_off_is_refused(clock, words):
    error, place = complaint(changed("{epoch: 1996-01-01T00:00:00, undefined: [0]}", clock))
    assert error.where == place
    assert words in error.message


def test_the_first_epoch_from_which_leap_seconds_are_counted_is_taken():
    clock = "{epoch: 1972-01-01T00:00:00, leap_seconds: counted}"
    layout = Instrument(changed("{epoch: 1996-01-01T00:00:00, undefined: [0]}", clock), "muon.yaml").layout
    assert str(layout.types[0].clock.to_datetime64([1714521600 - 63072000 + 27])[0])[:19] == "2024-05-01T00:00:00"
