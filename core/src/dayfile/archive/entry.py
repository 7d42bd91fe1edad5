"""What an entry of the quarantine is: a directory with the bytes of a source or of its records, and the reason."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dayfile.archive.directories import scan

__all__ = [
    "NEW_REASON",
    "REASON",
    "VALUES",
    "Entry",
    "contents_of",
    "digest_id",
    "id_of",
    "read_entry",
    "safe_name",
]

REASON, NEW_REASON, VALUES = "reason.json", ".reason.json", "values.jsonl"


@dataclass(frozen=True)
class Entry:
    """One thing that is in quarantine.

    Parameters
    ----------
    path : Path
        Its directory.
    reason : dict
        The content of ``reason.json``: ``time``, ``source`` (original name), ``source_sha256`` (of a file that was too
        large to be read None), ``plugin``, ``version``, ``error`` (class), ``message``; of single records also
        ``code``, ``records`` (their places in the source) and ``offset`` (byte offset of the first, where records have
        one).
    content : Path or None
        The bytes; None if they were requeued and a crash kept the rest of the entry.
    closed : OSError or None
        Why the entry cannot be read, if it cannot; ``message`` in ``reason`` says so.
    """

    path: Path
    reason: dict[str, Any]
    content: Path | None
    closed: OSError | None = None

    @property
    def name(self) -> str:
        """Name of the directory, ``<date>-<short id>``."""
        return self.path.name

    @property
    def message(self) -> str:
        """What is wrong, without the name of the source, and what was wrong before it was requeued."""
        before = self.reason.get("earlier") or ()
        reasons = [self.reason, *reversed([each for each in before if isinstance(each, dict)])]
        source = re.escape(str(self.reason.get("source", "")))
        messages = [re.sub(rf"(^|; ){source}[:,] ", r"\1", str(each.get("message"))) for each in reasons]
        return "; before it was requeued: ".join(messages)

    @property
    def records(self) -> int:
        """How many records it is about; 0 if a whole source."""
        count, records = self.reason.get("count"), self.reason.get("records")
        return count if isinstance(count, int) else len(records) if isinstance(records, list) else 0

    @property
    def size(self) -> int:
        """Bytes of what it keeps; 0 if that cannot be seen."""
        try:
            return sum(each.lstat().st_size for each in contents_of(self.path))
        except OSError:
            return 0

    @property
    def age(self) -> float | None:
        """Seconds since it was made; None if its reason does not say."""
        try:
            return time.time() - dt.datetime.fromisoformat(str(self.reason.get("time"))).timestamp()
        except (ValueError, OverflowError):
            return None


def read_entry(path: Path) -> Entry:
    """Read the entry in a directory; where that fails, its message says so."""
    try:
        contents = contents_of(path)
        if contents:
            contents[0].lstat()  # where the directory can be listed and not entered
    except OSError as error:
        return Entry(path, {"message": f"cannot be read ({error.strerror or error})"}, None, error)
    content = contents[0] if contents else None
    try:
        reason = json.loads((path / REASON).read_bytes())
    except (OSError, ValueError) as error:
        reason = {"message": f"{REASON} cannot be read: {error}"}
    if not isinstance(reason, dict):
        reason = {"message": f"{REASON} holds no mapping"}
    return Entry(path, reason, content)


def contents_of(entry: Path) -> list[Path]:
    """Return what an entry holds but its reason: one file, none if it went already. OSError if it cannot be listed.

    A reason that a killed process left half written beside it is none of the content.
    """
    return [Path(each.path) for each in scan(entry) if each.name not in {REASON, NEW_REASON}]


def digest_id(name: str, digest: bytes) -> str:
    """Return the short id of content with this SHA-256, which differs from that of other entries."""
    return hashlib.sha256(digest + name.encode(errors="surrogateescape")).hexdigest()[:12]


def safe_name(name: str) -> str:
    """The last part of a file name, not hidden, or ``source`` where that cannot name a file of its own."""
    last = Path(name).name.replace("\0", "").lstrip(".")
    return "source" if last in {"", "..", REASON} or len(last.encode(errors="replace")) > 250 else last


def id_of(name: str) -> str:
    """The short id of an entry: its name without the day in front.

    Examples
    --------
    >>> id_of("2026-11-29-719cb3e265e6")
    '719cb3e265e6'
    """
    return "-".join(name.split("-")[3:])
