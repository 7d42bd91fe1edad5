"""Where input that cannot be archived is kept, whole, with the reason."""

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
from dayfile.archive.contents import holds, holds_the_same, parts_of
from dayfile.archive.directories import entries, refuse, status
from dayfile.archive.entry import (
    NEW_REASON,
    REASON,
    VALUES,
    Entry,
    contents_of,
    digest_id,
    id_of,
    read_entry,
    safe_name,
)
from dayfile.archive.locks import locked
from dayfile.archive.requeued import Requeued
from dayfile.archive.root import Root
from dayfile.errors import StorageError, UsageError
from dayfile.messages import plural
from dayfile.model.batch import Source

__all__ = ["Quarantine"]

logger = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""How long somebody else's move is waited for; one takes a few syncs."""
REQUEUED = ".requeue-"
"""Beginning of the name of an entry that is on its way to incoming/."""
DROPPED = re.compile(r"\.gone-.+|\.[0-9a-f]{12}")
"""Names of entries that are being dropped, and of entries that are not whole yet: whoever made them has their bytes."""


class Quarantine:
    """The directory of an archive with one entry, ``<date>-<short id>/``, for each thing that cannot be archived.

    Entries are made and removed under a lock of their own, not that of the archive, so that all of this works beside a
    running watch. An entry leaves in one step, by a rename to a hidden name, before anything is done with its bytes:
    so the same bytes can come again meanwhile, and make a new entry of the same name. What a killed process left under
    a hidden name is put right by whoever takes the lock next.

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
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the quarantine's lock, with what a killed process left behind put right.

        Raises
        ------
        StorageError
            The lock cannot be had, or the quarantine not be read.
        """
        with locked(self.root.path / ".quarantine.lock", seconds):
            self._put_right()
            yield

    def put_right(self, seconds: float = LOCK_SECONDS) -> None:
        """Put right what a killed process left behind: see :meth:`locked`."""
        with self.locked(seconds):
            self.requeued.forget_old()

    def put(self, name: str, content: bytes | Source, reason: dict[str, Any]) -> Path:
        """Keep bytes with the reason; bytes that are there already are not kept twice.

        Parameters
        ----------
        name : str
            File name under which a run would recognise the bytes as a source again.
        content : bytes or Source
            The source, or the records of it that could not be archived.
        reason : dict
            What went wrong; written as JSON.

        Returns
        -------
        Path
            The entry's directory.
        """
        with self.locked():
            source = content if isinstance(content, Source) else Source(Path(name), name, content)
            return self.find(name, source) or self._keep(name, source, reason)

    def move_in(self, path: Path, reason: dict[str, Any]) -> Path:
        """Keep a file that is too large to be read, or copied: by a rename.

        The entry is known by the file's name, size and inode, as its bytes are not looked at. The reason is there
        before the file is: a process that is killed in between leaves an entry without bytes, and the file in place.

        Parameters
        ----------
        path : Path
            The file, on the archive's file system; nobody else may have the name.
        reason : dict
            What is wrong with it; written as JSON.

        Returns
        -------
        Path
            The entry's directory.

        Raises
        ------
        OSError
            The file could not be moved, and is where it was.
        """
        with self.locked():
            found = path.lstat()
            identity = f"{path.name}\0{found.st_size}\0{found.st_ino}".encode(errors="surrogateescape")
            short = hashlib.sha256(identity).hexdigest()[:12]
            making, date = self._make_reason(short, {"sha256": None, "size": found.st_size, **reason})
            before = self.path / f"{date}-{short}"
            if status(before) is not None and not contents_of(before):
                self._remove(before)
            entry = self._name_entry(making, date, short)
            try:
                disk.move(path, entry / safe_name(path.name))
            except OSError:
                self._remove(entry)
                raise
            disk.sync(entry)
            disk.sync(path.parent)
            self.requeued.forget(short)
            return entry

    def _keep(self, name: str, source: Source, reason: dict[str, Any]) -> Path:
        short = digest_id(name, bytes.fromhex(source.sha256))
        making = self.path / f".{short}"
        disk.make_directory(making, private=True)
        disk.write(making / safe_name(name), parts_of(source), private=True)
        _, date = self._make_reason(short, {"sha256": source.sha256, **reason})
        self._remove_remains(self.path / f"{date}-{short}", safe_name(name), source)
        entry = self._name_entry(making, date, short)
        self.requeued.forget(short)
        return entry

    def _make_reason(self, short: str, reason: dict[str, Any]) -> tuple[Path, str]:
        """Write the reason of an entry that is hidden still; its directory, on disk, and its date."""
        making, now = self.path / f".{short}", dt.datetime.now(dt.UTC)
        disk.make_directory(making, private=True)
        earlier = self.requeued.recall(short, reason.get("message"))
        dated = {"time": now.isoformat(timespec="seconds"), **reason} | ({"earlier": earlier} if earlier else {})
        written = json.dumps(dated, indent=2, ensure_ascii=False).encode(errors="backslashreplace")
        disk.write(making / REASON, written, private=True)
        disk.sync(making)
        return making, f"{now:%Y-%m-%d}"

    def note(self, identity: str, reason: dict[str, Any], sources: Mapping[str, Sequence[str]]) -> tuple[Path, int]:
        """Keep lines on records that are archived, with those of the same identity and day.

        Parameters
        ----------
        identity : str
            What remarks of one entry have in common.
        reason : dict
            As for :meth:`put`.
        sources : mapping of str to sequence of str
            Lines by the SHA-256 of the source that they are from: the first names it, a record has each other one.

        Returns
        -------
        (Path, int)
            The entry's directory, and of how many records it did not have the lines yet.
        """
        with self.locked():
            now = dt.datetime.now(dt.UTC)
            short = hashlib.sha256(f"{now:%Y-%m-%d} {identity}".encode()).hexdigest()[:12]
            entry = self.path / f"{now:%Y-%m-%d}-{short}"
            known = read_entry(entry).reason if status(entry) is not None else {}
            with disk.storage_errors("read", entry):
                before = (entry / VALUES).read_text(errors="replace") if known else ""
            fresh = {sha256: lines for sha256, lines in sources.items() if sha256 not in before}
            records = sum(len(lines) - 1 for lines in fresh.values())
            if not records:
                return entry, 0
            told = {"time": now.isoformat(timespec="seconds"), **reason, **known, "kind": "remark"}
            told["count"] = int(known.get("count", 0)) + records
            told["source"] = plural(before.count('"sha256"') + len(fresh), "source")
            content = "".join(f"{line}\n" for lines in fresh.values() for line in lines)
            written = json.dumps(told, indent=2, ensure_ascii=False).encode(errors="backslashreplace")
            if known:
                disk.append(entry / VALUES, content.encode(errors="backslashreplace"))
                disk.unlink(entry / NEW_REASON)  # of a process that was killed here
                disk.write(entry / NEW_REASON, written, private=True)
                disk.rename(entry / NEW_REASON, entry / REASON)
                return entry, records
            making = self.path / f".{short}"
            disk.make_directory(making, private=True)
            disk.write(making / VALUES, content.encode(errors="backslashreplace"), private=True)
            disk.write(making / REASON, written, private=True)
            disk.sync(making)
            return self._name_entry(making, f"{now:%Y-%m-%d}", short), records

    def _remove_remains(self, entry: Path, name: str, source: Source) -> None:
        """Remove an entry that lacks its reason or its bytes, unless it is closed or holds other bytes than these."""
        try:
            if all(each.name == name and holds(each, source) for each in contents_of(entry)):
                shutil.rmtree(entry)
        except OSError as error:
            if disk.concerns_the_disk(error):
                raise StorageError(f"could not be removed: {error.strerror}", where=entry) from error

    def _name_entry(self, making: Path, date: str, short: str) -> Path:
        """Give an entry its name, the next one with a number where it is taken by something else."""
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
        """Return the entry that keeps these bytes under this name, if there is one.

        An entry whose bytes were requeued, or are others by now, keeps nothing. One that cannot be read does not count.
        """
        source = content if isinstance(content, Source) else Source(Path(name), name, content)
        end = f"-{digest_id(name, bytes.fromhex(source.sha256))}"
        for entry in self._listing():
            if entry.name.endswith(end):
                path = Path(entry.path)
                if holds(path / safe_name(name), source) and holds(path / REASON):
                    return path
        return None

    def _listing(self) -> list[os.DirEntry[str]]:
        """List the directories of entries, oldest first; none where the quarantine is absent."""
        listed = entries(self.path) or []
        return [entry for entry in listed if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)]

    def entries(self) -> Iterator[Entry]:
        """Everything that is in quarantine, oldest first.

        Raises
        ------
        StorageError
            The quarantine could not be listed. An entry that cannot be read is no error: see :class:`Entry`.
        """
        for entry in self._listing():
            yield read_entry(Path(entry.path))

    def entry(self, name: str) -> Entry:
        """Return one entry, by its directory, its short id, or any beginning of either that no other entry has.

        Raises
        ------
        UsageError
            There is none of that name, or more than one.
        """
        listing = list(self._listing())
        found = [each for each in listing if name in {each.name, id_of(each.name)}] or [
            each for each in listing if name and (each.name.startswith(name) or id_of(each.name).startswith(name))
        ]
        if len(found) != 1:
            message = (
                f"{'more than one entry is' if found else 'no entry is'} called {name!r}; see: dayfile quarantine ls"
            )
            raise UsageError(message, where=self.path)
        return read_entry(Path(found[0].path))

    def requeue(self, entry: Entry) -> Path | None:
        """Send what is in quarantine through the archive again: back to ``incoming/``, for the next run.

        Returns
        -------
        Path or None
            Where it is now; None if a requeue that was cut short had sent it already.

        Raises
        ------
        UsageError
            Somebody else requeued or dropped it meanwhile.
        StorageError
            It cannot be read, or not be moved, and is in quarantine still.
        """
        if entry.reason.get("kind") == "remark":
            message = "this keeps values of records that are archived; there is nothing to send again"
            raise UsageError(message, where=entry.path)
        with self.locked():
            leaving = self._take_out(entry, REQUEUED)
            try:
                self.requeued.remember(entry)
                moved = self._send_back(leaving)
                self._remove(leaving)
            except StorageError:
                self._put_right()
                raise
        return moved[0] if moved else None

    def _send_back(self, leaving: Path) -> list[Path]:
        """Move all that an entry holds, but its reason, to ``incoming/``; on disk before their new names are."""
        with disk.storage_errors("move to incoming/", leaving):
            contents = contents_of(leaving)
            for content in contents:
                disk.sync(content)
            disk.make_directory(self.root.incoming)
            moved = [disk.move_into(content, self.root.incoming) for content in contents]
        disk.sync_names(self.root.incoming, moved)
        return moved

    def drop(self, entry: Entry) -> None:
        """Throw away what is in quarantine, for good.

        Raises
        ------
        UsageError
            Somebody else requeued or dropped it meanwhile.
        StorageError
            It cannot be read, or not be removed.
        """
        with self.locked():
            self._remove(self._take_out(entry, ".gone-"))

    def _take_out(self, entry: Entry, prefix: str) -> Path:
        """Hide an entry in one step: nobody sees half of it, and its name is free."""
        if status(entry.path) is None:
            raise UsageError("this entry is not there any more; see: dayfile quarantine ls", where=entry.path)
        if (now := read_entry(entry.path)).closed is not None:
            refuse(entry.path, now.closed)
        if not os.access(entry.path, os.W_OK | os.X_OK, effective_ids=True):
            raise StorageError("is closed (Permission denied); nothing was changed", where=entry.path)
        odd = next((each for each in contents_of(entry.path) if not S_ISREG(each.lstat().st_mode)), None)
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

    def _put_right(self) -> None:
        """Restore what was on its way to ``incoming/``, delete what was being dropped or made; nobody else is at it."""
        for left in entries(self.path) or ():
            path = Path(left.path)
            if not left.is_dir(follow_symlinks=False):
                continue
            try:
                if left.name.startswith(REQUEUED):
                    self._restore(path)
                elif DROPPED.fullmatch(left.name):
                    self._remove(path)
            except (OSError, StorageError) as error:
                logger.warning("%s: what a killed process left there cannot be put right (%s)", path, error)

    def _restore(self, hidden: Path) -> None:
        entry = hidden.with_name(hidden.name.removeprefix(REQUEUED))
        contents = contents_of(hidden)
        # All is in incoming/, or the same bytes came again.
        if all(holds(entry / REASON) and holds_the_same(entry / each.name, each) for each in contents):
            self._remove(hidden)
            return
        date, short = entry.name[:10], entry.name.rpartition("-")[2]
        self._name_entry(hidden, date, short)
