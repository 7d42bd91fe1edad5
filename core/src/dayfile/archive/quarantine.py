"""The quarantine: input that cannot be archived, complete, with the reason."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Any

from dayfile.archive import disk
from dayfile.archive.contents import holds, holds_the_same, iterate_parts
from dayfile.archive.directories import list_directory, read_status, refuse
from dayfile.archive.entry import (
    NEW_REASON,
    REASON,
    VALUES_FILE,
    Entry,
    find_named,
    list_contents,
    make_id,
    make_safe_name,
    read_entry,
)
from dayfile.archive.locks import hold_lock
from dayfile.archive.requeued import Requeued
from dayfile.archive.root import Root
from dayfile.errors import StorageError, UsageError
from dayfile.messages import list_some, plural
from dayfile.model.batch import Source

__all__ = ["Quarantine"]

logger = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""How long to wait for another process that moves entries; a move takes a few syncs."""
REQUEUED = ".requeue-"
"""Prefix of the name of an entry that is on its way to incoming/."""
DROPPED = re.compile(r"\.gone-.+|\.[0-9a-f]{12}")
"""Names of entries that are being dropped, and of incomplete entries, whose bytes still are in their source."""


def format_reason(reason: Mapping[str, Any]) -> bytes:
    """Format a reason as JSON, indented, with a line feed at its end."""
    return f"{json.dumps(reason, indent=2, ensure_ascii=False)}\n".encode(errors="backslashreplace")


class Quarantine:
    """The directory of an archive with an entry, ``<date>-<short id>/``, for each input that cannot be archived.

    Entries are made and removed under a separate lock, not that of the archive, so that this works beside a running
    watch. An entry leaves in one step, by a rename to a hidden name, before its bytes are moved or removed: so the same
    bytes can come again meanwhile, and make a new entry of the same name. If a process is killed in between, the next
    one that takes the lock repairs what it left under a hidden name.

    Parameters
    ----------
    root : Root
        The archive.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self.path = root.quarantine
        self.requeued = Requeued(root)

    @contextmanager
    def hold_lock(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the quarantine's lock, after repairing what a killed process left behind.

        Raises
        ------
        StorageError
            The lock cannot be taken, or the quarantine cannot be read.
        """
        with hold_lock(self.root.path / ".quarantine.lock", seconds):
            self._repair()
            yield

    def repair(self, seconds: float = LOCK_SECONDS) -> None:
        """Repair what a killed process left behind: see :meth:`hold_lock`."""
        with self.hold_lock(seconds):
            self.requeued.forget_old()

    def put(self, name: str, content: bytes | Source, reason: dict[str, Any]) -> Path:
        """Store bytes with the reason, unless they are in quarantine already.

        Parameters
        ----------
        name : str
            File name under which a run would recognise the bytes as a source again.
        content : bytes or Source
            The source, or the records that could not be archived.
        reason : dict
            What went wrong; written as JSON.

        Returns
        -------
        Path
            The entry's directory.
        """
        with self.hold_lock():
            source = content if isinstance(content, Source) else Source(Path(name), name, content)
            return self.find(name, source) or self._keep(name, source, reason)

    def move_in(self, path: Path, reason: dict[str, Any]) -> Path:
        """Put a file into quarantine that is too large to be read or copied: by a rename.

        The entry is identified by the file's name, size and inode, as its bytes are not read. The reason is written
        first: a process that is killed in between leaves an entry without bytes, and the file in place.

        Parameters
        ----------
        path : Path
            The file, on the archive's file system.
        reason : dict
            What is wrong with it; written as JSON.

        Returns
        -------
        Path
            The entry's directory.

        Raises
        ------
        OSError
            The file could not be moved, and is left in place.
        """
        with self.hold_lock():
            found = path.lstat()
            identity = f"{path.name}\0{found.st_size}\0{found.st_ino}".encode(errors="surrogateescape")
            short = hashlib.sha256(identity).hexdigest()[:12]
            making, date = self._make_reason(short, {"sha256": None, "size": found.st_size, **reason})
            before = self.path / f"{date}-{short}"
            if read_status(before) is not None and not list_contents(before):
                self._remove(before)
            entry = self._name_entry(making, date, short)
            try:
                disk.move(path, entry / make_safe_name(path.name))
            except OSError:
                self._remove(entry)
                raise
            disk.sync(entry)
            disk.sync(path.parent)
            self.requeued.forget(short)
            return entry

    def _keep(self, name: str, source: Source, reason: dict[str, Any]) -> Path:
        short = make_id(name, bytes.fromhex(source.sha256))
        making = self.path / f".{short}"
        disk.make_directory(making, private=True)
        disk.write(making / make_safe_name(name), iterate_parts(source), private=True)
        _, date = self._make_reason(short, {"sha256": source.sha256, **reason})
        self._remove_remains(self.path / f"{date}-{short}", make_safe_name(name), source)
        entry = self._name_entry(making, date, short)
        self.requeued.forget(short)
        return entry

    def _make_reason(self, short: str, reason: dict[str, Any]) -> tuple[Path, str]:
        """Write the reason of a new entry, which is still hidden; return its directory and its date."""
        making, now = self.path / f".{short}", dt.datetime.now(dt.UTC)
        disk.make_directory(making, private=True)
        earlier = self.requeued.recall(short, reason.get("message"))
        dated = {"time": now.isoformat(timespec="seconds"), **reason} | ({"earlier": earlier} if earlier else {})
        written = format_reason(dated)
        disk.write(making / REASON, written, private=True)
        disk.sync(making)
        return making, f"{now:%Y-%m-%d}"

    def note(self, identity: str, reason: dict[str, Any], sources: Mapping[str, Sequence[str]]) -> tuple[Path, int]:
        """Store lines about records that are archived, with earlier lines of the same identity and day.

        Parameters
        ----------
        identity : str
            What the remarks of one entry have in common.
        reason : dict
            As for :meth:`put`.
        sources : mapping of str to sequence of str
            Lines by the SHA-256 of their source: the first line names the source, each other one is about a record.

        Returns
        -------
        (Path, int)
            The entry's directory, and the number of records whose lines are new.
        """
        with self.hold_lock():
            now = dt.datetime.now(dt.UTC)
            short = hashlib.sha256(f"{now:%Y-%m-%d} {identity}".encode()).hexdigest()[:12]
            entry = self.path / f"{now:%Y-%m-%d}-{short}"
            known = read_entry(entry).reason if read_status(entry) is not None else {}
            with disk.storage_errors("read", entry):
                before = (entry / VALUES_FILE).read_text(errors="replace") if known else ""
            fresh = {sha256: lines for sha256, lines in sources.items() if sha256 not in before}
            records = sum(len(lines) - 1 for lines in fresh.values())
            if not records:
                return entry, 0
            merged = {"time": now.isoformat(timespec="seconds"), **reason, **known, "kind": "remark"}
            merged["count"] = int(known.get("count", 0)) + records
            merged["source"] = plural(before.count('"sha256"') + len(fresh), "source")
            content = "".join(f"{line}\n" for lines in fresh.values() for line in lines)
            written = format_reason(merged)
            if known:
                disk.append(entry / VALUES_FILE, content.encode(errors="backslashreplace"))
                disk.unlink(entry / NEW_REASON)  # left by a process that was killed here
                disk.write(entry / NEW_REASON, written, private=True)
                disk.rename(entry / NEW_REASON, entry / REASON)
                return entry, records
            making = self.path / f".{short}"
            disk.make_directory(making, private=True)
            disk.write(making / VALUES_FILE, content.encode(errors="backslashreplace"), private=True)
            disk.write(making / REASON, written, private=True)
            disk.sync(making)
            return self._name_entry(making, f"{now:%Y-%m-%d}", short), records

    def _remove_remains(self, entry: Path, name: str, source: Source) -> None:
        """Remove an entry that lacks its reason or its bytes, unless it cannot be read or holds other bytes."""
        try:
            if all(each.name == name and holds(each, source) for each in list_contents(entry)):
                shutil.rmtree(entry)
        except OSError as error:
            if disk.concerns_the_disk(error):
                raise StorageError(f"could not be removed: {error.strerror}", where=entry) from error

    def _name_entry(self, making: Path, date: str, short: str) -> Path:
        """Give an entry its name, with a number where it is taken."""
        number = 0
        while True:
            entry = self.path / (f"{date}-{number}-{short}" if number else f"{date}-{short}")
            try:
                with disk.storage_errors("rename into place", entry):
                    disk.move(making, entry)
            except StorageError as error:
                if not isinstance(error.__cause__, FileExistsError):
                    raise
                number += 1
            else:
                disk.sync(self.path)
                return entry

    def find(self, name: str, content: bytes | Source) -> Path | None:
        """Find the entry that holds these bytes under this name; None without one.

        An entry whose bytes were requeued or changed, or that cannot be read, does not count.
        """
        source = content if isinstance(content, Source) else Source(Path(name), name, content)
        end = f"-{make_id(name, bytes.fromhex(source.sha256))}"
        for entry in self._list_entries():
            if entry.name.endswith(end):
                path = Path(entry.path)
                if holds(path / make_safe_name(name), source) and holds(path / REASON):
                    return path
        return None

    def _list_entries(self) -> list[os.DirEntry[str]]:
        """List the directories of entries, oldest first; none where the quarantine is absent."""
        listed = list_directory(self.path) or []
        return [entry for entry in listed if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)]

    def entries(self) -> Iterator[Entry]:
        """Read all entries, oldest first.

        Raises
        ------
        StorageError
            The quarantine could not be listed. An entry that cannot be read is not an error: see :class:`Entry`.
        """
        for entry in self._list_entries():
            yield read_entry(Path(entry.path))

    def entry(self, name: str) -> Entry:
        """Read one entry, by its directory, its short id, or a unique prefix of either.

        Raises
        ------
        UsageError
            No entry has that name, or more than one.
        """
        found = find_named(name, [each.name for each in self._list_entries()])
        if len(found) != 1:
            message = f"no entry is called {name!r}; see: dayfile quarantine ls"
            if found:
                message = f"more than one entry is called {name!r}: {list_some(found, 5)}; see: dayfile quarantine ls"
            raise UsageError(message, where=self.path)
        return read_entry(self.path / found[0])

    def requeue(self, entry: Entry) -> Path | None:
        """Submit an entry again: move it back to ``incoming/``, for the next run.

        Returns
        -------
        Path or None
            Its new path; None if an interrupted requeue had moved it already.

        Raises
        ------
        UsageError
            Another process requeued or dropped it meanwhile.
        StorageError
            It cannot be read or moved, and is still in quarantine.
        """
        if entry.reason.get("kind") == "remark":
            message = "this entry holds values of records that are archived; there is nothing to submit again"
            raise UsageError(message, where=entry.path)
        with self.hold_lock():
            leaving = self._take_out(entry, REQUEUED)
            try:
                self.requeued.remember(entry)
                moved = self._send_back(leaving)
                self._remove(leaving)
            except StorageError:
                self._repair()
                raise
        return moved[0] if moved else None

    def _send_back(self, leaving: Path) -> list[Path]:
        """Move the files of an entry, except its reason, to ``incoming/``; on disk before their new names are."""
        with disk.storage_errors("move to incoming/", leaving):
            contents = list_contents(leaving)
            for content in contents:
                disk.sync(content)
            disk.make_directory(self.root.incoming)
            moved = [disk.move_into(content, self.root.incoming) for content in contents]
        disk.sync_names(self.root.incoming, moved)
        return moved

    def drop(self, entry: Entry) -> None:
        """Delete an entry permanently.

        Raises
        ------
        UsageError
            Another process requeued or dropped it meanwhile.
        StorageError
            It cannot be read or removed.
        """
        with self.hold_lock():
            self._remove(self._take_out(entry, ".gone-"))

    def _take_out(self, entry: Entry, prefix: str) -> Path:
        """Hide an entry in one step, so that nobody sees half of it, and its name is free."""
        if read_status(entry.path) is None:
            raise UsageError("this entry no longer exists; see: dayfile quarantine ls", where=entry.path)
        if (now := read_entry(entry.path)).closed is not None:
            refuse(entry.path, now.closed)
        if not os.access(entry.path, os.W_OK | os.X_OK, effective_ids=True):
            raise StorageError("cannot be changed (Permission denied); nothing was changed", where=entry.path)
        odd = next((each for each in list_contents(entry.path) if not S_ISREG(each.lstat().st_mode)), None)
        if odd is not None and prefix == REQUEUED:
            raise StorageError(f"{odd.name} in it is not a regular file; nothing was changed", where=entry.path)
        hidden = self.path / f"{prefix}{entry.name}"
        with disk.storage_errors("take out of quarantine", entry.path):
            disk.move(entry.path, hidden)
        disk.sync(self.path)
        return hidden

    def _remove(self, hidden: Path) -> None:
        with disk.storage_errors("remove", hidden):
            disk.step("unlink", hidden)
            shutil.rmtree(hidden)

    def _repair(self) -> None:
        """Restore entries that were on their way to ``incoming/``, delete those being dropped or made; lock held."""
        for left in list_directory(self.path) or ():
            path = Path(left.path)
            if not left.is_dir(follow_symlinks=False):
                continue
            try:
                if left.name.startswith(REQUEUED):
                    self._restore(path)
                elif DROPPED.fullmatch(left.name):
                    self._remove(path)
            except (OSError, StorageError) as error:
                logger.warning("%s: cannot repair what a killed process left there (%s)", path, error)

    def _restore(self, hidden: Path) -> None:
        entry = hidden.with_name(hidden.name.removeprefix(REQUEUED))
        contents = list_contents(hidden)
        # Everything is in incoming/, or the same bytes came again.
        if all(holds(entry / REASON) and holds_the_same(entry / each.name, each) for each in contents):
            self._remove(hidden)
            return
        date, short = entry.name[:10], entry.name.rpartition("-")[2]
        self._name_entry(hidden, date, short)
