"""The newest record and the last arrival of each key: a file to which the engine appends what has changed.

A line is a JSON list: data type, key, time of the newest record, time of the last arrival; both in nanoseconds since
1970, and null where nothing is known. Of several lines of a key the later times count. Once most lines are of no more
use, the file is written again without them. It goes on from run to run.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dayfile.archive.directories import refuse
from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile.state.files import make_state_directory, state_directory

__all__ = ["MOST_KEYS", "Newest", "NewestKeys", "read_keys"]

KEYS_FILE = "keys.jsonl"
MOST_KEYS = 100_000
UNUSED_BYTES = 2**20
LONGEST_LINE = 64
HEADER = re.compile(rb"\[\d+\]\n")
"""The first line of a file that was written as a whole, and its most bytes: the size of the rest."""

logger = logging.getLogger(__name__)

KeyName = tuple[str, str]
"""A data type and a key, as JSON in the order of its placeholders."""


@dataclass
class Newest:
    """The newest of one key of a data type, nanoseconds since 1970; None where it is not known.

    Parameters
    ----------
    record : int or None
        Time of its newest record that is published.
    arrival : int or None
        When a source with records of it last arrived.
    """

    record: int | None = None
    arrival: int | None = None

    @property
    def last_seen(self) -> int:
        """Return the newer of the two, to compare keys."""
        return max(self.record or 0, self.arrival or 0)

    def update(self, record: int | None, arrival: int | None) -> None:
        """Take later times."""
        self.record = find_later(self.record, record)
        self.arrival = find_later(self.arrival, arrival)


class NewestKeys:
    """What has changed since it was last written; only the program that holds the archive's lock has one.

    Parameters
    ----------
    root : Root
        The archive, locked.
    most : int
        Keys that are followed; of more, those that arrived last.
    unused_bytes : int
        Bytes of lines of no use with which the file is not written again.
    """

    def __init__(self, root: Root, most: int = MOST_KEYS, unused_bytes: int = UNUSED_BYTES) -> None:
        self.root = root
        self.most = most
        self.unused_bytes = unused_bytes
        self.path = state_directory(root) / KEYS_FILE
        self.changed: dict[KeyName, Newest] = {}
        self.failed = False

    def is_complete(self) -> bool:
        """Return whether the file has all keys: not if it was removed, or could not be written, and was begun again."""
        try:
            with self.path.open("rb") as file:
                return HEADER.fullmatch(file.readline(LONGEST_LINE)) is not None
        except OSError:
            return False

    def note(self, data_type: str, key: str, record: int | None = None, arrival: int | None = None) -> None:
        """Note the newest record of a key, or when a source with records of it arrived."""
        self.changed.setdefault((data_type, key), Newest()).update(record, arrival)

    def replace(self, records: Iterable[tuple[str, str, int]]) -> None:
        """Follow exactly these keys, each with the time of its newest record; arrivals that are known stay."""
        records = list(records)
        if not records and not self.path.exists():
            return
        before = self._read_known()
        found = {
            (data_type, key): Newest(record, before.get((data_type, key), Newest()).arrival)
            for data_type, key, record in records
        }
        self._store(found)

    def write(self) -> None:
        """Append what has changed. An error is logged once, and nothing else."""
        if not self.changed or not make_state_directory(self.root):
            return
        # A line feed first: a process that was killed may have left half a line.
        lines = "\n" + "".join(format_lines(self.changed))
        try:
            with self.path.open("a+b") as file:
                file.write(lines.encode())
                size = file.tell()
                file.seek(0)
                least = read_least(file.readline(LONGEST_LINE))
        except OSError as error:
            self._report(error)
            return
        self.changed = {}
        if size > 2 * least + self.unused_bytes:
            self._store(self._read_known())

    def _read_known(self) -> dict[KeyName, Newest]:
        try:
            return read_lines(self.path)
        except StorageError:
            return {}

    def _store(self, found: dict[KeyName, Newest]) -> None:
        """Write the file again, with a line for each key."""
        if len(found) > self.most:
            ordered = sorted(found, key=lambda name: found[name].last_seen)
            found = {name: found[name] for name in ordered[len(found) - self.most :]}
        lines = "".join(format_lines(found)).encode()
        making = self.path.with_name(f".{KEYS_FILE}")
        if not make_state_directory(self.root):
            return
        try:
            making.write_bytes(b"[%d]\n" % len(lines) + lines)
            making.replace(self.path)
        except OSError as error:
            self._report(error)

    def _report(self, error: OSError) -> None:
        if not self.failed:
            logger.warning("%s: cannot be written (%s); dayfile status may call keys silent", self.path, error.strerror)
        self.failed = True


def find_later(one: int | None, other: int | None) -> int | None:
    """Return the later of two times, either of which may be unknown."""
    return max((time for time in (one, other) if time is not None), default=None)


def format_lines(found: Mapping[KeyName, Newest]) -> Iterator[str]:
    """Format a line for each key."""
    for name, newest in found.items():
        yield json.dumps([*name, newest.record, newest.arrival], separators=(",", ":")) + "\n"


def read_least(line: bytes) -> int:
    """Read the size of the file when it was last written again; 0 if it never was."""
    try:
        (size,) = json.loads(line)
        return int(size)
    except (ValueError, TypeError):
        return 0


def read_lines(path: Path) -> dict[KeyName, Newest]:
    """Read what the file says of each key; nothing if it does not exist.

    Raises
    ------
    StorageError
        It may not be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        refuse(path, error)
    found: dict[KeyName, Newest] = {}
    for line in lines:
        try:
            data_type, key, record, arrival = json.loads(line)
            found.setdefault((data_type, key), Newest()).update(record, arrival)
        except (ValueError, TypeError):
            pass  # the first line, and half a line of a process that was killed
    return found


def read_keys(root: Root) -> dict[KeyName, Newest]:
    """Read the newest of each key of an archive; StorageError if that may not be read."""
    return read_lines(state_directory(root) / KEYS_FILE)
