"""Places in an archive and in a day file that they keep for themselves."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["DIRECTORIES", "LEDGER", "OVERLAP", "may_be_day_file"]


DIRECTORIES = frozenset({"incoming", "accepted", "quarantine", "workshop", "sources"})
"""What stands below an archive's root beside its day files."""
OVERLAP = "_overlap"
"""What the path of the overlap table has behind that of the table beside it."""
LEDGER = "dayfile_ledger"
"""The group in a day file that tells where its records came from."""


def may_be_day_file(path: str) -> bool:
    """Whether a path below an archive's root can be that of a day file: not hidden, and none of the archive's own.

    Examples
    --------
    >>> [may_be_day_file(path) for path in ("muon/2024.h5", "muon/2024.nc", "/muon/1.h5", "../1.h5", "incoming/1.h5")]
    [True, False, False, False, False]
    """
    if not path.endswith(".h5") or path.startswith("/") or "\0" in path:
        return False
    first, *below = PurePosixPath(path).parts
    return first not in DIRECTORIES and not any(part.startswith(".") for part in (first, *below))
