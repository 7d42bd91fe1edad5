"""Exporter of CDF by the guidelines of ISTP: cdflib writes the variables, and records are appended in pieces."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import StorageError, UsageError
from dayfile.export.base import RangeExporter, Selection
from dayfile.export.blocks import SAMPLE_BYTES, Block, read_selection
from dayfile.export.cdf_records import CdfRecords
from dayfile.export.cdf_variables import CdfVariable, describe_file, describe_variables
from dayfile.handover.columns import FieldColumn, RecordTable, import_extra

__all__ = ["CdfExporter"]

J2000 = int(np.datetime64("2000-01-01T12:00:00", "ns").astype(np.int64)) - 32_184_000_000
"""The epoch of TT2000 in TAI, nanoseconds since 1970."""


class CdfExporter(RangeExporter):
    """CDF along ``Epoch`` (TT2000), with the attributes of ISTP.

    What is missing is the fill value of its variable. Each dimension of an array has a variable with its numbers and
    one with labels, from what the layout says of the elements. Samples of a blob are as long as the longest, with fill
    values behind; ``_length`` of a variable has how many samples there are. Bytes are text in base64.
    """

    name = "cdf"
    suffix = ".cdf"

    def write(self, selection: Selection, path: Path) -> None:
        """Write the variables, then records after records; MissingExtraError without cdflib."""
        writing = import_extra("cdflib.cdfwrite", "export to CDF", "cdf")
        # CDF has no arrays of variable length, so blobs are read twice: first for the longest.
        longest = find_longest(selection) if any(each.blob for each in selection.data_type.fields) else {}
        blocks = read_selection(selection)
        first = next(blocks, None)
        variables = describe_variables(selection, longest)
        file = writing.CDF(path, cdf_spec={"Encoding": 6, "Majority": "row_major"}, delete=True)
        file.write_globalattrs(describe_file(selection.data_type, None if first is None else first.records.times[0]))
        for variable in chain.from_iterable(variables.values()):
            file.write_var(variable.specification, variable.attributes, variable.values)
        file.close()
        with CdfRecords(path) as records:
            for block in chain([] if first is None else [first], blocks):
                append_block(records, variables, block)


def find_longest(selection: Selection) -> dict[str, int]:
    """Find how long the longest blob of each field is: in samples, or in bytes as they are written."""
    longest: dict[str, int] = {}
    for block in read_selection(selection):
        for name, values in block.blobs.items():
            lengths = [len(convert_blob(each)) for each in values.ravel() if each is not None]
            longest[name] = max([longest.get(name, 0), *lengths])
    return longest


def convert_blob(value: Any) -> Any:  # noqa: ANN401 - samples, text or bytes
    """Convert a text to bytes, and bytes to base64; leave samples."""
    if isinstance(value, str):
        return value.encode()
    return b64encode(value) if isinstance(value, bytes) else value


def append_block(records: CdfRecords, variables: dict[str, list[CdfVariable]], block: Block) -> None:
    """Append the records of a block to all variables."""
    (epoch,) = variables[""]
    records.append(epoch.name, find_tt2000(block.records))
    for column in block.columns():
        variable, *others = variables[column.name]
        if column.values.dtype == object and variable.dtype:
            lengths = np.array([0 if each is None else len(each) for each in column.values.ravel()], "<i4")
            records.append(others[0].name, lengths.reshape(column.values.shape))
            for values in pad_samples(column.values, variable):
                records.append(variable.name, values)
        elif variable.dtype:
            records.append(variable.name, convert_numbers(column, variable))
        else:
            records.append(variable.name, convert_texts(column, variable, block.records))


def find_tt2000(records: RecordTable) -> npt.NDArray[np.int64]:
    """Return the times of records in nanoseconds of TT2000, exact in leap seconds too."""
    times: npt.NDArray[np.int64] = (records.data_type.clock.to_tai(records.nanoseconds) - J2000).astype("<i8")
    return times


def convert_numbers(column: FieldColumn, variable: CdfVariable) -> npt.NDArray[Any]:
    """Convert numbers to the type of a variable, with its fill value for what is missing; UsageError if too large."""
    values = column.values
    if values.dtype == np.uint64 and (values > np.uint64(2**63 - 1)).any():
        raise UsageError(
            f"{column.name} has values of 2**63 and more, which CDF cannot hold; leave it out with --fields"
        )
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if column.missing is not None:
        missing = missing | column.missing
    return np.where(missing, np.array(variable.fill, variable.dtype), values.astype(variable.dtype))


def convert_texts(column: FieldColumn, variable: CdfVariable, records: RecordTable) -> npt.NDArray[Any]:
    """Convert texts to bytes of the length of a variable."""
    if column.field is not None and column.field.type == "char":
        texts: npt.NDArray[Any] = records.array[column.name]
    elif column.values.dtype == object:
        converted = [b"" if each is None else convert_blob(each) for each in column.values.ravel()]
        check_longest(variable, max(map(len, converted), default=0))
        texts = np.array(converted, f"S{variable.elements}").reshape(column.values.shape)
    else:
        texts = np.char.encode(column.values, "utf-8")
    return texts.astype(f"S{variable.elements}")


def pad_samples(values: npt.NDArray[np.object_], variable: CdfVariable) -> Iterator[npt.NDArray[Any]]:
    """Yield samples with fill values behind the last, in parts that are not too large for the memory."""
    longest = variable.shape[-1]
    dtype = np.dtype(variable.dtype)
    step = max(1, SAMPLE_BYTES // (int(np.prod(variable.shape)) * dtype.itemsize))
    for start in range(0, len(values), step):
        part = values[start : start + step]
        padded = np.full((*part.shape, longest), variable.fill, dtype)
        for place in np.ndindex(part.shape):
            if part[place] is not None:
                check_longest(variable, len(part[place]))
                padded[place][: len(part[place])] = part[place]
        yield padded


def check_longest(variable: CdfVariable, length: int) -> None:
    """Raise a StorageError if a blob is longer than the longest one was when all were measured."""
    if length > (variable.shape[-1] if variable.dtype else variable.elements):
        raise StorageError("records were added to the archive meanwhile; export again")
