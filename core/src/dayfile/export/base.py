"""The protocol of an exporter, which writes a day of a data type as a file of another program.

Exporters are offered by plugins through the hook ``exporters``; ``dayfile export --format NAME`` calls one.
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
    """A day of a data type that is to be written.

    Parameters
    ----------
    data_type : DataType
        What was asked for.
    date : numpy.datetime64
        The day.
    tables : DayTables
        What the day file has of it; see :class:`dayfile.archive.day_tables.DayTables`. Its data type is that of the
        layout it was written with.
    byte_order : {'big', 'little'}
        Of formats that have a choice.
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
        What users give with ``--format``.

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
        """Whether it writes days of a data type; all by default."""
        return True

    def export(self, day: Day, directory: Path) -> Iterable[Path]:
        """Write a day. Files appear whole: written under a hidden name, then renamed.

        Parameters
        ----------
        day : Day
            The day.
        directory : Path
            Where to write; it exists.

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
