"""Records that were read: a table of one data type, with times, keys and the places of its blobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
import numpy.typing as npt

from dayfile.archive.blob_places import Place, read_all_blobs, read_blobs, read_field_samples
from dayfile.archive.converted import Converted
from dayfile.archive.drawing import Drawn
from dayfile.archive.record import Record, refuse_attribute
from dayfile.errors import UsageError
from dayfile.handover.methods import HandedOn
from dayfile.messages import plural, suggest
from dayfile.model.datatype import DataType
from dayfile.model.forms import drop_fields, narrow, pick_fields, take_rows
from dayfile.model.packed import Length, Packed, unpack
from dayfile.model.times import TIME_WORDS
from dayfile.model.validity import find_end_seconds

__all__ = ["Records"]

Rows = slice | Sequence[int] | Sequence[bool] | npt.NDArray[Any]
"""Which records: a slice, their indexes, or a mask."""


@dataclass(frozen=True, repr=False)
class Records(Converted, HandedOn, Drawn):
    """Records of one data type, in time order.

    A table: ``records["hp"]`` is a field or key, ``records[["hp"]]`` the records with only some fields, ``records[5]``
    one record, ``records[10:20]``, ``records[mask]`` and ``records[indexes]`` some of the records. Times, keys and
    blobs are still those of each record.

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
    stamps : structured array, shape (n,), optional
        The fields that times are made of, if ``array`` does not have all of them.
    nearest : tuple of datetime64[D]
        If no records were found: the days before and after that have some.
    left_out : tuple of str
        Fields of the data type that were not read, or not selected.
    """

    data_type: DataType
    array: npt.NDArray[Any]
    keys: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    origins: npt.NDArray[np.unsignedinteger[Any]] = field(default_factory=lambda: np.zeros(0, np.uint8))
    stamps: npt.NDArray[Any] | None = None
    nearest: tuple[np.datetime64, ...] = ()
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        times = self.times
        span = f", {times[0]} to {times[-1]}" if len(times) else ""
        if self.nearest:
            span = f"; nearest days: {', '.join(map(str, self.nearest))}"
        return f"<{plural(len(self), 'record')} of {self.data_type.name}{span}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the keys, then those of the fields."""
        return (*self.keys, *(self.array.dtype.names or ()))

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> NoReturn:
            """Say how a field, a key or the times are read."""
            refuse_attribute("Records", name, self.names if "array" in vars(self) and name[0] != "_" else ())

    def __iter__(self) -> Iterator[Record]:
        return (Record(self, index, time) for index, time in enumerate(self.times))

    @overload
    def __getitem__(self, wanted: str) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, wanted: int | np.integer[Any]) -> Record: ...
    @overload
    def __getitem__(self, wanted: list[str] | Rows) -> Records: ...
    def __getitem__(
        self, wanted: str | int | np.integer[Any] | list[str] | Rows
    ) -> npt.NDArray[Any] | Record | Records:
        """Return a field or key, some fields, one record, or some records.

        Parameters
        ----------
        wanted : str, list of str, int, slice, array of bool, or array of int
            The name of a field or key: an array, shape (n, *shape of the field). Names of fields: the records with
            these alone. A number: one :class:`Record`. Anything else: these records.

        Raises
        ------
        UsageError
            No field or key has this name, or a mask is not as long as the records.
        IndexError
            There are fewer records.

        Examples
        --------
        ``records[records["temperature"] > 20][["hp", "quality"]]``
        """
        if isinstance(wanted, str):
            self._check_name(wanted)
            return self.keys[wanted] if wanted in self.keys else self.array[wanted]
        if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
            if not -len(self) <= wanted < len(self):
                raise IndexError(f"no record {wanted}: there are {plural(len(self), 'record')}")
            return Record(self, int(wanted) % len(self))
        if isinstance(wanted, list) and wanted and all(isinstance(name, str) for name in wanted):
            return self.select([str(name) for name in wanted])
        if isinstance(wanted, slice):
            return self._take(wanted)
        rows = np.asarray(wanted)
        return self._take(rows if rows.size else rows.astype(int))

    def _check_name(self, name: str) -> None:
        """Raise a UsageError if no field or key has a name."""
        if name in self.names:
            return
        if name in self.left_out:
            raise UsageError(f"{name} of {self.data_type.name} was left out; add it to the fields that are read")
        hint = "; times are in .times" if name in TIME_WORDS else suggest(name, self.names)
        raise UsageError(f"{self.data_type.name} has no field or key {name!r}{hint}")

    def select(self, names: Iterable[str]) -> Records:
        """Return the records with some of their fields, as ``records[[...]]`` does; keys are always there.

        Raises
        ------
        UsageError
            No field or key has one of the names.
        """
        names = list(names)
        for name in names:
            self._check_name(name)
        chosen = [name for name in dict.fromkeys(names) if name not in self.keys]
        timing = dict.fromkeys(self.data_type.timing.field_names)
        return replace(
            self,
            data_type=narrow(self.data_type, chosen),
            array=pick_fields(self.array, chosen),
            left_out=(*self.left_out, *(name for name in self.array.dtype.names or () if name not in chosen)),
            stamps=None if timing.keys() <= set(chosen) else pick_fields(self._timed, timing),
        )

    def _take(self, rows: slice | npt.NDArray[Any]) -> Records:
        """Return some of the records, by a slice, a mask or indexes."""
        if not isinstance(rows, slice):
            if rows.dtype.kind not in "biu" or rows.ndim != 1:
                raise UsageError(
                    f"records are chosen by names, a slice, a mask or indexes, not by values of {rows.dtype}"
                )
            if rows.dtype == bool and len(rows) != len(self):
                raise UsageError(f"the mask has {plural(len(rows), 'value')} for {plural(len(self), 'record')}")
        return replace(
            self,
            array=take_rows(self.array, rows),
            keys={name: column[rows] for name, column in self.keys.items()},
            origins=self.origins[rows] if len(self.origins) else self.origins,
            stamps=None if self.stamps is None else take_rows(self.stamps, rows),
        )

    @classmethod
    def concatenate(cls, several: Iterable[Records]) -> Records:
        """Put records of one data type one after the other, in the order given.

        Parameters
        ----------
        several : iterable of Records
            With the same fields.

        Raises
        ------
        UsageError
            There are none, or they differ in data type or fields.

        Examples
        --------
        ``Records.concatenate(archive.read("muon.hits", day, day + 1) for day in days)``
        """
        parts = list(several)
        if not parts:
            raise UsageError("no records to concatenate: without any, there is no data type")
        first = parts[0].data_type
        for part in parts:
            if part.data_type.name != first.name:
                raise UsageError(f"{part.data_type.name} cannot be put after {first.name}: these are two data types")
            if part.array.dtype != parts[0].array.dtype:
                raise UsageError(f"these records of {first.name} do not have the same fields; select those of both")
        places = {place: number for number, place in enumerate(dict.fromkeys(p for part in parts for p in part.places))}
        kind = np.min_scalar_type(len(places))
        moved = [np.array([places[place] for place in part.places], kind) for part in parts]
        origins = [there[part.origins] for there, part in zip(moved, parts, strict=True) if len(part.origins)]
        stamps = [part.stamps for part in parts if part.stamps is not None]
        return cls(
            parts[-1].data_type,
            np.concatenate([drop_fields(part.array) for part in parts]).view(parts[0].array.dtype),
            {name: join_columns([part.keys[name] for part in parts]) for name in parts[0].keys},
            tuple(places),
            np.concatenate(origins) if origins else np.zeros(0, kind),
            np.concatenate(stamps) if stamps else None,
            parts[0].nearest if not any(map(len, parts)) else (),
            parts[0].left_out,
        )

    @property
    def _timed(self) -> npt.NDArray[Any]:
        """Return the array that has the fields that times are made of."""
        return self.array if self.stamps is None else self.stamps

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
        return self.data_type.find_begins(self._timed)

    @property
    def in_leap_second(self) -> npt.NDArray[np.bool_]:
        """Find the records whose time is in a leap second, shape (n,)."""
        return self.data_type.clock.in_leap_second(self.nanoseconds)

    @property
    def end_seconds(self) -> npt.NDArray[Any]:
        """Return the last tick at which each record is valid, shape (n,); see :mod:`dayfile.model.validity`."""
        return find_end_seconds(self._timed, self.data_type)

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
        return read_all_blobs(self.places, self.origins, self._get_blob_indexes(name))

    def samples(self, name: str) -> npt.NDArray[np.object_]:
        """Read the blobs of one field as samples: as :meth:`all_blobs`, each an array of shape (n_samples,), or None.

        UsageError, too, if the layout does not say what a sample is. For example
        ``open_archive("archive").read("scope.events").samples("wave")[0].max()``.
        """
        return read_field_samples(self.data_type.field(name), self.all_blobs(name))

    def _get_blob_indexes(self, name: str) -> npt.NDArray[Any]:
        """Return a field of blob indexes; UsageError for any other field."""
        self._check_name(name)
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
        self._check_name(name)
        packed = self.data_type.packed or find_declared_packed(self.data_type, name)
        if packed is None or packed.field != name:
            there = f"; {packed.field} is" if packed else ""
            raise UsageError(f"{name} of {self.data_type.name} is not a packed buffer{there}")
        return unpack(self.array, packed, length)


def join_columns(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Join arrays of keys: texts beside numbers stay what they are, where NumPy would make the numbers texts too."""
    there = [column for column in columns if len(column)] or columns[:1]
    if len({column.dtype.kind for column in there}) > 1:
        there = [column.astype(object) for column in there]
    return np.concatenate(there)


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
