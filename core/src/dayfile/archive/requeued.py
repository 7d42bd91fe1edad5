"""The reasons of requeued entries, which may come back to quarantine for a less informative reason."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from dayfile.archive import disk
from dayfile.archive.directories import scan
from dayfile.archive.entry import Entry, make_id
from dayfile.archive.root import Root

__all__ = ["Requeued"]

SECONDS_KEPT = 30 * 86400
MOST_REASONS = 10
"""Reasons that are stored for one source."""
PARTS = ("time", "plugin", "error", "message")


class Requeued:
    """Reasons of requeued entries, each in a file until the same source is quarantined again, or for a month.

    An upload that was refused is requeued as a bare file, and the next run may only report that no plugin recognises
    it. The lock of the quarantine must be held.

    Parameters
    ----------
    root : Root
        The archive.
    """

    def __init__(self, root: Root) -> None:
        self.path = root.path / ".requeued"

    def remember(self, entry: Entry) -> None:
        """Store the reason of an entry that leaves quarantine, and the ones before it.

        A full disk does not prevent a requeue: only the reason is lost then.
        """
        reasons = [*list_earlier_reasons(entry.reason), {part: entry.reason.get(part, "") for part in PARTS}]
        with suppress(OSError):
            self.path.mkdir(disk.PRIVATE_DIRECTORY, exist_ok=True)
            with disk.open_for_writing(self._file(find_source_id(entry)), "wb", private=True) as file:
                file.write(json.dumps(reasons[-MOST_REASONS:]).encode())

    def recall(self, short: str, message: object) -> list[dict[str, Any]]:
        """Return the earlier reasons of a source, the oldest first, except those with its present message."""
        try:
            reasons = json.loads(self._file(short).read_bytes())
        except (OSError, ValueError):
            return []
        return [reason for reason in list_earlier_reasons({"earlier": reasons}) if reason["message"] != message]

    def forget(self, short: str) -> None:
        """Remove the reasons of a source, which is in quarantine again."""
        with suppress(OSError):  # it is removed in a month
            self._file(short).unlink(missing_ok=True)

    def forget_old(self) -> None:
        """Remove reasons older than a month: the source was archived, or removed."""
        with suppress(OSError):
            for file in scan(self.path):
                if file.stat(follow_symlinks=False).st_mtime < time.time() - SECONDS_KEPT:
                    Path(file.path).unlink()

    def _file(self, short: str) -> Path:
        return self.path / f"{short}.json"


def list_earlier_reasons(reason: dict[str, Any]) -> list[dict[str, Any]]:
    """List the earlier reasons in a reason, without anything malformed."""
    listed = reason.get("earlier")
    return [each for each in listed if isinstance(each, dict) and "message" in each] if isinstance(listed, list) else []


def find_source_id(entry: Entry) -> str:
    """Find the id that an entry would get if its content were quarantined again under its present name."""
    sha256 = entry.reason.get("sha256")
    if entry.content is not None and isinstance(sha256, str):
        with suppress(ValueError):
            return make_id(entry.content.name, bytes.fromhex(sha256))
    return entry.name.rpartition("-")[2]
