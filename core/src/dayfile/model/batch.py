"""What flows from decode to write: sources, batches of records, and records that were rejected."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["NO_BLOBS", "SOURCE_STEP", "Batch", "Blobs", "Blocks", "Origin", "Rejected", "Remark", "Source"]

SOURCE_STEP = 2**40
"""When a batch mixes sources, a record is numbered source_index * SOURCE_STEP + its index in the source."""


class Origin(Protocol):
    """What is known of a source wherever its records are: everything except its bytes."""

    @property
    def name(self) -> str:
        """Return the name it arrived under."""

    @property
    def size(self) -> int:
        """Return the length in bytes."""

    @property
    def sha256(self) -> str:
        """Return its identity: the SHA-256 of its bytes, in hex."""

    @property
    def arrived(self) -> float:
        """Return when it was accepted, seconds since 1970; 0 if that is not known."""


@dataclass(frozen=True)
class Source:
    """One file as it was received.

    Parameters
    ----------
    path : Path
        The file that has its bytes now.
    name : str
        The name it arrived under.
    content : bytes
        Its bytes.
    arrived : float
        When it was accepted, seconds since 1970; now, if not given. Stored with the source.

    Examples
    --------
    >>> source = Source(Path("upload_17"), "upload_17", b"abc")
    >>> source.sha256[:8], source.size
    ('ba7816bf', 3)
    """

    path: Path
    name: str
    content: bytes = field(repr=False)
    arrived: float = field(default_factory=time.time, compare=False)

    @classmethod
    def read(cls, path: Path, name: str | None = None) -> Source:
        """Read a whole file; OSError if that fails."""
        return cls(path, name or path.name, path.read_bytes())

    @cached_property
    def sha256(self) -> str:
        """Return the identity of the source: the SHA-256 of its bytes, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return len(self.content)

    def part(self, start: int, size: int) -> bytes:
        """Return ``size`` bytes from ``start`` on, fewer at the end; for sources that may be large."""
        return self.content[start : start + size]

    def blocks(self, start: int = 0, step: int = 1) -> Iterator[tuple[int, memoryview]]:  # noqa: ARG002 - of a source on disk
        """Yield its bytes in blocks, at least one, each with the offset of its first byte.

        A source in memory is one block; a large one, left on disk, has more.

        Parameters
        ----------
        start : int
            Offset of the first byte.
        step : int
            The length of each block except the last is a multiple of this number of bytes.

        Examples
        --------
        >>> [(offset, bytes(block)) for offset, block in Source(Path("x"), "x", b"abcd").blocks(start=1)]
        [(1, b'bcd')]
        """
        yield start, memoryview(self.content)[start:]  # one block, whatever the step


@dataclass(frozen=True)
class Blobs:
    """Variable-length values of a batch, in the order in which they were sent.

    Parameters
    ----------
    values : sequence of bytes
        The values. A record's blob fields hold indexes into it, -1 for none.
    owners : array of int64, shape (len(values),)
        Index of the record that each value came with; ascending. A value that no field refers to (sent twice) has one
        too.
    """

    values: Sequence[bytes] = ()
    owners: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


NO_BLOBS = Blobs()


@dataclass(frozen=True)
class Batch:
    """Records of one code: from one source, as plugins decode them, or from several that were merged.

    Parameters
    ----------
    instrument : str
        The instrument whose plugin decoded them.
    code : str
        The instrument's own name for this kind of record.
    records : structured array, shape (n,)
        In the dtype of the data type.
    numbers : array of int64, shape (n,)
        Index of each record in its source, from 0; ascending. Where records of several sources were merged,
        :data:`SOURCE_STEP` times the index of the source is added.
    keys : mapping of str to str or int
        What fills the templates of the data type's node, such as the station; one value for the whole batch. Exactly
        the keys that the node has (:attr:`dayfile.model.datatype.Node.keys`): a further one would be lost.
    blobs : Blobs
        Variable-length values.
    gave_way : bool
        Whether the records lost their slots to others earlier. :class:`dayfile.stores.slots.Slots` says what happens
        to them.
    """

    instrument: str
    code: str
    records: npt.NDArray[Any]
    numbers: npt.NDArray[np.int64]
    keys: Mapping[str, str | int] = field(default_factory=dict)
    blobs: Blobs = NO_BLOBS
    gave_way: bool = False

    def __len__(self) -> int:
        return len(self.records)

    def select(self, chosen: npt.NDArray[np.bool_], blob_fields: Sequence[str] = ()) -> Batch:
        """Return the records at which ``chosen`` (bool, shape (n,)) is true, with their blobs.

        Parameters
        ----------
        chosen : array of bool, shape (n,)
            Which records to keep.
        blob_fields : sequence of str
            Names of the fields that hold indexes into ``blobs``; they are renumbered.
        """
        if chosen.all():
            return self
        records = self.records[chosen]
        if not len(self.blobs.values):
            return replace(self, records=records, numbers=self.numbers[chosen])
        kept = chosen[self.blobs.owners]
        new_index = np.cumsum(kept) - 1
        for name in blob_fields:
            cells = records[name]
            records[name] = np.where(cells < 0, cells, new_index[cells])
        owners = (np.cumsum(chosen) - 1)[self.blobs.owners[kept]]
        values = [value for value, keep in zip(self.blobs.values, kept, strict=True) if keep]
        return replace(self, records=records, numbers=self.numbers[chosen], blobs=Blobs(values, owners))


@dataclass(frozen=True)
class Rejected:
    """Records of a source that cannot be archived, in a form that can be submitted again.

    Parameters
    ----------
    instrument, code : str
        As for a batch; the code may be one that no data type has.
    reason : str
        What is wrong, for people.
    error : str
        Class of the error.
    numbers : tuple of int
        Indexes of the records in their source, from 0.
    name : str
        File name by which ``content`` would be recognised as a source.
    content : bytes
        The records as a source of their own.
    offset : int, optional
        Byte offset of the first of them in the source, where records have one.
    """

    instrument: str
    code: str
    reason: str
    error: str
    numbers: tuple[int, ...]
    name: str
    content: bytes = field(repr=False)
    offset: int | None = None


@dataclass(frozen=True)
class Remark:
    """Something about records of a source that people should know, though they are archived.

    Parameters
    ----------
    instrument, code : str
        As for a batch.
    text : str
        What is remarkable.
    numbers : tuple of int
        Indexes of the records in their source, from 0.
    keys : mapping of str to str or int
        As of a batch; remarks with the same text and keys are kept together.
    values : tuple of str
        What could not be archived of the records, a line of text for each; stored in quarantine.
    """

    instrument: str
    code: str
    text: str
    numbers: tuple[int, ...]
    keys: Mapping[str, str | int] = field(default_factory=dict)
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blocks:
    """What decode returns for a source that can be large: its items, one block after the other.

    It can be iterated over several times, and reads the source each time: once to check that all of it can be archived,
    once to write it. So no more than one block is in memory.

    Parameters
    ----------
    read : callable
        Returns an iterator over the items; the same ones each time.
    alone : bool
        Whether the source has nothing for another plugin: two that say so of one source are reported.
    """

    read: Callable[[], Iterator[Batch | Rejected | Remark]]
    alone: bool = False

    def __iter__(self) -> Iterator[Batch | Rejected | Remark]:
        return self.read()
