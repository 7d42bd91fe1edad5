"""The format of struct streams: C structs one after another, in a file named after the struct.

The section ``structs`` of a layout declares how structs are in memory, also for other formats with structs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import RecordError, SourceError
from dayfile.formats.base import Format
from dayfile.formats.struct_dtypes import make_struct_dtype, to_records, to_structs
from dayfile.layouts.document import Document, Path
from dayfile.layouts.part_words import StructWords
from dayfile.layouts.parts import count_fields
from dayfile.layouts.reader import Layout
from dayfile.layouts.schema import TypeWords
from dayfile.messages import plural
from dayfile.model.batch import Batch, Blocks, Rejected, Source
from dayfile.model.datatype import DataType

__all__ = ["Structs", "convert_structs", "find_struct", "name_stream", "parse_stream", "read_stream"]

STREAM_NAME = re.compile(r"(?P<code>\w+)\.(?P<order>be|le)\.bin")


class Structs(Format):
    """Streams of C structs, naturally aligned or packed."""

    name = "struct_streams"

    def check(self, layout: Layout, document: Document) -> None:
        """Check that the struct of each type and version has the size that the layout declares."""
        words = layout.find_section(StructWords)
        for data_type in layout.types:
            path: Path = ("types", data_type.type)
            for place, (size, count) in list_sizes(layout.words.types[data_type.type], path).items():
                with document.collect():
                    if words is None:
                        document.fail((*place, "size"), "'size' is the size of a C struct; the layout has no 'structs'")
                    made = make_struct_dtype(data_type.fields[:count], words.byte_order, words.alignment).itemsize
                    if made != size:
                        what = f"a struct of {plural(made, 'byte')} ({words.alignment} alignment)"
                        document.fail((*place, "size"), f"the fields make {what}, not {size}")

    def recognise(self, source: Source, layout: Layout) -> bool:  # noqa: ARG002 - of the protocol
        """Return whether the name is that of a stream."""
        return parse_stream(source.name) is not None

    def decode(self, source: Source, layout: Layout) -> Blocks | None:
        """Read a stream, if the layout has its struct."""
        code, byte_order = parse_stream(source.name) or ("", "")
        if code not in layout.known:
            return None
        form = layout.known[code]
        if code == form.code and form.versions:
            form = find_form_by_time(form, source, layout, byte_order)
        struct = find_struct(layout, form, byte_order)
        check_length(source.size, struct, source.name)
        return Blocks(partial(read_blocks, source, form, struct, layout))

    def encode(self, data_type: DataType, records: npt.NDArray[Any], layout: Layout) -> tuple[str, bytes]:
        """Encode records as a big-endian stream that is decoded in the same version."""
        whole = layout.by_code()[data_type.code]
        times = data_type.count(records)
        timed = times[data_type.clock.defined(times)]
        oldest = len(data_type.fields) == len(whole.forms[0].fields)
        if oldest and len(timed) and whole.form_on(data_type.clock.days(timed[:1])[0]) != whole.forms[0]:
            # With the name of the type, they would be decoded in the version of their time.
            data_type, records = whole, whole.conform(records)
        name = name_stream(whole.code_of(len(data_type.fields)), "big")
        return name, to_structs(records, find_struct(layout, data_type, "big")).tobytes()


def list_sizes(words: TypeWords, path: Path) -> dict[Path, tuple[int, int]]:
    """List the declared size and the number of fields of each version of a type, by place in the layout."""
    count = count_fields(words.fields)
    sizes = {path: (words.size, count)}
    for index, version in enumerate(words.later):
        count += count_fields(version.fields)
        sizes[(*path, "later", index)] = version.size, count
    return {place: (size, count) for place, (size, count) in sizes.items() if size is not None}


def find_struct(layout: Layout, data_type: DataType, byte_order: str | None = None) -> np.dtype[np.void]:
    """Make the dtype of a data type's C struct in memory, by default in the layout's byte order."""
    words = layout.find_section(StructWords) or StructWords()
    order = byte_order or words.byte_order
    return make_struct_dtype(data_type.fields, "little" if order == "little" else "big", words.alignment)


def name_stream(code: str, byte_order: str) -> str:
    """Make the file name of a stream of structs."""
    return f"{code}.{'be' if byte_order == 'big' else 'le'}.bin"


def parse_stream(name: str) -> tuple[str, str] | None:
    """Parse a file name into struct and byte order; None for other names.

    Examples
    --------
    >>> parse_stream("MuonHit.be.bin"), parse_stream("notes.txt")
    (('MuonHit', 'big'), None)
    """
    match = STREAM_NAME.fullmatch(name)
    return (match["code"], "big" if match["order"] == "be" else "little") if match else None


def find_form_by_time(data_type: DataType, source: Source, layout: Layout, byte_order: str) -> DataType:
    """Find the version of structs by the first time: later versions add fields at the end, so its place is fixed."""
    for form in data_type.forms:
        struct = find_struct(layout, form, byte_order)
        found = find_first_day(source, struct, form)
        if found is None:
            continue
        place, day = found
        if place == 0:
            return data_type.form_on(day)
        # The first struct has no time. A later one decides, if it was read in its own version.
        if source.size % struct.itemsize == 0 and data_type.form_on(day) == form:
            return form
    # No struct has a time: the size may decide.
    sizes = [(find_struct(layout, form, byte_order).itemsize, form) for form in data_type.forms]
    return next((form for size, form in sizes if source.size % size == 0), data_type)


def find_first_day(source: Source, struct: np.dtype[np.void], form: DataType) -> tuple[int, np.datetime64] | None:
    """Find place and day of the first struct of a source that has a time; None if no struct has."""
    for offset, block in source.blocks(step=struct.itemsize):
        times = form.count(np.frombuffer(block, struct, len(block) // struct.itemsize))
        timed = np.flatnonzero(form.clock.defined(times))
        if len(timed):
            return offset // struct.itemsize + int(timed[0]), form.clock.days(times[timed[:1]])[0]
    return None


def check_length(size: int, dtype: np.dtype[np.void], where: str) -> None:
    """Refuse a length that is not a whole number of structs."""
    whole, rest = divmod(size, dtype.itemsize)
    if rest:
        message = (
            f"{plural(size, 'byte')} is not a whole number of {dtype.itemsize}-byte structs: "
            f"the file is truncated or of another type"
        )
        raise SourceError(message, where=where, offset=whole * dtype.itemsize)


def read_stream(content: bytes | memoryview, dtype: np.dtype[np.void], where: str) -> npt.NDArray[Any]:
    """View the structs of a stream, or of a block of it.

    Parameters
    ----------
    content : bytes or memoryview
        The bytes.
    dtype : numpy.dtype
        The dtype of one struct in memory; see :func:`dayfile.formats.struct_dtypes.make_struct_dtype`.
    where : str
        Name for messages.

    Returns
    -------
    structured array, shape (n,), read-only
        A view of ``content``.

    Raises
    ------
    SourceError
        The length is not a multiple of the struct's size: the file was truncated or holds something else.
    """
    check_length(len(content), dtype, where)
    return np.frombuffer(content, dtype)


def read_blocks(
    source: Source, form: DataType, struct: np.dtype[np.void], layout: Layout
) -> Iterator[Batch | Rejected]:
    """Read the records of a stream block by block; rejected records have their byte offset."""
    for offset, block in source.blocks(step=struct.itemsize):
        first = offset // struct.itemsize
        for item in convert_structs(form, read_stream(block, struct, source.name), layout, first):
            if isinstance(item, Rejected):
                yield replace(item, offset=item.numbers[0] * struct.itemsize)
            else:
                yield item


def convert_structs(
    data_type: DataType, structs: npt.NDArray[Any], layout: Layout, first: int = 0
) -> Iterator[Batch | Rejected]:
    """Convert structs to records; those without a time are rejected, as a struct stream.

    Parameters
    ----------
    data_type : DataType
        The type of the structs.
    structs : structured array, shape (n,)
        The structs, in any memory form with the fields of the data type.
    layout : Layout
        The layout, which declares how structs are encoded.
    first : int
        Number of the first struct in its source.
    """
    records = to_records(structs, data_type)
    numbers = np.arange(first, first + len(records))
    timed = data_type.timed(records)
    if timed.all():
        yield Batch(data_type.instrument, data_type.code, records, numbers)
        return
    if timed.any():
        yield Batch(data_type.instrument, data_type.code, records[timed], numbers[timed])
    name, content = Structs().encode(data_type, records[~timed], layout)
    yield Rejected(
        instrument=data_type.instrument,
        code=data_type.code,
        reason=data_type.why_untimed(records[~timed]),
        error=RecordError.__name__,
        numbers=tuple(numbers[~timed].tolist()),
        name=name,
        content=content,
    )
