"""Reading from an archive: records of a type between two times, from day files alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue import Catalogue, CatalogueRow
from dayfile.archive.root import Root
from dayfile.errors import MissingExtraError, StorageError, UsageError
from dayfile.model.clock import Time, as_utc
from dayfile.model.datatype import DataType

if TYPE_CHECKING:
    import pandas as pd
    import tables

__all__ = ["Archive", "Records", "open_archive"]

NUMBERS = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class Place:
    """A table in a day file, for what is read later.

    Parameters
    ----------
    path : Path
        The day file.
    blobs : str
        Path of the blob array beside the table; empty if there is none.
    """

    path: Path
    blobs: str

    def read_blobs(self, indexes: list[int]) -> list[bytes | None]:
        """Blobs by index; None for a negative one. StorageError if the day file does not have them."""
        import tables

        if all(index < 0 for index in indexes):
            return [None] * len(indexes)
        try:
            with tables.open_file(self.path, "r") as file:
                array = file.get_node(self.blobs)
                return [bytes(array[index]) if index >= 0 else None for index in indexes]
        except (OSError, tables.HDF5ExtError, tables.NodeError, IndexError) as error:
            raise StorageError(f"{self.blobs} does not have blob {max(indexes)}", where=self.path) from error


@dataclass(frozen=True)
class Records:
    """Records of one data type, in time order.

    Parameters
    ----------
    data_type : DataType
        What they are; tells units and meaning of the fields.
    array : structured array, shape (n,)
        In the dtype of the data type.
    keys : dict of str to array, shape (n,)
        What else tells the records apart, such as the station they came from.
    places : tuple of Place
        The tables they were read from.
    origins : array of int64, shape (n,)
        Index in ``places`` of each record's table.
    """

    data_type: DataType
    array: npt.NDArray[Any]
    keys: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    origins: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """One field (or key) of all records, shape (n, *shape of the field)."""
        return self.keys[name] if name in self.keys else self.array[name]

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """UTC of each record, datetime64[ns], shape (n,)."""
        return self.data_type.clock.to_datetime64(self.array[self.data_type.time])

    def blobs(self, name: str, row: int) -> list[bytes | None]:
        """The blobs of one field of one record, read from the day file now.

        Parameters
        ----------
        name : str
            A field that holds indexes of blobs.
        row : int
            Which record.

        Returns
        -------
        list of bytes or None
            One for each element of the field; None where there is none.

        Raises
        ------
        UsageError
            The field holds no blobs.
        StorageError
            The day file cannot be read any more, or does not have such a blob.
        """
        if not any(field.name == name and field.blob for field in self.data_type.fields):
            with_blobs = [field.name for field in self.data_type.fields if field.blob]
            raise UsageError(f"{name!r} holds no blobs; these do: {', '.join(with_blobs) or 'none'}")
        place = self.places[int(self.origins[row])]
        return place.read_blobs(np.ravel(self.array[name][row]).tolist())

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame indexed by UTC time; an element of an array field is a column of its own, ``hp[0]``.

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


@dataclass(frozen=True)
class Part:
    """Records of one table."""

    array: npt.NDArray[Any]
    keys: dict[str, str | int]
    place: Place


class Archive:
    """An archive to read from; see :func:`open_archive`.

    Parameters
    ----------
    root : Root
        Its directory.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self.catalogue = Catalogue(root.catalogue)
        self._types: list[DataType] | None = None

    def types(self) -> list[str]:
        """Names of the data types that have records."""
        return sorted({row.data_type for row in self.catalogue.rows()})

    def read(self, data_type: str, start: Time | None = None, stop: Time | None = None, **keys: str | int) -> Records:
        """Records with a time from ``start`` up to, not including, ``stop``.

        Parameters
        ----------
        data_type : str
            Name of the type, ``cris.hskp``.
        start, stop : str, datetime, numpy.datetime64, int or float, optional
            ISO text, a time, or a number of the type's own clock; without one, from the first or to the last record.
        **keys : str or int
            Only records with these keys, such as ``station=501``.

        Returns
        -------
        Records
            In time order; records that contended for a slot are among them.

        Raises
        ------
        UsageError
            The archive has no such type, or the type no such key.
        TimeError
            A time cannot be understood.

        Examples
        --------
        ``open_archive("archive").read("cris.hskp", "1997-10-31", "1997-11-01")``
        """
        rows = self.catalogue.rows(data_type)
        if not rows:
            there = ", ".join(self.types()) or "nothing yet"
            message = f"the archive holds no {data_type!r}; it holds {there}"
            raise UsageError(message, where=self.root.path)
        # Whatever is wrong with the times is told even where no day file needs to be opened.
        for time in (start, stop):
            if time is not None and not isinstance(time, NUMBERS):
                as_utc(time)
        found: DataType | None = None
        parts: list[Part] = []
        for row in rows:
            if found is not None and not may_hold(row, start, stop):
                continue
            for part_type, part in self._tables(row, keys):
                found = found or part_type
                chosen = part.array[between(part_type, part.array, start, stop)]
                if len(chosen):
                    parts.append(replace(part, array=chosen))
        if found is None:
            raise StorageError(f"the day files of {data_type} do not hold it", where=self.root.path)
        return joined(found, parts)

    def _tables(self, row: CatalogueRow, keys: Mapping[str, str | int]) -> Iterator[tuple[DataType, Part]]:
        """Each table of a type in a day file: its data type and its records; none of those with other keys."""
        import tables

        path = self.root.path / row.path
        try:
            file = tables.open_file(path, "r")
        except (OSError, tables.HDF5ExtError) as error:
            message = "this day file is in the catalogue and cannot be opened"
            raise StorageError(message, where=path) from error
        with file:
            for table in file.walk_nodes("/", "Table"):
                data_type = self.told(table)
                if data_type is None or data_type.name != row.data_type:
                    continue
                part_keys = keys_of(table, data_type)
                check_keys(data_type.name, keys, part_keys)
                wanted = all(str(part_keys[name]) == str(value) for name, value in keys.items())
                array = read_table(table, data_type) if wanted else np.zeros(0, data_type.dtype)
                blobs = data_type.node.blobs.format(**part_keys)
                yield data_type, Part(array, part_keys, Place(path, blobs))

    def told(self, table: tables.Table) -> DataType | None:
        """The data type of a table: from its attributes, or, for a file of other origin, by where it stands."""
        from dayfile.stores.nodes import data_type_of, recogniser

        told = data_type_of(table)
        return recogniser(self._known_types())(table) if told is None else told

    def _known_types(self) -> list[DataType]:
        """The data types of the installed plugins; loaded only for files that do not tell their own."""
        if self._types is None:
            from dayfile import plugins

            self._types = list(plugins.load().data_types.values()) if plugins.installed() else []
        return self._types


def open_archive(path: str | Path) -> Archive:
    """Open an archive for reading.

    Parameters
    ----------
    path : str or Path
        Its directory.

    Raises
    ------
    UsageError
        There is no archive.
    """
    root = Root(Path(path))
    if not root.exists():
        raise UsageError("there is no archive here; archive-run --archive makes one", where=path)
    return Archive(root)


def may_hold(row: CatalogueRow, start: Time | None, stop: Time | None) -> bool:
    """Whether a day file can hold records between two times; of clock values, only the file itself can tell."""
    if row.first is None or row.last is None:
        return False
    margin = np.timedelta64(1, "D")  # so that leap seconds need no care at this step
    first, last = (time.astype("datetime64[us]") for time in (row.first, row.last))
    after = start is None or isinstance(start, NUMBERS) or bool(last + margin >= as_utc(start))
    before = stop is None or isinstance(stop, NUMBERS) or bool(first - margin < as_utc(stop))
    return after and before


def between(
    data_type: DataType, records: npt.NDArray[Any], start: Time | None, stop: Time | None
) -> npt.NDArray[np.bool_]:
    """Which records lie between two times: by their time, or, where they have an end, by their validity."""
    from dayfile.stores.intervals import touching

    clock = data_type.clock
    first = -np.inf if start is None else clock.number(start)
    last = np.inf if stop is None else clock.number(stop)
    times = records[data_type.time]
    if data_type.end:
        return touching(times, records[data_type.end], first, last)
    return (times >= first) & (times < last)


def keys_of(table: tables.Table, data_type: DataType) -> dict[str, str | int]:
    """The keys of a table's records, from its path and the template of such paths."""
    from dayfile.stores.nodes import matched

    texts = matched(data_type.node.path, str(table._v_pathname)) or {}
    return {name: int(text) if text.isdigit() else text for name, text in texts.items()}


def check_keys(data_type: str, asked: Mapping[str, str | int], there: Mapping[str, str | int]) -> None:
    """UsageError if a type does not have a key that was asked for."""
    for name in asked.keys() - there.keys():
        known = ", ".join(there) or "none"
        raise UsageError(f"{data_type} has no key {name!r}; its keys are: {known}")


def key_names(data_type: DataType) -> list[str]:
    """Names of the keys in the template of a type's node."""
    return re.findall(r"\{(\w+)\}", data_type.node.path)


def read_table(table: tables.Table, data_type: DataType) -> npt.NDArray[Any]:
    """The records of a table in the dtype of its data type; fields that an older table lacks hold their default."""
    from dayfile.stores.slots import filled

    rows: npt.NDArray[Any] = table.read()
    if rows.dtype != data_type.dtype:
        records = np.full(len(rows), data_type.defaults, data_type.dtype)
        for name in set(rows.dtype.names or ()) & set(data_type.dtype.names or ()):
            records[name] = rows[name]
        rows = records
    return rows[filled(rows)] if data_type.store == "slots" else rows


def joined(data_type: DataType, parts: list[Part]) -> Records:
    """Records of several tables in one array, in time order."""
    array = np.concatenate([part.array for part in parts]) if parts else np.zeros(0, data_type.dtype)
    order = np.argsort(array[data_type.time], kind="stable")
    keys: dict[str, npt.NDArray[Any]] = {}
    for name in key_names(data_type):
        columns = [np.full(len(part.array), part.keys[name]) for part in parts]
        keys[name] = np.concatenate(columns)[order] if columns else np.zeros(0, np.int64)
    origins = np.repeat(np.arange(len(parts)), [len(part.array) for part in parts])
    return Records(data_type, array[order], keys, tuple(part.place for part in parts), origins[order])
