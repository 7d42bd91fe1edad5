"""Notes on disk of the sources that a run is taking, so that the next run knows where this one ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.directories import list_directory
from dayfile.archive.root import Root

__all__ = ["Attempts"]


class Attempts:
    """Notes of the groups of sources that a run is taking, one file for each group, beside ``accepted/``.

    A note is removed when its group has been processed, with or without success. So a note that is found when a run
    starts is of a group during which the process ended. Notes are for the next process on the same machine, and are not
    synced.

    Parameters
    ----------
    root : Root
        The archive, locked.
    """

    def __init__(self, root: Root) -> None:
        self.directory = root.attempts

    def begin(self, number: int, paths: Iterable[Path]) -> None:
        """Note that a group of sources is being taken."""
        path = self.directory / f"{number}.json"
        disk.make_directory(self.directory, private=True)
        with disk.storage_errors("write", path):
            disk.step("write", path)
            path.write_bytes(
                json.dumps([os.fsdecode(each.absolute()) for each in paths]).encode(errors="surrogateescape")
            )

    def end(self, number: int) -> None:
        """Remove the note of a group."""
        disk.unlink(self.directory / f"{number}.json")

    def list_left_over(self) -> list[Path]:
        """List the sources of groups during which a process ended, in their order; some may have been removed since."""
        found: list[Path] = []
        for entry in sorted(list_directory(self.directory) or (), key=lambda entry: (len(entry.name), entry.name)):
            found += read_note(Path(entry.path))
        return list(dict.fromkeys(found))

    def clear(self) -> None:
        """Remove all notes."""
        for entry in list_directory(self.directory) or ():
            disk.unlink(Path(entry.path))


def read_note(path: Path) -> list[Path]:
    """Read the paths in a note; none if a process was killed while it wrote the note."""
    try:
        names = json.loads(path.read_bytes().decode(errors="surrogateescape"))
        return [Path(name) for name in names]
    except (OSError, ValueError, TypeError):
        return []
