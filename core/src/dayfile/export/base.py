"""The protocol of an exporter, which writes a day of a data type as a file of another program.

Plugins offer exporters through the hook ``exporters``; ``dayfile export --format NAME`` calls one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

from dayfile.model.datatype import DataType

if TYPE_CHECKING:
    from dayfile.archive.day_tables import DayTables

__all__ = ["ByteOrder", "Day", "Exporter"]

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
