"""Compressed files and archives of files: they are not unpacked, and that is said where one is a source."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["advice_for", "advice_for_names"]

PACKERS = {
    "gzip": (b"\x1f\x8b", (".gz", ".tgz")),
    "bzip2": (b"BZh", (".bz2", ".tbz2")),
    "xz": (b"\xfd7zXZ\0", (".xz", ".txz")),
    "zstd": (b"\x28\xb5\x2f\xfd", (".zst",)),
    "zip": (b"PK\3\4", (".zip",)),
}
"""How content of each begins, and how names end."""
ADVICE = "which is not unpacked here; unpack it and give what is in it"


def advice_for(content: bytes) -> str:
    """Return what to do about a source that is compressed; empty if it is not.

    Examples
    --------
    >>> advice_for(bytes.fromhex("1f8b08"))
    'it is compressed (gzip), which is not unpacked here; unpack it and give what is in it'
    """
    packer = next((name for name, (start, _) in PACKERS.items() if content.startswith(start)), "")
    return f"it is compressed ({packer}), {ADVICE}" if packer else ""


def advice_for_names(names: Iterable[str]) -> str:
    """Return what to do about sources some of which have names of compressed files; empty if none has."""
    endings = tuple(ending for _, all_endings in PACKERS.values() for ending in all_endings)
    name = next((name for name in names if name.lower().endswith(endings)), "")
    return f"{name} is compressed, {ADVICE}" if name else ""
