"""Compressed sources are read, and standard input is a source: bounded, and with the identity of the bytes received."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import find_defects, make_settings, read_ledger, rebuild_day
from dayfile import Blocks, Instrument, Source, SourceError, open_archive
from dayfile.formats.compressed import unfold
from dayfile.formats.parcels import write_records

HITS = "MuonHit.be.bin"
DAY_FILE = "muon/1997/10/muon.1997.10.31.hit.h5"


@pytest.fixture
def hits(muon):
    """A stream of n hits, one a second."""
    return lambda number: muon.stream(
        "hits", muon.records("hits", [{"second": muon.start + second} for second in range(number)])
    )


def of(content, name="a.bin.gz"):
    return Source(Path(name), name, content)


# ---- Compressed sources


def test_a_compressed_source_is_archived_and_known_by_the_bytes_received(archive, hits):
    packed = gzip.compress(hits(3))
    archive.drop(f"{HITS}.gz", packed)
    report = archive.run(sources__keep="always")
    assert archive.counts(report) == {"written": 3}
    (entry,) = read_ledger(archive.root.path / DAY_FILE)
    assert (entry.name, entry.size, entry.sha256) == (f"{HITS}.gz", len(packed), hashlib.sha256(packed).hexdigest())
    assert [path.read_bytes() for path in archive.root.sources.rglob("*.gz")] == [packed]
    archive.drop(f"{HITS}.gz", packed)
    assert archive.run().sources["already"] == 1
    archive.drop(HITS, hits(3))  # other bytes of the same records
    assert archive.counts(archive.run()) == {"identical": 3}
    assert find_defects(archive.root) == []


def test_a_day_file_is_rebuilt_from_compressed_sources(archive, hits, plugins_of, muon):
    archive.drop(f"{HITS}.gz", gzip.compress(hits(3)))
    archive.run(sources__keep="always")
    (archive.root.path / DAY_FILE).unlink()
    plugins = plugins_of(muon=muon.instrument)
    assert rebuild_day(archive.root, plugins, make_settings(plugins), DAY_FILE).exit_code == 0
    assert archive.seconds() == [0, 1, 2]


def test_every_engine_reads_them(archive, hits):
    for number in range(4):
        archive.drop(f"{number}/{HITS}.GZ", gzip.compress(hits(number + 1)))
    report = archive.run(workers=2)
    assert (report.sources["archived"], archive.seconds()) == (4, [0, 1, 2, 3])


@pytest.mark.parametrize("cut", [2, 9, 12, 30, -9, -8, -1])
def test_a_truncated_one_goes_to_quarantine_with_one_message(archive, hits, cut):
    archive.drop(f"{HITS}.gz", gzip.compress(hits(3))[:cut])
    (entry,) = archive.run().quarantine
    message = "this gzip file is truncated or damaged; give it again, or take it from a copy"
    assert entry.reason == f"{HITS}.gz: {message}"
    assert archive.root.list_day_files() == []


def test_what_it_unfolds_to_is_bounded_by_the_largest_source(archive, hits):
    content = hits(100)
    archive.drop(f"{HITS}.gz", gzip.compress(content))
    (entry,) = archive.run(sources__largest=len(content) - 1).quarantine
    assert f"unfolds to more than {len(content) - 1:,} bytes, the largest source that is read" in entry.reason
    archive.drop(f"{HITS}.gz", gzip.compress(content))
    assert archive.run(sources__largest=len(content)).sources["archived"] == 1


def test_a_bomb_takes_no_more_memory_than_a_block():
    """4 GB of zeros in 4 MB would not fit; only their number is counted."""
    script = (
        "import resource, zlib\nfrom pathlib import Path\n"
        "from dayfile import Source, SourceError\nfrom dayfile.formats.compressed import unfold\n"
        "packer = zlib.compressobj(9, wbits=31)\nblock = bytes(2**20)\n"
        "packed = b''.join(packer.compress(block) for _ in range(1024)) + packer.flush()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = unfold(Source(Path('a.gz'), 'a.gz', packed), 2**30)\nassert found.size == 2**30\n"
        "assert sum(len(block) for _, block in found.blocks()) == 2**30\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150  # MB


def test_one_that_unfolds_to_much_is_decoded_in_blocks(archive, hits, plugins_of, muon):
    """Twice: to check all of it, and to write it."""
    seen = []

    class Counting(Instrument):
        def decode(self, source):
            found = super().decode(source)
            return Blocks(lambda: (seen.append(source.size), found.read())[1])

    content = hits(20_000)
    archive.drop(f"{HITS}.gz", gzip.compress(content))
    plugins = plugins_of(muon=Counting(muon.layout, "muon.yaml"))
    report = archive.run(tuning={"block_bytes": len(content) - 1}, plugins=plugins)
    assert archive.counts(report) == {"written": 20_000}
    assert seen == [len(content)] * 2


def test_other_names_are_not_unpacked(archive, hits):
    archive.drop(HITS, gzip.compress(hits(3)))
    (entry,) = archive.run().quarantine
    assert "is not a whole number of" in entry.reason


def test_one_that_nobody_recognises_is_not_told_to_be_unpacked(archive):
    archive.drop("notes.txt.gz", gzip.compress(b"hello"))
    (entry,) = archive.run(run__unrecognised="quarantine").quarantine
    assert entry.reason.endswith("run with the plugin it belongs to")


@given(
    members=st.lists(st.binary(max_size=300_000) | st.integers(0, 3_000_000).map(bytes), min_size=1, max_size=4),
    start=st.integers(0, 400_000),
    step=st.integers(1, 5000),
    padding=st.integers(0, 3),
)
@settings(max_examples=40)
def test_any_members_unfold_to_their_content(members, start, step, padding):
    content = b"".join(members)
    packed = b"".join(gzip.compress(member, 1) + bytes(512 * padding) for member in members)
    found = unfold(of(packed), len(content))
    assert (found.name, found.content, found.size) == ("a.bin", content, len(content))
    found.__dict__.pop("content")  # as of one that is too large to be in memory
    assert found.content == content
    assert found.part(start, step) == content[start : start + step]
    blocks = list(found.blocks(start, step))
    assert b"".join(bytes(block) for _, block in blocks) == content[start:]
    assert blocks[0][0] == start


@given(content=st.binary(max_size=500), data=st.data())
def test_any_damage_is_one_clear_error_or_changes_nothing(content, data):
    packed = gzip.compress(content, mtime=0)
    place = data.draw(st.integers(2, len(packed) - 1))
    damaged = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    try:
        found = unfold(of(damaged), 1000)
    except SourceError as error:
        assert "truncated or damaged" in error.message
    else:
        assert found.content == content  # a flag, or the time of the file, has no checksum


# ---- Standard input


@pytest.fixture
def piped(command, monkeypatch, installed, muon):
    """``piped(content, *words)`` is ``archive-run`` with content at its standard input."""
    installed(muon=muon.layout)

    def run(content, *words):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return command("archive-run", *words, "--plugins", "muon")

    return run


def test_standard_input_is_archived_under_its_name(piped, hits):
    done = piped(hits(3), "-", "--name", HITS)
    assert done.code == 0, done.err
    assert len(open_archive("archive").read("muon.hits")) == 3
    assert list(Path("archive/accepted").iterdir()) == []
    assert piped(gzip.compress(hits(4)), "-", "--name", f"{HITS}.gz").code == 0
    assert len(open_archive("archive").read("muon.hits")) == 4


def test_standard_input_and_files_are_archived_in_their_order(piped, hits):
    Path(HITS).write_bytes(hits(1))
    assert "2 archived" in piped(hits(2), HITS, "-", "--name", HITS).out
    assert len(open_archive("archive").read("muon.hits")) == 2


def test_standard_input_without_a_name_is_archived_if_its_content_says_what_it_is(piped, muon, hits):
    _, content = write_records(muon.hits, muon.records("hits", [{"second": muon.start}]))
    assert piped(content, "-").code == 0
    done = piped(hits(1), "-")
    assert (done.code, "left in place: standard-input" in done.err) == (3, True)
    assert [path.read_bytes() for path in Path("archive/incoming").iterdir()] == [hits(1)]


def test_too_much_input_is_refused_and_nothing_of_it_archived(piped, hits):
    done = piped(hits(100), "-", "--name", HITS, "--set", "sources.largest=100")
    assert (done.code, f"{HITS}: more than 100 bytes" in done.err) == (3, True)
    assert list(Path("archive").rglob("*.h5")) == list(Path("archive/workshop").rglob("*.bin")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-", "-"], "can be read only once"),
        (["--name", "x"], "--name is the name of the source that - reads"),
        (["-", "--name", "a/b"], "'a/b' cannot be the name of a source"),
        (["-", "--engine", "processes"], "- is read in one process"),
        (["-", "--watch"], "--watch takes what arrives"),
    ],
)
def test_what_standard_input_cannot_be_is_said(piped, words, message):
    done = piped(b"", *words)
    assert (done.code, message in done.err) == (2, True), done.err
    assert not Path("archive").exists()


def test_standard_input_that_is_closed_is_said(monkeypatch, command):
    monkeypatch.setattr("sys.stdin", None)
    done = command("archive-run", "-")
    assert (done.code, "- is standard input, which is closed" in done.err) == (2, True)


def test_a_pipe_of_a_shell_is_read_to_its_end(tmp_path, hits, muon, installed):
    site = installed(muon=muon.layout)
    (tmp_path / HITS).write_bytes(hits(5))
    program = Path(sys.executable).with_name("archive-run")
    line = f"(head -c 20 {HITS}; sleep 0.2; tail -c +21 {HITS}) | {program} - --name {HITS} --plugins muon"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds = open_archive(tmp_path / "archive").read("muon.hits")["second"]
    assert np.diff(seconds).tolist() == [1] * 4
