"""Where input that cannot be archived is kept, whole, with the reason."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.errors import UsageError

__all__ = ["Entry", "Quarantine"]

REASON = "reason.json"


@dataclass(frozen=True)
class Entry:
    """One thing that was set aside.

    Parameters
    ----------
    path : Path
        Its directory.
    reason : dict
        What ``reason.json`` tells: ``time``, ``source`` (original name), ``source_sha256``, ``plugin``, ``version``,
        ``error`` (class), ``message``; of single records also ``code``, ``records`` (their places in the source) and
        ``offset`` (byte offset of the first, where records have one).
    content : Path or None
        The bytes; None if they were requeued and a crash kept the rest of the entry.
    """

    path: Path
    reason: dict[str, Any]
    content: Path | None

    @property
    def name(self) -> str:
        """Name of the directory, ``<date>-<short id>``."""
        return self.path.name


class Quarantine:
    """The directory of an archive with one entry, ``<date>-<short id>/``, for each thing that was set aside.

    Parameters
    ----------
    root : Root
        The archive.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self.path = root.quarantine

    def put(self, name: str, content: bytes, reason: dict[str, Any]) -> Path:
        """Keep bytes with the reason; bytes that are there already are not kept twice.

        Parameters
        ----------
        name : str
            File name under which a run would recognise the bytes as a source again.
        content : bytes
            The source, or the records of it that could not be archived.
        reason : dict
            What went wrong; written as JSON.

        Returns
        -------
        Path
            The entry's directory.
        """
        import filelock

        # A receiver and a run may set the same bytes aside at the same time.
        lock = filelock.FileLock(self.root.path / ".quarantine.lock")
        with disk.storage_errors("lock the quarantine", self.path), lock:
            return self.find(name, content) or self._keep(name, content, reason)

    def _keep(self, name: str, content: bytes, reason: dict[str, Any]) -> Path:
        short = short_id(name, content)
        now = dt.datetime.now(dt.UTC)
        making = self.path / f".{short}"
        if making.exists():
            shutil.rmtree(making)
        disk.make_directory(making)
        disk.write(making / safe_name(name), content)
        told = {"time": now.isoformat(timespec="seconds"), "sha256": hashlib.sha256(content).hexdigest(), **reason}
        disk.write(making / REASON, json.dumps(told, indent=2, ensure_ascii=False).encode(errors="backslashreplace"))
        disk.sync(making)
        entry = self.path / f"{now:%Y-%m-%d}-{short}"
        with disk.storage_errors("remove what a requeue left", entry):
            shutil.rmtree(entry, ignore_errors=not entry.exists())
        disk.rename(making, entry)
        return entry

    def find(self, name: str, content: bytes) -> Path | None:
        """The entry that keeps these bytes under this name, if there is one.

        An entry whose bytes were requeued, and which a crash kept from going, keeps nothing.
        """
        entries = sorted(self.path.glob(f"[!.]*-{short_id(name, content)}"))
        whole = (entry for entry in entries if (entry / safe_name(name)).is_file() and (entry / REASON).is_file())
        return next(whole, None)

    def entries(self) -> Iterator[Entry]:
        """Everything that is set aside, oldest first."""
        for path in sorted(self.path.glob("[!.]*")):
            if path.is_dir():
                yield read_entry(path)

    def entry(self, name: str) -> Entry:
        """One entry, by the name of its directory or the end of it.

        Raises
        ------
        UsageError
            There is none of that name, or more than one.
        """
        found = [
            path for path in sorted(self.path.glob("[!.]*")) if path.name == name or path.name.endswith(f"-{name}")
        ]
        if len(found) != 1:
            message = (
                f"{'more than one entry is' if found else 'no entry is'} called {name!r}; see: dayfile quarantine ls"
            )
            raise UsageError(message, where=self.path)
        return read_entry(found[0])

    def requeue(self, entry: Entry) -> Path | None:
        """Send what was set aside through the archive again: back to ``incoming/``, for the next run.

        Returns
        -------
        Path or None
            Where it lies now; None if a requeue that was cut short had sent it already.
        """
        target = None
        if entry.content is not None:
            target = free_name(self.root.incoming, entry.content.name)
            disk.make_directory(target.parent)
            disk.rename(entry.content, target)
        self._remove(entry)
        return target

    def drop(self, entry: Entry) -> None:
        """Throw away what was set aside, for good."""
        self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        # Out of sight in one step, so that no half of an entry is ever seen.
        gone = self.path / f".gone-{entry.name}"
        shutil.rmtree(gone, ignore_errors=True)
        disk.rename(entry.path, gone)
        with disk.storage_errors("remove", gone):
            disk.step("unlink", gone)
            shutil.rmtree(gone)


def read_entry(path: Path) -> Entry:
    """The entry in a directory; one whose reason cannot be read says so in its message."""
    try:
        reason = json.loads((path / REASON).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = {"message": f"{REASON} cannot be read: {error}"}
    if not isinstance(reason, dict):
        reason = {"message": f"{REASON} holds no mapping"}
    contents = sorted(content for content in path.iterdir() if content.name != REASON)
    return Entry(path, reason, contents[0] if contents else None)


def short_id(name: str, content: bytes) -> str:
    """What tells an entry from others."""
    identity = hashlib.sha256(content).digest() + name.encode(errors="surrogateescape")
    return hashlib.sha256(identity).hexdigest()[:12]


def safe_name(name: str) -> str:
    """The last part of a file name, not hidden, or ``source`` where that cannot name a file of its own."""
    last = Path(name).name.replace("\0", "").lstrip(".")
    return "source" if last in {"", "..", REASON} or len(last.encode(errors="replace")) > 250 else last


def free_name(directory: Path, name: str) -> Path:
    """A path for a file of that name: in the directory, or below a numbered one where the name is taken."""
    target = directory / name
    number = 0
    while target.exists() or target.parent.is_file():
        number += 1
        target = directory / str(number) / name
    return target
