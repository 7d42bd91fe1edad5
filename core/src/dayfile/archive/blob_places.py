"""Where the blobs of records are, and reading them from there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import StorageError, UsageError
from dayfile.model.field import Field

__all__ = ["Place", "read_all_blobs", "read_blobs", "read_field_samples"]


@dataclass(frozen=True)
class Place:
    """A table in a day file, for reading its blobs later.

    Parameters
    ----------
    path : Path
        The day file.
    blobs : str
        Path of the blob array beside the table; empty without one.
    """

    path: Path
    blobs: str


def read_blobs(places: Sequence[Place], indexes: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[np.object_]]:
    """Read blobs by index, beside tables of one day file; None for a negative index.

    Parameters
    ----------
    places : sequence of Place
        The tables; all in the same day file, which is opened once.
    indexes : sequence of array of int, of any shape
        Indexes for each table.

    Returns
    -------
    list of array of object
        Bytes or None, in the shape of the indexes.

    Raises
    ------
    StorageError
        The day file does not have them.
    """
    from dayfile.archive.alone import reading_alone
    from dayfile.archive.opening import open_to_read
    from dayfile.hdf5.links import link_exists
    from dayfile.hdf5.vlen import open_vlen_array
    from dayfile.stores.blobs import take_blobs

    if all((wanted < 0).all() for wanted in indexes):
        return [np.full(wanted.shape, None, object) for wanted in indexes]
    found = []
    with reading_alone(), open_to_read(places[0].path) as file:
        for place, wanted in zip(places, indexes, strict=True):
            highest = int(wanted.max(initial=-1))
            if highest < 0:
                found.append(np.full(wanted.shape, None, object))
                continue
            missing = StorageError(f"{place.blobs} does not have blob {highest}", where=place.path)
            if not link_exists(file, place.blobs):
                raise missing
            with closing(open_vlen_array(file, place.blobs)) as array:
                try:
                    found.append(take_blobs(array, wanted.ravel()).reshape(wanted.shape))
                except IndexError as error:
                    raise missing from error
    return found


def read_all_blobs(
    places: Sequence[Place], origins: npt.NDArray[np.unsignedinteger[Any]], indexes: npt.NDArray[Any]
) -> npt.NDArray[np.object_]:
    """Read blobs of records from several day files; each file is opened once.

    Parameters
    ----------
    places : sequence of Place
        Tables, those of one day file one after the other.
    origins : array of unsigned integers, shape (n,)
        Index in ``places`` of each record's table.
    indexes : array of int, shape (n, *shape of the field)
        Indexes of the blobs; negative for none.

    Returns
    -------
    array of object, shape (n, *shape of the field)
        Bytes or None.

    Raises
    ------
    StorageError
        A day file cannot be read, or does not have them.
    """
    found = np.full(indexes.shape, None, object)
    order = np.argsort(origins, kind="stable")
    rows = np.split(order, np.searchsorted(origins[order], np.arange(1, len(places))))
    used = (number for number in range(len(places)) if len(rows[number]))
    for _, numbers in groupby(used, lambda number: places[number].path):
        these = list(numbers)
        wanted = [indexes[rows[number]] for number in these]
        for number, there in zip(these, read_blobs([places[number] for number in these], wanted), strict=True):
            found[rows[number]] = there
    return found


def read_field_samples(field: Field, blobs: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Read blobs as the samples that they are: object arrays, of the same shape; UsageError if they are no samples."""
    if not field.sample:
        raise UsageError(f"the layout does not say what the samples of {field.name!r} are; all_blobs has their bytes")
    found = np.empty(blobs.shape, object)
    for place, blob in np.ndenumerate(blobs):
        found[place] = None if blob is None else field.read_samples(blob)
    return found
