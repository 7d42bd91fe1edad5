"""A source that is too much for the memory costs itself only: those taken with it are archived, in either engine."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import pytest

from archives import list_entries, put_in_quarantine
from dayfile import hookimpl

STREAM, LATER = "MuonHit.be.bin", "MuonHit.le.bin"
MB = 2**20
LIMIT = 500 * MB
"""Memory that a run may take beyond what its process has already."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures by /proc")


class Hungry:
    """Decodes what a plain plugin decodes, and needs so many megabytes more for names that say so."""

    def __init__(self, plain):
        self.plain = plain

    @hookimpl
    def data_types(self):
        return self.plain.data_types()

    @hookimpl
    def decode(self, source):
        name, _, megabytes = source.name.partition("+")
        source = type(source)(source.path, name, source.content, source.arrived)
        answer = self.plain.decode(source)
        if not megabytes:
            return answer
        room = bytearray(int(megabytes) * MB)
        batches = list(answer)
        for batch in batches:
            object.__setattr__(batch, "room", room)  # as if its records were so large
        return batches


def limit(more):
    """Let this process grow by so many bytes only."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


@pytest.fixture(params=["serial", "processes"])
def run(archive, muon, plugins_of, request):
    """Run the muon telescope in a child process that may grow by LIMIT: the exit code and the report as text."""

    def call(**core):
        loaded = plugins_of(muon=Hungry(muon.instrument))
        workers = None if request.param == "serial" else 2
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                limit(LIMIT)
                report = archive.run(plugins=loaded, workers=workers, **core)
                words = [str(report.sources), *(held.message for held in report.held)]
                words += [entry.message for entry in report.quarantine]
            except BaseException as error:  # noqa: BLE001 - a child must not go on with the tests
                words = [repr(error)]
            os.write(writer, "\n".join(words).encode()[:60_000])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            text = file.read()
        os.waitpid(child, 0)
        return text

    return call


def test_a_source_whose_decoding_takes_too_much_memory_goes_to_quarantine_alone(archive, hits, run):
    archive.drop(STREAM, hits(1), "a")
    archive.drop(f"{STREAM}+2000", hits(2), "b")
    archive.drop(LATER, hits(3, order="little"), "c")
    text = run()
    assert "'archived': 2" in text, text
    assert "the memory is too small for it" in text
    (entry,) = list_entries(archive.root)
    assert (entry.content.read_bytes(), entry.reason["error"]) == (hits(2), "MemoryError")
    assert archive.seconds() == [1, 3]
    assert archive.files(archive.root.accepted) == []


def test_sources_that_are_too_much_together_are_archived_one_by_one(archive, hits, run):
    for second in range(5):
        archive.drop(f"{STREAM}+200", hits(second), str(second))
    text = run()
    assert "'archived': 5" in text, text
    assert archive.seconds() == [0, 1, 2, 3, 4]
    assert list_entries(archive.root) == []


def test_a_source_that_does_not_fit_into_the_memory_is_held_and_archived_when_it_does(archive, hits, run):
    archive.drop(STREAM, hits(1), "a")
    archive.drop(LATER, hits(3, order="little"), "c")
    large = archive.root.incoming / "MuonHit.be.bin"
    with large.open("wb") as file:
        file.truncate(700 * MB - 700 * MB % len(hits(1)))
    text = run()
    assert "the memory is too small for it; left in place" in text, text
    assert "'archived': 2" in text
    assert archive.seconds() == [1, 3]
    assert len(archive.files(archive.root.accepted)) == 1


def test_what_is_put_into_quarantine_is_compared_without_a_copy(archive):
    content = bytes(300 * MB)
    child = os.fork()
    if child == 0:
        limit(50 * MB)
        try:
            first, second = (
                put_in_quarantine(archive.root, "source", content, {"message": "of no use"}) for _ in range(2)
            )
            os._exit(0 if first == second else 1)
        except BaseException:  # noqa: BLE001 - a child must not go on with the tests
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    (entry,) = list_entries(archive.root)
    assert entry.content.stat().st_size == len(content)
