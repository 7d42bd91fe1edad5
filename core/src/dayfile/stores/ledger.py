"""The ledger: the list, inside each day file, of the sources whose records it holds, and of its checksums."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import tables

from dayfile.hdf5.attributes import get_attribute, set_attributes
from dayfile.hdf5.files import make_image
from dayfile.hdf5.groups import read_group_attribute
from dayfile.hdf5.links import link_exists
from dayfile.hdf5.rows import open_table
from dayfile.model.places import LEDGER

if TYPE_CHECKING:
    from dayfile.hdf5.readonly import OpenFile

__all__ = ["NO_SOURCES", "Chain", "Ledger", "LedgerEntry", "make_empty_day_file", "read_declared_day"]

NAME_SIZE = 160
SOURCES = np.dtype(
    [("sha256", "S64"), ("name", f"S{NAME_SIZE}"), ("size", "<i8"), ("records", "<i8"), ("archived", "<i8")]
)
CHECKSUMS = np.dtype([("node", "S512"), ("rows", "<i8"), ("checksum", "<u8")])


@dataclass(frozen=True)
class LedgerEntry:
    """One source of a day file.

    Parameters
    ----------
    sha256 : str
        Identity of the source.
    name : str
        Name it arrived under.
    size : int
        Its length in bytes.
    records : int
        Number of its records that belong to this day file, identical ones included.
    archived : int
        When they were written, seconds since 1970.
    """

    sha256: str
    name: str
    size: int
    records: int
    archived: int


@dataclass(frozen=True)
class Chain:
    """The sources of a day file in their order: a file with a longer chain that begins with this one extends it.

    Parameters
    ----------
    position : int
        Number of sources in the ledger.
    sha256 : str
        SHA-256 over their digests, in hex, one after another in the order of the ledger.
    """

    position: int = 0
    sha256: str = hashlib.sha256().hexdigest()


NO_SOURCES = Chain()


class Ledger:
    """Where the records of a day file came from, and the checksums of its nodes.

    Stored in the group ``/dayfile_ledger``, whose attribute ``day`` is the day: table ``sources`` and table
    ``checksums`` (rows and checksum of each node).

    Parameters
    ----------
    day : str
        ISO date of the day that the file holds; empty if unknown.

    Attributes
    ----------
    sources : dict of str to LedgerEntry
        By SHA-256.
    checksums : dict of str to (int, int)
        Rows and checksum of each node, by path.
    """

    def __init__(self, day: str = "") -> None:
        self.day = day
        self.sources: dict[str, LedgerEntry] = {}
        self.checksums: dict[str, tuple[int, int]] = {}
        self.fresh: list[LedgerEntry] = []

    @classmethod
    def read(cls, file: tables.File) -> Ledger:
        """Read the ledger of an open day file; an empty one if the file does not have it."""
        ledger = cls()
        if not link_exists(file, LEDGER):
            return ledger
        ledger.day = str(get_attribute(file.get_node(f"/{LEDGER}"), "day"))
        for row in read_whole(file, "sources"):
            entry = LedgerEntry(row[0].decode(), row[1].decode(errors="replace"), int(row[2]), int(row[3]), int(row[4]))
            ledger.sources[entry.sha256] = entry
        for row in read_whole(file, "checksums"):
            ledger.checksums[row[0].decode()] = int(row[1]), int(row[2])
        return ledger

    @property
    def chain(self) -> Chain:
        """Return the number of its sources, and the digest of all of them."""
        return Chain(len(self.sources), hashlib.sha256("".join(self.sources).encode()).hexdigest())

    def add(self, entry: LedgerEntry) -> None:
        """Enter a source."""
        self.sources[entry.sha256] = entry
        self.fresh.append(entry)

    def write(self, file: tables.File) -> None:
        """Update the ledger of a day file, which is open for writing, to this one."""
        if not link_exists(file, LEDGER):
            group = file.create_group("/", LEDGER, "dayfile: where the records of this file came from")
            set_attributes(group, {"day": self.day})
            file.create_table(group, "sources", SOURCES, "sources by SHA-256", chunkshape=32).close()
            title = "rows and checksum of each node"
            file.create_table(group, "checksums", CHECKSUMS, title, chunkshape=16).close()
        elif get_attribute(file.get_node(f"/{LEDGER}"), "day") != self.day:
            set_attributes(file.get_node(f"/{LEDGER}"), {"day": self.day})
        entries = [
            (entry.sha256, shorten_name(entry.name).encode(), entry.size, entry.records, entry.archived)
            for entry in self.fresh
        ]
        if entries:
            with closing(open_table(file, f"/{LEDGER}/sources")) as sources:
                sources.append(np.array(entries, SOURCES))
            self.fresh = []
        sums = np.array([(path.encode(), *rows_and_sum) for path, rows_and_sum in self.checksums.items()], CHECKSUMS)
        table = file.get_node(f"/{LEDGER}/checksums")
        if table.nrows > len(sums):  # somebody removed nodes, and adopted the file
            table.truncate(len(sums))
        table.close()
        with closing(open_table(file, f"/{LEDGER}/checksums")) as checksums:
            stored = checksums.nrows  # nodes keep their place, new ones come last
            checksums.modify(0, sums[:stored])
            checksums.append(sums[stored:])


def read_declared_day(file: OpenFile) -> str | None:
    """Read of which day an open day file is, ISO; None if it has no ledger."""
    day = read_group_attribute(file, LEDGER, "day")
    return day if isinstance(day, str) else None


def read_whole(file: tables.File, name: str) -> list[Any]:
    """Read all rows of a table of the ledger, as tuples."""
    with closing(open_table(file, f"/{LEDGER}/{name}")) as table:
        return list(table.read(0, table.nrows).tolist())


def shorten_name(name: str) -> str:
    """Shorten the name of a source to the size of the ledger's column."""
    return name.encode(errors="replace")[:NAME_SIZE].decode(errors="ignore")


@cache
def make_empty_day_file() -> bytes:
    """Make the bytes of a day file with only an empty ledger: copying them is faster than making it again."""
    return make_image(Ledger().write)
