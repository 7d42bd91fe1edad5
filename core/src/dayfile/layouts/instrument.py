"""An instrument that is declared by a layout: its hook implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dayfile.errors import RecordError, SourceError
from dayfile.hookspecs import hookimpl
from dayfile.layouts.dtypes import struct_dtype, to_records, to_structs
from dayfile.layouts.reader import Layout, read_layout
from dayfile.layouts.streams import read_stream, stream_name
from dayfile.model.batch import Batch, Rejected, Source
from dayfile.model.datatype import DataType

__all__ = ["Instrument"]


class Instrument:
    """A plugin made of a layout: it tells the data types, and decodes the kinds of source the layout names.

    Parameters
    ----------
    text : str
        The layout, YAML.
    name : str
        Its file name, for messages.

    Examples
    --------
    A package whose ``__init__.py`` holds ``instrument = Instrument.from_package(__name__, "muon.yaml")`` and whose
    entry point in the group ``dayfile.plugins`` is ``muon = "my_package:instrument"`` is a complete plugin.
    """

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name

    @classmethod
    def from_package(cls, package: str, name: str) -> Self:
        """An instrument whose layout is a file of a package."""
        return cls(files(package).joinpath(name).read_text(encoding="utf-8"), name)

    @cached_property
    def layout(self) -> Layout:
        """The compiled layout; LayoutError if it is wrong."""
        return read_layout(self._text, self._name)

    @hookimpl
    def data_types(self) -> Iterable[DataType]:
        """The types of the layout."""
        return self.layout.types

    @hookimpl
    def decode(self, source: Source) -> Iterable[Batch | Rejected] | None:
        """Batches of a struct stream or an HDF4 file, if the layout names such sources and knows a struct of it."""
        kinds = self.layout.words.sources
        named = stream_name(source.name)
        if "struct_streams" in kinds and named:
            data_type = self.layout.by_code().get(named[0])
            if data_type is None:
                return None
            struct = self.struct(data_type, named[1])
            items = self.batches(data_type, read_stream(source.content, struct, source.name))
            return [
                replace(item, offset=item.numbers[0] * struct.itemsize) if isinstance(item, Rejected) else item
                for item in items
            ]
        return self._decode_hdf4(source) if "hdf4" in kinds else None

    def _decode_hdf4(self, source: Source) -> Iterable[Batch | Rejected] | None:
        from dayfile.layouts import hdf4

        if not hdf4.looks_like_hdf4(source.content):
            if source.name.lower().endswith((".hdf", ".hdf4")):
                message = f"named as an HDF4 file, but it is none: it begins with {source.content[:8]!r}"
                raise SourceError(message, where=source.name)
            return None
        known = self.layout.by_code()
        mine = [name for name in hdf4.struct_names(source.content, source.name) if name in known]
        if not mine:
            return None
        return [
            item
            for name in mine
            for item in self.batches(
                known[name], hdf4.read_struct(source.content, name, known[name].dtype, where=source.name)
            )
        ]

    def struct(self, data_type: DataType, byte_order: str | None = None) -> np.dtype[np.void]:
        """The dtype of a data type's C struct in memory; in the layout's byte order if none is given."""
        words = self.layout.words.structs
        order = byte_order or (words.byte_order if words else "big")
        alignment = words.alignment if words else "natural"
        return struct_dtype(data_type.fields, "little" if order == "little" else "big", alignment)

    def batches(self, data_type: DataType, structs: npt.NDArray[Any]) -> Iterator[Batch | Rejected]:
        """Records of structs; those without a time are rejected.

        Parameters
        ----------
        data_type : DataType
            What they are.
        structs : structured array, shape (n,)
            In any memory form with the fields of the data type.
        """
        records = to_records(structs, data_type)
        numbers = np.arange(len(records))
        timed = data_type.clock.defined(records[data_type.time])
        if data_type.end:
            timed &= data_type.clock.defined(records[data_type.end])
        if timed.any() or not len(records):
            yield Batch(data_type.instrument, data_type.code, records[timed], numbers[timed])
        if not timed.all():
            stamps = f"{data_type.time} and {data_type.end}" if data_type.end else data_type.time
            bad = np.flatnonzero(~timed)
            yield Rejected(
                instrument=data_type.instrument,
                code=data_type.code,
                reason=f"no time: {stamps} is empty or a mark for an undefined value, so the record has no day",
                error=RecordError.__name__,
                numbers=tuple(bad.tolist()),
                name=f"{data_type.code}.be.bin",
                content=to_structs(records[bad], self.struct(data_type, "big")).tobytes(),
            )
