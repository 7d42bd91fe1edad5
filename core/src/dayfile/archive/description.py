"""What an archive says of its data types, and of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dayfile.messages import plural
from dayfile.model.datatype import DataType
from dayfile.model.field import Field

__all__ = ["Description", "Key", "Total"]

Key = dict[str, str | int]
"""Values by the name of their placeholder, in the order of the path."""


@dataclass(frozen=True)
class Total:
    """All records of one key of a data type.

    Parameters
    ----------
    series : int
        Number of type and key in this catalogue.
    key : dict
        The values of the placeholders in the path of the node, by name: ``{"station": 501}``; empty for a type without.
    days, records : int
        Number of days and records.
    first, last : numpy.datetime64
        UTC of the earliest time and latest time or end, datetime64[ns].
    """

    series: int = field(compare=False)
    key: Key
    days: int
    records: int
    first: np.datetime64
    last: np.datetime64


@dataclass(frozen=True)
class Description:
    """A data type and what an archive has of it; its text is a table of the fields.

    Parameters
    ----------
    data_type : DataType
        As its newest day file declares it.
    keys : tuple of dict
        The keys that have records, by name of the placeholder; see :meth:`dayfile.Archive.keys`.
    days, records : int
        Number of days and of records.
    first, last : numpy.datetime64 or None
        UTC of the earliest time and latest time or end, datetime64[ns]; None without records.
    """

    data_type: DataType
    keys: tuple[Key, ...]
    days: int
    records: int
    first: np.datetime64 | None
    last: np.datetime64 | None

    @property
    def name(self) -> str:
        """Return the name of the data type."""
        return self.data_type.name

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the fields, each with its type, shape, unit and meaning, in stored order."""
        return self.data_type.fields

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Return the dtype of its records."""
        return self.data_type.dtype

    @property
    def main_key(self) -> str:
        """Return the name of the key that people ask by; empty if the layout names none."""
        return self.data_type.placement.node.main_key

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _lines(self) -> Iterator[str]:
        """Write the table."""
        yield f"{self.name}: {self.data_type.title}"
        span = f", {self.first.astype('M8[s]')} to {self.last.astype('M8[s]')}" if self.first and self.last else ""
        yield f"{plural(self.records, 'record')} on {plural(self.days, 'day')}{span}"
        for name in dict.fromkeys(name for key in self.keys for name in key):
            values = list(dict.fromkeys(str(key[name]) for key in self.keys if name in key))
            yield f"{name}: {', '.join(values[:10])}{f' and {len(values) - 10} more' if len(values) > 10 else ''}"
        rows = [("field", "type", "unit", "meaning")]
        rows += [(each.name, f"{each.type}{list(each.shape) or ''}", each.units, each.doc) for each in self.fields]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            yield "  ".join((*cells, row[3])).rstrip()
