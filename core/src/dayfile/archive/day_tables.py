"""Read one day of one data type as stored, with empty slots and conflicts, and the overlap table by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue import Catalogue
from dayfile.archive.opening import open_day_file
from dayfile.archive.root import Root
from dayfile.errors import StorageError, UsageError
from dayfile.messages import suggest
from dayfile.model.datatype import DataType
from dayfile.model.places import OVERLAP_SUFFIX

__all__ = ["DayTables", "read_day"]

NEAREST = 4
"""Days to name where a day has no records."""


@dataclass(frozen=True)
class DayTables:
    """The tables of a day.

    Parameters
    ----------
    data_type : DataType
        As the table declares it, which may be an older layout than the plugin's.
    rows : structured array, shape (n,)
        In the dtype of the data type. In the store ``slots`` all slots of the day: an empty one has all bytes 0x00, one
        in conflict all bytes 0xFF.
    overlap : structured array, shape (m,)
        Records that contended for a slot, in the order in which they came.
    """

    data_type: DataType
    rows: npt.NDArray[Any]
    overlap: npt.NDArray[Any]


def read_day(root: Root, name: str, day: np.datetime64) -> DayTables:
    """Read the tables of a data type's day.

    Parameters
    ----------
    root : Root
        The archive.
    name : str
        Name of the data type, ``muon.hits``.
    day : numpy.datetime64
        The day.

    Raises
    ------
    UsageError
        The archive has no such type, or no records of it on that day; or the type has several tables, by keys such as a
        station, or blobs beside its table.
    StorageError
        The day file cannot be read.

    Examples
    --------
    >>> tables = read_day(Root(Path("archive")), "muon.hits", np.datetime64("2024-05-01"))  # doctest: +SKIP
    >>> len(tables.rows)  # doctest: +SKIP
    338
    """
    from dayfile.archive.survey import open_leaves
    from dayfile.hdf5.vlen import VlenArray
    from dayfile.stores.declarations import read_data_type

    path = root.path / find_day_file(root, name, day)
    found: DataType | None = None
    content: dict[str, npt.NDArray[Any]] = {}
    with open_day_file(path) as file:
        for table in open_leaves(file):
            data_type = None if isinstance(table, VlenArray) else read_data_type(table)
            if isinstance(table, VlenArray) or data_type is None or data_type.name != name:
                continue
            check_single(data_type)
            overlap = table.path == f"{data_type.placement.node.path}{OVERLAP_SUFFIX}"
            found = found if overlap else data_type
            content["overlap" if overlap else "rows"] = table.read(0, table.nrows)
    if found is None:
        raise StorageError(f"no table of the day file declares that it is {name}", where=path)
    return DayTables(found, content["rows"], content.get("overlap", np.zeros(0, found.dtype)))


def find_day_file(root: Root, name: str, day: np.datetime64) -> str:
    """Find the only day file of a type and day, below the root; UsageError if it does not exist."""
    catalogue = Catalogue.of(root)
    paths = [row.path for row in catalogue.find_day(name, str(day))]
    if not paths:
        types = catalogue.list_types()
        if name not in types:
            hint = suggest(name, types) or ", nor anything else yet"
            raise UsageError(f"the archive holds no {name!r}{hint}", where=root.path)
        near = ", ".join(find_nearest(catalogue.list_days(name), day))
        raise UsageError(f"no {name} on {day}; nearest: {near}", where=root.path)
    if len(paths) > 1:
        message = f"{name} of {day} is in several day files ({', '.join(paths)}); move the wrong ones away"
        raise UsageError(message, where=root.path)
    return paths[0]


def find_nearest(days: Iterable[str], day: np.datetime64) -> list[str]:
    """Find the few of some days (ISO) that are nearest to a day, in order."""
    return sorted(sorted(days, key=lambda other: abs(np.datetime64(other, "D") - day))[:NEAREST])


def check_single(data_type: DataType) -> None:
    """Raise UsageError if records of a type are in several tables of a day file, or have blobs."""
    node = data_type.placement.node
    if "{" in node.path or node.blobs:
        message = f"{data_type.name} has tables by key, or blobs, at {node.path}: it is not one table a day"
        raise UsageError(message)
