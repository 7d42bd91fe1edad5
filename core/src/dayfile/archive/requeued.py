"""Why what was requeued had been in quarantine: it may come back for a reason that says less."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from dayfile.archive import disk
from dayfile.archive.directories import scan
from dayfile.archive.entry import Entry, digest_id
from dayfile.archive.root import Root

__all__ = ["Requeued"]

SECONDS_KEPT = 30 * 86400
MOST = 10
"""Reasons that are kept for one source."""
PARTS = ("time", "plugin", "error", "message")


class Requeued:
    """Reasons of entries that were requeued, each in a file until the same source is quarantined again, or for a month.

    An upload that was refused is requeued as a bare file, of which the next run only says that no plugin recognises
    it. The methods are called with the lock of the quarantine held.

    Parameters
    ----------
    root : Root
        The archive.
    """

    def __init__(self, root: Root) -> None:
        self.path = root.path / ".requeued"

    def remember(self, entry: Entry) -> None:
        """Store the reason of an entry that leaves quarantine, and the ones before it.

        A disk that takes no more hinders no requeue: the reason is lost then, and nothing else.
        """
        reasons = [*earlier_reasons(entry.reason), {part: entry.reason.get(part, "") for part in PARTS}]
        with suppress(OSError):
            self.path.mkdir(disk.PRIVATE_DIRECTORY, exist_ok=True)
            with disk.opened(self._file(source_id(entry)), "wb", private=True) as file:
                file.write(json.dumps(reasons[-MOST:]).encode())

    def recall(self, short: str, message: object) -> list[dict[str, Any]]:
        """Return the earlier reasons of a source, the oldest first, but for those with the message that it has now."""
        try:
            reasons = json.loads(self._file(short).read_bytes())
        except (OSError, ValueError):
            return []
        return [reason for reason in earlier_reasons({"earlier": reasons}) if reason["message"] != message]

    def forget(self, short: str) -> None:
        """Remove the reasons of a source, which is in quarantine again."""
        with suppress(OSError):  # it is removed in a month
            self._file(short).unlink(missing_ok=True)

    def forget_old(self) -> None:
        """Remove what is older than a month: its source was archived, or somebody took it away."""
        with suppress(OSError):
            for file in scan(self.path):
                if file.stat(follow_symlinks=False).st_mtime < time.time() - SECONDS_KEPT:
                    Path(file.path).unlink()

    def _file(self, short: str) -> Path:
        return self.path / f"{short}.json"


def earlier_reasons(reason: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a reason lists as earlier ones; whatever else is there is left out."""
    listed = reason.get("earlier")
    return [each for each in listed if isinstance(each, dict) and "message" in each] if isinstance(listed, list) else []


def source_id(entry: Entry) -> str:
    """Return the id that an entry gets if its content is quarantined again under the name that it has here."""
    sha256 = entry.reason.get("sha256")
    if entry.content is not None and isinstance(sha256, str):
        with suppress(ValueError):
            return digest_id(entry.content.name, bytes.fromhex(sha256))
    return entry.name.rpartition("-")[2]
