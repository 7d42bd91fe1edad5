r"""The core's own format of sources: parcels, which name what they hold and end with a checksum.

A parcel of *records* holds records of any data type with their keys and blobs, as a program put them. A parcel of a
*source* holds the bytes of another source, with keys that these do not name themselves. Integers are little-endian:

====================== ==========================================================
``b"\x89dayfile 1\r\n"`` the format and its version
uint32                 length of the head
head                   JSON in UTF-8: what it holds, and the size of the body
body                   rows, then owner and size of each blob (int64, int64), then the blobs; or the bytes of the source
uint32                 CRC-32 of everything before
====================== ==========================================================
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import RecordError, SourceError
from dayfile.formats.compressed import unfold
from dayfile.model.batch import NO_BLOBS, Batch, Blobs, Blocks, Rejected, Source
from dayfile.model.datatype import DataType
from dayfile.stores.nodes import Keys

__all__ = ["decode_parcel", "is_parcel", "open_parcel", "open_wrapped", "write_records", "write_source"]

OPENING = b"\x89dayfile 1\r\n"
NUMBER = np.dtype("<u4")
BLOB = np.dtype([("owner", "<i8"), ("size", "<i8")])
DECODED_BYTES = 16 * 2**20
"""Bytes of records, with their blobs, that are decoded at once."""


@dataclass(frozen=True)
class Parcel:
    """A parcel whose checksum is right.

    Parameters
    ----------
    source : Source
        The source that is one.
    head : dict of str to object
        What it holds.
    start : int
        Where its body begins.
    """

    source: Source
    head: dict[str, Any]
    start: int

    def part(self, start: int, size: int) -> bytes:
        """Return ``size`` bytes of the body from ``start`` on."""
        return self.source.part(self.start + start, size)


def is_parcel(source: Source) -> bool:
    """Return whether a source begins as a parcel does."""
    return source.part(0, len(OPENING)) == OPENING


def write_parcel(head: Mapping[str, object], body: bytes) -> bytes:
    """Write a parcel; the same head and body give the same bytes."""
    text = json.dumps({**head, "size": len(body)}, sort_keys=True, separators=(",", ":")).encode()
    content = b"".join((OPENING, NUMBER.type(len(text)).tobytes(), text, body))
    return content + NUMBER.type(zlib.crc32(content)).tobytes()


def open_parcel(source: Source) -> Parcel:
    """Open a parcel and check it; SourceError if anything in it has changed, or is missing."""
    damaged = SourceError(
        "this parcel is truncated or damaged; give it again, or take it from a copy", where=source.name
    )
    checked, found = max(0, source.size - NUMBER.itemsize), 0
    for offset, block in source.blocks():
        found = zlib.crc32(block[: max(0, checked - offset)], found)
    start = len(OPENING) + NUMBER.itemsize
    if source.part(checked, NUMBER.itemsize) != NUMBER.type(found).tobytes() or checked < start:
        raise damaged
    length = int(np.frombuffer(source.part(len(OPENING), NUMBER.itemsize), NUMBER)[0])
    try:
        head = json.loads(source.part(start, min(length, checked - start)))
        if type(head["size"]) is not int or start + length + head["size"] != checked:
            raise damaged
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error
    return Parcel(source, head, start + length)


def open_wrapped(source: Source, largest: int) -> tuple[Source, Keys]:
    """Open a source that was compressed, or that came with keys.

    Parameters
    ----------
    source : Source
        The source as it was received.
    largest : int
        Bytes that it may unfold to.

    Returns
    -------
    (Source, mapping of str to str or int)
        What formats see, and the keys.

    Raises
    ------
    SourceError
        It is truncated or damaged, or unfolds to more.
    """
    source = unfold(source, largest)
    if not is_parcel(source):
        return source, {}
    parcel = open_parcel(source)
    if parcel.head.get("kind") != "source":
        return source, {}
    try:
        name, keys = str(parcel.head["name"]), dict(parcel.head["keys"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError("this parcel does not describe its source", where=source.name) from error
    inner = Source(source.path, name, parcel.part(0, parcel.head["size"]), source.arrived)
    return unfold(inner, largest), keys


def write_source(source: Source, keys: Keys) -> tuple[str, bytes]:
    """Write a source, with keys that it does not name itself, as a parcel: name and content."""
    content = write_parcel({"kind": "source", "name": source.name, "keys": dict(keys)}, source.content)
    return f"{source.name}.parcel", content


def write_records(
    data_type: DataType, records: npt.NDArray[Any], keys: Keys | None = None, blobs: Blobs = NO_BLOBS
) -> tuple[str, bytes]:
    """Write records as a parcel.

    Parameters
    ----------
    data_type : DataType
        Their type, in their version.
    records : structured array, shape (n,)
        The records, in the dtype of the type.
    keys : mapping of str to str or int, optional
        Their keys.
    blobs : Blobs
        Their blobs.

    Returns
    -------
    (str, bytes)
        Name and content of the source.

    Examples
    --------
    >>> from dayfile import Clock, Field, Node, Placement
    >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"))
    >>> fields = (Field("second", "int64"),)
    >>> hits = DataType("muon", "hits", "Hit", "", fields, clock, "second", Placement("append", "", Node("/hits")))
    >>> name, content = write_records(hits, np.array([(5,)], hits.dtype))
    >>> name, [batch.records.tolist() for batch in decode_parcel(Source(None, name, content), {"muon.hits": hits})]
    ('muon.hits.parcel', [[(5,)]])
    """
    index = np.zeros(len(blobs.values), BLOB)
    index["owner"], index["size"] = blobs.owners, [len(value) for value in blobs.values]
    head = {
        "kind": "records",
        "type": data_type.name,
        "layout": data_type.layout,
        "keys": dict(keys or {}),
        "fields": [(field.name, field.base.str, field.array_shape) for field in data_type.fields],
        "records": len(records),
        "blobs": len(index),
    }
    body = b"".join((np.ascontiguousarray(records).tobytes(), index.tobytes(), *blobs.values))
    return f"{data_type.name}.parcel", write_parcel(head, body)


def decode_parcel(source: Source, data_types: Mapping[str, DataType]) -> Blocks | None:
    """Read the records of a parcel, block by block; None if their type is unknown.

    Raises
    ------
    SourceError
        The parcel is damaged, or its records have other fields than their type has here.
    """
    parcel = open_parcel(source)
    data_type = data_types.get(str(parcel.head.get("type")))
    if data_type is None:
        return None
    dtype = read_dtype(parcel)
    form = next((form for form in data_type.forms if form.dtype == dtype), None)
    if form is None:
        message = f"its records have other fields than {data_type.name} has in the installed plugin"
        raise SourceError(message, where=source.name)
    return Blocks(partial(read_batches, parcel, form))


def read_dtype(parcel: Parcel) -> np.dtype[np.void]:
    """Read the dtype of the rows of a parcel; SourceError if it has none that records can have."""
    wrong = SourceError("this parcel does not describe its records", where=parcel.source.name)
    try:
        fields = [(str(name), np.dtype(str(base)), tuple(shape)) for name, base, shape in parcel.head["fields"]]
        dtype = np.dtype(fields)
        keys, sizes = parcel.head["keys"], [parcel.head[name] for name in ("records", "blobs")]
    except (ValueError, KeyError, TypeError, SyntaxError) as error:  # NumPy parses some texts as Python
        raise wrong from error
    if not (isinstance(keys, dict) and all(type(size) is int and size >= 0 for size in sizes) and dtype.itemsize):
        raise wrong
    return dtype


def read_batches(parcel: Parcel, form: DataType) -> Iterator[Batch | Rejected]:
    """Read records with their blobs in blocks; those without a time are rejected, as a parcel of their own."""
    records, row = parcel.head["records"], form.dtype.itemsize
    index = read_index(parcel, records * row)
    ends = np.append(0, index["size"].cumsum()) + records * row + index.nbytes
    sizes = row + np.bincount(index["owner"], index["size"], records).astype(np.int64)
    blocks = np.append(0, sizes.cumsum()[:-1]) // DECODED_BYTES if records else sizes
    stops = [*(np.flatnonzero(np.diff(blocks)) + 1).tolist(), records]
    for first, stop in pairwise([0, *stops]):
        low, high = np.searchsorted(index["owner"], [first, stop]).tolist()
        rows = np.frombuffer(parcel.part(first * row, (stop - first) * row), form.dtype)
        content = parcel.part(int(ends[low]), int(ends[high] - ends[low]))
        cuts = (ends[low : high + 1] - ends[low]).tolist()
        values = [content[start:end] for start, end in pairwise(cuts)]
        yield from make_batches(
            form, rows, parcel.head["keys"], Blobs(values, index["owner"][low:high] - first), first, low
        )


def read_index(parcel: Parcel, start: int) -> npt.NDArray[np.void]:
    """Read owner and size of each blob; SourceError if they do not fit the records and the body."""
    records, size = parcel.head["records"], parcel.head["blobs"] * BLOB.itemsize
    content = parcel.part(start, size)
    index = np.frombuffer(content[: len(content) // BLOB.itemsize * BLOB.itemsize], BLOB)
    owners, sizes = index["owner"], index["size"]
    fits = start + len(content) + sum(sizes.tolist()) == parcel.head["size"] and len(content) == size
    if not fits or (sizes < 0).any() or (np.diff(owners) < 0).any() or not ((owners >= 0) & (owners < records)).all():
        raise SourceError("this parcel does not describe its records", where=parcel.source.name)
    return index


def make_batches(
    form: DataType, rows: npt.NDArray[Any], keys: Keys, blobs: Blobs, first: int, first_blob: int
) -> Iterator[Batch | Rejected]:
    """Make a batch of the records of a block, and reject those without a time."""
    if first_blob:
        rows = rows.copy()
        for name in form.blob_fields:
            rows[name] = np.where(rows[name] < 0, rows[name], rows[name] - first_blob)
    whole = Batch(form.instrument, form.code, rows, np.arange(first, first + len(rows)), keys, blobs)
    timed = form.timed(rows)
    if timed.any() or not len(rows):
        yield whole.select(timed, form.blob_fields)
    if timed.all():
        return
    untimed = whole.select(~timed, form.blob_fields)
    name, content = write_records(form, untimed.records, keys, untimed.blobs)
    yield Rejected(
        instrument=form.instrument,
        code=form.code,
        reason=form.why_untimed(untimed.records),
        error=RecordError.__name__,
        numbers=tuple(untimed.numbers.tolist()),
        name=name,
        content=content,
    )
