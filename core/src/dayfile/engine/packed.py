"""Advice on compressed files and file archives: only files named ``*.gz`` are unpacked."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["advise", "advise_by_names"]

PACKERS = {
    "gzip": (b"\x1f\x8b", (".tgz",)),
    "bzip2": (b"BZh", (".bz2", ".tbz2")),
    "xz": (b"\xfd7zXZ\0", (".xz", ".txz")),
    "zstd": (b"\x28\xb5\x2f\xfd", (".zst",)),
    "zip": (b"PK\3\4", (".zip",)),
}
"""The first bytes of each, and the endings of names."""
ADVICE = "and only files named .gz are unpacked; unpack it and give the files in it"


def advise(name: str, content: bytes) -> str:
    """Return what to do about a source, by its first bytes; empty if it is not compressed, or was unpacked.

    Examples
    --------
    >>> advise("a.bz2", b"BZh9")
    'it is compressed (bzip2), and only files named .gz are unpacked; unpack it and give the files in it'
    """
    if name.lower().endswith(".gz"):
        return ""
    packer = next((each for each, (start, _) in PACKERS.items() if content.startswith(start)), "")
    return f"it is compressed ({packer}), {ADVICE}" if packer else ""


def advise_by_names(names: Iterable[str]) -> str:
    """Return what to do about sources if any has the name of a compressed file; empty if none has."""
    endings = tuple(ending for _, all_endings in PACKERS.values() for ending in all_endings)
    name = next((name for name in names if name.lower().endswith(endings)), "")
    return f"{name} is compressed, {ADVICE}" if name else ""
