"""A damaged day file is told as such: reading it stops no process, raises nothing else and leaves nothing open."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tables

from dayfile import open_archive
from dayfile.archive.checking import check_day_file
from dayfile.archive.survey import read_summaries
from dayfile.errors import StorageError
from running import run_command, run_python

# PyTables itself crashes on some damage, in what it reads of groups and attributes when it opens a node. So each
# damaged file is opened by PyTables alone first, in a process of its own: what that survives, reading must survive.
PROGRAM = """
import collections, json, os, random, resource, signal, sys, warnings
from pathlib import Path
import tables
from dayfile import open_archive
from dayfile.archive.checking import check_day_file
from dayfile.archive.survey import DAMAGE_ERRORS, read_summaries
from dayfile.errors import StorageError

warnings.simplefilter("ignore")
path, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
content, work = path.read_bytes(), path.with_name("damaged.h5")
check_day_file(path, "day.h5", deep=True)  # the types of its rows are known from then on
dense = [place for place, byte in enumerate(content) if byte]


def damaged(random):
    kind, changed = random.randrange(5), bytearray(content)
    if kind == 0:
        return changed[: random.randrange(1, len(changed))]
    for _ in range(random.choice([1, 1, 3])):
        place = random.choice(dense) if kind < 4 else random.randrange(len(changed))
        if kind == 1:
            changed[place] ^= 1 << random.randrange(8)
        elif kind == 2:
            changed[place] = random.choice([0, 127, 128, 255])
        else:
            changed[place : place + 8] = random.randbytes(8)
    return changed


def by_pytables():
    with tables.open_file(work) as file:
        for node in file.walk_nodes("/"):
            node._v_attrs
            if isinstance(node, tables.VLArray) and node.nrows < 10**6:
                node.read()
            if isinstance(node, tables.Table) and node.nrows < 10**6:
                node.read()


def by_us():
    told = 0
    try:
        read_summaries(work)
    except StorageError:
        told = 1
    _, problems = check_day_file(work, "day.h5", deep=True)
    tables.open_file(work, "w").close()
    return told or bool(problems)


def in_a_process(act):
    child = os.fork()
    if not child:
        signal.alarm(10)
        try:
            os._exit(int(bool(act())))
        except DAMAGE_ERRORS:
            os._exit(1)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "crash" if status < 0 else ["well", "damaged", "error"][status]


found = collections.defaultdict(list)
for seed in range(first, last):
    work.write_bytes(damaged(random.Random(seed)))
    alone = in_a_process(by_pytables)
    ours = in_a_process(by_us) if alone in ("well", "damaged") else "not tried"
    found[ours].append(seed)
    work.unlink()
print(json.dumps(found))
"""


@pytest.fixture
def slot_file(muon, work_file):
    work = work_file(muon.day)
    rows = [{"second": muon.start + 256 * slot, "temperature": slot / 7} for slot in range(40)]
    rows += [{"second": muon.start + 256 * slot, "temperature": -1} for slot in (3, 30)]
    work.write(muon.rates, muon.batch("rates", muon.records("rates", rows)))
    work.publish()
    return work.published


@pytest.fixture
def blob_file(school, work_file):
    work = work_file(school.day)
    work.begin()
    many = [(second, second / 3, b"x", b"trace %d" % second, b"") for second in range(20)]
    work.write(school.events, school.make_events(many, numbers=range(20)))
    work.publish()
    return work.published


@pytest.mark.parametrize("made", ["slot_file", "blob_file"])
def test_no_damage_stops_the_process_and_all_is_told(request, made, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run_python(tmp_path / "program.py", request.getfixturevalue(made), 0, 50)
    assert done.returncode == 0, done.stderr
    found = {answer: len(seeds) for answer, seeds in json.loads(done.stdout).items()}
    assert found.keys() <= {"well", "damaged", "not tried"}, (done.stdout, done.stderr)
    assert found["damaged"] > 12
    assert found.get("not tried", 0) < 12, "most are tried"


@pytest.mark.parametrize("made", ["slot_file", "blob_file"])
def test_a_file_cut_anywhere_is_told_and_can_be_replaced_at_once(request, made):
    path = request.getfixturevalue(made)
    content = path.read_bytes()
    for size in np.linspace(0, len(content) - 1, 60, dtype=int).tolist():
        path.write_bytes(content[:size])
        with pytest.raises(StorageError):
            read_summaries(path)
        assert check_day_file(path, "day.h5", deep=True)[1]
        tables.open_file(path, "w").close()


@pytest.mark.parametrize("made", ["slot_file", "blob_file"])
def test_every_byte_of_a_record_that_changes_is_told(request, made):
    """Rows and blobs lie in the file as they are: each of their bytes is covered by a checksum."""
    path = request.getfixturevalue(made)
    content = path.read_bytes()
    with tables.open_file(path) as file:
        nodes = [node for node in file.walk_nodes("/", "Leaf") if "ledger" not in node._v_pathname]
        pieces = [
            row if isinstance(row, bytes) else row.tobytes()
            for node in nodes
            for row in (node.read() if isinstance(node, tables.VLArray) else node.read()[:40])
        ]
    places = [content.find(piece) for piece in pieces if len(piece) > 6 and any(piece)]
    assert len(places) > 19
    assert min(places) > 0
    for place in places[::3]:
        changed = bytearray(content)
        changed[place + 2] ^= 0x40
        path.write_bytes(changed)
        assert check_day_file(path, "day.h5", deep=True)[1]


DAMAGE_ERRORS_DECLARATIONS = pytest.mark.parametrize(
    ("right", "wrong"),
    [(b'{"epoch"', b"{epoch::"), (b'"name":"second"', b'"mane":"second"'), (b"muon.hits", b"muon\xff\xffits")],
    ids=["no JSON", "no field", "no text"],
)


def damage(archive, right, wrong):
    """Damage the first day file of an archive, and return its path."""
    path = min(archive.root.path.rglob("*.hit.h5"))
    content = path.read_bytes()
    assert content.count(right)
    path.write_bytes(content.replace(right, wrong))
    return path


@DAMAGE_ERRORS_DECLARATIONS
def test_a_reader_tells_of_a_damaged_day_file_which_it_is(archive, muon, right, wrong):
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", [{"second": muon.start + 5}])))
    archive.run()
    path = damage(archive, right, wrong)
    shown = run_command("dayfile", "show", "muon.hits", "--archive", archive.root.path)
    assert shown.returncode == 4, shown.stderr
    assert path.name in shown.stderr
    assert "is damaged" in shown.stderr


@DAMAGE_ERRORS_DECLARATIONS
def test_records_whose_declaration_is_damaged_are_read_by_its_digest_and_found_by_check(archive, muon, right, wrong):
    seconds = [{"second": muon.start + 5}, {"second": muon.start + 86400}]
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", seconds)))
    archive.run()
    path = damage(archive, right, wrong)
    assert open_archive(archive.root.path).read("muon.hits")["second"].tolist() == [each["second"] for each in seconds]
    checked = run_command("dayfile", "check", "--deep", "--archive", archive.root.path)
    assert checked.returncode == 3
    assert path.name in checked.stdout + checked.stderr
