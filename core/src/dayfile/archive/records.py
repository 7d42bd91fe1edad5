"""Records that were read: an array with its data type, and the places of its blobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import MissingExtraError, StorageError, UsageError
from dayfile.messages import plural, suggest
from dayfile.model.datatype import DataType
from dayfile.model.packed import Length, Packed, unpack
from dayfile.model.validity import find_end_seconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Place", "Records"]


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
    from dayfile.archive.opening import open_day_file
    from dayfile.hdf5.links import link_exists
    from dayfile.hdf5.vlen import open_vlen_array
    from dayfile.stores.blobs import take_blobs

    if all((wanted < 0).all() for wanted in indexes):
        return [np.full(wanted.shape, None, object) for wanted in indexes]
    found = []
    with open_day_file(places[0].path) as file:
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


@dataclass(frozen=True, repr=False)
class Records:
    """Records of one data type, in time order.

    Parameters
    ----------
    data_type : DataType
        Their data type, with units and meaning of the fields.
    array : structured array, shape (n,)
        In the dtype of the data type.
    keys : dict of str to array, shape (n,)
        What else identifies the records, such as the station they came from.
    places : tuple of Place
        The tables they were read from.
    origins : array of unsigned integers, shape (n,)
        Index in ``places`` of each record's table.
    """

    data_type: DataType
    array: npt.NDArray[Any]
    keys: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    origins: npt.NDArray[np.unsignedinteger[Any]] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        times = self.times
        span = f", {times[0]} to {times[-1]}" if len(times) else ""
        return f"<{plural(len(self), 'record')} of {self.data_type.name}{span}>"

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return one field (or key) of all records, shape (n, *shape of the field)."""
        return self.keys[name] if name in self.keys else self.array[name]

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Return the UTC time of each record, datetime64[ns], shape (n,).

        A time in a leap second, 23:59:60, is the last nanosecond before it: :attr:`in_leap_second` says which records
        these are, and :attr:`nanoseconds` keeps them apart.
        """
        return self.data_type.clock.to_utc(self.nanoseconds)

    @property
    def nanoseconds(self) -> npt.NDArray[np.int64]:
        """Return the whole time of each record in nanoseconds since 1970, shape (n,).

        In TAI if the clock of the data type counts leap seconds, else in Unix time; so the difference of two is the
        time between them.
        """
        return self.data_type.find_begins(self.array)

    @property
    def in_leap_second(self) -> npt.NDArray[np.bool_]:
        """Find the records whose time is in a leap second, shape (n,)."""
        return self.data_type.clock.in_leap_second(self.nanoseconds)

    @property
    def end_seconds(self) -> npt.NDArray[Any]:
        """Return the last tick at which each record is valid, shape (n,); see :mod:`dayfile.model.validity`."""
        return find_end_seconds(self.array, self.data_type)

    def blobs(self, name: str, row: int) -> list[bytes | None]:
        """Read the blobs of one field of one record from the day file; see :meth:`all_blobs` for all records.

        Parameters
        ----------
        name : str
            A field that holds indexes of blobs.
        row : int
            Index of the record.

        Returns
        -------
        list of bytes or None
            One for each element of the field; None for an element without a blob.

        Raises
        ------
        UsageError
            The field holds no blobs.
        StorageError
            The day file cannot be read any more, or lacks the blob.
        """
        indexes = np.ravel(self._get_blob_indexes(name)[row])
        found: list[bytes | None] = read_blobs([self.places[int(self.origins[row])]], [indexes])[0].tolist()
        return found

    def all_blobs(self, name: str) -> npt.NDArray[np.object_]:
        """Read the blobs of one field of all records from the day files; each file is opened once.

        Parameters
        ----------
        name : str
            A field that holds indexes of blobs.

        Returns
        -------
        array of object, shape (n, *shape of the field)
            Each bytes, or None for an element without a blob.

        Raises
        ------
        UsageError, StorageError
            As for :meth:`blobs`.

        Examples
        --------
        ``open_archive("archive").read("muon.hits", telescope=5).all_blobs("traces")``
        """
        indexes = self._get_blob_indexes(name)
        found = np.full(indexes.shape, None, object)
        order = np.argsort(self.origins, kind="stable")
        rows = np.split(order, np.searchsorted(self.origins[order], np.arange(1, len(self.places))))
        for _, numbers in groupby(range(len(self.places)), lambda number: self.places[number].path):
            these = list(numbers)
            wanted = [indexes[rows[number]] for number in these]
            for number, there in zip(these, read_blobs([self.places[number] for number in these], wanted), strict=True):
                found[rows[number]] = there
        return found

    def _get_blob_indexes(self, name: str) -> npt.NDArray[Any]:
        """Return a field of blob indexes; UsageError for any other field."""
        if not any(field.name == name and field.blob for field in self.data_type.fields):
            with_blobs = self.data_type.blob_fields
            raise UsageError(f"{name!r} holds no blobs; these do: {', '.join(with_blobs) or 'none'}")
        values: npt.NDArray[Any] = self.array[name]
        return values

    def unpack(self, name: str, length: Length | None = None) -> npt.NDArray[Any]:
        """Make one row of each item in a packed buffer, such as the events of a cycle.

        Parameters
        ----------
        name : str
            The field that is the buffer.
        length : callable, optional
            Returns the lengths of n items for their first bytes, uint8 of shape (n, longest). Without it only the first
            item of each record can be found.

        Returns
        -------
        structured array, shape (items,)
            As :func:`dayfile.model.packed.unpack` describes it.

        Raises
        ------
        UsageError
            The field is not packed, or how it is packed is unknown; or ``length`` does not return an integer for each
            item.

        Examples
        --------
        ``open_archive("archive").read("muon.hits").unpack("buffer", length=lambda hits: hits[:, 0])``
        """
        fields = self.array.dtype.names or ()
        if name not in fields:
            raise UsageError(f"{self.data_type.name} has no field {name!r}{suggest(name, fields)}")
        packed = self.data_type.packed or find_declared_packed(self.data_type, name)
        if packed is None or packed.field != name:
            there = f"; {packed.field} is" if packed else ""
            raise UsageError(f"{name} of {self.data_type.name} is not a packed buffer{there}")
        return unpack(self.array, packed, length)

    def to_pandas(self) -> pd.DataFrame:
        """Make a DataFrame indexed by UTC time; each element of an array field becomes a column, ``hp[0]``.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            message = 'to_pandas needs pandas; install it with: pip install "dayfile[export]"'
            raise MissingExtraError(message) from error

        columns: dict[str, Any] = dict(self.keys)
        for name in self.array.dtype.names or ():
            values = self.array[name]
            for place in np.ndindex(values.shape[1:]):
                label = f"{name}[{','.join(map(str, place))}]" if place else name
                columns[label] = values[(slice(None), *place)]
        return pd.DataFrame(columns, index=pd.DatetimeIndex(self.times, name="time"))


def find_declared_packed(data_type: DataType, name: str) -> Packed | None:
    """Find how the installed plugin declares a packed buffer; None if it does not.

    Day files of earlier versions do not declare their packed buffers.

    Raises
    ------
    UsageError
        The plugin of the data type is not installed.
    """
    from dayfile import discovery

    known = discovery.load().data_types if discovery.installed() else {}
    if data_type.name not in known:
        raise UsageError(
            f"the day files of {data_type.name} do not declare how {name} is packed (earlier versions wrote no such "
            f"declaration), and no installed plugin knows {data_type.name}: install the plugin of "
            f"{data_type.instrument!r}, or call dayfile.model.packed.unpack with a Packed of your own"
        )
    return known[data_type.name].packed
