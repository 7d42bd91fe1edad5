"""Exporter of netCDF-4 by the CF conventions (climate and forecast), by h5netcdf."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.export.base import RangeExporter, Selection
from dayfile.export.blocks import SAMPLE_BYTES, Block, read_selection
from dayfile.handover.columns import FieldColumn, find_time_name, import_extra
from dayfile.handover.xarray import describe_variable, name_dimensions
from dayfile.model.field import Field

__all__ = ["NetcdfExporter"]

CHUNK_BYTES = 2**17
"""Bytes of a chunk, about, before it is compressed."""
WRITTEN_BYTES = 8 * 2**20
"""Bytes of records, about, that are written at once, so that most chunks are written whole."""
CF_TIME = "nanoseconds since 1970-01-01T00:00:00"


class NetcdfExporter(RangeExporter):
    """netCDF-4 along an unlimited dimension ``time``, with units, meanings and flags as CF has them.

    What is missing is the fill value of its variable. Samples of a blob are along an unlimited dimension too, as long
    as the longest, and ``_length`` of a variable has how many samples there are. Bytes are text in base64.
    """

    name = "netcdf"
    suffix = ".nc"

    def write(self, selection: Selection, path: Path) -> None:
        """Write records after records; MissingExtraError without h5netcdf and h5py, which it writes by."""
        import_extra("h5py", "export to netCDF", "xarray")
        netcdf = import_extra("h5netcdf", "export to netCDF", "xarray")
        with netcdf.File(path, "w") as file:
            writer = NetcdfWriter(file, selection)
            for blocks in gather_blocks(selection):
                writer.append(blocks)


def gather_blocks(selection: Selection) -> Iterator[list[Block]]:
    """Read a selection, in blocks that together have enough records to be written at once."""
    size = max(1, selection.data_type.dtype.itemsize)
    waiting: list[Block] = []
    for block in read_selection(selection):
        waiting.append(block)
        if block.blobs or sum(len(each.records) for each in waiting) * size >= WRITTEN_BYTES:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


class NetcdfWriter:
    """Appends records to the variables of a file.

    Parameters
    ----------
    file : h5netcdf.File
        An empty file.
    selection : Selection
        The records, for what they are.
    """

    def __init__(self, file: Any, selection: Selection) -> None:  # noqa: ANN401 - of h5netcdf, which has no types
        self.file, self.selection = file, selection
        self.along = find_time_name(selection.empty)
        self.rows = 0
        self.longest: dict[str, int] = {}
        data_type = selection.data_type
        file.attrs.update({"Conventions": "CF-1.11", "title": data_type.title, "data_type": data_type.name})
        file.dimensions[self.along] = None
        described = {"standard_name": "time", "long_name": "UTC time", "units": CF_TIME, "calendar": "standard"}
        self.make(self.along, (), np.dtype(np.int64), described)
        for name, dtype in selection.keys.items():
            self.make(name, (), dtype, {"long_name": name})
        for field in data_type.fields:
            self.make_field(field)

    def make_field(self, field: Field) -> None:
        """Make the variable of a field, with its dimensions."""
        names = name_dimensions(field) if field.array_shape else ()
        for name, length in zip(names, field.array_shape, strict=True):
            self.file.dimensions[name] = length
        described = {**describe_variable(self.selection.data_type, field), "coordinates": " ".join(self.selection.keys)}
        reader = self.selection.readers.get(field.name)
        if field.blob and reader is not None:
            samples = f"{field.name}_sample"
            self.file.dimensions[samples] = None
            self.longest[samples] = 0
            described |= {"units": reader.unit, "long_name": reader.doc or field.doc}
            dtype = np.dtype(reader.dtype)
            self.make(field.name, (*names, samples), dtype, described, find_fill(dtype))
            long_name = {"long_name": f"number of samples of {field.name}"}
            self.make(f"{field.name}_length", names, np.dtype(np.int32), long_name)
            return
        if field.blob:
            described["encoding"] = "UTF-8" if field.blob == "latin-1" else "base64"
        if field.type == "bool":
            described["dtype"] = "bool"  # as xarray marks them
        dtype = np.dtype(str) if field.blob or field.type == "char" else field.base
        fill = (np.nan if dtype.kind == "f" else field.missing[0]) if field.missing else None
        self.make(field.name, names, dtype, described, fill)

    def make(
        self,
        name: str,
        names: tuple[str, ...],
        dtype: np.dtype[Any],
        described: dict[str, Any],
        fill: Any = None,  # noqa: ANN401
    ) -> None:
        """Make a variable along the records, with attributes that are not empty."""
        text = dtype.kind in "US"
        kind: Any = (
            import_extra("h5py", "export to netCDF", "xarray").string_dtype()
            if text
            else np.dtype("i1")
            if dtype.kind == "b"
            else dtype
        )
        lengths = [length if (length := self.file.dimensions[each].size) else 256 for each in names]
        if names and names[-1].endswith("_sample"):
            lengths[-1] = 256
        item = int(np.prod(lengths)) * (16 if text else kind.itemsize)
        options: dict[str, Any] = {} if text else {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        options |= {"chunks": (max(1, CHUNK_BYTES // item), *lengths), "fillvalue": fill}
        variable = self.file.create_variable(name, (self.along, *names), kind, **options)
        variable.attrs.update({word: text for word, text in described.items() if not isinstance(text, str) or text})

    def append(self, blocks: list[Block]) -> None:
        """Append records."""
        stop = self.rows + sum(len(block.records) for block in blocks)
        self.file.resize_dimension(self.along, stop)
        rows = slice(self.rows, stop)
        self.file.variables[self.along][rows] = np.concatenate([block.records.times for block in blocks]).astype(
            np.int64
        )
        for columns in zip(*(block.columns() for block in blocks), strict=True):
            name = columns[0].name
            if name in self.selection.readers:
                self.append_samples(name, np.concatenate([column.values for column in columns]))
            else:
                self.file.variables[name][rows] = np.concatenate([fill_missing(column) for column in columns])
        self.rows = stop

    def append_samples(self, name: str, values: npt.NDArray[np.object_]) -> None:
        """Append the samples of a field, padded to the longest, in parts that are not too large for the memory."""
        lengths = np.array([0 if each is None else len(each) for each in values.ravel()]).reshape(values.shape)
        dimension, longest = f"{name}_sample", int(lengths.max(initial=0))
        if longest > self.longest[dimension]:
            self.longest[dimension] = longest
            self.file.resize_dimension(dimension, longest)
        self.file.variables[f"{name}_length"][self.rows : self.rows + len(values)] = lengths.astype(np.int32)
        variable, dtype = self.file.variables[name], np.dtype(self.selection.readers[name].dtype)
        item = int(np.prod(values.shape[1:])) * max(1, longest) * dtype.itemsize
        step = max(1, SAMPLE_BYTES // item)
        for start in range(0, len(values), step):
            part = values[start : start + step]
            padded = np.full((*part.shape, longest), find_fill(dtype), dtype)
            for place in np.ndindex(part.shape):
                if part[place] is not None:
                    padded[place][: len(part[place])] = part[place]
            rows = slice(self.rows + start, self.rows + start + len(part))
            variable[(rows, *([slice(None)] * (part.ndim - 1)), slice(0, longest))] = padded


def fill_missing(column: FieldColumn) -> npt.NDArray[Any]:
    """Return the values of a column as they are written: one value for all that is missing, and bytes as text."""
    values = column.values
    if values.dtype == object:
        texts = [b64encode(each).decode() if isinstance(each, bytes) else each or "" for each in values.ravel()]
        return np.array(texts, object).reshape(values.shape)
    if values.dtype.kind == "U":
        return values.astype(object)
    if column.missing is not None and column.field is not None:
        fill = np.nan if values.dtype.kind == "f" else column.field.missing[0]
        values = np.where(column.missing, np.array(fill, values.dtype), values)
    return values.astype("i1") if values.dtype == bool else values


def find_fill(dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - a number
    """Find the value for what is behind the last sample: NaN, the smallest integer, or the largest unsigned one."""
    if dtype.kind == "f":
        return np.nan
    return np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min
