"""An entry of the quarantine: a directory with the bytes of a source or of its records, and the reason."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from dayfile.archive.directories import scan

__all__ = [
    "NEW_REASON",
    "REASON",
    "VALUES_FILE",
    "Entry",
    "find_named",
    "list_contents",
    "make_id",
    "make_safe_name",
    "parse_id",
    "read_entry",
    "shorten_ids",
]

REASON, NEW_REASON, VALUES_FILE = "reason.json", ".reason.json", "values.jsonl"
VARYING = re.compile(r"'[^']*'|\d(?:[\d.,:T-]*\d)?")
"""What differs in messages of one cause: names in quotes, numbers and times."""
SHORTEST_ID = 4
"""Digits of an id that people see, at least."""


@dataclass(frozen=True)
class Entry:
    """One entry of the quarantine.

    Parameters
    ----------
    path : Path
        Its directory.
    reason : dict
        The content of ``reason.json``: ``time``, ``source`` (original name), ``source_sha256`` (of a file that was too
        large to be read None), ``plugin``, ``version``, ``error`` (class), ``message``; of single records also
        ``code``, ``records`` (their indexes in the source) and ``offset`` (byte offset of the first, where records have
        one).
    content : Path or None
        The bytes; None if they were requeued and a crash left the rest of the entry.
    closed : OSError or None
        The error if the entry cannot be read; also in ``message`` of ``reason``.
    """

    path: Path
    reason: dict[str, Any]
    content: Path | None
    closed: OSError | None = None

    @property
    def name(self) -> str:
        """Return the name of the directory, ``<date>-<short id>``."""
        return self.path.name

    @property
    def message(self) -> str:
        """Return what is wrong, without the name of the source, and what was wrong before it was requeued."""
        before = self.reason.get("earlier") or ()
        reasons = [self.reason, *reversed([each for each in before if isinstance(each, dict)])]
        source = re.escape(str(self.reason.get("source", "")))
        messages = [re.sub(rf"(^|; ){source}[:,] ", r"\1", str(each.get("message"))) for each in reasons]
        return "; before it was requeued: ".join(messages)

    @property
    def cause(self) -> tuple[str, ...]:
        """Return what entries of one cause have in common: plugin, class of the error, kind, message without numbers.

        Examples
        --------
        >>> Entry(Path("e"), {"plugin": "muon", "message": "3 bytes are missing at its end"}, None).cause
        ('muon', '', '', '… bytes are missing at its end')
        """
        parts = (self.reason.get(part) or "" for part in ("plugin", "error", "kind"))
        return (*map(str, parts), VARYING.sub("…", self.message))

    @property
    def records(self) -> int:
        """Return the number of records it is about; 0 for a whole source."""
        count, records = self.reason.get("count"), self.reason.get("records")
        return count if isinstance(count, int) else len(records) if isinstance(records, list) else 0

    @property
    def size(self) -> int:
        """Return the size of its files in bytes; 0 if that cannot be seen."""
        try:
            return sum(each.lstat().st_size for each in list_contents(self.path))
        except OSError:
            return 0

    @property
    def made(self) -> float | None:
        """Return when it was made, in seconds since 1970; None if its reason does not say."""
        try:
            return dt.datetime.fromisoformat(str(self.reason.get("time"))).timestamp()
        except (ValueError, OverflowError):
            return None

    @property
    def age(self) -> float | None:
        """Return the seconds since it was made; None if its reason does not say."""
        return None if self.made is None else time.time() - self.made

    def is_since(self, first: float) -> bool:
        """Return whether it was made at a time or later, in seconds since 1970; also if that is unknown."""
        return self.made is None or self.made >= first


def read_entry(path: Path) -> Entry:
    """Read the entry in a directory; where that fails, its message says so."""
    try:
        contents = list_contents(path)
        if contents:
            contents[0].lstat()  # where the directory can be listed and not entered
    except OSError as error:
        return Entry(path, {"message": f"{path.name} cannot be read ({error.strerror or error})"}, None, error)
    content = contents[0] if contents else None
    try:
        reason = json.loads((path / REASON).read_bytes())
    except (OSError, ValueError) as error:
        reason = {"message": f"{REASON} cannot be read: {error}"}
    if not isinstance(reason, dict):
        reason = {"message": f"{REASON} holds no mapping"}
    return Entry(path, reason, content)


def list_contents(entry: Path) -> list[Path]:
    """List the files of an entry except its reason: one, or none if it was requeued. OSError if it cannot be listed.

    A half-written reason of a killed process is not listed.
    """
    return [Path(each.path) for each in scan(entry) if each.name not in {REASON, NEW_REASON}]


def make_id(name: str, digest: bytes) -> str:
    """Make the short id of an entry whose content has this SHA-256."""
    return hashlib.sha256(digest + name.encode(errors="surrogateescape")).hexdigest()[:12]


def make_safe_name(name: str) -> str:
    """Return the last part of a file name, not hidden, or ``source`` where that cannot be used."""
    last = Path(name).name.replace("\0", "").lstrip(".")
    return "source" if last in {"", "..", REASON} or len(last.encode(errors="replace")) > 250 else last


def parse_id(name: str) -> str:
    """Return the short id of an entry: its name without the day in front.

    Examples
    --------
    >>> parse_id("2026-11-29-719cb3e265e6")
    '719cb3e265e6'
    """
    return "-".join(name.split("-")[3:])


def find_named(word: str, names: Collection[str]) -> list[str]:
    """Find the names of entries that a word may mean: a name or an id, or else what ids or names begin with.

    Examples
    --------
    >>> names = ["2026-11-29-719cb3e265e6", "2026-11-29-20261199aaaa"]
    >>> find_named("719c", names), find_named("2026", names)
    (['2026-11-29-719cb3e265e6'], ['2026-11-29-20261199aaaa'])
    >>> len(find_named("2026-11-29", names)), find_named("", names)
    (2, [])
    """
    if not word:
        return []
    return (
        [name for name in names if word in {name, parse_id(name)}]
        or [name for name in names if parse_id(name).startswith(word)]
        or [name for name in names if name.startswith(word)]
    )


def shorten_ids(names: Collection[str]) -> dict[str, str]:
    """Shorten the names of entries to what still means one of them: the first digits of an id, four at least.

    Examples
    --------
    >>> shorten_ids(["2026-11-29-719cb3e265e6", "2026-11-29-719cd0000000"])
    {'2026-11-29-719cb3e265e6': '719cb', '2026-11-29-719cd0000000': '719cd'}
    """
    ids = {name: parse_id(name) for name in names}
    needed = dict.fromkeys(ids.values(), SHORTEST_ID)
    for one, other in pairwise(sorted(ids.values())):
        alike = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
        needed[one], needed[other] = max(needed[one], alike + 1), max(needed[other], alike + 1)
    return {name: short[: needed[short]] if needed[short] <= len(short) else name for name, short in ids.items()}
