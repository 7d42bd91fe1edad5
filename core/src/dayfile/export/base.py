"""The protocols of exporters, which write records as files of other programs.

An :class:`Exporter` writes one day as it is stored, slots and overlap included; a :class:`RangeExporter` writes the
records of any range as one file. Plugins offer both through the hook ``exporters``, and with them what reads their
blobs; ``dayfile export --format NAME`` calls one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dayfile.handover.columns import RecordTable
from dayfile.model.datatype import DataType
from dayfile.model.field import STORED_TYPES

if TYPE_CHECKING:
    from dayfile.archive.day_tables import DayTables

__all__ = [
    "BlobReader",
    "ByteOrder",
    "Day",
    "Export",
    "Exporter",
    "RangeExporter",
    "Selection",
    "TextExporter",
    "list_declared_readers",
]

ByteOrder = Literal["big", "little"]


@dataclass(frozen=True)
class Day:
    """A day of a data type to be written.

    Parameters
    ----------
    data_type : DataType
        The data type that the user named.
    date : numpy.datetime64
        The day.
    tables : DayTables
        Its tables in the day file; see :class:`dayfile.archive.day_tables.DayTables`. They have the data type of the
        layout with which they were written.
    byte_order : {'big', 'little'}
        Byte order, for formats with a choice.
    """

    data_type: DataType
    date: np.datetime64
    tables: DayTables
    byte_order: ByteOrder = "big"


@runtime_checkable
class Exporter(Protocol):
    """Writes days in one format.

    Attributes
    ----------
    name : str
        Name of the format, for ``--format``.

    Examples
    --------
    >>> class Counts(Exporter):
    ...     name = "counts"
    ...     def export(self, day, directory):
    ...         path = directory / "counts.txt"
    ...         path.write_text(f"{len(day.tables.rows)}")
    ...         return [path]
    >>> Counts().serves(None)
    True
    """

    name: str

    def serves(self, data_type: DataType) -> bool:  # noqa: ARG002 - for those that override it
        """Return whether it writes days of a data type; by default of all."""
        return True

    def export(self, day: Day, directory: Path) -> Iterable[Path]:
        """Write a day. Write files under a hidden name, then rename them, so that nobody sees an incomplete file.

        Parameters
        ----------
        day : Day
            The day.
        directory : Path
            Directory for the files; it exists.

        Returns
        -------
        iterable of Path
            The files written, at least one, below the directory.

        Raises
        ------
        UsageError
            This day cannot be exported.
        StorageError
            A file could not be written.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class BlobReader:
    """Reads the blobs of a field as samples.

    Parameters
    ----------
    data_type, field : str
        Name of the data type, and of its field.
    dtype : str
        What a sample is, as NumPy calls it: ``int32``.
    read : callable
        Returns the samples of a blob, shape (n_samples,); raises ValueError for a blob that is damaged.
    unit, doc : str
        Physical unit and meaning of a sample.
    length : int
        Number of samples, if it is the same in every blob; 0 if it is not.
    """

    data_type: str
    field: str
    dtype: str
    read: Callable[[bytes], npt.NDArray[Any]]
    unit: str = ""
    doc: str = ""
    length: int = 0


def list_declared_readers(data_type: DataType) -> list[BlobReader]:
    """List what reads the blobs of fields of which the layout says what a sample is."""
    return [
        BlobReader(data_type.name, field.name, STORED_TYPES[field.sample], field.read_samples, field.unit, field.doc)
        for field in data_type.fields
        if field.sample
    ]


@dataclass(frozen=True)
class Selection:
    """Records to be written to a file, in time order.

    Parameters
    ----------
    data_type : DataType
        What they are, with the fields that were asked for.
    keys : mapping of str to dtype
        Their keys by name: ``int64``, or text that is as long as the longest one.
    read : callable
        Returns the records from the first on, in pieces that are small; all have these fields and keys.
    empty : RecordTable
        The same without a record.
    readers : mapping of str to BlobReader
        What reads the blobs of some fields. The others hold text (``latin-1``) or bytes (``base64``), as the layout
        says.
    damaged : dict of str to int
        How many blobs of each field a reader could not read; exporters count here.
    """

    data_type: DataType
    keys: Mapping[str, np.dtype[Any]]
    read: Callable[[], Iterator[RecordTable]]
    empty: RecordTable
    readers: Mapping[str, BlobReader] = field(default_factory=dict)
    damaged: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Export:
    """What an export wrote.

    Parameters
    ----------
    files : tuple of Path
        The files; none if the export went to a stream.
    records : int or None
        Number of records in them; None for a day as it is stored.
    damaged : mapping of str to int
        How many blobs of each field were damaged, and left out.
    """

    files: tuple[Path, ...]
    records: int | None = None
    damaged: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class RangeExporter(Protocol):
    r"""Writes the records of a range as one file, in one format.

    Attributes
    ----------
    name : str
        Name of the format, for ``--format``.
    suffix : str
        Suffix of its files, such as ``.csv``, by which it is chosen without ``--format``.

    Examples
    --------
    >>> class Times(RangeExporter):
    ...     name, suffix = "times", ".times"
    ...     def write(self, selection, path):
    ...         with path.open("w") as file:
    ...             for records in selection.read():
    ...                 file.writelines(f"{time}\n" for time in records.times)
    >>> Times().serves(None)
    True
    """

    name: str
    suffix: str

    def serves(self, data_type: DataType) -> bool:  # noqa: ARG002 - for those that override it
        """Return whether it writes records of a data type; by default of all."""
        return True

    def write(self, selection: Selection, path: Path) -> None:
        """Write a file. The range may be larger than the memory: read it in pieces.

        Parameters
        ----------
        selection : Selection
            The records.
        path : Path
            A hidden name beside the file, with the suffix of the format; it is renamed when this returns.

        Raises
        ------
        UsageError
            These records cannot be written in this format.
        MissingExtraError
            A library is not installed.
        """
        raise NotImplementedError


@runtime_checkable
class TextExporter(RangeExporter, Protocol):
    """Writes the records of a range as text, so that it can also write to standard output."""

    def write(self, selection: Selection, path: Path) -> None:
        """Write a file in UTF-8."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            for text in self.format(selection):
                stream.write(text)

    def format(self, selection: Selection) -> Iterator[str]:
        """Yield the text in pieces of whole lines.

        Parameters
        ----------
        selection : Selection
            The records.
        """
        raise NotImplementedError
