"""A run on several processes: the same day files as a run on one, and no process or source is left behind."""

from __future__ import annotations

import json
import os
import random
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tables
import typer
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from archives import find_defects, watch_steps
from dayfile import Batch, Instrument, Rejected, Remark, hookimpl, open_archive, settings
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.root import Root
from dayfile.cli.run import Engine
from dayfile.cli.run import run as archive_run_command
from dayfile.engine import processes
from dayfile.engine.executors import run_serial
from dayfile.engine.intake import list_visible
from dayfile.engine.parts import load_pieces, save_pieces
from dayfile.engine.pieces import Piece
from dayfile.engine.processes import WORTH_BYTES, run_processes
from dayfile.engine.tuning import Tuning
from dayfile.engine.worker import Worker
from dayfile.errors import StorageError
from dayfile.testing.faults import Fault


def children() -> list[str]:
    """The processes that this one has."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = children()
    yield
    assert children() == before


class Roofs(Instrument):
    """School detectors whose sources are JSON; some make it fail."""

    def __init__(self, school):
        super().__init__(school.layout, "school.yaml")
        self.school = school

    @hookimpl
    def decode(self, source):
        if not source.name.endswith(".roof"):
            return None
        told = json.loads(source.content)
        if "raise" in told:
            raise RuntimeError(told["raise"])
        events = [(*row[:3], *(None if blob is None else blob.encode() for blob in row[3:])) for row in told["events"]]
        messages = [(second, text.encode()) for second, text in told["errors"]]
        # A number that JSON knows nothing of, as a plugin may take it from an array.
        station = np.int64(told["station"])
        return [self.school.make_events(events, None, station), self.school.make_errors(messages, None, station)]

    @hookimpl(tryfirst=True)
    def write(self, work_file, data_type, batch):
        if data_type.name == "school.events" and (batch.records["height"] == 13).any():
            work_file.write(data_type, batch.select(np.zeros(len(batch), bool)))  # makes the file, and writes nothing
            time.sleep(0.1 if str(work_file.day) == str(self.school.day) else 0)
            raise RuntimeError(f"there is no roof 13 on {work_file.day}")


@pytest.fixture
def plugins(muon, school, plugins_of):
    return plugins_of(muon=muon.instrument, school=Roofs(school))


@pytest.fixture
def make_sources(muon, tmp_path):
    """Write random sources of every sort below a directory; the paths, in an order and with some of them twice."""

    def streams(chance):
        second = muon.start + 86400 * chance.randrange(3)
        seconds = [second + chance.choice([0, 0, 1, 256, 300, 86399, 86400]) for _ in range(chance.randrange(1, 6))]
        if chance.random() < 0.2:
            seconds[-1] = 0  # a record without a time is rejected
        name = chance.choice(["rates", "hits", "runs"])
        rows = {
            "rates": [{"second": s, "quality": chance.randrange(2), "label": b"r"} for s in seconds],
            "hits": [{"second": s, "channel": chance.randrange(2)} for s in seconds],
            "runs": [{"first": s, "last": s + 5} for s in seconds],
        }[name]
        content = muon.stream(name, muon.records(name, rows))
        return f"{muon.types[name].code}.be.bin", content[:-1] if chance.random() < 0.1 else content

    def roofs(chance):
        day = 86400 * chance.randrange(3)
        texts = ["", "one", "two", "\u00e4" * chance.randrange(200), None]
        told = {
            "station": chance.choice([7, 8]),
            "events": [
                [day + chance.randrange(3), chance.choice([1.5] * 8 + [13]), "a", *chance.choices(texts, k=2)]
                for _ in range(chance.randrange(5))
            ],
            "errors": [
                [day + 86399 * chance.randrange(2), chance.choice(texts[:3])] for _ in range(chance.randrange(3))
            ],
        }
        if chance.random() < 0.1:
            told["raise"] = "a broken antenna"
        return "upload.roof", json.dumps(told).encode()

    def make(seed, number=30):
        chance = random.Random(seed)
        paths = [Path("/proc/self/mem")] if seed % 2 else []  # exists, and cannot be read
        for place in range(number):
            sort = chance.choice([streams] * 4 + [roofs] * 4 + [None])
            name, content = sort(chance) if sort else chance.choice([("empty", b""), ("notes.txt", b"of nobody")])
            path = tmp_path / "given" / str(place) / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            paths += [path] * chance.choice([1, 1, 1, 2])
        chance.shuffle(paths)
        return paths

    return make


def resolved(plugins, *pairs):
    return settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0", *pairs]))


def contents(root: Root):
    """All that an archive holds, but for the times at which it was archived."""
    found = {}
    for path in root.list_day_files():
        with tables.open_file(root.path / path) as file:
            for node in file.walk_nodes("/", "Leaf"):
                rows = node.read()
                if isinstance(node, tables.Table):
                    names = [name for name in rows.dtype.names if name != "archived"]
                    rows = [(name, rows[name].tobytes()) for name in names]
                attributes = {name: str(node._v_attrs[name]) for name in node._v_attrs._f_list("all")}
                found[path, node._v_pathname] = rows, attributes
    for directory in (root.quarantine, root.sources):
        for path in directory.rglob("*"):
            if path.name == "reason.json":
                reason = json.loads(path.read_text())
                found[str(path.parent.relative_to(root.path)), "reason"] = {
                    name: value for name, value in reason.items() if name != "time"
                }
            elif path.is_file():
                found[str(path.relative_to(root.path)), "content"] = path.read_bytes()
    found["catalogue"] = sorted(map(str, Catalogue(root.catalogue).rows()))
    return found


def left_over(root: Root) -> list[Path]:
    places = (root.incoming, root.accepted, root.workshop)
    return [path for place in places for path in place.rglob("*") if path.is_file()]


def drop(root: Root, paths):
    """Some of the sources arrive, the others are given."""
    root.create()
    for number, path in enumerate(paths[::3]):
        if path.is_relative_to("/proc"):
            continue
        target = root.incoming / f"{number:03}" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    return [path for place, path in enumerate(paths) if place % 3 or path.is_relative_to("/proc")]


# ---- The same as a run on one process


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("pairs", [["duplicates=keep", "sources.keep=always"], ["on_conflict=replace"], []])
def test_day_files_report_and_quarantine_are_those_of_a_serial_run(plugins, make_sources, tmp_path, pairs, workers):
    seed = 3 * len(pairs) + workers
    known = resolved(plugins, *pairs)
    paths = make_sources(seed, 40)
    one, several = Root(tmp_path / "one"), Root(tmp_path / "several")
    for part in (paths[:30], paths[20:]):  # the second run meets published day files, and sources it knows
        given_one, given_several = drop(one, part), drop(several, part)
        expected = run_serial(one, plugins, known, given_one, tuning=Tuning(group_sources=1))
        tuning = Tuning(group_sources=1 + seed % 4)
        report = run_processes(several, plugins, known, given_several, workers=workers, tuning=tuning)
        assert report.as_json() | {"seconds": 0} == expected.as_json() | {"seconds": 0}
        assert report.failures == expected.failures
        assert report.exit_code == expected.exit_code
        there, here = contents(one), contents(several)
        assert there.keys() == here.keys()
        assert [place for place in there if there[place] != here[place]] == []
        assert left_over(several) == left_over(one) == []
    assert find_defects(several) == []


@pytest.fixture
def filled(plugins, make_sources, tmp_path):
    """An archive with sources of several days in ``incoming/``, and what a serial run makes of them."""
    paths = [path for path in make_sources(2) if path.name.endswith(".be.bin")]
    root, serial = Root(tmp_path / "several"), Root(tmp_path / "one")
    for each in (root, serial):
        drop(each, [path for path in paths for _ in range(3)])
    run_serial(serial, plugins, resolved(plugins))
    return root, serial


def sources_of(root: Root) -> list[bytes]:
    return sorted(path.read_bytes() for place in (root.incoming, root.accepted) for path in list_visible(place))


def complete(filled, plugins):
    """Run again, and see that nothing was lost."""
    root, serial = filled
    run_processes(root, plugins, resolved(plugins), workers=2)
    types = [name for name in open_archive(serial.path).types() if name.startswith("muon")]
    for name in types:
        here, there = (sorted(open_archive(each.path).read(name).array.tolist()) for each in (root, serial))
        assert str(here) == str(there)
    assert types
    assert left_over(root) == []
    assert find_defects(root) == []


def test_failures_in_several_day_files_are_told_in_the_order_of_their_paths(plugins, tmp_path):
    """Whoever of the workers is the first to fail; and no work file that took nothing is left behind."""
    tuning = Tuning(group_sources=1)
    paths = []
    for number, seconds in enumerate([[0], [86400], [0, 86400], [86400, 0]]):
        told = {"station": 7, "errors": [], "events": [[second, 13, str(number), None, None] for second in seconds]}
        paths.append(tmp_path / f"{number}.roof")
        paths[-1].write_text(json.dumps(told))
    one, several = Root(tmp_path / "one"), Root(tmp_path / "several")
    expected = run_serial(one, plugins, resolved(plugins), paths, tuning=tuning)
    report = run_processes(several, plugins, resolved(plugins), paths, workers=2, tuning=tuning)
    assert report.quarantine == expected.quarantine
    assert re.search("13 on 2017-02-26; .* 13 on 2017-02-27", report.quarantine[2].reason)
    assert contents(several) == contents(one)
    assert left_over(several) == left_over(one) == []


# ---- What goes wrong in a worker


def test_an_unexpected_exception_in_a_worker_is_told_with_its_traceback_and_loses_nothing(filled, plugins, monkeypatch):
    root, _ = filled
    waiting = sources_of(root)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "write", lambda *_: {}["a bug of ours"])
        with pytest.raises(RuntimeError, match=r"in a worker process:\n(.*\n)*KeyError: 'a bug of ours'"):
            run_processes(root, plugins, resolved(plugins), workers=2)
    assert sources_of(root) == waiting
    complete(filled, plugins)


@pytest.mark.parametrize("step", ["write", "open", "fsync", "rename"])
@pytest.mark.parametrize("action", ["fail", "kill"])
def test_a_full_disk_or_a_kill_in_a_worker_ends_the_run_and_the_next_run_goes_on(filled, plugins, step, action):
    root, _ = filled
    waiting, main, fault = sources_of(root), os.getpid(), Fault(step, 1, action)

    def in_a_worker(kind, path):
        if os.getpid() != main and path.suffix == ".h5":  # of sources, those that cannot be opened stay where they are
            fault(kind, path)

    message = "No space left" if action == "fail" else r"a worker process ended \(exit code -9\)"
    with watch_steps(in_a_worker), pytest.raises(StorageError, match=message) as caught:
        run_processes(root, plugins, resolved(plugins), workers=2)
    assert caught.value.exit_code == 4
    assert sources_of(root) == waiting
    assert find_defects(root) == []
    complete(filled, plugins)


def test_long_tasks_and_long_answers_do_not_wait_for_each_other(muon, plugins_of, tmp_path):
    """A pipe holds some 200 kB: less than many tasks with long names, less than an answer with rejected records.

    One worker is held up, so that all that is to be written waits for it, and comes at once while the other answers.
    """
    size = 100

    class Slow:
        @hookimpl
        def decode(self, source):
            if not source.name.endswith(".slow"):
                return None
            group, place = divmod(int(source.content), size)
            time.sleep({2: 1.0}.get(group, 0.25 if group > 8 else 0.0) if place == 0 else 0.0)
            if group > 8 and place == 0:
                return [Rejected("muon", "MuonHit", "no antenna", "RecordError", (0,), source.name, bytes(2**20))]
            return [Remark("muon", "MuonHit", "nothing was seen", (0,))]

    plugins = plugins_of(muon=muon.instrument, slow=Slow())
    root = Root(tmp_path / "archive")
    root.create()
    names = [tmp_path / "given" / f"{number:04}{'x' * 240}.slow" for number in range(14 * size)]
    names[0].parent.mkdir()
    for number, name in enumerate(names):
        name.write_bytes(b"%d" % number)
    report = run_processes(root, plugins, resolved(plugins), names, workers=2, tuning=Tuning(group_sources=size))
    assert report.sources == {"archived": 14 * size - 5, "already": 0, "quarantined": 5, "held": 0, "left": 0}


# ---- Part files


@pytest.fixture(scope="module")
def pieces(muon, school):
    """Pieces of batches: with blobs and keys, of a type without, and empty ones."""
    texts = st.none() | st.binary(max_size=20)
    seconds = st.integers(0, 86399)
    events = st.lists(st.tuples(seconds, st.floats(width=32), st.sampled_from(["a", "bc"]), texts, texts), max_size=4)
    stations = st.integers(1, 9).map(np.int64) | st.text(max_size=3)

    def hits(numbers):
        records = np.zeros(len(numbers), muon.hits.dtype)
        records["second"] = muon.start + np.array(numbers, np.int64)
        batch = replace(muon.batch("hits", records), gave_way=len(numbers) > 1)
        return Piece("muon", "muon.hits", "muon/a.h5", muon.day, batch, sources(records))

    def of_school(rows, station):
        batch = school.make_events(rows, None, station)
        return Piece("school", "school.events", "school/b.h5", school.day, batch, sources(batch))

    def sources(records):
        return np.arange(len(records), dtype=np.int64) * 7

    return st.lists(st.lists(seconds, max_size=4).map(hits) | st.builds(of_school, events, stations), max_size=5)


@pytest.fixture(scope="module")
def types(muon, school):
    return {data_type.name: data_type for each in (muon, school) for data_type in each.types.values()}


def plain(piece):
    """A piece, to be compared."""
    batch = piece.batch
    arrays = [(array.dtype, array.tobytes()) for array in (batch.records, batch.numbers, piece.sources)]
    blobs = list(batch.blobs.values), batch.blobs.owners.tolist()
    told = piece.plugin, piece.data_type, piece.path, piece.day, batch.instrument, batch.code, dict(batch.keys)
    return *told, batch.gave_way, *arrays, *blobs


@settings_of_hypothesis(deadline=None, max_examples=60)
@given(data=st.data())
def test_pieces_come_out_of_a_part_file_as_they_went_in(pieces, types, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("part") / "part-1"
    first, later = data.draw(pieces), data.draw(pieces)
    save_pieces(path, first)
    save_pieces(path, later)
    both = [*first, *later]
    assert list(map(plain, load_pieces(path, types, {"muon/a.h5", "school/b.h5"}))) == list(map(plain, both))
    some = [piece for piece in both if piece.path == "school/b.h5"]
    assert list(map(plain, load_pieces(path, types, {"school/b.h5"}))) == list(map(plain, some))


LATER = """\
    later:
      - since: 1998-12-02
        code: MuonHit_0
        fields:
          - {name: humidity, type: float32, default: .nan}
"""


def test_records_of_an_earlier_version_keep_their_form_in_a_part_file(muon, tmp_path):
    later = Instrument(muon.layout.replace("  runs:\n", f"{LATER}  runs:\n"), "muon.yaml")
    hits = {data_type.type: data_type for data_type in later.layout.types}["hits"]
    assert len(hits.forms) == 2
    both = []
    for form in hits.forms:
        batch = Batch("muon", "MuonHit", np.zeros(2, form.dtype), np.arange(2))
        both.append(Piece("muon", "muon.hits", "muon/a.h5", muon.day, batch, np.zeros(2, np.int64)))
    save_pieces(tmp_path / "part", both)
    found = load_pieces(tmp_path / "part", {"muon.hits": hits}, {"muon/a.h5"})
    assert list(map(plain, found)) == list(map(plain, both))


# ---- Which engine


@pytest.fixture
def command(monkeypatch, muon, tmp_path, installed):
    """Run ``archive-run`` on a source of the muon telescope; how many workers it had, 0 for a serial run."""
    installed(muon=muon.layout)
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(muon.stream("hits", muon.records("hits", [{"second": muon.start}])))
    workers = []

    def serial(*arguments, **named):
        workers.append(0)
        return run_serial(*arguments, **named)

    def several(*arguments, **named):
        workers.append(named["workers"])
        return run_processes(*arguments, **named)

    monkeypatch.setattr("dayfile.engine.executors.run_serial", serial)
    monkeypatch.setattr("dayfile.engine.processes.run_processes", several)

    def run(*more, **options):
        archive = tmp_path / str(len(workers))
        with pytest.raises(typer.Exit) as ended:
            archive_run_command(sources=[source, *more], plugins=["muon"], archive=archive, quiet=True, **options)
        assert ended.value.exit_code == 0
        assert len(open_archive(archive).read("muon.hits")) == 1
        return workers[-1]

    return run


def test_a_run_with_little_to_do_is_serial_and_one_with_much_is_not(command, tmp_path, monkeypatch):
    much = tmp_path / "given"
    much.mkdir()
    with (much / "of nobody").open("wb") as file:
        file.truncate(WORTH_BYTES)
    monkeypatch.setattr(processes, "available_cores", lambda: 2)
    assert command() == 0
    assert command(much) is None
    assert command(much, engine=Engine.serial) == 0
    monkeypatch.setattr(processes, "available_cores", lambda: 1)
    assert command(much) == 0


def test_workers_that_are_asked_for_are_given(command):
    assert command(workers=2) == 2
    assert command(engine=Engine.processes, workers=3) == 3
    assert command(engine=Engine.processes) is None


def test_a_watch_on_several_processes_is_refused(archive_run, tmp_path):
    done = archive_run("--watch", "--engine", "processes", "--archive", tmp_path / "archive")
    assert done.returncode == 2
    assert "--watch works in one process" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "archive").exists()


def test_of_many_days_those_not_written_for_long_are_published_before_the_end(muon, plugins_of, tmp_path):
    # What is open is on disk too, and not counted yet.
    tuning = Tuning(group_sources=3, most_waiting=12, most_left=4, groups_open=2)
    plugins = plugins_of(muon=muon.instrument)
    chosen = settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0"]))
    archives = []
    for name in ("serial", "several"):
        root = Root(tmp_path / name)
        root.create()
        days = [(day,) for day in range(40)] + [(1, 5), (2,), (39,)]
        for number, each in enumerate(days):
            place = root.incoming / f"{number:02}"
            place.mkdir()
            rows = [{"second": muon.start + day * 86400 + number} for day in each]
            (place / "MuonHit.be.bin").write_bytes(muon.stream("hits", muon.records("hits", rows)))
        archives.append(root)
    waiting = []

    def count_waiting(*_):
        waiting.append(len(list(archives[1].workshop.glob("*.h5"))))

    run_serial(archives[0], plugins, chosen, tuning=tuning)
    report = run_processes(archives[1], plugins, chosen, progress=count_waiting, workers=2, tuning=tuning)
    assert max(waiting) < 35
    assert report.records["muon.hits"]["written"] == 44
    serial, several = (open_archive(root.path).read("muon.hits").array for root in archives)
    assert serial.tobytes() == several.tobytes()
    assert find_defects(archives[1]) == []
    assert [path for path in archives[1].accepted.rglob("*") if path.is_file()] == []
