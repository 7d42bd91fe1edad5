"""Whatever comes in: it is archived, known already or kept in quarantine, and never stops a run."""

from __future__ import annotations

import copy
import datetime as dt
import faulthandler
import hashlib
import json
import pickle
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archives import find_defects, load_plugins, make_settings, open_quarantine
from dayfile import Instrument, Source, create_archive
from dayfile.engine.pipeline import Pipeline
from dayfile.engine.report import Report
from dayfile.errors import LayoutError
from dayfile.state.engine import EngineRecorder
from dayfile.testing import selftest
from dayfile_cris import instrument as cris
from dayfile_hisparc import instrument as hisparc
from dayfile_hisparc.simulation import simulate_events
from dayfile_sis import instrument as sis
from instruments import make_stream
from running import run_python

LONGEST = 2.0
"""Seconds of the processor that an input may take."""
START = 57801601  # 1997-10-31 by the clock of CRIS and SIS

Sources = list[tuple[str, bytes]]


# ---- Sources as they should be


def events_of_all_kinds() -> list[dict[str, Any]]:
    """A few events of each type that a station sends."""
    every = [event for _, event in zip(range(2000), simulate_events(np.datetime64("2024-05-01"), 1, 501))]
    kinds: dict[str, list[dict[str, Any]]] = {}
    for event in every:
        kinds.setdefault(event["header"]["eventtype_uploadcode"], []).append(event)
    return [event for kind in kinds.values() for event in kind[:3]]


WELL_FORMED = events_of_all_kinds()


def uploads() -> Sources:
    """Queue files and bare uploads, of every protocol of pickle."""
    events = WELL_FORMED
    made: Sources = []
    for protocol in range(6):
        queue = {"station_id": 501, "cluster": "Amsterdam", "event_list": events}
        made.append((f"queue {protocol}", pickle.dumps(queue, protocol)))
        made.append((f"bare {protocol}", pickle.dumps(events[:6], protocol)))
    return made


ODD_VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, -(2**64), 10**18, 1.5, float("nan"), float("inf"), -1e308, "", "x", "\x00", "\u2192",
    "\ud800", "a/b", "..", "a" * 700, "9" * 40, "=" * 9, b"", b"\xff\xfe", [], [[]], {}, {"a": 1}, [1, 2], "CIC", "TR1", "EVENT",
    dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(2038, 1, 19, 3, 14, 8),
    dt.datetime(2024, 5, 1, tzinfo=dt.timezone(dt.timedelta(hours=-23, minutes=-59))),
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))), dt.timedelta(days=-999999999),
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every container in a value, and each of its keys or indexes."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from places(item)


def odd_uploads(seed: int) -> Iterator[tuple[str, bytes]]:
    """Well-formed pickles in which a few values are others, are gone, or stand twice."""
    chance = random.Random(seed)
    for number in range(10**9):
        events = copy.deepcopy(chance.sample(WELL_FORMED, 4))
        content: Any = {"station_id": chance.choice([501, number]), "cluster": "Amsterdam", "event_list": events}
        for _ in range(chance.choice([1, 1, 2, 10])):
            container, key = chance.choice(list(places(content)) or [({"event_list": []}, "event_list")])
            action = chance.random()
            if action < 0.6:
                container[key] = copy.deepcopy(chance.choice(ODD_VALUES))
            elif action < 0.8:
                del container[key]
            elif isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            else:
                container[chance.choice(["x", 1, "data", "data_uploadcode", "datetime"])] = container[key]
        yield f"queue {number}", pickle.dumps(content, chance.randrange(6))


def structs(instrument, step: int) -> dict[str, np.ndarray]:
    """A few records of each small data type of an instrument, by code."""
    made = {}
    for data_type in [each for each in instrument.layout.types if each.dtype.itemsize < 4000][::step]:
        records = np.zeros(5, data_type.dtype)
        records[data_type.time] = START + 256 * np.arange(5)
        if data_type.end:
            records[data_type.end] = records[data_type.time] + 255
        made[data_type.code] = records
    return made


def streams() -> Sources:
    """Struct streams of CRIS, SIS and the probe, of both byte orders."""
    made: Sources = []
    for instrument in (cris, sis, selftest.Probe()):
        for code, records in structs(instrument, 2).items():
            for order in ("big", "little"):
                content = make_stream(instrument, instrument.layout.by_code()[code], records, order)
                made.append((f"{code}.{order[0]}e.bin", content))
    return made


def hdf4_files(directory: Path) -> Sources:
    """HDF4 files with structs of both spacecraft instruments, contiguous and in linked blocks."""
    pytest.importorskip("pyhdf")
    from dayfile.formats.hdf4_structs import write_structs

    made: Sources = []
    for number, records_a_write in enumerate((None, 2)):
        for instrument in (cris, sis):
            path = directory / f"{number}.hdf"
            write_structs(path, structs(instrument, 3), records_a_write=records_a_write)
            made.append((f"{instrument.layout.words.instrument}.hdf", path.read_bytes()))
    return made


def notes() -> Sources:
    """Notes of the probe: lines of JSON."""
    rows = [{"second": 11_145_600 + i, "id": i, "text": f"note {i}"} for i in range(8)]
    return [("1.notes", "\n".join(map(json.dumps, rows)).encode()), ("2.notes", json.dumps(rows[0]).encode())]


def layouts() -> Sources:
    """Layouts of all instruments."""
    texts = [selftest.LAYOUT, *(instrument._text for instrument in (hisparc, cris, sis))]
    return [(f"{number}.yaml", text.encode()) for number, text in enumerate(texts)]


# ---- Damage


def spoiled(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Content with damage of one kind, or of a few; half the time it keeps its length."""
    kinds = chance.choice([DAMAGES, IN_PLACE])
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        content = chance.choice(kinds)(content, others, chance)
    return content


def slice_of(content: bytes, chance: random.Random, longest: int = 64) -> slice:
    begin = chance.randrange(len(content) + 1)
    return slice(begin, begin + chance.randint(1, longest))


def flip_bits(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8, 64])):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def behead(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    return content[chance.randrange(len(content) + 1) :]


def join(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others)
    return content + other[: chance.choice([len(other), chance.randrange(len(other) + 1)])]


def overwrite(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    changed, where = bytearray(content), slice_of(content, chance)
    length = len(changed[where])
    changed[where] = chance.choice([chance.randbytes(length), bytes(length), b"\xff" * length])
    return bytes(changed)


def insert(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    where = slice_of(content, chance)
    more = chance.choice([chance.randbytes(chance.randint(1, 40)), content[where], *TOKENS])
    return content[: where.start] + more + content[where.start :]


def replace_token(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    where = slice_of(content, chance, 12)
    return content[: where.start] + chance.choice(TOKENS) + content[where.stop :]


def repeat(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    where = slice_of(content, chance, 500)
    return content[: where.start] + content[where] * chance.randint(2, 50) + content[where.stop :]


def leave_out(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    where = slice_of(content, chance)
    return content[: where.start] + content[where.stop :]


def noise(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    return content[: chance.choice([0, 1, 2, 4, 16])] + chance.randbytes(chance.choice([1, 10, 1000]))


DAMAGES: list[Callable[[bytes, list[bytes], random.Random], bytes]] = [
    flip_bits, flip_bits, flip_bits, cut, behead, join, overwrite, insert, replace_token, repeat, leave_out, noise,
]  # fmt: skip
IN_PLACE = [flip_bits, overwrite]
TOKENS = [
    b"\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b".", b"\n", b"-1", b"NaN", b"1e999",
    b"9" * 30, b"9" * 5000, b"\xc3\x28", b"\xed\xa0\x80", b"(", b"[" * 50, b"{" * 50, b"]}", b"null", b"true", b"\x80\x04",
    b"cos\nsystem\n", b"/", b"..", b"{0.__class__}", b"%s", b"a" * 2000,
]  # fmt: skip


# ---- Through the pipeline


class Taking:
    """A pipeline that takes damaged sources, and what it must do with each."""

    def __init__(self, path: Path) -> None:
        self.root = create_archive(path).root
        self.loaded = load_plugins("hisparc", "cris", "sis")
        self.loaded.add("probe", selftest.Probe())
        self.settings = make_settings(self.loaded, hisparc__station=1, hisparc__cluster="Bare")
        self.longest = 0.0

    def take_all(self, sources: Sources) -> None:
        """Take sources in one run and publish; checks all that is promised for each."""
        report = Report()
        pipeline = Pipeline(self.root, self.loaded, self.settings, report, EngineRecorder(self.root, "run"))
        for number, (name, content) in enumerate(sources):
            counted, told = sum(report.sources.values()), len(report.quarantine)
            began = time.process_time()
            ((conclusion,), _) = pipeline.take([Source(self.root.path / name, name, content)])
            took = time.process_time() - began
            assert took < LONGEST, f"{number} {name!r} took {took:.1f} s"
            # What nobody recognises is left or quarantined by whoever has the file.
            assert sum(report.sources.values()) == counted + (conclusion.counted != "left")
            self.check_kept(report, told, name, content)
        quarantined = sum(entry.records is None for entry in report.quarantine)
        assert quarantined <= report.sources["quarantined"]
        assert len(report.day_files) == 0
        pipeline.publish()
        assert find_defects(self.root) == []

    def check_kept(self, report: Report, told: int, name: str, content: bytes) -> None:
        """What was set aside of the source just taken is kept: whole, or the records that were rejected."""
        for entry in report.quarantine[told:]:
            kept = open_quarantine(self.root).entry(Path(entry.entry).name)
            assert kept.content is not None
            # Damage is what a decoder expects: it says what is wrong, and does not fail. The probe's is not so careful.
            assert entry.reason
            assert not entry.reason.startswith(("plugin hisparc", "plugin cris", "plugin sis"))
            if entry.records is None:
                assert kept.content.read_bytes() == content
                assert kept.reason["source_sha256"] == hashlib.sha256(content).hexdigest()
            else:
                assert entry.records == len(kept.reason["records"]) > 0
                assert kept.content.stat().st_size > 0


KINDS: dict[str, Callable[[Path], Sources]] = {
    "uploads": lambda _: uploads(),
    "streams": lambda _: streams(),
    "hdf4": hdf4_files,
    "notes": lambda _: notes(),
}


def damaged(good: Sources, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged sources, one after another; now and then under the name of another."""
    chance = random.Random(seed)
    others = [content for _, content in good]
    while True:
        name, content = chance.choice(good)
        if chance.random() < 0.05:
            name, _ = chance.choice(good)
        yield name, spoiled(content, others, chance)


def take_damaged(tmp_path: Path, kind: str, seed: int, number: int) -> None:
    faulthandler.dump_traceback_later(240, exit=True)
    try:
        taking = Taking(tmp_path / "archive")
        if kind == "odd uploads":
            sources = odd_uploads(seed)
        else:
            good = KINDS[kind](tmp_path)
            taking.take_all(good)
            sources = damaged(good, seed)
        taking.take_all([next(sources) for _ in range(number)])
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("kind", "number"), [("uploads", 400), ("odd uploads", 200), ("streams", 200), ("hdf4", 400), ("notes", 200)]
)
def test_damaged_sources_never_stop_a_run_and_are_all_accounted_for(tmp_path, kind, number, seed):
    take_damaged(tmp_path, kind, seed, number)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 120))
@pytest.mark.parametrize("kind", [*KINDS, "odd uploads"])
def test_many_more_damaged_sources_never_stop_a_run(tmp_path, kind, seed):
    take_damaged(tmp_path, kind, seed, 1500)


def test_records_that_differ_in_their_texts_alone_take_no_time_that_grows_as_their_square(tmp_path):
    """Messages of one second: a station in trouble sends them, and a hostile one could stop the archive with them."""
    moment = dt.datetime(2024, 5, 1)
    events = [
        {
            "header": {"eventtype_uploadcode": "ERR", "datetime": moment, "nanoseconds": 0},
            "datalist": [{"data_uploadcode": "ERRMSG", "data": f"error {number}"}],
        }
        for number in range(2000)
    ]
    Taking(tmp_path / "archive").take_all([("upload", pickle.dumps(events, 2))])


# ---- Layouts

YAML_TOKENS = [
    b"!!bool foo", b'!!int ""', b"!!int +", b'!!float ""', b"!!timestamp foo", b"!!null x", b"!!str [a]", b"!!map 1", b"!x y",
    b"0001-01-01T00:00:00+10:00", b"9999-12-31T23:59:59-10:00", b"2020-02-30", b"1:2:3", b"0b", b"0x", b"0o9", b".inf",
    b"-.nan", b"1e999", b"null", b"~", b"yes", b"&a b", b"*a", b"<<: {a: 1}", b"? a", b"- ", b"[", b"]", b"{", b"}", b": ",
    b"\n", b"\t", b"  ", b"'", b'"', b"|", b">", b"%YAML 9", b"---\n", b"...\n", b"#", b"{year}", b"{", b"{}", b"{0}",
    b"{day.__class__}", b"{day:>9}", b"{day!x}", b"uint8", b"char", b"blob: base64", b"slots", b"99999999999999999999", b"-1",
    b"0", b"[0]", b"[3000000000]", b"[2, 2, 2]", b"\xff", b"\x00", b"\xc2\x85", b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80",
]  # fmt: skip


def wrong_layouts(seed: int) -> Iterator[str]:
    """Layouts with damage: that of any file, and values and lines that are others or in another place."""
    chance = random.Random(seed)
    good = [content for _, content in layouts()]
    while True:
        content = chance.choice([good[0], good[0], chance.choice(good)])
        for _ in range(chance.choice([1, 1, 2, 3])):
            lines = content.split(b"\n")
            line = chance.randrange(len(lines))
            action = chance.random()
            if action < 0.25:
                content = spoiled(content, good, chance)
            elif action < 0.7:
                words = re.split(rb"(: |, |[\[\]{}])", lines[line])
                words[chance.randrange(len(words))] = chance.choice(YAML_TOKENS)
                lines[line] = b"".join(words)
                content = b"\n".join(lines)
            else:
                lines.insert(chance.randrange(len(lines)), lines.pop(line))
                content = b"\n".join(lines)
        yield content.decode(errors="replace")


def read_wrong_layouts(seed: int, number: int) -> None:
    texts = wrong_layouts(seed)
    refused = 0
    for _ in range(number):
        text = next(texts)
        began = time.process_time()
        try:
            layout = Instrument(text, "wrong.yaml").layout
        except LayoutError as error:
            refused += 1
            assert str(error).startswith("wrong.yaml")
        else:
            assert all(data_type.dtype.itemsize for data_type in layout.types)
        assert time.process_time() - began < LONGEST
    assert number / 2 < refused < number


@pytest.mark.parametrize("seed", range(2))
def test_wrong_layouts_raise_nothing_but_layout_errors(seed):
    read_wrong_layouts(seed, 600)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_more_wrong_layouts_raise_nothing_but_layout_errors(seed):
    read_wrong_layouts(seed, 10_000)


def with_value(old: str, new: str) -> str:
    assert old in selftest.LAYOUT
    return selftest.LAYOUT.replace(old, new)


EPOCH, TITLE, NUMBER = "2020-01-01T00:00:00", "Invented records, one type for each store", "name: id, type: uint64"
NONSENSE = {
    "a boolean that is none": with_value(TITLE, "!!bool foo"),
    "a time that is none": with_value(TITLE, "!!timestamp foo"),
    "an integer without digits": with_value(TITLE, '!!int ""'),
    "a sign without digits": with_value(TITLE, "!!int +"),
    "a float without digits": with_value(TITLE, '!!float ""'),
    "an epoch before the first year": with_value(EPOCH, "0001-01-01T00:00:00+10:00"),
    "an epoch after the last year": with_value(EPOCH, "9999-12-31T23:59:59-10:00"),
    "a field beyond memory": with_value(NUMBER, f"{NUMBER}, shape: [2147483647, 2147483647]"),
    "a field of more than 2 GB": with_value(NUMBER, f"{NUMBER}, shape: [1000000000]"),
    "a length beyond 64 bits": with_value(NUMBER, f"{NUMBER}, shape: [99999999999999999999]"),
    "a text of 3 GB": with_value(NUMBER, "name: id, type: char, shape: [3000000000]"),
    "more dimensions than an array has": with_value(NUMBER, f"{NUMBER}, shape: [{', '.join(['1'] * 70)}]"),
    "a path as wide as memory": with_value("{month:02}", "{month:099999999999}"),
    "lists in lists in lists": with_value(TITLE, "[" * 5000 + "]" * 5000),
    "mappings in mappings in mappings": "\n".join(" " * depth + "a:" for depth in range(2000)),
}


@pytest.mark.parametrize("text", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_layout_that_is_nonsense_is_told_by_its_place(text):
    with pytest.raises(LayoutError, match=r"^wrong\.yaml:\d+:\d+: "):
        _ = Instrument(text, "wrong.yaml").layout


def test_a_layout_that_is_nested_without_end_does_not_end_the_process():
    script = """
from dayfile import Instrument, LayoutError
try:
    Instrument("instrument: " + "[" * 100_000, "wrong.yaml").layout
except LayoutError:
    print("told")
"""
    done = run_python("-c", script)
    assert (done.returncode, done.stdout) == (0, "told\n"), done.stderr
