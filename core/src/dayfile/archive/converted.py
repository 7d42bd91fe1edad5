"""Records with other values: physical ones, names, or NaN for what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.handover.columns import decode_texts
from dayfile.messages import suggest
from dayfile.model.forms import as_floats, as_physical, find_physical, find_sources, pick_fields

if TYPE_CHECKING:
    from dayfile.archive.records import Records
    from dayfile.model.datatype import DataType

__all__ = ["Converted"]

Conversion = Callable[[npt.NDArray[Any], "DataType"], "tuple[npt.NDArray[Any], DataType]"]


class Converted:
    """The methods of :class:`dayfile.Records` that convert values."""

    def physical(self, name: str) -> npt.NDArray[Any]:
        """Return the physical values of a field, as its layout declares them.

        Parameters
        ----------
        name : str
            The field. Its unit is ``records.data_type.field(name).physical.unit``.

        Returns
        -------
        array, shape (n, *shape of the field)
            float64 in physical units, with NaN for what is missing; of a field whose values have names, these as text,
            empty for a value without one. Numbers of a field that declares neither are physical as they are. A field
            of text gives its texts.

        Raises
        ------
        UsageError
            No field has this name, or it holds blobs, or a field that gives its scale was left out.

        Examples
        --------
        ``open_archive("archive").read("muon.weather").physical("temperature").mean()``
        """
        records = cast("Records", self)
        if name not in (records.array.dtype.names or ()):
            records[name]  # an error, unless it is a key
            raise UsageError(
                f"{name} is a key and has no physical values{suggest(name, records.data_type.dtype.names or ())}"
            )
        field = records.data_type.field(name)
        if field.blob:
            raise UsageError(f"{name} of {records.data_type.name} holds blobs, which have no physical values")
        if field.type == "char":
            return decode_texts(records.array[name])
        check_sources(records, [name])
        return find_physical(records.array, records.data_type, name)

    def to_physical(self) -> Records:
        """Return the records with physical values in place of the stored ones.

        Fields with physical values become float64 in their units, with NaN for what is missing. Fields whose values
        have names become text. All others stay as they are, and so do times, keys and blobs.

        Raises
        ------
        UsageError
            A field that gives the scale of another one was left out.

        Examples
        --------
        ``open_archive("archive").read("muon.weather").to_physical().to_pandas()``
        """
        records = cast("Records", self)
        check_sources(records, records.array.dtype.names or ())
        return replace_values(records, as_physical)

    def mark_missing(self) -> Records:
        """Return the records with NaN for what is missing: fields that have missing values become floats.

        Fields of 8 and 16 bits become float32, longer ones float64.
        """
        return replace_values(cast("Records", self), as_floats)


def replace_values(records: Records, conversion: Conversion) -> Records:
    """Return records with the values that a conversion makes; their times are still those of the stored values."""
    array, data_type = conversion(records.array, records.data_type)
    timed = data_type.timing.field_names
    before = records.data_type.dtype
    changed = any(data_type.dtype[name] != before[name] for name in timed if name in (before.names or ()))
    stamps = records.stamps
    if changed and stamps is None:
        stamps = pick_fields(records.array, timed)
    return replace(records, array=array, data_type=data_type, stamps=stamps)


def check_sources(records: Records, names: Iterable[str]) -> None:
    """Raise a UsageError if physical values of one of these fields need a field that the records do not have."""
    for name in names:
        for source in find_sources(records.data_type, [name]):
            if source not in (records.array.dtype.names or ()):
                raise UsageError(
                    f"physical values of {name} of {records.data_type.name} need {source}, which was left out; add it "
                    "to the fields that are read"
                )
