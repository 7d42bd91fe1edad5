"""Day files below a base directory that an environment variable names."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from archives import find_defects, reindex, run_with
from dayfile import Instrument, create_archive, open_archive
from dayfile.errors import LayoutError, StorageError, UsageError
from dayfile.testing.faults import Fault, inject
from running import run_python

VARIABLE = "MUON_DATA_BASE_DIRECTORY"
RATES = "1997/10/muon.1997.10.31.rat.h5"
MEMORY = Path("/dev/shm")  # noqa: S108 - another file system than that of temporary files


def of_another_file_system(path):
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and MEMORY.stat().st_dev != path.stat().st_dev


def run(opened, *sources):
    return run_with(opened.root, opened.plugins, opened.settings, *sources)


@pytest.fixture(params=["beside", "on another file system"])
def base(request, tmp_path):
    """A directory that does not exist yet."""
    if request.param == "beside":
        yield tmp_path / "data" / "muon"
        return
    if not of_another_file_system(tmp_path):
        pytest.skip(f"{MEMORY} is no other file system that can be written")
    made = Path(tempfile.mkdtemp(prefix="dayfile-test-", dir=MEMORY))
    yield made / "data" / "muon"
    shutil.rmtree(made)


@pytest.fixture
def layout(muon):
    return muon.layout.replace("path: ", f"base: {VARIABLE}\npath: ")


@pytest.fixture
def opened(installed, layout, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    installed(muon=layout)
    return create_archive(tmp_path / "archive")


def rates(muon, *seconds):
    return muon.records("rates", [{"second": muon.start + second} for second in seconds])


def found(archive, muon):
    return (archive.read("muon.rates")["second"].astype(int) - muon.start).tolist()


def below(directory):
    """All files below a directory, links not followed, but for an archive's own."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*.h5"))


def test_day_files_lie_below_the_named_directory_and_nowhere_else(opened, muon, base, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0, 86400))
    assert below(base) == [RATES, "1997/11/muon.1997.11.01.rat.h5"]
    link = opened.root.path / "muon"
    assert (link.is_symlink(), link.resolve()) == (True, base.resolve())
    assert list(opened.root.workshop.iterdir()) == []
    assert [path for path in base.rglob("*.h5*") if path.name.startswith(".")] == []
    opened.put("muon.rates", rates(muon, 300))
    assert found(opened, muon) == [0, 300, 86400]


def test_reading_checking_and_reindexing_go_through_it_also_without_the_variable(opened, muon, base, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0, 86400))
    monkeypatch.delenv(VARIABLE)
    assert found(open_archive(opened.root.path), muon) == [0, 86400]
    assert find_defects(opened.root) == []
    assert sorted(opened.root.list_day_files()) == [f"muon/{name}" for name in below(base)]
    opened.root.catalogue.unlink()
    assert reindex(opened.root).day_files == 2
    assert found(opened, muon) == [0, 86400]
    assert opened.put("muon.rates", rates(muon, 300)).tolist() == [0]
    assert (base / RATES).stat().st_size > 0
    (base / RATES).write_bytes(b"damaged")
    assert [problem.path for problem in find_defects(opened.root, deep=False)] == [f"muon/{RATES}"]


def test_sources_go_there_too(opened, muon, base, monkeypatch, tmp_path):
    source = tmp_path / "MuonRates.be.bin"
    source.write_bytes(muon.stream("rates", rates(muon, 0, 300)))
    monkeypatch.setenv(VARIABLE, str(base))
    for expected in ("archived", "already"):
        assert run(opened, source).sources[expected] == 1
        assert below(base) == [RATES]
    assert found(opened, muon) == [0, 300]


def test_without_the_variable_day_files_lie_in_the_archive(opened, muon):
    opened.put("muon.rates", rates(muon, 0))
    assert below(opened.root.path) == [f"muon/{RATES}"]
    assert not (opened.root.path / "muon").is_symlink()


def test_an_empty_variable_is_none(opened, muon, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    opened.put("muon.rates", rates(muon, 0))
    assert below(opened.root.path) == [f"muon/{RATES}"]


def test_the_same_directory_by_another_name_is_the_same(opened, muon, base, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0))
    monkeypatch.setenv(VARIABLE, f"{base.parent}/../{base.parent.name}/{base.name}/")
    opened.put("muon.rates", rates(muon, 300))
    assert found(opened, muon) == [0, 300]


def test_a_directory_named_from_where_the_program_runs_is_found_from_elsewhere(opened, muon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "data")
    opened.put("muon.rates", rates(muon, 0))
    monkeypatch.chdir("/")
    assert found(opened, muon) == [0]
    assert below(tmp_path / "data") == [RATES]


def test_day_files_that_are_there_already_are_known_from_the_first_put_on(opened, muon, base, monkeypatch, tmp_path):
    opened.put("muon.rates", rates(muon, 0))
    shutil.copytree(opened.root.path / "muon", base)
    monkeypatch.setenv(VARIABLE, str(base))
    other = create_archive(tmp_path / "other")
    other.put("muon.hits", muon.records("hits", [{"second": muon.start}]))
    assert found(other, muon) == [0]
    assert [row.data_type for row in other.catalogue.rows()] == ["muon.hits", "muon.rates"]


def test_the_directory_of_one_archive_is_refused_to_another(opened, muon, base, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(base))
    other = create_archive(tmp_path / "other")
    with opened.putting() as put:
        put("muon.rates", rates(muon, 0))
        with pytest.raises(UsageError, match=f"{VARIABLE} says {base}, but that directory belongs to the archive"):
            other.put("muon.rates", rates(muon, 300))
    with pytest.raises(UsageError, match=str(opened.root.path)):
        other.put("muon.rates", rates(muon, 300))
    assert not (other.root.path / "muon").exists()
    assert found(opened, muon) == [0]


# ---- Settings that contradict what is there


def states(*directories):
    return {
        path: path.read_bytes() if path.is_file() else path.is_symlink() and path.readlink()
        for directory in directories
        for path in directory.rglob("*")
    }


@pytest.mark.parametrize("before", ["in the archive", "in another directory"])
def test_another_directory_than_that_of_the_day_files_is_refused_and_nothing_is_moved(
    opened, muon, tmp_path, monkeypatch, before
):
    first, second = tmp_path / "first", tmp_path / "second"
    if before == "in another directory":
        monkeypatch.setenv(VARIABLE, str(first))
    opened.put("muon.rates", rates(muon, 0))
    held = states(opened.root.path)
    monkeypatch.setenv(VARIABLE, str(second))
    there = first if before == "in another directory" else opened.root.path / "muon"
    message = f"{VARIABLE} says that the day files of muon are in {second}, but they are in {there}; move them there"
    with pytest.raises(UsageError, match=message):
        opened.put("muon.rates", rates(muon, 300))
    assert states(opened.root.path) == held
    assert below(second) == []
    monkeypatch.delenv(VARIABLE)
    assert opened.put("muon.rates", rates(muon, 300)).tolist() == [0]
    assert found(opened, muon) == [0, 300]


def test_day_files_that_were_moved_as_the_message_says_are_found(opened, muon, base, monkeypatch):
    opened.put("muon.rates", rates(muon, 0))
    monkeypatch.setenv(VARIABLE, str(base))
    with pytest.raises(UsageError) as refused:
        opened.put("muon.rates", rates(muon, 300))
    link = opened.root.path / "muon"
    assert f"move them there and remove {link}, or unset {VARIABLE}" in str(refused.value)
    shutil.copytree(link, base, dirs_exist_ok=True)
    shutil.rmtree(link)
    assert opened.put("muon.rates", rates(muon, 0, 300)).tolist() == [3, 0]
    assert (below(base), found(opened, muon)) == ([RATES], [0, 300])


def test_an_empty_directory_in_the_archive_is_no_obstacle(opened, muon, base, monkeypatch):
    (opened.root.path / "muon").mkdir()
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0))
    assert below(base) == [RATES]


def test_a_base_that_cannot_be_made_is_told(opened, muon, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "muon"))
    with pytest.raises(StorageError, match="could not make the directory"):
        opened.put("muon.rates", rates(muon, 0))
    assert below(opened.root.path) == []


@pytest.mark.parametrize("path", ["{year}/{suffix}.h5", "{suffix}.h5"])
def test_a_layout_without_a_first_directory_to_replace_is_refused(layout, path):
    text = layout.replace('"muon/{year}/{month:02}/muon.{year}.{month:02}.{day:02}.{suffix}.h5"', f'"{path}"')
    with pytest.raises(LayoutError, match="it takes the place of the first directory of 'path'"):
        _ = Instrument(text, "muon.yaml").layout


def test_the_base_directory_of_a_layout_is_told_with_each_of_its_types(layout):
    assert {data_type.placement.base for data_type in Instrument(layout, "muon.yaml").layout.types} == {VARIABLE}


OWN = ["incoming", "accepted", "workshop", "workshop/deeper", "quarantine", "sources", ".", "muon/1997", ".."]


@pytest.mark.parametrize("place", OWN)
def test_a_base_in_or_around_the_archive_is_refused_before_anything_is_done(opened, muon, monkeypatch, place):
    opened.put("muon.rates", rates(muon, 0))
    left = opened.root.workshop / "left"
    left.touch()  # a run would empty the workshop
    held = states(opened.root.path)
    named = opened.root.path / place
    monkeypatch.setenv(VARIABLE, str(named))
    with pytest.raises(UsageError) as refused:
        opened.put("muon.rates", rates(muon, 300))
    assert f"{VARIABLE} says {named}, which is, holds or is inside a directory that the archive uses" in str(
        refused.value
    )
    assert f"or unset {VARIABLE}" in str(refused.value)
    assert states(opened.root.path) == held


def test_the_directory_where_day_files_are_without_a_base_may_be_named(opened, muon, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(opened.root.path / "muon"))
    opened.put("muon.rates", rates(muon, 0))
    monkeypatch.delenv(VARIABLE)
    opened.put("muon.rates", rates(muon, 300))
    assert (found(opened, muon), find_defects(opened.root, deep=False)) == ([0, 300], [])


@pytest.fixture
def pion(muon, layout, installed):
    """A second instrument with a base of its own, PION_BASE."""
    pion = layout.replace("instrument: muon", "instrument: pion").replace("Muon", "Pion").replace("muon", "pion")
    installed(pion=pion.replace(VARIABLE, "PION_BASE"))


@pytest.mark.parametrize("place", ["base", "archive/base"])
def test_two_instruments_may_have_one_directory(opened, muon, pion, tmp_path, monkeypatch, place):
    for variable in (VARIABLE, "PION_BASE"):
        monkeypatch.setenv(variable, str(tmp_path / place))
    names = "muon.rates", "pion.rates"
    for name in names:
        create_archive(opened.root.path).put(name, rates(muon, 0))
    for _ in range(2):
        assert list(opened.root.list_day_files()) == [f"muon/{RATES}", f"pion/{RATES.replace('muon', 'pion')}"]
        assert [len(opened.read(name)) for name in names] == [1, 1]
        assert find_defects(opened.root) == []
        assert reindex(opened.root).day_files == 2


@pytest.mark.parametrize("places", ["outer outer/inner", "outer/inner outer", "link/inner outer"])
@pytest.mark.parametrize("when", ["in one run", "in two"])
def test_two_instruments_are_not_given_directories_one_in_the_other(
    opened, muon, pion, tmp_path, monkeypatch, places, when
):
    (tmp_path / "outer").mkdir()
    (tmp_path / "link").symlink_to("outer")
    first, second = (tmp_path / place for place in places.split())
    monkeypatch.setenv(VARIABLE, str(first))
    if when == "in two":
        opened.put("muon.rates", rates(muon, 0))
        monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("PION_BASE", str(second))
    held = states(tmp_path)
    with pytest.raises(UsageError, match=r"name another one for the day files of \w+, or unset"):
        create_archive(opened.root.path).put("muon.rates", rates(muon, 300))
    assert states(tmp_path) == held


# ---- A base directory that is not there


@pytest.fixture(params=["a bare mount point", "no directory"])
def unmounted(request, opened, muon, base, monkeypatch):
    """Let an archive with two day files lose its base, and give a function that brings it back."""
    monkeypatch.setenv("DAYFILE_WATCH__SETTLE", "0")
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0, 86400))
    away = base.with_name("away")
    base.rename(away)
    if request.param == "a bare mount point":
        base.mkdir()

    def mounted():
        if base.exists():
            base.rmdir()  # nothing may be in it
        away.rename(base)

    return mounted


@pytest.mark.parametrize("variable", ["with", "without"])
def test_a_base_that_is_not_mounted_stops_a_run_before_anything_is_done(
    opened, muon, base, monkeypatch, unmounted, variable
):
    if variable == "without":
        monkeypatch.delenv(VARIABLE)
    (opened.root.incoming / "MuonRates.be.bin").write_bytes(muon.stream("rates", rates(muon, 300)))
    held = states(opened.root.path)
    link = opened.root.path / "muon"
    for work in (lambda: run(opened), lambda: reindex(opened.root, opened.plugins)):
        with pytest.raises(StorageError) as refused:
            work()
        told = str(refused.value)
        assert f"the day files of muon are in {base}, but {base / '.archive'} is missing" in told
        assert "mount it and run again" in told
        assert f"remove {link} and name their new directory" in told
    assert states(opened.root.path) == held
    assert {problem.message.split(";")[0] for problem in find_defects(opened.root, deep=False)} == {
        "it is in the catalogue but not on disk"
    }
    unmounted()
    assert run(opened).sources["archived"] == 1
    assert found(opened, muon) == [0, 300, 86400]


def test_a_base_that_is_lost_during_a_watch_gets_no_day_file(opened, muon, base, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0))
    with pytest.raises(StorageError, match="mount it and run again"), opened.putting() as put:
        put("muon.rates", rates(muon, 300))
        base.rename(base.with_name("away"))
        base.mkdir()
    assert list(base.iterdir()) == []


def test_what_a_message_says_mends_a_base_that_was_moved_or_lost(opened, muon, base, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0))
    moved = base.with_name("moved")
    base.rename(moved)
    (opened.root.path / "muon").unlink()
    monkeypatch.setenv(VARIABLE, str(moved))
    assert opened.put("muon.rates", rates(muon, 300)).tolist() == [0]
    assert found(opened, muon) == [0, 300]
    shutil.rmtree(moved)
    moved.mkdir()
    (moved / ".archive").touch()
    assert opened.put("muon.rates", rates(muon, 600)).tolist() == [0]
    assert found(opened, muon) == [600]


def test_rows_of_a_day_file_that_cannot_be_seen_stay_in_the_catalogue(opened, muon):
    """A run that failed had announced it."""
    opened.put("muon.rates", rates(muon, 0))
    rows = opened.catalogue.rows()
    (opened.root.path / "muon").rename(opened.root.path.parent / "away")
    opened.catalogue.announce({f"muon/{RATES}": muon.day})
    for _ in range(2):
        (problem,) = find_defects(opened.root, deep=False)
        assert "it is in the catalogue but not on disk" in problem.message
        run(opened)
        assert (opened.catalogue.rows(), opened.catalogue.list_announced()) == (rows, {})


# ---- Runs that are cut off, and disks that fail


def test_a_run_that_was_killed_is_taken_up_again(opened, muon, base, monkeypatch):
    site = sys.path[0]  # where the plugin is installed
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0))
    options = ["archive-run", "--archive", opened.root.path, "--plugins", "muon", "--set", "watch.settle=0"]
    sent = [0]
    faults = ["copy:1:kill", "copy:2:kill", "rename:2:kill", "rename:3:kill"]
    if base.parents[1].stat().st_dev != opened.root.path.stat().st_dev:
        faults += ["copy:3:kill", "copy:4:kill"]  # to the other file system
    for fault in faults:
        sent.append(sent[-1] + 300)
        (opened.root.incoming / "MuonRates.be.bin").write_bytes(muon.stream("rates", rates(muon, sent[-1], 86400)))
        done = run_python("-m", "dayfile.testing.faulty", fault, *options, paths=[site])
        assert done.returncode == -signal.SIGKILL, (fault, done.stderr)
        report = run(opened)
        assert (report.recovered, report.exit_code) == (True, 0)
        assert found(opened, muon) == [*sent, 86400]
        assert find_defects(opened.root) == []
        assert list(opened.root.accepted.iterdir()) == []
    assert below(base) == [RATES, "1997/11/muon.1997.11.01.rat.h5"]


@pytest.mark.parametrize("kind", ["copy", "write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_the_day_files_as_they_were(opened, muon, base, monkeypatch, kind):
    monkeypatch.setenv(VARIABLE, str(base))
    opened.put("muon.rates", rates(muon, 0))
    before = (base / RATES).read_bytes()
    number = 1
    while True:
        fault = Fault(kind, number, "fail")
        with inject(fault), contextlib.suppress(StorageError):
            opened.put("muon.rates", rates(muon, 0, 300))
        if not fault.happened:
            break
        assert find_defects(opened.root) == []
        number += 1
    assert number > 1
    assert before != (base / RATES).read_bytes()
    assert found(opened, muon) == [0, 300]
