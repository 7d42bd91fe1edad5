"""An instrument that is declared by a layout: its hook implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from inspect import getattr_static
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from dayfile import hookspecs
from dayfile.errors import RecordError, SourceError
from dayfile.hookspecs import hookimpl
from dayfile.layouts.dtypes import struct_dtype, to_records, to_structs
from dayfile.layouts.flat_files import (
    HEADER_SIZE,
    OVERLAP,
    ByteOrder,
    in_time_order,
    lay_out,
    make_header,
    read_flat_file,
    told_by_name,
    write_files,
)
from dayfile.layouts.reader import Layout, read_layout
from dayfile.layouts.streams import read_stream, stream_name, told_by_stream_name
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType

if TYPE_CHECKING:
    from dayfile.archive.day_tables import DayTables

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

    extends: ClassVar[Sequence[str]] = ()
    """Names of the plugins that it changes: it is asked before them of their batches and data types."""

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401 - of further base classes
        """Mark what a subclass overrides as hook implementations, also without the mark it would be asked."""
        super().__init_subclass__(**arguments)
        for name in hookspecs.HOOKS:
            found = getattr_static(cls, name, None)
            function = found.__func__ if isinstance(found, staticmethod | classmethod) else found
            if isinstance(function, FunctionType) and not hasattr(function, f"{hookspecs.PROJECT}_impl"):
                hookimpl(function)

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
    def decode(self, source: Source) -> Iterable[Batch | Rejected | Remark] | None:
        """Batches of a struct stream, flat file or HDF4 file, if the layout names such and knows a struct of it."""
        kinds = self.layout.words.sources
        named = told_by_stream_name(source.name)
        if "struct_streams" in kinds and named:
            return self._decode_stream(source, *named) if named[0] in self.known else None
        if "flat_files" in kinds and (flat := told_by_name(self.flat_name, self.layout.types, source.name)):
            return self._decode_flat(source, *flat)
        return self._decode_hdf4(source) if "hdf4" in kinds else None

    @cached_property
    def known(self) -> dict[str, DataType]:
        """Data types by the names of their structs; of a later version's own name, the type as that version had it."""
        return self.layout.versions_by_code() | self.layout.by_code()

    def _decode_stream(self, source: Source, code: str, byte_order: str) -> Iterable[Batch | Rejected]:
        form = self.known[code]
        if code == form.code and form.versions:
            form = self._form_by_time(form, source.content, byte_order)
        struct = self.struct(form, byte_order)
        return [
            replace(item, offset=item.numbers[0] * struct.itemsize) if isinstance(item, Rejected) else item
            for item in self.batches(form, read_stream(source.content, struct, source.name))
        ]

    def _form_by_time(self, data_type: DataType, content: bytes, byte_order: str) -> DataType:
        """The form of structs by the time of the first: a version adds behind what there was, so the time stays put."""
        clock = data_type.clock
        for form in data_type.forms:
            struct = self.struct(form, byte_order)
            times = np.frombuffer(content, struct, len(content) // struct.itemsize)[data_type.time]
            timed = clock.defined(times)
            if timed[:1].all() and len(times):
                return data_type.form_on(clock.days(times[:1])[0])
            # The first has no time: that of another one tells, if it was read with the right form.
            fits = len(content) % struct.itemsize == 0 and timed.any()
            if fits and data_type.form_on(clock.days(times[timed][:1])[0]) == form:
                return form
        # Where none has a time, the size may tell.
        sizes = [(self.struct(form, byte_order).itemsize, form) for form in data_type.forms]
        return next((form for size, form in sizes if len(content) % size == 0), data_type)

    @property
    def flat_name(self) -> str:
        """Template of the names of flat files; empty if the layout has none."""
        return self.layout.words.flat_files.name if self.layout.words.flat_files else ""

    def _decode_flat(
        self, source: Source, data_type: DataType, day: np.datetime64, part: Literal["slots", "overlap"]
    ) -> Iterable[Batch | Rejected | Remark]:
        """Records of a flat file; numbers are those of its slots."""
        file = read_flat_file(source.content, source.name, data_type, day, self.struct, part=part)
        items: list[Batch | Rejected | Remark] = []
        for item in self.batches(file.form, file.structs):
            if isinstance(item, Rejected):
                numbers = tuple(file.places[list(item.numbers)].tolist())
                offset = HEADER_SIZE + numbers[0] * file.structs.dtype.itemsize
                items.append(replace(item, numbers=numbers, offset=offset))
            else:
                gave_way = part == "overlap" and data_type.placement.store == "slots"
                items.append(replace(item, numbers=file.places[item.numbers], gave_way=gave_way))
        if len(file.conflicts):
            text = f"slots in conflict in {source.name}; their records come with {source.name}{OVERLAP}"
            items.append(Remark(data_type.instrument, data_type.code, text, tuple(file.conflicts.tolist())))
        return items

    @hookimpl
    def export_formats(self, data_type: DataType) -> Iterable[str] | None:
        """The format of flat files, if the layout has such."""
        words = self.layout.words.flat_files
        return [words.format] if words and data_type.instrument == self.layout.words.instrument else None

    @hookimpl
    def export(
        self,
        data_type: DataType,
        day: np.datetime64,
        tables: DayTables,
        form: str,
        byte_order: ByteOrder,
        directory: Path,
    ) -> Iterable[Path] | None:
        """A flat file and, where records contended for slots, its overlap file; one that is out of date is removed."""
        if form not in (self.export_formats(data_type) or ()):
            return None
        stored = tables.data_type
        header = make_header(data_type.code_of(len(stored.fields)), day, byte_order)
        struct = self.struct(stored, byte_order)
        rows = tables.rows if stored.placement.store == "slots" else in_time_order(tables.rows, stored)
        content = header + lay_out(rows, struct).tobytes()
        overlap = header + lay_out(in_time_order(tables.overlap, stored), struct).tobytes()
        path = directory / data_type.fill(self.flat_name, day)
        return write_files(path, content, overlap if len(tables.overlap) else None)

    def _decode_hdf4(self, source: Source) -> Iterable[Batch | Rejected] | None:
        from dayfile.layouts import hdf4

        if not hdf4.looks_like_hdf4(source.content):
            if source.name.lower().endswith((".hdf", ".hdf4")):
                message = f"named as an HDF4 file, but it is none: it begins with {source.content[:8]!r}"
                raise SourceError(message, where=source.name)
            return None
        mine = [name for name in hdf4.struct_names(source.content, source.name) if name in self.known]
        if not mine:
            return None
        items: list[Batch | Rejected] = []
        for name in mine:
            fields = set(hdf4.struct_fields(source.content, name, where=source.name))
            forms = self.layout.by_code()[self.known[name].code].forms
            form = next((form for form in forms if fields == {field.name for field in form.fields}), self.known[name])
            items += self.batches(form, hdf4.read_struct(source.content, name, form.dtype, where=source.name))
        return items

    def struct(self, data_type: DataType, byte_order: str | None = None) -> np.dtype[np.void]:
        """The dtype of a data type's C struct in memory; in the layout's byte order if none is given."""
        words = self.layout.words.structs
        order = byte_order or (words.byte_order if words else "big")
        alignment = words.alignment if words else "natural"
        return struct_dtype(data_type.fields, "little" if order == "little" else "big", alignment)

    @hookimpl
    def encode(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes] | None:
        """A big-endian struct stream, if the layout names such sources."""
        words = self.layout.words
        if data_type.instrument != words.instrument or "struct_streams" not in words.sources:
            return None
        return self._stream(data_type, records)

    def _stream(self, form: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes]:
        """Records as a struct stream that is read as of the same form: its name and bytes."""
        data_type = self.layout.by_code()[form.code]
        times = records[form.time]
        timed = times[form.clock.defined(times)]
        oldest = len(form.fields) == len(data_type.forms[0].fields)
        if oldest and len(timed) and data_type.form_on(form.clock.days(timed[:1])[0]) != data_type.forms[0]:
            # Under the type's own name they would be read as of the version of their time.
            form, records = data_type, data_type.conform(records)
        name = stream_name(data_type.code_of(len(form.fields)), "big")
        return name, to_structs(records, self.struct(form, "big")).tobytes()

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
        timed = data_type.timed(records)
        if timed.all():
            yield Batch(data_type.instrument, data_type.code, records, numbers)
            return
        if timed.any():
            yield Batch(data_type.instrument, data_type.code, records[timed], numbers[timed])
        name, content = self._stream(data_type, records[~timed])
        yield Rejected(
            instrument=data_type.instrument,
            code=data_type.code,
            reason=data_type.why_untimed(records[~timed]),
            error=RecordError.__name__,
            numbers=tuple(np.flatnonzero(~timed).tolist()),
            name=name,
            content=content,
        )
