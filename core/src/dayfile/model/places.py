"""Reserved paths in an archive and in a day file."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["DIRECTORIES", "LEDGER", "OVERLAP_SUFFIX", "may_be_day_file"]


DIRECTORIES = frozenset({"incoming", "accepted", "quarantine", "workshop", "sources"})
"""Directories below an archive's root that are not its day files'."""
OVERLAP_SUFFIX = "_overlap"
"""Suffix of the path of an overlap table, behind the path of its table."""
LEDGER = "dayfile_ledger"
"""The group in a day file that lists the sources of its records."""


def may_be_day_file(path: str) -> bool:
    """Return whether a path below an archive's root can be that of a day file: not hidden, not reserved.

    Examples
    --------
    >>> [may_be_day_file(path) for path in ("muon/2024.h5", "muon/2024.nc", "/muon/1.h5", "../1.h5", "incoming/1.h5")]
    [True, False, False, False, False]
    """
    if not path.endswith(".h5") or path.startswith("/") or "\0" in path:
        return False
    first, *below = PurePosixPath(path).parts
    return first not in DIRECTORIES and not any(part.startswith(".") for part in (first, *below))
