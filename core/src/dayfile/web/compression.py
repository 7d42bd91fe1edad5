"""Compression of answers, as the client accepts it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

__all__ = ["choose_encoding", "compress"]

WANTED = re.compile(r"\s*([\w*-]+)\s*(?:;\s*q\s*=\s*(\d(?:\.\d{0,3})?)\s*)?", re.ASCII)
GZIP_LEVEL, ZSTD_LEVEL = 4, 3
GZIP_FORM = 31
"""Of zlib: the longest window, and a header of gzip."""


class Compressor(Protocol):
    """What compresses a body block by block."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """Compress a block; what comes out may be empty, and belong to earlier ones."""
        ...

    def flush(self) -> bytes:
        """Return the end."""
        ...


def make_gzip() -> Compressor:
    """Make what compresses as gzip does."""
    return zlib.compressobj(GZIP_LEVEL, wbits=GZIP_FORM)


def make_zstd() -> Compressor:
    """Make what compresses as zstd does."""
    import zstandard

    compressor: Compressor = zstandard.ZstdCompressor(ZSTD_LEVEL).compressobj()
    return compressor


COMPRESSORS: Mapping[str, Callable[[], Compressor]] = {"zstd": make_zstd, "gzip": make_gzip}
"""By their names in HTTP, the better ones first."""


def choose_encoding(accepted: str) -> str:
    """Choose the encoding of an answer by the header ``Accept-Encoding``; empty for none.

    Examples
    --------
    >>> choose_encoding("gzip, deflate, zstd;q=0.9"), choose_encoding("*"), choose_encoding("gzip;q=0")
    ('gzip', 'zstd', '')
    """
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        match = WANTED.fullmatch(part)
        if match:
            weights[match[1]] = float(match[2] or 1)
    offered = {name: weights.get(name, weights.get("*", 0.0)) for name in COMPRESSORS}
    best = max(offered, key=lambda name: offered[name])
    return best if offered[best] > 0 else ""


def compress(blocks: Iterator[bytes | memoryview], encoding: str) -> Iterator[bytes | memoryview]:
    """Yield a body compressed, block by block; as it is without an encoding."""
    if not encoding:
        yield from blocks
        return
    compressor = COMPRESSORS[encoding]()
    for block in blocks:
        if compressed := compressor.compress(block):
            yield compressed
    yield compressor.flush()
