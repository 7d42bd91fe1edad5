"""Sources that no plugin of a run recognises: left in place where another plugin may know them, else quarantined."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.engine.packed import advice_for
from dayfile.errors import SourceError
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings

__all__ = ["Left", "explain_unrecognised", "leaves_unrecognised"]

Seen = tuple[int, int, int]
"""Size, time of modification and inode of a file."""


def leaves_unrecognised(plugins: Plugins, settings: Settings, *, incoming: bool) -> bool:
    """Whether sources that nobody recognises stay where they are.

    They do if a plugin of the run is missing, as it did not load. Otherwise those of ``incoming/`` do as the setting
    ``run.unrecognised`` says; without it, and of given files, all do if fewer plugins were asked than are installed.
    """
    said = settings.core.run_unrecognised if incoming else None
    return bool(plugins.missing) or said == "leave" or (said is None and bool(plugins.others))


def explain_unrecognised(plugins: Plugins, content: bytes) -> Failure:
    """Why a source that nobody recognises goes to quarantine."""
    asked = ", ".join(plugins.names) or "none"
    advice = advice_for(content) or "run with the plugin it belongs to"
    message = f"no plugin of this run recognises it (asked: {asked}); {advice}"
    return Failure("dayfile", message, SourceError.__name__)


class Left:
    """Files in ``incoming/`` that were left there, so that they are not read again until they or the plugins change.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins
        Those of this run: others may recognise what these do not.
    """

    def __init__(self, root: Root, plugins: Plugins) -> None:
        self.root = root
        self.path = root.path / ".left.json"
        # A plugin that could not be loaded is asked as soon as it can.
        self.asked = sorted(f"{name} {plugins.versions.get(name, '')}" for name in plugins.names)
        self.files = self._read()

    def _read(self) -> dict[str, Seen]:
        """What an earlier run left when it asked the same plugins."""
        try:
            known = json.loads(self.path.read_bytes())
            if known["asked"] == self.asked:
                return {name: (int(a), int(b), int(c)) for name, (a, b, c) in known["files"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # then they are read once more
        return {}

    def add(self, path: Path) -> None:
        """Remember a file that was left."""
        with suppress(FileNotFoundError):  # whoever put it there took it back
            self.files[self._name(path)] = get_state(path.lstat())

    def holds(self, path: Path, status: os.stat_result) -> bool:
        """Whether a file is one that was left and has not changed since."""
        return self.files.get(self._name(path)) == get_state(status)

    def save(self) -> None:
        """Keep for the next run what is still there."""
        there = {name: state for name, state in self.files.items() if os.path.lexists(self.root.incoming / name)}
        content = json.dumps({"asked": self.asked, "files": there}).encode(errors="backslashreplace")
        if there or self.path.exists():
            with disk.storage_errors("write", self.path):
                disk.step("write", self.path)
                self.path.write_bytes(content)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root.incoming).as_posix()


def get_state(status: os.stat_result) -> Seen:
    """What tells whether a file has changed."""
    return status.st_size, status.st_mtime_ns, status.st_ino
