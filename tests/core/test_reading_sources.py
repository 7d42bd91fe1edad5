"""Reading a source: whole, or block by block; one that changes meanwhile is read again or held."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dayfile.engine.intake import Arrival
from dayfile.engine.reading import LargeSource, Read, Unread, read_source
from dayfile.errors import HeldError


@pytest.fixture
def cut(monkeypatch):
    """Let a file shrink right after it was opened and looked at, so many times."""
    plain = os.fstat

    def start(path, times):
        left = list(range(times))

        def looked_at(descriptor):
            status = plain(descriptor)
            if left and status.st_ino == path.stat().st_ino and left.pop() >= 0:
                os.truncate(path, status.st_size // 2)
            return status

        monkeypatch.setattr(os, "fstat", looked_at)

    return start


def test_a_source_that_shrinks_while_it_is_read_is_read_again(cut, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"ab" * 2**20)
    cut(path, 1)
    read = read_source(Arrival(path, ours=False), 2**30)
    assert isinstance(read, Read)
    assert read.source.content == b"ab" * 2**19


def test_a_source_that_goes_on_shrinking_is_held(cut, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"ab" * 2**20)
    cut(path, 10)
    assert read_source(Arrival(path, ours=False), 2**30) == Unread("changes while it is read")


def test_what_has_no_size_is_read_to_the_bound(tmp_path):
    for size, good in ((1000, True), (1001, False)):
        reader, writer = os.pipe()
        os.write(writer, b"a" * size)
        os.close(writer)
        read = read_source(Arrival(Path(f"/dev/fd/{reader}"), ours=False), 1000)
        os.close(reader)
        assert isinstance(read, Read) is good


def test_each_look_into_a_large_source_makes_sure_that_it_is_what_it_was(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(bytes(range(250)))
    source = read_source(Arrival(path, ours=False), 1000, 100).source
    assert isinstance(source, LargeSource)
    assert (source.size, source.sha256) == (250, hashlib.sha256(bytes(range(250))).hexdigest())
    assert [(offset, len(block)) for offset, block in source.blocks(10, 30)] == [(10, 90), (100, 90), (190, 60)]
    assert b"".join(bytes(block) for _, block in source.blocks()) == source.content == path.read_bytes()
    assert source.part(248, 10) == bytes([248, 249])
    path.write_bytes(bytes(250))
    with pytest.raises(HeldError, match="changes while it is read"):
        source.part(0, 1)
    assert source.trouble.changing
