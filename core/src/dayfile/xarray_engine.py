"""The engine by which xarray opens archives and day files: ``engine="dayfile"``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from dayfile.api import open_archive
from dayfile.archive.finding import Finder
from dayfile.archive.lazy import LazyRecords, find_in_file
from dayfile.archive.question import KeyValues, Missing, list_key_names
from dayfile.errors import UsageError
from dayfile.handover.columns import decode_texts, iterate_columns
from dayfile.handover.xarray import build_dataset
from dayfile.messages import list_some, suggest, suggest_near
from dayfile.model.field import Field
from dayfile.model.forms import describe_physical, float_field
from dayfile.model.instants import Time

__all__ = ["DayfileEntrypoint", "LazyField"]


class LazyField(BackendArray):
    """A field that is read from day files where it is looked at.

    Parameters
    ----------
    lazy : LazyRecords
        The records.
    field : Field
        The field.
    """

    def __init__(self, lazy: LazyRecords, field: Field) -> None:
        self.lazy = lazy
        self.field = field
        self.shape = (len(lazy.index), *field.array_shape)
        self.dtype = np.dtype(f"U{field.shape[-1]}") if field.type == "char" else float_field(field).base

    def __getitem__(self, key: indexing.ExplicitIndexer) -> npt.NDArray[Any]:
        """Read what a key asks for."""
        found: npt.NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )
        return found

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read the part of the range from the first to the last record that is asked for, and pick from it."""
        rows = np.arange(self.shape[0])[key[0]]
        start, stop = (int(rows.min()), int(rows.max()) + 1) if np.size(rows) else (0, 0)
        values = self.lazy.read_field(self.field.name, start, stop).mark_missing()[self.field.name]
        if self.field.type == "char":
            values = decode_texts(values).astype(self.dtype)
        for axis, index in enumerate((rows - start, *key[1:])):
            left = values.ndim - len(self.shape) + axis  # an index that is a number takes its axis away
            values = values[(slice(None),) * left + (index,)]
        return values


class DayfileEntrypoint(BackendEntrypoint):
    """Opens archives and day files."""

    description = "Archives of dayfile, and day files"
    open_dataset_parameters: ClassVar[Any] = (
        *(
            "filename_or_obj",
            "drop_variables",
            "group",
            "start",
            "stop",
            "where",
            "inside",
            "missing",
            "physical",
            "keys",
        ),
    )

    def open_dataset(  # type: ignore[override]  # xarray gives the arguments by name
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        start: Time | None = None,
        stop: Time | None = None,
        where: str | None = None,
        inside: bool = False,
        missing: Missing = "keep",
        physical: bool = False,
        keys: Mapping[str, KeyValues] | None = None,
        **others: object,
    ) -> xr.Dataset:
        """Open the records of a data type; times are read now, and each field when it is looked at.

        Parameters
        ----------
        filename_or_obj : str or Path
            The directory of an archive, or a day file.
        drop_variables : str or list of str, optional
            Fields to leave out.
        group : str, optional
            Name of the data type; not needed where there is only one.
        start, stop, where, inside, missing, physical
            As for :meth:`dayfile.Archive.read`; what is missing is NaN here in any case.
        keys : mapping, optional
            Keys as for :meth:`dayfile.Archive.read`: ``{"station": [501, 502]}``.
        **others
            Refused, with a message that says what is taken.

        Raises
        ------
        DayfileError
            There is no archive or day file, or what is asked for does not exist.
        """
        from dayfile.archive.reading import ask_range

        path = Path(filename_or_obj)
        if not path.exists():
            raise UsageError("no archive or day file is here", where=path)
        finder: Finder = open_archive(path).finder if path.is_dir() else find_in_file(path)
        name = choose_type(finder, group)
        for word in others:
            is_key = word in list_key_names(finder.find_newest(name))
            near = f"; write keys={{{word!r}: …}}" if is_key else suggest_near(word, self.open_dataset_parameters)
            raise UsageError(f"the engine of dayfile takes no {word!r}{near}", where=path)
        question = ask_range(
            finder, name, start, stop, keys or {}, where=where, inside=inside, missing=missing, physical=physical
        )
        described = describe_physical(question.data_type) if physical else question.data_type
        lazy = LazyRecords(finder, question)
        left_out = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        values = {
            field.name: indexing.LazilyIndexedArray(LazyField(lazy, field))
            for field in described.fields
            if field.name not in left_out
        }
        columns = {column.name: column.values for column in iterate_columns(lazy.index, blobs=False)}
        return build_dataset(described, lazy.index.times, columns, values)

    def guess_can_open(self, filename_or_obj: Any) -> bool:  # noqa: ANN401 - anything that xarray is given
        """Return whether this is the directory of an archive; day files need ``engine="dayfile"``."""
        return isinstance(filename_or_obj, str | os.PathLike) and (Path(filename_or_obj) / "archive.json").is_file()


def choose_type(finder: Finder, group: str | None) -> str:
    """Return the data type that is asked for, or the only one.

    Raises
    ------
    UsageError
        There is no such data type, or there are several and none is named.
    """
    types = finder.types()
    if group is None and len(types) == 1:
        return types[0]
    if group is None:
        raise UsageError(f"name a data type by group=…: {list_some(types)}", where=finder.directory)
    name = group.strip("/")
    if name not in types:
        raise UsageError(f"no data type {name!r}{suggest(name, types)}", where=finder.directory)
    return name
