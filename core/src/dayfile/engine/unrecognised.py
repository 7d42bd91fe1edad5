"""Sources that no plugin of a run recognises: left in place if another plugin may know them, else quarantined."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.engine.packed import advise
from dayfile.errors import SourceError
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings

__all__ = ["Left", "explain_unrecognised", "leaves_unrecognised"]

Seen = tuple[int, int, int]
"""Size, time of modification and inode of a file."""


def leaves_unrecognised(plugins: Plugins, settings: Settings, *, incoming: bool) -> bool:
    """Return whether sources that no plugin recognises are left in place.

    They are if a plugin of the run did not load. Otherwise, the setting ``run.unrecognised`` decides for ``incoming/``.
    Without it, and for given files, they are left if some of the installed plugins are not part of the run.
    """
    setting = settings.core.run_unrecognised if incoming else None
    return bool(plugins.missing) or setting == "leave" or (setting is None and bool(plugins.others))


def explain_unrecognised(plugins: Plugins, name: str, content: bytes) -> Failure:
    """Make the failure of a source that no plugin recognises."""
    asked = ", ".join(plugins.names) or "none"
    advice = advise(name, content) or "run with the plugin it belongs to"
    message = f"no plugin of this run recognises it (asked: {asked}); {advice}"
    return Failure("dayfile", message, SourceError.__name__)


class Left:
    """The files that were left in ``incoming/``, which are not read again until they or the plugins change.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins
        The plugins of this run: other plugins may recognise the files.
    """

    def __init__(self, root: Root, plugins: Plugins) -> None:
        self.root = root
        self.path = root.path / ".left.json"
        # A plugin that did not load is not listed, so the files are read again once it loads.
        self.asked = sorted(f"{name} {plugins.versions.get(name, '')}" for name in plugins.names)
        self.files = self._read()

    def _read(self) -> dict[str, Seen]:
        """Read what an earlier run with the same plugins left."""
        try:
            known = json.loads(self.path.read_bytes())
            if known["asked"] == self.asked:
                return {name: (int(a), int(b), int(c)) for name, (a, b, c) in known["files"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # then all files are read again
        return {}

    def add(self, path: Path) -> None:
        """Remember a file that was left."""
        with suppress(FileNotFoundError):  # its writer has taken it back
            self.files[self._name(path)] = get_state(path.lstat())

    def holds(self, path: Path, status: os.stat_result) -> bool:
        """Return whether a file was left and has not changed since."""
        return self.files.get(self._name(path)) == get_state(status)

    def save(self) -> None:
        """Save the files that still exist, for the next run."""
        there = {name: state for name, state in self.files.items() if os.path.lexists(self.root.incoming / name)}
        content = json.dumps({"asked": self.asked, "files": there}).encode(errors="backslashreplace")
        if there or self.path.exists():
            with disk.storage_errors("write", self.path):
                disk.step("write", self.path)
                self.path.write_bytes(content)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root.incoming).as_posix()


def get_state(status: os.stat_result) -> Seen:
    """Return the state of a file, to find out later whether it has changed."""
    return status.st_size, status.st_mtime_ns, status.st_ino
