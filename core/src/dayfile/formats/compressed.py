"""Compressed sources: ``MuonHit.be.bin.gz`` becomes ``MuonHit.be.bin``. Its identity is that of the bytes received."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property

from dayfile.errors import SourceError
from dayfile.messages import plural
from dayfile.model.batch import Source

__all__ = ["Unfolded", "unfold"]

ENDING = ".gz"
GZIP = b"\x1f\x8b"
GZIP_WINDOW = 31
"""What makes zlib read gzip members with their checksums."""
PIECE_BYTES = 2**16
"""Compressed bytes that are unfolded at once: what is behind a member is copied, and a file may have many."""
PART_BYTES = 2**20
"""Most bytes that come of them at once."""
WHOLE_BYTES = 16 * 2**20
"""Unfolded bytes up to which a source is in memory as a whole."""


class Unfolded(Source):
    """The content of a compressed source that is unfolded again each time it is read.

    Parameters
    ----------
    packed : Source
        The source as it was received.
    size : int
        Bytes that it unfolds to.
    """

    def __init__(self, packed: Source, size: int) -> None:
        parts = {"path": packed.path, "name": packed.name[: -len(ENDING)], "arrived": packed.arrived}
        self.__dict__.update(parts, packed=packed, length=size, sha256=packed.sha256)

    packed: Source
    length: int

    @property
    def size(self) -> int:
        """Length in bytes, unfolded."""
        return self.length

    @cached_property
    def content(self) -> bytes:
        """All its bytes, unfolded."""
        return b"".join(unfold_parts(self.packed))

    def part(self, start: int, size: int) -> bytes:
        """Return ``size`` bytes from ``start`` on, fewer at the end; all before them are unfolded for it."""
        found = bytearray()
        offset = 0
        for part in unfold_parts(self.packed):
            found += part[max(0, start - offset) : max(0, start + size - offset)]
            offset += len(part)
            if offset >= start + size:
                break
        return bytes(found)

    def blocks(self, start: int = 0, step: int = 1) -> Iterator[tuple[int, memoryview]]:
        """Yield its bytes in blocks; see :meth:`dayfile.model.batch.Source.blocks`."""
        size = max(step, WHOLE_BYTES // step * step)
        offset, skipped, waiting = start, start, bytearray()
        for part in unfold_parts(self.packed):
            waiting += part[skipped:]
            skipped = max(0, skipped - len(part))
            while len(waiting) > size:
                yield offset, memoryview(bytes(waiting[:size]))
                offset += size
                del waiting[:size]
        yield offset, memoryview(bytes(waiting))


def unfold(source: Source, largest: int) -> Source:
    """Unfold a gzip file; return any other source as it is.

    Parameters
    ----------
    source : Source
        The source as it was received.
    largest : int
        Bytes that it may unfold to.

    Raises
    ------
    SourceError
        It is truncated or damaged, or unfolds to more.

    Examples
    --------
    >>> import gzip
    >>> from pathlib import Path
    >>> found = unfold(Source(Path("a.txt.gz"), "a.txt.gz", gzip.compress(b"muons")), 100)
    >>> found.name, found.content
    ('a.txt', b'muons')
    """
    if not source.name.lower().endswith(ENDING) or source.part(0, len(GZIP)) != GZIP:
        return source
    parts, size = [], 0
    for part in unfold_parts(source):
        size += len(part)
        if size > largest:
            limit = f"{plural(largest, 'byte')}, the largest source that is read; raise sources.largest"
            raise SourceError(f"unfolds to more than {limit}", where=source.name)
        if size <= WHOLE_BYTES:
            parts.append(part)
    unfolded = Unfolded(source, size)
    if size <= WHOLE_BYTES:
        unfolded.__dict__["content"] = b"".join(parts)
    return unfolded


def unfold_parts(source: Source) -> Iterator[bytes]:
    """Unfold the members of a gzip file one after another, in parts; SourceError if it is truncated or damaged."""
    member, began = zlib.decompressobj(GZIP_WINDOW), True
    message = "this gzip file is truncated or damaged; give it again, or take it from a copy"
    damaged = SourceError(message, where=source.name)
    try:
        for waiting in read_pieces(source):
            while waiting:
                if not began:
                    waiting = waiting.lstrip(b"\0")  # noqa: PLW2901 - padding between members, as on tapes
                    began = bool(waiting)
                    continue
                yield member.decompress(waiting, PART_BYTES)
                waiting = member.unconsumed_tail  # noqa: PLW2901 - what is left of it
                if member.eof:
                    waiting = member.unused_data  # noqa: PLW2901
                    member, began = zlib.decompressobj(GZIP_WINDOW), False
    except zlib.error as error:
        raise damaged from error
    if began:
        raise damaged


def read_pieces(source: Source) -> Iterator[bytes]:
    """Read the bytes of a source in small pieces."""
    for _, block in source.blocks():
        for start in range(0, len(block), PIECE_BYTES):
            yield bytes(block[start : start + PIECE_BYTES])
